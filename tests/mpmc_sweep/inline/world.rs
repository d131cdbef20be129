//! A ring, the survivors in this process, and what must be in it: each call of theirs is checked
//! against that at once.

use super::ops::{self, BATCH, BEFORE, FIRST, Op, Report, Ring, SECOND, item, number};
use super::words::{Snapshot, Words};
use crate::common::TestName;
use crate::harness::Shared;
use crate::ops::NOW;
use crate::victim::Victim;
use crate::world::Then;
use segring::{RingError, mpmc};
use std::collections::VecDeque;

type Producer = mpmc::Producer<u64>;
type Consumer = mpmc::Consumer<u64>;

const SEATS: u32 = 5;

/// What must be where.
struct Books {
    words: Words,
    capacity: usize,
    /// Entry by entry: the messages that nobody has taken.
    queue: VecDeque<VecDeque<u64>>,
    closed: bool,
    next: u64,
    /// What the survivors have done.
    calls: u64,
}

impl Books {
    fn put(&mut self, first: u64, n: u64) {
        if n > 0 {
            self.queue.push_back((first..first + n).collect());
        }
    }

    /// The newest messages in the ring: each in an entry, or as large batches as there can be.
    fn put_new(&mut self, first: u64, n: u64) {
        let entries = self.words.full() - self.queue.len() as u64;
        let all = if entries == n { vec![1; n as usize] } else { ops::entries_of(n) };
        assert_eq!(all.len() as u64, entries, "{n} messages");
        let mut first = first;
        for n in all {
            self.put(first, n);
            first += n;
        }
    }

    /// Takes up to `most` messages, of one entry.
    fn take(&mut self, most: usize) -> Vec<u64> {
        let Some(entry) = self.queue.front_mut() else { return Vec::new() };
        let got = entry.drain(..most.min(entry.len())).collect();
        if entry.is_empty() {
            self.queue.pop_front();
        }
        got
    }

    /// How many went in: 5 at once, or one.
    fn push(&mut self, tx: &mut Producer, batch: bool) -> u64 {
        self.calls += 1;
        let pushed = if batch {
            tx.push_slice(&ops::slice(self.next, BATCH)).map(|n| n as u64)
        } else {
            match tx.try_push(item(self.next)).map_err(|rejected| rejected.error) {
                Ok(()) => Ok(1),
                Err(RingError::Full) => Ok(0),
                Err(e) => Err(e),
            }
        };
        if self.closed {
            assert_eq!(pushed, Err(RingError::Closed));
            return 0;
        }
        let n = pushed.expect("it is open, and sound");
        assert_eq!(n == 0, self.queue.len() == self.capacity, "full: not so");
        assert!(n <= if batch { BATCH } else { 1 }, "{n} of a slice");
        self.put_new(self.next, n);
        self.next += n;
        n
    }

    /// How many there were, of up to `most`.
    fn pop(&mut self, rx: &mut Consumer, most: usize) -> usize {
        self.calls += 1;
        let mut into = [0; 16];
        let popped = match most {
            0 => rx.pop_timeout(NOW).map(|got| {
                into[0] = got;
                1
            }),
            1 => rx.try_pop_into(&mut into[0]).map(|()| 1),
            _ => rx.pop_slice(&mut into[..most]),
        };
        assert!(!rx.redelivered());
        let empty = self.queue.is_empty();
        match popped {
            Err(RingError::Closed) => assert!(self.closed && empty, "closed: not so"),
            Ok(0) | Err(RingError::Empty | RingError::TimedOut) => {
                assert!(empty && !self.closed, "empty: not so");
            }
            Ok(n) => {
                let mut got = into[..n].iter().map(|got| number(*got));
                let mut left = most.max(1);
                while left > 0 && !self.queue.is_empty() {
                    for expected in self.take(left) {
                        assert_eq!(got.next(), Some(expected), "lost, doubled, or out of order");
                        left -= 1;
                    }
                }
                assert_eq!(got.next(), None, "out of nothing");
            }
            Err(e) => panic!("{e:?}"),
        }
        popped.unwrap_or(0)
    }
}

/// The ring, and two who take part all the time.
pub(crate) struct World {
    ring: Ring,
    books: Books,
    tx: Producer,
    rx: Consumer,
    /// Seats that are only sat on: all but the victim's.
    spare: Vec<Consumer>,
    /// What somebody who stands still had moved already.
    moved: Vec<u64>,
}

impl World {
    /// Of which `turned` messages have been through.
    pub(crate) fn new(name: &TestName, capacity: usize, turned: u64) -> Self {
        let ring = Ring::builder(name.name()).capacity(capacity).seats(SEATS).create().expect("create");
        let (tx, rx) = (ring.producer().expect("a seat"), ring.consumer().expect("a seat"));
        let words = Words::of(ring.stats().expect("stats").shm_id);
        let queue = VecDeque::new();
        let books = Books { words, capacity, queue, closed: false, next: 0, calls: 0 };
        let spare = (0..SEATS - 3).map(|_| ring.consumer().expect("a seat")).collect();
        let mut world = Self { ring, books, tx, rx, spare, moved: Vec::new() };
        for i in 0..turned {
            world.books.push(&mut world.tx, i % 2 == 1);
            world.drain(5);
        }
        world
    }

    fn drain(&mut self, most: usize) {
        while !self.books.queue.is_empty() {
            self.books.pop(&mut self.rx, most);
        }
    }

    fn fill(&mut self) {
        while self.books.push(&mut self.tx, self.books.calls % 3 == 0) > 0 {}
    }

    /// Starts a victim, and notes what it has done until it stands at its mark. `None`: it does not stand where
    /// it should: once more, with another ring.
    pub(crate) fn start(
        &mut self,
        op: Op,
        name: &TestName,
        report: &Shared<Report>,
    ) -> nix::Result<Option<Victim>> {
        let scene = op.scene();
        for n in scene.filled {
            assert_eq!(self.books.push(&mut self.tx, *n > 1), *n);
        }
        if scene.predecessor {
            Victim::start(|| ops::act_before(name))?.kill();
            self.books.put(BEFORE, BATCH);
        }
        report.clear();
        let mut victim = Victim::start(|| ops::act(op, name, report))?;
        (0..scene.pops).for_each(|_| drop(self.books.take(1)));
        self.books.put(FIRST, scene.pushes);
        if scene.turned {
            self.drain(3);
            self.books.push(&mut self.tx, false);
        }
        if scene.topped_up {
            self.fill();
        }
        if scene.sleeper {
            self.books.words.pretend_a_sleeper(scene.topped_up);
        }
        let Some(arrival) = scene.arrival else { return Ok(Some(victim)) };
        let met = victim.meet(arrival, || {
            if op.pushes() > 0 {
                assert_eq!(self.books.pop(&mut self.rx, 1), 1);
            } else {
                self.leave_one();
            }
        })?;
        Ok(met.then_some(victim))
    }

    pub(crate) fn has_sleeper(&self) -> bool {
        self.books.words.has_sleeper()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.books.words.snapshot()
    }

    pub(crate) fn give_seats(&mut self) {
        self.spare.clear();
    }

    /// Notes what somebody has done who stands somewhere in its operation: its words say it. A pop has
    /// delivered when it has exchanged; a batch is in wholly, or not at all.
    pub(crate) fn note_steps(&mut self, op: Op, before: &Snapshot) {
        let now = self.snapshot();
        let exchanged = now.exchanged_since(before);
        let mut first = SECOND;
        for n in op.entries().into_iter().take(exchanged) {
            self.books.put(first, n);
            self.moved.extend(first..first + n);
            first += n;
        }
        if op.pops() > 0 {
            for _ in 0..exchanged {
                let left = op.pops() as usize - self.moved.len();
                let taken = self.books.take(left);
                assert!(!taken.is_empty(), "it took something");
                self.moved.extend(taken);
            }
        }
        self.books.closed |= now.is_closed();
    }

    /// Notes what the rest of an operation has done. Since it goes on, it is alone.
    pub(crate) fn note_end(&mut self, op: Op, report: &Report) {
        let (moved, before) = (report.moved(), self.moved.len() as u64);
        assert!(moved >= before, "{op:?}: it has moved {before}, and says {moved}");
        if op.pushes() > 0 {
            self.books.put_new(SECOND + before, moved - before);
            assert!(self.books.queue.len() <= self.books.capacity, "there was no room");
        } else if op.pops() > 0 {
            let got = report.got();
            while self.moved.len() < got.len() {
                let taken = self.books.take(got.len() - self.moved.len());
                assert!(!taken.is_empty(), "out of nothing: {got:?}");
                self.moved.extend(taken);
            }
            assert_eq!(got, self.moved, "{op:?}: lost, doubled, or out of order");
        }
        self.books.closed |= op == Op::Close;
    }

    /// What comes first after a death: whoever joins has the dead one's seat.
    pub(crate) fn then(&mut self, then: Then) {
        match then {
            Then::Recover => drop(self.ring.recover().expect("recover")),
            Then::Wait => while self.books.pop(&mut self.rx, 0) > 0 {},
            Then::NewConsumer => {
                let mut rx = self.ring.consumer().expect("a seat");
                self.books.pop(&mut rx, 1);
                self.books.pop(&mut rx, 3);
            }
            Then::NewProducer => {
                let mut tx = self.ring.producer().expect("a seat");
                for _ in 0..3 {
                    self.books.push(&mut tx, true);
                }
                self.books.push(&mut tx, false);
            }
            Then::Drain => self.drain(3),
            Then::Fill => self.fill(),
            Then::Laps => self.laps(3),
        }
    }

    /// A message for somebody who would wait on, if there is none.
    pub(crate) fn leave_one(&mut self) {
        if self.books.queue.is_empty() {
            assert_eq!(self.books.push(&mut self.tx, false), 1);
        }
    }

    fn laps(&mut self, laps: u32) {
        for _ in 0..laps {
            self.fill();
            self.drain(4);
        }
    }

    /// At least `calls` calls of those who are there, newcomers among them, while somebody stands still.
    pub(crate) fn go_on(&mut self, calls: u64, k: u64) {
        let end = self.books.calls + calls;
        while self.books.calls < end {
            self.laps(2);
            for i in 0..5 {
                self.books.push(&mut self.tx, i % 2 == 0);
                self.books.pop(&mut self.rx, 1 + i);
            }
            let recovered = self.ring.recover().expect("recover");
            assert_eq!((recovered.messages, recovered.left), (0, 0), "nothing comes back");
            assert!(recovered.seats <= 1, "one that lives was taken over: {recovered:?}");
            if self.books.calls % 3 == k % 3 {
                self.then(Then::NewProducer);
                self.then(Then::NewConsumer);
            }
            self.drain(16);
        }
        // And not always the same is left to the one that stands still.
        match k % 4 {
            0 => self.fill(),
            1 => drop(self.books.push(&mut self.tx, false)),
            2 => drop(self.books.push(&mut self.tx, true)),
            _ => {}
        }
    }

    /// Everybody else has gone: what there is comes out, newcomers go on, and nothing is missing.
    pub(crate) fn settle(mut self, batches: u64) {
        self.give_seats();
        while self.books.pop(&mut self.rx, 3) > 0 {}
        let recovered = self.ring.recover().expect("recover");
        assert_eq!((recovered.messages, recovered.left), (0, 0), "nothing comes back");
        assert_eq!(self.books.pop(&mut self.rx, 1), 0);
        assert_eq!(self.books.queue.len(), 0, "lost");
        let stats = self.ring.stats().expect("stats");
        assert_eq!((stats.len, stats.held, stats.unclean), (0, 0, 0), "not all is clean");
        assert_eq!((stats.producers, stats.consumers), (1, 1));
        let mut all: Vec<Producer> = std::iter::from_fn(|| self.ring.producer().ok()).collect();
        assert_eq!(all.len() as u32, SEATS - 2, "a seat is lost");
        // The dead one's blocks among them.
        let blocks = (self.books.capacity / 64).clamp(1, 16);
        let expected = if self.books.closed { 0 } else { BATCH };
        for tx in &mut all {
            for _ in 0..batches {
                for _ in 0..blocks {
                    assert_eq!(self.books.push(tx, true), expected, "a block is lost");
                }
                self.drain(7);
            }
        }
        drop(all);
        self.ring.remove().expect("remove");
    }

    /// As it is.
    pub(crate) fn discard(self) {
        self.ring.remove().expect("remove");
    }
}
