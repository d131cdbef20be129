//! One producer, one consumer.
//!
//! ```text
//!            consumer's           producer's
//!         ┌──────────────┐   ┌────────────────────┐
//!  … ─────┼──────────────┼───┼────────────────────┼───── …      positions grow to the right;
//!        head          tail  tail        head + capacity        slot = position % capacity
//!
//!  a slot:   FREE ──write, by the producer──▶ WRITTEN ──publish, by the producer──▶ COMMITTED
//!             ▲                                  │ killed: stays free, written over      │
//!             └────────────── release, by the consumer: head moves over it ◀────────────┘
//! ```
//! The only commit is one store: the stamp of the slot ([`stamped`]) or the tail ([`dense`],
//! [`bytes`]). A producer killed before it has changed nothing that anybody sees; one killed after
//! it has pushed. The same holds for the consumer and its one store to `head`. That is why there
//! is nothing to repair when a seat is taken over (I1, I2).
//!
//! Every operation is wait-free: no loop waits for the peer.

pub(crate) mod bytes;
pub(crate) mod dense;
pub(crate) mod slots;
pub(crate) mod stamped;

use super::{POSITION_MAX, RingError};
use crate::layout::cursors::{Cursors, SideLine};
use crate::sync::Ordering;
use slots::Slots;

/// `to - from`, if `to` can be at all: never more than `limit` ahead (I5).
pub(crate) fn distance(from: u64, to: u64, limit: u64) -> Result<u64, RingError> {
    let n = to.wrapping_sub(from);
    if n <= limit { Ok(n) } else { Err(RingError::Corrupt) }
}

/// The producer's half. Lives in private memory; `S` is the view of the shared slots.
pub(crate) struct Sender<S> {
    pub(crate) slots: S,
    /// My own cursor. Nobody else writes it, so it is never read from shared memory again.
    tail: u64,
    /// Until where there is room: the head as last seen plus the capacity, or further.
    limit: u64,
}

impl<S: Slots> Sender<S> {
    /// Goes on where the last producer was, dead or left. The seat must be mine.
    pub(crate) fn resume(slots: S, cursors: &Cursors) -> Result<Self, RingError> {
        // Acquire: SYNC(release), pairs with the consumer's store: its slots are free to write.
        let head = cursors.consumer.cursor.load(Ordering::Acquire);
        if head > POSITION_MAX {
            return Err(RingError::Corrupt);
        }
        let tail = slots.find_tail(&cursors.producer, head)?;
        let limit = head + slots.capacity();
        Ok(Self { slots, tail, limit })
    }

    /// Messages committed since the ring was created.
    pub(crate) fn position(&self) -> u64 {
        self.tail
    }

    /// How many slots are free, at least `wanted` of them if the consumer has released so many.
    #[inline(always)]
    pub(crate) fn room(&mut self, consumer: &SideLine, wanted: u64) -> Result<u64, RingError> {
        let known = self.limit - self.tail;
        if known >= wanted { Ok(known) } else { self.look_at_head(consumer) }
    }

    #[cold]
    fn look_at_head(&mut self, consumer: &SideLine) -> Result<u64, RingError> {
        let capacity = self.slots.capacity();
        // Acquire: SYNC(release), pairs with the Release store in `Receiver::release`.
        let head = consumer.cursor.load(Ordering::Acquire);
        let head_seen = self.limit - capacity;
        let used = distance(head, self.tail, self.tail - head_seen)?;
        self.limit = head + capacity;
        Ok(capacity - used)
    }

    /// Wait-free. `Full` leaves the value with the caller.
    #[inline(always)]
    pub(crate) fn try_push(&mut self, cursors: &Cursors, item: &S::Item) -> Result<(), RingError> {
        if self.room(&cursors.consumer, 1)? == 0 {
            return Err(RingError::Full);
        }
        self.slots.write(self.tail, item);
        self.slots.publish_one(&cursors.producer, self.tail);
        self.tail += 1;
        Ok(())
    }

    /// Pushes as many as fit, in order; says how many.
    #[inline]
    pub(crate) fn push_slice(&mut self, cursors: &Cursors, items: &[S::Item]) -> Result<usize, RingError> {
        let room = self.room(&cursors.consumer, items.len() as u64)?;
        let n = usize::try_from(room).unwrap_or(usize::MAX).min(items.len());
        self.slots.write_all(self.tail, &items[..n]);
        self.publish(cursors, n as u64);
        Ok(n)
    }

    /// Commits the next `n` slots, which have been written. The caller has made sure of the room.
    #[inline(always)]
    pub(crate) fn publish(&mut self, cursors: &Cursors, n: u64) {
        self.slots.publish(&cursors.producer, self.tail, n);
        self.tail += n;
    }
}

/// The consumer's half. Lives in private memory.
pub(crate) struct Receiver<S> {
    pub(crate) slots: S,
    /// My own cursor.
    head: u64,
    /// How far messages are known to be committed: the truth is there or further.
    tail_seen: u64,
}

impl<S: Slots> Receiver<S> {
    /// Goes on at the first message that the last consumer did not release. The seat must be mine.
    pub(crate) fn resume(slots: S, cursors: &Cursors) -> Result<Self, RingError> {
        // Relaxed: the last writer was the former holder of my seat; its semaphore ordered us.
        let head = cursors.consumer.cursor.load(Ordering::Relaxed);
        if head > POSITION_MAX {
            return Err(RingError::Corrupt);
        }
        Ok(Self { slots, head, tail_seen: head })
    }

    /// Messages released since the ring was created.
    pub(crate) fn position(&self) -> u64 {
        self.head
    }

    /// How many messages are there; looks further if fewer than `wanted` are known.
    #[inline(always)]
    pub(crate) fn available(&mut self, producer: &SideLine, wanted: u64) -> Result<u64, RingError> {
        if self.tail_seen - self.head < wanted {
            self.tail_seen = self.slots.visible(producer, self.head, self.tail_seen, wanted)?;
        }
        Ok(self.tail_seen - self.head)
    }

    /// Whether there is a message; looks further if none is known.
    #[inline(always)]
    pub(crate) fn is_ready(&mut self, producer: &SideLine) -> Result<bool, RingError> {
        if self.tail_seen != self.head {
            return Ok(true);
        }
        self.slots.look(producer, self.head, &mut self.tail_seen)
    }

    /// The next message, which [`Receiver::is_ready`] has seen. Commits when it moves the cursor,
    /// after the copy (I1).
    #[inline(always)]
    pub(crate) fn take(&mut self, cursors: &Cursors) -> S::Item {
        let item = self.slots.read(self.head);
        self.release(cursors, 1);
        item
    }

    /// The same, into memory that is there already: for payloads that must not cross the stack.
    #[inline(always)]
    pub(crate) fn take_into(&mut self, cursors: &Cursors, into: &mut S::Item) {
        self.slots.read_into(self.head, into);
        self.release(cursors, 1);
    }

    /// Wait-free.
    #[cfg(segring_loom)]
    pub(crate) fn try_pop(&mut self, cursors: &Cursors) -> Result<S::Item, RingError> {
        if self.is_ready(&cursors.producer)? { Ok(self.take(cursors)) } else { Err(RingError::Empty) }
    }

    /// Pops as many as are there, in order; says how many.
    #[inline]
    pub(crate) fn pop_slice(&mut self, cursors: &Cursors, into: &mut [S::Item]) -> Result<usize, RingError> {
        let available = self.available(&cursors.producer, into.len() as u64)?;
        let n = usize::try_from(available).unwrap_or(usize::MAX).min(into.len());
        self.slots.read_all(self.head, &mut into[..n]);
        self.release(cursors, n as u64);
        Ok(n)
    }

    /// Gives the first `n` slots back. Never stored when nothing was taken.
    #[inline(always)]
    pub(crate) fn release(&mut self, cursors: &Cursors, n: u64) {
        if n > 0 {
            self.head += n;
            // Release: SYNC(release), pairs with the Acquire loads in `Sender`: my reads of the
            // slots are done before the producer may write them again.
            cursors.consumer.cursor.store(self.head, Ordering::Release);
        }
    }
}
