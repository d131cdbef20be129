//! The POSIX message queue: `mq_send` and `mq_receive`. Its name is taken away at once; the
//! workers get descriptors.

use super::{Cell, Channel, End, Keeper, Made, Processes, Receiver, Sender, sysctl};
use crate::for_size;
use crate::payload::{check, fill};
use crate::tally::{Came, Tally};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::mqueue::{MQ_OFlag, MqAttr, MqdT, mq_open, mq_receive, mq_send, mq_unlink};
use nix::sys::stat::Mode;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use zerocopy::IntoBytes;

/// `mq_open`.
pub(super) struct PosixQueue;

impl Processes for PosixQueue {
    fn make(&self, cell: Cell, _: &Rc<Keeper>) -> Result<Made> {
        make(cell.size)
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        for_size!(cell.size, N => Ok(Box::new(Queue::<N>::open(end)?)))
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        for_size!(cell.size, N => Ok(Box::new(Queue::<N>::open(end)?)))
    }
}

/// The kernel's default for the length of a queue.
const DEFAULT_LENGTH: u64 = 10;

fn make(size: usize) -> Result<Made> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("/segring-bench-{}-{n}", std::process::id());
    let length = sysctl("fs/mqueue/msg_max").unwrap_or(DEFAULT_LENGTH);
    let attr = MqAttr::new(0, i64::try_from(length)?, i64::try_from(size)?, 0);
    let flags = MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL | MQ_OFlag::O_RDWR | MQ_OFlag::O_CLOEXEC;
    let queue = match mq_open(name.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR, Some(&attr)) {
        Ok(queue) => queue,
        Err(e) => {
            return match impossible(e, size, length) {
                Some(why) => Ok(Made::Impossible(why)),
                None => Err(e).with_context(|| format!("mq_open {name}")),
            };
        }
    };
    // SAFETY: the descriptor was just opened and is nobody else's.
    let queue = unsafe { OwnedFd::from_raw_fd(queue.into_raw_fd()) };
    mq_unlink(name.as_str()).with_context(|| format!("mq_unlink {name}"))?;
    let other = queue.try_clone().context("dup")?;
    Ok(Made::Channel(Channel::by_descriptors(queue, other)))
}

/// What the system lacks, in words.
fn impossible(error: Errno, size: usize, length: u64) -> Option<String> {
    let most = sysctl("fs/mqueue/msgsize_max").unwrap_or(8192);
    match error {
        Errno::EINVAL => Some(format!("msgsize_max is {most} (sysctl fs.mqueue.msgsize_max)")),
        Errno::EMFILE => Some(format!("{length} messages exceed RLIMIT_MSGQUEUE (ulimit -q)")),
        Errno::ENOSPC => Some("no queue left (sysctl fs.mqueue.queues_max)".to_owned()),
        Errno::ENOSYS => Some("not in this kernel".to_owned()),
        Errno::ENOMEM => Some(format!("no memory for {length} messages of {size} bytes")),
        _ => None,
    }
}

struct Queue<const N: usize> {
    queue: MqdT,
    message: Vec<[u64; N]>,
}

impl<const N: usize> Queue<N> {
    fn open(end: End) -> Result<Self> {
        let fd = end.descriptor()?.into_raw_fd();
        // SAFETY: the parent sent the descriptor of a queue, and gave it away.
        let queue = unsafe { MqdT::from_raw_fd(fd) };
        Ok(Self { queue, message: vec![[0; N]] })
    }
}

impl<const N: usize> Sender for Queue<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            fill(&mut self.message[0], seq);
            loop {
                match mq_send(&self.queue, self.message.as_bytes(), 0) {
                    Ok(()) => break,
                    Err(Errno::EINTR) => {}
                    Err(e) => return Err(e).context("mq_send"),
                }
            }
        }
        Ok(())
    }
}

impl<const N: usize> Queue<N> {
    /// The next message, whole.
    fn next(&mut self) -> Result<&[u64; N]> {
        let came = loop {
            match mq_receive(&self.queue, self.message.as_mut_bytes(), &mut 0) {
                Ok(came) => break came,
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e).context("mq_receive"),
            }
        };
        if came != N * 8 {
            bail!("a message has {came} bytes instead of {}", N * 8);
        }
        Ok(&self.message[0])
    }
}

impl<const N: usize> Receiver for Queue<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            check(self.next()?, seq)?;
        }
        Ok(())
    }

    fn collect(&mut self, tally: &mut Tally) -> Result<()> {
        while tally.take(self.next()?)? == Came::Message {}
        Ok(())
    }
}
