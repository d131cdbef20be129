//! Nothing stays where nobody can have it: with an idle participant, behind a lock, behind a killed closer.

use crate::common::{TestName, watchdog};
use crate::raw::{self, RawSegment, sem_set_value};
use segring::{Error, RingError, Trusted, mpmc};
use std::time::Duration;

type Ring = mpmc::Ring<u64>;

fn ring(name: &TestName, capacity: usize, seats: u32, in_hand: u32) -> Ring {
    Ring::builder(name.name()).capacity(capacity).seats(seats).in_hand(in_hand).create().unwrap()
}

fn taker(ring: &Ring) -> Trusted<mpmc::Consumer<u64>> {
    // SAFETY: these tests are the only users of their rings, and read nothing in place that they write.
    unsafe { ring.consumer().unwrap().trust_peers() }
}

/// Lets go of a seat as a kill does: past the library. Its handle is forgotten.
fn die<H>(ring: &Ring, handle: H, seat: i32) {
    std::mem::forget(handle);
    let raw = RawSegment::attach(ring.id());
    // Nobody whom the library could see: else it would say that this process lives.
    raw.put_u64(1024 + 128 * seat as usize + 8, 0);
    sem_set_value(ring.stats().unwrap().sem_id, raw::PRODUCER + seat, 0);
}

const SOON: Duration = Duration::from_millis(150);

/// Who joins over a dead one that held several keeps none of them for himself.
#[test]
fn a_newcomer_that_idles_keeps_nothing() {
    let _watchdog = watchdog("an idle newcomer");
    let name = TestName::new("idle");
    let ring = ring(&name, 8, 3, 4);
    let mut rx = taker(&ring);
    let mut tx = ring.producer().unwrap();
    (0..4).for_each(|i| tx.push(i).unwrap());
    let dying = taker_with(&ring, 4);
    die(&ring, dying, 2);
    let _idle = ring.consumer().unwrap();
    let got: Vec<_> = (0..4).map(|_| (rx.try_pop().unwrap(), rx.redelivered())).collect();
    assert_eq!(got, [(0, true), (1, true), (2, true), (3, true)]);
}

fn taker_with(ring: &Ring, messages: usize) -> (Trusted<mpmc::Consumer<u64>>, Vec<mpmc::Job<u64>>) {
    let mut rx = taker(ring);
    let jobs = (0..messages).map(|_| rx.take().unwrap()).collect();
    (rx, jobs)
}

/// Who waits for a message and takes none leaves it to others.
#[test]
fn a_wait_that_takes_nothing_keeps_nothing() {
    let _watchdog = watchdog("a wait that takes nothing");
    let name = TestName::new("wait-only");
    let ring = ring(&name, 8, 4, 1);
    let (mut one, mut two) = (ring.consumer().unwrap(), ring.consumer().unwrap());
    let mut tx = ring.producer().unwrap();
    tx.push(7).unwrap();
    let dying = taker_with(&ring, 1);
    die(&ring, dying, 3);
    one.wait_for_message(None).unwrap();
    assert_eq!((two.try_pop(), two.redelivered()), (Ok(7), true));
    assert_eq!(one.pop_timeout(Duration::ZERO), Err(RingError::TimedOut));
}

/// A message of a dead seat that a full ring does not take back is this consumer's next.
#[test]
fn what_is_handed_back_to_a_dead_seat_is_found() {
    let _watchdog = watchdog("handed back to a dead seat");
    let name = TestName::new("back-to-dead");
    let ring = ring(&name, 2, 4, 2);
    let mut tx = ring.producer().unwrap();
    let mut rx = taker(&ring);
    (0..2).for_each(|i| tx.push(i).unwrap());
    let dying = taker_with(&ring, 2);
    (2..4).for_each(|i| tx.push(i).unwrap());
    die(&ring, dying, 2);
    // The ring is full: the second one cannot be put there.
    std::thread::sleep(SOON);
    let job = rx.take().unwrap();
    assert!(*job == 0 && job.redelivered(), "what the dead held comes first when the ring is full");
    let mut got = Vec::new();
    for _ in 0..3 {
        let job = rx.take_timeout(Duration::from_secs(5)).unwrap();
        got.push((*job, job.redelivered()));
        job.release();
    }
    got.sort_unstable();
    assert_eq!(got, [(1, true), (2, false), (3, false)]);
    job.release();
    assert_eq!((ring.stats().unwrap().held, ring.stats().unwrap().unclean), (0, 0));
}

/// With a backlog, too, what a dead one held comes back soon.
#[test]
fn a_backlog_does_not_hide_the_dead() {
    let _watchdog = watchdog("a backlog");
    let name = TestName::new("backlog");
    let ring = ring(&name, 4096, 4, 1);
    let mut tx = ring.producer().unwrap();
    let mut rx = ring.consumer().unwrap();
    (0..4000).for_each(|i| tx.push(i).unwrap());
    let dying = taker_with(&ring, 1);
    die(&ring, dying, 2);
    std::thread::sleep(SOON);
    let back = (0..40).any(|_| rx.pop().unwrap() == 0 && rx.redelivered());
    assert!(back, "it waits behind the backlog");
}

/// So it does for who takes in place: after the first message already, as work on it may take long.
#[test]
fn a_backlog_does_not_hide_the_dead_from_who_takes_in_place() {
    let _watchdog = watchdog("a backlog, taken in place");
    for copies in [false, true] {
        let name = TestName::new("backlog-in-place");
        let ring = ring(&name, 64, 4, 1);
        let mut tx = ring.producer().unwrap();
        let mut rx = taker(&ring);
        (0..40).for_each(|i| tx.push(i).unwrap());
        let dying = taker_with(&ring, 1);
        // Its first call looks at the clock anyway.
        let job = rx.take().unwrap();
        assert!(*job == 1 && !job.redelivered());
        die(&ring, dying, 2);
        // The work on it.
        std::thread::sleep(SOON);
        job.release();
        let back = if copies {
            (rx.pop().unwrap(), rx.redelivered())
        } else {
            let job = rx.take().unwrap();
            let back = (*job, job.redelivered());
            job.release();
            back
        };
        assert_eq!(back, (0, true), "it waits behind the backlog");
        assert_eq!((rx.pop(), rx.redelivered()), (Ok(2), false));
    }
}

/// `Closed` is not said while it cannot be told whether a dead seat holds a message.
#[test]
fn closed_is_not_said_behind_a_lock() {
    let _watchdog = watchdog("closed behind a lock");
    let name = TestName::new("locked");
    let ring = ring(&name, 4, 4, 1);
    let mut tx = ring.producer().unwrap();
    let mut rx = ring.consumer().unwrap();
    tx.push(1).unwrap();
    let dying = taker_with(&ring, 1);
    tx.close().unwrap();
    let set = ring.stats().unwrap().sem_id;
    die(&ring, dying, 2);
    sem_set_value(set, raw::LOCK, 1);
    assert_eq!(rx.try_pop(), Err(RingError::Empty));
    assert_eq!(rx.pop_timeout(Duration::from_millis(5)), Err(RingError::TimedOut));
    assert_eq!(rx.wait_for_message(Some(Duration::from_millis(5))), Err(RingError::TimedOut));
    sem_set_value(set, raw::LOCK, 0);
    assert_eq!((rx.pop(), rx.redelivered()), (Ok(1), true));
    assert_eq!(rx.pop(), Err(RingError::Closed));
}

/// The closer was killed between the mark and the flag, and all others sleep: they find the mark.
#[test]
fn a_sleeper_learns_of_a_close_that_was_cut_off() {
    for takes in [true, false] {
        let _watchdog = watchdog("a close that was cut off");
        let name = TestName::new("half-closed");
        let ring = ring(&name, 4, 4, 1);
        // Alive, and does nothing.
        let _tx = ring.producer().unwrap();
        let mut rx = ring.consumer().unwrap();
        let sleeper =
            std::thread::spawn(move || if takes { rx.pop().map(drop) } else { rx.wait_for_message(None) });
        let raw = RawSegment::attach(ring.id());
        let consumer_waits = raw.get_u64(104) as usize + 256 + 4;
        while raw.get::<4>(consumer_waits) == [0; 4] {
            std::thread::yield_now();
        }
        let entries = raw.get_u64(112) as usize;
        raw.put_u64(entries, raw.get_u64(entries) | 1 << 23);
        assert_eq!(sleeper.join().unwrap(), Err(RingError::Closed));
    }
}

/// A seat whose words contradict each other can be repaired when they are mended, by whoever found it so.
#[test]
fn a_corrupt_seat_can_be_mended() {
    let _watchdog = watchdog("a corrupt seat");
    let name = TestName::new("mended");
    let ring = ring(&name, 4, 4, 1);
    let mut tx = ring.producer().unwrap();
    let mut rx = ring.consumer().unwrap();
    tx.push(1).unwrap();
    let dying = taker_with(&ring, 1);
    die(&ring, dying, 2);
    let raw = RawSegment::attach(ring.id());
    let cur = raw.get_u64(168) as usize + 2 * 128;
    let good = raw.get_u64(cur);
    raw.put_u64(cur, u64::MAX);
    assert!(matches!(ring.recover(), Err(Error::Corrupt { .. })));
    raw.put_u64(cur, good);
    assert_eq!(ring.recover().unwrap().messages, 1);
    assert_eq!((rx.pop(), rx.redelivered()), (Ok(1), true));
}
