//! The steps of push, pop, release and close.

use super::books::{deliver, release, write};
use super::state::{Entry, Fault, Job, Kind, Op, Pc, Process, Role, State};
use super::{Change, Exchange, Hints};

/// What an entry means to who looks for its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The operation may go on here.
    Ready,
    /// Full for a push, empty for a pop.
    Not,
    /// The position is an old one.
    Stale,
    /// This never is.
    Corrupt,
}

impl Exchange {
    pub(super) fn hands(&self) -> usize {
        self.producers.len() + usize::from(self.consumers)
    }

    pub(super) fn closing(&self) -> bool {
        self.closers != 0
    }

    pub(super) fn add(&self, pos: u8, n: u8) -> u8 {
        (pos + n) % (self.laps * self.entries)
    }

    pub(super) fn back(&self, pos: u8, n: u8) -> u8 {
        self.add(pos, self.laps * self.entries - n)
    }

    pub(super) fn index(&self, pos: u8) -> usize {
        usize::from(pos % self.entries)
    }

    pub(super) fn lap(&self, pos: u8) -> u8 {
        pos / self.entries
    }

    pub(super) fn meaning(&self, e: Entry, kind: Kind, pos: u8) -> Meaning {
        let ahead = (e.lap + self.laps - self.lap(pos)) % self.laps;
        let ahead =
            if ahead < self.laps / 2 { i16::from(ahead) } else { i16::from(ahead) - i16::from(self.laps) };
        let ahead = if self.change == Change::NoLapTest { 0 } else { ahead };
        match (kind, ahead, e.full) {
            (Kind::Push, 0, false) | (Kind::Pop, 0, true) => Meaning::Ready,
            (Kind::Push, 0, true) if self.change == Change::NoLapTest => Meaning::Not,
            (Kind::Push, -1, true) | (Kind::Pop, 0, false) => Meaning::Not,
            (Kind::Push, 0, true) | (_, 1.., _) => Meaning::Stale,
            _ => Meaning::Corrupt,
        }
    }

    /// The position that a fresh hint has.
    pub(super) fn fresh(&self, s: &State, kind: Kind) -> u8 {
        if kind == Kind::Pop { s.ghost.head } else { s.ghost.tail }
    }

    /// One step. `pick` is what there is to choose: how far the hint lags, the hand that is read next, what is
    /// done with a held message. True: the operation has returned.
    pub(super) fn step(&self, s: &mut State, i: usize, pick: u8) -> bool {
        let mut p = s.process[i];
        let h = usize::from(p.hand);
        let kind = p.kind();
        let mine = usize::from(s.hands[h].cur.slot);
        let mut returned = false;
        match p.pc {
            Pc::Payload => {
                p.left -= u8::from(self.endless.is_none());
                write(s, mine);
                p.pc = Pc::Stamp;
            }
            Pc::Stamp => {
                if self.change != Change::StampAfterIntent {
                    self.stamp(s, &p, mine);
                }
                p.stamped |= h == i;
                p.pc = if kind == Kind::Pop { Pc::Intent } else { Pc::Look };
            }
            Pc::Look => {
                p.pos = self.back(self.fresh(s, kind), pick);
                returned = self.look(s, i, &mut p);
            }
            Pc::Entry => returned = self.look(s, i, &mut p),
            Pc::Flag => {
                if s.flag && self.change != Change::NoFlagLook {
                    returned = told(s, &mut p);
                } else if p.seen.is_some() {
                    p.pc = Pc::Intent;
                } else {
                    self.again(&mut p);
                    returned = true;
                }
            }
            Pc::Intent => {
                s.hands[h].now = Some(Op { kind, pos: p.pos, slot: p.found() });
                let late = self.change == Change::StampAfterIntent;
                p.pc = if late { Pc::LateStamp } else { Pc::Cas };
            }
            Pc::LateStamp => {
                self.stamp(s, &p, mine);
                p.pc = Pc::Cas;
            }
            Pc::Cas => self.cas(s, i, &mut p),
            Pc::LateIntent => {
                s.hands[h].now = Some(Op { kind, pos: p.pos, slot: p.found() });
                p.pc = Pc::Cur;
            }
            Pc::LateFlag => {
                s.flag = true;
                p.pc = Pc::Cur;
            }
            Pc::Cur => {
                s.hands[h].cur = Op { kind, pos: p.pos, slot: p.found() };
                s.ghost.landed[h] = None;
                p.stamped &= h != i;
                p.pc = Pc::ClearNow;
                if self.change != Change::NowCleared {
                    returned = self.after_cur(s, i, &mut p, kind);
                }
            }
            Pc::ClearNow => {
                s.hands[h].now = None;
                returned = self.after_cur(s, i, &mut p, kind);
            }
            Pc::Read => {
                deliver(s, mine, p.again || s.slots[mine].mark);
                p.pc = Pc::Release;
                if self.change == Change::ReleasedEarly {
                    self.finish(s, i, &mut p);
                    returned = true;
                }
            }
            Pc::Release => {
                s.hands[h].rel = Some(s.hands[h].cur);
                release(s, mine);
                if self.change == Change::ReleasedEarly {
                    p.pc = Pc::Read;
                } else {
                    self.finish(s, i, &mut p);
                    returned = true;
                }
            }
            Pc::SetFlag => {
                s.flag = true;
                match (p.job, kind) {
                    (Job::Back, _) => p.pc = Pc::Intent,
                    (Job::Own, Kind::Pop) => p.pc = Pc::LookAgain,
                    _ => returned = told(s, &mut p),
                }
            }
            Pc::PopFlag => {
                if !s.flag {
                    self.again(&mut p);
                    returned = true;
                } else if self.change == Change::NoSecondLook {
                    returned = closed(s, &mut p);
                } else {
                    p.pc = Pc::LookAgain;
                }
            }
            Pc::LookAgain => {
                let e = s.entries[self.index(p.pos)];
                if self.meaning(e, kind, p.pos) == Meaning::Not {
                    returned = closed(s, &mut p);
                } else {
                    self.again(&mut p);
                }
            }
            Pc::CloseFlag => {
                if s.flag {
                    returned = told(s, &mut p);
                } else {
                    p.pc = Pc::Look;
                }
            }
            Pc::CloseCas => {
                let at = self.index(p.pos);
                if Some(s.entries[at]) == p.seen {
                    s.entries[at].closed = true;
                    p.pc = Pc::SetFlag;
                } else {
                    self.again(&mut p);
                    p.pc = Pc::CloseFlag;
                }
            }
            Pc::Done | Pc::Dead | Pc::Left | Pc::Clean | Pc::Locked => {}
            _ => returned = self.repair(s, i, &mut p, pick),
        }
        s.process[i] = p;
        returned
    }

    /// Owner and mark, in one store.
    fn stamp(&self, s: &mut State, p: &Process, slot: usize) {
        let left_out = match (p.job, p.role) {
            (Job::Back, _) => Change::NoStampByBack,
            (_, Role::Producer) => Change::NoStampByPush,
            (_, Role::Consumer) => Change::NoStampByPop,
        };
        let header = &mut s.slots[slot];
        if self.change != left_out {
            header.owner = p.hand + 1;
        }
        match p.job {
            Job::Back if self.change == Change::NotMarked => header.mark = false,
            Job::Back => header.mark = true,
            _ if self.change == Change::MarkNotCleared => {}
            _ => header.mark = false,
        }
    }

    /// The entry at `pos` is read.
    fn look(&self, s: &mut State, i: usize, p: &mut Process) -> bool {
        let kind = p.kind();
        let e = s.entries[self.index(p.pos)];
        let meaning = self.meaning(e, kind, p.pos);
        let helps = self.change != Change::NoFlagHelp;
        match (meaning, p.job) {
            (Meaning::Corrupt, _) => s.fault(Fault::Corrupt),
            (Meaning::Stale, _) => {
                if self.change != Change::NoWalk {
                    p.pos = self.add(p.pos, 1);
                }
                p.pc = Pc::Entry;
            }
            (_, Job::Close) => {
                p.seen = Some(e);
                let only_flag = e.closed || self.change == Change::FlagOnly;
                p.pc = if only_flag { Pc::SetFlag } else { Pc::CloseCas };
            }
            (Meaning::Ready, Job::Back) => {
                p.seen = Some(e);
                p.pc = Pc::Intent;
                if e.closed {
                    match self.change {
                        Change::BackRefused => {
                            self.finish(s, i, p);
                            return true;
                        }
                        Change::NoFlagByBack => {}
                        _ => p.pc = Pc::SetFlag,
                    }
                }
            }
            (_, Job::Own) if kind == Kind::Push && e.closed => {
                p.pc = Pc::SetFlag;
                if !helps {
                    return told(s, p);
                }
            }
            (Meaning::Ready, _) => {
                p.seen = Some(e);
                p.pc = match kind {
                    Kind::Pop if !p.stamped => Pc::Stamp,
                    Kind::Push if self.closing() => Pc::Flag,
                    _ => Pc::Intent,
                };
                if self.change == Change::IntentAfterCas && p.pc == Pc::Intent {
                    p.pc = Pc::Cas;
                }
            }
            (Meaning::Not, _) if kind == Kind::Pop && self.closing() => {
                p.pc = if e.closed && helps { Pc::SetFlag } else { Pc::PopFlag };
            }
            (Meaning::Not, Job::Own) if self.closing() => p.pc = Pc::Flag,
            (Meaning::Not, _) => {
                self.again(p);
                return true;
            }
        }
        false
    }

    fn cas(&self, s: &mut State, i: usize, p: &mut Process) {
        let h = usize::from(p.hand);
        let (kind, at) = (p.kind(), self.index(p.pos));
        let seen = s.entries[at];
        if p.seen != Some(seen) {
            return self.retry(p);
        }
        let mine = s.hands[h].cur.slot;
        let steps = kind == Kind::Pop && self.change != Change::NoLap;
        s.entries[at] = Entry {
            lap: (seen.lap + u8::from(steps)) % self.laps,
            full: kind == Kind::Push,
            closed: seen.closed && !(kind == Kind::Pop && self.change == Change::DropBit),
            slot: mine,
        };
        let op = Op { kind, pos: p.pos, slot: p.found() };
        self.land(s, i, op, usize::from(mine));
        p.pc = match self.change {
            Change::IntentAfterCas => Pc::LateIntent,
            Change::NoFlagByBack if seen.closed && p.job == Job::Back => Pc::LateFlag,
            _ => Pc::Cur,
        };
    }

    /// The CAS has failed: the entry is read again. A fresh hint names the position where the walk ends.
    fn retry(&self, p: &mut Process) {
        p.seen = None;
        p.pc = Pc::Entry;
        if self.hints == Hints::Fresh {
            self.again(p);
        }
    }

    /// From the hint on.
    fn again(&self, p: &mut Process) {
        p.seen = None;
        p.pos = 0;
        p.pc = Pc::Look;
    }

    fn after_cur(&self, s: &mut State, i: usize, p: &mut Process, kind: Kind) -> bool {
        if kind == Kind::Pop {
            p.forget();
            p.pc = if self.change == Change::ReleasedEarly { Pc::Release } else { Pc::Read };
            return false;
        }
        self.finish(s, i, p);
        true
    }

    /// An operation is done. A hand that was repaired from another seat is given free.
    pub(super) fn finish(&self, s: &mut State, i: usize, p: &mut Process) {
        let h = usize::from(p.hand);
        p.forget();
        if h == i {
            return begin(p);
        }
        let seat = &mut s.process[h];
        seat.pc = Pc::Left;
        if s.holds(h) {
            s.process[h].pc = Pc::Dead;
        }
        p.hand = i as u8;
        p.pc = Pc::Look;
    }
}

/// The next operation, or the end.
pub(super) fn begin(p: &mut Process) {
    p.forget();
    p.pc = match p.role {
        Role::Consumer => Pc::Look,
        Role::Producer if p.left > 0 => Pc::Payload,
        Role::Producer if p.closes => {
            p.job = Job::Close;
            Pc::CloseFlag
        }
        Role::Producer => Pc::Done,
    };
}

/// A push was told that the ring is closed, or a close has returned: no more of the program.
fn told(s: &mut State, p: &mut Process) -> bool {
    s.ghost.told = true;
    p.left = 0;
    p.closes = false;
    p.forget();
    p.pc = Pc::Done;
    true
}

/// A pop was told so.
fn closed(s: &mut State, p: &mut Process) -> bool {
    if s.ghost.head != s.ghost.tail {
        s.fault(Fault::ClosedEarly);
    }
    told(s, p)
}
