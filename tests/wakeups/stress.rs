//! Sleeping and waking by the hundred thousand, with each side in turn too early and too late by
//! some nanoseconds to some microseconds, and with every strategy.
//!
//! `SEGRING_HANDOVERS=10000000 cargo test --release --test wakeups` for the long form.

use crate::common::{TestChild, TestName, say};
use crate::interpose::{FOR_EVER, NO_BARRIER};
use segring::spsc::Ring;
use segring::{Observer, WaitStats, WaitStrategy};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Wakes of a sleeper, in the short form.
const HANDOVERS: u64 = 200_000;
/// Messages of one run.
const MESSAGES: u64 = 50_000;
/// Messages between two changes of strategies and delays.
const PHASE: u64 = 500;
/// Rings at work at once: with more processes than cores, they are interrupted anywhere.
const RINGS: u64 = 3;

/// Words of a message in dense slots: so long that its commit is still on the way while its producer
/// already looks for sleepers.
const LONG: usize = 32;

/// Looks, 20 ms apart, without progress until a sleeper is taken for lost: a watchdog.
const LOOKS: u32 = 150;

/// splitmix64: both sides draw the same phases.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[(self.next() % from.len() as u64) as usize]
    }
}

/// How the two sides, producer and consumer, behave for a while.
fn phase(draw: &mut Draw) -> ([WaitStrategy; 2], [u64; 2]) {
    use WaitStrategy::{Adaptive, BusySpin, Sleep, Yield};
    let strategies = draw.pick(&[
        [BusySpin, Sleep],
        [Sleep, BusySpin],
        [Sleep, Sleep],
        [Adaptive, Sleep],
        [Sleep, Adaptive],
        [Yield, Sleep],
    ]);
    let delays = [draw.pick(&[1, 30, 300, 3000]), draw.pick(&[1, 30, 300, 3000])];
    (strategies, delays)
}

fn delay(draw: &mut Draw, most: u64) {
    (0..draw.next() % most).for_each(|n| _ = std::hint::black_box(n));
}

/// Child: one side of a ring. Says its thread, then how often it was woken from a sleep.
pub fn side(args: &[&str]) {
    match args {
        [name, side, seed, barrier, "stamped"] => side_of::<7>(name, side, seed, barrier),
        [name, side, seed, barrier, _] => side_of::<LONG>(name, side, seed, barrier),
        other => panic!("not these arguments: {other:?}"),
    }
}

fn side_of<const WORDS: usize>(name: &str, side: &str, seed: &str, barrier: &str) {
    NO_BARRIER.store(barrier == "off", SeqCst);
    FOR_EVER.store(true, SeqCst);
    let seed: u64 = seed.parse().expect("a number");
    let (mut phases, mut mine) = (Draw(seed), Draw(!seed ^ side.len() as u64));
    let ring = Ring::<[u64; WORDS]>::builder(name).attach().expect("attach");
    say(&nix::unistd::gettid().to_string());
    let woken = |stats: WaitStats| stats.sleeps - stats.rechecks;
    if side == "producer" {
        let mut tx = ring.producer().expect("seat");
        let mut most = 1;
        for i in 0..MESSAGES {
            if i % PHASE == 0 {
                let (strategies, delays) = phase(&mut phases);
                tx.set_wait_strategy(strategies[0]);
                most = delays[0];
            }
            // As soon as there is room, and then a little later.
            tx.wait_for_room(None).expect("room");
            delay(&mut mine, most);
            tx.push([i; WORDS]).expect("push");
        }
        // Leaving would be news, which the consumer must not take for a message.
        tx.close();
        say(&woken(tx.wait_stats()).to_string());
    } else {
        let mut rx = ring.consumer().expect("seat");
        let mut most = 1;
        for i in 0..MESSAGES {
            if i % PHASE == 0 {
                let (strategies, delays) = phase(&mut phases);
                rx.set_wait_strategy(strategies[1]);
                most = delays[1];
            }
            delay(&mut mine, most);
            assert_eq!(rx.pop(), Ok([i; WORDS]));
        }
        say(&woken(rx.wait_stats()).to_string());
    }
}

/// Whether this thread sleeps in a futex between processes. Unreadable: no.
fn sleeps(tid: &str) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{tid}/syscall")).unwrap_or_default();
    call.starts_with(&format!("{} ", libc::SYS_futex)) && call.split(' ').nth(2) == Some("0x9")
}

/// One ring and its two processes until all messages are there: how many sleepers were woken.
/// `None`: nothing moves any more and somebody sleeps, so a wakeup was lost.
fn run(seed: u64, barrier: &str) -> Option<u64> {
    let name = TestName::new("stress");
    let mut draw = Draw(seed);
    let (capacity, layout) = (draw.pick(&[1, 2, 8]), draw.pick(&["stamped", "dense"]));
    let _rings = match layout {
        "stamped" => {
            (Some(Ring::<[u64; 7]>::builder(name.name()).capacity(capacity).create().unwrap()), None)
        }
        _ => (None, Some(Ring::<[u64; LONG]>::builder(name.name()).capacity(capacity).create().unwrap())),
    };
    let observer = Observer::attach(name.name()).expect("made above");
    let seed = seed.to_string();
    let (report, reports) = channel();
    let mut tids = Vec::new();
    let mut pids = Vec::new();
    let listeners: Vec<_> = ["producer", "consumer"]
        .into_iter()
        .map(|side| {
            let mut child = TestChild::spawn("stress", &[name.as_str(), side, &seed, barrier, layout]);
            tids.push(child.hear().expect("its thread"));
            pids.push(child.pid());
            let report = report.clone();
            std::thread::spawn(move || {
                let woken = child.hear();
                // The parent may have given up on it.
                let _ = report.send(woken);
            })
        })
        .collect();
    let mut total = 0;
    let mut done = 0;
    let (mut position, mut looks) = ((0, 0), 0);
    let lost = loop {
        match reports.recv_timeout(Duration::from_millis(20)) {
            Ok(woken) => {
                total += woken.expect("it ends well").parse::<u64>().expect("a number");
                done += 1;
                if done == 2 {
                    break false;
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                // Somebody sleeps, and not one message moves between so many looks.
                let stats = observer.stats().expect("the ring is there");
                let now = (stats.pushed, stats.popped);
                let still = now == position && tids.iter().any(|tid| sleeps(tid));
                looks = if still { looks + 1 } else { 0 };
                position = now;
                if looks == LOOKS {
                    break true;
                }
            }
            Err(RecvTimeoutError::Disconnected) => unreachable!("this end holds a sender"),
        }
    };
    if lost {
        for pid in pids {
            // SAFETY: our own children, which nobody has waited for yet.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
    listeners.into_iter().for_each(|listener| listener.join().expect("listener"));
    (!lost).then_some(total)
}

#[test]
fn sleepers_are_always_woken() {
    let wanted = match std::env::var("SEGRING_HANDOVERS") {
        Ok(n) => n.parse().expect("SEGRING_HANDOVERS is a number"),
        Err(_) => HANDOVERS,
    };
    let (mut total, mut seed) = (0, 0);
    while total < wanted {
        let runs: Vec<_> = (0..RINGS)
            .map(|ring| std::thread::spawn(move || (seed + ring, run(seed + ring, "on"))))
            .collect();
        // All of them, before one may fail: each has a ring to remove.
        let runs: Vec<_> = runs.into_iter().map(|run| run.join().expect("a run")).collect();
        for (seed, woken) in runs {
            total += woken.unwrap_or_else(|| panic!("a wakeup was lost (seed {seed})"));
        }
        seed += RINGS;
        eprintln!("{total} sleepers woken, {} messages", seed * MESSAGES);
    }
}

/// The stress can fail: without the barrier of the side that goes to sleep it does.
#[test]
fn without_the_barrier_a_wakeup_is_lost() {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return crate::common::skip(
            "without_the_barrier",
            "one core: stores and loads of two processes cannot cross",
        );
    }
    for seed in 0..200 {
        if run(seed, "off").is_none() {
            eprintln!("lost in run {seed}");
            return;
        }
    }
    panic!("{} messages without the barrier, and no wakeup was lost", 200 * MESSAGES);
}
