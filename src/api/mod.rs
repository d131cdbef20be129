//! What users hold: builders, rings, handles, grants. Joins the algorithms to a region.

mod builder;
mod handle;
mod link;
pub mod mpmc;
mod observer;
mod payload;
mod rejected;
mod ring_methods;
pub mod spsc;
mod stats;
mod trusted;

pub use builder::{Builder, RingType};
pub use observer::Observer;
pub use payload::Payload;
pub use rejected::Rejected;
pub use stats::{Peer, Stats};
pub use trusted::Trusted;
