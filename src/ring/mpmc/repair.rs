//! Finishing what a dead hand had begun.
//!
//! Its seat has been won, so nobody else does this, and its holder does not come back (I3). The one
//! question is whether the CAS of its intent succeeded:
//!
//! 1. No intent, or it is `cur`: it had finished.
//! 2. The entry is as the intent expected it: not done. One stage further: done, if its slot is the
//!    hand's; not done if it is another's.
//! 3. The entry has gone on. If the CAS succeeded, somebody has taken the slot out again since. Whoever
//!    takes it says so in its intent, and leaves that there until it has stamped the slot. So: if another
//!    hand's intent is exactly that operation, done.
//! 4. Only then, the slot's stamp: the hand's own: not done; another's: done.
//!
//! Steps 2, 3 and 4 are read in this order: one pass cannot miss a taker. *Done* needs one repair,
//! `cur = now`. Then (5) the slot that the hand has is stamped. Whoever is killed in here leaves it to the
//! next one, who comes to the same verdict.

use super::{Hand, Memory};
use crate::layout::exchange::{Entry, Op, OpKind, SlotHeader};
use crate::ring::RingError;
use crate::sync::Ordering;

/// How it was found out whether the last CAS of a hand had succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There was nothing under way.
    Finished,
    /// By the entry: as the hand wanted it, or one stage further.
    Entry { done: bool },
    /// By another hand, which was about to take the slot, or has taken it.
    Taken,
    /// By the stamp of the slot.
    Stamp { done: bool },
}

impl Verdict {
    fn is_done(self) -> bool {
        matches!(self, Self::Entry { done: true } | Self::Taken | Self::Stamp { done: true })
    }
}

/// A word of a hand, if anybody writes such (I5).
fn checked(word: u64, memory: impl Memory) -> Result<Op, RingError> {
    let op = Op(word);
    if op.kind().is_none() || op.slot() >= memory.slot_count() {
        return Err(RingError::Corrupt);
    }
    Ok(op)
}

/// Finishes the last operation of a hand whose seat is mine. To be called for every hand of a seat,
/// whoever had it before, and however that one went.
pub(crate) fn finish(memory: impl Memory, number: u32) -> Result<(Hand, Verdict), RingError> {
    let line = memory.hand(number);
    // Acquire: SYNC(cur), pairs with the Release in `exchange`.
    let mut cur = checked(line.cur.load(Ordering::Acquire), memory)?;
    // Acquire: SYNC(intent), pairs with the Release in `exchange`.
    let now = checked(line.now.load(Ordering::Acquire), memory)?;
    let verdict = verdict(memory, number, cur, now);
    if verdict.is_done() {
        // Release: SYNC(cur), as in `exchange`.
        line.cur.store(now.0, Ordering::Release);
        cur = now;
    }
    // Acquire: SYNC(rel), pairs with the Release in `release`.
    let held = cur.kind() == Some(OpKind::Pop) && line.rel.load(Ordering::Acquire) != cur.0;
    let mut hand = Hand::from_parts((number, cur.0, held));
    // What it holds is marked from now on.
    hand.stamp(memory, held);
    Ok((hand, verdict))
}

fn verdict(memory: impl Memory, number: u32, cur: Op, now: Op) -> Verdict {
    // 1.
    if now.0 == 0 || now == cur {
        return Verdict::Finished;
    }
    let bits = memory.capacity_bits();
    let slot = cur.slot();
    // 2. Acquire: SYNC(entry), pairs with the CASes: the intent of whoever changed it is there.
    let entry = Entry(memory.entry(now.position()).load(Ordering::Acquire));
    match now.stages_passed(entry, bits) {
        0 => return Verdict::Entry { done: false },
        1 => return Verdict::Entry { done: entry.slot() == slot },
        _ => {}
    }
    // 3.
    let taker = now.taker(slot, bits);
    for other in (0..memory.hand_count()).filter(|other| *other != number) {
        // Acquire: SYNC(intent), pairs with the Release in `exchange`: if it is a later one, the stamp
        // that came before it is there.
        if memory.hand(other).now.load(Ordering::Acquire) == taker.0 {
            return Verdict::Taken;
        }
    }
    // 4. Acquire: SYNC(stamp), pairs with the Release in `stamp`.
    let owner = SlotHeader(memory.header(slot).load(Ordering::Acquire));
    Verdict::Stamp { done: !owner.is_owned_by(number) }
}

/// Whether a hand has a message that was taken and not released, as its words say. Exact for a hand
/// that has been finished and is not in use.
#[cfg(not(segring_loom))]
pub(crate) fn holds(memory: impl Memory, number: u32) -> bool {
    let line = memory.hand(number);
    // Relaxed: the mapping may be read-only; its holder reads what it wrote itself.
    let cur = Op(line.cur.load(Ordering::Relaxed));
    cur.kind() == Some(OpKind::Pop) && line.rel.load(Ordering::Relaxed) != cur.0
}

/// Whether a hand's last intent is not what it has finished: it may be under way, or have failed.
#[cfg(not(segring_loom))]
pub(crate) fn may_be_unfinished(memory: impl Memory, number: u32) -> bool {
    let line = memory.hand(number);
    // Relaxed: a hint to look closer.
    let now = line.now.load(Ordering::Relaxed);
    now != 0 && now != line.cur.load(Ordering::Relaxed)
}
