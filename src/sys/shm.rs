//! `shmget`, `shmat`, `shmdt`, `shmctl`.

use super::{Errno, check};
use std::ptr::NonNull;

/// A System V key. `0` is `IPC_PRIVATE`.
pub(crate) type Key = libc::key_t;

/// The kernel's number for one segment.
pub(crate) type ShmId = libc::c_int;

/// What `IPC_STAT` says of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    pub(crate) key: Key,
    pub(crate) size: usize,
    pub(crate) uid: u32,
    pub(crate) cuid: u32,
    pub(crate) mode: u32,
    /// Who made it (`shm_cpid`), 0 when outside this PID namespace.
    pub(crate) creator_pid: i32,
    pub(crate) attached: u64,
    /// `SHM_DEST`: removed, and destroyed at the last detach.
    pub(crate) removed: bool,
}

/// `shmget(key, size, IPC_CREAT | IPC_EXCL | mode)`, with `SHM_HUGETLB` if asked.
pub(crate) fn create(key: Key, size: usize, mode: u32, huge: bool) -> Result<ShmId, Errno> {
    let mut flags = libc::IPC_CREAT | libc::IPC_EXCL | (mode & 0o777) as libc::c_int;
    if huge {
        flags |= libc::SHM_HUGETLB;
    }
    // SAFETY: shmget takes no pointer.
    check(unsafe { libc::shmget(key, size, flags) })
}

/// `shmget(key, 0, 0)`: the segment that has this key, whatever its size.
pub(crate) fn open(key: Key) -> Result<ShmId, Errno> {
    // SAFETY: shmget takes no pointer.
    check(unsafe { libc::shmget(key, 0, 0) })
}

/// `shmat(id, NULL, …)`: attaches where the kernel finds room.
pub(crate) fn attach(id: ShmId, read_only: bool) -> Result<NonNull<u8>, Errno> {
    let flags = if read_only { libc::SHM_RDONLY } else { 0 };
    // SAFETY: a null address lets the kernel choose; no existing mapping is touched.
    let at = unsafe { libc::shmat(id, std::ptr::null(), flags) };
    if at as isize == -1 {
        return Err(Errno::last());
    }
    NonNull::new(at.cast()).ok_or(Errno(libc::EINVAL))
}

/// `shmdt(at)`.
///
/// # Safety
/// `at` came from [`attach`], and nothing uses the mapping any more.
pub(crate) unsafe fn detach(at: NonNull<u8>) -> Result<(), Errno> {
    // SAFETY: the caller gives up the mapping.
    check(unsafe { libc::shmdt(at.as_ptr().cast()) }).map(drop)
}

fn stat_raw(id: ShmId) -> Result<libc::shmid_ds, Errno> {
    let mut ds = std::mem::MaybeUninit::<libc::shmid_ds>::zeroed();
    // SAFETY: IPC_STAT writes one shmid_ds to the pointer, which has room for it.
    check(unsafe { libc::shmctl(id, libc::IPC_STAT, ds.as_mut_ptr()) })?;
    // SAFETY: zeroed above and filled by the kernel; every field is an integer.
    Ok(unsafe { ds.assume_init() })
}

/// `shmctl(id, IPC_STAT)`.
pub(crate) fn stat(id: ShmId) -> Result<Stat, Errno> {
    let ds = stat_raw(id)?;
    let mode = u32::from(ds.shm_perm.mode);
    Ok(Stat {
        key: ds.shm_perm.__key,
        size: ds.shm_segsz,
        uid: ds.shm_perm.uid,
        cuid: ds.shm_perm.cuid,
        mode: mode & 0o777,
        creator_pid: ds.shm_cpid,
        attached: ds.shm_nattch,
        removed: mode & SHM_DEST != 0,
    })
}

/// `SHM_DEST` in `shm_perm.mode` (not in every version of the libc crate).
const SHM_DEST: u32 = 0o1000;

/// `shmctl(id, IPC_SET)`: changes owner and mode; the creator stays.
pub(crate) fn set_permissions(id: ShmId, mode: Option<u32>, owner: Option<(u32, u32)>) -> Result<(), Errno> {
    let mut ds = stat_raw(id)?;
    if let Some(mode) = mode {
        ds.shm_perm.mode = (mode & 0o777) as _;
    }
    if let Some((uid, gid)) = owner {
        ds.shm_perm.uid = uid;
        ds.shm_perm.gid = gid;
    }
    // SAFETY: IPC_SET reads one shmid_ds, which lives on this stack.
    check(unsafe { libc::shmctl(id, libc::IPC_SET, &raw mut ds) }).map(drop)
}

/// `shmctl(id, IPC_RMID)`: the key is free at once, the memory at the last detach.
pub(crate) fn remove(id: ShmId) -> Result<(), Errno> {
    // SAFETY: IPC_RMID ignores the pointer.
    check(unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) }).map(drop)
}

/// `shmctl(id, SHM_LOCK)` or `SHM_UNLOCK`: pages that are touched stay in memory.
pub(crate) fn lock(id: ShmId, locked: bool) -> Result<(), Errno> {
    let call = if locked { libc::SHM_LOCK } else { libc::SHM_UNLOCK };
    // SAFETY: SHM_LOCK and SHM_UNLOCK ignore the pointer.
    check(unsafe { libc::shmctl(id, call, std::ptr::null_mut()) }).map(drop)
}

/// How much of the system's allowance is in use: (segments, pages). `shmctl(0, SHM_INFO)`.
pub(crate) fn usage() -> Result<(u64, u64), Errno> {
    /// `struct shm_info` of the kernel: what `SHM_INFO` fills in.
    #[repr(C)]
    #[derive(Default)]
    struct ShmInfo {
        used_ids: libc::c_int,
        shm_tot: libc::c_ulong,
        shm_rss: libc::c_ulong,
        shm_swp: libc::c_ulong,
        swap_attempts: libc::c_ulong,
        swap_successes: libc::c_ulong,
    }
    const SHM_INFO: libc::c_int = 14;
    let mut info = ShmInfo::default();
    // SAFETY: SHM_INFO writes one shm_info; the struct above has its shape.
    check(unsafe { libc::shmctl(0, SHM_INFO, (&raw mut info).cast()) })?;
    Ok((info.used_ids as u64, info.shm_tot))
}
