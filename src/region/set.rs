//! The semaphore set: seats, and the lock under which rings are made and unmade.
//!
//! ```text
//! semaphore 0      lock: 1 while a process makes, unmakes or repairs the ring (SEM_UNDO)
//! semaphore 1      generation: 2 more for each ring that was to live with this set; and the mark: odd
//!                  from before a creator's shmget until its ring is ready (lasting: a killed creator
//!                  leaves it, and so says that the segment it left is half-made)
//! semaphore 2      signature: a number that says that segring has made the set (lasting)
//! semaphore 3 + i  seat i: 1 while held (SEM_UNDO)
//! ```
//! The generation stands in the ring's header too. A ring that was removed while somebody had it
//! attached, with nobody on its seats, may find its set given to the next ring of that name: the
//! generations differ then, and nobody can join it any more.

use super::error::{Context, Error};
use crate::sys::guarded::GuardedBuffer;
use crate::sys::sem::{self, Step};
use crate::sys::{Errno, shm::Key};
use std::cell::RefCell;
use std::time::{Duration, Instant};

const LOCK: u16 = 0;
const CREATING: u16 = 1;
const SIGNATURE: u16 = 2;
/// The signature's value.
const SEGRING: i16 = 21_319;
/// The generation of the first ring of a set.
pub(crate) const FIRST: u64 = 2;
/// The largest value of [`CREATING`] (SEMVMX is 32,767); the generations begin again after it.
const GENERATION_LAST: i32 = 32_001;
/// Semaphores that are not seats.
pub(crate) const ADMIN: usize = 3;

/// How long the lock is waited for, in all. Its holders do a handful of system calls under it.
const PATIENCE: Duration = Duration::from_secs(5);

thread_local! {
    /// The last buffer that a thread has used, for its next look.
    static BUFFER: RefCell<Option<GuardedBuffer>> = const { RefCell::new(None) };
}

/// A semaphore set by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SemSet {
    pub(crate) id: sem::SemId,
}

/// The set's lock. Released on drop, and by the kernel if the process ends.
#[derive(Debug)]
pub(crate) struct LockGuard(SemSet);

impl Drop for LockGuard {
    fn drop(&mut self) {
        // Fails only if the set is gone, and the lock with it.
        let _ = sem::operate(self.0.id, [Step::undoable(LOCK, -1)], None);
    }
}

/// What came of an attempt to take the lock.
#[derive(Debug)]
pub(crate) enum LockAttempt {
    Held(LockGuard),
    /// The set was removed meanwhile.
    Gone,
}

/// What came of an attempt to sit down at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sat {
    Down,
    /// Somebody holds the seat.
    Held,
    /// Somebody has the lock, or had it a moment ago.
    Locked,
}

/// Whose set it is, by its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    Segring,
    /// Not signed yet, or never: a creator may be about to, or have been killed before.
    Unsigned,
    Another,
}

pub(crate) fn is_gone(e: Errno) -> bool {
    matches!(e.0, libc::EIDRM | libc::EINVAL)
}

impl SemSet {
    pub(crate) fn create(key: Key, seats: u32, mode: u32) -> Result<Self, Errno> {
        let set = sem::create(key, ADMIN + seats as usize, mode).map(|id| Self { id })?;
        set.sign();
        Ok(set)
    }

    /// Signs, if nobody has. A creator may be killed before this: then the next one signs.
    pub(crate) fn sign(self) {
        // Fails if somebody has signed, or the set is gone: the next call says so.
        let steps = [Step::is_zero(SIGNATURE), Step::lasting(SIGNATURE, SEGRING)];
        let _ = sem::operate(self.id, steps, None);
    }

    /// Who has made it.
    pub(crate) fn maker(self) -> Result<Maker, Errno> {
        match sem::value(self.id, SIGNATURE) {
            Ok(value) if value == i32::from(SEGRING) => Ok(Maker::Segring),
            Ok(0) => Ok(Maker::Unsigned),
            // It has not so many semaphores, and is still there.
            Err(Errno(libc::EINVAL)) if self.stat().is_ok() => Ok(Maker::Another),
            Ok(_) => Ok(Maker::Another),
            Err(e) => Err(e),
        }
    }

    pub(crate) fn open(key: Key) -> Result<Self, Errno> {
        sem::open(key).map(|id| Self { id })
    }

    pub(crate) fn stat(self) -> Result<sem::Stat, Errno> {
        sem::stat(self.id)
    }

    fn seat_index(seat: u32) -> u16 {
        // SEMMSL is below 32,768, so a set's indexes fit; a larger one is refused by the kernel.
        u16::try_from(ADMIN + seat as usize).unwrap_or(u16::MAX)
    }

    /// Waits for the lock, a few seconds at most: an error then, never a decision about memory.
    pub(crate) fn lock(self, cx: &Context<'_>) -> Result<LockAttempt, Error> {
        let steps = [Step::wait_zero(LOCK), Step::undoable(LOCK, 1)];
        match sem::operate(self.id, steps, Some(PATIENCE)) {
            Ok(()) => Ok(LockAttempt::Held(LockGuard(self))),
            Err(Errno(libc::EAGAIN)) => Err(self.busy(cx)),
            Err(e) if is_gone(e) => Ok(LockAttempt::Gone),
            Err(e) => Err(cx.os("semop(lock)", e)),
        }
    }

    /// Takes the lock if it is free.
    pub(crate) fn try_lock(self) -> Option<LockGuard> {
        let steps = [Step::is_zero(LOCK), Step::undoable(LOCK, 1)];
        sem::operate(self.id, steps, None).ok().map(|()| LockGuard(self))
    }

    fn busy(self, cx: &Context<'_>) -> Error {
        Error::Busy { ring: cx.ring(), pid: sem::last_pid(self.id, LOCK).unwrap_or(0) }
    }

    /// Whether some process holds the lock now.
    pub(crate) fn is_locked(self) -> Result<bool, Errno> {
        sem::value(self.id, LOCK).map(|v| v != 0)
    }

    /// Who took the lock last.
    pub(crate) fn locker(self) -> i32 {
        sem::last_pid(self.id, LOCK).unwrap_or(0)
    }

    /// Puts the mark up. `serve`: the new ring will live with this set, which begins a generation.
    /// Returns the generation that holds now. Under the lock.
    pub(crate) fn begin_creating(self, serve: bool) -> Result<u64, Errno> {
        let value = sem::value(self.id, CREATING)?;
        let mut next = if serve { (value & !1) + 3 } else { value | 1 };
        if next > GENERATION_LAST {
            next = FIRST as i32 + 1;
        }
        let by = i16::try_from(next - value).map_err(|_| Errno(libc::ERANGE))?;
        match by {
            // A killed creator's mark: put up anew, so that it is mine (see `creator`).
            0 => sem::operate(self.id, [Step::lasting(CREATING, -1), Step::lasting(CREATING, 1)], None)?,
            _ => sem::operate(self.id, [Step::lasting(CREATING, by)], None)?,
        }
        Ok((next & !1) as u64)
    }

    /// Takes the mark down. Under the lock.
    pub(crate) fn end_creating(self) -> Result<(), Errno> {
        if self.is_creating()? { sem::operate(self.id, [Step::lasting(CREATING, -1)], None) } else { Ok(()) }
    }

    /// The generation, and whether the mark is up.
    pub(crate) fn generation(self) -> Result<(u64, bool), Errno> {
        sem::value(self.id, CREATING).map(|v| ((v & !1) as u64, v & 1 != 0))
    }

    /// Who put the mark up, 0 when outside this PID namespace.
    pub(crate) fn creator(self) -> Result<i32, Errno> {
        sem::last_pid(self.id, CREATING)
    }

    /// Whether a creator is at work, or was killed at it.
    pub(crate) fn is_creating(self) -> Result<bool, Errno> {
        sem::value(self.id, CREATING).map(|v| v & 1 != 0)
    }

    /// Takes a seat's semaphore: `true` if it was free. One atomic `semop`, undone when this
    /// process ends. Not while the lock is held: then it waits.
    pub(crate) fn try_sit(self, seat: u32, cx: &Context<'_>) -> Result<bool, Error> {
        let index = Self::seat_index(seat);
        let give_up = Instant::now() + PATIENCE;
        loop {
            let steps = [Step::is_zero(LOCK), Step::is_zero(index), Step::undoable(index, 1)];
            match sem::operate(self.id, steps, None) {
                Ok(()) => return Ok(true),
                Err(Errno(libc::EAGAIN)) => {}
                Err(e) => return Err(cx.os("semop(seat)", e)),
            }
            if !self.is_locked().map_err(|e| cx.os("semctl(GETVAL)", e))? {
                // It was the seat, or the lock was released just now: the seat decides.
                if self.is_held(seat).map_err(|e| cx.os("semctl(GETVAL)", e))? {
                    return Ok(false);
                }
            } else if Instant::now() > give_up {
                return Err(self.busy(cx));
            } else {
                let pause = Some(Duration::from_millis(100));
                match sem::operate(self.id, [Step::wait_zero(LOCK)], pause) {
                    Ok(()) | Err(Errno(libc::EAGAIN)) => {}
                    Err(e) => return Err(cx.os("semop(lock)", e)),
                }
            }
        }
    }

    /// Takes a seat's semaphore if it is free, and the lock too: one `semop`, which waits for nobody.
    pub(crate) fn try_sit_now(self, seat: u32) -> Result<Sat, Errno> {
        let index = Self::seat_index(seat);
        let steps = [Step::is_zero(LOCK), Step::is_zero(index), Step::undoable(index, 1)];
        match sem::operate(self.id, steps, None) {
            Ok(()) => Ok(Sat::Down),
            Err(Errno(libc::EAGAIN)) if self.is_held(seat)? => Ok(Sat::Held),
            Err(Errno(libc::EAGAIN)) => Ok(Sat::Locked),
            Err(e) => Err(e),
        }
    }

    /// Lets a seat's semaphore go. An error means that the set is gone, and the seat with it.
    pub(crate) fn stand_up(self, seat: u32) {
        let _ = sem::operate(self.id, [Step::undoable(Self::seat_index(seat), -1)], None);
    }

    /// Whether a live process holds the seat: the kernel's word, across PID namespaces.
    pub(crate) fn is_held(self, seat: u32) -> Result<bool, Errno> {
        sem::value(self.id, Self::seat_index(seat)).map(|v| v != 0)
    }

    /// Who changed the seat's semaphore last: its holder, if it is up. 0 when outside this PID
    /// namespace.
    pub(crate) fn sitter(self, seat: u32) -> Result<i32, Errno> {
        sem::last_pid(self.id, Self::seat_index(seat))
    }

    /// Frees a seat whose holder cannot use it any more. Under the lock, after proof: see `seats`.
    pub(crate) fn erase_seat(self, seat: u32, _lock: &LockGuard) -> Result<(), Errno> {
        sem::erase(self.id, Self::seat_index(seat))
    }

    /// Which of the first `seats` seats are held now: one system call for all of them.
    pub(crate) fn holders(self, seats: u32) -> Result<Vec<bool>, Errno> {
        let len = ADMIN + seats as usize;
        BUFFER.with_borrow_mut(|kept| {
            let mut buffer = match kept.take() {
                Some(buffer) if buffer.values().len() == len => buffer,
                _ => GuardedBuffer::new(len)?,
            };
            sem::values(self.id, &mut buffer)?;
            let held = buffer.values()[ADMIN..].iter().map(|value| *value != 0).collect();
            *kept = Some(buffer);
            Ok(held)
        })
    }

    /// Whether all of its `count` semaphores are zero: nobody has done anything with it.
    pub(crate) fn is_untouched(self, count: usize) -> bool {
        let Ok(mut buffer) = GuardedBuffer::new(count) else { return false };
        sem::values(self.id, &mut buffer).is_ok() && buffer.values().iter().all(|value| *value == 0)
    }

    /// How many seats are held. `count` is the number of semaphores of the set. Exact under the
    /// lock, where nobody sits down.
    pub(crate) fn held_seats(self, count: usize) -> Result<usize, Errno> {
        let seats = u32::try_from(count.saturating_sub(ADMIN)).map_err(|_| Errno(libc::EINVAL))?;
        Ok(self.holders(seats)?.into_iter().filter(|held| *held).count())
    }

    pub(crate) fn remove(self) -> Result<(), Errno> {
        sem::remove(self.id)
    }
}
