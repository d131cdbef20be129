//! How a handle knows that it has been inherited through a `fork`.
//!
//! One page of the process is wiped by the kernel in every child (`MADV_WIPEONFORK`). It holds a
//! number that is never 0 and never used twice in a line of descent; a handle keeps the number of
//! its making. In a child the page reads 0, or the child's own number once it has made handles.

use super::error::{Context, Error};
use crate::sync::{AtomicU64, Ordering};
use crate::sys::memory::page_wiped_on_fork;

/// Proof of the process that made a handle. One load and a compare to check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForkToken {
    word: &'static AtomicU64,
    value: u64,
}

/// The last number given out. Inherited by children, so that they go on counting.
///
/// Atomics, no locks: a child may be forked while another thread is in here.
static LAST: AtomicU64 = AtomicU64::new(0);
/// Address of the page, 0 before the first use.
static PAGE: AtomicU64 = AtomicU64::new(0);

fn page(cx: &Context<'_>) -> Result<&'static AtomicU64, Error> {
    // Acquire: SYNC(page), pairs with the AcqRel exchange below.
    let mut at = PAGE.load(Ordering::Acquire);
    if at == 0 {
        let fresh = page_wiped_on_fork().map_err(|e| cx.os("madvise(MADV_WIPEONFORK)", e))?;
        let fresh = fresh.as_ptr() as u64;
        // AcqRel: SYNC(page). Two threads may both have made a page: the loser's stays unused.
        at = match PAGE.compare_exchange(0, fresh, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => fresh,
            Err(theirs) => theirs,
        };
    }
    // SAFETY: `at` is a page that is never unmapped, aligned, and used as this atomic only.
    Ok(unsafe { AtomicU64::from_ptr(at as *mut u64) })
}

impl ForkToken {
    /// The token of this process.
    pub(crate) fn current(cx: &Context<'_>) -> Result<Self, Error> {
        let word = page(cx)?;
        // Relaxed: only numbers, nothing is published by them.
        let mut value = word.load(Ordering::Relaxed);
        if value == 0 {
            let fresh = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            value = match word.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => fresh,
                Err(theirs) => theirs,
            };
        }
        Ok(Self { word, value })
    }

    /// A token that no process has.
    pub(crate) fn revoked(self) -> Self {
        Self { value: u64::MAX, ..self }
    }

    /// Whether this is still the process that took the token.
    #[inline(always)]
    pub(crate) fn is_valid(self) -> bool {
        // Relaxed: only this process writes it, and before any handle with this value existed.
        self.word.load(Ordering::Relaxed) == self.value
    }
}
