//! Segments and sets past the library: what another program, or a hostile peer, would do, and what
//! the kernel itself says. Included by the tests that need it with `#[path]`.
#![allow(dead_code, unreachable_pub)] // each test binary uses a part of it

use std::ptr::null_mut;

/// An attachment of this process, made with `shmat`. Detached on drop.
pub struct RawSegment {
    pub id: i32,
    pub len: usize,
    at: *mut u8,
}

impl RawSegment {
    /// A new segment, of zeros, as any other program would make it.
    pub fn create(key: i32, len: usize) -> Self {
        // SAFETY: shmget takes no pointer.
        let id = unsafe { libc::shmget(key, len, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
        assert!(id >= 0, "shmget: {}", std::io::Error::last_os_error());
        Self::attach(id)
    }

    pub fn attach(id: i32) -> Self {
        let len = shm_stat(id).expect("exists").shm_segsz;
        // SAFETY: the kernel chooses the address.
        let at = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        assert!(at as isize != -1, "shmat: {}", std::io::Error::last_os_error());
        Self { id, len, at: at.cast() }
    }

    pub fn put(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.len);
        for (i, byte) in bytes.iter().enumerate() {
            // SAFETY: just asserted: inside the segment.
            unsafe { self.at.wrapping_add(offset + i).write_volatile(*byte) };
        }
    }

    pub fn get<const N: usize>(&self, offset: usize) -> [u8; N] {
        assert!(offset + N <= self.len);
        // SAFETY: just asserted: inside the segment.
        std::array::from_fn(|i| unsafe { self.at.wrapping_add(offset + i).read_volatile() })
    }

    pub fn bytes(&self, offset: usize, len: usize) -> Vec<u8> {
        (offset..offset + len).map(|at| self.get::<1>(at)[0]).collect()
    }

    pub fn get_u64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.get(offset))
    }

    pub fn put_u64(&self, offset: usize, value: u64) {
        self.put(offset, &value.to_le_bytes());
    }

    pub fn get_i32(&self, offset: usize) -> i32 {
        i32::from_le_bytes(self.get(offset))
    }

    pub fn put_i32(&self, offset: usize, value: i32) {
        self.put(offset, &value.to_le_bytes());
    }
}

impl Drop for RawSegment {
    fn drop(&mut self) {
        // SAFETY: attached by us; the wrappers above are its only users.
        unsafe { libc::shmdt(self.at.cast()) };
    }
}

/// `IPC_STAT`; `None` if there is no such segment.
pub fn shm_stat(id: i32) -> Option<libc::shmid_ds> {
    let mut ds = std::mem::MaybeUninit::<libc::shmid_ds>::zeroed();
    // SAFETY: writes one shmid_ds.
    let done = unsafe { libc::shmctl(id, libc::IPC_STAT, ds.as_mut_ptr()) };
    // SAFETY: zeroed above, all fields are integers.
    (done == 0).then(|| unsafe { ds.assume_init() })
}

/// `IPC_STAT`; `None` if there is no such set.
pub fn sem_stat(id: i32) -> Option<libc::semid_ds> {
    let mut ds = std::mem::MaybeUninit::<libc::semid_ds>::zeroed();
    // SAFETY: writes one semid_ds.
    let done = unsafe { libc::semctl(id, 0, libc::IPC_STAT, ds.as_mut_ptr()) };
    // SAFETY: zeroed above, all fields are integers.
    (done == 0).then(|| unsafe { ds.assume_init() })
}

/// The id of the segment that has this key.
pub fn shm_of(key: i32) -> Option<i32> {
    // SAFETY: shmget takes no pointer.
    let id = unsafe { libc::shmget(key, 0, 0) };
    (id >= 0).then_some(id)
}

/// The id of the set that has this key.
pub fn sem_of(key: i32) -> Option<i32> {
    // SAFETY: semget takes no pointer.
    let id = unsafe { libc::semget(key, 0, 0) };
    (id >= 0).then_some(id)
}

pub fn shm_remove(id: i32) {
    // SAFETY: IPC_RMID ignores the pointer.
    unsafe { libc::shmctl(id, libc::IPC_RMID, null_mut()) };
}

pub fn sem_remove(id: i32) {
    // SAFETY: IPC_RMID takes no fourth argument.
    unsafe { libc::semctl(id, 0, libc::IPC_RMID) };
}

/// A new set of zeros.
pub fn sem_create(key: i32, count: i32) -> i32 {
    // SAFETY: semget takes no pointer.
    let id = unsafe { libc::semget(key, count, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
    assert!(id >= 0, "semget: {}", std::io::Error::last_os_error());
    id
}

pub fn sem_value(id: i32, index: i32) -> i32 {
    // SAFETY: GETVAL takes no fourth argument.
    unsafe { libc::semctl(id, index, libc::GETVAL) }
}

pub fn sem_set_value(id: i32, index: i32, value: i32) {
    // SAFETY: SETVAL takes an int.
    let done = unsafe { libc::semctl(id, index, libc::SETVAL, value) };
    assert_eq!(done, 0, "semctl(SETVAL): {}", std::io::Error::last_os_error());
}

/// Semaphore numbers in a ring's set, by `docs/layout.md`.
pub const LOCK: i32 = 0;
pub const CREATING: i32 = 1;
pub const PRODUCER: i32 = 3;
pub const CONSUMER: i32 = 4;

/// Removes a segment and a set by id on drop: what has no key, or lost it.
pub struct Cleanup {
    pub segments: Vec<i32>,
    pub sets: Vec<i32>,
}

impl Cleanup {
    pub fn of(shm_id: i32, sem_id: i32) -> Self {
        Self { segments: vec![shm_id], sets: vec![sem_id] }
    }

    pub fn set(sem_id: i32) -> Self {
        Self { segments: vec![], sets: vec![sem_id] }
    }

    pub fn segment(shm_id: i32) -> Self {
        Self { segments: vec![shm_id], sets: vec![] }
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        self.segments.iter().copied().for_each(shm_remove);
        self.sets.iter().copied().for_each(sem_remove);
    }
}

/// Runs a closure in a thread whose effective user is another one. The kernel keeps users by
/// thread, and this asks it directly, past the C library that would change all of them.
pub fn as_user<T: Send>(uid: u32, f: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                // SAFETY: changes this thread's effective user only, which ends with the thread.
                let done = unsafe { libc::syscall(libc::SYS_setresuid, -1i32, uid, -1i32) };
                assert_eq!(done, 0, "setresuid: {}", std::io::Error::last_os_error());
                f()
            })
            .join()
            .unwrap_or_else(|e| std::panic::resume_unwind(e))
    })
}

/// Waits until something is so; `false` if it does not come to be. Whoever lists the rings of the
/// machine has each attached for a moment, and so may be the last to leave in place of another.
pub fn soon(so: impl Fn() -> bool) -> bool {
    for _ in 0..2000 {
        if so() {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    so()
}

/// Whether neither a segment nor a set has this key (any more).
pub fn is_gone(key: i32) -> bool {
    soon(|| shm_of(key).is_none() && sem_of(key).is_none())
}

/// The same by their ids.
pub fn ids_are_gone(shm_id: i32, sem_id: i32) -> bool {
    soon(|| shm_stat(shm_id).is_none() && sem_stat(sem_id).is_none())
}

pub fn is_root() -> bool {
    // SAFETY: geteuid takes no pointer.
    unsafe { libc::geteuid() == 0 }
}
