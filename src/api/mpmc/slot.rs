//! A message that is being built where it will be read.

use super::pusher::Pusher;
use crate::api::payload::Payload;
use crate::layout::geometry::RECORD_LEN;
use crate::layout::view::Trust;
use crate::ring::RingError;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// What a child does with a message that it has inherited: its memory is not mapped there.
#[cold]
#[inline(never)]
pub(super) fn inherited() -> ! {
    panic!("this message belongs to the parent process: attach again after fork")
}

/// A producer's private slot. Dropping it publishes nothing, and keeps what is in it for the next
/// [`slot`](crate::Trusted::slot). Killed with it, nobody else sees anything.
///
/// # Panics
/// Looking at it in a forked child, which does not have the memory.
pub struct Slot<'a, T> {
    core: &'a mut Pusher,
    trust: Trust,
    item: PhantomData<T>,
}

impl<'a, T: Payload> Slot<'a, T> {
    pub(super) fn new(core: &'a mut Pusher, trust: Trust) -> Self {
        Self { core, trust, item: PhantomData }
    }

    /// Pushes it. Lock-free.
    ///
    /// # Errors
    /// As [`Producer::try_push`](super::Producer::try_push). What is in the slot stays there then:
    /// [`slot`](crate::Trusted::slot) gives it again.
    pub fn publish(self) -> Result<(), RingError> {
        self.core.member.check()?;
        self.core.publish()
    }

    /// The same; waits while the ring is full. `None` waits for ever. Blocking.
    ///
    /// # Errors
    /// As [`Producer::push_timeout`](super::Producer::push_timeout); the slot stays, as with
    /// [`publish`](Slot::publish).
    pub fn publish_timeout(self, timeout: Option<Duration>) -> Result<(), RingError> {
        self.core.member.check()?;
        self.core.publish_until(timeout)
    }
}

impl<T: Payload> Deref for Slot<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self.core.own_slot() {
            Some(slot) => self.core.memory().get(self.trust, slot),
            None => inherited(),
        }
    }
}

impl<T: Payload> DerefMut for Slot<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match self.core.own_slot_mut() {
            Some((memory, slot)) => memory.get_mut(self.trust, slot),
            None => inherited(),
        }
    }
}

impl<T> std::fmt::Debug for Slot<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

/// A producer's private slot, for a record of any length up to the longest: [`publish`](ByteSlot::publish)
/// says how long it is. Everything else is as with [`Slot`].
pub struct ByteSlot<'a> {
    core: &'a mut Pusher,
    trust: Trust,
    max: usize,
}

impl<'a> ByteSlot<'a> {
    pub(super) fn new(core: &'a mut Pusher, trust: Trust, max: usize) -> Self {
        Self { core, trust, max }
    }

    fn write_len(&mut self, len: usize) -> Result<(), RingError> {
        if len > self.max {
            return Err(RingError::TooLong);
        }
        let slot = self.core.slot()?;
        self.core.memory().write(slot, &(len as u64));
        Ok(())
    }

    /// Pushes its first `len` bytes. Lock-free.
    ///
    /// # Errors
    /// As [`Slot::publish`], and [`TooLong`](RingError::TooLong).
    pub fn publish(mut self, len: usize) -> Result<(), RingError> {
        self.write_len(len)?;
        self.core.publish()
    }

    /// The same; waits while the ring is full. `None` waits for ever. Blocking.
    ///
    /// # Errors
    /// As [`Slot::publish_timeout`], and [`TooLong`](RingError::TooLong).
    pub fn publish_timeout(mut self, len: usize, timeout: Option<Duration>) -> Result<(), RingError> {
        self.write_len(len)?;
        self.core.publish_until(timeout)
    }
}

impl Deref for ByteSlot<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self.core.own_slot() {
            Some(slot) => self.core.memory().bytes(self.trust, slot, RECORD_LEN as usize, self.max),
            None => inherited(),
        }
    }
}

impl DerefMut for ByteSlot<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self.core.own_slot_mut() {
            Some((memory, slot)) => memory.bytes_mut(self.trust, slot, RECORD_LEN as usize, self.max),
            None => inherited(),
        }
    }
}

impl std::fmt::Debug for ByteSlot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByteSlot").field("max", &self.max).finish_non_exhaustive()
    }
}
