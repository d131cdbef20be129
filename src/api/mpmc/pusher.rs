//! The pushing half of a handle, whatever the messages are.

use super::member::Member;
use crate::layout::exchange::OwnedSlot;
use crate::layout::exchange_view::{Exchange, ExchangeView};
use crate::layout::seat::Role;
use crate::layout::view::Trust;
use crate::region::{Context, Error, Region};
use crate::ring::mpmc::{Hand, Message, closing, hint, look_for_room};
use crate::ring::{RingError, wait};
use crate::sync::cycles;
use std::sync::Arc;
use std::time::Duration;

/// A producer's seat, and the hand that it pushes with.
pub(super) struct Pusher {
    pub(super) member: Member,
    slots: ExchangeView,
    /// `None`: it holds what its last holder had taken; that is pushed first.
    hand: Option<Hand>,
    /// Where I have pushed last: a hint.
    tail: u64,
    lone: Lone,
}

/// The last message before which all had been taken.
#[derive(Clone, Copy, Default)]
struct Lone {
    /// The position behind it.
    position: u64,
    /// When it was pushed, in cycles.
    at: u64,
    /// The one before it was such a one, too, and long ago.
    calm: bool,
}

/// Messages that are waited for one by one, and come further apart than this many cycles, are no stream: it
/// pays to spend a quarter of it on handing each on.
const CALM: u64 = 600;

impl Lone {
    /// All that was there had been taken. If it is so message after message, and they come slowly, somebody
    /// waits for each of them: its line is sent towards him (a hint; the slot is no longer mine).
    #[cold]
    #[inline(never)]
    fn hand_on(&mut self, slots: &ExchangeView, slot: u32, tail: u64) {
        let Self { position, at, calm } = *self;
        let again = position == tail.wrapping_sub(1);
        if again && calm {
            slots.here().hand_on(slot);
        }
        let now = cycles();
        *self = Self { position: tail, at: now, calm: again && now.saturating_sub(at) > CALM };
    }
}

impl Pusher {
    pub(super) fn join(region: &Arc<Region>) -> Result<Self, Error> {
        let slots = slots_of(region)?;
        let (member, free) = Member::join(region, Role::Producer)?;
        free.into_iter().for_each(|hand| member.own().put_back(hand));
        let hand = if member.is_queued() { None } else { member.own().take_out() };
        let tail = hint(&slots.here().cursors().producer);
        let mut pusher = Self { member, slots, hand, tail, lone: Lone::default() };
        // If the ring is full, with the first push that finds room.
        let _ = pusher.prepare();
        Ok(pusher)
    }

    #[inline(always)]
    pub(super) fn memory(&self) -> Exchange<'_> {
        self.slots.here()
    }

    /// Makes sure that there is a hand, and gives the number of its slot.
    #[inline(always)]
    pub(super) fn slot(&mut self) -> Result<u32, RingError> {
        self.member.check()?;
        if self.hand.is_none() {
            self.prepare_or_closed()?;
        }
        self.hand.as_ref().map(|hand| hand.slot().0).ok_or(RingError::Full)
    }

    /// My slot, to look at in place. `None` in a child that has inherited this.
    pub(super) fn own_slot(&self) -> Option<&OwnedSlot> {
        self.member.check().ok()?;
        self.hand.as_ref().map(Hand::slot)
    }

    /// The same, to write.
    pub(super) fn own_slot_mut(&mut self) -> Option<(Exchange<'_>, &mut OwnedSlot)> {
        self.member.check().ok()?;
        let slot = self.hand.as_mut()?.slot_mut();
        Some((self.slots.here(), slot))
    }

    #[cold]
    #[inline(never)]
    fn prepare_or_closed(&mut self) -> Result<(), RingError> {
        self.prepare().map_err(|e| match e {
            RingError::Full if self.is_closed() => RingError::Closed,
            other => other,
        })
    }

    /// Pushes what the last holder of the seat had taken.
    #[cold]
    #[inline(never)]
    fn prepare(&mut self) -> Result<(), RingError> {
        while let Some((membership, mut hand)) = self.member.dequeue() {
            // From the same place as a look for room: else the two could disagree for ever (I5).
            if let Err(e) = membership.push_back_at(&mut hand, &mut self.tail) {
                self.member.enqueue((membership, hand));
                return Err(e);
            }
            membership.put_back(hand);
        }
        if self.hand.is_none() {
            self.hand = self.member.own().take_out();
        }
        Ok(())
    }

    /// One message now, written where it will lie. Lock-free.
    #[inline(always)]
    pub(super) fn try_push(&mut self, write: impl FnOnce(Exchange<'_>, u32)) -> Result<(), RingError> {
        self.member.check()?;
        if self.hand.is_none() {
            self.prepare_or_closed()?;
        }
        self.write_and_publish(write)
    }

    /// Pushes what has been written into the slot. Lock-free.
    #[inline(always)]
    pub(super) fn publish(&mut self) -> Result<(), RingError> {
        self.write_and_publish(|_, _| {})
    }

    #[inline(always)]
    fn write_and_publish(&mut self, write: impl FnOnce(Exchange<'_>, u32)) -> Result<(), RingError> {
        let Some(hand) = &mut self.hand else { return Err(RingError::Full) };
        let mine = hand.mine();
        write(self.slots.here(), mine.slot);
        let memory = self.slots.here();
        if !hand.push_at_once(memory, mine, &mut self.tail) {
            return self.search();
        }
        let position = self.tail.wrapping_sub(1);
        if memory.is_alone(position, || self.lone.position == position) {
            self.lone.hand_on(&self.slots, mine.slot, self.tail);
        }
        self.member.tell(&memory.cursors().state.consumer_waits, 1);
        Ok(())
    }

    /// The long way.
    #[inline(never)]
    fn search(&mut self) -> Result<(), RingError> {
        let Some(hand) = &mut self.hand else { return Err(RingError::Full) };
        hand.try_push(self.slots.here(), &mut self.tail, Message::New)?;
        self.member.wake(Role::Consumer);
        Ok(())
    }

    /// Writes and pushes as many as there is room for: how many.
    #[inline(always)]
    pub(super) fn push_all<T>(
        &mut self,
        items: &[T],
        write: impl Fn(Exchange<'_>, u32, &T),
    ) -> Result<usize, RingError> {
        for (pushed, item) in items.iter().enumerate() {
            match self.try_push(|memory, slot| write(memory, slot, item)) {
                Ok(()) => {}
                Err(RingError::Full) => return Ok(pushed),
                // The next call says so.
                Err(_) if pushed > 0 => return Ok(pushed),
                Err(e) => return Err(e),
            }
        }
        Ok(items.len())
    }

    /// The same; waits while the ring is full.
    pub(super) fn publish_until(&mut self, timeout: Option<Duration>) -> Result<(), RingError> {
        match self.publish() {
            Err(RingError::Full) => {
                let deadline = timeout.and_then(|t| self.deadline(t));
                self.wait_and_publish(deadline)
            }
            other => other,
        }
    }

    /// Waits until what the last holder of the seat had taken is pushed, if there is such.
    pub(super) fn wait_for_hand(&mut self, deadline: Option<u64>) -> Result<(), RingError> {
        if self.hand.is_some() { Ok(()) } else { self.wait_for_room(deadline) }
    }

    /// The same; waits while the ring is full. What is in the slot stays there meanwhile.
    #[cold]
    #[inline(never)]
    pub(super) fn wait_and_publish(&mut self, deadline: Option<u64>) -> Result<(), RingError> {
        let Self { member, slots, hand, tail, .. } = self;
        let Some(hand) = hand else { return Err(RingError::Full) };
        wait::again(&*member, &member.waiter(*tail, deadline), || {
            let memory = slots.here();
            hand.stamp(memory, false);
            not_yet(hand.try_push(memory, tail, Message::New))
        })?;
        self.member.wake(Role::Consumer);
        Ok(())
    }

    /// Waits until there is room, or has been for a moment; pushes nothing new.
    pub(super) fn wait_for_room(&mut self, deadline: Option<u64>) -> Result<(), RingError> {
        self.member.check()?;
        loop {
            let Self { member, slots, tail, .. } = self;
            wait::until(&*member, &member.waiter(*tail, deadline), || {
                not_yet(look_for_room(slots.here(), tail))
            })?;
            match self.slot() {
                // Others were faster.
                Err(RingError::Full) if self.member.is_over(deadline) => return Err(RingError::TimedOut),
                Err(RingError::Full) => {}
                other => {
                    // If I was woken, it was for room that is still there.
                    self.member.wake(Role::Producer);
                    return other.map(drop);
                }
            }
        }
    }

    pub(super) fn close(&mut self) -> Result<(), RingError> {
        self.member.check()?;
        closing::close(self.memory())?;
        self.member.wake_everybody();
        Ok(())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.member.check().is_ok() && crate::ring::closing::is_closed(&self.memory().cursors().state)
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

/// The slots of a ring that has some: its handles are these only then.
pub(super) fn slots_of(region: &Arc<Region>) -> Result<ExchangeView, Error> {
    region.exchange_view().ok_or_else(|| Error::Corrupt { ring: Context::new(region.name()).ring() })
}

/// "Nothing yet" for the waiting loop.
#[inline(always)]
pub(super) fn not_yet<T>(result: Result<T, RingError>) -> Result<Option<T>, RingError> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(RingError::Empty | RingError::Full) => Ok(None),
        Err(e) => Err(e),
    }
}
