//! Messages that are held: several at once, handed back, dropped in a panic, on full and closed rings.

use crate::common::TestName;
use segring::{RingError, Trusted, mpmc};

type Ring = mpmc::Ring<u64>;

fn ring(name: &TestName, capacity: usize, in_hand: u32) -> Ring {
    Ring::builder(name.name()).capacity(capacity).seats(4).in_hand(in_hand).create().unwrap()
}

fn taker(ring: &Ring) -> Trusted<mpmc::Consumer<u64>> {
    // SAFETY: these tests are the only users of their rings.
    unsafe { ring.consumer().unwrap().trust_peers() }
}

#[test]
fn up_to_in_hand_at_once() {
    let name = TestName::new("hands");
    let ring = ring(&name, 8, 3);
    let (mut tx, mut rx) = (ring.producer().unwrap(), taker(&ring));
    (0..8).for_each(|i| tx.try_push(i).unwrap());
    let jobs: Vec<_> = (0..3).map(|_| rx.try_take().unwrap()).collect();
    assert_eq!(rx.try_take().err(), Some(RingError::HandsFull));
    assert_eq!(rx.try_pop(), Err(RingError::HandsFull));
    assert_eq!(rx.take().err(), Some(RingError::HandsFull));
    // Nobody waits for them: the ring goes round and round meanwhile.
    let mut other = ring.consumer().unwrap();
    assert_eq!((3..8).map(|_| other.pop().unwrap()).collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
    for i in 0..100 {
        tx.push(i).unwrap();
        assert_eq!(other.pop(), Ok(i));
    }
    assert_eq!(jobs.iter().map(|job| **job).collect::<Vec<_>>(), [0, 1, 2]);
    // In any order.
    let mut jobs = jobs.into_iter();
    let (first, second) = (jobs.next().unwrap(), jobs.next().unwrap());
    second.release();
    tx.push(9).unwrap();
    let job = rx.try_take().unwrap();
    assert_eq!((*job, *first), (9, 0));
    first.release();
    job.release();
    jobs.next().unwrap().release();
    assert_eq!(ring.stats().unwrap().held, 0);
}

#[test]
fn a_job_goes_to_another_thread_and_outlives_its_handle() {
    let name = TestName::new("outlives");
    let ring = ring(&name, 4, 2);
    ring.producer().unwrap().push(5).unwrap();
    let mut rx = taker(&ring);
    let job = rx.take().unwrap();
    drop(rx);
    assert_eq!(ring.stats().unwrap().consumers, 1, "the seat stays with the job");
    let value = std::thread::spawn(move || {
        let value = *job;
        job.release();
        value
    });
    assert_eq!(value.join().unwrap(), 5);
    let stats = ring.stats().unwrap();
    assert_eq!((stats.consumers, stats.held, stats.unclean), (0, 0, 0));
}

#[test]
fn a_panic_hands_the_message_back() {
    let name = TestName::new("panic");
    let ring = ring(&name, 4, 1);
    let mut tx = ring.producer().unwrap();
    [1, 2].into_iter().for_each(|i| tx.push(i).unwrap());
    let mut rx = taker(&ring);
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let job = rx.take().unwrap();
        assert_eq!(*job, 2, "on purpose");
    }));
    assert!(failed.is_err());
    assert_eq!((rx.pop(), rx.redelivered()), (Ok(2), false));
    assert_eq!((rx.pop(), rx.redelivered()), (Ok(1), true));
}

#[test]
fn what_a_full_ring_does_not_take_back_comes_first() {
    let name = TestName::new("full-back");
    let ring = ring(&name, 2, 2);
    let (mut tx, mut rx) = (ring.producer().unwrap(), taker(&ring));
    tx.push(1).unwrap();
    let job = rx.take().unwrap();
    [2, 3].into_iter().for_each(|i| tx.push(i).unwrap());
    job.hand_back();
    assert_eq!((ring.len(), ring.stats().unwrap().held), (2, 1));
    let job = rx.take().unwrap();
    assert!(*job == 1 && job.redelivered());
    job.hand_back();
    // Leaving leaves it to others.
    drop(rx);
    let stats = ring.stats().unwrap();
    assert_eq!((stats.held, stats.unclean), (1, 1));
    let recovered = ring.recover().unwrap();
    assert_eq!((recovered.messages, recovered.left), (0, 1), "still no room");
    let mut rx = ring.consumer().unwrap();
    assert_eq!((rx.pop(), rx.pop(), rx.redelivered()), (Ok(2), Ok(3), false));
    assert_eq!((rx.pop(), rx.redelivered()), (Ok(1), true));
    assert_eq!(ring.stats().unwrap().unclean, 0);
}

/// The end of one message, whichever, is when another is put back for which there was no room before: this
/// consumer may never call again.
#[test]
fn what_is_owed_goes_back_with_the_end_of_the_next() {
    for released in [true, false] {
        let name = TestName::new("owed-back");
        let ring = ring(&name, 2, 2);
        let (mut tx, mut rx, mut other) = (ring.producer().unwrap(), taker(&ring), ring.consumer().unwrap());
        [1, 2].into_iter().for_each(|i| tx.push(i).unwrap());
        let (owed, next) = (rx.take().unwrap(), rx.take().unwrap());
        [3, 4].into_iter().for_each(|i| tx.push(i).unwrap());
        owed.hand_back();
        assert_eq!((ring.len(), ring.stats().unwrap().held), (2, 2), "no room");
        assert_eq!((other.pop(), other.pop()), (Ok(3), Ok(4)));
        assert_eq!(other.try_pop(), Err(RingError::Empty));
        if released {
            next.release()
        } else {
            next.hand_back()
        }
        assert_eq!(ring.stats().unwrap().held, 0);
        let mut got = Vec::new();
        while let Ok(item) = other.try_pop() {
            got.push((item, other.redelivered()));
        }
        got.sort_unstable();
        let both = [(1, true), (2, true)];
        assert_eq!(got, if released { &both[..1] } else { &both[..] });
    }
}

#[test]
fn a_closed_ring_takes_messages_back() {
    let name = TestName::new("closed-back");
    let ring = ring(&name, 2, 2);
    let (mut tx, mut rx) = (ring.producer().unwrap(), taker(&ring));
    [1, 2].into_iter().for_each(|i| tx.push(i).unwrap());
    let (one, two) = (rx.take().unwrap(), rx.take().unwrap());
    tx.close().unwrap();
    let mut other = ring.consumer().unwrap();
    assert_eq!(other.pop(), Err(RingError::Closed));
    for _ in 0..5 {
        // Round the ring, past the mark.
        assert_eq!(tx.try_push(9).unwrap_err().error, RingError::Closed);
    }
    one.hand_back();
    two.hand_back();
    let mut got = Vec::new();
    for lap in 0..6 {
        assert_eq!(tx.try_push(9).unwrap_err().error, RingError::Closed, "lap {lap}");
        let job = rx.take().unwrap();
        assert!(job.redelivered());
        got.push(*job);
        if lap < 4 {
            job.hand_back();
        } else {
            job.release();
        }
    }
    assert_eq!(got, [1, 2, 1, 2, 1, 2]);
    assert_eq!(other.pop(), Err(RingError::Closed));
    assert_eq!(ring.producer().unwrap().try_push(9).unwrap_err().error, RingError::Closed);
}

#[test]
fn a_slot_that_is_not_published_is_seen_by_nobody() {
    let name = TestName::new("unpublished");
    let ring = ring(&name, 2, 1);
    // SAFETY: this test is the only user of the ring.
    let mut tx = unsafe { ring.producer().unwrap().trust_peers() };
    let mut rx = ring.consumer().unwrap();
    *tx.slot().unwrap() = 5;
    assert_eq!(rx.try_pop(), Err(RingError::Empty));
    let slot = tx.slot().unwrap();
    assert_eq!(*slot, 5, "it is as it was left");
    slot.publish().unwrap();
    assert_eq!(rx.try_pop(), Ok(5));
}

#[test]
fn the_promise_stays_with_its_handle() {
    let (name, other) = (TestName::new("trusted"), TestName::new("stranger"));
    let (ring, stranger) = (ring(&name, 2, 1), ring(&other, 2, 1));
    let mut rx = taker(&ring);
    *rx = stranger.consumer().unwrap();
    assert_eq!(rx.try_take().err(), Some(RingError::Untrusted));
    // SAFETY: this test is the only user of the ring.
    let mut tx = unsafe { ring.producer().unwrap().trust_peers() };
    *tx = stranger.producer().unwrap();
    assert_eq!(tx.slot().err(), Some(RingError::Untrusted));
}
