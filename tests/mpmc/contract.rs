//! The contract of names, and what each call says, in one process.

use crate::common::TestName;
use segring::{Error, Kind, Observer, Peer, RingError, mpmc};
use std::time::Duration;

#[test]
fn the_contract_of_names() {
    let name = TestName::new("mpmc");
    let ring = mpmc::Ring::<[u64; 3]>::builder(name.name())
        .capacity(1000)
        .seats(64)
        .in_hand(4)
        .schema("job.v1")
        .create()
        .unwrap();
    assert_eq!((ring.capacity(), ring.seats(), ring.in_hand()), (1024, 64, 4));
    let mut tx = ring.producer().unwrap();
    let mut rx = ring.consumer().unwrap();
    tx.try_push([1; 3]).unwrap();
    tx.push([2; 3]).unwrap();
    tx.push_timeout([3; 3], Duration::ZERO).unwrap();
    tx.push_ref(&[4; 3]).unwrap();
    assert_eq!(ring.len(), 4);
    assert_eq!(rx.try_pop(), Ok([1; 3]));
    assert_eq!(rx.pop(), Ok([2; 3]));
    assert_eq!(rx.pop_timeout(Duration::ZERO), Ok([3; 3]));
    let mut one = [0; 3];
    rx.pop_into(&mut one).unwrap();
    assert_eq!(one, [4; 3]);
    assert_eq!(rx.try_pop(), Err(RingError::Empty));
    assert_eq!(rx.pop_timeout(Duration::ZERO), Err(RingError::TimedOut));
    assert!(!rx.redelivered());
    let stats = ring.stats().unwrap();
    assert_eq!((stats.pushed, stats.popped, stats.len, stats.held), (4, 4, 0, 0));
    assert_eq!((stats.producers, stats.consumers, stats.seats, stats.in_hand), (1, 1, 64, 4));
    assert_eq!((stats.producer, stats.consumer), (Peer::Live { pid: 0 }, Peer::Live { pid: 0 }));
    assert_eq!(stats.kind, Kind::Mpmc);

    // SAFETY: this test is the only user of the ring.
    let mut tx = unsafe { tx.trust_peers() };
    // SAFETY: as above.
    let mut rx = unsafe { rx.trust_peers() };
    let mut slot = tx.slot().unwrap();
    slot[1] = 7;
    slot.publish().unwrap();
    let job = rx.try_take().unwrap();
    assert!(job[1] == 7 && !job.redelivered());
    assert_eq!(ring.stats().unwrap().held, 1);
    job.hand_back();
    let job = rx.take().unwrap();
    assert!(job[1] == 7 && job.redelivered());
    job.release();
    assert_eq!(rx.take_timeout(Duration::ZERO).err(), Some(RingError::TimedOut));
    tx.try_push([8; 3]).unwrap();
    tx.close().unwrap();
    tx.close().unwrap();
    assert!(rx.is_closed() && tx.is_closed() && ring.is_closed());
    assert_eq!(tx.try_push([9; 3]).unwrap_err().error, RingError::Closed);
    assert_eq!(ring.producer().unwrap().push([9; 3]).unwrap_err().error, RingError::Closed);
    assert_eq!(rx.pop(), Ok([8; 3]));
    assert_eq!(rx.pop(), Err(RingError::Closed));
    assert_eq!(rx.try_pop(), Err(RingError::Closed));
    assert_eq!(rx.wait_for_message(None), Err(RingError::Closed));
    assert_eq!(rx.try_take().err(), Some(RingError::Closed));
    assert_eq!(ring.recover().unwrap(), mpmc::Recovered::default());
    ring.remove().unwrap();
}

#[test]
fn a_full_ring_and_each_capacity() {
    for capacity in [1, 2, 4, 64] {
        let name = TestName::new("full");
        let ring =
            mpmc::Ring::<u64>::builder(name.name()).capacity(capacity).redelivery(true).create().unwrap();
        let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
        for lap in 0..5 {
            for i in 0..capacity as u64 {
                tx.try_push(lap * 1000 + i).unwrap();
            }
            let full = tx.try_push(9).unwrap_err();
            assert_eq!((full.value, full.error), (9, RingError::Full));
            let late = tx.push_timeout(9, Duration::from_millis(1)).unwrap_err();
            assert_eq!(late.error, RingError::TimedOut);
            assert_eq!(ring.len(), capacity);
            for i in 0..capacity as u64 {
                assert_eq!(rx.try_pop(), Ok(lap * 1000 + i));
            }
            assert_eq!(rx.try_pop(), Err(RingError::Empty));
        }
    }
}

#[test]
fn records_of_any_length() {
    let name = TestName::new("bytes");
    let ring = mpmc::ByteRing::builder(name.name()).capacity(4).max_record(100).in_hand(2).create().unwrap();
    assert_eq!(ring.max_record(), 100);
    let attached = mpmc::ByteRing::builder(name.name()).attach().unwrap();
    assert_eq!(attached.max_record(), 100, "who attaches takes what is there");
    let (mut tx, mut rx) = (ring.producer().unwrap(), attached.consumer().unwrap());
    for len in [0usize, 1, 7, 8, 9, 99, 100] {
        let record: Vec<u8> = (0..len).map(|i| i as u8).collect();
        tx.push(&record).unwrap();
        assert_eq!(rx.pop(), Ok(record));
    }
    assert_eq!(tx.try_push(&[0; 101]), Err(RingError::TooLong));
    // SAFETY: this test is the only user of the ring.
    let mut tx = unsafe { tx.trust_peers() };
    // SAFETY: as above.
    let mut rx = unsafe { rx.trust_peers() };
    let mut slot = tx.byte_slot().unwrap();
    assert_eq!(slot.len(), 100);
    slot[..3].copy_from_slice(b"abc");
    slot.publish(3).unwrap();
    assert_eq!(tx.byte_slot().unwrap().publish(101), Err(RingError::TooLong));
    let job = rx.try_take().unwrap();
    assert_eq!(*job, *b"abc");
    drop(job);
    let mut record = vec![1, 2, 3, 4];
    rx.pop_into(&mut record).unwrap();
    assert!(record == b"abc" && rx.redelivered());
}

#[test]
fn what_does_not_fit_is_refused() {
    let name = TestName::new("refused");
    let build = || mpmc::Ring::<u64>::builder(name.name()).redelivery(true);
    let refused = |error: Error, word: &str| {
        assert!(matches!(error, Error::BadOption { .. }) && error.to_string().contains(word), "{error}");
    };
    refused(build().seats(0).create().unwrap_err(), "1 to 4096 seats");
    refused(build().seats(4097).create().unwrap_err(), "1 to 4096 seats");
    refused(build().in_hand(0).create().unwrap_err(), "1 to 64 in hand");
    refused(build().in_hand(65).create().unwrap_err(), "1 to 64 in hand");
    refused(build().capacity(1 << 23).create().unwrap_err(), "8388608 slots");
    refused(build().capacity(0).create().unwrap_err(), "at least 1");
    let record = mpmc::ByteRing::builder(name.name()).max_record(usize::MAX).create().unwrap_err();
    refused(record, "64 TiB");
    refused(mpmc::ByteRing::builder(name.name()).max_record(0).create().unwrap_err(), "max_record is 0");
    let ring = build().seats(2).create().unwrap();
    let wrong = mpmc::Ring::<[u64; 2]>::builder(name.name()).attach().unwrap_err();
    assert!(matches!(wrong, Error::WrongPayload { found_size: 8, wanted_size: 16, .. }), "{wrong:?}");
    let wrong = segring::spsc::Ring::<u64>::builder(name.name()).attach().unwrap_err();
    assert!(matches!(wrong, Error::WrongKind { found: Kind::Mpmc, wanted: Kind::Spsc, .. }), "{wrong:?}");
    let wrong = mpmc::ByteRing::builder(name.name()).attach().unwrap_err();
    assert!(matches!(wrong, Error::WrongKind { .. }), "{wrong:?}");
    let _both = (ring.producer().unwrap(), ring.consumer().unwrap());
    let full = ring.consumer().unwrap_err();
    assert!(matches!(full, Error::SeatsFull { seats: 2, .. }), "{full:?}");
    assert!(full.to_string().contains("all its 2 seats"), "{full}");
}

#[test]
fn the_peers_are_told_once_when_the_last_one_goes() {
    let name = TestName::new("gone");
    let ring = mpmc::Ring::<u64>::builder(name.name()).capacity(2).redelivery(true).create().unwrap();
    let mut rx = ring.consumer().unwrap();
    let (mut a, b) = (ring.producer().unwrap(), ring.producer().unwrap());
    a.push(1).unwrap();
    drop(b);
    assert_eq!(rx.pop(), Ok(1));
    assert_eq!(rx.pop_timeout(Duration::from_millis(1)), Err(RingError::TimedOut), "a is there");
    a.push(2).unwrap();
    drop(a);
    assert_eq!(rx.pop(), Ok(2), "messages come before news");
    assert_eq!(rx.pop(), Err(RingError::PeerGone { died: false }));
    assert_eq!(rx.pop_timeout(Duration::ZERO), Err(RingError::TimedOut), "once");
    drop(ring.producer().unwrap());
    assert_eq!(rx.pop(), Err(RingError::PeerGone { died: false }), "for each time");
    let mut tx = ring.producer().unwrap();
    drop(rx);
    [1, 2].into_iter().for_each(|i| tx.push(i).unwrap());
    assert_eq!(tx.push(3).unwrap_err().error, RingError::PeerGone { died: false });
    ring.remove().unwrap();
    assert_eq!(tx.push(3).unwrap_err().error, RingError::Removed);
}

#[test]
fn nobody_has_come_yet() {
    let name = TestName::new("never");
    let ring = mpmc::Ring::<u64>::builder(name.name()).capacity(1).redelivery(true).create().unwrap();
    let stats = Observer::attach(name.name()).unwrap().stats().unwrap();
    assert_eq!((stats.producer, stats.consumer), (Peer::NeverJoined, Peer::NeverJoined));
    let mut rx = ring.consumer().unwrap();
    assert_eq!(rx.pop_timeout(Duration::from_millis(1)), Err(RingError::TimedOut));
    let seen = Observer::attach(name.name()).unwrap().stats().unwrap();
    assert_eq!((seen.consumer, seen.consumers, seen.producers), (Peer::Live { pid: 0 }, 1, 0));
    drop(rx);
    assert_eq!(ring.stats().unwrap().consumer, Peer::Left);
}

#[test]
fn many_seats_are_taken_and_given_back() {
    let name = TestName::new("seats");
    let ring =
        mpmc::Ring::<u64>::builder(name.name()).capacity(4).seats(300).redelivery(true).create().unwrap();
    let mut all: Vec<_> = (0..299).map(|_| ring.producer().unwrap()).collect();
    let mut rx = ring.consumer().unwrap();
    assert!(matches!(ring.producer(), Err(Error::SeatsFull { seats: 300, .. })));
    for (i, tx) in all.iter_mut().enumerate() {
        tx.push(i as u64).unwrap();
        assert_eq!(rx.pop(), Ok(i as u64));
    }
    all.truncate(100);
    let mut again: Vec<_> = (0..199).map(|_| ring.producer().unwrap()).collect();
    assert!(matches!(ring.producer(), Err(Error::SeatsFull { seats: 300, .. })));
    for tx in all.iter_mut().chain(&mut again) {
        tx.push(7).unwrap();
        assert_eq!(rx.pop(), Ok(7));
    }
}

#[test]
fn an_ephemeral_ring_goes_with_the_last_seat() {
    let name = TestName::new("ephemeral");
    let ring = mpmc::Ring::<u64>::builder(name.name()).ephemeral(true).redelivery(true).create().unwrap();
    let (tx, rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    drop(tx);
    assert!(crate::common::objects(name.key()).0);
    drop(rx);
    assert!(!crate::common::objects(name.key()).0, "the segment's name is gone");
    drop(ring);
    assert_eq!(crate::common::objects(name.key()), (false, false));
}
