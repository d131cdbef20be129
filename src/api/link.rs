//! A handle's tie to the ring and to its peer: the fork check, waking, and news.

use super::stats::{CONSUMER_SEAT, PRODUCER_SEAT};
use crate::layout::cursors::{Cursors, REMOVED};
pub(crate) use crate::layout::seat::Role;
use crate::layout::view::{CursorsView, Trust};
use crate::region::{Context, Error, ForkToken, NotWoken, Occupancy, Parking, Region, Seat};
use crate::ring::{RingError, closing, wait};
use crate::sync::{AtomicU32, Ordering};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// The seats of an SPSC ring.
fn seat(role: Role) -> u32 {
    match role {
        Role::Producer => PRODUCER_SEAT,
        Role::Consumer => CONSUMER_SEAT,
    }
}

/// What shared memory says about the peer and the ring. Only the kernel knows.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Hint {
    /// The peer with this epoch has written that it leaves.
    left: Option<u32>,
    removed: bool,
}

/// One waiter on each word of an SPSC ring: one bit.
const ONE_WAITER: u32 = 1;

/// A peer that has written its goodbye and not yet stood up is looked at so often; after that, and
/// when a removed ring's peer lives on, only every recheck.
const FOLLOWED_AT_MOST: u32 = 16;

/// What every handle has besides its half of the algorithm. Dropping it is leaving.
pub(crate) struct Link {
    role: Role,
    cursors: CursorsView,
    token: ForkToken,
    parking: Parking,
    waits: wait::WaitState,
    /// The caller has promised that nobody writes into this segment past segring.
    trust: Option<Trust>,
    /// The peer whose going has been told: its epoch.
    told: Cell<Option<u32>>,
    /// The peer whose going would be told next.
    untold: Cell<Option<u32>>,
    /// The hint last followed, and how often it led to nothing.
    followed: Cell<(Hint, u32)>,
    seat: Seat,
}

impl Link {
    pub(crate) fn join(region: &Arc<Region>, role: Role) -> Result<Self, Error> {
        let token = ForkToken::current(&Context::new(region.name()))?;
        let seat = Seat::join(region, seat(role), role)?;
        let link = Self {
            role,
            cursors: region.cursors_view(),
            token,
            parking: Parking::new(),
            waits: wait::WaitState::default(),
            trust: None,
            told: Cell::new(None),
            untold: Cell::new(None),
            followed: Cell::default(),
            seat,
        };
        // A peer that waits for somebody to come need not wait for its recheck.
        wait::wake_all(&link, link.peer_word());
        Ok(link)
    }

    /// Refuses a handle that was inherited through a fork. One load. To be called before anything
    /// touches the segment, which a child does not have.
    #[inline(always)]
    pub(crate) fn check(&self) -> Result<(), RingError> {
        if self.token.is_valid() { Ok(()) } else { Err(RingError::Forked) }
    }

    /// The token that [`Link::check`] looks at.
    pub(crate) fn token(&self) -> ForkToken {
        self.token
    }

    pub(crate) fn trust(&mut self, trust: Trust) {
        self.trust = Some(trust);
    }

    /// The promise, if it was made for this very handle.
    pub(crate) fn trusted(&self) -> Result<Trust, RingError> {
        self.trust.ok_or(RingError::Untrusted)
    }

    /// The shared lines. Only after [`Link::check`].
    #[inline(always)]
    pub(crate) fn cursors(&self) -> &Cursors {
        self.cursors.get()
    }

    pub(crate) fn region(&self) -> &Arc<Region> {
        self.seat.region()
    }

    /// A wait of this side, which is at `position`.
    pub(crate) fn waiter(&self, position: u64, deadline: Option<u64>) -> wait::Waiter<'_> {
        let bit = wait::Bit { word: word(self.cursors(), self.role), mask: ONE_WAITER, shared: false };
        wait::Waiter { bit, position, deadline }
    }

    /// How this side waits, and has waited.
    pub(crate) fn waits(&self) -> &wait::WaitState {
        &self.waits
    }

    fn peer_word(&self) -> &AtomicU32 {
        word(self.cursors(), self.role.peer())
    }

    /// To be called after each publish or release: wakes the peer if it sleeps. One load if not.
    /// The caller names the peer, so that the word's address is no question at run time.
    #[inline(always)]
    pub(crate) fn wake(&self, peer: Role) {
        wait::notify(self, word(self.cursors(), peer));
    }

    pub(crate) fn is_closed(&self) -> bool {
        closing::is_closed(&self.cursors().state)
    }

    pub(crate) fn close(&self) {
        closing::close(self, &self.cursors().state, self.peer_word());
    }

    /// A point in time after `timeout`; `None` if that is later than anybody will wait.
    pub(crate) fn deadline(&self, timeout: Duration) -> Option<u64> {
        let nanos = u64::try_from(timeout.as_nanos()).ok()?;
        self.parking.now().checked_add(nanos)
    }

    fn hint(&self) -> Hint {
        Hint { left: self.region().says_goodbye(seat(self.role.peer())), removed: self.is_flagged_removed() }
    }

    fn is_removed(&self) -> bool {
        self.is_flagged_removed() || self.region().is_removed()
    }

    fn is_flagged_removed(&self) -> bool {
        // Relaxed: a hint, which saves a system call in the usual case of `remove`.
        self.cursors().state.flags.load(Ordering::Relaxed) & REMOVED != 0
    }
}

#[inline(always)]
fn word(cursors: &Cursors, side: Role) -> &AtomicU32 {
    match side {
        Role::Producer => &cursors.state.producer_waits,
        Role::Consumer => &cursors.state.consumer_waits,
    }
}

impl wait::Waker for Link {
    fn wake(&self, word: &AtomicU32, bits: u32) -> bool {
        self.parking.wake(word, bits)
    }

    #[inline(always)]
    fn must_fence(&self) -> bool {
        self.parking.must_fence()
    }

    fn bits(&self) -> u32 {
        ONE_WAITER
    }

    fn woke(&self) {
        self.waits.woke();
    }
}

impl wait::Host for Link {
    fn now(&self) -> u64 {
        self.parking.now()
    }

    fn sleep(&self, word: &AtomicU32, seen: u32, bits: u32, until: u64) -> wait::Slept {
        match self.parking.sleep(word, seen, bits, until) {
            Ok(()) => wait::Slept::Woken,
            Err(NotWoken::Changed) => wait::Slept::NotAtAll,
            Err(NotWoken::TimeOrSignal) => wait::Slept::Interrupted,
        }
    }

    fn yield_now(&self) {
        self.parking.yield_now();
    }

    fn barrier(&self) -> bool {
        self.parking.barrier()
    }

    fn has_hint(&self) -> bool {
        let hint = self.hint();
        let interesting = (hint.left.is_some() && hint.left != self.told.get()) || hint.removed;
        let (followed, times) = self.followed.get();
        interesting && (hint != followed || times < FOLLOWED_AT_MOST)
    }

    fn news(&self) -> Option<RingError> {
        let (hint, (followed, times)) = (self.hint(), self.followed.get());
        self.followed.set((hint, if hint == followed { times.saturating_add(1) } else { 1 }));
        let (died, epoch) = match self.region().occupancy(seat(self.role.peer()), true) {
            Ok(Occupancy::Live { .. }) => return None,
            Ok(Occupancy::Left { epoch }) => (false, Some(epoch)),
            Ok(Occupancy::Dead { epoch }) => (true, Some(epoch)),
            Ok(Occupancy::Never) => (false, None),
            // Nobody's life can be told any more.
            Ok(Occupancy::NoSet) => return Some(RingError::Removed),
            // Such as a permission that was taken away: nothing is known, so nobody is called gone.
            Err(_) => return None,
        };
        if epoch.is_some() && self.told.get() != epoch {
            self.untold.set(epoch);
            return Some(RingError::PeerGone { died });
        }
        self.is_removed().then_some(RingError::Removed)
    }

    fn told(&self) {
        if let Some(epoch) = self.untold.take() {
            self.told.set(Some(epoch));
        }
    }

    fn state(&self) -> &wait::WaitState {
        &self.waits
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The seat's own drop comes after this one and needs no wake of its own: a waiter that is
        // woken too early sees a live peer and sleeps again until its recheck. So leave first.
        if self.token.is_valid() {
            self.seat.leave();
            wait::wake_all(self, self.peer_word());
        }
    }
}
