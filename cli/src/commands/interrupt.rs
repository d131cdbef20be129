//! Ctrl-C and its like: the work is broken off where it stands, and left in order.
//!
//! A thread waits for the signals. The main thread may be in the middle of a `read`, a `write` or a
//! wait, so the thread knocks: it sends it a signal of no meaning, again and again, and each knock
//! ends a system call with `EINTR`. One knock might come between a look at [`pending`] and the call
//! that follows; the next one does not.

use anyhow::Context;
use nix::sys::pthread::{pthread_kill, pthread_self};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction, signal};
use signal_hook::iterator::Signals;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// Which signal has come; 0 for none.
static CAME: AtomicI32 = AtomicI32::new(0);

/// Ignored by default, so that one from elsewhere does nothing either.
const KNOCK: Signal = Signal::SIGURG;
const PAUSE: Duration = Duration::from_millis(10);
/// After so many knocks something is stuck in the kernel: end without the main thread.
const KNOCKS: u32 = 1000;

extern "C" fn nothing(_: libc::c_int) {}

/// Starts to listen. To be called by the main thread, before there is anything to leave behind.
///
/// SIGINT and SIGTERM are heard also where they were ignored, as shells do for background jobs of
/// scripts: who sends one means it. An ignored SIGHUP stays so, for `nohup`.
pub(crate) fn watch() -> anyhow::Result<()> {
    let knock = SigAction::new(SigHandler::Handler(nothing), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing, so it is safe at any instruction.
    unsafe { sigaction(KNOCK, &knock) }.context("sigaction")?;
    let mut signals = vec![Signal::SIGINT as i32, Signal::SIGTERM as i32];
    // SAFETY: no handler of ours is replaced; to ignore a signal is safe at any time.
    let hangup = unsafe { signal(Signal::SIGHUP, SigHandler::SigIgn) }.context("signal")?;
    if !matches!(hangup, SigHandler::SigIgn) {
        signals.push(Signal::SIGHUP as i32);
    }
    let mut signals = Signals::new(signals).context("cannot listen to signals")?;
    let main = pthread_self();
    let listen = move || {
        let Some(number) = signals.forever().next() else { return };
        // Relaxed: a number, nothing else is published by it.
        CAME.store(number, Ordering::Relaxed);
        for _ in 0..KNOCKS {
            // Fails only when the main thread is gone.
            let _ = pthread_kill(main, KNOCK);
            std::thread::sleep(PAUSE);
        }
        std::process::exit(128 + number);
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(listen)
        .context("cannot start a thread")
        .map(drop)
}

/// The signal that wants the program to end, if one has come.
pub(crate) fn pending() -> Option<i32> {
    // Relaxed: as above.
    match CAME.load(Ordering::Relaxed) {
        0 => None,
        number => Some(number),
    }
}
