//! Where everything stands, computed from the few numbers that define a ring.
//!
//! A creator computes it and writes it down. Everyone who attaches computes it again from the
//! header's defining numbers and compares: no offset is ever taken from a segment on trust (I5).

use super::cursors::Cursors;
use super::exchange::{self, HandLine};
use super::header::{FEATURE_PAIRS, HEADER_LEN, Header, Kind};
use super::inline::{self, BLOCK_BYTES, BlockLine, Cell};
use super::seat::SeatRecord;
use super::slot::{Layout, STAMPED_MAX, stamped_stride};
use crate::sync::can_exchange_pairs;

/// Slots start on a page, so that a copy of a large message stays on as few pages as possible.
const PAGE: u64 = 4096;
/// The smallest byte ring.
pub(crate) const BYTES_MIN: u64 = 4096;
/// No ring has more bytes of slots than this (2^46: far below the address space).
const SLOTS_MAX: u64 = 1 << 46;

/// Bytes of a record's length, before the record, in a slot of an exchange ring.
pub(crate) const RECORD_LEN: u64 = 8;

/// What defines a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    pub(crate) layout: Layout,
    /// Messages, or bytes on a byte ring. A power of two.
    pub(crate) capacity: u64,
    pub(crate) payload_size: u64,
    pub(crate) payload_align: u32,
    pub(crate) seats: u32,
    /// Hands of each seat; 0 on an SPSC ring, and where the messages lie in the entries.
    pub(crate) in_hand: u32,
}

/// A private copy of all positions and sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) shape: Shape,
    pub(crate) stride: u64,
    pub(crate) slot_count: u64,
    pub(crate) seats_offset: u64,
    pub(crate) cursors_offset: u64,
    /// 0 on an SPSC ring, as the next. A line for each seat where the messages lie in the entries.
    pub(crate) hands_offset: u64,
    pub(crate) entries_offset: u64,
    pub(crate) slots_offset: u64,
    pub(crate) total_bytes: u64,
}

/// Why a shape cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadShape {
    /// Capacity 0 or not a power of two.
    Capacity,
    /// Payload of size 0, alignment over 128, or too large for stamped slots or for entries.
    Payload,
    /// More bytes than any ring may have.
    TooLarge,
    /// No seats, or more than any ring may have; or too many hands of each.
    Seats,
    /// More entries and hands than there are numbers for slots.
    TooManySlots,
}

/// Whether such messages can lie in the entries, here.
pub(crate) fn can_be_inline(size: u64, align: u32) -> bool {
    size <= inline::WORD && u64::from(align) <= inline::WORD && can_exchange_pairs()
}

impl Shape {
    /// Rounds a wish up to the capacity that the ring will have. `None`: there is no such.
    pub(crate) fn round_capacity(kind: Kind, wish: usize) -> Option<u64> {
        let floor = match kind {
            Kind::Spsc | Kind::Mpmc | Kind::MpmcBytes => 1,
            Kind::SpscBytes => BYTES_MIN,
        };
        if wish == 0 {
            return None;
        }
        (wish as u64).max(floor).checked_next_power_of_two()
    }

    /// Lays everything out.
    pub(crate) fn geometry(self) -> Result<Geometry, BadShape> {
        if !self.capacity.is_power_of_two() {
            return Err(BadShape::Capacity);
        }
        let align = self.payload_align;
        if self.payload_size == 0 || !align.is_power_of_two() || align > 128 {
            return Err(BadShape::Payload);
        }
        let stride = match (self.kind, self.layout) {
            (Kind::SpscBytes, _) => {
                if self.capacity < BYTES_MIN {
                    return Err(BadShape::Capacity);
                }
                1
            }
            (Kind::Mpmc, Layout::Inline) => {
                if self.payload_size > inline::WORD || u64::from(align) > inline::WORD {
                    return Err(BadShape::Payload);
                }
                BLOCK_BYTES as u64
            }
            (Kind::Mpmc, _) => exchange_stride(self.payload_size, align).ok_or(BadShape::TooLarge)?,
            (Kind::MpmcBytes, _) => {
                let record = self.payload_size.checked_add(RECORD_LEN).ok_or(BadShape::TooLarge)?;
                exchange_stride(record, RECORD_LEN as u32).ok_or(BadShape::TooLarge)?
            }
            (Kind::Spsc, Layout::Inline) => return Err(BadShape::Payload),
            (Kind::Spsc, Layout::Dense) => self.payload_size,
            (Kind::Spsc, Layout::Stamped) => {
                let fits = usize::try_from(self.payload_size).is_ok_and(|n| n <= STAMPED_MAX);
                if !fits || u64::from(align) > 64 {
                    return Err(BadShape::Payload);
                }
                stamped_stride(self.payload_size as usize) as u64
            }
        };
        let hands = self.hands()?;
        let slot_count = if self.is_inline() {
            u64::from(self.seats) * inline::blocks_per_seat(self.capacity)
        } else {
            // On an exchange ring each hand owns a slot, besides those in the entries.
            self.capacity + hands
        };
        if self.kind.is_mpmc() && slot_count > exchange::SLOTS_MAX {
            return Err(BadShape::TooManySlots);
        }
        let slots = slot_count.checked_mul(stride).filter(|n| *n <= SLOTS_MAX);
        let slots = slots.ok_or(BadShape::TooLarge)?;
        let seats_offset = HEADER_LEN as u64;
        let cursors_offset = seats_offset + u64::from(self.seats) * size_of::<SeatRecord>() as u64;
        let mut end = cursors_offset + size_of::<Cursors>() as u64;
        let (mut hands_offset, mut entries_offset) = (0, 0);
        if self.kind.is_mpmc() {
            hands_offset = end;
            let (lines, entry) = if self.is_inline() {
                (u64::from(self.seats) * size_of::<BlockLine>() as u64, size_of::<Cell>() as u64)
            } else {
                (hands * size_of::<HandLine>() as u64, size_of::<u64>() as u64)
            };
            entries_offset = hands_offset + lines;
            let entries = self.capacity.checked_mul(entry).filter(|n| *n <= SLOTS_MAX);
            end = entries_offset + entries.ok_or(BadShape::TooLarge)?;
        }
        let slots_offset = end.next_multiple_of(PAGE);
        Ok(Geometry {
            shape: self,
            stride,
            slot_count,
            seats_offset,
            cursors_offset,
            hands_offset,
            entries_offset,
            slots_offset,
            total_bytes: slots_offset + slots.next_multiple_of(PAGE),
        })
    }

    /// Whether it has hands, and slots to exchange.
    pub(crate) fn has_hands(&self) -> bool {
        self.kind.is_mpmc() && !self.is_inline()
    }

    /// Whether the messages lie in the entries.
    pub(crate) fn is_inline(&self) -> bool {
        self.kind == Kind::Mpmc && self.layout == Layout::Inline
    }

    /// All hands of all seats: 0 on an SPSC ring, which has two seats, and where nothing is held.
    fn hands(&self) -> Result<u64, BadShape> {
        let seats = if self.kind.is_mpmc() { 1..=exchange::SEATS_MAX } else { 2..=2 };
        let in_hand = if self.has_hands() { 1..=exchange::IN_HAND_MAX } else { 0..=0 };
        if !seats.contains(&self.seats) || !in_hand.contains(&self.in_hand) {
            return Err(BadShape::Seats);
        }
        Ok(u64::from(self.seats) * u64::from(self.in_hand))
    }
}

/// Where the payload begins in a slot of an exchange ring: behind the slot's header, and where the
/// length of a record stands, if it is one.
pub(crate) fn payload_offset(align: u32) -> u64 {
    u64::from(align).max(size_of::<u64>() as u64)
}

/// A slot of an exchange ring begins on a cache line of its own: neighbours belong to different hands.
fn exchange_stride(size: u64, align: u32) -> Option<u64> {
    let line = u64::from(align).max(64);
    payload_offset(align).checked_add(size)?.checked_next_multiple_of(line)
}

impl Geometry {
    /// Computes the geometry that a header must describe; `None` if it describes another or none.
    pub(crate) fn of_header(h: &Header) -> Option<Self> {
        let shape = Shape {
            kind: Kind::from_wire(h.kind)?,
            layout: match h.slot_layout {
                0 => Layout::Stamped,
                1 => Layout::Dense,
                2 => Layout::Inline,
                _ => return None,
            },
            capacity: h.capacity,
            payload_size: h.payload_size,
            payload_align: h.payload_align,
            seats: h.seats,
            in_hand: u32::try_from(h.in_hand).ok()?,
        };
        if shape.is_inline() != (h.features & FEATURE_PAIRS != 0) {
            return None;
        }
        let g = shape.geometry().ok()?;
        let same = g.stride == h.stride
            && g.slot_count == h.slot_count
            && g.seats_offset == h.seats_offset
            && g.cursors_offset == h.cursors_offset
            && g.hands_offset == h.hands_offset
            && g.entries_offset == h.entries_offset
            && g.slots_offset == h.slots_offset
            && g.total_bytes == h.total_bytes;
        same.then_some(g)
    }

    /// Writes the numbers into a header.
    pub(crate) fn describe(&self, h: &mut Header) {
        h.kind = self.shape.kind.to_wire();
        h.slot_layout = match self.shape.layout {
            Layout::Stamped => 0,
            Layout::Dense => 1,
            Layout::Inline => 2,
        };
        h.capacity = self.shape.capacity;
        h.payload_size = self.shape.payload_size;
        h.payload_align = self.shape.payload_align;
        h.seats = self.shape.seats;
        h.in_hand = u64::from(self.shape.in_hand);
        h.hands_offset = self.hands_offset;
        h.entries_offset = self.entries_offset;
        h.stride = self.stride;
        h.slot_count = self.slot_count;
        h.seats_offset = self.seats_offset;
        h.cursors_offset = self.cursors_offset;
        h.slots_offset = self.slots_offset;
        h.total_bytes = self.total_bytes;
    }
}
