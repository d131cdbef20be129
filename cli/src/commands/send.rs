//! `segring send`: standard input, through a ring.

use super::args::JoinArgs;
use super::files::{self, TICK};
use super::stream::{CHUNK, Count, END, End, START};
use super::{complain, interrupt, join};
use anyhow::{Context, bail};
use segring::spsc::{ByteProducer, ByteRing};
use segring::{Peer, RingError, Trusted};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) const HELP: &str = "\
Ends when standard input has ended and the receiver has taken everything: nothing is lost. Either
side may be started first: send waits for a receiver. A ring that was not there is made, and goes
when both have ended; one made by 'segring create' stays, and carries the next stream.

Examples:
  tar c src | segring send backup            with  segring recv backup | tar x -C /tmp
  segring send ticks --capacity 64M < ticks.log
  journalctl -f | segring send key:0x5e610001 --mode 660

Exit codes:
  0    everything was sent, and taken by the receiver
  1    an error, which was said on standard error
  2    the command line is wrong
  3    the receiver was killed, interrupted or left before the end
  130  interrupted by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP: what send has made is removed, and the
       receiver is told that the stream is incomplete

The stream lies in the ring as records of up to 128 KiB and an empty one at its end. If the ring has
been used before, the first record says that a stream starts here.";

const WAIT: Duration = Duration::from_millis(TICK as u64);
/// Records between two looks at the receiver while everything flows.
const LOOK_EVERY: u64 = 256;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    join: JoinArgs,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    interrupt::watch()?;
    let (ring, mut tx, stats) = join::join(&args.join, ByteRing::producer)?;
    tx.set_wait_strategy(args.join.wait.into());
    if stats.closed {
        bail!("the ring is closed for good; remove it with: segring rm {}", args.join.name);
    }
    // SAFETY: this user has named the ring, and its mode and creator were checked: nobody is let in
    // but through segring. What is written goes in by read(2), and only its length is believed.
    let tx = unsafe { tx.trust_peers() };
    let stdin = std::io::stdin();
    files::enlarge_pipe(stdin.as_fd());
    let receiver = Receiver {
        ring: &ring,
        start: tx.position(),
        pid: None,
        stale: matches!(stats.consumer, Peer::Left | Peer::Died),
    };
    let chunk = CHUNK.min(ring.max_record());
    let mut sending = Sending { tx, receiver, chunk, count: Count::default() };
    let end = sending.run(stdin.as_fd())?;
    if let End::PeerEnded(how) = end {
        let count = &sending.count;
        complain(format_args!("the receiver {how} before the end of the stream, of which {count} were sent"));
    }
    Ok(end.code())
}

/// The receiver as this stream sees it.
struct Receiver<'a> {
    ring: &'a ByteRing,
    /// Records that were in the ring before this stream.
    start: u64,
    /// Who takes this stream, once that is known.
    pid: Option<u32>,
    /// The last receiver was gone when we came, and no other one has been seen.
    stale: bool,
}

impl Receiver<'_> {
    /// Whether the one that takes this stream is gone: how, in words. A few system calls.
    ///
    /// One that has taken none of it may belong to the stream before, unless there was none before.
    fn gone(&mut self) -> anyhow::Result<Option<End>> {
        let stats = self.ring.stats().context("cannot look at the ring")?;
        let has_taken = stats.popped > self.start;
        if self.start > 0 && !has_taken {
            return Ok(None);
        }
        let gone = has_taken || !self.stale;
        Ok(match stats.consumer {
            Peer::Live { pid: 0 } => None,
            Peer::Live { pid } => {
                self.stale = false;
                let before = self.pid.replace(pid);
                let other = before.is_some_and(|before| before != pid);
                other.then_some(End::PeerEnded("was replaced by another one"))
            }
            Peer::Left if gone => Some(End::PeerEnded("left")),
            Peer::Died if gone => Some(End::PeerEnded("died")),
            _ => None,
        })
    }
}

struct Sending<'a> {
    tx: Trusted<ByteProducer>,
    receiver: Receiver<'a>,
    /// Bytes of a record at most.
    chunk: usize,
    count: Count,
}

impl Sending<'_> {
    fn run(&mut self, stdin: BorrowedFd<'_>) -> anyhow::Result<End> {
        if self.receiver.start > 0 {
            if let Some(end) = self.push(START)? {
                return Ok(end);
            }
        }
        loop {
            match self.pass_on(stdin)? {
                Passed::Some => {}
                Passed::AtEnd => break,
                Passed::Stopped(end) => return Ok(end),
            }
            if self.count.records % LOOK_EVERY == 0 {
                if let Some(end) = self.look_around()? {
                    return Ok(end);
                }
            }
        }
        if let Some(end) = self.look_around()? {
            return Ok(end);
        }
        match self.push(END)? {
            Some(end) => Ok(end),
            None => self.drain(),
        }
    }

    /// One record, from the file straight into the ring.
    fn pass_on(&mut self, stdin: BorrowedFd<'_>) -> anyhow::Result<Passed> {
        if let Some(end) = self.wait_for_room(self.chunk)? {
            return Ok(Passed::Stopped(end));
        }
        let mut record = self.tx.reserve(self.chunk)?;
        let n = loop {
            match files::read(stdin, &mut record).context("cannot read standard input")? {
                Some(0) => return Ok(Passed::AtEnd),
                Some(n) => break n,
                None => {
                    // A signal, or nothing to read for a while.
                    let stop = match End::by_signal() {
                        None => self.receiver.gone()?,
                        signal => signal,
                    };
                    if let Some(end) = stop {
                        return Ok(Passed::Stopped(end));
                    }
                }
            }
        };
        self.count.add(n);
        if record[..n] != *START {
            record.commit(n);
            return Ok(Passed::Some);
        }
        // Data that looks like the start of a stream goes in two records.
        let last = record[n - 1];
        record.commit(n - 1);
        Ok(self.push(&[last])?.map_or(Passed::Some, Passed::Stopped))
    }

    /// Pushes a small record; waits for room.
    fn push(&mut self, record: &[u8]) -> anyhow::Result<Option<End>> {
        let stopped = self.wait_for_room(record.len())?;
        if stopped.is_none() {
            self.tx.try_push(record)?;
        }
        Ok(stopped)
    }

    fn wait_for_room(&mut self, len: usize) -> anyhow::Result<Option<End>> {
        loop {
            match self.tx.wait_for_room(len, Some(WAIT)) {
                Ok(()) => return Ok(None),
                Err(RingError::TimedOut | RingError::PeerGone { .. }) => {}
                Err(error) => return Err(error).context("cannot go on"),
            }
            if let Some(end) = self.look_around()? {
                return Ok(Some(end));
            }
        }
    }

    /// Waits until everything has been taken.
    fn drain(&mut self) -> anyhow::Result<End> {
        loop {
            match self.tx.wait_until_drained(Some(WAIT)) {
                Ok(()) => return Ok(End::Complete),
                Err(RingError::TimedOut | RingError::PeerGone { .. }) => {}
                Err(error) => return Err(error).context("cannot go on"),
            }
            if let Some(end) = self.look_around()? {
                // It may have taken the rest and left between the two looks.
                return Ok(match self.tx.wait_until_drained(Some(Duration::ZERO)) {
                    Ok(()) => End::Complete,
                    Err(_) => end,
                });
            }
        }
    }

    fn look_around(&mut self) -> anyhow::Result<Option<End>> {
        match End::by_signal() {
            None => self.receiver.gone(),
            signal => Ok(signal),
        }
    }
}

/// What became of one record.
enum Passed {
    Some,
    AtEnd,
    Stopped(End),
}
