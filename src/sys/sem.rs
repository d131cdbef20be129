//! `semget`, `semop`, `semtimedop`, `semctl`.
//!
//! `SETALL` is not here, and `SETVAL` only as [`erase`]: both forget the undo of every process.
//! `GETALL` writes as many values as the set has, and the id comes from a header that a peer may have
//! written: so it writes into a buffer with a guard behind it (I5).

use super::guarded::GuardedBuffer;
use super::{Errno, check, shm::Key};
use std::time::Duration;

/// The kernel's number for one semaphore set.
pub(crate) type SemId = libc::c_int;

/// One step of a `semop`: which semaphore, by how much (0 waits for zero), `IPC_NOWAIT`, `SEM_UNDO`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) index: u16,
    pub(crate) by: i16,
    pub(crate) wait: bool,
    pub(crate) undo: bool,
}

impl Step {
    /// Requires the semaphore to be zero now.
    pub(crate) const fn is_zero(index: u16) -> Self {
        Self { index, by: 0, wait: false, undo: false }
    }

    /// Waits until the semaphore is zero.
    pub(crate) const fn wait_zero(index: u16) -> Self {
        Self { wait: true, ..Self::is_zero(index) }
    }

    /// Changes the semaphore, and lets the kernel take it back when this process ends.
    pub(crate) const fn undoable(index: u16, by: i16) -> Self {
        Self { index, by, wait: false, undo: true }
    }

    /// Changes the semaphore for good.
    pub(crate) const fn lasting(index: u16, by: i16) -> Self {
        Self { index, by, wait: false, undo: false }
    }

    fn raw(self) -> libc::sembuf {
        let mut flags = 0;
        if !self.wait {
            flags |= libc::IPC_NOWAIT;
        }
        if self.undo {
            flags |= libc::SEM_UNDO;
        }
        libc::sembuf { sem_num: self.index, sem_op: self.by, sem_flg: flags as libc::c_short }
    }
}

/// What `IPC_STAT` says of a set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    pub(crate) key: Key,
    pub(crate) cuid: u32,
    pub(crate) count: usize,
}

/// `semget(key, count, IPC_CREAT | IPC_EXCL | mode)`: all semaphores start at zero.
pub(crate) fn create(key: Key, count: usize, mode: u32) -> Result<SemId, Errno> {
    let flags = libc::IPC_CREAT | libc::IPC_EXCL | (mode & 0o777) as libc::c_int;
    let count = libc::c_int::try_from(count).map_err(|_| Errno(libc::EINVAL))?;
    // SAFETY: semget takes no pointer.
    check(unsafe { libc::semget(key, count, flags) })
}

/// `semget(key, 0, 0)`: the set that has this key, whatever its size.
pub(crate) fn open(key: Key) -> Result<SemId, Errno> {
    // SAFETY: semget takes no pointer.
    check(unsafe { libc::semget(key, 0, 0) })
}

/// `semop` (or `semtimedop`): all steps at once or none. Interrupted calls go on for the rest of
/// the time.
pub(crate) fn operate<const N: usize>(
    id: SemId,
    steps: [Step; N],
    timeout: Option<Duration>,
) -> Result<(), Errno> {
    let mut raw = steps.map(Step::raw);
    let started = std::time::Instant::now();
    loop {
        let limit = timeout.map(|t| super::time::timespec(t.saturating_sub(started.elapsed())));
        let limit_ptr = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref::<libc::timespec>);
        // SAFETY: `raw` holds N sembufs; `limit_ptr` is null or points to a live timespec.
        let done = unsafe { libc::syscall(libc::SYS_semtimedop, id, raw.as_mut_ptr(), N, limit_ptr) };
        match check(done as libc::c_int) {
            Ok(_) => return Ok(()),
            Err(Errno(libc::EINTR)) => {}
            Err(e) => return Err(e),
        }
    }
}

/// `semctl(id, index, GETVAL)`.
pub(crate) fn value(id: SemId, index: u16) -> Result<i32, Errno> {
    // SAFETY: GETVAL takes no fourth argument.
    check(unsafe { libc::semctl(id, libc::c_int::from(index), libc::GETVAL) })
}

/// `semctl(id, 0, GETALL)`. `EFAULT`: the set has more semaphores than the buffer has room for.
pub(crate) fn values(id: SemId, into: &mut GuardedBuffer) -> Result<(), Errno> {
    // SAFETY: GETALL writes from the front to the back, as many values as the set has; what does not
    // fit meets the buffer's guard.
    check(unsafe { libc::semctl(id, 0, libc::GETALL, into.as_mut_ptr()) }).map(drop)
}

/// `semctl(id, index, GETPID)`: who last changed it, 0 when outside this PID namespace.
pub(crate) fn last_pid(id: SemId, index: u16) -> Result<i32, Errno> {
    // SAFETY: GETPID takes no fourth argument.
    check(unsafe { libc::semctl(id, libc::c_int::from(index), libc::GETPID) })
}

/// `semctl(id, index, SETVAL, 0)`: zero, and **every process's undo for it is forgotten**.
///
/// The one caller is the seat take-over after `exec`, under the set's lock (see `region::seats`).
pub(crate) fn erase(id: SemId, index: u16) -> Result<(), Errno> {
    let zero: libc::c_int = 0;
    // SAFETY: SETVAL takes an int.
    check(unsafe { libc::semctl(id, libc::c_int::from(index), libc::SETVAL, zero) }).map(drop)
}

fn stat_raw(id: SemId) -> Result<libc::semid_ds, Errno> {
    let mut ds = std::mem::MaybeUninit::<libc::semid_ds>::zeroed();
    // SAFETY: IPC_STAT writes one semid_ds to the pointer, which has room for it.
    check(unsafe { libc::semctl(id, 0, libc::IPC_STAT, ds.as_mut_ptr()) })?;
    // SAFETY: zeroed above and filled by the kernel; every field is an integer.
    Ok(unsafe { ds.assume_init() })
}

/// `semctl(id, 0, IPC_STAT)`.
pub(crate) fn stat(id: SemId) -> Result<Stat, Errno> {
    let ds = stat_raw(id)?;
    Ok(Stat { key: ds.sem_perm.__key, cuid: ds.sem_perm.cuid, count: ds.sem_nsems as usize })
}

/// `semctl(id, 0, IPC_SET)`: changes owner and mode; the creator stays.
pub(crate) fn set_permissions(id: SemId, mode: Option<u32>, owner: Option<(u32, u32)>) -> Result<(), Errno> {
    let mut ds = stat_raw(id)?;
    if let Some(mode) = mode {
        ds.sem_perm.mode = (mode & 0o777) as _;
    }
    if let Some((uid, gid)) = owner {
        ds.sem_perm.uid = uid;
        ds.sem_perm.gid = gid;
    }
    // SAFETY: IPC_SET reads one semid_ds, which lives on this stack.
    check(unsafe { libc::semctl(id, 0, libc::IPC_SET, &raw mut ds) }).map(drop)
}

/// `semctl(id, 0, IPC_RMID)`: at once; who waits on the set gets `EIDRM`.
pub(crate) fn remove(id: SemId) -> Result<(), Errno> {
    // SAFETY: IPC_RMID takes no fourth argument.
    check(unsafe { libc::semctl(id, 0, libc::IPC_RMID) }).map(drop)
}

/// How much of the system's allowance is in use: (sets, semaphores). `semctl(0, 0, SEM_INFO)`.
pub(crate) fn usage() -> Result<(u64, u64), Errno> {
    /// `struct seminfo` of the kernel: what `SEM_INFO` fills in.
    #[repr(C)]
    #[derive(Default)]
    struct SemInfo {
        semmap: libc::c_int,
        semmni: libc::c_int,
        semmns: libc::c_int,
        semmnu: libc::c_int,
        semmsl: libc::c_int,
        semopm: libc::c_int,
        semume: libc::c_int,
        semusz: libc::c_int,
        semvmx: libc::c_int,
        semaem: libc::c_int,
    }
    const SEM_INFO: libc::c_int = 19;
    let mut info = SemInfo::default();
    // SAFETY: SEM_INFO writes one seminfo; the struct above has its shape.
    check(unsafe { libc::semctl(0, 0, SEM_INFO, &raw mut info) })?;
    // SEM_INFO puts the numbers in use where SEM_STAT puts limits: sets in semusz, semaphores in semaem.
    Ok((info.semusz as u64, info.semaem as u64))
}
