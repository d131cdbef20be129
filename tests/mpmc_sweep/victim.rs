//! A child that is led through one operation, instruction by instruction.

use crate::common::die_with_parent;
use crate::harness::trace;
use crate::ops;
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::{ForkResult, Pid, fork};
use std::panic::AssertUnwindSafe;

/// A place in an operation: so many system calls from the mark on, and then so many instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) calls: u64,
    pub(crate) steps: u64,
}

impl Place {
    pub(crate) const MARK: Self = Self { calls: 0, steps: 0 };
}

/// When that comes which somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// While it has given its core away, between two looks.
    Polling,
    /// When it has looked for the last time, and is about to sleep.
    Parking,
    /// When it sleeps: it is woken.
    Asleep,
}

/// How a child ends that must not be traced.
const REFUSED: i32 = 100;

fn is_asleep(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
}

/// Stands at its mark, or behind. Killed and reaped on drop.
pub(crate) struct Victim {
    pid: Pid,
    ended: bool,
}

impl Victim {
    /// Forks one, which acts: it prepares its operation and stops there.
    pub(crate) fn start(act: impl FnOnce()) -> nix::Result<Self> {
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
                    ops::mark();
                    act();
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
        victim.expect_mark()?;
        Ok(victim)
    }

    fn expect_mark(&self) -> nix::Result<()> {
        assert_eq!(trace::wait(self.pid)?, WaitStatus::Stopped(self.pid, Signal::SIGSTOP), "a mark");
        Ok(())
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

    /// To the end of its next system call. `false`: it has come to its second mark. Those that map
    /// memory do not count: how many the allocator makes depends on the heap that it was forked with.
    pub(crate) fn skip_call(&mut self) -> nix::Result<bool> {
        const OF_THE_HEAP: [i64; 4] = [libc::SYS_brk, libc::SYS_mmap, libc::SYS_munmap, libc::SYS_mremap];
        loop {
            if !self.run_to_call()? {
                return Ok(false);
            }
            let call = trace::syscall_entered(self.pid)?;
            if !self.run_to_call()? {
                return Ok(false);
            }
            if !call.is_some_and(|call| OF_THE_HEAP.iter().any(|heap| *heap as u64 == call)) {
                return Ok(true);
            }
        }
    }

    /// To the beginning, or the end, of a system call.
    fn run_to_call(&mut self) -> nix::Result<bool> {
        ptrace::syscall(self.pid, None)?;
        match trace::wait(self.pid)? {
            WaitStatus::PtraceSyscall(_) => Ok(true),
            WaitStatus::Stopped(_, Signal::SIGSTOP) => Ok(false),
            other => panic!("the victim ended by itself: {other:?}"),
        }
    }

    /// On from the mark into a wait; there, `come` happens. Then it stands at the end of the system call that
    /// it had made. `false`: it was asleep, and something else ended its sleep.
    pub(crate) fn meet(&mut self, arrival: Arrival, come: impl FnOnce()) -> nix::Result<bool> {
        let call = if arrival == Arrival::Polling { libc::SYS_sched_yield } else { libc::SYS_futex };
        loop {
            assert!(self.run_to_call()?, "it does not wait");
            if trace::syscall_entered(self.pid)? != Some(call as u64) {
                continue;
            }
            if arrival != Arrival::Asleep {
                come();
                assert!(self.run_to_call()?, "the end of its call");
                return Ok(true);
            }
            ptrace::syscall(self.pid, None)?;
            while !trace::has_stopped(self.pid)? && !is_asleep(self.pid) {}
            if !trace::has_stopped(self.pid)? {
                break;
            }
            // Nobody has woken it: it looks, and sleeps again.
            trace::wait(self.pid)?;
        }
        come();
        assert!(matches!(trace::wait(self.pid)?, WaitStatus::PtraceSyscall(_)), "the end of its sleep");
        Ok(trace::syscall_returned(self.pid)? == 0)
    }

    /// To a place in its operation. `false`: it has come to its second mark before.
    pub(crate) fn run(&mut self, to: Place) -> nix::Result<bool> {
        for _ in 0..to.calls {
            if !self.skip_call()? {
                return Ok(false);
            }
        }
        for _ in 0..to.steps {
            if !self.step()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// On to the second mark, if it does not stand there.
    pub(crate) fn run_to_mark(&mut self) -> nix::Result<()> {
        ptrace::cont(self.pid, None)?;
        self.expect_mark()
    }

    /// To its end, which must be a good one. It stands at its second mark.
    pub(crate) fn run_out(mut self) -> nix::Result<()> {
        ptrace::cont(self.pid, None)?;
        self.ended = true;
        assert_eq!(trace::wait(self.pid)?, WaitStatus::Exited(self.pid, 0), "it saw what cannot be");
        Ok(())
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
