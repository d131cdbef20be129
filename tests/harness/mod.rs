//! What the kill tests need beyond `common`: random numbers, memory of the test's own, and a look
//! at where a process stands.
#![allow(dead_code, unreachable_pub)] // each test binary uses a part of it

pub mod locate;
pub mod segment;
pub mod trace;

use std::ops::Deref;
use std::ptr::NonNull;

/// splitmix64: small, and good enough to choose moments.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another course every time. Print the seed.
    pub fn random_seed() -> u64 {
        use std::hash::{BuildHasher, Hasher};
        std::hash::RandomState::new().build_hasher().finish()
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// A number that has nothing to do with the one given.
pub fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

/// Memory that parent and children share past the library: a System V segment that is removed as
/// soon as it exists, so that nothing can leak. `T` must be atomics only, and all zeros a value.
pub struct Shared<T> {
    at: NonNull<T>,
    id: i32,
}

// SAFETY: shared memory of atomics.
unsafe impl<T: Sync> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Shared<T> {}

impl<T: Sync> Shared<T> {
    pub fn create() -> Self {
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | 0o600;
        // SAFETY: shmget takes no pointer.
        let id = unsafe { libc::shmget(libc::IPC_PRIVATE, size_of::<T>(), flags) };
        assert!(id >= 0, "shmget: {}", std::io::Error::last_os_error());
        let this = Self::attach(id);
        // SAFETY: shmctl(IPC_RMID) takes no pointer. Others may attach by id as long as we are.
        unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
        this
    }

    pub fn attach(id: i32) -> Self {
        // SAFETY: a null address lets the kernel choose; nothing is mapped over.
        let at = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        assert!(at as isize != -1, "shmat: {}", std::io::Error::last_os_error());
        Self { at: NonNull::new(at.cast()).expect("an address"), id }
    }

    pub fn id(&self) -> i32 {
        self.id
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: page-aligned memory of at least the size of `T`, mapped until drop; all zeros at
        // first, which is a value of `T`, and changed through atomics only.
        unsafe { self.at.as_ref() }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: mapped by `attach`, and nobody uses it any more.
        unsafe { libc::shmdt(self.at.as_ptr().cast()) };
    }
}
