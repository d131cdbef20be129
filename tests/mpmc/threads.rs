//! Many threads of one process, each with a seat of its own: nothing lost, nothing doubled, and each
//! producer's messages in order.

use crate::common::{TestName, watchdog};
use segring::{RingError, mpmc};
use std::sync::atomic::{AtomicU64, Ordering};

/// Each producer pushes `each` messages; consumers pop until the ring is closed. Gives how many each took.
fn run(capacity: usize, producers: u64, consumers: usize, each: u64) -> Vec<usize> {
    let _watchdog = watchdog("threads on one ring");
    let name = TestName::new("threads");
    let ring = mpmc::Ring::<[u64; 4]>::builder(name.name()).capacity(capacity).create().unwrap();
    let pushing = AtomicU64::new(producers);
    let taken: Vec<Vec<[u64; 4]>> = std::thread::scope(|scope| {
        for who in 0..producers {
            let (ring, pushing) = (&ring, &pushing);
            scope.spawn(move || {
                let mut tx = ring.producer().unwrap();
                for i in 0..each {
                    tx.push([who, i, !i, who ^ i]).unwrap();
                }
                if pushing.fetch_sub(1, Ordering::AcqRel) == 1 {
                    tx.close().unwrap();
                }
            });
        }
        let takers: Vec<_> = (0..consumers)
            .map(|_| {
                let ring = &ring;
                scope.spawn(move || {
                    let mut rx = ring.consumer().unwrap();
                    let mut taken = Vec::new();
                    loop {
                        match rx.pop() {
                            Ok(message) => taken.push(message),
                            Err(RingError::PeerGone { .. }) => {}
                            Err(RingError::Closed) => break taken,
                            Err(e) => panic!("{e}"),
                        }
                        assert!(!rx.redelivered());
                    }
                })
            })
            .collect();
        takers.into_iter().map(|taker| taker.join().unwrap()).collect()
    });
    let mut all: Vec<[u64; 4]> = Vec::new();
    for one in &taken {
        let mut last = vec![None; producers as usize];
        for &[who, i, not, both] in one {
            assert_eq!((not, both), (!i, who ^ i), "torn");
            assert!(last[who as usize] < Some(i), "out of order: {who} {i}");
            last[who as usize] = Some(i);
        }
        all.extend(one);
    }
    all.sort_unstable();
    let expected: Vec<_> =
        (0..producers).flat_map(|who| (0..each).map(move |i| [who, i, !i, who ^ i])).collect();
    assert!(all == expected, "lost or doubled: {} of {}", all.len(), expected.len());
    let stats = ring.stats().unwrap();
    assert_eq!((stats.pushed, stats.popped, stats.held), (producers * each, producers * each, 0));
    taken.into_iter().map(|one| one.len()).collect()
}

#[test]
fn one_producer_and_one_consumer() {
    run(1, 1, 1, 2_000);
    run(64, 1, 1, 200_000);
}

#[test]
fn two_and_two() {
    run(1, 2, 2, 1_000);
    run(2, 2, 2, 5_000);
    run(64, 2, 2, 100_000);
}

#[test]
fn many_of_each() {
    run(4, 8, 8, 2_000);
    run(1024, 8, 8, 20_000);
}

#[test]
fn three_and_one_and_the_other_way_round() {
    run(1, 3, 1, 1_000);
    run(1, 1, 3, 3_000);
    run(16, 3, 1, 50_000);
    run(16, 1, 3, 100_000);
}
