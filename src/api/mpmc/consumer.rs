//! The consumer of a typed ring.

use super::job::Job;
use super::taker::Taker;
use super::words::{self, WordTaker};
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
    core: Core,
    item: PhantomData<fn() -> T>,
}

/// By the ring's layout.
enum Core {
    Slots(Taker),
    /// Of a type that fits into an entry.
    Words(WordTaker),
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

    /// To take in place.
    fn slots(&mut self) -> Result<&mut Taker, RingError> {
        match self {
            Self::Slots(core) => Ok(core),
            Self::Words(_) => Err(RingError::NotInPlace),
        }
    }
}

impl<T: Payload> Consumer<T> {
    pub(super) fn join(region: &Arc<Region>) -> Result<Self, Error> {
        let core = if words::fits::<T>() && region.geometry().shape.is_inline() {
            Core::Words(WordTaker::join(region)?)
        } else {
            Core::Slots(Taker::join(region)?)
        };
        Ok(Self { core, item: PhantomData })
    }

    /// Pops one message. Lock-free. Now and then, every 100 ms at most, it looks for dead seats before it pops,
    /// and when it finds none: a few system calls then. (Not where messages lie in the entries: the dead hold
    /// nothing there.)
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
        match &mut self.core {
            Core::Slots(core) => core.try_pop(|memory, slot| memory.read(slot)),
            Core::Words(core) => {
                let mut item = T::new_zeroed();
                core.try_pop(&mut item)?;
                Ok(item)
            }
        }
    }

    /// The same, into memory that is there already: for payloads that must not cross the stack.
    ///
    /// # Errors
    /// As [`try_pop`](Consumer::try_pop); `into` is untouched then.
    #[inline(always)]
    pub fn try_pop_into(&mut self, into: &mut T) -> Result<(), RingError> {
        match &mut self.core {
            Core::Slots(core) => core.try_pop(|memory, slot| memory.read_into(slot, into)),
            Core::Words(core) => core.try_pop(into),
        }
    }

    /// Pops as many as are there, in order, up to the length of `into`; says how many. Lock-free. 0 when there
    /// is none, and for an empty slice. What lies in `into` behind them may have been written over.
    ///
    /// Each message is taken by itself, or with others of its batch: between two of them other consumers may
    /// take some. Whatever is not taken stays in the ring, for anybody. Never waits, and tells no news of
    /// peers: on 0 call [`wait_for_message`](Consumer::wait_for_message), which does.
    ///
    /// Killed in here, a consumer has taken the first ones of the slice: those count as delivered, and its
    /// program has not seen them (I1). Who cannot have that takes in place.
    ///
    /// ```
    /// # use segring::{RingError, mpmc};
    /// # let name = format!("doc-mpmc-pop-slice-{}", std::process::id());
    /// # let ring = mpmc::Ring::<u64>::builder(&*name).create()?;
    /// # let (mut tx, mut rx) = (ring.producer()?, ring.consumer()?);
    /// # tx.push_slice(&[1; 100])?;
    /// # drop(tx);
    /// let (mut some, mut sum) = ([0; 64], 0);
    /// loop {
    ///     match rx.pop_slice(&mut some)? {
    ///         0 => match rx.wait_for_message(None) {
    ///             Err(RingError::PeerGone { .. } | RingError::Closed) => break,
    ///             other => other?,
    ///         },
    ///         n => sum += some[..n].iter().sum::<u64>(),
    ///     }
    /// }
    /// assert_eq!(sum, 100);
    /// # ring.remove()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`try_pop`](Consumer::try_pop) but for `Empty`, if nothing was popped.
    #[inline]
    pub fn pop_slice(&mut self, into: &mut [T]) -> Result<usize, RingError> {
        match &mut self.core {
            Core::Slots(core) => core.pop_all(into, |memory, slot, into| memory.read_into(slot, into)),
            Core::Words(core) => core.pop_slice(into),
        }
    }

    /// Pops one message; waits while the ring is empty, and looks for dead seats meanwhile. Blocking.
    ///
    /// # Errors
    /// As [`try_pop`](Consumer::try_pop) but for `Empty`; [`PeerGone`](RingError::PeerGone) when it is empty
    /// and the last producer has left or died (once, until another joins; nothing is said while none has
    /// ever come); [`Removed`](RingError::Removed) when nobody who is not attached can come any more.
    #[inline]
    pub fn pop(&mut self) -> Result<T, RingError> {
        match &mut self.core {
            Core::Slots(core) => core.pop(|memory, slot| memory.read(slot), |_| None),
            Core::Words(core) => {
                let mut item = T::new_zeroed();
                core.pop(&mut item, |_| None)?;
                Ok(item)
            }
        }
    }

    /// The same, for a limited time. A time-out of zero still pops what is there; `Duration::MAX`
    /// waits for ever. Monotonic clock.
    ///
    /// # Errors
    /// As [`pop`](Consumer::pop), and [`TimedOut`](RingError::TimedOut).
    pub fn pop_timeout(&mut self, timeout: Duration) -> Result<T, RingError> {
        match &mut self.core {
            Core::Slots(core) => {
                core.pop(|memory, slot| memory.read(slot), |member| member.deadline(timeout))
            }
            Core::Words(core) => {
                let mut item = T::new_zeroed();
                core.pop(&mut item, |core| core.deadline(timeout))?;
                Ok(item)
            }
        }
    }

    /// Pops one message into memory that is there already; waits while the ring is empty. Blocking.
    ///
    /// # Errors
    /// As [`pop`](Consumer::pop); `into` is untouched then.
    #[inline]
    pub fn pop_into(&mut self, into: &mut T) -> Result<(), RingError> {
        match &mut self.core {
            Core::Slots(core) => core.pop(|memory, slot| memory.read_into(slot, into), |_| None),
            Core::Words(core) => core.pop(into, |_| None),
        }
    }

    /// Waits until there is a message; takes none. Another consumer may be faster then. `None` waits for
    /// ever. Blocking.
    ///
    /// # Errors
    /// As [`pop_timeout`](Consumer::pop_timeout), but for `HandsFull`: a message may be there that no hand is free for.
    pub fn wait_for_message(&mut self, timeout: Option<Duration>) -> Result<(), RingError> {
        each!(&mut self.core, core => {
            let deadline = timeout.and_then(|t| core.deadline(t));
            core.wait_for_message(deadline)
        })
    }

    /// Whether the last message that this consumer popped had been taken before, by one that did not
    /// release it: killed, or handed back. It may have been worked on. After [`pop_slice`](Consumer::pop_slice):
    /// whether any of the slice had been; who must know which pops one by one.
    pub fn redelivered(&self) -> bool {
        match &self.core {
            Core::Slots(core) => core.redelivered,
            Core::Words(_) => false,
        }
    }

    /// Whether the ring is closed. Messages may still be in it.
    pub fn is_closed(&self) -> bool {
        each!(&self.core, core => core.is_closed())
    }

    handle_methods!(core);
}

impl<T: Payload> Trusted<Consumer<T>> {
    /// Takes one message, to be worked on in place; it stays this consumer's until it is released. Up to
    /// `in_hand` at once. Lock-free, and nobody ever waits for the release.
    ///
    /// # Errors
    /// As [`Consumer::try_pop`], and [`Untrusted`](RingError::Untrusted);
    /// [`NotInPlace`](RingError::NotInPlace) on a ring whose messages lie in its entries.
    ///
    /// ```
    /// # use segring::mpmc;
    /// # let name = format!("doc-mpmc-take-{}", std::process::id());
    /// # let ring = mpmc::Ring::<u64>::builder(&*name).redelivery(true).create()?;
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
        let core = self.handle.core.slots()?;
        let trust = core.member.trusted()?;
        let taken = core.try_take()?;
        core.hold(taken).map(|held| Job::new(held, trust)).ok_or(RingError::HandsFull)
    }

    /// The same; waits while the ring is empty. Blocking.
    ///
    /// # Errors
    /// As [`Consumer::pop`], and [`Untrusted`](RingError::Untrusted).
    pub fn take(&mut self) -> Result<Job<T>, RingError> {
        let core = self.handle.core.slots()?;
        let trust = core.member.trusted()?;
        let taken = core.take(|_| None)?;
        core.hold(taken).map(|held| Job::new(held, trust)).ok_or(RingError::HandsFull)
    }

    /// The same, for a limited time.
    ///
    /// # Errors
    /// As [`take`](Trusted::take), and [`TimedOut`](RingError::TimedOut).
    pub fn take_timeout(&mut self, timeout: Duration) -> Result<Job<T>, RingError> {
        let core = self.handle.core.slots()?;
        let trust = core.member.trusted()?;
        let taken = core.take(|member| member.deadline(timeout))?;
        core.hold(taken).map(|held| Job::new(held, trust)).ok_or(RingError::HandsFull)
    }
}

impl<T> std::fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").finish_non_exhaustive()
    }
}
