//! kill -9 under load, for long: four producers and four consumers, as processes, of which one is killed
//! every few milliseconds, at a random moment, and started anew. Every message is accounted for.
//!
//! The same of a ring whose messages lie in its entries, with slices: see `inline`.
//!
//! Some consumers copy; some take, hold several and release in any order; some hand back now and then.
//! `SEGRING_SOAK=SECONDS`: for so long (default 4), in epochs of a few seconds with a ring of their own.

mod books;
mod brood;
#[path = "../common/mod.rs"]
mod common;
#[path = "../harness/mod.rs"]
mod harness;
mod inline;
#[path = "../common/raw.rs"]
mod raw;
mod slots;
mod worker;

use books::{Books, Event, IN_HAND, Kills, PRODUCERS, Totals, WORKERS};
use brood::Kid;
use common::{TestChild, TestName, child_role, say};
use harness::{Rng, Shared};
use segring::RingError;
use std::io::Write;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};
use worker::Ring;

/// Each epoch is a child of its own, which the watchdog of `common` allows a minute.
const EPOCH: u64 = 5;

#[test]
fn child_main() {
    let Some((role, args)) = child_role() else { return };
    let [name, seconds, capacity, seed] = &args[..] else { panic!("arguments") };
    let number = |s: &str| s.parse::<u64>().expect("a number");
    let epoch = match role.as_str() {
        "epoch" => epoch,
        "epoch inline" => inline::epoch,
        _ => panic!("unknown role {role}"),
    };
    epoch(name, number(seconds), number(capacity) as usize, number(seed));
}

fn work(name: &str, books: &Books, who: usize, seed: u64) {
    let rng = &mut Rng::new(seed);
    let ring = Ring::builder(name).attach().expect("attach");
    match who {
        0..PRODUCERS => worker::produce(&ring, books, who, rng),
        4 | 5 => worker::pop(&ring, books, who, rng),
        6 => worker::take(&ring, books, who, rng, false),
        _ => worker::take(&ring, books, who, rng, true),
    }
}

/// A ring from its making to its end: the parent of the eight, and their bookkeeper.
fn epoch(name: &str, seconds: u64, capacity: usize, seed: u64) {
    let rng = &mut Rng::new(seed);
    // A dying process may be about to repair another's seat, and changing its own.
    let seats = 3 * WORKERS as u32;
    let builder = Ring::builder(name).capacity(capacity).seats(seats).in_hand(IN_HAND as u32);
    let ring = builder.create().expect("create");
    let books = &Shared::<Books>::create();
    let start = |who: usize, rng: &mut Rng| {
        let seed = rng.next();
        Kid::fork(|| work(name, books, who, seed))
    };
    let mut kids: Vec<Kid> = (0..WORKERS).map(|who| start(who, rng)).collect();
    let mut kills = Kills::default();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(seconds) && !books.is_full() {
        std::thread::sleep(Duration::from_micros(rng.below(6000)));
        let who = rng.below(WORKERS as u64) as usize;
        kids[who].kill();
        books.bury(who, &mut kills);
        kids[who] = start(who, rng);
    }
    books.stop.store(1, SeqCst);
    let consumers = kids.split_off(PRODUCERS);
    kids.into_iter().for_each(Kid::join);
    ring.producer().expect("a seat").close().expect("close");
    consumers.into_iter().for_each(Kid::join);
    drain(&ring, books);
    let totals = books.check(&kills);
    let stats = ring.stats().expect("stats");
    assert_eq!((stats.len, stats.held, stats.unclean, stats.attached), (0, 0, 0, 1));
    assert_eq!((stats.producers, stats.consumers, stats.closed), (0, 0, true));
    assert_eq!(stats.pushed, stats.popped);
    slots::check_slots(ring.id());
    let all: Vec<_> = (0..seats).map(|_| ring.consumer().expect("every seat can be taken")).collect();
    drop(all);
    report(&kills, &totals, capacity);
}

/// What was handed back, or came back, after the last consumer had gone.
fn drain(ring: &Ring, books: &Books) {
    let _watchdog = common::watchdog("draining");
    loop {
        let found = ring.recover().expect("recover");
        let mut rx = ring.consumer().expect("a seat");
        let mut drained = 0;
        loop {
            match rx.try_pop() {
                Ok(message) => {
                    let number = worker::Seen::default().check(&message, rx.redelivered());
                    let how = if rx.redelivered() { Event::Again } else { Event::Fresh };
                    books.count_both(number, how, Event::Released);
                }
                Err(RingError::Closed) => break,
                Err(e) => panic!("pop: {e}"),
            }
            drained += 1;
        }
        if drained + found.messages + found.left == 0 {
            return;
        }
    }
}

fn report(kills: &Kills, totals: &Totals, capacity: usize) {
    let Kills { all, pushing, popping, taking, releasing, handing_back, holding, .. } = kills;
    let Totals { pushed, again, unreturned, unseen, in_doubt } = totals;
    say(&format!("{all} {pushed} {again} {unreturned} {unseen} {in_doubt} {holding} {popping}"));
    let _ = writeln!(
        std::io::stderr(),
        "capacity {capacity}: {all} kills ({pushing} while pushing, {popping} popping, {taking} taking, \
         {releasing} releasing, {handing_back} handing back; {holding} messages in hand), {pushed} messages, \
         {again} redelivered, {unreturned} pushed by the dead, {unseen} not seen the first time, \
         {in_doubt} in doubt"
    );
}

#[test]
fn every_message_is_accounted_for() {
    let seconds = std::env::var("SEGRING_SOAK").ok().and_then(|n| n.parse().ok()).unwrap_or(4u64);
    let seed = Rng::random_seed();
    let rng = &mut Rng::new(seed);
    let _ = writeln!(std::io::stderr(), "soak of {seconds} s, seed {seed}");
    let begun = Instant::now();
    let mut sums = [0u64; 8];
    for capacity in [2, 64, 1, 8, 1024].into_iter().cycle() {
        // An epoch ends sooner if its books are full.
        let left = seconds.saturating_sub(begun.elapsed().as_secs());
        if left == 0 {
            break;
        }
        // At least two rings.
        let now = left.min(EPOCH).min(seconds.div_ceil(2));
        let name = TestName::new("soak");
        let args = [name.as_str(), &now.to_string(), &capacity.to_string(), &rng.next().to_string()];
        let mut child = TestChild::spawn("epoch", &args);
        let said = child.hear().expect("the epoch failed: see above");
        child.join();
        for (sum, n) in sums.iter_mut().zip(said.split(' ')) {
            *sum += n.parse::<u64>().expect("a number");
        }
    }
    let [kills, pushed, again, unreturned, unseen, in_doubt, ..] = sums;
    let _ = writeln!(
        std::io::stderr(),
        "soak: {kills} kills, {pushed} messages, {again} redelivered, {unreturned} pushed by the dead, \
         {unseen} not seen the first time, {in_doubt} in doubt"
    );
    assert!(pushed > 10 * kills, "too little went through");
    assert!(kills >= 5 * seconds && again > 0, "too little happened");
}
