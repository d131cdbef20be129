//! The steps of a waiter: the attempt, W1 to W4, the look at the peer, and what is told.

use super::super::state::{At, Fault, Loc, Outcome, Pc, Side, Slept, State, Then};
use super::super::{Change, Reach, Rmw, Waiting};
use super::{finish, may_come};

impl Waiting {
    pub(super) fn attempt(&self, s: &mut State, side: Side, pc: Pc) {
        let at = s.of(side).at;
        let change = self.change;
        match pc {
            Pc::Flag => {
                // Acquire: what was pushed before the closing is visible to the next look.
                let closed = s.load(side, Loc::Closed) != 0;
                if !closed {
                    self.not_yet(s, side);
                } else if change == Change::RingNotLookedAtAgain {
                    self.told(s, side, Then::Closed);
                } else {
                    s.of_mut(side).pc = Pc::LookAgain;
                }
                return;
            }
            _ => {
                let (position, at_peer) = (s.of(side).position, s.load(side, Loc::Cursor(side.peer())));
                let found = match side {
                    Side::Producer => self.is_room(position, at_peer),
                    Side::Consumer => at_peer != position,
                };
                if found {
                    let give_up = side == Side::Consumer && self.must_give_up(s, side);
                    let p = s.of_mut(side);
                    (p.then, p.pc) = (Then::Take, if give_up { Pc::GiveUp } else { Pc::Payload });
                    return;
                }
            }
        }
        let flag = !(change == Change::FlagNotLookedAtAgain && at == At::AfterBit);
        match (pc, side) {
            (Pc::LookAgain, _) => self.told(s, side, Then::Closed),
            (_, Side::Consumer) if flag => s.of_mut(side).pc = Pc::Flag,
            _ => self.not_yet(s, side),
        }
    }

    /// Whether a waiter that goes on must take its bit back.
    pub(super) fn must_give_up(&self, s: &State, side: Side) -> bool {
        let p = s.of(side);
        let set = match p.at {
            At::First => false,
            At::AfterBit | At::BeforeNews => true,
            At::AfterSleep => p.slept != Slept::Woken,
        };
        set && self.change != Change::BitNotGivenUp
    }

    fn not_yet(&self, s: &mut State, side: Side) {
        match s.of(side).at {
            At::First => self.first_of_wait(s, side),
            At::AfterSleep => {
                let interrupted = s.of(side).slept == Slept::Interrupted;
                match self.change {
                    Change::BitNotSetAgain => {
                        let p = s.of_mut(side);
                        (p.at, p.pc) = (At::AfterBit, Pc::Look);
                    }
                    Change::BitAlwaysSetAgain => self.first_of_wait(s, side),
                    _ if interrupted => s.of_mut(side).pc = Pc::BitStillSet,
                    _ => self.first_of_wait(s, side),
                }
            }
            At::AfterBit => s.of_mut(side).pc = Pc::Hint,
            At::BeforeNews => self.peer_gone(s, side),
        }
    }

    fn first_of_wait(&self, s: &mut State, side: Side) {
        let first = if self.change == Change::BarrierBeforeBit { Pc::Barrier } else { Pc::SetBit };
        s.of_mut(side).pc = first;
    }

    fn peer_gone(&self, s: &mut State, side: Side) {
        let p = s.of_mut(side);
        p.told = p.seen / 2;
        self.told(s, side, Then::PeerGone);
    }

    /// Bad news: the bit is given up whenever it may be set.
    fn told(&self, s: &mut State, side: Side, news: Then) {
        if s.of(side).at == At::First || self.change == Change::BitNotGivenUp {
            self.tell(s, side, news);
        } else {
            let p = s.of_mut(side);
            (p.then, p.pc) = (news, Pc::GiveUp);
        }
    }

    /// The operation returns an error.
    fn tell(&self, s: &mut State, side: Side, news: Then) {
        let p = *s.of(side);
        if news == Then::Closed {
            if s.load(Side::Producer, Loc::Cursor(Side::Producer)) != p.position {
                s.ghost.fault.get_or_insert(Fault::ClosedOverMessage);
            }
            s.ghost.closed_seen = true;
            finish(s.of_mut(side), Outcome::Closed);
            return;
        }
        let missed = match side {
            Side::Producer => self.is_room(p.position, p.gone_at),
            Side::Consumer => p.position < p.gone_at,
        };
        if missed {
            s.ghost.fault.get_or_insert(Fault::GoneOverMessage);
        }
        // It was told of one peer, and another one may have come, and even gone, since.
        let another = s.load(side, Loc::Record(side.peer())) / 2 != p.told;
        if another || may_come(s, side.peer()) {
            self.next(s, side);
        } else {
            finish(s.of_mut(side), Outcome::PeerGone);
        }
    }

    pub(super) fn wait(&self, s: &mut State, side: Side, pc: Pc) {
        let word = Loc::Waits(side);
        let look = |s: &mut State| {
            let p = s.of_mut(side);
            let blind = self.change == Change::NoLookAfterBit;
            (p.at, p.pc) = (At::AfterBit, if blind { Pc::Hint } else { Pc::Look });
        };
        match pc {
            Pc::BitStillSet => {
                if s.load(side, word) == 0 {
                    self.first_of_wait(s, side);
                } else {
                    look(s);
                }
            }
            Pc::SetBit => {
                s.ghost.orphan[side as usize] = false;
                s.ghost.idle_takes[side as usize] = 0;
                if self.change != Change::NoBit {
                    s.store(side, word, 1);
                }
                if self.rmw == Rmw::Drains {
                    s.drain(side);
                }
                match self.change {
                    Change::NoBarrier | Change::BarrierBeforeBit => look(s),
                    _ => s.of_mut(side).pc = Pc::Barrier,
                }
            }
            Pc::Barrier => {
                s.drain(side);
                if self.reach == Reach::Membarrier {
                    s.drain(side.peer());
                }
                match self.change {
                    Change::BarrierBeforeBit => s.of_mut(side).pc = Pc::SetBit,
                    _ => look(s),
                }
            }
            Pc::WordBeforeSleep => {
                if s.load(side, word) == 0 {
                    self.awake(s, side, Slept::NotAtAll);
                } else {
                    s.of_mut(side).pc = Pc::FutexWait;
                }
            }
            Pc::FutexWait => {
                // The kernel fences before it compares the word under its lock.
                s.drain(side);
                if s.memory.get(word) == 0 && self.change != Change::NoCompare {
                    self.awake(s, side, Slept::NotAtAll);
                } else {
                    s.of_mut(side).pc = Pc::Asleep;
                }
            }
            Pc::ClearOwn => {
                s.store(side, word, 0);
                s.of_mut(side).pc = Pc::Look;
            }
            _ => {
                self.read_modify_write(s, side, word);
                // One waiter for each word: there is no next one to wake.
                s.memory.set(word, 0);
                match s.of(side).then {
                    Then::Take => s.of_mut(side).pc = Pc::Payload,
                    Then::Notify => s.of_mut(side).pc = self.first_of_notify(),
                    news => self.tell(s, side, news),
                }
            }
        }
    }

    pub(super) fn awake(&self, s: &mut State, side: Side, slept: Slept) {
        let p = s.of_mut(side);
        (p.at, p.slept) = (At::AfterSleep, slept);
        p.pc = if self.change == Change::ClearsOwnBit { Pc::ClearOwn } else { Pc::Look };
    }

    pub(super) fn look_at_peer(&self, s: &mut State, side: Side, pc: Pc) {
        let peer = side.peer();
        let record = s.load(side, Loc::Record(peer));
        let sleep =
            if self.change == Change::NoWordBeforeSleep { Pc::FutexWait } else { Pc::WordBeforeSleep };
        let must = self.must_look_at_seat(s, side);
        let (held, gone_at) = (s.held[peer as usize], s.ghost.gone_at[peer as usize]);
        let p = s.of_mut(side);
        match pc {
            Pc::Hint => p.pc = if must { Pc::SeatRecord } else { sleep },
            Pc::SeatRecord => (p.due, p.seen, p.pc) = (false, record, Pc::SeatHeld),
            Pc::SeatHeld => (p.seen_held, p.gone_at, p.pc) = (held, gone_at, Pc::SeatRecordAgain),
            _ if record != p.seen => p.pc = Pc::SeatRecord,
            _ if p.seen_held || p.seen / 2 == p.told => p.pc = sleep,
            _ if self.change == Change::NewsBeforeLastLook => self.peer_gone(s, side),
            _ => (p.at, p.pc) = (At::BeforeNews, Pc::Look),
        }
    }
}
