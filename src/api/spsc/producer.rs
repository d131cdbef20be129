//! The producer of a typed ring.

use super::consumer::not_yet;
use super::{ByLayout, each};
use crate::api::handle::handle_methods;
use crate::api::link::{Link, Role};
use crate::api::payload::Payload;
use crate::api::rejected::Rejected;
use crate::layout::view::{DenseSlots, StampedSlots};
use crate::region::{Context, Error, ForkToken, Region, TypedSlots};
use crate::ring::spsc::Sender;
use crate::ring::{RingError, wait};
use std::sync::Arc;
use std::time::Duration;

type Engine<T> = ByLayout<Sender<StampedSlots<T>>, Sender<DenseSlots<T>>>;

/// The pushing side of a [`Ring`](super::Ring).
///
/// `Send`, not `Sync`. Dropping it is leaving: the consumer is told once the ring is empty
/// ([`RingError::PeerGone`]), and another producer may come. That is not closing. A kill at any
/// instruction leaves the ring as it was before or after the push in progress.
pub struct Producer<T> {
    pub(crate) engine: Engine<T>,
    pub(crate) link: Link,
    /// Valid while this handle may push: closing revokes it. So one look tells of a fork and of a
    /// closed ring.
    open: ForkToken,
    closed: bool,
}

impl<T: Payload> Producer<T> {
    pub(crate) fn join(region: &Arc<Region>) -> Result<Self, Error> {
        let link = Link::join(region, Role::Producer)?;
        let corrupt = |_| Error::Corrupt { ring: Context::new(region.name()).ring() };
        let engine = match region.typed_slots::<T>() {
            TypedSlots::Stamped(slots) => {
                ByLayout::Stamped(Sender::resume(slots, link.cursors()).map_err(corrupt)?.into())
            }
            TypedSlots::Dense(slots) => {
                ByLayout::Dense(Sender::resume(slots, link.cursors()).map_err(corrupt)?.into())
            }
        };
        let closed = link.is_closed();
        let open = if closed { link.token().revoked() } else { link.token() };
        Ok(Self { engine, link, open, closed })
    }

    /// Whether this handle may push at all.
    #[inline(always)]
    pub(crate) fn check(&self) -> Result<(), RingError> {
        if self.open.is_valid() { Ok(()) } else { Err(self.refusal()) }
    }

    #[cold]
    fn refusal(&self) -> RingError {
        self.link.check().err().unwrap_or(RingError::Closed)
    }

    /// Pushes one message, or gives it back. Wait-free.
    ///
    /// # Errors
    /// [`Full`](RingError::Full), [`Closed`](RingError::Closed), [`Corrupt`](RingError::Corrupt),
    /// [`Forked`](RingError::Forked).
    ///
    /// ```
    /// # use segring::{RingError, spsc};
    /// # let name = format!("doc-try-push-{}", std::process::id());
    /// # let ring = spsc::Ring::<u64>::builder(&*name).capacity(1).create()?;
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
        self.check()?;
        each!(&mut self.engine, tx => tx.try_push(self.link.cursors(), item))?;
        self.link.wake(Role::Consumer);
        Ok(())
    }

    /// Pushes one message; waits while the ring is full. Blocking.
    ///
    /// # Errors
    /// As [`try_push`](Producer::try_push) but for `Full`; and, while the ring is full,
    /// [`PeerGone`](RingError::PeerGone) when the consumer has left or died (once for each), and
    /// [`Removed`](RingError::Removed) when nobody who is not attached can come any more.
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
        self.push_until(&item, |link| link.deadline(timeout)).map_err(|error| Rejected { value: item, error })
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
    fn push_until(&mut self, item: &T, deadline: impl FnOnce(&Link) -> Option<u64>) -> Result<(), RingError> {
        match self.try_push_ref(item) {
            Err(RingError::Full) => self.wait_and_push(item, deadline(&self.link)),
            other => other,
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_and_push(&mut self, item: &T, deadline: Option<u64>) -> Result<(), RingError> {
        let Self { engine, link, .. } = self;
        wait::until(&*link, &link.waiter(each!(&*engine, tx => tx.position()), deadline), || {
            not_yet(each!(&mut *engine, tx => tx.try_push(link.cursors(), item)))
        })?;
        self.link.wake(Role::Consumer);
        Ok(())
    }

    /// Pushes as many as fit, in order, and says how many: 0 when the ring is full. Wait-free.
    ///
    /// Each message is committed by itself; a kill in between leaves the first few pushed. On a
    /// dense ring they all become visible at once.
    ///
    /// # Errors
    /// [`Closed`](RingError::Closed), [`Corrupt`](RingError::Corrupt), [`Forked`](RingError::Forked).
    #[inline]
    pub fn push_slice(&mut self, items: &[T]) -> Result<usize, RingError> {
        self.check()?;
        let n = each!(&mut self.engine, tx => tx.push_slice(self.link.cursors(), items))?;
        if n > 0 {
            self.link.wake(Role::Consumer);
        }
        Ok(n)
    }

    /// Waits until at least one message fits; pushes nothing. `None` waits for ever. Blocking.
    ///
    /// # Errors
    /// As [`push_timeout`](Producer::push_timeout).
    pub fn wait_for_room(&mut self, timeout: Option<Duration>) -> Result<(), RingError> {
        self.check()?;
        let Self { engine, link, .. } = self;
        wait::until(
            &*link,
            &link.waiter(each!(&*engine, tx => tx.position()), timeout.and_then(|t| link.deadline(t))),
            || {
                let room = each!(&mut *engine, tx => tx.room(&link.cursors().consumer, 1))?;
                Ok((room > 0).then_some(()))
            },
        )
    }

    /// Messages committed since the ring was created, by all its producers. Where a restarted
    /// program goes on.
    pub fn position(&self) -> u64 {
        each!(&self.engine, tx => tx.position())
    }

    /// Closes the ring for good: this and any later producer is refused with `Closed`, and the
    /// consumer is told after the last message. Wait-free; calling it again does nothing.
    pub fn close(&mut self) {
        if self.link.check().is_ok() {
            self.closed = true;
            self.open = self.open.revoked();
            self.link.close();
        }
    }

    /// Whether the ring is closed.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    handle_methods!(link);
}

impl<T> std::fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("closed", &self.closed).finish_non_exhaustive()
    }
}
