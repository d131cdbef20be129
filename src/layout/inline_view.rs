//! The ring of a segment whose messages lie in its entries, as private handles see it: numbers in, words
//! and copies out.
//!
//! As [`super::exchange_view`]: every number is bounded, so the methods are safe whatever they are given
//! (I5); that a block is *mine* to write is the algorithm's business. What is read out of a block may be
//! torn; it counts only if the exchange that follows succeeds.

use super::cursors::Cursors;
use super::exchange::Entry;
use super::inline::{BLOCK_BYTES, BLOCK_LEN, BlockLine, Cell};
use super::view::Keep;
use crate::sync::shared::{copy_in, copy_out};
use crate::sync::{AtomicU64, Ordering, ask_to_write};
use std::marker::PhantomData;
use std::ptr::NonNull;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Where the parts of such a ring lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InlineParts {
    pub(crate) cursors: NonNull<Cursors>,
    /// One for each seat.
    pub(crate) lines: NonNull<BlockLine>,
    pub(crate) cells: NonNull<Cell>,
    pub(crate) blocks: NonNull<u8>,
    /// Entries: two to the power of this.
    pub(crate) capacity_bits: u32,
    pub(crate) seats: u32,
    pub(crate) blocks_per_seat: u32,
}

/// The same, with what follows from it.
#[derive(Clone, Copy)]
struct Places {
    parts: InlineParts,
    /// Entries, less one.
    mask: u64,
    /// Of all seats.
    blocks: u32,
}

/// How many positions ahead: four lie in a line. By measurement (`docs/measurements.md`).
const ASK_AHEAD: u64 = 16;

/// Nothing at run time: a constant.
#[inline(always)]
fn assert_word<T>() {
    assert!(size_of::<T>() <= 8, "blocks are for messages of up to 8 bytes");
}

/// Keeps entries and blocks mapped.
pub(crate) struct InlineView {
    places: Places,
    _keep: Keep,
}

// SAFETY: pointers to shared memory that the view keeps mapped; what moves to another thread with a
// handle is the right to use it, not the memory.
unsafe impl Send for InlineView {}

impl InlineView {
    /// # Safety
    /// All parts are aligned, lie in mapped memory of the sizes that their counts ask for, and stay
    /// there as long as `keep`. There is at least one seat, with 1 to 16 blocks of 512 bytes.
    pub(crate) unsafe fn new(parts: InlineParts, keep: Keep) -> Self {
        let (mask, blocks) = ((1 << parts.capacity_bits) - 1, parts.seats * parts.blocks_per_seat);
        Self { places: Places { parts, mask, blocks }, _keep: keep }
    }

    #[inline(always)]
    pub(crate) fn here(&self) -> Inline<'_> {
        Inline { places: self.places, _view: PhantomData }
    }
}

/// Entries and blocks, for one call: as [`super::exchange_view::Exchange`].
#[derive(Clone, Copy)]
pub(crate) struct Inline<'a> {
    places: Places,
    _view: PhantomData<&'a InlineView>,
}

impl<'a> Inline<'a> {
    /// What a creator writes.
    pub(crate) fn initialise(self) {
        for i in 0..self.capacity() {
            // Relaxed: published by the ready mark.
            self.cell(i).first().store(Entry::first(0).0, Ordering::Relaxed);
        }
    }

    /// Entries.
    #[inline(always)]
    pub(crate) fn capacity(self) -> u64 {
        self.places.mask + 1
    }

    #[inline(always)]
    pub(crate) fn capacity_bits(self) -> u32 {
        self.places.parts.capacity_bits
    }

    #[inline(always)]
    pub(crate) fn cursors(self) -> &'a Cursors {
        // SAFETY: the contract of `new`; all fields are atomics, so peers may write them.
        unsafe { self.places.parts.cursors.as_ref() }
    }

    #[inline(always)]
    fn cell_at(self, position: u64) -> *const Cell {
        let index = (position & self.places.mask) as usize;
        self.places.parts.cells.as_ptr().wrapping_add(index)
    }

    /// The entry of a position.
    #[inline(always)]
    pub(crate) fn cell(self, position: u64) -> &'a Cell {
        // SAFETY: masked into the entries, by the contract of `new`; used as atomics only.
        unsafe { &*self.cell_at(position) }
    }

    /// Asks for the line of an entry some positions further, to be written soon.
    #[inline(always)]
    pub(crate) fn ask_ahead(self, position: u64) {
        ask_to_write(self.cell_at(position.wrapping_add(ASK_AHEAD)));
    }

    pub(crate) fn blocks_per_seat(self) -> u32 {
        self.places.parts.blocks_per_seat
    }

    /// Of all seats.
    #[inline(always)]
    pub(crate) fn blocks(self) -> u32 {
        self.places.blocks
    }

    /// Where a block was put last. Numbers beyond the last mean the last.
    #[inline(always)]
    pub(crate) fn block_at(self, block: u32) -> &'a AtomicU64 {
        let block = block.min(self.blocks() - 1);
        let (seat, i) =
            (block / self.places.parts.blocks_per_seat, block % self.places.parts.blocks_per_seat);
        let line = self.places.parts.lines.as_ptr().wrapping_add(seat as usize);
        // SAFETY: bounded by the number of seats, by the contract of `new`; all fields are atomics.
        let line = unsafe { &*line };
        &line.at[i as usize]
    }

    /// Where the message lies in a block that has `left` behind it, itself included. Inside the blocks,
    /// with `left * size` bytes behind it, for sizes of up to 8.
    #[inline(always)]
    fn message(self, block: u32, left: u32, size: usize) -> *mut u8 {
        let block = block.min(self.blocks() - 1) as usize;
        let before = (BLOCK_LEN - left.min(BLOCK_LEN)) as usize * size;
        self.places.parts.blocks.as_ptr().wrapping_add(block * BLOCK_BYTES + before)
    }

    /// Copies a batch in, so that it ends at the end of its block. The block is mine.
    #[inline]
    pub(crate) fn write_batch<T: IntoBytes + Immutable>(self, block: u32, items: &[T]) {
        assert_word::<T>();
        let left = items.len().min(BLOCK_LEN as usize);
        let at = self.message(block, left as u32, size_of::<T>());
        // SAFETY: `left` messages fit behind it, and there are as many; `items` is private to the caller.
        unsafe { copy_in(at, items.as_ptr().cast(), left * size_of::<T>()) };
    }

    /// Copies messages out, of which `left` are there from the first on. They may be torn.
    #[inline]
    pub(crate) fn read_batch<T: FromBytes>(self, block: u32, left: u32, into: &mut [T]) {
        assert_word::<T>();
        let n = into.len().min(left.min(BLOCK_LEN) as usize);
        let at = self.message(block, left, size_of::<T>());
        // SAFETY: as in `write_batch`; `into` is private to the caller, and `T: FromBytes` takes any
        // bytes (I5).
        unsafe { copy_out(into.as_mut_ptr().cast(), at, n * size_of::<T>()) };
    }
}
