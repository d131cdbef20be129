//! The steps of taking a dead hand over.

use super::state::{Fault, Hand, How, Job, Kind, Op, Pc, Process, Role, State};
use super::{Change, Exchange};

impl Exchange {
    /// One step. `pick` is the hand that is read next, or what is done with a held message.
    pub(super) fn repair(&self, s: &mut State, i: usize, p: &mut Process, pick: u8) -> bool {
        let h = usize::from(p.hand);
        let Hand { cur, now, rel } = s.hands[h];
        let g = cur.slot;
        match (p.pc, now) {
            (Pc::RepairNow, Some(op)) if op != cur => p.pc = Pc::RepairEntry,
            (Pc::RepairEntry, Some(op)) => {
                self.read_entry(s, p, op, g);
                if p.pc == Pc::RepairScan {
                    p.others = ((1 << self.hands()) - 1) & !(1 << h);
                    if self.change == Change::OwnerBeforeScan {
                        p.pc = Pc::RepairOwner;
                    } else if self.change == Change::NoScan {
                        p.others = 0;
                        p.pc = Pc::RepairOwner;
                    }
                }
            }
            (Pc::RepairScan, Some(op)) => {
                p.others &= !(1 << pick);
                if self.gives(op, g, s.hands[usize::from(pick)].now) {
                    p.how = How::Scan;
                    p.pc = Pc::RepairFix;
                } else if p.others == 0 {
                    match self.change {
                        Change::OwnerBeforeScan => judge(p, p.owner),
                        Change::NoOwner => p.pc = Pc::RepairRel,
                        _ => p.pc = Pc::RepairOwner,
                    }
                }
            }
            (Pc::RepairOwner, Some(_)) => {
                let owner = s.slots[usize::from(g)].owner;
                if self.change == Change::OwnerBeforeScan {
                    p.owner = owner;
                    p.pc = Pc::RepairScan;
                } else {
                    judge(p, owner);
                }
            }
            (Pc::RepairFix, Some(op)) => {
                if cur == op {
                    p.how = How::Not;
                }
                if self.change != Change::NoRepair {
                    s.hands[h].cur = op;
                }
                p.pc = Pc::RepairRel;
            }
            (Pc::RepairRel, _) => {
                p.again = cur.kind == Kind::Pop && rel != Some(cur);
                p.pc = Pc::RepairStamp;
            }
            (Pc::RepairStamp, _) => {
                let held = p.again;
                if !matches!(self.change, Change::NoStampByRepair | Change::StampLater) {
                    s.slots[usize::from(g)].owner = p.hand + 1;
                    s.slots[usize::from(g)].mark = held;
                }
                p.forget();
                if h == i {
                    p.stamped = self.change != Change::StampLater;
                }
                if !held || self.change == Change::HeldNotLookedFor {
                    self.finish(s, i, p);
                    return true;
                }
                p.again = true;
                if pick == BACK {
                    p.job = Job::Back;
                    p.pc = Pc::Stamp;
                } else {
                    p.pc = Pc::Read;
                }
            }
            (_, _) => p.pc = Pc::RepairRel,
        }
        if p.pc == Pc::RepairRel {
            self.decided(s, h, p.how);
            p.forget();
        }
        false
    }

    /// Step 2.
    fn read_entry(&self, s: &State, p: &mut Process, op: Op, g: u8) {
        let e = s.entries[self.index(op.pos)];
        let expected = self.stage(op.kind, op.pos);
        let stage = 2 * e.lap + u8::from(e.full);
        p.pc = if stage == expected {
            Pc::RepairRel
        } else if stage != (expected + 1) % (2 * self.laps) {
            Pc::RepairScan
        } else if e.slot == g || self.change == Change::NextIsSuccess {
            p.how = How::Entry;
            Pc::RepairFix
        } else {
            Pc::RepairRel
        };
    }

    /// Twice the lap, plus 1 when it is full: how an operation expects its entry.
    fn stage(&self, kind: Kind, pos: u8) -> u8 {
        2 * self.lap(pos) + u8::from(kind == Kind::Pop)
    }

    /// Whether an intent says that slot g was found where the operation would have left it.
    fn gives(&self, op: Op, g: u8, now: Option<Op>) -> bool {
        let wanted = match op.kind {
            Kind::Push => Op { kind: Kind::Pop, pos: op.pos, slot: g },
            _ => Op { kind: Kind::Push, pos: self.add(op.pos, self.entries), slot: g },
        };
        now.is_some_and(|o| {
            o.kind == wanted.kind
                && o.slot == wanted.slot
                && (o.pos == wanted.pos || self.change == Change::AnyPosition)
        })
    }

    /// The verdict is written down: from now on the hand has what `cur` says.
    fn decided(&self, s: &mut State, h: usize, how: How) {
        let truth = s.ghost.landed[h].take();
        let right = match truth {
            Some(op) => s.hands[h].cur == op,
            None => how == How::Not,
        };
        if !right {
            s.fault(Fault::Verdict);
        }
    }

    /// What may be done with a message that a repair finds.
    pub(super) fn choices(&self, s: &State, i: usize) -> &'static [u8] {
        let p = &s.process[i];
        let own = usize::from(p.hand) == i;
        match p.role {
            Role::Producer => &[BACK],
            Role::Consumer if own => &[DELIVER],
            Role::Consumer => &[DELIVER, BACK],
        }
    }
}

/// A held message is delivered from where it lies.
const DELIVER: u8 = 0;
/// It is pushed back.
const BACK: u8 = 1;

fn judge(p: &mut Process, owner: u8) {
    if owner == p.hand + 1 {
        p.pc = Pc::RepairRel;
    } else {
        p.how = How::Owner;
        p.pc = Pc::RepairFix;
    }
}
