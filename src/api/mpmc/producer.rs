//! The producer of a typed ring.

use super::pusher::Pusher;
use super::slot::Slot;
use crate::api::handle::handle_methods;
use crate::api::payload::Payload;
use crate::api::rejected::Rejected;
use crate::api::trusted::Trusted;
use crate::region::{Error, Region};
use crate::ring::RingError;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A pushing side of a [`Ring`](super::Ring): one of any number.
///
/// `Send`, not `Sync`: a thread that wants to push takes one of its own. Dropping it is leaving, not
/// closing. Killed at any instruction, it has either pushed the message in progress or not, and nobody
/// waits for it.
pub struct Producer<T> {
    core: Pusher,
    item: PhantomData<fn(T)>,
}

impl<T: Payload> Producer<T> {
    pub(super) fn join(region: &Arc<Region>) -> Result<Self, Error> {
        Pusher::join(region).map(|core| Self { core, item: PhantomData })
    }

    /// Pushes one message, or gives it back. Lock-free.
    ///
    /// # Errors
    /// [`Full`](RingError::Full), [`Closed`](RingError::Closed), [`Corrupt`](RingError::Corrupt),
    /// [`Forked`](RingError::Forked).
    ///
    /// ```
    /// # use segring::{RingError, mpmc};
    /// # let name = format!("doc-mpmc-try-push-{}", std::process::id());
    /// # let ring = mpmc::Ring::<u64>::builder(&*name).capacity(1).create()?;
    /// # let mut tx = ring.producer()?;
    /// tx.try_push(1)?;
    /// let rejected = tx.try_push(2).unwrap_err();
    /// assert_eq!((rejected.value, rejected.error), (2, RingError::Full));
    /// # ring.remove()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_push(&mut self, item: T) -> Result<(), Rejected<T>> {
        self.try_push_ref(&item).map_err(|error| Rejected { value: item, error })
    }

    /// The same by reference: for payloads that must not cross the stack.
    ///
    /// # Errors
    /// As [`try_push`](Producer::try_push).
    #[inline(always)]
    pub fn try_push_ref(&mut self, item: &T) -> Result<(), RingError> {
        self.write(item)?;
        self.core.publish()
    }

    #[inline(always)]
    fn write(&mut self, item: &T) -> Result<(), RingError> {
        let slot = self.core.slot()?;
        self.core.memory().write(slot, item);
        Ok(())
    }

    /// Pushes one message; waits while the ring is full. Blocking.
    ///
    /// # Errors
    /// As [`try_push`](Producer::try_push) but for `Full`; and, while the ring is full,
    /// [`PeerGone`](RingError::PeerGone) when the last consumer has left or died (once, until another
    /// joins), and [`Removed`](RingError::Removed) when none can come any more.
    #[inline]
    pub fn push(&mut self, item: T) -> Result<(), Rejected<T>> {
        self.push_until(&item, |_| None).map_err(|error| Rejected { value: item, error })
    }

    /// The same, for a limited time. A time-out of zero still pushes if there is room;
    /// `Duration::MAX` waits for ever. Monotonic clock.
    ///
    /// # Errors
    /// As [`push`](Producer::push), and [`TimedOut`](RingError::TimedOut).
    pub fn push_timeout(&mut self, item: T, timeout: Duration) -> Result<(), Rejected<T>> {
        self.push_until(&item, |core| core.deadline(timeout)).map_err(|error| Rejected { value: item, error })
    }

    /// Pushes one message by reference; waits while the ring is full. Blocking.
    ///
    /// # Errors
    /// As [`push`](Producer::push).
    #[inline]
    pub fn push_ref(&mut self, item: &T) -> Result<(), RingError> {
        self.push_until(item, |_| None)
    }

    #[inline(always)]
    fn push_until(
        &mut self,
        item: &T,
        deadline: impl FnOnce(&Pusher) -> Option<u64>,
    ) -> Result<(), RingError> {
        match self.try_push_ref(item) {
            Err(RingError::Full) => self.wait_and_push(item, deadline),
            other => other,
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_and_push(
        &mut self,
        item: &T,
        deadline: impl FnOnce(&Pusher) -> Option<u64>,
    ) -> Result<(), RingError> {
        let deadline = deadline(&self.core);
        self.core.wait_for_hand(deadline)?;
        self.write(item)?;
        self.core.wait_and_publish(deadline)
    }

    /// Waits until there is room; pushes nothing. Another producer may be faster then. `None` waits for
    /// ever. Blocking.
    ///
    /// # Errors
    /// As [`push_timeout`](Producer::push_timeout).
    pub fn wait_for_room(&mut self, timeout: Option<Duration>) -> Result<(), RingError> {
        let deadline = timeout.and_then(|t| self.core.deadline(t));
        self.core.wait_for_room(deadline)
    }

    /// Closes the ring for good, for all its producers: whatever is pushed after this is refused with
    /// `Closed`, and consumers are told when the ring is empty. Lock-free; calling it again does nothing.
    ///
    /// # Errors
    /// [`Corrupt`](RingError::Corrupt), [`Forked`](RingError::Forked).
    pub fn close(&mut self) -> Result<(), RingError> {
        self.core.close()
    }

    /// Whether the ring is closed.
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    handle_methods!(core);
}

impl<T: Payload> Trusted<Producer<T>> {
    /// The slot that the next message is published from, to be built in place: no copy is made, and it may
    /// be held for as long as one likes, without keeping anybody waiting. It is as the last one left it; at
    /// first it holds bytes of some old message. Wait-free.
    ///
    /// # Errors
    /// [`Forked`](RingError::Forked), [`Untrusted`](RingError::Untrusted); [`Full`](RingError::Full) only
    /// while the ring is full and this producer still has to push what the dead holder of its seat had
    /// taken.
    ///
    /// ```
    /// # use segring::{RingError, mpmc};
    /// # let name = format!("doc-mpmc-slot-{}", std::process::id());
    /// # let ring = mpmc::Ring::<[u64; 1000]>::builder(&*name).capacity(1).create()?;
    /// // SAFETY: nobody writes into this segment except through segring.
    /// let mut tx = unsafe { ring.producer()?.trust_peers() };
    /// let mut slot = tx.slot()?;
    /// slot[7] = 8;
    /// slot.publish()?;
    /// let mut slot = tx.slot()?;
    /// slot[7] = 9;
    /// assert_eq!(slot.publish(), Err(RingError::Full));
    /// // A full ring keeps the slot.
    /// assert_eq!(ring.consumer()?.pop()?[7], 8);
    /// let slot = tx.slot()?;
    /// assert_eq!(slot[7], 9);
    /// slot.publish()?;
    /// # ring.remove()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn slot(&mut self) -> Result<Slot<'_, T>, RingError> {
        let trust = self.handle.core.member.trusted()?;
        self.handle.core.slot()?;
        Ok(Slot::new(&mut self.handle.core, trust))
    }
}

impl<T> std::fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}
