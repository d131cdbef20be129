//! The first 1024 bytes of a segment: written once by its creator, checked by everyone, and then
//! never read again.

use super::LINE;
use crate::sync::can_exchange_pairs;
use memoffset::offset_of;
use static_assertions::{assert_impl_all, const_assert_eq};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `"SEGRING\0"` in a little-endian word.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"SEGRING\0");
/// Value of the ready mark. The last thing that a creator stores.
pub(crate) const READY: u32 = 0x5EAD_0001;
/// Room for the ring's name, in bytes.
pub(crate) const NAME_MAX: usize = 255;
/// Room for the schema's name, in bytes.
pub(crate) const SCHEMA_MAX: usize = 127;
/// Size of the header.
pub(crate) const HEADER_LEN: usize = 1024;

/// Feature bit: the last one to leave removes the ring.
pub(crate) const FEATURE_EPHEMERAL: u32 = 1;
/// Feature bit: made with huge pages.
pub(crate) const FEATURE_HUGE: u32 = 2;
/// Feature bit: exchanges two words at once.
pub(crate) const FEATURE_PAIRS: u32 = 4;

/// All feature bits that this version knows, on this processor. An unknown bit refuses the attach.
pub(crate) fn features_known() -> u32 {
    FEATURE_EPHEMERAL | FEATURE_HUGE | if can_exchange_pairs() { FEATURE_PAIRS } else { 0 }
}

/// Which ring a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// One producer, one consumer, messages of one size.
    Spsc,
    /// One producer, one consumer, messages of any length.
    SpscBytes,
    /// Many producers, many consumers, messages of one size.
    Mpmc,
    /// Many producers, many consumers, messages of any length up to one given at creation.
    MpmcBytes,
}

impl Kind {
    pub(crate) fn to_wire(self) -> u32 {
        match self {
            Self::Spsc => 1,
            Self::SpscBytes => 2,
            Self::Mpmc => 3,
            Self::MpmcBytes => 4,
        }
    }

    /// Whether many may take each side: a slot-exchange ring.
    pub(crate) fn is_mpmc(self) -> bool {
        matches!(self, Self::Mpmc | Self::MpmcBytes)
    }

    pub(crate) fn from_wire(word: u32) -> Option<Self> {
        match word {
            1 => Some(Self::Spsc),
            2 => Some(Self::SpscBytes),
            3 => Some(Self::Mpmc),
            4 => Some(Self::MpmcBytes),
            _ => None,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Spsc => "spsc",
            Self::SpscBytes => "spsc-bytes",
            Self::Mpmc => "mpmc",
            Self::MpmcBytes => "mpmc-bytes",
        })
    }
}

/// The header as it lies in the segment. Little-endian, like every machine that this runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) magic: u64,
    pub(crate) ready: u32,
    pub(crate) abi_major: u16,
    pub(crate) abi_minor: u16,
    pub(crate) features: u32,
    pub(crate) kind: u32,
    /// 0 stamped, 1 dense: of meaning on a typed SPSC ring only. 2: in the entries, on a typed ring of many.
    pub(crate) slot_layout: u32,
    pub(crate) seats: u32,
    /// Messages; bytes on a byte ring.
    pub(crate) capacity: u64,
    pub(crate) slot_count: u64,
    pub(crate) stride: u64,
    /// Of one message; of the longest, if many sides exchange records.
    pub(crate) payload_size: u64,
    pub(crate) payload_align: u32,
    pub(crate) sem_id: i32,
    pub(crate) key: i32,
    pub(crate) creator_uid: u32,
    pub(crate) creator_pid: u32,
    pub(crate) name_len: u16,
    pub(crate) schema_len: u16,
    pub(crate) created_at: u64,
    pub(crate) seats_offset: u64,
    pub(crate) cursors_offset: u64,
    pub(crate) entries_offset: u64,
    pub(crate) slots_offset: u64,
    pub(crate) total_bytes: u64,
    /// Which generation of its semaphore set is this ring's: see `region::set`.
    pub(crate) set_generation: u64,
    /// The file that a path name means: its device, 0 for other names.
    pub(crate) file_device: u64,
    /// And its inode.
    pub(crate) file_inode: u64,
    /// Hands of each seat; 0 on an SPSC ring.
    pub(crate) in_hand: u64,
    pub(crate) hands_offset: u64,
    pub(crate) reserved: [u64; 39],
    pub(crate) schema: [u8; 128],
    pub(crate) name: [u8; 256],
    pub(crate) tail: [u64; 19],
}

assert_impl_all!(Header: Send, Sync, FromBytes, IntoBytes);
const_assert_eq!(size_of::<Header>(), HEADER_LEN);
const_assert_eq!(HEADER_LEN % LINE, 0);
const_assert_eq!(offset_of!(Header, ready), 8);
const_assert_eq!(offset_of!(Header, abi_major), 12);
const_assert_eq!(offset_of!(Header, features), 16);
const_assert_eq!(offset_of!(Header, kind), 20);
const_assert_eq!(offset_of!(Header, slot_layout), 24);
const_assert_eq!(offset_of!(Header, seats), 28);
const_assert_eq!(offset_of!(Header, capacity), 32);
const_assert_eq!(offset_of!(Header, slot_count), 40);
const_assert_eq!(offset_of!(Header, stride), 48);
const_assert_eq!(offset_of!(Header, payload_size), 56);
const_assert_eq!(offset_of!(Header, payload_align), 64);
const_assert_eq!(offset_of!(Header, sem_id), 68);
const_assert_eq!(offset_of!(Header, key), 72);
const_assert_eq!(offset_of!(Header, creator_uid), 76);
const_assert_eq!(offset_of!(Header, creator_pid), 80);
const_assert_eq!(offset_of!(Header, name_len), 84);
const_assert_eq!(offset_of!(Header, schema_len), 86);
const_assert_eq!(offset_of!(Header, created_at), 88);
const_assert_eq!(offset_of!(Header, seats_offset), 96);
const_assert_eq!(offset_of!(Header, cursors_offset), 104);
const_assert_eq!(offset_of!(Header, entries_offset), 112);
const_assert_eq!(offset_of!(Header, slots_offset), 120);
const_assert_eq!(offset_of!(Header, total_bytes), 128);
const_assert_eq!(offset_of!(Header, set_generation), 136);
const_assert_eq!(offset_of!(Header, file_device), 144);
const_assert_eq!(offset_of!(Header, file_inode), 152);
const_assert_eq!(offset_of!(Header, in_hand), 160);
const_assert_eq!(offset_of!(Header, hands_offset), 168);
const_assert_eq!(offset_of!(Header, reserved), 176);
const_assert_eq!(offset_of!(Header, schema), 488);
const_assert_eq!(offset_of!(Header, name), 616);
const_assert_eq!(offset_of!(Header, tail), 872);

/// Where the atomic ready mark lies.
pub(crate) const READY_OFFSET: usize = offset_of!(Header, ready);

fn text(bytes: &[u8], len: u16) -> Option<&str> {
    std::str::from_utf8(bytes.get(..usize::from(len))?).ok()
}

impl Header {
    /// The ring's name; `None` if the bytes are no text.
    pub(crate) fn name(&self) -> Option<&str> {
        text(&self.name, self.name_len)
    }

    /// The schema; `None` if the bytes are no text.
    pub(crate) fn schema(&self) -> Option<&str> {
        text(&self.schema, self.schema_len)
    }
}
