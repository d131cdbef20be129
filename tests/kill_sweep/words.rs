//! The ring's words and its seats, read past the library: how far an operation has got. By
//! `docs/layout.md`.

use crate::harness::segment::{FLAGS, HEAD, Raw, SEATS, SLOTS, TAIL};
use crate::raw;
use crate::rings::Kind;
use std::marker::PhantomData;
use std::sync::atomic::Ordering::SeqCst;

/// A stamped slot of 48 bytes of payload, and their number.
const STRIDE: u64 = 64;
const STAMP: u64 = 56;
const CAPACITY: u64 = 8;

/// Where they lie.
pub(crate) struct Words<K> {
    raw: Raw,
    sem_id: i32,
    kind: PhantomData<K>,
}

impl<K: Kind> Words<K> {
    pub(crate) fn of(ring: &K) -> Self {
        let stats = ring.stats();
        Self { raw: Raw::attach(stats.shm_id), sem_id: stats.sem_id, kind: PhantomData }
    }

    fn word(&self, at: u64) -> u64 {
        self.raw.word(at).load(SeqCst)
    }

    /// All words by which others judge what somebody has done: seats, cursors, flags, stamps.
    pub(crate) fn snapshot(&self) -> Vec<u64> {
        let seats = [true, false].map(|producer| u64::from(self.is_held(producer)));
        let lines = (SEATS..FLAGS + 16).step_by(8).map(|at| self.word(at));
        let stamps = 0..if K::PIECEMEAL { CAPACITY } else { 0 };
        seats.into_iter().chain(lines).chain(stamps.map(|i| self.stamp(i))).collect()
    }

    fn stamp(&self, slot: u64) -> u64 {
        self.word(SLOTS + slot * STRIDE + STAMP)
    }

    /// Whether the kernel knows somebody on a seat.
    pub(crate) fn is_held(&self, producer: bool) -> bool {
        raw::sem_value(self.sem_id, if producer { raw::PRODUCER } else { raw::CONSUMER }) != 0
    }

    /// Messages committed and released: exact while whoever is at it stands still.
    pub(crate) fn progress(&self) -> (u64, u64) {
        if K::BYTES {
            return (self.records(TAIL), self.records(HEAD));
        }
        // The highest stamp is that of the last message.
        let stamped = || (0..CAPACITY).map(|i| self.stamp(i)).max().unwrap_or(0);
        (if K::PIECEMEAL { stamped() } else { self.word(TAIL) }, self.word(HEAD))
    }

    /// By the entry of the ledger that names the cursor.
    fn records(&self, line: u64) -> u64 {
        let cursor = self.word(line);
        if cursor == 0 {
            return 0;
        }
        let entry = [8, 24].into_iter().find(|entry| self.word(line + entry) == cursor);
        self.word(line + entry.expect("an entry for the cursor") + 8)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.word(FLAGS) & 1 != 0
    }
}
