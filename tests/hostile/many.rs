//! Exchange rings: hands and entries can be scribbled over, too, and seats that look dead are repaired. Inline
//! ones: notes and blocks.

use super::{SOON, Target, joined};
use crate::common::{TestName, say};
use crate::harness::Rng;
use crate::harness::segment::{FLAGS, HEAD, Raw, SEATS, SLOTS, TAIL};
use segring::mpmc::{ByteConsumer, ByteProducer, ByteRing, Consumer, Producer, Ring};
use segring::{Error, Layout, RingError};
use std::sync::atomic::Ordering::Relaxed;

/// Two seats with two hands each: 128 bytes a hand, then eight entries.
const HANDS: u64 = FLAGS + 128;
const ENTRIES: u64 = HANDS + 4 * 128;
const SLOT: u64 = 64;

fn spot(rng: &mut Rng, words_of_slots: u64) -> u64 {
    match rng.below(10) {
        0 => TAIL,
        1 => HEAD,
        2 => FLAGS + rng.below(4) * 8,
        3 => SEATS + rng.below(32) * 8,
        4..=5 => HANDS + rng.below(4) * 128 + rng.below(3) * 8,
        6..=8 => ENTRIES + rng.below(8) * 8,
        // Headers, and the lengths of records.
        _ => SLOTS + rng.below(words_of_slots / 2) * SLOT + rng.below(2) * 8,
    }
}

fn recovered(result: Result<segring::mpmc::Recovered, Error>) -> Result<(), RingError> {
    match result {
        Ok(_) => Ok(()),
        Err(Error::Corrupt { .. }) => Err(RingError::Corrupt),
        Err(e) => panic!("recover: {e}"),
    }
}

pub(crate) struct Typed {
    ring: Ring<[u64; 5]>,
    tx: Option<Producer<[u64; 5]>>,
    rx: Option<Consumer<[u64; 5]>>,
}

impl Target for Typed {
    const HOT: u64 = ENTRIES + 64 - SEATS;

    fn create(name: &TestName) -> Self {
        let ring = Ring::builder(name.name()).capacity(8).seats(2).in_hand(2).create().expect("create");
        Self { ring, tx: None, rx: None }
    }

    fn id(&self) -> i32 {
        self.ring.id()
    }

    fn join(&mut self) {
        self.tx = self.tx.take().or_else(|| joined(self.ring.producer()));
        self.rx = self.rx.take().or_else(|| joined(self.ring.consumer()));
    }

    fn leave(&mut self) {
        (self.tx, self.rx) = (None, None);
    }

    fn operate(&mut self, rng: &mut Rng) -> Vec<Result<(), RingError>> {
        let mut results = Vec::new();
        if let Some(tx) = &mut self.tx {
            results.push(tx.try_push([1; 5]).map_err(|r| r.error));
            results.push(tx.push_timeout([2; 5], SOON).map_err(|r| r.error));
            results.push(tx.wait_for_room(Some(SOON)));
            if rng.below(100) == 0 {
                results.push(tx.close());
            }
        }
        if let Some(rx) = &mut self.rx {
            results.push(rx.try_pop().map(drop));
            results.push(rx.pop_timeout(SOON).map(drop));
            results.push(rx.wait_for_message(Some(SOON)));
        }
        results.push(recovered(self.ring.recover()));
        results
    }

    fn look(&self) {
        assert!(self.ring.len() <= 8);
        let _ = (self.ring.stats(), self.ring.is_closed(), self.ring.is_empty());
    }

    fn spot(rng: &mut Rng) -> u64 {
        spot(rng, 12)
    }
}

pub(crate) struct Bytes {
    ring: ByteRing,
    tx: Option<ByteProducer>,
    rx: Option<ByteConsumer>,
}

impl Target for Bytes {
    const HOT: u64 = ENTRIES + 64 - SEATS;

    fn create(name: &TestName) -> Self {
        let builder = ByteRing::builder(name.name()).capacity(8).max_record(40);
        Self { ring: builder.seats(2).in_hand(2).create().expect("create"), tx: None, rx: None }
    }

    fn id(&self) -> i32 {
        self.ring.id()
    }

    fn join(&mut self) {
        self.tx = self.tx.take().or_else(|| joined(self.ring.producer()));
        self.rx = self.rx.take().or_else(|| joined(self.ring.consumer()));
    }

    fn leave(&mut self) {
        (self.tx, self.rx) = (None, None);
    }

    fn operate(&mut self, rng: &mut Rng) -> Vec<Result<(), RingError>> {
        let mut results = Vec::new();
        let record = vec![1; rng.below(41) as usize];
        if let Some(tx) = &mut self.tx {
            results.push(tx.try_push(&record));
            results.push(tx.push_timeout(&record, SOON));
        }
        if let Some(rx) = &mut self.rx {
            results.push(rx.try_pop().map(|r| assert!(r.len() <= 40)));
            results.push(rx.pop_timeout(SOON).map(|r| assert!(r.len() <= 40)));
        }
        results.push(recovered(self.ring.recover()));
        results
    }

    fn look(&self) {
        assert!(self.ring.len() <= 8);
        let _ = (self.ring.stats(), self.ring.is_closed(), self.ring.is_empty());
    }

    fn spot(rng: &mut Rng) -> u64 {
        spot(rng, 12)
    }
}

/// Two seats with a line of notes each; then eight entries of 16 bytes; a block for each seat.
const WORDS: u64 = HANDS + 2 * 128;

/// Messages in the entries, and batches of them in blocks.
pub(crate) struct Words<T> {
    ring: Ring<T>,
    tx: Option<Producer<T>>,
    rx: Option<Consumer<T>>,
}

impl<T: segring::Payload> Target for Words<T> {
    const HOT: u64 = WORDS + 8 * 16 - SEATS;

    fn create(name: &TestName) -> Self {
        let ring = Ring::builder(name.name()).capacity(8).seats(2).create().expect("create");
        assert_eq!(ring.stats().expect("stats").layout, Layout::Inline);
        Self { ring, tx: None, rx: None }
    }

    fn id(&self) -> i32 {
        self.ring.id()
    }

    fn join(&mut self) {
        self.tx = self.tx.take().or_else(|| joined(self.ring.producer()));
        self.rx = self.rx.take().or_else(|| joined(self.ring.consumer()));
    }

    fn leave(&mut self) {
        (self.tx, self.rx) = (None, None);
    }

    fn operate(&mut self, rng: &mut Rng) -> Vec<Result<(), RingError>> {
        let mut results = Vec::new();
        let zero = T::new_zeroed();
        let n = [rng.below(12), rng.below(12), rng.below(80)][rng.below(3) as usize] as usize;
        if let Some(tx) = &mut self.tx {
            results.push(tx.try_push(zero).map_err(|r| r.error));
            results.push(tx.push_slice(&vec![zero; n]).map(|pushed| assert!(pushed <= n)));
            results.push(tx.push_timeout(zero, SOON).map_err(|r| r.error));
            results.push(tx.wait_for_room(Some(SOON)));
            if rng.below(100) == 0 {
                results.push(tx.close());
            }
        }
        if let Some(rx) = &mut self.rx {
            results.push(rx.try_pop().map(drop));
            results.push(rx.pop_slice(&mut vec![zero; n]).map(|popped| assert!(popped <= n)));
            results.push(rx.pop_timeout(SOON).map(drop));
            results.push(rx.wait_for_message(Some(SOON)));
        }
        results.push(recovered(self.ring.recover()));
        results
    }

    fn look(&self) {
        assert!(self.ring.len() <= 8 * 64);
        let _ = (self.ring.stats(), self.ring.is_closed(), self.ring.is_empty());
    }

    fn spot(rng: &mut Rng) -> u64 {
        match rng.below(12) {
            0 => TAIL,
            1 => HEAD,
            2 => FLAGS + rng.below(4) * 8,
            3 => SEATS + rng.below(32) * 8,
            4 | 5 => HANDS + rng.below(2) * 128,
            6..=9 => WORDS + rng.below(8) * 16,
            10 => WORDS + rng.below(16) * 8,
            _ => SLOTS + rng.below(128) * 8,
        }
    }
}

/// All that an entry may say of a batch, one after the other, in the entry that is next: blocks that are
/// there and not, more messages than a block has.
pub(crate) fn batches(name: &TestName, rng: &mut Rng) {
    let mut target = Words::<u64>::create(name);
    let raw = Raw::attach(target.id());
    let fresh = raw.copy();
    let (mut sound, mut corrupt) = (0, 0);
    for left in 0..128u64 {
        for block in [0, 1, 2, 3, 7, 255, rng.below(1 << 16), (1 << 16) - 1] {
            raw.restore_data(&fresh);
            target.leave();
            target.join();
            raw.word(WORDS).store(1 << 24 | left << 16 | block, Relaxed);
            let is_sound = (left, block) == (0, 0) || (1..=64).contains(&left) && block < 2;
            let rx = target.rx.as_mut().expect("a seat");
            let mut into = [7; 100];
            match rx.pop_slice(&mut into) {
                Ok(n) => {
                    assert!(is_sound && n as u64 == left.max(1), "{left} of block {block}: {n}");
                    assert!(
                        into[..n].iter().all(|item| *item == 0) && into[n..].iter().all(|item| *item == 7)
                    );
                    sound += 1;
                }
                Err(RingError::Corrupt) => {
                    assert!(!is_sound, "{left} of block {block}");
                    corrupt += 1;
                }
                Err(e) => panic!("{e}"),
            }
        }
    }
    assert!(sound > 100 && corrupt > 100, "{sound} sound, {corrupt} Corrupt");
    say(&format!("{sound} sound, {corrupt} Corrupt"));
}
