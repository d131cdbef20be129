//! loom runs the real algorithms, on heap memory, through every interleaving and every value that
//! a load may return under the C11 memory model (`RUSTFLAGS="--cfg segring_loom" cargo test --lib`).
//!
//! Payloads lie in cells that loom watches: a read that is not ordered after its write, or a write
//! that is not ordered after the read of the lap before, fails the test. Sleeping has no time-out
//! here, so a lost wakeup is a deadlock, which loom reports.
#![allow(unsafe_code)]

use crate::layout::cursors::{Cursors, SideLine};
use crate::ring::RingError;
use crate::ring::spsc::slots::{Slots, Stamps};
use crate::ring::spsc::{Receiver, Sender, bytes, dense, stamped};
use crate::ring::wait::{self, Pace};
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// Cells that two threads share by the algorithm's rules; loom checks that the rules order them.
struct Cells(Vec<UnsafeCell<u64>>);

// SAFETY: loom reports every access that is not ordered with another one.
unsafe impl Sync for Cells {}
// SAFETY: plain numbers.
unsafe impl Send for Cells {}

impl Cells {
    fn new(n: u64) -> Self {
        Self((0..n).map(|_| UnsafeCell::new(0)).collect())
    }
    fn set(&self, position: u64, value: u64) {
        // SAFETY: loom checks that nobody else touches the cell meanwhile.
        self.0[position as usize % self.0.len()].with_mut(|p| unsafe { *p = value });
    }
    fn get(&self, position: u64) -> u64 {
        // SAFETY: loom checks that nobody writes the cell meanwhile.
        self.0[position as usize % self.0.len()].with(|p| unsafe { *p })
    }
}

/// The shared memory of a dense ring.
#[derive(Clone)]
struct HeapDense(Arc<Cells>);

/// The shared memory of a stamped ring.
#[derive(Clone)]
struct HeapStamped(Arc<(Cells, Vec<AtomicU64>)>);

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

fn heap_dense(capacity: u64) -> HeapDense {
    HeapDense(Arc::new(Cells::new(capacity)))
}

fn heap_stamped(capacity: u64) -> HeapStamped {
    let stamps = (0..capacity).map(|_| AtomicU64::new(0)).collect();
    HeapStamped(Arc::new((Cells::new(capacity), stamps)))
}

/// A circle of 8-byte words: payloads here are whole words. Headers are atomics, as in a segment.
#[derive(Clone)]
struct HeapBytes(Arc<(Cells, Vec<AtomicU64>)>);

impl HeapBytes {
    fn new(words: u64) -> Self {
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

/// Futexes and fences for threads. The clock jumps a second at each look, so that nobody spins.
///
/// A queue for each word: to wake the wrong one, or nobody, must show.
struct World {
    words: [usize; 2],
    queues: [(Mutex<()>, Condvar); 2],
    // Not loom's: the clock orders nothing.
    clock: std::sync::atomic::AtomicU64,
}

impl World {
    fn new(cursors: &Cursors) -> Self {
        let address = |word: &AtomicU32| std::ptr::from_ref(word) as usize;
        Self {
            words: [address(&cursors.state.consumer_waits), address(&cursors.state.producer_waits)],
            queues: [(Mutex::new(()), Condvar::new()), (Mutex::new(()), Condvar::new())],
            clock: std::sync::atomic::AtomicU64::new(0),
        }
    }
    fn queue(&self, word: &AtomicU32) -> &(Mutex<()>, Condvar) {
        let index = self.words.iter().position(|w| *w == std::ptr::from_ref(word) as usize);
        &self.queues[index.expect("a word of this ring")]
    }
}

impl wait::Host for World {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1_000_000_000, std::sync::atomic::Ordering::Relaxed)
    }
    fn sleep(&self, word: &AtomicU32, expected: u32, _: u64) {
        // As the kernel does it: the word is compared under the queue's lock.
        let (lock, changed) = self.queue(word);
        let guard = lock.lock().expect("loom");
        if word.load(Ordering::Relaxed) == expected {
            drop(changed.wait(guard).expect("loom"));
        }
    }
    fn wake(&self, word: &AtomicU32) {
        let (lock, changed) = self.queue(word);
        drop(lock.lock().expect("loom"));
        changed.notify_one();
    }
    fn must_fence(&self) -> bool {
        false // the light barrier is a full fence under loom
    }
    fn barrier(&self) -> bool {
        // SeqCst: SYNC(park), stands for membarrier.
        fence(Ordering::SeqCst);
        true
    }
    fn news(&self) -> Option<RingError> {
        None
    }
    fn told(&self) {}
}

fn model(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

/// One thread pushes `n` numbers without waiting long, the other pops them.
fn stream<S: Slots<Item = u64> + Clone + Send + 'static>(make: fn(u64) -> S, capacity: u64, n: u64) {
    model(move || {
        let slots = make(capacity);
        let cursors = Arc::new(Cursors::default());
        let mut tx = Sender::resume(slots.clone(), &cursors).expect("fresh");
        let mut rx = Receiver::resume(slots, &cursors).expect("fresh");
        let theirs = cursors.clone();
        let producer = thread::spawn(move || {
            for i in 0..n {
                loop {
                    match tx.try_push(&theirs, &(i + 100)) {
                        Ok(()) => break,
                        Err(RingError::Full) => thread::yield_now(),
                        Err(e) => panic!("{e}"),
                    }
                }
            }
        });
        for i in 0..n {
            let item = loop {
                match rx.try_pop(&cursors) {
                    Ok(item) => break item,
                    Err(RingError::Empty) => thread::yield_now(),
                    Err(e) => panic!("{e}"),
                }
            };
            assert_eq!(item, i + 100);
        }
        producer.join().expect("producer");
        assert_eq!(rx.try_pop(&cursors), Err(RingError::Empty));
    });
}

#[test]
fn dense_stream() {
    stream(heap_dense, 2, 3);
    stream(heap_dense, 1, 2);
}

#[test]
fn stamped_stream() {
    stream(heap_stamped, 2, 3);
    stream(heap_stamped, 1, 2);
}

#[test]
fn slices() {
    fn run<S: Slots<Item = u64> + Clone + Send + 'static>(make: fn(u64) -> S) {
        model(move || {
            let slots = make(2);
            let cursors = Arc::new(Cursors::default());
            let mut tx = Sender::resume(slots.clone(), &cursors).expect("fresh");
            let mut rx = Receiver::resume(slots, &cursors).expect("fresh");
            let theirs = cursors.clone();
            let producer = thread::spawn(move || {
                let items = [1, 2, 3];
                let mut done = 0;
                while done < 3 {
                    match tx.push_slice(&theirs, &items[done..]).expect("sound") {
                        0 => thread::yield_now(),
                        n => done += n,
                    }
                }
            });
            let mut got = Vec::new();
            while got.len() < 3 {
                let mut buffer = [0; 2];
                match rx.pop_slice(&cursors, &mut buffer).expect("sound") {
                    0 => thread::yield_now(),
                    n => got.extend_from_slice(&buffer[..n]),
                }
            }
            assert_eq!(got, [1, 2, 3]);
            producer.join().expect("producer");
        });
    }
    run(heap_dense);
    run(heap_stamped);
}

#[test]
fn bytes_stream() {
    model(|| {
        // Records of 24 bytes in a circle of 64: the third does not fit before the wrap.
        let memory = HeapBytes::new(8);
        let cursors = Arc::new(Cursors::default());
        let mut tx = bytes::Sender::resume(memory.clone(), &cursors).expect("fresh");
        let mut rx = bytes::Receiver::resume(memory, &cursors).expect("fresh");
        let theirs = cursors.clone();
        let producer = thread::spawn(move || {
            for i in 0..3u8 {
                loop {
                    match tx.try_push(&theirs, &[i; 16]) {
                        Ok(()) => break,
                        Err(RingError::Full) => thread::yield_now(),
                        Err(e) => panic!("{e}"),
                    }
                }
            }
        });
        let mut record = Vec::new();
        for i in 0..3u8 {
            loop {
                match rx.try_pop(&cursors, &mut record) {
                    Ok(()) => break,
                    Err(RingError::Empty) => thread::yield_now(),
                    Err(e) => panic!("{e}"),
                }
            }
            assert_eq!(record, [i; 16]);
        }
        producer.join().expect("producer");
        // 48 bytes, 16 of padding, 24 more.
        assert_eq!(bytes::progress(&cursors.producer), Ok((88, 3)));
    });
}

/// An observer reads the count of records while the producer moves it.
#[test]
fn ledger() {
    model(|| {
        let memory = HeapBytes::new(16);
        let cursors = Arc::new(Cursors::default());
        let mut tx = bytes::Sender::resume(memory, &cursors).expect("fresh");
        let theirs = cursors.clone();
        let producer = thread::spawn(move || {
            for i in 0..3u8 {
                tx.try_push(&theirs, &[i; 8]).expect("room");
            }
        });
        let (cursor, records) = bytes::progress(&cursors.producer).expect("sound");
        // Records of 16 bytes: exact, because it stopped moving before the looks were used up.
        assert_eq!(cursor, records * 16);
        producer.join().expect("producer");
    });
}

fn waiter<'a>(word: &'a AtomicU32, pace: &'a Pace) -> wait::Waiter<'a> {
    wait::Waiter { word, pace, position: 0, deadline: None }
}

/// Both sides sleep when they cannot go on. A lost wakeup would leave one asleep for ever.
fn sleepers<S: Slots<Item = u64> + Clone + Send + 'static>(make: fn(u64) -> S) {
    model(move || {
        let slots = make(1);
        let cursors = Arc::new(Cursors::default());
        let world = Arc::new(World::new(&cursors));
        let mut tx = Sender::resume(slots.clone(), &cursors).expect("fresh");
        let mut rx = Receiver::resume(slots, &cursors).expect("fresh");
        let (theirs, their_world) = (cursors.clone(), world.clone());
        let producer = thread::spawn(move || {
            let pace = Pace::default();
            for i in 0..2 {
                wait::until(&*their_world, &waiter(&theirs.state.producer_waits, &pace), || {
                    match tx.try_push(&theirs, &i) {
                        Ok(()) => Ok(Some(())),
                        Err(RingError::Full) => Ok(None),
                        Err(e) => Err(e),
                    }
                })
                .expect("pushed");
                wait::notify(&*their_world, &theirs.state.consumer_waits);
            }
        });
        let pace = Pace::default();
        for i in 0..2 {
            let item = wait::until(&*world, &waiter(&cursors.state.consumer_waits, &pace), || {
                match rx.try_pop(&cursors) {
                    Ok(item) => Ok(Some(item)),
                    Err(RingError::Empty) => Ok(None),
                    Err(e) => Err(e),
                }
            });
            assert_eq!(item, Ok(i));
            wait::notify(&*world, &cursors.state.producer_waits);
        }
        producer.join().expect("producer");
    });
}

#[test]
fn no_wakeup_is_lost() {
    sleepers(heap_dense);
    sleepers(heap_stamped);
}
