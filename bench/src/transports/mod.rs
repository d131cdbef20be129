//! The rings, and what the system offers.

mod byte_ring;
mod fifo;
mod guarded;
pub(crate) mod paced;
mod pipe;
mod posix_queue;
mod ring;
mod socket;
mod stream;
pub(crate) mod sysv;
mod sysv_queue;
mod textbook;

use crate::keeper::Keeper;
use crate::plan::{Cell, Mode};
use crate::transport::{Channel, End, Ends, Made, Processes, Receiver, Sender, Transport};

pub use ring::TypedRing;

/// The typed ring.
pub const RING: &str = "ring";
/// What all ratios are against.
pub const PIPE: &str = "pipe";

const RING_MODES: &[Mode] = &[Mode::Handover, Mode::InPlace, Mode::Bulk, Mode::Single, Mode::RoundTrip];
const SINGLE: &[Mode] = &[Mode::Single, Mode::RoundTrip];
const STREAM: &[Mode] = &[Mode::Bulk, Mode::Single, Mode::RoundTrip];

fn copies(mode: Mode) -> u32 {
    if matches!(mode, Mode::InPlace | Mode::Handover) { 0 } else { 2 }
}

/// In the order of the table.
pub(crate) fn all() -> Vec<Transport> {
    let row = |name, modes, api, ends| Transport { name, modes, api, copies, ends: Ends::Processes(ends) };
    vec![
        TypedRing::default().transport(RING, RING_MODES),
        row(
            "byte ring",
            &[Mode::InPlace, Mode::Single, Mode::RoundTrip],
            byte_ring::api,
            &byte_ring::Records,
        ),
        row("textbook", SINGLE, |_| "shmat + semop", &textbook::Textbook),
        row("robust mutex", SINGLE, |_| "pthread_mutex", &guarded::RobustMutex),
        row("file lock", SINGLE, |_| "fcntl", &guarded::FileLock),
        row(PIPE, STREAM, |_| "write/read", &pipe::Pipe),
        row("fifo", STREAM, |_| "write/read", &fifo::Fifo),
        row("unix socket", STREAM, |_| "write/read", &socket::Unix),
        row("tcp", STREAM, |_| "write/read", &socket::Tcp),
        row("sysv queue", SINGLE, |_| "msgsnd/msgrcv", &sysv_queue::SysvQueue),
        row("posix queue", SINGLE, |_| "mq_send/mq_receive", &posix_queue::PosixQueue),
    ]
}

/// A number that the kernel shows under `/proc/sys`, if it does.
fn sysctl(path: &str) -> Option<u64> {
    std::fs::read_to_string(format!("/proc/sys/{path}")).ok()?.trim().parse().ok()
}
