//! What is measured: one cell for each transport, mode and size.

use super::payload::BATCH_BYTES;
use serde::{Deserialize, Serialize};

/// Message sizes that the workers are compiled for.
pub(super) const KNOWN_SIZES: [usize; 8] = [8, 56, 64, 256, 1024, 4096, 16384, 65536];

/// What is measured when nobody says otherwise.
pub(super) const DEFAULT_SIZES: [usize; 4] = [8, 56, 1024, 65536];

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Transport {
    Ring,
    ByteRing,
    Pipe,
    Fifo,
    SysvQueue,
    PosixQueue,
    UnixSocket,
    Tcp,
    Textbook,
}

impl Transport {
    const ALL: [Self; 9] = [
        Self::Ring,
        Self::ByteRing,
        Self::Textbook,
        Self::Pipe,
        Self::Fifo,
        Self::UnixSocket,
        Self::Tcp,
        Self::SysvQueue,
        Self::PosixQueue,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::ByteRing => "byte ring",
            Self::Pipe => "pipe",
            Self::Fifo => "fifo",
            Self::SysvQueue => "sysv queue",
            Self::PosixQueue => "posix queue",
            Self::UnixSocket => "unix socket",
            Self::Tcp => "tcp",
            Self::Textbook => "textbook",
        }
    }

    fn modes(self) -> &'static [Mode] {
        match self {
            Self::Ring => &[Mode::InPlace, Mode::Bulk, Mode::Single],
            Self::ByteRing => &[Mode::InPlace, Mode::Single],
            Self::Pipe | Self::Fifo | Self::UnixSocket | Self::Tcp => &[Mode::Bulk, Mode::Single],
            Self::SysvQueue | Self::PosixQueue | Self::Textbook => &[Mode::Single],
        }
    }
}

/// How messages are handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Mode {
    /// One message per call.
    Single,
    /// Many messages per call: up to 64 on the ring, 32 KiB on a stream.
    Bulk,
    /// Built and read where it lies in the segment.
    InPlace,
    /// One message there, its answer back, one after the other.
    RoundTrip,
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Bulk => "bulk",
            Self::InPlace => "in place",
            Self::RoundTrip => "round trip",
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cell {
    pub(super) transport: Transport,
    pub(super) mode: Mode,
    pub(super) size: usize,
}

impl Cell {
    /// The calls that carry a message.
    pub(super) fn api(self) -> &'static str {
        match (self.transport, self.mode) {
            (Transport::Ring, Mode::InPlace) => "reserve/read",
            (Transport::Ring, Mode::Bulk) => "push_slice/pop_slice",
            (Transport::Ring | Transport::ByteRing, Mode::Single | Mode::RoundTrip) => "push/pop",
            (Transport::ByteRing, _) => "reserve/read",
            (Transport::Pipe | Transport::Fifo | Transport::UnixSocket | Transport::Tcp, _) => "write/read",
            (Transport::SysvQueue, _) => "msgsnd/msgrcv",
            (Transport::PosixQueue, _) => "mq_send/mq_receive",
            (Transport::Textbook, _) => "shmat + semop",
        }
    }

    /// How often a payload is copied between the producer's private memory and the consumer's.
    ///
    /// Through the kernel: 2, user to kernel and kernel to user. Through a copying shared-memory
    /// call: 2 as well, private to slot and slot to private. In place there is no private memory:
    /// the producer computes the payload into the slot and the consumer checks it there, so 0.
    pub(super) fn copies(self) -> u32 {
        if self.mode == Mode::InPlace { 0 } else { 2 }
    }

    /// What this cell's ratio is against: the pipe with one message per call, at the same size.
    pub(super) fn reference(self) -> Self {
        let mode = if self.mode == Mode::RoundTrip { Mode::RoundTrip } else { Mode::Single };
        Self { transport: Transport::Pipe, mode, size: self.size }
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}, {} bytes", self.transport.name(), self.mode.name(), self.size)
    }
}

/// All cells, in the order of the table. The reference cells are always among them.
pub(super) fn cells(sizes: &[usize], filter: &[String]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for &size in sizes {
        for transport in Transport::ALL {
            for &mode in transport.modes() {
                // A typed ring's batch of one message is the single call under another name.
                let same_as_single = mode == Mode::Bulk
                    && transport == Transport::Ring
                    && super::payload::batch_len(size) == 1;
                if !same_as_single {
                    cells.push(Cell { transport, mode, size });
                }
            }
        }
    }
    // A round trip is about waking, not about bytes: one small size says it.
    let small = sizes.iter().copied().find(|&s| s == 56).or_else(|| sizes.iter().copied().min());
    if let Some(size) = small.filter(|&s| s <= BATCH_BYTES) {
        let round_trips = Transport::ALL.map(|transport| Cell { transport, mode: Mode::RoundTrip, size });
        cells.extend(round_trips);
    }
    cells.retain(|cell| {
        *cell == cell.reference()
            || filter.is_empty()
            || filter.iter().any(|f| cell.transport.name().contains(f.as_str()))
    });
    cells
}

/// The transports' names, for messages.
pub(super) fn transport_names() -> Vec<&'static str> {
    Transport::ALL.map(Transport::name).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_always_measured() {
        for filter in [vec![], vec!["tcp".to_owned()]] {
            let cells = cells(&DEFAULT_SIZES, &filter);
            assert!(cells.iter().all(|cell| cells.contains(&cell.reference())));
        }
    }
}
