//! What happens exactly between two steps of a waiter or a waker.

use crate::common::{TestChild, TestName, listen, say, watchdog};
use crate::interpose::{Moment, clocks_read, happened, looks_at_semaphores, plan};
use segring::spsc::Ring;
use segring::{Peer, RingError, Stats, WaitStrategy};
use std::time::Duration;

#[test]
fn a_message_comes_before_the_news_of_its_producer_whenever_it_goes() {
    for moment in [Moment::Barrier, Moment::LookAtPeer] {
        let name = TestName::new("before-news");
        let _watchdog = watchdog("a wait with a plan");
        let ring = Ring::<u64>::builder(name.name()).capacity(1).create().unwrap();
        let mut rx = ring.consumer().unwrap();
        let mut tx = ring.producer().unwrap();
        plan(moment, move || tx.try_push(7).unwrap());
        assert_eq!(rx.pop(), Ok(7), "{moment:?}");
        assert!(happened());
        let mut tx = ring.producer().unwrap();
        plan(moment, move || {
            tx.try_push(8).unwrap();
            tx.close();
        });
        assert_eq!(rx.pop(), Ok(8), "{moment:?}");
        assert_eq!(rx.pop(), Err(RingError::Closed));
        assert!(happened());
    }
}

#[test]
fn room_comes_before_the_news_of_its_consumer_whenever_it_goes() {
    for moment in [Moment::Barrier, Moment::LookAtPeer] {
        let name = TestName::new("before-news");
        let _watchdog = watchdog("a wait with a plan");
        let ring = Ring::<u64>::builder(name.name()).capacity(1).create().unwrap();
        let mut tx = ring.producer().unwrap();
        tx.try_push(1).unwrap();
        let mut rx = ring.consumer().unwrap();
        plan(moment, move || assert_eq!(rx.try_pop(), Ok(1)));
        assert_eq!(tx.push(2), Ok(()), "{moment:?}");
        assert!(happened());
        assert_eq!(tx.push(3).unwrap_err().error, RingError::PeerGone { died: false });
    }
}

/// Child: a producer that is killed after it has taken the sleeper's bit and before it wakes it.
pub fn killed_waker(name: &str) {
    let mut tx = Ring::<u64>::builder(name).attach().expect("attach").producer().expect("seat");
    plan(Moment::Wake, || {
        // SAFETY: ends this process, as meant.
        unsafe { libc::raise(libc::SIGKILL) };
    });
    say("sits");
    for i in 0.. {
        assert_eq!(listen(), "push");
        tx.push(i).expect("push");
        say("nobody slept");
    }
}

/// A killed waker delays a sleeper by one recheck: the sleep that it is in ends by itself. (That it
/// does not sleep a second time is seen in the model, which knows when the message came.)
#[test]
fn a_killed_waker_costs_one_recheck() {
    for strategy in [WaitStrategy::Sleep, WaitStrategy::Adaptive] {
        let name = TestName::new("killed-waker");
        let _watchdog = watchdog("a sleeper whose waker is killed");
        let ring = Ring::<u64>::builder(name.name()).create().unwrap();
        let mut rx = ring.consumer().unwrap();
        rx.set_wait_strategy(strategy);
        let mut child = TestChild::spawn("killed waker", &[name.as_str()]);
        child.expect("sits");
        let mut next = 0;
        loop {
            let before = rx.wait_stats();
            let popped = std::thread::scope(|s| {
                let popped = s.spawn(|| rx.pop());
                // Time to fall asleep. If it takes longer, nobody is woken, and it is tried again.
                std::thread::sleep(Duration::from_millis(5));
                child.tell("push");
                popped.join().expect("popper")
            });
            assert_eq!(popped, Ok(next), "the message was committed before the kill");
            next += 1;
            if child.hear().is_none() {
                let after = rx.wait_stats();
                let (sleeps, rechecks) = (after.sleeps - before.sleeps, after.rechecks - before.rechecks);
                assert!(rechecks > 0 && sleeps == rechecks, "a wake ended the sleep: {after:?}");
                break;
            }
        }
        assert_eq!(rx.pop(), Err(RingError::PeerGone { died: true }));
    }
}

/// Deadlines are times of `CLOCK_MONOTONIC`, which stands still while the machine is suspended.
#[test]
fn waits_read_the_monotonic_clock_only() {
    let name = TestName::new("clock");
    let ring = Ring::<u64>::builder(name.name()).capacity(1).create().unwrap();
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for strategy in [WaitStrategy::BusySpin, WaitStrategy::Yield, WaitStrategy::Adaptive, WaitStrategy::Sleep]
    {
        rx.set_wait_strategy(strategy);
        tx.set_wait_strategy(strategy);
        clocks_read();
        assert_eq!(rx.pop_timeout(Duration::from_millis(2)), Err(RingError::TimedOut));
        tx.push_timeout(1, Duration::from_millis(2)).unwrap();
        assert_eq!(tx.push_timeout(2, Duration::from_millis(2)).unwrap_err().error, RingError::TimedOut);
        assert_eq!(clocks_read(), [libc::CLOCK_MONOTONIC], "{strategy:?}");
        assert_eq!(rx.try_pop(), Ok(1));
    }
}

/// A sleeper without a time limit whose waker was killed is woken by the next one that joins.
#[test]
fn a_successor_wakes_who_a_killed_waker_left_asleep() {
    let name = TestName::new("successor");
    let ring = Ring::<u64>::builder(name.name()).create().unwrap();
    let mut consumer = TestChild::spawn("told consumer", &[name.as_str()]);
    consumer.expect("empty");
    let mut next = 0;
    loop {
        let mut waker = TestChild::spawn("killed waker", &[name.as_str()]);
        waker.expect("sits");
        // Time to fall asleep. If it takes longer, nobody is woken, and it is tried again.
        std::thread::sleep(Duration::from_millis(50));
        waker.tell("push");
        let killed = waker.hear().is_none();
        drop(waker);
        if killed {
            break;
        }
        next += 1;
        consumer.expect("Ok(0)");
        assert!(next < 3, "the consumer never sleeps");
    }
    let tx = ring.producer().unwrap();
    consumer.expect("Ok(0)");
    drop(tx);
}

#[test]
fn removal_wakes_a_sleeper_that_nobody_can_come_to() {
    let name = TestName::new("removal");
    let ring = Ring::<u64>::builder(name.name()).create().unwrap();
    let mut consumer = TestChild::spawn("told consumer", &[name.as_str()]);
    consumer.expect("empty");
    std::thread::sleep(Duration::from_millis(50));
    ring.remove().unwrap();
    for _ in 0..3 {
        consumer.expect("Err(Removed)");
    }
}

/// Whoever is woken by a leaving peer finds its seat free: else it would sleep again.
#[test]
fn a_leaving_side_wakes_after_it_has_left() {
    let name = TestName::new("leaves");
    let ring = std::sync::Arc::new(Ring::<u64>::builder(name.name()).create().unwrap());
    let (tx, rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    // Said after it: a panic within a system call would end the process, and leave the ring.
    let found = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let look = |side: fn(&Stats) -> Peer| {
        let (ring, found) = (ring.clone(), found.clone());
        plan(Moment::Wake, move || found.lock().unwrap().push(ring.stats().map(|stats| side(&stats))));
    };
    look(|stats| stats.producer);
    drop(tx);
    assert!(happened());
    look(|stats| stats.consumer);
    drop(rx);
    assert!(happened());
    let found: Vec<_> = found.lock().unwrap().drain(..).map(Result::unwrap).collect();
    assert_eq!(found, [Peer::Left, Peer::Left]);
}

/// A removed ring whose peers go on is a usual thing. A mark in shared memory that stays there must
/// not make a waiter ask the kernel at each look.
#[test]
fn a_mark_that_stays_is_not_followed_for_ever() {
    for strategy in [WaitStrategy::BusySpin, WaitStrategy::Yield, WaitStrategy::Adaptive, WaitStrategy::Sleep]
    {
        let name = TestName::new("removed-live");
        let ring = Ring::<u64>::builder(name.name()).create().unwrap();
        let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
        ring.remove().unwrap();
        rx.set_wait_strategy(strategy);
        looks_at_semaphores();
        assert_eq!(rx.pop_timeout(Duration::from_millis(20)), Err(RingError::TimedOut));
        let looks = looks_at_semaphores();
        assert!(looks < 100, "{strategy:?}: {looks} looks at semaphores in one wait");
        tx.push(1).unwrap();
        assert_eq!(rx.pop(), Ok(1));
        drop(tx);
        assert_eq!(rx.pop(), Err(RingError::PeerGone { died: false }));
        assert_eq!(rx.pop(), Err(RingError::Removed));
    }
}
