//! A ring, the survivor in this process, and what must be in it: each call is checked against that
//! at once. One stands still meanwhile, so the words say exactly what its peer must find.

use crate::common::TestName;
use crate::ops::{Op, Report};
use crate::raw;
use crate::rings::Kind;
use crate::words::Words;
use segring::{Error, Observer, Peer, RingError, Stats};
use std::time::Duration;

/// Time for those who look, and do not wait.
const NOW: Duration = Duration::ZERO;

/// Who sits on one side.
enum Handle<K: Kind> {
    Tx(K::Tx),
    Rx(K::Rx),
}

/// The ring, and the peer of whoever is stopped or killed.
pub(crate) struct World<'a, K: Kind> {
    name: &'a TestName,
    ring: K,
    words: Words<K>,
    op: Op,
    peer: Handle<K>,
    /// A newcomer on a seat that was free.
    kept: Option<Handle<K>>,
    /// How many messages went in and out, by the calls that did so.
    pushed: u64,
    popped: u64,
    closed: bool,
    /// Somebody has died on that seat.
    dead: bool,
}

impl<'a, K: Kind> World<'a, K> {
    /// Of which `turned` messages have been through; filled as the operation needs it.
    pub(crate) fn new(name: &'a TestName, op: Op, turned: u64) -> Self {
        let ring = K::create(name);
        let words = Words::of(&ring);
        let (mut tx, mut rx) = (ring.producer().expect("a seat"), ring.consumer().expect("a seat"));
        for n in 0..turned {
            K::push(&mut tx, &K::message(n)).expect("room");
            K::pop(&mut rx, &mut K::blank()).expect("a message");
        }
        let filled = match op {
            Op::PopEmpty | Op::PopWaits => 0,
            Op::PushToFull | Op::PushWaits => u64::MAX,
            _ if op.by_producer() || op.joins() => 3,
            _ => 5,
        };
        let mut pushed = turned;
        while pushed - turned < filled && K::push(&mut tx, &K::message(pushed)).is_ok() {
            pushed += 1;
        }
        assert!(filled.min(4) <= pushed - turned, "too small a ring");
        let peer = if op.by_producer() { Handle::Rx(rx) } else { Handle::Tx(tx) };
        let (popped, closed, dead) = (turned, false, false);
        Self { name, ring, words, op, peer, kept: None, pushed, popped, closed, dead }
    }

    pub(crate) fn snapshot(&self) -> Vec<u64> {
        self.words.snapshot()
    }

    /// Somebody has died in `self.op` and another one comes, for `op`: says how much the first has
    /// moved.
    pub(crate) fn note_death(&mut self, op: Op) -> u64 {
        let (pushed, popped) = self.words.progress();
        let moved = (pushed - self.pushed) + (popped - self.popped);
        assert!(moved <= self.op.moves(K::BYTES), "{moved} messages from one {:?}", self.op);
        (self.pushed, self.popped, self.op, self.dead) = (pushed, popped, op, true);
        moved
    }

    /// What the words say is within what one operation may have done.
    fn check_words(&self) -> (u64, u64) {
        let (pushed, popped) = self.words.progress();
        let (in_between, out) = (pushed - self.pushed, popped - self.popped);
        let most = if self.op.is_in_vain() { 1 } else { self.op.moves(K::BYTES) };
        let (mine, other) = if self.op.by_producer() { (in_between, out) } else { (out, in_between) };
        assert!(other == 0 && mine <= most, "{mine} messages from one {:?}, {other} from nobody", self.op);
        let by_halves = K::PIECEMEAL && self.op.by_producer();
        assert!(by_halves || mine == 0 || mine == most, "{:?} was done by half: {mine}", self.op);
        (pushed, popped)
    }

    /// At least `calls` calls of the survivor and of observers while `victim` stands still, or is
    /// dead (`None`).
    pub(crate) fn go_on(&mut self, calls: u64, victim: Option<u32>) {
        // What the peer counts itself is `popped` or `pushed`; the other one is the words'.
        let ahead = self.check_words();
        for i in 0..calls {
            match &self.peer {
                Handle::Rx(_) => self.pop(ahead.0, i),
                Handle::Tx(_) => self.push(ahead.1, i),
            }
            if i % 200 == 20 {
                self.look_around(victim);
            }
        }
        self.check_words();
    }

    /// One call of the consumer. `pushed`: what its stopped peer has committed.
    fn pop(&mut self, pushed: u64, i: u64) {
        let pushed = pushed.max(self.pushed);
        let (there, closed) = (self.popped < pushed, self.words.is_closed());
        let Handle::Rx(rx) = &mut self.peer else { unreachable!() };
        assert_eq!(K::popped(rx), self.popped);
        let mut got = K::blank();
        let done = match i % 8 {
            6 => K::wait_for_message(rx, NOW),
            3 => K::pop_for(rx, &mut got, NOW),
            _ => K::pop(rx, &mut got),
        };
        let timed = matches!(i % 8, 3 | 6);
        match done {
            Ok(()) => {
                assert!(there, "a message that nobody has committed");
                if i % 8 != 6 {
                    assert!(got == K::message(self.popped), "{} is lost, doubled or torn", self.popped);
                    self.popped += 1;
                }
            }
            Err(e) => {
                assert!(!there, "message {} is lost: {e:?}", self.popped);
                assert!(e == RingError::Closed || !closed, "{e:?}");
                self.check_refusal(e, timed, closed);
            }
        }
    }

    /// One call of the producer. `popped`: what its stopped peer has released.
    fn push(&mut self, popped: u64, i: u64) {
        let used = self.pushed - popped.max(self.popped);
        let Handle::Tx(tx) = &mut self.peer else { unreachable!() };
        assert_eq!(K::pushed(tx), self.pushed);
        let message = K::message(self.pushed);
        let done = match i % 8 {
            6 => K::wait_for_room(tx, NOW),
            3 => K::push_for(tx, &message, NOW),
            _ => K::push(tx, &message),
        };
        match done {
            Ok(()) => {
                assert!(used < 8, "there was no room");
                self.pushed += u64::from(i % 8 != 6);
            }
            Err(e) => {
                assert!(used >= K::ROOM, "no room, with {used} in the ring: {e:?}");
                self.check_refusal(e, matches!(i % 8, 3 | 6), false);
            }
        }
    }

    /// Of a peer that finds nothing to do.
    fn check_refusal(&self, e: RingError, timed: bool, closed: bool) {
        let held = self.words.is_held(self.op.by_producer());
        let right = match e {
            RingError::Full | RingError::Empty => !timed,
            RingError::TimedOut => timed,
            RingError::Closed => closed,
            // Only of one that is not there.
            RingError::PeerGone { died } => timed && !held && died == self.dead,
            _ => false,
        };
        assert!(right, "{e:?}, and its peer's seat is held: {held}");
    }

    /// Statistics, an observer, and somebody who would have the seat.
    fn look_around(&mut self, victim: Option<u32>) {
        let held = self.words.is_held(self.op.by_producer());
        assert!(held || victim.is_none() || self.op.sits_or_stands(), "its seat is free");
        for stats in [Some(self.ring.stats()), self.observe()].into_iter().flatten() {
            self.check_stats(&stats, victim, held);
        }
        match self.sit() {
            Err(Error::SeatTaken { pid, .. }) => {
                assert!(held, "a free seat, and it is refused");
                assert!(self.op.sits_or_stands() || Some(pid) == victim, "{pid}, not {victim:?}");
            }
            Err(e) => panic!("{e}"),
            Ok(newcomer) => {
                assert!(!held, "the seat of one that lives was given away");
                self.use_once(newcomer);
                // It has left, and this is told of nobody else.
                self.dead = false;
            }
        }
    }

    fn observe(&self) -> Option<Stats> {
        Observer::attach(self.name.name()).expect("observe").stats().ok()
    }

    fn check_stats(&self, stats: &Stats, victim: Option<u32>, held: bool) {
        let (pushed, popped) = self.words.progress();
        assert_eq!(
            (stats.popped, stats.len, stats.closed),
            (popped, stats.pushed - popped, self.words.is_closed())
        );
        assert!(stats.pushed == pushed || K::PIECEMEAL && stats.pushed < pushed, "{} pushed", stats.pushed);
        let (its, mine) = match self.peer {
            Handle::Rx(_) => (stats.producer, stats.consumer),
            Handle::Tx(_) => (stats.consumer, stats.producer),
        };
        assert_eq!(mine, Peer::Live { pid: std::process::id() });
        match (its, victim) {
            (Peer::Live { pid }, Some(victim)) => {
                assert!(held && (pid == victim || self.op.sits_or_stands()), "{its:?}, and it is {victim}");
            }
            (its, _) => assert!(!held, "{its:?}, and it lives"),
        }
    }

    /// Tries to get the seat that matters.
    fn sit(&self) -> Result<Handle<K>, Error> {
        if self.op.by_producer() {
            self.ring.producer().map(Handle::Tx)
        } else {
            self.ring.consumer().map(Handle::Rx)
        }
    }

    /// Moves one message, if that is possible.
    fn use_once(&mut self, mut newcomer: Handle<K>) {
        match &mut newcomer {
            Handle::Tx(tx) => {
                assert_eq!(K::pushed(tx), self.pushed);
                self.pushed += u64::from(K::push(tx, &K::message(self.pushed)).is_ok());
            }
            Handle::Rx(rx) => {
                assert_eq!(K::popped(rx), self.popped);
                let mut got = K::blank();
                if K::pop(rx, &mut got).is_ok() {
                    assert!(got == K::message(self.popped), "{} is lost, doubled or torn", self.popped);
                    self.popped += 1;
                }
            }
        }
    }

    /// Sits down on the seat if it is free, and stays.
    pub(crate) fn keep_seat(&mut self) {
        if !self.words.is_held(self.op.by_producer()) {
            self.kept = Some(self.sit().unwrap_or_else(|e| panic!("{e}")));
        }
    }

    /// The end of one that was stopped: what it says is what the words say.
    pub(crate) fn note_end(&mut self, report: &Report) {
        if self.op.by_producer() {
            self.pushed += report.moved();
        } else {
            self.popped += report.moved();
        }
        if self.op.joins() {
            let at = if self.op.by_producer() { self.pushed } else { self.popped };
            let wanted = if self.kept.is_some() { None } else { Some(at) };
            assert_eq!(report.joined_at(), wanted, "it joined elsewhere, or a seat that is taken");
        }
        self.closed |= self.op == Op::Close;
        assert_eq!(self.words.is_closed(), self.closed);
        assert_eq!(self.words.progress(), (self.pushed, self.popped), "pushed and popped");
    }

    /// Whoever was stopped or killed has ended: a newcomer goes on where it was, all comes out, and
    /// more goes through.
    pub(crate) fn settle(mut self) {
        assert_eq!(self.words.progress(), (self.pushed, self.popped), "pushed and popped");
        self.kept = None;
        let newcomer = self.sit().unwrap_or_else(|e| panic!("{e}"));
        let (mut tx, mut rx) = match (self.peer, newcomer) {
            (Handle::Rx(rx), Handle::Tx(tx)) | (Handle::Tx(tx), Handle::Rx(rx)) => (tx, rx),
            _ => unreachable!(),
        };
        assert_eq!((K::pushed(&tx), K::popped(&rx)), (self.pushed, self.popped), "positions");
        let mut got = K::blank();
        let mut check = |rx: &mut K::Rx, n| {
            K::pop(rx, &mut got).unwrap_or_else(|e| panic!("message {n} is lost: {e:?}"));
            assert!(got == K::message(n), "message {n} is lost, doubled or torn");
        };
        (self.popped..self.pushed).for_each(|n| check(&mut rx, n));
        let end = K::pop(&mut rx, &mut K::blank());
        assert_eq!(end, Err(if self.closed { RingError::Closed } else { RingError::Empty }));
        let mut at = self.pushed;
        if self.closed {
            assert_eq!(K::push(&mut tx, &K::message(at)), Err(RingError::Closed));
        } else {
            for _ in 0..7 {
                (at..at + 3).for_each(|n| K::push(&mut tx, &K::message(n)).expect("room"));
                (at..at + 3).for_each(|n| check(&mut rx, n));
                at += 3;
            }
        }
        let stats = self.ring.stats();
        assert_eq!((stats.pushed, stats.popped, stats.len), (at, at, 0));
        self.ring.remove();
        drop((tx, rx, self.words, self.ring));
        assert!(raw::is_gone(self.name.key()), "it leaves something behind");
    }

    /// As it is.
    pub(crate) fn discard(self) {
        self.ring.remove();
    }
}
