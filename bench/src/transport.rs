//! What a transport is: how the parent makes one channel of it, and what each side makes of its end.
//!
//! The parent makes every kernel object and is the only one that removes any: workers are killed.
//! A worker gets ids and names in its arguments and an open descriptor over its control socket, so
//! that little needs a name that could be left behind.

use crate::keeper::Keeper;
use crate::plan::{Cell, Mode};
use crate::tally::Tally;
use anyhow::{Context, Result, bail};
use segring::WaitStats;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// A producer's end.
pub trait Sender {
    /// Sends messages `first` to `first + n - 1`, each built in here.
    ///
    /// # Errors
    /// What the transport says.
    fn send(&mut self, first: u64, n: u64) -> Result<()>;

    /// What it knows of its waits, since it was opened.
    fn notes(&mut self) -> Notes {
        Notes::default()
    }
}

/// A consumer's end.
pub trait Receiver {
    /// Receives messages `first` to `first + n - 1` and checks every byte.
    ///
    /// # Errors
    /// What the transport says, and a message that is not the one sent.
    fn receive(&mut self, first: u64, n: u64) -> Result<()>;

    /// One of many: receives messages of any producer, in whatever number, and has every byte checked,
    /// until an end mark comes.
    ///
    /// # Errors
    /// As [`Receiver::receive`].
    fn collect(&mut self, _tally: &mut Tally) -> Result<()> {
        bail!("this end is for one producer and one consumer")
    }

    /// What it knows of its waits, since it was opened; and of the messages of the last run.
    fn notes(&mut self) -> Notes {
        Notes::default()
    }
}

/// What an end says besides moving messages. Counts are from its opening on.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Notes {
    /// How often it slept.
    pub sleeps: u64,
    /// How often it woke its peer.
    pub wakes: u64,
    /// How often it looked away in a stream, and for how long all together, in nanoseconds.
    pub slips: u64,
    /// See `slips`.
    pub slipped: u64,
    /// Median time from before a push to after its pop, in nanoseconds.
    pub delay: Option<u64>,
    /// Its 99th percentile, of 100 messages or more.
    pub delay_p99: Option<u64>,
    /// Median time of a push.
    pub push: Option<u64>,
}

impl Notes {
    /// Of one end between two looks.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            sleeps: self.sleeps - before.sleeps,
            wakes: self.wakes - before.wakes,
            slips: self.slips - before.slips,
            slipped: self.slipped - before.slipped,
            ..self
        }
    }

    /// Of two ends of one side.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            sleeps: self.sleeps + other.sleeps,
            wakes: self.wakes + other.wakes,
            slips: self.slips + other.slips,
            slipped: self.slipped + other.slipped,
            delay: self.delay.or(other.delay),
            delay_p99: self.delay_p99.or(other.delay_p99),
            push: self.push.or(other.push),
        }
    }
}

impl From<WaitStats> for Notes {
    fn from(stats: WaitStats) -> Self {
        let (sleeps, wakes, slips) = (stats.sleeps, stats.wakes, stats.slips);
        Self { sleeps, wakes, slips, slipped: stats.slipped.as_nanos() as u64, ..Self::default() }
    }
}

/// A row of the comparison: something that carries messages.
pub struct Transport {
    /// As the table shows it, and as `--filter` finds it.
    pub name: &'static str,
    /// How it hands messages over between two.
    pub modes: &'static [Mode],
    /// How it does between many.
    pub many: &'static [Mode],
    /// The calls that carry a message.
    pub api: fn(Mode) -> &'static str,
    /// How often a payload is copied between the producer's private memory and the consumer's.
    ///
    /// Through the kernel: 2, user to kernel and kernel to user. Through a copying shared-memory
    /// call: 2 as well, private to slot and slot to private. In place there is no private memory:
    /// the producer computes the payload into the slot and the consumer checks it there, so 0.
    pub copies: fn(Mode) -> u32,
    /// Who is at its ends.
    pub ends: Ends,
}

/// Whether a transport crosses processes.
#[derive(Clone, Copy)]
pub enum Ends {
    /// It does: each is a process of its own.
    Processes(&'static dyn Processes),
    /// It does not: threads of one process, pinned in the same way.
    Threads(&'static dyn Threads),
}

impl Ends {
    /// Who is at the ends, in a word.
    pub fn between(self) -> &'static str {
        match self {
            Self::Processes(_) => "processes",
            Self::Threads(_) => "threads",
        }
    }
}

/// A transport between processes.
pub trait Processes: Sync {
    /// Parent: makes the kernel objects of one channel. Of many, each gets what one of two gets.
    ///
    /// # Errors
    /// What the system says, unless it is a limit of this system: that is [`Made::Impossible`].
    fn make(&self, cell: Cell, keeper: &Rc<Keeper>) -> Result<Made>;

    /// Parent: the channel for the answers of a round trip. Another one, usually.
    ///
    /// # Errors
    /// As [`Processes::make`].
    fn make_back(&self, cell: Cell, _there: &Channel, keeper: &Rc<Keeper>) -> Result<Made> {
        self.make(cell, keeper)
    }

    /// Most messages of a run, for what may take a time slice for each of them.
    fn most(&self, _cell: Cell) -> u64 {
        u64::MAX
    }

    /// Worker: opens the producer's end. Does not wait for the other side.
    ///
    /// # Errors
    /// What the system says.
    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>>;

    /// Worker: opens the consumer's end. Does not wait for the other side.
    ///
    /// # Errors
    /// What the system says.
    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>>;
}

/// The two ends of a queue within a process.
pub type ThreadEnds = (Box<dyn Sender + Send>, Box<dyn Receiver + Send>);
/// All ends of a queue of many within a process.
pub type ManyEnds = (Vec<Box<dyn Sender + Send>>, Vec<Box<dyn Receiver + Send>>);

/// A transport between threads.
pub trait Threads: Sync {
    /// Worker: makes a queue.
    ///
    /// # Errors
    /// What the library says.
    fn pair(&self, cell: Cell) -> Result<ThreadEnds>;

    /// Worker: makes a queue with as many ends as the cell's shape says.
    ///
    /// # Errors
    /// What the library says.
    fn many(&self, cell: Cell) -> Result<ManyEnds> {
        bail!("{cell}: this queue is for one producer and one consumer")
    }

    /// Why this cell cannot be measured, if it cannot. Asked in the parent.
    fn impossible(&self, _cell: Cell) -> Option<String> {
        None
    }
}

/// What one side needs to open its end.
#[derive(Default)]
pub struct End {
    /// Of System V objects.
    pub ids: Vec<i32>,
    /// Of files, or of what a library finds by name.
    pub names: Vec<String>,
    /// An open file, pipe or socket.
    pub fd: Option<OwnedFd>,
}

impl End {
    /// The one id, or the ids, that the parent passed.
    ///
    /// # Errors
    /// If it passed another number of them.
    pub fn ids<const COUNT: usize>(&self) -> Result<[i32; COUNT]> {
        let ids = self.ids.as_slice().try_into();
        ids.ok().with_context(|| format!("expected {COUNT} ids, got {:?}", self.ids))
    }

    /// The same, for one more. The descriptor is a duplicate: it says the same open file.
    pub(crate) fn share(&self) -> Result<Self> {
        let fd = self.fd.as_ref().map(|fd| fd.try_clone().context("dup")).transpose()?;
        Ok(Self { ids: self.ids.clone(), names: self.names.clone(), fd })
    }

    /// The descriptor that the parent passed.
    ///
    /// # Errors
    /// If it passed none.
    pub fn descriptor(self) -> Result<OwnedFd> {
        self.fd.context("the parent sent no descriptor")
    }
}

/// One way from a producer to a consumer. Dropping it removes what was made for it.
pub struct Channel {
    pub(crate) sender: End,
    pub(crate) receiver: End,
    pub(crate) objects: Vec<Box<dyn Any>>,
}

impl Channel {
    /// A channel with these ends. The objects are dropped, in their order, when the run is over.
    pub fn new(sender: End, receiver: End, objects: Vec<Box<dyn Any>>) -> Self {
        Self { sender, receiver, objects }
    }

    /// Both sides find it by the same ids.
    pub fn by_ids(ids: Vec<i32>, objects: Vec<Box<dyn Any>>) -> Self {
        let end = |ids| End { ids, ..End::default() };
        Self::new(end(ids.clone()), end(ids), objects)
    }

    /// Both sides find it by the same names.
    pub fn by_names(names: Vec<String>, objects: Vec<Box<dyn Any>>) -> Self {
        let end = |names| End { names, ..End::default() };
        Self::new(end(names.clone()), end(names), objects)
    }

    /// Each side has its end of a stream or queue.
    pub fn by_descriptors(sender: OwnedFd, receiver: OwnedFd) -> Self {
        let end = |fd| End { fd: Some(fd), ..End::default() };
        Self::new(end(sender), end(receiver), Vec::new())
    }
}

/// What came of making a channel.
pub enum Made {
    /// It is there.
    Channel(Channel),
    /// This system or library does not allow it at this size; says why.
    Impossible(String),
}

/// Runs an expression with the message's number of words as a constant.
#[macro_export]
macro_rules! for_size {
    ($size:expr, $n:ident => $body:expr) => {
        $crate::for_size!(@ $size, $n, $body, 8 56 64 256 1024 4096 16384 65536)
    };
    (@ $size:expr, $n:ident, $body:expr, $($known:literal)*) => {
        match $size {
            $($known => {
                const $n: usize = $known / 8;
                $body
            })*
            other => $crate::anyhow::bail!("messages of {other} bytes are not compiled in"),
        }
    };
}
