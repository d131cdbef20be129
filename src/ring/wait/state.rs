//! What a handle remembers from one wait to the next. Private memory, cold path only.

use super::{RECHECK, WaitStrategy};
use std::cell::Cell;
use std::time::Duration;

/// Messages that come further apart than this, in nanoseconds, are no stream.
const STREAM: u64 = 100;
/// The same between many: a side that polls slows the others down to less than it takes for a stream.
const STREAM_OF_MANY: u64 = 300;
/// How long a side looks away when a stream has run dry for the first time, in nanoseconds; twice
/// as long each time that it then finds several messages.
const SLIP_MIN: u64 = 125;
/// And this long at most: what a message may wait for a side that looks away.
const SLIP_MAX: u64 = 1_000;
/// The same for a producer among many that waits for room: no consumer waits for it. It looks away for so long
/// at most, and no longer each time if a quarter of the ring has moved on.
const SLIP_MAX_FOR_ROOM: u64 = 8_000;
/// How often a stream must run dry again before a side that looked away for nothing does so again.
const COOL_DOWN: u32 = 64;
/// How long a waiter looks before it sleeps, in nanoseconds, if its last waits were not longer.
///
/// Longer than it takes to wake a sleeper: else two sides that have once fallen asleep would keep
/// each other asleep, each giving up while the other wakes.
pub(super) const SPIN_MAX: u64 = 100_000;
/// Less than this is not worth while: then it sleeps at once.
const SPIN_MIN: u64 = 1_500;
/// A wait that is over by then, sleep and wake included, might have been served by looking.
const SHORT: u64 = 2 * SPIN_MAX;
/// So often in a row a longer look may fail after short waits. More, and looking itself is what keeps
/// the peer from coming: both share a core.
const FAILURES: u32 = 8;
/// For so many waits it does not look longer after that; twice as many each time it fails again.
const SPIN_REST: u32 = 64;
const SPIN_REST_MAX: u32 = 1024;

/// One handle's habits and counts.
#[derive(Debug, Default)]
pub(crate) struct WaitState {
    strategy: Cell<WaitStrategy>,
    slip: Slip,
    spin: Spin,
    /// When to look at the peer's seat again.
    look_at: Cell<u64>,
    pub(super) counts: Counts,
}

impl WaitState {
    /// Of one of many that waits for messages.
    pub(crate) fn of_many() -> Self {
        let state = Self::default();
        state.slip.stream.set(STREAM_OF_MANY);
        state
    }

    /// Of one of many that waits for room.
    pub(crate) fn for_room(capacity: u64) -> Self {
        let state = Self::of_many();
        state.slip.max.set(SLIP_MAX_FOR_ROOM);
        state.slip.enough.set(capacity / 4);
        state
    }

    pub(crate) fn strategy(&self) -> WaitStrategy {
        self.strategy.get()
    }

    pub(crate) fn set_strategy(&self, strategy: WaitStrategy) {
        self.strategy.set(strategy);
    }

    /// How long to look away, for a side that has nothing to do at `position`.
    pub(super) fn slip(&self, now: u64, position: u64) -> u64 {
        self.slip.next(now, position)
    }

    /// How long to look before sleeping.
    pub(super) fn spin(&self) -> u64 {
        self.spin.length.get()
    }

    /// Looking was enough.
    pub(super) fn found_awake(&self) {
        self.spin.succeeded();
    }

    /// It was not: the wait took so long, sleep and wake included.
    pub(super) fn found_after_sleep(&self, nanos: u64) {
        self.spin.failed(nanos);
    }

    /// When the peer's seat is to be looked at.
    pub(super) fn next_look(&self) -> u64 {
        self.look_at.get()
    }

    pub(super) fn looked(&self, now: u64) {
        self.look_at.set(now.saturating_add(RECHECK));
    }

    /// Has woken somebody.
    pub(crate) fn woke(&self) {
        count(&self.counts.wakes, 1);
    }

    pub(crate) fn stats(&self) -> WaitStats {
        let counts = &self.counts;
        WaitStats {
            waits: counts.waits.get(),
            sleeps: counts.sleeps.get(),
            rechecks: counts.rechecks.get(),
            wakes: counts.wakes.get(),
            slips: counts.slips.get(),
            slipped: Duration::from_nanos(counts.slipped.get()),
            slip: Duration::from_nanos(self.slip.length.get()),
            spin: Duration::from_nanos(self.spin()),
        }
    }
}

/// How long it pays to look before sleeping.
#[derive(Debug)]
struct Spin {
    length: Cell<u64>,
    /// Longer looks that failed since the last that did not.
    failures: Cell<u32>,
    /// Waits until the next longer look, and how many there were last time.
    rest: Cell<u32>,
    last_rest: Cell<u32>,
}

impl Default for Spin {
    fn default() -> Self {
        Self {
            length: Cell::new(SPIN_MAX),
            failures: Cell::new(0),
            rest: Cell::new(0),
            last_rest: Cell::new(SPIN_REST / 2),
        }
    }
}

impl Spin {
    fn grow(&self) {
        self.length.set((self.length.get() * 2).clamp(SPIN_MIN, SPIN_MAX));
    }

    fn succeeded(&self) {
        self.grow();
        self.failures.set(0);
        self.last_rest.set(SPIN_REST / 2);
    }

    fn failed(&self, nanos: u64) {
        let rest = self.rest.get();
        if rest > 0 {
            self.rest.set(rest - 1);
        } else if nanos <= SHORT {
            self.failures.set(self.failures.get() + 1);
            if self.failures.get() <= FAILURES {
                return self.grow();
            }
            self.failures.set(0);
            self.last_rest.set((self.last_rest.get() * 2).min(SPIN_REST_MAX));
            self.rest.set(self.last_rest.get());
            return self.length.set(0);
        }
        let half = self.length.get() / 2;
        self.length.set(if half < SPIN_MIN { 0 } else { half });
    }
}

/// How fast messages move past a side, as far as it looked: whether it is in a stream.
///
/// A side that polls the line which its peer is writing takes it away again and again, and both are
/// slow. In a stream it pays to look away for a moment and to find many messages then. In a
/// ping-pong it does not: the next message comes when this side has answered.
#[derive(Debug)]
struct Slip {
    /// Messages that come further apart than this are no stream.
    stream: Cell<u64>,
    /// The longest look away.
    max: Cell<u64>,
    /// If the ring has moved on by so much, a look away need not be longer.
    enough: Cell<u64>,
    /// When this side last had nothing to do, and where it was.
    since: Cell<u64>,
    position: Cell<u64>,
    /// Of the last look away; 0 outside of streams.
    length: Cell<u64>,
    cool_down: Cell<u32>,
}

impl Default for Slip {
    fn default() -> Self {
        let [since, position, length] = std::array::from_fn(|_| Cell::default());
        let (stream, max, enough) = (Cell::new(STREAM), Cell::new(SLIP_MAX), Cell::new(u64::MAX));
        Self { stream, max, enough, since, position, length, cool_down: Cell::default() }
    }
}

impl Slip {
    fn next(&self, now: u64, position: u64) -> u64 {
        let took = now.saturating_sub(self.since.replace(now));
        let moved = position.saturating_sub(self.position.replace(position));
        let (last, cool_down) = (self.length.get(), self.cool_down.get());
        let length = if last > 0 {
            // It has paid if several were there, and they came faster than one by one would.
            let paid = moved >= 2 && moved.saturating_mul(SLIP_MAX) > took;
            if !paid {
                self.cool_down.set(COOL_DOWN);
            }
            match paid {
                true if last > SLIP_MAX && moved / 2 >= self.enough.get() => last / 2,
                true if last >= SLIP_MAX && moved >= self.enough.get() => last,
                true => (last * 2).min(self.max.get()),
                false => 0,
            }
        } else if cool_down > 0 {
            self.cool_down.set(cool_down - 1);
            0
        } else if moved.saturating_mul(self.stream.get()) > took {
            SLIP_MIN
        } else {
            0
        };
        self.length.set(length);
        length
    }
}

#[cfg(all(test, not(segring_loom)))]
mod tests {
    use super::*;

    /// How long it looks away, dry time after dry time, if so many messages came in so many
    /// nanoseconds each time, the looks away included.
    fn slips(moved: u64, took: u64) -> Vec<u64> {
        let slip = Slip::default();
        slip.next(1_000_000_000, 0);
        (1..100).map(|i| slip.next(1_000_000_000 + i * took, i * moved)).collect()
    }

    #[test]
    fn none_in_a_ping_pong() {
        assert!(slips(1, 300).into_iter().all(|length| length == 0));
    }

    #[test]
    fn growing_in_a_stream() {
        assert_eq!(slips(20, 1200)[..5], [125, 250, 500, 1000, 1000]);
    }

    #[test]
    fn a_very_fast_ping_pong_is_not_taken_for_a_stream_twice_in_a_row() {
        let taken = slips(1, 80);
        assert_eq!(taken.iter().filter(|&&length| length > 0).count(), 2, "{taken:?}");
    }

    #[test]
    fn longer_for_room_while_little_of_the_ring_is_free() {
        // Every 20 ns one, in a ring of so many.
        let slips = |capacity| {
            let slip = WaitState::for_room(capacity).slip;
            let (mut now, mut position) = (1_000_000_000, 0);
            slip.next(now, position);
            let mut next = |_| {
                let length = slip.next(now, position);
                (now, position) = (now + length + 200, position + (length + 200) / 20);
                length
            };
            (0..20).map(&mut next).collect::<Vec<_>>()
        };
        assert_eq!(slips(16_384)[2..8], [250, 500, 1000, 2000, 4000, 8000]);
        // 110 messages are a quarter of it, and more.
        assert_eq!(slips(440)[2..8], [250, 500, 1000, 2000, 2000, 2000]);
        // In a small one as it always was.
        assert_eq!(slips(16)[2..8], [250, 500, 1000, 1000, 1000, 1000]);
    }

    #[test]
    fn a_stream_that_slows_down_is_one_no_longer() {
        let slip = Slip::default();
        slip.next(1_000_000_000, 0);
        assert!(slip.next(1_000_001_000, 20) > 0);
        // Many came, but over a long time.
        assert_eq!(slip.next(1_000_501_000, 40), 0);
    }

    #[test]
    fn long_waits_are_not_worth_a_look() {
        let state = WaitState::default();
        assert_eq!(state.spin(), SPIN_MAX);
        (0..7).for_each(|_| state.found_after_sleep(1_000_000));
        assert_eq!(state.spin(), 0);
    }

    #[test]
    fn two_sides_that_have_both_fallen_asleep_come_back() {
        let state = WaitState::default();
        (0..7).for_each(|_| state.found_after_sleep(1_000_000));
        // Each wakes the other.
        let waits = (0..8).take_while(|_| state.spin() < 60_000).map(|_| state.found_after_sleep(120_000));
        assert!(waits.count() < 8);
        state.found_awake();
        assert_eq!(state.spin(), SPIN_MAX);
    }

    /// On one core the peer comes only when this side sleeps.
    #[test]
    fn looking_that_never_helps_becomes_rare() {
        let state = WaitState::default();
        let looked: u64 = (0..1000)
            .map(|_| {
                let spin = state.spin();
                state.found_after_sleep(spin + 5_000);
                spin
            })
            .sum();
        assert!(looked < 3_000_000, "{looked} ns in 1000 waits");
    }
}

/// What has happened so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) waits: Cell<u64>,
    pub(super) sleeps: Cell<u64>,
    pub(super) rechecks: Cell<u64>,
    pub(super) wakes: Cell<u64>,
    pub(super) slips: Cell<u64>,
    pub(super) slipped: Cell<u64>,
}

pub(super) fn count(counter: &Cell<u64>, n: u64) {
    counter.set(counter.get() + n);
}

/// How a handle has waited so far. See [`WaitStrategy`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitStats {
    /// Blocking calls that could not go on at once.
    pub waits: u64,
    /// How often this side slept in the kernel.
    pub sleeps: u64,
    /// How many of those sleeps no wake ended: the recheck of 100 ms, a time limit, a signal.
    pub rechecks: u64,
    /// How often this side woke its peer: a system call each.
    pub wakes: u64,
    /// How often this side looked away in a stream.
    pub slips: u64,
    /// For how long, all together.
    pub slipped: Duration,
    /// How long it looked away when it last had nothing to do: 0 in a ping-pong, up to 1 µs in a
    /// stream; up to 8 µs for a producer among many that waited for room.
    pub slip: Duration,
    /// How long it would look now before it sleeps, if adaptive: 0 to 100 µs.
    pub spin: Duration,
}
