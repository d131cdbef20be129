//! Many producers, many consumers, with messages of up to 8 bytes in the entries themselves.
//!
//! ```text
//!            push: exchanges state and value at once, by any producer
//!            batch: exchanges the state, by the owner of the block
//!   entry   {lap, EMPTY} ────────────────────────────▶ {lap, FULL, value or block}
//!               ▲                                        │       │ ▲
//!               └── pop of the last one: state, by any ──┘       └─┘ pop of some of a batch: state,
//!           {lap + 1, EMPTY}                                         by any consumer
//!
//!   block   mine, free ──write, note the position, exchange──▶ in that entry ──last pop──▶ mine, free
//! ```
//! **One exchange takes the place and publishes**, as with slots, and there is nothing to exchange for: so
//! there is no intent, nothing to repair, and nothing that could come back from the dead (no redelivery).
//! A consumer reads first and then takes, by an exchange that succeeds only if nobody has taken since. That
//! is its commit (I1): killed after it, it has had the message.
//!
//! A batch is pushed by one exchange: its messages become visible together, and lie in the queue one
//! behind the other. Consumers take as many of them as they ask for; the others stay in the queue, for
//! anybody. A producer's seat has several blocks. When all are in entries, it pushes messages one by one: here
//! it waits for nobody, and its handle for a moment at most. Whoever takes a seat over finds by the noted positions which
//! of its blocks are still in the ring: nobody else puts them there, and the dead do not come back.

use super::closing;
use super::walk::{self, Entries, Walk};
use crate::layout::exchange::{Entry, SLOTS_MAX, stage_for_push};
use crate::layout::inline::{BLOCKS_MAX, Cell, Content};
use crate::ring::RingError;
use crate::ring::closing::look_again;
use crate::sync::{AtomicU64, Ordering};

/// The words of such a ring. What is in blocks is the caller's business.
pub(crate) trait Memory: Entries {
    /// The entry of a position, with its value.
    fn cell(&self, position: u64) -> &Cell;
    /// Of all seats.
    fn blocks(&self) -> u32;
    /// Where a block was put last: the position and one.
    fn block_at(&self, block: u32) -> &AtomicU64;
    /// A push is done at this position: asks for an entry that a later one will write.
    fn ask_ahead(&self, position: u64);
}

/// Pushes one message where the last push was, if nobody has pushed since, there is room, and the ring is
/// open. `false`: try the long way. Wait-free. `tail` is a private hint.
#[inline(always)]
pub(crate) fn push_at_once(memory: impl Memory, tail: &mut u64, value: u64) -> bool {
    let position = *tail;
    // An empty entry has nothing.
    match walk::at_once(memory, position, 0, 1) {
        // Nothing is ever pushed past the mark of closing: it is on the entry that is next.
        Some((entry, _)) => push_at(memory, tail, position, entry, value),
        None => false,
    }
}

/// Pushes one message. Lock-free.
pub(crate) fn try_push(memory: impl Memory, tail: &mut u64, value: u64) -> Result<(), RingError> {
    if push_at_once(memory, tail, value) {
        return Ok(());
    }
    let mut walk = Walk::new(memory, tail, 0);
    loop {
        let entry = room(memory, walk.next(&memory.cursors().producer)?)?;
        let position = walk.position();
        if push_at(memory, walk.kept(), position, entry, value) {
            return Ok(());
        }
    }
}

/// Pushes into this entry, if nobody is faster.
#[inline(always)]
fn push_at(memory: impl Memory, tail: &mut u64, position: u64, entry: Entry, value: u64) -> bool {
    let cell = memory.cell(position);
    // Relaxed: the exchange compares it.
    let old = [entry.0, cell.second()];
    // AcqRel: SYNC(entry), pairs with the Acquire loads in `walk`, and with the other exchanges.
    let done = cell.compare_exchange(old, [entry.filled(Content::Value.word()).0, value]);
    if done {
        memory.ask_ahead(position);
        walk::finished(tail, position, &memory.cursors().producer);
    }
    done
}

/// The entry to push into.
#[inline(always)]
fn room(memory: impl Memory, (entry, full): (Entry, bool)) -> Result<Entry, RingError> {
    if closing::is_closed_at(memory, entry) {
        return Err(RingError::Closed);
    }
    if full { Err(RingError::Full) } else { Ok(entry) }
}

/// Where messages that are about to be taken lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// One, and it is this.
    Value(u64),
    /// In a block that has `left`, the first of them included; take `n`.
    Block { block: u32, left: u32, n: u32 },
}

/// What a take has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Took {
    /// Messages.
    pub(crate) messages: u32,
    /// They were the last ones of their entry: there is room now.
    pub(crate) emptied: bool,
}

/// Takes the oldest messages, up to `most` of those that one entry has, if they are where the last ones were
/// and nobody is faster. `None`: try the long way. Wait-free. `read` is called before they are taken. `head` is
/// a private hint.
#[inline(always)]
pub(crate) fn take_at_once(
    memory: impl Memory,
    head: &mut u64,
    most: u32,
    read: impl FnOnce(Place),
) -> Option<Took> {
    let position = *head;
    let (entry, content) = walk::at_once(memory, position, 1, SLOTS_MAX)?;
    take_at(memory, head, position, (entry, content), most, read)
}

/// The same, wherever the head is. Lock-free. `read` is called again if somebody else was faster.
pub(crate) fn try_take(
    memory: impl Memory,
    head: &mut u64,
    most: u32,
    mut read: impl FnMut(Place),
) -> Result<Took, RingError> {
    if let Some(took) = take_at_once(memory, head, most, &mut read) {
        return Ok(took);
    }
    let mut walk = Walk::new(memory, head, 1);
    loop {
        let (entry, empty) = walk.next(&memory.cursors().consumer)?;
        if empty {
            if entry.is_closed() {
                // The closer may have been killed before it said so.
                closing::announce(memory);
            }
            return Err(RingError::Empty);
        }
        let position = walk.position();
        if let Some(took) = take_at(memory, walk.kept(), position, (entry, entry.slot()), most, &mut read) {
            return Ok(took);
        }
    }
}

/// The same; `Closed` if none can come any more. Two looks then: see [`crate::ring::closing`].
pub(crate) fn take_or_closed(
    memory: impl Memory,
    head: &mut u64,
    most: u32,
    mut read: impl FnMut(Place),
) -> Result<Took, RingError> {
    match try_take(memory, head, most, &mut read) {
        Err(RingError::Empty) => {
            look_again(&memory.cursors().state, || try_take(memory, head, most, &mut read))
        }
        other => other,
    }
}

/// Takes from this entry, which is sound, if nobody is faster.
#[inline(always)]
fn take_at(
    memory: impl Memory,
    head: &mut u64,
    position: u64,
    (entry, content): (Entry, u32),
    most: u32,
    read: impl FnOnce(Place),
) -> Option<Took> {
    // The place is read after the state, by the Acquire in `walk`; and before the exchange, a Release.
    let (n, rest) = match Content::of_word(content, memory.blocks())? {
        Content::Value => {
            read(Place::Value(memory.cell(position).second()));
            (1, 0)
        }
        Content::Batch { block, left } => {
            let n = left.min(most);
            read(Place::Block { block, left, n });
            (n, left - n)
        }
    };
    let new = if rest > 0 { entry.with_fewer(n) } else { entry.emptied(0) };
    // AcqRel: SYNC(entry), pairs with the Acquire loads in `walk` and `Blocks`, and with the other
    // exchanges: who reuses the entry or the block does it after my reads.
    let done =
        memory.entry(position).compare_exchange(entry.0, new.0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
    if !done {
        return None;
    }
    let emptied = rest == 0;
    if emptied {
        walk::finished(head, position, &memory.cursors().consumer);
    }
    Some(Took { messages: n, emptied })
}

/// A producer's private half: the blocks of its seat.
#[derive(Debug)]
pub(crate) struct Blocks {
    first: u32,
    count: u32,
    /// Which is the next one: the one that was used longest ago.
    next: u32,
    /// What [`Memory::block_at`] says of each.
    at: [u64; BLOCKS_MAX as usize],
    /// The entry of the next block, and where consumers were, when it was found there; and how often since.
    seen: [u64; 2],
    looks: u32,
}

/// So often a producer finds that nobody pops before it goes on without a block.
const PATIENCE: u32 = 16;

impl Blocks {
    /// Those of a seat that is mine, whoever had it before, and however that one went.
    pub(crate) fn resume(memory: impl Memory, seat: u32, per_seat: u32) -> Self {
        let count = per_seat.clamp(1, BLOCKS_MAX as u32);
        let at = [0; BLOCKS_MAX as usize];
        let mut blocks = Self { first: seat * count, count, next: 0, at, seen: [0; 2], looks: 0 };
        for i in 0..count {
            // Relaxed: the last writer was the former holder of my seat; its semaphore ordered us.
            blocks.at[i as usize] = memory.block_at(blocks.first + i).load(Ordering::Relaxed);
        }
        let newest = (0..count).max_by_key(|i| blocks.at[*i as usize]).unwrap_or(0);
        blocks.next = (newest + 1) % count;
        blocks
    }

    /// Whether a batch can be pushed.
    pub(crate) fn has_free(&self, memory: impl Memory) -> bool {
        self.free(memory).is_some()
    }

    /// A look at my oldest batch, and at where consumers are, when no block is free: whether they are about to
    /// take it, or on the way to it. Not if nothing has moved for some looks.
    pub(crate) fn is_worked_on(&mut self, memory: impl Memory) -> bool {
        let position = self.at[self.next as usize].saturating_sub(1);
        // Relaxed, both: only to see whether they have changed.
        let entry = memory.entry(position).load(Ordering::Relaxed);
        let seen = [entry, memory.cursors().consumer.cursor.load(Ordering::Relaxed)];
        if seen != self.seen {
            (self.seen, self.looks) = (seen, 0);
        }
        self.looks = (self.looks + 1).min(PATIENCE);
        self.looks < PATIENCE
    }

    /// Whether the last look has found that nobody is at work on it.
    pub(crate) fn is_left_alone(&self) -> bool {
        self.looks >= PATIENCE
    }

    /// A block that is in no entry.
    #[inline]
    fn free(&self, memory: impl Memory) -> Option<u32> {
        let block = self.first + self.next;
        match self.at[self.next as usize].checked_sub(1) {
            Some(position) if is_there(memory, position, block) => None,
            _ => Some(block),
        }
    }
}

/// Whether an entry has this block, if it was put there at this position.
fn is_there(memory: impl Memory, position: u64, block: u32) -> bool {
    let bits = memory.capacity_bits();
    // Acquire: SYNC(entry), pairs with the exchanges in `take_at`: who took the last message has read it.
    let entry = Entry(memory.entry(position).load(Ordering::Acquire));
    let full = stage_for_push(position, bits).wrapping_add(1);
    let there =
        matches!(Content::of(entry, memory.blocks()), Some(Content::Batch { block: b, .. }) if b == block);
    entry.ahead_of(full) == 0 && there
}

/// Pushes `n` messages, 1 to 64, that `write` puts into the block that it is given. All of them, or none:
/// `false` says that no block is free now. Lock-free. `tail` is a private hint.
#[inline]
pub(crate) fn try_push_batch(
    memory: impl Memory,
    tail: &mut u64,
    blocks: &mut Blocks,
    n: u32,
    write: impl FnOnce(u32),
) -> Result<bool, RingError> {
    let Some(block) = blocks.free(memory) else { return Ok(false) };
    let mut write = Some(write);
    let shared = &memory.cursors().producer;
    let mut walk = Walk::new(memory, tail, 0);
    loop {
        let entry = room(memory, walk.next(shared)?)?;
        if let Some(write) = write.take() {
            write(block);
        }
        let at = walk.position().wrapping_add(1);
        // Relaxed: the exchange, a Release, comes after it; who reads it is ordered by the seat's semaphore.
        memory.block_at(block).store(at, Ordering::Relaxed);
        blocks.at[blocks.next as usize] = at;
        let new = entry.filled(Content::Batch { block, left: n }.word());
        // AcqRel: SYNC(entry), as in `push_at`: the block is written.
        let done = memory
            .entry(walk.position())
            .compare_exchange(entry.0, new.0, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if done {
            let position = walk.position();
            memory.ask_ahead(position);
            walk::finished(walk.kept(), position, shared);
            blocks.next = (blocks.next + 1) % blocks.count;
            return Ok(true);
        }
    }
}

/// Messages in the entries from `head` to `tail`. A snapshot, from a mapping that may be read-only.
#[cfg(not(segring_loom))]
pub(crate) fn count(memory: impl Memory, tail: u64, head: u64) -> u64 {
    let bits = memory.capacity_bits();
    let in_entry = |position: u64| {
        // Relaxed: only numbers.
        let entry = Entry(memory.entry(position).load(Ordering::Relaxed));
        match Content::of(entry, memory.blocks()) {
            _ if entry.ahead_of(stage_for_push(position, bits).wrapping_add(1)) != 0 => 0,
            Some(Content::Batch { left, .. }) => u64::from(left),
            _ => 1,
        }
    };
    (head..tail.min(head.saturating_add(memory.capacity()))).map(in_entry).sum()
}

#[cfg(not(segring_loom))]
mod segment {
    use super::{AtomicU64, Cell, Content, Entries, Entry, Memory};
    use crate::layout::cursors::Cursors;
    use crate::layout::inline_view::Inline;

    impl Entries for Inline<'_> {
        #[inline(always)]
        fn capacity_bits(&self) -> u32 {
            (*self).capacity_bits()
        }
        #[inline(always)]
        fn cursors(&self) -> &Cursors {
            (*self).cursors()
        }
        #[inline(always)]
        fn entry(&self, position: u64) -> &AtomicU64 {
            (*self).cell(position).first()
        }
        #[inline(always)]
        fn is_sound(&self, entry: Entry) -> bool {
            Content::of(entry, (*self).blocks()).is_some()
        }
    }

    impl Memory for Inline<'_> {
        #[inline(always)]
        fn cell(&self, position: u64) -> &Cell {
            (*self).cell(position)
        }
        #[inline(always)]
        fn blocks(&self) -> u32 {
            (*self).blocks()
        }
        #[inline(always)]
        fn block_at(&self, block: u32) -> &AtomicU64 {
            (*self).block_at(block)
        }
        #[inline(always)]
        fn ask_ahead(&self, position: u64) {
            (*self).ask_ahead(position);
        }
    }
}
