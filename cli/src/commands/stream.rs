//! How a stream of bytes lies in a ring, and how it ends.
//!
//! ```text
//! stream:  START?  data*  END        a record each; START only if the ring was not new
//! ```
//! Data records have at least one byte. An empty one is the end: what leaves without it was broken
//! off. So a sender need not close the ring, which is for good, and the next stream can follow at
//! once, also before the receiver has noticed that the first sender is gone. `START` keeps the
//! stream of a sender that died apart from the one of its successor.
//!
//! Programs that use the library take part easily: they push bytes and at the end an empty record
//! (or close the ring), or read to the empty record.

use super::interrupt;
use std::process::ExitCode;

/// The last record of a stream.
pub(crate) const END: &[u8] = b"";

/// The first record of a stream that is not the first of its ring. `send` never makes a data record
/// of just these bytes.
pub(crate) const START: &[u8] = b"\0segring: here a stream starts\0";

/// Bytes of a data record at most. With its header it is 128 KiB, so records tile a ring of the
/// default capacity without gaps at the wrap.
pub(crate) const CHUNK: usize = (128 << 10) - 8;

/// Why a side stopped.
#[derive(Debug)]
pub(crate) enum End {
    Complete,
    Interrupted(i32),
    /// The other side, in words: `"died"`.
    PeerEnded(&'static str),
    /// Nobody reads standard output any more.
    OutputClosed,
}

impl End {
    /// What the program's caller is told.
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Self::Complete => ExitCode::SUCCESS,
            Self::Interrupted(signal) => ExitCode::from(u8::try_from(128 + signal).unwrap_or(1)),
            Self::PeerEnded(_) => ExitCode::from(super::PEER_ENDED),
            Self::OutputClosed => ExitCode::from(super::OUTPUT_CLOSED),
        }
    }

    /// The end by signal, if one has come.
    pub(crate) fn by_signal() -> Option<Self> {
        interrupt::pending().map(Self::Interrupted)
    }
}

/// What went through, for messages.
#[derive(Debug, Default)]
pub(crate) struct Count {
    pub(crate) bytes: u64,
    pub(crate) records: u64,
}

impl Count {
    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.records += 1;
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes in {} records", self.bytes, self.records)
    }
}
