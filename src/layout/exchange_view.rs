//! The exchange ring of a segment as private handles see it: numbers in, words and copies out.
//!
//! Made once, with `unsafe`, over memory that it keeps alive. After that every number is bounded, so
//! the methods are safe whatever they are given (I5); that a slot is *mine* to touch is the
//! algorithm's business (I4).

use super::cursors::Cursors;
use super::exchange::{Entry, HandLine, Op, OwnedSlot};
use super::view::{Keep, Trust};
use crate::sync::shared::{copy_in, copy_out};
use crate::sync::{AtomicU64, Ordering, ask_to_write};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use zerocopy::FromBytes;

/// Where the parts of an exchange ring lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExchangeParts {
    pub(crate) cursors: NonNull<Cursors>,
    pub(crate) hands: NonNull<HandLine>,
    pub(crate) entries: NonNull<AtomicU64>,
    pub(crate) slots: NonNull<u8>,
    /// Entries: a power of two.
    pub(crate) capacity: u64,
    pub(crate) hand_count: u32,
    /// Bytes from slot to slot.
    pub(crate) stride: usize,
    /// Where the payload begins in a slot.
    pub(crate) payload_offset: usize,
}

/// How many positions ahead an entry is asked for: eight lie in a line.
const ASK_ENTRY: u64 = 14;
/// And a slot. Both by measurement, as that larger slots are not asked for (`docs/measurements.md`).
const ASK_SLOT: u64 = 3;
/// Bytes of such a slot.
const ASK_MOST: usize = 128;

/// Entries, hands and slots.
pub(crate) struct ExchangeView {
    parts: ExchangeParts,
    _keep: Keep,
}

// SAFETY: pointers to shared memory that the view keeps mapped; what moves to another thread with a
// handle is the right to use it, not the memory.
unsafe impl Send for ExchangeView {}
// SAFETY: words are atomics; slots are copied in and out by those who own them (I4), and the copy
// routine assumes nothing of what others do meanwhile (I5).
unsafe impl Sync for ExchangeView {}

impl ExchangeView {
    /// # Safety
    /// All parts are aligned, lie in mapped memory of the sizes that their counts ask for, and stay
    /// there as long as `keep`. There are `capacity + hand_count` slots, at least one of each; the
    /// stride is a multiple of 64 and of the payload's alignment.
    pub(crate) unsafe fn new(parts: ExchangeParts, keep: Keep) -> Self {
        Self { parts, _keep: keep }
    }

    /// What a creator writes: slot i in entry i, and one in each hand.
    pub(crate) fn initialise(&self) {
        for i in 0..self.parts.capacity {
            // Relaxed, and below: published by the ready mark.
            self.entry(i).store(Entry::first(i as u32).0, Ordering::Relaxed);
        }
        for i in 0..self.parts.hand_count {
            let slot = self.parts.capacity as u32 + i;
            self.hand(i).cur.store(Op::start(slot).0, Ordering::Relaxed);
        }
    }

    /// Entries.
    #[inline(always)]
    pub(crate) fn capacity(&self) -> u64 {
        self.parts.capacity
    }

    pub(crate) fn hand_count(&self) -> u32 {
        self.parts.hand_count
    }

    #[inline(always)]
    pub(crate) fn slot_count(&self) -> u32 {
        self.parts.capacity as u32 + self.parts.hand_count
    }

    /// Bytes of a slot behind where its payload begins.
    pub(crate) fn payload_room(&self) -> usize {
        self.parts.stride - self.parts.payload_offset
    }

    #[inline(always)]
    pub(crate) fn cursors(&self) -> &Cursors {
        // SAFETY: the contract of `new`; all fields are atomics, so peers may write them.
        unsafe { self.parts.cursors.as_ref() }
    }

    /// The entry of a position.
    #[inline(always)]
    pub(crate) fn entry(&self, position: u64) -> &AtomicU64 {
        let index = (position & (self.parts.capacity - 1)) as usize;
        let at = self.parts.entries.as_ptr().wrapping_add(index);
        // SAFETY: masked into the entries, by the contract of `new`; used as an atomic only.
        unsafe { &*at }
    }

    /// A hand's line. Numbers beyond the last mean the last.
    #[inline(always)]
    pub(crate) fn hand(&self, number: u32) -> &HandLine {
        let index = number.min(self.parts.hand_count - 1) as usize;
        let at = self.parts.hands.as_ptr().wrapping_add(index);
        // SAFETY: bounded by the number of hands, by the contract of `new`; all fields are atomics.
        unsafe { &*at }
    }

    /// Where a slot begins. Numbers beyond the last mean the last.
    #[inline(always)]
    fn slot(&self, slot: u32) -> *mut u8 {
        let index = slot.min(self.slot_count() - 1) as usize;
        self.parts.slots.as_ptr().wrapping_add(index * self.parts.stride)
    }

    /// A slot's header: owner and mark.
    #[inline(always)]
    pub(crate) fn header(&self, slot: u32) -> &AtomicU64 {
        // SAFETY: the first eight bytes of a slot, 64-aligned; used as an atomic only: the payload
        // begins behind them.
        unsafe { AtomicU64::from_ptr(self.slot(slot).cast()) }
    }

    /// Asks for the line of the entry some positions further, to be written soon; and for that of the slot
    /// that a push will get out of a nearer one.
    #[inline(always)]
    pub(crate) fn ask_ahead(&self, position: u64) {
        if self.parts.stride > ASK_MOST {
            return;
        }
        ask_to_write(self.entry(position + ASK_ENTRY));
        let entry = Entry(self.entry(position + ASK_SLOT).load(Ordering::Relaxed));
        if !entry.is_full() {
            ask_to_write(self.slot(entry.slot()));
        }
    }

    /// Asks for the first line of a slot, to be read and stamped soon.
    #[inline(always)]
    pub(crate) fn ask_for(&self, slot: u32) {
        ask_to_write(self.slot(slot));
    }

    #[inline(always)]
    fn payload(&self, slot: u32) -> *mut u8 {
        self.slot(slot).wrapping_add(self.parts.payload_offset)
    }

    fn assert_fits(&self, offset: usize, len: usize) {
        let room = self.payload_room();
        assert!(offset <= room && len <= room - offset, "a payload must not reach beyond its slot");
    }

    /// Copies a message in. The slot is mine (I4).
    #[inline(always)]
    pub(crate) fn write<T>(&self, slot: u32, item: &T) {
        self.assert_fits(0, size_of::<T>());
        // SAFETY: inside the slot, as just asserted; `item` is private to the caller.
        unsafe { copy_in(self.payload(slot), std::ptr::from_ref(item).cast(), size_of::<T>()) };
    }

    /// Copies a message out. The slot is mine (I4).
    #[inline(always)]
    pub(crate) fn read<T: FromBytes>(&self, slot: u32) -> T {
        self.assert_fits(0, size_of::<T>());
        let mut item = MaybeUninit::<T>::uninit();
        // SAFETY: inside the slot, as just asserted; `item` is private.
        unsafe { copy_out(item.as_mut_ptr().cast(), self.payload(slot), size_of::<T>()) };
        // SAFETY: every byte was written by the copy, and `T: FromBytes` takes any bytes (I5).
        unsafe { item.assume_init() }
    }

    /// The same, into memory that is there already.
    #[inline(always)]
    pub(crate) fn read_into<T: FromBytes>(&self, slot: u32, into: &mut T) {
        self.assert_fits(0, size_of::<T>());
        // SAFETY: inside the slot, as just asserted; `into` is private to the caller, and
        // `T: FromBytes` takes any bytes (I5).
        unsafe { copy_out(std::ptr::from_mut(into).cast(), self.payload(slot), size_of::<T>()) };
    }

    /// Copies bytes in, behind the first `offset` of the payload. The slot is mine (I4).
    #[inline]
    pub(crate) fn write_bytes(&self, slot: u32, offset: usize, bytes: &[u8]) {
        self.assert_fits(offset, bytes.len());
        let at = self.payload(slot).wrapping_add(offset);
        // SAFETY: inside the slot, as just asserted; `bytes` is private to the caller.
        unsafe { copy_in(at, bytes.as_ptr(), bytes.len()) };
    }

    /// Appends bytes of the payload to a vector. The slot is mine (I4).
    #[inline]
    pub(crate) fn read_bytes(&self, slot: u32, offset: usize, len: usize, into: &mut Vec<u8>) {
        self.assert_fits(offset, len);
        into.reserve(len);
        let spare = into.spare_capacity_mut().as_mut_ptr().cast();
        // SAFETY: inside the slot, as just asserted; the vector has room for `len` more.
        unsafe { copy_out(spare, self.payload(slot).wrapping_add(offset), len) };
        let len = into.len() + len;
        // SAFETY: reserved above, and written by the copy.
        unsafe { into.set_len(len) };
    }

    /// A message in place.
    pub(crate) fn get<'a, T: FromBytes>(&'a self, _: Trust, slot: &'a OwnedSlot) -> &'a T {
        self.assert_fits(0, size_of::<T>());
        // SAFETY: inside the slot; aligned, because stride and payload offset are multiples of the
        // alignment; initialised (`T: FromBytes`); by the trust, not written while it is mine (I4).
        unsafe { &*self.payload(slot.0).cast::<T>() }
    }

    /// The same, to write.
    pub(crate) fn get_mut<'a, T: FromBytes>(&'a self, _: Trust, slot: &'a mut OwnedSlot) -> &'a mut T {
        self.assert_fits(0, size_of::<T>());
        // SAFETY: as in `get`; touched by nobody else while the slot is mine (I4), and the borrow of
        // the one token makes it the one reference in this process.
        unsafe { &mut *self.payload(slot.0).cast::<T>() }
    }

    /// Bytes of the payload in place.
    pub(crate) fn bytes<'a>(&'a self, _: Trust, slot: &'a OwnedSlot, offset: usize, len: usize) -> &'a [u8] {
        self.assert_fits(offset, len);
        let at = self.payload(slot.0).wrapping_add(offset);
        // SAFETY: inside the slot; by the trust, not written while it is mine (I4).
        unsafe { std::slice::from_raw_parts(at, len) }
    }

    /// The same, to write.
    pub(crate) fn bytes_mut<'a>(
        &'a self,
        _: Trust,
        slot: &'a mut OwnedSlot,
        offset: usize,
        len: usize,
    ) -> &'a mut [u8] {
        self.assert_fits(offset, len);
        let at = self.payload(slot.0).wrapping_add(offset);
        // SAFETY: as in `get_mut`.
        unsafe { std::slice::from_raw_parts_mut(at, len) }
    }
}
