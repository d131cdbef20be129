//! What can happen next: who may make a step, be killed, leave, come, or repair a dead seat.

use super::books::orphan;
use super::state::{Entry, Ghost, HANDS, Hand, Job, Kind, Op, Pc, Process, Role, SLOTS, Slot, State};
use super::steps::{Meaning, begin};
use super::{Change, Exchange, Hints, Search};

/// One atomic step of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A participant makes its next step; the last number is what it picks.
    Step(u8, Pc, u8),
    /// Kill.
    Kill(u8, Pc),
    /// It leaves.
    Leave(u8, Pc),
    /// A newcomer wins the semaphore of a seat.
    Join(u8, Role),
    /// Somebody who has a seat of his own wins that of a dead one.
    Recover(u8, u8),
    /// A consumer hands back what it holds.
    HandBack(u8),
    /// The ring is full: what should be pushed back stays where it is. Or it stays in the dead hand for later.
    GiveUp(u8),
}

impl Exchange {
    pub(super) fn start(&self) -> State {
        let n = self.entries;
        let nothing = |i: usize| Op { kind: Kind::Start, pos: 0, slot: n + i as u8 };
        let hand = |i| Hand { cur: nothing(i), now: None, rel: None };
        let from = self.from;
        // The first position at or after `from` that an entry has.
        let first = |e: u8| self.add(from, (e + n - from % n) % n);
        let mut s = State {
            entries: std::array::from_fn(|e| Entry {
                lap: if e < usize::from(n) { self.lap(first(e as u8)) } else { 0 },
                slot: e as u8,
                ..Entry::default()
            }),
            flag: false,
            slots: [Slot::default(); SLOTS],
            hands: std::array::from_fn(hand),
            process: std::array::from_fn(|i| Process::new(Role::Consumer, i as u8, 0)),
            kills: self.kills,
            newcomers: self.newcomers,
            leaves: self.leaves,
            backs: self.backs,
            ghost: Ghost {
                tail: from,
                head: from,
                landed: [None; HANDS],
                told: false,
                quiet: 0,
                fault: None,
            },
        };
        for (i, p) in s.process.iter_mut().enumerate() {
            if i < self.hands() {
                s.slots[usize::from(n) + i].owner = i as u8 + 1;
            } else {
                p.pc = Pc::Done;
                continue;
            }
            if let Some(&left) = self.producers.get(i) {
                *p = Process::new(Role::Producer, i as u8, left);
                p.closes = self.closers & 1 << i != 0;
            }
            begin(p);
        }
        if let Some(i) = self.stopped.map(usize::from) {
            while s.process[i].pc != Pc::Cas {
                self.step(&mut s, i, 0);
            }
        }
        self.canonical(s)
    }

    /// A step that nobody else can see, and that sees nothing of anybody else: who is there goes on before
    /// all others, unless it is killed or leaves.
    fn is_private(&self, s: &State, pc: Pc) -> bool {
        match pc {
            Pc::Payload | Pc::Cur | Pc::Read | Pc::Release => true,
            Pc::RepairNow | Pc::RepairFix | Pc::RepairRel => true,
            // Only repairs read these.
            Pc::Stamp | Pc::Intent => !self.may_repair(s),
            _ => false,
        }
    }

    /// Whether anybody repairs or ever will.
    fn may_repair(&self, s: &State) -> bool {
        let all = &s.process[..self.hands()];
        let gone = s.kills > 0 || s.leaves > 0 || all.iter().any(Process::is_gone);
        let comes = s.newcomers > 0 || self.recover;
        gone && comes || all.iter().any(|p| p.judges() || p.pc == Pc::RepairStamp)
    }

    pub(super) fn enabled(&self, s: &State, actions: &mut Vec<Action>) {
        if self.search != Search::Every {
            let private = |&i: &usize| self.is_private(s, s.process[i].pc);
            if let Some(i) = (0..self.hands()).find(private) {
                return self.enabled_for(s, i, actions);
            }
        }
        for i in 0..self.hands() {
            if self.may_join(s, i) && s.newcomers > 0 {
                for role in [Role::Producer, Role::Consumer] {
                    if self.either || role == s.process[i].role {
                        actions.push(Action::Join(i as u8, role));
                    }
                }
            }
            self.enabled_for(s, i, actions);
        }
    }

    /// Whether the seat's semaphore can be won.
    fn may_join(&self, s: &State, i: usize) -> bool {
        s.process[i].is_gone()
    }

    fn enabled_for(&self, s: &State, i: usize, actions: &mut Vec<Action>) {
        let p = &s.process[i];
        let id = i as u8;
        match p.pc {
            Pc::Dead | Pc::Left | Pc::Clean | Pc::Locked => return,
            Pc::Done => {
                if s.leaves > 0 {
                    actions.push(Action::Leave(id, p.pc));
                }
                return;
            }
            Pc::Cas if self.stopped == Some(id) || self.leaves_behind(s, p) => {}
            Pc::Look => {
                let lag = if self.hints == Hints::Fresh { 0 } else { self.lag };
                let turns = self.closing() && p.job == Job::Own;
                let first = u8::from(self.is_idle(s, i) && !turns);
                actions.extend((first..=lag).map(|pick| Action::Step(id, p.pc, pick)));
            }
            Pc::RepairScan => {
                let others = (0..self.hands() as u8).filter(|j| p.others & 1 << j != 0);
                actions.extend(others.map(|pick| Action::Step(id, p.pc, pick)));
            }
            Pc::RepairStamp => {
                let choices = self.choices(s, i).iter();
                actions.extend(choices.map(|&pick| Action::Step(id, p.pc, pick)));
            }
            pc => actions.push(Action::Step(id, pc, 0)),
        }
        if s.kills > 0 && self.victim.is_none_or(|v| v == id) {
            actions.push(Action::Kill(id, p.pc));
        }
        let own = usize::from(p.hand) == i;
        let holding = matches!(p.pc, Pc::Read | Pc::Release);
        let between = matches!(p.pc, Pc::Look | Pc::Payload);
        if s.leaves > 0 && own && (between || holding) {
            actions.push(Action::Leave(id, p.pc));
        }
        if s.backs > 0 && own && p.pc == Pc::Release {
            actions.push(Action::HandBack(id));
        }
        if self.recover && own && p.pc == Pc::Look && p.job == Job::Own {
            for d in 0..self.hands() {
                let two = self.change == Change::TwoRepairers && s.process[d].pc == Pc::Locked;
                if matches!(s.process[d].pc, Pc::Dead | Pc::Clean) || two {
                    actions.push(Action::Recover(id, d as u8));
                }
            }
        }
        let gives_up = p.role == Role::Consumer || !own;
        let has_no_room = p.job == Job::Back && p.pc == Pc::Look && self.is_idle(s, i);
        if gives_up && has_no_room || !own && p.pc == Pc::Read {
            actions.push(Action::GiveUp(id));
        }
    }

    /// Whether all that a participant can find is that the ring is full, or empty.
    pub(super) fn is_idle(&self, s: &State, i: usize) -> bool {
        let p = &s.process[i];
        let kind = p.kind();
        let pos = self.fresh(s, kind);
        let e = s.entries[self.index(pos)];
        let nothing = self.meaning(e, kind, pos) == Meaning::Not;
        let helps = self.change != Change::NoFlagHelp;
        match (p.pc, p.job, kind) {
            (Pc::Look, Job::Own, Kind::Pop) | (Pc::PopFlag, ..) => nothing && !s.flag && !(e.closed && helps),
            (Pc::Look, Job::Own, _) => nothing && !e.closed && !s.flag,
            (Pc::Flag, ..) => p.seen.is_none() && nothing && !e.closed && !s.flag,
            (Pc::Look, Job::Back, _) => nothing,
            _ => false,
        }
    }

    pub(super) fn apply(&self, old: &State, action: Action) -> State {
        let mut s = old.clone();
        let mut done = true;
        match action {
            Action::Step(i, _, pick) => {
                let returned = self.step(&mut s, i.into(), pick);
                done = returned || s.entries != old.entries;
            }
            Action::Kill(i, _) => {
                self.spend(&mut s.kills);
                self.vanish(&mut s, i.into(), true);
            }
            Action::Leave(i, _) => {
                self.spend(&mut s.leaves);
                self.vanish(&mut s, i.into(), false);
            }
            Action::Join(i, role) => self.join(&mut s, i.into(), role),
            Action::Recover(i, d) => {
                let clean = s.process[usize::from(d)].pc == Pc::Clean;
                s.process[usize::from(d)].pc = Pc::Locked;
                let mut p = s.process[usize::from(i)];
                p.hand = d;
                p.pc = Pc::RepairNow;
                if clean {
                    p.pc = Pc::Look;
                    p.hand = i;
                    s.process[usize::from(d)].pc = Pc::Left;
                }
                s.process[usize::from(i)] = p;
            }
            Action::HandBack(i) => {
                self.spend(&mut s.backs);
                orphan(&mut s, i.into());
                let p = &mut s.process[usize::from(i)];
                p.job = Job::Back;
                p.pc = Pc::Stamp;
            }
            Action::GiveUp(i) => {
                let i = usize::from(i);
                let mut p = s.process[i];
                if usize::from(p.hand) == i {
                    p.forget();
                    p.pc = Pc::Release;
                } else {
                    self.finish(&mut s, i, &mut p);
                }
                s.process[i] = p;
            }
        }
        if self.counted.is_some() {
            s.ghost.quiet = if done { 0 } else { s.ghost.quiet.saturating_add(1) };
        }
        self.canonical(s)
    }

    fn join(&self, s: &mut State, i: usize, role: Role) {
        self.spend(&mut s.newcomers);
        let p = &mut s.process[i];
        let clean = p.pc == Pc::Clean;
        // The rest of a producer's program is its successor's.
        let (left, closes) = if role == p.role { (p.left, p.closes) } else { (self.brings(role), false) };
        *p = Process { pc: Pc::RepairNow, closes, ..Process::new(role, i as u8, left) };
        if clean {
            begin(p);
        }
    }

    /// Without an end there is always one more.
    fn spend(&self, budget: &mut u8) {
        *budget -= u8::from(self.endless.is_none());
    }

    fn brings(&self, role: Role) -> u8 {
        if role == Role::Producer { self.brings } else { 0 }
    }
}
