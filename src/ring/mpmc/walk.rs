//! The way along the entries of a ring of many, to the one that is next for a push or a pop.
//!
//! Each handle keeps in private memory where it was last, and goes on from there past entries that
//! others have moved on. The shared hint is for those who have fallen far behind; it is moved seldom,
//! so that an operation changes one shared line, the entry's.

use super::closing;
use crate::layout::cursors::{CLOSED, Cursors, SideLine};
use crate::layout::exchange::{Entry, LAPS, stage_for_push};
use crate::ring::closing::look_again;
use crate::ring::{POSITION_MAX, RingError};
#[cfg(not(segring_loom))]
use crate::sync::fence;
use crate::sync::{AtomicU64, Ordering};

/// The ring itself: what every ring of many has. `Copy`: handed on by value, it stays in registers.
pub(crate) trait Entries: Copy {
    /// Entries: two to the power of this.
    fn capacity_bits(&self) -> u32;
    fn capacity(&self) -> u64 {
        1 << self.capacity_bits()
    }
    fn cursors(&self) -> &Cursors;
    /// The entry of a position: modulo the capacity.
    fn entry(&self, position: u64) -> &AtomicU64;
    /// Whether anybody writes such an entry (I5).
    fn is_sound(&self, entry: Entry) -> bool;
}

/// The shared hint is moved once in so many positions.
#[cfg(not(segring_loom))]
const HINT_EVERY: u64 = 32;
#[cfg(segring_loom)]
const HINT_EVERY: u64 = 1;
/// And read after so many entries that have gone on.
const WALK: u32 = 4;

/// Where pushes, or pops, have got to: not further than they are. To begin with.
pub(crate) fn hint(line: &SideLine) -> u64 {
    // Acquire: SYNC(hint), pairs with the Release in `finished`: the entries are there.
    let hint = line.cursor.load(Ordering::Acquire);
    // Nobody writes more (I5).
    if hint <= POSITION_MAX { hint } else { 0 }
}

/// Whether there is a message to pop. Lock-free.
pub(super) fn look(memory: impl Entries, head: &mut u64) -> Result<(), RingError> {
    let (entry, empty) = Walk::new(memory, head, 1).next(&memory.cursors().consumer)?;
    if empty && entry.is_closed() {
        // The closer may have been killed before it said so.
        closing::announce(memory);
    }
    if empty { Err(RingError::Empty) } else { Ok(()) }
}

/// The same; `Closed` if none can come any more.
pub(crate) fn look_or_closed(memory: impl Entries, head: &mut u64) -> Result<(), RingError> {
    match look(memory, head) {
        Err(RingError::Empty) => look_again(&memory.cursors().state, || look(memory, head)),
        other => other,
    }
}

/// Whether there is room to push, and something new may be. Lock-free.
pub(crate) fn look_for_room(memory: impl Entries, tail: &mut u64) -> Result<(), RingError> {
    let (entry, full) = Walk::new(memory, tail, 0).next(&memory.cursors().producer)?;
    if closing::is_closed_at(memory, entry) {
        return Err(RingError::Closed);
    }
    if full { Err(RingError::Full) } else { Ok(()) }
}

/// Positions of the next push and the next pop: (tail, head). A snapshot, read from a mapping that may
/// be read-only.
#[cfg(not(segring_loom))]
pub(crate) fn progress(memory: impl Entries) -> Result<(u64, u64), RingError> {
    let bits = memory.capacity_bits();
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

/// The entry at a position, and what lies in it, if it is open, and the one for the next push (stage 0) or pop
/// (1), as it nearly always is where the last one was: one load, one comparison. If not, a [`Walk`] finds it, or
/// says why there is none. `contents`: what may lie in it is below this.
#[inline(always)]
pub(super) fn at_once(
    memory: impl Entries,
    position: u64,
    stage: u64,
    contents: u64,
) -> Option<(Entry, u32)> {
    // Acquire: SYNC(entry), pairs with the CASes.
    let entry = Entry(memory.entry(position).load(Ordering::Acquire));
    let content = entry.content_in(stage_for_push(position, memory.capacity_bits()) + stage);
    (content < contents).then_some((entry, content as u32))
}

/// The operation at this position has succeeded: the next one begins behind it. Moves the shared hint.
#[inline(always)]
pub(super) fn finished(kept: &mut u64, position: u64, shared: &SideLine) {
    let next = position.wrapping_add(1);
    *kept = next;
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

/// A way along the entries, to the one that is next for a push or a pop.
pub(super) struct Walk<'a, M> {
    memory: M,
    bits: u32,
    /// Where I think it is: never beyond it.
    position: &'a mut u64,
    /// 1 for a pop: one stage further.
    stage: u64,
    passed: u32,
    /// Whole laps.
    skipped: u64,
}

impl<'a, M: Entries> Walk<'a, M> {
    pub(super) fn new(memory: M, position: &'a mut u64, stage: u64) -> Self {
        let bits = memory.capacity_bits();
        Self { memory, bits, position, stage, passed: 0, skipped: 0 }
    }

    pub(super) fn position(&self) -> u64 {
        *self.position
    }

    /// Where it is kept for the next operation.
    pub(super) fn kept(&mut self) -> &mut u64 {
        self.position
    }

    /// The entry of the next operation, and whether it is one stage behind: full, or empty.
    pub(super) fn next(&mut self, shared: &SideLine) -> Result<(Entry, bool), RingError> {
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
                0 if !self.memory.is_sound(entry) => return Err(RingError::Corrupt),
                0 => return Ok((entry, false)),
                ahead => self.pass(ahead.unsigned_abs(), shared),
            }
            // Entries of which each is ahead of the one before, around all laps: nobody writes them (I5).
            if self.skipped > LAPS || *self.position > POSITION_MAX {
                *self.position = hint(shared);
                return Err(RingError::Corrupt);
            }
        }
    }

    /// The entry has gone on: somebody was faster.
    fn pass(&mut self, ahead: u64, shared: &SideLine) {
        self.skipped += (ahead - 1) / 2;
        *self.position = skip(*self.position, ahead, self.bits);
        self.passed += 1;
        if self.passed == WALK {
            self.passed = 0;
            *self.position = (*self.position).max(hint(shared));
        }
    }
}

/// Whether the ring has been closed.
#[inline(always)]
pub(super) fn is_flagged_closed(memory: impl Entries) -> bool {
    // Relaxed: whoever passes the closing entry has acquired it from somebody who had seen the flag.
    memory.cursors().state.flags.load(Ordering::Relaxed) & CLOSED != 0
}
