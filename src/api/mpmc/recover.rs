//! Finishing what the dead had begun, for a ring as a whole.

use super::member::Held;
use super::membership::{Membership, Repaired};
use crate::region::{Adoption, Error, Region, Seat};
use crate::ring::mpmc::{Hand, repair};
use std::sync::Arc;

/// What [`Ring::recover`](super::Ring::recover) has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Seats whose holders were dead, or had left messages behind: free now.
    pub seats: usize,
    /// Messages of theirs that are in the ring again, marked.
    pub messages: usize,
    /// Messages of theirs for which the ring had no room: they stay where they are, for whoever looks
    /// next.
    pub left: usize,
}

/// Pushes what a hand holds, and gives the hand; what did not fit comes back as it was.
pub(super) fn push_back(membership: &Arc<Membership>, mut hand: Hand) -> Result<Hand, Held> {
    match membership.push_back(&mut hand) {
        Ok(()) => Ok(hand),
        Err(_) => Err((membership.clone(), hand)),
    }
}

/// Looks at all seats, and sees to those that nobody holds and that are not clean.
pub(super) fn recover(region: &Arc<Region>) -> Result<Recovered, Error> {
    let mut done = Recovered::default();
    let in_hand = region.geometry().shape.in_hand;
    let matters = |seat| {
        let mut hands = seat * in_hand..(seat + 1) * in_hand;
        let matters = region.with_exchange_view(|view| {
            hands.any(|hand| repair::holds(view, hand) || repair::may_be_unfinished(view, hand))
        });
        matters.unwrap_or(false)
    };
    for seat in Seat::free_left_by_exec(region, matters)? {
        done.add(Membership::adopted(seat)?);
    }
    for (seat, _) in region.survey_as_guest()?.unclean {
        if let Adoption::Won(repaired) = Membership::adopt(region, seat)? {
            done.add(repaired);
        }
    }
    Ok(done)
}

impl Recovered {
    fn add(&mut self, (membership, hands): Repaired) {
        self.seats += 1;
        for hand in hands.into_iter().filter(Hand::holds) {
            match push_back(&membership, hand) {
                Ok(_) => self.messages += 1,
                Err(_) => self.left += 1,
            }
        }
    }
}
