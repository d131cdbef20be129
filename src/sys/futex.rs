//! `futex(FUTEX_WAIT_BITSET | FUTEX_WAKE_BITSET)`, shared between processes: never
//! `FUTEX_PRIVATE_FLAG`.

use super::Errno;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// `FUTEX_WAIT_BITSET`: sleeps while the word is `expected`, until somebody wakes one of `bits`;
/// until `until` of `CLOCK_MONOTONIC` at most. Returns early for any reason.
pub(crate) fn wait(word: &AtomicU32, expected: u32, bits: u32, until: u64) -> Result<(), Errno> {
    let limit = super::time::timespec(Duration::from_nanos(until));
    // SAFETY: the word is a live, aligned u32; the kernel reads it, and the timespec, during the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET,
            expected,
            &raw const limit,
            std::ptr::null::<u32>(),
            bits,
        )
    };
    if done == -1 { Err(Errno::last()) } else { Ok(()) }
}

/// `FUTEX_WAKE_BITSET`: wakes all who sleep with one of `bits`, and says how many.
pub(crate) fn wake(word: &AtomicU32, bits: u32) -> usize {
    let no_time = std::ptr::null::<libc::timespec>();
    let no_word = std::ptr::null::<u32>();
    // SAFETY: the kernel uses the address as a key and does not write through it.
    let woken = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE_BITSET,
            libc::c_int::MAX,
            no_time,
            no_word,
            bits,
        )
    };
    usize::try_from(woken).unwrap_or(0)
}
