//! `futex(FUTEX_WAIT | FUTEX_WAKE)`, shared between processes: never `FUTEX_PRIVATE_FLAG`.

use super::Errno;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// `FUTEX_WAIT`: sleeps while the word still is `expected`; returns early for any reason.
pub(crate) fn wait(word: &AtomicU32, expected: u32, timeout: Duration) -> Result<(), Errno> {
    let limit = super::time::timespec(timeout);
    // SAFETY: the word is a live, aligned u32; the kernel reads it, and the timespec, during the call.
    let done = unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, &raw const limit)
    };
    if done == -1 { Err(Errno::last()) } else { Ok(()) }
}

/// `FUTEX_WAKE`: wakes at most `count` sleepers, and says how many it woke.
pub(crate) fn wake(word: &AtomicU32, count: i32) -> usize {
    // SAFETY: the kernel uses the address as a key and does not write through it.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
    usize::try_from(woken).unwrap_or(0)
}
