//! The exchange ring: several pushers and poppers, closing, waiting. [`takeover`] has the kills.
//!
//! Tests say to how many preemptions they are bounded. A loop that waits for another thread yields.

mod memory;
mod takeover;

use super::kernel::{Side as Sleeper, World};
use super::waiter;
use crate::ring::RingError;
use crate::ring::wait::{self, WaitStrategy};
use loom::sync::Arc;
use loom::thread;
use memory::{Got, Heap, Kill, Side};
use std::collections::VecDeque;
use std::sync::Mutex;

/// Every execution with at most so many preemptions.
fn model(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(test);
}

fn push(side: &mut Side, item: u64) {
    while let Err(e) = side.try_push(item) {
        assert_eq!(e, RingError::Full);
        thread::yield_now();
    }
}

fn pop(side: &mut Side) -> u64 {
    loop {
        match side.try_pop() {
            Ok(got) => break got.item,
            Err(e) => assert_eq!(e, RingError::Empty),
        }
        thread::yield_now();
    }
}

fn try_push(side: &mut Side, item: u64) -> bool {
    let pushed = side.try_push(item);
    assert!(matches!(pushed, Ok(()) | Err(RingError::Full)));
    pushed.is_ok()
}

fn try_pop(side: &mut Side) -> Option<u64> {
    let popped = side.try_pop();
    assert!(matches!(popped, Ok(_) | Err(RingError::Empty)));
    popped.ok().map(|got| got.item)
}

/// What is left at the end. Then nothing is: each slot is in one place.
fn drain(side: &mut Side, heap: &Heap) -> Vec<Got> {
    let left = std::iter::from_fn(|| side.try_pop().ok()).collect();
    heap.assert_slots();
    left
}

fn sorted(mut items: Vec<u64>) -> Vec<u64> {
    items.sort_unstable();
    items
}

/// One pushes, one pops, both as long as it takes.
fn wrap(capacity: u32) {
    model(5, move || {
        let heap = Heap::new(capacity, 2);
        let [mut mine, mut theirs] = [0, 1].map(|number| Side::join(&heap, number));
        let pusher = thread::spawn(move || (1..=3).for_each(|item| push(&mut theirs, item)));
        (1..=3).for_each(|item| assert_eq!(pop(&mut mine), item));
        pusher.join().expect("pusher");
        assert_eq!(drain(&mut mine, &heap), []);
    });
}

#[test]
fn one_producer_one_consumer_wrap() {
    wrap(1);
    wrap(2);
}

/// Some threads push, each its numbers in order; some pop, so many times each; none waits. The last
/// popper is this thread. Who pops sees the numbers of one pusher in order.
fn crowd(capacity: u32, preemptions: usize, pushes: &'static [&'static [u64]], pops: &'static [usize]) {
    model(preemptions, move || {
        let threads = (pushes.len() + pops.len()) as u32;
        let heap = Heap::new(capacity, threads);
        let mut sides: VecDeque<Side> = (0..threads).map(|number| Side::join(&heap, number)).collect();
        let mut next = || sides.pop_front().expect("one each");
        let push = |items: &'static [u64], mut side: Side| {
            thread::spawn(move || items.iter().copied().filter(|item| try_push(&mut side, *item)).collect())
        };
        let pushers: Vec<thread::JoinHandle<Vec<u64>>> =
            pushes.iter().map(|items| push(items, next())).collect();
        let pop = |n: usize, side: &mut Side| (0..n).filter_map(|_| try_pop(side)).collect::<Vec<u64>>();
        let (mine, theirs) = pops.split_last().expect("somebody pops");
        let poppers: Vec<_> = theirs
            .iter()
            .map(|n| (*n, next()))
            .map(|(n, mut side)| thread::spawn(move || pop(n, &mut side)))
            .collect();
        let mut side = next();
        let mut last = pop(*mine, &mut side);
        let pushed: Vec<_> = pushers.into_iter().map(|pusher| pusher.join().expect("pusher")).collect();
        let mut got: Vec<_> = poppers.into_iter().map(|popper| popper.join().expect("popper")).collect();
        last.extend(drain(&mut side, &heap).iter().map(|got| got.item));
        got.push(last);
        for (items, one) in pushes.iter().flat_map(|items| got.iter().map(move |one| (items, one))) {
            assert!(one.iter().filter(|item| items.contains(item)).is_sorted(), "in order: {got:?}");
        }
        assert_eq!(sorted(got.concat()), sorted(pushed.concat()));
    });
}

#[test]
fn two_producers() {
    crowd(1, 4, &[&[1], &[11]], &[2]);
    crowd(2, 3, &[&[1, 2], &[11]], &[3]);
}

#[test]
fn two_consumers() {
    crowd(1, 4, &[&[1, 2]], &[1, 2]);
    crowd(2, 3, &[&[1, 2]], &[2, 2]);
}

#[test]
fn two_producers_two_consumers() {
    crowd(1, 3, &[&[1], &[11]], &[1, 1]);
    crowd(2, 2, &[&[1, 2], &[11]], &[2, 1]);
}

/// Both push and pop, with one entry between them: hands, slots and positions go round. Nobody waits.
#[test]
fn push_and_pop_go_round() {
    model(3, || {
        let heap = Heap::new(1, 2);
        let (mut mine, mut theirs) = (Side::join(&heap, 0), Side::join(&heap, 1));
        let go = |side: &mut Side, items: [u64; 2]| {
            let (mut put, mut got) = (Vec::new(), Vec::new());
            for item in items {
                put.extend(try_push(side, item).then_some(item));
                got.extend(try_pop(side));
            }
            (put, got)
        };
        let other = thread::spawn(move || go(&mut theirs, [11, 12]));
        let (mut put, mut got) = go(&mut mine, [1, 2]);
        let (their_put, their_got) = other.join().expect("other");
        put.extend(their_put);
        got.extend(their_got);
        got.extend(drain(&mut mine, &heap).iter().map(|got| got.item));
        assert_eq!(sorted(got), sorted(put));
    });
}

/// One takes and gives back; another one pops. Each message comes once, and marked if it was given back.
#[test]
fn a_message_that_is_given_back_comes_marked() {
    model(3, || {
        let heap = Heap::new(2, 3);
        let [mut first, mut mine, mut theirs] = [0, 1, 2].map(|number| Side::join(&heap, number));
        first.try_push(1).expect("room");
        let pusher = thread::spawn(move || first.try_push(2).is_ok());
        let taker = thread::spawn(move || match theirs.try_take() {
            Ok(got) => {
                let handed = theirs.try_hand_back().is_ok();
                if !handed {
                    assert_eq!(theirs.read(), got.item, "it stays where it was");
                    theirs.release();
                }
                Some((got.item, handed))
            }
            Err(e) => {
                assert_eq!(e, RingError::Empty);
                None
            }
        });
        let mut got: Vec<Got> = (0..2).filter_map(|_| mine.try_pop().ok()).collect();
        let pushed = pusher.join().expect("pusher");
        let taken = taker.join().expect("taker");
        got.extend(drain(&mut mine, &heap));
        let mut expected = vec![Got { item: 1, again: false }];
        expected.extend(pushed.then_some(Got { item: 2, again: false }));
        if let Some((item, handed)) = taken {
            expected.retain(|got| got.item != item);
            expected.extend(handed.then_some(Got { item, again: true }));
        }
        got.sort_by_key(|got| got.item);
        expected.sort_by_key(|got| got.item);
        assert_eq!(got, expected);
    });
}

/// What a consumer gets until it sees `Closed`.
fn pop_until_closed(side: &mut Side) -> Vec<u64> {
    let mut got = Vec::new();
    loop {
        match side.pop_or_closed() {
            Ok(popped) => got.push(popped.item),
            Err(RingError::Empty) => thread::yield_now(),
            Err(e) => {
                assert_eq!(e, RingError::Closed);
                return got;
            }
        }
    }
}

/// Closing beside a push beside pops, with so many messages before it: what was pushed comes before
/// `Closed`, and what comes later is refused (I6). The closer may be killed between its mark and the flag.
fn closing(capacity: u32, before: u64, killed: bool) {
    model(3, move || {
        let heap = Heap::new(capacity, 3);
        let [mut closer, mut mine, mut theirs] = [0, 1, 2].map(|number| Side::join(&heap, number));
        (1..=before).for_each(|item| closer.try_push(item).expect("room"));
        if killed {
            // Its flag is its own.
            closer = closer.doomed(Kill::Before(u32::MAX));
        }
        let pusher = thread::spawn(move || {
            [11, 12].into_iter().filter(|item| theirs.try_push(*item).is_ok()).collect::<Vec<u64>>()
        });
        let closer = thread::spawn(move || closer.close());
        let got = pop_until_closed(&mut mine);
        let pushed = pusher.join().expect("pusher");
        closer.join().expect("closer");
        let expected: Vec<u64> = (1..=before).chain(pushed).collect();
        assert_eq!(got, expected, "all that was pushed, before `Closed`");
        assert_eq!(mine.try_push(20), Err(RingError::Closed));
        assert_eq!(drain(&mut mine, &heap), []);
    });
}

#[test]
fn nothing_is_pushed_after_closed() {
    closing(2, 0, false);
    closing(1, 0, false);
}

#[test]
fn a_full_ring_is_closed() {
    closing(1, 1, false);
    closing(2, 2, false);
}

#[test]
fn a_killed_closer_has_closed_if_its_mark_is_there() {
    closing(1, 0, true);
    closing(1, 1, true);
}

/// A message is given back while the ring is being closed, or after: its push goes past the mark. Nothing
/// new does.
fn given_back_past_the_mark(preemptions: usize, killed: bool) {
    model(preemptions, move || {
        let heap = Heap::new(2, 3);
        let [mut closer, mut mine, mut late] = [0, 1, 2].map(|number| Side::join(&heap, number));
        closer.try_push(1).expect("room");
        mine.try_take().expect("a message");
        if killed {
            closer = closer.doomed(Kill::Before(u32::MAX));
        }
        let closer = thread::spawn(move || closer.close());
        // Looks for room where the given back message may be already.
        let late = thread::spawn(move || late.try_push(2).is_ok());
        mine.try_hand_back().expect("room");
        let mut got = pop_until_closed(&mut mine);
        closer.join().expect("closer");
        let late = late.join().expect("late");
        assert_eq!(drain(&mut mine, &heap), [], "nothing comes after `Closed`");
        got.sort_unstable();
        assert_eq!(got, if late { vec![1, 2] } else { vec![1] });
        assert_eq!(mine.try_push(3), Err(RingError::Closed));
    });
}

#[test]
fn nothing_new_goes_past_the_mark_behind_what_is_given_back() {
    given_back_past_the_mark(2, false);
    given_back_past_the_mark(2, true);
}

fn not_yet<T>(result: Result<T, RingError>) -> Result<Option<T>, RingError> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(RingError::Full | RingError::Empty) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Consumers sleep, each with its bit; producers push one message each, and wake; a producer that finds
/// the ring full sleeps as well. loom knows no barrier that stops the compiler only: `light_barrier` is a
/// full fence here. So this checks the protocol with a fence on both sides; that the CAS of a push
/// suffices on x86-64 it does not show.
fn sleepers(capacity: u32, preemptions: usize, producers: u32, consumers: u32) {
    assert_eq!(producers % consumers, 0);
    model(preemptions, move || {
        let heap = Heap::new(capacity, producers + consumers);
        let world = Arc::new(World::new(&heap.cursors, true));
        let got = std::sync::Arc::new(Mutex::new(Vec::new()));
        let run = |number: u32| {
            let (heap, world, got) = (heap.clone(), world.clone(), got.clone());
            let mut side = Side::join(&heap, number);
            move || {
                let host = Sleeper::new(&world, WaitStrategy::Sleep);
                let state = &heap.cursors.state;
                if number < producers {
                    let waiter = waiter(&state.producer_waits, 1 << number, false);
                    wait::until(&host, &waiter, || not_yet(side.try_push(u64::from(number)))).expect("room");
                    wait::notify(&host, &state.consumer_waits);
                    return;
                }
                let waiter = waiter(&state.consumer_waits, 1 << (number - producers), false);
                for _ in 0..producers / consumers {
                    let item = wait::until(&host, &waiter, || not_yet(side.try_pop())).expect("a message");
                    wait::notify(&host, &state.producer_waits);
                    got.lock().expect("not poisoned").push(item.item);
                }
            }
        };
        let mut mine = run(producers + consumers - 1);
        let others: Vec<_> =
            (0..producers + consumers - 1).map(|number| thread::spawn(run(number))).collect();
        mine();
        others.into_iter().for_each(|other| other.join().expect("sleeper"));
        let got = std::mem::take(&mut *got.lock().expect("not poisoned"));
        assert_eq!(sorted(got), (0..u64::from(producers)).collect::<Vec<u64>>());
        heap.assert_slots();
    });
}

/// A consumer sleeps, or is about to, while somebody closes.
#[test]
fn closing_wakes_who_sleeps() {
    model(3, || {
        let heap = Heap::new(1, 2);
        let world = Arc::new(World::new(&heap.cursors, true));
        let [mut mine, closer] = [0, 1].map(|number| Side::join(&heap, number));
        let other = thread::spawn({
            let (heap, world) = (heap.clone(), world.clone());
            move || {
                closer.close();
                wait::wake_all(
                    &Sleeper::new(&world, WaitStrategy::Sleep),
                    &heap.cursors.state.consumer_waits,
                );
            }
        });
        let host = Sleeper::new(&world, WaitStrategy::Sleep);
        let waiter = waiter(&heap.cursors.state.consumer_waits, 1, false);
        let end = wait::until(&host, &waiter, || not_yet(mine.pop_or_closed()));
        assert_eq!(end, Err(RingError::Closed));
        other.join().expect("closer");
    });
}

#[test]
fn no_wakeup_is_lost() {
    sleepers(1, 5, 1, 1);
}

#[test]
fn no_wakeup_is_lost_among_producers() {
    sleepers(1, 3, 2, 1);
}

#[test]
fn no_wakeup_is_lost_among_consumers() {
    sleepers(2, 1, 2, 2);
}
