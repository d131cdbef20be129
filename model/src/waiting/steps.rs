//! What can happen next, and what it does. Here the world, the waker, closing and leaving.

mod waiter;

use super::state::{Fault, Life, Loc, Outcome, Pc, Process, Side, Slept, State, Then};
use super::{Change, Ending, Reach, Rmw, Timer, Waiting};

/// One atomic step of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A process makes its next step.
    Step(Side, Pc),
    /// The same, and its clock says that it is time to look at the peer's seat.
    StepLate(Side, Pc),
    /// A store becomes visible.
    Flush(Side),
    /// The timer ends a sleep.
    Recheck(Side),
    /// Kill.
    Kill(Side, Pc),
    /// The kernel releases the seat of a killed process.
    Release(Side),
    /// A newcomer wins a dead seat's semaphore.
    Join(Side),
}

impl Waiting {
    pub(super) fn enabled(&self, s: &State, actions: &mut Vec<Action>) {
        for side in Side::BOTH {
            let p = s.of(side);
            if !p.buffer.is_empty() {
                actions.push(Action::Flush(side));
            }
            match p.life {
                Life::Live => self.enabled_live(s, side, actions),
                Life::Dying => {
                    // An interrupt, and the kernel's full barriers, come before the semaphore is
                    // seen at 0.
                    if p.buffer.is_empty() || self.change == Change::SeatFreeTooEarly {
                        actions.push(Action::Release(side));
                    }
                }
                Life::Dead => {
                    if s.newcomers[side as usize] > 0 && !has_left(s, side) {
                        actions.push(Action::Join(side));
                    }
                }
            }
        }
    }

    fn enabled_live(&self, s: &State, side: Side, actions: &mut Vec<Action>) {
        let p = s.of(side);
        match p.pc {
            Pc::Asleep => {
                let rings = match self.timer {
                    Timer::Never => false,
                    Timer::AfterKill => s.killed,
                    Timer::Always => true,
                };
                if rings {
                    actions.push(Action::Recheck(side));
                }
            }
            Pc::Done => {}
            pc => {
                if !(p.buffer.is_full() && stores(pc)) {
                    actions.push(Action::Step(side, pc));
                }
                if pc == Pc::Hint && !self.must_look_at_seat(s, side) {
                    actions.push(Action::StepLate(side, pc));
                }
            }
        }
        if s.kills > 0 && (p.pc != Pc::Done || s.held[side as usize]) {
            actions.push(Action::Kill(side, p.pc));
        }
    }

    pub(super) fn apply(&self, old: &State, action: Action) -> State {
        let mut s = old.clone();
        match action {
            Action::Step(side, _) => self.step(&mut s, side),
            Action::StepLate(side, _) => s.of_mut(side).pc = Pc::SeatRecord,
            Action::Flush(side) => s.flush(side),
            Action::Recheck(side) => self.recheck(&mut s, side),
            Action::Kill(side, _) => kill(&mut s, side),
            Action::Release(side) => release(&mut s, side),
            Action::Join(side) => self.join(&mut s, side),
        }
        for side in Side::BOTH {
            if s.of(side).rechecks > 0 && !self.has_reason(&s, side) {
                s.of_mut(side).rechecks = 0;
            }
        }
        s
    }

    /// Whether there is something to tell to a waiter of this side, for everybody to see.
    fn has_reason(&self, s: &State, side: Side) -> bool {
        let (p, peer) = (s.of(side), side.peer());
        let at_peer = s.memory.get(Loc::Cursor(peer));
        let ring = match side {
            Side::Producer => self.is_room(p.position, at_peer),
            Side::Consumer => at_peer != p.position || s.memory.get(Loc::Closed) != 0,
        };
        ring || !s.held[peer as usize] && s.memory.get(Loc::Record(peer)) / 2 != p.told
    }

    fn recheck(&self, s: &mut State, side: Side) {
        if self.has_reason(s, side) {
            let p = s.of_mut(side);
            p.rechecks = 2.min(p.rechecks + 1);
        }
        s.of_mut(side).due = self.change != Change::RecheckIgnoresSeat;
        self.awake(s, side, Slept::Interrupted);
    }

    fn join(&self, s: &mut State, side: Side) {
        s.newcomers[side as usize] -= 1;
        s.held[side as usize] = true;
        let mut p = Process::new(self.goals()[side as usize]);
        p.pc = Pc::Enter;
        *s.of_mut(side) = p;
    }

    /// Where each program ends. The consumer's, if it does not quit, is out of reach.
    pub(super) fn goals(&self) -> [u8; 2] {
        [self.messages, self.quits_after.unwrap_or(u8::MAX)]
    }

    fn is_room(&self, tail: u8, head: u8) -> bool {
        tail.wrapping_sub(head) < self.capacity
    }

    fn must_look_at_seat(&self, s: &State, side: Side) -> bool {
        let record = s.load(side, Loc::Record(side.peer()));
        let hint = record % 2 == 1 && record / 2 != s.of(side).told && self.change != Change::NoHint;
        hint || s.of(side).due
    }

    pub(super) fn step(&self, s: &mut State, side: Side) {
        let peer = side.peer();
        let pc = s.of(side).pc;
        match pc {
            Pc::Enter => {
                let epoch = s.load(side, Loc::Record(side)) / 2 + 1;
                s.store(side, Loc::Record(side), epoch * 2);
                let quiet = self.change == Change::JoinWithoutWake;
                s.of_mut(side).pc = if quiet { Pc::Resume } else { Pc::JoinClear };
            }
            Pc::JoinClear | Pc::CloseClear | Pc::LeaveClear => {
                s.store(side, Loc::Waits(peer), 0);
                s.of_mut(side).pc = match pc {
                    Pc::JoinClear => Pc::JoinWake,
                    Pc::CloseClear => Pc::CloseWake,
                    _ => Pc::LeaveWake,
                };
            }
            Pc::JoinWake => {
                self.wake(s, side);
                s.of_mut(side).pc = Pc::Resume;
            }
            Pc::Resume => self.resume(s, side),
            Pc::ResumeFlag => {
                let closed = s.load(side, Loc::Closed) != 0 && self.change != Change::SuccessorIgnoresFlag;
                let p = s.of_mut(side);
                if closed {
                    finish(p, Outcome::Closed);
                } else {
                    p.pc = Pc::Look;
                }
            }
            Pc::Look | Pc::Flag | Pc::LookAgain => self.attempt(s, side, pc),
            Pc::BitStillSet
            | Pc::SetBit
            | Pc::Barrier
            | Pc::WordBeforeSleep
            | Pc::FutexWait
            | Pc::ClearOwn
            | Pc::GiveUp => {
                self.wait(s, side, pc);
            }
            Pc::Hint | Pc::SeatRecord | Pc::SeatHeld | Pc::SeatRecordAgain => self.look_at_peer(s, side, pc),
            Pc::Payload => self.payload(s, side),
            Pc::WordTooEarly => {
                let early = s.load(side, Loc::Waits(peer)) != 0;
                let p = s.of_mut(side);
                (p.early, p.pc) = (early, Pc::Publish);
            }
            Pc::Publish => self.publish(s, side),
            Pc::OwnFence | Pc::Word | Pc::WordAgain | Pc::TakeBit | Pc::Wake => self.notify(s, side, pc),
            Pc::Return => self.done(s, side),
            Pc::CloseFlag | Pc::CloseFence | Pc::CloseWake => self.close(s, side, pc),
            Pc::LeaveRecord | Pc::LeaveSeat | Pc::LeaveWake => self.leave(s, side, pc),
            Pc::Asleep | Pc::Done | Pc::Gone => {}
        }
    }

    fn resume(&self, s: &mut State, side: Side) {
        let position = s.load(side, Loc::Cursor(side));
        if position != s.ghost.committed[side as usize] {
            s.ghost.fault.get_or_insert(Fault::LostPosition);
        }
        let p = s.of_mut(side);
        p.position = position;
        match side {
            Side::Producer => {
                p.goal = p.goal.max(position + 1);
                p.pc = Pc::ResumeFlag;
            }
            Side::Consumer => self.next(s, side),
        }
    }

    /// The next operation, or the end of the program.
    fn next(&self, s: &mut State, side: Side) {
        let p = s.of_mut(side);
        let fresh = Process::new(p.goal);
        // What an operation leaves behind: nothing but its position and what it was told.
        *p = Process { buffer: p.buffer, position: p.position, told: p.told, due: p.due, ..fresh };
        if p.position < p.goal {
            return;
        }
        p.pc = match (side, self.ending) {
            (Side::Producer, Ending::Closes | Ending::ClosesAndLeaves) => Pc::CloseFlag,
            _ => self.first_of_leave(),
        };
    }

    fn first_of_leave(&self) -> Pc {
        if self.change == Change::WakeBeforeLeaving { Pc::LeaveClear } else { Pc::LeaveRecord }
    }

    fn payload(&self, s: &mut State, side: Side) {
        let position = s.of(side).position;
        let slot = Loc::Slot(position % self.capacity);
        match side {
            Side::Producer => s.store(side, slot, position + 1),
            Side::Consumer => {
                if s.load(side, slot) != position + 1 {
                    s.ghost.fault.get_or_insert(Fault::WrongMessage);
                }
            }
        }
        let early = self.change == Change::WordBeforePublish;
        s.of_mut(side).pc = if early { Pc::WordTooEarly } else { Pc::Publish };
    }

    /// The commit. The store has retired: a kill does not take it back.
    fn publish(&self, s: &mut State, side: Side) {
        let position = s.of(side).position + 1;
        s.store(side, Loc::Cursor(side), position);
        s.ghost.committed[side as usize] = position;
        let give_up = side == Side::Producer && self.must_give_up(s, side);
        let next = if give_up { Pc::GiveUp } else { self.first_of_notify() };
        let p = s.of_mut(side);
        (p.position, p.then, p.pc) = (position, Then::Notify, next);
    }

    fn first_of_notify(&self) -> Pc {
        if self.reach == Reach::OwnFence { Pc::OwnFence } else { Pc::Word }
    }

    fn notify(&self, s: &mut State, side: Side, pc: Pc) {
        let peer = side.peer();
        let word = Loc::Waits(peer);
        let next = match pc {
            Pc::OwnFence => {
                s.drain(side);
                Pc::Word
            }
            Pc::Word | Pc::WordAgain => {
                let early = self.change == Change::WordBeforePublish && pc == Pc::Word;
                let set = if early { s.of(side).early } else { s.load(side, word) != 0 };
                match (set, pc, self.change) {
                    (false, ..) => Pc::Return,
                    (true, Pc::Word, _) => Pc::WordAgain,
                    (true, _, Change::WakeBeforeClear) => Pc::Wake,
                    (true, ..) => Pc::TakeBit,
                }
            }
            Pc::TakeBit => {
                self.read_modify_write(s, side, word);
                let was_set = s.memory.get(word) != 0;
                // While its last W1 is not visible, the bit that is taken is that of a wait before.
                let last = s.of(peer).buffer.find(word).is_none();
                if was_set && last && s.ghost.orphan[peer as usize] {
                    let takes = &mut s.ghost.idle_takes[peer as usize];
                    *takes = 2.min(*takes + 1);
                }
                if self.change != Change::BitNotTaken {
                    s.memory.set(word, 0);
                }
                if was_set && self.change != Change::WakeBeforeClear { Pc::Wake } else { Pc::Return }
            }
            _ => {
                self.wake(s, side);
                if self.change == Change::WakeBeforeClear { Pc::TakeBit } else { Pc::Return }
            }
        };
        s.of_mut(side).pc = next;
    }

    fn read_modify_write(&self, s: &mut State, side: Side, loc: Loc) {
        match self.rmw {
            Rmw::Weak => s.drain_to(side, loc),
            Rmw::Drains => s.drain(side),
        }
    }

    /// The system call. The kernel fences before it looks into its queue.
    fn wake(&self, s: &mut State, side: Side) {
        if self.change != Change::WakeIsNoFence {
            s.drain(side);
        }
        let peer = side.peer();
        if s.of(peer).pc == Pc::Asleep {
            self.awake(s, peer, Slept::Woken);
        }
    }

    fn done(&self, s: &mut State, side: Side) {
        s.ghost.returned[side as usize] = s.of(side).position;
        if side == Side::Producer && s.ghost.closed_seen {
            s.ghost.fault.get_or_insert(Fault::PushAfterClosed);
        }
        self.next(s, side);
    }

    fn close(&self, s: &mut State, side: Side, pc: Pc) {
        match pc {
            Pc::CloseFlag => {
                s.store(side, Loc::Closed, 1);
                if self.rmw == Rmw::Drains {
                    s.drain(side);
                }
                let fences = self.change != Change::CloseWithoutFence;
                s.of_mut(side).pc = if fences { Pc::CloseFence } else { Pc::CloseClear };
            }
            Pc::CloseFence => {
                s.drain(side);
                match self.change {
                    Change::CloseWithoutWake => self.closed(s, side),
                    _ => s.of_mut(side).pc = Pc::CloseClear,
                }
            }
            _ => {
                self.wake(s, side);
                self.closed(s, side);
            }
        }
    }

    fn closed(&self, s: &mut State, side: Side) {
        match self.ending {
            Ending::ClosesAndLeaves => s.of_mut(side).pc = self.first_of_leave(),
            _ => finish(s.of_mut(side), Outcome::Finished),
        }
    }

    fn leave(&self, s: &mut State, side: Side, pc: Pc) {
        let next = match (pc, self.change) {
            (Pc::LeaveRecord, _) => {
                let record = s.load(side, Loc::Record(side));
                s.store(side, Loc::Record(side), record | 1);
                Pc::LeaveSeat
            }
            (Pc::LeaveSeat, _) => {
                // `semop` is a fence, too: who takes the seat has made one after it.
                s.drain(side);
                s.held[side as usize] = false;
                s.ghost.gone_at[side as usize] = s.ghost.committed[side as usize];
                match self.change {
                    Change::LeaveWithoutWake | Change::WakeBeforeLeaving => Pc::Done,
                    _ => Pc::LeaveClear,
                }
            }
            _ => {
                self.wake(s, side);
                if self.change == Change::WakeBeforeLeaving { Pc::LeaveRecord } else { Pc::Done }
            }
        };
        let p = s.of_mut(side);
        match next {
            Pc::Done => finish(p, Outcome::Finished),
            next => p.pc = next,
        }
    }
}

/// Whether a step may put a store into the buffer.
fn stores(pc: Pc) -> bool {
    matches!(
        pc,
        Pc::Enter
            | Pc::JoinClear
            | Pc::SetBit
            | Pc::ClearOwn
            | Pc::Payload
            | Pc::Publish
            | Pc::CloseFlag
            | Pc::CloseClear
            | Pc::LeaveRecord
            | Pc::LeaveClear
    )
}

fn finish(p: &mut Process, outcome: Outcome) {
    let fresh = Process::new(p.goal);
    *p = Process { pc: Pc::Done, buffer: p.buffer, position: p.position, outcome, ..fresh };
}

fn kill(s: &mut State, side: Side) {
    s.kills -= 1;
    s.killed = true;
    s.ghost.orphan[side as usize] = true;
    s.ghost.idle_takes[side as usize] = 0;
    let p = s.of_mut(side);
    let fresh = Process::new(p.goal);
    *p = Process { pc: Pc::Gone, life: Life::Dying, buffer: p.buffer, position: p.position, ..fresh };
}

fn release(s: &mut State, side: Side) {
    s.of_mut(side).life = Life::Dead;
    if s.held[side as usize] {
        s.held[side as usize] = false;
        s.ghost.gone_at[side as usize] = s.ghost.committed[side as usize];
    }
}

/// Whether the last holder has left by itself, or was killed while it did.
fn has_left(s: &State, side: Side) -> bool {
    s.load(side, Loc::Record(side)) % 2 == 1
}

/// Whether somebody sits there or will. What the programs know of each other: who is told that the
/// peer has gone goes on if another one is meant to come.
fn may_come(s: &State, side: Side) -> bool {
    !has_left(s, side) && (s.of(side).life == Life::Live || s.newcomers[side as usize] > 0)
}
