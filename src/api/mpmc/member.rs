//! What producers and consumers of an exchange ring have in common: waiting, news of the others, and
//! bringing back what the dead held.

use super::membership::Membership;
use super::recover;
use crate::layout::cursors::{Cursors, REMOVED};
use crate::layout::seat::Role;
use crate::layout::view::Trust;
use crate::region::{Adoption, Error, ForkToken, NotWoken, Parking, Region, Survey};
use crate::ring::mpmc::Hand;
use crate::ring::{RingError, wait};
use crate::sync::{AtomicU32, Ordering, fence, pause};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A hand that holds a message, and the seat that it belongs to.
pub(crate) type Held = (Arc<Membership>, Hand);

/// What a look for dead seats has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// No dead seat holds a message.
    Nothing,
    /// There may be a message now.
    Found,
    /// Some seat could not be told or taken: the set's lock was up.
    Unknown,
}

/// Between two looks at what cannot be told, in nanoseconds.
const PAUSE: u64 = 1_000_000;
/// Between two looks at what is about to change.
const SLIP: u64 = 500;

/// A handle's half that is not about messages.
pub(crate) struct Member {
    own: Arc<Membership>,
    role: Role,
    token: ForkToken,
    waits: wait::WaitState,
    trust: Option<Trust>,
    /// How many of the other side had joined when their going was told.
    told: Cell<u32>,
    untold: Cell<Option<(u32, u32)>>,
    /// And how many of them had died: the next news is whether there are more.
    mourned: Cell<u32>,
    /// How many had left, and whether the ring was marked as removed, at the last look.
    followed: Cell<(u32, bool)>,
    /// Messages that dead consumers held, and that this handle is to see to.
    queue: RefCell<VecDeque<Held>>,
    /// Something is queued, or a seat is adopted: one look for both.
    busy: Cell<bool>,
    /// Seats of the dead of which this handle has given a message away, and may have to see to another.
    adopted: RefCell<Vec<Weak<Membership>>>,
    /// Whether a look that is made while this handle waits may keep a message for it.
    keeps: Cell<bool>,
    /// When a call that does not wait looks for dead seats again.
    look_at: Cell<u64>,
    /// The look that was just made for dead seats: it has the news, too.
    seen: RefCell<Option<Seen>>,
}

/// A look at all seats, and what was counted before it.
struct Seen {
    hint: (u32, bool),
    /// Participants of the other side that had ever joined.
    joined: u32,
    /// `None`: the semaphore set is gone.
    survey: Option<Survey>,
}

impl Member {
    /// Takes a seat. Gives the hands that are free; what the others hold is in the queue.
    pub(crate) fn join(region: &Arc<Region>, role: Role) -> Result<(Self, Vec<Hand>), Error> {
        let (own, hands) = Membership::join(region, role)?;
        let (holding, free): (Vec<Hand>, Vec<Hand>) = hands.into_iter().partition(Hand::holds);
        let member = Self {
            role,
            token: own.token(),
            waits: match role {
                Role::Producer => wait::WaitState::for_room(region.geometry().shape.capacity),
                Role::Consumer => wait::WaitState::of_many(),
            },
            trust: None,
            told: Cell::new(0),
            untold: Cell::new(None),
            mourned: Cell::new(0),
            followed: Cell::default(),
            busy: Cell::new(false),
            queue: RefCell::default(),
            adopted: RefCell::default(),
            keeps: Cell::new(role == Role::Consumer),
            look_at: Cell::new(0),
            seen: RefCell::new(None),
            own,
        };
        // Those who wait for somebody to come need not wait for their recheck.
        wait::wake_all(&member, member.word(role.peer()));
        // For anybody, if there is room: this handle may never call.
        for hand in holding {
            match recover::push_back(&member.own, hand) {
                Ok(hand) => member.own.put_back(hand),
                Err(held) => member.enqueue(held),
            }
        }
        // What is corrupt in other seats is for those who use them.
        let _ = member.look_for_dead(false);
        // Who died before the others of that side came is no news.
        let seen = member.seen.take().and_then(|seen| seen.survey);
        if let Some(survey) = seen.filter(|survey| survey.live(role.peer()) > 0) {
            member.mourned.set(survey.dead(role.peer()));
        }
        Ok((member, free))
    }

    /// Refuses a handle that was inherited through a fork. One load.
    #[inline(always)]
    pub(crate) fn check(&self) -> Result<(), RingError> {
        if self.token.is_valid() { Ok(()) } else { Err(RingError::Forked) }
    }

    pub(crate) fn own(&self) -> &Arc<Membership> {
        &self.own
    }

    /// Only after [`Member::check`].
    #[inline(always)]
    pub(crate) fn cursors(&self) -> &Cursors {
        self.own.cursors()
    }

    fn region(&self) -> &Arc<Region> {
        self.own.region()
    }

    pub(crate) fn waits(&self) -> &wait::WaitState {
        &self.waits
    }

    pub(crate) fn trust(&mut self, trust: Trust) {
        self.trust = Some(trust);
    }

    /// The promise, if it was made for this very handle.
    pub(crate) fn trusted(&self) -> Result<Trust, RingError> {
        self.trust.ok_or(RingError::Untrusted)
    }

    #[inline(always)]
    fn word(&self, side: Role) -> &AtomicU32 {
        let state = &self.cursors().state;
        match side {
            Role::Producer => &state.producer_waits,
            Role::Consumer => &state.consumer_waits,
        }
    }

    /// To be called after each push or pop: wakes one of the other side, if any sleeps. One load if not.
    #[inline(always)]
    pub(crate) fn wake(&self, side: Role) {
        wait::notify(self, self.word(side));
    }

    /// The same after as many pushes or pops, for who has the word of that side at hand.
    #[inline(always)]
    pub(crate) fn tell(&self, word: &AtomicU32, moved: usize) {
        wait::notify_some(self, word, moved);
    }

    /// Wakes everybody: the ring has been closed.
    pub(crate) fn wake_everybody(&self) {
        wait::wake_all(self, self.word(Role::Consumer));
        wait::wake_all(self, self.word(Role::Producer));
    }

    /// A wait of this side, which is at `position`.
    pub(crate) fn waiter(&self, position: u64, deadline: Option<u64>) -> wait::Waiter<'_> {
        let shared = self.region().geometry().shape.seats > u32::BITS;
        let bit = wait::Bit { word: self.word(self.role), mask: self.own.waiter_bit(), shared };
        wait::Waiter { bit, position, deadline }
    }

    /// A point in time after `timeout`; `None` if that is later than anybody will wait.
    pub(crate) fn deadline(&self, timeout: Duration) -> Option<u64> {
        let nanos = u64::try_from(timeout.as_nanos()).ok()?;
        self.own.parking().now().checked_add(nanos)
    }

    /// Whether there is something in the queue.
    pub(crate) fn is_queued(&self) -> bool {
        !self.queue.borrow().is_empty()
    }

    pub(crate) fn dequeue(&self) -> Option<Held> {
        let held = self.queue.borrow_mut().pop_front();
        self.see_whether_busy();
        held
    }

    pub(crate) fn enqueue(&self, held: Held) {
        self.queue.borrow_mut().push_back(held);
        self.busy.set(true);
    }

    fn see_whether_busy(&self) {
        self.busy.set(self.is_queued() || !self.adopted.borrow().is_empty());
    }

    /// Whether there may be something to be seen to before the ring: two loads.
    #[inline(always)]
    pub(crate) fn may_have_again(&self) -> bool {
        self.busy.get() || self.own.owes()
    }

    /// Whether there is.
    #[inline(always)]
    pub(crate) fn has_again(&self) -> bool {
        self.may_have_again() && (self.is_queued() || self.owes())
    }

    /// Whether a wait may keep what a dead one held: not one that takes nothing.
    pub(crate) fn set_keeps(&self, keeps: bool) {
        self.keeps.set(keeps && self.role == Role::Consumer);
    }

    /// Looks for dead seats now, and sees to what they held: for anybody, if there is room; if this handle
    /// `keeps`, the first one is in its queue then.
    pub(crate) fn look_for_dead(&self, keeps: bool) -> Result<Look, RingError> {
        self.look_at.set(self.own.parking().now().saturating_add(wait::RECHECK));
        self.seen.take();
        self.adopted.borrow_mut().retain(|membership| membership.strong_count() > 0);
        self.see_whether_busy();
        // An error of the kernel says nothing of anybody: nobody is taken over then.
        let Some(mut seen) = self.look_at_seats() else { return Ok(Look::Unknown) };
        let unclean = seen.survey.as_mut().map(|survey| std::mem::take(&mut survey.unclean));
        self.seen.replace(Some(seen));
        let mut look = Look::Nothing;
        for (seat, owing) in unclean.unwrap_or_default() {
            // A producer looks when the ring is full: there is no room for what is owed.
            if owing && self.role == Role::Producer {
                continue;
            }
            match Membership::adopt(self.region(), seat) {
                Ok(Adoption::Won((membership, hands))) => {
                    if self.see_to(&membership, hands, keeps) {
                        look = Look::Found;
                    }
                }
                Ok(Adoption::Others) => {}
                Err(Error::Corrupt { .. }) => return Err(RingError::Corrupt),
                Ok(Adoption::NotNow) | Err(_) if look == Look::Nothing => look = Look::Unknown,
                Ok(Adoption::NotNow) | Err(_) => {}
            }
        }
        Ok(look)
    }

    /// Sees to what the hands of a dead seat hold: whether there was anything.
    fn see_to(&self, membership: &Arc<Membership>, hands: Vec<Hand>, keeps: bool) -> bool {
        let (mut found, mut kept) = (false, false);
        for hand in hands.into_iter().filter(Hand::holds) {
            found = true;
            if keeps && !self.is_queued() {
                kept = true;
                self.adopted.borrow_mut().push(Arc::downgrade(membership));
                self.enqueue((membership.clone(), hand));
            } else if let (Err((_, hand)), true) = (recover::push_back(membership, hand), kept) {
                // The seat stays in use: mine to see to, unless the job's end finds room.
                membership.put_back(hand);
            }
        }
        found
    }

    /// Whether a seat of the dead that is in use because of this handle has something to be seen to.
    pub(crate) fn owes(&self) -> bool {
        let adopted_owe =
            || self.adopted.borrow().iter().filter_map(Weak::upgrade).any(|membership| membership.owes());
        self.own.owes() || adopted_owe()
    }

    /// What such a seat, or my own, could not hand back.
    pub(crate) fn take_owed(&self) -> Option<Held> {
        let adopted: Vec<_> = self.adopted.borrow().iter().filter_map(Weak::upgrade).collect();
        std::iter::once(self.own.clone())
            .chain(adopted)
            .find_map(|membership| membership.take_out_holding().map(|hand| (membership, hand)))
    }

    /// What is counted is read before the seats: who joins or leaves in between is the next look's.
    fn look_at_seats(&self) -> Option<Seen> {
        let hint = self.hint();
        // Relaxed: only a number.
        let joined = self.region().attendance(self.role.peer()).joined.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let survey = self.region().survey(true).ok()?;
        Some(Seen { hint, joined, survey })
    }

    /// The same, if the last look was long ago. For calls that do not wait and found nothing.
    #[cold]
    pub(crate) fn look_for_dead_at_times(&self, keeps: bool) -> Result<Look, RingError> {
        if self.own.parking().about_now() < self.look_at.get() {
            return Ok(Look::Nothing);
        }
        self.look_for_dead(keeps)
    }

    /// Whether a time limit has passed.
    pub(crate) fn is_over(&self, deadline: Option<u64>) -> bool {
        deadline.is_some_and(|deadline| self.own.parking().now() >= deadline)
    }

    /// A moment, or until somebody wakes this side: for what cannot be told now and will be soon.
    pub(crate) fn pause(&self, deadline: Option<u64>) {
        let word = self.word(self.role);
        let soon = self.own.parking().now().saturating_add(PAUSE);
        let until = deadline.map_or(soon, |deadline| deadline.min(soon));
        // Relaxed: whatever it is; a pause, no wait.
        let _ = self.own.parking().sleep(word, word.load(Ordering::Relaxed), self.own.waiter_bit(), until);
    }

    /// Looks away for a moment, which others need to go on undisturbed.
    pub(crate) fn slip(&self) {
        let end = self.own.parking().now().saturating_add(SLIP);
        while self.own.parking().now() < end {
            pause();
        }
    }

    fn hint(&self) -> (u32, bool) {
        // Relaxed, all: hints, which save system calls. Of my own side, too: it may leave something behind.
        let left = |side| self.region().attendance(side).left.load(Ordering::Relaxed);
        (left(Role::Producer).wrapping_add(left(Role::Consumer)), self.is_flagged_removed())
    }

    fn is_flagged_removed(&self) -> bool {
        self.cursors().state.flags.load(Ordering::Relaxed) & REMOVED != 0
    }

    fn is_removed(&self) -> bool {
        self.is_flagged_removed() || self.region().is_removed()
    }
}

impl wait::Waker for Member {
    fn wake(&self, word: &AtomicU32, bits: u32) -> bool {
        self.own.parking().wake(word, bits)
    }

    #[inline(always)]
    fn must_fence(&self) -> bool {
        // The one that `Membership` has: a constant, here.
        Parking::after_rmw().must_fence()
    }

    fn bits(&self) -> u32 {
        u32::MAX
    }

    fn woke(&self) {
        self.waits.woke();
    }
}

impl wait::Host for Member {
    fn now(&self) -> u64 {
        self.own.parking().now()
    }

    fn sleep(&self, word: &AtomicU32, seen: u32, bits: u32, until: u64) -> wait::Slept {
        match self.own.parking().sleep(word, seen, bits, until) {
            Ok(()) => wait::Slept::Woken,
            Err(NotWoken::Changed) => wait::Slept::NotAtAll,
            Err(NotWoken::TimeOrSignal) => wait::Slept::Interrupted,
        }
    }

    fn yield_now(&self) {
        self.own.parking().yield_now();
    }

    fn barrier(&self) -> bool {
        // SeqCst: SYNC(park), pairs with the CAS of a publish, which is a barrier itself, or with the
        // fence after it.
        fence(Ordering::SeqCst);
        true
    }

    fn has_hint(&self) -> bool {
        self.hint() != self.followed.get()
    }

    fn news(&self) -> Option<RingError> {
        let side = self.role.peer();
        // Such as a permission that was taken away: nothing is known, so nobody is called gone.
        let seen = self.seen.take().or_else(|| self.look_at_seats())?;
        self.followed.set(seen.hint);
        // Nobody's life can be told any more.
        let Some(survey) = seen.survey else { return Some(RingError::Removed) };
        if survey.live(side) > 0 {
            return None;
        }
        if seen.joined != self.told.get() {
            self.untold.set(Some((seen.joined, survey.dead(side))));
            let more = survey.dead(side).wrapping_sub(self.mourned.get()) as i32;
            return Some(RingError::PeerGone { died: more > 0 });
        }
        self.is_removed().then_some(RingError::Removed)
    }

    fn told(&self) {
        if let Some((joined, died)) = self.untold.take() {
            self.told.set(joined);
            self.mourned.set(died);
        }
    }

    fn recover(&self) -> bool {
        // What is corrupt is found by whoever joins, or calls `recover` of the ring.
        self.look_for_dead(self.keeps.get()).is_ok_and(|look| look == Look::Found)
    }

    fn state(&self) -> &wait::WaitState {
        &self.waits
    }
}
