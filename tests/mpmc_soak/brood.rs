//! Processes that are made by forking a child of the test, because a re-exec takes too long where
//! thousands must die.
#![allow(dead_code)] // each test binary uses a part of it

use crate::common::{die_with_parent, watchdog};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

/// A forked child. Killed and reaped on drop.
pub(crate) struct Kid {
    pid: Option<Pid>,
}

impl Kid {
    /// Forks. The child runs `f`, and ends; a panic is a failure of [`Kid::join`].
    pub(crate) fn fork(f: impl FnOnce()) -> Self {
        // SAFETY: the child uses only what glibc makes usable after a fork.
        match unsafe { fork() }.expect("fork") {
            ForkResult::Parent { child } => Self { pid: Some(child) },
            ForkResult::Child => {
                die_with_parent();
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
                // SAFETY: ends the process without running anything of the parent's.
                unsafe { libc::_exit(i32::from(done.is_err())) }
            }
        }
    }

    /// SIGKILL. Fails if it had ended by itself.
    pub(crate) fn kill(&mut self) {
        let Some(pid) = self.pid.take() else { return };
        kill(pid, Signal::SIGKILL).expect("not yet reaped");
        let status = waitpid(pid, None).expect("waitpid");
        assert_eq!(status, WaitStatus::Signaled(pid, Signal::SIGKILL, false), "it ended by itself");
    }

    /// Waits for it to end by itself, and well.
    pub(crate) fn join(mut self) {
        let _watchdog = watchdog("a forked child");
        let Some(pid) = self.pid.take() else { return };
        assert_eq!(waitpid(pid, None).expect("waitpid"), WaitStatus::Exited(pid, 0), "it failed");
    }
}

impl Drop for Kid {
    fn drop(&mut self) {
        if let Some(pid) = self.pid.take() {
            let _ = kill(pid, Signal::SIGKILL);
            let _ = waitpid(pid, None);
        }
    }
}
