//! A seat's record: what its holder says of itself. That it lives is said by its semaphore alone.

use super::LINE;
use crate::sync::AtomicU64;
use memoffset::offset_of;
use static_assertions::const_assert_eq;

/// One participant's place. Only the holder of the seat's semaphore writes it.
#[repr(C, align(128))]
pub(crate) struct SeatRecord {
    /// `epoch:32 | phase:32`: see [`State`]. Stored last on joining, first on leaving.
    pub(crate) state: AtomicU64,
    /// The holder's process id, in the holder's PID namespace.
    pub(crate) pid: AtomicU64,
    /// When that process started, in ticks since boot: tells a reused pid.
    pub(crate) start_time: AtomicU64,
    /// The inode of that namespace.
    pub(crate) pid_namespace: AtomicU64,
    /// A random number of the program image: tells the image before an `exec` from the one after.
    pub(crate) image: AtomicU64,
    /// When the holder joined, nanoseconds since 1970.
    pub(crate) joined_at: AtomicU64,
}

const_assert_eq!(size_of::<SeatRecord>(), LINE);
const_assert_eq!(offset_of!(SeatRecord, pid), 8);
const_assert_eq!(offset_of!(SeatRecord, start_time), 16);
const_assert_eq!(offset_of!(SeatRecord, pid_namespace), 24);
const_assert_eq!(offset_of!(SeatRecord, image), 32);
const_assert_eq!(offset_of!(SeatRecord, joined_at), 40);

/// What the last holder of a seat did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nobody has ever sat here.
    Never,
    /// Somebody joined and has not said goodbye: alive if the semaphore is up, dead if not.
    Joined,
    /// The last holder left by itself.
    Left,
}

/// A seat's `state` word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Counts the joins: two holders never share one.
    pub(crate) epoch: u32,
    pub(crate) phase: Phase,
}

impl State {
    /// Unknown phases (a peer may write anything) read as `Left`: nobody is believed to be there.
    pub(crate) fn from_word(word: u64) -> Self {
        Self {
            epoch: (word >> 32) as u32,
            phase: match word as u32 {
                0 => Phase::Never,
                1 => Phase::Joined,
                _ => Phase::Left,
            },
        }
    }

    pub(crate) fn word(self) -> u64 {
        let phase = match self.phase {
            Phase::Never => 0,
            Phase::Joined => 1,
            Phase::Left => 2,
        };
        u64::from(self.epoch) << 32 | phase
    }
}
