//! Each operation, instruction by instruction, under ptrace: the path that is really taken, and no
//! tool needed.

use super::common::{TestName, die_with_parent};
use super::{build, trace};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// More than any operation has.
const MAX_STEPS: u32 = 10_000;

/// What one operation did. Of several, the most of each.
#[derive(Clone, Copy, Default)]
pub struct Path {
    /// Each round of a string instruction is one, as it is for callgrind.
    pub instructions: u64,
    pub calls: u64,
    /// Fences and locked instructions.
    pub fences: u64,
    pub syscalls: u64,
}

/// An error: why it cannot run here.
pub fn paths() -> Result<BTreeMap<String, Path>, String> {
    let name = TestName::new("stepping");
    let mut command = Command::new(build::child()?);
    command.arg(name.as_str());
    // SAFETY: two system calls, which are allowed between fork and exec.
    unsafe {
        command.pre_exec(|| {
            die_with_parent();
            Ok(ptrace::traceme()?)
        });
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) => match e.raw_os_error().map(Errno::from_raw) {
            Some(e @ (Errno::EPERM | Errno::EACCES | Errno::ENOSYS)) => return Err(trace::refused(e)),
            _ => panic!("the child does not start: {e}"),
        },
    };
    let pid = Pid::from_raw(child.id() as i32);
    let stopped = WaitStatus::Stopped(pid, Signal::SIGTRAP);
    assert_eq!(trace::wait(pid), Ok(stopped), "at its exec");
    ptrace::setoptions(pid, Options::PTRACE_O_EXITKILL).expect("setoptions");
    let mem = File::open(format!("/proc/{pid}/mem")).expect("its memory");
    let traced = Traced { pid, mem };

    let mut paths: BTreeMap<String, Path> = BTreeMap::new();
    loop {
        ptrace::cont(pid, None).expect("cont");
        match trace::wait(pid).expect("wait") {
            WaitStatus::Exited(_, 0) => break,
            status => assert_eq!(status, stopped, "the child failed"),
        }
        let regs = traced.regs();
        if regs.rax != 0 {
            let name = String::from_utf8(traced.read(regs.rdi, regs.rsi as usize)).expect("a name");
            let path = traced.follow(regs.rax);
            let most = paths.entry(name).or_default();
            most.instructions = most.instructions.max(path.instructions);
            most.calls = most.calls.max(path.calls);
            most.fences = most.fences.max(path.fences);
            most.syscalls = most.syscalls.max(path.syscalls);
        }
    }
    // It has been waited for already.
    let _ = child.try_wait();
    Ok(paths)
}

struct Traced {
    pid: Pid,
    mem: File,
}

impl Traced {
    fn regs(&self) -> libc::user_regs_struct {
        ptrace::getregs(self.pid).expect("its registers")
    }

    fn read(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.mem.read_exact_at(&mut bytes, at).expect("its memory");
        bytes
    }

    fn step(&self) -> libc::user_regs_struct {
        ptrace::step(self.pid, None).expect("step");
        assert_eq!(trace::wait(self.pid), Ok(WaitStatus::Stopped(self.pid, Signal::SIGTRAP)));
        self.regs()
    }

    /// From the next entry of the function at `address` until it has returned.
    fn follow(&self, address: u64) -> Path {
        let mut regs = self.regs();
        for _ in 0..MAX_STEPS {
            if regs.rip == address {
                break;
            }
            regs = self.step();
        }
        assert_eq!(regs.rip, address, "the function is not called");
        let stack = regs.rsp;
        let back = u64::from_le_bytes(self.read(stack, 8).try_into().expect("eight bytes"));
        let mut path = Path::default();
        for _ in 0..MAX_STEPS {
            match Kind::of(&self.read(regs.rip, 16)) {
                Kind::Call => path.calls += 1,
                Kind::Fence => path.fences += 1,
                Kind::Syscall => path.syscalls += 1,
                Kind::Other => {}
            }
            path.instructions += 1;
            regs = self.step();
            if regs.rip == back && regs.rsp == stack + 8 {
                return path;
            }
        }
        panic!("the function does not return");
    }
}

enum Kind {
    Call,
    Fence,
    Syscall,
    Other,
}

impl Kind {
    fn of(code: &[u8]) -> Self {
        let is_prefix = |b: &&u8| matches!(**b, 0x26 | 0x2E | 0x36 | 0x3E | 0x40..=0x4F | 0x64..=0x67 | 0xF0 | 0xF2 | 0xF3);
        let (prefixes, code) = code.split_at(code.iter().take_while(is_prefix).count());
        match *code {
            _ if prefixes.contains(&0xF0) => Self::Fence,
            // mfence; an exchange with memory, which locks by itself.
            [0x0F, 0xAE, 0xF0, ..] => Self::Fence,
            [0x86 | 0x87, modrm, ..] if modrm < 0xC0 => Self::Fence,
            [0xE8, ..] => Self::Call,
            [0xFF, modrm, ..] if modrm & 0x38 == 0x10 => Self::Call,
            [0x0F, 0x05, ..] => Self::Syscall,
            _ => Self::Other,
        }
    }
}
