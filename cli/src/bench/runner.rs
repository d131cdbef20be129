//! Two workers and what is between them: started, watched, and always ended.

use super::control::{Assignment, EndIds, Go, Reply, Times, send_fds};
use super::cores::Cores;
use super::interrupt::Interrupt;
use super::keeper::Keeper;
use super::plan::{Cell, Mode};
use super::transports::{self, Channel, End, Made};
use super::{OWN_PROGRAM, WORKER};
use anyhow::{Context, Result, anyhow, bail};
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
pub(super) struct Stage {
    pub(super) cores: Cores,
    pub(super) keeper: Rc<Keeper>,
    pub(super) interrupt: Interrupt,
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

/// Producer and consumer of one cell, their ends open. The workers are dropped before the channels.
pub(super) struct Pair<'a> {
    cell: Cell,
    stage: &'a Stage,
    workers: [Worker; 2],
    next: u64,
    _channels: Vec<Channel>,
}

/// What one run measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) messages: u64,
    pub(super) nanoseconds: u64,
    pub(super) p50: Option<u64>,
}

impl Run {
    pub(super) fn per_second(self) -> f64 {
        self.messages as f64 * 1e9 / self.nanoseconds.max(1) as f64
    }
}

/// What came of starting a cell.
pub(super) enum Started<'a> {
    Pair(Pair<'a>),
    Impossible(String),
}

impl<'a> Pair<'a> {
    /// Makes the channels, starts both processes and waits until both have opened their ends.
    pub(super) fn start(cell: Cell, stage: &'a Stage) -> Result<Started<'a>> {
        stage.interrupt.check()?;
        Self::try_start(cell, stage).with_context(|| cell.to_string())
    }

    fn try_start(cell: Cell, stage: &'a Stage) -> Result<Started<'a>> {
        let mut there = match transports::make(cell, &stage.keeper)? {
            Made::Channel(channel) => channel,
            Made::Impossible(why) => return Ok(Started::Impossible(why)),
        };
        let mut back = None;
        if cell.mode == Mode::RoundTrip {
            match transports::make(cell, &stage.keeper)? {
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
        let workers = [producer, consumer];
        let mut pair = Self { cell, stage, workers, next: 0, _channels: channels };
        for reply in pair.both_reply()? {
            if !matches!(reply, Reply::Ready) {
                bail!("a worker said {reply:?} before it was ready");
            }
        }
        Ok(Started::Pair(pair))
    }

    /// Moves messages from one worker to the other, and says how long it took.
    pub(super) fn go(&mut self, messages: u64) -> Result<Run> {
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
        let [producer, consumer] = self.both_reply()?.map(|reply| match reply {
            Reply::Done(times) => Ok(times),
            other => Err(anyhow!("a worker said {other:?} instead of being done")),
        });
        let (producer, consumer): (Times, Times) = (producer?, consumer?);
        // Where answers come back, the asking side has seen the last one.
        let ended = if producer.p50.is_some() { producer.ended } else { consumer.ended };
        let nanoseconds = ended.saturating_sub(producer.started);
        Ok(Run { messages, nanoseconds, p50: producer.p50 })
    }

    /// Waits for one reply of each worker.
    fn both_reply(&mut self) -> Result<[Reply; 2]> {
        let mut replies = [None, None];
        let mut failures: Vec<String> = Vec::new();
        let mut ended = [false; 2];
        let mut deadline = Instant::now() + WATCHDOG;
        loop {
            for (i, worker) in self.workers.iter_mut().enumerate() {
                // A line may have come together with the one before.
                if replies[i].is_none() {
                    replies[i] = worker.whole_line()?;
                }
            }
            if let [Some(a), Some(b)] = &replies {
                if !replies.iter().flatten().any(|r| matches!(r, Reply::Failed(_))) {
                    return Ok([a.clone(), b.clone()]);
                }
            }
            let listening = [0, 1].map(|i| !ended[i] && replies[i].is_none());
            if !listening.contains(&true) || Instant::now() >= deadline {
                break;
            }
            let readable = self.wait(listening, deadline)?;
            for i in [0, 1] {
                if !readable[i] {
                    continue;
                }
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
            let silent: Vec<_> = [0, 1].into_iter().filter(|&i| replies[i].is_none()).collect();
            let silent: Vec<_> = silent.into_iter().map(|i| self.workers[i].role).collect();
            bail!("hung: no word from the {} for {} s", silent.join(" and the "), WATCHDOG.as_secs());
        }
        bail!("{}", failures.join("; "))
    }

    /// Which of the sockets listened to are readable (or closed). None: a signal or the time.
    fn wait(&self, listening: [bool; 2], deadline: Instant) -> Result<[bool; 2]> {
        let mut fds = vec![PollFd::new(self.stage.interrupt.fd(), PollFlags::POLLIN)];
        for (worker, _) in self.workers.iter().zip(listening).filter(|(_, listening)| *listening) {
            fds.push(PollFd::new(worker.control.as_fd(), PollFlags::POLLIN));
        }
        // Rounded up, so that the deadline has passed when the time is over.
        let left = deadline.saturating_duration_since(Instant::now()).as_millis() + 1;
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e).context("poll"),
        }
        self.stage.interrupt.check()?;
        let mut ready = fds[1..].iter().map(|fd| fd.any().unwrap_or(false));
        Ok(listening.map(|listening| listening && ready.next().unwrap_or(false)))
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
    let assignment = Assignment {
        cell,
        core,
        parent: nix::unistd::getpid().as_raw(),
        asks: role == "producer",
        sender: sender.as_ref().map(EndIds::of),
        receiver: receiver.as_ref().map(EndIds::of),
    };
    let fds: Vec<OwnedFd> = [sender, receiver].into_iter().flatten().filter_map(|end| end.fd).collect();
    Worker::start(role, &assignment, &fds)
}
