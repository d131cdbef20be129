//! No wakeup is lost (I7), with nothing to hide a lost one: in the children of this file every
//! sleep of the library lasts until it is woken.
//!
//! A sleeper looks again every 100 ms by itself, so a lost wakeup would only be a delay, and no test
//! may measure time. Therefore this executable has a `syscall` of its own (`interpose.rs`): on request
//! a sleep lasts until it is woken, and a lost wakeup is a hang, which is the watchdog's.

#![allow(unreachable_pub)] // each module is private to this test

#[path = "../common/mod.rs"]
mod common;
mod interpose;
#[path = "../common/many.rs"]
mod many_rings;
mod mpmc;
mod races;
#[path = "../common/remote.rs"]
mod remote;
mod stress;

use common::{TestChild, TestName, child_role, say, watchdog};
use interpose::{FOR_EVER, SLEEPS};
use segring::spsc::{ByteRing, Ring};
use segring::{Layout, RingError};
use std::sync::atomic::Ordering::SeqCst;

const ROUNDS: u64 = 20_000;

/// One side of the ping-pong.
fn ping(names: &[String], first: bool) {
    let attach = |name| Ring::<[u64; 3]>::builder(name).attach().expect("attach");
    let (there, back) = (attach(names[0].as_str()), attach(names[1].as_str()));
    let (mut tx, mut rx) = if first {
        (there.producer().expect("seat"), back.consumer().expect("seat"))
    } else {
        (back.producer().expect("seat"), there.consumer().expect("seat"))
    };
    for i in 0..ROUNDS {
        // Now and then too late for a peer that only spins.
        if i % 128 == if first { 0 } else { 64 } {
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
        if first {
            tx.push([i; 3]).expect("push");
        }
        assert_eq!(rx.pop(), Ok([i; 3]));
        if !first {
            tx.push([i; 3]).expect("push");
        }
    }
}

/// A producer that is in turn faster and slower than its consumer, which is the same.
fn stream(name: &str, producer: bool) {
    let ring = ByteRing::builder(name).attach().expect("attach");
    let work = |i: u64, slow: bool| {
        if slow {
            (0..i % 700).for_each(|n| _ = std::hint::black_box(n));
        }
        if i % 512 == 0 && slow {
            std::thread::sleep(std::time::Duration::from_micros(300));
        }
    };
    if producer {
        let mut tx = ring.producer().expect("seat");
        for i in 0..ROUNDS {
            work(i, i / 2048 % 2 == 0);
            tx.push(&vec![i as u8; 20 + (i % 900) as usize]).expect("push");
        }
        tx.close();
        tx.wait_until_drained(None).expect("drained");
    } else {
        let mut rx = ring.consumer().expect("seat");
        for i in 0.. {
            work(i, i / 2048 % 2 == 1);
            match rx.pop() {
                Ok(record) => assert_eq!(record, vec![i as u8; 20 + (i % 900) as usize]),
                Err(end) => {
                    assert_eq!((end, i), (RingError::Closed, ROUNDS));
                    return;
                }
            }
        }
    }
}

/// A producer that sleeps on a full ring until its peer leaves and another one comes.
fn told_producer(name: &str) {
    let ring = Ring::<u64>::builder(name).attach().expect("attach");
    let mut tx = ring.producer().expect("seat");
    tx.push(0).expect("push");
    say("full");
    say(&format!("{:?}", tx.push(1).unwrap_err().error));
    tx.push(1).expect("the successor makes room");
}

/// A consumer that sleeps until its peer leaves, another one comes, and closes.
fn told_consumer(name: &str) {
    let mut rx = Ring::<u64>::builder(name).attach().expect("attach").consumer().expect("seat");
    say("empty");
    for _ in 0..3 {
        say(&format!("{:?}", rx.pop()));
    }
}

#[test]
fn child_main() {
    let Some((role, args)) = child_role() else { return };
    FOR_EVER.store(true, SeqCst);
    match role.as_str() {
        "ping" => ping(&args, true),
        "pong" => ping(&args, false),
        "producer" => stream(&args[0], true),
        "consumer" => stream(&args[0], false),
        "told producer" => told_producer(&args[0]),
        "told consumer" => told_consumer(&args[0]),
        "stress" => stress::side(&args.iter().map(String::as_str).collect::<Vec<_>>()),
        "killed waker" => races::killed_waker(&args[0]),
        "many" => mpmc::side(&args[0], &args[1]),
        "many worker" => mpmc::worker(&args[0], &args[1]),
        "many taker" => mpmc::taker(&args[0], &args[1]),
        other => panic!("no such role: {other}"),
    }
    say(&SLEEPS.load(SeqCst).to_string());
}

/// Runs two children to their end and says how often both slept.
fn pair(one: &str, other: &str, names: &[&TestName]) -> u64 {
    let args: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    let mut children = [TestChild::spawn(one, &args), TestChild::spawn(other, &args)];
    let _watchdog = watchdog("a wakeup is lost: a sleeper without a time limit");
    let sleeps =
        children.iter_mut().map(|c| c.hear().expect("it ends well").parse::<u64>().expect("a number")).sum();
    children.into_iter().for_each(TestChild::join);
    sleeps
}

fn ping_pong(layout: Layout, capacity: usize) {
    let names = [TestName::new("there"), TestName::new("back")];
    for name in &names {
        Ring::<[u64; 3]>::builder(name.name()).capacity(capacity).layout(layout).create().unwrap();
    }
    let sleeps = pair("ping", "pong", &[&names[0], &names[1]]);
    eprintln!("{ROUNDS} round trips, {sleeps} sleeps");
    assert!(sleeps > 0, "nobody ever slept: nothing was tested");
}

#[test]
fn ping_pong_over_stamped_rings() {
    ping_pong(Layout::Stamped, 4);
}

#[test]
fn ping_pong_over_dense_rings() {
    ping_pong(Layout::Dense, 1);
}

#[test]
fn a_stream_with_both_sides_slow_in_turn() {
    let name = TestName::new("stream");
    let _ring = ByteRing::builder(name.name()).capacity(4096).create().unwrap();
    let sleeps = pair("producer", "consumer", &[&name]);
    eprintln!("{ROUNDS} records, {sleeps} sleeps");
    assert!(sleeps > 0, "nobody ever slept: nothing was tested");
}

/// Time to fall asleep for another process. If it takes longer, only less is tested.
fn a_while() {
    std::thread::sleep(std::time::Duration::from_millis(30));
}

#[test]
fn a_leaving_consumer_wakes_a_sleeping_producer() {
    let name = TestName::new("told");
    let ring = Ring::<u64>::builder(name.name()).capacity(1).create().unwrap();
    let rx = ring.consumer().unwrap();
    let mut child = TestChild::spawn("told producer", &[name.as_str()]);
    let _watchdog = watchdog("nobody wakes a producer without a time limit");
    child.expect("full");
    a_while();
    drop(rx);
    child.expect("PeerGone { died: false }");
    a_while();
    let mut rx = ring.consumer().unwrap();
    assert_eq!(rx.pop(), Ok(0));
    assert_eq!(rx.pop(), Ok(1));
    child.join();
}

#[test]
fn leaving_and_closing_wake_a_sleeping_consumer() {
    let name = TestName::new("told");
    let ring = Ring::<u64>::builder(name.name()).capacity(1).create().unwrap();
    let tx = ring.producer().unwrap();
    let mut child = TestChild::spawn("told consumer", &[name.as_str()]);
    let _watchdog = watchdog("nobody wakes a consumer without a time limit");
    child.expect("empty");
    a_while();
    drop(tx);
    child.expect("Err(PeerGone { died: false })");
    a_while();
    let mut tx = ring.producer().unwrap();
    tx.push(2).unwrap();
    child.expect("Ok(2)");
    a_while();
    tx.close();
    child.expect("Err(Closed)");
    child.join();
}

#[test]
fn two_threads_of_one_process() {
    let name = TestName::new("threads");
    let ring = Ring::<u64>::builder(name.name()).capacity(2).create().unwrap();
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let _watchdog = watchdog("two threads");
    std::thread::scope(|s| {
        s.spawn(move || (0..100_000).for_each(|i| tx.push(i).unwrap()));
        (0..100_000).for_each(|i| assert_eq!(rx.pop(), Ok(i)));
        // A thread that leaves is news as a process that does.
        assert_eq!(rx.pop(), Err(RingError::PeerGone { died: false }));
    });
}
