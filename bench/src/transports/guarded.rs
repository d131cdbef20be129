//! An array in shared memory under a lock: a robust process-shared mutex with condition variables,
//! or a lock on a file.

use super::{Cell, Channel, End, Keeper, Made, Processes, Receiver, Sender};
use crate::for_size;
use crate::memory::{self, Memory, TWO_LINES};
use crate::payload::{capacity, check, fill};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

const MUTEX: usize = 0;
/// The two condition variables: for messages, for room.
const CONDITIONS: [usize; 2] = [TWO_LINES, 2 * TWO_LINES];
/// How many messages were written and read, under the lock.
const WRITTEN: usize = 3 * TWO_LINES;
const READ: usize = 4 * TWO_LINES;
const SLOTS: usize = 5 * TWO_LINES;

fn bytes(size: usize) -> usize {
    SLOTS + capacity(size) * size
}

/// What both sides wait for.
#[derive(Clone, Copy)]
enum For {
    Message,
    Room,
}

/// Excludes the other side.
trait Guard {
    fn lock(&self) -> Result<()>;
    fn unlock(&self) -> Result<()>;
    /// Under the lock: gives it up until there may be what is waited for.
    fn wait(&self, what: For) -> Result<()>;
    /// Under the lock: there is.
    fn tell(&self, what: For) -> Result<()>;
}

struct Side<const N: usize, G> {
    memory: Memory,
    guard: G,
    message: Vec<[u64; N]>,
}

impl<const N: usize, G: Guard> Side<N, G> {
    fn slot(&self, index: u64) -> *mut [u64; N] {
        let at = (index % capacity(N * 8) as u64) as usize;
        self.memory.words::<N>(SLOTS + at * N * 8).as_ptr()
    }

    fn used(&self) -> u64 {
        // Relaxed: under the lock.
        self.memory.word(WRITTEN).load(Relaxed) - self.memory.word(READ).load(Relaxed)
    }
}

impl<const N: usize, G: Guard> Sender for Side<N, G> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            fill(&mut self.message[0], seq);
            self.guard.lock()?;
            while self.used() == capacity(N * 8) as u64 {
                self.guard.wait(For::Room)?;
            }
            let at = self.memory.word(WRITTEN).load(Relaxed);
            // SAFETY: inside the segment and aligned; under the lock nobody else touches it.
            unsafe { self.slot(at).copy_from_nonoverlapping(self.message.as_ptr(), 1) };
            self.memory.word(WRITTEN).store(at + 1, Relaxed);
            self.guard.tell(For::Message)?;
            self.guard.unlock()?;
        }
        Ok(())
    }
}

impl<const N: usize, G: Guard> Receiver for Side<N, G> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            self.guard.lock()?;
            while self.used() == 0 {
                self.guard.wait(For::Message)?;
            }
            let at = self.memory.word(READ).load(Relaxed);
            // SAFETY: inside the segment and aligned; under the lock nobody else touches it.
            unsafe { self.slot(at).copy_to_nonoverlapping(self.message.as_mut_ptr(), 1) };
            self.memory.word(READ).store(at + 1, Relaxed);
            self.guard.tell(For::Room)?;
            self.guard.unlock()?;
            check(&self.message[0], seq)?;
        }
        Ok(())
    }
}

/// `pthread_mutex_t`, process-shared and robust: the next one is told if its holder dies.
pub(super) struct RobustMutex;

impl Processes for RobustMutex {
    fn make(&self, cell: Cell, keeper: &Rc<Keeper>) -> Result<Made> {
        let channel = memory::make(bytes(cell.size), keeper)?;
        Mutex(Memory::open(&channel.sender, bytes(cell.size))?).initialise()?;
        Ok(Made::Channel(channel))
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        for_size!(cell.size, N => Ok(Box::new(with_mutex::<N>(&end)?)))
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        for_size!(cell.size, N => Ok(Box::new(with_mutex::<N>(&end)?)))
    }
}

fn with_mutex<const N: usize>(end: &End) -> Result<Side<N, Mutex>> {
    let memory = Memory::open(end, bytes(N * 8))?;
    Ok(Side { memory, guard: Mutex(memory), message: vec![[0; N]] })
}

struct Mutex(Memory);

/// What a `pthread_…` function returned.
fn checked(code: i32, what: &str) -> Result<()> {
    if code == 0 { Ok(()) } else { Err(Errno::from_raw(code)).with_context(|| what.to_owned()) }
}

impl Mutex {
    fn mutex(&self) -> *mut libc::pthread_mutex_t {
        self.0.words::<1>(MUTEX).as_ptr().cast()
    }

    fn condition(&self, what: For) -> *mut libc::pthread_cond_t {
        self.0.words::<1>(CONDITIONS[what as usize]).as_ptr().cast()
    }

    fn initialise(&self) -> Result<()> {
        let mut attributes = std::mem::MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
        let mutex = attributes.as_mut_ptr();
        // SAFETY: the attributes live on this frame.
        checked(unsafe { libc::pthread_mutexattr_init(mutex) }, "pthread_mutexattr_init")?;
        // SAFETY: initialised above.
        let shared = unsafe { libc::pthread_mutexattr_setpshared(mutex, libc::PTHREAD_PROCESS_SHARED) };
        checked(shared, "pthread_mutexattr_setpshared")?;
        // SAFETY: initialised above.
        let robust = unsafe { libc::pthread_mutexattr_setrobust(mutex, libc::PTHREAD_MUTEX_ROBUST) };
        checked(robust, "pthread_mutexattr_setrobust")?;
        // SAFETY: nobody else knows the segment yet; it has room for a mutex there.
        checked(unsafe { libc::pthread_mutex_init(self.mutex(), mutex) }, "pthread_mutex_init")?;
        let mut attributes = std::mem::MaybeUninit::<libc::pthread_condattr_t>::uninit();
        let condition = attributes.as_mut_ptr();
        // SAFETY: the attributes live on this frame.
        checked(unsafe { libc::pthread_condattr_init(condition) }, "pthread_condattr_init")?;
        // SAFETY: initialised above.
        let shared = unsafe { libc::pthread_condattr_setpshared(condition, libc::PTHREAD_PROCESS_SHARED) };
        checked(shared, "pthread_condattr_setpshared")?;
        for what in [For::Message, For::Room] {
            // SAFETY: as the mutex.
            let code = unsafe { libc::pthread_cond_init(self.condition(what), condition) };
            checked(code, "pthread_cond_init")?;
        }
        Ok(())
    }

    /// Of a lock call: the dead holder's lock is ours; the counters are whole at every instruction.
    fn held(&self, code: i32, what: &str) -> Result<()> {
        if code != libc::EOWNERDEAD {
            return checked(code, what);
        }
        // SAFETY: this thread holds it.
        checked(unsafe { libc::pthread_mutex_consistent(self.mutex()) }, "pthread_mutex_consistent")
    }
}

impl Guard for Mutex {
    fn lock(&self) -> Result<()> {
        // SAFETY: initialised by the parent.
        self.held(unsafe { libc::pthread_mutex_lock(self.mutex()) }, "pthread_mutex_lock")
    }

    fn unlock(&self) -> Result<()> {
        // SAFETY: this thread holds it.
        checked(unsafe { libc::pthread_mutex_unlock(self.mutex()) }, "pthread_mutex_unlock")
    }

    fn wait(&self, what: For) -> Result<()> {
        // SAFETY: initialised by the parent; this thread holds the mutex.
        let code = unsafe { libc::pthread_cond_wait(self.condition(what), self.mutex()) };
        self.held(code, "pthread_cond_wait")
    }

    fn tell(&self, what: For) -> Result<()> {
        // SAFETY: initialised by the parent.
        checked(unsafe { libc::pthread_cond_signal(self.condition(what)) }, "pthread_cond_signal")
    }
}

/// A write lock on an open file; who has nothing to do yields the processor and looks again.
pub(super) struct FileLock;

impl Processes for FileLock {
    fn make(&self, cell: Cell, keeper: &Rc<Keeper>) -> Result<Made> {
        let Channel { mut sender, mut receiver, objects } = memory::make(bytes(cell.size), keeper)?;
        let file = match memfd_create("segring-bench-lock", MFdFlags::MFD_CLOEXEC) {
            Ok(file) => file,
            Err(Errno::ENOSYS) => return Ok(Made::Impossible("memfd_create: not in this kernel".to_owned())),
            Err(e) => return Err(e).context("memfd_create"),
        };
        // The lock belongs to the open file, so each side needs one of its own.
        receiver.fd = Some(reopened(&file)?);
        sender.fd = Some(file);
        Ok(Made::Channel(Channel::new(sender, receiver, objects)))
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        for_size!(cell.size, N => Ok(Box::new(with_file::<N>(end)?)))
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        for_size!(cell.size, N => Ok(Box::new(with_file::<N>(end)?)))
    }
}

fn reopened(file: &OwnedFd) -> Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let file = File::options().read(true).write(true).open(&path).with_context(|| format!("open {path}"))?;
    Ok(file.into())
}

fn with_file<const N: usize>(end: End) -> Result<Side<N, Lock>> {
    let memory = Memory::open(&end, bytes(N * 8))?;
    Ok(Side { memory, guard: Lock(end.descriptor()?), message: vec![[0; N]] })
}

struct Lock(OwnedFd);

impl Lock {
    fn set(&self, kind: i32) -> Result<()> {
        let whole = libc::flock {
            l_type: i16::try_from(kind)?,
            l_whence: i16::try_from(libc::SEEK_SET)?,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        loop {
            match fcntl(&self.0, FcntlArg::F_OFD_SETLKW(&whole)) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(Errno::EINVAL) => bail!("fcntl(F_OFD_SETLKW): not in this kernel"),
                Err(e) => return Err(e).context("fcntl(F_OFD_SETLKW)"),
            }
        }
    }
}

impl Guard for Lock {
    fn lock(&self) -> Result<()> {
        self.set(libc::F_WRLCK)
    }

    fn unlock(&self) -> Result<()> {
        self.set(libc::F_UNLCK)
    }

    fn wait(&self, _: For) -> Result<()> {
        self.unlock()?;
        std::thread::yield_now();
        self.lock()
    }

    fn tell(&self, _: For) -> Result<()> {
        Ok(())
    }
}
