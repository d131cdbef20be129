//! Workers: started, listened to, and always ended.

use crate::control::{Assignment, Go, Reply, send_fds};
use crate::interrupt::Interrupt;
use crate::{OWN_PROGRAM, WORKER};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest time that any step of a run may take; steps are made to take a tenth of a second.
const WATCHDOG: Duration = Duration::from_secs(15);
/// When one worker has failed: how long the other may take to say what it saw.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// One worker's process. Killed and reaped on drop.
pub(crate) struct Worker {
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
    pub(crate) fn start(role: &'static str, assignment: &Assignment, fds: &[OwnedFd]) -> Result<Self> {
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

    pub(crate) fn tell(&mut self, go: Go) -> Result<()> {
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

/// All workers of one cell.
pub(crate) struct Workers(pub(crate) Vec<Worker>);

impl Workers {
    /// Waits for one reply of each worker.
    pub(crate) fn replies(&mut self, interrupt: &Interrupt) -> Result<Vec<Reply>> {
        let all = 0..self.0.len();
        let mut replies: Vec<Option<Reply>> = all.clone().map(|_| None).collect();
        let mut ended: Vec<bool> = all.clone().map(|_| false).collect();
        let mut failures: Vec<String> = Vec::new();
        let mut deadline = Instant::now() + WATCHDOG;
        loop {
            for (i, worker) in self.0.iter_mut().enumerate() {
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
            for i in self.readable(interrupt, &listening, deadline)? {
                match self.0[i].hear()? {
                    Heard::Nothing => {}
                    Heard::Reply(reply) => replies[i] = Some(reply),
                    Heard::End => {
                        ended[i] = true;
                        failures.push(self.0[i].how_it_ended());
                    }
                }
                if ended[i] || matches!(replies[i], Some(Reply::Failed(_))) {
                    deadline = deadline.min(Instant::now() + LAST_WORDS);
                }
            }
        }
        // A Ctrl-C that also reached a worker is not the worker's failure.
        interrupt.check()?;
        // The consumer first: it is the one that finds wrong messages.
        for (worker, reply) in self.0.iter().zip(&replies).rev() {
            if let Some(Reply::Failed(why)) = reply {
                failures.push(format!("the {} failed: {why}", worker.role));
            }
        }
        if failures.is_empty() {
            let silent = self.0.iter().zip(&replies).filter(|(_, reply)| reply.is_none());
            let mut silent: Vec<_> = silent.map(|(worker, _)| worker.role).collect();
            silent.dedup();
            bail!("hung: no word from the {} for {} s", silent.join(" and the "), WATCHDOG.as_secs());
        }
        bail!("{}", failures.join("; "))
    }

    /// Which of the workers listened to can be heard (or have hung up). None: a signal or the time.
    fn readable(&self, interrupt: &Interrupt, listening: &[usize], deadline: Instant) -> Result<Vec<usize>> {
        let mut fds = vec![PollFd::new(interrupt.fd(), PollFlags::POLLIN)];
        fds.extend(listening.iter().map(|&i| PollFd::new(self.0[i].control.as_fd(), PollFlags::POLLIN)));
        // Rounded up, so that the deadline has passed when the time is over.
        let left = deadline.saturating_duration_since(Instant::now()).as_millis() + 1;
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e).context("poll"),
        }
        interrupt.check()?;
        let ready = listening.iter().zip(&fds[1..]).filter(|(_, fd)| fd.any().unwrap_or(false));
        Ok(ready.map(|(&i, _)| i).collect())
    }
}
