//! What must hold in every state.

use super::state::{Fault, Life, Loc, Outcome, Pc, Side, State};
use super::{Action, Timer, Waiting};
use stateright::{Model, Property};

/// The names of the properties.
pub mod name {
    /// Where nothing can happen any more, nobody sleeps. Without the timer, after a kill: nobody
    /// but who has a dead peer.
    pub const LOST_WAKEUP: &str = "no lost wakeup";
    /// Where nothing can happen any more, both programs have done what they should.
    pub const ENDING: &str = "right ending";
    /// One recheck suffices to notice what there is.
    pub const RECHECK: &str = "one recheck suffices";
    /// What a push returned Ok for, and what was popped, is what the cursors say; in order.
    pub const BOOKS: &str = "books balance";
    /// No push returns Ok after Closed; Closed is said of an empty ring.
    pub const CLOSING: &str = "closing is linearizable";
    /// Wakers take the bit of a killed waiter once at most.
    pub const IDLE_WAKE: &str = "one idle wake at most";
    /// No PeerGone over messages, or room, that the peer left.
    pub const NEWS: &str = "messages before news";
    /// A process that runs alone returns from its operation, or sleeps, in so many steps: nobody
    /// that was killed or stopped holds it up, and it does not poll.
    pub const PROGRESS: &str = "alone, it returns or sleeps";
    /// The consumer sleeps in some history.
    pub const CONSUMER_SLEEPS: &str = "the consumer sleeps";
    /// The producer sleeps in some history.
    pub const PRODUCER_SLEEPS: &str = "the producer sleeps";
}

/// More than the longest operation has: joining, one wait with a look at the peer's seat, a sleep.
const STEPS_ALONE: u32 = 30;

impl Model for Waiting {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.goals(), self.kills, self.newcomers)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.enabled(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.apply(state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(name::LOST_WAKEUP, |m: &Waiting, s: &State| !m.is_terminal(s) || m.is_awake(s)),
            Property::always(name::ENDING, |m: &Waiting, s: &State| !m.is_terminal(s) || m.ended_well(s)),
            Property::always(name::RECHECK, |_, s: &State| s.process.iter().all(|p| p.rechecks < 2)),
            Property::always(name::BOOKS, |m: &Waiting, s: &State| m.books_balance(s)),
            Property::always(name::CLOSING, |_, s: &State| {
                !matches!(s.ghost.fault, Some(Fault::PushAfterClosed | Fault::ClosedOverMessage))
            }),
            Property::always(name::IDLE_WAKE, |_, s: &State| s.ghost.idle_takes.iter().all(|n| *n < 2)),
            Property::always(name::NEWS, |_, s: &State| s.ghost.fault != Some(Fault::GoneOverMessage)),
            Property::always(name::PROGRESS, |m: &Waiting, s: &State| {
                Side::BOTH.into_iter().all(|side| m.returns_alone(s, side))
            }),
            Property::sometimes(name::CONSUMER_SLEEPS, |_, s: &State| s.of(Side::Consumer).pc == Pc::Asleep),
            Property::sometimes(name::PRODUCER_SLEEPS, |_, s: &State| s.of(Side::Producer).pc == Pc::Asleep),
        ]
    }
}

impl Waiting {
    /// Whether nothing can happen any more. A kill that may still come does not count.
    fn is_terminal(&self, s: &State) -> bool {
        let rests = |side| {
            let p = s.of(side);
            p.buffer.is_empty() && matches!(p.pc, Pc::Asleep | Pc::Done | Pc::Gone)
        };
        if !Side::BOTH.into_iter().all(rests) {
            return false;
        }
        let mut actions = Vec::new();
        self.enabled(s, &mut actions);
        actions.iter().all(|a| matches!(a, Action::Kill(..)))
    }

    /// The other one is stopped where it is, its stores unseen.
    fn returns_alone(&self, s: &State, side: Side) -> bool {
        let mut alone = s.clone();
        for _ in 0..STEPS_ALONE {
            let p = alone.of(side);
            if matches!(p.pc, Pc::Asleep | Pc::Done | Pc::Gone | Pc::Return) {
                return true;
            }
            if p.buffer.is_full() {
                alone.flush(side);
            }
            self.step(&mut alone, side);
        }
        false
    }

    fn is_awake(&self, s: &State) -> bool {
        let excused = |side: Side| self.timer == Timer::Never && s.of(side.peer()).life != Life::Live;
        Side::BOTH.into_iter().all(|side| s.of(side).pc != Pc::Asleep || excused(side))
    }

    fn ended_well(&self, s: &State) -> bool {
        let (tx, rx) = (s.of(Side::Producer), s.of(Side::Consumer));
        let emptied = s.ghost.committed[0] == s.ghost.committed[1];
        if matches!(rx.outcome, Outcome::Closed | Outcome::PeerGone) && !emptied {
            return false;
        }
        if s.killed || rx.pc == Pc::Asleep || tx.pc == Pc::Asleep {
            // Who was killed has no outcome; who sleeps is another property's business.
            return true;
        }
        match self.quits_after {
            Some(n) => {
                let popped = rx.outcome == Outcome::Finished && s.ghost.returned[1] == n;
                popped || rx.outcome != Outcome::Finished && n > self.messages
            }
            None => {
                let told = match self.ending {
                    super::Ending::Closes => rx.outcome == Outcome::Closed,
                    super::Ending::Leaves => rx.outcome == Outcome::PeerGone,
                    super::Ending::ClosesAndLeaves => rx.outcome == Outcome::Closed,
                };
                let all = s.ghost.returned.iter().all(|n| *n == self.messages);
                told && all && tx.outcome == Outcome::Finished
            }
        }
    }

    fn books_balance(&self, s: &State) -> bool {
        let cursors = Side::BOTH.into_iter().all(|side| {
            let committed = s.ghost.committed[side as usize];
            let visible_in_the_end = s.load(side, Loc::Cursor(side));
            visible_in_the_end == committed && s.ghost.returned[side as usize] <= committed
        });
        let [pushed, popped] = s.ghost.committed;
        let fits = popped <= pushed && pushed - popped <= self.capacity;
        let fault = matches!(s.ghost.fault, Some(Fault::WrongMessage | Fault::LostPosition));
        cursors && fits && !fault
    }
}
