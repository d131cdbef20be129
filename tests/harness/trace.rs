//! ptrace, as far as these tests need it. The thread that starts tracing must go on with it.

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Waits for the next stop or the end of a traced process.
pub fn wait(pid: Pid) -> nix::Result<WaitStatus> {
    loop {
        match waitpid(pid, Some(WaitPidFlag::__WALL)) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Attaches to a running process and stops it where it is.
pub fn stop(pid: Pid, options: Options) -> nix::Result<WaitStatus> {
    ptrace::seize(pid, options | Options::PTRACE_O_EXITKILL)?;
    ptrace::interrupt(pid)?;
    wait(pid)
}

/// Where a stopped process stands: its program counter and its stack pointer.
pub fn counters(pid: Pid) -> nix::Result<(u64, u64)> {
    ptrace::syscall_info(pid).map(|info| (info.instruction_pointer, info.stack_pointer))
}

/// The number of the system call that a process stopped at the entry of; `None` at its exit.
pub fn syscall_entered(pid: Pid) -> nix::Result<Option<u64>> {
    let info = ptrace::syscall_info(pid)?;
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return Ok(None);
    }
    // SAFETY: `op` says that the kernel filled in the `entry` variant.
    Ok(Some(unsafe { info.u.entry.nr }))
}

/// What the system call has returned at whose exit a process stopped.
pub fn syscall_returned(pid: Pid) -> nix::Result<i64> {
    let info = ptrace::syscall_info(pid)?;
    assert_eq!(info.op, libc::PTRACE_SYSCALL_INFO_EXIT, "at the exit of a call");
    // SAFETY: `op` says that the kernel filled in the `exit` variant.
    Ok(unsafe { info.u.exit.sval })
}

/// Whether it has stopped by now. Does not wait, and leaves the stop to [`wait`].
pub fn has_stopped(pid: Pid) -> nix::Result<bool> {
    use nix::sys::wait::{Id, waitid};
    let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
    let status = waitid(Id::Pid(pid), flags | WaitPidFlag::WNOWAIT | WaitPidFlag::__WALL)?;
    Ok(status != WaitStatus::StillAlive)
}

/// Why tracing does not work here, if it does not.
pub fn refused(e: Errno) -> String {
    format!("ptrace is not permitted here ({e}): a container without CAP_SYS_PTRACE, or Yama")
}
