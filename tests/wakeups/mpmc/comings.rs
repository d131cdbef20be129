//! What concerns everybody: the end of the ring, and those who come and go.

use super::{Message, Slots, ring, sits};
use crate::remote::Remote;

const GONE: &str = "Err(PeerGone { died: false })";

/// Two that sleep, each in another call.
fn two<T: Message>(name: &crate::common::TestName, side: &str, calls: [&str; 2]) -> [Remote; 2] {
    let mut two = [sits::<T>(name, side), sits::<T>(name, side)];
    two.iter_mut().zip(calls).for_each(|(one, call)| one.sleeps_in(call));
    two
}

fn all_hear(two: &mut [Remote], answer: &str) {
    two.iter_mut().for_each(|one| one.child.expect(answer));
}

fn closing_wakes_consumers<T: Message>() {
    let (name, ring) = ring::<T>(1);
    let mut tx = ring.producer().unwrap();
    let mut consumers = two::<T>(&name, "consume", ["pop", "message"]);
    tx.close().unwrap();
    all_hear(&mut consumers, "Err(Closed)");
}

#[test]
fn closing_wakes_all_consumers() {
    closing_wakes_consumers::<Slots>();
    closing_wakes_consumers::<u64>();
}

fn closing_wakes_producers<T: Message>() {
    let (name, ring) = ring::<T>(1);
    let mut tx = ring.producer().unwrap();
    tx.try_push(T::of(0)).unwrap();
    let mut producers = two::<T>(&name, "produce", ["push 1", "room"]);
    tx.close().unwrap();
    all_hear(&mut producers, "Err(Closed)");
}

#[test]
fn closing_wakes_all_producers() {
    closing_wakes_producers::<Slots>();
    closing_wakes_producers::<u64>();
}

fn a_leaving_producer_wakes<T: Message>() {
    let (name, ring) = ring::<T>(1);
    let tx = ring.producer().unwrap();
    let mut consumers = two::<T>(&name, "consume", ["pop", "message"]);
    drop(tx);
    all_hear(&mut consumers, GONE);
}

#[test]
fn the_last_producer_that_leaves_wakes_all_consumers() {
    a_leaving_producer_wakes::<Slots>();
    a_leaving_producer_wakes::<u64>();
}

fn a_leaving_consumer_wakes<T: Message>() {
    let (name, ring) = ring::<T>(1);
    let rx = ring.consumer().unwrap();
    ring.producer().unwrap().try_push(T::of(0)).unwrap();
    let mut producers = two::<T>(&name, "produce", ["push 1", "room"]);
    drop(rx);
    all_hear(&mut producers, GONE);
}

#[test]
fn the_last_consumer_that_leaves_wakes_all_producers() {
    a_leaving_consumer_wakes::<Slots>();
    a_leaving_consumer_wakes::<u64>();
}

fn removal_wakes<T: Message>() {
    let (name, ring) = ring::<T>(1);
    let mut consumers = two::<T>(&name, "consume", ["pop", "message"]);
    ring.remove().unwrap();
    all_hear(&mut consumers, "Err(Removed)");
}

#[test]
fn removal_wakes_all_consumers() {
    removal_wakes::<Slots>();
    removal_wakes::<u64>();
}

/// A waker was killed between taking a sleeper's bit and waking it. Whoever joins makes up for it.
fn a_successor_of_a_killed_producer_wakes<T: Message>() {
    let (name, ring) = ring::<T>(4);
    let mut consumer = sits::<T>(&name, "consume");
    let mut waker = sits::<T>(&name, "produce");
    consumer.sleeps_in("pop");
    waker.answers("die-when-waking", "ready");
    waker.child.tell("push 5");
    assert_eq!(waker.child.hear(), None, "killed");
    let _successor = ring.producer().unwrap();
    consumer.child.expect("Ok(5)");
}

#[test]
fn a_successor_of_a_killed_producer_wakes_whom_it_left_asleep() {
    a_successor_of_a_killed_producer_wakes::<Slots>();
    a_successor_of_a_killed_producer_wakes::<u64>();
}

/// In the entries only: in slots, what the killed consumer had taken comes back, and takes the room.
#[test]
fn a_successor_of_a_killed_consumer_wakes_whom_it_left_asleep() {
    let (name, ring) = ring::<u64>(1);
    let mut producer = sits::<u64>(&name, "produce");
    let mut waker = sits::<u64>(&name, "consume");
    producer.answers("push 0", "Ok(())");
    producer.sleeps_in("push 1");
    waker.answers("die-when-waking", "ready");
    waker.child.tell("pop");
    assert_eq!(waker.child.hear(), None, "killed");
    let _successor = ring.consumer().unwrap();
    producer.child.expect("Ok(())");
}
