//! Where everything stands, computed from the few numbers that define a ring.
//!
//! A creator computes it and writes it down. Everyone who attaches computes it again from the
//! header's defining numbers and compares: no offset is ever taken from a segment on trust (I5).

use super::cursors::Cursors;
use super::header::{HEADER_LEN, Header, Kind};
use super::seat::SeatRecord;
use super::slot::{Layout, STAMPED_MAX, stamped_stride};

/// Slots start on a page, so that a copy of a large message stays on as few pages as possible.
const PAGE: u64 = 4096;
/// The smallest byte ring.
pub(crate) const BYTES_MIN: u64 = 4096;
/// No ring has more bytes of slots than this (2^46: far below the address space).
const SLOTS_MAX: u64 = 1 << 46;

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
}

/// A private copy of all positions and sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) shape: Shape,
    pub(crate) stride: u64,
    pub(crate) slot_count: u64,
    pub(crate) seats_offset: u64,
    pub(crate) cursors_offset: u64,
    pub(crate) slots_offset: u64,
    pub(crate) total_bytes: u64,
}

/// Why a shape cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadShape {
    /// Capacity 0 or not a power of two.
    Capacity,
    /// Payload of size 0, alignment over 128, or too large for stamped slots.
    Payload,
    /// More bytes than any ring may have.
    TooLarge,
}

impl Shape {
    /// Rounds a wish up to the capacity that the ring will have. `None`: there is no such.
    pub(crate) fn round_capacity(kind: Kind, wish: usize) -> Option<u64> {
        let floor = match kind {
            Kind::Spsc => 1,
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
            (Kind::Spsc, Layout::Dense) => self.payload_size,
            (Kind::Spsc, Layout::Stamped) => {
                let fits = usize::try_from(self.payload_size).is_ok_and(|n| n <= STAMPED_MAX);
                if !fits || u64::from(align) > 64 {
                    return Err(BadShape::Payload);
                }
                stamped_stride(self.payload_size as usize) as u64
            }
        };
        let slots = self.capacity.checked_mul(stride).filter(|n| *n <= SLOTS_MAX);
        let slots = slots.ok_or(BadShape::TooLarge)?;
        let seats_offset = HEADER_LEN as u64;
        let cursors_offset = seats_offset + u64::from(self.seats) * size_of::<SeatRecord>() as u64;
        let slots_offset = (cursors_offset + size_of::<Cursors>() as u64).next_multiple_of(PAGE);
        Ok(Geometry {
            shape: self,
            stride,
            slot_count: self.capacity,
            seats_offset,
            cursors_offset,
            slots_offset,
            total_bytes: slots_offset + slots.next_multiple_of(PAGE),
        })
    }
}

impl Geometry {
    /// Computes the geometry that a header must describe; `None` if it describes another or none.
    pub(crate) fn of_header(h: &Header) -> Option<Self> {
        let shape = Shape {
            kind: Kind::from_wire(h.kind)?,
            layout: match h.slot_layout {
                0 => Layout::Stamped,
                1 => Layout::Dense,
                _ => return None,
            },
            capacity: h.capacity,
            payload_size: h.payload_size,
            payload_align: h.payload_align,
            seats: h.seats,
        };
        let g = shape.geometry().ok()?;
        let same = g.stride == h.stride
            && g.slot_count == h.slot_count
            && g.seats_offset == h.seats_offset
            && g.cursors_offset == h.cursors_offset
            && h.entries_offset == 0
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
        };
        h.capacity = self.shape.capacity;
        h.payload_size = self.shape.payload_size;
        h.payload_align = self.shape.payload_align;
        h.seats = self.shape.seats;
        h.stride = self.stride;
        h.slot_count = self.slot_count;
        h.seats_offset = self.seats_offset;
        h.cursors_offset = self.cursors_offset;
        h.slots_offset = self.slots_offset;
        h.total_bytes = self.total_bytes;
    }
}
