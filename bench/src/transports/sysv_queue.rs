//! The System V message queue: `msgsnd` and `msgrcv`.

use super::sysv::{self, Object};
use super::{Cell, Channel, End, Keeper, Made, Processes, Receiver, Sender, sysctl};
use crate::for_size;
use crate::payload::{check, fill};
use crate::tally::{Came, Tally};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use std::rc::Rc;

/// `msgget`.
pub(super) struct SysvQueue;

impl Processes for SysvQueue {
    fn make(&self, cell: Cell, keeper: &Rc<Keeper>) -> Result<Made> {
        make(cell.size, keeper)
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        for_size!(cell.size, N => Ok(Box::new(Side::<N>::open(&end)?)))
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        for_size!(cell.size, N => Ok(Box::new(Side::<N>::open(&end)?)))
    }
}

fn make(size: usize, keeper: &Rc<Keeper>) -> Result<Made> {
    for limit in ["msgmax", "msgmnb"] {
        if let Some(most) = sysctl(&format!("kernel/{limit}")).filter(|&most| (size as u64) > most) {
            return Ok(Made::Impossible(format!("{limit} is {most} (sysctl kernel.{limit})")));
        }
    }
    let id = match sysv::new_queue() {
        Ok(id) => id,
        Err(Errno::ENOSPC) => {
            return Ok(Made::Impossible("msgget: no queue left (sysctl kernel.msgmni)".to_owned()));
        }
        Err(Errno::ENOSYS) => return Ok(Made::Impossible("msgget: not in this kernel".to_owned())),
        Err(e) => return Err(e).context("msgget"),
    };
    Ok(Made::Channel(Channel::by_ids(vec![id], sysv::own(Object::Queue(id), keeper)?.into())))
}

/// The `struct msgbuf` of a message.
#[repr(C)]
struct Message<const N: usize> {
    kind: libc::c_long,
    body: [u64; N],
}

struct Side<const N: usize> {
    id: i32,
    message: Box<Message<N>>,
}

impl<const N: usize> Side<N> {
    fn open(end: &End) -> Result<Self> {
        let [id] = end.ids()?;
        Ok(Self { id, message: Box::new(Message { kind: 1, body: [0; N] }) })
    }
}

impl<const N: usize> Sender for Side<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            fill(&mut self.message.body, seq);
            let message: *const Message<N> = &raw const *self.message;
            loop {
                // SAFETY: `message` points to a type and N * 8 bytes behind it.
                let result = unsafe { libc::msgsnd(self.id, message.cast(), N * 8, 0) };
                match Errno::result(result) {
                    Ok(_) => break,
                    Err(Errno::EINTR) => {}
                    Err(e) => return Err(e).context("msgsnd"),
                }
            }
        }
        Ok(())
    }
}

impl<const N: usize> Side<N> {
    /// The next message, whole.
    fn next(&mut self) -> Result<&[u64; N]> {
        let message: *mut Message<N> = &raw mut *self.message;
        let came = loop {
            // SAFETY: `message` has room for a type and N * 8 bytes behind it, and takes any.
            let result = unsafe { libc::msgrcv(self.id, message.cast(), N * 8, 1, 0) };
            match Errno::result(result) {
                Ok(came) => break came,
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e).context("msgrcv"),
            }
        };
        if came as usize != N * 8 {
            bail!("a message has {came} bytes instead of {}", N * 8);
        }
        Ok(&self.message.body)
    }
}

impl<const N: usize> Receiver for Side<N> {
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
