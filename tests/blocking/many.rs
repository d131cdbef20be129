//! The same of rings of many producers and consumers, in slots and in entries: signals, time limits, what
//! a killed sleeper leaves behind, and that a sleeper finds out by itself about those who are killed.

use crate::common::{listen, say};
use crate::many_rings::{Message, ring, sits};
use crate::raw::RawSegment;
use crate::{DEAD, SIGNALS, handle_signals, interrupt, limit};
use segring::RingError;
use segring::mpmc::Ring;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

pub(crate) fn child(name: &str, kind: &str) {
    if kind == "words" { obey::<u64>(name) } else { obey::<[u64; 7]>(name) }
}

/// Has one side, and does what it is told.
fn obey<T: Message>(name: &str) {
    let ring = Ring::<T>::builder(name).attach().expect("attach");
    let (mut tx, mut rx) = (None, None);
    loop {
        let line = listen();
        let mut words = line.split(' ');
        let answer = match (words.next().unwrap_or_default(), words.next(), words.next()) {
            ("produce", ..) => {
                tx = Some(ring.producer().expect("seat"));
                "sits".into()
            }
            ("consume", ..) => {
                rx = Some(ring.consumer().expect("seat"));
                "sits".into()
            }
            ("handle", ..) => {
                handle_signals();
                "ready".into()
            }
            ("signals", ..) => SIGNALS.load(SeqCst).to_string(),
            ("pop", t, _) => {
                let rx = rx.as_mut().expect("seat");
                let popped = match limit(t) {
                    None => rx.pop(),
                    Some(t) => rx.pop_timeout(t),
                };
                format!("{:?}", popped.map(|item| item.number()))
            }
            ("push", Some(n), t) => {
                let (tx, item) = (tx.as_mut().expect("seat"), T::of(n.parse().expect("a number")));
                let pushed = match limit(t) {
                    None => tx.push(item),
                    Some(t) => tx.push_timeout(item, t),
                };
                format!("{:?}", pushed.map_err(RingError::from))
            }
            other => panic!("no such command: {other:?}"),
        };
        say(&answer);
    }
}

fn no_signal_interrupts<T: Message>() {
    let (name, ring) = ring::<T>(1);
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut consumer = sits::<T>(&name, "consume");
    let mut producer = sits::<T>(&name, "produce");
    for sleeper in [&mut consumer, &mut producer] {
        sleeper.answers("handle", "ready");
    }
    for i in 0..3 {
        consumer.sleeps_in("pop");
        interrupt(&consumer);
        tx.push(T::of(i)).unwrap();
        consumer.child.expect(&format!("Ok({i})"));
        tx.push(T::of(i)).unwrap();
        producer.sleeps_in("push 7");
        interrupt(&producer);
        assert_eq!(rx.pop().unwrap().number(), i);
        producer.child.expect("Ok(())");
        assert_eq!(rx.pop().unwrap().number(), 7);
    }
    for mut sleeper in [consumer, producer] {
        sleeper.child.tell("signals");
        let seen: u32 = sleeper.child.hear().unwrap().parse().unwrap();
        assert!((1..=12).contains(&seen), "{seen} signals handled");
    }
}

#[test]
fn no_signal_interrupts_a_wait_among_many() {
    no_signal_interrupts::<[u64; 7]>();
    no_signal_interrupts::<u64>();
}

fn time_limits<T: Message>() {
    let (name, ring) = ring::<T>(1);
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut consumer = sits::<T>(&name, "consume");
    let mut producer = sits::<T>(&name, "produce");
    for time in ["0", "5", "120"] {
        consumer.answers(&format!("pop {time}"), "Err(TimedOut)");
    }
    consumer.sleeps_in("pop max");
    tx.push_timeout(T::of(1), Duration::ZERO).unwrap();
    consumer.child.expect("Ok(1)");
    tx.push(T::of(2)).unwrap();
    for time in ["0", "5", "120"] {
        producer.answers(&format!("push 3 {time}"), "Err(TimedOut)");
    }
    producer.sleeps_in("push 3 max");
    assert_eq!(rx.pop_timeout(Duration::ZERO).unwrap().number(), 2);
    producer.child.expect("Ok(())");
    consumer.answers("pop 0", "Ok(3)");
}

#[test]
fn time_limits_among_many() {
    time_limits::<[u64; 7]>();
    time_limits::<u64>();
}

/// The word on which consumers sleep, past the library. By docs/layout.md.
fn consumer_waits<T: Message>(ring: &Ring<T>) -> i32 {
    let raw = RawSegment::attach(ring.id());
    raw.get_i32(raw.get_u64(104) as usize + 256 + 4)
}

fn a_killed_sleeper_costs_one_wake<T: Message>() {
    let (name, ring) = ring::<T>(4);
    let mut tx = ring.producer().unwrap();
    for round in 0..3 {
        let mut killed = sits::<T>(&name, "consume");
        killed.sleeps_in("pop");
        killed.child.kill();
        assert_ne!(consumer_waits(&ring), 0, "what a killed sleeper leaves");
        tx.try_push(T::of(round)).unwrap();
        assert_eq!(consumer_waits(&ring), 0, "one wake for nobody, and then none");
        let mut next = sits::<T>(&name, "consume");
        next.answers("pop", &format!("Ok({round})"));
    }
}

#[test]
fn a_killed_sleeper_among_many_costs_one_wake() {
    a_killed_sleeper_costs_one_wake::<[u64; 7]>();
    a_killed_sleeper_costs_one_wake::<u64>();
}

/// Who is killed wakes nobody.
fn a_sleeper_finds_out<T: Message>() {
    let (name, ring) = ring::<T>(1);
    let mut consumer = sits::<T>(&name, "consume");
    let mut producer = sits::<T>(&name, "produce");
    consumer.sleeps_in("pop");
    producer.child.kill();
    consumer.child.expect(DEAD);
    // Told once.
    consumer.answers("pop 5", "Err(TimedOut)");
    let mut producer = sits::<T>(&name, "produce");
    producer.answers("push 1", "Ok(())");
    consumer.answers("pop", "Ok(1)");
    producer.answers("push 2", "Ok(())");
    producer.sleeps_in("push 3");
    consumer.child.kill();
    producer.child.expect(DEAD);
    producer.answers("push 3 5", "Err(TimedOut)");
    assert_eq!(ring.consumer().unwrap().pop().unwrap().number(), 2);
    producer.answers("push 3", "Ok(())");
}

#[test]
fn a_sleeper_among_many_finds_out_that_the_other_side_is_dead() {
    a_sleeper_finds_out::<[u64; 7]>();
    a_sleeper_finds_out::<u64>();
}
