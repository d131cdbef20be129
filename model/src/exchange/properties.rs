//! What must hold in every state.

use super::state::{Fault, How, Job, Payload, Pc, Role, SLOTS, State};
use super::{Action, Exchange};
use stateright::{Model, Property};

/// The names of the properties.
pub mod name {
    /// Each slot is in exactly one entry or in exactly one hand. The last operation of a dead hand
    /// counts as what it was, until it is repaired; from then on as what the hand says.
    pub const PLACES: &str = "each slot in one place";
    /// What was pushed and not released is in exactly one place; it is not written over, it is released
    /// once and after it was delivered, delivered once without the mark, and with it only after somebody lost it.
    pub const BOOKS: &str = "books balance";
    /// Pushes and pops succeed at one position after the other.
    pub const ORDER: &str = "one order";
    /// The verdict of a repair is what happened.
    pub const VERDICT: &str = "verdicts are true";
    /// No entry is ever found in a state that means damage.
    pub const CORRUPT: &str = "nothing looks corrupt";
    /// No ordinary push succeeds after somebody was told that the ring is closed; a consumer is told so of
    /// an empty ring.
    pub const CLOSING: &str = "closing is linearizable";
    /// Where nothing can happen any more, everything is done.
    pub const ENDING: &str = "right ending";
    /// Who runs alone finishes its operation, or finds the ring full or empty, in so many steps.
    pub const PROGRESS: &str = "alone, it returns";
    /// So many steps of all together, and an operation is finished.
    pub const TOGETHER: &str = "together, one returns";
    /// A repair finds by the entry that the CAS succeeded.
    pub const BY_ENTRY: &str = "succeeded, by the entry";
    /// The same, by the intent of another hand.
    pub const BY_SCAN: &str = "succeeded, by another hand";
    /// The same, by the owner of the slot.
    pub const BY_OWNER: &str = "succeeded, by the owner";
    /// A repair finds that the CAS failed or was never made.
    pub const FAILED: &str = "a repair says failed";
    /// A consumer is told that the ring is closed.
    pub const CLOSED: &str = "a consumer is told Closed";
    /// Somebody has left with an intent that failed.
    pub const LEFT: &str = "left with a failed intent";
    /// Somebody with a seat of his own has repaired another one, and goes on with a message from it.
    pub const RECOVERED: &str = "a message comes from another seat";
    /// A consumer has handed a message back.
    pub const HANDED: &str = "handed back";
    /// Positions have wrapped.
    pub const WRAPPED: &str = "positions wrap";
}

/// More than the longest way has: a repair, and a push of what was held, at the last position.
const STEPS_ALONE: u32 = 40;

impl Model for Exchange {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.enabled(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.apply(state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        use Fault::{AfterClosed, ClosedEarly, Corrupt, Order, Verdict};
        let mut all = vec![
            Property::always(name::PLACES, |m: &Exchange, s: &State| m.places_differ(s)),
            Property::always(name::BOOKS, |m: &Exchange, s: &State| m.books_balance(s)),
            Property::always(name::ORDER, |_, s: &State| s.ghost.fault != Some(Order)),
            Property::always(name::VERDICT, |_, s: &State| s.ghost.fault != Some(Verdict)),
            Property::always(name::CORRUPT, |_, s: &State| s.ghost.fault != Some(Corrupt)),
            Property::always(name::ENDING, |m: &Exchange, s: &State| !m.is_terminal(s) || m.ended_well(s)),
            Property::always(name::PROGRESS, |m: &Exchange, s: &State| {
                (0..m.hands()).all(|i| m.returns_alone(s, i))
            }),
        ];
        if self.closing() {
            all.push(Property::always(name::CLOSING, |_, s: &State| {
                !matches!(s.ghost.fault, Some(AfterClosed | ClosedEarly))
            }));
        }
        if self.counted.is_some() {
            all.push(Property::always(name::TOGETHER, |m: &Exchange, s: &State| {
                m.counted.is_none_or(|most| s.ghost.quiet <= most)
            }));
        }
        self.must_be_reached(&mut all);
        all
    }
}

impl Exchange {
    /// Else the rest would prove nothing.
    fn must_be_reached(&self, all: &mut Vec<Property<Self>>) {
        let repairs = self.newcomers > 0 || self.recover;
        if repairs && self.kills > 0 {
            all.push(Property::sometimes(name::BY_ENTRY, |_, s: &State| is_found(s, How::Entry)));
            all.push(Property::sometimes(name::BY_SCAN, |_, s: &State| is_found(s, How::Scan)));
            all.push(Property::sometimes(name::BY_OWNER, |_, s: &State| is_found(s, How::Owner)));
        }
        if repairs && (self.kills > 0 || self.leaves > 0) {
            all.push(Property::sometimes(name::FAILED, |_, s: &State| {
                s.process.iter().any(|p| {
                    let hand = s.hands[usize::from(p.hand)];
                    p.pc == Pc::RepairRel && hand.now.is_some_and(|now| now != hand.cur)
                })
            }));
        }
        if self.closing() && self.consumers > 0 {
            all.push(Property::sometimes(name::CLOSED, |m: &Exchange, s: &State| {
                s.process[..m.hands()].iter().any(|p| p.role == Role::Consumer && p.pc == Pc::Done)
            }));
        }
        if self.leaves > 0 {
            all.push(Property::sometimes(name::LEFT, |_, s: &State| {
                let unlike = |i: usize| s.hands[i].now.is_some_and(|now| now != s.hands[i].cur);
                s.process.iter().enumerate().any(|(i, p)| p.pc == Pc::Left && unlike(i))
            }));
        }
        if self.recover {
            all.push(Property::sometimes(name::RECOVERED, |_, s: &State| {
                let elsewhere = |(i, h): (usize, u8)| usize::from(h) != i;
                let goes_on = |pc| matches!(pc, Pc::Release | Pc::Cur);
                s.process.iter().enumerate().any(|(i, p)| goes_on(p.pc) && elsewhere((i, p.hand)))
            }));
        }
        if self.backs > 0 {
            all.push(Property::sometimes(name::HANDED, |_, s: &State| {
                let back = |(i, p): (usize, &super::Process)| usize::from(p.hand) == i && p.job == Job::Back;
                let mut all = s.process.iter().enumerate();
                all.any(|(i, p)| p.role == Role::Consumer && p.pc == Pc::Cur && back((i, p)))
            }));
        }
        if self.from > 0 {
            all.push(Property::sometimes(name::WRAPPED, |m: &Exchange, s: &State| s.ghost.tail < m.from));
        }
    }

    fn places_differ(&self, s: &State) -> bool {
        let in_entries = s.entries[..usize::from(self.entries)].iter().map(|e| e.slot);
        let in_hands = (0..self.hands()).map(|h| s.has(h).slot);
        let seen = in_entries.chain(in_hands).fold(0u32, |seen, slot| seen | 1 << slot);
        seen.count_ones() as usize == usize::from(self.entries) + self.hands()
    }

    fn books_balance(&self, s: &State) -> bool {
        use Fault::{IdleMark, ReleasedTwice, Torn, Twice, Unread};
        let fault = matches!(s.ghost.fault, Some(Torn | Twice | IdleMark | ReleasedTwice | Unread));
        let mut places = [0u8; SLOTS];
        for e in s.entries[..usize::from(self.entries)].iter().filter(|e| e.full) {
            places[usize::from(e.slot)] += 1;
        }
        for h in (0..self.hands()).filter(|&h| s.holds(h)) {
            places[usize::from(s.has(h).slot)] += 1;
        }
        let is_message = |slot: usize| matches!(s.slots[slot].payload, Payload::Message { .. });
        !fault && (0..SLOTS).all(|slot| places[slot] == u8::from(is_message(slot)))
    }

    /// Whether nothing can happen any more. A kill that may still come does not count, nor a leave.
    fn is_terminal(&self, s: &State) -> bool {
        let all = &s.process[..self.hands()];
        let somebody_comes = s.newcomers > 0 && all.iter().any(|p| p.is_gone());
        let is_dead = all.iter().any(|p| p.pc == Pc::Dead);
        let rests = |i: usize| {
            let p = &all[i];
            let waits = self.is_idle(s, i);
            let recovers = self.recover && is_dead && p.pc == Pc::Look && p.job == Job::Own;
            let gives_up = p.job == Job::Back && (p.role == Role::Consumer || usize::from(p.hand) != i);
            p.pc == Pc::Done || p.is_gone() || waits && !recovers && !gives_up
        };
        !somebody_comes && (0..self.hands()).all(rests)
    }

    fn ended_well(&self, s: &State) -> bool {
        let all = &s.process[..self.hands()];
        let rests = |pc| matches!(pc, Pc::Done | Pc::Dead | Pc::Left | Pc::Clean);
        let someone_pops = all.iter().any(|p| p.role == Role::Consumer && !rests(p.pc));
        let positions = self.laps * self.entries;
        let used = (s.ghost.tail + positions - s.ghost.head) % positions;
        let tail = s.entries[self.index(s.ghost.tail)];
        let shut = tail.closed || s.flag;
        let well = all.iter().enumerate().all(|(h, p)| match (p.role, p.pc) {
            (_, Pc::Dead) => true,
            (_, pc) if rests(pc) => !s.holds(h),
            (Role::Producer, _) => !someone_pops && used == self.entries,
            (Role::Consumer, _) => used == 0 && !shut,
        });
        well && (used == 0 || !someone_pops)
    }

    /// The others are stopped where they are.
    fn returns_alone(&self, s: &State, i: usize) -> bool {
        let nobody = matches!(s.process[i].pc, Pc::Done | Pc::Locked) || s.process[i].is_gone();
        if nobody || self.is_idle(s, i) {
            return true;
        }
        let mut alone = s.clone();
        for _ in 0..STEPS_ALONE {
            let p = &alone.process[i];
            let pick = match p.pc {
                Pc::Look => self.lag,
                Pc::RepairScan => p.others.trailing_zeros() as u8,
                Pc::RepairStamp => self.choices(&alone, i).last().copied().unwrap_or(0),
                _ => 0,
            };
            if self.step(&mut alone, i, pick) || alone.process[i].pc == Pc::Done || self.is_idle(&alone, i) {
                return true;
            }
        }
        false
    }
}

/// Whether a repair has just found that the CAS succeeded, in this way.
fn is_found(s: &State, how: How) -> bool {
    s.process.iter().any(|p| p.pc == Pc::RepairFix && p.how == how)
}
