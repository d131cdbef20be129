//! The ring of records of any length up to one given at creation.

use super::job::ByteJob;
use super::pusher::Pusher;
use super::recover::{self, Recovered};
use super::ring::{exchange_methods, exchange_options};
use super::slot::ByteSlot;
use super::taker::{Taken, Taker};
use crate::api::builder::{Builder, Sealed};
use crate::api::handle::handle_methods;
use crate::api::ring_methods::common_methods;
use crate::api::trusted::Trusted;
use crate::layout::exchange_view::Exchange;
use crate::layout::geometry::RECORD_LEN;
use crate::layout::header::Kind;
use crate::layout::slot::Layout;
use crate::region::{Error, Name, Region};
use crate::ring::RingError;
use std::sync::Arc;
use std::time::Duration;

const LEN: usize = RECORD_LEN as usize;

/// A FIFO of byte records, between any number of producers and consumers.
///
/// A record may be empty, and as long as [`max_record`](ByteRing::max_record): each slot has room for
/// that. Everything else is as with [`Ring`](super::Ring).
///
/// ```
/// use segring::mpmc::ByteRing;
/// # let name = format!("doc-mpmc-bytes-{}", std::process::id());
/// let ring = ByteRing::builder(&*name).capacity(64).max_record(1000).create()?;
/// let (mut tx, mut rx) = (ring.producer()?, ring.consumer()?);
/// tx.push(b"hello")?;
/// assert_eq!(rx.pop()?, b"hello");
/// ring.remove()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ByteRing {
    region: Arc<Region>,
}

impl Sealed for ByteRing {
    fn kind() -> Kind {
        Kind::MpmcBytes
    }
    fn payload() -> Option<(u64, u32)> {
        None
    }
    fn default_layout() -> Layout {
        Layout::Dense
    }
    fn default_capacity() -> usize {
        1024
    }
    #[allow(private_interfaces)]
    fn from_region(region: Arc<Region>) -> Self {
        Self { region }
    }
}

impl Builder<ByteRing> {
    exchange_options!();

    /// The longest record, in bytes, at least 1. Each slot has room for it. Who attaches takes what is
    /// there. Default: 4096.
    pub fn max_record(mut self, bytes: usize) -> Self {
        self.max_record = bytes;
        self
    }
}

impl ByteRing {
    /// Starts the settings of a ring. `capacity` is in records.
    pub fn builder(name: impl Into<Name>) -> Builder<Self> {
        Builder::new(name)
    }

    /// Takes a seat to push, as [`Ring::producer`](super::Ring::producer).
    ///
    /// # Errors
    /// As [`Ring::producer`](super::Ring::producer).
    pub fn producer(&self) -> Result<ByteProducer, Error> {
        Pusher::join(&self.region).map(|core| ByteProducer { core, max: self.max_record() })
    }

    /// Takes a seat to pop, as [`Ring::consumer`](super::Ring::consumer).
    ///
    /// # Errors
    /// As [`Ring::producer`](super::Ring::producer).
    pub fn consumer(&self) -> Result<ByteConsumer, Error> {
        Taker::join(&self.region).map(|core| ByteConsumer { core, max: self.max_record() })
    }

    /// The longest record, in bytes.
    pub fn max_record(&self) -> usize {
        self.region.geometry().shape.payload_size as usize
    }

    exchange_methods!();
    common_methods!();
}

impl std::fmt::Debug for ByteRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByteRing")
            .field("name", self.region.name())
            .field("id", &self.region.shm_id())
            .finish()
    }
}

/// A pushing side of a [`ByteRing`]. As [`Producer`](super::Producer), for records.
pub struct ByteProducer {
    core: Pusher,
    max: usize,
}

impl ByteProducer {
    fn write(&mut self, record: &[u8]) -> Result<(), RingError> {
        if record.len() > self.max {
            return Err(RingError::TooLong);
        }
        let slot = self.core.slot()?;
        let memory = self.core.memory();
        memory.write(slot, &(record.len() as u64));
        memory.write_bytes(slot, LEN, record);
        Ok(())
    }

    /// Pushes one record. Lock-free.
    ///
    /// # Errors
    /// [`Full`](RingError::Full), [`TooLong`](RingError::TooLong), [`Closed`](RingError::Closed),
    /// [`Corrupt`](RingError::Corrupt), [`Forked`](RingError::Forked).
    #[inline]
    pub fn try_push(&mut self, record: &[u8]) -> Result<(), RingError> {
        self.write(record)?;
        self.core.publish()
    }

    /// Pushes one record; waits while the ring is full. Blocking.
    ///
    /// # Errors
    /// As [`Producer::push`](super::Producer::push), and [`TooLong`](RingError::TooLong).
    #[inline]
    pub fn push(&mut self, record: &[u8]) -> Result<(), RingError> {
        match self.try_push(record) {
            Err(RingError::Full) => self.wait_and_push(record, None),
            other => other,
        }
    }

    /// The same, for a limited time.
    ///
    /// # Errors
    /// As [`push`](ByteProducer::push), and [`TimedOut`](RingError::TimedOut).
    pub fn push_timeout(&mut self, record: &[u8], timeout: Duration) -> Result<(), RingError> {
        match self.try_push(record) {
            Err(RingError::Full) => self.wait_and_push(record, self.core.deadline(timeout)),
            other => other,
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_and_push(&mut self, record: &[u8], deadline: Option<u64>) -> Result<(), RingError> {
        self.core.wait_for_hand(deadline)?;
        self.write(record)?;
        self.core.wait_and_publish(deadline)
    }

    /// Waits until there is room; pushes nothing. As
    /// [`Producer::wait_for_room`](super::Producer::wait_for_room).
    ///
    /// # Errors
    /// As [`push_timeout`](ByteProducer::push_timeout).
    pub fn wait_for_room(&mut self, timeout: Option<Duration>) -> Result<(), RingError> {
        let deadline = timeout.and_then(|t| self.core.deadline(t));
        self.core.wait_for_room(deadline)
    }

    /// Closes the ring for good, as [`Producer::close`](super::Producer::close).
    ///
    /// # Errors
    /// As [`Producer::close`](super::Producer::close).
    pub fn close(&mut self) -> Result<(), RingError> {
        self.core.close()
    }

    /// Whether the ring is closed.
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    handle_methods!(core);
}

impl Trusted<ByteProducer> {
    /// The slot that the next record is published from, to be built in place, as
    /// [`slot`](Trusted::slot) of a typed ring: all of its `max_record` bytes.
    ///
    /// # Errors
    /// As [`slot`](Trusted::slot) of a typed ring.
    ///
    /// ```
    /// # use segring::mpmc::ByteRing;
    /// # let name = format!("doc-mpmc-byte-slot-{}", std::process::id());
    /// # let ring = ByteRing::builder(&*name).capacity(4).max_record(1 << 20).create()?;
    /// // SAFETY: nobody writes into this segment except through segring.
    /// let mut tx = unsafe { ring.producer()?.trust_peers() };
    /// let mut frame = tx.byte_slot()?;
    /// frame[..640].fill(7);
    /// frame.publish(640)?;
    /// // SAFETY: as above.
    /// let mut rx = unsafe { ring.consumer()?.trust_peers() };
    /// let frame = rx.take()?;
    /// assert_eq!(*frame, [7; 640]);
    /// frame.release();
    /// # ring.remove()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn byte_slot(&mut self) -> Result<ByteSlot<'_>, RingError> {
        let trust = self.handle.core.member.trusted()?;
        self.handle.core.slot()?;
        Ok(ByteSlot::new(&mut self.handle.core, trust, self.handle.max))
    }
}

/// A popping side of a [`ByteRing`]. As [`Consumer`](super::Consumer), for records.
pub struct ByteConsumer {
    core: Taker,
    max: usize,
}

/// How long the record in a slot is, if it can be (I5).
fn length(memory: Exchange<'_>, slot: u32, max: usize) -> Result<usize, RingError> {
    let len: u64 = memory.read(slot);
    usize::try_from(len).ok().filter(|len| *len <= max).ok_or(RingError::Corrupt)
}

impl ByteConsumer {
    /// Reads a record where it lies. One whose length cannot be is given up.
    fn read(max: usize, into: &mut Vec<u8>) -> impl FnMut(Exchange<'_>, u32) -> Result<(), RingError> {
        move |memory, slot| {
            let len = length(memory, slot, max)?;
            into.clear();
            memory.read_bytes(slot, LEN, len, into);
            Ok(())
        }
    }

    /// Pops one record into `into`, which it replaces. Lock-free, but for growing the vector. As
    /// [`Consumer::try_pop`](super::Consumer::try_pop).
    ///
    /// # Errors
    /// As [`Consumer::try_pop`](super::Consumer::try_pop); `into` is untouched then.
    #[inline]
    pub fn try_pop_into(&mut self, into: &mut Vec<u8>) -> Result<(), RingError> {
        self.core.try_pop(Self::read(self.max, into))?
    }

    /// Pops one record into a vector of its own. Lock-free, but for the allocation.
    ///
    /// # Errors
    /// As [`try_pop_into`](ByteConsumer::try_pop_into).
    pub fn try_pop(&mut self) -> Result<Vec<u8>, RingError> {
        let mut record = Vec::new();
        self.try_pop_into(&mut record)?;
        Ok(record)
    }

    /// Pops one record into `into`, which it replaces; waits while there is none. Blocking.
    ///
    /// # Errors
    /// As [`Consumer::pop`](super::Consumer::pop); `into` is untouched then.
    #[inline]
    pub fn pop_into(&mut self, into: &mut Vec<u8>) -> Result<(), RingError> {
        self.core.pop(Self::read(self.max, into), |_| None)?
    }

    /// The same, for a limited time.
    ///
    /// # Errors
    /// As [`pop_into`](ByteConsumer::pop_into), and [`TimedOut`](RingError::TimedOut).
    pub fn pop_into_timeout(&mut self, into: &mut Vec<u8>, timeout: Duration) -> Result<(), RingError> {
        self.core.pop(Self::read(self.max, into), |member| member.deadline(timeout))?
    }

    /// Pops one record into a vector of its own; waits while there is none. Blocking.
    ///
    /// # Errors
    /// As [`pop_into`](ByteConsumer::pop_into).
    pub fn pop(&mut self) -> Result<Vec<u8>, RingError> {
        let mut record = Vec::new();
        self.pop_into(&mut record)?;
        Ok(record)
    }

    /// The same, for a limited time.
    ///
    /// # Errors
    /// As [`pop_into_timeout`](ByteConsumer::pop_into_timeout).
    pub fn pop_timeout(&mut self, timeout: Duration) -> Result<Vec<u8>, RingError> {
        let mut record = Vec::new();
        self.pop_into_timeout(&mut record, timeout)?;
        Ok(record)
    }

    /// Waits until there is a record; takes none. As
    /// [`Consumer::wait_for_message`](super::Consumer::wait_for_message).
    ///
    /// # Errors
    /// As [`pop_into_timeout`](ByteConsumer::pop_into_timeout).
    pub fn wait_for_message(&mut self, timeout: Option<Duration>) -> Result<(), RingError> {
        let deadline = timeout.and_then(|t| self.core.deadline(t));
        self.core.wait_for_message(deadline)
    }

    /// Whether the last record that this consumer popped had been taken before. As
    /// [`Consumer::redelivered`](super::Consumer::redelivered).
    pub fn redelivered(&self) -> bool {
        self.core.redelivered
    }

    /// Whether the ring is closed. Records may still be in it.
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    handle_methods!(core);
}

impl Trusted<ByteConsumer> {
    /// Takes one record, as [`Trusted::try_take`] of a typed ring.
    ///
    /// # Errors
    /// As there.
    pub fn try_take(&mut self) -> Result<ByteJob, RingError> {
        self.handle.core.member.trusted()?;
        let taken = self.handle.core.try_take()?;
        self.hold(taken)
    }

    /// The same; waits while there is none. Blocking.
    ///
    /// # Errors
    /// As [`Trusted::take`] of a typed ring.
    pub fn take(&mut self) -> Result<ByteJob, RingError> {
        self.handle.core.member.trusted()?;
        let taken = self.handle.core.take(|_| None)?;
        self.hold(taken)
    }

    /// The same, for a limited time.
    ///
    /// # Errors
    /// As [`Trusted::take_timeout`] of a typed ring.
    pub fn take_timeout(&mut self, timeout: Duration) -> Result<ByteJob, RingError> {
        self.handle.core.member.trusted()?;
        let taken = self.handle.core.take(|member| member.deadline(timeout))?;
        self.hold(taken)
    }

    fn hold(&mut self, taken: Taken) -> Result<ByteJob, RingError> {
        let trust = self.handle.core.member.trusted()?;
        let max = self.handle.max;
        let held = self.handle.core.hold(taken).ok_or(RingError::HandsFull)?;
        let (_, hand) = &held.0;
        let len = length(self.core.memory(), hand.slot().0, max);
        let job = ByteJob::new(held, trust, *len.as_ref().unwrap_or(&0));
        if len.is_err() {
            // Given up: nobody could read it.
            job.release();
            return Err(RingError::Corrupt);
        }
        Ok(job)
    }
}

impl std::fmt::Debug for ByteProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByteProducer").field("max_record", &self.max).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ByteConsumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByteConsumer").field("max_record", &self.max).finish_non_exhaustive()
    }
}
