//! Records of any length in a circle of bytes, committed by one cursor.
//!
//! ```text
//! record:   | len: u64 | payload, len bytes | 0 to 7 bytes to the next multiple of 8 |
//! padding:  | PAD: u64 | … to the wrap |        where the next record does not fit before it
//! ```
//! A record never reaches past the wrap, so it can be written and read in place. One of up to half
//! the capacity fits into an empty ring wherever the cursor stands.
//!
//! How many *records* lie before a cursor is kept in the ledger: two entries, written in turn
//! before the cursor moves. After a kill, the entry that names the cursor is the true one, because
//! the kill came either before the cursor moved (the other entry names a cursor that never was) or
//! after it.

use super::distance;
use crate::layout::cursors::{Cursors, SideLine};
use crate::ring::{POSITION_MAX, RingError};
use crate::sync::{Ordering, fence};

/// The header of the bytes that are skipped at the wrap.
const PAD: u64 = u64::MAX;
/// Bytes of a record's header.
const HEADER: u64 = 8;

/// The circle of bytes. Ranges given to `write` and `read` never reach past the wrap.
pub(crate) trait Bytes {
    /// Length of the circle: a power of two, at least 16.
    fn capacity(&self) -> u64;
    /// Copies a payload in.
    fn write(&self, position: u64, bytes: &[u8]);
    /// Appends `len` bytes to a vector.
    fn read(&self, position: u64, len: usize, into: &mut Vec<u8>);
    /// Stores a record's header.
    fn set_header(&self, position: u64, value: u64);
    /// Loads a record's header, once.
    fn header(&self, position: u64) -> u64;
}

/// The bytes that a record of this length takes.
fn record_bytes(len: usize) -> u64 {
    HEADER + (len as u64).next_multiple_of(8)
}

/// The longest record of a ring of this capacity.
pub(crate) fn max_record(capacity: u64) -> usize {
    usize::try_from(capacity / 2 - HEADER).unwrap_or(usize::MAX)
}

/// Moves a side's cursor to `cursor`, before which `records` messages lie. The one commit.
#[inline(always)]
fn advance(line: &SideLine, cursor: u64, records: u64) {
    let entry = &line.ledger[(records % 2) as usize];
    // Release: SYNC(ledger), pairs with the Acquire fences in `progress`: who sees this entry
    // sees that the line's cursor has moved over the record before.
    entry.cursor.store(cursor, Ordering::Release);
    // Release: SYNC(ledger), pairs with the Acquire in `progress`: who sees this count sees that
    // the entry names another cursor.
    entry.records.store(records, Ordering::Release);
    // Release: SYNC(publish) for the producer's line, pairs with the Acquire in `Receiver::next`;
    // SYNC(release) for the consumer's, pairs with the Acquire in `Sender::room`.
    line.cursor.store(cursor, Ordering::Release);
}

/// Looks at a ledger that keeps moving before an approximate answer is given.
const MAX_LOOKS: u32 = 100;

/// A side's cursor and the messages before it. Exact while the side rests. While it moves, the count
/// may be that of a cursor one or two records on.
pub(crate) fn progress(line: &SideLine) -> Result<(u64, u64), RingError> {
    // Relaxed, then a fence: observers read from a read-only mapping, where a load must be Relaxed.
    let mut cursor = line.cursor.load(Ordering::Relaxed);
    let mut latest = 0;
    for _ in 0..MAX_LOOKS {
        if cursor == 0 {
            return Ok((0, 0));
        }
        // Acquire: pairs with the Release in `advance`: the ledger is at least as new as the cursor.
        fence(Ordering::Acquire);
        for entry in &line.ledger {
            let records = entry.records.load(Ordering::Relaxed);
            // Acquire: SYNC(ledger), pairs with the Release in `advance`.
            fence(Ordering::Acquire);
            latest = latest.max(records);
            // Relaxed: ordered by the fence above.
            if entry.cursor.load(Ordering::Relaxed) == cursor {
                return Ok((cursor, records));
            }
        }
        // Acquire: SYNC(ledger): an entry that names a later cursor was written after the line's
        // cursor had moved, so this look finds it moved. (loom found the look without it.)
        fence(Ordering::Acquire);
        let now = line.cursor.load(Ordering::Relaxed);
        if now == cursor {
            return Err(RingError::Corrupt);
        }
        cursor = now;
    }
    Ok((cursor, latest))
}

fn resume_at(line: &SideLine) -> Result<(u64, u64), RingError> {
    let (cursor, records) = progress(line)?;
    if cursor % 8 != 0 || cursor > POSITION_MAX || records > cursor / HEADER {
        return Err(RingError::Corrupt);
    }
    Ok((cursor, records))
}

/// The producer's half.
pub(crate) struct Sender<B> {
    pub(crate) bytes: B,
    tail: u64,
    head_seen: u64,
    records: u64,
}

impl<B: Bytes> Sender<B> {
    /// Goes on where the last producer was. The seat must be mine.
    pub(crate) fn resume(bytes: B, cursors: &Cursors) -> Result<Self, RingError> {
        let (tail, records) = resume_at(&cursors.producer)?;
        // Acquire: SYNC(release), pairs with the Release in `advance` of the consumer.
        let head = cursors.consumer.cursor.load(Ordering::Acquire);
        // I5: `distance` goes around zero, and must not: a head far beyond is no little behind.
        if head > tail {
            return Err(RingError::Corrupt);
        }
        distance(head, tail, bytes.capacity())?;
        Ok(Self { bytes, tail, head_seen: head, records })
    }

    /// Records committed since the ring was created.
    pub(crate) fn position(&self) -> u64 {
        self.records
    }

    /// Bytes committed and not yet released, as last seen.
    pub(crate) fn used(&mut self, consumer: &SideLine) -> Result<u64, RingError> {
        self.look_at_head(consumer)?;
        Ok(self.tail - self.head_seen)
    }

    fn look_at_head(&mut self, consumer: &SideLine) -> Result<(), RingError> {
        // Acquire: SYNC(release), pairs with the Release in `advance` of the consumer.
        let head = consumer.cursor.load(Ordering::Acquire);
        distance(head, self.tail, self.tail - self.head_seen)?;
        self.head_seen = head;
        Ok(())
    }

    /// Finds room for a record of `len` bytes: how many bytes to skip first. Changes nothing that
    /// a consumer sees.
    #[inline]
    pub(crate) fn room(&mut self, cursors: &Cursors, len: usize) -> Result<u64, RingError> {
        let capacity = self.bytes.capacity();
        if len > max_record(capacity) {
            return Err(RingError::TooLong);
        }
        let wanted = record_bytes(len);
        let to_wrap = capacity - (self.tail & (capacity - 1));
        let skip = if wanted > to_wrap { to_wrap } else { 0 };
        if self.tail - self.head_seen + skip + wanted > capacity {
            self.look_at_head(&cursors.consumer)?;
            if self.tail - self.head_seen + skip + wanted > capacity {
                return Err(RingError::Full);
            }
        }
        Ok(skip)
    }

    /// Where the payload goes, after [`Sender::room`] said `skip`.
    pub(crate) fn payload_position(&self, skip: u64) -> u64 {
        self.tail + skip + HEADER
    }

    /// Commits a record of `len` bytes whose payload stands behind `skip`.
    #[inline]
    pub(crate) fn commit(&mut self, cursors: &Cursors, skip: u64, len: usize) {
        if skip > 0 {
            self.bytes.set_header(self.tail, PAD);
        }
        self.bytes.set_header(self.tail + skip, len as u64);
        self.tail += skip + record_bytes(len);
        self.records += 1;
        advance(&cursors.producer, self.tail, self.records);
    }

    /// Wait-free.
    #[inline]
    pub(crate) fn try_push(&mut self, cursors: &Cursors, record: &[u8]) -> Result<(), RingError> {
        let skip = self.room(cursors, record.len())?;
        self.bytes.write(self.payload_position(skip), record);
        self.commit(cursors, skip, record.len());
        Ok(())
    }
}

/// A record found in the ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Where its payload begins.
    pub(crate) position: u64,
    /// How long its payload is: bounded by what is committed and by the wrap.
    pub(crate) len: usize,
    /// The cursor behind it.
    end: u64,
}

/// The consumer's half.
pub(crate) struct Receiver<B> {
    pub(crate) bytes: B,
    head: u64,
    tail_seen: u64,
    records: u64,
}

impl<B: Bytes> Receiver<B> {
    /// Goes on at the first record that the last consumer did not release. The seat must be mine.
    pub(crate) fn resume(bytes: B, cursors: &Cursors) -> Result<Self, RingError> {
        let (head, records) = resume_at(&cursors.consumer)?;
        Ok(Self { bytes, head, tail_seen: head, records })
    }

    /// Records released since the ring was created.
    pub(crate) fn position(&self) -> u64 {
        self.records
    }

    /// The next record, if one is committed.
    #[inline]
    pub(crate) fn next(&mut self, cursors: &Cursors) -> Result<Found, RingError> {
        if self.tail_seen == self.head {
            // Acquire: SYNC(publish), pairs with the Release in `advance` of the producer.
            let tail = cursors.producer.cursor.load(Ordering::Acquire);
            distance(self.head, tail, self.bytes.capacity())?;
            if tail % 8 != 0 {
                return Err(RingError::Corrupt);
            }
            if tail == self.head {
                return Err(RingError::Empty);
            }
            self.tail_seen = tail;
        }
        let capacity = self.bytes.capacity();
        let mut at = self.head;
        let mut to_wrap = capacity - (at & (capacity - 1));
        let mut len = self.bytes.header(at);
        if len == PAD {
            if to_wrap >= self.tail_seen - at {
                return Err(RingError::Corrupt);
            }
            at += to_wrap;
            to_wrap = capacity;
            len = self.bytes.header(at);
        }
        // I5: the length is a peer's word. It ends before the wrap and before the tail, or it lies.
        let longest = to_wrap.min(self.tail_seen - at) - HEADER;
        if len > longest {
            return Err(RingError::Corrupt);
        }
        let len = len as usize;
        Ok(Found { position: at + HEADER, len, end: at + record_bytes(len) })
    }

    /// Gives a record's bytes back. The commit of a pop (I1).
    #[inline]
    pub(crate) fn release(&mut self, cursors: &Cursors, found: Found) {
        self.head = found.end;
        self.records += 1;
        advance(&cursors.consumer, self.head, self.records);
    }

    /// Wait-free. Replaces the vector's contents by the next record.
    #[inline]
    pub(crate) fn try_pop(&mut self, cursors: &Cursors, into: &mut Vec<u8>) -> Result<(), RingError> {
        let found = self.next(cursors)?;
        into.clear();
        self.bytes.read(found.position, found.len, into);
        self.release(cursors, found);
        Ok(())
    }
}

#[cfg(not(segring_loom))]
impl Bytes for crate::layout::view::ByteSlots {
    #[inline(always)]
    fn capacity(&self) -> u64 {
        self.capacity()
    }
    #[inline(always)]
    fn write(&self, position: u64, bytes: &[u8]) {
        self.write(position, bytes);
    }
    #[inline(always)]
    fn read(&self, position: u64, len: usize, into: &mut Vec<u8>) {
        self.read_into(position, len, into);
    }
    #[inline(always)]
    fn set_header(&self, position: u64, value: u64) {
        // Relaxed: committed by the cursor, which is stored with Release afterwards.
        self.header(position).store(value, Ordering::Relaxed);
    }
    #[inline(always)]
    fn header(&self, position: u64) -> u64 {
        // Relaxed: the cursor was loaded with Acquire before.
        self.header(position).load(Ordering::Relaxed)
    }
}
