//! Somebody is killed, at each of its accesses to the ring, and another one finishes what it had begun,
//! while others go on.
//!
//! Threads here are unwound by a panic where the process would be killed. That they are joined stands for
//! the semaphore: whoever takes over sees all that the victim has done, and no more than that of others.

use super::memory::{Act, Got, Heap, Kill, Life, Side};
use super::{drain, model, sorted};
use crate::loom_tests::bound;
use crate::ring::mpmc::repair::Verdict;
use Act::{HandBack, Push, Release, Take};
use loom::thread;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// What happens in one test.
#[derive(Clone, Copy)]
struct Plan {
    capacity: u32,
    preemptions: usize,
    /// What is in the ring at first. The victim's hand is the first one; the last one has pushed them.
    before: &'static [u64],
    victim: &'static [Act],
    others: &'static [&'static [Act]],
    /// What whoever has taken the hand over does with it then.
    after: &'static [Act],
}

fn is_done(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Entry { done: true } | Verdict::Taken | Verdict::Stamp { done: true })
}

/// All executions with one kill. Whether there was any in which it hit.
fn with(plan: Plan, kill: Kill, verdicts: &Arc<Mutex<BTreeSet<String>>>) -> bool {
    let hit = Arc::new(Mutex::new(false));
    let (hit_inside, verdicts) = (hit.clone(), verdicts.clone());
    model(plan.preemptions, move || {
        let heap = Heap::new(plan.capacity, plan.others.len() as u32 + 1);
        let victim = Side::join(&heap, 0).doomed(kill);
        let mut others: Vec<Side> =
            (1..=plan.others.len() as u32).map(|number| Side::join(&heap, number)).collect();
        if let Some(last) = others.last_mut() {
            plan.before.iter().for_each(|item| last.try_push(*item).expect("room"));
        }
        let others: Vec<_> = others
            .into_iter()
            .zip(plan.others)
            .map(|(side, acts)| thread::spawn(move || side.live(acts)))
            .collect();
        let life = thread::spawn(move || victim.live(plan.victim)).join().expect("victim");
        let (mut heir, verdict) = Side::take_over(&heap, 0);
        assert_eq!(is_done(verdict), life.unknowing, "{verdict:?}, and {life:?}");
        let killed = !life.finished;
        *hit_inside.lock().expect("not poisoned") |= killed;
        if killed {
            verdicts.lock().expect("not poisoned").insert(format!("{verdict:?}"));
        }
        let mut lives = vec![life];
        if heir.hand.holds() {
            // It comes again, to whoever has taken over.
            let item = heir.read();
            heir.release();
            lives.push(Life { released: vec![item], ..Life::default() });
        }
        lives.push(heir.live(plan.after));
        lives.extend(others.into_iter().map(|other| other.join().expect("other")));
        // All have gone. Whoever comes next finds what they hold.
        let mut left: Vec<u64> = Vec::new();
        let mut last = None;
        for number in 0..=plan.others.len() as u32 {
            let mut side = Side::join(&heap, number);
            if side.hand.holds() {
                left.push(side.read());
                side.release();
            }
            last = Some(side);
        }
        let last = last.as_mut().expect("the victim's");
        left.extend(drain(last, &heap).iter().map(|got: &Got| got.item));
        left.extend(lives.iter().flat_map(|life| &life.released));
        let mut pushed = plan.before.to_vec();
        pushed.extend(lives.iter().flat_map(|life| &life.pushed));
        assert_eq!(sorted(left), sorted(pushed), "each message once: {verdict:?}, {lives:?}");
    });
    let hit = *hit.lock().expect("not poisoned");
    hit
}

/// Kills it everywhere. Each of these verdicts was come to.
fn kill_everywhere(plan: Plan, expected: &[&str]) {
    let verdicts = Arc::new(Mutex::new(BTreeSet::new()));
    let exchanges = (0..).map(Kill::BeforeCur).take_while(|kill| with(plan, *kill, &verdicts)).count();
    let accesses = (0..).map(Kill::Before).take_while(|kill| with(plan, *kill, &verdicts)).count();
    let verdicts = verdicts.lock().expect("not poisoned");
    eprintln!("{exchanges} exchanges, {accesses} accesses: {verdicts:?}");
    for verdict in expected {
        assert!(verdicts.contains(*verdict), "{verdict} is not among {verdicts:?}");
    }
}

/// A ring of one entry, an other, and nothing in it at first.
const PLAN: Plan = Plan {
    capacity: 1,
    preemptions: 3,
    before: &[],
    victim: &[],
    others: &[&[Take, Release, Push(11), Take, Release]],
    after: &[Push(2)],
};

const ALL: [&str; 6] = [
    "Finished",
    "Entry { done: false }",
    "Entry { done: true }",
    "Taken",
    "Stamp { done: false }",
    "Stamp { done: true }",
];

#[test]
fn a_pusher_is_killed() {
    let plan = Plan { victim: &[Push(1)], ..PLAN };
    kill_everywhere(plan, &ALL);
}

#[test]
fn a_popper_is_killed() {
    let others: &[&[Act]] = &[&[Push(11), Take, Release, Push(12)]];
    let plan = Plan { before: &[5], victim: &[Take, Release], others, after: &[Take, Release], ..PLAN };
    kill_everywhere(plan, &ALL);
}

/// Its first slot has gone away, and another has come.
#[test]
fn one_that_pops_and_pushes_is_killed() {
    let others: &[&[Act]] = &[&[Push(11), Take, Release, Push(12)]];
    let preemptions = bound(2, 3);
    let plan = Plan { preemptions, before: &[5], victim: &[Take, Release, Push(1)], others, ..PLAN };
    kill_everywhere(plan, &ALL);
}

#[test]
fn one_that_gives_back_is_killed() {
    let others: &[&[Act]] = &[&[Push(11), Take, Release]];
    let preemptions = bound(2, 3);
    let plan = Plan { preemptions, before: &[5], victim: &[Take, HandBack, Take], others, ..PLAN };
    kill_everywhere(plan, &ALL);
}

#[test]
fn two_others_go_on() {
    let others: &[&[Act]] = &[&[Take, Release, Push(11)], &[Take, Release]];
    let plan = Plan { preemptions: 2, victim: &[Push(1)], others, after: &[], ..PLAN };
    kill_everywhere(plan, &ALL);
}

#[test]
fn two_entries() {
    let others: &[&[Act]] = &[&[Push(11), Take, Release, Push(12)]];
    let victim = &[Take, Release, Push(1)];
    let plan = Plan { capacity: 2, preemptions: 2, before: &[5], victim, others, ..PLAN };
    kill_everywhere(plan, &ALL[..4]);
}
