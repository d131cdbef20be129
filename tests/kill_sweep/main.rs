//! kill -9 at every instruction of every operation: a child is single-stepped `k` instructions into
//! one operation and killed there; then the survivor drains, the newcomer goes on, and the books
//! balance.
//!
//! The commit is one store (I1), so the outcome, as a function of `k`, is "not yet" up to some
//! instruction and "done" from there on. The sweep checks that too.
//!
//! By default some points of each operation, from a random one on, within [`STEPS`], and the commit
//! itself; joining, leaving and closing, which are the same for all kinds, on one kind.
//! `SEGRING_SWEEP=N`: about N points of every operation; `SEGRING_SWEEP=all`: every instruction (of
//! joining: 500).

#[path = "../common/mod.rs"]
mod common;
#[path = "../harness/mod.rs"]
mod harness;

mod rings;

use common::{TestChild, TestName, child_role, die_with_parent, say, skip};
use harness::{Rng, trace};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use nix::unistd::{ForkResult, Pid, fork};
use rings::{Bytes, Kind, OPS, Op, Typed, mark};
use segring::RingError;
use std::panic::AssertUnwindSafe;

/// Forks a victim, which joins and stops at the mark before its operation.
fn start<K: Kind>(name: &TestName, act: impl FnOnce(K)) -> nix::Result<Pid> {
    // SAFETY: this process has no other thread that holds a lock: it is a child made for this.
    let victim = match unsafe { fork() }? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let good = std::panic::catch_unwind(AssertUnwindSafe(|| {
                die_with_parent();
                ptrace::traceme().expect("traceme");
                mark();
                act(K::attach(name));
            }));
            // SAFETY: ends the process at once, and touches nothing of what it inherited.
            unsafe { libc::_exit(i32::from(good.is_err())) }
        }
    };
    expect_mark(victim, trace::wait(victim)?);
    ptrace::setoptions(victim, Options::PTRACE_O_EXITKILL)?;
    ptrace::cont(victim, None)?;
    expect_mark(victim, trace::wait(victim)?);
    Ok(victim)
}

fn expect_mark(victim: Pid, status: WaitStatus) {
    assert_eq!(status, WaitStatus::Stopped(victim, Signal::SIGSTOP), "a mark");
}

/// Lets a victim make `k` instructions, and kills it there. Says how many it really made: fewer
/// when it came to its second mark.
fn step_and_kill<K: Kind>(name: &TestName, op: Op, k: u64) -> nix::Result<u64> {
    let victim = start::<K>(name, |ring| ring.act(op))?;
    let made = run_to(victim, k);
    let _ = ptrace::kill(victim);
    while !matches!(trace::wait(victim), Ok(WaitStatus::Signaled(..) | WaitStatus::Exited(..)) | Err(_)) {}
    made
}

/// Stops a consumer right after its commit, lets its peer write all that is free then, and lets it
/// go on: what it has must be what it took.
fn overtake<K: Kind>(name: &TestName, op: Op, commit: u64) -> nix::Result<()> {
    let ring = K::create(name);
    assert_eq!(ring.push(5), (0, 5));
    let victim = start::<K>(name, |ring| ring.act(op))?;
    run_to(victim, commit)?;
    assert!(ring.push(100).1 > 0, "no room to overtake");
    run_out(victim)?;
    ring.remove();
    Ok(())
}

/// Lets a victim go on to its end, which must be a good one.
fn run_out(victim: Pid) -> nix::Result<()> {
    loop {
        ptrace::cont(victim, None)?;
        match trace::wait(victim)? {
            WaitStatus::Stopped(..) => {}
            end => {
                assert_eq!(end, WaitStatus::Exited(victim, 0), "it saw what cannot be");
                return Ok(());
            }
        }
    }
}

/// A consumer finds the ring empty; at some instruction of that, its peer pushes a message, closes
/// and leaves. No consumer may say `Closed` then.
fn close_beside_a_pop<K: Kind>(name: &TestName, rng: &mut Rng) -> nix::Result<()> {
    let (mut k, mut points) = (rng.below(10), 0);
    loop {
        let ring = K::create(name);
        let victim = start::<K>(name, |ring| ring.pop_from_empty())?;
        let made = run_to(victim, k)?;
        ring.push_and_close();
        run_out(victim)?;
        ring.remove();
        points += 1;
        if made < k {
            say(&format!("a close beside a pop: {points} of {made} instructions"));
            return Ok(());
        }
        k += 10;
    }
}

fn run_to(victim: Pid, k: u64) -> nix::Result<u64> {
    for done in 0..k {
        ptrace::step(victim, None)?;
        match trace::wait(victim)? {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => {}
            WaitStatus::Stopped(_, Signal::SIGSTOP) => return Ok(done),
            other => panic!("the victim ended by itself: {other:?}"),
        }
    }
    Ok(k)
}

/// One point: how many instructions were made, and how many messages the victim had moved.
/// `newcomer_first`: a successor comes before the survivor has touched the ring again, which else
/// it has.
fn point<K: Kind>(name: &TestName, op: Op, k: u64, newcomer_first: bool) -> nix::Result<(u64, u64)> {
    let ring = K::create(name);
    // Positions 5 and 5 + 3 wrap in 8 slots; so does the sixth record of 690 bytes.
    let (tail, head) = (5, if op.by_producer() { 2 } else { 0 });
    assert_eq!(ring.push(tail), (0, tail));
    assert_eq!(ring.pop(head).2, None);
    let made = step_and_kill::<K>(name, op, k)?;
    let moved;
    if op.by_producer() {
        let first = newcomer_first.then(|| ring.push(1));
        // The survivor drains, and finds a beginning of what the victim pushed.
        let (at, n, end) = ring.pop(100);
        assert_eq!(at, head);
        let found = at + n;
        let closed = end == Some(RingError::Closed);
        assert!(closed && op == Op::Close || end == Some(RingError::Empty), "{end:?}");
        if let Some((at, n)) = first {
            assert_eq!(at + n, found, "the newcomer pushed elsewhere");
        }
        moved = first.map_or(found, |(at, _)| at) - tail;
        // The next one goes on exactly there; a closed ring refuses it.
        let wanted = if closed { 0 } else { 3 };
        assert_eq!(ring.push(3), (found, wanted));
        assert_eq!(ring.pop(wanted), (found, wanted, None));
    } else {
        // A newcomer takes the rest; the survivor has all the room again.
        if newcomer_first {
            ring.push(1);
        }
        let (at, n, end) = ring.pop(100);
        let tail = ring.push(0).0;
        assert_eq!((at + n, end), (tail, Some(RingError::Empty)));
        moved = at - head;
        let (at, room) = ring.push(100);
        assert!(at == tail && if K::BYTES { room >= 4 } else { room == 8 }, "room for {room} only");
        assert_eq!(ring.pop(room), (tail, room, None));
    }
    assert!(moved <= op.moves(K::BYTES), "{moved} messages from one {op:?}");
    if !(K::PIECEMEAL && op.by_producer()) {
        assert!(moved == 0 || moved == op.moves(K::BYTES), "{op:?} was done by half: {moved}");
    }
    ring.remove();
    Ok((made, moved))
}

/// How many instructions the points of one operation may take together by default: each is a
/// context switch to and fro.
const STEPS: u64 = 3_000;

fn sweep<K: Kind>(name: &TestName, rng: &mut Rng) {
    let asked = match std::env::var("SEGRING_SWEEP").as_deref() {
        Ok("all") => Some(u64::MAX),
        Ok(n) => n.parse().ok(),
        Err(_) => None,
    };
    if let Err(e) = close_beside_a_pop::<K>(name, rng) {
        return say(&format!("refused {}", trace::refused(e)));
    }
    for op in OPS {
        let absent = K::BYTES && matches!(op, Op::PushSlice | Op::PopSlice);
        let common = op.moves(K::BYTES) == 0;
        // Tens of thousands of instructions, most of them to read `/proc`.
        let long = matches!(op, Op::JoinProducer | Op::JoinConsumer);
        if long && K::PIECEMEAL && asked.is_none() {
            let k = rng.below(45_000);
            let (made, _) = point::<K>(name, op, k, k % 2 == 0).expect("ptrace");
            say(&format!("{op:?}: killed at the {made}th instruction"));
        }
        if absent || asked.is_none() && (long || common && !K::PIECEMEAL) {
            continue;
        }
        let (length, all) = match point::<K>(name, op, u64::MAX, false) {
            Ok(whole) => whole,
            Err(e) => return say(&format!("refused {}", trace::refused(e))),
        };
        assert_eq!(all, op.moves(K::BYTES), "{op:?} was not done when its child was done with it");
        let most = if long { 500 } else { u64::MAX };
        let wanted = asked.unwrap_or((2 * STEPS / length).clamp(2, 25)).min(most);
        let stride = (length / wanted).max(1);
        let offset = rng.below(stride);
        let (mut points, mut before) = (0, 0);
        // The last point known to be before the (first) commit, and the first one known to be after.
        let (mut low, mut high) = (0, length);
        for k in (offset..length).step_by(stride as usize) {
            let (_, moved) = point::<K>(name, op, k, k % 2 == 0).expect("ptrace");
            assert!(moved >= before, "{op:?}: {moved} after {k} instructions, {before} before that");
            if moved == 0 {
                low = k;
            } else {
                high = high.min(k);
            }
            before = moved;
            points += 1;
        }
        let mut report = format!("{op:?}: {points} of {length} instructions, from {offset} on");
        if !common && (asked.is_some() || length < 3000) {
            // Closing in on the commit, where a kill matters most.
            while high - low > 1 {
                let middle = low.midpoint(high);
                let (_, moved) = point::<K>(name, op, middle, middle % 2 == 0).expect("ptrace");
                *(if moved == 0 { &mut low } else { &mut high }) = middle;
                points += 1;
            }
            // The instruction after the commit, with both orders of what follows.
            for newcomer_first in [false, true] {
                point::<K>(name, op, high, newcomer_first).expect("ptrace");
            }
            if !op.by_producer() {
                overtake::<K>(name, op, high).expect("ptrace");
            }
            report += &format!("; committed by the {high}th ({points} in all)");
        }
        say(&report);
    }
}

#[test]
fn child_main() {
    let Some((kind, args)) = child_role() else { return };
    let rng = &mut Rng::new(args[0].parse().expect("a seed"));
    let name = &TestName::called(&args[1]);
    match kind.as_str() {
        "stamped" => sweep::<Typed<false>>(name, rng),
        "dense" => sweep::<Typed<true>>(name, rng),
        _ => sweep::<Bytes>(name, rng),
    }
    say("done");
}

fn run(kind: &str) {
    let seed = Rng::random_seed();
    // The parent's, so that it is cleaned up also when the child is killed.
    let name = TestName::new("sweep");
    let mut child = TestChild::spawn(kind, &[&seed.to_string(), name.as_str()]);
    let mut report = format!("{kind} (seed {seed}):\n");
    loop {
        let line = child.hear().unwrap_or_else(|| panic!("the sweep failed:\n{report}"));
        if line == "done" {
            break;
        }
        if let Some(why) = line.strip_prefix("refused ") {
            return skip("kill_sweep", why);
        }
        report += &format!("  {line}\n");
    }
    child.join();
    let _ = std::io::Write::write_all(&mut std::io::stderr(), report.as_bytes());
}

#[test]
fn every_instruction_of_a_stamped_ring() {
    run("stamped");
}

#[test]
fn every_instruction_of_a_dense_ring() {
    run("dense");
}

#[test]
fn every_instruction_of_a_byte_ring() {
    run("bytes");
}
