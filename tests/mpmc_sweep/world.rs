//! A ring, the survivors in this process, and what must be in it: each call of theirs is checked
//! against that at once.

use crate::common::TestName;
use crate::ops::{self, FIRST, Item, NOW, Op, Report, Ring, SECOND, item, number};
use crate::victim::Victim;
use crate::words::{Snapshot, Words};
use crate::{harness::Shared, ops::End};
use segring::{RingError, mpmc};
use std::collections::VecDeque;

type Producer = mpmc::Producer<Item>;
type Consumer = mpmc::Consumer<Item>;

pub(crate) const CAPACITY: usize = 4;
const SEATS: u32 = 5;

/// What must be where.
#[derive(Default)]
pub(crate) struct Books {
    /// In the ring, taken by nobody yet, in this order.
    queue: VecDeque<u64>,
    /// Taken, and not released by one that is dead, or that has handed it back: comes back, marked.
    again: Vec<u64>,
    /// In the hands of somebody who lives.
    in_hand: Vec<u64>,
    closed: bool,
    next: u64,
    /// What the survivors have done.
    calls: u64,
}

impl Books {
    /// Whether it went in.
    pub(crate) fn push(&mut self, tx: &mut Producer) -> bool {
        self.calls += 1;
        let pushed = tx.try_push(item(self.next)).map_err(|rejected| rejected.error);
        if self.closed {
            assert_eq!(pushed, Err(RingError::Closed));
            return false;
        }
        match pushed {
            Ok(()) => {
                assert!(self.queue.len() < CAPACITY, "there was no room");
                self.queue.push_back(self.next);
                self.next += 1;
            }
            Err(RingError::Full) => assert!(self.queue.len() + self.again.len() >= CAPACITY, "not full"),
            Err(e) => panic!("{e:?}"),
        }
        pushed.is_ok()
    }

    /// Whether there was one.
    pub(crate) fn pop(&mut self, rx: &mut Consumer) -> bool {
        let popped = rx.try_pop();
        self.popped(popped, rx.redelivered())
    }

    /// The same by a wait, which looks for the dead at its end.
    fn pop_looking(&mut self, rx: &mut Consumer) -> bool {
        let popped = rx.pop_timeout(NOW);
        self.popped(popped, rx.redelivered())
    }

    fn popped(&mut self, popped: Result<Item, RingError>, redelivered: bool) -> bool {
        self.calls += 1;
        match popped.map(number) {
            Ok(got) if redelivered => {
                let at = self.again.iter().position(|n| *n == got);
                self.again.remove(at.unwrap_or_else(|| panic!("{got} again, of {:?}", self.again)));
            }
            Ok(got) => assert_eq!(Some(got), self.queue.pop_front(), "lost, doubled, or out of order"),
            Err(RingError::Closed) => assert!(self.closed && self.queue.is_empty(), "closed: not so"),
            Err(RingError::Empty | RingError::TimedOut) => {
                assert!(self.queue.is_empty() && !self.closed, "empty: not so");
            }
            Err(e) => panic!("{e:?}"),
        }
        popped.is_ok()
    }
}

/// The ring, and two who take part all the time.
pub(crate) struct World {
    pub(crate) ring: Ring,
    pub(crate) books: Books,
    words: Words,
    tx: Producer,
    rx: Consumer,
    /// Seats that are only sat on.
    spare: Vec<Consumer>,
}

impl World {
    /// Of which `turned` messages have been through.
    pub(crate) fn new(name: &TestName, turned: u64) -> Self {
        let ring = Ring::builder(name.name()).capacity(CAPACITY).seats(SEATS).in_hand(2);
        let ring = ring.create().expect("create");
        let (tx, rx) = (ring.producer().expect("a seat"), ring.consumer().expect("a seat"));
        let words = Words::of(ring.stats().expect("stats").shm_id);
        let mut world = Self { ring, books: Books::default(), words, tx, rx, spare: Vec::new() };
        (0..turned).for_each(|_| world.turn());
        world
    }

    fn turn(&mut self) {
        self.books.push(&mut self.tx);
        self.books.pop(&mut self.rx);
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
        while self.books.queue.len() < scene.filled {
            assert!(self.books.push(&mut self.tx));
        }
        report.clear();
        let mut victim = Victim::start(|| ops::act(op, name, report))?;
        let books = &mut self.books;
        books.queue.drain(..scene.pops);
        books.in_hand.extend(books.queue.drain(..scene.holds));
        books.queue.extend(scene.pushes.then_some(FIRST));
        if scene.topped_up {
            self.fill();
        }
        if scene.sleeper {
            self.words.pretend_a_sleeper(scene.topped_up);
        }
        let Some(arrival) = scene.arrival else { return Ok(Some(victim)) };
        let met = victim.meet(arrival, || {
            if op.pushes() {
                assert!(self.books.pop(&mut self.rx));
            } else {
                self.leave_one();
            }
        })?;
        Ok(met.then_some(victim))
    }

    pub(crate) fn has_sleeper(&self) -> bool {
        self.words.has_sleeper()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.words.snapshot()
    }

    /// Sits down on all seats that are free.
    pub(crate) fn take_seats(&mut self) {
        while let Ok(rx) = self.ring.consumer() {
            self.spare.push(rx);
        }
    }

    pub(crate) fn give_seats(&mut self) {
        self.spare.clear();
    }

    /// Notes what somebody has done who stands somewhere in its operation: its words say it.
    pub(crate) fn note_steps(&mut self, op: Op, before: &Snapshot, report: &Report) {
        let now = self.snapshot();
        let exchanged = now.exchanged_since(before);
        if exchanged && op.pushes() {
            self.books.queue.push_back(SECOND);
        }
        if exchanged && op.takes() {
            let taken = self.books.queue.pop_front().expect("it took something");
            self.books.in_hand.push(taken);
        }
        if now.released_since(before) {
            // A copying pop has copied before it lets go.
            let gone = if op == Op::Release { self.books.in_hand[0] } else { report.got() };
            let taken = if op == Op::PopLooks { &mut self.books.again } else { &mut self.books.in_hand };
            let at = taken.iter().position(|n| *n == gone);
            taken.remove(at.unwrap_or_else(|| panic!("{gone} was given up, and not copied")));
        }
        if matches!(op, Op::HandBack | Op::LeaveConsumer) && exchanged {
            self.books.again.append(&mut self.books.in_hand);
        }
        if op == Op::LeaveOwing && now.sat_since(before) {
            // It has gone, and left it behind.
            self.books.again.append(&mut self.books.in_hand);
        }
        self.books.closed |= now.is_closed();
    }

    /// What it held comes back from here on.
    pub(crate) fn note_death(&mut self) {
        self.books.again.append(&mut self.books.in_hand);
    }

    /// Notes what the rest of an operation has done. When it was stopped, it had `exchanged` and
    /// `released` already, or not; since it goes on, it is alone.
    pub(crate) fn note_end(&mut self, op: Op, (exchanged, released): (bool, bool), report: &Report) {
        let (books, end) = (&mut self.books, report.end());
        if op.pushes() {
            assert!(end != End::None && end != End::Closed, "{op:?}: {end:?}");
            assert!(end == End::Done || !exchanged, "it is in, and it says it is not");
            if end == End::Done && !exchanged {
                books.queue.push_back(SECOND);
            }
        } else if op.takes() || op == Op::PopLooks {
            if end != End::Done {
                assert!(!released && (end == End::Nothing || end == End::TimedOut), "{op:?}: {end:?}");
                return;
            }
            let got = report.got();
            if op.takes() && !exchanged && books.queue.front() == Some(&got) {
                books.in_hand.extend(books.queue.pop_front());
            }
            if !released && op != Op::Take {
                let holders = [&mut books.in_hand, &mut books.again];
                let had = holders.into_iter().find(|had| had.contains(&got));
                match had {
                    Some(had) => had.retain(|n| *n != got),
                    None => assert_eq!(books.queue.pop_front(), Some(got), "it got another one"),
                }
            }
        } else {
            assert_eq!(end, End::Done);
            match op {
                Op::Release => books.in_hand.clear(),
                Op::Close => books.closed = true,
                _ => {}
            }
        }
    }
}

/// What comes first after a death: in each way the dead seat is found by somebody else, or after the
/// ring has gone on without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Recover,
    Wait,
    NewConsumer,
    NewProducer,
    /// The entry is a stage further: the dead one's slot is taken.
    Drain,
    Fill,
    /// And stamped again by the one who took it.
    Laps,
}

pub(crate) const THEN: [Then; 7] =
    [Then::Laps, Then::Recover, Then::Drain, Then::Fill, Then::NewConsumer, Then::NewProducer, Then::Wait];

impl World {
    pub(crate) fn fill(&mut self) {
        while self.books.push(&mut self.tx) {}
    }

    /// All that are known to be there: does not find the ring empty, and so does not look for the dead.
    fn drain_known(&mut self) {
        while !self.books.queue.is_empty() {
            assert!(self.books.pop(&mut self.rx));
        }
    }

    pub(crate) fn then(&mut self, then: Then) {
        match then {
            Then::Recover => drop(self.ring.recover().expect("recover")),
            Then::Wait => while self.books.pop_looking(&mut self.rx) {},
            Then::NewConsumer => {
                let mut rx = self.ring.consumer().expect("a seat");
                self.books.pop(&mut rx);
                self.books.pop(&mut rx);
            }
            Then::NewProducer => {
                let mut tx = self.ring.producer().expect("a seat");
                self.books.push(&mut tx);
                self.books.push(&mut tx);
            }
            Then::Drain => self.drain_known(),
            Then::Fill => self.fill(),
            Then::Laps => {
                self.laps(3);
            }
        }
    }

    /// A message for somebody who would wait on, if there is none.
    pub(crate) fn leave_one(&mut self) {
        if self.books.queue.is_empty() {
            assert!(self.books.push(&mut self.tx));
        }
    }

    fn laps(&mut self, laps: u32) {
        for _ in 0..laps {
            self.fill();
            self.drain_known();
        }
    }

    /// At least `calls` calls of those who are there, newcomers among them, while somebody stands
    /// still. `dead`: so many seats there are to see to.
    pub(crate) fn go_on(&mut self, calls: u64, dead: usize, k: u64) {
        let end = self.books.calls + calls;
        while self.books.calls < end {
            self.laps(2);
            for _ in 0..5 {
                self.turn();
            }
            let recovered = self.ring.recover().expect("recover");
            // A dead one's is found again if there was no room for what it held.
            assert!(recovered.seats <= dead, "one that lives was taken over: {recovered:?}");
            if self.books.calls % 3 == k % 3 {
                for _ in 0..2 {
                    self.then(Then::NewProducer);
                    self.then(Then::NewConsumer);
                }
            }
            while self.books.pop(&mut self.rx) {}
        }
        // And not always the same is left to the one that stands still.
        match k % 4 {
            0 => self.fill(),
            1 => drop(self.books.push(&mut self.tx)),
            _ => {}
        }
    }

    /// Everybody else has gone: what there is comes out, newcomers go on, and nothing is missing.
    pub(crate) fn settle(mut self, messages: u64) {
        self.give_seats();
        for round in 0.. {
            assert!(round < 20, "something comes again and again");
            let recovered = self.ring.recover().expect("recover");
            let mut popped = 0;
            while self.books.pop(&mut self.rx) {
                popped += 1;
            }
            if recovered.seats + popped == 0 {
                break;
            }
        }
        assert_eq!((&self.books.queue.len(), &self.books.again), (&0, &vec![]), "lost");
        self.words.account();
        {
            let mut tx = self.ring.producer().expect("a seat");
            let mut rx = self.ring.consumer().expect("a seat");
            for _ in 0..messages.div_ceil(4) {
                self.books.push(&mut tx);
                self.books.push(&mut self.tx);
                self.books.pop(&mut self.rx);
                self.books.pop(&mut rx);
            }
        }
        let stats = self.ring.stats().expect("stats");
        assert_eq!((stats.len, stats.held, stats.unclean), (0, 0, 0), "not all is clean");
        assert_eq!((stats.producers, stats.consumers), (1, 1));
        self.take_seats();
        assert_eq!(self.spare.len() as u32, SEATS - 2, "a seat is lost");
        self.words.account();
        self.ring.remove().expect("remove");
    }

    /// As it is.
    pub(crate) fn discard(self) {
        self.ring.remove().expect("remove");
    }
}
