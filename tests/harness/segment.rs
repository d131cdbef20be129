//! A segment as a hostile peer has it.

use super::Rng;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

/// `docs/layout.md`: header 1024, two seats, three lines of 128; slots on the next page.
pub const SEATS: u64 = 1024;
pub const TAIL: u64 = 1280;
pub const HEAD: u64 = 1408;
pub const FLAGS: u64 = 1536;
pub const SLOTS: u64 = 4096;

/// The segment as a hostile peer has it: past the library, word by word.
pub struct Raw {
    base: usize,
    pub words: usize,
}

impl Raw {
    pub fn attach(id: i32) -> Self {
        // SAFETY: a null address lets the kernel choose.
        let at = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        assert!(at as isize != -1, "shmat");
        // SAFETY: an all-zero shmid_ds is a valid one.
        let mut stat: libc::shmid_ds = unsafe { std::mem::zeroed() };
        // SAFETY: writes one shmid_ds.
        let done = unsafe { libc::shmctl(id, libc::IPC_STAT, &raw mut stat) };
        assert_eq!(done, 0, "shmctl");
        Self { base: at as usize, words: stat.shm_segsz / 8 }
    }

    pub fn word(&self, offset: u64) -> &AtomicU64 {
        let index = offset as usize / 8;
        assert!(index < self.words);
        // SAFETY: inside the segment, aligned, mapped as long as `self`.
        unsafe { AtomicU64::from_ptr((self.base + index * 8) as *mut u64) }
    }

    pub fn half(&self, offset: u64) -> &AtomicU32 {
        assert!((offset as usize) < self.words * 8);
        // SAFETY: inside the segment, aligned, mapped as long as `self`.
        unsafe { AtomicU32::from_ptr((self.base + offset as usize) as *mut u32) }
    }

    pub fn copy(&self) -> Vec<u64> {
        (0..self.words).map(|i| self.word(i as u64 * 8).load(Relaxed)).collect()
    }

    pub fn restore(&self, copy: &[u64]) {
        (0..).zip(copy).for_each(|(i, w)| self.word(i * 8).store(*w, Relaxed));
    }

    /// Cursors, flags and slots only: a seat record of before would be a lie about who sits there.
    pub fn restore_data(&self, copy: &[u64]) {
        (0..).zip(copy).skip(TAIL as usize / 8).for_each(|(i, w)| self.word(i * 8).store(*w, Relaxed));
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: mapped by `attach`, and nobody has a reference any more.
        unsafe { libc::shmdt(self.base as *const libc::c_void) };
    }
}

/// Words that a peer of bad will would choose.
pub fn spite(rng: &mut Rng) -> u64 {
    let near = rng.below(33).wrapping_sub(16);
    match rng.below(9) {
        0 => rng.next(),
        1 => near,
        2 => u64::MAX.wrapping_add(near),
        3 => (1u64 << 62).wrapping_add(near),
        4 => (1u64 << 63).wrapping_add(near),
        5 => 1u64 << rng.below(64),
        6 => 4096u64.wrapping_add(near),
        7 => near.wrapping_mul(8),
        _ => 1 << 32 | rng.below(4),
    }
}

/// Ends the other thread also when this one panics.
pub struct StopOnDrop<'a>(pub &'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
