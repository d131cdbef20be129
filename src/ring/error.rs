//! Why an operation on a ring did not happen. Small, `Copy`, made for the hot path.

/// Why an operation on a ring did not happen. Nothing was moved in or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// There is no room: each entry has a message that has not been taken.
    #[error("the ring is full")]
    Full,
    /// There is no message now.
    #[error("the ring is empty")]
    Empty,
    /// The ring has been closed, and every message has been taken. On an exchange ring, one that somebody took
    /// and hands back after that can still be had by calling again.
    #[error("the ring is closed")]
    Closed,
    /// The peer, or the last one of many, has left (`died: false`) or was killed (`died: true`). Said once by a handle for a
    /// peer that is gone when it looks; calling again waits for a successor. A peer that was replaced
    /// before that is not told.
    #[error("the peer {}; call again to wait for a successor", if *.died { "died" } else { "has left" })]
    PeerGone {
        /// The kernel released the peer's seat; it did not leave by itself.
        died: bool,
    },
    /// The shared memory holds something that no peer of this version writes. Nothing was touched;
    /// the ring should be removed and made anew.
    #[error(
        "the ring's memory is corrupt: a peer wrote outside the protocol; remove the ring and create it anew"
    )]
    Corrupt,
    /// The time given is over.
    #[error("timed out")]
    TimedOut,
    /// The ring has been removed, and nobody is on the other side: who is not attached yet cannot come any
    /// more. A process that is attached still may; who knows of such a one calls again.
    #[error("the ring has been removed")]
    Removed,
    /// This handle was made before a `fork`, by the parent. It stays the parent's: attach anew.
    #[error("this handle belongs to the parent process; attach again after fork")]
    Forked,
    /// The handle inside a [`Trusted`](crate::Trusted) was replaced by one that nobody has vouched
    /// for: call `trust_peers` on that one.
    #[error("this handle was not made by trust_peers()")]
    Untrusted,
    /// This ring keeps its messages in its entries, where nothing can be built, taken or held: make it with
    /// [`redelivery`](crate::Builder::redelivery) or [`in_hand`](crate::Builder::in_hand), or use `push` and `pop`.
    #[error(
        "this ring keeps its messages in its entries, not in slots: make it with redelivery() or in_hand() to work in place"
    )]
    NotInPlace,
    /// Every hand of this consumer holds a message: release one, or ask for more with
    /// [`in_hand`](crate::Builder::in_hand) when the ring is made.
    #[error("every hand of this consumer holds a message; release one first")]
    HandsFull,
    /// The record is longer than a byte ring of this capacity takes (half of it,
    /// less 8 bytes), or than an exchange ring's slots.
    #[error("the record is too long for this ring: see max_record()")]
    TooLong,
}
