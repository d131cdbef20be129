//! An exchange ring on the heap, as those see it who live, and as somebody who will be killed.

use crate::layout::cursors::Cursors;
use crate::layout::exchange::{Entry, HandLine, Op};
use crate::loom_tests::memory::Cells;
use crate::ring::RingError;
use crate::ring::mpmc::{Entries, Hand, Memory, Message, closing, repair};
use crate::sync::{AtomicU64, Ordering};
use loom::sync::Arc;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// The words of a ring, and its payloads: loom reports who touches one without owning its slot.
pub(super) struct Heap {
    entries: Vec<AtomicU64>,
    hands: Vec<HandLine>,
    headers: Vec<AtomicU64>,
    pub(super) cursors: Cursors,
    payloads: Cells,
}

impl Heap {
    /// As a creator leaves it.
    pub(super) fn new(capacity: u32, hands: u32) -> Arc<Self> {
        let slots = capacity + hands;
        let hand = |i| {
            let line = HandLine::default();
            line.cur.store(Op::start(capacity + i).0, Ordering::Relaxed);
            line
        };
        Arc::new(Self {
            entries: (0..capacity).map(|i| AtomicU64::new(Entry::first(i).0)).collect(),
            hands: (0..hands).map(hand).collect(),
            headers: (0..slots).map(|_| AtomicU64::new(0)).collect(),
            cursors: Cursors::default(),
            payloads: Cells::new(u64::from(slots)),
        })
    }

    /// When everybody has finished: each slot is in one place (I4).
    pub(super) fn assert_slots(&self) {
        let entries = self.entries.iter().map(|entry| Entry(entry.load(Ordering::Acquire)).slot());
        let hands = self.hands.iter().map(|hand| Op(hand.cur.load(Ordering::Acquire)).slot());
        let mut slots: Vec<u32> = entries.chain(hands).collect();
        slots.sort_unstable();
        assert!(slots.into_iter().eq(0..self.headers.len() as u32), "each slot is in one place");
    }
}

/// Where somebody is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kill {
    /// Before this access to an entry, a hand or a header, counted from 0.
    Before(u32),
    /// Between this successful exchange, counted from 0, and `cur`.
    BeforeCur(u32),
}

/// The panic that is the kill.
struct Killed;

/// Somebody's view of the ring.
pub(super) struct View {
    heap: Arc<Heap>,
    doom: Option<Doom>,
}

/// The real code runs until it is unwound. The victim's hints and its closing flag are its own: nobody
/// else sees them, as if it were killed before it writes them.
struct Doom {
    kill: Kill,
    accesses: Cell<u32>,
    cursors: Cursors,
}

impl View {
    fn step(&self) {
        if let Some(doom) = &self.doom {
            let access = doom.accesses.get();
            doom.accesses.set(access + 1);
            if doom.kill == Kill::Before(access) {
                resume_unwind(Box::new(Killed));
            }
        }
    }
}

impl Entries for &View {
    fn capacity_bits(&self) -> u32 {
        self.heap.entries.len().trailing_zeros()
    }
    fn cursors(&self) -> &Cursors {
        self.doom.as_ref().map_or(&self.heap.cursors, |doom| &doom.cursors)
    }
    fn entry(&self, position: u64) -> &AtomicU64 {
        self.step();
        &self.heap.entries[position as usize % self.heap.entries.len()]
    }
    fn is_sound(&self, entry: Entry) -> bool {
        entry.slot() < self.slot_count()
    }
}

impl Memory for &View {
    fn hand_count(&self) -> u32 {
        self.heap.hands.len() as u32
    }
    fn slot_count(&self) -> u32 {
        self.heap.headers.len() as u32
    }
    fn hand(&self, number: u32) -> &HandLine {
        self.step();
        &self.heap.hands[number as usize]
    }
    fn header(&self, slot: u32) -> &AtomicU64 {
        self.step();
        &self.heap.headers[slot as usize]
    }
}

/// What was popped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) item: u64,
    pub(super) again: bool,
}

/// A hand and its private hints: what a handle has.
pub(super) struct Side {
    view: View,
    number: u32,
    pub(super) hand: Hand,
    tail: u64,
    head: u64,
}

impl Side {
    /// Takes a hand over, as whoever joins does.
    pub(super) fn join(heap: &Arc<Heap>, number: u32) -> Self {
        Self::take_over(heap, number).0
    }

    pub(super) fn take_over(heap: &Arc<Heap>, number: u32) -> (Self, repair::Verdict) {
        let view = View { heap: heap.clone(), doom: None };
        let (hand, verdict) = repair::finish(&view, number).expect("sound");
        (Self { view, number, hand, tail: 0, head: 0 }, verdict)
    }

    /// From now on it is going to be killed.
    pub(super) fn doomed(mut self, kill: Kill) -> Self {
        self.view.doom = Some(Doom { kill, accesses: Cell::new(0), cursors: Cursors::default() });
        self
    }

    fn payload(&self) -> u64 {
        u64::from(self.hand.slot().0)
    }

    pub(super) fn try_push(&mut self, item: u64) -> Result<(), RingError> {
        self.view.heap.payloads.set(self.payload(), item);
        self.hand.stamp(&self.view, false);
        self.hand.try_push(&self.view, &mut self.tail, Message::New)
    }

    /// Gives back what it holds.
    pub(super) fn try_hand_back(&mut self) -> Result<(), RingError> {
        assert!(self.hand.holds());
        self.hand.stamp(&self.view, true);
        self.hand.try_push(&self.view, &mut self.tail, Message::Again)
    }

    /// Takes a message, and holds it.
    pub(super) fn try_take(&mut self) -> Result<Got, RingError> {
        let again = self.hand.try_pop(&self.view, &mut self.head)?;
        Ok(Got { item: self.read(), again })
    }

    pub(super) fn try_pop(&mut self) -> Result<Got, RingError> {
        let got = self.try_take()?;
        self.release();
        Ok(got)
    }

    pub(super) fn pop_or_closed(&mut self) -> Result<Got, RingError> {
        let again = self.hand.pop_or_closed(&self.view, &mut self.head)?;
        let item = self.read();
        self.release();
        Ok(Got { item, again })
    }

    pub(super) fn read(&self) -> u64 {
        self.view.heap.payloads.get(self.payload())
    }

    pub(super) fn release(&mut self) {
        self.hand.release(&self.view);
    }

    pub(super) fn close(&self) {
        closing::close(&self.view).expect("sound");
    }

    /// Does all that, until it is killed. What it cannot do it leaves out.
    pub(super) fn live(mut self, acts: &[Act]) -> Life {
        let mut life = Life::default();
        let kill = self.view.doom.as_ref().map(|doom| doom.kill);
        let heap = self.view.heap.clone();
        let cur = &heap.hands[self.number as usize].cur;
        let mut exchanges = 0;
        for act in acts {
            let before = cur.load(Ordering::Relaxed);
            let exchanged = match catch_unwind(AssertUnwindSafe(|| self.act(*act, &mut life))) {
                Ok(exchanged) => exchanged,
                Err(end) if end.is::<Killed>() => return life,
                // A failure, not a kill.
                Err(end) => resume_unwind(end),
            };
            if exchanged && kill == Some(Kill::BeforeCur(exchanges)) {
                // Only whoever repairs reads `cur`, and comes later: as if it had never been written.
                cur.store(before, Ordering::Relaxed);
                life.unknowing = true;
                return life;
            }
            exchanges += u32::from(exchanged);
        }
        life.finished = true;
        life
    }

    /// One of them. Whether it was an exchange.
    fn act(&mut self, act: Act, life: &mut Life) -> bool {
        let holds = self.hand.holds();
        match act {
            Act::Push(item) if !holds && self.try_push(item).is_ok() => {
                life.pushed.push(item);
                true
            }
            Act::Take if !holds => self.try_take().is_ok(),
            Act::HandBack if holds => self.try_hand_back().is_ok(),
            Act::Release if holds => {
                let item = self.read();
                self.release();
                life.released.push(item);
                false
            }
            _ => false,
        }
    }
}

/// What somebody does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Push(u64),
    Take,
    Release,
    HandBack,
}

/// What somebody has done.
#[derive(Debug, Default)]
pub(super) struct Life {
    pub(super) pushed: Vec<u64>,
    pub(super) released: Vec<u64>,
    /// It was killed between an exchange and `cur`.
    pub(super) unknowing: bool,
    /// It has done all that it wanted to.
    pub(super) finished: bool,
}
