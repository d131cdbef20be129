//! Sleeping and waking through the kernel, on words that lie in a segment.

use crate::sync::{AtomicU32, Ordering, RMW_NEEDS_FENCE, fence};
use crate::sys::{Errno, futex, membarrier, time};

/// Why a sleep ended, if nobody ended it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NotWoken {
    /// The word was not what the sleeper had seen.
    Changed,
    TimeOrSignal,
}

/// This process's way to sleep on a word and to wake who sleeps on one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parking {
    /// Others' membarrier does not reach this process, so it fences after each publish.
    fences: bool,
}

impl Parking {
    /// Registers this process for `membarrier`, if the kernel has it.
    pub(crate) fn new() -> Self {
        Self { fences: !membarrier::register() }
    }

    /// For publishes by read-modify-write, which are a barrier themselves, or are followed by a fence:
    /// their waiters need no `membarrier`.
    pub(crate) fn after_rmw() -> Self {
        Self { fences: RMW_NEEDS_FENCE }
    }

    #[inline(always)]
    pub(crate) fn must_fence(self) -> bool {
        self.fences
    }

    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub(crate) fn now(self) -> u64 {
        time::monotonic()
    }

    /// The same, as it was a few milliseconds ago at most: cheaper.
    pub(crate) fn about_now(self) -> u64 {
        time::monotonic_coarse()
    }

    /// Sleeps while the word is `seen`, until somebody wakes one of `bits`; until `until` at most.
    pub(crate) fn sleep(self, word: &AtomicU32, seen: u32, bits: u32, until: u64) -> Result<(), NotWoken> {
        futex::wait(word, seen, bits, until).map_err(|e| match e {
            Errno(libc::EAGAIN) => NotWoken::Changed,
            _ => NotWoken::TimeOrSignal,
        })
    }

    /// Wakes who sleeps on the word with one of `bits`. `false`: nobody did.
    pub(crate) fn wake(self, word: &AtomicU32, bits: u32) -> bool {
        futex::wake(word, bits) > 0
    }

    /// Gives the core to another process that can run.
    pub(crate) fn yield_now(self) {
        std::thread::yield_now();
    }

    /// The heavy barrier: reaches every registered process; the others fence for themselves.
    pub(crate) fn barrier(self) -> bool {
        membarrier::barrier() || {
            // SeqCst: the best that is left; the waiter sleeps a short time only.
            fence(Ordering::SeqCst);
            false
        }
    }
}
