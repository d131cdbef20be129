//! Many producers, many consumers, in any number of processes, that nobody's death can stop.
//!
//! A participant that is killed, or stopped, at any instruction keeps nobody from going on: not for a
//! time-out, not until somebody repairs something. Messages are built and read in place for as long as one
//! likes. What a killed consumer held comes back to another one, marked. (Messages of up to 8 bytes do so only if the
//! builder's `redelivery` or `in_hand` asks for it: else they lie in the ring's entries, to push and pop.) The protocol, its proof, and what
//! "lock-free" means here: `docs/mpmc.md`.
//!
//! Each handle takes one of the ring's seats; threads of one process take one each, too.
//!
//! ```
//! use segring::mpmc;
//!
//! # let name = format!("doc-mpmc-{}", std::process::id());
//! let ring = mpmc::Ring::<[u64; 4]>::builder(&*name).capacity(1024).seats(64).in_hand(4).create()?;
//! let (mut tx, rx) = (ring.producer()?, ring.consumer()?);
//! tx.push([1, 2, 3, 4])?;
//!
//! // SAFETY: nobody writes into this segment except through segring.
//! let mut rx = unsafe { rx.trust_peers() };
//! let job = rx.take()?;
//! assert_eq!(job[3], 4);
//! job.release();
//! # ring.remove()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bytes;
mod consumer;
mod job;
mod member;
mod membership;
mod producer;
mod pusher;
mod recover;
mod ring;
mod slot;
mod taker;
mod words;

pub use bytes::{ByteConsumer, ByteProducer, ByteRing};
pub use consumer::Consumer;
pub use job::{ByteJob, Job};
pub use producer::Producer;
pub use recover::Recovered;
pub use ring::Ring;
pub use slot::{ByteSlot, Slot};
