//! Deaths on a ring whose messages lie in its entries: what they had pushed is there, nothing else comes back,
//! and no seat and no block is lost.

use super::harness::Rng;
use super::many::{ALIVE, BATCH, check, deaths, none_now, value};
use super::{Ring, attach};
use crate::common::{TestChild, TestName, listen, say, watchdog};
use segring::{Layout, RingError, mpmc};
use std::io::Write;
use std::time::Duration;

fn create(name: &TestName, capacity: usize, seats: u32) -> Ring {
    let ring = Ring::builder(name.name()).capacity(capacity).seats(seats).create().expect("create");
    assert_eq!(ring.stats().unwrap().layout, Layout::Inline);
    ring
}

/// Nobody is left, every seat can be taken, and each has all its blocks.
fn check_clean(ring: &Ring) {
    let stats = ring.stats().unwrap();
    assert_eq!((stats.producers, stats.consumers), (0, 0));
    assert_eq!((stats.len, stats.held, stats.unclean, stats.attached), (0, 0, 0, 1));
    let mut all: Vec<_> =
        (0..ring.seats()).map(|i| ring.producer().unwrap_or_else(|e| panic!("{i}: {e}"))).collect();
    // A seat for a consumer; another producer sits there in the next round.
    for last in [true, false] {
        drop(if last { all.pop() } else { Some(all.remove(0)) });
        let mut rx = ring.consumer().unwrap();
        for tx in &mut all {
            let blocks = (ring.capacity() / 64).clamp(1, 16);
            for block in 0..blocks {
                assert_eq!(tx.push_slice(&[value_of(block); 4]), Ok(4), "block {block} is lost");
            }
            let mut into = vec![0; 4 * blocks];
            assert_eq!(rx.pop_slice(&mut into), Ok(4 * blocks));
            into.into_iter().for_each(check);
        }
        assert_eq!(rx.try_pop(), Err(RingError::Empty));
        drop(rx);
        all.push(ring.producer().unwrap());
    }
}

fn value_of(n: usize) -> u64 {
    (n as u64) << 32 | (!n as u64 & 0xFFFF_FFFF)
}

/// Pushes a slice; then does nothing until it is killed.
pub(super) fn push_slice_role(name: &str, len: u64) {
    let ring = attach(name);
    let mut tx = ring.producer().expect("a seat");
    say(&tx.push_slice(&(0..len).collect::<Vec<_>>()).expect("open").to_string());
    listen();
}

/// Whoever takes the seat over leaves the block alone that is in the ring, and has it when it is not.
#[test]
fn the_batch_of_a_dead_producer_is_whole_and_its_block_is_found_again() {
    let name = TestName::new("dead-batch");
    let ring = create(&name, 4, 2);
    let mut rx = ring.consumer().unwrap();
    for part in 0..6 {
        let mut dying = TestChild::spawn("push_slice", &[name.as_str(), "5"]);
        dying.expect("5");
        dying.kill();
        let mut into = [9; 9];
        assert_eq!(rx.pop_slice(&mut into[..part]), Ok(part.min(5)));
        let mut tx = ring.producer().unwrap();
        // Or one by one, as many as there is room for.
        let pushed = if part == 5 { 4 } else { 3 };
        assert_eq!(tx.push_slice(&[7; 4]), Ok(pushed), "{part} of 5 are taken");
        assert_eq!(rx.pop_slice(&mut into[part..5]), Ok(5 - part));
        assert_eq!(into[..5], [0, 1, 2, 3, 4]);
        assert_eq!((rx.pop_slice(&mut into), into[0]), (Ok(pushed), 7));
    }
    drop(rx);
    check_clean(&ring);
}

#[test]
fn a_consumer_sleeps_until_the_last_producer_has_died() {
    let _watchdog = watchdog("a blocked consumer");
    let name = TestName::new("dead-words");
    let ring = create(&name, 8, 4);
    let mut rx = ring.consumer().unwrap();
    let mut dying = TestChild::spawn("push_slice", &[name.as_str(), "6"]);
    dying.expect("6");
    let waiting = std::thread::spawn(move || {
        let got: Vec<_> = (0..6).map(|_| rx.pop().unwrap()).collect();
        (got, rx.pop(), rx.pop_timeout(Duration::from_millis(150)))
    });
    // Until it sleeps, mostly; what it says is the same if it does not.
    std::thread::sleep(Duration::from_millis(20));
    dying.kill();
    let (got, news, then) = waiting.join().unwrap();
    assert_eq!(got, [0, 1, 2, 3, 4, 5]);
    assert_eq!((news, then), (Err(RingError::PeerGone { died: true }), Err(RingError::TimedOut)));
    let _ = ring.recover().unwrap();
    check_clean(&ring);
}

fn push(tx: &mut mpmc::Producer<u64>, rng: &mut Rng) {
    let len = [1, 5, 70][rng.below(3) as usize];
    let slice: Vec<u64> = (0..len).map(|_| value(rng)).collect();
    let pushed = match rng.below(4) {
        0 => tx.push_timeout(slice[0], Duration::from_micros(50)).map_err(|r| r.error),
        1 => tx.try_push_ref(&slice[0]),
        _ => tx.push_slice(&slice).map(drop),
    };
    match pushed {
        Ok(()) | Err(RingError::Full | RingError::TimedOut | RingError::PeerGone { .. }) => {}
        Err(e) => panic!("push: {e}"),
    }
}

fn pop(rx: &mut mpmc::Consumer<u64>, rng: &mut Rng) {
    let mut into = [0; 70];
    match rng.below(4) {
        0 => rx.pop_timeout(Duration::from_micros(50)).map_or_else(none_now, check),
        1 => rx.try_pop().map_or_else(none_now, check),
        _ => match rx.pop_slice(&mut into[..1 + rng.below(69) as usize]) {
            Ok(n) => into[..n].iter().copied().for_each(check),
            Err(e) => panic!("pop_slice: {e}"),
        },
    }
}

/// Lives until it is killed.
fn live(name: &str, seed: u64) {
    let rng = &mut Rng::new(seed);
    let ring = attach(name);
    match rng.below(5) {
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
        3 => loop {
            if rng.below(2) == 0 {
                push(&mut ring.producer().expect("there are seats enough"), rng);
            } else {
                pop(&mut ring.consumer().expect("there are seats enough"), rng);
            }
        },
        _ => loop {
            let _ = ring.recover().expect("recover");
        },
    }
}

/// Forks, kills and forks again.
pub(super) fn nursery_role(args: &[&str]) {
    super::many::nursery(args, live);
}

/// Takes out what is there: how much.
fn drain(ring: &Ring) -> u64 {
    let _ = ring.recover().unwrap();
    let mut rx = ring.consumer().expect("a seat of a dead one");
    let mut drained = 0;
    loop {
        match rx.try_pop() {
            Ok(message) => check(message),
            Err(RingError::Empty) => return drained,
            Err(e) => panic!("pop: {e}"),
        }
        drained += 1;
    }
}

#[test]
fn many_deaths_on_inline_rings_leak_nothing() {
    let seed = Rng::random_seed();
    let rng = &mut Rng::new(seed);
    // Small, and with two blocks of each seat.
    for (capacity, deaths) in [(4, deaths() / 2), (128, deaths() / 2)] {
        let name = TestName::new("many-deaths-words");
        // A dead process may have sat on one seat and been about to repair another.
        let ring = create(&name, capacity, 3 * ALIVE as u32);
        let (mut left, mut drained) = (deaths, 0);
        while left > 0 {
            let batch = left.min(BATCH);
            left -= batch;
            let seed = rng.next().to_string();
            let args = [name.as_str(), &batch.to_string(), &seed];
            let mut nursery = TestChild::spawn("nursery words", &args);
            nursery.expect("done");
            nursery.join();
            drained += drain(&ring);
            check_clean(&ring);
        }
        let stats = ring.stats().unwrap();
        assert!(stats.pushed > deaths, "only {} entries went through", stats.pushed);
        let _ = writeln!(
            std::io::stderr(),
            "inline, capacity {capacity}: {deaths} deaths (seed {seed}): {} entries went through, {drained} messages were left",
            stats.pushed
        );
    }
}
