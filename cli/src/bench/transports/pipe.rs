//! The pipe, as it comes and enlarged.

use super::{Channel, Mode};
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::os::fd::AsFd;

/// What an unprivileged process may ask for (`fs.pipe-max-size`) unless the administrator changed it.
const ENLARGED: i32 = 1 << 20;

pub(super) fn make(mode: Mode) -> Result<Channel> {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).context("pipe2")?;
    at_its_best(&writer, mode)?;
    Ok(Channel::by_descriptors(writer, reader))
}

/// In bulk a pipe (also a named one) holds 1 MiB, if the system lets it; 64 KiB else.
pub(super) fn at_its_best(pipe: impl AsFd, mode: Mode) -> Result<()> {
    if mode != Mode::Bulk {
        return Ok(());
    }
    match fcntl(pipe, FcntlArg::F_SETPIPE_SZ(ENLARGED)) {
        // Beyond fs.pipe-max-size or fs.pipe-user-pages-soft: it keeps the size it has.
        Ok(_) | Err(Errno::EPERM) => Ok(()),
        Err(e) => Err(e).context("fcntl(F_SETPIPE_SZ)"),
    }
}
