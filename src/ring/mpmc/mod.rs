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
pub(crate) mod repair;
#[cfg(all(test, not(segring_loom)))]
mod tests;

use super::{POSITION_MAX, RingError};
use crate::layout::cursors::{CLOSED, Cursors, SideLine};
use crate::layout::exchange::{Entry, HandLine, LAPS, Op, OwnedSlot, SlotHeader, stage_for_push};
#[cfg(not(segring_loom))]
use crate::sync::fence;
use crate::sync::{AtomicU64, Ordering};

/// An exchange ring's words. The payloads are the caller's business.
pub(crate) trait Memory {
    /// Entries: a power of two.
    fn capacity(&self) -> u64;
    fn hand_count(&self) -> u32;
    /// Entries and hands together.
    fn slot_count(&self) -> u32;
    fn cursors(&self) -> &Cursors;
    /// The entry of a position: modulo the capacity.
    fn entry(&self, position: u64) -> &AtomicU64;
    fn hand(&self, number: u32) -> &HandLine;
    fn header(&self, slot: u32) -> &AtomicU64;
}

/// What is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Something new. Refused on a closed ring.
    New,
    /// What a consumer had taken and did not release. Comes back marked, also on a closed ring.
    Again,
}

/// The shared hint is moved once in so many positions.
#[cfg(not(segring_loom))]
const HINT_EVERY: u64 = 8;
#[cfg(segring_loom)]
const HINT_EVERY: u64 = 1;
/// And read after so many entries that have gone on.
const WALK: u32 = 4;

/// A hand's private half.
#[derive(Debug)]
pub(crate) struct Hand {
    number: u32,
    cur: Op,
    slot: OwnedSlot,
    /// My stamp is on my slot, and I have not given the slot away since.
    stamped: bool,
    held: bool,
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
        Self { number, cur, slot: OwnedSlot(cur.slot()), stamped: false, held }
    }

    /// Whether the slot has a message that was taken and not released.
    #[inline(always)]
    pub(crate) fn holds(&self) -> bool {
        self.held
    }

    /// Stamps my slot. After the payload, before the intent.
    #[inline(always)]
    pub(crate) fn stamp(&mut self, memory: &impl Memory, redelivered: bool) {
        let header = SlotHeader::owned_by(self.number, redelivered);
        // Release: SYNC(stamp), pairs with the Acquire load in `repair`: who sees this stamp sees that
        // the operation before is finished.
        memory.header(self.slot.0).store(header.0, Ordering::Release);
        self.stamped = true;
    }

    /// Pushes what is in my slot, which is stamped. Lock-free. `tail` is where the last push was: a
    /// private hint.
    #[inline(always)]
    pub(crate) fn try_push(
        &mut self,
        memory: &impl Memory,
        tail: &mut u64,
        message: Message,
    ) -> Result<(), RingError> {
        debug_assert!(self.stamped, "the stamp comes before the intent");
        let shared = &memory.cursors().producer;
        let mut walk = Walk::new(memory, tail, 0);
        loop {
            let (entry, full) = walk.next(shared)?;
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
            let now = Op::push(walk.position(), entry.slot());
            if self.exchange(memory, walk.position(), entry, entry.filled(self.slot.0), now) {
                self.held = false;
                walk.finished(shared);
                return Ok(());
            }
        }
    }

    /// Takes the oldest message: it is in my slot then, until I [`release`](Hand::release) it. Says
    /// whether it was taken before, and not released. Lock-free. `head` is a private hint.
    #[inline(always)]
    pub(crate) fn try_pop(&mut self, memory: &impl Memory, head: &mut u64) -> Result<bool, RingError> {
        debug_assert!(!self.held, "what it holds would be lost");
        let shared = &memory.cursors().consumer;
        let mut walk = Walk::new(memory, head, 1);
        loop {
            let (entry, empty) = walk.next(shared)?;
            if empty {
                if entry.is_closed() {
                    // The closer may have been killed before it said so.
                    closing::announce(memory);
                }
                return Err(RingError::Empty);
            }
            if !self.stamped {
                self.stamp(memory, false);
            }
            let now = Op::pop(walk.position(), entry.slot());
            if self.exchange(memory, walk.position(), entry, entry.emptied(self.slot.0), now) {
                self.held = true;
                walk.finished(shared);
                // Relaxed: written before the push, which the CAS has acquired; mine now.
                let header = memory.header(self.slot.0).load(Ordering::Relaxed);
                return Ok(SlotHeader(header).is_redelivered());
            }
        }
    }

    /// Intent, CAS, `cur`.
    #[inline(always)]
    fn exchange(&mut self, memory: &impl Memory, position: u64, old: Entry, new: Entry, now: Op) -> bool {
        let line = memory.hand(self.number);
        // Release: SYNC(intent), pairs with the Acquire loads in `repair`: who sees this intent, and not
        // the one before, sees my stamp. The CAS, a Release too, comes after it.
        line.now.store(now.0, Ordering::Release);
        // AcqRel: SYNC(entry), pairs with the Acquire loads in `Walk` and `repair`, and with the other
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
            self.stamped = false;
        }
        done
    }

    /// I am done with the message (I1). Wait-free.
    #[inline(always)]
    pub(crate) fn release(&mut self, memory: &impl Memory) {
        // Release: SYNC(rel), pairs with the Acquire in `repair`: my reads of the message are done.
        memory.hand(self.number).rel.store(self.cur.0, Ordering::Release);
        self.held = false;
    }
}

/// Where pushes, or pops, have got to: not further than they are. To begin with.
pub(crate) fn hint(line: &SideLine) -> u64 {
    // Acquire: SYNC(hint), pairs with the Release in `finished`: the entries are there.
    let hint = line.cursor.load(Ordering::Acquire);
    // Nobody writes more (I5).
    if hint <= POSITION_MAX { hint } else { 0 }
}

/// Whether there is a message to pop. Lock-free.
pub(crate) fn look(memory: &impl Memory, head: &mut u64) -> Result<(), RingError> {
    let (entry, empty) = Walk::new(memory, head, 1).next(&memory.cursors().consumer)?;
    if empty && entry.is_closed() {
        // The closer may have been killed before it said so.
        closing::announce(memory);
    }
    if empty { Err(RingError::Empty) } else { Ok(()) }
}

/// Whether there is room to push, and something new may be. Lock-free.
pub(crate) fn look_for_room(memory: &impl Memory, tail: &mut u64) -> Result<(), RingError> {
    let (entry, full) = Walk::new(memory, tail, 0).next(&memory.cursors().producer)?;
    if closing::is_closed_at(memory, entry) {
        return Err(RingError::Closed);
    }
    if full { Err(RingError::Full) } else { Ok(()) }
}

/// Positions of the next push and the next pop: (tail, head). A snapshot, read from a mapping that may
/// be read-only.
#[cfg(not(segring_loom))]
pub(crate) fn progress(memory: &impl Memory) -> Result<(u64, u64), RingError> {
    let bits = memory.capacity().trailing_zeros();
    let find = |line: &SideLine, stage: u64| {
        let mut position = line.cursor.load(Ordering::Relaxed);
        // Others may be so fast that this never arrives.
        for _ in 0..2 * memory.capacity() + 64 {
            // Acquire: SYNC(hint) and SYNC(entry). Relaxed loads and a fence, for a read-only mapping.
            fence(Ordering::Acquire);
            let entry = Entry(memory.entry(position).load(Ordering::Relaxed));
            match entry.ahead_of(stage_for_push(position, bits) + stage) {
                -1 | 0 => break,
                ahead if ahead < 0 => return Err(RingError::Corrupt),
                ahead => position = skip(position, ahead.unsigned_abs(), bits),
            }
        }
        Ok(position)
    };
    // The head first: the tail can only be further then.
    let head = find(&memory.cursors().consumer, 1)?;
    let tail = find(&memory.cursors().producer, 0)?;
    Ok((tail.max(head), head))
}

/// The next position that may not have been passed, where an entry is so many stages ahead: as many
/// whole laps are skipped as it is ahead. So a walk goes around a ring that rests once.
#[inline(always)]
fn skip(position: u64, ahead: u64, bits: u32) -> u64 {
    position.wrapping_add((((ahead - 1) / 2) << bits) + 1)
}

/// A way along the entries, to the one that is next for a push or a pop.
struct Walk<'a, M> {
    memory: &'a M,
    bits: u32,
    /// Where I think it is: never beyond it.
    position: &'a mut u64,
    /// 1 for a pop: one stage further.
    stage: u64,
    passed: u32,
    /// Whole laps.
    skipped: u64,
}

impl<'a, M: Memory> Walk<'a, M> {
    #[inline(always)]
    fn new(memory: &'a M, position: &'a mut u64, stage: u64) -> Self {
        let bits = memory.capacity().trailing_zeros();
        Self { memory, bits, position, stage, passed: 0, skipped: 0 }
    }

    #[inline(always)]
    fn position(&self) -> u64 {
        *self.position
    }

    /// The entry of the next operation, and whether it is one stage behind: full, or empty.
    #[inline(always)]
    fn next(&mut self, shared: &SideLine) -> Result<(Entry, bool), RingError> {
        loop {
            // Acquire: SYNC(entry), pairs with the CASes.
            let entry = Entry(self.memory.entry(*self.position).load(Ordering::Acquire));
            match entry.ahead_of(stage_for_push(*self.position, self.bits) + self.stage) {
                -1 => return Ok((entry, true)),
                ahead if ahead < 0 => {
                    // Mine may be older than the half of all laps: it seems to be ahead then.
                    let hint = hint(shared);
                    if hint <= *self.position {
                        return Err(RingError::Corrupt);
                    }
                    *self.position = hint;
                }
                0 if entry.slot() >= self.memory.slot_count() => return Err(RingError::Corrupt),
                0 => return Ok((entry, false)),
                ahead => self.pass(ahead.unsigned_abs(), shared),
            }
            // Entries of which each is ahead of the one before, around all laps: nobody writes them (I5).
            if self.skipped > LAPS || *self.position > POSITION_MAX {
                return Err(RingError::Corrupt);
            }
        }
    }

    /// The entry has gone on: somebody was faster.
    #[inline(always)]
    fn pass(&mut self, ahead: u64, shared: &SideLine) {
        self.skipped += (ahead - 1) / 2;
        *self.position = skip(*self.position, ahead, self.bits);
        self.passed += 1;
        if self.passed == WALK {
            self.passed = 0;
            *self.position = (*self.position).max(hint(shared));
        }
    }

    /// The operation at this position has succeeded.
    #[inline(always)]
    fn finished(self, shared: &SideLine) {
        let next = self.position.wrapping_add(1);
        *self.position = next;
        if next % HINT_EVERY == 0 {
            // Relaxed: only to see whether it is behind.
            let hint = shared.cursor.load(Ordering::Relaxed);
            if hint < next {
                // Release: SYNC(hint), pairs with the Acquire in `hint`. If it fails, somebody else has
                // moved it.
                let _ = shared.cursor.compare_exchange(hint, next, Ordering::Release, Ordering::Relaxed);
            }
        }
    }
}

/// Whether the ring has been closed.
#[inline(always)]
fn is_flagged_closed(memory: &impl Memory) -> bool {
    // Relaxed: whoever passes the closing entry has acquired it from somebody who had seen the flag.
    memory.cursors().state.flags.load(Ordering::Relaxed) & CLOSED != 0
}

#[cfg(not(segring_loom))]
impl Memory for crate::layout::exchange_view::ExchangeView {
    #[inline(always)]
    fn capacity(&self) -> u64 {
        self.capacity()
    }
    fn hand_count(&self) -> u32 {
        self.hand_count()
    }
    #[inline(always)]
    fn slot_count(&self) -> u32 {
        self.slot_count()
    }
    #[inline(always)]
    fn cursors(&self) -> &Cursors {
        self.cursors()
    }
    #[inline(always)]
    fn entry(&self, position: u64) -> &AtomicU64 {
        self.entry(position)
    }
    #[inline(always)]
    fn hand(&self, number: u32) -> &HandLine {
        self.hand(number)
    }
    #[inline(always)]
    fn header(&self, slot: u32) -> &AtomicU64 {
        self.header(slot)
    }
}
