//! What the parent and a worker say to each other: JSON lines over a Unix socket, which is the
//! worker's standard input; before them one byte with the descriptors of the transport.

use crate::plan::{Catalogue, Cell, Mode, Shape};
use crate::tally::Count;
use crate::transport::{End, Notes};
use anyhow::{Context, Result, bail};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, sendmsg};
use serde::{Deserialize, Serialize};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

/// Everything that a worker is told when it starts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) cell: CellName,
    /// Whose death ends the worker.
    pub(crate) parent: i32,
    pub(crate) part: Part,
}

/// A [`Cell`] for another process, which has the same catalogue.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CellName {
    transport: String,
    mode: Mode,
    size: usize,
    shape: Shape,
}

impl CellName {
    pub(crate) fn of(cell: Cell) -> Self {
        let Cell { transport, mode, size, shape } = cell;
        Self { transport: transport.to_owned(), mode, size, shape }
    }

    pub(crate) fn find(&self, catalogue: &Catalogue) -> Result<Cell> {
        let transport = catalogue.find(&self.transport)?.name;
        Ok(Cell { transport, mode: self.mode, size: self.size, shape: self.shape })
    }
}

/// What a worker is there for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Part {
    /// One side.
    Side {
        /// Where to run. `None`: anywhere.
        core: Option<usize>,
        /// In round trips: sends first.
        asks: bool,
        sender: Option<EndIds>,
        receiver: Option<EndIds>,
    },
    /// All of them, as threads.
    Threads { cores: Option<(usize, usize)> },
    /// One of many.
    OneOfMany {
        /// Where to run. `None`: anywhere.
        core: Option<usize>,
        role: Role,
        end: EndIds,
    },
}

/// What one of many does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    /// Sends, as the producer of this number.
    Producer(u32),
    /// Receives.
    Consumer,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        if self == Self::Consumer { "consumer" } else { "producer" }
    }
}

/// An [`End`] without its descriptor, which comes separately.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EndIds {
    ids: Vec<i32>,
    names: Vec<String>,
    has_fd: bool,
}

impl EndIds {
    pub(crate) fn of(end: &End) -> Self {
        Self { ids: end.ids.clone(), names: end.names.clone(), has_fd: end.fd.is_some() }
    }

    /// Takes the descriptor from those that came, if there is one for this end.
    pub(crate) fn join(self, fds: &mut impl Iterator<Item = OwnedFd>) -> Result<End> {
        let fd = if self.has_fd { Some(fds.next().context("a descriptor is missing")?) } else { None };
        Ok(End { ids: self.ids, names: self.names, fd })
    }
}

/// From the parent: move these messages; between many, so many all together. No order but the end of the stream means: done.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Go {
    pub(crate) first: u64,
    pub(crate) messages: u64,
}

/// From a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// Its ends are open.
    Ready,
    /// All messages of a [`Go`] are moved, and checked if they were received.
    Done(Times),
    /// The same between many, with what was received of each producer.
    Counted(Times, Vec<Count>),
    /// It could not go on, and why.
    Failed(String),
}

/// One side of a run.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Side {
    /// Time of a core that it used, in nanoseconds.
    pub cpu: u64,
    /// From its start to its end, in nanoseconds.
    pub took: u64,
    /// What its ends say.
    pub notes: Notes,
}

impl Side {
    /// Two of one side.
    pub(crate) fn and(self, other: Self) -> Self {
        let (cpu, took) = (self.cpu + other.cpu, self.took.max(other.took));
        Self { cpu, took, notes: self.notes.and(other.notes) }
    }
}

/// `CLOCK_MONOTONIC` in nanoseconds, which is one clock for all processes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Times {
    /// Before the first message.
    pub(crate) started: u64,
    /// After the last one, checks included.
    pub(crate) ended: u64,
    /// The median round trip, where round trips were made.
    pub(crate) p50: Option<u64>,
    /// What this side adds.
    pub(crate) side: Side,
}

/// What one of many says when a run is over: a producer has counted nothing.
pub(crate) type Done = (Times, Vec<Count>);

impl Times {
    /// Of all participants: from the earliest start to the end of the last consumer.
    pub(crate) fn together(all: &[Done]) -> Result<Self> {
        let started = all.iter().map(|(times, _)| times.started).min();
        let consumers = all.iter().filter(|(_, counts)| !counts.is_empty());
        let (started, ended) =
            started.zip(consumers.map(|(times, _)| times.ended).max()).context("nobody took part")?;
        let side = all.iter().fold(Side::default(), |sum, (times, _)| sum.and(times.side));
        Ok(Self { started, ended, p50: None, side })
    }

    /// Of both sides together: from the producer's first message to the consumer's last, or to the
    /// last answer where answers come back.
    pub(crate) fn until(self, consumer: Self) -> Self {
        let ended = if self.p50.is_some() { self.ended } else { consumer.ended };
        Self { started: self.started, ended, p50: self.p50, side: self.side }
    }
}

/// A worker has two ends at most; or one, and the gate.
const MOST_FDS: usize = 2;

/// Parent: hands descriptors to a worker.
pub(crate) fn send_fds(control: &UnixStream, fds: &[RawFd]) -> Result<()> {
    let rights = [ControlMessage::ScmRights(fds)];
    let rights = if fds.is_empty() { &rights[..0] } else { &rights[..] };
    let byte = [IoSlice::new(b"f")];
    match sendmsg::<UnixAddr>(control.as_raw_fd(), &byte, rights, MsgFlags::empty(), None) {
        // A worker that has ended is noticed, with its reason, by listening to it.
        Ok(_) | Err(Errno::EPIPE) => Ok(()),
        Err(e) => Err(e).context("sendmsg(SCM_RIGHTS)"),
    }
}

/// Worker: takes them.
pub(crate) fn receive_fds(control: &UnixStream) -> Result<Vec<OwnedFd>> {
    let mut byte = [0];
    let mut into = [IoSliceMut::new(&mut byte)];
    let mut space = cmsg_space!([RawFd; MOST_FDS]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<UnixAddr>(control.as_raw_fd(), &mut into, Some(&mut space), flags)
        .context("recvmsg(SCM_RIGHTS)")?;
    if message.bytes == 0 {
        bail!("the parent has gone");
    }
    let mut fds = Vec::new();
    for part in message.cmsgs().context("control message")? {
        if let ControlMessageOwned::ScmRights(raw) = part {
            for fd in raw {
                // SAFETY: the kernel has just made this descriptor for us.
                fds.push(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
    }
    Ok(fds)
}
