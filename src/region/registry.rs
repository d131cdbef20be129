//! The seats of an exchange ring: any participant may take any of them, and whoever notices that a
//! holder is dead may finish what it had begun.
//!
//! ```text
//!   a seat nobody holds:   Never, Left         clean: to be taken
//!                          Joined, Adopted     its holder is dead: to be repaired
//!                          Owing               its holder left messages in its hands: to be delivered
//! ```
//! Winning the semaphore of such a seat is the right to repair it. Two never have it, and a repairer that
//! is killed gives it back.

use super::seats::{self, AfterExec, ForLock, Seat};
use super::set::{Sat, is_gone};
use super::{Context, Error, Region};
use crate::layout::cursors::Attendance;
use crate::layout::seat::{Phase, Role, RoleWord, State};
use crate::sync::{Ordering, fence};
use crate::sys::Errno;
use std::sync::Arc;
use std::time::Duration;

/// What a look at all seats has found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// Live participants.
    pub(crate) producers: u32,
    pub(crate) consumers: u32,
    /// Those that died, as far as it can be told: on seats that nobody has taken over yet, and before.
    pub(crate) dead_producers: u32,
    pub(crate) dead_consumers: u32,
    /// There is a seat whose last participant was one, and died.
    pub(crate) producer_died: bool,
    pub(crate) consumer_died: bool,
    /// Seats that nobody holds and that are not clean; and whether they are only owing.
    pub(crate) unclean: Vec<(u32, bool)>,
}

impl Survey {
    pub(crate) fn live(&self, role: Role) -> u32 {
        match role {
            Role::Producer => self.producers,
            Role::Consumer => self.consumers,
        }
    }

    pub(crate) fn dead(&self, role: Role) -> u32 {
        match role {
            Role::Producer => self.dead_producers,
            Role::Consumer => self.dead_consumers,
        }
    }

    /// Whether a seat still shows that one died.
    pub(crate) fn died(&self, role: Role) -> bool {
        match role {
            Role::Producer => self.producer_died,
            Role::Consumer => self.consumer_died,
        }
    }
}

/// What came of an attempt to take a seat that looked free.
#[derive(Debug)]
pub(crate) enum Adoption<S> {
    Won(S),
    /// Others are at it, or have been.
    Others,
    /// The set's lock is up: it cannot be told, or taken, now.
    NotNow,
}

/// Seats that others take at the same moment, again and again.
const ROUNDS: u32 = 100;

impl Region {
    /// Which participants ever joined and left.
    pub(crate) fn attendance(&self, role: Role) -> &Attendance {
        match role {
            Role::Producer => &self.cursors().state.producers,
            Role::Consumer => &self.cursors().state.consumers,
        }
    }

    /// Counts the death of a seat's last participant; gives what it was. Its semaphore is mine.
    pub(super) fn count_death(&self, seat: u32) -> RoleWord {
        // Relaxed, both: the last writer held the semaphore before me; and only a number.
        let word = RoleWord::from_word(self.seat_record(seat).role.load(Ordering::Relaxed));
        if let Some(role) = word.role {
            self.attendance(role).died.fetch_add(1, Ordering::Relaxed);
        }
        word
    }

    /// Seats that have ever been taken: the first ones (I5: bounded by their number).
    fn seats_used(&self) -> u32 {
        // Relaxed: a seat that is not counted yet has nothing to look at.
        let used = self.cursors().state.seats_used.load(Ordering::Relaxed);
        used.min(self.geometry().shape.seats)
    }

    /// Looks at all seats. `None`: the semaphore set is gone. A seat that changes meanwhile is not judged.
    /// One system call; two if this process does not sit in the set itself.
    pub(crate) fn survey(&self, member: bool) -> Result<Option<Survey>, Errno> {
        let seats = self.seats_used();
        // Relaxed: only numbers. Before the look: a seat that is taken over meanwhile is rather missed once
        // than counted twice.
        let died = |role| self.attendance(role).died.load(Ordering::Relaxed);
        let (dead_producers, dead_consumers) = (died(Role::Producer), died(Role::Consumer));
        // Acquire: SYNC(seat), pairs with the Release stores of joining and leaving. Relaxed loads and a
        // fence: observers read from a read-only mapping.
        let state = |seat| self.seat_record(seat).state.load(Ordering::Relaxed);
        let before: Vec<u64> = (0..seats).map(state).collect();
        fence(Ordering::Acquire);
        let look = || -> Result<(Vec<bool>, bool), Errno> {
            let held = self.set().holders(self.geometry().shape.seats)?;
            Ok((held, member || self.has_its_set()?))
        };
        let held = match look() {
            Ok((held, true)) => held,
            Ok((_, false)) => return Ok(None),
            Err(e) if is_gone(e) => return Ok(None),
            Err(e) => return Err(e),
        };
        fence(Ordering::Acquire);
        let mut survey = Survey { dead_producers, dead_consumers, ..Survey::default() };
        for (seat, word) in (0..seats).zip(before) {
            let (now, held) = (State::from_word(state(seat)), held[seat as usize]);
            let changed = now != State::from_word(word);
            self.judge(&mut survey, seat, now, held || changed);
        }
        Ok(Some(survey))
    }

    /// The same, for those who need not sit in the set.
    pub(crate) fn survey_as_guest(&self) -> Result<Survey, Error> {
        let cx = Context::new(self.name());
        let survey = self.survey(false).map_err(|e| cx.os("semctl(GETALL)", e))?;
        survey.ok_or_else(|| cx.os("semctl(GETALL)", Errno(libc::EIDRM)))
    }

    fn judge(&self, survey: &mut Survey, seat: u32, state: State, held: bool) {
        // Relaxed: ordered by the state before it.
        let role = RoleWord::from_word(self.seat_record(seat).role.load(Ordering::Relaxed));
        let joined = state.phase == Phase::Joined;
        let (live, dead) = (held && joined, joined && !held);
        let died = role.died || dead;
        match role.role {
            Some(Role::Producer) => {
                survey.producers += u32::from(live);
                survey.dead_producers = survey.dead_producers.wrapping_add(dead.into());
                survey.producer_died |= died;
            }
            Some(Role::Consumer) => {
                survey.consumers += u32::from(live);
                survey.dead_consumers = survey.dead_consumers.wrapping_add(dead.into());
                survey.consumer_died |= died;
            }
            None => {}
        }
        if !held && !state.phase.is_clean() {
            survey.unclean.push((seat, state.phase == Phase::Owing));
        }
    }
}

impl Seat {
    /// Joins as a participant: takes a clean seat if there is one, else one whose holder is dead. Its
    /// hands are then to be repaired, whatever it was.
    pub(crate) fn join_any(region: &Arc<Region>, role: Role) -> Result<Self, Error> {
        let cx = Context::new(region.name());
        seats::refuse_unusable(region, &cx)?;
        for _ in 0..ROUNDS {
            let held = region.held_seats_now(&cx)?;
            // Each seat is judged once: one that is repaired meanwhile must be in one of the two.
            let free = (0u32..).zip(&held).filter(|(_, held)| !**held).map(|(seat, _)| seat);
            let (clean, unclean): (Vec<u32>, Vec<u32>) = free.partition(|seat| region.is_clean(*seat));
            let mut lost = false;
            for seat in clean.into_iter().chain(unclean) {
                if let Adoption::Won(seat) = Self::sit(region, seat, &cx, ForLock::Wait)? {
                    if region.phase(seat) == Phase::Joined {
                        region.count_death(seat);
                    }
                    return Ok(Self::enter(region, seat, role).counted(role));
                }
                lost = true;
            }
            // None is free, or others were faster. A program may have left its seat by exec.
            let mut freed = false;
            for (seat, _) in (0u32..).zip(&held).filter(|(_, held)| **held) {
                match seats::left_by_exec(region, region.set(), seat, &cx, ForLock::Wait)? {
                    AfterExec::Mine => {
                        region.count_death(seat);
                        return Ok(Self::enter(region, seat, role).counted(role));
                    }
                    AfterExec::Freed => freed = true,
                    AfterExec::No { .. } => {}
                }
            }
            if lost || freed {
                continue;
            }
            // Somebody may be repairing one, and about to give it back.
            if !(0u32..).zip(&held).any(|(seat, held)| *held && region.phase(seat) == Phase::Adopted) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(Error::SeatsFull { ring: cx.ring(), seats: region.geometry().shape.seats })
    }

    /// Takes a seat that nobody holds and that is not clean, to finish what was begun there.
    pub(crate) fn adopt_unclean(region: &Arc<Region>, seat: u32) -> Result<Adoption<Self>, Error> {
        let cx = Context::new(region.name());
        seats::refuse_unusable(region, &cx)?;
        match Self::sit(region, seat, &cx, ForLock::DoNotWait)? {
            Adoption::Won(seat) if region.is_clean(seat) => {
                region.set().stand_up(seat);
                Ok(Adoption::Others)
            }
            Adoption::Won(seat) => Ok(Adoption::Won(Self::adopt(region, seat))),
            Adoption::Others => Ok(Adoption::Others),
            Adoption::NotNow => Ok(Adoption::NotNow),
        }
    }

    /// Frees seats that a program has left by exec, as far as that can be proven: of those that `matter`.
    /// Gives those that this program itself held before. Reads `/proc`.
    pub(crate) fn free_left_by_exec(
        region: &Arc<Region>,
        matters: impl Fn(u32) -> bool,
    ) -> Result<Vec<Self>, Error> {
        let cx = Context::new(region.name());
        seats::refuse_unusable(region, &cx)?;
        let held = region.held_seats_now(&cx)?;
        let mut mine = Vec::new();
        for (seat, _) in (0u32..).zip(&held).filter(|(seat, held)| **held && matters(*seat)) {
            let left = seats::left_by_exec(region, region.set(), seat, &cx, ForLock::DoNotWait)?;
            if let AfterExec::Mine = left {
                mine.push(Self::adopt(region, seat));
            }
        }
        Ok(mine)
    }

    /// Wins a seat's semaphore, if nobody has it.
    fn sit(
        region: &Arc<Region>,
        seat: u32,
        cx: &Context<'_>,
        for_lock: ForLock,
    ) -> Result<Adoption<u32>, Error> {
        let set = region.set();
        // Before sitting down, so as not to be seen on a seat of the set's next ring.
        seats::still_its_set(region, cx)?;
        let sat = match for_lock {
            ForLock::Wait if set.try_sit(seat, cx)? => Sat::Down,
            ForLock::Wait => Sat::Held,
            ForLock::DoNotWait => set.try_sit_now(seat).map_err(|e| cx.os("semop(seat)", e))?,
        };
        match sat {
            Sat::Down => {}
            Sat::Held => return Ok(Adoption::Others),
            Sat::Locked => return Ok(Adoption::NotNow),
        }
        // Sitting, because nobody gives a set away on which somebody sits.
        seats::still_its_set(region, cx).inspect_err(|_| set.stand_up(seat))?;
        if seats::fakes_its_death(region.seat_record(seat), region.shm_id()).is_some() {
            set.stand_up(seat);
            return Ok(Adoption::Others);
        }
        // Relaxed: published by the state of the seat, which is written after it.
        region.cursors().state.seats_used.fetch_max(seat + 1, Ordering::Relaxed);
        Ok(Adoption::Won(seat))
    }

    fn counted(self, role: Role) -> Self {
        // Relaxed: only a number.
        self.region().attendance(role).joined.fetch_add(1, Ordering::Relaxed);
        self
    }
}

impl Region {
    fn held_seats_now(&self, cx: &Context<'_>) -> Result<Vec<bool>, Error> {
        self.set().holders(self.geometry().shape.seats).map_err(|e| cx.os("semctl(GETALL)", e))
    }

    fn phase(&self, seat: u32) -> Phase {
        // Acquire: SYNC(seat), pairs with the Release stores of joining and leaving.
        State::from_word(self.seat_record(seat).state.load(Ordering::Acquire)).phase
    }

    fn is_clean(&self, seat: u32) -> bool {
        self.phase(seat).is_clean()
    }
}
