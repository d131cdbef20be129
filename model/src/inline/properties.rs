//! What must hold in every state.

use super::state::{Fault, Pc, Role, State};
use super::{Action, Inline};
use stateright::{Model, Property};

/// The names of the properties.
pub mod name {
    /// The words of the ring, read from the head to the tail, are the messages that were pushed and not
    /// taken, in the order of the exchanges; what a take has read is what comes next.
    pub const BOOKS: &str = "books balance";
    /// Pushes and takes succeed at one position after the other.
    pub const ORDER: &str = "one order";
    /// No word of a block is written while an entry has the block.
    pub const BLOCKS: &str = "blocks are written when free";
    /// No entry is ever found in a state that means damage.
    pub const CORRUPT: &str = "nothing looks corrupt";
    /// No push succeeds after somebody was told that the ring is closed; a consumer is told so of an empty
    /// ring.
    pub const CLOSING: &str = "closing is linearizable";
    /// Where nothing can happen any more, everything is done.
    pub const ENDING: &str = "right ending";
    /// Who runs alone finishes its operation, or finds the ring full or empty, in so many steps.
    pub const PROGRESS: &str = "alone, it returns";
    /// So many steps of all together, and an operation is finished.
    pub const TOGETHER: &str = "together, one returns";
    /// Somebody has taken some of a batch.
    pub const PARTS: &str = "a batch is taken in parts";
    /// All blocks of a producer are in the ring, and it pushes one message by itself.
    pub const NO_BLOCK: &str = "no block is free";
    /// Whoever took a seat over finds one of its blocks in the ring.
    pub const FOUND: &str = "a newcomer finds a block in the ring";
    /// A consumer is told that the ring is closed.
    pub const CLOSED: &str = "a consumer is told Closed";
    /// Laps have wrapped.
    pub const WRAPPED: &str = "laps wrap";
}

/// More than the longest way has: a take-over, and a batch.
const STEPS_ALONE: u32 = 40;

impl Model for Inline {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // What comes after a fault proves nothing.
        if state.ghost.fault.is_none() {
            self.enabled(state, actions);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.apply(state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        use Fault::{AfterClosed, ClosedEarly, Corrupt, Order, Written};
        let mut all = vec![
            Property::always(name::BOOKS, |m: &Inline, s: &State| m.books_balance(s)),
            Property::always(name::ORDER, |_, s: &State| s.ghost.fault != Some(Order)),
            Property::always(name::BLOCKS, |_, s: &State| s.ghost.fault != Some(Written)),
            Property::always(name::CORRUPT, |_, s: &State| s.ghost.fault != Some(Corrupt)),
            Property::always(name::ENDING, |m: &Inline, s: &State| !m.is_terminal(s) || m.ended_well(s)),
            Property::always(name::PROGRESS, |m: &Inline, s: &State| {
                s.ghost.fault.is_some() || (0..m.seats()).all(|i| m.returns_alone(s, i))
            }),
        ];
        if self.closing() {
            all.push(Property::always(name::CLOSING, |_, s: &State| {
                !matches!(s.ghost.fault, Some(AfterClosed | ClosedEarly))
            }));
        }
        if self.counted.is_some() {
            all.push(Property::always(name::TOGETHER, |m: &Inline, s: &State| {
                m.counted.is_none_or(|most| s.ghost.quiet <= most)
            }));
        }
        self.must_be_reached(&mut all);
        all
    }
}

impl Inline {
    /// Else the rest would prove nothing.
    fn must_be_reached(&self, all: &mut Vec<Property<Self>>) {
        let batches = self.producers.iter().flatten().any(|len| *len > 1);
        if batches && self.takes.contains(&1) {
            all.push(Property::sometimes(name::PARTS, |m: &Inline, s: &State| {
                let whole =
                    |e: &super::Entry| m.producers.iter().flatten().any(|len| *len > 1 && *len == e.left);
                s.entries.iter().any(|e| e.full && e.left > 0 && !whole(e))
            }));
        }
        let many = |program: &Vec<u8>| program.iter().filter(|len| **len > 1).count() > self.blocks.into();
        if self.entries > self.blocks && self.producers.iter().any(many) {
            all.push(Property::sometimes(name::NO_BLOCK, |m: &Inline, s: &State| {
                (0..m.producers.len()).any(|i| {
                    let p = &s.process[i];
                    p.pc == Pc::Swap && p.block.is_none() && m.rest(i, p.next) > 1
                })
            }));
        }
        if self.newcomers > 0
            && self.producers.iter().any(|program| program.iter().filter(|l| **l > 1).count() > 1)
        {
            all.push(Property::sometimes(name::FOUND, |m: &Inline, s: &State| {
                (0..m.producers.len()).any(|i| {
                    let p = &s.process[i];
                    let noted = s.notes[usize::from(m.number(i, 0))];
                    p.pc == Pc::Resume && noted > 0 && m.is_there(s, noted - 1, m.number(i, 0))
                })
            }));
        }
        if self.closing() && self.consumers > 0 {
            all.push(Property::sometimes(name::CLOSED, |m: &Inline, s: &State| {
                s.process[..m.seats()].iter().any(|p| p.role == Role::Consumer && p.pc == Pc::Done)
            }));
        }
        if self.from > 0 {
            all.push(Property::sometimes(name::WRAPPED, |m: &Inline, s: &State| {
                m.lap(s.ghost.head) < m.lap(m.from)
            }));
        }
    }

    /// Whether nothing can happen any more. A kill that may still come does not count.
    fn is_terminal(&self, s: &State) -> bool {
        let all = &s.process[..self.seats()];
        let somebody_comes = s.newcomers > 0 && all.iter().any(|p| p.pc == Pc::Dead);
        let rests = |i: usize| matches!(all[i].pc, Pc::Done | Pc::Dead) || self.is_idle(s, i);
        s.ghost.fault.is_none() && !somebody_comes && (0..self.seats()).all(rests)
    }

    fn ended_well(&self, s: &State) -> bool {
        let all = &s.process[..self.seats()];
        let rests = |pc| matches!(pc, Pc::Done | Pc::Dead);
        let someone_pops = all.iter().any(|p| p.role == Role::Consumer && !rests(p.pc));
        let used = s.ghost.tail - s.ghost.head;
        let shut = s.entries[self.index(s.ghost.tail)].closed || s.flag;
        let well = all.iter().all(|p| match (p.role, p.pc) {
            (_, pc) if rests(pc) => true,
            (Role::Producer, _) => !someone_pops && used == self.entries,
            (Role::Consumer, _) => used == 0 && !shut,
        });
        well && (used == 0 || !someone_pops)
    }

    /// The others are stopped where they are.
    fn returns_alone(&self, s: &State, i: usize) -> bool {
        if matches!(s.process[i].pc, Pc::Done | Pc::Dead) || self.is_idle(s, i) {
            return true;
        }
        let mut alone = s.clone();
        for _ in 0..STEPS_ALONE {
            let pick = match (alone.process[i].pc, self.hints) {
                (Pc::Look, super::Hints::Any(lag)) => lag.min(self.fresh(&alone, alone.process[i].pops())),
                _ => 0,
            };
            let returned = self.step(&mut alone, i, pick);
            if returned || alone.process[i].pc == Pc::Done || self.is_idle(&alone, i) {
                return true;
            }
        }
        false
    }
}
