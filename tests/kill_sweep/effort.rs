//! How much is swept, and that it goes on.

use crate::common::say;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// What a test run has time for.
    Short,
    /// About so many points of each operation.
    About(u64),
    /// Every instruction, but of joining, which reads `/proc`.
    All,
}

impl Effort {
    pub(crate) fn asked() -> Self {
        match std::env::var("SEGRING_SWEEP").as_deref() {
            Ok("all") => Self::All,
            Ok(n) => n.parse().map_or(Self::Short, Self::About),
            Err(_) => Self::Short,
        }
    }
}

/// Whoever listens hears that it goes on.
pub(crate) struct Ticker(Instant);

impl Ticker {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn tick(&mut self) {
        if self.0.elapsed() > Duration::from_secs(1) {
            self.0 = Instant::now();
            say("alive");
        }
    }
}
