//! One producer process, one consumer process, one FIFO between them.
//!
//! | | |
//! |---|---|
//! | [`Ring<T>`] | messages of one type: [`Producer`], [`Consumer`] |
//! | [`ByteRing`] | records of any length: [`ByteProducer`], [`ByteConsumer`] |
//! | [`Trusted`](crate::Trusted) | the same handles, in place: [`WriteGrant`], [`ReadGrant`] |
//!
//! **Concurrency.** A ring has one producer's seat and one consumer's seat. A second live producer
//! is refused ([`Error::SeatTaken`](crate::Error::SeatTaken)), so a handle has its side for itself;
//! it is `Send`, not `Sync`, and its operations take `&mut self`. The two sides may be two
//! processes, two threads, or one thread.
//!
//! **Progress.** `try_…`, `push_slice`, `pop_slice`, `reserve`, `read`, `commit`, `release` are
//! wait-free and make no system call, unless the peer sleeps: then one futex wake. `push`, `pop`
//! and the `…_timeout` forms block, in the way that [`WaitStrategy`](crate::WaitStrategy) names; in
//! each they look every 100 ms whether the peer lives. While they look before sleeping, a stream that
//! has run dry makes them look away for up to 1 µs, so that the peer writes undisturbed; who polls
//! with the `try_…` forms does well to do so, too (`docs/waiting.md`).
//!
//! **Crashes.** A process may be killed at any instruction. What its pushes committed is delivered;
//! a push it was in is either committed or has not happened. A message that a killed consumer had
//! not yet released comes again, to the next consumer. Seats of the dead are taken over by joining;
//! nothing else needs repair. What each call says in each state: `docs/states.md`.
//!
//! ```
//! use segring::spsc;
//! # let name = format!("doc-spsc-{}", std::process::id());
//! let ring = spsc::Ring::<u64>::builder(&*name).capacity(4096).create()?;
//! let mut tx = ring.producer()?;      // usually in one process …
//! let mut rx = ring.consumer()?;      // … and in another
//! tx.push(7)?;
//! assert_eq!(rx.pop()?, 7);
//! assert_eq!((tx.position(), rx.position()), (1, 1));
//! ring.remove()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crossbeam_utils::CachePadded;

mod byte_grant;
mod byte_ring;
mod consumer;
mod grant;
mod producer;
mod ring;

pub use byte_grant::{ByteReadGrant, ByteWriteGrant};
pub use byte_ring::{ByteConsumer, ByteProducer, ByteRing};
pub use consumer::Consumer;
pub use grant::{ReadGrant, Releasing, WriteGrant};
pub use producer::Producer;
pub use ring::Ring;

/// One half of the algorithm, over the slots that this ring has.
///
/// Padded: a program that keeps both handles side by side, for two threads, would have their private
/// cursors in one cache line (`docs/measurements.md`).
pub(crate) enum ByLayout<S, D> {
    Stamped(CachePadded<S>),
    Dense(CachePadded<D>),
}

/// Runs one expression for whichever layout an engine has.
macro_rules! each {
    ($engine:expr, $side:ident => $body:expr) => {
        match $engine {
            $crate::api::spsc::ByLayout::Stamped($side) => $body,
            $crate::api::spsc::ByLayout::Dense($side) => $body,
        }
    };
}
pub(crate) use each;
