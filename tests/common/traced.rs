//! A forked child that is led from system call to system call (`ptrace`), to be killed or held
//! anywhere. For children of [`super::common`], which have one thread that matters: the tracer is
//! the thread that forks. Included by the tests that need it with `#[path]`.
#![allow(dead_code, unreachable_pub)] // each test binary uses a part of it

use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

/// A traced child that has stopped itself and is about to run `f`. It exits with 0 if `f` says so.
pub fn traced(f: impl FnOnce() -> bool) -> Pid {
    // SAFETY: the child uses only what glibc makes usable after a fork.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            super::common::die_with_parent();
            ptrace::traceme().expect("traceme");
            let _ = raise(Signal::SIGSTOP);
            let code = i32::from(!f());
            // SAFETY: ends the process without running anything of the parent's.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => {
            assert_eq!(wait(child), WaitStatus::Stopped(child, Signal::SIGSTOP));
            let options = ptrace::Options::PTRACE_O_TRACESYSGOOD | ptrace::Options::PTRACE_O_EXITKILL;
            ptrace::setoptions(child, options).expect("setoptions");
            child
        }
    }
}

pub fn wait(child: Pid) -> WaitStatus {
    waitpid(child, Some(WaitPidFlag::__WALL)).expect("waitpid")
}

/// On to the next entry or exit of a system call. `false`: it has ended, and well.
pub fn step(child: Pid) -> bool {
    ptrace::syscall(child, None).expect("PTRACE_SYSCALL");
    match wait(child) {
        WaitStatus::PtraceSyscall(_) => true,
        WaitStatus::Exited(_, 0) => false,
        other => panic!("the traced child failed: {other:?}"),
    }
}

/// Goes on to the first stop at which something is so.
pub fn step_until(child: Pid, so: impl Fn() -> bool) {
    while !so() {
        assert!(step(child), "the traced child ended before");
    }
}

/// One instruction.
pub fn step_instruction(child: Pid) {
    ptrace::step(child, None).expect("PTRACE_SINGLESTEP");
    assert_eq!(wait(child), WaitStatus::Stopped(child, Signal::SIGTRAP));
}

pub fn kill_and_reap(child: Pid) {
    kill(child, Signal::SIGKILL).expect("kill");
    while !matches!(wait(child), WaitStatus::Signaled(..)) {}
}

/// Traces it no longer, and leaves it stopped as by SIGSTOP.
pub fn leave_stopped(child: Pid) {
    kill(child, Signal::SIGSTOP).expect("kill");
    ptrace::detach(child, None).expect("detach");
    let stopped = waitpid(child, Some(WaitPidFlag::WUNTRACED)).expect("waitpid");
    assert_eq!(stopped, WaitStatus::Stopped(child, Signal::SIGSTOP));
}
