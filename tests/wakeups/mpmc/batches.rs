//! One call that moves several messages, or makes room for several, or for one after all.

use super::{Message, Slots, ring, sits};
use crate::remote::Remote;

/// A batch takes one entry, and there is room when its last message is taken, together with whichever
/// others.
#[test]
fn the_last_part_of_a_batch_wakes_a_producer() {
    let (name, ring) = ring::<u64>(1);
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut producer = sits::<u64>(&name, "produce");
    let mut into = [0; 8];
    for (first, rest) in [(0, 8), (3, 5), (6, 2), (7, 1)] {
        assert_eq!(tx.push_slice(&[0, 1, 2, 3, 4, 5, 6, 7]), Ok(8), "in one entry");
        producer.sleeps_in("push 8");
        assert_eq!(rx.pop_slice(&mut into[..first]), Ok(first));
        // Nobody is asked for room that is not there.
        producer.falls_asleep();
        assert_eq!(rx.pop_slice(&mut into[first..]), Ok(rest));
        producer.child.expect("Ok(())");
        assert_eq!((into, rx.try_pop()), ([0, 1, 2, 3, 4, 5, 6, 7], Ok(8)));
    }
}

/// The same, by a consumer that has slept until the batch came.
#[test]
fn a_batch_of_which_a_sleeper_got_the_last_one_wakes_a_producer() {
    let (name, ring) = ring::<u64>(1);
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut producer = sits::<u64>(&name, "produce");
    let mut consumer = sits::<u64>(&name, "consume");
    consumer.answers("hold-when-woken", "ready");
    consumer.sleeps_in("pop");
    assert_eq!(tx.push_slice(&[0, 1, 2, 3]), Ok(4));
    consumer.child.expect("woken");
    let mut into = [0; 3];
    assert_eq!(rx.pop_slice(&mut into), Ok(3));
    producer.sleeps_in("push 4");
    consumer.answers("go", "Ok(3)");
    producer.child.expect("Ok(())");
}

/// Three children that sleep in this.
fn three<T: Message>(name: &crate::common::TestName, side: &str, call: &str) -> Vec<Remote> {
    let mut three: Vec<_> = (0..3).map(|_| sits::<T>(name, side)).collect();
    three.iter_mut().for_each(|one| one.sleeps_in(call));
    three
}

fn a_slice_wakes_a_consumer_for_each<T: Message>() {
    let (name, ring) = ring::<T>(4);
    let mut tx = ring.producer().unwrap();
    let mut consumers = three::<T>(&name, "consume", "pop");
    assert_eq!(tx.push_slice(&[T::of(7); 4]), Ok(4));
    consumers.iter_mut().for_each(|consumer| consumer.child.expect("Ok(7)"));
}

#[test]
fn a_slice_wakes_a_consumer_for_each_of_its_messages() {
    a_slice_wakes_a_consumer_for_each::<Slots>();
    a_slice_wakes_a_consumer_for_each::<u64>();
}

fn a_slice_wakes_a_producer_for_each<T: Message>() {
    let (name, ring) = ring::<T>(4);
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    (0..4).for_each(|i| tx.try_push(T::of(i)).unwrap());
    let mut producers = three::<T>(&name, "produce", "push 7");
    assert_eq!(rx.pop_slice(&mut [T::of(0); 3]), Ok(3));
    producers.iter_mut().for_each(|producer| producer.child.expect("Ok(())"));
}

#[test]
fn a_slice_of_pops_wakes_a_producer_for_each_place() {
    a_slice_wakes_a_producer_for_each::<Slots>();
    a_slice_wakes_a_producer_for_each::<u64>();
}
