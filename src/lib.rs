//! Lock-free rings between processes, in System V shared memory, that survive `kill -9`.
//!
//! # Overview
//!
//! A ring is one shared-memory segment, which carries the data, and one semaphore set, which
//! carries life: a process joins by a `semop` with `SEM_UNDO`, and the kernel takes that back
//! whatever ends the process. So peers are *proven* dead, without a daemon, a heartbeat or a
//! time-out, and their seats can be taken over at once.
//!
//! | type | what it is |
//! |---|---|
//! | [`spsc::Ring<T>`] | one producer, one consumer, messages of one type |
//! | [`spsc::ByteRing`] | one producer, one consumer, records of any length |
//! | [`mpmc::Ring<T>`] | any number of each, messages of one type; `take` gives back what a killed consumer held; those of up to 8 bytes lie in the entries unless that is asked for |
//! | [`mpmc::ByteRing`] | any number of each, records up to a length given at creation |
//! | [`Observer`] | a read-only look at any ring |
//! | [`list()`], [`remove()`] | which rings there are; taking one away |
//!
//! # Usage
//!
//! ```
//! use segring::spsc;
//! use zerocopy::{FromBytes, Immutable, IntoBytes};
//!
//! #[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable)]
//! #[repr(C)]
//! struct Tick { price: f64, size: u64 }
//!
//! # let name = format!("doc-lib-{}", std::process::id());
//! // In one process:
//! let ring = spsc::Ring::<Tick>::builder(&*name).capacity(4096).schema("tick.v1").create_or_attach()?;
//! let mut tx = ring.producer()?;
//! tx.push(Tick { price: 101.5, size: 300 })?;
//!
//! // In another:
//! let ring = spsc::Ring::<Tick>::builder(&*name).schema("tick.v1").attach()?;
//! let mut rx = ring.consumer()?;
//! assert_eq!(rx.pop()?.size, 300);
//! # ring.remove()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is promised
//!
//! The numbers are those by which the documentation and the code refer to them.
//!
//! - **Nothing is lost**, doubled or torn (I1): a message whose push returned Ok is in the ring until a
//!   consumer commits to it, whoever is killed, at whatever instruction. On SPSC rings `position()` on both
//!   sides survives restarts, so the books can be balanced; on exchange rings what a killed consumer held
//!   comes back, marked.
//! - **Nobody is stopped** (I2) by another's death or suspension. `try_` operations are wait-free on SPSC
//!   rings, lock-free on exchange rings. No time-out decides who owns memory.
//! - **Memory is reclaimed only from the proven dead** (I3). A process that was stopped and goes on
//!   finds nothing of its own given away.
//! - **A slot is in one place** (I4): in one entry of the ring, or in one hand. So nobody writes what
//!   another one reads.
//! - **Trust** (I5): copying operations are safe code, and end, even if a peer writes random bytes into the
//!   segment: [`RingError::Corrupt`] at worst. References into the segment are handed out only by
//!   handles made with `unsafe { handle.trust_peers() }`.
//! - **Order** (I6): FIFO; on exchange rings one linearizable FIFO, redelivered messages left out. Closing is
//!   in that order: no push returns Ok after a consumer has seen [`RingError::Closed`].
//! - **Sleepers** (I7): one that waits uses no CPU beyond a look every 100 ms, and no wakeup is lost.
//!
//! What a kill may do: delay a *sleeping* peer by one recheck of 100 ms, if it hits between the
//! message and the wake. And a copying pop that is killed between its commit and its return counts
//! as delivered: at most one message per kill is in doubt (of a slice, those that the call had taken); on SPSC rings the positions say which.
//!
//! # fork, exec, threads
//!
//! Handles are `Send`, not `Sync`. A forked child has none of them: each call on an inherited handle
//! says `Forked` (a message in place cannot say so, and panics), its drop does nothing, and the segment is not mapped there; the child may attach
//! anew. After `exec` the new program may take its own old seat over by joining.
//!
//! # Platform
//!
//! Linux, 64-bit, little-endian. Rust 1.85; in `Cargo.toml` also `zerocopy` with the feature `derive`. Tested on x86-64. Limits: see `ipcs -l`; a ring needs
//! one segment, one set, and three semaphores more than it has seats.
#![deny(unsafe_code)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", target_endian = "little")))]
compile_error!(
    "segring needs Linux on a 64-bit little-endian machine: System V shared memory, semop with undo, futex, 64-bit atomics"
);

#[cfg(not(segring_loom))]
mod api;
mod layout;
#[cfg(all(test, segring_loom))]
mod loom_tests;
#[cfg(not(segring_loom))]
mod region;
mod ring;
mod sync;
#[cfg(not(segring_loom))]
mod sys;

#[cfg(not(segring_loom))]
pub use api::{Builder, Observer, Payload, Peer, Rejected, RingType, Stats, Trusted};
#[cfg(not(segring_loom))]
pub use layout::header::Kind;
pub use layout::slot::Layout;
#[cfg(not(segring_loom))]
pub use region::{Error, HugePages, Listing, Name, list, remove, remove_trusting};
pub use ring::{RingError, WaitStats, WaitStrategy};
#[cfg(not(segring_loom))]
pub use sys::Errno;

#[cfg(not(segring_loom))]
#[doc(inline)]
pub use api::{mpmc, spsc};
