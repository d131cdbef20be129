//! The waiter bits: one futex word, a bit for each who waits on it.

use super::{Host, Ordering, Waker};
use crate::sync::{AtomicU32, fence};

/// A waiter's place in a word.
#[derive(Clone, Copy)]
pub(crate) struct Bit<'a> {
    pub(crate) word: &'a AtomicU32,
    pub(crate) mask: u32,
    /// Others may wait on the same bit. They are woken together.
    pub(crate) shared: bool,
}

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slept {
    /// A waker took this waiter's bit and woke it.
    Woken,
    /// The word had changed: it did not sleep.
    NotAtAll,
    /// The limit was reached, or a signal came.
    Interrupted,
}

impl Bit<'_> {
    /// W1.
    pub(super) fn set(self) {
        // Relaxed: the heavy barrier (W2) orders it before the look (W3).
        self.word.fetch_or(self.mask, Ordering::Relaxed);
    }

    /// Whether it is still there. (One that is shared may be another's.)
    pub(super) fn is_set_by_me(self) -> bool {
        // Relaxed: only this waiter sets it.
        !self.shared && self.word.load(Ordering::Relaxed) & self.mask != 0
    }

    /// W4.
    pub(super) fn sleep(self, host: &impl Host, until: u64) -> Slept {
        // Relaxed: the kernel compares the word again, under its lock.
        let seen = self.word.load(Ordering::Relaxed);
        // A bit that is gone was taken by a waker since.
        if seen & self.mask == 0 { Slept::NotAtAll } else { host.sleep(self.word, seen, self.mask, until) }
    }

    /// W1 undone, by a waiter that nobody has woken. What was meant for others is passed on.
    pub(super) fn give_up(self, host: &impl Waker) {
        // Relaxed: a waker that still sees the bit makes one wake for nobody.
        let was_set = self.word.fetch_and(!self.mask, Ordering::Relaxed) & self.mask != 0;
        if !was_set {
            // A waker chose this waiter, perhaps for another message than it has: wake the next.
            wake_one(host, self.word);
        } else if self.shared {
            // It was theirs as well: they look again, and set it again.
            host.wake(self.word, self.mask);
        }
    }
}

/// K4, for each message that has moved, as long as somebody waits.
#[cold]
pub(super) fn wake_some(host: &impl Waker, word: &AtomicU32, moved: usize) {
    // Each bit wakes all who share it: more rounds wake nobody else, whatever is scribbled there (I5).
    for _ in 0..moved.min(u32::BITS as usize) {
        wake_one(host, word);
        // Relaxed: who sets its bit after this looks again for itself.
        if word.load(Ordering::Relaxed) & host.bits() == 0 {
            return;
        }
    }
}

/// K4. Wakes one of those who wait: whose bit it takes. The bit is taken back before the wake, so
/// that the next publish need not wake again.
fn wake_one(host: &impl Waker, word: &AtomicU32) {
    // Relaxed, and below: a waiter that goes to sleep compares the word inside the kernel, which
    // makes a full barrier in FUTEX_WAKE, before it looks for sleepers. SYNC(queue).
    let seen = word.load(Ordering::Relaxed);
    let mut left = seen & host.bits();
    if left != seen {
        // Somebody has scribbled there. It must not cost every push a look (I5).
        word.fetch_and(host.bits(), Ordering::Relaxed);
    }
    while left != 0 {
        let mask = left & left.wrapping_neg();
        left &= !mask;
        let taken = word.fetch_and(!mask, Ordering::Relaxed) & mask != 0;
        if taken {
            host.woke();
            // Nobody asleep there: awake and about to look, or dead. The next one, to be sure.
            if host.wake(word, mask) {
                return;
            }
        }
    }
}

/// Wakes all: for what concerns everybody, such as closing. It has happened before the call.
#[cold]
pub(crate) fn wake_all(host: &impl Waker, word: &AtomicU32) {
    // SeqCst: SYNC(park), pairs with the barrier of the waiter (W2): else the bits could be gone before what has
    // happened can be seen.
    fence(Ordering::SeqCst);
    // Relaxed: as in `wake_one`.
    word.store(0, Ordering::Relaxed);
    host.wake(word, u32::MAX);
}
