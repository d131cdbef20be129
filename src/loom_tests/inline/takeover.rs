//! Somebody is killed, at each of its accesses to the ring, and another one takes the seat over, while
//! others go on.
//!
//! Threads here are unwound by a panic where the process would be killed. That they are joined stands for
//! the semaphore: whoever takes over sees all that the victim has done, and no more than that of others.

use super::memory::{Act, Heap, Life, Side};
use super::{consumers, drain, judge, model};
use Act::{Batch, Push, Take};
use loom::thread;
use std::sync::{Arc, Mutex};

/// What happens in one test.
#[derive(Clone, Copy)]
struct Plan {
    capacity: u32,
    per_seat: u32,
    preemptions: usize,
    /// What is in the ring at first, pushed by the last of the others.
    before: &'static [u64],
    victim: &'static [Act],
    others: &'static [&'static [Act]],
    /// What whoever has taken the seat over does.
    after: &'static [Act],
}

/// All executions with one kill. Whether there was any in which it hit.
fn with(plan: Plan, kill: u32) -> bool {
    let hit = Arc::new(Mutex::new(false));
    let hit_inside = hit.clone();
    model(plan.preemptions, move || {
        let programs: Vec<&[Act]> =
            [plan.victim, plan.after].into_iter().chain(plan.others.iter().copied()).collect();
        let heap =
            Heap::new(plan.capacity, plan.others.len() as u32 + 1, plan.per_seat, consumers(&programs) == 1);
        let victim = Side::join(&heap, 0).doomed(kill);
        let mut others: Vec<Side> =
            (1..=plan.others.len() as u32).map(|seat| Side::join(&heap, seat)).collect();
        let mut lives = vec![Life { pushed: plan.before.to_vec(), ..Life::default() }];
        if let Some(last) = others.last_mut().filter(|_| !plan.before.is_empty()) {
            assert_eq!(last.try_push_batch(plan.before), Ok(true));
        }
        let others: Vec<_> = others
            .into_iter()
            .zip(plan.others)
            .map(|(side, acts)| thread::spawn(move || side.live(acts)))
            .collect();
        let life = thread::spawn(move || victim.live(plan.victim)).join().expect("victim");
        *hit_inside.lock().expect("not poisoned") |= !life.finished;
        lives.push(life);
        lives.push(Side::join(&heap, 0).live(plan.after));
        lives.extend(others.into_iter().map(|other| other.join().expect("other")));
        judge(&programs, &lives, &drain(&heap));
    });
    let hit = *hit.lock().expect("not poisoned");
    hit
}

/// Kills it everywhere: before each access until there is none more.
fn kill_everywhere(plan: Plan, at_least: usize) {
    let accesses = (0..).take_while(|kill| with(plan, *kill)).count();
    eprintln!("{accesses} accesses");
    assert!(accesses >= at_least, "{accesses} accesses only");
}

/// A ring of one entry and blocks of one for each seat, an other, and nothing in it at first.
const PLAN: Plan = Plan {
    capacity: 1,
    per_seat: 1,
    preemptions: 2,
    before: &[],
    victim: &[],
    others: &[&[Take(1), Take(2)]],
    after: &[],
};

#[test]
fn a_pusher_is_killed() {
    kill_everywhere(Plan { capacity: 2, victim: &[Push(1), Push(2)], after: &[Push(3)], ..PLAN }, 6);
}

#[test]
fn the_owner_of_a_block_is_killed() {
    let plan = Plan { victim: &[Batch(&[1, 2])], after: &[Batch(&[3, 4]), Batch(&[5, 6])], ..PLAN };
    kill_everywhere(plan, 6);
    // There is room for the next batch while the block is in the ring.
    kill_everywhere(Plan { capacity: 2, ..plan }, 6);
}

/// Others push, too: the entry that was noted gets another message.
#[test]
fn the_owner_of_a_block_is_killed_beside_others() {
    let others: &[&[Act]] = &[&[Push(11), Take(1), Take(2)]];
    let plan = Plan { capacity: 2, victim: &[Batch(&[1, 2])], others, after: &[Batch(&[3, 4])], ..PLAN };
    kill_everywhere(plan, 6);
}

#[test]
fn the_owner_of_two_blocks_is_killed() {
    let victim: &[Act] = &[Batch(&[1, 2]), Batch(&[3, 4])];
    let after: &[Act] = &[Batch(&[5, 6]), Batch(&[7, 8])];
    kill_everywhere(Plan { capacity: 2, per_seat: 2, victim, after, ..PLAN }, 12);
}

#[test]
fn a_consumer_is_killed() {
    let others: &[&[Act]] = &[&[Take(1), Batch(&[11, 12])]];
    let plan = Plan { before: &[5, 6], victim: &[Take(1), Take(2)], others, after: &[Take(2)], ..PLAN };
    kill_everywhere(plan, 5);
}
