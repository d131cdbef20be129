//! The algorithms, over a view of memory: no system call, no segment, no clock of their own.
//!
//! # The invariants
//!
//! Cited by number all over the crate.
//!
//! - **I1** A message whose push returned Ok is in the ring until a consumer commits to it. None
//!   is lost, doubled or torn. A copying pop commits when it moves the consumer's cursor, or marks the message released; a kill
//!   after that and before the caller has the value counts as delivered. `read` and `take` commit at
//!   `release`: what a killed consumer held in place comes again.
//! - **I2** No process, killed or stopped at any instruction, stops the others. No daemon, no
//!   time-out decides who owns memory. A kill or a stop may delay a *sleeper*, by one recheck ([`wait::RECHECK`]): of
//!   its waker, or of another sleeper that had been woken for the same message.
//! - **I3** Memory is reclaimed only from the proven dead: the kernel has taken their semaphore
//!   back. A stopped process that wakes up finds nothing of its own given away.
//! - **I4** A slot is in exactly one place. In an SPSC ring: positions `head..tail` belong to the
//!   consumer, `tail..head + capacity` to the producer. In an exchange ring: in one entry, or in one hand.
//! - **I5** Whatever bytes a peer writes into the segment, copying operations keep this process
//!   memory-safe and finite: `Corrupt` at worst. Every shared word is loaded once and bounded.
//! - **I6** SPSC is FIFO. An exchange ring is one linearizable FIFO, redelivered messages left out. No push returns Ok after a consumer has seen `Closed`.
//! - **I7** A sleeping waiter uses no CPU beyond the recheck, and no wakeup is lost.
#![forbid(unsafe_code)]

pub(crate) mod closing;
mod error;
pub(crate) mod mpmc;
pub(crate) mod spsc;
pub(crate) mod wait;

pub use error::RingError;
pub use wait::{WaitStats, WaitStrategy};

/// No position is ever beyond this: at a billion messages a second it takes a hundred years. A
/// larger one in a segment was written by nobody of this protocol, and is refused on joining, so
/// that sums with positions never overflow.
pub(crate) const POSITION_MAX: u64 = 1 << 62;
