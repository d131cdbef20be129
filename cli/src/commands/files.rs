//! Reading and writing file descriptors, past the buffers of the standard library: from a file
//! straight into the ring, and from the ring straight into a file.

use super::interrupt;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::BorrowedFd;

/// The most that a pipe of an ordinary user may hold (`/proc/sys/fs/pipe-max-size`).
const PIPE: i32 = 1 << 20;

/// How long a wait may take before the caller should look around, in milliseconds.
pub(crate) const TICK: u16 = 100;

/// Lets a pipe hold more, so that its two ends take turns less often. No pipe, or no permission:
/// then it stays as it is.
pub(crate) fn enlarge_pipe(fd: BorrowedFd<'_>) {
    if matches!(fcntl(fd, FcntlArg::F_GETPIPE_SZ), Ok(size) if size < PIPE) {
        let _ = fcntl(fd, FcntlArg::F_SETPIPE_SZ(PIPE));
    }
}

/// Waits until a descriptor is ready, for a [`TICK`] at most, or until a signal comes.
fn is_ready(fd: BorrowedFd<'_>, what: PollFlags) -> Result<bool, Errno> {
    match poll(&mut [PollFd::new(fd, what)], PollTimeout::from(TICK)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Reads what is there. `Ok(None)`: nothing came for a [`TICK`], or a signal did. 0 is the end.
pub(crate) fn read(fd: BorrowedFd<'_>, into: &mut [u8]) -> Result<Option<usize>, Errno> {
    if !is_ready(fd, PollFlags::POLLIN)? {
        return Ok(None);
    }
    match nix::unistd::read(fd, into) {
        Ok(n) => Ok(Some(n)),
        // EAGAIN: somebody has made the descriptor non-blocking, and somebody else was faster.
        Err(Errno::EINTR | Errno::EAGAIN) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Why not everything was written.
#[derive(Debug)]
pub(crate) enum Unwritten {
    /// By this signal.
    Interrupted(i32),
    /// `EPIPE`: nobody reads any more.
    Closed,
    Failed(Errno),
}

/// Writes everything.
pub(crate) fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Unwritten> {
    while !bytes.is_empty() {
        match nix::unistd::write(fd, bytes) {
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                is_ready(fd, PollFlags::POLLOUT).map_err(Unwritten::Failed)?;
            }
            Err(Errno::EPIPE) => return Err(Unwritten::Closed),
            Err(e) => return Err(Unwritten::Failed(e)),
        }
        if let Some(signal) = interrupt::pending() {
            if !bytes.is_empty() {
                return Err(Unwritten::Interrupted(signal));
            }
        }
    }
    Ok(())
}
