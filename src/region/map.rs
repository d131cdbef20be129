//! One attachment of a segment.

use super::error::{Context, Error};
use super::fork::ForkToken;
use crate::layout::header::{HEADER_LEN, Header, READY_OFFSET};
use crate::sync::shared::{copy_in, copy_out};
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};
use crate::sys::{Errno, memory, shm};
use std::ptr::NonNull;
use zerocopy::FromZeros;

/// An attached segment, of at least [`HEADER_LEN`] bytes. Detached on drop, but not by a child
/// that inherited it: there the address may mean something else.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
    id: shm::ShmId,
    read_only: bool,
    token: ForkToken,
    detached: bool,
}

// SAFETY: the mapping is memory of the process, not of a thread; what is in it is reached through
// atomics and the copy routine only.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `shmat`, and keeps the mapping out of children and core dumps.
    pub(crate) fn attach(
        id: shm::ShmId,
        len: usize,
        read_only: bool,
        cx: &Context<'_>,
    ) -> Result<Self, Error> {
        if len < HEADER_LEN {
            return Err(
                cx.not_segring(format!("the segment has {len} bytes, a ring has at least {HEADER_LEN}"))
            );
        }
        let token = ForkToken::current(cx)?;
        let base = shm::attach(id, read_only).map_err(|e| cx.os("shmat", e))?;
        let mapping = Self { base, len, id, read_only, token, detached: false };
        // SAFETY: the mapping was made just above and is ours.
        unsafe { memory::dont_fork(base, len) }.map_err(|e| cx.os("madvise(MADV_DONTFORK)", e))?;
        // SAFETY: as above.
        unsafe { memory::dont_dump(base, len) }.map_err(|e| cx.os("madvise(MADV_DONTDUMP)", e))?;
        Ok(mapping)
    }

    pub(crate) fn id(&self) -> shm::ShmId {
        self.id
    }

    pub(crate) fn token(&self) -> ForkToken {
        self.token
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// An address inside the mapping. Offsets beyond it are a bug of this crate.
    pub(crate) fn at(&self, offset: u64) -> NonNull<u8> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        assert!(offset < self.len, "offset {offset} lies outside the segment of {} bytes", self.len);
        // SAFETY: just asserted: inside the mapping.
        unsafe { self.base.add(offset) }
    }

    /// The ready mark, the only part of the header that is ever an atomic.
    pub(crate) fn ready(&self) -> &AtomicU32 {
        let at = self.at(READY_OFFSET as u64).as_ptr().cast();
        // SAFETY: inside the mapping, 4-aligned by the layout's assertions, and lives as long as `self`.
        unsafe { AtomicU32::from_ptr(at) }
    }

    /// A private copy of the header's bytes.
    pub(crate) fn read_header(&self) -> Header {
        let mut header = Header::new_zeroed();
        // SAFETY: the mapping has at least HEADER_LEN bytes; `header` is private and of that size.
        unsafe { copy_out((&raw mut header).cast(), self.base.as_ptr(), HEADER_LEN) };
        header
    }

    /// Writes the header. Its `ready` field must be 0: the mark is stored separately, at the end.
    pub(crate) fn write_header(&self, header: &Header) {
        debug_assert_eq!(header.ready, 0);
        let magic = self.at(0).as_ptr().cast();
        // SAFETY: inside the mapping, at its page-aligned start.
        let magic = unsafe { AtomicU64::from_ptr(magic) };
        // First of all, so that a look at a half-written header finds it: the copy below has no order.
        magic.store(header.magic, Ordering::Relaxed);
        // Release: SYNC(magic), pairs with the Acquire fence in `readiness`.
        fence(Ordering::Release);
        // SAFETY: the mapping has at least HEADER_LEN bytes and is writable (only creators come here).
        unsafe { copy_in(self.base.as_ptr(), std::ptr::from_ref(header).cast(), HEADER_LEN) };
    }

    /// Makes every page exist.
    pub(crate) fn populate(&self) -> Result<(), Errno> {
        // SAFETY: the mapping is ours, and callers hold it for writing.
        unsafe { memory::populate(self.base, self.len) }
    }

    /// Detaches before the drop. Says whether it did. Only for an owner that is being dropped.
    pub(crate) fn detach_early(&mut self) -> bool {
        if self.detached || !self.token.is_valid() {
            return false;
        }
        self.detached = true;
        // SAFETY: the mapping is ours, and its owner, who is being dropped, is the last user.
        unsafe { shm::detach(self.base) }.is_ok()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // The one error, EINVAL, would mean that it is gone already.
        self.detach_early();
    }
}
