//! Commit by one cursor: slots without gaps, for bulk and for large messages.
//!
//! After Lamport's queue (1983) with the peer's cursor cached in private memory, as in MCRingBuffer
//! (Lee, Bu, Chandranmenon, 2010) and FastFlow.

use super::distance;
#[cfg(not(segring_loom))]
use super::slots::Slots;
use crate::layout::cursors::SideLine;
#[cfg(not(segring_loom))]
use crate::layout::view::DenseSlots;
use crate::ring::RingError;
use crate::sync::Ordering;

/// Moves the tail over `n` messages: all of them become visible at once.
#[inline(always)]
pub(crate) fn publish(line: &SideLine, tail: u64, n: u64) {
    if n > 0 {
        // Release: SYNC(publish), pairs with the Acquire load in `visible`.
        line.cursor.store(tail + n, Ordering::Release);
    }
}

/// The tail, bounded.
#[inline(always)]
pub(crate) fn visible(line: &SideLine, head: u64, seen: u64, capacity: u64) -> Result<u64, RingError> {
    // Acquire: SYNC(publish), pairs with the Release store in `publish`.
    let tail = line.cursor.load(Ordering::Acquire);
    distance(head, tail, capacity)?;
    distance(seen, tail, capacity)?;
    Ok(tail)
}

/// Looks at the tail.
#[inline(always)]
pub(crate) fn look(line: &SideLine, head: u64, seen: &mut u64, capacity: u64) -> Result<bool, RingError> {
    *seen = visible(line, head, *seen, capacity)?;
    Ok(*seen != head)
}

/// The tail is exact: it is the commit itself.
pub(crate) fn find_tail(line: &SideLine, head: u64, capacity: u64) -> Result<u64, RingError> {
    // Relaxed: the last writer was the former holder of my seat; its semaphore ordered us.
    let tail = line.cursor.load(Ordering::Relaxed);
    distance(head, tail, capacity)?;
    Ok(tail)
}

#[cfg(not(segring_loom))]
impl<T: zerocopy::FromBytes + Copy> Slots for DenseSlots<T> {
    type Item = T;

    #[inline(always)]
    fn capacity(&self) -> u64 {
        self.capacity()
    }
    #[inline(always)]
    fn write(&self, position: u64, item: &T) {
        self.write(position, item);
    }
    #[inline(always)]
    fn read(&self, position: u64) -> T {
        self.read(position)
    }
    #[inline(always)]
    fn read_into(&self, position: u64, into: &mut T) {
        self.read_into(position, into);
    }
    #[inline]
    fn write_all(&self, position: u64, items: &[T]) {
        self.write_all(position, items);
    }
    #[inline]
    fn read_all(&self, position: u64, into: &mut [T]) {
        self.read_all(position, into);
    }
    #[inline(always)]
    fn publish_one(&self, line: &SideLine, tail: u64) {
        publish(line, tail, 1);
    }
    #[inline(always)]
    fn look(&self, line: &SideLine, head: u64, seen: &mut u64) -> Result<bool, RingError> {
        look(line, head, seen, self.capacity())
    }
    #[inline(always)]
    fn publish(&self, line: &SideLine, tail: u64, n: u64) {
        publish(line, tail, n);
    }
    #[inline(always)]
    fn visible(&self, line: &SideLine, head: u64, seen: u64, _: u64) -> Result<u64, RingError> {
        visible(line, head, seen, self.capacity())
    }
    fn find_tail(&self, line: &SideLine, head: u64) -> Result<u64, RingError> {
        find_tail(line, head, self.capacity())
    }
}
