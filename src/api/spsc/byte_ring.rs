//! The ring of records of any length.

use super::consumer::{not_yet, unless_closed};
use crate::api::builder::{Builder, Sealed};
use crate::api::handle::handle_methods;
use crate::api::link::{Link, Role};
use crate::api::ring_methods::common_methods;
use crate::layout::header::Kind;
use crate::layout::slot::Layout;
use crate::layout::view::ByteSlots;
use crate::region::{Context, Error, Name, Region};
use crate::ring::spsc::bytes::{self, Receiver, Sender};
use crate::ring::{RingError, wait};
use crossbeam_utils::CachePadded;
use std::sync::Arc;
use std::time::Duration;

/// A FIFO of byte records of any length, between one producer and one consumer.
///
/// A record takes 8 bytes and its length, rounded up to 8; it may be empty, and as long as
/// [`max_record`](ByteRing::max_record): half the capacity, less 8 bytes. Records keep their
/// boundaries. Everything else is as with [`Ring`](super::Ring).
///
/// ```
/// use segring::spsc::ByteRing;
/// # let name = format!("doc-bytes-{}", std::process::id());
/// let ring = ByteRing::builder(&*name).capacity(1 << 16).create()?;
/// let (mut tx, mut rx) = (ring.producer()?, ring.consumer()?);
/// tx.push(b"hello")?;
/// let mut record = Vec::new();
/// rx.pop_into(&mut record)?;
/// assert_eq!(record, b"hello");
/// ring.remove()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ByteRing {
    region: Arc<Region>,
}

impl Sealed for ByteRing {
    fn kind() -> Kind {
        Kind::SpscBytes
    }
    fn payload() -> Option<(u64, u32)> {
        Some((1, 1))
    }
    fn default_layout() -> Layout {
        Layout::Dense
    }
    fn default_capacity() -> usize {
        1 << 20
    }
    #[allow(private_interfaces)]
    fn from_region(region: Arc<Region>) -> Self {
        Self { region }
    }
}

impl ByteRing {
    /// Starts the settings of a ring. `capacity` is in bytes; `layout` is of no effect.
    pub fn builder(name: impl Into<Name>) -> Builder<Self> {
        Builder::new(name)
    }

    /// Takes the producer's seat, also that of one that left or died; goes on at its position.
    ///
    /// # Errors
    /// As [`Ring::producer`](super::Ring::producer).
    pub fn producer(&self) -> Result<ByteProducer, Error> {
        let link = Link::join(&self.region, Role::Producer)?;
        let engine = Sender::resume(self.region.byte_slots(), link.cursors()).map_err(|_| self.corrupt())?;
        let closed = link.is_closed();
        Ok(ByteProducer { engine: engine.into(), link, closed })
    }

    /// Takes the consumer's seat, also that of one that left or died; goes on at its position.
    ///
    /// # Errors
    /// As [`Ring::producer`](super::Ring::producer).
    pub fn consumer(&self) -> Result<ByteConsumer, Error> {
        let link = Link::join(&self.region, Role::Consumer)?;
        let engine =
            Receiver::resume(self.region.byte_slots(), link.cursors()).map_err(|_| self.corrupt())?;
        Ok(ByteConsumer { engine: engine.into(), link })
    }

    fn corrupt(&self) -> Error {
        Error::Corrupt { ring: Context::new(self.region.name()).ring() }
    }

    /// How many bytes fit, headers included: a power of two.
    pub fn capacity(&self) -> usize {
        self.region.geometry().shape.capacity as usize
    }

    /// The longest record: half the capacity, less 8 bytes.
    pub fn max_record(&self) -> usize {
        bytes::max_record(self.region.geometry().shape.capacity)
    }

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

/// The pushing side of a [`ByteRing`]. As [`Producer`](super::Producer), for records.
pub struct ByteProducer {
    pub(crate) engine: CachePadded<Sender<ByteSlots>>,
    pub(crate) link: Link,
    closed: bool,
}

impl ByteProducer {
    #[inline(always)]
    pub(crate) fn check(&self) -> Result<(), RingError> {
        self.link.check()?;
        if self.closed { Err(RingError::Closed) } else { Ok(()) }
    }

    /// Pushes one record. Wait-free.
    ///
    /// # Errors
    /// [`Full`](RingError::Full), [`TooLong`](RingError::TooLong), [`Closed`](RingError::Closed),
    /// [`Corrupt`](RingError::Corrupt), [`Forked`](RingError::Forked).
    #[inline]
    pub fn try_push(&mut self, record: &[u8]) -> Result<(), RingError> {
        self.check()?;
        self.engine.try_push(self.link.cursors(), record)?;
        self.link.wake(Role::Consumer);
        Ok(())
    }

    /// Pushes one record; waits while there is no room for it. Blocking.
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
            Err(RingError::Full) => self.wait_and_push(record, self.link.deadline(timeout)),
            other => other,
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_and_push(&mut self, record: &[u8], deadline: Option<u64>) -> Result<(), RingError> {
        let Self { engine, link, .. } = self;
        let waiter = link.waiter(engine.position(), deadline);
        wait::until(&*link, &waiter, || not_yet(engine.try_push(link.cursors(), record)))?;
        link.wake(Role::Consumer);
        Ok(())
    }

    /// Waits until a record of `len` bytes fits; pushes nothing. `None` waits for ever. Blocking.
    ///
    /// # Errors
    /// As [`push_timeout`](ByteProducer::push_timeout).
    pub fn wait_for_room(&mut self, len: usize, timeout: Option<Duration>) -> Result<(), RingError> {
        self.check()?;
        let Self { engine, link, .. } = self;
        let deadline = timeout.and_then(|t| link.deadline(t));
        let waiter = link.waiter(engine.position(), deadline);
        wait::until(&*link, &waiter, || not_yet(engine.room(link.cursors(), len).map(drop)))
    }

    /// Waits until the consumer has released everything. `None` waits for ever. Blocking. Also on
    /// a ring that this producer has closed.
    ///
    /// # Errors
    /// As [`push_timeout`](ByteProducer::push_timeout).
    pub fn wait_until_drained(&mut self, timeout: Option<Duration>) -> Result<(), RingError> {
        self.link.check()?;
        let Self { engine, link, .. } = self;
        let deadline = timeout.and_then(|t| link.deadline(t));
        wait::until(&*link, &link.waiter(engine.position(), deadline), || {
            Ok((engine.used(&link.cursors().consumer)? == 0).then_some(()))
        })
    }

    /// Records committed since the ring was created, by all its producers.
    pub fn position(&self) -> u64 {
        self.engine.position()
    }

    /// Closes the ring for good, as [`Producer::close`](super::Producer::close).
    pub fn close(&mut self) {
        if self.link.check().is_ok() {
            self.closed = true;
            self.link.close();
        }
    }

    /// Whether the ring is closed.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    handle_methods!(link);
}

/// The popping side of a [`ByteRing`]. As [`Consumer`](super::Consumer), for records.
pub struct ByteConsumer {
    pub(crate) engine: CachePadded<Receiver<ByteSlots>>,
    pub(crate) link: Link,
}

impl ByteConsumer {
    /// Pops one record into `into`, which it replaces. Wait-free, but for growing the vector.
    ///
    /// # Errors
    /// As [`Consumer::try_pop`](super::Consumer::try_pop); `into` is untouched then.
    #[inline]
    pub fn try_pop_into(&mut self, into: &mut Vec<u8>) -> Result<(), RingError> {
        self.link.check()?;
        let Self { engine, link } = self;
        unless_closed!(link, engine.try_pop(link.cursors(), into))?;
        link.wake(Role::Producer);
        Ok(())
    }

    /// Pops one record into a vector of its own. Wait-free, but for the allocation.
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
        match self.try_pop_into(into) {
            Err(RingError::Empty) => self.wait_and_pop(into, None),
            other => other,
        }
    }

    /// The same, for a limited time.
    ///
    /// # Errors
    /// As [`pop_into`](ByteConsumer::pop_into), and [`TimedOut`](RingError::TimedOut).
    pub fn pop_into_timeout(&mut self, into: &mut Vec<u8>, timeout: Duration) -> Result<(), RingError> {
        match self.try_pop_into(into) {
            Err(RingError::Empty) => self.wait_and_pop(into, self.link.deadline(timeout)),
            other => other,
        }
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

    #[cold]
    #[inline(never)]
    fn wait_and_pop(&mut self, into: &mut Vec<u8>, deadline: Option<u64>) -> Result<(), RingError> {
        let Self { engine, link } = self;
        wait::until(&*link, &link.waiter(engine.position(), deadline), || {
            not_yet(unless_closed!(link, engine.try_pop(link.cursors(), into)))
        })?;
        link.wake(Role::Producer);
        Ok(())
    }

    /// Waits until there is a record; takes none. `None` waits for ever. Blocking.
    ///
    /// # Errors
    /// As [`pop_into_timeout`](ByteConsumer::pop_into_timeout).
    pub fn wait_for_message(&mut self, timeout: Option<Duration>) -> Result<(), RingError> {
        self.link.check()?;
        let Self { engine, link } = self;
        wait::until(&*link, &link.waiter(engine.position(), timeout.and_then(|t| link.deadline(t))), || {
            not_yet(unless_closed!(link, engine.next(link.cursors()).map(drop)))
        })
    }

    /// Records released since the ring was created, by all its consumers.
    pub fn position(&self) -> u64 {
        self.engine.position()
    }

    /// Whether the producer has closed the ring. Records may still be in it.
    pub fn is_closed(&self) -> bool {
        self.link.check().is_ok() && self.link.is_closed()
    }

    handle_methods!(link);
}

impl std::fmt::Debug for ByteProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByteProducer").field("position", &self.position()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ByteConsumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByteConsumer").field("position", &self.position()).finish_non_exhaustive()
    }
}
