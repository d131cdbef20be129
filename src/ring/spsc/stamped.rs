//! Commit by a stamp in every slot: flag and data travel in one cache line.
//!
//! The stamp of the message at position `p` is `p + 1`. Before it is committed, its slot holds the
//! stamp of one lap ago, `p + 1 - capacity`, or 0 in the first lap. Any other value was written by
//! nobody of this protocol.
//!
//! After FastForward (Giacomoni, Moseley, Vachharajani, PPoPP 2008), with a lap stamp in place of
//! the null value, so that any payload may be sent, and with the consumer's cursor in place of
//! clearing, so that only the producer writes the slots.

use super::distance;
#[cfg(not(segring_loom))]
use super::slots::Slots;
use super::slots::Stamps;
use crate::layout::cursors::SideLine;
#[cfg(not(segring_loom))]
use crate::layout::view::StampedSlots;
use crate::ring::RingError;
use crate::sync::Ordering;

/// Is the message at `position` committed?
#[inline(always)]
fn is_committed(slots: &impl Stamps, position: u64) -> Result<bool, RingError> {
    // Acquire: SYNC(publish), pairs with the Release store in `publish`.
    let stamp = slots.stamp(position).load(Ordering::Acquire);
    if stamp == position + 1 {
        return Ok(true);
    }
    if stamp == (position + 1).saturating_sub(slots.capacity()) {
        return Ok(false);
    }
    Err(RingError::Corrupt)
}

/// Stamps the slot, then moves the hint.
#[inline(always)]
pub(crate) fn publish_one(slots: &impl Stamps, line: &SideLine, tail: u64) {
    stamp(slots, tail);
    hint(line, tail + 1);
}

/// Stamps `n` slots in order, then moves the hint.
#[inline(always)]
pub(crate) fn publish(slots: &impl Stamps, line: &SideLine, tail: u64, n: u64) {
    for position in tail..tail + n {
        stamp(slots, position);
    }
    if n > 0 {
        hint(line, tail + n);
    }
}

#[inline(always)]
fn stamp(slots: &impl Stamps, position: u64) {
    // Release: SYNC(publish), pairs with the Acquire load in `is_committed`: the payload is there
    // before its stamp.
    slots.stamp(position).store(position + 1, Ordering::Release);
}

#[inline(always)]
fn hint(line: &SideLine, tail: u64) {
    // Release: SYNC(hint), pairs with the Acquire load of observers and `find_tail`; never ahead
    // of the stamps.
    line.cursor.store(tail, Ordering::Release);
}

/// Looks at one stamp.
#[inline(always)]
pub(crate) fn look(slots: &impl Stamps, head: u64, seen: &mut u64) -> Result<bool, RingError> {
    let there = is_committed(slots, head)?;
    if there {
        *seen = head + 1;
    }
    Ok(there)
}

/// Follows the stamps from `seen` on, `wanted` messages after `head` at most.
#[inline(always)]
pub(crate) fn visible(slots: &impl Stamps, head: u64, seen: u64, wanted: u64) -> Result<u64, RingError> {
    let end = head + wanted.min(slots.capacity());
    let mut at = seen;
    while at < end && is_committed(slots, at)? {
        at += 1;
    }
    Ok(at)
}

/// The hint, or as far behind it as there are stamps: its writer may have been killed in between.
pub(crate) fn find_tail(slots: &impl Stamps, line: &SideLine, head: u64) -> Result<u64, RingError> {
    // Acquire: SYNC(hint), pairs with the Release store in `publish`.
    let hint = line.cursor.load(Ordering::Acquire);
    // A consumer may be ahead of the hint: it follows the stamps.
    let start = hint.max(head);
    distance(head, start, slots.capacity())?;
    visible(slots, head, start, slots.capacity())
}

#[cfg(not(segring_loom))]
impl<T: zerocopy::FromBytes + Copy> Stamps for StampedSlots<T> {
    #[inline(always)]
    fn capacity(&self) -> u64 {
        self.capacity()
    }
    #[inline(always)]
    fn stamp(&self, position: u64) -> &crate::sync::AtomicU64 {
        self.stamp(position)
    }
}

#[cfg(not(segring_loom))]
impl<T: zerocopy::FromBytes + Copy> Slots for StampedSlots<T> {
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
        for (p, item) in (position..).zip(items) {
            self.write(p, item);
        }
    }
    #[inline]
    fn read_all(&self, position: u64, into: &mut [T]) {
        for (p, item) in (position..).zip(into) {
            self.read_into(p, item);
        }
    }
    #[inline(always)]
    fn publish_one(&self, line: &SideLine, tail: u64) {
        publish_one(self, line, tail);
    }
    #[inline(always)]
    fn look(&self, _: &SideLine, head: u64, seen: &mut u64) -> Result<bool, RingError> {
        look(self, head, seen)
    }
    #[inline(always)]
    fn publish(&self, line: &SideLine, tail: u64, n: u64) {
        publish(self, line, tail, n);
    }
    #[inline(always)]
    fn visible(&self, _: &SideLine, head: u64, seen: u64, wanted: u64) -> Result<u64, RingError> {
        visible(self, head, seen, wanted)
    }
    fn find_tail(&self, line: &SideLine, head: u64) -> Result<u64, RingError> {
        find_tail(self, line, head)
    }
}
