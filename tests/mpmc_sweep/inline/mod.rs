//! The sweep of a ring whose messages lie in its entries.

mod ops;
mod words;
mod world;

use crate::common::{TestName, say};
use crate::course::{Course, Effort};
use crate::harness::{Rng, Shared};
use crate::sweep::{Form, Staged, points};
use crate::victim::{Place, Victim};
use ops::{OPS, Op, Report};
use words::Snapshot;
use world::World;

/// Somebody at its mark, and the words as they were then.
struct Stage {
    world: World,
    victim: Victim,
    op: Op,
    before: Snapshot,
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
        let Self { mut world, mut victim, op, before } = self;
        let running = victim.run(at)?;
        let changes = world.snapshot().changes_since(&before);
        match form {
            Form::Kill(then) => {
                victim.kill();
                world.note_steps(op, &before);
                world.then(then);
            }
            Form::Stop { calls } => {
                world.note_steps(op, &before);
                world.give_seats();
                world.go_on(calls, at.steps);
                if op.gets_in_a_wait() {
                    world.leave_one();
                }
                if running {
                    victim.run_to_mark()?;
                }
                world.note_end(op, report);
                victim.run_out()?;
            }
        }
        world.settle(if at.steps % 16 == 0 { 100 } else { 20 });
        Ok(changes)
    }
}

fn stage(name: &TestName, op: Op, turned: u64, report: &Shared<Report>) -> nix::Result<Stage> {
    loop {
        let mut world = World::new(name, op.capacity(), turned);
        if let Some(victim) = world.start(op, name, report)? {
            let before = world.snapshot();
            return Ok(Stage { world, victim, op, before });
        }
        world.discard();
    }
}

/// All operations.
pub(crate) fn sweep(name: &TestName, rng: &mut Rng, effort: Effort, forms: &[Form]) -> nix::Result<()> {
    let report = Shared::<Report>::create();
    let mut all = 0;
    let only = std::env::var("SEGRING_SWEEP_ONLY");
    for op in OPS {
        if only.as_ref().is_ok_and(|only| *only != format!("{op:?}")) {
            continue;
        }
        let turned = rng.below(12);
        let stage = || stage(name, op, turned, &report);
        let course = Course::of(stage)?;
        let count = points(stage, &report, (&course, effort, rng), forms)?;
        all += count.all();
        say(&count.line(&format!("{op:?} at {turned}"), &course));
    }
    say(&format!("{all} points in all"));
    Ok(())
}
