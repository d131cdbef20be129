//! Waiting: spin for a while, then sleep on a futex word. No wakeup is lost (I7).
//!
//! ```text
//! waiter                                   waker (producer or consumer, after it published)
//!   W1 word := 1                             K1 publish            (Release store)
//!   W2 heavy barrier (membarrier)            K2 light barrier      (compiler only, or a fence)
//!   W3 look again; found → word := 0         K3 word = 0 → done    (the usual case: one load)
//!   W4 futex wait while word = 1             K4 word := 0, futex wake
//! ```
//! Either K3 sees W1, or W3 sees K1: that is the store-buffering litmus test, and W2 with K2 is
//! its barrier. A waker killed between K4's halves delays the waiter by one [`RECHECK`] (I2). A
//! killed waiter leaves the word at 1: one wake for nobody, then it is 0 again. It is a bit, not a
//! counter, for that reason.

use super::RingError;
use crate::sync::{AtomicU32, Ordering, fence, light_barrier, pause};
use std::cell::Cell;

/// How long a sleeper sleeps at most before it looks again, and looks whether its peer lives.
pub(crate) const RECHECK: u64 = 50_000_000;
/// The same, for a waiter whose kernel refuses the heavy barrier.
const RECHECK_WITHOUT_BARRIER: u64 = 1_000_000;
/// How long a waiter spins before it sleeps, in nanoseconds.
const SPIN: u64 = 20_000;
/// Looks between two readings of the clock while spinning.
const LOOKS_PER_CLOCK: u32 = 32;
/// How long a side of a stream looks away when it has nothing to do, in nanoseconds.
const SLIP: u64 = 1_000;
/// Messages that come further apart than this, in nanoseconds, are no stream.
const STREAM: u64 = 100;

/// What the world outside the memory does for a waiter.
pub(crate) trait Host {
    /// A monotonic clock in nanoseconds.
    fn now(&self) -> u64;
    /// Sleeps at most `limit` nanoseconds while `word` is `expected`. May return early.
    fn sleep(&self, word: &AtomicU32, expected: u32, limit: u64);
    /// Wakes who sleeps on `word`.
    fn wake(&self, word: &AtomicU32);
    /// Whether this process is out of reach of the others' heavy barrier, and so must fence itself.
    fn must_fence(&self) -> bool;
    /// The heavy half of the barrier. `false`: it could not be made.
    fn barrier(&self) -> bool;
    /// Looks at the peer: is there something that a waiter must be told?
    fn news(&self) -> Option<RingError>;
    /// The last [`Host::news`] has been told: not again for the same peer.
    fn told(&self);
}

/// How fast messages move past a side, as far as it looked: whether it is in a stream.
///
/// A side that polls the line which its peer is writing takes it away again and again, and both are
/// slow. In a stream it pays to look away for a moment and to find many messages then. In a
/// ping-pong it does not: the next message comes when this side has answered.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When this side last had nothing to do, and where it was.
    since: Cell<u64>,
    position: Cell<u64>,
}

impl Pace {
    /// How long to look away, for a side that has nothing to do at `position`.
    fn slip(&self, now: u64, position: u64) -> u64 {
        let took = now.saturating_sub(self.since.replace(now));
        let moved = position.saturating_sub(self.position.replace(position));
        if moved.saturating_mul(STREAM) > took { SLIP } else { 0 }
    }
}

/// One wait of one side.
pub(crate) struct Waiter<'a> {
    /// What it sleeps on.
    pub(crate) word: &'a AtomicU32,
    pub(crate) pace: &'a Pace,
    /// Messages that have moved past this side.
    pub(crate) position: u64,
    /// In [`Host::now`]'s time.
    pub(crate) deadline: Option<u64>,
}

/// Tries until it works, there is bad news, or the deadline has passed.
///
/// `attempt` says `Ok(None)` for "not yet" and an error for "never". Messages come before news: a
/// peer that pushed and died is found out only after the last look at what it pushed.
pub(crate) fn until<T>(
    host: &impl Host,
    waiter: &Waiter<'_>,
    mut attempt: impl FnMut() -> Result<Option<T>, RingError>,
) -> Result<T, RingError> {
    if let Some(done) = attempt()? {
        return Ok(done);
    }
    if let Some(done) = spin(host, waiter, &mut attempt)? {
        return Ok(done);
    }
    let result = sleep(host, waiter.word, waiter.deadline, &mut attempt);
    // W1 undone. Relaxed: a waker that still sees 1 makes one wake for nobody.
    waiter.word.store(0, Ordering::Relaxed);
    result
}

fn spin<T>(
    host: &impl Host,
    waiter: &Waiter<'_>,
    attempt: &mut impl FnMut() -> Result<Option<T>, RingError>,
) -> Result<Option<T>, RingError> {
    let now = host.now();
    let limit = |end: u64| waiter.deadline.map_or(end, |d| d.min(end));
    let slipped = limit(now.saturating_add(waiter.pace.slip(now, waiter.position)));
    while host.now() < slipped {
        pause();
    }
    let end = limit(now.saturating_add(SPIN));
    while host.now() < end {
        for _ in 0..LOOKS_PER_CLOCK {
            pause();
            if let Some(done) = attempt()? {
                return Ok(Some(done));
            }
        }
    }
    Ok(None)
}

fn sleep<T>(
    host: &impl Host,
    word: &AtomicU32,
    deadline: Option<u64>,
    attempt: &mut impl FnMut() -> Result<Option<T>, RingError>,
) -> Result<T, RingError> {
    loop {
        let left = deadline.map_or(u64::MAX, |d| d.saturating_sub(host.now()));
        let mut limit = left.min(RECHECK);
        // Who will not sleep needs no bit and no barrier.
        if left > 0 {
            // W1. Relaxed: the barrier below orders it before the look.
            word.store(1, Ordering::Relaxed);
            // W2. SYNC(park): pairs with the light barrier of the waker.
            if !host.barrier() {
                limit = limit.min(RECHECK_WITHOUT_BARRIER);
            }
        }
        // W3.
        if let Some(done) = attempt()? {
            return Ok(done);
        }
        if let Some(news) = host.news() {
            // The peer's last message happened before its seat was released: look once more.
            if let Some(done) = attempt()? {
                return Ok(done);
            }
            host.told();
            return Err(news);
        }
        if left == 0 {
            return Err(RingError::TimedOut);
        }
        // W4.
        host.sleep(word, 1, limit);
        if let Some(done) = attempt()? {
            return Ok(done);
        }
    }
}

/// K2 to K4: to be called after each publish or release. One load if nobody waits.
#[inline(always)]
pub(crate) fn notify(host: &impl Host, word: &AtomicU32) {
    if host.must_fence() {
        // SeqCst: SYNC(park), pairs with the barrier of the waiter (W2).
        fence(Ordering::SeqCst);
    } else {
        light_barrier();
    }
    // K3. Relaxed: ordered by K2; the waiter looks again for itself.
    if word.load(Ordering::Relaxed) != 0 {
        wake(host, word);
    }
}

/// K4. The bit is taken back first, so that the next publish need not wake again.
#[cold]
pub(crate) fn wake(host: &impl Host, word: &AtomicU32) {
    // Relaxed: a waiter that goes to sleep compares the word inside the kernel, under its lock.
    word.store(0, Ordering::Relaxed);
    host.wake(word);
}
