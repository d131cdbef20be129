//! What can happen next: who may make a step, be killed, or come.

use super::state::{
    BLOCKS, BLOCKS_OF_SEAT, ENTRIES, Entry, Ghost, Job, LEN, Pc, Process, QUEUE, Role, SEATS, State,
};
use super::steps::Meaning;
use super::{Change, Hints, Inline, Search};

/// One atomic step of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A participant makes its next step; the last number is what it picks.
    Step(u8, Pc, u8),
    /// Kill.
    Kill(u8, Pc),
    /// A newcomer wins the semaphore of a seat.
    Join(u8),
}

impl Inline {
    pub(super) fn start(&self) -> State {
        let n = self.entries;
        // The first position at or after `from` that an entry has.
        let first = |e: u8| self.from + (e + n - self.from % n) % n;
        let mut s = State {
            entries: std::array::from_fn(|e| Entry {
                lap: if e < usize::from(n) { self.lap(first(e as u8)) } else { 0 },
                ..Entry::default()
            }),
            values: [0; ENTRIES],
            blocks: [[0; LEN]; BLOCKS],
            notes: [0; BLOCKS],
            hints: [self.from; 2],
            flag: false,
            process: [Process::new(Role::Consumer, 0, false); SEATS],
            kills: self.kills,
            newcomers: self.newcomers,
            ghost: Ghost {
                tail: self.from,
                head: self.from,
                queue: [0; QUEUE],
                told: false,
                quiet: 0,
                fault: None,
            },
        };
        for (i, p) in s.process.iter_mut().enumerate() {
            if i >= self.seats() {
                p.pc = Pc::Done;
                continue;
            }
            if i < self.producers.len() {
                *p = Process::new(Role::Producer, 0, self.closers & 1 << i != 0);
            }
            p.pos = self.from;
            self.begin(i, p);
        }
        self.canonical(s)
    }

    /// A step that nobody else can see, and that sees nothing of anybody else: who is there goes on before
    /// all others, unless it is killed. Whoever comes after a kill reads the notes, and nobody else does.
    fn is_private(pc: Pc) -> bool {
        matches!(pc, Pc::Note | Pc::Resume)
    }

    pub(super) fn enabled(&self, s: &State, actions: &mut Vec<Action>) {
        if self.search != Search::Every {
            let private = |&i: &usize| Self::is_private(s.process[i].pc);
            if let Some(i) = (0..self.seats()).find(private) {
                return self.enabled_for(s, i, actions);
            }
        }
        for i in 0..self.seats() {
            if s.process[i].pc == Pc::Dead && s.newcomers > 0 {
                actions.push(Action::Join(i as u8));
            }
            self.enabled_for(s, i, actions);
        }
    }

    fn enabled_for(&self, s: &State, i: usize, actions: &mut Vec<Action>) {
        let p = &s.process[i];
        let id = i as u8;
        match p.pc {
            Pc::Dead | Pc::Done => return,
            Pc::Look | Pc::Entry => {
                let first = u8::from(self.is_idle(s, i) && !(self.closing() && p.job == Job::Own));
                let last = match (p.pc, self.hints) {
                    (Pc::Look, Hints::Any(lag)) => lag.min(self.fresh(s, p.pops())),
                    _ => 0,
                };
                let many = p.pops() && s.entries.iter().any(|e| e.left > 1);
                let kinds = if many { self.takes.len() as u8 } else { 1 };
                for kind in 0..kinds {
                    actions.extend((first..=last).map(|lag| Action::Step(id, p.pc, kind * 8 + lag)));
                }
            }
            pc => actions.push(Action::Step(id, pc, 0)),
        }
        if s.kills > 0 {
            actions.push(Action::Kill(id, p.pc));
        }
    }

    /// Whether all that a participant can find is that the ring is full, or empty.
    pub(super) fn is_idle(&self, s: &State, i: usize) -> bool {
        let p = &s.process[i];
        let pos = self.fresh(s, p.pops());
        let e = s.entries[self.index(pos)];
        let nothing = self.meaning(e, p.pops(), pos) == Meaning::Not;
        let helps = self.change != Change::NoFlagHelp;
        let is_here = self.hints != Hints::Real || p.pos == pos;
        match (p.pc, p.job) {
            (Pc::Look, Job::Own) if !p.pops() && self.may_batch(s, i, p) => false,
            (Pc::Look, Job::Own) if p.pops() => nothing && is_here && !s.flag && !(e.closed && helps),
            (Pc::PopFlag, _) => nothing && !s.flag && !(e.closed && helps),
            (Pc::Look, Job::Own) => nothing && is_here && !e.closed && !s.flag,
            (Pc::Flag, _) => p.seen.is_none() && nothing && !e.closed && !s.flag,
            _ => false,
        }
    }

    /// Whether it waits to push one message of a batch by itself, and one of its blocks has become free.
    fn may_batch(&self, s: &State, i: usize, p: &Process) -> bool {
        let noted = p.at[usize::from(p.turn)];
        p.block.is_none()
            && self.rest(i, p.next) > 1
            && (noted == 0 || !self.is_there(s, noted - 1, self.number(i, p.turn)))
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
                s.kills -= 1;
                let p = &mut s.process[usize::from(i)];
                // What it had begun to push is gone with it.
                let next = p.next + if p.has_begun() { p.n } else { 0 };
                *p = Process { pc: Pc::Dead, ..Process::new(p.role, next, p.closes) };
            }
            Action::Join(i) => {
                s.newcomers -= 1;
                let p = &mut s.process[usize::from(i)];
                match (p.role, self.hints) {
                    (Role::Producer, _) => p.pc = Pc::Resume,
                    (Role::Consumer, Hints::Real) => p.pc = Pc::Hint,
                    (Role::Consumer, _) => self.begin(i.into(), p),
                }
            }
        }
        if self.counted.is_some() {
            s.ghost.quiet = if done { 0 } else { s.ghost.quiet.saturating_add(1) };
        }
        self.canonical(s)
    }

    /// Consumers have no names: nobody ever reads which one it was.
    fn canonical(&self, mut s: State) -> State {
        if self.search == Search::Symmetric {
            s.process[self.producers.len()..self.seats()].sort_unstable();
        }
        s
    }
}

const _: () = assert!(BLOCKS_OF_SEAT * (SEATS - 1) <= BLOCKS);
