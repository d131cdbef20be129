//! The ring whose messages lie in its entries, in one thread: beside a plain queue, seats that change hands,
//! and words that nobody writes.

use crate::layout::cursors::{CLOSED, Cursors};
use crate::layout::exchange::Entry;
use crate::layout::inline::{BLOCK_LEN, Cell as Pair, Content};
use crate::ring::RingError;
use crate::ring::mpmc::inline::{Blocks, Memory, Place, try_push, try_push_batch, try_take};
use crate::ring::mpmc::walk::look;
use crate::ring::mpmc::{Entries, closing, hint, look_for_room, progress};
use crate::sync::{AtomicU64, Ordering::Relaxed, can_exchange_pairs};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

const LEN: usize = BLOCK_LEN as usize;
const SEATS: u32 = 2;

/// A ring's words. An access too many is a failure, not an endless loop.
struct Heap {
    cells: Vec<Pair>,
    notes: Vec<AtomicU64>,
    blocks: RefCell<Vec<[u64; LEN]>>,
    cursors: Cursors,
    accesses: Cell<u64>,
    limit: Cell<u64>,
}

impl Heap {
    /// Empty, and so far that the next push is at this position.
    fn new(capacity: u64, per_seat: u32, base: u64) -> Self {
        let bits = capacity.trailing_zeros();
        let cells: Vec<_> = (0..capacity).map(|_| Pair::default()).collect();
        for position in base..base + capacity {
            let lap = position >> bits << 25;
            cells[(position % capacity) as usize].first().store(lap | Entry::first(0).0, Relaxed);
        }
        let blocks = (SEATS * per_seat) as usize;
        let heap = Self {
            cells,
            notes: (0..blocks).map(|_| AtomicU64::new(0)).collect(),
            blocks: RefCell::new(vec![[0; LEN]; blocks]),
            cursors: Cursors::default(),
            accesses: Cell::new(0),
            limit: Cell::new(u64::MAX),
        };
        heap.cursors.producer.cursor.store(base, Relaxed);
        heap.cursors.consumer.cursor.store(base, Relaxed);
        heap
    }

    fn at(&self, position: u64) -> &Pair {
        self.accesses.set(self.accesses.get() + 1);
        assert!(self.accesses.get() < self.limit.get(), "this does not end");
        &self.cells[(position % self.cells.len() as u64) as usize]
    }

    /// As the api writes it: the batch ends where the block does.
    fn write(&self, block: u32, items: &[u64]) {
        self.blocks.borrow_mut()[block as usize][LEN - items.len()..].copy_from_slice(items);
    }

    fn read(&self, place: Place) -> Vec<u64> {
        match place {
            Place::Value(value) => vec![value],
            Place::Block { block, left, n } => {
                assert!((1..=left).contains(&n) && left <= BLOCK_LEN);
                let first = LEN - left as usize;
                self.blocks.borrow()[block as usize][first..first + n as usize].to_vec()
            }
        }
    }

    fn take(&self, head: &mut u64, most: u32) -> Result<Vec<u64>, RingError> {
        let mut got = Vec::new();
        let n = try_take(self, head, most, |place| got = self.read(place))?;
        assert_eq!(n.messages as usize, got.len());
        Ok(got)
    }
}

impl Entries for &Heap {
    fn capacity_bits(&self) -> u32 {
        self.cells.len().trailing_zeros()
    }
    fn cursors(&self) -> &Cursors {
        &self.cursors
    }
    fn entry(&self, position: u64) -> &AtomicU64 {
        self.at(position).first()
    }
    fn is_sound(&self, entry: Entry) -> bool {
        Content::of(entry, self.blocks()).is_some()
    }
}

impl Memory for &Heap {
    fn cell(&self, position: u64) -> &Pair {
        self.at(position)
    }
    fn blocks(&self) -> u32 {
        self.notes.len() as u32
    }
    fn block_at(&self, block: u32) -> &AtomicU64 {
        &self.notes[block as usize]
    }
    fn ask_ahead(&self, _: u64) {}
}

/// What is done in one life of a ring.
#[derive(Clone, Copy, Debug)]
enum Step {
    Push,
    /// By this seat.
    Batch(usize, u32),
    Take(u32),
    /// Somebody else has the seat from now on.
    Resume(usize),
    /// Positions from the shared hints, as somebody has them who comes.
    Hints,
    /// Positions from the first one, as somebody has them who has slept.
    Old,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let len = || prop_oneof![1..4u32, 1..=BLOCK_LEN, Just(BLOCK_LEN)];
    prop_oneof![
        6 => Just(Step::Push),
        6 => (0..SEATS as usize, len()).prop_map(|(seat, n)| Step::Batch(seat, n)),
        10 => len().prop_map(Step::Take),
        2 => (0..SEATS as usize).prop_map(Step::Resume),
        1 => Just(Step::Hints),
        1 => Just(Step::Old),
        // So that most lives are long.
        1 => (0..20u32).prop_map(|n| if n == 0 { Step::Close } else { Step::Push }),
    ]
}

/// A plain queue of the same sizes: what each entry has, and the block that it lies in.
#[derive(Default)]
struct Plain {
    entries: VecDeque<(VecDeque<u64>, Option<u32>)>,
    /// The next block of each seat.
    next: [u32; SEATS as usize],
    closed: bool,
}

impl Plain {
    fn room(&self, capacity: u64) -> Result<(), RingError> {
        if self.closed {
            return Err(RingError::Closed);
        }
        if self.entries.len() as u64 == capacity { Err(RingError::Full) } else { Ok(()) }
    }

    fn take(&mut self, most: u32) -> Result<Vec<u64>, RingError> {
        let (items, _) = self.entries.front_mut().ok_or(RingError::Empty)?;
        let n = items.len().min(most as usize);
        let got = items.drain(..n).collect();
        if items.is_empty() {
            self.entries.pop_front();
        }
        Ok(got)
    }

    fn has(&self, block: u32) -> bool {
        self.entries.iter().any(|(_, b)| *b == Some(block))
    }
}

fn live(capacity: u64, per_seat: u32, base: u64, steps: &[Step]) {
    let heap = Heap::new(capacity, per_seat, base);
    let mut plain = Plain::default();
    let mut blocks = [0, 1].map(|seat| Blocks::resume(&heap, seat, per_seat));
    let (mut tail, mut head) = (base, base);
    let mut item = 0;
    for step in steps {
        match *step {
            Step::Push => {
                let expected = plain.room(capacity);
                assert_eq!(try_push(&heap, &mut tail, item), expected, "{step:?}");
                if expected.is_ok() {
                    plain.entries.push_back(([item].into(), None));
                    item += 1;
                }
            }
            Step::Batch(seat, n) => {
                let block = seat as u32 * per_seat + plain.next[seat];
                let items: Vec<u64> = (item..item + u64::from(n)).collect();
                let expected = if plain.has(block) { Ok(false) } else { plain.room(capacity).map(|()| true) };
                let write = |block: u32| heap.write(block, &items);
                let done = try_push_batch(&heap, &mut tail, &mut blocks[seat], n, write);
                assert_eq!(done, expected, "{step:?}");
                if done == Ok(true) {
                    plain.entries.push_back((items.into(), Some(block)));
                    plain.next[seat] = (plain.next[seat] + 1) % per_seat;
                    item += u64::from(n);
                }
            }
            Step::Take(most) => assert_eq!(heap.take(&mut head, most), plain.take(most), "{step:?}"),
            Step::Resume(seat) => blocks[seat] = Blocks::resume(&heap, seat as u32, per_seat),
            Step::Hints => {
                (tail, head) = (hint(&heap.cursors.producer), hint(&heap.cursors.consumer));
            }
            Step::Old => (tail, head) = (base, base),
            Step::Close => {
                closing::close(&heap).expect("sound");
                plain.closed = true;
            }
        }
        let (at_tail, at_head) = progress(&heap).expect("sound");
        assert_eq!(at_tail - at_head, plain.entries.len() as u64);
        assert_eq!(look(&heap, &mut head).is_ok(), at_head < at_tail);
        assert_eq!(look_for_room(&heap, &mut tail), plain.room(capacity));
    }
    while let Ok(got) = heap.take(&mut head, 5) {
        assert_eq!(Ok(got), plain.take(5));
    }
    assert!(plain.entries.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// The same as a queue of entries, wherever laps wrap.
    #[test]
    fn a_ring_is_a_queue(
        bits in prop_oneof![Just(0), Just(1), Just(3u32)],
        per_seat in 1..4u32,
        before_wrap in 0..30u64,
        wraps in any::<bool>(),
        steps in proptest::collection::vec(step(), 0..200),
    ) {
        if can_exchange_pairs() {
            let base = if wraps { (1 << (39 + bits)) - before_wrap } else { before_wrap };
            live(1 << bits, per_seat, base, &steps);
        }
    }
}

/// Whether whoever takes seat 0 over can push a batch at once, and with which block.
fn resumed(heap: &Heap, per_seat: u32, tail: u64) -> Option<u32> {
    let mut blocks = Blocks::resume(heap, 0, per_seat);
    let mut with = None;
    let done = try_push_batch(heap, &mut tail.clone(), &mut blocks, 2, |block| with = Some(block));
    assert_eq!(done, Ok(with.is_some()));
    with
}

/// One block for each seat. Whatever its last owner did, it is written again if no entry has it, and only then.
#[test]
fn a_block_is_found_where_it_was_left() {
    if !can_exchange_pairs() {
        return;
    }
    for base in [0, 1, 7, (1 << 42) - 9, (1 << 42) - 1, 1 << 42] {
        let ring = || (Heap::new(8, 1, base), base, base);
        let batch = |heap: &Heap, seat: u32, tail: &mut u64| {
            let mut blocks = Blocks::resume(heap, seat, 1);
            assert_eq!(try_push_batch(heap, tail, &mut blocks, 2, |_| {}), Ok(true));
        };
        let (heap, tail, _) = ring();
        assert_eq!(resumed(&heap, 1, tail), Some(0), "never used");
        let (heap, mut tail, mut head) = ring();
        batch(&heap, 0, &mut tail);
        assert_eq!(resumed(&heap, 1, tail), None, "in the ring");
        heap.take(&mut head, 1).expect("two");
        assert_eq!(resumed(&heap, 1, tail), None, "half taken");
        heap.take(&mut head, 1).expect("one");
        assert_eq!(resumed(&heap, 1, tail), Some(0), "taken");

        let (heap, tail, _) = ring();
        heap.notes[0].store(tail + 1, Relaxed);
        assert_eq!(resumed(&heap, 1, tail), Some(0), "noted only");
        let (heap, mut tail, mut head) = ring();
        heap.notes[0].store(tail + 1, Relaxed);
        try_push(&heap, &mut tail, 5).expect("room");
        assert_eq!(resumed(&heap, 1, tail), Some(0), "noted; somebody else was faster, with one message");
        heap.take(&mut head, 1).expect("one");
        let (heap, mut tail, mut head) = ring();
        heap.notes[0].store(tail + 1, Relaxed);
        batch(&heap, 1, &mut tail);
        assert_eq!(resumed(&heap, 1, tail), Some(0), "noted; somebody else was faster, with a batch");
        heap.take(&mut head, 2).expect("two");

        // Noted where it was, laps ago.
        let (heap, mut tail, mut head) = ring();
        batch(&heap, 0, &mut tail);
        heap.take(&mut head, 2).expect("two");
        for i in 0..20 {
            try_push(&heap, &mut tail, i).expect("room");
            assert_eq!(heap.take(&mut head, 1), Ok(vec![i]));
        }
        batch(&heap, 1, &mut tail);
        assert_eq!(resumed(&heap, 1, tail), Some(0), "long gone");
    }
}

/// Several blocks: the one that was used longest ago is the next.
#[test]
fn blocks_go_round_through_hands() {
    if !can_exchange_pairs() {
        return;
    }
    for base in [0, (1 << 42) - 3] {
        let heap = Heap::new(8, 3, base);
        let (tail, mut head) = (base, base);
        for expected in [Some(0), Some(1), Some(2), None] {
            assert_eq!(resumed(&heap, 3, tail), expected);
        }
        heap.take(&mut head, 2).expect("two");
        assert_eq!(resumed(&heap, 3, tail), Some(0));
        assert_eq!(resumed(&heap, 3, tail), None);
        // Noted for another time, and not pushed: the others come first.
        heap.take(&mut head, 2).expect("two");
        let next = hint(&heap.cursors.producer) + 8;
        heap.notes[1].store(next, Relaxed);
        assert_eq!(resumed(&heap, 3, tail), None, "the next one is in the ring");
        heap.take(&mut head, 2).expect("two");
        assert_eq!(resumed(&heap, 3, tail), Some(2));
    }
}

/// A word that somebody hostile might have written: any bits, or nearly sound ones.
fn word() -> impl Strategy<Value = u64> {
    let laps = prop_oneof![0..4u64, any::<u64>(), Just(1u64 << 37), Just(3 << 36), Just(1 << 38)];
    let sound = (laps, 0..4u64, 0..70u64, 0..6u64)
        .prop_map(|(lap, kind, left, block)| lap << 25 | kind << 23 | left << 16 | block);
    prop_oneof![any::<u64>(), sound]
}

/// What somebody hostile has written into a ring, all of it.
#[derive(Clone, Debug)]
struct Garbage {
    bits: u32,
    states: Vec<u64>,
    values: Vec<u64>,
    notes: Vec<u64>,
    hints: [u64; 2],
    closed: bool,
}

fn garbage() -> impl Strategy<Value = Garbage> {
    let number = || prop_oneof![0..20u64, any::<u64>()];
    let states = proptest::collection::vec(word(), 8);
    let values = proptest::collection::vec(any::<u64>(), 8);
    let notes = proptest::collection::vec(number(), 4);
    (0..4u32, states, values, notes, [number(), number()], any::<bool>()).prop_map(
        |(bits, states, values, notes, hints, closed)| Garbage { bits, states, values, notes, hints, closed },
    )
}

impl Garbage {
    fn heap(&self) -> Heap {
        let heap = Heap::new(1 << self.bits, 2, 0);
        for ((cell, state), value) in heap.cells.iter().zip(&self.states).zip(&self.values) {
            // From what `new` has left.
            let old = [cell.first().load(Relaxed), cell.second()];
            assert!(cell.compare_exchange(old, [*state, *value]));
        }
        for (note, word) in heap.notes.iter().zip(&self.notes) {
            note.store(*word, Relaxed);
        }
        heap.cursors.producer.cursor.store(self.hints[0], Relaxed);
        heap.cursors.consumer.cursor.store(self.hints[1], Relaxed);
        heap.cursors.state.flags.store(if self.closed { CLOSED } else { 0 }, Relaxed);
        heap.limit.set(10 * (&heap).capacity() + 200);
        heap
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// I5: each operation ends after a walk around the ring or so, and no number leads out of the ring.
    #[test]
    fn whatever_is_written_there_every_operation_ends(
        garbage in garbage(),
        at in prop_oneof![0..20u64, any::<u64>()],
        n in 1..=BLOCK_LEN,
    ) {
        if !can_exchange_pairs() {
            return Ok(());
        }
        let _ = look(&garbage.heap(), &mut at.clone());
        let _ = look_for_room(&garbage.heap(), &mut at.clone());
        let _ = progress(&garbage.heap());
        let _ = closing::close(&garbage.heap());
        let _ = try_push(&garbage.heap(), &mut at.clone(), 1);
        let heap = garbage.heap();
        let taken = heap.take(&mut at.clone(), n);
        prop_assert!(taken.is_ok() || matches!(taken, Err(RingError::Empty | RingError::Corrupt)));
        for seat in 0..SEATS {
            let heap = garbage.heap();
            let mut blocks = Blocks::resume(&heap, seat, 2);
            let mut mine = true;
            let done = try_push_batch(&heap, &mut at.clone(), &mut blocks, n, |block| mine = block / 2 == seat);
            prop_assert!(mine, "a block of another seat");
            let sound = matches!(done, Ok(_) | Err(RingError::Full | RingError::Closed | RingError::Corrupt));
            prop_assert!(sound, "{done:?}");
        }
    }
}
