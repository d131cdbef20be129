//! Blocking operations between processes: sleeping and being woken, time-outs, signals, stops,
//! news of the peer, and what a killed sleeper leaves behind.
//!
//! No test here measures time: where it matters that somebody sleeps, the test looks into `/proc`
//! until that is so. That no wakeup is lost is shown in `wakeups.rs`.

#[path = "../common/mod.rs"]
mod common;
mod many;
#[path = "../common/many.rs"]
mod many_rings;
#[path = "../common/raw.rs"]
mod raw;
#[path = "../common/remote.rs"]
mod remote;

use common::{TestName, child_role, listen, say};
use remote::{Remote, at_work};
use segring::spsc::{ByteRing, Ring};
use segring::{Layout, RingError};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count_signal(_: libc::c_int) {
    SIGNALS.fetch_add(1, SeqCst);
}

fn handle_signals() {
    // SAFETY: the handler only adds to an atomic. No SA_RESTART: calls end with EINTR.
    let handler: extern "C" fn(libc::c_int) = count_signal;
    // SAFETY: as above; an all-zero sigaction is a valid one.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as usize;
    // SAFETY: `action` is complete, and no old one is asked for.
    unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
}

/// Interrupts a sleeper some times; each time it sleeps again.
fn interrupt(sleeper: &Remote) {
    for _ in 0..4 {
        let tid = sleeper.tid.parse::<libc::pid_t>().unwrap();
        // SAFETY: a signal that our own child, which waits for us, handles.
        unsafe { libc::syscall(libc::SYS_tgkill, sleeper.child.pid(), tid, libc::SIGUSR1) };
        sleeper.falls_asleep();
    }
}

/// A child at the parent's command: one line in, what came of it out.
#[test]
fn child_main() {
    let Some((role, args)) = child_role() else { return };
    at_work();
    match role.as_str() {
        "bytes" => bytes_child(&args[0]),
        "typed" => typed_child(&args[0]),
        "many" => many::child(&args[0], &args[1]),
        other => panic!("no such role: {other}"),
    }
}

fn limit(word: Option<&str>) -> Option<Duration> {
    word.map(|w| if w == "max" { Duration::MAX } else { Duration::from_millis(w.parse().expect("ms")) })
}

fn typed_child(name: &str) {
    let ring = Ring::<u64>::builder(name).attach().expect("attach");
    let (mut tx, mut rx) = (None, None);
    loop {
        let line = listen();
        let mut words = line.split(' ');
        let answer = match (words.next(), words.next(), words.next()) {
            (Some("produce"), ..) => {
                tx = Some(ring.producer().expect("seat"));
                "sits".into()
            }
            (Some("consume"), ..) => {
                rx = Some(ring.consumer().expect("seat"));
                "sits".into()
            }
            (Some("leave"), ..) => {
                (tx, rx) = (None, None);
                "left".into()
            }
            (Some("handle"), ..) => {
                handle_signals();
                "ready".into()
            }
            (Some("signals"), ..) => SIGNALS.load(SeqCst).to_string(),
            (Some("pop"), None, _) => format!("{:?}", rx.as_mut().expect("seat").pop()),
            (Some("pop"), t, _) => {
                format!("{:?}", rx.as_mut().expect("seat").pop_timeout(limit(t).expect("time")))
            }
            (Some("push"), Some(n), t) => {
                let (tx, n) = (tx.as_mut().expect("seat"), n.parse().expect("number"));
                let pushed = match limit(t) {
                    None => tx.push(n),
                    Some(t) => tx.push_timeout(n, t),
                };
                format!("{:?}", pushed.map_err(RingError::from))
            }
            (Some("room"), t, _) => format!("{:?}", tx.as_mut().expect("seat").wait_for_room(limit(t))),
            (Some("message"), t, _) => format!("{:?}", rx.as_mut().expect("seat").wait_for_message(limit(t))),
            (Some("close"), ..) => {
                tx.as_mut().expect("seat").close();
                "closed".into()
            }
            other => panic!("no such command: {other:?}"),
        };
        say(&answer);
    }
}

fn bytes_child(name: &str) {
    let ring = ByteRing::builder(name).attach().expect("attach");
    let mut tx = ring.producer().expect("seat");
    loop {
        let line = listen();
        say(&match line.split_once(' ').unwrap_or((&line, "")) {
            ("push", n) => format!("{:?}", tx.push(&vec![7; n.parse().expect("length")])),
            ("room", n) => format!("{:?}", tx.wait_for_room(n.parse().expect("length"), None)),
            ("drained", "") => format!("{:?}", tx.wait_until_drained(None)),
            ("drained", t) => format!("{:?}", tx.wait_until_drained(limit(Some(t)))),
            ("close", _) => {
                tx.close();
                "closed".into()
            }
            other => panic!("no such command: {other:?}"),
        });
    }
}

/// A child of one ring, and on one side of it.
fn sits(name: &TestName, side: &str) -> Remote {
    let mut this = Remote::start("typed", &[name.as_str()]);
    this.answers(side, "sits");
    this
}

fn ring(name: &TestName, capacity: usize) -> Ring<u64> {
    let layout = if capacity % 3 == 1 { Layout::Stamped } else { Layout::Dense };
    Ring::builder(name.name()).capacity(capacity).layout(layout).create().unwrap()
}

const GONE: &str = "Err(PeerGone { died: false })";
const DEAD: &str = "Err(PeerGone { died: true })";

#[test]
fn a_sleeping_consumer_is_woken_by_each_message() {
    let name = TestName::new("slow-producer");
    let ring = ring(&name, 4);
    let mut tx = ring.producer().unwrap();
    let mut consumer = sits(&name, "consume");
    for i in 0..20 {
        consumer.sleeps_in("pop");
        tx.try_push(i).unwrap();
        consumer.child.expect(&format!("Ok({i})"));
    }
}

#[test]
fn a_sleeping_producer_is_woken_by_each_release() {
    let name = TestName::new("slow-consumer");
    let ring = ring(&name, 2);
    let mut rx = ring.consumer().unwrap();
    let mut producer = sits(&name, "produce");
    producer.answers("push 0", "Ok(())");
    producer.answers("push 1", "Ok(())");
    for i in 2..20 {
        producer.sleeps_in(&format!("push {i}"));
        assert_eq!(rx.try_pop(), Ok(i - 2));
        producer.child.expect("Ok(())");
    }
}

#[test]
fn time_limits() {
    let name = TestName::new("limits");
    let ring = ring(&name, 1);
    let mut consumer = sits(&name, "consume");
    // Nobody has ever come: that is no news.
    consumer.answers("pop 0", "Err(TimedOut)");
    consumer.answers("pop 70", "Err(TimedOut)");
    let mut tx = ring.producer().unwrap();
    consumer.sleeps_in("pop max");
    tx.push(5).unwrap();
    consumer.child.expect("Ok(5)");
    tx.push(6).unwrap();
    assert_eq!(tx.push_timeout(7, Duration::ZERO).unwrap_err().error, RingError::TimedOut);
    assert_eq!(tx.push_timeout(7, Duration::from_millis(70)).unwrap_err().error, RingError::TimedOut);
    assert_eq!(tx.wait_for_room(Some(Duration::ZERO)), Err(RingError::TimedOut));
    consumer.answers("pop 0", "Ok(6)");
    tx.push_timeout(7, Duration::MAX).unwrap();
    consumer.answers("message 0", "Ok(())");
    consumer.answers("pop", "Ok(7)");
    consumer.answers("message 1", "Err(TimedOut)");
}

#[test]
fn signals_interrupt_no_wait() {
    let name = TestName::new("signals");
    let ring = ring(&name, 1);
    let mut tx = ring.producer().unwrap();
    let mut consumer = sits(&name, "consume");
    consumer.answers("handle", "ready");
    for i in 0..5 {
        consumer.sleeps_in("pop");
        interrupt(&consumer);
        tx.push(i).unwrap();
        consumer.child.expect(&format!("Ok({i})"));
    }
    consumer.child.tell("signals");
    let seen: u32 = consumer.child.hear().unwrap().parse().unwrap();
    // Two of the same kind that pend together are one.
    assert!((1..=20).contains(&seen), "{seen} signals handled");
}

#[test]
fn a_stopped_peer_is_not_a_dead_one() {
    let name = TestName::new("stopped");
    let ring = ring(&name, 1);
    let mut tx = ring.producer().unwrap();
    let mut consumer = sits(&name, "consume");
    // Stopped in its sleep.
    consumer.sleeps_in("pop");
    consumer.child.signal(libc::SIGSTOP);
    tx.push(1).unwrap();
    // Whether it took the message before it stopped or not: no more than two fit now.
    let mut pushed = 1;
    while tx.push_timeout(pushed + 1, Duration::from_millis(60)).is_ok() {
        pushed += 1;
    }
    assert!(pushed <= 2);
    let error = tx.push_timeout(9, Duration::from_millis(120)).unwrap_err().error;
    assert_eq!(error, RingError::TimedOut, "a stopped consumer is alive");
    consumer.child.signal(libc::SIGCONT);
    consumer.child.expect("Ok(1)");
    if pushed == 2 {
        consumer.answers("pop", "Ok(2)");
    }
    consumer.sleeps_in("pop");
    tx.push(3).unwrap();
    consumer.child.expect("Ok(3)");
}

#[test]
fn a_stopped_producer_goes_on_where_it_slept() {
    let name = TestName::new("stopped-tx");
    let ring = ring(&name, 1);
    let mut rx = ring.consumer().unwrap();
    let mut producer = sits(&name, "produce");
    producer.answers("push 1", "Ok(())");
    producer.sleeps_in("push 2");
    producer.child.signal(libc::SIGSTOP);
    assert_eq!(rx.pop(), Ok(1));
    producer.child.signal(libc::SIGCONT);
    producer.child.expect("Ok(())");
    assert_eq!(rx.pop(), Ok(2));
}

/// The consumer is told once, waits for a successor, and gets its message.
fn producer_goes(how: &str, news: &str) {
    let name = TestName::new("peer");
    let ring = ring(&name, 4);
    let mut consumer = sits(&name, "consume");
    for life in 0..3u64 {
        let mut producer = sits(&name, "produce");
        consumer.sleeps_in("pop");
        // Messages come before news.
        producer.answers(&format!("push {life}"), "Ok(())");
        producer.answers(&format!("push {}", life + 100), "Ok(())");
        producer.answers(&format!("push {}", life + 200), "Ok(())");
        if how == "leave" {
            producer.answers("leave", "left");
        } else {
            producer.child.kill();
        }
        consumer.child.expect(&format!("Ok({life})"));
        consumer.answers("pop", &format!("Ok({})", life + 100));
        consumer.answers("pop max", &format!("Ok({})", life + 200));
        consumer.answers("pop", news);
        // Once.
        consumer.answers("pop 60", "Err(TimedOut)");
        consumer.answers("message 60", "Err(TimedOut)");
        consumer.sleeps_in("pop");
        let mut successor = ring.producer().unwrap();
        assert_eq!(successor.position(), life * 4 + 3);
        successor.push(life + 300).unwrap();
        consumer.child.expect(&format!("Ok({})", life + 300));
        drop(successor);
        consumer.answers("pop", GONE);
    }
}

#[test]
fn a_producer_that_leaves_is_told_once() {
    producer_goes("leave", GONE);
}

#[test]
fn a_producer_that_is_killed_is_told_once() {
    producer_goes("kill", DEAD);
}

#[test]
fn a_consumer_that_goes_is_told_once_to_a_sleeping_producer() {
    let name = TestName::new("peer-rx");
    let ring = ring(&name, 1);
    let mut producer = sits(&name, "produce");
    producer.answers("push 0", "Ok(())");
    for (next, news) in [(1, DEAD), (2, GONE), (3, DEAD)] {
        let mut consumer = sits(&name, "consume");
        producer.sleeps_in(&format!("push {next}"));
        if news == DEAD {
            consumer.child.kill();
        } else {
            consumer.answers("leave", "left");
        }
        producer.child.expect(news);
        producer.answers(&format!("push {next} 60"), "Err(TimedOut)");
        producer.sleeps_in(&format!("push {next}"));
        let mut successor = ring.consumer().unwrap();
        assert_eq!(successor.try_pop(), Ok(next - 1));
        producer.child.expect("Ok(())");
        drop(successor);
        // With room, nobody asks for the consumer.
        assert_eq!(ring.len(), 1);
        producer.answers("room", GONE);
    }
}

#[test]
fn closed_comes_after_the_last_message() {
    let name = TestName::new("closed");
    let ring = ring(&name, 4);
    let mut consumer = sits(&name, "consume");
    let mut tx = ring.producer().unwrap();
    consumer.sleeps_in("pop");
    tx.push(1).unwrap();
    tx.push(2).unwrap();
    tx.push(3).unwrap();
    tx.close();
    drop(tx);
    consumer.child.expect("Ok(1)");
    consumer.answers("pop", "Ok(2)");
    consumer.answers("pop 0", "Ok(3)");
    consumer.answers("pop", "Err(Closed)");
    consumer.answers("pop 0", "Err(Closed)");
    consumer.answers("message", "Err(Closed)");
    let mut late = ring.producer().unwrap();
    assert_eq!(late.push(4).unwrap_err().error, RingError::Closed);
}

#[test]
fn closing_wakes_a_sleeper() {
    let name = TestName::new("close-wakes");
    let ring = ring(&name, 4);
    let mut tx = ring.producer().unwrap();
    let mut consumer = sits(&name, "consume");
    consumer.sleeps_in("pop");
    tx.close();
    consumer.child.expect("Err(Closed)");
}

#[test]
fn removal_is_told_when_nobody_can_come() {
    let name = TestName::new("removed");
    let ring = ring(&name, 4);
    let mut tx = ring.producer().unwrap();
    let mut consumer = sits(&name, "consume");
    consumer.sleeps_in("pop");
    ring.remove().unwrap();
    // Whoever is in goes on.
    tx.push(1).unwrap();
    consumer.child.expect("Ok(1)");
    consumer.sleeps_in("pop");
    drop(tx);
    consumer.child.expect(GONE);
    consumer.answers("pop", "Err(Removed)");
}

#[test]
fn waiting_for_room_and_messages_takes_nothing() {
    let name = TestName::new("wait-for");
    let ring = ring(&name, 1);
    let mut consumer = sits(&name, "consume");
    let mut producer = sits(&name, "produce");
    producer.answers("room", "Ok(())");
    consumer.sleeps_in("message");
    producer.answers("push 1", "Ok(())");
    consumer.child.expect("Ok(())");
    assert_eq!(ring.len(), 1);
    producer.sleeps_in("room");
    consumer.answers("pop", "Ok(1)");
    producer.child.expect("Ok(())");
    assert_eq!(ring.len(), 0);
    producer.answers("push 2", "Ok(())");
    consumer.answers("message", "Ok(())");
    consumer.answers("pop", "Ok(2)");
}

#[test]
fn waiting_for_room_for_a_record_and_for_the_drain() {
    let name = TestName::new("drain");
    let ring = ByteRing::builder(name.name()).capacity(4096).create().unwrap();
    let mut rx = ring.consumer().unwrap();
    let mut producer = Remote::start("bytes", &[name.as_str()]);
    producer.answers("drained", "Ok(())");
    producer.answers("push 1000", "Ok(())");
    producer.answers("push 2000", "Ok(())");
    producer.answers("room 1000", "Ok(())");
    producer.answers("room 2041", "Err(TooLong)");
    producer.answers("push 2041", "Err(TooLong)");
    producer.sleeps_in("room 2000");
    assert_eq!(rx.try_pop().unwrap().len(), 1000);
    // 1008 bytes more at the start do not make 2008 in one piece before the wrap.
    producer.falls_asleep();
    assert_eq!(rx.try_pop().unwrap().len(), 2000);
    producer.child.expect("Ok(())");
    producer.answers("push 2000", "Ok(())");
    producer.answers("drained 60", "Err(TimedOut)");
    producer.sleeps_in("drained");
    assert_eq!(rx.try_pop().unwrap().len(), 2000);
    producer.child.expect("Ok(())");
    // Also when closed.
    producer.answers("push 10", "Ok(())");
    producer.answers("close", "closed");
    producer.sleeps_in("drained");
    assert_eq!(rx.pop().unwrap().len(), 10);
    producer.child.expect("Ok(())");
    assert_eq!(rx.pop(), Err(RingError::Closed));
}

/// The futex word on which consumers sleep, seen past the library.
fn consumer_waits(ring: &Ring<u64>) -> impl Fn() -> u32 {
    // SAFETY: a null address lets the kernel choose.
    let base = unsafe { libc::shmat(ring.id(), std::ptr::null(), libc::SHM_RDONLY) };
    assert!(base as isize != -1, "shmat");
    let base = base as usize;
    // header 1024, two seats and two cursor lines of 128, then flags: `docs/layout.md`.
    let at = (base + 1024 + 4 * 128 + 4) as *mut u32;
    // SAFETY: inside the segment, which stays mapped until the end of the process; only loaded.
    move || unsafe { AtomicU32::from_ptr(at) }.load(SeqCst)
}

#[test]
fn a_killed_sleeper_costs_one_wake_and_the_next_one_is_woken() {
    let name = TestName::new("killed-sleeper");
    let ring = ring(&name, 4);
    let word = consumer_waits(&ring);
    let mut tx = ring.producer().unwrap();
    for round in 0..5 {
        let mut consumer = sits(&name, "consume");
        consumer.sleeps_in("pop");
        consumer.child.kill();
        assert_eq!(word(), 1, "what a killed sleeper leaves");
        tx.try_push(round).unwrap();
        assert_eq!(word(), 0, "one wake for nobody, and then none");
        let mut next = sits(&name, "consume");
        next.answers("pop", &format!("Ok({round})"));
        next.sleeps_in("pop");
        tx.try_push(round).unwrap();
        next.child.expect(&format!("Ok({round})"));
        assert_eq!(word(), 0);
        next.answers("leave", "left");
    }
}
