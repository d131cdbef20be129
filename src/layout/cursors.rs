//! The three lines through which producers and consumers meet.

use super::LINE;
use crate::sync::{AtomicU32, AtomicU64};

/// Everything that one SPSC ring shares besides its slots.
///
/// Each line has one writer, so that a line moves between cores only when the other side looks. On an
/// exchange ring the two cursors are hints, never ahead of the truth, and anybody may move them on.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Cursors {
    /// Written by the producer only.
    pub(crate) producer: SideLine,
    /// Written by the consumer only.
    pub(crate) consumer: SideLine,
    /// Read by both, written rarely.
    pub(crate) state: StateLine,
}

/// One side's progress.
#[derive(Default)]
#[repr(C, align(128))]
pub(crate) struct SideLine {
    /// Producer: committed so far. Consumer: released so far. In messages; in bytes on a byte ring.
    /// On a stamped ring the producer's is a hint (never ahead of the truth): the stamps commit.
    pub(crate) cursor: AtomicU64,
    /// Byte ring: how many messages lie before a cursor. Two entries, written in turn *before* the
    /// cursor moves; the one whose cursor equals [`SideLine::cursor`] is the true one.
    pub(crate) ledger: [LedgerEntry; 2],
}

/// `records` messages lie before byte `cursor`.
#[derive(Default)]
#[repr(C)]
pub(crate) struct LedgerEntry {
    pub(crate) cursor: AtomicU64,
    pub(crate) records: AtomicU64,
}

/// What both sides look at and hardly ever change.
#[derive(Default)]
#[repr(C, align(128))]
pub(crate) struct StateLine {
    /// [`CLOSED`] and [`REMOVED`].
    pub(crate) flags: AtomicU32,
    /// Futex word: 1 while a consumer sleeps, or is about to, until a message comes.
    pub(crate) consumer_waits: AtomicU32,
    /// Futex word: 1 while a producer sleeps, or is about to, until there is room.
    pub(crate) producer_waits: AtomicU32,
    /// Exchange rings: participants that have ever joined and left.
    pub(crate) producers: Attendance,
    pub(crate) consumers: Attendance,
    /// Exchange rings: seats from here on have never been taken.
    pub(crate) seats_used: AtomicU32,
}

/// Counts that only grow (and go around). A kill may leave one behind by one.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Attendance {
    pub(crate) joined: AtomicU32,
    pub(crate) left: AtomicU32,
    /// Whose seats have been taken over since.
    pub(crate) died: AtomicU32,
}

/// The producer has closed the ring: nothing more will come.
pub(crate) const CLOSED: u32 = 1;
/// The ring's name is gone: nobody new can come by name.
pub(crate) const REMOVED: u32 = 2;

#[cfg(not(segring_loom))]
mod checks {
    use super::{Cursors, LINE, SideLine, StateLine};
    use memoffset::offset_of;
    use static_assertions::const_assert_eq;

    const_assert_eq!(size_of::<Cursors>(), 3 * LINE);
    const_assert_eq!(offset_of!(Cursors, consumer), LINE);
    const_assert_eq!(offset_of!(Cursors, state), 2 * LINE);
    const_assert_eq!(offset_of!(SideLine, ledger), 8);
    const_assert_eq!(offset_of!(StateLine, consumer_waits), 4);
    const_assert_eq!(offset_of!(StateLine, producer_waits), 8);
    const_assert_eq!(offset_of!(StateLine, producers), 12);
    const_assert_eq!(offset_of!(StateLine, consumers), 24);
    const_assert_eq!(offset_of!(StateLine, seats_used), 36);
}
#[cfg(segring_loom)]
const _: usize = LINE;
