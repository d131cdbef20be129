//! What a child inherits through `fork`, and a program through `exec`, with messages in hand.

use super::brood::Kid;
use super::{Ring, attach, check_clean, create, taker};
use crate::common::{TestChild, TestName, child_command, listen, say};
use segring::{Error, RingError, mpmc};
use std::os::unix::process::CommandExt;
use std::time::Duration;

#[test]
fn inherited_handles_and_jobs_refuse() {
    let name = TestName::new("mpmc-fork");
    TestChild::spawn("fork", &[name.as_str()]).join();
}

fn forked<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Forked { .. })), "{result:?}");
}

/// What it says when it panics.
fn panics<R>(f: impl FnOnce() -> R) -> String {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    std::panic::set_hook(hook);
    let panic = done.err().expect("it does not panic");
    panic.downcast_ref::<&str>().map(ToString::to_string).expect("a plain message")
}

const INHERITED: &str = "this message belongs to the parent process: attach again after fork";

pub(super) fn fork_role(name: &str) {
    let name = TestName::called(name);
    let ring = create(&name, 4, 4, 2);
    // SAFETY: this test is the only user of the ring.
    let mut tx = unsafe { ring.producer().unwrap().trust_peers() };
    let mut rx = taker(&ring);
    (1..=3).for_each(|i| tx.push(i).unwrap());
    let (mut one, mut two) = (Some(rx.take().unwrap()), Some(rx.take().unwrap()));
    *tx.slot().unwrap() = 8;
    let slot = tx.slot().unwrap();
    Kid::fork(|| {
        assert_eq!(panics(|| *slot), INHERITED);
        assert_eq!(slot.publish(), Err(RingError::Forked));
    })
    .join();
    Kid::fork(|| {
        let push = |r: Result<(), segring::Rejected<u64>>| r.map_err(|r| (r.value, r.error));
        assert_eq!(push(tx.try_push(9)), Err((9, RingError::Forked)));
        assert_eq!(push(tx.push(9)), Err((9, RingError::Forked)));
        assert_eq!(push(tx.push_timeout(9, Duration::ZERO)), Err((9, RingError::Forked)));
        assert_eq!(tx.push_ref(&9), Err(RingError::Forked));
        assert_eq!(tx.wait_for_room(None), Err(RingError::Forked));
        assert_eq!(tx.slot().err(), Some(RingError::Forked));
        assert_eq!(tx.close(), Err(RingError::Forked));
        assert_eq!(rx.try_pop(), Err(RingError::Forked));
        assert_eq!(rx.pop(), Err(RingError::Forked));
        assert_eq!(rx.pop_timeout(Duration::ZERO), Err(RingError::Forked));
        assert_eq!(rx.pop_into(&mut 0), Err(RingError::Forked));
        assert_eq!(rx.wait_for_message(None), Err(RingError::Forked));
        assert_eq!(rx.try_take().err(), Some(RingError::Forked));
        assert_eq!(rx.take().err(), Some(RingError::Forked));
        assert!(!rx.is_closed() && !tx.is_closed());
        forked(ring.producer());
        forked(ring.consumer());
        forked(ring.recover());
        forked(ring.stats().map(drop));
        forked(ring.remove());
        let (one, two) = (one.take().unwrap(), two.take().unwrap());
        assert_eq!(panics(|| *one), INHERITED);
        // Neither release nor drop nor handing back does anything to the parent.
        one.release();
        two.hand_back();
        // Nor do those of a child that attaches anew.
        let mut rx = attach(name.as_str()).consumer().unwrap();
        assert_eq!((rx.try_pop(), rx.redelivered()), (Ok(3), false));
    })
    .join();
    let stats = ring.stats().unwrap();
    assert_eq!((stats.held, stats.len, stats.unclean, stats.closed), (2, 0, 0, false));
    assert_eq!(ring.recover().unwrap(), mpmc::Recovered::default());
    // A child that drops everything at its end, as it was.
    let mut everything = Some((ring, tx, rx, one, two));
    Kid::fork(|| drop(everything.take())).join();
    let (ring, mut tx, mut rx, one, two) = everything.take().unwrap();
    let (one, two) = (one.unwrap(), two.unwrap());
    let stats = ring.stats().unwrap();
    assert_eq!((stats.held, stats.producers, stats.consumers), (2, 1, 1));
    assert_eq!((*one, *two), (1, 2));
    assert_eq!(rx.try_take().err(), Some(RingError::HandsFull));
    one.release();
    two.hand_back();
    tx.try_push(4).unwrap();
    assert_eq!((rx.try_pop(), rx.redelivered()), (Ok(2), true));
    assert_eq!((rx.try_pop(), rx.redelivered()), (Ok(4), false));
    drop((tx, rx));
    check_clean(&ring);
}

#[test]
fn inherited_records_refuse() {
    let name = TestName::new("mpmc-fork-bytes");
    TestChild::spawn("fork_bytes", &[name.as_str()]).join();
}

pub(super) fn fork_bytes_role(name: &str) {
    let name = TestName::called(name);
    let ring = mpmc::ByteRing::builder(name.name()).capacity(4).max_record(64).create().unwrap();
    // SAFETY: this test is the only user of the ring.
    let mut tx = unsafe { ring.producer().unwrap().trust_peers() };
    // SAFETY: as above.
    let mut rx = unsafe { ring.consumer().unwrap().trust_peers() };
    tx.push(b"record").unwrap();
    let mut job = Some(rx.take().unwrap());
    Kid::fork(|| {
        assert_eq!(tx.push(b"x"), Err(RingError::Forked));
        assert_eq!(tx.byte_slot().err(), Some(RingError::Forked));
        assert_eq!(rx.pop(), Err(RingError::Forked));
        assert_eq!(rx.try_take().err(), Some(RingError::Forked));
        forked(ring.recover());
        let job = job.take().unwrap();
        assert_eq!(panics(|| job.len()), INHERITED);
        job.release();
    })
    .join();
    let job = job.unwrap();
    assert_eq!(*job, *b"record");
    assert_eq!(ring.stats().unwrap().held, 1);
    job.release();
}

/// Takes a message, and becomes another program.
pub(super) fn exec_role(name: &str, program: &str) {
    let ring = attach(name);
    let mut rx = taker(&ring);
    let _job = rx.take().unwrap();
    let failed = match program {
        "self" => child_command("after_exec", &[name]).exec(),
        program => std::process::Command::new(program).arg("1000").exec(),
    };
    panic!("exec: {failed}");
}

/// The same process: it finds what the program before it held.
pub(super) fn after_exec_role(name: &str) {
    let ring = attach(name);
    let done = ring.recover().unwrap();
    assert_eq!((done.seats, done.messages, done.left), (1, 1, 0));
    assert_eq!(ring.recover().unwrap(), mpmc::Recovered::default());
    say("recovered");
    listen();
}

fn got_it_back(ring: &Ring) {
    let mut rx = ring.consumer().unwrap();
    assert_eq!((rx.try_pop(), rx.redelivered()), (Ok(5), true));
    assert_eq!(rx.try_pop(), Err(RingError::Empty));
}

#[test]
fn a_message_left_behind_by_exec_comes_back() {
    let name = TestName::new("mpmc-exec");
    let ring = create(&name, 4, 4, 1);
    ring.producer().unwrap().push(5).unwrap();
    let mut child = TestChild::spawn("exec", &[name.as_str(), "sleep"]);
    let comm = format!("/proc/{}/comm", child.pid());
    while std::fs::read_to_string(&comm).unwrap().trim() != "sleep" {
        std::thread::yield_now();
    }
    assert_eq!(ring.stats().unwrap().held, 1);
    let done = ring.recover().unwrap();
    assert_eq!((done.seats, done.messages, done.left), (1, 1, 0));
    assert!(child.child.try_wait().unwrap().is_none(), "it lives");
    // The old undo must not take anything away.
    let all: Vec<_> = (0..4).map(|_| ring.producer().unwrap()).collect();
    child.kill();
    assert_eq!(ring.stats().unwrap().producers, 4);
    drop(all);
    got_it_back(&ring);
    check_clean(&ring);
}

#[test]
fn a_program_brings_back_what_it_held_before_an_exec() {
    let name = TestName::new("mpmc-exec-self");
    let ring = create(&name, 4, 4, 1);
    ring.producer().unwrap().push(5).unwrap();
    let mut child = TestChild::spawn("exec", &[name.as_str(), "self"]);
    child.expect("recovered");
    got_it_back(&ring);
    child.kill();
    check_clean(&ring);
}

/// Where every seat is taken, a newcomer finds it too.
#[test]
fn a_newcomer_takes_a_seat_left_behind_by_exec() {
    let name = TestName::new("mpmc-exec-full");
    let ring = create(&name, 4, 1, 1);
    ring.producer().unwrap().push(5).unwrap();
    let child = TestChild::spawn("exec", &[name.as_str(), "sleep"]);
    let comm = format!("/proc/{}/comm", child.pid());
    while std::fs::read_to_string(&comm).unwrap().trim() != "sleep" {
        std::thread::yield_now();
    }
    got_it_back(&ring);
    drop(child);
    check_clean(&ring);
}
