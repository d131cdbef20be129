//! Closing: one flag, set once, by the producer, after its last push (I6).
//!
//! ```text
//! producer                                 consumer
//!   pushes             (Release stores)      C1 the ring is empty
//!   close              (Release)             C2 the flag is set         (Acquire)
//!   wakes the sleepers                       C3 the ring is still empty: Closed
//! ```
//! The closing happens at the store of the flag. Pushes are ordered before it: by the order of the
//! handle's calls, or by the seat, whose next holder looks at the flag on joining and then pushes
//! nothing. So whoever sees the flag sees all that was ever pushed, and C3 decides.

use super::RingError;
use super::wait::{self, Waker};
use crate::layout::cursors::{CLOSED, StateLine};
use crate::sync::{AtomicU32, Ordering};

/// To be called by the holder of the producer's seat, which pushes nothing after it. `sleepers`
/// wait for messages.
pub(crate) fn close(host: &impl Waker, state: &StateLine, sleepers: &AtomicU32) {
    // Release: SYNC(close), pairs with the Acquire in `is_closed`.
    state.flags.fetch_or(CLOSED, Ordering::Release);
    wait::wake_all(host, sleepers);
}

/// C2.
pub(crate) fn is_closed(state: &StateLine) -> bool {
    // Acquire: SYNC(close), pairs with the Release in `close`: what was pushed before is there.
    state.flags.load(Ordering::Acquire) & CLOSED != 0
}

/// C2 and C3: after an attempt that found the ring empty.
#[cold]
#[inline(never)]
pub(crate) fn look_again<T>(
    state: &StateLine,
    attempt: impl FnOnce() -> Result<T, RingError>,
) -> Result<T, RingError> {
    if !is_closed(state) {
        return Err(RingError::Empty);
    }
    attempt().map_err(|e| match e {
        RingError::Empty => RingError::Closed,
        other => other,
    })
}
