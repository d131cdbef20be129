//! Somebody dies in an operation, and somebody else in finishing it: whoever comes then must come to the
//! same verdict.

use crate::common::{TestName, say};
use crate::course::{Course, Effort};
use crate::harness::{Rng, Shared};
use crate::ops::{Op, Report};
use crate::sweep::{Form, Stage, Staged, Sweep, killing, points, stopping};
use crate::victim::Place;
use crate::world::{Then, World};

/// Who died, and after how many of its changes: at its intent, at its CAS, at `cur`, with a message in
/// hand.
const DEATHS: [(Op, usize); 12] = [
    (Op::TryPush, 2),
    (Op::TryPush, 3),
    (Op::TryPush, 4),
    (Op::TryPop, 2),
    (Op::TryPop, 3),
    (Op::TryPop, 4),
    (Op::Take, 1),
    (Op::Take, 2),
    (Op::Take, 3),
    (Op::HandBack, 2),
    (Op::HandBack, 3),
    (Op::HandBackToFull, 1),
];

/// How far the ring has gone on before the repair begins. `None`: not at all.
const MEANWHILE: [Option<Then>; 4] = [Some(Then::Drain), Some(Then::Fill), Some(Then::Laps), None];

const REPAIRS: [Op; 4] = [Op::Recover, Op::JoinConsumer, Op::JoinProducer, Op::PopLooks];

/// One death, and what is done about it.
#[derive(Clone, Copy, Debug)]
struct Case {
    death: (Op, usize),
    meanwhile: Option<Then>,
    repair: Op,
}

struct Repair<'a> {
    sweep: Sweep<'a>,
    dead: Shared<Report>,
    case: Case,
    /// Where it dies.
    place: Place,
}

impl Repair<'_> {
    /// A repairer at its mark; the dead one is dead.
    fn stage(&self) -> nix::Result<Stage> {
        let Self { sweep, case, .. } = self;
        let mut world = World::new(sweep.name, sweep.turned);
        // It has joined before, or is to have no other seat.
        let victim = world.start(case.repair, sweep.name, &sweep.report)?.expect("none that waits");
        let mut dead = world.start(case.death.0, sweep.name, &self.dead)?.expect("none that waits");
        if matches!(case.repair, Op::JoinConsumer | Op::JoinProducer) {
            world.take_seats();
        }
        let before = world.snapshot();
        dead.run(self.place)?;
        dead.kill();
        world.note_steps(case.death.0, &before, &self.dead);
        world.note_death();
        if let Some(then) = case.meanwhile {
            world.then(then);
        }
        let before = world.snapshot();
        Ok(Stage { world, victim, op: case.repair, before, dead: 1 })
    }
}

/// The verdict by the other hands: a pusher is dead behind its CAS, and its message was popped; while the
/// repairer looks through the hands, the one who has it goes on. Stopped closely, all the way to `cur`.
fn while_it_looks(name: &TestName, rng: &mut Rng, effort: Effort) -> nix::Result<u64> {
    let mut sweep = Sweep::new(name);
    sweep.turned = rng.below(12);
    let place = Course::of(|| sweep.fresh(Op::TryPush))?.changes[2];
    let case = Case { death: (Op::TryPush, 3), meanwhile: Some(Then::Drain), repair: Op::Recover };
    let repair = Repair { sweep, dead: Shared::create(), case, place };
    // The seat's record, and then `cur`.
    let cur = Course::of(|| repair.stage())?.changes[1];
    let stride = if effort == Effort::Short { CLOSELY } else { 1 };
    let first = cur.steps.saturating_sub(LOOKING);
    let mut points = 0;
    for steps in (first + rng.below(stride)..cur.steps).step_by(stride as usize) {
        let at = Place { steps, ..cur };
        repair.stage()?.play(at, Form::Stop { calls: 20 }, &repair.sweep.report)?;
        points += 1;
        say("alive");
    }
    say(&format!("while it looks: {points} points of {} instructions before the verdict", cur.steps - first));
    Ok(points)
}

/// Instructions of a look through the hands, about; and the distance of points in it.
const LOOKING: u64 = 600;
const CLOSELY: u64 = 20;

pub(crate) fn sweep(name: &TestName, rng: &mut Rng, effort: Effort) -> nix::Result<()> {
    let forms: Vec<Form> = killing().into_iter().chain(stopping()).collect();
    let mut all = while_it_looks(name, rng, effort)?;
    for death in DEATHS {
        let mut sweep = Sweep::new(name);
        sweep.turned = rng.below(12);
        let course = Course::of(|| sweep.fresh(death.0))?;
        let place = course.changes[death.1 - 1];
        let mut cases: Vec<Case> = Vec::new();
        for meanwhile in MEANWHILE {
            for repair in REPAIRS {
                // That one looks when it finds the ring empty.
                if repair != Op::PopLooks || meanwhile == Some(Then::Drain) || meanwhile == Some(Then::Laps) {
                    cases.push(Case { death, meanwhile, repair });
                }
            }
        }
        if effort == Effort::Short {
            let one = rng.below(cases.len() as u64) as usize;
            cases = vec![cases[one]];
        }
        let effort = effort.of(cases.len());
        for case in cases {
            let mut repair = Repair { sweep, dead: Shared::create(), case, place };
            let course = Course::of(|| repair.stage())?;
            let report: &Report = &repair.sweep.report;
            let count = points(|| repair.stage(), report, (&course, effort, rng), &forms)?;
            all += count.all();
            let meanwhile = case.meanwhile.map_or(String::new(), |then| format!(", then {then:?}"));
            let (op, changes) = death;
            let what = format!("{op:?} after {changes} changes{meanwhile}, then {:?}", case.repair);
            say(&count.line(&what, &course));
            repair.sweep.turned = rng.below(12);
            sweep = repair.sweep;
        }
    }
    say(&format!("{all} points in all"));
    Ok(())
}
