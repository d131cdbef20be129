//! What the participants of a crowd share besides the queue: a gate that opens when all are there,
//! and how many producers have ended. Nobody else takes part in a run, least of all the parent.

use crate::memory::TWO_LINES;
use crate::pause::{Patience, Pause};
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// A word on lines of its own.
#[derive(Default)]
#[repr(C, align(128))]
struct Word(AtomicU32);
const _: () = assert!(size_of::<Word>() == TWO_LINES);

/// All zeros at first.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Words {
    /// How many stand before the gate.
    here: Word,
    /// How often it has opened.
    opened: Word,
    /// How many producers have ended.
    ended: Word,
}

/// For threads, or mapped by each process.
#[derive(Clone)]
pub(crate) enum Gate {
    Own(Arc<Words>),
    /// Until the process ends.
    Mapped(&'static Words),
}

/// How many looks are made before sleeping.
const LOOKS: u32 = 200;

impl Gate {
    /// Parent: for as many processes as get its descriptor.
    pub(crate) fn make() -> Result<OwnedFd> {
        let file = memfd_create("segring-bench-gate", MFdFlags::MFD_CLOEXEC).context("memfd_create")?;
        nix::unistd::ftruncate(&file, size_of::<Words>() as i64).context("ftruncate")?;
        Ok(file)
    }

    /// Worker: the one behind this descriptor.
    pub(crate) fn open(file: &OwnedFd) -> Result<Self> {
        let bytes = NonZeroUsize::new(size_of::<Words>()).context("an empty gate")?;
        let access = nix::sys::mman::ProtFlags::PROT_READ | nix::sys::mman::ProtFlags::PROT_WRITE;
        let shared = nix::sys::mman::MapFlags::MAP_SHARED;
        // SAFETY: a new mapping, where the kernel wants it.
        let memory: NonNull<_> =
            unsafe { nix::sys::mman::mmap(None, bytes, access, shared, file, 0) }.context("mmap")?;
        // SAFETY: as large as asked for, zeros at first, aligned to a page, and never unmapped; only
        // atomics are in it.
        Ok(Self::Mapped(unsafe { memory.cast().as_ref() }))
    }

    /// For threads of this process.
    pub(crate) fn new() -> Self {
        Self::Own(Arc::default())
    }

    /// Waits until all are here. The last one opens the gate, and goes first.
    pub(crate) fn pass(&self, all: u32) -> Result<()> {
        let Words { here, opened, .. } = &**self;
        // Relaxed: it opens again only when this one is here.
        let before = opened.0.load(Relaxed);
        // AcqRel: whatever was done before the gate is seen behind it.
        if here.0.fetch_add(1, AcqRel) + 1 == all {
            here.0.store(0, Relaxed);
            opened.0.store(before.wrapping_add(1), Release);
            return futex(&opened.0, libc::FUTEX_WAKE, i32::MAX as u32);
        }
        let mut patience = Patience::new(Pause::Spin);
        for _ in 0..LOOKS {
            if opened.0.load(Acquire) != before {
                return Ok(());
            }
            patience.wait();
        }
        while opened.0.load(Acquire) == before {
            futex(&opened.0, libc::FUTEX_WAIT, before)?;
        }
        Ok(())
    }

    /// A producer has sent all it had to. Whether it is the last of so many.
    pub(crate) fn last(&self, producers: u32) -> bool {
        let ended = &self.ended.0;
        // AcqRel: what the others have sent is in the queue before what the last one sends now.
        let last = ended.fetch_add(1, AcqRel) + 1 == producers;
        if last {
            // Before the next run, which begins when this one's end mark has come.
            ended.store(0, Relaxed);
        }
        last
    }
}

impl Deref for Gate {
    type Target = Words;

    fn deref(&self) -> &Words {
        match self {
            Self::Own(words) => words,
            Self::Mapped(words) => words,
        }
    }
}

/// Sleeps while the word has this value, or wakes so many sleepers.
fn futex(word: &AtomicU32, operation: i32, value: u32) -> Result<()> {
    let forever = std::ptr::null::<libc::timespec>();
    // SAFETY: the word is there for the whole call.
    let result = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, forever) };
    match Errno::result(result) {
        Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => Ok(()),
        Err(e) => Err(e).context("futex"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_passes_before_all_are_here() {
        const ALL: u32 = 5;
        let file = Gate::make().unwrap();
        for gate in [Gate::new(), Gate::open(&file).unwrap()] {
            let arrived = AtomicU32::new(0);
            let lasts = AtomicU32::new(0);
            std::thread::scope(|scope| {
                for _ in 0..ALL {
                    scope.spawn(|| {
                        for run in 1..=20 {
                            arrived.fetch_add(1, AcqRel);
                            gate.pass(ALL).unwrap();
                            assert!(arrived.load(Acquire) >= run * ALL);
                            lasts.fetch_add(u32::from(gate.last(ALL)), AcqRel);
                        }
                    });
                }
            });
            assert_eq!(lasts.into_inner(), 20);
        }
    }
}
