//! Many deaths in a row, at random moments: nothing leaks. `SEGRING_DEATHS=N`: so many (default 300).

use super::brood::Kid;
use super::harness::Rng;
use super::{Ring, attach, check_clean, create, taker};
use crate::common::{TestChild, TestName, say};
use segring::{RingError, mpmc};
use std::io::Write;
use std::time::Duration;

/// Processes that are alive at once.
pub(super) const ALIVE: usize = 3;
/// Deaths between two checks.
pub(super) const BATCH: u64 = 1000;

pub(super) fn value(rng: &mut Rng) -> u64 {
    let n = rng.next() >> 32;
    n << 32 | (!n & 0xFFFF_FFFF)
}

pub(super) fn check(value: u64) {
    assert_eq!(value >> 32, !value & 0xFFFF_FFFF, "a torn message");
}

fn push(tx: &mut mpmc::Producer<u64>, rng: &mut Rng) {
    let timeout = Duration::from_micros(rng.below(2) * 50);
    match tx.push_timeout(value(rng), timeout).map_err(|r| r.error) {
        Ok(()) | Err(RingError::TimedOut | RingError::PeerGone { .. }) => {}
        Err(e) => panic!("push: {e}"),
    }
}

pub(super) fn none_now(error: RingError) {
    match error {
        RingError::TimedOut | RingError::Empty | RingError::PeerGone { .. } => {}
        e => panic!("pop: {e}"),
    }
}

fn pop(rx: &mut mpmc::Consumer<u64>, rng: &mut Rng) {
    match rng.below(3) {
        0 => rx.pop_timeout(Duration::from_micros(50)).map_or_else(none_now, check),
        _ => rx.try_pop().map_or_else(none_now, check),
    }
}

fn take_some(ring: &Ring, rng: &mut Rng) {
    let mut rx = taker(ring);
    let mut jobs = Vec::new();
    loop {
        match rx.try_take() {
            Ok(job) => {
                check(*job);
                jobs.push(job);
            }
            Err(RingError::HandsFull) => {}
            Err(e) => none_now(e),
        }
        if !jobs.is_empty() && rng.below(3) > 0 {
            let job = jobs.swap_remove(rng.below(jobs.len() as u64) as usize);
            if rng.below(4) == 0 { job.hand_back() } else { job.release() }
        }
    }
}

fn come_and_go(ring: &Ring, rng: &mut Rng) {
    loop {
        if rng.below(2) == 0 {
            push(&mut ring.producer().expect("there are seats enough"), rng);
        } else {
            pop(&mut ring.consumer().expect("there are seats enough"), rng);
        }
    }
}

/// Lives until it is killed.
fn live(name: &str, seed: u64) {
    let rng = &mut Rng::new(seed);
    let ring = attach(name);
    match rng.below(6) {
        0 | 1 => {
            let mut tx = ring.producer().expect("there are seats enough");
            loop {
                push(&mut tx, rng);
            }
        }
        2 => {
            let mut rx = ring.consumer().expect("there are seats enough");
            loop {
                pop(&mut rx, rng);
            }
        }
        3 => take_some(&ring, rng),
        4 => come_and_go(&ring, rng),
        _ => loop {
            let _ = ring.recover().expect("recover");
        },
    }
}

pub(super) fn nursery_role(args: &[&str]) {
    nursery(args, live);
}

/// Forks, kills and forks again.
pub(super) fn nursery(args: &[&str], live: fn(&str, u64)) {
    let &[name, deaths, seed] = args else { panic!("arguments") };
    let (deaths, seed): (u64, u64) = (deaths.parse().expect("a number"), seed.parse().expect("a seed"));
    let rng = &mut Rng::new(seed);
    let fork = |rng: &mut Rng| {
        let seed = rng.next();
        Kid::fork(|| live(name, seed))
    };
    let mut kids: Vec<Kid> = (0..ALIVE).map(|_| fork(rng)).collect();
    for _ in ALIVE as u64..deaths {
        std::thread::sleep(Duration::from_micros(rng.below(2500)));
        let kid = &mut kids[rng.below(ALIVE as u64) as usize];
        kid.kill();
        *kid = fork(rng);
    }
    kids.iter_mut().for_each(Kid::kill);
    say("done");
}

/// Takes out what is there, and sees to the dead, until nothing is left.
fn drain(ring: &Ring) -> u64 {
    let mut drained = 0;
    loop {
        let mut rx = ring.consumer().expect("a seat of a dead one");
        loop {
            match rx.try_pop() {
                Ok(message) => check(message),
                Err(RingError::Empty) => break,
                Err(e) => panic!("pop: {e}"),
            }
            drained += 1;
        }
        drop(rx);
        let found = ring.recover().unwrap();
        if found.messages + found.left == 0 && ring.is_empty() {
            return drained;
        }
    }
}

pub(super) fn deaths() -> u64 {
    std::env::var("SEGRING_DEATHS").ok().and_then(|n| n.parse().ok()).unwrap_or(300u64)
}

#[test]
fn many_deaths_leak_nothing() {
    let deaths = deaths();
    let seed = Rng::random_seed();
    let rng = &mut Rng::new(seed);
    let name = TestName::new("many-deaths");
    // A dead process may have sat on one seat and been about to repair another.
    let ring = create(&name, 4, 3 * ALIVE as u32, 2);
    let (mut left, mut drained) = (deaths, 0);
    while left > 0 {
        let batch = left.min(BATCH);
        left -= batch;
        let seed = rng.next().to_string();
        let mut nursery = TestChild::spawn("nursery", &[name.as_str(), &batch.to_string(), &seed]);
        nursery.expect("done");
        nursery.join();
        drained += drain(&ring);
        check_clean(&ring);
    }
    let stats = ring.stats().unwrap();
    assert!(stats.pushed > deaths, "only {} messages went through", stats.pushed);
    let _ = writeln!(
        std::io::stderr(),
        "{deaths} deaths (seed {seed}): {} messages went through, {drained} were left",
        stats.pushed
    );
}
