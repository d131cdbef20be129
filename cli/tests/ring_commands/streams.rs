//! Streams that come through, one after the other, whole or kept apart.

use super::name::TestName;
use super::side::{Side, is_live, noise, run, segring, until_met, until_ring};
use segring::Peer;
use std::process::Stdio;

/// A few MB, and sizes around the edges of pipes and records.
const LENGTHS: [usize; 6] = [0, 1, 4096, (128 << 10) - 8, 1_000_003, 9 << 20];

#[test]
fn a_stream_passes_byte_for_byte_whoever_comes_first() {
    for len in LENGTHS {
        for receiver_first in [true, false] {
            let name = TestName::new("stream");
            let data = noise(len);
            let (tx, rx) = if receiver_first {
                let rx = Side::recv(name.as_str());
                until_ring(name.as_str(), "the receiver is there", |s| is_live(s.consumer));
                (Side::send_all(name.as_str(), &data), rx)
            } else {
                let tx = Side::send_all(name.as_str(), &data);
                until_ring(name.as_str(), "the sender is there", |s| s.pushed > 0);
                (tx, Side::recv(name.as_str()))
            };
            tx.end().expect(0, "");
            let received = rx.end();
            received.expect(0, "");
            assert!(received.out == data, "{len} bytes, receiver first: {receiver_first}");
            name.is_gone();
        }
    }
}

#[test]
fn a_stream_passes_whatever_its_sides_do_while_they_wait() {
    for (sender, receiver) in [("busy-spin", "sleep"), ("sleep", "yield"), ("yield", "busy-spin")] {
        let name = TestName::new("wait");
        let mut command = segring(&["send", name.as_str(), "--wait", sender, "--capacity", "64K"]);
        command.stdin(Stdio::piped());
        let mut tx = Side::start(command);
        let rx = Side::start(segring(&["recv", name.as_str(), "--wait", receiver, "--capacity", "64K"]));
        let data = noise(1 << 20);
        tx.feed(&data);
        tx.end().expect(0, "");
        let received = rx.end();
        received.expect(0, "");
        assert!(received.out == data, "{sender}, {receiver}");
        name.is_gone();
    }
    run(&["recv", "any", "--wait", "nap"]).expect(2, "busy-spin");
}

#[test]
fn data_that_looks_like_the_start_of_a_stream_passes() {
    let start = b"\0segring: here a stream starts\0";
    let name = TestName::new("lookalike");
    run(&["create", name.as_str()]).expect(0, "");
    for _ in 0..2 {
        let (tx, rx) = (Side::send_all(name.as_str(), start), Side::recv(name.as_str()));
        tx.end().expect(0, "");
        let received = rx.end();
        received.expect(0, "");
        assert_eq!(received.out, start);
    }
}

/// Also when the second stream comes before the first receiver has noticed the first one's end.
#[test]
fn a_ring_that_was_made_before_stays_and_carries_one_stream_after_the_other() {
    let name = TestName::new("stays");
    run(&["create", name.as_str(), "--capacity", "64K", "--mode", "660"]).expect(0, "");
    let streams = [noise(200_000), Vec::new(), noise(3), noise(70_000)];
    let (names, data) = (name.as_str().to_owned(), streams.clone());
    let senders = std::thread::spawn(move || {
        for data in &data {
            Side::send_all(&names, data).end().expect(0, "");
        }
    });
    for data in &streams {
        let received = Side::recv(name.as_str()).end();
        received.expect(0, "");
        assert!(received.out == *data, "a stream of {} bytes became {}", data.len(), received.out.len());
    }
    senders.join().expect("all streams were sent");
    assert_eq!(name.objects(), (true, true));
    run(&["rm", name.as_str()]).expect(0, "");
    name.is_gone();
}

#[test]
fn what_killed_ones_left_is_delivered_and_kept_apart_from_what_follows() {
    let name = TestName::new("left");
    let mut tx = Side::send(name.as_str());
    tx.feed(b"torso");
    until_ring(name.as_str(), "it is in the ring", |s| s.pushed == 1);
    tx.signal(libc::SIGKILL);
    tx.end();
    assert_eq!(name.objects(), (true, true), "nobody was left to remove it");
    let next = Side::send_all(name.as_str(), b"whole");
    until_ring(name.as_str(), "the next stream is there", |s| s.pushed == 4);
    let received = Side::recv(name.as_str()).end();
    received.expect(3, "the sender was replaced by another one after 5 bytes in 1 records");
    assert_eq!(received.out, b"torso");
    let received = Side::recv(name.as_str()).end();
    received.expect(0, "");
    assert_eq!(received.out, b"whole");
    next.end().expect(0, "");
    name.is_gone();
}

#[test]
fn what_is_left_of_both_is_delivered_and_taken_away() {
    let name = TestName::new("left2");
    let mut tx = Side::send(name.as_str());
    tx.feed(b"torso");
    until_ring(name.as_str(), "it is in the ring", |s| s.pushed == 1);
    tx.signal(libc::SIGKILL);
    tx.end();
    let received = Side::recv(name.as_str()).end();
    received.expect(3, "the sender died after 5 bytes in 1 records");
    assert_eq!(received.out, b"torso");
    name.is_gone();
}

#[test]
fn one_that_went_before_is_no_news() {
    for signal in [libc::SIGKILL, libc::SIGTERM] {
        let name = TestName::new("old");
        run(&["create", name.as_str()]).expect(0, "");
        for start in [Side::send, Side::recv] {
            let side = start(name.as_str());
            let pid = side.pid();
            let is_there = |peer| matches!(peer, Peer::Live { pid: p } if p == pid);
            until_ring(name.as_str(), "it is there", |s| is_there(s.producer) || is_there(s.consumer));
            side.signal(signal);
            assert_eq!(side.end_by_itself().code, 128 + signal);
        }
        let rx = Side::recv(name.as_str());
        until_ring(name.as_str(), "it waits", |s| is_live(s.consumer));
        let tx = Side::send_all(name.as_str(), b"news");
        tx.end().expect(0, "");
        let received = rx.end();
        received.expect(0, "");
        assert_eq!(received.out, b"news");
    }
}

#[test]
fn a_second_one_of_a_side_is_refused() {
    let name = TestName::new("second");
    let (tx, rx) = (Side::send(name.as_str()), Side::recv(name.as_str()));
    until_met(&name);
    let taken = |role: &str, pid: u32| format!("the {role}'s seat is taken by process {pid}, which is alive");
    run(&["send", name.as_str()]).expect(1, &taken("producer", tx.pid()));
    run(&["recv", name.as_str()]).expect(1, &taken("consumer", rx.pid()));
    tx.end().expect(0, "");
    rx.end().expect(0, "");
    name.is_gone();
}
