//! One side of a run, in a process of its own; or both sides, in two threads; or one of many, or all
//! of them.

mod crowd;
mod threads;

use crate::control::{Assignment, Done, Go, Part, Reply, Role, Side, Times, receive_fds};
use crate::gate::Gate;
use crate::plan::{Catalogue, Mode, Shape};
use crate::transport::{Ends, Notes, Receiver, Sender};
use crate::{WORKER, cores, keeper};
use anyhow::{Context, Result, bail};
use crowd::{Everybody, Participant};
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

/// Answers of a round trip have other sequence numbers than the messages.
pub(crate) const ANSWERS: u64 = 1 << 63;

/// What a worker does with its ends.
enum Work {
    Produce(Box<dyn Sender>),
    Consume(Box<dyn Receiver>),
    Ask(Box<dyn Sender>, Box<dyn Receiver>),
    Answer(Box<dyn Receiver>, Box<dyn Sender>),
}

/// For the first line of `main`: if this process was started as a worker, it is one, and this is
/// its exit code.
pub fn worker(catalogue: &Catalogue) -> Option<ExitCode> {
    let mut args = std::env::args().skip(1);
    if args.next()? != WORKER {
        return None;
    }
    let role = args.next().unwrap_or_default();
    let result =
        if role == keeper::ROLE { keeper::main() } else { main(&args.next().unwrap_or_default(), catalogue) };
    Some(result.unwrap_or_else(|error| {
        eprintln!("segring: {role}: {error:#}");
        ExitCode::FAILURE
    }))
}

/// The whole life of the process.
fn main(assignment: &str, catalogue: &Catalogue) -> Result<ExitCode> {
    let assignment: Assignment = serde_json::from_str(assignment)
        .with_context(|| format!("{WORKER} is started by the benchmark, not by hand"))?;
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context("prctl(PR_SET_PDEATHSIG)")?;
    if nix::unistd::getppid().as_raw() != assignment.parent {
        // The parent ended before that call: nobody wants this worker any more.
        return Ok(ExitCode::FAILURE);
    }
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().context("dup")?;
    let control = UnixStream::from(stdin);
    match serve(assignment, &control, catalogue) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(e) => {
            // The parent tells the user. If it has gone, there is nobody to tell.
            let _ = say(&control, &Reply::Failed(format!("{e:#}")));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn say(mut control: &UnixStream, reply: &Reply) -> Result<()> {
    let mut line = serde_json::to_string(reply).context("reply")?;
    line.push('\n');
    control.write_all(line.as_bytes()).context("write to the parent")
}

fn serve(assignment: Assignment, control: &UnixStream, catalogue: &Catalogue) -> Result<()> {
    let cell = assignment.cell.find(catalogue)?;
    let fds = receive_fds(control)?;
    match (assignment.part, catalogue.find(cell.transport)?.ends) {
        (Part::Side { core, asks, sender, receiver }, Ends::Processes(ends)) => {
            if let Some(core) = core {
                cores::pin(core)?;
            }
            let mut fds = fds.into_iter();
            // In the order in which the parent sent their descriptors.
            let sender = sender.map(|end| ends.sender(cell, end.join(&mut fds)?)).transpose()?;
            let receiver = receiver.map(|end| ends.receiver(cell, end.join(&mut fds)?)).transpose()?;
            let mut work = Work::of(cell.mode, asks, sender, receiver)?;
            obey(control, |go| run(&mut work, go).map(Reply::Done))
        }
        (Part::OneOfMany { core, role, end }, Ends::Processes(ends)) => {
            if let Some(core) = core {
                cores::pin(core)?;
            }
            let mut fds = fds.into_iter();
            let gate = Gate::open(&fds.next().context("the parent sent no gate")?)?;
            let end = end.join(&mut fds)?;
            let mut one = match role {
                Role::Producer(number) => {
                    Participant::produce(cell.shape, gate, ends.sender(cell, end)?, number)
                }
                Role::Consumer => Participant::consume(cell.shape, gate, ends.receiver(cell, end)?),
            };
            obey(control, |go| one.run(go).map(counted))
        }
        (Part::Threads { cores }, Ends::Threads(ends)) if cell.shape != Shape::OneToOne => {
            let mut all = Everybody::start(cell, ends, cores)?;
            obey(control, |go| all.run(go).map(counted))
        }
        (Part::Threads { cores }, Ends::Threads(ends)) => {
            let mut both = threads::Both::start(cell, ends, cores)?;
            obey(control, |go| both.run(go).map(Reply::Done))
        }
        _ => bail!("{cell}: an assignment for another kind of ends"),
    }
}

fn counted((times, counts): Done) -> Reply {
    Reply::Counted(times, counts)
}

/// Does what the parent says until it hangs up.
fn obey(control: &UnixStream, mut run: impl FnMut(Go) -> Result<Reply>) -> Result<()> {
    say(control, &Reply::Ready)?;
    for line in BufReader::new(control).lines() {
        let line = line.context("read from the parent")?;
        let go: Go = serde_json::from_str(&line).context("order")?;
        say(control, &run(go)?)?;
    }
    Ok(())
}

impl Work {
    fn of(
        mode: Mode,
        asks: bool,
        sender: Option<Box<dyn Sender>>,
        receiver: Option<Box<dyn Receiver>>,
    ) -> Result<Self> {
        Ok(match (sender, receiver, mode) {
            (Some(sender), Some(receiver), Mode::RoundTrip) if asks => Self::Ask(sender, receiver),
            (Some(sender), Some(receiver), Mode::RoundTrip) => Self::Answer(receiver, sender),
            (Some(sender), None, _) => Self::Produce(sender),
            (None, Some(receiver), _) => Self::Consume(receiver),
            _ => bail!("an assignment without fitting ends"),
        })
    }

    fn notes(&mut self) -> Notes {
        match self {
            Self::Produce(sender) => sender.notes(),
            Self::Consume(receiver) => receiver.notes(),
            Self::Ask(sender, receiver) | Self::Answer(receiver, sender) => {
                sender.notes().and(receiver.notes())
            }
        }
    }
}

fn read(clock: ClockId) -> Result<u64> {
    let now = clock_gettime(clock).context("clock_gettime")?;
    Ok(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}

/// `CLOCK_MONOTONIC` in nanoseconds.
pub(crate) fn now() -> Result<u64> {
    read(ClockId::CLOCK_MONOTONIC)
}

fn run(work: &mut Work, go: Go) -> Result<Times> {
    let before = work.notes();
    let cpu = read(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    let started = now()?;
    let mut p50 = None;
    match work {
        Work::Produce(sender) => sender.send(go.first, go.messages)?,
        Work::Consume(receiver) => receiver.receive(go.first, go.messages)?,
        Work::Ask(sender, receiver) => p50 = Some(ask(&mut **sender, &mut **receiver, go, started)?),
        Work::Answer(receiver, sender) => {
            for seq in go.first..go.first + go.messages {
                receiver.receive(seq, 1)?;
                sender.send(seq + ANSWERS, 1)?;
            }
        }
    }
    let ended = now()?;
    let cpu = read(ClockId::CLOCK_THREAD_CPUTIME_ID)? - cpu;
    let side = Side { cpu, took: ended - started, notes: work.notes().since(before) };
    Ok(Times { started, ended, p50, side })
}

/// Sends each message after the answer to the one before; the median time from message to answer.
fn ask(sender: &mut dyn Sender, receiver: &mut dyn Receiver, go: Go, started: u64) -> Result<u64> {
    let mut times = Vec::with_capacity(usize::try_from(go.messages)?);
    let mut before = started;
    for seq in go.first..go.first + go.messages {
        sender.send(seq, 1)?;
        receiver.receive(seq + ANSWERS, 1)?;
        let after = now()?;
        times.push(after - before);
        before = after;
    }
    let middle = times.len() / 2;
    if times.is_empty() {
        bail!("no round trips were asked for");
    }
    Ok(*times.select_nth_unstable(middle).1)
}
