//! Closing an exchange ring: a mark on the entry at the tail, and then a flag (I6).
//!
//! ```text
//! closer                                   producer                        consumer
//!   CAS: `closed` on the entry at the        its CAS fails there, or        finds no message; then
//!     tail, empty or full                      it reads the mark: Closed      the flag; looks again:
//!   sets the flag                            reads the flag: Closed           Closed
//! ```
//! The closing happens at the CAS: a push of something new either came before it in the order of the
//! queue, or fails. The flag says so to everybody else; who finds the mark without it sets it.
//!
//! What a consumer held and gave back is pushed on a closed ring too, and so moves the tail past the mark.
//! It sets the flag first. Whoever passes the marked entry has acquired that push, or a later one, and
//! reads the flag after it: so nothing new is ever pushed behind the mark.

use super::walk::{Entries, Walk, hint, is_flagged_closed};
use crate::layout::cursors::CLOSED;
use crate::layout::exchange::Entry;
use crate::ring::RingError;
use crate::sync::Ordering;

/// Says to everybody that the ring is closed. Its mark is on an entry.
pub(super) fn announce(memory: impl Entries) {
    if is_flagged_closed(memory) {
        return;
    }
    // Release: SYNC(close), pairs with the Acquire in `ring::closing::is_closed`: what was pushed before
    // the mark is there.
    memory.cursors().state.flags.fetch_or(CLOSED, Ordering::Release);
}

/// Whether nothing new may be pushed at this entry.
#[inline(always)]
pub(super) fn is_closed_at(memory: impl Entries, entry: Entry) -> bool {
    // The entry was read before the flag.
    if entry.is_closed() {
        announce(memory);
        return true;
    }
    is_flagged_closed(memory)
}

/// Closes. Lock-free. Closing twice does nothing.
pub(crate) fn close(memory: impl Entries) -> Result<(), RingError> {
    let mut tail = hint(&memory.cursors().producer);
    while !is_flagged_closed(memory) {
        let mut walk = Walk::new(memory, &mut tail, 0);
        let (entry, _) = walk.next(&memory.cursors().producer)?;
        let position = walk.position();
        // AcqRel: SYNC(entry), as a push.
        let marked = entry.is_closed()
            || memory
                .entry(position)
                .compare_exchange(entry.0, entry.closed().0, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok();
        if marked {
            announce(memory);
        }
    }
    Ok(())
}
