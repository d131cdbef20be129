//! Sides that are killed, interrupted or cut off: what the other one says, and what is left.

use super::name::TestName;
use super::side::{Side, is_live, noise, segring, until_met, until_ring, until_taken};

#[test]
fn a_killed_sender_is_found_out_after_its_last_record() {
    let name = TestName::new("killtx");
    let data = noise(300_000);
    let mut tx = Side::send(name.as_str());
    let rx = Side::recv(name.as_str());
    tx.feed(&data);
    // The pipe may still hold some of it: what was committed is what counts.
    until_taken(&name);
    tx.signal(libc::SIGKILL);
    assert_eq!(tx.end().code, 128 + libc::SIGKILL);
    let received = rx.end();
    received.expect(3, "the sender died after ");
    received.expect(3, "the stream is incomplete");
    assert!(!received.out.is_empty() && data.starts_with(&received.out), "a prefix of what was sent");
    assert!(received.err.contains(&format!(" {} bytes in ", received.out.len())), "{}", received.err);
    name.is_gone();
}

#[test]
fn a_killed_receiver_is_told_to_a_sender_without_input() {
    let name = TestName::new("killrx");
    let (rx, mut tx) = (Side::recv(name.as_str()), Side::send(name.as_str()));
    until_met(&name);
    tx.feed(b"first words");
    until_taken(&name);
    rx.signal(libc::SIGKILL);
    let received = rx.end();
    assert_eq!((received.code, &*received.out), (128 + libc::SIGKILL, &b"first words"[..]));
    tx.end_by_itself().expect(3, "the receiver died before the end of the stream");
    name.is_gone();
}

#[test]
fn a_killed_receiver_is_told_to_a_sender_that_waits_for_room() {
    let name = TestName::new("killrx2");
    let rx = Side::recv_unread(name.as_str());
    let tx = Side::send_all(name.as_str(), &noise(20 << 20));
    // 20 MB are more than ring and pipes hold, so the sender waits then.
    until_ring(name.as_str(), "the ring is full", |s| s.popped > 0 && s.len >= 30);
    rx.signal(libc::SIGKILL);
    assert_eq!(rx.end().code, 128 + libc::SIGKILL);
    tx.end().expect(3, "the receiver died before the end of the stream");
    name.is_gone();
}

#[test]
fn a_receiver_whose_output_nobody_reads_ends_quietly() {
    let name = TestName::new("epipe");
    let mut rx = Side::recv_unread(name.as_str());
    rx.stop_reading();
    let tx = Side::send_all(name.as_str(), &noise(20 << 20));
    let received = rx.end();
    received.expect(141, "");
    assert_eq!(received.err, "");
    tx.end().expect(3, "the receiver left before the end of the stream");
    name.is_gone();
}

#[test]
fn a_full_disk_is_an_error() {
    let name = TestName::new("enospc");
    let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let mut command = segring(&["recv", name.as_str()]);
    command.stdout(full);
    let (rx, tx) = (Side::start(command), Side::send_all(name.as_str(), b"data"));
    rx.end().expect(1, "cannot write to standard output");
    tx.end();
    name.is_gone();
}

/// Of a stream that is idle, before and after its first record.
#[test]
fn an_interrupted_side_leaves_nothing_and_tells_the_other() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        for (sender, sent) in [(true, 0), (true, 9), (false, 0), (false, 9)] {
            let name = TestName::new("int");
            let (mut tx, rx) = (Side::send(name.as_str()), Side::recv(name.as_str()));
            until_met(&name);
            if sent > 0 {
                tx.feed(&noise(sent));
                until_taken(&name);
            }
            let hit = if sender { &tx } else { &rx };
            hit.signal(signal);
            let (tx, rx) = (tx.end_by_itself(), rx.end());
            if sender {
                tx.expect(128 + signal, "");
                rx.expect(3, &format!("the sender broke off after {sent} bytes"));
            } else {
                rx.expect(128 + signal, "");
                tx.expect(3, "the receiver left before the end of the stream");
            }
            name.is_gone();
        }
    }
}

#[test]
fn sides_that_are_stuck_are_interrupted_too() {
    for both in [true, false] {
        let name = TestName::new("stuck");
        let rx = Side::recv_unread(name.as_str());
        let tx = Side::send_all(name.as_str(), &noise(20 << 20));
        until_ring(name.as_str(), "the ring is full", |s| s.popped > 0 && s.len >= 30);
        rx.signal(libc::SIGINT);
        if both {
            tx.signal(libc::SIGINT);
        }
        rx.end().expect(130, "");
        let sent = tx.end();
        assert!(sent.code == 3 || both && sent.code == 130, "{sent:?}");
        name.is_gone();
    }
}

#[test]
fn a_side_that_is_alone_is_interrupted_and_leaves_nothing() {
    let name = TestName::new("alone");
    let tx = Side::send_all(name.as_str(), &noise(9));
    until_ring(name.as_str(), "it has sent all", |s| s.pushed == 2);
    tx.signal(libc::SIGINT);
    tx.end().expect(130, "");
    name.is_gone();
    let rx = Side::recv(name.as_str());
    until_ring(name.as_str(), "it waits", |s| is_live(s.consumer));
    rx.signal(libc::SIGINT);
    rx.end().expect(130, "");
    name.is_gone();
}
