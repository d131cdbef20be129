//! A limit that passes while the process is stopped. The clock goes on; and when the process does,
//! it says what it finds: a message, or else news of its peer, or else that the time is over.

use crate::cells::STRATEGIES;
use crate::common::{TestChild, TestName, listen, say, watchdog};
use crate::ops::{Kind, Op, Side};
use crate::subject::{AnyRing, CAPACITY, Subject};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_millis(300);

/// What happens while it is stopped, and what it then says.
const CASES: [(&str, &str); 3] =
    [("nothing", "TimedOut"), ("moves", "Ok"), ("leaves", "PeerGone { died: false }")];

pub fn role(name: &str, kind: &str, side: &str, strategy: &str) {
    let ring = AnyRing::attach(name, Kind::called(kind));
    let (side, op) = match side {
        "Producer" => (Side::Producer, Op::called("push_timeout(t)")),
        _ => (Side::Consumer, Op::called("pop_timeout(t)")),
    };
    let mut subject = ring.join(side);
    let strategy = STRATEGIES.into_iter().find(|s| format!("{s:?}") == strategy).expect("a strategy");
    subject.set_wait_strategy(strategy);
    say(&nix::unistd::gettid().to_string());
    while listen() == "go" {
        let said = subject.call(op, LIMIT);
        say(&said);
    }
}

/// Stops it, and waits until the kernel says so.
fn stop(child: &TestChild) {
    child.signal(libc::SIGSTOP);
    // SAFETY: our own child; no status is asked for.
    let stopped = unsafe { libc::waitpid(child.pid(), std::ptr::null_mut(), libc::WUNTRACED) };
    assert_eq!(stopped, child.pid());
}

/// Whether it is in its wait: asleep for certain, or spinning by now in most runs.
fn is_waiting(child: &TestChild, thread: &str, sleeps: bool, told: Instant) -> bool {
    let futex = format!("{} ", libc::SYS_futex);
    match std::fs::read_to_string(format!("/proc/{}/task/{thread}/syscall", child.pid())) {
        Ok(call) if sleeps => call.starts_with(&futex) && call.split(' ').nth(2) == Some("0x9"),
        _ => told.elapsed() > LIMIT / 6,
    }
}

fn moves(peer: &mut Subject, side: Side) {
    let what = if side == Side::Producer { "try_pop" } else { "try_push" };
    assert_eq!(peer.repeat(what, 1), "Ok");
}

/// `None`: it was stopped so late that its time may have been over before.
fn stopped(kind: Kind, side: Side, strategy: &str, happens: &str) -> Option<String> {
    let name = TestName::new("states-stopped");
    let ring = AnyRing::create(&name, kind);
    let mut peer = ring.join(side.peer());
    if side == Side::Producer {
        assert_eq!(ring.join(side).repeat("try_push", CAPACITY), "Ok");
    }
    let mut child =
        TestChild::spawn("stopped", &[name.as_str(), &format!("{kind:?}"), &format!("{side:?}"), strategy]);
    let thread = child.hear().expect("its thread");
    let told = Instant::now();
    child.tell("go");
    let sleeps = strategy == "Sleep" || strategy == "Adaptive";
    while told.elapsed() < LIMIT && !is_waiting(&child, &thread, sleeps, told) {
        std::thread::sleep(Duration::from_millis(1));
    }
    stop(&child);
    if told.elapsed() >= LIMIT {
        return None;
    }
    match happens {
        "moves" => moves(&mut peer, side),
        "leaves" => drop(peer),
        _ => {}
    }
    // Until the limit has passed for certain, whenever it began.
    std::thread::sleep(LIMIT + LIMIT / 2);
    child.signal(libc::SIGCONT);
    child.hear()
}

#[test]
fn a_limit_passes_while_its_process_is_stopped() {
    let _watchdog = watchdog("a_limit_passes_while_its_process_is_stopped");
    let sides = [Side::Producer, Side::Consumer].into_iter();
    for (side, strategy) in sides.flat_map(|side| STRATEGIES.map(|s| (side, format!("{s:?}")))) {
        std::thread::scope(|scope| {
            let kinds = [Kind::Stamped, Kind::Mpmc, Kind::Inline].into_iter();
            for (kind, (happens, wanted)) in kinds.flat_map(|kind| CASES.map(|case| (kind, case))) {
                let strategy = strategy.as_str();
                scope.spawn(move || {
                    let said = (0..50).find_map(|_| stopped(kind, side, strategy, happens));
                    assert_eq!(said.as_deref(), Some(wanted), "{kind:?}, {side:?}, {strategy}, {happens}");
                });
            }
        });
    }
}
