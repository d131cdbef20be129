//! `segring recv`: what comes through a ring, to standard output.

use super::args::JoinArgs;
use super::files::{self, TICK, Unwritten};
use super::stream::{Count, END, End, START};
use super::{complain, interrupt, join};
use anyhow::{Context, bail};
use segring::spsc::{ByteConsumer, ByteRing};
use segring::{Peer, RingError, Trusted};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) const HELP: &str = "\
Ends when the sender has sent everything. Either side may be started first: recv waits for a
sender. A ring that was not there is made, and goes when both have ended; one made by 'segring
create' stays, and carries the next stream.

Examples:
  segring recv backup | tar x -C /tmp        with  tar c src | segring send backup
  segring recv ticks > ticks.log
  segring recv key:0x5e610001 --allow-user 1000 | less

Exit codes:
  0    the whole stream was received
  1    an error, which was said on standard error
  2    the command line is wrong
  3    the sender was killed, interrupted or failed: all that it had sent was written, and the
       stream is incomplete. Also for what a killed sender left in a ring before recv was started
  141  nobody reads the output any more (as after SIGPIPE; nothing is said)
  130  interrupted by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP: what recv has made is removed

After kill -9 of both sides the ring stays, with what is in it. A recv started then writes that out
and exits with 3, unless the end of the stream was in it; 'segring rm NAME' throws it away.

Programs that use the library end a stream by an empty record, or by closing the ring.";

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    join: JoinArgs,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    interrupt::watch()?;
    let (_ring, mut rx, stats) = join::join(&args.join, ByteRing::consumer)?;
    rx.set_wait_strategy(args.join.wait.into());
    // SAFETY: this user has named the ring, and its mode and creator were checked: nobody is let in
    // but through segring. What is read goes to write(2) and into comparisons, which stay in bounds
    // whatever the bytes are.
    let mut rx = unsafe { rx.trust_peers() };
    let stdout = std::io::stdout();
    files::enlarge_pipe(stdout.as_fd());
    if matches!(stats.producer, Peer::Left | Peer::Died) {
        forget_old_news(&mut rx)?;
    }
    let mut count = Count::default();
    let end = receive(&mut rx, stdout.as_fd(), &mut count)?;
    if let End::PeerEnded(how) = end {
        complain(format_args!("the sender {how} after {count}; the stream is incomplete"));
    }
    Ok(end.code())
}

fn receive(rx: &mut Trusted<ByteConsumer>, stdout: BorrowedFd<'_>, count: &mut Count) -> anyhow::Result<End> {
    let start = rx.position();
    loop {
        match rx.read() {
            Ok(record) if *record == *END => {
                record.release();
                return Ok(End::Complete);
            }
            Ok(record) if *record == *START => {
                if count.records > 0 {
                    // Not released: it is the first record of the next receiver's stream.
                    return Ok(End::PeerEnded("was replaced by another one"));
                }
                record.release();
            }
            Ok(record) => {
                let written = files::write_all(stdout, &record);
                count.add(record.len());
                // Also if it was written in part: the stream has a hole then, and the sender is to
                // see that somebody has taken of it and gone.
                record.release();
                match written {
                    Ok(()) => {}
                    Err(Unwritten::Interrupted(signal)) => return Ok(End::Interrupted(signal)),
                    Err(Unwritten::Closed) => return Ok(End::OutputClosed),
                    Err(Unwritten::Failed(e)) => {
                        return Err(e).context("cannot write to standard output");
                    }
                }
            }
            Err(RingError::Empty) => {
                // A sender that has sent us nothing may belong to the stream before, unless there was
                // none before: on a used ring our sender pushes START first of all.
                let is_ours = start == 0 || rx.position() > start;
                match wait(rx)? {
                    Some(End::PeerEnded(_)) if !is_ours => {}
                    Some(end) => return Ok(end),
                    None => {}
                }
            }
            Err(RingError::Closed) => return Ok(End::Complete),
            Err(error) => bail!(error),
        }
        if let Some(end) = End::by_signal() {
            return Ok(end);
        }
    }
}

/// Waits for a record, or until it is time to look around.
fn wait(rx: &mut ByteConsumer) -> anyhow::Result<Option<End>> {
    match rx.wait_for_message(Some(Duration::from_millis(u64::from(TICK)))) {
        Ok(()) | Err(RingError::TimedOut) => Ok(None),
        Err(RingError::PeerGone { died: true }) => Ok(Some(End::PeerEnded("died"))),
        Err(RingError::PeerGone { died: false }) => Ok(Some(End::PeerEnded("broke off"))),
        Err(RingError::Closed) => Ok(Some(End::Complete)),
        Err(error) => Err(error).context("no sender came"),
    }
}

/// A sender that went before we came, and of which nothing is left, is not ours.
fn forget_old_news(rx: &mut ByteConsumer) -> anyhow::Result<()> {
    loop {
        match rx.wait_for_message(Some(Duration::ZERO)) {
            Ok(()) | Err(RingError::TimedOut | RingError::Closed) => return Ok(()),
            Err(RingError::PeerGone { .. }) => {}
            Err(error) => return Err(error).context("no sender can come"),
        }
    }
}
