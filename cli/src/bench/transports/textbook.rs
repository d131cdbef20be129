//! Shared memory as textbooks show it: an array of slots, and three semaphores by `semop`: `empty`
//! counts free slots, `full` counts messages, `mutex` protects the array.

use super::sysv::{self, Object};
use super::{Channel, End, Keeper, Receiver, Sender, ids};
use crate::bench::payload::{check, fill};
use anyhow::{Context, Result};
use nix::errno::Errno;
use std::ptr::NonNull;
use std::rc::Rc;

const MUTEX: u16 = 0;
const EMPTY: u16 = 1;
const FULL: u16 = 2;

/// As many slots as the ring has with one message per call.
fn slots(size: usize) -> usize {
    ((1 << 20) / size).min(1024)
}

pub(super) fn make(size: usize, keeper: &Rc<Keeper>) -> Result<Channel> {
    let segment = sysv::new_segment(size * slots(size)).context("shmget")?;
    let mut objects = Vec::from(sysv::own(Object::Segment(segment), keeper)?);
    let set = sysv::new_set(3).context("semget")?;
    objects.extend(sysv::own(Object::Set(set), keeper)?);
    for (semaphore, value) in [(MUTEX, 1), (EMPTY, i32::try_from(slots(size))?), (FULL, 0)] {
        // SAFETY: SETVAL takes a number.
        let result = unsafe { libc::semctl(set, i32::from(semaphore), libc::SETVAL, value) };
        Errno::result(result).context("semctl(SETVAL)")?;
    }
    Ok(Channel::by_ids(vec![segment, set], objects))
}

/// Either side: attached, with its own index into the array.
pub(super) struct Side<const N: usize> {
    base: NonNull<[u64; N]>,
    set: i32,
    index: usize,
    message: Vec<[u64; N]>,
}

impl<const N: usize> Side<N> {
    pub(super) fn open(end: &End) -> Result<Self> {
        let [segment, set] = ids(end)?;
        // SAFETY: the kernel chooses the address. The process detaches by ending.
        let base = unsafe { libc::shmat(segment, std::ptr::null(), 0) };
        if base.addr() == usize::MAX {
            return Err(Errno::last()).context("shmat");
        }
        let base = NonNull::new(base.cast()).context("shmat gave address 0")?;
        let mut side = Self { base, set, index: 0, message: vec![[0; N]] };
        side.touch();
        Ok(side)
    }

    /// Makes every page present, as the ring's `prefault` does.
    fn touch(&mut self) {
        for index in 0..slots(N * 8) {
            // SAFETY: inside the segment; a volatile load of one word, whose value is not used.
            let _: u64 = unsafe { self.base.as_ptr().wrapping_add(index).cast::<u64>().read_volatile() };
        }
    }

    fn semop(&self, semaphore: u16, change: i16) -> Result<()> {
        let mut operation = libc::sembuf { sem_num: semaphore, sem_op: change, sem_flg: 0 };
        loop {
            // SAFETY: one operation, in memory that lives through the call.
            let result = unsafe { libc::semop(self.set, &raw mut operation, 1) };
            match Errno::result(result) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e).context("semop"),
            }
        }
    }

    /// The slot at this side's index, which then moves on.
    fn next_slot(&mut self) -> *mut [u64; N] {
        let slot = self.base.as_ptr().wrapping_add(self.index);
        self.index = (self.index + 1) % slots(N * 8);
        slot
    }
}

impl<const N: usize> Sender for Side<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            fill(&mut self.message[0], seq);
            self.semop(EMPTY, -1)?;
            self.semop(MUTEX, -1)?;
            let slot = self.next_slot();
            // SAFETY: inside the segment and aligned; under the mutex nobody else touches it.
            unsafe { slot.copy_from_nonoverlapping(self.message.as_ptr(), 1) };
            self.semop(MUTEX, 1)?;
            self.semop(FULL, 1)?;
        }
        Ok(())
    }
}

impl<const N: usize> Receiver for Side<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            self.semop(FULL, -1)?;
            self.semop(MUTEX, -1)?;
            let slot = self.next_slot();
            // SAFETY: inside the segment and aligned; under the mutex nobody else touches it.
            unsafe { slot.copy_to_nonoverlapping(self.message.as_mut_ptr(), 1) };
            self.semop(MUTEX, 1)?;
            self.semop(EMPTY, 1)?;
            check(&self.message[0], seq)?;
        }
        Ok(())
    }
}
