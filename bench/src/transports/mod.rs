//! The rings, and what the system offers.

mod byte_ring;
mod exchange;
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

pub use exchange::ManyRing;
pub use ring::TypedRing;

/// The typed ring.
pub const RING: &str = "ring";
/// The typed ring of many.
pub const MANY_RING: &str = "mpmc ring";
/// What all ratios are against.
pub const PIPE: &str = "pipe";
/// The kernel's message queues.
pub const SYSV_QUEUE: &str = "sysv queue";
/// See [`SYSV_QUEUE`].
pub const POSIX_QUEUE: &str = "posix queue";

const RING_MODES: &[Mode] = &[Mode::Handover, Mode::InPlace, Mode::Bulk, Mode::Single, Mode::RoundTrip];
const MANY_RING_MODES: &[Mode] = &[Mode::Handover, Mode::InPlace, Mode::Bulk, Mode::Single];
/// Of the kernel's, those that many can share.
const MANY: [&str; 3] = [PIPE, SYSV_QUEUE, POSIX_QUEUE];
const SINGLE: &[Mode] = &[Mode::Single, Mode::RoundTrip];
const STREAM: &[Mode] = &[Mode::Bulk, Mode::Single, Mode::RoundTrip];

fn copies(mode: Mode) -> u32 {
    if matches!(mode, Mode::InPlace | Mode::Handover) { 0 } else { 2 }
}

/// In the order of the table.
pub(crate) fn all() -> Vec<Transport> {
    let row = |name, modes, api, ends| {
        // What stays whole and in order whoever reads.
        let many: &[Mode] = if MANY.contains(&name) { &[Mode::Single] } else { &[] };
        Transport { name, modes, many, api, copies, ends: Ends::Processes(ends) }
    };
    vec![
        TypedRing::default().transport(RING, RING_MODES),
        row(
            "byte ring",
            &[Mode::InPlace, Mode::Single, Mode::RoundTrip],
            byte_ring::api,
            &byte_ring::Records,
        ),
        ManyRing::default().transport(MANY_RING, MANY_RING_MODES),
        row("textbook", SINGLE, |_| "shmat + semop", &textbook::Textbook),
        row("robust mutex", SINGLE, |_| "pthread_mutex", &guarded::RobustMutex),
        row("file lock", SINGLE, |_| "fcntl", &guarded::FileLock),
        row(PIPE, STREAM, |_| "write/read", &pipe::Pipe),
        row("fifo", STREAM, |_| "write/read", &fifo::Fifo),
        row("unix socket", STREAM, |_| "write/read", &socket::Unix),
        row("tcp", STREAM, |_| "write/read", &socket::Tcp),
        row(SYSV_QUEUE, SINGLE, |_| "msgsnd/msgrcv", &sysv_queue::SysvQueue),
        row(POSIX_QUEUE, SINGLE, |_| "mq_send/mq_receive", &posix_queue::PosixQueue),
    ]
}

/// A number that the kernel shows under `/proc/sys`, if it does.
fn sysctl(path: &str) -> Option<u64> {
    std::fs::read_to_string(format!("/proc/sys/{path}")).ok()?.trim().parse().ok()
}
