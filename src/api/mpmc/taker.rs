//! The popping half of a handle, whatever the messages are.

use super::member::{Held, Member};
use super::pusher::not_yet;
use crate::layout::exchange_view::ExchangeView;
use crate::layout::seat::Role;
use crate::layout::view::Trust;
use crate::region::{Error, Region};
use crate::ring::mpmc::{self, Hand};
use crate::ring::{RingError, closing, wait};
use std::sync::Arc;
use std::time::Duration;

/// A ring that is never empty: dead seats are looked for after so many messages.
const LOOK_EVERY: u64 = 1 << 14;

/// Where a message is.
pub(super) enum Taken {
    /// In this handle's own hand. The flag: it was taken before.
    Own(bool),
    /// In a hand of a dead seat, or in one of mine that could not hand it back.
    Again(Held),
}

/// A consumer's seat, and the hand that it pops with.
pub(super) struct Taker {
    pub(super) member: Member,
    /// `None`: all hands are out, or have something to be seen to.
    hand: Option<Hand>,
    /// Where I have popped last: a hint.
    head: u64,
    taken: u64,
    pub(super) redelivered: bool,
}

impl Taker {
    pub(super) fn join(region: &Arc<Region>) -> Result<Self, Error> {
        let (member, free) = Member::join(region, Role::Consumer)?;
        free.into_iter().for_each(|hand| member.own().put_back(hand));
        let hand = member.own().take_out();
        let head = mpmc::hint(&member.memory().cursors().consumer);
        Ok(Self { member, hand, head, taken: 0, redelivered: false })
    }

    #[inline(always)]
    pub(super) fn memory(&self) -> &ExchangeView {
        self.member.memory()
    }

    /// One message, wherever it comes from. Lock-free.
    #[inline(always)]
    fn attempt(&mut self) -> Result<Taken, RingError> {
        if self.hand.is_none() || self.member.is_queued() || self.member.own().owes() {
            if let Some(held) = self.find_hand()? {
                return Ok(Taken::Again(held));
            }
        }
        let Some(hand) = &mut self.hand else { return Err(RingError::HandsFull) };
        let (memory, head) = (self.member.memory(), &mut self.head);
        let popped = match hand.try_pop(memory, head) {
            Err(RingError::Empty) => {
                closing::look_again(&memory.cursors().state, || hand.try_pop(memory, head))
            }
            other => other,
        };
        popped.map(Taken::Own)
    }

    /// What is to be seen to before the ring; and a hand, if there is a free one.
    #[cold]
    #[inline(never)]
    fn find_hand(&mut self) -> Result<Option<Held>, RingError> {
        if let Some(held) = self.member.dequeue() {
            return Ok(Some(held));
        }
        let own = self.member.own();
        if own.owes() || self.hand.is_none() {
            if let Some(free) = self.hand.take() {
                own.put_back(free);
            }
            match own.take_out() {
                Some(hand) if hand.holds() => return Ok(Some((own.clone(), hand))),
                Some(hand) => self.hand = Some(hand),
                None => return Err(RingError::HandsFull),
            }
        }
        Ok(None)
    }

    /// One message now. Looks for dead seats if there is none, but not each time; and before it says that
    /// the ring is closed.
    #[inline(always)]
    pub(super) fn try_take(&mut self) -> Result<Taken, RingError> {
        self.member.check()?;
        match self.attempt() {
            Ok(taken) => self.count(taken),
            Err(RingError::Empty) => self.look(Member::look_for_dead_at_times, RingError::Empty),
            Err(RingError::Closed) => self.look(Member::look_for_dead, RingError::Closed),
            Err(e) => Err(e),
        }
    }

    #[cold]
    #[inline(never)]
    fn look(
        &mut self,
        look: fn(&Member) -> Result<bool, RingError>,
        otherwise: RingError,
    ) -> Result<Taken, RingError> {
        if !look(&self.member)? {
            return Err(otherwise);
        }
        let taken = self.attempt()?;
        self.count(taken)
    }

    #[inline(always)]
    fn count(&mut self, taken: Taken) -> Result<Taken, RingError> {
        self.taken = self.taken.wrapping_add(1);
        match taken {
            Taken::Own(_) => {
                // There is room now.
                self.member.wake(Role::Producer);
                if self.taken % LOOK_EVERY == 0 {
                    // What is corrupt there is not this message's business.
                    let _ = self.member.look_for_dead();
                }
            }
            // If I was woken, it was for another message: somebody else's now.
            Taken::Again(_) => self.member.wake(Role::Consumer),
        }
        Ok(taken)
    }

    /// One message; waits while there is none. Blocking.
    #[inline(always)]
    pub(super) fn take(&mut self, deadline: impl FnOnce(&Member) -> Option<u64>) -> Result<Taken, RingError> {
        match self.try_take() {
            Err(RingError::Empty) => self.wait_and_take(deadline(&self.member)),
            other => other,
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_and_take(&mut self, deadline: Option<u64>) -> Result<Taken, RingError> {
        loop {
            match self.wait(deadline) {
                // Closed: there may be something with the dead; the next line looks.
                Ok(()) | Err(RingError::Closed) => {}
                Err(e) => return Err(e),
            }
            match self.try_take() {
                // Others were faster.
                Err(RingError::Empty) => {}
                Err(e) => {
                    // If I was woken, it was for a message that is still there.
                    self.member.wake(Role::Consumer);
                    return Err(e);
                }
                taken => return taken,
            }
        }
    }

    /// The same, and takes none.
    pub(super) fn wait_for_message(&mut self, deadline: Option<u64>) -> Result<(), RingError> {
        match self.wait(deadline) {
            Err(RingError::Closed) if self.member.look_for_dead()? => {}
            other => other?,
        }
        // If I was woken, it was for a message that is still there.
        self.member.wake(Role::Consumer);
        Ok(())
    }

    /// Waits until there is a message, or has been for a moment; takes none.
    fn wait(&mut self, deadline: Option<u64>) -> Result<(), RingError> {
        self.member.check()?;
        let Self { member, head, taken, .. } = self;
        wait::until(&*member, &member.waiter(*taken, deadline), || {
            if member.is_queued() || member.own().owes() {
                return Ok(Some(()));
            }
            let state = &member.memory().cursors().state;
            not_yet(match mpmc::look(member.memory(), head) {
                Err(RingError::Empty) => closing::look_again(state, || mpmc::look(member.memory(), head)),
                other => other,
            })
        })
    }

    /// Reads a message where it is, and commits it (I1).
    #[inline(always)]
    pub(super) fn copy<R>(&mut self, taken: Taken, read: impl FnOnce(&ExchangeView, u32) -> R) -> R {
        match taken {
            Taken::Own(again) => {
                self.redelivered = again;
                let memory = self.member.memory();
                // `attempt` has popped with this hand.
                let slot = self.hand.as_ref().map_or(0, |hand| hand.slot().0);
                let read = read(memory, slot);
                if let Some(hand) = &mut self.hand {
                    hand.release(memory);
                }
                read
            }
            Taken::Again((membership, mut hand)) => {
                self.redelivered = true;
                let read = read(membership.memory(), hand.slot().0);
                hand.release(membership.memory());
                membership.put_back(hand);
                read
            }
        }
    }

    /// Gives the message away with the hand that holds it. The flag: it was taken before.
    pub(super) fn hold(&mut self, taken: Taken) -> Option<(Held, bool)> {
        match taken {
            Taken::Own(again) => {
                let hand = self.hand.take()?;
                Some(((self.member.own().clone(), hand), again))
            }
            Taken::Again(held) => Some((held, true)),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.member.check().is_ok() && closing::is_closed(&self.memory().cursors().state)
    }

    pub(super) fn deadline(&self, timeout: Duration) -> Option<u64> {
        self.member.deadline(timeout)
    }

    pub(super) fn waits(&self) -> &wait::WaitState {
        self.member.waits()
    }

    pub(super) fn trust(&mut self, trust: Trust) {
        self.member.trust(trust);
    }
}
