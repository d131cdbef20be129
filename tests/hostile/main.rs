//! I5: whatever bytes a peer writes into the segment, copying operations stay inside it, end, and
//! say `Corrupt` at worst. A panic, a crash or a hang of the child is a failure. Random and chosen words;
//! the exact cases are in `hostile_exact.rs`.

#[path = "../common/mod.rs"]
mod common;
#[path = "../harness/mod.rs"]
mod harness;
mod many;

use common::{TestChild, TestName, child_role, say, watchdog};
use harness::Rng;
use harness::segment::{FLAGS, HEAD, Raw, SEATS, SLOTS, StopOnDrop, TAIL, spite};
use segring::spsc::{ByteConsumer, ByteProducer, ByteRing, Consumer, Producer, Ring};
use segring::{Error, Layout, RingError};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// A ring of one kind with both handles, as far as this file needs it.
trait Target: Sized {
    fn create(name: &TestName) -> Self;
    fn id(&self) -> i32;
    /// Joins what is not joined. An error must be `Corrupt`.
    fn join(&mut self);
    fn leave(&mut self);
    /// One operation of each kind that copies. Any result is fine.
    fn operate(&mut self, rng: &mut Rng) -> Vec<Result<(), RingError>>;
    fn look(&self);
    /// Bytes from the seats on where a word hurts.
    const HOT: u64 = 640;
    /// Where to poke.
    fn spot(rng: &mut Rng) -> u64 {
        match rng.below(8) {
            0 => TAIL + rng.below(5) * 8,
            1 => HEAD + rng.below(5) * 8,
            2 => TAIL,
            3 => HEAD,
            4 => FLAGS + rng.below(2) * 8,
            5 => SEATS + rng.below(32) * 8,
            _ => SLOTS + rng.below(Self::SLOT_WORDS) * 8,
        }
    }
    const SLOT_WORDS: u64 = 64;
}

fn joined<H>(result: Result<H, Error>) -> Option<H> {
    match result {
        Ok(handle) => Some(handle),
        Err(Error::Corrupt { .. }) => None,
        // A scribbled pid may be that of a process that has the segment mapped.
        Err(Error::SeatTaken { .. } | Error::SeatsFull { .. }) => None,
        Err(e) => panic!("joining: {e}"),
    }
}

const SOON: Duration = Duration::from_micros(10);

struct Typed<T, const DENSE: bool> {
    ring: Ring<T>,
    tx: Option<Producer<T>>,
    rx: Option<Consumer<T>>,
}

impl<T: segring::Payload, const DENSE: bool> Target for Typed<T, DENSE> {
    fn create(name: &TestName) -> Self {
        let layout = if DENSE { Layout::Dense } else { Layout::Stamped };
        let ring = Ring::builder(name.name()).capacity(8).layout(layout).create().expect("create");
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
        let n = rng.below(12) as usize;
        if let Some(tx) = &mut self.tx {
            results.push(tx.try_push(zero).map_err(|r| r.error));
            results.push(tx.push_slice(&vec![zero; n]).map(|pushed| assert!(pushed <= n.min(8))));
            results.push(tx.push_timeout(zero, SOON).map_err(|r| r.error));
            results.push(tx.wait_for_room(Some(SOON)));
        }
        if let Some(rx) = &mut self.rx {
            results.push(rx.try_pop().map(drop));
            results.push(rx.pop_slice(&mut vec![zero; n]).map(|popped| assert!(popped <= n.min(8))));
            results.push(rx.pop_timeout(SOON).map(drop));
            results.push(rx.wait_for_message(Some(SOON)));
        }
        results
    }

    fn look(&self) {
        assert!(self.ring.len() <= 8);
        let _ = (self.ring.stats(), self.ring.is_closed(), self.ring.is_empty());
    }
}

struct Bytes {
    ring: ByteRing,
    tx: Option<ByteProducer>,
    rx: Option<ByteConsumer>,
}

impl Target for Bytes {
    const SLOT_WORDS: u64 = 512;

    fn create(name: &TestName) -> Self {
        let ring = ByteRing::builder(name.name()).capacity(4096).create().expect("create");
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
        let record = vec![1; rng.below(2100) as usize];
        if let Some(tx) = &mut self.tx {
            let long = record.len() > 2040;
            for done in
                [tx.try_push(&record), tx.push_timeout(&record, SOON), tx.wait_until_drained(Some(SOON))]
            {
                results.push(if long && done == Err(RingError::TooLong) { Ok(()) } else { done });
            }
            results.push(tx.wait_for_room(100, Some(SOON)));
        }
        if let Some(rx) = &mut self.rx {
            results.push(rx.try_pop().map(|r| assert!(r.len() <= 4088)));
            results.push(rx.pop_timeout(SOON).map(|r| assert!(r.len() <= 4088)));
            results.push(rx.wait_for_message(Some(SOON)));
        }
        results
    }

    fn look(&self) {
        assert!(self.ring.len() <= 4096);
        let _ = (self.ring.stats(), self.ring.is_closed(), self.ring.is_empty());
    }
}

/// A thread scribbles over everything while the handles work, leave and come again.
fn storm<T: Target>(name: &TestName, seed: u64) {
    let mut target = T::create(name);
    let raw = Raw::attach(target.id());
    let whole = raw.copy();
    let rng = &mut Rng::new(seed);
    let mut results = Vec::new();
    let stop = AtomicBool::new(false);
    let _watchdog = watchdog("an operation in the storm");
    std::thread::scope(|s| {
        let _stop = StopOnDrop(&stop);
        s.spawn(|| {
            let rng = &mut Rng::new(seed ^ 1);
            while !stop.load(Relaxed) {
                // Half of it where it hurts: seats, cursors, flags, and the first slots.
                let at = if rng.below(2) == 0 {
                    SEATS + rng.below(T::HOT)
                } else {
                    rng.below(raw.words as u64 * 8)
                };
                raw.word(at).store(spite(rng), Relaxed);
            }
        });
        for round in 0..1000 {
            target.join();
            for _ in 0..20 {
                results.extend(target.operate(rng));
                target.look();
            }
            target.leave();
            if round % 10 == 9 {
                raw.restore(&whole);
            }
        }
    });
    let good = results.iter().filter(|r| r.is_ok()).count();
    let corrupt = results.iter().filter(|r| **r == Err(RingError::Corrupt)).count();
    say(&format!("{} operations, {good} done, {corrupt} Corrupt", results.len()));
    assert!(good > 0 && corrupt > 0, "{good} done, {corrupt} Corrupt: that was no storm");
    // Restored, it is a ring again.
    raw.restore(&whole);
    target.join();
    assert!(!target.operate(rng).contains(&Err(RingError::Corrupt)));
}

/// No thread: one or a few words are set, then everything is tried. `expect` names what must be
/// said, by whom it concerns.
fn pokes<T: Target>(name: &TestName, seed: u64) {
    let mut target = T::create(name);
    let raw = Raw::attach(target.id());
    let rng = &mut Rng::new(seed);
    let _watchdog = watchdog("an operation after a poke");
    let fresh = raw.copy();
    let mut corrupt = 0;
    for round in 0..4000 {
        raw.restore(&fresh);
        target.join();
        for _ in 0..rng.below(4) {
            target.operate(rng);
        }
        let before_joining = round % 2 == 0;
        if before_joining {
            target.leave();
        }
        let mut poked = Vec::new();
        for _ in 0..1 + rng.below(3) {
            let at = T::spot(rng);
            let word = if rng.below(3) == 0 {
                raw.word(at).load(Relaxed).wrapping_add(spite(rng) % 64)
            } else {
                spite(rng)
            };
            raw.word(at).store(word, Relaxed);
            poked.push((at, word));
        }
        // Seen with a failure only.
        let report = Report(poked);
        target.join();
        for _ in 0..3 {
            corrupt += target.operate(rng).iter().filter(|r| **r == Err(RingError::Corrupt)).count();
            target.look();
        }
        target.leave();
        drop(report);
    }
    assert!(corrupt > 0, "nothing was ever found corrupt");
    say(&format!("{corrupt} operations said Corrupt"));
}

struct Report(Vec<(u64, u64)>);

impl Drop for Report {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("poked (offset, word): {:x?}", self.0);
        }
    }
}

type Stamped = Typed<[u64; 2], false>;
type Dense = Typed<[u8; 24], true>;

#[test]
fn child_main() {
    let Some((role, args)) = child_role() else { return };
    let name = TestName::called(&args[1]);
    let seed = args[0].parse().expect("a seed");
    match role.as_str() {
        "storm stamped" => storm::<Stamped>(&name, seed),
        "storm dense" => storm::<Dense>(&name, seed),
        "storm bytes" => storm::<Bytes>(&name, seed),
        "pokes stamped" => pokes::<Stamped>(&name, seed),
        "pokes dense" => pokes::<Dense>(&name, seed),
        "pokes bytes" => pokes::<Bytes>(&name, seed),
        "storm many" => storm::<many::Typed>(&name, seed),
        "storm many bytes" => storm::<many::Bytes>(&name, seed),
        "pokes many" => pokes::<many::Typed>(&name, seed),
        "pokes many bytes" => pokes::<many::Bytes>(&name, seed),
        "storm words" => storm::<many::Words<u64>>(&name, seed),
        "storm small words" => storm::<many::Words<[u8; 3]>>(&name, seed),
        "pokes words" => pokes::<many::Words<u64>>(&name, seed),
        "pokes small words" => pokes::<many::Words<[u8; 3]>>(&name, seed),
        "batches" => many::batches(&name, &mut Rng::new(seed)),
        other => panic!("no such role: {other}"),
    }
}

fn in_a_child(role: &str) {
    let seed = Rng::random_seed();
    eprintln!("{role}: seed {seed}");
    // The parent's, so that it is cleaned up also when the child is killed.
    let name = TestName::new("hostile");
    let mut child = TestChild::spawn(role, &[&seed.to_string(), name.as_str()]);
    let report = child.hear();
    child.join();
    eprintln!("{}", report.expect("a report"));
}

#[test]
fn random_words_everywhere_all_the_time() {
    ["storm stamped", "storm dense", "storm bytes", "storm many", "storm many bytes"]
        .into_iter()
        .for_each(in_a_child);
}

#[test]
fn random_words_in_inline_rings() {
    in_a_child("storm words");
    in_a_child("storm small words");
}

#[test]
fn chosen_words_in_inline_rings() {
    in_a_child("pokes words");
    in_a_child("pokes small words");
}

#[test]
fn what_an_entry_may_say_of_a_batch() {
    in_a_child("batches");
}

#[test]
fn chosen_words_in_a_stamped_ring() {
    in_a_child("pokes stamped");
}

#[test]
fn chosen_words_in_a_dense_ring() {
    in_a_child("pokes dense");
}

#[test]
fn chosen_words_in_a_byte_ring() {
    in_a_child("pokes bytes");
}

#[test]
fn chosen_words_in_exchange_rings() {
    in_a_child("pokes many");
    in_a_child("pokes many bytes");
}
