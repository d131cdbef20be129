//! The slots of a segment as private handles see them: positions in, copies out.
//!
//! A view is made once, with `unsafe`, over memory that it keeps alive. After that every access is
//! masked into that memory, so the methods are safe whatever position they are given (I5); that a
//! position is *mine* to touch is the algorithm's business (I4).

use super::cursors::Cursors;
use super::slot::stamped_stride;
use crate::sync::AtomicU64;
use crate::sync::shared::{copy_in, copy_out};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;
use zerocopy::FromBytes;

/// Keeps the memory of a view mapped.
pub(crate) type Keep = Arc<dyn Send + Sync>;

/// The lines through which the two sides meet.
pub(crate) struct CursorsView {
    at: NonNull<Cursors>,
    _keep: Keep,
}

// SAFETY: a pointer to atomics in memory that the view keeps mapped.
unsafe impl Send for CursorsView {}
// SAFETY: as above: all of it is atomics.
unsafe impl Sync for CursorsView {}

impl CursorsView {
    /// # Safety
    /// `at` is aligned, lies in mapped memory, and stays there as long as `keep`.
    pub(crate) unsafe fn new(at: NonNull<u8>, keep: Keep) -> Self {
        Self { at: at.cast(), _keep: keep }
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> &Cursors {
        // SAFETY: the contract of `new`; all fields are atomics, so peers may write them.
        unsafe { self.at.as_ref() }
    }
}

/// Slots of `size_of::<T>()` bytes, without gaps.
pub(crate) struct DenseSlots<T> {
    base: NonNull<T>,
    mask: u64,
    item: PhantomData<T>,
    _keep: Keep,
}

/// Slots of one message and its stamp each.
pub(crate) struct StampedSlots<T> {
    base: NonNull<u8>,
    mask: u64,
    item: PhantomData<T>,
    _keep: Keep,
}

/// A circle of bytes.
pub(crate) struct ByteSlots {
    base: NonNull<u8>,
    mask: u64,
    _keep: Keep,
}

// SAFETY: a view is a pointer to shared memory that the handle keeps mapped; what moves to another
// thread with the handle is the right to use it, not the memory. T is plain data.
unsafe impl<T: Send> Send for DenseSlots<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for StampedSlots<T> {}
// SAFETY: as above, for bytes.
unsafe impl Send for ByteSlots {}

impl<T: FromBytes + Copy> DenseSlots<T> {
    /// # Safety
    /// `base` is aligned for `T` and starts `capacity * size_of::<T>()` bytes of mapped memory that
    /// stay as long as `keep`. `capacity` is a power of two.
    pub(crate) unsafe fn new(base: NonNull<u8>, capacity: u64, keep: Keep) -> Self {
        Self { base: base.cast(), mask: capacity - 1, item: PhantomData, _keep: keep }
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.mask + 1
    }

    /// Where the message at `position` lies. Inside the memory of `new` for every position.
    #[inline(always)]
    pub(crate) fn address(&self, position: u64) -> *mut T {
        self.base.as_ptr().wrapping_add((position & self.mask) as usize)
    }

    /// How many of `n` messages from `position` on lie before the wrap.
    #[inline(always)]
    pub(crate) fn until_wrap(&self, position: u64, n: usize) -> usize {
        n.min((self.capacity() - (position & self.mask)) as usize)
    }

    #[inline(always)]
    pub(crate) fn write(&self, position: u64, item: &T) {
        // SAFETY: the address lies in the memory of `new`; `item` is private to the caller. The
        // slot is the producer's (I4).
        unsafe { copy_in(self.address(position).cast(), std::ptr::from_ref(item).cast(), size_of::<T>()) };
    }

    #[inline(always)]
    pub(crate) fn read(&self, position: u64) -> T {
        let mut item = MaybeUninit::<T>::uninit();
        // SAFETY: the address lies in the memory of `new`; `item` is private. The slot is the
        // consumer's (I4).
        unsafe { copy_out(item.as_mut_ptr().cast(), self.address(position).cast(), size_of::<T>()) };
        // SAFETY: every byte was written by the copy, and `T: FromBytes` takes any bytes (I5).
        unsafe { item.assume_init() }
    }

    #[inline(always)]
    pub(crate) fn read_into(&self, position: u64, into: &mut T) {
        // SAFETY: the address lies in the memory of `new`; `into` is private to the caller, and
        // `T: FromBytes` takes any bytes (I5). The slot is the consumer's (I4).
        unsafe { copy_out(std::ptr::from_mut(into).cast(), self.address(position).cast(), size_of::<T>()) };
    }

    /// Two copies at most: up to the wrap, and from the start.
    #[inline]
    pub(crate) fn write_all(&self, position: u64, items: &[T]) {
        let first = self.until_wrap(position, items.len());
        let (head, tail) = items.split_at(first);
        for (at, part) in [(position, head), (position + first as u64, tail)] {
            // SAFETY: the part ends at the wrap at the latest, so it lies in the memory of `new`.
            unsafe { copy_in(self.address(at).cast(), part.as_ptr().cast(), size_of_val(part)) };
        }
    }

    /// Two copies at most.
    #[inline]
    pub(crate) fn read_all(&self, position: u64, into: &mut [T]) {
        let first = self.until_wrap(position, into.len());
        let (head, tail) = into.split_at_mut(first);
        for (at, part) in [(position, head), (position + first as u64, tail)] {
            // SAFETY: the part ends at the wrap at the latest, so it lies in the memory of `new`.
            unsafe { copy_out(part.as_mut_ptr().cast(), self.address(at).cast(), size_of_val(part)) };
        }
    }
}

impl<T: FromBytes + Copy> StampedSlots<T> {
    const STRIDE: usize = stamped_stride(size_of::<T>());

    /// # Safety
    /// `base` is aligned to 64 and starts `capacity * stamped_stride(size_of::<T>())` bytes of
    /// mapped memory that stay as long as `keep`. `capacity` is a power of two.
    pub(crate) unsafe fn new(base: NonNull<u8>, capacity: u64, keep: Keep) -> Self {
        Self { base, mask: capacity - 1, item: PhantomData, _keep: keep }
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.mask + 1
    }

    /// Where the message at `position` lies. Inside the memory of `new` for every position.
    #[inline(always)]
    pub(crate) fn address(&self, position: u64) -> *mut T {
        let slot = (position & self.mask) as usize * Self::STRIDE;
        self.base.as_ptr().wrapping_add(slot).cast()
    }

    /// The last eight bytes of the slot.
    #[inline(always)]
    pub(crate) fn stamp(&self, position: u64) -> &AtomicU64 {
        let at = self.address(position).cast::<u8>().wrapping_add(Self::STRIDE - 8);
        // SAFETY: inside the memory of `new`, 8-aligned because base and stride are, and used as
        // an atomic only: the payload ends before it.
        unsafe { AtomicU64::from_ptr(at.cast()) }
    }

    #[inline(always)]
    pub(crate) fn write(&self, position: u64, item: &T) {
        // SAFETY: the address lies in the memory of `new`; `item` is private to the caller. The
        // slot is the producer's (I4).
        unsafe { copy_in(self.address(position).cast(), std::ptr::from_ref(item).cast(), size_of::<T>()) };
    }

    #[inline(always)]
    pub(crate) fn read(&self, position: u64) -> T {
        let mut item = MaybeUninit::<T>::uninit();
        // SAFETY: the address lies in the memory of `new`; `item` is private. The slot is the
        // consumer's (I4).
        unsafe { copy_out(item.as_mut_ptr().cast(), self.address(position).cast(), size_of::<T>()) };
        // SAFETY: every byte was written by the copy, and `T: FromBytes` takes any bytes (I5).
        unsafe { item.assume_init() }
    }

    #[inline(always)]
    pub(crate) fn read_into(&self, position: u64, into: &mut T) {
        // SAFETY: the address lies in the memory of `new`; `into` is private to the caller, and
        // `T: FromBytes` takes any bytes (I5). The slot is the consumer's (I4).
        unsafe { copy_out(std::ptr::from_mut(into).cast(), self.address(position).cast(), size_of::<T>()) };
    }
}

impl ByteSlots {
    /// # Safety
    /// `base` is 8-aligned and starts `capacity` bytes of mapped memory that stay as long as `keep`.
    /// `capacity` is a power of two, at least 8.
    pub(crate) unsafe fn new(base: NonNull<u8>, capacity: u64, keep: Keep) -> Self {
        Self { base, mask: capacity - 1, _keep: keep }
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.mask + 1
    }

    /// Where the byte at `position` lies. Inside the memory of `new` for every position.
    #[inline(always)]
    pub(crate) fn address(&self, position: u64) -> *mut u8 {
        self.base.as_ptr().wrapping_add((position & self.mask) as usize)
    }

    fn assert_fits(&self, position: u64, len: usize) {
        let room = self.capacity() - (position & self.mask);
        assert!(len as u64 <= room, "a record must not reach past the wrap");
    }

    /// Copies bytes in. They end at the wrap at the latest.
    #[inline]
    pub(crate) fn write(&self, position: u64, bytes: &[u8]) {
        self.assert_fits(position, bytes.len());
        // SAFETY: as just asserted, inside the memory of `new`. The bytes are the producer's (I4).
        unsafe { copy_in(self.address(position), bytes.as_ptr(), bytes.len()) };
    }

    /// Appends bytes to a vector. They end at the wrap at the latest.
    #[inline]
    pub(crate) fn read_into(&self, position: u64, len: usize, into: &mut Vec<u8>) {
        self.assert_fits(position, len);
        into.reserve(len);
        let spare = into.spare_capacity_mut().as_mut_ptr().cast();
        // SAFETY: as just asserted, inside the memory of `new`; the vector has room for `len` more.
        // The bytes are the consumer's (I4).
        unsafe { copy_out(spare, self.address(position), len) };
        let len = into.len() + len;
        // SAFETY: reserved above, and written by the copy.
        unsafe { into.set_len(len) };
    }

    /// The 8-byte record header at `position`, which is rounded down to a multiple of 8.
    #[inline(always)]
    pub(crate) fn header(&self, position: u64) -> &AtomicU64 {
        let at = self.address(position & !7);
        // SAFETY: inside the memory of `new`: 8-aligned, and the capacity is a multiple of 8.
        unsafe { AtomicU64::from_ptr(at.cast()) }
    }
}

/// Proof that somebody has promised: nobody writes into this segment except through segring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trust(());

impl Trust {
    /// # Safety
    /// As long as the handle that keeps this lives, or anything that it has handed out, every process that has the segment attached
    /// for writing writes it through segring only. Then what the algorithm has given to one side
    /// (I4) is touched by nobody else, and references to it are sound.
    pub(crate) unsafe fn new() -> Self {
        Self(())
    }
}

impl<T: FromBytes + Copy> DenseSlots<T> {
    /// `n` slots from `position` on, in place: up to the wrap, and from the start. `n` is at most
    /// the capacity.
    pub(crate) fn slices(&self, _: Trust, position: u64, n: usize) -> (&[T], &[T]) {
        let n = n.min(self.mask as usize + 1);
        let first = self.until_wrap(position, n);
        let (at, start) = (self.address(position), self.base.as_ptr());
        // SAFETY: inside the memory of `new`, aligned, initialised (`T: FromBytes`); by the trust,
        // not written while the caller owns the positions (I4).
        let head = unsafe { std::slice::from_raw_parts(at, first) };
        // SAFETY: as above; `n - first` slots from the start, fewer than the capacity.
        let tail = unsafe { std::slice::from_raw_parts(start, n - first) };
        (head, tail)
    }

    /// The same, to write. The two parts do not overlap, because `n` is at most the capacity.
    pub(crate) fn slices_mut(&mut self, _: Trust, position: u64, n: usize) -> (&mut [T], &mut [T]) {
        let n = n.min(self.mask as usize + 1);
        let first = self.until_wrap(position, n);
        let (at, start) = (self.address(position), self.base.as_ptr());
        // SAFETY: inside the memory of `new`, aligned, initialised (`T: FromBytes`); by the trust,
        // touched by nobody else while the caller owns the positions (I4); `&mut self` keeps it one.
        let head = unsafe { std::slice::from_raw_parts_mut(at, first) };
        // SAFETY: as above; `n - first` slots from the start, which end before `position`'s slot.
        let tail = unsafe { std::slice::from_raw_parts_mut(start, n - first) };
        (head, tail)
    }
}

impl<T: FromBytes + Copy> StampedSlots<T> {
    /// The message at `position`, in place.
    pub(crate) fn get(&self, _: Trust, position: u64) -> &T {
        // SAFETY: inside the memory of `new`; aligned, because the stride is a multiple of the
        // alignment; initialised (`T: FromBytes`); by the trust, not written meanwhile (I4).
        unsafe { &*self.address(position) }
    }

    /// `n` messages from `position` on, in place, to write. `n` is at most the capacity.
    pub(crate) fn iter_mut(&mut self, _: Trust, position: u64, n: u64) -> impl Iterator<Item = &mut T> {
        let n = n.min(self.mask + 1);
        let this: &Self = self;
        (position..position + n).map(move |p| {
            // SAFETY: as in `get`, and touched by nobody else while the caller owns the positions
            // (I4). Distinct positions within one capacity are distinct slots, so no two of these
            // references meet; `&mut self` is held by the iterator.
            unsafe { &mut *this.address(p) }
        })
    }
}

impl ByteSlots {
    /// `len` bytes from `position` on, in place, ending at the wrap at the latest.
    pub(crate) fn slice(&self, _: Trust, position: u64, len: usize) -> &[u8] {
        self.assert_fits(position, len);
        // SAFETY: as just asserted, inside the memory of `new`; by the trust, not written
        // meanwhile (I4).
        unsafe { std::slice::from_raw_parts(self.address(position), len) }
    }

    /// The same, to write.
    pub(crate) fn slice_mut(&mut self, _: Trust, position: u64, len: usize) -> &mut [u8] {
        self.assert_fits(position, len);
        // SAFETY: as just asserted, inside the memory of `new`; by the trust, touched by nobody
        // else meanwhile (I4); `&mut self` keeps it one.
        unsafe { std::slice::from_raw_parts_mut(self.address(position), len) }
    }
}
