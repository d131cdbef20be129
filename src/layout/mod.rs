//! The bytes of a segment: who stands where, asserted at compile time. No I/O, no algorithm.
//!
//! ```text
//! offset 0      header        1024 bytes   written once, by the creator
//!        1024   seats         128 each     who is here (life itself is in the semaphores)
//!        …      cursors       3 × 128      producer line, consumer line, state line
//!        …      hands         128 each     rings of many only: what each participant owns
//!        …      entries       8 or 16 each rings of many only: the ring itself
//!        …      slots         to the end   the messages, or blocks of them (page-aligned)
//! ```
//! The diagrams with every byte are in `docs/layout.md`.
#![allow(unsafe_code)]

pub(crate) mod cursors;
pub(crate) mod exchange;
#[cfg(not(segring_loom))]
pub(crate) mod exchange_view;
#[cfg(not(segring_loom))]
pub(crate) mod geometry;
#[cfg(not(segring_loom))]
pub(crate) mod header;
pub(crate) mod inline;
#[cfg(not(segring_loom))]
pub(crate) mod inline_view;
#[cfg(not(segring_loom))]
pub(crate) mod seat;
pub(crate) mod slot;
#[cfg(not(segring_loom))]
pub(crate) mod view;

/// Distance between lines that different processes write. Two 64-byte lines, because the
/// adjacent-line prefetcher of x86 fetches pairs, and because some ARM cores have 128-byte lines.
pub(crate) const LINE: usize = 128;

/// The version of the layout. Major 0 is unstable: only equal versions attach to each other.
pub(crate) const ABI_MAJOR: u16 = 0;
/// The minor version, see [`ABI_MAJOR`].
pub(crate) const ABI_MINOR: u16 = 3;
