//! Ctrl-C and its relatives end the benchmark in order: workers killed, objects removed.

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Tells of a signal that came.
pub(crate) struct Interrupt {
    signal: Arc<AtomicUsize>,
    readable: UnixStream,
}

/// The error that a signal becomes.
#[derive(Debug)]
pub struct Interrupted {
    /// Its number.
    pub signal: usize,
}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ended by signal {}; everything it made is removed", self.signal)
    }
}

impl std::error::Error for Interrupted {}

impl Interrupt {
    pub(crate) fn install() -> Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        let (readable, writable) = UnixStream::pair().context("socketpair")?;
        for number in [SIGINT, SIGTERM, SIGHUP] {
            // The number first: whoever is woken by the socket finds it.
            signal_hook::flag::register_usize(number, Arc::clone(&signal), number as usize)
                .context("sigaction")?;
            let writable = writable.try_clone().context("dup")?;
            signal_hook::low_level::pipe::register(number, writable).context("sigaction")?;
        }
        Ok(Self { signal, readable })
    }

    /// Fails if a signal has come.
    pub(crate) fn check(&self) -> Result<()> {
        // Relaxed: a number on its own; the socket makes sure that somebody looks.
        match self.signal.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Interrupted { signal }.into()),
        }
    }

    /// Becomes readable when a signal comes.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.readable.as_fd()
    }
}
