//! kill -9, and SIGSTOP, at every instruction of every operation of an exchange ring: a child is led into
//! one operation instruction by instruction, and killed or stopped there. Then the others go on, and the
//! books balance.
//!
//! The words in the segment say how far it had got, and so what must come out: each message once, whole
//! and in order; what was in its hand again, marked; what it had released never again. Then newcomers go
//! on, each slot is in one place, and all seats can be taken.
//!
//! - *killed*: somebody else finds the dead seat, in each of the ways in which that can be, or after the
//!   ring has gone on without it, so that the verdict needs the other hands, or the stamp.
//! - *stopped*: others make a thousand calls meanwhile, round and round, and join and look for the dead;
//!   then it goes on.
//! - *repairing*: one is dead already, and whoever finishes what it had begun is killed or stopped.
//!
//! Each operation is led through once to find the instructions that change a word. By default these, the
//! ones beside them, and some more. `SEGRING_SWEEP=N`: about N points more of every operation;
//! `SEGRING_SWEEP=all`: every instruction (of joining, waiting and repairing: 200).
//! `SEGRING_SWEEP_ONLY=TryPush`: one operation only.
//!
//! - *inline*: the same of a ring whose messages lie in its entries. Nothing comes back there, nothing is
//!   repaired; whoever sits down on the dead one's seat finds its blocks.

#[path = "../common/mod.rs"]
mod common;
#[path = "../harness/mod.rs"]
mod harness;

mod clock;
mod course;
mod inline;
mod ops;
mod repair;
mod stops;
mod sweep;
mod victim;
mod words;
mod world;

use common::{TestChild, TestName, child_role, say, skip};
use course::Effort;
use harness::{Rng, trace};

/// Tracer and traced take turns, which costs half on one processor. Each test has another one, if there
/// are so many.
fn stay_on(number: usize) {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    let me = nix::unistd::Pid::from_raw(0);
    let Ok(allowed) = sched_getaffinity(me) else { return };
    let all: Vec<usize> = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu) == Ok(true)).collect();
    let mut one = CpuSet::new();
    // If it cannot be, it takes longer.
    let _ = one.set(all[number % all.len()]).and_then(|()| sched_setaffinity(me, &one));
}

/// Children of these tests start here: the one that forks the victims and survives them.
#[test]
fn child_main() {
    let Some((role, args)) = child_role() else { return };
    let rng = &mut Rng::new(args[0].parse().expect("a seed"));
    let name = &TestName::called(&args[1]);
    let effort = Effort::asked();
    let swept = match role.as_str() {
        "killed" => {
            stay_on(0);
            sweep::sweep(name, rng, effort, &sweep::killing())
        }
        "stopped" => {
            stay_on(0);
            sweep::sweep(name, rng, effort, &sweep::stopping())
        }
        "inline killed" => {
            stay_on(1);
            inline::sweep(name, rng, effort, &sweep::killing())
        }
        "inline stopped" => {
            stay_on(1);
            inline::sweep(name, rng, effort, &sweep::stopping())
        }
        _ => {
            stay_on(1);
            repair::sweep(name, rng, effort)
        }
    };
    match swept {
        Ok(()) => say("done"),
        Err(e) => say(&format!("refused {}", trace::refused(e))),
    }
}

fn run(role: &str) {
    let seed = Rng::random_seed();
    // The parent's, so that it is cleaned up also when the child is killed.
    let name = TestName::new("mpmc-sweep");
    let mut child = TestChild::spawn(role, &[&seed.to_string(), name.as_str()]);
    let mut report = format!("mpmc {role} (seed {seed}):\n");
    loop {
        let line = child.hear().unwrap_or_else(|| panic!("the sweep failed:\n{report}"));
        if line == "done" {
            break;
        }
        if let Some(why) = line.strip_prefix("refused ") {
            return skip("mpmc_sweep", why);
        }
        if line != "alive" {
            report += &format!("  {line}\n");
        }
    }
    child.join();
    let _ = std::io::Write::write_all(&mut std::io::stderr(), report.as_bytes());
}

#[test]
fn killed_at_every_instruction() {
    run("killed");
}

#[test]
fn stopped_at_every_instruction() {
    run("stopped");
}

#[test]
fn inline_killed_at_every_instruction() {
    run("inline killed");
}

#[test]
fn inline_stopped_at_every_instruction() {
    run("inline stopped");
}

#[test]
fn killed_while_repairing() {
    run("repairing");
}
