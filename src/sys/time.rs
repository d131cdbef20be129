//! `clock_gettime`.

use std::time::Duration;

fn read(clock: libc::clockid_t) -> u64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec, which lives on this stack. The clocks used here always exist.
    unsafe { libc::clock_gettime(clock, &raw mut ts) };
    (ts.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(ts.tv_nsec as u64)
}

/// `CLOCK_MONOTONIC` in nanoseconds: the same clock for all processes of the machine.
pub(crate) fn monotonic() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// The same clock as it was at the last tick, a few milliseconds ago at most: much cheaper to read.
pub(crate) fn monotonic_coarse() -> u64 {
    read(libc::CLOCK_MONOTONIC_COARSE)
}

/// `CLOCK_REALTIME` in nanoseconds since 1970: for people, never for deadlines.
pub(crate) fn realtime() -> u64 {
    read(libc::CLOCK_REALTIME)
}

/// As the kernel takes it. Longer than 68 years is cut to that: `tv_sec` cannot overflow.
pub(crate) fn timespec(d: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: d.as_secs().min(i32::MAX as u64) as libc::time_t,
        tv_nsec: d.subsec_nanos() as libc::c_long,
    }
}
