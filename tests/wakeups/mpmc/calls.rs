//! Each call that moves a message wakes who sleeps for it, whichever way it takes through the code.

use super::{Message, Slots, ring, sits};

/// Enough for each way: the clock is looked at once in 16 messages, and each of two handles finds now
/// its own last place, now another's.
const ROUNDS: u64 = 40;

/// By turns: one handle twice, then the other one twice.
fn turn(round: u64) -> usize {
    (round / 2 % 2) as usize
}

fn each_push_wakes_a_consumer<T: Message>() {
    let (name, ring) = ring::<T>(4);
    let mut txs = [ring.producer().unwrap(), ring.producer().unwrap()];
    let mut consumer = sits::<T>(&name, "consume");
    for i in 0..ROUNDS {
        consumer.sleeps_in(if i % 5 == 4 { "message" } else { "pop" });
        let (tx, item) = (&mut txs[turn(i)], T::of(i));
        match i % 3 {
            0 => tx.try_push(item).unwrap(),
            1 => tx.push(item).unwrap(),
            _ => assert_eq!(tx.push_slice(&[item]), Ok(1)),
        }
        if i % 5 == 4 {
            consumer.child.expect("Ok(())");
            consumer.child.tell("pop");
        }
        consumer.child.expect(&format!("Ok({i})"));
    }
}

#[test]
fn each_push_wakes_a_sleeping_consumer() {
    each_push_wakes_a_consumer::<Slots>();
    each_push_wakes_a_consumer::<u64>();
}

fn each_pop_wakes_a_producer<T: Message>() {
    let (name, ring) = ring::<T>(1);
    let mut rxs = [ring.consumer().unwrap(), ring.consumer().unwrap()];
    let mut producer = sits::<T>(&name, "produce");
    producer.answers("push 0", "Ok(())");
    for i in 0..ROUNDS {
        if i % 5 == 4 {
            producer.sleeps_in("room");
        } else {
            producer.sleeps_in(&format!("push {}", i + 1));
        }
        let rx = &mut rxs[turn(i)];
        let mut into = [T::of(0)];
        match i % 3 {
            0 => into[0] = rx.try_pop().unwrap(),
            1 => into[0] = rx.pop().unwrap(),
            _ => assert_eq!(rx.pop_slice(&mut into), Ok(1)),
        }
        assert_eq!(into[0].number(), i);
        producer.child.expect("Ok(())");
        if i % 5 == 4 {
            producer.answers(&format!("push {}", i + 1), "Ok(())");
        }
    }
}

#[test]
fn each_pop_wakes_a_sleeping_producer() {
    each_pop_wakes_a_producer::<Slots>();
    each_pop_wakes_a_producer::<u64>();
}

/// Two wait: the one that comes to its message has slept for it, and the other one, which sleeps for
/// the room, came when the message was already there.
fn a_pop_that_has_waited_wakes_a_producer<T: Message>(call: &str) {
    let (name, ring) = ring::<T>(1);
    let mut tx = ring.producer().unwrap();
    let mut producer = sits::<T>(&name, "produce");
    let mut consumer = sits::<T>(&name, "consume");
    consumer.answers("hold-when-woken", "ready");
    consumer.sleeps_in(call);
    tx.try_push(T::of(1)).unwrap();
    consumer.child.expect("woken");
    producer.sleeps_in("push 2");
    consumer.answers("go", "Ok(1)");
    producer.child.expect("Ok(())");
}

#[test]
fn a_pop_that_has_waited_wakes_a_sleeping_producer() {
    a_pop_that_has_waited_wakes_a_producer::<Slots>("pop");
    a_pop_that_has_waited_wakes_a_producer::<Slots>("take");
    a_pop_that_has_waited_wakes_a_producer::<u64>("pop");
}

fn a_push_that_has_waited_wakes_a_consumer<T: Message>() {
    let (name, ring) = ring::<T>(1);
    let mut rx = ring.consumer().unwrap();
    let mut producer = sits::<T>(&name, "produce");
    let mut consumer = sits::<T>(&name, "consume");
    producer.answers("push 0", "Ok(())");
    producer.answers("hold-when-woken", "ready");
    producer.sleeps_in("push 1");
    assert_eq!(rx.try_pop().unwrap().number(), 0);
    producer.child.expect("woken");
    consumer.sleeps_in("pop");
    producer.answers("go", "Ok(())");
    consumer.child.expect("Ok(1)");
}

#[test]
fn a_push_that_has_waited_wakes_a_sleeping_consumer() {
    a_push_that_has_waited_wakes_a_consumer::<Slots>();
    a_push_that_has_waited_wakes_a_consumer::<u64>();
}
