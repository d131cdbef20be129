//! One operation that is killed or stopped at an instruction. What the words say then is what must come
//! out.

use crate::common::{TestName, say};
use crate::course::{Count, Course, Effort};
use crate::harness::{Rng, Shared};
use crate::ops::{OPS, Op, Report};
use crate::victim::{Place, Victim};
use crate::words::Snapshot;
use crate::world::{THEN, Then, World};
use std::time::{Duration, Instant};

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// SIGKILL, and what comes first after it.
    Kill(Then),
    /// It stands still while others make so many calls; then it goes on.
    Stop { calls: u64 },
}

/// Somebody at its mark, on a ring of some kind.
pub(crate) trait Staged: Sized {
    /// What a victim says of itself.
    type Report;
    /// Whether it is one of those with thousands of instructions.
    fn is_long(&self) -> bool;
    fn victim(&mut self) -> &mut Victim;
    /// How many words have changed since the mark.
    fn changes(&self) -> u64;
    /// It stands at its second mark, and nobody has disturbed it: has it woken who slept?
    fn check(&self);
    /// Kills it, and removes the ring as it is.
    fn discard(self);
    /// Leads it there, lets it happen, and settles. Says how many words were changed.
    fn play(self, at: Place, form: Form, report: &Self::Report) -> nix::Result<u64>;
}

/// Somebody at its mark, and the words as they were then.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) victim: Victim,
    pub(crate) op: Op,
    pub(crate) before: Snapshot,
    /// Dead seats beside it.
    pub(crate) dead: usize,
}

impl Staged for Stage {
    type Report = Report;

    fn is_long(&self) -> bool {
        self.op.is_long()
    }

    fn victim(&mut self) -> &mut Victim {
        &mut self.victim
    }

    fn changes(&self) -> u64 {
        self.world.snapshot().changes_since(&self.before)
    }

    fn check(&self) {
        assert!(!self.op.scene().sleeper || !self.world.has_sleeper(), "it woke nobody");
    }

    fn discard(self) {
        drop(self.victim);
        self.world.discard();
    }

    fn play(self, at: Place, form: Form, report: &Report) -> nix::Result<u64> {
        let Self { mut world, mut victim, op, before, dead } = self;
        let running = victim.run(at)?;
        let words = world.snapshot();
        let changes = words.changes_since(&before);
        match form {
            Form::Kill(then) => {
                victim.kill();
                world.note_steps(op, &before, report);
                world.note_death();
                world.then(then);
            }
            Form::Stop { calls } => {
                world.note_steps(op, &before, report);
                world.give_seats();
                // One that leaves something behind is to be seen to as well.
                world.go_on(calls, dead + usize::from(op == Op::LeaveOwing), at.steps);
                if op.gets_in_a_wait() {
                    world.leave_one();
                }
                if running {
                    victim.run_to_mark()?;
                }
                let done = (words.exchanged_since(&before), words.released_since(&before));
                world.note_end(op, done, report);
                victim.run_out()?;
                world.note_death();
            }
        }
        world.settle(if at.steps % 16 == 0 { 1000 } else { 40 });
        Ok(changes)
    }
}

/// What all points have in common.
pub(crate) struct Sweep<'a> {
    pub(crate) name: &'a TestName,
    pub(crate) report: Shared<Report>,
    /// Positions at which the ring begins.
    pub(crate) turned: u64,
}

impl<'a> Sweep<'a> {
    pub(crate) fn new(name: &'a TestName) -> Self {
        Self { name, report: Shared::create(), turned: 0 }
    }

    pub(crate) fn fresh(&self, op: Op) -> nix::Result<Stage> {
        loop {
            let mut world = World::new(self.name, self.turned);
            if let Some(victim) = world.start(op, self.name, &self.report)? {
                let before = world.snapshot();
                return Ok(Stage { world, victim, op, before, dead: 0 });
            }
            world.discard();
        }
    }
}

/// By default a place beside a change is gone to this often; once in joining, waiting and repairing.
const WAYS: usize = 2;

/// The points of one operation, or of one repair.
pub(crate) fn points<S: Staged>(
    stage: impl Fn() -> nix::Result<S>,
    report: &S::Report,
    (course, effort, rng): (&Course, Effort, &mut Rng),
    forms: &[Form],
) -> nix::Result<Count> {
    let mut count = Count::default();
    let mut ways = (0..).map(|i: usize| forms[i % forms.len()]);
    let mut next = || ways.next().unwrap_or(forms[0]);
    // Whoever listens hears that it goes on.
    let mut told = Instant::now();
    let mut tell = || {
        if told.elapsed() > Duration::from_secs(1) {
            told = Instant::now();
            say("alive");
        }
    };
    for at in course.critical() {
        let some: Vec<Form> =
            (0..forms.len().min(if course.long { 1 } else { WAYS })).map(|_| next()).collect();
        for form in if effort == Effort::Short { &some } else { forms } {
            stage()?.play(at, *form, report)?;
            count.critical += 1;
            tell();
        }
    }
    let mut before = (Place::MARK, 0);
    for at in course.spread(effort, rng) {
        let changes = stage()?.play(at, next(), report)?;
        let further = at.calls == before.0.calls && at.steps >= before.0.steps;
        assert!(!further || changes >= before.1, "{changes} at {at:?}, {} at {:?}", before.1, before.0);
        before = (at, changes);
        count.points += 1;
        tell();
    }
    Ok(count)
}

pub(crate) fn killing() -> Vec<Form> {
    THEN.map(Form::Kill).to_vec()
}

pub(crate) fn stopping() -> Vec<Form> {
    vec![Form::Stop { calls: 1000 }]
}

/// All operations.
pub(crate) fn sweep(name: &TestName, rng: &mut Rng, effort: Effort, forms: &[Form]) -> nix::Result<()> {
    let mut sweep = Sweep::new(name);
    let mut all = 0;
    let only = std::env::var("SEGRING_SWEEP_ONLY");
    for op in OPS {
        if only.as_ref().is_ok_and(|only| *only != format!("{op:?}")) {
            continue;
        }
        sweep.turned = rng.below(12);
        let course = Course::of(|| sweep.fresh(op))?;
        let count = points(|| sweep.fresh(op), &*sweep.report, (&course, effort, rng), forms)?;
        all += count.all();
        say(&count.line(&format!("{op:?} at {}", sweep.turned), &course));
    }
    say(&format!("{all} points in all"));
    Ok(())
}
