//! The ring's words, read past the library: how far an operation has got, and in how many places
//! each slot is. By `docs/layout.md`.

use crate::harness::segment::Raw;
use std::sync::atomic::Ordering::SeqCst;

const LINE: u64 = 128;

/// Where they lie.
pub(crate) struct Words {
    raw: Raw,
    capacity: u64,
    hands: u64,
    /// First word, distance, number.
    entries: (u64, u64, u64),
    lines: (u64, u64, u64),
    headers: (u64, u64, u64),
    states: (u64, u64, u64),
}

/// All words by which others judge what somebody has done. What is in no order of steps, hints and
/// waiters' bits, is not among them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) entries: Vec<u64>,
    /// `cur`, `now`, `rel`.
    hands: [Vec<u64>; 3],
    headers: Vec<u64>,
    states: Vec<u64>,
}

impl Words {
    pub(crate) fn of(shm_id: i32) -> Self {
        let raw = Raw::attach(shm_id);
        let header = |offset| raw.word(offset).load(SeqCst);
        let seats = u64::from(raw.half(28).load(SeqCst));
        let (capacity, hands) = (header(32), seats * header(160));
        let entries = (header(112), 8, capacity);
        let lines = (header(168), LINE, hands);
        let headers = (header(120), header(48), capacity + hands);
        let states = (header(96), LINE, seats);
        Self { raw, capacity, hands, entries, lines, headers, states }
    }

    fn list(&self, (first, distance, number): (u64, u64, u64), at: u64) -> impl Iterator<Item = u64> {
        (0..number).map(move |i| self.raw.word(first + i * distance + at).load(SeqCst))
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            entries: self.list(self.entries, 0).collect(),
            hands: [0, 8, 16].map(|word| self.list(self.lines, word).collect()),
            headers: self.list(self.headers, 0).collect(),
            states: self.list(self.states, 0).collect(),
        }
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

    /// I4: each slot is in exactly one place.
    pub(crate) fn account(&self) {
        let now = self.snapshot();
        let words = now.entries.iter().copied().chain(now.hands[0].iter().copied());
        let mut slots: Vec<u64> = words.map(|word| word & ((1 << 23) - 1)).collect();
        slots.sort_unstable();
        let all: Vec<u64> = (0..self.capacity + self.hands).collect();
        assert_eq!(slots, all, "a slot is in two places, or in none");
    }
}

impl Snapshot {
    /// How many words are not as before. No operation takes a change back.
    pub(crate) fn changes_since(&self, before: &Self) -> u64 {
        let differ = |a: &[u64], b: &[u64]| a.iter().zip(b).filter(|(a, b)| a != b).count() as u64;
        let hands: u64 = (0..3).map(|word| differ(&self.hands[word], &before.hands[word])).sum();
        hands
            + differ(&self.entries, &before.entries)
            + differ(&self.headers, &before.headers)
            + differ(&self.states, &before.states)
    }

    /// A CAS has succeeded since.
    pub(crate) fn exchanged_since(&self, before: &Self) -> bool {
        self.entries != before.entries
    }

    /// Somebody has released a message since.
    pub(crate) fn released_since(&self, before: &Self) -> bool {
        self.hands[2] != before.hands[2]
    }

    /// Somebody has joined or left since.
    pub(crate) fn sat_since(&self, before: &Self) -> bool {
        self.states != before.states
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.entries.iter().any(|entry| entry & 1 << 23 != 0)
    }
}
