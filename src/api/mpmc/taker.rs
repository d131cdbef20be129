//! The popping half of a handle, whatever the messages are.

use super::member::{Held, Look, Member};
use super::pusher::{not_yet, slots_of};
use crate::layout::exchange_view::{Exchange, ExchangeView};
use crate::layout::seat::Role;
use crate::layout::view::Trust;
use crate::region::{Error, Region};
use crate::ring::mpmc::{self, Hand};
use crate::ring::{RingError, closing, wait};
use std::sync::Arc;
use std::time::Duration;

/// A ring that is never empty: the clock is looked at after so many copied messages, and after each that was
/// taken in place; and dead seats if it is time.
const CLOCK_EVERY: u64 = 16;

/// Where a message is. Small, so that it stays in registers: a hand that is handed on through memory costs as
/// much as all the rest (`docs/measurements.md`).
#[derive(Clone, Copy)]
pub(super) enum Taken {
    /// In this handle's own hand. The flag: it was taken before.
    Own(bool),
    /// In [`Taker::again`].
    Again,
}

/// A consumer's seat, and the hand that it pops with.
pub(super) struct Taker {
    pub(super) member: Member,
    slots: ExchangeView,
    /// `None`: all hands are out, or have something to be seen to.
    hand: Option<Hand>,
    /// What was just taken, if it is in a hand of a dead seat, or in one of mine that could not hand it back.
    again: Option<Held>,
    /// Where I have popped last: a hint.
    head: u64,
    taken: u64,
    /// The last message was given away in place: work on it may have taken long.
    was_held: bool,
    pub(super) redelivered: bool,
}

impl Taker {
    pub(super) fn join(region: &Arc<Region>) -> Result<Self, Error> {
        let slots = slots_of(region)?;
        let (member, free) = Member::join(region, Role::Consumer)?;
        free.into_iter().for_each(|hand| member.own().put_back(hand));
        let hand = member.own().take_out();
        let head = mpmc::hint(&slots.here().cursors().consumer);
        Ok(Self { member, slots, hand, again: None, head, taken: 0, was_held: false, redelivered: false })
    }

    #[inline(always)]
    pub(super) fn memory(&self) -> Exchange<'_> {
        self.slots.here()
    }

    /// One message, wherever it comes from. Lock-free.
    #[inline(always)]
    fn attempt(&mut self) -> Result<Taken, RingError> {
        if (self.hand.is_none() || self.member.may_have_again()) && self.find_hand()? {
            return Ok(Taken::Again);
        }
        if let Some(hand) = &mut self.hand {
            if let Some((_, again)) = hand.pop_at_once(self.slots.here(), &mut self.head) {
                return Ok(Taken::Own(again));
            }
        }
        self.search()
    }

    /// The long way.
    #[inline(never)]
    fn search(&mut self) -> Result<Taken, RingError> {
        let Some(hand) = &mut self.hand else { return Err(RingError::HandsFull) };
        hand.pop_or_closed(self.slots.here(), &mut self.head).map(Taken::Own)
    }

    /// What is to be seen to before the ring, if there is anything; and a hand, if there is a free one.
    #[inline]
    fn find_hand(&mut self) -> Result<bool, RingError> {
        if self.member.has_again() && self.find_again() {
            return Ok(true);
        }
        if self.hand.is_none() {
            self.hand = self.member.own().take_out();
        }
        if let Some(hand) = self.hand.take_if(|hand| hand.holds()) {
            self.again = Some((self.member.own().clone(), hand));
            return Ok(true);
        }
        if self.hand.is_some() { Ok(false) } else { Err(RingError::HandsFull) }
    }

    #[cold]
    #[inline(never)]
    fn find_again(&mut self) -> bool {
        self.again = self.member.dequeue().or_else(|| self.member.take_owed());
        self.again.is_some()
    }

    /// One message now, read where it lies, and committed (I1). What [`try_take`](Taker::try_take) and
    /// [`copy`](Taker::copy) do, in one go if nothing is in the way.
    #[inline(always)]
    pub(super) fn try_pop<R>(&mut self, read: impl FnOnce(Exchange<'_>, u32) -> R) -> Result<R, RingError> {
        let plain = !self.is_time_to_look() && !self.member.may_have_again();
        if let (true, true, Some(hand)) = (self.member.check().is_ok(), plain, &mut self.hand) {
            let memory = self.slots.here();
            if let Some((slot, again)) = hand.pop_at_once(memory, &mut self.head) {
                // There is room now.
                self.member.tell(&memory.cursors().state.producer_waits, 1);
                let read = read(memory, slot);
                hand.release(memory);
                self.redelivered = again;
                self.taken = self.taken.wrapping_add(1);
                return Ok(read);
            }
        }
        self.take_and_copy(read)
    }

    /// The long way.
    #[inline(never)]
    fn take_and_copy<R>(&mut self, read: impl FnOnce(Exchange<'_>, u32) -> R) -> Result<R, RingError> {
        let taken = self.try_take()?;
        Ok(self.copy(taken, read))
    }

    /// As [`try_pop`](Taker::try_pop); waits while there is none. Blocking.
    #[inline(always)]
    pub(super) fn pop<R>(
        &mut self,
        mut read: impl FnMut(Exchange<'_>, u32) -> R,
        deadline: impl FnOnce(&Member) -> Option<u64>,
    ) -> Result<R, RingError> {
        // Not `other => other`: that moves the message as bytes behind a tag, at odd places, and what has just
        // been stored cannot be loaded at once.
        match self.try_pop(&mut read) {
            Ok(item) => Ok(item),
            Err(RingError::Empty) => {
                let taken = self.wait_and_take(deadline(&self.member))?;
                Ok(self.copy(taken, read))
            }
            Err(e) => Err(e),
        }
    }

    #[inline(always)]
    fn is_time_to_look(&self) -> bool {
        self.taken % CLOCK_EVERY == 0 || self.was_held
    }

    /// One message now. Looks for dead seats if there is none, but not each time; and before it says that
    /// the ring is closed.
    #[inline(always)]
    pub(super) fn try_take(&mut self) -> Result<Taken, RingError> {
        self.member.check()?;
        if self.is_time_to_look() {
            self.look_at_times();
        }
        match self.attempt() {
            Ok(taken) => Ok(self.count(taken)),
            Err(RingError::Empty) => self.look_when_empty(),
            Err(RingError::Closed) => self.look_when_closed(),
            Err(e) => Err(e),
        }
    }

    /// What is found comes first: a ring that is never empty may be full.
    #[cold]
    #[inline(never)]
    fn look_at_times(&mut self) {
        self.was_held = false;
        // What is corrupt there is not this message's business.
        let _ = self.member.look_for_dead_at_times(true);
    }

    #[cold]
    #[inline(never)]
    fn look_when_empty(&mut self) -> Result<Taken, RingError> {
        match self.member.look_for_dead_at_times(true)? {
            Look::Found => self.attempt().map(|taken| self.count(taken)),
            _ => Err(RingError::Empty),
        }
    }

    #[cold]
    #[inline(never)]
    fn look_when_closed(&mut self) -> Result<Taken, RingError> {
        match self.member.look_for_dead(true)? {
            Look::Found => self.attempt().map(|taken| self.count(taken)),
            Look::Nothing => Err(RingError::Closed),
            // A dead seat may hold a message: not now, but soon it can be told.
            Look::Unknown => Err(RingError::Empty),
        }
    }

    #[inline(always)]
    fn count(&mut self, taken: Taken) -> Taken {
        self.taken = self.taken.wrapping_add(1);
        match taken {
            // There is room now.
            Taken::Own(_) => self.member.tell(&self.slots.here().cursors().state.producer_waits, 1),
            // If I was woken, it was for another message: somebody else's now.
            Taken::Again => self.member.wake(Role::Consumer),
        }
        taken
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
            match self.wait_for_one(deadline) {
                Ok(Some(again)) => return Ok(self.count(Taken::Own(again))),
                // There may be something with the dead, or with my own; the next line looks.
                Ok(None) | Err(RingError::Closed) => {}
                Err(e) => return Err(e),
            }
            match self.try_take() {
                Err(RingError::Empty) if self.member.is_over(deadline) => return Err(RingError::TimedOut),
                // It cannot be told now whether they hold anything, or it is on its way.
                Err(RingError::Empty) => self.member.pause(deadline),
                Err(e) => {
                    // If I was woken, it was for a message that is still there.
                    self.member.wake(Role::Consumer);
                    return Err(e);
                }
                taken => return taken,
            }
        }
    }

    /// Waits for a message, having just tried in vain, and takes it. `None`: there is, or was, something to be
    /// seen to before the ring.
    fn wait_for_one(&mut self, deadline: Option<u64>) -> Result<Option<bool>, RingError> {
        self.member.check()?;
        let Self { member, slots, hand, head, taken, .. } = self;
        let Some(hand) = hand else { return Err(RingError::HandsFull) };
        let memory = slots.here();
        wait::again(&*member, &member.waiter(*taken, deadline), || {
            if member.has_again() {
                return Ok(Some(None));
            }
            Ok(not_yet(hand.pop_or_closed(memory, head))?.map(Some))
        })
    }

    /// The same, and takes none.
    pub(super) fn wait_for_message(&mut self, deadline: Option<u64>) -> Result<(), RingError> {
        self.member.set_keeps(false);
        let waited = self.wait_for_any(deadline);
        self.member.set_keeps(true);
        waited?;
        // If I was woken, it was for a message that is still there.
        self.member.wake(Role::Consumer);
        Ok(())
    }

    fn wait_for_any(&mut self, deadline: Option<u64>) -> Result<(), RingError> {
        loop {
            match self.wait(deadline) {
                Err(RingError::Closed) => {}
                other => return other,
            }
            match self.member.look_for_dead(false)? {
                Look::Nothing => return Err(RingError::Closed),
                Look::Unknown if self.member.is_over(deadline) => return Err(RingError::TimedOut),
                Look::Unknown => self.member.pause(deadline),
                // In the ring now, for anybody.
                Look::Found => {}
            }
        }
    }

    /// Waits until there is a message, or has been for a moment; takes none.
    fn wait(&mut self, deadline: Option<u64>) -> Result<(), RingError> {
        self.member.check()?;
        let Self { member, slots, head, taken, .. } = self;
        let memory = slots.here();
        wait::until(&*member, &member.waiter(*taken, deadline), || {
            if member.has_again() {
                return Ok(Some(()));
            }
            not_yet(mpmc::look_or_closed(memory, head))
        })
    }

    /// Reads a message where it is, and commits it (I1).
    #[inline(always)]
    pub(super) fn copy<R>(&mut self, taken: Taken, read: impl FnOnce(Exchange<'_>, u32) -> R) -> R {
        let Self { slots, hand, again, .. } = self;
        let hand = match taken {
            Taken::Own(again) => {
                self.redelivered = again;
                hand.as_mut()
            }
            Taken::Again => {
                self.redelivered = true;
                again.as_mut().map(|(_, hand)| hand)
            }
        };
        // One of them has just got the message.
        let slot = hand.as_ref().map_or(0, |hand| hand.slot().0);
        let memory = slots.here();
        let read = read(memory, slot);
        if let Some(hand) = hand {
            hand.release(memory);
        }
        if let Taken::Again = taken {
            self.put_back();
        }
        read
    }

    #[cold]
    fn put_back(&mut self) {
        if let Some((membership, hand)) = self.again.take() {
            membership.put_back(hand);
        }
    }

    /// Takes and reads as many as are there: how many.
    #[inline(always)]
    pub(super) fn pop_all<T>(
        &mut self,
        into: &mut [T],
        read: impl Fn(Exchange<'_>, u32, &mut T),
    ) -> Result<usize, RingError> {
        let (mut popped, mut again) = (0, false);
        for item in into {
            match self.try_pop(|memory, slot| read(memory, slot, item)) {
                Ok(()) => again |= self.redelivered,
                // The next call says so.
                Err(_) if popped > 0 => break,
                Err(RingError::Empty) => break,
                Err(e) => return Err(e),
            }
            popped += 1;
        }
        if popped > 0 {
            self.redelivered = again;
        }
        Ok(popped)
    }

    /// Gives the message away with the hand that holds it. The flag: it was taken before.
    pub(super) fn hold(&mut self, taken: Taken) -> Option<(Held, bool)> {
        self.was_held = true;
        match taken {
            Taken::Own(again) => {
                let hand = self.hand.take()?;
                Some(((self.member.own().clone(), hand), again))
            }
            Taken::Again => self.again.take().map(|held| (held, true)),
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
