//! What is between the workers: made, handed out, and the figures of each run.

mod crowd;

use crate::control::{Assignment, CellName, EndIds, Go, Part, Reply, Side, Times};
use crate::cores::{self, Cores};
use crate::interrupt::Interrupt;
use crate::keeper::Keeper;
use crate::plan::{Catalogue, Cell, Mode, Shape};
use crate::transport::{Channel, End, Ends, Made, Processes};
use crate::workers::{Worker, Workers};
use anyhow::{Context, Result, bail};
use crowd::Crowd;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// What every run needs.
pub struct Stage<'a> {
    /// Where the two sides run.
    pub cores: Cores,
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) keeper: Rc<Keeper>,
    pub(crate) interrupt: Rc<Interrupt>,
}

impl<'a> Stage<'a> {
    /// Takes over signals that end the program, chooses two cores, and starts the process that
    /// cleans up if this one is killed.
    ///
    /// # Errors
    /// What the system says.
    pub fn set(catalogue: &'a Catalogue) -> Result<Self> {
        // Before anything exists that a signal could leave behind.
        let interrupt = Rc::new(Interrupt::install()?);
        Ok(Self { cores: cores::choose()?, catalogue, keeper: Keeper::start()?, interrupt })
    }

    /// The same, with both sides on the first of the two cores.
    pub(crate) fn on_one_core(&self) -> Self {
        let core = self.cores.pair.map_or(0, |(first, _)| first);
        let cores = Cores { pair: Some((core, core)), note: format!("core {core}") };
        let (keeper, interrupt) = (self.keeper.clone(), self.interrupt.clone());
        Self { cores, catalogue: self.catalogue, keeper, interrupt }
    }

    /// Most messages of a run.
    pub(crate) fn most(&self, cell: Cell) -> Result<u64> {
        Ok(match self.catalogue.find(cell.transport)?.ends {
            Ends::Processes(ends) => ends.most(cell),
            Ends::Threads(_) => u64::MAX,
        })
    }

    /// Why this system or library cannot do it, if it cannot.
    ///
    /// # Errors
    /// What the transport says.
    pub fn impossible(&self, cell: Cell) -> Result<Option<String>> {
        Ok(match self.catalogue.find(cell.transport)?.ends {
            Ends::Threads(ends) => ends.impossible(cell),
            Ends::Processes(ends) => match ends.make(cell, &self.keeper)? {
                Made::Channel(_) => None,
                Made::Impossible(why) => Some(why),
            },
        })
    }
}

/// The workers of one cell, their ends open. They are dropped before the channels.
pub struct Pair<'a> {
    cell: Cell,
    stage: &'a Stage<'a>,
    /// Producer and consumer, or one that is both; or all of many.
    workers: Workers,
    next: u64,
    /// Between many.
    crowd: Option<Crowd>,
    _channels: Vec<Channel>,
}

/// What one run measured.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Messages, or round trips, all of them checked.
    pub messages: u64,
    /// From before the first message to after the check of the last.
    pub nanoseconds: u64,
    /// The median round trip in nanoseconds, where round trips were made.
    pub p50: Option<u64>,
    /// Producer and consumer; one for both where they are threads. Of many: the sums, and the
    /// longest time.
    pub sides: [Side; 2],
}

impl Run {
    /// Messages per second.
    pub fn per_second(self) -> f64 {
        self.messages as f64 * 1e9 / self.nanoseconds.max(1) as f64
    }
}

/// What came of starting a cell.
pub enum Started<'a> {
    /// It runs.
    Pair(Pair<'a>),
    /// It cannot, and why.
    Impossible(String),
}

impl<'a> Pair<'a> {
    /// Makes the channels, starts the workers and waits until all have opened their ends.
    ///
    /// # Errors
    /// What the transport says; a signal.
    pub fn start(cell: Cell, stage: &'a Stage<'a>) -> Result<Started<'a>> {
        stage.interrupt.check()?;
        let started = match stage.catalogue.find(cell.transport)?.ends {
            Ends::Processes(ends) if cell.shape != Shape::OneToOne => Self::crowd(cell, ends, stage),
            Ends::Processes(ends) => Self::processes(cell, ends, stage),
            Ends::Threads(ends) => match ends.impossible(cell) {
                Some(why) => Ok(Started::Impossible(why)),
                None => Self::threads(cell, stage),
            },
        };
        started.with_context(|| cell.to_string())
    }

    fn processes(cell: Cell, ends: &dyn Processes, stage: &'a Stage<'a>) -> Result<Started<'a>> {
        let mut there = match ends.make(cell, &stage.keeper)? {
            Made::Channel(channel) => channel,
            Made::Impossible(why) => return Ok(Started::Impossible(why)),
        };
        let mut back = None;
        if cell.mode == Mode::RoundTrip {
            match ends.make_back(cell, &there, &stage.keeper)? {
                Made::Channel(channel) => back = Some(channel),
                Made::Impossible(why) => return Ok(Started::Impossible(why)),
            }
        }
        let [mut answer_out, mut answer_in] = [None, None];
        if let Some(back) = &mut back {
            answer_out = Some(std::mem::take(&mut back.sender));
            answer_in = Some(std::mem::take(&mut back.receiver));
        }
        let message_out = Some(std::mem::take(&mut there.sender));
        let message_in = Some(std::mem::take(&mut there.receiver));
        let cores = stage.cores.pair;
        let producer = start(cell, "producer", cores.map(|c| c.0), message_out, answer_in)?;
        let consumer = start(cell, "consumer", cores.map(|c| c.1), answer_out, message_in)?;
        let channels = std::iter::once(there).chain(back).collect();
        Self::ready(cell, stage, vec![producer, consumer], channels)
    }

    fn threads(cell: Cell, stage: &'a Stage<'a>) -> Result<Started<'a>> {
        let assignment = Assignment {
            cell: CellName::of(cell),
            parent: nix::unistd::getpid().as_raw(),
            part: Part::Threads { cores: stage.cores.pair },
        };
        Self::ready(
            cell,
            stage,
            vec![Worker::start("process of both threads", &assignment, &[])?],
            Vec::new(),
        )
    }

    fn ready(
        cell: Cell,
        stage: &'a Stage<'a>,
        workers: Vec<Worker>,
        channels: Vec<Channel>,
    ) -> Result<Started<'a>> {
        let crowd = (cell.shape != Shape::OneToOne).then(|| Crowd::new(cell.shape));
        let workers = Workers(workers);
        let mut pair = Self { cell, stage, workers, next: 0, crowd, _channels: channels };
        for reply in pair.workers.replies(&stage.interrupt)? {
            if !matches!(reply, Reply::Ready) {
                bail!("a worker said {reply:?} before it was ready");
            }
        }
        Ok(Started::Pair(pair))
    }

    /// Moves messages from one side to the other, and says how long it took.
    ///
    /// # Errors
    /// A wrong message, a worker that ended or hung, a signal.
    pub fn go(&mut self, messages: u64) -> Result<Run> {
        self.stage.interrupt.check()?;
        let cell = self.cell;
        self.try_go(messages).with_context(|| cell.to_string())
    }

    fn try_go(&mut self, messages: u64) -> Result<Run> {
        let go = Go { first: self.next, messages };
        self.next += messages;
        // The consumer first: it waits when the first message comes.
        for worker in self.workers.0.iter_mut().rev() {
            worker.tell(go)?;
        }
        let replies = self.workers.replies(&self.stage.interrupt)?;
        if let Some(crowd) = &mut self.crowd {
            return crowd.done(messages, replies);
        }
        let times: Vec<Times> = replies.into_iter().map(done).collect::<Result<_>>()?;
        let (times, sides) = match times[..] {
            [both] => (both, [both.side; 2]),
            [producer, consumer] => (producer.until(consumer), [producer.side, consumer.side]),
            _ => bail!("{} workers for one channel", times.len()),
        };
        let nanoseconds = times.ended.saturating_sub(times.started);
        Ok(Run { messages, nanoseconds, p50: times.p50, sides })
    }
}

fn done(reply: Reply) -> Result<Times> {
    match reply {
        Reply::Done(times) => Ok(times),
        other => bail!("a worker said {other:?} instead of being done"),
    }
}

/// Starts one worker with its ends. The descriptors are the worker's alone after that, so that its
/// death ends the stream.
fn start(
    cell: Cell,
    role: &'static str,
    core: Option<usize>,
    sender: Option<End>,
    receiver: Option<End>,
) -> Result<Worker> {
    let part = Part::Side {
        core,
        asks: role == "producer",
        sender: sender.as_ref().map(EndIds::of),
        receiver: receiver.as_ref().map(EndIds::of),
    };
    let parent = nix::unistd::getpid().as_raw();
    let assignment = Assignment { cell: CellName::of(cell), parent, part };
    let fds: Vec<OwnedFd> = [sender, receiver].into_iter().flatten().filter_map(|end| end.fd).collect();
    Worker::start(role, &assignment, &fds)
}
