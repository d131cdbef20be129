//! A segment and raw access to it, whose users trust each other fully.

use crate::keeper::Keeper;
use crate::transport::{Channel, End};
use crate::transports::sysv::{self, Object};
use anyhow::{Context, Result};
use nix::errno::Errno;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Bytes of a cache line; of two, which hardware prefetches together.
pub(crate) const LINE: usize = 64;
pub(crate) const TWO_LINES: usize = 128;

pub(crate) fn make(bytes: usize, keeper: &Rc<Keeper>) -> Result<Channel> {
    let segment = sysv::new_segment(bytes).context("shmget")?;
    Ok(Channel::by_ids(vec![segment], sysv::own(Object::Segment(segment), keeper)?.into()))
}

/// An attached segment. The process detaches by ending.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    base: NonNull<u8>,
    bytes: usize,
}

impl Memory {
    /// Attaches and makes every page present.
    pub(crate) fn open(end: &End, bytes: usize) -> Result<Self> {
        let [segment] = end.ids()?;
        Self::attach(segment, bytes)
    }

    /// The same, by its id.
    pub(crate) fn attach(segment: i32, bytes: usize) -> Result<Self> {
        // SAFETY: the kernel chooses the address.
        let base = unsafe { libc::shmat(segment, std::ptr::null(), 0) };
        if base.addr() == usize::MAX {
            return Err(Errno::last()).context("shmat");
        }
        let memory = Self { base: NonNull::new(base.cast()).context("shmat gave address 0")?, bytes };
        for offset in (0..bytes).step_by(4096) {
            memory.word(offset).load(std::sync::atomic::Ordering::Relaxed);
        }
        Ok(memory)
    }

    /// `N` words at `offset`, which is theirs alone while `N` and the offset say so.
    pub(crate) fn words<const N: usize>(self, offset: usize) -> NonNull<[u64; N]> {
        assert!(offset % 8 == 0 && offset + N * 8 <= self.bytes, "outside the segment");
        // SAFETY: within the segment, as asserted.
        unsafe { self.base.add(offset) }.cast()
    }

    pub(crate) fn word(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: within the segment and aligned, as `words` asserts; accessed as atomic only.
        unsafe { self.words::<1>(offset).cast().as_ref() }
    }

    pub(crate) fn half_word(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: as `word`.
        unsafe { self.words::<1>(offset).cast().as_ref() }
    }
}
