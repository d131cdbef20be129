//! Messages of up to 8 bytes: they lie in the entries, and slices of them in blocks.

mod calls;
mod waking;

use crate::common::{TestName, watchdog};
use segring::{Layout, RingError, mpmc};

fn ring(name: &TestName, capacity: usize) -> mpmc::Ring<u64> {
    mpmc::Ring::builder(name.name()).capacity(capacity).create().unwrap()
}

#[test]
fn small_messages_lie_in_the_entries_unless_they_are_to_come_back() {
    let name = TestName::new("words");
    let layout = |ring: &mpmc::Ring<u64>| ring.stats().unwrap().layout;
    let inline = ring(&name, 4);
    assert_eq!((layout(&inline), inline.in_hand()), (Layout::Inline, 0));
    inline.remove().unwrap();
    let build = || mpmc::Ring::<u64>::builder(name.name()).capacity(4);
    for builder in [build().redelivery(true), build().in_hand(1)] {
        let slots = builder.create().unwrap();
        assert_eq!((layout(&slots), slots.in_hand()), (Layout::Dense, 1));
        slots.remove().unwrap();
    }
}

#[test]
fn in_place_is_refused_by_name() {
    let name = TestName::new("words");
    let ring = ring(&name, 4);
    // SAFETY: nobody writes into this segment except through segring.
    let mut tx = unsafe { ring.producer().unwrap().trust_peers() };
    // SAFETY: as above.
    let mut rx = unsafe { ring.consumer().unwrap().trust_peers() };
    assert_eq!(tx.slot().unwrap_err(), RingError::NotInPlace);
    assert_eq!(rx.try_take().unwrap_err(), RingError::NotInPlace);
    tx.push(1).unwrap();
    assert_eq!(rx.pop(), Ok(1));
}

#[test]
fn singles_and_slices_are_one_queue() {
    let name = TestName::new("words");
    let ring = ring(&name, 8);
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut other = ring.consumer().unwrap();
    let (mut next, mut expected) = (0u64, 0u64);
    for round in 0..1000u64 {
        let len = (round * 7 % 67) as usize;
        let slice: Vec<u64> = (next..next + len as u64).collect();
        next += tx.push_slice(&slice).unwrap() as u64;
        if tx.try_push(next).is_ok() {
            next += 1;
        }
        let mut into = vec![u64::MAX; (round * 5 % 70) as usize];
        let n = if round % 2 == 0 { rx.pop_slice(&mut into) } else { other.pop_slice(&mut into) }.unwrap();
        for item in &into[..n] {
            assert_eq!(*item, expected);
            expected += 1;
        }
        if let Ok(item) = other.try_pop() {
            assert_eq!(item, expected);
            expected += 1;
        }
    }
    while let Ok(item) = rx.try_pop() {
        assert_eq!(item, expected);
        expected += 1;
    }
    assert_eq!(expected, next);
    assert!(next > 10_000, "{next}");
}

#[test]
fn small_types_keep_their_bytes() {
    let name = TestName::new("words");
    let ring = mpmc::Ring::<[u8; 3]>::builder(name.name()).capacity(2).create().unwrap();
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let items: Vec<[u8; 3]> = (0..60).map(|i| [i, i + 1, 255 - i]).collect();
    assert_eq!(tx.push_slice(&items).unwrap(), 60);
    tx.try_push([9, 8, 7]).unwrap();
    assert_eq!(ring.len(), 61);
    assert_eq!(tx.try_push([0; 3]).unwrap_err().error, RingError::Full);
    for item in &items {
        assert_eq!(rx.pop(), Ok(*item));
    }
    assert_eq!(rx.pop(), Ok([9, 8, 7]));
    assert_eq!(rx.try_pop(), Err(RingError::Empty));
}

#[test]
fn threads_lose_nothing() {
    let _watchdog = watchdog("words and batches between threads");
    let name = TestName::new("words");
    let ring = ring(&name, 16);
    let each: u64 = if cfg!(debug_assertions) { 30_000 } else { 1_000_000 };
    let mut all: Vec<u64> = std::thread::scope(|scope| {
        for side in 0..2u64 {
            let mut tx = ring.producer().unwrap();
            scope.spawn(move || {
                let (mut next, end) = (side * each, (side + 1) * each);
                while next < end {
                    let n = (next % 90).min(end - next);
                    let slice: Vec<u64> = (next..next + n).collect();
                    let pushed = tx.push_slice(&slice).unwrap() as u64;
                    next += pushed;
                    if next < end && (n == 0 || pushed < n) {
                        tx.push(next).unwrap();
                        next += 1;
                    }
                }
            });
        }
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let mut rx = ring.consumer().unwrap();
                scope.spawn(move || {
                    let mut got = Vec::new();
                    let mut into = [0; 50];
                    loop {
                        match rx.pop() {
                            Ok(item) => got.push(item),
                            Err(RingError::PeerGone { died: false }) => break,
                            Err(e) => panic!("{e}"),
                        }
                        let n = rx.pop_slice(&mut into).unwrap();
                        got.extend_from_slice(&into[..n]);
                    }
                    for side in 0..2 {
                        let mine = got.iter().filter(|item| **item / each == side);
                        assert!(mine.is_sorted(), "out of order");
                    }
                    got
                })
            })
            .collect();
        takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect()
    });
    all.sort_unstable();
    assert!(all.into_iter().eq(0..2 * each));
}
