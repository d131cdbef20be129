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

/// How long one of many pauses in vain before he lets others run on his core.
const PATIENCE: Duration = Duration::from_micros(20);
/// How many hints to the processor lie between two looks at the clock.
const HINTS: u32 = 64;

/// The pauses of one of many, between two successes: a [`Pause`] after each try, and once 20 us have
/// gone in vain, `sched_yield` instead. Where there are more participants than cores, whom one waits
/// for may be off his core, and would stay so for a whole time slice. The same for every queue.
pub struct Patience {
    pause: Pause,
    tries: u32,
    since: Option<Instant>,
    yields: bool,
}

impl Patience {
    /// For one wait.
    #[inline(always)]
    pub fn new(pause: Pause) -> Self {
        Self { pause, tries: 0, since: None, yields: false }
    }

    /// After one more try in vain.
    #[inline(always)]
    pub fn wait(&mut self) {
        if self.yields {
            std::thread::yield_now();
            return;
        }
        self.pause.wait();
        self.tries += 1;
        if self.pause == Pause::Slip || self.tries % HINTS == 0 {
            self.look();
        }
    }

    #[cold]
    fn look(&mut self) {
        self.yields = self.since.get_or_insert_with(Instant::now).elapsed() >= PATIENCE;
    }
}

#[cold]
fn slip() {
    let start = Instant::now();
    while start.elapsed() < SLIP {
        std::hint::spin_loop();
    }
}
