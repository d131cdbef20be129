//! Many producers, many consumers: the slot-exchange ring.
//!
//! There are N entries and N + H slots. Each of the H hands owns one slot, always. **One CAS takes the
//! place and publishes**: it exchanges the hand's slot for the one in the entry. Nobody claims
//! anything before, so there is no hole that a killed or stopped participant could leave (I2).
//!
//! ```text
//!                    push: CAS, by any producer
//!   entry   {lap, EMPTY, x} ─────────────────────▶ {lap, FULL, g}          the hand gets x, gave g
//!                  ▲                                     │
//!                  └── pop: CAS, by any consumer ────────┘                 the hand gets g, gave x'
//!           {lap + 1, EMPTY, x'}
//!   closing: any producer's CAS sets `closed` on the entry at the tail; it stays there
//!
//!   hand    free ──push: payload, stamp, intent, CAS, cur──▶ free          each by its holder only;
//!             │                                                            of a dead one: by whoever
//!             └──pop: stamp, intent, CAS, cur──▶ holds ──rel──▶ free       has won its seat
//!                                                  └──push back, marked──▶ free
//! ```
//! | word | who writes it, and when |
//! |---|---|
//! | entry | any producer, consumer or closer, by CAS |
//! | `now` of a hand | its holder, before the CAS: what it is about to do |
//! | `cur` | its holder, after the CAS; whoever repairs, if the CAS had succeeded |
//! | `rel` | its holder, when it is done with the message |
//! | slot header | the hand that owns the slot: it stamps it before the intent |
//! | hints | anybody, forward |
//!
//! `now` is never cleared, and is overwritten only after the slot that the last operation left has been
//! stamped. By that whoever repairs can tell whether a dead hand's CAS succeeded ([`repair`]).
//!
//! The order of successful CASes at positions 0, 1, 2, … is the order of the queue (I6). A push finds
//! the ring full, and a pop empty, at the load of one entry. Every retry is caused by a CAS that somebody
//! else made: lock-free. A walk past entries that have gone on is bounded by their number.

pub(crate) mod closing;
pub(crate) mod inline;
pub(crate) mod repair;
#[cfg(all(test, not(segring_loom)))]
mod tests;
mod walk;

#[cfg(not(segring_loom))]
pub(crate) use walk::progress;
pub(crate) use walk::{Entries, hint, look_for_room, look_or_closed};

use super::RingError;
use super::closing::look_again;
use crate::layout::exchange::{Entry, HandLine, Op, OwnedSlot, SlotHeader};
use crate::sync::{AtomicU64, Ordering};
use walk::Walk;

/// An exchange ring's words. The payloads are the caller's business.
pub(crate) trait Memory: Entries {
    fn hand_count(&self) -> u32;
    /// Entries and hands together.
    fn slot_count(&self) -> u32;
    fn hand(&self, number: u32) -> &HandLine;
    fn header(&self, slot: u32) -> &AtomicU64;
    /// A push is done at this position: asks for what the next ones will write. It is on its way from the
    /// other core while others are used.
    fn ask_ahead(&self, _position: u64) {}
    /// A pop is about to take this slot: asks for it, while the exchange waits for the entry.
    fn ask_for(&self, _slot: u32) {}
}

/// What is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Something new. Refused on a closed ring.
    New,
    /// What a consumer had taken and did not release. Comes back marked, also on a closed ring.
    Again,
}

/// What of a hand stays as it is until its exchange has succeeded. By value: fields would be read again after
/// each access to shared memory.
#[derive(Clone, Copy)]
pub(crate) struct Mine {
    number: u32,
    pub(crate) slot: u32,
}

/// A hand's private half.
#[derive(Debug)]
pub(crate) struct Hand {
    number: u32,
    cur: Op,
    slot: OwnedSlot,
    held: bool,
    /// My stamp is on my slot, and I have not given the slot away since.
    #[cfg(debug_assertions)]
    stamped: bool,
}

impl Hand {
    /// The slot that it owns.
    #[inline(always)]
    pub(crate) fn slot(&self) -> &OwnedSlot {
        &self.slot
    }

    #[inline(always)]
    pub(crate) fn slot_mut(&mut self) -> &mut OwnedSlot {
        &mut self.slot
    }

    /// All that must be known to make it again.
    pub(crate) fn into_parts(self) -> (u32, u64, bool) {
        (self.number, self.cur.0, self.held)
    }

    /// A hand that was taken apart: there is one for each number.
    pub(crate) fn from_parts((number, cur, held): (u32, u64, bool)) -> Self {
        let cur = Op(cur);
        Self {
            number,
            cur,
            slot: OwnedSlot(cur.slot()),
            held,
            #[cfg(debug_assertions)]
            stamped: false,
        }
    }

    /// Whether the slot has a message that was taken and not released.
    #[inline(always)]
    pub(crate) fn holds(&self) -> bool {
        self.held
    }

    #[inline(always)]
    pub(crate) fn mine(&self) -> Mine {
        Mine { number: self.number, slot: self.slot.0 }
    }

    /// Stamps my slot. After the payload, before the intent.
    #[inline(always)]
    pub(crate) fn stamp(&mut self, memory: impl Memory, redelivered: bool) {
        self.stamp_mine(memory, self.mine(), redelivered);
    }

    #[inline(always)]
    fn stamp_mine(&mut self, memory: impl Memory, mine: Mine, redelivered: bool) {
        let header = SlotHeader::owned_by(mine.number, redelivered);
        // Release: SYNC(stamp), pairs with the Acquire load in `repair`: who sees this stamp sees that
        // the operation before is finished.
        memory.header(mine.slot).store(header.0, Ordering::Release);
        #[cfg(debug_assertions)]
        {
            self.stamped = true;
        }
    }

    /// Stamps my slot, into which something new is written, and pushes it where the last push was, if nobody has
    /// pushed since, there is room, and the ring is open. `false`: it is stamped; try the long way. Wait-free.
    /// `tail` is a private hint.
    #[inline(always)]
    pub(crate) fn push_at_once(&mut self, memory: impl Memory, mine: Mine, tail: &mut u64) -> bool {
        self.stamp_mine(memory, mine, false);
        self.push_stamped(memory, mine, tail)
    }

    #[inline(always)]
    fn push_stamped(&mut self, memory: impl Memory, mine: Mine, tail: &mut u64) -> bool {
        let position = *tail;
        match walk::at_once(memory, position, 0, memory.slot_count().into()) {
            Some((entry, slot)) if !walk::is_flagged_closed(memory) => {
                self.push_at(memory, mine, tail, position, (entry, slot))
            }
            _ => false,
        }
    }

    /// Pushes what is in my slot, which I have stamped since I have it. Lock-free.
    pub(crate) fn try_push(
        &mut self,
        memory: impl Memory,
        tail: &mut u64,
        message: Message,
    ) -> Result<(), RingError> {
        let mine = self.mine();
        if message == Message::New && self.push_stamped(memory, mine, tail) {
            return Ok(());
        }
        let mut walk = Walk::new(memory, tail, 0);
        loop {
            let (entry, full) = walk.next(&memory.cursors().producer)?;
            if message == Message::New && closing::is_closed_at(memory, entry) {
                return Err(RingError::Closed);
            }
            if full {
                return Err(RingError::Full);
            }
            if entry.is_closed() {
                // Before this push makes others pass here. See `closing`.
                closing::announce(memory);
            }
            let position = walk.position();
            if self.push_at(memory, mine, walk.kept(), position, (entry, entry.slot())) {
                return Ok(());
            }
        }
    }

    /// Pushes into this entry, if nobody is faster.
    #[inline(always)]
    fn push_at(
        &mut self,
        memory: impl Memory,
        mine: Mine,
        tail: &mut u64,
        position: u64,
        (entry, slot): (Entry, u32),
    ) -> bool {
        let now = Op::push(position, slot);
        let done = self.exchange(memory, mine, position, entry, entry.filled(mine.slot), now);
        if done {
            self.held = false;
            memory.ask_ahead(position);
            walk::finished(tail, position, &memory.cursors().producer);
        }
        done
    }

    /// Takes the message behind the last one, if it is there and nobody is faster: in which slot it is, and
    /// whether it was taken before, and not released. `None`: try the long way. Wait-free. `head` is a private
    /// hint.
    #[inline(always)]
    pub(crate) fn pop_at_once(&mut self, memory: impl Memory, head: &mut u64) -> Option<(u32, bool)> {
        debug_assert!(!self.held, "what it holds would be lost");
        let position = *head;
        let (entry, slot) = walk::at_once(memory, position, 1, memory.slot_count().into())?;
        self.stamp(memory, false);
        Some((slot, self.pop_at(memory, head, position, (entry, slot))?))
    }

    /// Takes the oldest message: it is in my slot then, until I [`release`](Hand::release) it. Says
    /// whether it was taken before, and not released. Lock-free.
    pub(crate) fn try_pop(&mut self, memory: impl Memory, head: &mut u64) -> Result<bool, RingError> {
        if let Some((_, again)) = self.pop_at_once(memory, head) {
            return Ok(again);
        }
        let (mut walk, mut stamped) = (Walk::new(memory, head, 1), false);
        loop {
            let (entry, empty) = walk.next(&memory.cursors().consumer)?;
            if empty {
                if entry.is_closed() {
                    // The closer may have been killed before it said so.
                    closing::announce(memory);
                }
                return Err(RingError::Empty);
            }
            if !stamped {
                self.stamp(memory, false);
                stamped = true;
            }
            let position = walk.position();
            if let Some(again) = self.pop_at(memory, walk.kept(), position, (entry, entry.slot())) {
                return Ok(again);
            }
        }
    }

    /// The same; `Closed` if none can come any more. Two looks then: see [`crate::ring::closing`].
    pub(crate) fn pop_or_closed(&mut self, memory: impl Memory, head: &mut u64) -> Result<bool, RingError> {
        match self.try_pop(memory, head) {
            Err(RingError::Empty) => look_again(&memory.cursors().state, || self.try_pop(memory, head)),
            other => other,
        }
    }

    /// Takes what is in this entry, if nobody is faster. My slot is stamped.
    #[inline(always)]
    fn pop_at(
        &mut self,
        memory: impl Memory,
        head: &mut u64,
        position: u64,
        (entry, slot): (Entry, u32),
    ) -> Option<bool> {
        memory.ask_for(slot);
        let (mine, now) = (self.mine(), Op::pop(position, slot));
        if !self.exchange(memory, mine, position, entry, entry.emptied(mine.slot), now) {
            return None;
        }
        self.held = true;
        walk::finished(head, position, &memory.cursors().consumer);
        // Relaxed: written before the push, which the CAS has acquired; mine now.
        let header = memory.header(slot).load(Ordering::Relaxed);
        Some(SlotHeader(header).is_redelivered())
    }

    /// Intent, CAS, `cur`.
    #[inline(always)]
    fn exchange(
        &mut self,
        memory: impl Memory,
        mine: Mine,
        position: u64,
        old: Entry,
        new: Entry,
        now: Op,
    ) -> bool {
        #[cfg(debug_assertions)]
        assert!(self.stamped, "the stamp comes before the intent");
        let line = memory.hand(mine.number);
        // Release: SYNC(intent), pairs with the Acquire loads in `repair`: who sees this intent, and not
        // the one before, sees my stamp. The CAS, a Release too, comes after it.
        line.now.store(now.0, Ordering::Release);
        // AcqRel: SYNC(entry), pairs with the Acquire loads in `walk` and `repair`, and with the other
        // CASes: who takes my slot sees what I wrote into it, and I see what is in theirs.
        let done = memory
            .entry(position)
            .compare_exchange(old.0, new.0, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if done {
            // Release: SYNC(cur), pairs with the Acquire in `repair`: the CAS came before.
            line.cur.store(now.0, Ordering::Release);
            self.cur = now;
            self.slot = OwnedSlot(now.slot());
            #[cfg(debug_assertions)]
            {
                self.stamped = false;
            }
        }
        done
    }

    /// I am done with the message (I1). Wait-free.
    #[inline(always)]
    pub(crate) fn release(&mut self, memory: impl Memory) {
        // Release: SYNC(rel), pairs with the Acquire in `repair`: my reads of the message are done.
        memory.hand(self.number).rel.store(self.cur.0, Ordering::Release);
        self.held = false;
    }
}

#[cfg(not(segring_loom))]
impl Entries for crate::layout::exchange_view::Exchange<'_> {
    #[inline(always)]
    fn capacity_bits(&self) -> u32 {
        (*self).capacity_bits()
    }
    #[inline(always)]
    fn cursors(&self) -> &crate::layout::cursors::Cursors {
        (*self).cursors()
    }
    #[inline(always)]
    fn entry(&self, position: u64) -> &AtomicU64 {
        (*self).entry(position)
    }
    #[inline(always)]
    fn is_sound(&self, entry: Entry) -> bool {
        (*self).has_slot(entry.slot())
    }
}

#[cfg(not(segring_loom))]
impl Memory for crate::layout::exchange_view::Exchange<'_> {
    fn hand_count(&self) -> u32 {
        (*self).hand_count()
    }
    #[inline(always)]
    fn slot_count(&self) -> u32 {
        (*self).slot_count()
    }
    #[inline(always)]
    fn hand(&self, number: u32) -> &HandLine {
        (*self).hand(number)
    }
    #[inline(always)]
    fn header(&self, slot: u32) -> &AtomicU64 {
        (*self).header(slot)
    }
    #[inline(always)]
    fn ask_ahead(&self, position: u64) {
        (*self).ask_ahead(position);
    }
    #[inline(always)]
    fn ask_for(&self, slot: u32) {
        (*self).ask_for(slot);
    }
}
