//! Sleeping and waking through the kernel, on words that lie in a segment.

use crate::sync::{AtomicU32, Ordering, fence};
use crate::sys::{futex, membarrier, time};
use std::time::Duration;

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

    #[inline(always)]
    pub(crate) fn must_fence(self) -> bool {
        self.fences
    }

    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub(crate) fn now(self) -> u64 {
        time::monotonic()
    }

    /// Sleeps while the word is `expected`, at most `nanos`.
    pub(crate) fn sleep(self, word: &AtomicU32, expected: u32, nanos: u64) {
        // Woken, timed out, interrupted, or the word had changed: the waiter looks again anyway.
        let _ = futex::wait(word, expected, Duration::from_nanos(nanos));
    }

    pub(crate) fn wake(self, word: &AtomicU32) {
        futex::wake(word, 1);
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
