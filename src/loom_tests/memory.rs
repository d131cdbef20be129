//! The shared memory of rings, on the heap, in cells that loom watches.

use crate::layout::cursors::SideLine;
use crate::ring::RingError;
use crate::ring::spsc::slots::{Slots, Stamps};
use crate::ring::spsc::{bytes, dense, stamped};
use crate::sync::{AtomicU64, Ordering};
use loom::cell::UnsafeCell;
use loom::sync::Arc;

/// Cells that two threads share by the algorithm's rules; loom checks that the rules order them.
pub(super) struct Cells(Vec<UnsafeCell<u64>>);

// SAFETY: loom reports every access that is not ordered with another one.
unsafe impl Sync for Cells {}
// SAFETY: plain numbers.
unsafe impl Send for Cells {}

impl Cells {
    pub(super) fn new(n: u64) -> Self {
        Self((0..n).map(|_| UnsafeCell::new(0)).collect())
    }
    pub(super) fn set(&self, position: u64, value: u64) {
        // SAFETY: loom checks that nobody else touches the cell meanwhile.
        self.0[position as usize % self.0.len()].with_mut(|p| unsafe { *p = value });
    }
    pub(super) fn get(&self, position: u64) -> u64 {
        // SAFETY: loom checks that nobody writes the cell meanwhile.
        self.0[position as usize % self.0.len()].with(|p| unsafe { *p })
    }
}

/// The shared memory of a dense ring.
#[derive(Clone)]
pub(super) struct HeapDense(Arc<Cells>);

/// The shared memory of a stamped ring.
#[derive(Clone)]
pub(super) struct HeapStamped(Arc<(Cells, Vec<AtomicU64>)>);

impl Stamps for HeapStamped {
    fn capacity(&self) -> u64 {
        self.0.1.len() as u64
    }
    fn stamp(&self, position: u64) -> &AtomicU64 {
        &self.0.1[position as usize % self.0.1.len()]
    }
}

impl AsRef<Cells> for HeapDense {
    fn as_ref(&self) -> &Cells {
        &self.0
    }
}

impl AsRef<Cells> for HeapStamped {
    fn as_ref(&self) -> &Cells {
        &self.0.0
    }
}

macro_rules! copies {
    () => {
        type Item = u64;
        fn capacity(&self) -> u64 {
            self.as_ref().0.len() as u64
        }
        fn write(&self, position: u64, item: &u64) {
            self.as_ref().set(position, *item);
        }
        fn read(&self, position: u64) -> u64 {
            self.as_ref().get(position)
        }
        fn read_into(&self, position: u64, into: &mut u64) {
            *into = self.as_ref().get(position);
        }
        fn write_all(&self, position: u64, items: &[u64]) {
            for (p, item) in (position..).zip(items) {
                self.as_ref().set(p, *item);
            }
        }
        fn read_all(&self, position: u64, into: &mut [u64]) {
            for (p, item) in (position..).zip(into) {
                *item = self.as_ref().get(p);
            }
        }
    };
}

impl Slots for HeapDense {
    copies!();
    fn publish_one(&self, line: &SideLine, tail: u64) {
        dense::publish(line, tail, 1);
    }
    fn look(&self, line: &SideLine, head: u64, seen: &mut u64) -> Result<bool, RingError> {
        dense::look(line, head, seen, Slots::capacity(self))
    }
    fn publish(&self, line: &SideLine, tail: u64, n: u64) {
        dense::publish(line, tail, n);
    }
    fn visible(&self, line: &SideLine, head: u64, seen: u64, _: u64) -> Result<u64, RingError> {
        dense::visible(line, head, seen, Slots::capacity(self))
    }
    fn find_tail(&self, line: &SideLine, head: u64) -> Result<u64, RingError> {
        dense::find_tail(line, head, Slots::capacity(self))
    }
}

impl Slots for HeapStamped {
    copies!();
    fn publish_one(&self, line: &SideLine, tail: u64) {
        stamped::publish_one(self, line, tail);
    }
    fn look(&self, _: &SideLine, head: u64, seen: &mut u64) -> Result<bool, RingError> {
        stamped::look(self, head, seen)
    }
    fn publish(&self, line: &SideLine, tail: u64, n: u64) {
        stamped::publish(self, line, tail, n);
    }
    fn visible(&self, _: &SideLine, head: u64, seen: u64, wanted: u64) -> Result<u64, RingError> {
        stamped::visible(self, head, seen, wanted)
    }
    fn find_tail(&self, line: &SideLine, head: u64) -> Result<u64, RingError> {
        stamped::find_tail(self, line, head)
    }
}

pub(super) fn heap_dense(capacity: u64) -> HeapDense {
    HeapDense(Arc::new(Cells::new(capacity)))
}

pub(super) fn heap_stamped(capacity: u64) -> HeapStamped {
    let stamps = (0..capacity).map(|_| AtomicU64::new(0)).collect();
    HeapStamped(Arc::new((Cells::new(capacity), stamps)))
}

/// A circle of 8-byte words: payloads here are whole words. Headers are atomics, as in a segment.
#[derive(Clone)]
pub(super) struct HeapBytes(Arc<(Cells, Vec<AtomicU64>)>);

impl HeapBytes {
    pub(super) fn new(words: u64) -> Self {
        Self(Arc::new((Cells::new(words), (0..words).map(|_| AtomicU64::new(0)).collect())))
    }
    fn header_word(&self, position: u64) -> &AtomicU64 {
        &self.0.1[position as usize / 8 % self.0.1.len()]
    }
}

impl bytes::Bytes for HeapBytes {
    fn capacity(&self) -> u64 {
        self.0.1.len() as u64 * 8
    }
    fn write(&self, position: u64, bytes: &[u8]) {
        for (p, word) in (position / 8..).zip(bytes.chunks_exact(8)) {
            self.0.0.set(p, u64::from_le_bytes(word.try_into().expect("eight")));
        }
    }
    fn read(&self, position: u64, len: usize, into: &mut Vec<u8>) {
        for p in position / 8..position / 8 + len as u64 / 8 {
            into.extend_from_slice(&self.0.0.get(p).to_le_bytes());
        }
    }
    fn set_header(&self, position: u64, value: u64) {
        self.header_word(position).store(value, Ordering::Relaxed);
    }
    fn header(&self, position: u64) -> u64 {
        self.header_word(position).load(Ordering::Relaxed)
    }
}
