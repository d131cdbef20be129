//! The words of a ring whose messages lie in its entries: 16 bytes each, for messages of up to 8.
//!
//! ```text
//! state    63 … 25 lap | 24 full | 23 closed | 22 … 16 left | 15 … 0 block
//! value    the message, where `left` is 0
//! ```
//! The state goes through the stages of an [`Entry`]. A batch lies in a *block*, which belongs to the
//! producer's seat; the entry says in which, and how many of its messages nobody has taken. The batch ends
//! where its block does, so that this number says where the next message is, too.

use super::LINE;
use super::exchange::Entry;
use crate::sync::{AtomicU64, Pair};

/// Messages of a block: of the longest batch.
pub(crate) const BLOCK_LEN: u32 = 64;
/// Bytes of a block.
pub(crate) const BLOCK_BYTES: usize = 512;
/// Most blocks of a seat.
pub(crate) const BLOCKS_MAX: u64 = 16;
/// The longest message.
pub(crate) const WORD: u64 = 8;

const LEFT_SHIFT: u32 = 16;
const BLOCK_MASK: u32 = (1 << LEFT_SHIFT) - 1;

/// Blocks of each seat: as many as a full ring fills, within bounds.
pub(crate) fn blocks_per_seat(capacity: u64) -> u64 {
    (capacity / u64::from(BLOCK_LEN)).clamp(1, BLOCKS_MAX)
}

/// An entry of such a ring.
pub(crate) type Cell = Pair;

/// What a full entry has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// One message, in its value.
    Value,
    /// Messages in a block: so many are left.
    Batch { block: u32, left: u32 },
}

impl Content {
    /// `None`: nobody writes that (I5).
    #[inline(always)]
    pub(crate) fn of(entry: Entry, blocks: u32) -> Option<Self> {
        Self::of_word(entry.slot(), blocks)
    }

    /// The same, of where a slot would be.
    #[inline(always)]
    pub(crate) fn of_word(word: u32, blocks: u32) -> Option<Self> {
        match word {
            0 => Some(Self::Value),
            word => {
                let (left, block) = (word >> LEFT_SHIFT, word & BLOCK_MASK);
                let sound = (1..=BLOCK_LEN).contains(&left) && block < blocks;
                sound.then_some(Self::Batch { block, left })
            }
        }
    }

    /// For [`Entry::filled`].
    #[inline(always)]
    pub(crate) fn word(self) -> u32 {
        match self {
            Self::Value => 0,
            Self::Batch { block, left } => left << LEFT_SHIFT | block,
        }
    }
}

impl Entry {
    /// The same stage; `n` messages of its batch are gone, and not the last one.
    #[inline(always)]
    pub(crate) fn with_fewer(self, n: u32) -> Self {
        Self(self.0 - (u64::from(n) << LEFT_SHIFT))
    }
}

/// Where a seat's producers have put its blocks: the position and one, or 0. Written by the holder, before
/// the exchange that puts the block there.
#[derive(Default)]
#[repr(C, align(128))]
pub(crate) struct BlockLine {
    pub(crate) at: [AtomicU64; BLOCKS_MAX as usize],
}

#[cfg(not(segring_loom))]
mod checks {
    use super::{BLOCK_BYTES, BLOCK_LEN, BLOCK_MASK, BLOCKS_MAX, BlockLine, Cell, LINE, WORD};
    use crate::layout::exchange::SEATS_MAX;
    use static_assertions::const_assert;

    const_assert!(size_of::<Cell>() == 16 && align_of::<Cell>() == 16);
    const_assert!(size_of::<BlockLine>() == LINE);
    const_assert!(BLOCK_BYTES == BLOCK_LEN as usize * WORD as usize);
    const_assert!(SEATS_MAX as u64 * BLOCKS_MAX <= BLOCK_MASK as u64 + 1);
}
#[cfg(segring_loom)]
const _: (usize, usize, u64) = (LINE, BLOCK_BYTES, WORD);

#[cfg(all(test, not(segring_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_an_entry_has() {
        let batch = Content::Batch { block: 65535, left: 64 };
        let entry = Entry::first(0).filled(batch.word());
        assert_eq!(Content::of(entry, 65536), Some(batch));
        assert_eq!(Content::of(entry, 65535), None, "a block that is not there");
        let fewer = entry.with_fewer(63);
        assert_eq!(Content::of(fewer, 65536), Some(Content::Batch { block: 65535, left: 1 }));
        assert_eq!(fewer.ahead_of(1), 0, "the same stage");
        assert_eq!(Content::of(entry.emptied(0).filled(0), 1), Some(Content::Value));
        for unsound in [65 << 16, 127 << 16, 1, 65535] {
            assert_eq!(Content::of(Entry::first(0).filled(unsound), 65536), None, "{unsound:#x}");
        }
    }

    #[test]
    fn blocks_are_as_many_as_a_full_ring_fills() {
        let counts = [1, 64, 128, 1024, 1 << 20].map(blocks_per_seat);
        assert_eq!(counts, [1, 1, 2, 16, 16]);
    }
}
