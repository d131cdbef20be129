//! What must hold in every state.

use super::state::{Fault, Pc, Role, State, bit};
use super::{Action, Exchange};
use stateright::{Model, Property};

/// The names of the properties.
pub mod name {
    /// Each slot is in exactly one entry or in exactly one hand. The last operation of a dead hand
    /// counts as what it was, until it is repaired; from then on as what the hand says.
    pub const PLACES: &str = "each slot in one place";
    /// What was pushed and not released is in exactly one place; what is read is what was pushed; it
    /// is released once, delivered once without the mark, and with it only after a kill.
    pub const BOOKS: &str = "books balance";
    /// Pushes and pops succeed at one position after the other; a pop takes what was pushed there.
    pub const ORDER: &str = "one order";
    /// The verdict of a repair is what happened.
    pub const VERDICT: &str = "verdicts are true";
    /// Where nothing can happen any more, everything is done.
    pub const ENDING: &str = "right ending";
    /// Who runs alone finishes its operation, or finds the ring full or empty, in so many steps.
    pub const PROGRESS: &str = "alone, it returns";
    /// A repair finds that the CAS succeeded.
    pub const SUCCEEDED: &str = "a repair says succeeded";
    /// A repair finds that the CAS failed or was never made.
    pub const FAILED: &str = "a repair says failed";
    /// The entry does not say which.
    pub const UNDECIDED: &str = "the entry has gone on";
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
        let mut all = vec![
            Property::always(name::PLACES, |m: &Exchange, s: &State| m.places_differ(s)),
            Property::always(name::BOOKS, |m: &Exchange, s: &State| m.books_balance(s)),
            Property::always(name::ORDER, |_, s: &State| {
                !matches!(s.ghost.fault, Some(Fault::Order | Fault::Behind))
            }),
            Property::always(name::VERDICT, |_, s: &State| s.ghost.fault != Some(Fault::Verdict)),
            Property::always(name::ENDING, |m: &Exchange, s: &State| !m.is_terminal(s) || m.ended_well(s)),
            Property::always(name::PROGRESS, |m: &Exchange, s: &State| {
                (0..m.hands()).all(|i| m.returns_alone(s, i))
            }),
        ];
        if self.kills > 0 && self.newcomers > 0 {
            all.push(Property::sometimes(name::SUCCEEDED, |_, s: &State| is_anybody_at(s, Pc::RepairFix)));
            all.push(Property::sometimes(name::FAILED, |m: &Exchange, s: &State| {
                (0..m.hands()).any(|i| {
                    s.process[i].pc == Pc::RepairStamp
                        && s.hands[i].now.is_some_and(|now| now != s.hands[i].cur)
                })
            }));
            all.push(Property::sometimes(name::UNDECIDED, |_, s: &State| is_anybody_at(s, Pc::RepairScan)));
        }
        all
    }
}

fn is_anybody_at(s: &State, pc: Pc) -> bool {
    s.process.iter().any(|p| p.pc == pc)
}

impl Exchange {
    fn places_differ(&self, s: &State) -> bool {
        let in_entries = s.entries[..usize::from(self.entries)].iter().map(|e| e.slot);
        let in_hands = (0..self.hands()).map(|i| s.has(i).slot);
        let seen = in_entries.chain(in_hands).fold(0u32, |seen, slot| seen | 1 << slot);
        seen.count_ones() as usize == usize::from(self.entries) + self.hands()
    }

    fn books_balance(&self, s: &State) -> bool {
        let fault = matches!(
            s.ghost.fault,
            Some(Fault::Torn | Fault::Twice | Fault::IdleMark | Fault::ReleasedTwice)
        );
        let mut places = [0u8; 8];
        for e in &s.entries[..usize::from(self.entries)] {
            if e.stage % 2 == 1 {
                places[usize::from(s.slots[usize::from(e.slot)].payload)] += 1;
            }
        }
        for i in 0..self.hands() {
            if s.holds(i) {
                places[usize::from(s.slots[usize::from(s.has(i).slot)].payload)] += 1;
            }
        }
        let outside = |m: u8| s.ghost.pushed & bit(m) == 0 || s.ghost.released & bit(m) != 0;
        let right = (0..8).all(|m: u8| places[usize::from(m)] == u8::from(!outside(m)));
        !fault && right
    }

    /// Whether nothing can happen any more. A kill that may still come does not count.
    fn is_terminal(&self, s: &State) -> bool {
        let rests = |pc| matches!(pc, Pc::Wait | Pc::Done | Pc::Dead);
        if !s.process[..self.hands()].iter().all(|p| rests(p.pc)) {
            return false;
        }
        let mut actions = Vec::new();
        self.enabled(s, &mut actions);
        actions.iter().all(|a| matches!(a, Action::Kill(..)))
    }

    fn ended_well(&self, s: &State) -> bool {
        let all = &s.process[..self.hands()];
        let someone_pops = all.iter().any(|p| p.role == Role::Consumer && p.pc != Pc::Dead);
        let nobody_dead = all.iter().all(|p| p.pc != Pc::Dead);
        let used = s.ghost.tail - s.ghost.head;
        let well = all.iter().all(|p| match (p.role, p.pc) {
            (_, Pc::Dead) | (Role::Producer, Pc::Done) => true,
            (Role::Producer, _) => !someone_pops && used == self.entries,
            (Role::Consumer, _) => used == 0,
        });
        let all_released = s.ghost.pushed == s.ghost.released;
        well && (all_released || !nobody_dead || !someone_pops)
    }

    /// The others are stopped where they are.
    fn returns_alone(&self, s: &State, i: usize) -> bool {
        if matches!(s.process[i].pc, Pc::Wait | Pc::Done | Pc::Dead) {
            return true;
        }
        let mut alone = s.clone();
        for _ in 0..STEPS_ALONE {
            let before = alone.process[i].pc;
            self.step(&mut alone, i);
            let p = &alone.process[i];
            let returned = matches!(before, Pc::Release | Pc::Cur | Pc::ClearNow)
                && !matches!(p.pc, Pc::Read | Pc::ClearNow);
            if returned || matches!(p.pc, Pc::Wait | Pc::Done) {
                return true;
            }
        }
        false
    }
}
