//! A thread that is held up once, wherever it is: by a signal, whose handler sleeps for a moment. A call
//! takes less than a microsecond; without this hardly any two would overlap on a small machine.

use nix::sys::signal::{SaFlags, SigAction, SigEvent, SigHandler, SigSet, SigevNotify, Signal, sigaction};
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use std::time::Duration;

const SIGNAL: Signal = Signal::SIGUSR1;

extern "C" fn hold_up(_: libc::c_int) {
    // As short as the kernel makes it: some 50 µs.
    let moment = libc::timespec { tv_sec: 0, tv_nsec: 1 };
    // SAFETY: reads one timespec, writes nothing, and may be called in a signal handler. It succeeds, and so
    // leaves errno as it is.
    unsafe { libc::nanosleep(&raw const moment, std::ptr::null_mut()) };
}

/// For the thread that makes it.
pub(crate) struct Shaker {
    timer: Timer,
}

impl Shaker {
    pub(crate) fn new() -> Self {
        let action = SigAction::new(SigHandler::Handler(hold_up), SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: the handler makes one system call, as above.
        unsafe { sigaction(SIGNAL, &action) }.expect("sigaction");
        let thread_id = nix::unistd::gettid().as_raw();
        let event = SigEvent::new(SigevNotify::SigevThreadId { signal: SIGNAL, thread_id, si_value: 0 });
        Self { timer: Timer::new(ClockId::CLOCK_MONOTONIC, event).expect("timer_create") }
    }

    /// Once, after so many nanoseconds.
    pub(crate) fn in_nanos(&mut self, nanos: u64) {
        let once = Expiration::OneShot(Duration::from_nanos(nanos.max(1)).into());
        self.timer.set(once, TimerSetTimeFlags::empty()).expect("timer_settime");
    }
}
