//! The books: what really happened, and what must never happen.

use super::state::{Fault, Job, Kind, Op, Payload, Pc, State};
use super::{Change, Exchange};

impl Exchange {
    /// A CAS has succeeded.
    pub(super) fn land(&self, s: &mut State, i: usize, op: Op, gave: usize) {
        let h = usize::from(s.process[i].hand);
        let job = s.process[i].job;
        match op.kind {
            Kind::Push => {
                if op.pos != s.ghost.tail {
                    s.fault(Fault::Order);
                }
                if job == Job::Own && s.ghost.told {
                    s.fault(Fault::AfterClosed);
                }
                s.ghost.tail = self.add(op.pos, 1);
                match (job, s.slots[gave].payload) {
                    (Job::Own, Payload::Written) => {
                        s.slots[gave].payload = Payload::Message { seen: false, orphan: false };
                    }
                    (Job::Back, Payload::Message { .. }) => {}
                    _ => s.fault(Fault::Torn),
                }
            }
            _ => {
                if op.pos != s.ghost.head {
                    s.fault(Fault::Order);
                }
                s.ghost.head = self.add(op.pos, 1);
                if !matches!(s.slots[usize::from(op.slot)].payload, Payload::Message { .. }) {
                    s.fault(Fault::Torn);
                }
            }
        }
        s.ghost.landed[h] = Some(op);
    }

    /// A participant is gone: at any step by a kill, or between two operations by itself.
    pub(super) fn vanish(&self, s: &mut State, i: usize, killed: bool) {
        let h = usize::from(s.process[i].hand);
        orphan(s, i);
        orphan(s, h);
        let repaired = s.process[i].pc >= Pc::RepairNow;
        let p = &mut s.process[i];
        p.forget();
        p.stamped = false;
        p.hand = i as u8;
        p.pc = Pc::Dead;
        if !killed && !s.holds(i) {
            s.process[i].pc = Pc::Left;
        }
        if h != i {
            s.process[h].pc = Pc::Dead;
        }
        if repaired && self.change == Change::ForgottenRepair {
            s.process[h].pc = Pc::Clean;
        }
    }
}

/// Whoever has the message in this hand is about to lose it.
pub(super) fn orphan(s: &mut State, h: usize) {
    if s.holds(h) {
        let slot = usize::from(s.has(h).slot);
        if let Payload::Message { orphan, .. } = &mut s.slots[slot].payload {
            *orphan = true;
        }
    }
}

pub(super) fn write(s: &mut State, slot: usize) {
    if matches!(s.slots[slot].payload, Payload::Message { .. }) {
        s.fault(Fault::Torn);
    }
    s.slots[slot].payload = Payload::Written;
}

pub(super) fn deliver(s: &mut State, slot: usize, marked: bool) {
    let Payload::Message { seen, orphan } = s.slots[slot].payload else {
        return s.fault(Fault::Torn);
    };
    if !marked && (seen || orphan) {
        s.fault(Fault::Twice);
    }
    if marked && !orphan {
        s.fault(Fault::IdleMark);
    }
    s.slots[slot].payload = Payload::Message { seen: true, orphan };
}

pub(super) fn release(s: &mut State, slot: usize) {
    match s.slots[slot].payload {
        Payload::Message { seen: true, .. } => {}
        Payload::Message { .. } => s.fault(Fault::Unread),
        _ => s.fault(Fault::ReleasedTwice),
    }
    s.slots[slot].payload = Payload::Nothing;
}
