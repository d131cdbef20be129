//! The workers and what is between them: started, watched, and always ended.

use crate::control::{Assignment, CellName, EndIds, Go, Part, Reply, Side, Times, send_fds};
use crate::cores::{self, Cores};
use crate::interrupt::Interrupt;
use crate::keeper::Keeper;
use crate::plan::{Catalogue, Cell, Mode};
use crate::transport::{Channel, End, Ends, Made, Processes};
use crate::{OWN_PROGRAM, WORKER};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Longest time that any step of a run may take; steps are made to take a tenth of a second.
const WATCHDOG: Duration = Duration::from_secs(15);
/// When one worker has failed: how long the other may take to say what it saw.
const LAST_WORDS: Duration = Duration::from_millis(200);

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

/// One worker's process. Killed and reaped on drop.
struct Worker {
    role: &'static str,
    child: Child,
    control: UnixStream,
    /// What has come and is not a whole line yet.
    heard: Vec<u8>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a look at a worker gave.
enum Heard {
    Reply(Reply),
    Nothing,
    /// It has closed its socket.
    End,
}

impl Worker {
    fn start(role: &'static str, assignment: &Assignment, fds: &[OwnedFd]) -> Result<Self> {
        let (control, theirs) = UnixStream::pair().context("socketpair")?;
        let child = Command::new(OWN_PROGRAM)
            .arg0("segring")
            .args([WORKER, role])
            .arg(serde_json::to_string(assignment).context("assignment")?)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            // Ctrl-C is for the parent, which then ends its workers.
            .process_group(0)
            .spawn()
            .with_context(|| format!("start the {role}"))?;
        let worker = Self { role, child, control, heard: Vec::new() };
        let fds: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        send_fds(&worker.control, &fds)?;
        Ok(worker)
    }

    fn tell(&mut self, go: Go) -> Result<()> {
        let mut line = serde_json::to_string(&go).context("order")?;
        line.push('\n');
        // A worker that has ended is noticed, with its reason, by listening to it.
        match self.control.write_all(line.as_bytes()) {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e).context("write to a worker"),
            _ => Ok(()),
        }
    }

    /// To be called when the socket is readable. Waits for nothing then.
    fn hear(&mut self) -> Result<Heard> {
        if let Some(reply) = self.whole_line()? {
            return Ok(Heard::Reply(reply));
        }
        let mut part = [0; 4096];
        match self.control.read(&mut part) {
            Ok(0) => Ok(Heard::End),
            Ok(n) => {
                self.heard.extend_from_slice(&part[..n]);
                Ok(self.whole_line()?.map_or(Heard::Nothing, Heard::Reply))
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => Ok(Heard::Nothing),
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => Ok(Heard::End),
            Err(e) => Err(e).context("read from a worker"),
        }
    }

    fn whole_line(&mut self) -> Result<Option<Reply>> {
        let Some(end) = self.heard.iter().position(|&b| b == b'\n') else { return Ok(None) };
        let line: Vec<u8> = self.heard.drain(..=end).collect();
        serde_json::from_slice(&line).context("reply of a worker").map(Some)
    }

    /// How it ended. It has closed its socket, so it is about to.
    fn how_it_ended(&mut self) -> String {
        let end = Instant::now() + LAST_WORDS;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => {
                    return match status.signal() {
                        Some(signal) => format!("the {} was killed by signal {signal}", self.role),
                        None => format!("the {} ended early: {status}", self.role),
                    };
                }
                Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(1)),
                _ => return format!("the {} hung up", self.role),
            }
        }
    }
}

/// The workers of one cell, their ends open. They are dropped before the channels.
pub struct Pair<'a> {
    cell: Cell,
    stage: &'a Stage<'a>,
    /// Producer and consumer, or one that is both.
    workers: Vec<Worker>,
    next: u64,
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
    /// Producer and consumer; one for both where they are threads.
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
    /// Makes the channels, starts the workers and waits until both have opened their ends.
    ///
    /// # Errors
    /// What the transport says; a signal.
    pub fn start(cell: Cell, stage: &'a Stage<'a>) -> Result<Started<'a>> {
        stage.interrupt.check()?;
        let started = match stage.catalogue.find(cell.transport)?.ends {
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
        let mut pair = Self { cell, stage, workers, next: 0, _channels: channels };
        for reply in pair.replies()? {
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
        for worker in self.workers.iter_mut().rev() {
            worker.tell(go)?;
        }
        let times: Vec<Times> = self.replies()?.into_iter().map(done).collect::<Result<_>>()?;
        let (times, sides) = match times[..] {
            [both] => (both, [both.side; 2]),
            [producer, consumer] => (producer.until(consumer), [producer.side, consumer.side]),
            _ => bail!("{} workers for one channel", times.len()),
        };
        let nanoseconds = times.ended.saturating_sub(times.started);
        Ok(Run { messages, nanoseconds, p50: times.p50, sides })
    }

    /// Waits for one reply of each worker.
    fn replies(&mut self) -> Result<Vec<Reply>> {
        let all = 0..self.workers.len();
        let mut replies: Vec<Option<Reply>> = all.clone().map(|_| None).collect();
        let mut ended: Vec<bool> = all.clone().map(|_| false).collect();
        let mut failures: Vec<String> = Vec::new();
        let mut deadline = Instant::now() + WATCHDOG;
        loop {
            for (i, worker) in self.workers.iter_mut().enumerate() {
                // A line may have come together with the one before.
                if replies[i].is_none() {
                    replies[i] = worker.whole_line()?;
                }
            }
            let good = |reply: &Option<Reply>| reply.clone().filter(|r| !matches!(r, Reply::Failed(_)));
            if let Some(replies) = replies.iter().map(good).collect() {
                return Ok(replies);
            }
            let listening: Vec<usize> = all.clone().filter(|&i| !ended[i] && replies[i].is_none()).collect();
            if listening.is_empty() || Instant::now() >= deadline {
                break;
            }
            for i in self.readable(&listening, deadline)? {
                match self.workers[i].hear()? {
                    Heard::Nothing => {}
                    Heard::Reply(reply) => replies[i] = Some(reply),
                    Heard::End => {
                        ended[i] = true;
                        failures.push(self.workers[i].how_it_ended());
                    }
                }
                if ended[i] || matches!(replies[i], Some(Reply::Failed(_))) {
                    deadline = deadline.min(Instant::now() + LAST_WORDS);
                }
            }
        }
        // A Ctrl-C that also reached a worker is not the worker's failure.
        self.stage.interrupt.check()?;
        // The consumer first: it is the one that finds wrong messages.
        for (worker, reply) in self.workers.iter().zip(&replies).rev() {
            if let Some(Reply::Failed(why)) = reply {
                failures.push(format!("the {} failed: {why}", worker.role));
            }
        }
        if failures.is_empty() {
            let silent = self.workers.iter().zip(&replies).filter(|(_, reply)| reply.is_none());
            let silent: Vec<_> = silent.map(|(worker, _)| worker.role).collect();
            bail!("hung: no word from the {} for {} s", silent.join(" and the "), WATCHDOG.as_secs());
        }
        bail!("{}", failures.join("; "))
    }

    /// Which of the workers listened to can be heard (or have hung up). None: a signal or the time.
    fn readable(&self, listening: &[usize], deadline: Instant) -> Result<Vec<usize>> {
        let mut fds = vec![PollFd::new(self.stage.interrupt.fd(), PollFlags::POLLIN)];
        fds.extend(
            listening.iter().map(|&i| PollFd::new(self.workers[i].control.as_fd(), PollFlags::POLLIN)),
        );
        // Rounded up, so that the deadline has passed when the time is over.
        let left = deadline.saturating_duration_since(Instant::now()).as_millis() + 1;
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e).context("poll"),
        }
        self.stage.interrupt.check()?;
        let ready = listening.iter().zip(&fds[1..]).filter(|(_, fd)| fd.any().unwrap_or(false));
        Ok(ready.map(|(&i, _)| i).collect())
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
