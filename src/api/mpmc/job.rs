//! A message that has been taken and not released.

use super::member::Held;
use super::membership::Membership;
use super::slot::inherited;
use crate::api::payload::Payload;
use crate::layout::exchange_view::Exchange;
use crate::layout::geometry::RECORD_LEN;
use crate::layout::view::Trust;
use crate::ring::mpmc::Hand;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

/// A message in a hand: keeps the seat.
struct InHand {
    membership: Arc<Membership>,
    /// `None`: it is over.
    hand: Option<Hand>,
    redelivered: bool,
    trust: Trust,
}

impl InHand {
    fn new(((membership, hand), redelivered): (Held, bool), trust: Trust) -> Self {
        Self { membership, hand: Some(hand), redelivered, trust }
    }

    fn get(&self) -> (Exchange<'_>, &Hand) {
        match (&self.hand, self.membership.slots()) {
            (Some(hand), Some(slots)) if self.membership.is_mine() => (slots, hand),
            _ => inherited(),
        }
    }

    fn release(&mut self) {
        if let Some(mut hand) = self.hand.take() {
            if let Some(slots) = self.membership.slots().filter(|_| self.membership.is_mine()) {
                hand.release(slots);
                self.membership.put_back(hand);
                self.membership.settle();
            }
        }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        if let Some(hand) = self.hand.take() {
            if self.membership.is_mine() {
                self.membership.hand_back(hand);
                self.membership.settle();
            }
        }
    }
}

/// A message that was taken in place: reads it where the producer has built it.
///
/// Owned and `Send`: it may go to another thread, outlive the handle, and be held for as long as one likes;
/// nobody waits for it. [`release`](Job::release) says that the work is done. Dropped without it, as by `?`
/// or in a panic, it is handed back. If the process is killed, it comes back to another consumer, marked.
/// As long as it lives it keeps its consumer's seat, also when the handle is gone.
///
/// # Panics
/// Looking at it in a forked child, which does not have the memory.
#[must_use = "dropped without release, a message is handed back"]
pub struct Job<T> {
    held: InHand,
    item: PhantomData<fn() -> T>,
}

impl<T: Payload> Job<T> {
    pub(super) fn new(held: (Held, bool), trust: Trust) -> Self {
        Self { held: InHand::new(held, trust), item: PhantomData }
    }

    /// The work is done: the message is gone for good (I1). Wait-free.
    pub fn release(mut self) {
        self.held.release();
    }

    /// Gives the message back, marked, for whoever takes next: behind what is in the ring. Lock-free. If the
    /// ring is full it stays with this consumer's seat, and this consumer's next call gets it, or whoever
    /// takes the seat.
    pub fn hand_back(self) {
        drop(self);
    }

    /// Whether it had been taken before, by somebody who did not release it: killed, or handed back. It may
    /// have been worked on.
    pub fn redelivered(&self) -> bool {
        self.held.redelivered
    }
}

impl<T: Payload> Deref for Job<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let (memory, hand) = self.held.get();
        memory.get(self.held.trust, hand.slot())
    }
}

impl<T> std::fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("redelivered", &self.held.redelivered).finish_non_exhaustive()
    }
}

/// A record that was taken in place. As [`Job`], for bytes.
#[must_use = "dropped without release, a record is handed back"]
pub struct ByteJob {
    held: InHand,
    len: usize,
}

impl ByteJob {
    pub(super) fn new(held: (Held, bool), trust: Trust, len: usize) -> Self {
        Self { held: InHand::new(held, trust), len }
    }

    /// As [`Job::release`].
    pub fn release(mut self) {
        self.held.release();
    }

    /// As [`Job::hand_back`].
    pub fn hand_back(self) {
        drop(self);
    }

    /// As [`Job::redelivered`].
    pub fn redelivered(&self) -> bool {
        self.held.redelivered
    }
}

impl Deref for ByteJob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let (memory, hand) = self.held.get();
        memory.bytes(self.held.trust, hand.slot(), RECORD_LEN as usize, self.len)
    }
}

impl std::fmt::Debug for ByteJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByteJob")
            .field("len", &self.len)
            .field("redelivered", &self.held.redelivered)
            .finish_non_exhaustive()
    }
}
