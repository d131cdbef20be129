//! The harness that measures segring and what it is compared with.
//!
//! Verified messages go from one process to another (between two threads where a library cannot
//! cross processes), each side on a core of its own; or from many to many, all producers on one
//! core and all consumers on the other. A program hands in a [`Catalogue`] of
//! [`Transport`]s; `segring bench`, the `versus` program and the criterion benchmarks are such
//! programs. The parent plans (`plan`), starts the workers of each run (`runner`, `workers`, `worker`),
//! orders the runs (`measure`) and makes figures of them (`results`). It makes and removes all
//! kernel objects (`transports`, [`Keeper`]).
//!
//! A program that measures calls [`worker()`] first thing in `main`: its workers are this program
//! again.

mod control;
mod cores;
mod gate;
mod interrupt;
mod keeper;
mod limits;
mod measure;
mod memory;
mod pause;
pub mod payload;
mod plan;
mod progress;
mod results;
mod runner;
mod tally;
mod transport;
mod transports;
pub mod waiting;
mod worker;
mod workers;

pub use control::Side;
pub use cores::{Cores, machine};
pub use interrupt::Interrupted;
pub use keeper::{Keeper, Kept};
pub use limits::blocks_of;
pub use measure::{Extent, Measured, measure};
pub use pause::{Patience, Pause};
pub use plan::{Catalogue, Cell, DEFAULT_SIZES, KNOWN_SIZES, Mode, Shape};
pub use progress::Progress;
pub use results::{Ratio, Row, median, paired, rows};
pub use runner::{Pair, Run, Stage, Started};
pub use tally::{Came, Tally};
pub use transport::{
    Channel, End, Ends, Made, ManyEnds, Notes, Processes, Receiver, Sender, ThreadEnds, Threads, Transport,
};
pub use transports::{MANY_RING, ManyRing, PIPE, POSIX_QUEUE, RING, SYSV_QUEUE, TypedRing};
pub use worker::worker;

// For `for_size!` in other crates.
#[doc(hidden)]
pub use anyhow;

/// The first argument of a worker.
const WORKER: &str = "bench-worker";
/// This program's file, also when it was replaced or removed meanwhile.
const OWN_PROGRAM: &str = "/proc/self/exe";
