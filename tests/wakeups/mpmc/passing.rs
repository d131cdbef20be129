//! One wake for one message or one place. Who was woken and does not use it passes it on; who takes
//! the bit of somebody that does not sleep there goes on to the next.
//!
//! Wakers choose the lowest bit, so the one that sat down first.

use super::{Message, Slots, ring, sits};
use crate::common::TestName;
use segring::{RingError, WaitStrategy, mpmc};
use std::time::Duration;

fn who_waited_for_a_message_passes_the_wake_on<T: Message>() {
    let (name, ring) = ring::<T>(4);
    let mut tx = ring.producer().unwrap();
    let mut looks = sits::<T>(&name, "consume");
    let mut pops = sits::<T>(&name, "consume");
    for i in 0..3 {
        looks.sleeps_in("message");
        pops.sleeps_in("pop");
        tx.try_push(T::of(i)).unwrap();
        looks.child.expect("Ok(())");
        pops.child.expect(&format!("Ok({i})"));
    }
}

#[test]
fn who_waited_for_a_message_and_takes_none_passes_the_wake_on() {
    who_waited_for_a_message_passes_the_wake_on::<Slots>();
    who_waited_for_a_message_passes_the_wake_on::<u64>();
}

fn who_waited_for_room_passes_the_wake_on<T: Message>() {
    let (name, ring) = ring::<T>(1);
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut looks = sits::<T>(&name, "produce");
    let mut pushes = sits::<T>(&name, "produce");
    for i in 0..3 {
        tx.try_push(T::of(0)).unwrap();
        looks.sleeps_in("room");
        pushes.sleeps_in(&format!("push {i}"));
        assert_eq!(rx.try_pop().unwrap().number(), 0);
        looks.child.expect("Ok(())");
        pushes.child.expect("Ok(())");
        assert_eq!(rx.try_pop().unwrap().number(), i);
    }
}

#[test]
fn who_waited_for_room_and_pushes_nothing_passes_the_wake_on() {
    who_waited_for_room_passes_the_wake_on::<Slots>();
    who_waited_for_room_passes_the_wake_on::<u64>();
}

/// A consumer is woken for a message, and finds that it has one of its own to see to, which it could not
/// hand back.
#[test]
fn who_takes_another_message_than_it_was_woken_for_passes_the_wake_on() {
    let name = TestName::new("many");
    let ring = mpmc::Ring::<Slots>::builder(name.name()).capacity(1).in_hand(2).create().unwrap();
    let mut tx = ring.producer().unwrap();
    let mut owes = sits::<Slots>(&name, "consume");
    let mut pops = sits::<Slots>(&name, "consume");
    tx.try_push([1; 7]).unwrap();
    owes.answers("take", "Ok(1)");
    owes.answers("hand-back-when-woken", "ready");
    owes.sleeps_in("pop");
    pops.sleeps_in("pop");
    // The ring is full with this.
    tx.try_push([2; 7]).unwrap();
    owes.child.expect("woken");
    owes.child.expect("Ok(1)");
    pops.child.expect("Ok(2)");
}

/// A killed sleeper leaves its bit. A wake that finds nobody there is somebody else's.
fn a_wake_for_nobody_goes_to_the_next<T: Message>() {
    let (name, ring) = ring::<T>(4);
    let mut tx = ring.producer().unwrap();
    let mut killed = sits::<T>(&name, "consume");
    let mut next = sits::<T>(&name, "consume");
    killed.sleeps_in("pop");
    next.sleeps_in("pop");
    killed.child.kill();
    tx.try_push(T::of(1)).unwrap();
    next.child.expect("Ok(1)");
}

#[test]
fn a_wake_for_a_killed_sleeper_goes_to_the_next() {
    a_wake_for_nobody_goes_to_the_next::<Slots>();
    a_wake_for_nobody_goes_to_the_next::<u64>();
}

/// Nor does a stopped one sleep: the kernel takes it off the word.
fn a_wake_for_a_stopped_sleeper_goes_to_the_next<T: Message>() {
    let (name, ring) = ring::<T>(4);
    let mut tx = ring.producer().unwrap();
    let mut stopped = sits::<T>(&name, "consume");
    let mut next = sits::<T>(&name, "consume");
    stopped.sleeps_in("pop");
    next.sleeps_in("pop");
    stopped.child.signal(libc::SIGSTOP);
    // SAFETY: our own child, which is not reaped by this; no status is asked for.
    unsafe { libc::waitpid(stopped.child.pid(), std::ptr::null_mut(), libc::WUNTRACED) };
    tx.try_push(T::of(1)).unwrap();
    next.child.expect("Ok(1)");
    tx.try_push(T::of(2)).unwrap();
    stopped.child.signal(libc::SIGCONT);
    stopped.child.expect("Ok(2)");
}

#[test]
fn a_wake_for_one_that_is_stopped_goes_to_the_next() {
    a_wake_for_a_stopped_sleeper_goes_to_the_next::<Slots>();
    a_wake_for_a_stopped_sleeper_goes_to_the_next::<u64>();
}

/// Two consumers with one bit, as seats that are 32 apart have. One sleeps; the other one gives up, and takes
/// the bit of both away.
fn who_gives_up_a_shared_bit_wakes_the_other_one<T: Message>() {
    let (name, ring) = ring::<T>(4);
    let mut gives_up = ring.consumer().unwrap();
    gives_up.set_wait_strategy(WaitStrategy::Sleep);
    let between: Vec<_> = (1..32).map(|_| ring.producer().unwrap()).collect();
    let mut sleeper = sits::<T>(&name, "consume");
    let mut tx = ring.producer().unwrap();
    sleeper.sleeps_in("pop");
    // Until it has slept, too: its time may be over before.
    while gives_up.wait_stats().sleeps == 0 {
        assert_eq!(gives_up.pop_timeout(Duration::from_millis(5)).unwrap_err(), RingError::TimedOut);
    }
    tx.try_push(T::of(1)).unwrap();
    sleeper.child.expect("Ok(1)");
    drop(between);
}

#[test]
fn who_gives_up_a_bit_wakes_those_who_share_it() {
    who_gives_up_a_shared_bit_wakes_the_other_one::<Slots>();
    who_gives_up_a_shared_bit_wakes_the_other_one::<u64>();
}
