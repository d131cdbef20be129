//! Messages that come back: whoever puts them into the ring wakes who sleeps for one.

use super::{Slots, ring, sits};
use crate::common::TestName;
use segring::mpmc::{Consumer, Ring};
use segring::{Trusted, mpmc};

fn trusted(ring: &Ring<Slots>) -> Trusted<Consumer<Slots>> {
    // SAFETY: nobody writes into this segment except through segring.
    unsafe { ring.consumer().unwrap().trust_peers() }
}

#[test]
fn handing_back_wakes_a_sleeping_consumer() {
    let (name, ring) = ring::<Slots>(4);
    let mut tx = ring.producer().unwrap();
    let mut worker = trusted(&ring);
    let mut consumer = sits::<Slots>(&name, "consume");
    for i in 0..3 {
        tx.try_push([i; 7]).unwrap();
        let job = worker.try_take().unwrap();
        consumer.sleeps_in("pop");
        job.hand_back();
        consumer.child.expect(&format!("Ok({i})"));
    }
}

/// What the ring had no room for is handed back when other work is done.
#[test]
fn handing_back_late_wakes_a_sleeping_consumer() {
    let name = TestName::new("many");
    let ring = mpmc::Ring::<Slots>::builder(name.name()).capacity(1).in_hand(2).create().unwrap();
    let mut tx = ring.producer().unwrap();
    let mut worker = trusted(&ring);
    let mut consumer = sits::<Slots>(&name, "consume");
    tx.try_push([0; 7]).unwrap();
    let first = worker.try_take().unwrap();
    tx.try_push([1; 7]).unwrap();
    let second = worker.try_take().unwrap();
    tx.try_push([2; 7]).unwrap();
    first.hand_back();
    consumer.answers("pop", "Ok(2)");
    consumer.sleeps_in("pop");
    second.release();
    consumer.child.expect("Ok(0)");
}

/// A consumer with a message in hand is killed while another one sleeps. What brings it back is kept until
/// the end: leaving would wake the sleeper.
fn killed_with_one_in_hand<K>(then: impl FnOnce(&Ring<Slots>) -> K) {
    let (name, ring) = ring::<Slots>(4);
    let mut tx = ring.producer().unwrap();
    let mut victim = sits::<Slots>(&name, "consume");
    let mut consumer = sits::<Slots>(&name, "consume");
    tx.try_push([3; 7]).unwrap();
    victim.answers("take", "Ok(3)");
    consumer.sleeps_in("pop");
    victim.child.kill();
    let _kept = then(&ring);
    consumer.child.expect("Ok(3)");
}

#[test]
fn who_brings_back_what_the_dead_held_wakes_a_sleeping_consumer() {
    killed_with_one_in_hand(|ring| assert_eq!(ring.recover().unwrap().messages, 1));
    // Who joins as a consumer wakes no other one, but for this.
    killed_with_one_in_hand(|ring| ring.consumer().unwrap());
}

/// What it could not hand back is its seat's. Whoever sleeps is woken, and takes the seat over.
#[test]
fn who_leaves_something_behind_wakes_a_sleeping_consumer() {
    let (name, ring) = ring::<Slots>(1);
    let mut tx = ring.producer().unwrap();
    let mut worker = trusted(&ring);
    let mut consumer = sits::<Slots>(&name, "consume");
    tx.try_push([0; 7]).unwrap();
    let job = worker.try_take().unwrap();
    tx.try_push([1; 7]).unwrap();
    job.hand_back();
    consumer.answers("pop", "Ok(1)");
    consumer.sleeps_in("pop");
    drop(worker);
    consumer.child.expect("Ok(0)");
}
