//! The producer of a typed ring.

use super::pusher::Pusher;
use super::slot::Slot;
use super::words::{self, WordPusher};
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
    core: Core,
    item: PhantomData<fn(T)>,
}

/// By the ring's layout.
enum Core {
    Slots(Pusher),
    /// Of a type that fits into an entry.
    Words(WordPusher),
}

macro_rules! each {
    ($core:expr, $of:ident => $do:expr) => {
        match $core {
            Core::Slots($of) => $do,
            Core::Words($of) => $do,
        }
    };
}

impl Core {
    fn waits(&self) -> &crate::ring::wait::WaitState {
        each!(self, core => core.waits())
    }

    fn trust(&mut self, trust: crate::layout::view::Trust) {
        each!(self, core => core.trust(trust));
    }

    fn deadline(&self, timeout: Duration) -> Option<u64> {
        each!(self, core => core.deadline(timeout))
    }

    /// To build in place.
    fn slots(&mut self) -> Result<&mut Pusher, RingError> {
        match self {
            Self::Slots(core) => Ok(core),
            Self::Words(_) => Err(RingError::NotInPlace),
        }
    }
}

impl<T: Payload> Producer<T> {
    pub(super) fn join(region: &Arc<Region>) -> Result<Self, Error> {
        let core = if words::fits::<T>() && region.geometry().shape.is_inline() {
            Core::Words(WordPusher::join(region)?)
        } else {
            Core::Slots(Pusher::join(region)?)
        };
        Ok(Self { core, item: PhantomData })
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
        match &mut self.core {
            Core::Slots(core) => core.try_push(|memory, slot| memory.write(slot, item)),
            Core::Words(core) => core.try_push(item),
        }
    }

    /// Pushes some of them, in this order; says how many. Lock-free. 0: the ring is full, or the slice is empty.
    /// Fewer than all does not mean that it is full: call again with the rest. Never waits for room, and tells
    /// no news of peers: on 0 call [`wait_for_room`](Producer::wait_for_room), which does.
    ///
    /// Each message has its own place in the order of the queue; those of one call need not follow each other
    /// directly. On a ring of messages of up to 8 bytes ([`Layout::Inline`](crate::Layout::Inline)) up to 64
    /// of them go in as a batch: they appear together, one behind the other, and take one entry. Consumers
    /// share what is in it as if each had been pushed by itself. A producer has as many batches in the ring
    /// as `capacity / 64`, 1 to 16. Beyond that it looks for up to 8 µs in a call whether consumers take them, and
    /// then pushes one message by itself; if no consumer moves meanwhile, it pushes one by one. So it does with
    /// runs of fewer than 4. Killed in here, it has pushed the first ones, in order, and whole batches only.
    ///
    /// # Errors
    /// [`Closed`](RingError::Closed), [`Corrupt`](RingError::Corrupt), [`Forked`](RingError::Forked), if
    /// nothing was pushed.
    ///
    /// ```
    /// # use segring::mpmc;
    /// # let name = format!("doc-mpmc-push-slice-{}", std::process::id());
    /// # let ring = mpmc::Ring::<u64>::builder(&*name).create()?;
    /// # let (mut tx, mut rx) = (ring.producer()?, ring.consumer()?);
    /// assert_eq!(tx.push_slice(&[1, 2, 3, 4, 5])?, 5);
    /// let mut some = [0; 3];
    /// assert_eq!(rx.pop_slice(&mut some)?, 3);
    /// assert_eq!((some, rx.pop()?), ([1, 2, 3], 4));
    /// # ring.remove()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn push_slice(&mut self, items: &[T]) -> Result<usize, RingError> {
        match &mut self.core {
            Core::Slots(core) => core.push_all(items, |memory, slot, item| memory.write(slot, item)),
            Core::Words(core) => core.push_slice(items),
        }
    }

    /// Pushes one message; waits while the ring is full. Blocking.
    ///
    /// # Errors
    /// As [`try_push`](Producer::try_push) but for `Full`; and, while the ring is full,
    /// [`PeerGone`](RingError::PeerGone) when the last consumer has left or died (once, until another
    /// joins), and [`Removed`](RingError::Removed) when nobody who is not attached can come any more.
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
    fn push_until(&mut self, item: &T, deadline: impl FnOnce(&Core) -> Option<u64>) -> Result<(), RingError> {
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
        deadline: impl FnOnce(&Core) -> Option<u64>,
    ) -> Result<(), RingError> {
        let deadline = deadline(&self.core);
        match &mut self.core {
            Core::Slots(core) => {
                core.wait_for_hand(deadline)?;
                let slot = core.slot()?;
                core.memory().write(slot, item);
                core.wait_and_publish(deadline)
            }
            Core::Words(core) => core.wait_and_push(item, deadline),
        }
    }

    /// Waits until there is room; pushes nothing. Another producer may be faster then. `None` waits for
    /// ever. Blocking.
    ///
    /// # Errors
    /// As [`push_timeout`](Producer::push_timeout).
    pub fn wait_for_room(&mut self, timeout: Option<Duration>) -> Result<(), RingError> {
        let deadline = timeout.and_then(|t| self.core.deadline(t));
        each!(&mut self.core, core => core.wait_for_room(deadline))
    }

    /// Closes the ring for good, for all its producers: whatever is pushed after this is refused with
    /// `Closed`, and consumers are told when the ring is empty. Lock-free; calling it again does nothing.
    ///
    /// # Errors
    /// [`Corrupt`](RingError::Corrupt), [`Forked`](RingError::Forked).
    pub fn close(&mut self) -> Result<(), RingError> {
        each!(&mut self.core, core => core.close())
    }

    /// Whether the ring is closed.
    pub fn is_closed(&self) -> bool {
        each!(&self.core, core => core.is_closed())
    }

    handle_methods!(core);
}

impl<T: Payload> Trusted<Producer<T>> {
    /// The slot that the next message is published from, to be built in place: no copy is made, and it may
    /// be held for as long as one likes, without keeping anybody waiting. It is as the last one left it; at
    /// first it holds bytes of some old message. Wait-free.
    ///
    /// # Errors
    /// [`Forked`](RingError::Forked), [`Untrusted`](RingError::Untrusted);
    /// [`NotInPlace`](RingError::NotInPlace) on a ring whose messages lie in its entries;
    /// [`Full`](RingError::Full) only
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
        let core = self.handle.core.slots()?;
        let trust = core.member.trusted()?;
        core.slot()?;
        Ok(Slot::new(core, trust))
    }
}

impl<T> std::fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}
