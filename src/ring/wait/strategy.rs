//! What a side does while it cannot go on.

/// What a handle does in a blocking call that cannot go on yet. Chosen per handle, with
/// `set_wait_strategy`; the two sides of a ring need not agree, and `try_` calls never wait.
///
/// The choice is looked at only after a first try has failed: it costs nothing on the hot path.
/// Every strategy notices messages, closing, time limits, and (within 100 ms) a peer that has left
/// or died. What each costs, measured, is in `docs/waiting.md`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitStrategy {
    /// Looks again and again, with the processor's hint for a waiting loop in between. Never
    /// sleeps, so its peer never makes a system call to wake it. Lowest latency; keeps a core busy,
    /// so it wants one for itself: where both sides share a core, each hand-over takes a time slice.
    BusySpin,
    /// Looks, and gives the core to whoever else is ready to run (`sched_yield`), in turn. For more
    /// sides than cores; a core without other work is kept busy all the same.
    Yield,
    /// Looks for a while, then sleeps on a futex until the peer wakes it. For how long it looks
    /// depends on the last waits of this handle: up to 100 µs if they were short, not at all after
    /// some that were long, and seldom if looking never helps, as on a core that both sides share.
    /// In a stream it looks away for a moment before that, so that it does not take the line away
    /// that its peer is writing.
    #[default]
    Adaptive,
    /// Sleeps at once. Least use of the processor, and each message that is waited for costs a
    /// sleep and a wake.
    Sleep,
}
