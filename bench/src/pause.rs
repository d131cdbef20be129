//! What a polling side does when there is nothing to do.

use std::time::{Duration, Instant};

/// How long a slipping side looks away.
const SLIP: Duration = Duration::from_micros(1);

/// What to do after a try that found the queue full or empty. The same two for every library that
/// does not wait by itself, so that none is slow for want of the other's trick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// One hint to the processor, then the next try.
    Spin,
    /// A microsecond by the clock, so that the other side writes undisturbed meanwhile.
    Slip,
}

impl Pause {
    /// Waits that long.
    #[inline(always)]
    pub fn wait(self) {
        match self {
            Self::Spin => std::hint::spin_loop(),
            Self::Slip => slip(),
        }
    }
}

#[cold]
fn slip() {
    let start = Instant::now();
    while start.elapsed() < SLIP {
        std::hint::spin_loop();
    }
}
