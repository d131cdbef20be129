//! Handles of a ring whose messages lie in its entries: nothing is held, and nothing comes back.

use super::member::Member;
use super::pusher::not_yet;
use crate::api::payload::Payload;
use crate::layout::inline::{BLOCK_LEN, WORD};
use crate::layout::inline_view::{Inline, InlineView};
use crate::layout::seat::Role;
use crate::layout::view::Trust;
use crate::region::{Context, Error, Region};
use crate::ring::mpmc::inline::{
    Blocks, Place, Took, push_at_once, take_at_once, take_or_closed, try_push, try_push_batch, try_take,
};
use crate::ring::mpmc::{closing::close, hint, look_for_room, look_or_closed};
use crate::ring::{RingError, closing, wait};
use std::sync::Arc;
use std::time::Duration;

/// Whether a message fits into an entry.
pub(super) const fn fits<T>() -> bool {
    size_of::<T>() <= WORD as usize && align_of::<T>() <= WORD as usize
}

/// A message as an entry has it. Of a type that fits.
#[inline(always)]
fn to_word<T: Payload>(item: &T) -> u64 {
    let mut word = [0; WORD as usize];
    for (to, from) in word.iter_mut().zip(item.as_bytes()) {
        *to = *from;
    }
    u64::from_le_bytes(word)
}

/// Takes the message of an entry.
#[inline(always)]
fn put<T: Payload>(item: &mut T, word: u64) {
    if let Ok((from, _)) = T::read_from_prefix(&word.to_le_bytes()) {
        *item = from;
    }
}

/// How often a call looks whether a block has come free, half a microsecond apart.
const LOOKS: u32 = 16;
/// Shorter runs are pushed one by one: a batch costs as much as some of these.
const SHORTEST_BATCH: usize = 4;

fn view_of(region: &Arc<Region>) -> Result<InlineView, Error> {
    region.inline_view().ok_or_else(|| Error::Corrupt { ring: Context::new(region.name()).ring() })
}

/// The pushing half.
pub(super) struct WordPusher {
    member: Member,
    view: InlineView,
    blocks: Blocks,
    /// Where I have pushed last: a hint.
    tail: u64,
}

impl WordPusher {
    pub(super) fn join(region: &Arc<Region>) -> Result<Self, Error> {
        let view = view_of(region)?;
        let (member, _) = Member::join(region, Role::Producer)?;
        let blocks = Blocks::resume(view.here(), member.own().seat(), view.here().blocks_per_seat());
        let tail = hint(&view.here().cursors().producer);
        Ok(Self { member, view, blocks, tail })
    }

    #[inline(always)]
    pub(super) fn try_push<T: Payload>(&mut self, item: &T) -> Result<(), RingError> {
        self.member.check()?;
        self.push_one(to_word(item))?;
        self.tell(1);
        Ok(())
    }

    #[inline(always)]
    fn push_one(&mut self, word: u64) -> Result<(), RingError> {
        if push_at_once(self.view.here(), &mut self.tail, word) { Ok(()) } else { self.search(word) }
    }

    /// The long way.
    #[inline(never)]
    fn search(&mut self, word: u64) -> Result<(), RingError> {
        try_push(self.view.here(), &mut self.tail, word)
    }

    #[inline(always)]
    fn tell(&self, pushed: usize) {
        self.member.tell(&self.view.here().cursors().state.consumer_waits, pushed);
    }

    /// Waits while the ring is full.
    #[cold]
    #[inline(never)]
    pub(super) fn wait_and_push<T: Payload>(
        &mut self,
        item: &T,
        deadline: Option<u64>,
    ) -> Result<(), RingError> {
        let Self { member, view, tail, .. } = self;
        let view = view.here();
        let word = to_word(item);
        wait::again(&*member, &member.waiter(*tail, deadline), || not_yet(try_push(view, tail, word)))?;
        self.tell(1);
        Ok(())
    }

    /// Pushes as many as there is room for: how many. Sleepers are woken for each batch: a long slice, or a
    /// wait for a block, keeps nobody asleep.
    pub(super) fn push_slice<T: Payload>(&mut self, items: &[T]) -> Result<usize, RingError> {
        self.member.check()?;
        let (mut pushed, mut looks) = (0, LOOKS);
        while pushed < items.len() {
            let left = &items[pushed..];
            let run = left.len().min(BLOCK_LEN as usize);
            while run >= SHORTEST_BATCH && looks > 0 && self.is_block_worth_waiting() {
                looks -= 1;
                self.member.slip();
            }
            match self.push_some(&left[..run]) {
                Ok((n, more)) => {
                    pushed += n;
                    self.tell(n);
                    if !more {
                        break;
                    }
                }
                Err(RingError::Full) => break,
                // The next call says so.
                Err(_) if pushed > 0 => break,
                Err(e) => return Err(e),
            }
        }
        Ok(pushed)
    }

    /// Whether all my blocks are in the ring, and consumers are at work on them: single messages among the
    /// batches would cost them more than a moment costs me.
    #[inline(always)]
    fn is_block_worth_waiting(&mut self) -> bool {
        let Self { view, blocks, .. } = self;
        let view = view.here();
        !blocks.has_free(view) && blocks.is_worked_on(view)
    }

    /// A batch, or messages one by one: how many, and whether to go on at once.
    #[inline(always)]
    fn push_some<T: Payload>(&mut self, items: &[T]) -> Result<(usize, bool), RingError> {
        if items.len() < SHORTEST_BATCH {
            self.push_one(to_word(&items[0]))?;
            return Ok((1, true));
        }
        let Self { view, blocks, tail, .. } = self;
        let view = view.here();
        let n = items.len() as u32;
        if try_push_batch(view, tail, blocks, n, |block| view.write_batch(block, items))? {
            return Ok((items.len(), true));
        }
        // All my blocks are in the ring. If consumers are at work on them, one more by itself, and then the
        // caller may see; if not, messages one by one cost nobody anything.
        let alone = self.blocks.is_left_alone();
        let n = if alone { items.len() } else { 1 };
        for (pushed, item) in items[..n].iter().enumerate() {
            match self.push_one(to_word(item)) {
                Ok(()) => {}
                // The next call says so.
                Err(_) if pushed > 0 => return Ok((pushed, false)),
                Err(e) => return Err(e),
            }
        }
        Ok((n, alone))
    }

    pub(super) fn wait_for_room(&mut self, deadline: Option<u64>) -> Result<(), RingError> {
        self.member.check()?;
        let Self { member, view, tail, .. } = self;
        let view = view.here();
        wait::until(&*member, &member.waiter(*tail, deadline), || not_yet(look_for_room(view, tail)))?;
        // If I was woken, it was for room that is still there.
        self.member.wake(Role::Producer);
        Ok(())
    }

    pub(super) fn close(&mut self) -> Result<(), RingError> {
        self.member.check()?;
        close(self.view.here())?;
        self.member.wake_everybody();
        Ok(())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.member.check().is_ok() && closing::is_closed(&self.view.here().cursors().state)
    }

    pub(super) fn deadline(&self, timeout: Duration) -> Option<u64> {
        self.member.deadline(timeout)
    }

    pub(super) fn waits(&self) -> &wait::WaitState {
        self.member.waits()
    }

    pub(super) fn trust(&mut self, trust: Trust) {
        self.member.trust(trust);
    }
}

/// The popping half.
pub(super) struct WordTaker {
    member: Member,
    view: InlineView,
    /// Where I have popped last: a hint.
    head: u64,
    taken: u64,
}

/// One message, or the news that there is none. `into` is written only if there is one.
fn attempt<T: Payload>(view: Inline<'_>, head: &mut u64, into: &mut T) -> Result<Took, RingError> {
    let mut item = T::new_zeroed();
    let took = take_or_closed(view, head, 1, |place| read_one(view, place, &mut item))?;
    *into = item;
    Ok(took)
}

#[inline(always)]
fn read_one<T: Payload>(view: Inline<'_>, place: Place, item: &mut T) {
    match place {
        Place::Value(word) => put(item, word),
        Place::Block { block, left, .. } => view.read_batch(block, left, std::slice::from_mut(item)),
    }
}

/// Takes messages of one entry into a slice.
#[inline(always)]
fn read_some<T: Payload>(view: Inline<'_>, place: Place, into: &mut [T]) {
    match place {
        Place::Value(word) => into.iter_mut().take(1).for_each(|first| put(first, word)),
        Place::Block { block, left, n } => view.read_batch(block, left, &mut into[..n as usize]),
    }
}

impl WordTaker {
    pub(super) fn join(region: &Arc<Region>) -> Result<Self, Error> {
        let view = view_of(region)?;
        let (member, _) = Member::join(region, Role::Consumer)?;
        let head = hint(&view.here().cursors().consumer);
        Ok(Self { member, view, head, taken: 0 })
    }

    #[inline(always)]
    pub(super) fn try_pop<T: Payload>(&mut self, into: &mut T) -> Result<(), RingError> {
        self.member.check()?;
        let (view, mut item) = (self.view.here(), T::new_zeroed());
        let took = match take_at_once(view, &mut self.head, 1, |place| read_one(view, place, &mut item)) {
            Some(took) => {
                *into = item;
                took
            }
            None => self.search(into)?,
        };
        self.count(took);
        Ok(())
    }

    /// The long way.
    #[inline(never)]
    fn search<T: Payload>(&mut self, into: &mut T) -> Result<Took, RingError> {
        attempt(self.view.here(), &mut self.head, into)
    }

    #[inline(always)]
    fn count(&mut self, took: Took) {
        self.taken = self.taken.wrapping_add(took.messages.into());
        // Part of a batch makes no room.
        if took.emptied {
            self.member.tell(&self.view.here().cursors().state.producer_waits, 1);
        }
    }

    #[inline(always)]
    pub(super) fn pop<T: Payload>(
        &mut self,
        into: &mut T,
        deadline: impl FnOnce(&Self) -> Option<u64>,
    ) -> Result<(), RingError> {
        match self.try_pop(into) {
            Err(RingError::Empty) => self.wait_and_pop(into, deadline(self)),
            other => other,
        }
    }

    /// Waits while the ring is empty.
    #[cold]
    #[inline(never)]
    fn wait_and_pop<T: Payload>(&mut self, into: &mut T, deadline: Option<u64>) -> Result<(), RingError> {
        let Self { member, view, head, taken } = self;
        let view = view.here();
        let waiter = member.waiter(*taken, deadline);
        let took = wait::again(&*member, &waiter, || not_yet(attempt(view, head, into)))?;
        self.count(took);
        Ok(())
    }

    /// Pops as many as are there: how many.
    pub(super) fn pop_slice<T: Payload>(&mut self, into: &mut [T]) -> Result<usize, RingError> {
        self.member.check()?;
        if into.is_empty() {
            return Ok(0);
        }
        let mut popped = 0;
        while popped < into.len() {
            match self.pop_some(&mut into[popped..]) {
                Ok(took) => {
                    popped += took.messages as usize;
                    self.count(took);
                }
                // The next call says so.
                Err(_) if popped > 0 => break,
                Err(RingError::Empty) => match look_or_closed(self.view.here(), &mut self.head) {
                    // Something has been pushed since, perhaps just before the ring was closed.
                    Ok(()) => {}
                    Err(RingError::Empty) => return Ok(0),
                    Err(e) => return Err(e),
                },
                Err(e) => return Err(e),
            }
        }
        Ok(popped)
    }

    /// Of one entry.
    #[inline(always)]
    fn pop_some<T: Payload>(&mut self, into: &mut [T]) -> Result<Took, RingError> {
        let Self { view, head, .. } = self;
        let view = view.here();
        let most = into.len().min(BLOCK_LEN as usize) as u32;
        match take_at_once(view, head, most, |place| read_some(view, place, into)) {
            Some(took) => Ok(took),
            // The long way.
            None => try_take(view, head, most, |place| read_some(view, place, into)),
        }
    }

    /// Waits until there is a message; takes none.
    pub(super) fn wait_for_message(&mut self, deadline: Option<u64>) -> Result<(), RingError> {
        self.member.check()?;
        let Self { member, view, head, taken } = self;
        let view = view.here();
        wait::until(&*member, &member.waiter(*taken, deadline), || not_yet(look_or_closed(view, head)))?;
        // If I was woken, it was for a message that is still there.
        self.member.wake(Role::Consumer);
        Ok(())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.member.check().is_ok() && closing::is_closed(&self.view.here().cursors().state)
    }

    pub(super) fn deadline(&self, timeout: Duration) -> Option<u64> {
        self.member.deadline(timeout)
    }

    pub(super) fn waits(&self) -> &wait::WaitState {
        self.member.waits()
    }

    pub(super) fn trust(&mut self, trust: Trust) {
        self.member.trust(trust);
    }
}
