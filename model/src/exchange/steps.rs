//! What can happen next, and what it does.

use super::state::{Entry, Fault, HANDS, Hand, Kind, Op, POSITIONS, Pc, Process, Role, Slot, State, bit};
use super::{Change, Exchange, Ghost, Hints};

/// One atomic step of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A participant makes its next step.
    Step(u8, Pc),
    /// It reads this from the hint.
    Hint(u8, u8),
    /// Kill.
    Kill(u8, Pc),
    /// A newcomer wins a dead seat's semaphore.
    Join(u8, Role),
}

impl Exchange {
    pub(super) fn hands(&self) -> usize {
        self.producers.len() + usize::from(self.consumers)
    }

    pub(super) fn start(&self) -> State {
        let n = self.entries;
        let nothing = |i: usize| Op { kind: Kind::Start, pos: 0, slot: n + i as u8 };
        let landed = std::array::from_fn(nothing);
        let mut s = State {
            entries: std::array::from_fn(|i| Entry { stage: 0, slot: i as u8 }),
            slots: [Slot::default(); 6],
            hands: landed.map(|cur| Hand { cur, now: None, rel: None }),
            process: [Process::new(Role::Consumer, 0); HANDS],
            kills: self.kills,
            newcomers: self.newcomers,
            ghost: Ghost {
                begun: 0,
                tail: 0,
                head: 0,
                at: [0; POSITIONS],
                pushed: 0,
                released: 0,
                seen: 0,
                orphaned: 0,
                landed,
                holds: [0; HANDS],
                fault: None,
            },
        };
        for (i, p) in s.process.iter_mut().enumerate() {
            if i < self.hands() {
                s.slots[usize::from(n) + i].owner = i as u8 + 1;
            }
            if let Some(&left) = self.producers.get(i) {
                *p = Process::new(Role::Producer, left);
            }
            begin(p);
        }
        if let Some(i) = self.stopped.map(usize::from) {
            while s.process[i].pc != Pc::Cas {
                self.step(&mut s, i);
            }
        }
        s
    }

    pub(super) fn enabled(&self, s: &State, actions: &mut Vec<Action>) {
        for i in 0..self.hands() {
            let p = &s.process[i];
            let id = i as u8;
            match p.pc {
                Pc::Done => continue,
                Pc::Dead => {
                    if s.newcomers > 0 {
                        for role in [Role::Producer, Role::Consumer] {
                            if self.either || role == p.role {
                                actions.push(Action::Join(id, role));
                            }
                        }
                    }
                    continue;
                }
                Pc::Wait => {
                    if self.may_go_on(s, p.role) {
                        actions.push(Action::Step(id, p.pc));
                    }
                }
                Pc::Hint if self.hints == Hints::Any => {
                    actions.extend((0..=end(s, p.role)).map(|pos| Action::Hint(id, pos)));
                }
                Pc::Cas if self.stopped == Some(id) => {}
                pc => actions.push(Action::Step(id, pc)),
            }
            if s.kills > 0 && self.victim.is_none_or(|v| v == id) {
                actions.push(Action::Kill(id, p.pc));
            }
        }
    }

    /// Whether there is room, or a message.
    pub(super) fn may_go_on(&self, s: &State, role: Role) -> bool {
        let used = s.ghost.tail - s.ghost.head;
        match role {
            Role::Producer => used < self.entries,
            Role::Consumer => used > 0,
        }
    }

    pub(super) fn apply(&self, old: &State, action: Action) -> State {
        let mut s = old.clone();
        match action {
            Action::Step(i, _) => self.step(&mut s, i.into()),
            Action::Hint(i, pos) => {
                s.process[usize::from(i)].pos = pos;
                s.process[usize::from(i)].pc = Pc::Entry;
            }
            Action::Kill(i, _) => kill(&mut s, i.into()),
            Action::Join(i, role) => {
                s.newcomers -= 1;
                let p = &mut s.process[usize::from(i)];
                // The rest of a producer's program is its successor's.
                let left = if role == p.role { p.left } else { 0 };
                *p = Process { pc: Pc::RepairCur, ..Process::new(role, left) };
            }
        }
        s
    }

    fn index(&self, pos: u8) -> usize {
        usize::from(pos % self.entries)
    }

    /// The stage in which an operation expects its entry.
    fn stage(&self, kind: Kind, pos: u8) -> u8 {
        2 * (pos / self.entries) + u8::from(kind == Kind::Pop)
    }

    pub(super) fn step(&self, s: &mut State, i: usize) {
        let me = i as u8 + 1;
        let mut p = s.process[i];
        let kind = match p.role {
            Role::Producer => Kind::Push,
            Role::Consumer => Kind::Pop,
        };
        let mine = usize::from(s.hands[i].cur.slot);
        match p.pc {
            Pc::Payload => {
                p.left -= 1;
                s.ghost.begun += 1;
                p.message = s.ghost.begun;
                s.slots[mine].payload = p.message;
                p.pc = Pc::ClearMark;
            }
            Pc::ClearMark => {
                if self.change != Change::MarkNotCleared {
                    s.slots[mine].mark = false;
                }
                p.pc = Pc::Stamp;
            }
            Pc::SetMark => {
                if self.change != Change::NotMarked {
                    s.slots[mine].mark = true;
                }
                p.pc = Pc::Stamp;
            }
            Pc::Stamp => {
                let left_out = match kind {
                    Kind::Push => self.change == Change::NoStampByPush,
                    _ => self.change == Change::NoStampByPop,
                };
                if !left_out && self.change != Change::StampAfterIntent {
                    s.slots[mine].owner = me;
                }
                p.pc = Pc::Hint;
            }
            Pc::Hint => {
                p.pos = end(s, p.role);
                p.pc = Pc::Entry;
            }
            Pc::Entry => {
                let e = s.entries[self.index(p.pos)];
                let stage = self.stage(kind, p.pos);
                if e.stage == stage {
                    p.seen = e;
                    p.pc = if self.change == Change::IntentAfterCas { Pc::Cas } else { Pc::Intent };
                } else if e.stage > stage {
                    p.pos += 1;
                } else {
                    if e.stage + 1 != stage && self.change != Change::NoLap {
                        s.fault(Fault::Behind);
                    }
                    p.pos = 0;
                    p.pc = Pc::Wait;
                }
            }
            Pc::Intent => {
                s.hands[i].now = Some(Op { kind, pos: p.pos, slot: p.seen.slot });
                let late = self.change == Change::StampAfterIntent;
                p.pc = if late { Pc::LateStamp } else { Pc::Cas };
            }
            Pc::LateStamp => {
                s.slots[mine].owner = me;
                p.pc = Pc::Cas;
            }
            Pc::Cas => {
                let at = self.index(p.pos);
                if s.entries[at] == p.seen {
                    let stage = match self.change {
                        Change::NoLap if kind == Kind::Pop => p.seen.stage - 1,
                        _ => p.seen.stage + 1,
                    };
                    s.entries[at] = Entry { stage, slot: mine as u8 };
                    land(s, i, Op { kind, pos: p.pos, slot: p.seen.slot }, mine);
                    let late = self.change == Change::IntentAfterCas;
                    p.pc = if late { Pc::LateIntent } else { Pc::Cur };
                } else {
                    p.seen = Entry::default();
                    p.pc = Pc::Entry;
                }
            }
            Pc::LateIntent => {
                s.hands[i].now = Some(Op { kind, pos: p.pos, slot: p.seen.slot });
                p.pc = Pc::Cur;
            }
            Pc::Cur => {
                s.hands[i].cur = Op { kind, pos: p.pos, slot: p.seen.slot };
                p.forget();
                if self.change == Change::NowCleared {
                    p.pc = Pc::ClearNow;
                } else {
                    after_cur(&mut p);
                }
            }
            Pc::ClearNow => {
                s.hands[i].now = None;
                after_cur(&mut p);
            }
            Pc::Read => {
                p.message = s.slots[mine].payload;
                if p.message != s.ghost.holds[i] {
                    s.fault(Fault::Torn);
                }
                p.pc = Pc::ReadMark;
            }
            Pc::ReadMark => {
                let marked = p.again || s.slots[mine].mark;
                deliver(s, p.message, marked);
                p.again = false;
                p.pc = Pc::Release;
            }
            Pc::Release => {
                s.hands[i].rel = Some(s.hands[i].cur.pos);
                if s.ghost.released & bit(p.message) != 0 {
                    s.fault(Fault::ReleasedTwice);
                }
                s.ghost.released |= bit(p.message);
                s.ghost.holds[i] = 0;
                begin(&mut p);
            }
            Pc::Wait => p.pc = Pc::Hint,
            Pc::Done | Pc::Dead => {}
            _ => self.repair(s, i, &mut p),
        }
        s.process[i] = p;
    }

    /// The steps of taking a dead seat over.
    fn repair(&self, s: &mut State, i: usize, p: &mut Process) {
        let Hand { cur, now, rel } = s.hands[i];
        let g = cur.slot;
        match (p.pc, now) {
            (Pc::RepairCur, _) => p.pc = Pc::RepairNow,
            (Pc::RepairNow, Some(op)) if op != cur => p.pc = Pc::RepairEntry,
            (Pc::RepairEntry, Some(op)) => {
                let e = s.entries[self.index(op.pos)];
                let stage = self.stage(op.kind, op.pos);
                p.pc = if e.stage <= stage {
                    Pc::RepairStamp
                } else if e.stage == stage + 1 {
                    if e.slot == g || self.change == Change::NextIsSuccess {
                        Pc::RepairFix
                    } else {
                        Pc::RepairStamp
                    }
                } else if self.change == Change::OwnerBeforeScan {
                    Pc::RepairOwner
                } else if self.change == Change::NoScan {
                    p.other = self.hands() as u8;
                    Pc::RepairOwner
                } else {
                    Pc::RepairScan
                };
                if p.pc == Pc::RepairScan {
                    p.other = next_other(i, 0);
                }
            }
            (Pc::RepairScan, Some(op)) => {
                let wanted = match op.kind {
                    Kind::Push => Op { kind: Kind::Pop, pos: op.pos, slot: g },
                    _ => Op { kind: Kind::Push, pos: op.pos + self.entries, slot: g },
                };
                let fits = s.hands[usize::from(p.other)].now.is_some_and(|o| {
                    o.kind == wanted.kind
                        && o.slot == wanted.slot
                        && (o.pos == wanted.pos || self.change == Change::AnyPosition)
                });
                p.other = next_other(i, p.other + 1);
                if fits {
                    p.pc = Pc::RepairFix;
                } else if usize::from(p.other) >= self.hands() {
                    p.pc = match self.change {
                        Change::OwnerBeforeScan => judge(p.owner, i),
                        Change::NoOwner => Pc::RepairStamp,
                        _ => Pc::RepairOwner,
                    };
                }
            }
            (Pc::RepairOwner, Some(_)) => {
                let owner = s.slots[usize::from(g)].owner;
                if self.change == Change::OwnerBeforeScan {
                    p.owner = owner;
                    p.other = next_other(i, 0);
                    p.pc = Pc::RepairScan;
                } else {
                    p.pc = judge(owner, i);
                }
            }
            (Pc::RepairFix, Some(op)) => {
                if self.change != Change::NoRepair {
                    s.hands[i].cur = op;
                }
                p.pc = Pc::RepairStamp;
            }
            (Pc::RepairStamp, _) => {
                if self.change != Change::NoStampByRepair {
                    s.slots[usize::from(g)].owner = i as u8 + 1;
                }
                p.pc = Pc::RepairRel;
            }
            (Pc::RepairRel, _) => {
                p.forget();
                let held = cur.kind == Kind::Pop && rel != Some(cur.pos);
                if held && self.change != Change::HeldNotLookedFor {
                    p.again = true;
                    p.pc = if p.role == Role::Producer { Pc::SetMark } else { Pc::Read };
                } else {
                    begin(p);
                }
            }
            (_, _) => p.pc = Pc::RepairStamp,
        }
        if p.pc == Pc::RepairStamp {
            let pos = s.hands[i].cur;
            if pos != s.ghost.landed[i] {
                s.fault(Fault::Verdict);
            }
            p.forget();
        }
    }
}

fn judge(owner: u8, i: usize) -> Pc {
    if usize::from(owner) == i + 1 { Pc::RepairStamp } else { Pc::RepairFix }
}

fn next_other(i: usize, from: u8) -> u8 {
    if usize::from(from) == i { from + 1 } else { from }
}

/// The next operation, or the end.
fn begin(p: &mut Process) {
    p.forget();
    p.pc = match p.role {
        Role::Producer if p.left == 0 => Pc::Done,
        Role::Producer => Pc::Payload,
        Role::Consumer => Pc::Stamp,
    };
}

fn after_cur(p: &mut Process) {
    begin(p);
    if p.role == Role::Consumer {
        p.pc = Pc::Read;
    }
}

/// The position that a fresh hint has.
fn end(s: &State, role: Role) -> u8 {
    match role {
        Role::Producer => s.ghost.tail,
        Role::Consumer => s.ghost.head,
    }
}

/// A CAS has succeeded: the books.
fn land(s: &mut State, i: usize, op: Op, gave: usize) {
    let pos = usize::from(op.pos);
    match op.kind {
        Kind::Push => {
            let message = s.slots[gave].payload;
            if op.pos != s.ghost.tail {
                s.fault(Fault::Order);
            }
            s.ghost.tail += 1;
            s.ghost.at[pos] = message;
            s.ghost.pushed |= bit(message);
            s.ghost.holds[i] = 0;
        }
        _ => {
            let message = s.slots[usize::from(op.slot)].payload;
            if op.pos != s.ghost.head || message != s.ghost.at[pos] {
                s.fault(Fault::Order);
            }
            s.ghost.head += 1;
            s.ghost.holds[i] = s.ghost.at[pos];
            s.ghost.at[pos] = 0;
        }
    }
    s.ghost.landed[i] = op;
}

fn deliver(s: &mut State, message: u8, marked: bool) {
    let m = bit(message);
    if !marked {
        if (s.ghost.seen | s.ghost.orphaned) & m != 0 {
            s.fault(Fault::Twice);
        }
        s.ghost.seen |= m;
    } else if s.ghost.orphaned & m == 0 {
        s.fault(Fault::IdleMark);
    }
}

fn kill(s: &mut State, i: usize) {
    s.kills -= 1;
    if s.holds(i) {
        s.ghost.orphaned |= bit(s.ghost.holds[i]);
    }
    let p = &mut s.process[i];
    p.forget();
    p.pc = Pc::Dead;
}
