//! The named pipe. Its name exists only while this process opens both ends.

use super::pipe::at_its_best;
use super::{Cell, Channel, End, Keeper, Made, Mode, Processes, Receiver, Sender, stream};
use crate::for_size;
use anyhow::{Context, Result};
use nix::sys::stat::Mode as Permissions;
use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

/// `mkfifo`.
pub(super) struct Fifo;

impl Processes for Fifo {
    fn make(&self, cell: Cell, _: &Rc<Keeper>) -> Result<Made> {
        Ok(Made::Channel(make(cell.mode)?))
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        for_size!(cell.size, N => stream::sender::<N>(cell.mode, end))
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        for_size!(cell.size, N => stream::receiver::<N>(cell.mode, end))
    }
}

/// A directory that goes when this is dropped.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn make(mode: Mode) -> Result<Channel> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("segring-bench-{}-{n}", std::process::id()));
    nix::unistd::mkdir(&path, Permissions::S_IRWXU).with_context(|| format!("mkdir {}", path.display()))?;
    let directory = Directory(path);
    let path = directory.0.join("fifo");
    nix::unistd::mkfifo(&path, Permissions::S_IRUSR | Permissions::S_IWUSR)
        .with_context(|| format!("mkfifo {}", path.display()))?;
    let (receiver, sender) = open_both(&path).with_context(|| format!("open {}", path.display()))?;
    at_its_best(&sender, mode)?;
    Ok(Channel::by_descriptors(sender, receiver))
}

/// Opening either end waits for the other one, unless it is the reading end and must not wait.
fn open_both(path: &Path) -> Result<(OwnedFd, OwnedFd)> {
    let reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let writer = OpenOptions::new().write(true).open(path)?;
    // The flag belongs to the open file, so a second opening gives a reader that waits.
    let waiting = OpenOptions::new().read(true).open(path)?;
    drop(reader);
    Ok((waiting.into(), writer.into()))
}
