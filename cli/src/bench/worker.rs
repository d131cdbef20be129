//! One side of a run, in a process of its own.

use super::control::{Assignment, Go, Reply, Times, receive_fds};
use super::plan::Mode;
use super::transports::{self, Receiver, Sender};
use super::{WorkerArgs, cores, keeper};
use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

/// Answers of a round trip have other sequence numbers than the messages.
const ANSWERS: u64 = 1 << 63;

/// What a worker does with its ends.
enum Work {
    Produce(Box<dyn Sender>),
    Consume(Box<dyn Receiver>),
    Ask(Box<dyn Sender>, Box<dyn Receiver>),
    Answer(Box<dyn Receiver>, Box<dyn Sender>),
}

/// The whole life of the process.
pub(super) fn main(args: &WorkerArgs) -> Result<ExitCode> {
    if args.role == keeper::ROLE {
        return keeper::main();
    }
    let assignment: Assignment =
        serde_json::from_str(&args.assignment).context("bench-worker is started by bench, not by hand")?;
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context("prctl(PR_SET_PDEATHSIG)")?;
    if nix::unistd::getppid().as_raw() != assignment.parent {
        // The parent ended before that call: nobody wants this worker any more.
        return Ok(ExitCode::FAILURE);
    }
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().context("dup")?;
    let control = UnixStream::from(stdin);
    match serve(assignment, &control) {
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

fn serve(assignment: Assignment, control: &UnixStream) -> Result<()> {
    if let Some(core) = assignment.core {
        cores::pin(core)?;
    }
    let mut work = open(assignment, control)?;
    say(control, &Reply::Ready)?;
    for line in BufReader::new(control).lines() {
        let line = line.context("read from the parent")?;
        let go: Go = serde_json::from_str(&line).context("order")?;
        let times = run(&mut work, go)?;
        say(control, &Reply::Done(times))?;
    }
    Ok(())
}

fn open(assignment: Assignment, control: &UnixStream) -> Result<Work> {
    let cell = assignment.cell;
    let mut fds = receive_fds(control)?.into_iter();
    // In the order in which the parent sent their descriptors.
    let sender = match assignment.sender {
        Some(end) => Some(transports::sender(cell, end.join(&mut fds)?)?),
        None => None,
    };
    let receiver = match assignment.receiver {
        Some(end) => Some(transports::receiver(cell, end.join(&mut fds)?)?),
        None => None,
    };
    Ok(match (sender, receiver, cell.mode) {
        (Some(sender), Some(receiver), Mode::RoundTrip) if assignment.asks => Work::Ask(sender, receiver),
        (Some(sender), Some(receiver), Mode::RoundTrip) => Work::Answer(receiver, sender),
        (Some(sender), None, _) => Work::Produce(sender),
        (None, Some(receiver), _) => Work::Consume(receiver),
        _ => bail!("an assignment without fitting ends"),
    })
}

fn now() -> Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).context("clock_gettime")?;
    Ok(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}

fn run(work: &mut Work, go: Go) -> Result<Times> {
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
    Ok(Times { started, ended: now()?, p50 })
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
