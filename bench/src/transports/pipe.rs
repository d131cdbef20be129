//! The pipe, as it comes and enlarged. Between many for messages that a write puts in whole: a read
//! of that length, which excludes other readers, then takes out one whole message.

use super::{Cell, Channel, End, Keeper, Made, Mode, Processes, Receiver, Sender, stream};
use crate::for_size;
use crate::plan::Shape;
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::os::fd::AsFd;
use std::rc::Rc;

/// `pipe2`.
pub(super) struct Pipe;

impl Processes for Pipe {
    fn make(&self, cell: Cell, _: &Rc<Keeper>) -> Result<Made> {
        if cell.shape != Shape::OneToOne && cell.size > libc::PIPE_BUF {
            let why = format!("writes of more than PIPE_BUF ({}) bytes are not atomic", libc::PIPE_BUF);
            return Ok(Made::Impossible(why));
        }
        Ok(Made::Channel(make(cell.mode)?))
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        for_size!(cell.size, N => stream::sender::<N>(cell.mode, end))
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        for_size!(cell.size, N => stream::receiver::<N>(cell.mode, end))
    }
}

/// What an unprivileged process may ask for (`fs.pipe-max-size`) unless the administrator changed it.
const ENLARGED: i32 = 1 << 20;

fn make(mode: Mode) -> Result<Channel> {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).context("pipe2")?;
    at_its_best(&writer, mode)?;
    Ok(Channel::by_descriptors(writer, reader))
}

/// In bulk a pipe (also a named one) holds 1 MiB, if the system lets it; 64 KiB else.
pub(crate) fn at_its_best(pipe: impl AsFd, mode: Mode) -> Result<()> {
    if mode != Mode::Bulk {
        return Ok(());
    }
    match fcntl(pipe, FcntlArg::F_SETPIPE_SZ(ENLARGED)) {
        // Beyond fs.pipe-max-size or fs.pipe-user-pages-soft: it keeps the size it has.
        Ok(_) | Err(Errno::EPERM) => Ok(()),
        Err(e) => Err(e).context("fcntl(F_SETPIPE_SZ)"),
    }
}
