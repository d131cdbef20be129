//! What the two sides write down for the parent, in memory that a kill does not take away.

use crate::harness::Rng;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// One side's diary. Numbers are message positions since the ring was made.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Diary {
    /// Where this life began.
    pub(crate) start: AtomicU64,
    /// Producer: pushes that returned Ok. Consumer: messages handed over and checked.
    pub(crate) done: AtomicU64,
    /// As far as the operation in progress may get; `done` when there is none.
    pub(crate) intent: AtomicU64,
}

/// Parent and children share one.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Journal {
    pub(crate) producer: Diary,
    pub(crate) consumer: Diary,
    /// 1: the producer closes the ring and goes.
    pub(crate) stop: AtomicU64,
}

impl Diary {
    pub(crate) fn begin(&self, position: u64) {
        self.start.store(position, SeqCst);
        self.intent.store(position, SeqCst);
        self.done.store(position, SeqCst);
    }

    /// An operation begins that may move up to `n` messages.
    pub(crate) fn intend(&self, n: u64) {
        self.intent.store(self.done.load(SeqCst) + n, SeqCst);
    }

    /// It has moved `n`, so that the position must be this.
    pub(crate) fn moved(&self, n: u64, position: u64) {
        let done = self.done.load(SeqCst) + n;
        assert_eq!(done, position, "position() is not what this side has moved");
        self.done.store(done, SeqCst);
    }

    pub(crate) fn done(&self) -> u64 {
        self.done.load(SeqCst)
    }
}

/// How long a wait lasts at most. Mostly not at all: who sleeps is not inside anything.
pub(crate) fn patience(rng: &mut Rng) -> Duration {
    match rng.below(16) {
        0 => Duration::from_millis(20),
        1 | 2 => Duration::from_micros(50),
        _ => Duration::ZERO,
    }
}
