//! A ring with messages in its entries, on the heap, as those see it who live, and as somebody who will be
//! killed.

use crate::layout::cursors::Cursors;
use crate::layout::exchange::Entry;
use crate::layout::inline::{Cell as Pair, Content};
use crate::loom_tests::memory::Cells;
use crate::ring::RingError;
use crate::ring::mpmc::inline::{Blocks, Memory, Place, take_or_closed, try_push, try_push_batch, try_take};
use crate::ring::mpmc::{Entries, closing};
use crate::sync::{AtomicU64, Ordering};
use loom::sync::Arc;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Words of a block: batches here are no longer.
const LEN: usize = 2;

/// The words of a ring. Blocks are read by whoever may be too late, while their owners write them: so
/// these words are atomics, and all their accesses Relaxed. What was torn shows as a wrong message.
///
/// A loom load never sees a store that comes later, so it would not notice a read that is not over. But one
/// consumer alone is never too late: then each access is one to a cell, too, and loom reports those that
/// are not ordered.
pub(super) struct Heap {
    cells: Vec<Pair>,
    notes: Vec<AtomicU64>,
    blocks: Vec<[AtomicU64; LEN]>,
    cells_of_blocks: Option<Cells>,
    per_seat: u32,
    pub(super) cursors: Cursors,
}

impl Heap {
    /// As a creator leaves it. `alone`: there is one consumer, and nobody closes.
    pub(super) fn new(capacity: u32, seats: u32, per_seat: u32, alone: bool) -> Arc<Self> {
        let blocks = seats * per_seat;
        Arc::new(Self {
            cells: (0..capacity).map(|_| Pair::default()).collect(),
            notes: (0..blocks).map(|_| AtomicU64::new(0)).collect(),
            blocks: (0..blocks).map(|_| [AtomicU64::new(0), AtomicU64::new(0)]).collect(),
            cells_of_blocks: alone.then(|| Cells::new(u64::from(blocks) * LEN as u64)),
            per_seat,
            cursors: Cursors::default(),
        })
    }
}

/// The panic that is the kill.
struct Killed;

/// Somebody's view of the ring.
struct View {
    heap: Arc<Heap>,
    doom: Option<Doom>,
}

/// The real code runs until it is unwound. The victim's hints and its closing flag are its own: nobody
/// else sees them, as if it were killed before it writes them.
struct Doom {
    /// Before this access, counted from 0.
    kill: u32,
    accesses: Cell<u32>,
    /// Its exchange has succeeded, and it has not returned.
    landed: Cell<bool>,
    cursors: Cursors,
}

impl View {
    fn step(&self) {
        if let Some(doom) = &self.doom {
            let access = doom.accesses.get();
            doom.accesses.set(access + 1);
            if doom.kill == access {
                resume_unwind(Box::new(Killed));
            }
        }
    }

    fn at(&self, position: u64) -> &Pair {
        self.step();
        &self.heap.cells[position as usize % self.heap.cells.len()]
    }

    /// A word of a block, and its number among all.
    fn word(&self, block: u32, left: u32, i: usize) -> (&AtomicU64, u64) {
        self.step();
        let (block, word) = (block as usize, LEN - left as usize + i);
        (&self.heap.blocks[block][word], (block * LEN + word) as u64)
    }

    fn write(&self, block: u32, left: u32, i: usize, item: u64) {
        let (word, number) = self.word(block, left, i);
        word.store(item, Ordering::Relaxed);
        if let Some(cells) = &self.heap.cells_of_blocks {
            cells.set(number, item);
        }
    }

    fn read(&self, block: u32, left: u32, i: usize) -> u64 {
        let (word, number) = self.word(block, left, i);
        if let Some(cells) = &self.heap.cells_of_blocks {
            cells.get(number);
        }
        word.load(Ordering::Relaxed)
    }
}

impl View {
    /// What is about to be taken.
    fn copy(&self, place: Place, got: &mut Vec<u64>) {
        got.clear();
        match place {
            Place::Value(value) => got.push(value),
            Place::Block { block, left, n } => {
                got.extend((0..n as usize).map(|i| self.read(block, left, i)));
            }
        }
    }
}

impl Entries for &View {
    fn capacity_bits(&self) -> u32 {
        self.heap.cells.len().trailing_zeros()
    }
    fn cursors(&self) -> &Cursors {
        self.doom.as_ref().map_or(&self.heap.cursors, |doom| &doom.cursors)
    }
    fn entry(&self, position: u64) -> &AtomicU64 {
        self.at(position).first()
    }
    fn is_sound(&self, entry: Entry) -> bool {
        Content::of(entry, self.blocks()).is_some()
    }
}

impl Memory for &View {
    fn cell(&self, position: u64) -> &Pair {
        self.at(position)
    }
    fn blocks(&self) -> u32 {
        self.heap.notes.len() as u32
    }
    fn block_at(&self, block: u32) -> &AtomicU64 {
        self.step();
        &self.heap.notes[block as usize]
    }
    /// Comes after an exchange that has succeeded.
    fn ask_ahead(&self, _: u64) {
        if let Some(doom) = &self.doom {
            doom.landed.set(true);
        }
        self.step();
    }
}

/// What a handle has, of either kind.
pub(super) struct Side {
    view: View,
    blocks: Blocks,
    tail: u64,
    head: u64,
}

impl Side {
    /// Takes a seat over, as whoever joins does.
    pub(super) fn join(heap: &Arc<Heap>, seat: u32) -> Self {
        let view = View { heap: heap.clone(), doom: None };
        let blocks = Blocks::resume(&view, seat, heap.per_seat);
        Self { view, blocks, tail: 0, head: 0 }
    }

    /// From now on it is going to be killed, before this access.
    pub(super) fn doomed(mut self, kill: u32) -> Self {
        self.view.doom = Some(Doom {
            kill,
            accesses: Cell::new(0),
            landed: Cell::new(false),
            cursors: Cursors::default(),
        });
        self
    }

    pub(super) fn try_push(&mut self, item: u64) -> Result<(), RingError> {
        try_push(&self.view, &mut self.tail, item)
    }

    /// All of them; or `false`: no block is free.
    pub(super) fn try_push_batch(&mut self, items: &[u64]) -> Result<bool, RingError> {
        let Self { view, blocks, tail, .. } = self;
        let n = items.len() as u32;
        let view = &*view;
        try_push_batch(view, tail, blocks, n, |block| {
            for (i, item) in items.iter().enumerate() {
                view.write(block, n, i, *item);
            }
        })
    }

    /// Up to so many, into a buffer that is looked at after a kill, too.
    fn try_take(&mut self, most: u32, got: &mut Vec<u64>) -> Result<u32, RingError> {
        let Self { view, head, .. } = self;
        let view = &*view;
        try_take(view, head, most, |place| view.copy(place, got)).map(|took| took.messages)
    }

    pub(super) fn take(&mut self, most: u32) -> Result<Vec<u64>, RingError> {
        let mut got = Vec::new();
        let n = self.try_take(most, &mut got)?;
        assert_eq!(n as usize, got.len());
        Ok(got)
    }

    pub(super) fn take_or_closed(&mut self, most: u32) -> Result<Vec<u64>, RingError> {
        let Self { view, head, .. } = self;
        let (view, mut got) = (&*view, Vec::new());
        let took = take_or_closed(view, head, most, |place| view.copy(place, &mut got))?;
        assert_eq!(took.messages as usize, got.len());
        Ok(got)
    }

    pub(super) fn close(&self) {
        closing::close(&self.view).expect("sound");
    }

    /// Does all that, until it is killed. What it cannot do it leaves out.
    pub(super) fn live(mut self, acts: &[Act]) -> Life {
        let mut life = Life::default();
        for act in acts {
            // Else loom goes through few of the ways in which acts of two can follow each other.
            loom::thread::yield_now();
            let mut got = Vec::new();
            let killed = catch_unwind(AssertUnwindSafe(|| self.act(*act, &mut got)));
            let landed = self.view.doom.as_ref().is_some_and(|doom| doom.landed.take());
            let (done, killed) = match killed {
                Ok(done) => (done, false),
                // Killed after its exchange: it has happened.
                Err(end) if end.is::<Killed>() => (landed, true),
                Err(end) => resume_unwind(end),
            };
            if done {
                match act {
                    Act::Push(item) => life.pushed.push(*item),
                    Act::Batch(items) => life.pushed.extend(*items),
                    Act::Take(_) => life.got.append(&mut got),
                }
            }
            if killed {
                return life;
            }
        }
        life.finished = true;
        life
    }

    fn act(&mut self, act: Act, got: &mut Vec<u64>) -> bool {
        let done = match act {
            Act::Push(item) => self.try_push(item).map(|()| true),
            Act::Batch(items) => self.try_push_batch(items),
            Act::Take(most) => self.try_take(most, got).map(|_| true),
        };
        let nothing = matches!(done, Err(RingError::Full | RingError::Empty));
        assert!(done.is_ok() || nothing, "{done:?}");
        done == Ok(true)
    }
}

/// What somebody does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Push(u64),
    Batch(&'static [u64]),
    Take(u32),
}

/// What somebody has done.
#[derive(Debug, Default)]
pub(super) struct Life {
    pub(super) pushed: Vec<u64>,
    pub(super) got: Vec<u64>,
    /// It has done all that it wanted to.
    pub(super) finished: bool,
}
