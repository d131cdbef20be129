//! The exchange ring in one thread: each verdict of a take-over, and whole lives beside a plain queue. [`crate::loom_tests`] has the threads.

mod hostile;
mod inline;

use super::repair::{Verdict, finish};
use super::walk::look;
use super::{Entries, Hand, Memory, Message, closing, hint, look_for_room, progress};
use crate::layout::cursors::Cursors;
use crate::layout::exchange::{Entry, HandLine, Op, SlotHeader};
use crate::ring::RingError;
use crate::sync::{AtomicU64, Ordering::Relaxed};
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::VecDeque;

/// A ring's words. An access too many is a failure, not an endless loop.
struct Heap {
    entries: Vec<AtomicU64>,
    hands: Vec<HandLine>,
    headers: Vec<AtomicU64>,
    cursors: Cursors,
    accesses: Cell<u64>,
    limit: Cell<u64>,
}

impl Heap {
    /// Empty, and so far that the next push is at this position.
    fn new(capacity: u64, hands: u32, base: u64) -> Self {
        let bits = capacity.trailing_zeros();
        let entries: Vec<_> = (0..capacity).map(|_| AtomicU64::new(0)).collect();
        for (slot, position) in (base..base + capacity).enumerate() {
            let lap = position >> bits << 25;
            entries[(position % capacity) as usize].store(lap | Entry::first(slot as u32).0, Relaxed);
        }
        let hand = |i| {
            let line = HandLine::default();
            line.cur.store(Op::start(capacity as u32 + i).0, Relaxed);
            line
        };
        let heap = Self {
            entries,
            hands: (0..hands).map(hand).collect(),
            headers: (0..capacity as u32 + hands).map(|_| AtomicU64::new(0)).collect(),
            cursors: Cursors::default(),
            accesses: Cell::new(0),
            limit: Cell::new(u64::MAX),
        };
        heap.cursors.producer.cursor.store(base, Relaxed);
        heap.cursors.consumer.cursor.store(base, Relaxed);
        heap
    }

    fn count(&self) {
        self.accesses.set(self.accesses.get() + 1);
        assert!(self.accesses.get() < self.limit.get(), "this does not end");
    }

    /// All words.
    fn words(&self) -> Vec<u64> {
        let hands = self.hands.iter().flat_map(|hand| [&hand.cur, &hand.now, &hand.rel]);
        let cursors = [&self.cursors.producer.cursor, &self.cursors.consumer.cursor];
        let all = self.entries.iter().chain(hands).chain(&self.headers).chain(cursors);
        all.map(|word| word.load(Relaxed)).collect()
    }

    /// Each slot is in one place (I4).
    fn assert_slots(&self) {
        let entries = self.entries.iter().map(|entry| Entry(entry.load(Relaxed)).slot());
        let hands = self.hands.iter().map(|hand| Op(hand.cur.load(Relaxed)).slot());
        let mut slots: Vec<u32> = entries.chain(hands).collect();
        slots.sort_unstable();
        assert!(slots.into_iter().eq(0..self.slot_count()), "{:x?}", self.words());
    }
}

impl Entries for &Heap {
    fn capacity_bits(&self) -> u32 {
        self.entries.len().trailing_zeros()
    }
    fn cursors(&self) -> &Cursors {
        &self.cursors
    }
    fn entry(&self, position: u64) -> &AtomicU64 {
        self.count();
        &self.entries[(position % self.capacity()) as usize]
    }
    fn is_sound(&self, entry: Entry) -> bool {
        entry.slot() < self.slot_count()
    }
}

impl Memory for &Heap {
    fn hand_count(&self) -> u32 {
        self.hands.len() as u32
    }
    fn slot_count(&self) -> u32 {
        self.headers.len() as u32
    }
    fn hand(&self, number: u32) -> &HandLine {
        self.count();
        &self.hands[number as usize]
    }
    fn header(&self, slot: u32) -> &AtomicU64 {
        self.count();
        &self.headers[slot as usize]
    }
}

/// A ring and all its hands, with payloads that are numbers.
struct Ring {
    heap: Heap,
    hands: Vec<Hand>,
    payloads: Vec<u64>,
    tail: u64,
    head: u64,
}

impl Ring {
    fn new(capacity: u64, hands: u32, base: u64) -> Self {
        let heap = Heap::new(capacity, hands, base);
        let payloads = vec![0; (&heap).slot_count() as usize];
        let join = |number| match finish(&heap, number) {
            Ok((hand, Verdict::Finished)) => hand,
            other => panic!("{other:?}"),
        };
        let hands = (0..hands).map(join).collect();
        Self { heap, hands, payloads, tail: base, head: base }
    }

    fn push(&mut self, hand: usize, item: u64) -> Result<(), RingError> {
        let hand = &mut self.hands[hand];
        self.payloads[hand.slot().0 as usize] = item;
        hand.stamp(&self.heap, false);
        hand.try_push(&self.heap, &mut self.tail, Message::New)
    }

    fn hand_back(&mut self, hand: usize) -> Result<(), RingError> {
        let hand = &mut self.hands[hand];
        hand.stamp(&self.heap, true);
        hand.try_push(&self.heap, &mut self.tail, Message::Again)
    }

    fn held(&self, hand: usize) -> u64 {
        self.payloads[self.hands[hand].slot().0 as usize]
    }

    fn take(&mut self, hand: usize) -> Result<(u64, bool), RingError> {
        let again = self.hands[hand].try_pop(&self.heap, &mut self.head)?;
        Ok((self.held(hand), again))
    }

    fn release(&mut self, hand: usize) {
        self.hands[hand].release(&self.heap);
    }

    fn pop(&mut self, hand: usize) -> Result<(u64, bool), RingError> {
        let got = self.take(hand)?;
        self.release(hand);
        Ok(got)
    }

    /// A hand's stamp and intent, and then nothing more.
    fn intend(&mut self, hand: usize, push: bool) {
        let position = if push { self.tail } else { self.head };
        let slot = Entry((&self.heap).entry(position).load(Relaxed)).slot();
        let op = if push { Op::push(position, slot) } else { Op::pop(position, slot) };
        self.hands[hand].stamp(&self.heap, false);
        self.heap.hands[hand].now.store(op.0, Relaxed);
    }
}

/// What the victim was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// It had the intent.
    Intent,
    /// And the CAS had succeeded.
    Exchanged,
    /// And `cur` was written.
    Finished,
}

const VICTIM: usize = 0;
/// What the victim pushes, and what lies in the ring for it if it pops.
const ITEM: u64 = 7;

/// A test of one take-over.
#[derive(Clone, Copy, Debug)]
struct Case {
    capacity: u64,
    base: u64,
    push: bool,
    cut: Cut,
    /// What the victim has done before.
    rounds: u64,
}

impl Case {
    /// Up to the kill; then what others do; then the take-over.
    fn run(self, others: impl FnOnce(&mut Ring) -> Vec<u64>, expected: Verdict) {
        let mut ring = Ring::new(self.capacity, 4, self.base);
        for round in 0..self.rounds {
            ring.push(VICTIM, 100 + round).expect("room");
            assert_eq!(ring.pop(VICTIM), Ok((100 + round, false)));
        }
        if !self.push {
            ring.push(3, ITEM).expect("room");
        }
        let before = ring.heap.hands[VICTIM].cur.load(Relaxed);
        let (tail, head) = (ring.tail, ring.head);
        ring.payloads[ring.hands[VICTIM].slot().0 as usize] = ITEM;
        match (self.cut, self.push) {
            (Cut::Intent, push) => ring.intend(VICTIM, push),
            (_, true) => ring.push(VICTIM, ITEM).expect("room"),
            (_, false) => assert_eq!(ring.take(VICTIM), Ok((ITEM, false))),
        }
        if self.cut == Cut::Exchanged {
            ring.heap.hands[VICTIM].cur.store(before, Relaxed);
        }
        if self.cut == Cut::Intent {
            assert_eq!((ring.tail, ring.head), (tail, head));
        }
        let mut got = others(&mut ring);
        let done = self.cut != Cut::Intent;
        let (hand, verdict) = finish(&ring.heap, VICTIM as u32).expect("sound");
        assert_eq!(verdict, expected, "{self:?}");
        let line = &ring.heap.hands[VICTIM];
        let now = if done { line.now.load(Relaxed) } else { before };
        assert_eq!(line.cur.load(Relaxed), now, "{self:?}");
        assert_eq!(hand.holds(), done && !self.push, "{self:?}");
        let header = SlotHeader((&ring.heap).header(hand.slot().0).load(Relaxed));
        assert_eq!(header, SlotHeader::owned_by(VICTIM as u32, hand.holds()), "{self:?}");
        ring.heap.assert_slots();
        // Once more: nothing changes.
        let words = ring.heap.words();
        let (again, second) = finish(&ring.heap, VICTIM as u32).expect("sound");
        assert_eq!(second, if done { Verdict::Finished } else { verdict }, "{self:?}");
        assert_eq!((hand.into_parts(), words), (again.into_parts(), ring.heap.words()), "{self:?}");
        // The message is there once, if it was pushed at all.
        ring.hands[VICTIM] = finish(&ring.heap, VICTIM as u32).expect("sound").0;
        if ring.hands[VICTIM].holds() {
            got.push(ring.held(VICTIM));
            ring.release(VICTIM);
        }
        for hand in 1..4 {
            if ring.hands[hand].holds() {
                got.push(ring.held(hand));
                ring.release(hand);
            }
        }
        while let Ok((item, again)) = ring.pop(VICTIM) {
            assert!(!again);
            got.push(item);
        }
        let times = got.iter().filter(|item| **item == ITEM).count();
        assert_eq!(times, usize::from(done || !self.push), "{self:?}: {got:?}");
        ring.heap.assert_slots();
    }
}

/// All sizes, and positions from 0 on, and about the wraps of positions in hands and of laps.
fn for_each_case(cut: Cut, pushes: &[bool], test: impl Fn(Case)) {
    for capacity in [1, 2, 8u64] {
        let wraps = [1u64 << 39, capacity << 39].map(|wrap| [wrap - capacity - 1, wrap - 2, wrap - 1, wrap]);
        for base in [0, 1].into_iter().chain(wraps.into_iter().flatten()) {
            for (push, rounds) in pushes.iter().flat_map(|push| [(*push, 0), (*push, 1), (*push, 2)]) {
                test(Case { capacity, base, push, cut, rounds });
            }
        }
    }
}

const BOTH: [bool; 2] = [true, false];

#[test]
fn finished_if_cur_is_what_was_intended() {
    for_each_case(Cut::Finished, &BOTH, |case| case.run(|_| vec![], Verdict::Finished));
}

#[test]
fn finished_if_others_have_gone_on_since() {
    for_each_case(Cut::Finished, &[true], |case| {
        case.run(|ring| vec![ring.pop(1).expect("it is there").0], Verdict::Finished);
    });
}

#[test]
fn not_done_if_the_entry_is_as_expected() {
    for_each_case(Cut::Intent, &BOTH, |case| {
        case.run(|_| vec![], Verdict::Entry { done: false });
        let close = |ring: &mut Ring| {
            closing::close(&ring.heap).expect("sound");
            vec![]
        };
        case.run(close, Verdict::Entry { done: false });
    });
}

#[test]
fn done_if_the_entry_has_my_slot() {
    for_each_case(Cut::Exchanged, &BOTH, |case| {
        case.run(|_| vec![], Verdict::Entry { done: true });
        let close = |ring: &mut Ring| {
            closing::close(&ring.heap).expect("sound");
            vec![]
        };
        case.run(close, Verdict::Entry { done: true });
    });
}

#[test]
fn not_done_if_the_entry_has_anothers_slot() {
    for_each_case(Cut::Intent, &[true], |case| {
        let push = |ring: &mut Ring| {
            ring.push(1, 20).expect("room");
            vec![]
        };
        case.run(push, Verdict::Entry { done: false });
    });
    for_each_case(Cut::Intent, &[false], |case| {
        case.run(|ring| vec![ring.pop(1).expect("it is there").0], Verdict::Entry { done: false });
    });
}

/// Pushes until the entry of a pop at the head, which had one message, is full again.
fn push_around(ring: &mut Ring) {
    for i in 0..(&ring.heap).capacity() {
        ring.push(1, 20 + i).expect("room");
    }
}

#[test]
fn done_if_another_has_taken_it_out() {
    for_each_case(Cut::Exchanged, &[true], |case| {
        let take = |ring: &mut Ring| {
            ring.take(1).expect("it is there");
            vec![]
        };
        case.run(take, Verdict::Taken);
        // One wanted to, but another was faster.
        let second = |ring: &mut Ring| {
            ring.intend(2, false);
            let got = ring.pop(1).expect("it is there").0;
            ring.push(1, 20).expect("room");
            vec![got]
        };
        case.run(second, Verdict::Taken);
    });
    for_each_case(Cut::Exchanged, &[false], |case| {
        let push = |ring: &mut Ring| {
            push_around(ring);
            vec![]
        };
        case.run(push, Verdict::Taken);
    });
}

#[test]
fn done_if_another_has_stamped_it() {
    for_each_case(Cut::Exchanged, &[true], |case| {
        let next = |ring: &mut Ring| {
            let got = ring.pop(1).expect("it is there").0;
            ring.push(1, 20).expect("room");
            vec![got]
        };
        case.run(next, Verdict::Stamp { done: true });
    });
    for_each_case(Cut::Exchanged, &[false], |case| {
        let next = |ring: &mut Ring| {
            push_around(ring);
            vec![ring.pop(1).expect("full").0]
        };
        case.run(next, Verdict::Stamp { done: true });
    });
}

#[test]
fn not_done_if_my_stamp_is_there_still() {
    for_each_case(Cut::Intent, &[true], |case| {
        let others = |ring: &mut Ring| {
            ring.push(1, 20).expect("room");
            vec![ring.pop(2).expect("it is there").0]
        };
        case.run(others, Verdict::Stamp { done: false });
    });
    for_each_case(Cut::Intent, &[false], |case| {
        let others = |ring: &mut Ring| {
            let got = ring.pop(2).expect("it is there").0;
            push_around(ring);
            vec![got]
        };
        case.run(others, Verdict::Stamp { done: false });
    });
}

/// Others take other things out of the same entry, or the same slot elsewhere: not mine.
#[test]
fn an_intent_counts_only_if_it_is_exactly_that_one() {
    let ring = Ring::new(8, 4, 0);
    let slot = Op(ring.heap.hands[VICTIM].cur.load(Relaxed)).slot();
    ring.heap.hands[VICTIM].now.store(Op::push(0, 0).0, Relaxed);
    // The entry is two laps further.
    (&ring.heap).entry(0).store(2 << 25 | 1, Relaxed);
    let others = [Op::pop(0, slot + 1), Op::pop(8, slot), Op::pop(1, slot), Op::push(0, slot)];
    for other in others {
        ring.heap.hands[2].now.store(other.0, Relaxed);
        let verdict = finish(&ring.heap, VICTIM as u32).expect("sound").1;
        assert_eq!(verdict, Verdict::Stamp { done: false }, "{other:?}");
    }
    ring.heap.hands[2].now.store(Op::pop(0, slot).0, Relaxed);
    assert_eq!(finish(&ring.heap, VICTIM as u32).expect("sound").1, Verdict::Taken);
}

/// What somebody does in the sequential test.
#[derive(Clone, Copy, Debug)]
enum Act {
    Push,
    Take,
    Release,
    HandBack,
    TakeOver,
    Close,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => Just(Act::Push),
        8 => Just(Act::Take),
        6 => Just(Act::Release),
        3 => Just(Act::HandBack),
        2 => Just(Act::TakeOver),
        1 => Just(Act::Close),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_a_queue(
        bits in 0..4u32,
        wrap in 0..3usize,
        before_wrap in 0..20u64,
        acts in proptest::collection::vec((0..3usize, act()), 0..200),
        may_close in any::<bool>(),
    ) {
        let capacity = 1u64 << bits;
        let base = [before_wrap, (1 << 39) - before_wrap, (capacity << 39) - before_wrap][wrap];
        let mut ring = Ring::new(capacity, 3, base);
        let mut queue: VecDeque<(u64, bool)> = VecDeque::new();
        let mut held: [Option<u64>; 3] = [None; 3];
        let (mut closed, mut tail, mut head) = (false, base, base);
        for (i, (hand, act)) in acts.into_iter().enumerate() {
            let (item, full) = (i as u64, queue.len() as u64 == capacity);
            match act {
                Act::Push if held[hand].is_none() => {
                    let expected = match (closed, full) {
                        (true, _) => Err(RingError::Closed),
                        (_, true) => Err(RingError::Full),
                        _ => Ok(()),
                    };
                    prop_assert_eq!(look_for_room(&ring.heap, &mut hint(&ring.heap.cursors.producer)), expected);
                    prop_assert_eq!(ring.push(hand, item), expected);
                    if expected.is_ok() {
                        queue.push_back((item, false));
                        tail += 1;
                    }
                }
                Act::Take if held[hand].is_none() => {
                    let expected = queue.pop_front().ok_or(RingError::Empty);
                    prop_assert_eq!(look(&ring.heap, &mut hint(&ring.heap.cursors.consumer)), expected.map(drop));
                    prop_assert_eq!(ring.take(hand), expected);
                    head += u64::from(expected.is_ok());
                    held[hand] = expected.ok().map(|(item, _)| item);
                }
                Act::Release if held[hand].take().is_some() => ring.release(hand),
                Act::HandBack if held[hand].is_some() => {
                    let expected = if full { Err(RingError::Full) } else { Ok(()) };
                    prop_assert_eq!(ring.hand_back(hand), expected);
                    if expected.is_ok() {
                        queue.extend(held[hand].take().map(|item| (item, true)));
                        tail += 1;
                    }
                }
                Act::TakeOver => {
                    let (heir, verdict) = finish(&ring.heap, hand as u32).expect("sound");
                    prop_assert_eq!(verdict, Verdict::Finished);
                    ring.hands[hand] = heir;
                }
                Act::Close if may_close => {
                    closing::close(&ring.heap).expect("sound");
                    closed = true;
                }
                _ => {}
            }
            prop_assert_eq!(ring.hands[hand].holds(), held[hand].is_some());
            prop_assert!(held[hand].is_none_or(|item| ring.held(hand) == item));
            prop_assert_eq!(progress(&ring.heap), Ok((tail, head)));
            ring.heap.assert_slots();
        }
    }
}
