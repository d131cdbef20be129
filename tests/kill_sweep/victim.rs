//! A child that is led through one operation, instruction by instruction.

use crate::common::{TestName, die_with_parent};
use crate::harness::trace;
use crate::ops::{Op, Report, act, mark};
use crate::rings::Kind;
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::{ForkResult, Pid, fork};
use std::panic::AssertUnwindSafe;

/// A place in an operation: so many system calls from the mark on, and then so many instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) calls: u64,
    pub(crate) steps: u64,
}

/// How a child ends that must not be traced.
const REFUSED: i32 = 100;

/// Stands at its mark, or behind. Killed and reaped on drop.
pub(crate) struct Victim {
    pid: Pid,
    ended: bool,
}

impl Victim {
    /// Forks one, which joins, prepares its operation and stops there. `prepare` is called first.
    pub(crate) fn start<K: Kind>(
        name: &TestName,
        op: Op,
        report: &Report,
        prepare: impl FnOnce(),
    ) -> nix::Result<Self> {
        // SAFETY: this process has no other thread that holds a lock: it is a child made for this.
        let pid = match unsafe { fork() }? {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                let good = std::panic::catch_unwind(AssertUnwindSafe(|| {
                    die_with_parent();
                    if ptrace::traceme().is_err() {
                        // SAFETY: as below.
                        unsafe { libc::_exit(REFUSED) }
                    }
                    mark();
                    prepare();
                    act(&K::attach(name), op, report);
                }));
                // SAFETY: ends the process at once, and touches nothing of what it inherited.
                unsafe { libc::_exit(i32::from(good.is_err())) }
            }
        };
        let mut victim = Self { pid, ended: false };
        let first = trace::wait(pid)?;
        if first == WaitStatus::Exited(pid, REFUSED) {
            victim.ended = true;
            return Err(Errno::EPERM);
        }
        assert_eq!(first, WaitStatus::Stopped(pid, Signal::SIGSTOP), "a mark");
        ptrace::setoptions(pid, Options::PTRACE_O_EXITKILL | Options::PTRACE_O_TRACESYSGOOD)?;
        ptrace::cont(pid, None)?;
        assert_eq!(trace::wait(pid)?, WaitStatus::Stopped(pid, Signal::SIGSTOP), "a mark");
        Ok(victim)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw() as u32
    }

    /// One instruction. `false`: it has come to its second mark.
    pub(crate) fn step(&mut self) -> nix::Result<bool> {
        ptrace::step(self.pid, None)?;
        match trace::wait(self.pid)? {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => Ok(true),
            WaitStatus::Stopped(_, Signal::SIGSTOP) => Ok(false),
            other => panic!("the victim ended by itself: {other:?}"),
        }
    }

    /// So many instructions. Says how many it really made: fewer when it came to its second mark.
    pub(crate) fn steps(&mut self, k: u64) -> nix::Result<u64> {
        for done in 0..k {
            if !self.step()? {
                return Ok(done);
            }
        }
        Ok(k)
    }

    /// To the end of its next system call. `false`: it has come to its second mark.
    pub(crate) fn skip_call(&mut self) -> nix::Result<bool> {
        for _ in 0..2 {
            ptrace::syscall(self.pid, None)?;
            match trace::wait(self.pid)? {
                WaitStatus::PtraceSyscall(_) => {}
                WaitStatus::Stopped(_, Signal::SIGSTOP) => return Ok(false),
                other => panic!("the victim ended by itself: {other:?}"),
            }
        }
        Ok(true)
    }

    /// To a place in its operation, or to its second mark.
    pub(crate) fn run(&mut self, to: Place) -> nix::Result<()> {
        for _ in 0..to.calls {
            if !self.skip_call()? {
                return Ok(());
            }
        }
        self.steps(to.steps).map(|_| ())
    }

    /// On to its end, which must be a good one.
    pub(crate) fn run_out(mut self) -> nix::Result<()> {
        loop {
            ptrace::cont(self.pid, None)?;
            match trace::wait(self.pid)? {
                WaitStatus::Stopped(..) => {}
                end => {
                    self.ended = true;
                    assert_eq!(end, WaitStatus::Exited(self.pid, 0), "it saw what cannot be");
                    return Ok(());
                }
            }
        }
    }

    /// SIGKILL where it stands.
    pub(crate) fn kill(self) {}
}

impl Drop for Victim {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let _ = kill(self.pid, Signal::SIGKILL);
        let ended = |status| matches!(status, Ok(WaitStatus::Signaled(..) | WaitStatus::Exited(..)) | Err(_));
        while !ended(trace::wait(self.pid)) {}
    }
}
