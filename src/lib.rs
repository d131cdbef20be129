//! placeholder
#![deny(unsafe_code)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", target_endian = "little")))]
compile_error!(
    "segring needs Linux on a 64-bit little-endian machine: System V shared memory with semop undo, futex, 64-bit atomics"
);

#[cfg(not(segring_loom))]
mod api;
mod layout;
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
pub use region::{Error, HugePages, Listing, Name, list};
pub use ring::RingError;
#[cfg(not(segring_loom))]
pub use sys::Errno;

#[cfg(not(segring_loom))]
pub mod spsc {
    //! placeholder
    pub use crate::api::spsc::*;
}
