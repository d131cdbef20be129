//! Shared memory as textbooks show it: an array of slots, and three semaphores by `semop`: `empty`
//! counts free slots, `full` counts messages, `mutex` protects the array.

use super::sysv::{self, Object};
use super::{Cell, Channel, End, Keeper, Made, Processes, Receiver, Sender};
use crate::for_size;
use crate::memory::Memory;
use crate::payload::{capacity, check, fill};
use anyhow::{Context, Result};
use nix::errno::Errno;
use std::rc::Rc;

const MUTEX: u16 = 0;
const EMPTY: u16 = 1;
const FULL: u16 = 2;

/// A process-shared array under semaphores.
pub(super) struct Textbook;

impl Processes for Textbook {
    fn make(&self, cell: Cell, keeper: &Rc<Keeper>) -> Result<Made> {
        Ok(Made::Channel(make(cell.size, keeper)?))
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        for_size!(cell.size, N => Ok(Box::new(Side::<N>::open(&end)?)))
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        for_size!(cell.size, N => Ok(Box::new(Side::<N>::open(&end)?)))
    }
}

fn make(size: usize, keeper: &Rc<Keeper>) -> Result<Channel> {
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

/// A semaphore counts to 32,767.
const MOST: usize = 1 << 14;

fn slots(size: usize) -> usize {
    capacity(size).min(MOST)
}

/// Either side: attached, with its own index into the array.
struct Side<const N: usize> {
    memory: Memory,
    set: i32,
    index: usize,
    message: Vec<[u64; N]>,
}

impl<const N: usize> Side<N> {
    fn open(end: &End) -> Result<Self> {
        let [segment, set] = end.ids()?;
        let memory = Memory::attach(segment, slots(N * 8) * N * 8)?;
        Ok(Self { memory, set, index: 0, message: vec![[0; N]] })
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
        let slot = self.memory.words::<N>(self.index * N * 8).as_ptr();
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
