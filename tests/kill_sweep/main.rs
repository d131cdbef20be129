//! kill -9, and SIGSTOP, at every instruction of every operation: a child is single-stepped `k`
//! instructions into one operation and killed or stopped there. Then the others go on, and the books
//! balance: each message once, whole and in order, and positions on both sides fit.
//!
//! - *killed*: the survivor drains, a newcomer goes on. The commit is one store (I1), so the outcome,
//!   as a function of `k`, is "not yet" up to some instruction and "done" from there on. The sweep
//!   checks that too.
//! - *stopped*: its peer makes a thousand calls meanwhile, none of which waits for it; nobody gets its
//!   seat, and observers look; then it goes on to a good end.
//! - *taking over*: one has died in an operation, and the newcomer that takes its seat is killed or
//!   stopped while it joins; then another one comes.
//!
//! By default some points of each operation, from a random one on, and the commit itself; of those
//! that are stopped, the instructions that change a word or a seat, the ones beside them, and some more.
//! Joining, leaving and closing, which are the same for all kinds, on one kind. `SEGRING_SWEEP=N`: about
//! N points of every operation; `SEGRING_SWEEP=all`: every instruction (of joining: 500 to be killed
//! at, 200 to be stopped at).

#[path = "../mpmc_sweep/clock.rs"]
#[allow(dead_code)] // made for both sweeps
mod clock;
#[path = "../common/mod.rs"]
mod common;
#[path = "../harness/mod.rs"]
mod harness;
#[path = "../common/raw.rs"]
mod raw;
#[path = "../mpmc_sweep/stops.rs"]
mod stops;

mod course;
mod effort;
mod killed;
mod ops;
mod rings;
mod stopped;
mod victim;
mod words;
mod world;

use common::{TestChild, TestName, child_role, say, skip};
use effort::Effort;
use harness::{Rng, trace};
use rings::{Bytes, Kind, Typed};

/// Tracer and traced take turns, which costs half on one processor. Two kinds share one, if there
/// are two.
fn stay_on(number: usize) {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    let me = nix::unistd::Pid::from_raw(0);
    let Ok(allowed) = sched_getaffinity(me) else { return };
    let all: Vec<usize> = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu) == Ok(true)).collect();
    let mut one = CpuSet::new();
    // If it cannot be, it takes longer.
    let _ = one.set(all[number % all.len()]).and_then(|()| sched_setaffinity(me, &one));
}

fn sweep<K: Kind>(form: &str, name: &TestName, rng: &mut Rng) {
    let swept = match form {
        "killed" => killed::sweep::<K>(name, rng, Effort::asked()),
        "stopped" => stopped::sweep::<K>(name, rng, Effort::asked()),
        _ => stopped::take_over::<K>(name, rng, Effort::asked()),
    };
    match swept {
        Ok(points) => {
            say(&format!("{points} points in all"));
            say("done");
        }
        Err(e) => say(&format!("refused {}", trace::refused(e))),
    }
}

/// Children of these tests start here: the one that forks the victims and survives them.
#[test]
fn child_main() {
    let Some((form, args)) = child_role() else { return };
    let rng = &mut Rng::new(args[1].parse().expect("a seed"));
    let name = &TestName::called(&args[2]);
    // One kind takes as long as the other two.
    stay_on(usize::from(args[0] == "stamped"));
    match args[0].as_str() {
        "stamped" => sweep::<Typed<false>>(&form, name, rng),
        "dense" => sweep::<Typed<true>>(&form, name, rng),
        _ => sweep::<Bytes>(&form, name, rng),
    }
}

fn run(form: &str, kind: &str) {
    let seed = Rng::random_seed();
    // The parent's, so that it is cleaned up also when the child is killed.
    let name = TestName::new("sweep");
    let mut child = TestChild::spawn(form, &[kind, &seed.to_string(), name.as_str()]);
    let mut report = format!("{kind}, {form} (seed {seed}):\n");
    loop {
        let line = child.hear().unwrap_or_else(|| panic!("the sweep failed:\n{report}"));
        if line == "done" {
            break;
        }
        if let Some(why) = line.strip_prefix("refused ") {
            return skip("kill_sweep", why);
        }
        if line != "alive" {
            report += &format!("  {line}\n");
        }
    }
    child.join();
    let _ = std::io::Write::write_all(&mut std::io::stderr(), report.as_bytes());
}

#[test]
fn every_instruction_of_a_stamped_ring() {
    run("killed", "stamped");
}

#[test]
fn every_instruction_of_a_dense_ring() {
    run("killed", "dense");
}

#[test]
fn every_instruction_of_a_byte_ring() {
    run("killed", "bytes");
}

#[test]
fn stopped_at_every_instruction_of_a_stamped_ring() {
    run("stopped", "stamped");
}

#[test]
fn stopped_at_every_instruction_of_a_dense_ring() {
    run("stopped", "dense");
}

#[test]
fn stopped_at_every_instruction_of_a_byte_ring() {
    run("stopped", "bytes");
}

#[test]
fn killed_while_taking_over_in_a_stamped_ring() {
    run("taking over", "stamped");
}

#[test]
fn killed_while_taking_over_in_a_dense_ring() {
    run("taking over", "dense");
}

#[test]
fn killed_while_taking_over_in_a_byte_ring() {
    run("taking over", "bytes");
}
