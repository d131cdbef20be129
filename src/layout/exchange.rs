//! The words of the slot-exchange ring: entries, hands, slot headers.
//!
//! ```text
//! entry    63 … 25 lap | 24 full | 23 closed | 22 … 0 slot
//! hand     63 … 25 position, modulo 2^39 | 24 … 23 kind | 22 … 0 slot       cur, now, rel
//! header   32 redelivered | 31 … 0 owner, from 1; 0: nobody yet
//! ```
//! An entry goes through its *stages* in order, for ever: lap 0 empty, lap 0 full, lap 1 empty, ….
//! A lap is 39 bits, so a stage, which is the lap and the bit *full* behind it, is 40.

use super::LINE;
use crate::sync::AtomicU64;

const SLOT_BITS: u32 = 23;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;
const CLOSED_BIT: u64 = 1 << 23;
const FULL_BIT: u64 = 1 << 24;
const LAP_SHIFT: u32 = 25;
const STAGE_SHIFT: u32 = 24;
/// Bits of a stage.
const STAGE_BITS: u32 = 40;
/// Laps are modulo this.
pub(crate) const LAPS: u64 = 1 << (STAGE_BITS - 1);
/// Positions in hands are modulo this.
const POSITIONS: u64 = 1 << 39;

/// A ring has at most this many slots: entries and hands together.
pub(crate) const SLOTS_MAX: u64 = 1 << SLOT_BITS;
/// Most seats of a ring.
pub(crate) const SEATS_MAX: u32 = 4096;
/// Most hands of a seat.
pub(crate) const IN_HAND_MAX: u32 = 64;

/// The stage in which a push at `position` finds its entry; a pop finds it one further.
#[inline(always)]
pub(crate) fn stage_for_push(position: u64, capacity_bits: u32) -> u64 {
    position >> capacity_bits << 1
}

/// A ring entry: which slot lies in it, and how far it has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry(pub(crate) u64);

impl Entry {
    /// The first state of the entry that holds this slot.
    pub(crate) fn first(slot: u32) -> Self {
        Self(u64::from(slot))
    }

    #[inline(always)]
    pub(crate) fn slot(self) -> u32 {
        (self.0 & SLOT_MASK) as u32
    }

    #[inline(always)]
    pub(crate) fn is_full(self) -> bool {
        self.0 & FULL_BIT != 0
    }

    /// Nothing new may be pushed here, once this lap's message is gone.
    #[inline(always)]
    pub(crate) fn is_closed(self) -> bool {
        self.0 & CLOSED_BIT != 0
    }

    /// How many stages this entry is ahead of `stage`; negative if it is behind.
    #[inline(always)]
    pub(crate) fn ahead_of(self, stage: u64) -> i64 {
        let unused = 64 - STAGE_BITS;
        (((self.0 >> STAGE_SHIFT).wrapping_sub(stage) << unused) as i64) >> unused
    }

    /// What lies in this entry if it is in `stage`, and open; if not, [`SLOTS_MAX`] or more. One subtraction.
    #[inline(always)]
    pub(crate) fn content_in(self, stage: u64) -> u64 {
        self.0.wrapping_sub(stage << STAGE_SHIFT)
    }

    /// One stage further: a push puts `slot` in.
    #[inline(always)]
    pub(crate) fn filled(self, slot: u32) -> Self {
        Self(self.0 & !SLOT_MASK | FULL_BIT | u64::from(slot))
    }

    /// One stage further: a pop leaves `slot`.
    #[inline(always)]
    pub(crate) fn emptied(self, slot: u32) -> Self {
        Self((self.0 & !(SLOT_MASK | FULL_BIT) | u64::from(slot)).wrapping_add(1 << LAP_SHIFT))
    }

    pub(crate) fn closed(self) -> Self {
        Self(self.0 | CLOSED_BIT)
    }
}

/// What an operation does to its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpKind {
    /// None yet: the hand has its first slot.
    Start,
    Push,
    Pop,
}

/// A word of a hand: an operation, and the slot that it gets out of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Op(pub(crate) u64);

impl Op {
    #[inline(always)]
    fn new(kind: u64, position: u64, slot: u32) -> Self {
        Self(position << LAP_SHIFT | kind << SLOT_BITS | u64::from(slot))
    }

    /// What a hand has before its first operation.
    pub(crate) fn start(slot: u32) -> Self {
        Self::new(0, 0, slot)
    }

    #[inline(always)]
    pub(crate) fn push(position: u64, slot: u32) -> Self {
        Self::new(1, position, slot)
    }

    #[inline(always)]
    pub(crate) fn pop(position: u64, slot: u32) -> Self {
        Self::new(2, position, slot)
    }

    #[inline(always)]
    pub(crate) fn slot(self) -> u32 {
        (self.0 & SLOT_MASK) as u32
    }

    /// `None`: nobody writes that.
    pub(crate) fn kind(self) -> Option<OpKind> {
        match self.0 >> SLOT_BITS & 3 {
            0 => Some(OpKind::Start),
            1 => Some(OpKind::Push),
            2 => Some(OpKind::Pop),
            _ => None,
        }
    }

    /// Modulo 2^39.
    pub(crate) fn position(self) -> u64 {
        self.0 >> LAP_SHIFT
    }

    /// How many stages an entry is ahead of the one in which this operation wanted it. Exact unless
    /// it has been through all positions of a hand since.
    pub(crate) fn stages_passed(self, entry: Entry, capacity_bits: u32) -> u64 {
        let wanted =
            stage_for_push(self.position(), capacity_bits) + u64::from(self.kind() == Some(OpKind::Pop));
        let known = STAGE_BITS - capacity_bits.min(STAGE_BITS);
        (entry.0 >> STAGE_SHIFT).wrapping_sub(wanted) & ((1 << known) - 1)
    }

    /// The operation that takes `slot` out of the entry into which this one has put it.
    pub(crate) fn taker(self, slot: u32, capacity_bits: u32) -> Self {
        match self.kind() {
            Some(OpKind::Push) => Self::pop(self.position(), slot),
            _ => Self::push((self.position() + (1 << capacity_bits)) % POSITIONS, slot),
        }
    }
}

/// The first eight bytes of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotHeader(pub(crate) u64);

impl SlotHeader {
    const REDELIVERED: u64 = 1 << 32;

    #[inline(always)]
    pub(crate) fn owned_by(hand: u32, redelivered: bool) -> Self {
        Self((u64::from(hand) + 1) | if redelivered { Self::REDELIVERED } else { 0 })
    }

    pub(crate) fn is_owned_by(self, hand: u32) -> bool {
        self.0 & !Self::REDELIVERED == u64::from(hand) + 1
    }

    #[inline(always)]
    pub(crate) fn is_redelivered(self) -> bool {
        self.0 & Self::REDELIVERED != 0
    }
}

/// The number of a slot that a hand owns (I4). There is one token for each: whoever has taken a slot
/// out of an entry makes it, and whoever gives the slot away ends it.
#[derive(Debug)]
pub(crate) struct OwnedSlot(pub(crate) u32);

/// A hand: owns one slot, always. Written by its holder only; read by whoever repairs.
#[derive(Default)]
#[repr(C, align(128))]
pub(crate) struct HandLine {
    /// What the last finished operation left.
    pub(crate) cur: AtomicU64,
    /// The intent: the operation under way, or the last one that was tried. 0: none yet.
    pub(crate) now: AtomicU64,
    /// The `cur` of the last message that was released.
    pub(crate) rel: AtomicU64,
}

#[cfg(not(segring_loom))]
mod checks {
    use super::{HandLine, LINE};
    use memoffset::offset_of;
    use static_assertions::const_assert_eq;

    const_assert_eq!(size_of::<HandLine>(), LINE);
    const_assert_eq!(offset_of!(HandLine, now), 8);
    const_assert_eq!(offset_of!(HandLine, rel), 16);
}
#[cfg(segring_loom)]
const _: usize = LINE;

#[cfg(all(test, not(segring_loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_entry_goes_through_its_stages() {
        let mut entry = Entry::first(5);
        for lap in 0..4u64 {
            assert_eq!((entry.slot(), entry.ahead_of(2 * lap)), (5, 0));
            entry = entry.filled(7);
            assert_eq!((entry.slot(), entry.ahead_of(2 * lap)), (7, 1));
            entry = entry.emptied(5);
        }
    }

    #[test]
    fn closing_stays_and_changes_neither_stage_nor_slot() {
        let entry = Entry::first(9).closed();
        assert!(entry.is_closed() && entry.slot() == 9 && entry.ahead_of(0) == 0);
        let later = entry.filled(1).emptied(2);
        assert!(later.is_closed() && later.slot() == 2 && later.ahead_of(2) == 0);
    }

    #[test]
    fn laps_wrap() {
        for bits in [0, 3, 20] {
            let last_lap = (1u64 << 39) - 1;
            let position = (last_lap << bits) + (1 << bits) - 1;
            let mut entry = Entry::first(SLOT_MASK as u32);
            entry.0 |= last_lap << LAP_SHIFT;
            assert_eq!(entry.ahead_of(stage_for_push(position, bits)), 0);
            let op = Op::push(position, 3);
            assert_eq!(op.stages_passed(entry, bits), 0, "{bits}");
            entry = entry.filled(3);
            assert_eq!(op.stages_passed(entry, bits), 1, "{bits}");
            assert_eq!(Op::pop(position, 3).stages_passed(entry, bits), 0, "{bits}");
            entry = entry.emptied(4);
            assert_eq!(entry.0 >> STAGE_SHIFT, 0, "the lap after the last one");
            assert_eq!(entry.ahead_of(stage_for_push(position, bits)), 2);
            assert_eq!(entry.ahead_of(stage_for_push(position + (1 << bits), bits)), 0);
            assert_eq!(entry.ahead_of(stage_for_push(position + (2 << bits), bits)), -2);
            assert_eq!(op.stages_passed(entry, bits), 2, "{bits}");
        }
    }

    #[test]
    fn who_takes_what_an_operation_has_put_there() {
        assert_eq!(Op::push(7, 1).taker(9, 3), Op::pop(7, 9));
        assert_eq!(Op::pop(7, 1).taker(9, 3), Op::push(15, 9));
        assert_eq!(Op::pop(POSITIONS - 1, 1).taker(9, 3), Op::push(7, 9));
    }
}
