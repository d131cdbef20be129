//! The ring whose messages lie in its entries: pushes, batches, takes, closing. [`takeover`] has the kills.
//!
//! Tests say to how many preemptions they are bounded. A loop that waits for another thread yields.

mod memory;
mod takeover;

use crate::loom_tests::bound;
use crate::ring::RingError;
use loom::sync::Arc;
use loom::thread;
use memory::Act::{self, Batch, Push, Take};
use memory::{Heap, Life, Side};

/// Every execution with at most so many preemptions.
fn model(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(test);
}

fn sorted(mut items: Vec<u64>) -> Vec<u64> {
    items.sort_unstable();
    items
}

/// What is left at the end, by somebody who comes then.
fn drain(heap: &Arc<Heap>) -> Vec<u64> {
    let mut side = Side::join(heap, 0);
    std::iter::from_fn(|| side.take(64).ok()).flatten().collect()
}

/// Each message that was pushed comes once. Messages of one program, which are numbers that go up, come to
/// each consumer in their order; and to the only consumer, those of a batch one behind the other.
fn judge(programs: &[&[Act]], lives: &[Life], left: &[u64]) {
    let pushed = lives.iter().flat_map(|life| life.pushed.clone()).collect();
    let mut got: Vec<Vec<u64>> = lives.iter().map(|life| life.got.clone()).collect();
    got.retain(|got| !got.is_empty());
    if let Some(last) = got.last_mut().filter(|_| lives.len() == programs.len()) {
        last.extend(left);
    } else {
        got.push(left.to_vec());
    }
    assert_eq!(sorted(got.concat()), sorted(pushed), "each message once: {lives:?}, then {left:?}");
    for program in programs {
        let items: Vec<u64> = program.iter().flat_map(items_of).collect();
        for one in &got {
            assert!(one.iter().filter(|item| items.contains(item)).is_sorted(), "in order: {got:?}");
        }
        for batch in program.iter().filter(|act| matches!(act, Batch(_))).map(items_of) {
            if let [one] = &got[..] {
                let at = one.iter().position(|item| *item == batch[0]);
                assert!(at.is_none_or(|at| one[at..].starts_with(&batch)), "together: {got:?}");
            }
        }
    }
}

fn consumers(programs: &[&[Act]]) -> usize {
    programs.iter().filter(|program| program.iter().any(|act| matches!(act, Take(_)))).count()
}

fn items_of(act: &Act) -> Vec<u64> {
    match act {
        Push(item) => vec![*item],
        Batch(items) => items.to_vec(),
        Take(_) => vec![],
    }
}

/// Some threads, each with its program; none waits. The last one is this thread.
fn crowd(capacity: u32, per_seat: u32, preemptions: usize, programs: &'static [&'static [Act]]) {
    model(preemptions, move || {
        let heap = Heap::new(capacity, programs.len() as u32, per_seat, consumers(programs) == 1);
        let mut sides: Vec<Side> = (0..programs.len() as u32).map(|seat| Side::join(&heap, seat)).collect();
        let mine = sides.pop().expect("somebody");
        let others: Vec<_> = sides
            .into_iter()
            .zip(programs)
            .map(|(side, acts)| thread::spawn(move || side.live(acts)))
            .collect();
        let mine = mine.live(programs.last().expect("somebody"));
        let mut lives: Vec<Life> = others.into_iter().map(|other| other.join().expect("other")).collect();
        lives.push(mine);
        judge(programs, &lives, &drain(&heap));
    });
}

#[test]
fn two_producers() {
    crowd(1, 1, 3, &[&[Push(1)], &[Push(11)], &[Take(1), Take(1)]]);
    crowd(2, 1, bound(2, 3), &[&[Push(1), Push(2)], &[Push(11)], &[Take(1), Take(1)]]);
}

#[test]
fn a_push_beside_a_batch() {
    crowd(1, 1, 3, &[&[Batch(&[1, 2])], &[Push(11)], &[Take(1), Take(2)]]);
    crowd(2, 1, 2, &[&[Batch(&[1, 2])], &[Push(11), Push(12)], &[Take(2), Take(2)]]);
}

/// One takes one message, the other as many as there are; the block is used again.
#[test]
fn two_consumers_of_one_batch() {
    crowd(1, 1, 3, &[&[Batch(&[1, 2]), Batch(&[3, 4])], &[Take(1), Take(1)], &[Take(2)]]);
    crowd(1, 1, 3, &[&[Batch(&[1, 2]), Push(3)], &[Take(1)], &[Take(1), Take(1)]]);
}

#[test]
fn two_producers_two_consumers() {
    crowd(1, 1, bound(1, 2), &[&[Batch(&[1, 2]), Push(3)], &[Push(11)], &[Take(1)], &[Take(2), Take(1)]]);
}

/// A block goes round: it is written again when the last message was taken.
#[test]
fn a_block_goes_round() {
    crowd(1, 1, 4, &[&[Batch(&[1, 2]), Batch(&[3, 4]), Batch(&[5, 6])], &[Take(2), Take(1), Take(2)]]);
    crowd(2, 2, 3, &[&[Batch(&[1, 2]), Batch(&[3, 4]), Batch(&[5, 6])], &[Take(2), Take(1), Take(2)]]);
    crowd(1, 1, 3, &[&[Take(2), Take(1), Take(1)], &[Batch(&[1, 2]), Batch(&[3, 4])]]);
    // The next batch goes into another entry than the one that says that the block is free.
    crowd(2, 1, 3, &[&[Take(2), Take(1)], &[Batch(&[1, 2]), Batch(&[3, 4])]]);
}

/// Entries go round, with the values in them.
#[test]
fn an_entry_goes_round() {
    crowd(1, 1, 4, &[&[Push(1), Push(2), Push(3)], &[Take(1), Take(1), Take(1)]]);
    crowd(1, 1, 2, &[&[Push(1), Push(2), Push(3)], &[Take(1), Take(1)], &[Take(1)]]);
}

/// Closing beside a batch beside takes: what was pushed comes before `Closed`, and what comes later is
/// refused (I6). The closer may be killed between its mark and the flag.
fn closing(capacity: u32, before: &'static [u64], killed: bool) {
    model(2, move || {
        let heap = Heap::new(capacity, 3, 1, false);
        let [mut closer, mut mine, mut theirs] = [0, 1, 2].map(|seat| Side::join(&heap, seat));
        if !before.is_empty() {
            assert_eq!(closer.try_push_batch(before), Ok(true));
        }
        if killed {
            // Its flag is its own.
            closer = closer.doomed(u32::MAX);
        }
        let pusher = thread::spawn(move || {
            let mut pushed = Vec::new();
            if theirs.try_push_batch(&[11, 12]) == Ok(true) {
                pushed.extend([11, 12]);
            }
            if theirs.try_push(13).is_ok() {
                pushed.push(13);
            }
            pushed
        });
        let closer = thread::spawn(move || closer.close());
        let mut got = Vec::new();
        loop {
            match mine.take_or_closed(1) {
                Ok(items) => got.extend(items),
                Err(RingError::Empty) => thread::yield_now(),
                Err(e) => {
                    assert_eq!(e, RingError::Closed);
                    break;
                }
            }
        }
        let pushed = pusher.join().expect("pusher");
        closer.join().expect("closer");
        let expected: Vec<u64> = before.iter().copied().chain(pushed).collect();
        assert_eq!(got, expected, "all that was pushed, before `Closed`");
        assert_eq!(mine.try_push(20), Err(RingError::Closed));
        assert_eq!(mine.try_push_batch(&[20, 21]), Err(RingError::Closed));
        assert_eq!(drain(&heap), []);
    });
}

#[test]
fn nothing_is_pushed_after_closed() {
    closing(1, &[], false);
    closing(2, &[], false);
}

#[test]
fn a_full_ring_is_closed() {
    closing(1, &[1, 2], false);
}

#[test]
fn a_killed_closer_has_closed_if_its_mark_is_there() {
    closing(1, &[], true);
    closing(1, &[1, 2], true);
}
