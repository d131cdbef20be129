//! The steps of push, take and close.

use super::state::{BLOCKS_OF_SEAT, Entry, Fault, Job, LEN, Pc, Process, Role, State};
use super::{Change, Hints, Inline};

/// What an entry means to who looks for its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The operation may go on here.
    Ready,
    /// Full for a push, empty for a take.
    Not,
    /// The position is an old one: so many stages.
    Stale(u8),
    /// It seems to be behind.
    Behind,
}

impl Inline {
    pub(super) fn seats(&self) -> usize {
        self.producers.len() + usize::from(self.consumers)
    }

    pub(super) fn closing(&self) -> bool {
        self.closers != 0
    }

    pub(super) fn index(&self, pos: u8) -> usize {
        usize::from(pos % self.entries)
    }

    pub(super) fn lap(&self, pos: u8) -> u8 {
        pos / self.entries % self.laps
    }

    /// How many stages an entry is ahead of the one in which a push, or one further, finds it.
    pub(super) fn ahead(&self, e: Entry, pos: u8, stage: u8) -> i8 {
        let stages = 2 * self.laps;
        let wanted = 2 * self.lap(pos) + stage;
        let ahead = (2 * e.lap + u8::from(e.full) + stages - wanted) % stages;
        if ahead < self.laps { ahead as i8 } else { ahead as i8 - stages as i8 }
    }

    pub(super) fn meaning(&self, e: Entry, pops: bool, pos: u8) -> Meaning {
        match self.ahead(e, pos, u8::from(pops)) {
            0 => Meaning::Ready,
            -1 => Meaning::Not,
            ahead if ahead < 0 => Meaning::Behind,
            ahead => Meaning::Stale(ahead as u8),
        }
    }

    /// Where the next push, or take, really is.
    pub(super) fn fresh(&self, s: &State, pops: bool) -> u8 {
        if pops { s.ghost.head } else { s.ghost.tail }
    }

    /// The number of a seat's block.
    pub(super) fn number(&self, seat: usize, turn: u8) -> u8 {
        seat as u8 * self.blocks + turn
    }

    /// Messages from the next one of a seat to the end of its batch.
    pub(super) fn rest(&self, seat: usize, next: u8) -> u8 {
        let mut end = 0;
        for len in &self.producers[seat] {
            end += len;
            if next < end {
                return end - next;
            }
        }
        0
    }

    /// The next operation, or the end.
    pub(super) fn begin(&self, seat: usize, p: &mut Process) {
        p.forget();
        if self.hints != Hints::Real {
            p.pos = 0;
        }
        p.pc = Pc::Look;
        if p.role == Role::Consumer {
            if self.change == Change::ValueEarly {
                p.pc = Pc::EarlyValue;
            }
            return;
        }
        p.n = 1;
        match self.rest(seat, p.next) {
            0 if p.closes => {
                p.job = Job::Close;
                p.pc = Pc::CloseFlag;
            }
            0 => p.pc = Pc::Done,
            1 => {}
            _ => p.pc = Pc::Free,
        }
    }

    /// One step. `pick` is what there is to choose: how far the hint lags, and what a take asks for. True: the
    /// operation has returned.
    pub(super) fn step(&self, s: &mut State, i: usize, pick: u8) -> bool {
        let mut p = s.process[i];
        let (lag, most) = (pick % 8, self.takes[usize::from(pick / 8)]);
        let at = self.index(p.pos);
        let mut returned = false;
        match p.pc {
            Pc::Resume => self.resume(s, i, &mut p),
            Pc::Hint => {
                p.pos = s.hints[usize::from(p.pops())];
                self.begin(i, &mut p);
            }
            Pc::Free => {
                let block = self.number(i, p.turn);
                let noted = p.at[usize::from(p.turn)];
                if noted == 0 || !self.is_there(s, noted - 1, block) {
                    p.block = Some(block);
                    p.n = self.rest(i, p.next);
                }
                p.pc = Pc::Look;
            }
            Pc::EarlyValue => {
                p.value = s.values[self.index(s.ghost.head)];
                p.pc = Pc::Look;
            }
            Pc::Look => {
                if self.hints != Hints::Real {
                    p.pos = self.fresh(s, p.pops()) - lag;
                }
                returned = self.look(s, i, &mut p, most);
            }
            Pc::Entry => returned = self.look(s, i, &mut p, most),
            Pc::WalkHint => {
                p.pos = p.pos.max(s.hints[usize::from(p.pops())]);
                p.pc = Pc::Entry;
            }
            Pc::BehindHint => {
                let hint = s.hints[usize::from(p.pops())];
                if hint <= p.pos {
                    s.fault(Fault::Corrupt);
                }
                p.pos = hint;
                p.pc = Pc::Entry;
            }
            Pc::Flag => {
                let tests = !matches!(self.change, Change::NoClosedTest | Change::NoFlagTest);
                if s.flag && tests {
                    returned = told(s, &mut p);
                } else if p.seen.is_some() {
                    p.pc = self.after_room(&p);
                } else {
                    self.begin(i, &mut p);
                    returned = true;
                }
            }
            Pc::Value => {
                p.value = s.values[at];
                if p.pops() {
                    p.got[0] = p.value;
                }
                p.pc = Pc::Swap;
            }
            Pc::Write | Pc::LateWrite => {
                let word = LEN - usize::from(p.n) + usize::from(p.i);
                let message = self.message(i, p.next + p.i - if p.landed { p.n } else { 0 });
                self.write(s, p.block.unwrap_or(0), word, message);
                p.i += 1;
                if p.i == p.n {
                    p.i = 0;
                    p.written = true;
                    if p.pc == Pc::LateWrite {
                        returned = self.finished(i, &mut p);
                    } else {
                        p.pc = self.after_room(&p);
                    }
                }
            }
            Pc::Note => {
                let again = self.change == Change::NoteOnce && p.i == 1;
                p.at[usize::from(p.turn)] = p.pos + 1;
                if self.change != Change::NoNote && !again {
                    s.notes[usize::from(p.block.unwrap_or(0))] = p.pos + 1;
                }
                p.i = u8::from(self.change == Change::NoteOnce);
                p.pc = Pc::Swap;
            }
            Pc::LateNote => {
                s.notes[usize::from(p.block.unwrap_or(0))] = p.pos + 1;
                returned = self.finished(i, &mut p);
            }
            Pc::Read | Pc::LateRead => {
                if let Some(e) = p.seen {
                    let word = LEN - usize::from(e.left) + usize::from(p.i);
                    p.got[usize::from(p.i)] = s.blocks[usize::from(e.block)][word];
                }
                p.i += 1;
                if p.i == p.n {
                    if p.pc == Pc::LateRead {
                        returned = self.delivered(s, i, &mut p);
                    } else {
                        p.pc = Pc::Swap;
                    }
                }
            }
            Pc::LateValue => {
                p.got[0] = s.values[at];
                returned = self.delivered(s, i, &mut p);
            }
            Pc::Swap if p.pops() => returned = self.take(s, i, &mut p),
            Pc::Swap => returned = self.push(s, i, &mut p),
            Pc::OtherHalf => {
                if self.change == Change::StateFirst {
                    s.values[at] = self.message(i, p.next - 1);
                    returned = self.finished(i, &mut p);
                } else if Some(s.entries[at]) == p.seen {
                    s.entries[at] = Entry { full: true, ..s.entries[at] };
                    returned = self.has_pushed(s, i, &mut p);
                } else {
                    self.retry(&mut p);
                }
            }
            Pc::HintLoad => {
                p.value = s.hints[usize::from(p.pops())];
                if p.value < p.pos {
                    p.pc = Pc::HintSwap;
                } else {
                    self.begin(i, &mut p);
                    returned = true;
                }
            }
            Pc::HintSwap => {
                let hint = &mut s.hints[usize::from(p.pops())];
                if *hint == p.value {
                    *hint = p.pos;
                }
                self.begin(i, &mut p);
                returned = true;
            }
            Pc::SetFlag => {
                s.flag = true;
                if p.pops() {
                    p.pc = Pc::LookAgain;
                } else {
                    returned = told(s, &mut p);
                }
            }
            Pc::PopFlag => {
                if !s.flag {
                    self.begin(i, &mut p);
                    returned = true;
                } else if self.change == Change::NoSecondLook {
                    returned = closed(s, &mut p);
                } else {
                    p.pc = Pc::LookAgain;
                }
            }
            Pc::LookAgain => {
                if self.meaning(s.entries[at], true, p.pos) == Meaning::Not {
                    returned = closed(s, &mut p);
                } else {
                    self.begin(i, &mut p);
                }
            }
            Pc::CloseFlag => {
                if s.flag {
                    returned = told(s, &mut p);
                } else {
                    p.pc = Pc::Look;
                }
            }
            Pc::CloseSwap => {
                if Some(s.entries[at]) == p.seen {
                    s.entries[at].closed = true;
                    p.pc = Pc::SetFlag;
                } else {
                    p.seen = None;
                    p.pc = Pc::CloseFlag;
                }
            }
            Pc::Done | Pc::Dead => {}
        }
        s.process[i] = p;
        returned
    }

    /// One note after the other, and then the first operation.
    fn resume(&self, s: &State, i: usize, p: &mut Process) {
        let turn = p.i;
        if self.change != Change::ResumeFree {
            p.at[usize::from(turn)] = s.notes[usize::from(self.number(i, turn))];
        }
        p.i += 1;
        if p.i < self.blocks {
            return;
        }
        // The last of equals, as `max_by_key`.
        let newest = (0..self.blocks).max_by_key(|turn| p.at[usize::from(*turn)]).unwrap_or(0);
        p.turn = (newest + 1) % self.blocks;
        if self.change == Change::ResumeAtFirst {
            p.turn = 0;
        }
        p.i = 0;
        p.pc = Pc::Hint;
        if self.hints != Hints::Real {
            self.begin(i, p);
        }
    }

    /// The state at `pos` is loaded.
    fn look(&self, s: &mut State, i: usize, p: &mut Process, most: u8) -> bool {
        let e = s.entries[self.index(p.pos)];
        let helps = self.change != Change::NoFlagHelp;
        let marks = !matches!(self.change, Change::NoClosedTest | Change::NoMarkTest);
        match self.meaning(e, p.pops(), p.pos) {
            Meaning::Behind if self.hints == Hints::Real => p.pc = Pc::BehindHint,
            Meaning::Behind => s.fault(Fault::Corrupt),
            Meaning::Stale(ahead) => {
                p.pc = Pc::Entry;
                if self.change != Change::NoWalk {
                    p.pos += (ahead - 1) / 2 * self.entries + 1;
                }
                if self.hints == Hints::Real {
                    p.pc = Pc::WalkHint;
                }
            }
            _ if p.job == Job::Close => {
                p.seen = Some(e);
                let only_flag = e.closed || self.change == Change::FlagOnly;
                p.pc = if only_flag { Pc::SetFlag } else { Pc::CloseSwap };
            }
            _ if !p.pops() && e.closed && marks => p.pc = Pc::SetFlag,
            Meaning::Ready if p.pops() => {
                p.seen = Some(e);
                p.n = if e.left == 0 { 1 } else { e.left.min(most) };
                p.pc = match (e.left, self.change) {
                    (0, Change::ValueLate) | (1.., Change::BlockLate) => Pc::Swap,
                    (0, Change::ValueEarly) => {
                        p.got[0] = p.value;
                        Pc::Swap
                    }
                    (0, _) => Pc::Value,
                    _ => Pc::Read,
                };
            }
            Meaning::Ready => {
                p.seen = Some(e);
                p.pc = if self.closing() { Pc::Flag } else { self.after_room(p) };
            }
            Meaning::Not if p.pops() && self.closing() => {
                p.pc = if e.closed && helps { Pc::SetFlag } else { Pc::PopFlag };
            }
            Meaning::Not if self.closing() => p.pc = Pc::Flag,
            Meaning::Not => {
                self.begin(i, p);
                return true;
            }
        }
        false
    }

    /// There is an entry to push into.
    fn after_room(&self, p: &Process) -> Pc {
        match (p.block, self.change) {
            (None, _) => Pc::Value,
            (Some(_), Change::NoteLate) if p.written => Pc::Swap,
            (Some(_), Change::WriteLate) => Pc::Note,
            (Some(_), _) if p.written => Pc::Note,
            (Some(_), _) => Pc::Write,
        }
    }

    fn push(&self, s: &mut State, i: usize, p: &mut Process) -> bool {
        let at = self.index(p.pos);
        let seen = s.entries[at];
        let is_value = s.values[at] == p.value || self.change == Change::StateOnly;
        if let Some(block) = p.block {
            if p.seen != Some(seen) {
                self.retry(p);
                return false;
            }
            s.entries[at] = Entry { full: true, left: p.n, block, ..seen };
            return self.has_pushed(s, i, p);
        }
        let message = self.message(i, p.next);
        if self.change == Change::ValueFirst {
            if is_value {
                s.values[at] = message;
                p.pc = Pc::OtherHalf;
            } else {
                self.retry(p);
            }
            return false;
        }
        if p.seen != Some(seen) || !is_value {
            self.retry(p);
            return false;
        }
        s.entries[at] = Entry { full: true, ..seen };
        if self.change == Change::StateFirst {
            self.pushed(s, i, p.pos, 1);
            p.next += 1;
            p.landed = true;
            p.pc = Pc::OtherHalf;
            return false;
        }
        s.values[at] = message;
        self.has_pushed(s, i, p)
    }

    fn has_pushed(&self, s: &mut State, i: usize, p: &mut Process) -> bool {
        self.pushed(s, i, p.pos, p.n);
        p.next += p.n;
        p.landed = true;
        if p.block.is_some() {
            p.at[usize::from(p.turn)] = p.pos + 1;
            p.turn = (p.turn + 1) % self.blocks;
            p.i = 0;
            match self.change {
                Change::NoteLate => p.pc = Pc::LateNote,
                Change::WriteLate => p.pc = Pc::LateWrite,
                _ => return self.finished(i, p),
            }
            return false;
        }
        self.finished(i, p)
    }

    fn take(&self, s: &mut State, i: usize, p: &mut Process) -> bool {
        let at = self.index(p.pos);
        let now = s.entries[at];
        let compared = |e: Entry| Entry { lap: 0, ..e };
        let is_same = match self.change {
            Change::NoLapCompared => p.seen.map(compared) == Some(compared(now)),
            _ => p.seen == Some(now),
        };
        if !is_same {
            self.retry(p);
            return false;
        }
        let rest = now.left.saturating_sub(p.n);
        let keeps = rest > 0 && self.change != Change::RestForgotten;
        let steps = u8::from(self.change != Change::NoLap);
        s.entries[at] = if keeps {
            let wrong = u8::from(self.change == Change::RestTooLong);
            let closed = now.closed && self.change != Change::FewerDropsMark;
            Entry { left: rest + wrong, closed, ..now }
        } else {
            let closed = now.closed && self.change != Change::DropMark;
            Entry { lap: (now.lap + steps) % self.laps, closed, ..Entry::default() }
        };
        p.owed = self.taken(s, p.pos, p.n, rest == 0);
        p.landed = true;
        match (now.left, self.change) {
            (0, Change::ValueLate) => p.pc = Pc::LateValue,
            (1.., Change::BlockLate) => {
                p.i = 0;
                p.pc = Pc::LateRead;
            }
            _ => return self.delivered(s, i, p),
        }
        false
    }

    /// The take has what it was to get.
    fn delivered(&self, s: &mut State, i: usize, p: &mut Process) -> bool {
        if p.got != p.owed {
            s.fault(Fault::Torn);
        }
        if p.seen.is_some_and(|e| e.left > p.n) {
            self.begin(i, p);
            return true;
        }
        self.finished(i, p)
    }

    /// An entry was left behind: the hints.
    fn finished(&self, i: usize, p: &mut Process) -> bool {
        if self.hints == Hints::Real {
            p.pos += 1;
            let pos = p.pos;
            p.forget();
            p.pos = pos;
            p.landed = true;
            p.pc = Pc::HintLoad;
            return false;
        }
        self.begin(i, p);
        true
    }

    /// The exchange has failed: the entry is read again. A fresh hint names the position where the walk ends.
    fn retry(&self, p: &mut Process) {
        p.seen = None;
        p.value = 0;
        p.got = [0; LEN];
        if p.pops() {
            p.n = 0;
            p.i = 0;
        }
        p.pc = Pc::Entry;
        if self.hints == Hints::Fresh {
            p.pc = Pc::Look;
            p.pos = 0;
            if p.pops() && self.change == Change::ValueEarly {
                p.pc = Pc::EarlyValue;
            }
        }
    }
}

/// A push was told that the ring is closed, or a close has returned: no more of the program.
fn told(s: &mut State, p: &mut Process) -> bool {
    s.ghost.told = true;
    p.closes = false;
    p.next = 0;
    p.forget();
    p.at = [0; BLOCKS_OF_SEAT];
    p.turn = 0;
    p.pos = 0;
    p.pc = Pc::Done;
    true
}

/// A take was told so.
fn closed(s: &mut State, p: &mut Process) -> bool {
    if s.ghost.head != s.ghost.tail {
        s.fault(Fault::ClosedEarly);
    }
    told(s, p)
}
