//! The consumer of a typed ring.

use super::job::Job;
use super::taker::{Taken, Taker};
use crate::api::handle::handle_methods;
use crate::api::payload::Payload;
use crate::api::trusted::Trusted;
use crate::region::{Error, Region};
use crate::ring::RingError;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A popping side of a [`Ring`](super::Ring): one of any number.
///
/// `Send`, not `Sync`: a thread that wants to pop takes one of its own. `take` is there after
/// [`trust_peers`](Consumer::trust_peers). Dropping it is leaving; what it has
/// taken and not released is kept by its [`Job`]s. Killed at any instruction, what it held comes back to
/// another, marked.
pub struct Consumer<T> {
    core: Taker,
    item: PhantomData<fn() -> T>,
}

impl<T: Payload> Consumer<T> {
    pub(super) fn join(region: &Arc<Region>) -> Result<Self, Error> {
        Taker::join(region).map(|core| Self { core, item: PhantomData })
    }

    /// Pops one message. Lock-free. Now and then, every 100 ms at most, it looks for dead seats before it pops,
    /// and when it finds none: a few system calls then.
    ///
    /// A consumer killed in here has not taken the message, or it comes back to another one, marked; or,
    /// killed after the copy, it counts as delivered (I1).
    ///
    /// # Errors
    /// [`Empty`](RingError::Empty); [`Closed`](RingError::Closed) when it is empty and closed, and no dead
    /// seat holds a message; [`HandsFull`](RingError::HandsFull) when each of this consumer's hands holds a
    /// [`Job`]; [`Corrupt`](RingError::Corrupt), [`Forked`](RingError::Forked).
    ///
    /// ```
    /// # use segring::{RingError, mpmc};
    /// # let name = format!("doc-mpmc-try-pop-{}", std::process::id());
    /// # let ring = mpmc::Ring::<u64>::builder(&*name).create()?;
    /// # let (mut tx, mut rx) = (ring.producer()?, ring.consumer()?);
    /// assert_eq!(rx.try_pop(), Err(RingError::Empty));
    /// tx.try_push(5)?;
    /// tx.close()?;
    /// assert_eq!(rx.try_pop(), Ok(5));
    /// assert_eq!(rx.try_pop(), Err(RingError::Closed));
    /// # ring.remove()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_pop(&mut self) -> Result<T, RingError> {
        let taken = self.core.try_take()?;
        Ok(self.read(taken))
    }

    #[inline(always)]
    fn read(&mut self, taken: Taken) -> T {
        self.core.copy(taken, |memory, slot| memory.read(slot))
    }

    /// The same, into memory that is there already: for payloads that must not cross the stack.
    ///
    /// # Errors
    /// As [`try_pop`](Consumer::try_pop); `into` is untouched then.
    #[inline(always)]
    pub fn try_pop_into(&mut self, into: &mut T) -> Result<(), RingError> {
        let taken = self.core.try_take()?;
        self.core.copy(taken, |memory, slot| memory.read_into(slot, into));
        Ok(())
    }

    /// Pops one message; waits while the ring is empty, and looks for dead seats meanwhile. Blocking.
    ///
    /// # Errors
    /// As [`try_pop`](Consumer::try_pop) but for `Empty`; [`PeerGone`](RingError::PeerGone) when it is empty
    /// and the last producer has left or died (once, until another joins; nothing is said while none has
    /// ever come); [`Removed`](RingError::Removed) when none can come any more.
    #[inline]
    pub fn pop(&mut self) -> Result<T, RingError> {
        let taken = self.core.take(|_| None)?;
        Ok(self.read(taken))
    }

    /// The same, for a limited time. A time-out of zero still pops what is there; `Duration::MAX`
    /// waits for ever. Monotonic clock.
    ///
    /// # Errors
    /// As [`pop`](Consumer::pop), and [`TimedOut`](RingError::TimedOut).
    pub fn pop_timeout(&mut self, timeout: Duration) -> Result<T, RingError> {
        let taken = self.core.take(|member| member.deadline(timeout))?;
        Ok(self.read(taken))
    }

    /// Pops one message into memory that is there already; waits while the ring is empty. Blocking.
    ///
    /// # Errors
    /// As [`pop`](Consumer::pop); `into` is untouched then.
    #[inline]
    pub fn pop_into(&mut self, into: &mut T) -> Result<(), RingError> {
        let taken = self.core.take(|_| None)?;
        self.core.copy(taken, |memory, slot| memory.read_into(slot, into));
        Ok(())
    }

    /// Waits until there is a message; takes none. Another consumer may be faster then. `None` waits for
    /// ever. Blocking.
    ///
    /// # Errors
    /// As [`pop_timeout`](Consumer::pop_timeout).
    pub fn wait_for_message(&mut self, timeout: Option<Duration>) -> Result<(), RingError> {
        let deadline = timeout.and_then(|t| self.core.deadline(t));
        self.core.wait_for_message(deadline)
    }

    /// Whether the last message that this consumer popped had been taken before, by one that did not
    /// release it: killed, or handed back. It may have been worked on.
    pub fn redelivered(&self) -> bool {
        self.core.redelivered
    }

    /// Whether the ring is closed. Messages may still be in it.
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    handle_methods!(core);
}

impl<T: Payload> Trusted<Consumer<T>> {
    /// Takes one message, to be worked on in place; it stays this consumer's until it is released. Up to
    /// `in_hand` at once. Lock-free, and nobody ever waits for the release.
    ///
    /// # Errors
    /// As [`Consumer::try_pop`], and [`Untrusted`](RingError::Untrusted).
    ///
    /// ```
    /// # use segring::mpmc;
    /// # let name = format!("doc-mpmc-take-{}", std::process::id());
    /// # let ring = mpmc::Ring::<u64>::builder(&*name).create()?;
    /// # ring.producer()?.push(5)?;
    /// // SAFETY: nobody writes into this segment except through segring.
    /// let mut rx = unsafe { ring.consumer()?.trust_peers() };
    /// let job = rx.try_take()?;
    /// assert!(*job == 5 && !job.redelivered());
    /// job.hand_back();
    /// let job = rx.try_take()?;
    /// assert!(*job == 5 && job.redelivered());
    /// job.release();
    /// # ring.remove()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_take(&mut self) -> Result<Job<T>, RingError> {
        let trust = self.handle.core.member.trusted()?;
        let taken = self.handle.core.try_take()?;
        self.handle.core.hold(taken).map(|held| Job::new(held, trust)).ok_or(RingError::HandsFull)
    }

    /// The same; waits while the ring is empty. Blocking.
    ///
    /// # Errors
    /// As [`Consumer::pop`], and [`Untrusted`](RingError::Untrusted).
    pub fn take(&mut self) -> Result<Job<T>, RingError> {
        let trust = self.handle.core.member.trusted()?;
        let taken = self.handle.core.take(|_| None)?;
        self.handle.core.hold(taken).map(|held| Job::new(held, trust)).ok_or(RingError::HandsFull)
    }

    /// The same, for a limited time.
    ///
    /// # Errors
    /// As [`take`](Trusted::take), and [`TimedOut`](RingError::TimedOut).
    pub fn take_timeout(&mut self, timeout: Duration) -> Result<Job<T>, RingError> {
        let trust = self.handle.core.member.trusted()?;
        let taken = self.handle.core.take(|member| member.deadline(timeout))?;
        self.handle.core.hold(taken).map(|held| Job::new(held, trust)).ok_or(RingError::HandsFull)
    }
}

impl<T> std::fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").finish_non_exhaustive()
    }
}
