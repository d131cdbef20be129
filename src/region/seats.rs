//! Joining, leaving, death, and taking over.
//!
//! ```text
//!            join: semaphore 0 → 1 (SEM_UNDO), then record := Joined, epoch + 1
//!   Never ───────────────────────────▶ Joined ──── leave: record := Left, then semaphore 1 → 0
//!                                        │  ▲                     │
//!              the process ends, however │  └──── join ◀──────────┘
//!              (kernel: semaphore → 0)   ▼
//!                              Joined, semaphore 0 = proven dead ──── join = take over
//! ```
//! Record and semaphore are two words; a reader looks at the record, the semaphore and the record
//! again, and starts over if the record changed: only the holder changes it.
//!
//! **exec** keeps the undo but not the mapping: the semaphore stays up for a seat that nobody can
//! use. The new image may take its own seat over; others may when `/proc/PID/maps` proves that the
//! segment is not mapped. Both happen under the set's lock, with a second look under it: the process
//! in the record must be the one that raised the semaphore last (`GETPID`), so that nobody who has
//! sat down since, and not yet written the record, is taken for it. Others then erase the old undo
//! (`SETVAL`), the one place where that call is right: it forgets the undo of every process, and with
//! the lock held and the semaphore raised by that process, only that one exists.

use super::Region;
use super::error::{Context, Error};
use super::set::{LockAttempt, SemSet};
use crate::layout::seat::{Phase, Role, RoleWord, SeatRecord, State};
use crate::sync::{Ordering, fence};
use crate::sys::{Errno, process, time};
use std::sync::Arc;

/// Who sits on a seat now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occupancy {
    /// Nobody ever has.
    Never,
    /// A live process. `pid` is 0 while it is only just sitting down.
    Live { pid: u32 },
    /// Nobody: the last one left by itself.
    Left { epoch: u32 },
    /// Nobody: the last one ended without leaving. Proven by the kernel.
    Dead { epoch: u32 },
    /// The semaphore set is gone: nothing is known any more.
    NoSet,
}

/// Looks at a record that keeps changing before giving up.
const MAX_LOOKS: u32 = 100;

impl Region {
    /// What a seat's last holder wrote on leaving: whose epoch. A hint, and no system call.
    pub(crate) fn says_goodbye(&self, seat: u32) -> Option<u32> {
        // Relaxed: `occupancy` finds out whether it is so.
        let state = State::from_word(self.seat_record(seat).state.load(Ordering::Relaxed));
        (state.phase == Phase::Left).then_some(state.epoch)
    }

    /// Looks who sits there. Two system calls; one if this process itself sits in the set, as a member,
    /// and so does the other: nobody gives a set away on which somebody sits.
    pub(crate) fn occupancy(&self, seat: u32, member: bool) -> Result<Occupancy, Errno> {
        let record = self.seat_record(seat);
        // A real holder changes the record twice in its life. Who writes it all the time is a hostile
        // peer, which must not hold this up (I5): then "alive" is the answer that reclaims nothing.
        for _ in 0..MAX_LOOKS {
            // Relaxed, then a fence: observers read from a read-only mapping, where a load must be
            // Relaxed.
            let before = record.state.load(Ordering::Relaxed);
            // Acquire: SYNC(seat), pairs with the Release stores in `enter` and `leave`.
            fence(Ordering::Acquire);
            let look = || -> Result<(bool, bool), Errno> {
                let held = self.set.is_held(seat)?;
                Ok((held, (held && member) || self.has_its_set()?))
            };
            let held = match look() {
                Ok((held, true)) => held,
                Ok((_, false)) => return Ok(Occupancy::NoSet),
                Err(e) if super::set::is_gone(e) => return Ok(Occupancy::NoSet),
                Err(e) => return Err(e),
            };
            // Relaxed: the pid is for people; the check of the state below makes it a consistent one.
            let pid = record.pid.load(Ordering::Relaxed) as u32;
            fence(Ordering::Acquire);
            // Relaxed: a change is all that matters.
            if record.state.load(Ordering::Relaxed) != before {
                continue;
            }
            let state = State::from_word(before);
            return Ok(match (held, state.phase) {
                (true, Phase::Joined) => Occupancy::Live { pid },
                (true, _) => Occupancy::Live { pid: 0 },
                (false, Phase::Never) => Occupancy::Never,
                (false, Phase::Left | Phase::Owing) => Occupancy::Left { epoch: state.epoch },
                (false, Phase::Joined | Phase::Adopted) => Occupancy::Dead { epoch: state.epoch },
            });
        }
        Ok(Occupancy::Live { pid: 0 })
    }
}

/// A seat that this process holds. Dropping it is leaving.
#[derive(Debug)]
pub(crate) struct Seat {
    region: Arc<Region>,
    index: u32,
    epoch: u32,
    left: bool,
    /// How it is left if nobody says how.
    on_drop: Phase,
}

impl Seat {
    /// Joins: takes this seat if it is free, or its holder dead.
    pub(crate) fn join(region: &Arc<Region>, index: u32, role: Role) -> Result<Self, Error> {
        let cx = Context::new(region.name());
        refuse_unusable(region, &cx)?;
        let (set, name) = (region.set(), role.name());
        let record = region.seat_record(index);
        // Twice: the second time after a seat left behind by an exec has been freed.
        for _ in 0..2 {
            // Before sitting down, so as not to be seen on a seat of the set's next ring.
            still_its_set(region, &cx)?;
            if set.try_sit(index, &cx)? {
                // Sitting, because nobody gives a set away on which somebody sits.
                still_its_set(region, &cx).inspect_err(|_| set.stand_up(index))?;
                if let Some(pid) = fakes_its_death(record, region.shm_id()) {
                    set.stand_up(index);
                    return Err(Error::SeatTaken { ring: cx.ring(), role: name, pid });
                }
                return Ok(Self::enter(region, index, role));
            }
            match left_by_exec(region, set, index, &cx, ForLock::Wait)? {
                AfterExec::Mine => return Ok(Self::enter(region, index, role)),
                AfterExec::Freed => {}
                AfterExec::No { pid } => return Err(Error::SeatTaken { ring: cx.ring(), role: name, pid }),
            }
        }
        Err(Error::SeatTaken { ring: cx.ring(), role: name, pid: sitter(set, index, record) })
    }

    /// Writes the record of a participant. The semaphore is mine.
    pub(super) fn enter(region: &Arc<Region>, index: u32, role: Role) -> Self {
        let record = region.seat_record(index);
        let epoch = write_holder(record).epoch.wrapping_add(1);
        // Relaxed: published by the Release store below.
        record.role.store(RoleWord { role: Some(role), died: false }.word(), Ordering::Relaxed);
        // Release: SYNC(seat), pairs with the Acquire loads in `occupancy`.
        record.state.store(State { epoch, phase: Phase::Joined }.word(), Ordering::Release);
        Self { region: Arc::clone(region), index, epoch, left: false, on_drop: Phase::Left }
    }

    /// Writes the record of somebody who only finishes what a dead one had begun. The semaphore is mine.
    pub(super) fn adopt(region: &Arc<Region>, index: u32) -> Self {
        let record = region.seat_record(index);
        let old = write_holder(record);
        if old.phase == Phase::Joined {
            let role = region.count_death(index);
            // Relaxed: published by the Release store below.
            record.role.store(RoleWord { died: true, ..role }.word(), Ordering::Relaxed);
        }
        let state = State { phase: Phase::Adopted, ..old };
        // Release: SYNC(seat), pairs with the Acquire loads in `occupancy`.
        record.state.store(state.word(), Ordering::Release);
        // Nothing is finished yet.
        let on_drop = Phase::Adopted;
        Self { region: Arc::clone(region), index, epoch: old.epoch, left: false, on_drop }
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    pub(crate) fn region(&self) -> &Arc<Region> {
        &self.region
    }
}

impl Seat {
    /// Gives the seat back, once. Also done on drop.
    pub(crate) fn leave(&mut self) {
        self.leave_as(self.on_drop);
    }

    /// The same, and says how.
    pub(crate) fn leave_as(&mut self, phase: Phase) {
        // A child neither holds the seat nor has the mapping.
        if !self.region.is_mine() || std::mem::replace(&mut self.left, true) {
            return;
        }
        let record = self.region.seat_record(self.index);
        if phase == Phase::Adopted {
            // Still to be repaired, and not by me any more. Relaxed: before the state, which is a Release.
            record.pid.store(0, Ordering::Relaxed);
        }
        let left = State { epoch: self.epoch, phase };
        // Release: SYNC(seat), pairs with the Acquire loads in `occupancy`: all that I pushed or
        // released is there before I am seen to have left.
        record.state.store(left.word(), Ordering::Release);
        self.region.set.stand_up(self.index);
        self.region.remove_if_abandoned();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Refuses what cannot have a seat.
pub(super) fn refuse_unusable(region: &Region, cx: &Context<'_>) -> Result<(), Error> {
    if !region.is_mine() {
        return Err(Error::Forked { ring: cx.ring() });
    }
    if region.is_read_only() {
        return Err(Error::ReadOnly { ring: cx.ring() });
    }
    Ok(())
}

/// Writes who I am into a record, and gives the state that it had. The semaphore is mine.
fn write_holder(record: &SeatRecord) -> State {
    let pid = process::pid();
    // Relaxed: published by the Release stores that follow.
    record.image.store(image(), Ordering::Relaxed);
    record.pid_namespace.store(process::pid_namespace(), Ordering::Relaxed);
    record.joined_at.store(time::realtime(), Ordering::Relaxed);
    // Release: SYNC(image), pairs with the Acquire loads in `visible_holder`. Another thread of
    // this process that finds itself in the half-written record finds this image there too, and
    // does not believe that it sat here before an exec.
    record.start_time.store(process::start_time(pid).unwrap_or(0), Ordering::Release);
    record.pid.store(u64::from(pid), Ordering::Release);
    // Relaxed: the last writer held the semaphore before me; the kernel ordered us.
    State::from_word(record.state.load(Ordering::Relaxed))
}

/// Identifies this program image: a new number after every `exec`. One for all copies of this library in
/// a process: else one would take another's seats for its own from before an `exec` (I3). A forked child has
/// its parent's, but never its parent's pid.
fn image() -> u64 {
    // Without the number nobody is ever taken for somebody from before an `exec`.
    let bytes = process::program_random().unwrap_or_default();
    bytes.chunks_exact(8).fold(0, |image, half| {
        let half = half.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        image ^ half
    }) | 1
}

/// The process in a record, if it can be seen from here and is the very one that wrote it.
fn visible_holder(record: &SeatRecord) -> Option<u32> {
    // Acquire: SYNC(seat), pairs with the Release store in `enter`.
    let state = State::from_word(record.state.load(Ordering::Acquire));
    // Acquire, here and below: SYNC(image), pairs with the Release stores in `enter`.
    let pid = record.pid.load(Ordering::Acquire) as u32;
    let same_namespace = record.pid_namespace.load(Ordering::Relaxed) == process::pid_namespace();
    let sits = matches!(state.phase, Phase::Joined | Phase::Adopted);
    let seen = sits && same_namespace && pid != 0;
    let same_process = || {
        process::proc_is_of_my_namespace()
            && process::start_time(pid).is_some_and(|t| t == record.start_time.load(Ordering::Acquire))
    };
    (seen && same_process()).then_some(pid)
}

/// A process that threw its own undo away (`unshare`) looks dead and is not: its pid and start time
/// fit, and it has the segment mapped. The kernel unmaps before it undoes, so a dying one does not.
pub(super) fn fakes_its_death(record: &SeatRecord, shm_id: i32) -> Option<u32> {
    let pid = visible_holder(record)?;
    let same_image = record.image.load(Ordering::Relaxed) == image();
    // Myself: I may have left badly only if I still hold a handle, which `maps` cannot tell.
    let mapped = pid != process::pid() && process::maps_segment(pid, shm_id) == Some(true);
    (mapped || (pid == process::pid() && same_image)).then_some(pid)
}

/// Whether to wait for whoever has the set's lock, and may be stopped: a few seconds, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ForLock {
    Wait,
    DoNotWait,
}

pub(super) enum AfterExec {
    /// My own seat from before an exec: its semaphore is up and mine.
    Mine,
    /// Somebody else's: it is free now.
    Freed,
    /// The holder is there, or cannot be proven not to be.
    No { pid: u32 },
}

/// Looks whether the seat is held only by an undo whose process has executed another program.
pub(super) fn left_by_exec(
    region: &Region,
    set: SemSet,
    index: u32,
    cx: &Context<'_>,
    for_lock: ForLock,
) -> Result<AfterExec, Error> {
    let record = region.seat_record(index);
    let taken = || Ok(AfterExec::No { pid: sitter(set, index, record) });
    let unusable = || -> Option<AfterExec> {
        let pid = visible_holder(record)?;
        // Not somebody who has sat down since and not yet written the record.
        if set.sitter(index) != Ok(pid as i32) {
            return None;
        }
        if pid == process::pid() {
            let other_image = record.image.load(Ordering::Relaxed) != image();
            return other_image.then_some(AfterExec::Mine);
        }
        (process::maps_segment(pid, region.shm_id()) == Some(false)).then_some(AfterExec::Freed)
    };
    if unusable().is_none() {
        return taken();
    }
    let lock = match for_lock {
        ForLock::Wait => match set.lock(cx)? {
            LockAttempt::Held(lock) => lock,
            LockAttempt::Gone => return Err(cx.os("semop(lock)", Errno(libc::EIDRM))),
        },
        ForLock::DoNotWait => match set.try_lock() {
            Some(lock) => lock,
            None => return taken(),
        },
    };
    // Again, under the lock: from here on nobody sits down, so the semaphore can only fall.
    let held = set.is_held(index).map_err(|e| cx.os("semctl(GETVAL)", e))?;
    match unusable() {
        _ if !held => Ok(AfterExec::Freed),
        Some(AfterExec::Mine) => {
            // Other threads of this image come here one after the other, and find this.
            record.image.store(image(), Ordering::Relaxed);
            Ok(AfterExec::Mine)
        }
        Some(_) => {
            set.erase_seat(index, &lock).map_err(|e| cx.os("semctl(SETVAL)", e))?;
            Ok(AfterExec::Freed)
        }
        None => taken(),
    }
}

/// Who sits there, for people: the kernel's word, or in another PID namespace the record's.
fn sitter(set: SemSet, index: u32, record: &SeatRecord) -> u32 {
    match set.sitter(index) {
        Ok(pid) if pid > 0 => pid as u32,
        _ => record.pid.load(Ordering::Relaxed) as u32,
    }
}

/// Refuses a ring whose set was removed, or given to the next ring of its name.
pub(super) fn still_its_set(region: &Region, cx: &Context<'_>) -> Result<(), Error> {
    match region.has_its_set() {
        Ok(true) => Ok(()),
        Ok(false) => Err(cx.os("semop(seat)", Errno(libc::EIDRM))),
        Err(e) => Err(cx.os("semctl(GETVAL)", e)),
    }
}
