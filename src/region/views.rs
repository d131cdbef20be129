//! Views of a region's memory for the algorithms. Each keeps the region attached.

use super::Region;
use super::map::Mapping;
use crate::layout::cursors::Cursors;
use crate::layout::exchange_view::{Exchange, ExchangeParts, ExchangeView};
use crate::layout::geometry::{Geometry, payload_offset};
use crate::layout::header::Kind;
use crate::layout::inline;
use crate::layout::inline_view::{Inline, InlineParts, InlineView};
use crate::layout::slot::Layout;
use crate::layout::view::{ByteSlots, CursorsView, DenseSlots, StampedSlots};
use std::ptr::NonNull;
use std::sync::Arc;
use zerocopy::FromBytes;

/// The slots of a typed ring, by its layout.
pub(crate) enum TypedSlots<T> {
    Stamped(StampedSlots<T>),
    Dense(DenseSlots<T>),
}

/// Where the parts of an exchange ring lie in a mapping.
fn exchange_parts(mapping: &Mapping, geometry: &Geometry) -> ExchangeParts {
    let shape = geometry.shape;
    ExchangeParts {
        cursors: mapping.at(geometry.cursors_offset).cast(),
        hands: mapping.at(geometry.hands_offset).cast(),
        entries: mapping.at(geometry.entries_offset).cast(),
        slots: mapping.at(geometry.slots_offset),
        capacity_bits: shape.capacity.trailing_zeros(),
        hand_count: shape.seats * shape.in_hand,
        stride: geometry.stride as usize,
        payload_offset: payload_offset(shape.payload_align) as usize,
    }
}

/// Where the parts of a ring lie whose messages are in its entries.
fn inline_parts(mapping: &Mapping, geometry: &Geometry) -> InlineParts {
    let shape = geometry.shape;
    InlineParts {
        cursors: mapping.at(geometry.cursors_offset).cast(),
        lines: mapping.at(geometry.hands_offset).cast(),
        cells: mapping.at(geometry.entries_offset).cast(),
        blocks: mapping.at(geometry.slots_offset),
        capacity_bits: shape.capacity.trailing_zeros(),
        seats: shape.seats,
        blocks_per_seat: inline::blocks_per_seat(shape.capacity) as u32,
    }
}

/// What the creator of a ring of many writes before the ready mark.
pub(super) fn initialise_entries(mapping: &Mapping, geometry: &Geometry) {
    if geometry.shape.is_inline() {
        let parts = inline_parts(mapping, geometry);
        // SAFETY: as below.
        let view = unsafe { InlineView::new(parts, Arc::new(())) };
        return view.here().initialise();
    }
    let parts = exchange_parts(mapping, geometry);
    // SAFETY: the geometry is that of this segment, whose size it has given; the view ends with this
    // function, and the mapping does not.
    let view = unsafe { ExchangeView::new(parts, Arc::new(())) };
    view.here().initialise();
}

impl Region {
    /// The entries, hands and slots of an exchange ring. `None`: it has none.
    pub(crate) fn exchange_view(self: &Arc<Self>) -> Option<ExchangeView> {
        if !self.geometry.shape.has_hands() {
            return None;
        }
        let parts = exchange_parts(&self.mapping, &self.geometry);
        // SAFETY: the geometry, checked against the segment's size, has room for all parts, aligned;
        // the region keeps them mapped.
        Some(unsafe { ExchangeView::new(parts, self.clone()) })
    }

    /// The entries and blocks of a ring whose messages lie in its entries. `None`: it has slots.
    pub(crate) fn inline_view(self: &Arc<Self>) -> Option<InlineView> {
        if !self.geometry.shape.is_inline() {
            return None;
        }
        let parts = inline_parts(&self.mapping, &self.geometry);
        // SAFETY: the geometry, checked against the segment's size, has room for all parts, aligned;
        // the region keeps them mapped.
        Some(unsafe { InlineView::new(parts, self.clone()) })
    }

    /// A look at the entries of such a ring, for as long as `look` takes. `None`: it has slots.
    pub(crate) fn with_inline_view<R>(&self, look: impl FnOnce(Inline<'_>) -> R) -> Option<R> {
        if !self.geometry.shape.is_inline() {
            return None;
        }
        let parts = inline_parts(&self.mapping, &self.geometry);
        // SAFETY: as in `inline_view`; the region outlives the view, which ends here.
        let view = unsafe { InlineView::new(parts, Arc::new(())) };
        Some(look(view.here()))
    }

    /// A look at the entries, hands and slots of an exchange ring, for as long as `look` takes. `None`: it
    /// has none.
    pub(crate) fn with_exchange_view<R>(&self, look: impl FnOnce(Exchange<'_>) -> R) -> Option<R> {
        if !self.geometry.shape.has_hands() {
            return None;
        }
        let parts = exchange_parts(&self.mapping, &self.geometry);
        // SAFETY: as in `exchange_view`; the region outlives the view, which ends here.
        let view = unsafe { ExchangeView::new(parts, Arc::new(())) };
        Some(look(view.here()))
    }

    fn slots_base(&self) -> NonNull<u8> {
        self.mapping.at(self.geometry.slots_offset)
    }

    pub(crate) fn cursors_view(self: &Arc<Self>) -> CursorsView {
        let at = NonNull::from(self.cursors()).cast();
        debug_assert!(at.cast::<Cursors>().is_aligned());
        // SAFETY: a reference into the mapping, which the region keeps as long as it lives.
        unsafe { CursorsView::new(at, self.clone()) }
    }

    /// The slots, if `T` is the payload of this ring (which attaching has checked).
    pub(crate) fn typed_slots<T: FromBytes + Copy>(self: &Arc<Self>) -> TypedSlots<T> {
        let shape = self.geometry.shape;
        assert_eq!(shape.kind, Kind::Spsc, "a typed view of a byte ring");
        assert_eq!(shape.payload_size, size_of::<T>() as u64, "a view of another payload");
        assert_eq!(shape.payload_align as usize, align_of::<T>(), "a view of another payload");
        let base = self.slots_base();
        match shape.layout {
            Layout::Dense => {
                // SAFETY: page-aligned; the geometry, checked against the segment's size, has
                // `capacity` slots of this size from here on; the region keeps them mapped.
                TypedSlots::Dense(unsafe { DenseSlots::new(base, shape.capacity, self.clone()) })
            }
            Layout::Inline => unreachable!("no SPSC ring has this layout"),
            Layout::Stamped => {
                // SAFETY: as above, with the stride of stamped slots.
                TypedSlots::Stamped(unsafe { StampedSlots::new(base, shape.capacity, self.clone()) })
            }
        }
    }

    /// The circle of bytes of a byte ring.
    pub(crate) fn byte_slots(self: &Arc<Self>) -> ByteSlots {
        let shape = self.geometry.shape;
        assert_eq!(shape.kind, Kind::SpscBytes, "a view of bytes on a typed ring");
        // SAFETY: page-aligned; the geometry, checked against the segment's size, has `capacity`
        // bytes from here on; the region keeps them mapped.
        unsafe { ByteSlots::new(self.slots_base(), shape.capacity, self.clone()) }
    }
}
