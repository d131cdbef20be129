//! Closing is linearizable: it happens at one moment, between two pushes. No push returns Ok after
//! a consumer has seen `Closed`, also none of a successor; and `Closed` is seen only when every
//! message that was pushed has been popped.
//!
//! Only a producer can close, and there is one at a time, so the order of pushes and the closing is
//! the order of one handle's calls, and then the order of seats.

mod common;

use common::{TestChild, TestName, child_role, watchdog};
use segring::spsc::{ByteRing, Ring};
use segring::{Error, Layout, RingError, WaitStrategy};
use std::sync::Barrier;
use std::time::Duration;

/// Which calls the consumer makes.
#[derive(Clone, Copy, Debug)]
enum Pops {
    Try,
    Blocking(WaitStrategy),
    Slices,
}

const POPS: [Pops; 6] = [
    Pops::Try,
    Pops::Slices,
    Pops::Blocking(WaitStrategy::BusySpin),
    Pops::Blocking(WaitStrategy::Yield),
    Pops::Blocking(WaitStrategy::Adaptive),
    Pops::Blocking(WaitStrategy::Sleep),
];

/// Pops until `Closed`: how many.
fn drain(ring: &Ring<u64>, pops: Pops) -> u64 {
    let mut rx = ring.consumer().unwrap();
    let mut popped = 0;
    loop {
        let result = match pops {
            Pops::Try => rx.try_pop().map(|item| vec![item]),
            Pops::Slices => {
                let mut into = [0; 3];
                rx.pop_slice(&mut into).map(|n| into[..n].to_vec())
            }
            Pops::Blocking(strategy) => {
                rx.set_wait_strategy(strategy);
                rx.pop().map(|item| vec![item])
            }
        };
        match result {
            Ok(items) => {
                for item in items {
                    assert_eq!(item, popped);
                    popped += 1;
                }
            }
            Err(RingError::Empty | RingError::PeerGone { .. }) => std::hint::spin_loop(),
            Err(RingError::Closed) => return popped,
            Err(e) => panic!("{e}"),
        }
    }
}

/// A producer that closes after a few pushes, while its consumer is just running dry; and one that
/// comes after it.
#[test]
fn closed_is_seen_after_the_last_message_and_nothing_comes_after_it() {
    let _watchdog = watchdog("producers that close");
    for round in 0..1800_u64 {
        let pops = POPS[(round % 6) as usize];
        let layout = if round % 4 < 2 { Layout::Stamped } else { Layout::Dense };
        let name = TestName::new("closing");
        let ring = Ring::<u64>::builder(name.name()).capacity(4).layout(layout).create().unwrap();
        let start = Barrier::new(2);
        let (seen, pushed) = std::thread::scope(|s| {
            let consumer = s.spawn(|| {
                start.wait();
                drain(&ring, pops)
            });
            let mut tx = ring.producer().unwrap();
            start.wait();
            let mut pushed = 0;
            for i in 0..round % 7 {
                tx.push(i).unwrap();
                pushed += 1;
                // Now and then the consumer has run dry by then.
                (0..round % 501).for_each(|n| _ = std::hint::black_box(n));
            }
            tx.close();
            assert_eq!(tx.push(99).unwrap_err().error, RingError::Closed);
            drop(tx);
            let mut next = ring.producer().unwrap();
            assert_eq!(next.try_push(99).unwrap_err().error, RingError::Closed);
            assert_eq!(next.push_slice(&[99]), Err(RingError::Closed));
            (consumer.join().expect("consumer"), pushed)
        });
        assert_eq!(seen, pushed, "{pops:?}: Closed was seen too early, or a push came after it");
        assert_eq!(ring.stats().unwrap().pushed, pushed);
    }
}

/// Child: pushes for ever so many messages and closes; says nothing.
fn closer(name: &str, last: u64) {
    let ring = ByteRing::builder(name).attach().expect("attach");
    let mut tx = loop {
        match ring.producer() {
            Ok(tx) => break tx,
            Err(Error::SeatTaken { .. }) => std::thread::yield_now(),
            Err(e) => panic!("{e}"),
        }
    };
    loop {
        match tx.push(&tx.position().to_le_bytes()) {
            Ok(()) if tx.position() >= last => tx.close(),
            Ok(()) | Err(RingError::PeerGone { .. }) => {}
            Err(RingError::Closed) => return,
            Err(e) => panic!("{e}"),
        }
    }
}

#[test]
fn child_main() {
    let Some((_, args)) = child_role() else { return };
    closer(&args[0], args[1].parse().expect("a number"));
}

/// Producers that are killed at any moment, also while they close: whoever comes next finishes, and
/// the books balance.
#[test]
fn killed_closers() {
    let _watchdog = watchdog("producers that are killed while they close");
    for round in 0..12_u64 {
        let name = TestName::new("killed-closer");
        let ring = ByteRing::builder(name.name()).capacity(4096).create().unwrap();
        let last = (50 + round).to_string();
        let mut children: Vec<_> =
            (0..2).map(|_| TestChild::spawn("closer", &[name.as_str(), &last])).collect();
        let mut rx = ring.consumer().unwrap();
        let mut record = Vec::new();
        let mut popped = 0_u64;
        // One of them is killed about when it closes, the other one may then go on.
        let victim = round as usize % 2;
        let end = loop {
            match rx.pop_into_timeout(&mut record, Duration::from_secs(30)) {
                Ok(()) => {
                    assert_eq!(record, popped.to_le_bytes());
                    popped += 1;
                    if popped == 50 {
                        children[victim].kill();
                    }
                }
                Err(RingError::PeerGone { .. }) => {}
                Err(end) => break end,
            }
        };
        assert_eq!(end, RingError::Closed);
        let stats = ring.stats().unwrap();
        assert_eq!((stats.pushed, stats.popped), (popped, popped), "round {round}");
        // Whoever is left finds it closed.
        let survivor = children.swap_remove(1 - victim);
        survivor.join();
        assert_eq!(rx.try_pop(), Err(RingError::Closed));
        assert_eq!(ring.stats().unwrap().pushed, popped, "round {round}: pushed after Closed was seen");
    }
}
