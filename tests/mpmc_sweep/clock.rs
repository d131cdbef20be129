//! This executable's own `clock_gettime`, which the linker takes before libc's: a child that is led
//! instruction by instruction has a clock of its own, which moves only when it is read.
//!
//! It starts long ago. So a sleep "until then" is over for the kernel before it begins: all of the
//! slow path is gone through, and nobody sleeps.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// What each reading adds, in nanoseconds. 0: the kernel's clock.
static STEP: AtomicU64 = AtomicU64::new(0);
static NOW: AtomicU64 = AtomicU64::new(1_000_000_000);

/// A wait of `WAIT` takes some looks, and more than one recheck (100 ms).
const READING: u64 = 30_000_000;
pub(crate) const WAIT: std::time::Duration = std::time::Duration::from_millis(250);

/// From now on this process has its own clock.
pub(crate) fn inject() {
    STEP.store(READING, SeqCst);
}

/// Much later.
pub(crate) fn jump() {
    NOW.fetch_add(1_000_000_000, SeqCst);
}

/// libc's `clock_gettime`, but for the monotonic clock of a process that has called [`inject`].
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    let step = STEP.load(SeqCst);
    if step == 0 || ![libc::CLOCK_MONOTONIC, libc::CLOCK_MONOTONIC_COARSE].contains(&clock) {
        // SAFETY: the caller's promise.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) } as libc::c_int;
    }
    let now = NOW.fetch_add(step, SeqCst);
    let (tv_sec, tv_nsec) = ((now / 1_000_000_000) as _, (now % 1_000_000_000) as _);
    // SAFETY: the caller's promise: room for one timespec.
    unsafe { time.write(libc::timespec { tv_sec, tv_nsec }) };
    0
}
