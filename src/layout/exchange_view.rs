//! The exchange ring of a segment as private handles see it: numbers in, words and copies out.
//!
//! Made once, with `unsafe`, over memory that it keeps alive. After that every number is bounded, so
//! the methods are safe whatever they are given (I5); that a slot is *mine* to touch is the
//! algorithm's business (I4).

use super::cursors::Cursors;
use super::exchange::{Entry, HandLine, Op, OwnedSlot};
use super::view::{Keep, Trust};
use crate::sync::shared::{copy_in, copy_out};
use crate::sync::{AtomicU64, Ordering, ask_to_write, hand_on};
use std::marker::PhantomData;
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
    /// Entries: two to the power of this.
    pub(crate) capacity_bits: u32,
    pub(crate) hand_count: u32,
    /// Bytes from slot to slot.
    pub(crate) stride: usize,
    /// Where the payload begins in a slot.
    pub(crate) payload_offset: usize,
}

/// The same, with what follows from it, so that no operation works it out.
#[derive(Clone, Copy)]
struct Places {
    parts: ExchangeParts,
    /// Entries, less one.
    mask: u64,
    last_slot: u32,
    last_hand: u32,
    /// Bytes of a slot behind where its payload begins.
    room: usize,
}

impl Places {
    fn of(parts: ExchangeParts) -> Self {
        let mask = (1 << parts.capacity_bits) - 1;
        let (last_hand, room) = (parts.hand_count - 1, parts.stride - parts.payload_offset);
        Self { parts, mask, last_slot: mask as u32 + parts.hand_count, last_hand, room }
    }
}

/// How many positions ahead an entry is asked for: eight lie in a line.
const ASK_ENTRY: u64 = 14;
/// And a slot. Both by measurement, as that larger slots are not asked for (`docs/measurements.md`).
const ASK_SLOT: u64 = 3;
const ENTRIES_OF_LINE: u64 = 8;
/// Bytes of such a slot.
const ASK_MOST: usize = 128;

/// Keeps entries, hands and slots mapped.
pub(crate) struct ExchangeView {
    places: Places,
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
    /// there as long as `keep`. There are as many slots as entries and hands, at least one of each; the
    /// stride is a multiple of 64 and of the payload's alignment.
    pub(crate) unsafe fn new(parts: ExchangeParts, keep: Keep) -> Self {
        Self { places: Places::of(parts), _keep: keep }
    }

    #[inline(always)]
    pub(crate) fn here(&self) -> Exchange<'_> {
        Exchange { places: self.places, _view: PhantomData }
    }
}

/// Entries, hands and slots, for one call. A copy of where they are, which nobody else has: so it stays in
/// registers. Through the view, whatever is needed again would be read again after each atomic access.
#[derive(Clone, Copy)]
pub(crate) struct Exchange<'a> {
    places: Places,
    _view: PhantomData<&'a ExchangeView>,
}

impl<'a> Exchange<'a> {
    /// What a creator writes: slot i in entry i, and one in each hand.
    pub(crate) fn initialise(self) {
        for i in 0..self.capacity() {
            // Relaxed, and below: published by the ready mark.
            self.entry(i).store(Entry::first(i as u32).0, Ordering::Relaxed);
        }
        for i in 0..self.places.parts.hand_count {
            let slot = self.capacity() as u32 + i;
            self.hand(i).cur.store(Op::start(slot).0, Ordering::Relaxed);
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

    pub(crate) fn hand_count(self) -> u32 {
        self.places.parts.hand_count
    }

    #[inline(always)]
    pub(crate) fn slot_count(self) -> u32 {
        self.places.last_slot + 1
    }

    /// Whether there is such a slot.
    #[inline(always)]
    pub(crate) fn has_slot(self, slot: u32) -> bool {
        slot <= self.places.last_slot
    }

    /// Bytes of a slot behind where its payload begins.
    #[inline(always)]
    pub(crate) fn payload_room(self) -> usize {
        self.places.room
    }

    #[inline(always)]
    pub(crate) fn cursors(self) -> &'a Cursors {
        // SAFETY: the contract of `new`; all fields are atomics, so peers may write them.
        unsafe { self.places.parts.cursors.as_ref() }
    }

    /// The entry of a position.
    #[inline(always)]
    pub(crate) fn entry(self, position: u64) -> &'a AtomicU64 {
        let index = (position & self.places.mask) as usize;
        let at = self.places.parts.entries.as_ptr().wrapping_add(index);
        // SAFETY: masked into the entries, by the contract of `new`; used as an atomic only.
        unsafe { &*at }
    }

    /// A hand's line. Numbers beyond the last mean the last.
    #[inline(always)]
    pub(crate) fn hand(self, number: u32) -> &'a HandLine {
        let index = number.min(self.places.last_hand) as usize;
        let at = self.places.parts.hands.as_ptr().wrapping_add(index);
        // SAFETY: bounded by the number of hands, by the contract of `new`; all fields are atomics.
        unsafe { &*at }
    }

    /// Where a slot begins. Numbers beyond the last mean the last.
    #[inline(always)]
    fn slot(self, slot: u32) -> *mut u8 {
        let index = slot.min(self.places.last_slot) as usize;
        self.places.parts.slots.as_ptr().wrapping_add(index * self.places.parts.stride)
    }

    /// A slot's header: owner and mark.
    #[inline(always)]
    pub(crate) fn header(self, slot: u32) -> &'a AtomicU64 {
        // SAFETY: the first eight bytes of a slot, 64-aligned; used as an atomic only: the payload
        // begins behind them.
        unsafe { AtomicU64::from_ptr(self.slot(slot).cast()) }
    }

    /// Asks for the line of the entry some positions further, to be written soon; and for that of the slot
    /// that a push will get out of a nearer one.
    #[inline(always)]
    pub(crate) fn ask_ahead(self, position: u64) {
        if self.places.parts.stride > ASK_MOST {
            return;
        }
        ask_to_write(self.entry(position.wrapping_add(ASK_ENTRY)));
        let entry = Entry(self.entry(position.wrapping_add(ASK_SLOT)).load(Ordering::Relaxed));
        if !entry.is_full() {
            ask_to_write(self.slot(entry.slot()));
        }
    }

    /// Whether the message before this one has been taken already: somebody may be waiting for this one. Not for
    /// messages of more than a line or two; and into another line of entries it looks only `anywhere`.
    #[inline(always)]
    pub(crate) fn is_alone(self, position: u64, anywhere: impl FnOnce() -> bool) -> bool {
        let before = position.wrapping_sub(1);
        (position % ENTRIES_OF_LINE != 0 || anywhere())
            && self.places.parts.stride <= ASK_MOST
            && !Entry(self.entry(before).load(Ordering::Relaxed)).is_full()
    }

    /// Hands the first line of a slot on to whoever will read it.
    pub(crate) fn hand_on(self, slot: u32) {
        hand_on(self.slot(slot));
    }

    /// Asks for the first line of a slot, to be read and stamped soon.
    #[inline(always)]
    pub(crate) fn ask_for(self, slot: u32) {
        ask_to_write(self.slot(slot));
    }

    #[inline(always)]
    fn payload(self, slot: u32) -> *mut u8 {
        self.slot(slot).wrapping_add(self.places.parts.payload_offset)
    }

    #[inline(always)]
    fn assert_fits(self, offset: usize, len: usize) {
        let room = self.payload_room();
        assert!(offset <= room && len <= room - offset, "a payload must not reach beyond its slot");
    }

    /// Copies a message in. The slot is mine (I4).
    #[inline(always)]
    pub(crate) fn write<T>(self, slot: u32, item: &T) {
        self.assert_fits(0, size_of::<T>());
        // SAFETY: inside the slot, as just asserted; `item` is private to the caller.
        unsafe { copy_in(self.payload(slot), std::ptr::from_ref(item).cast(), size_of::<T>()) };
    }

    /// Copies a message out. The slot is mine (I4).
    #[inline(always)]
    pub(crate) fn read<T: FromBytes>(self, slot: u32) -> T {
        self.assert_fits(0, size_of::<T>());
        let mut item = MaybeUninit::<T>::uninit();
        // SAFETY: inside the slot, as just asserted; `item` is private.
        unsafe { copy_out(item.as_mut_ptr().cast(), self.payload(slot), size_of::<T>()) };
        // SAFETY: every byte was written by the copy, and `T: FromBytes` takes any bytes (I5).
        unsafe { item.assume_init() }
    }

    /// The same, into memory that is there already.
    #[inline(always)]
    pub(crate) fn read_into<T: FromBytes>(self, slot: u32, into: &mut T) {
        self.assert_fits(0, size_of::<T>());
        // SAFETY: inside the slot, as just asserted; `into` is private to the caller, and
        // `T: FromBytes` takes any bytes (I5).
        unsafe { copy_out(std::ptr::from_mut(into).cast(), self.payload(slot), size_of::<T>()) };
    }

    /// Copies bytes in, behind the first `offset` of the payload. The slot is mine (I4).
    #[inline]
    pub(crate) fn write_bytes(self, slot: u32, offset: usize, bytes: &[u8]) {
        self.assert_fits(offset, bytes.len());
        let at = self.payload(slot).wrapping_add(offset);
        // SAFETY: inside the slot, as just asserted; `bytes` is private to the caller.
        unsafe { copy_in(at, bytes.as_ptr(), bytes.len()) };
    }

    /// Appends bytes of the payload to a vector. The slot is mine (I4).
    #[inline]
    pub(crate) fn read_bytes(self, slot: u32, offset: usize, len: usize, into: &mut Vec<u8>) {
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
    pub(crate) fn get<'s, T: FromBytes>(self, _: Trust, slot: &'s OwnedSlot) -> &'s T
    where
        'a: 's,
    {
        self.assert_fits(0, size_of::<T>());
        // SAFETY: inside the slot; aligned, because stride and payload offset are multiples of the
        // alignment; initialised (`T: FromBytes`); by the trust, not written while it is mine (I4).
        unsafe { &*self.payload(slot.0).cast::<T>() }
    }

    /// The same, to write.
    pub(crate) fn get_mut<'s, T: FromBytes>(self, _: Trust, slot: &'s mut OwnedSlot) -> &'s mut T
    where
        'a: 's,
    {
        self.assert_fits(0, size_of::<T>());
        // SAFETY: as in `get`; touched by nobody else while the slot is mine (I4), and the borrow of
        // the one token makes it the one reference in this process.
        unsafe { &mut *self.payload(slot.0).cast::<T>() }
    }

    /// Bytes of the payload in place.
    pub(crate) fn bytes<'s>(self, _: Trust, slot: &'s OwnedSlot, offset: usize, len: usize) -> &'s [u8]
    where
        'a: 's,
    {
        self.assert_fits(offset, len);
        let at = self.payload(slot.0).wrapping_add(offset);
        // SAFETY: inside the slot; by the trust, not written while it is mine (I4).
        unsafe { std::slice::from_raw_parts(at, len) }
    }

    /// The same, to write.
    pub(crate) fn bytes_mut<'s>(
        self,
        _: Trust,
        slot: &'s mut OwnedSlot,
        offset: usize,
        len: usize,
    ) -> &'s mut [u8]
    where
        'a: 's,
    {
        self.assert_fits(offset, len);
        let at = self.payload(slot.0).wrapping_add(offset);
        // SAFETY: as in `get_mut`.
        unsafe { std::slice::from_raw_parts_mut(at, len) }
    }
}
