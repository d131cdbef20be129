//! Names of rings that no other test uses, and what the kernel has under them.

use std::sync::atomic::{AtomicU32, Ordering};

/// A ring's name. Whatever exists under it is removed when this is dropped.
pub(crate) struct TestName(String);

impl TestName {
    pub(crate) fn new(tag: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(format!("cli-{tag}-{}-{n}", std::process::id()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// By the algorithm in `docs/layout.md` (FNV-1a).
    pub(crate) fn key(&self) -> i32 {
        let step = |h: u32, b: u8| (h ^ u32::from(b)).wrapping_mul(0x0100_0193);
        self.0.bytes().fold(0x811c_9dc5, step) as i32
    }

    /// The ids of the segment and of the set that have the key; below 0 if there is none.
    fn ids(&self) -> (i32, i32) {
        // SAFETY: shmget takes no pointer.
        let shm = unsafe { libc::shmget(self.key(), 0, 0) };
        // SAFETY: semget takes no pointer.
        let sem = unsafe { libc::semget(self.key(), 0, 0) };
        (shm, sem)
    }

    /// Whether there is a segment, and a set, of this name.
    pub(crate) fn objects(&self) -> (bool, bool) {
        let (shm, sem) = self.ids();
        (shm >= 0, sem >= 0)
    }

    /// Insists that nothing of this name is left.
    #[track_caller]
    pub(crate) fn is_gone(&self) {
        assert_eq!(self.objects(), (false, false), "(segment, set) left behind");
    }
}

impl Drop for TestName {
    fn drop(&mut self) {
        let (shm, sem) = self.ids();
        // SAFETY: IPC_RMID ignores the pointer. An id below 0 is refused.
        unsafe { libc::shmctl(shm, libc::IPC_RMID, std::ptr::null_mut()) };
        // SAFETY: IPC_RMID takes no fourth argument. An id below 0 is refused.
        unsafe { libc::semctl(sem, 0, libc::IPC_RMID) };
    }
}
