//! Waiting: look for a while, then sleep on a futex word. No wakeup is lost (I7). One protocol for
//! both directions and for every ring.
//!
//! ```text
//! waiter                                   waker (producer or consumer, after it published)
//!   W1 set my bit                            K1 publish            (Release store)
//!   W2 heavy barrier (membarrier)            K2 light barrier      (compiler only, or a fence)
//!   W3 look again; found → clear my bit      K3 no bit set → done  (the usual case: one load)
//!   W4 futex wait while the word is as seen  K4 take a bit, futex wake
//! ```
//! Either K3 sees W1, or W3 sees K1: that is the store-buffering litmus test, and W2 with K2 is
//! its barrier. A waker killed between K4's halves delays the waiter by one [`RECHECK`] (I2). A
//! killed waiter leaves its bit: one wake for nobody, and it is gone. They are bits, not a counter,
//! for that reason.

mod bits;
mod state;
mod strategy;
#[cfg(all(test, not(segring_loom)))]
mod tests;

pub(crate) use bits::{Bit, Slept, wake_all};
pub(crate) use state::WaitState;
pub use state::WaitStats;
use state::count;
pub use strategy::WaitStrategy;

use super::RingError;
use crate::sync::{AtomicU32, Ordering, fence, light_barrier, pause};

/// How long a sleeper sleeps at most before it looks again, and looks whether its peer lives. In
/// nanoseconds, as all times here.
pub(crate) const RECHECK: u64 = 100_000_000;
/// The same, for a waiter whose kernel refuses the heavy barrier.
const RECHECK_WITHOUT_BARRIER: u64 = 1_000_000;
/// Looks between two readings of the clock.
const LOOKS_PER_CLOCK: u32 = 32;

/// How somebody wakes those who sleep.
pub(crate) trait Waker {
    /// Wakes who sleeps on `word` with one of `bits`. `false`: nobody did.
    fn wake(&self, word: &AtomicU32, bits: u32) -> bool;
    /// Whether a publish is to be ordered before the look for sleepers by a fence.
    fn must_fence(&self) -> bool;
    /// The bits that waiters of this ring use. Others in a word mean nothing.
    fn bits(&self) -> u32;
    /// Somebody's bit was taken: counts.
    fn woke(&self);
}

/// What the world outside the memory does for a side.
pub(crate) trait Host: Waker {
    /// A monotonic clock in nanoseconds.
    fn now(&self) -> u64;
    /// Sleeps until `until` at most, while `word` is `seen` and nobody wakes one of `bits`. May
    /// return early.
    fn sleep(&self, word: &AtomicU32, seen: u32, bits: u32, until: u64) -> Slept;
    /// Gives the core to somebody else who can run.
    fn yield_now(&self);
    /// The heavy half of the barrier. `false`: it could not be made.
    fn barrier(&self) -> bool;
    /// Whether shared memory hints at news: the peer says itself that it has left, or the ring is
    /// marked as removed. A load or two.
    fn has_hint(&self) -> bool;
    /// Looks at the peer: is there something that a waiter must be told? System calls.
    fn news(&self) -> Option<RingError>;
    /// The last [`Host::news`] has been told: not again for the same peer.
    fn told(&self);
    /// Brings back what dead peers held, at the same times as [`Host::news`]. `true`: there may be
    /// something now. System calls.
    fn recover(&self) -> bool {
        false
    }
    /// This side's memory of its waits.
    fn state(&self) -> &WaitState;
}

/// One wait of one side.
pub(crate) struct Waiter<'a> {
    /// What it sleeps on.
    pub(crate) bit: Bit<'a>,
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
    attempt: impl FnMut() -> Result<Option<T>, RingError>,
) -> Result<T, RingError> {
    let mut attempt = attempt;
    if let Some(done) = attempt()? {
        return Ok(done);
    }
    again(host, waiter, attempt)
}

/// The same, for somebody who has just tried in vain: a second look at once would only take the line
/// away from the one that it waits for.
pub(crate) fn again<T>(
    host: &impl Host,
    waiter: &Waiter<'_>,
    attempt: impl FnMut() -> Result<Option<T>, RingError>,
) -> Result<T, RingError> {
    let mut wait = Wait { host, waiter, attempt };
    count(&host.state().counts.waits, 1);
    match host.state().strategy() {
        WaitStrategy::BusySpin => wait.poll(pause, LOOKS_PER_CLOCK),
        // The clock is nothing beside the system call.
        WaitStrategy::Yield => wait.poll(|| host.yield_now(), 1),
        WaitStrategy::Adaptive => wait.adaptive(),
        WaitStrategy::Sleep => wait.sleep(),
    }
}

struct Wait<'a, H, A> {
    host: &'a H,
    waiter: &'a Waiter<'a>,
    attempt: A,
}

impl<T, H: Host, A: FnMut() -> Result<Option<T>, RingError>> Wait<'_, H, A> {
    /// Never sleeps.
    fn poll(&mut self, between: impl Fn(), looks_per_clock: u32) -> Result<T, RingError> {
        loop {
            // First of all, for a time limit of zero.
            if let Some(done) = self.look(self.host.now())? {
                return Ok(done);
            }
            for _ in 1..looks_per_clock {
                between();
                if let Some(done) = (self.attempt)()? {
                    return Ok(done);
                }
            }
            between();
        }
    }

    fn adaptive(&mut self) -> Result<T, RingError> {
        let (host, state) = (self.host, self.host.state());
        let started = host.now();
        let back = self.look_away(started);
        if let Some(done) = self.spin(back)? {
            state.found_awake();
            return Ok(done);
        }
        let result = self.sleep();
        // Nothing came: to look longer would not have helped.
        let took = if result.is_ok() { host.now().saturating_sub(started) } else { u64::MAX };
        state.found_after_sleep(took);
        result
    }

    /// Slips: in a stream, leaves the lines to the peer for a moment. What time it is then.
    fn look_away(&self, now: u64) -> u64 {
        let state = self.host.state();
        let slip = state.slip(now, self.waiter.position);
        if slip == 0 {
            return now;
        }
        let end = self.at_most(now.saturating_add(slip));
        count(&state.counts.slips, 1);
        count(&state.counts.slipped, end.saturating_sub(now));
        while self.host.now() < end {
            pause();
        }
        end
    }

    fn spin(&mut self, started: u64) -> Result<Option<T>, RingError> {
        let end = self.at_most(started.saturating_add(self.host.state().spin()));
        while self.host.now() < end {
            for _ in 0..LOOKS_PER_CLOCK {
                pause();
                if let Some(done) = (self.attempt)()? {
                    return Ok(Some(done));
                }
            }
        }
        Ok(None)
    }

    fn sleep(&mut self) -> Result<T, RingError> {
        let (host, state, bit) = (self.host, self.host.state(), self.waiter.bit);
        let (mut ever_set, mut seen_by_all) = (false, false);
        loop {
            let now = host.now();
            let mut limit = u64::MAX;
            // Who will not sleep needs no bit and no barrier.
            if !seen_by_all && !self.is_over(now) {
                // W1.
                bit.set();
                ever_set = true;
                // W2. SYNC(park): pairs with the light barrier of the waker.
                if !host.barrier() {
                    limit = now.saturating_add(RECHECK_WITHOUT_BARRIER);
                }
            }
            // W3.
            if let Some(result) = self.look(now).transpose() {
                if ever_set {
                    bit.give_up(host);
                }
                return result;
            }
            // W4.
            let slept = bit.sleep(host, self.at_most(limit.min(state.next_look())));
            count(&state.counts.sleeps, u64::from(slept != Slept::NotAtAll));
            count(&state.counts.rechecks, u64::from(slept == Slept::Interrupted));
            if let Some(result) = (self.attempt)().transpose() {
                if slept != Slept::Woken || result.is_err() {
                    bit.give_up(host);
                }
                return result;
            }
            // A bit that nobody has taken since the barrier need not be set again.
            seen_by_all = slept == Slept::Interrupted && limit == u64::MAX && bit.is_set_by_me();
        }
    }

    /// Looks at the ring; and if it finds nothing there, whether there is news of the peer, or time
    /// is over. The peer's seat is looked at when there is a hint, every [`RECHECK`], and at the end.
    fn look(&mut self, now: u64) -> Result<Option<T>, RingError> {
        if let Some(done) = (self.attempt)()? {
            return Ok(Some(done));
        }
        let (host, state) = (self.host, self.host.state());
        let over = self.is_over(now);
        if !over && now < state.next_look() && !host.has_hint() {
            return Ok(None);
        }
        state.looked(now);
        if host.recover() {
            if let Some(done) = (self.attempt)()? {
                return Ok(Some(done));
            }
        }
        if let Some(news) = host.news() {
            // The peer's last message happened before its seat was released: look once more.
            if let Some(done) = (self.attempt)()? {
                return Ok(Some(done));
            }
            host.told();
            return Err(news);
        }
        if over { Err(RingError::TimedOut) } else { Ok(None) }
    }

    fn is_over(&self, now: u64) -> bool {
        self.waiter.deadline.is_some_and(|deadline| now >= deadline)
    }

    fn at_most(&self, end: u64) -> u64 {
        self.waiter.deadline.map_or(end, |deadline| deadline.min(end))
    }
}

/// K2 to K4: to be called after each publish or release. One load if nobody waits.
#[inline(always)]
pub(crate) fn notify(host: &impl Waker, word: &AtomicU32) {
    notify_some(host, word, 1);
}

/// The same after as many: wakes one waiter for each.
#[inline(always)]
pub(crate) fn notify_some(host: &impl Waker, word: &AtomicU32, moved: usize) {
    if host.must_fence() {
        // SeqCst: SYNC(park), pairs with the barrier of the waiter (W2).
        fence(Ordering::SeqCst);
    } else {
        light_barrier();
    }
    // K3. Relaxed: ordered by K2; the waiter looks again for itself.
    if word.load(Ordering::Relaxed) != 0 {
        bits::wake_some(host, word, moved);
    }
}
