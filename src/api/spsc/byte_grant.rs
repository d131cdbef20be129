//! Records in place.

use super::consumer::unless_closed;
use super::{ByteConsumer, ByteProducer};
use crate::api::link::Role;
use crate::api::trusted::Trusted;
use crate::layout::view::Trust;
use crate::ring::RingError;
use crate::ring::spsc::bytes::Found;
use std::ops::{Deref, DerefMut};

impl Trusted<ByteProducer> {
    /// Lends room for a record of up to `len` bytes, in one piece. Wait-free.
    ///
    /// Dropping the grant, or being killed with it, commits nothing.
    ///
    /// # Errors
    /// As [`ByteProducer::try_push`].
    #[inline]
    pub fn reserve(&mut self, len: usize) -> Result<ByteWriteGrant<'_>, RingError> {
        self.handle.check()?;
        let trust = self.handle.link.trusted()?;
        let skip = self.handle.engine.room(self.handle.link.cursors(), len)?;
        Ok(ByteWriteGrant { handle: &mut self.handle, trust, skip, len })
    }
}

/// Room for a record, to be written where it will be read. Derefs to its bytes; to none in a forked
/// child, which does not have them.
#[must_use = "nothing is committed before commit"]
pub struct ByteWriteGrant<'a> {
    handle: &'a mut ByteProducer,
    trust: Trust,
    skip: u64,
    len: usize,
}

impl ByteWriteGrant<'_> {
    /// Commits the first `len` bytes (all, if there are fewer) as one record, and says how many.
    #[inline]
    pub fn commit(self, len: usize) -> usize {
        let ByteProducer { engine, link, .. } = self.handle;
        if link.check().is_err() {
            return 0;
        }
        let len = len.min(self.len);
        engine.commit(link.cursors(), self.skip, len);
        link.wake(Role::Consumer);
        len
    }
}

impl Deref for ByteWriteGrant<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let ByteProducer { engine, link, .. } = &*self.handle;
        if link.check().is_err() {
            return &[];
        }
        engine.bytes.slice(self.trust, engine.payload_position(self.skip), self.len)
    }
}

impl DerefMut for ByteWriteGrant<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        let ByteProducer { engine, link, .. } = &mut *self.handle;
        if link.check().is_err() {
            return &mut [];
        }
        let at = engine.payload_position(self.skip);
        engine.bytes.slice_mut(self.trust, at, self.len)
    }
}

impl Trusted<ByteConsumer> {
    /// Lends the next record, to be read where it lies. Wait-free.
    ///
    /// Dropping the grant releases nothing; a killed consumer's record comes again.
    ///
    /// # Errors
    /// As [`ByteConsumer::try_pop`].
    #[inline]
    pub fn read(&mut self) -> Result<ByteReadGrant<'_>, RingError> {
        let ByteConsumer { engine, link } = &mut self.handle;
        link.check()?;
        let trust = link.trusted()?;
        let found = unless_closed!(link, engine.next(link.cursors()))?;
        Ok(ByteReadGrant { handle: &mut self.handle, trust, found })
    }
}

/// A record, to be read where it lies. Derefs to its bytes; to none in a forked child, which does
/// not have them.
#[must_use = "nothing is released before release"]
pub struct ByteReadGrant<'a> {
    handle: &'a mut ByteConsumer,
    trust: Trust,
    found: Found,
}

impl ByteReadGrant<'_> {
    /// Gives the record's room back to the producer.
    #[inline]
    pub fn release(self) {
        let ByteConsumer { engine, link } = self.handle;
        if link.check().is_ok() {
            engine.release(link.cursors(), self.found);
            link.wake(Role::Producer);
        }
    }
}

impl Deref for ByteReadGrant<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let ByteConsumer { engine, link } = &*self.handle;
        if link.check().is_err() {
            return &[];
        }
        engine.bytes.slice(self.trust, self.found.position, self.found.len)
    }
}
