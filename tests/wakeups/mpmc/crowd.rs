//! A crowd that sleeps and wakes by the thousand: two producers and two consumers, each now too early
//! and now too late, on a ring that is nearly always full or empty.

use super::{Message, Slots, ring};
use crate::common::{TestChild, say, watchdog};
use segring::mpmc::Ring;
use segring::{RingError, WaitStrategy};
use std::hint::black_box;

/// Of each producer.
const MESSAGES: u64 = 4_000;

/// In turn, in blocks: sleepers mostly, and now and then one who looks first.
fn strategy(i: u64) -> WaitStrategy {
    [WaitStrategy::Sleep, WaitStrategy::Adaptive, WaitStrategy::Sleep][(i / 250 % 3) as usize]
}

fn delay(i: u64) {
    (0..i * 7919 % [1, 300, 3000][(i / 100 % 3) as usize]).for_each(|n| _ = black_box(n));
}

/// Child: a producer. Says how often it slept.
pub fn worker(name: &str, kind: &str) {
    if kind == "words" { produce::<u64>(name) } else { produce::<Slots>(name) }
}

/// Child: a consumer. Says how often it slept, and what it got.
pub fn taker(name: &str, kind: &str) {
    if kind == "words" { consume::<u64>(name) } else { consume::<Slots>(name) }
}

fn produce<T: Message>(name: &str) {
    let mut tx = Ring::<T>::builder(name).attach().expect("attach").producer().expect("seat");
    let mut i = 0;
    while i < MESSAGES {
        tx.set_wait_strategy(strategy(i));
        delay(i);
        if i % 10 < 5 {
            tx.push(T::of(i)).expect("push");
            i += 1;
            continue;
        }
        // Some in one call, as many as fit.
        let some: Vec<T> = (i..(i + 5).min(MESSAGES)).map(T::of).collect();
        match tx.push_slice(&some).expect("slice") as u64 {
            0 => tx.wait_for_room(None).expect("room"),
            n => i += n,
        }
    }
    say(&tx.wait_stats().sleeps.to_string());
}

fn consume<T: Message>(name: &str) {
    let mut rx = Ring::<T>::builder(name).attach().expect("attach").consumer().expect("seat");
    let (mut got, mut sum, mut into) = (0, 0, [T::of(0); 5]);
    let end = loop {
        rx.set_wait_strategy(strategy(got));
        delay(got);
        let popped = if got % 10 < 5 {
            rx.pop().map(|item| {
                into[0] = item;
                1
            })
        } else {
            rx.wait_for_message(None).and_then(|()| rx.pop_slice(&mut into))
        };
        match popped {
            Ok(n) => {
                got += n as u64;
                sum += into[..n].iter().map(Message::number).sum::<u64>();
            }
            Err(end) => break end,
        }
    };
    assert_eq!(end, RingError::Closed);
    say(&rx.wait_stats().sleeps.to_string());
    say(&got.to_string());
    say(&sum.to_string());
}

fn a_crowd<T: Message>(capacity: usize) {
    let (name, ring) = ring::<T>(capacity);
    // Kept, so that nobody is told that the others have left.
    let (mut closer, _rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let children = |role: &str| [0, 1].map(|_| TestChild::spawn(role, &[name.as_str(), T::KIND]));
    let mut takers = children("many taker");
    let mut workers = children("many worker");
    let _watchdog = watchdog("a wakeup is lost in a crowd");
    let number =
        |child: &mut TestChild| child.hear().expect("it ends well").parse::<u64>().expect("a number");
    let mut sleeps: u64 = workers.iter_mut().map(number).sum();
    closer.close().unwrap();
    let (mut got, mut sum) = (0, 0);
    for taker in &mut takers {
        sleeps += number(taker);
        got += number(taker);
        sum += number(taker);
    }
    assert_eq!((got, sum), (2 * MESSAGES, MESSAGES * (MESSAGES - 1)));
    workers.into_iter().chain(takers).for_each(TestChild::join);
    eprintln!("{got} messages of {}, capacity {capacity}: {sleeps} sleeps", T::KIND);
    assert!(sleeps > 0, "nobody ever slept: nothing was tested");
}

#[test]
fn nobody_in_a_crowd_is_forgotten() {
    for capacity in [1, 4] {
        a_crowd::<Slots>(capacity);
        a_crowd::<u64>(capacity);
    }
}
