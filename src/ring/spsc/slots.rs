//! What the SPSC algorithm asks of its slots. Implemented over a segment (`layout::view`) and over
//! the heap (loom).

use crate::layout::cursors::SideLine;
use crate::ring::RingError;
use crate::sync::AtomicU64;

/// Slots addressed by position, with a way to commit and to see what is committed.
///
/// A caller writes only positions in `tail..head + capacity`, and reads only `head..tail` (I4).
pub(crate) trait Slots {
    /// One message.
    type Item: Copy;

    /// How many slots: a power of two.
    fn capacity(&self) -> u64;

    /// Copies one message into its slot.
    fn write(&self, position: u64, item: &Self::Item);
    /// Copies one message out of its slot.
    fn read(&self, position: u64) -> Self::Item;
    /// The same, into memory that is there already.
    fn read_into(&self, position: u64, into: &mut Self::Item);

    /// Copies a run in, from `position` on.
    fn write_all(&self, position: u64, items: &[Self::Item]);
    /// Copies a run out, from `position` on.
    fn read_all(&self, position: u64, into: &mut [Self::Item]);

    /// Commits the message at `tail`, and leaves the producer's cursor behind it.
    fn publish_one(&self, line: &SideLine, tail: u64);
    /// Commits `n` messages from `tail` on, and leaves the producer's cursor behind them.
    fn publish(&self, line: &SideLine, tail: u64, n: u64);
    /// Whether the message at `head` is committed, where nothing from there on is known to be. Moves
    /// `seen` over what it finds.
    fn look(&self, line: &SideLine, head: u64, seen: &mut u64) -> Result<bool, RingError>;
    /// Until where messages are committed; `seen` is known to be. Stops looking after `wanted`.
    fn visible(&self, line: &SideLine, head: u64, seen: u64, wanted: u64) -> Result<u64, RingError>;
    /// The tail that a dead or departed producer left.
    fn find_tail(&self, line: &SideLine, head: u64) -> Result<u64, RingError>;
}

/// Slots that carry a stamp each.
pub(crate) trait Stamps {
    /// How many slots.
    fn capacity(&self) -> u64;
    /// The stamp of the slot at this position.
    fn stamp(&self, position: u64) -> &AtomicU64;
}
