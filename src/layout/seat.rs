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
    /// What the last participant was: see [`RoleWord`].
    pub(crate) role: AtomicU64,
}

const_assert_eq!(size_of::<SeatRecord>(), LINE);
const_assert_eq!(offset_of!(SeatRecord, pid), 8);
const_assert_eq!(offset_of!(SeatRecord, start_time), 16);
const_assert_eq!(offset_of!(SeatRecord, pid_namespace), 24);
const_assert_eq!(offset_of!(SeatRecord, image), 32);
const_assert_eq!(offset_of!(SeatRecord, joined_at), 40);
const_assert_eq!(offset_of!(SeatRecord, role), 48);

/// Which side of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Producer,
    Consumer,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }

    pub(crate) fn peer(self) -> Self {
        match self {
            Self::Producer => Self::Consumer,
            Self::Consumer => Self::Producer,
        }
    }
}

/// A seat's `role` word: what its last participant was, and whether that one was found dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RoleWord {
    /// `None`: there was none yet.
    pub(crate) role: Option<Role>,
    /// Whoever has repaired the seat says so.
    pub(crate) died: bool,
}

impl RoleWord {
    pub(crate) fn from_word(word: u64) -> Self {
        let role = match word & 3 {
            1 => Some(Role::Producer),
            2 => Some(Role::Consumer),
            _ => None,
        };
        Self { role, died: word & 4 != 0 }
    }

    pub(crate) fn word(self) -> u64 {
        let role = match self.role {
            None => 0,
            Some(Role::Producer) => 1,
            Some(Role::Consumer) => 2,
        };
        role | u64::from(self.died) << 2
    }
}

/// What the last holder of a seat did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nobody has ever sat here.
    Never,
    /// Somebody joined and has not said goodbye: alive if the semaphore is up, dead if not.
    Joined,
    /// The last holder left by itself.
    Left,
    /// The last holder left by itself, and there are messages in its hands. Exchange rings only.
    Owing,
    /// Somebody who is no participant finishes what a dead one had begun. Exchange rings only.
    Adopted,
}

impl Phase {
    /// Whether a seat that nobody holds is as its holder should have left it.
    pub(crate) fn is_clean(self) -> bool {
        matches!(self, Self::Never | Self::Left)
    }
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
                3 => Phase::Owing,
                4 => Phase::Adopted,
                _ => Phase::Left,
            },
        }
    }

    pub(crate) fn word(self) -> u64 {
        let phase = match self.phase {
            Phase::Never => 0,
            Phase::Joined => 1,
            Phase::Left => 2,
            Phase::Owing => 3,
            Phase::Adopted => 4,
        };
        u64::from(self.epoch) << 32 | phase
    }
}
