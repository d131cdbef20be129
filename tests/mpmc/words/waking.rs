//! One call that moves several messages wakes several sleepers.

use super::ring;
use crate::common::{TestName, watchdog};
use crate::raw::RawSegment;
use segring::{RingError, WaitStrategy, mpmc};
use std::time::Duration;

const SLEEPERS: u64 = 4;
/// Rounds at most.
const ROUNDS: u64 = 50;

/// How many have said that they sleep, or are about to. By docs/layout.md.
fn sleepers(ring: &mpmc::Ring<u64>, producers: bool) -> u32 {
    let raw = RawSegment::attach(ring.id());
    let state = raw.get_u64(104) as usize + 256;
    raw.get_i32(state + if producers { 8 } else { 4 }).count_ones()
}

fn until_all_sleep(ring: &mpmc::Ring<u64>, producers: bool) {
    while u64::from(sleepers(ring, producers)) < SLEEPERS {
        std::thread::sleep(Duration::from_millis(1));
    }
    // Until they do, mostly; what they get is the same if they do not.
    std::thread::sleep(Duration::from_millis(5));
}

/// How often a handle has woken others; the wakes of one call are those since.
struct Wakes(u64);

impl Wakes {
    /// Whether it has woken all of them. Not in each round: who is awake at that moment finds it by itself.
    fn were_all(&mut self, now: u64) -> bool {
        now - std::mem::replace(&mut self.0, now) >= SLEEPERS
    }
}

#[test]
fn a_batch_wakes_a_consumer_for_each_of_its_messages() {
    let _watchdog = watchdog("consumers that sleep");
    let name = TestName::new("words");
    let ring = ring(&name, 8);
    let mut tx = ring.producer().unwrap();
    let mut wakes = Wakes(0);
    for round in 0..ROUNDS {
        let mut got: Vec<u64> = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..SLEEPERS)
                .map(|_| {
                    let mut rx = ring.consumer().unwrap();
                    rx.set_wait_strategy(WaitStrategy::Sleep);
                    scope.spawn(move || rx.pop().unwrap())
                })
                .collect();
            until_all_sleep(&ring, false);
            let slice: Vec<u64> = (0..SLEEPERS).map(|i| round * 10 + i).collect();
            assert_eq!(tx.push_slice(&slice), Ok(4), "one entry");
            takers.into_iter().map(|taker| taker.join().unwrap()).collect()
        });
        got.sort_unstable();
        assert!(got.into_iter().eq(round * 10..round * 10 + SLEEPERS));
        if wakes.were_all(tx.wait_stats().wakes) {
            return;
        }
    }
    panic!("a batch of {SLEEPERS} has never woken as many");
}

#[test]
fn a_slice_of_pops_wakes_a_producer_for_each_place() {
    let _watchdog = watchdog("producers that sleep");
    let name = TestName::new("words");
    let ring = ring(&name, SLEEPERS as usize);
    let mut rx = ring.consumer().unwrap();
    let (mut tx, mut into, mut wakes) = (ring.producer().unwrap(), [0; 9], Wakes(0));
    for round in 0..ROUNDS {
        (0..SLEEPERS).for_each(|i| tx.try_push(i).unwrap());
        std::thread::scope(|scope| {
            for i in 0..SLEEPERS {
                let mut tx = ring.producer().unwrap();
                tx.set_wait_strategy(WaitStrategy::Sleep);
                scope.spawn(move || tx.push(round * 10 + i).unwrap());
            }
            until_all_sleep(&ring, true);
            assert_eq!(rx.pop_slice(&mut into[..SLEEPERS as usize]), Ok(4));
        });
        assert_eq!(rx.pop_slice(&mut into), Ok(4));
        into[..4].sort_unstable();
        assert!(into[..4].iter().copied().eq(round * 10..round * 10 + SLEEPERS));
        if wakes.were_all(rx.wait_stats().wakes) {
            return;
        }
    }
    panic!("{SLEEPERS} places have never woken as many");
}

/// The first one to come takes all; the others go on sleeping, and are woken for the next.
#[test]
fn who_is_woken_in_vain_sleeps_again() {
    let _watchdog = watchdog("consumers that sleep again");
    let name = TestName::new("words");
    let ring = ring(&name, 8);
    let mut tx = ring.producer().unwrap();
    let total: u64 = std::thread::scope(|scope| {
        let takers: Vec<_> = (0..SLEEPERS)
            .map(|_| {
                let mut rx = ring.consumer().unwrap();
                rx.set_wait_strategy(WaitStrategy::Sleep);
                scope.spawn(move || {
                    let (mut sum, mut into) = (0, [0; 64]);
                    loop {
                        match rx.wait_for_message(None) {
                            Ok(()) => {}
                            Err(RingError::Closed) => break sum,
                            Err(e) => panic!("{e}"),
                        }
                        match rx.pop_slice(&mut into) {
                            Ok(n) => sum += into[..n].iter().sum::<u64>(),
                            Err(RingError::Closed) => break sum,
                            Err(e) => panic!("{e}"),
                        }
                    }
                })
            })
            .collect();
        for _ in 0..20 {
            until_all_sleep(&ring, false);
            assert_eq!(tx.push_slice(&[1; 20]), Ok(20));
        }
        tx.close().unwrap();
        takers.into_iter().map(|taker| taker.join().unwrap()).sum()
    });
    assert_eq!(total, 400);
}
