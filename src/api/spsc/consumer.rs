//! The consumer of a typed ring.

use super::{ByLayout, each};
use crate::api::handle::handle_methods;
use crate::api::link::{Link, Role};
use crate::api::payload::Payload;
use crate::layout::view::{DenseSlots, StampedSlots};
use crate::region::{Context, Error, Region, TypedSlots};
use crate::ring::spsc::Receiver;
use crate::ring::{RingError, wait};
use std::sync::Arc;
use std::time::Duration;

type Engine<T> = ByLayout<Receiver<StampedSlots<T>>, Receiver<DenseSlots<T>>>;

/// The popping side of a [`Ring`](super::Ring).
///
/// `Send`, not `Sync`. Dropping it is leaving: messages stay, and another consumer goes on exactly
/// where this one stopped. A copying pop commits at one store, after the copy: a consumer killed
/// before it has not taken the message, one killed after it has.
pub struct Consumer<T> {
    pub(crate) engine: Engine<T>,
    pub(crate) link: Link,
}

/// Empty and closed is `Closed`. The attempt is written out twice: in line where messages are, and
/// out of the way where there are none.
macro_rules! unless_closed {
    ($link:expr, $attempt:expr) => {
        match $attempt {
            Err(RingError::Empty) => $crate::ring::closing::look_again(&$link.cursors().state, || $attempt),
            other => other,
        }
    };
}
pub(crate) use unless_closed;

/// A number of messages, or whether there is one; none is `Empty`.
#[inline(always)]
pub(crate) fn some<N: PartialEq + Default>(found: Result<N, RingError>) -> Result<N, RingError> {
    found.and_then(|n| if n == N::default() { Err(RingError::Empty) } else { Ok(n) })
}

/// "Nothing yet" for the waiting loop.
#[inline(always)]
pub(crate) fn not_yet<T>(result: Result<T, RingError>) -> Result<Option<T>, RingError> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(RingError::Empty | RingError::Full) => Ok(None),
        Err(e) => Err(e),
    }
}

impl<T: Payload> Consumer<T> {
    pub(crate) fn join(region: &Arc<Region>) -> Result<Self, Error> {
        let link = Link::join(region, Role::Consumer)?;
        let corrupt = |_| Error::Corrupt { ring: Context::new(region.name()).ring() };
        let engine = match region.typed_slots::<T>() {
            TypedSlots::Stamped(slots) => {
                ByLayout::Stamped(Receiver::resume(slots, link.cursors()).map_err(corrupt)?.into())
            }
            TypedSlots::Dense(slots) => {
                ByLayout::Dense(Receiver::resume(slots, link.cursors()).map_err(corrupt)?.into())
            }
        };
        Ok(Self { engine, link })
    }

    /// Pops one message. Wait-free.
    ///
    /// # Errors
    /// [`Empty`](RingError::Empty); [`Closed`](RingError::Closed) when it is empty and closed;
    /// [`Corrupt`](RingError::Corrupt), [`Forked`](RingError::Forked).
    ///
    /// ```
    /// # use segring::{RingError, spsc};
    /// # let name = format!("doc-try-pop-{}", std::process::id());
    /// # let ring = spsc::Ring::<u64>::builder(&*name).create()?;
    /// # let (mut tx, mut rx) = (ring.producer()?, ring.consumer()?);
    /// assert_eq!(rx.try_pop(), Err(RingError::Empty));
    /// tx.try_push(5)?;
    /// tx.close();
    /// assert_eq!(rx.try_pop(), Ok(5));
    /// assert_eq!(rx.try_pop(), Err(RingError::Closed));
    /// # ring.remove()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_pop(&mut self) -> Result<T, RingError> {
        self.link.check()?;
        self.look()?;
        Ok(self.take())
    }

    /// Whether there is a message: `Empty` or `Closed` if not.
    #[inline(always)]
    fn look(&mut self) -> Result<(), RingError> {
        let Self { engine, link } = self;
        let producer = &link.cursors().producer;
        unless_closed!(link, some(each!(&mut *engine, rx => rx.is_ready(producer)))).map(drop)
    }

    /// The message that [`Consumer::look`] has seen.
    #[inline(always)]
    fn take(&mut self) -> T {
        let Self { engine, link } = self;
        let item = each!(engine, rx => rx.take(link.cursors()));
        link.wake(Role::Producer);
        item
    }

    #[inline(always)]
    fn take_into(&mut self, into: &mut T) {
        let Self { engine, link } = self;
        each!(engine, rx => rx.take_into(link.cursors(), into));
        link.wake(Role::Producer);
    }

    /// The same, into memory that is there already: for payloads that must not cross the stack.
    ///
    /// # Errors
    /// As [`try_pop`](Consumer::try_pop); `into` is untouched then.
    #[inline(always)]
    pub fn try_pop_into(&mut self, into: &mut T) -> Result<(), RingError> {
        self.link.check()?;
        self.look()?;
        self.take_into(into);
        Ok(())
    }

    /// Pops one message; waits while the ring is empty. Blocking.
    ///
    /// # Errors
    /// [`Closed`](RingError::Closed) when it is empty and closed; [`PeerGone`](RingError::PeerGone)
    /// when it is empty and the producer has left or died (once for each; calling again waits for a
    /// successor; nothing is said while none has ever come); [`Removed`](RingError::Removed) when
    /// nobody who is not attached can come any more; [`Corrupt`](RingError::Corrupt), [`Forked`](RingError::Forked).
    #[inline]
    pub fn pop(&mut self) -> Result<T, RingError> {
        match self.try_pop() {
            Err(RingError::Empty) => self.wait_and_pop(None),
            other => other,
        }
    }

    /// The same, for a limited time. A time-out of zero still pops what is there; `Duration::MAX`
    /// waits for ever. Monotonic clock.
    ///
    /// # Errors
    /// As [`pop`](Consumer::pop), and [`TimedOut`](RingError::TimedOut).
    pub fn pop_timeout(&mut self, timeout: Duration) -> Result<T, RingError> {
        match self.try_pop() {
            Err(RingError::Empty) => self.wait_and_pop(self.link.deadline(timeout)),
            other => other,
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_and_pop(&mut self, deadline: Option<u64>) -> Result<T, RingError> {
        self.wait(deadline)?;
        Ok(self.take())
    }

    /// Until [`Consumer::look`] sees a message.
    fn wait(&mut self, deadline: Option<u64>) -> Result<(), RingError> {
        let Self { engine, link } = self;
        let waiter = link.waiter(each!(&*engine, rx => rx.position()), deadline);
        let producer = &link.cursors().producer;
        wait::until(&*link, &waiter, || {
            not_yet(unless_closed!(link, some(each!(&mut *engine, rx => rx.is_ready(producer)))).map(drop))
        })
    }

    /// Pops one message into memory that is there already; waits while the ring is empty. Blocking.
    ///
    /// # Errors
    /// As [`pop`](Consumer::pop); `into` is untouched then.
    #[inline]
    pub fn pop_into(&mut self, into: &mut T) -> Result<(), RingError> {
        match self.try_pop_into(into) {
            Err(RingError::Empty) => self.wait_and_pop_into(into),
            other => other,
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_and_pop_into(&mut self, into: &mut T) -> Result<(), RingError> {
        self.wait(None)?;
        self.take_into(into);
        Ok(())
    }

    /// Pops as many as are there and fit, in order, and says how many: 0 when the ring is empty.
    /// Wait-free. All of them are committed at once, after the copy.
    ///
    /// # Errors
    /// [`Closed`](RingError::Closed) when it is empty and closed; [`Corrupt`](RingError::Corrupt),
    /// [`Forked`](RingError::Forked).
    #[inline]
    pub fn pop_slice(&mut self, into: &mut [T]) -> Result<usize, RingError> {
        self.link.check()?;
        if into.is_empty() {
            return Ok(0);
        }
        let Self { engine, link } = self;
        let popped =
            unless_closed!(link, some(each!(&mut *engine, rx => rx.pop_slice(link.cursors(), into))));
        match popped {
            Ok(n) => {
                link.wake(Role::Producer);
                Ok(n)
            }
            Err(RingError::Empty) => Ok(0),
            Err(e) => Err(e),
        }
    }

    /// Waits until there is a message; takes none. `None` waits for ever. Blocking.
    ///
    /// # Errors
    /// As [`pop_timeout`](Consumer::pop_timeout).
    pub fn wait_for_message(&mut self, timeout: Option<Duration>) -> Result<(), RingError> {
        self.link.check()?;
        self.wait(timeout.and_then(|t| self.link.deadline(t)))
    }

    /// Messages released since the ring was created, by all its consumers.
    pub fn position(&self) -> u64 {
        each!(&self.engine, rx => rx.position())
    }

    /// Whether the producer has closed the ring. Messages may still be in it.
    pub fn is_closed(&self) -> bool {
        self.link.check().is_ok() && self.link.is_closed()
    }

    handle_methods!(link);
}

impl<T> std::fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").finish_non_exhaustive()
    }
}
