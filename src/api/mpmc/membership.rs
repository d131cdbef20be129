//! A seat of an exchange ring and its hands: one's own, or a dead one's that is being repaired.

use crate::layout::cursors::Cursors;
use crate::layout::exchange_view::{Exchange, ExchangeView};
use crate::layout::seat::{Phase, Role};
use crate::layout::view::CursorsView;
use crate::region::{Adoption, Context, Error, ForkToken, Parking, Region, Seat};
use crate::ring::mpmc::{Hand, Message, hint, repair};
use crate::ring::{RingError, wait};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;

/// Kept alive by the handle, and by each message that was taken with one of its hands. The last one gives
/// the seat back.
pub(crate) struct Membership {
    cursors: CursorsView,
    /// `None`: the messages lie in the entries, and nobody has hands.
    slots: Option<ExchangeView>,
    /// Hands that are not in use.
    berths: Box<[Berth]>,
    /// Hands in the berths that hold a message which could not be handed back.
    owing: AtomicU32,
    /// `None`: somebody who only repairs.
    role: Option<Role>,
    token: ForkToken,
    parking: Parking,
    seat: Seat,
}

/// A seat that was won, and all its hands, finished.
pub(crate) type Repaired = (Arc<Membership>, Vec<Hand>);

/// Where a hand waits for its next use: private memory. The fields are its parts.
#[derive(Default)]
struct Berth {
    state: AtomicU32,
    cur: AtomicU64,
}

/// The hand is in use.
const OUT: u32 = 0;
const FREE: u32 = 1;
const HOLDS: u32 = 2;

impl Membership {
    /// Takes a seat, and finishes what its last holder had begun. Gives the hands.
    pub(crate) fn join(region: &Arc<Region>, role: Role) -> Result<Repaired, Error> {
        let token = ForkToken::current(&Context::new(region.name()))?;
        Self::repair(Seat::join_any(region, role)?, Some(role), token)
    }

    /// Takes a seat that nobody holds and that is not clean, as somebody who only repairs.
    pub(crate) fn adopt(region: &Arc<Region>, seat: u32) -> Result<Adoption<Repaired>, Error> {
        Ok(match Seat::adopt_unclean(region, seat)? {
            Adoption::Won(seat) => Adoption::Won(Self::adopted(seat)?),
            Adoption::Others => Adoption::Others,
            Adoption::NotNow => Adoption::NotNow,
        })
    }

    /// The same, for a seat that is mine already.
    pub(crate) fn adopted(seat: Seat) -> Result<Repaired, Error> {
        let token = ForkToken::current(&Context::new(seat.region().name()))?;
        Self::repair(seat, None, token)
    }

    fn repair(mut seat: Seat, role: Option<Role>, token: ForkToken) -> Result<Repaired, Error> {
        let region = seat.region().clone();
        let slots = region.exchange_view();
        let in_hand = region.geometry().shape.in_hand;
        let first = seat.index() * in_hand;
        let finish = |number| {
            let slots = slots.as_ref().ok_or(RingError::Corrupt)?;
            repair::finish(slots.here(), number).map(|(hand, _)| hand)
        };
        let hands: Result<Vec<Hand>, RingError> = (first..first + in_hand).map(finish).collect();
        let Ok(hands) = hands else {
            // Still to be repaired, by somebody who can.
            seat.leave_as(Phase::Adopted);
            return Err(Error::Corrupt { ring: Context::new(region.name()).ring() });
        };
        let berths = hands.iter().map(|_| Berth::default()).collect();
        let parking = Parking::after_rmw();
        let cursors = region.cursors_view();
        let owing = AtomicU32::new(0);
        Ok((Arc::new(Self { cursors, slots, berths, owing, role, token, parking, seat }), hands))
    }

    #[inline(always)]
    pub(crate) fn cursors(&self) -> &Cursors {
        self.cursors.get()
    }

    /// Where my hands are, if I have any.
    #[inline(always)]
    pub(crate) fn slots(&self) -> Option<Exchange<'_>> {
        self.slots.as_ref().map(ExchangeView::here)
    }

    pub(crate) fn seat(&self) -> u32 {
        self.seat.index()
    }

    pub(crate) fn region(&self) -> &Arc<Region> {
        self.seat.region()
    }

    /// Which of a word's bits this seat waits on.
    pub(crate) fn waiter_bit(&self) -> u32 {
        1 << (self.seat.index() % u32::BITS)
    }

    /// Whether this process made it. To be asked before anything touches the segment.
    #[inline(always)]
    pub(crate) fn is_mine(&self) -> bool {
        self.token.is_valid()
    }

    #[inline(always)]
    pub(crate) fn token(&self) -> ForkToken {
        self.token
    }

    pub(crate) fn parking(&self) -> Parking {
        self.parking
    }

    /// Puts a hand away. Any thread.
    pub(crate) fn put_back(&self, hand: Hand) {
        let (number, cur, holds) = hand.into_parts();
        let at = (number as usize).checked_rem(self.berths.len());
        if let Some(berth) = at.and_then(|at| self.berths.get(at)) {
            // Relaxed: published by the Release below.
            berth.cur.store(cur, Ordering::Relaxed);
            // Release: SYNC(berth), pairs with the Acquire in `take_out`.
            berth.state.store(if holds { HOLDS } else { FREE }, Ordering::Release);
            if holds {
                // Relaxed: a hint to look at the berths.
                self.owing.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// A hand that was put away, if there is one; if not a free one, one that holds a message. Any thread.
    #[inline]
    pub(crate) fn take_out(&self) -> Option<Hand> {
        self.take_out_one(FREE).or_else(|| self.take_out_one(HOLDS))
    }

    /// The same, only one that holds a message.
    pub(crate) fn take_out_holding(&self) -> Option<Hand> {
        self.take_out_one(HOLDS)
    }

    fn take_out_one(&self, wanted: u32) -> Option<Hand> {
        let first = self.seat.index() * self.berths.len() as u32;
        for (number, berth) in (first..).zip(&self.berths) {
            // Relaxed: what is not there need not be asked for.
            if berth.state.load(Ordering::Relaxed) != wanted {
                continue;
            }
            // Acquire: SYNC(berth), pairs with the Release in `put_back`.
            let taken =
                berth.state.compare_exchange(wanted, OUT, Ordering::Acquire, Ordering::Relaxed).is_ok();
            if taken {
                if wanted == HOLDS {
                    // Relaxed: a hint.
                    self.owing.fetch_sub(1, Ordering::Relaxed);
                }
                let parts = (number, berth.cur.load(Ordering::Relaxed), wanted == HOLDS);
                return Some(Hand::from_parts(parts));
            }
        }
        None
    }

    /// Whether a hand in the berths holds a message.
    #[inline(always)]
    pub(crate) fn owes(&self) -> bool {
        // Relaxed: a hint. The handle looks again at its next call.
        self.owing.load(Ordering::Relaxed) != 0
    }

    /// Pushes what a hand holds, marked: for whoever takes next. `Full`: it still holds it.
    pub(crate) fn push_back(&self, hand: &mut Hand) -> Result<(), RingError> {
        self.push_back_at(hand, &mut hint(&self.cursors().producer))
    }

    /// The same, for somebody who knows where he has pushed last.
    pub(crate) fn push_back_at(&self, hand: &mut Hand, tail: &mut u64) -> Result<(), RingError> {
        let slots = self.slots().ok_or(RingError::Corrupt)?;
        hand.stamp(slots, true);
        hand.try_push(slots, tail, Message::Again)?;
        wait::notify(self, &self.cursors().state.consumer_waits);
        Ok(())
    }

    /// Ends what was begun with a hand that holds a message: hands it back, or keeps it if the ring is
    /// full, for the next call of the handle or whoever takes the seat.
    pub(crate) fn hand_back(&self, mut hand: Hand) {
        let _ = self.push_back(&mut hand);
        self.put_back(hand);
    }

    /// Tries again to hand back what the ring had no room for.
    pub(crate) fn settle(&self) {
        while self.owes() {
            let Some(mut hand) = self.take_out_holding() else { return };
            let refused = self.push_back(&mut hand).is_err();
            self.put_back(hand);
            if refused {
                return;
            }
        }
    }

    fn owes_anything(&self) -> bool {
        let first = self.seat.index() * self.berths.len() as u32;
        let holds = |number| self.slots().is_some_and(|slots| repair::holds(slots, number));
        (first..).zip(&self.berths).any(|(number, _)| holds(number))
    }
}

impl wait::Waker for Membership {
    fn wake(&self, word: &AtomicU32, bits: u32) -> bool {
        self.parking.wake(word, bits)
    }

    #[inline(always)]
    fn must_fence(&self) -> bool {
        self.parking.must_fence()
    }

    fn bits(&self) -> u32 {
        u32::MAX
    }

    fn woke(&self) {}
}

impl Drop for Membership {
    fn drop(&mut self) {
        // A child has neither the seat nor the memory.
        if !self.is_mine() {
            return;
        }
        let owes = self.owes_anything();
        self.seat.leave_as(if owes { Phase::Owing } else { Phase::Left });
        // A repairer was nobody's peer: only what it has pushed back is news, and has been told.
        let Some(role) = self.role else { return };
        // Relaxed: a hint to look; who sees it asks the kernel.
        self.region().attendance(role).left.fetch_add(1, Ordering::Relaxed);
        let state = &self.cursors().state;
        // Who waits for the last of them to go, or for what I could not hand back.
        wait::wake_all(self, &state.consumer_waits);
        wait::wake_all(self, &state.producer_waits);
    }
}
