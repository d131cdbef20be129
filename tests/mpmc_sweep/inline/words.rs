//! The ring's words, read past the library: how far an operation has got. By `docs/layout.md`.

use crate::harness::segment::Raw;
use std::sync::atomic::Ordering::SeqCst;

const LINE: u64 = 128;

/// Where they lie.
pub(crate) struct Words {
    raw: Raw,
    capacity: u64,
    seats: u64,
}

/// All words by which others judge what somebody has done. What is in no order of steps, hints and
/// waiters' bits, is not among them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    states: Vec<u64>,
    values: Vec<u64>,
    /// Where blocks have been put.
    notes: Vec<u64>,
    seats: Vec<u64>,
}

impl Words {
    pub(crate) fn of(shm_id: i32) -> Self {
        let raw = Raw::attach(shm_id);
        let (seats, capacity) = (u64::from(raw.half(28).load(SeqCst)), raw.word(32).load(SeqCst));
        Self { raw, capacity, seats }
    }

    fn list(&self, header: u64, at: u64, distance: u64, number: u64) -> Vec<u64> {
        let first = self.raw.word(header).load(SeqCst) + at;
        (0..number).map(|i| self.raw.word(first + i * distance).load(SeqCst)).collect()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            states: self.list(112, 0, 16, self.capacity),
            values: self.list(112, 8, 16, self.capacity),
            notes: self.list(168, 0, 8, self.seats * LINE / 8),
            seats: self.list(96, 0, LINE, self.seats),
        }
    }

    /// How many entries have something.
    pub(crate) fn full(&self) -> u64 {
        self.list(112, 0, 16, self.capacity).iter().filter(|state| **state & 1 << 24 != 0).count() as u64
    }

    /// The waiters' words: for messages, and for room.
    fn waiters(&self) -> [u64; 2] {
        let state = self.raw.word(104).load(SeqCst) + 2 * LINE;
        [state + 4, state + 8]
    }

    /// As if somebody slept who waits for room, or for a message.
    pub(crate) fn pretend_a_sleeper(&self, for_room: bool) {
        self.raw.half(self.waiters()[usize::from(for_room)]).fetch_or(1 << 31, SeqCst);
    }

    /// Whether nobody has woken that one yet.
    pub(crate) fn has_sleeper(&self) -> bool {
        self.waiters().iter().any(|word| self.raw.half(*word).load(SeqCst) & 1 << 31 != 0)
    }
}

impl Snapshot {
    /// How many words are not as before. No operation takes a change back.
    pub(crate) fn changes_since(&self, before: &Self) -> u64 {
        let differ = |a: &[u64], b: &[u64]| a.iter().zip(b).filter(|(a, b)| a != b).count() as u64;
        self.exchanged_since(before) as u64
            + differ(&self.values, &before.values)
            + differ(&self.notes, &before.notes)
            + differ(&self.seats, &before.seats)
    }

    /// In how many entries an exchange has succeeded since.
    pub(crate) fn exchanged_since(&self, before: &Self) -> usize {
        self.states.iter().zip(&before.states).filter(|(a, b)| a != b).count()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.states.iter().any(|state| state & 1 << 23 != 0)
    }
}
