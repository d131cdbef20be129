//! One that stands still at an instruction while its peer makes a thousand calls; then it goes on.
//! And one that takes a dead one's seat over, and stands still there, or is killed.

use crate::clock;
use crate::common::{TestName, say};
use crate::course::Course;
use crate::effort::{Effort, Ticker};
use crate::harness::{Rng, Shared};
use crate::ops::{OPS, Op, Report};
use crate::rings::Kind;
use crate::stops;
use crate::victim::{Place, Victim};
use crate::world::World;

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// SIGKILL; somebody else comes.
    Kill,
    /// It stands still while its peer makes a thousand calls; then it goes on.
    Stop,
}

/// Calls of the others beside one that is stopped, and beside a dead seat.
const CALLS: u64 = 1000;
const FEW: u64 = 48;

/// Somebody at its mark.
pub(crate) struct Stage<'a, K: Kind> {
    pub(crate) world: World<'a, K>,
    pub(crate) victim: Victim,
    pub(crate) op: Op,
}

impl<K: Kind> Stage<'_, K> {
    /// Leads it there, lets it happen, and settles.
    fn play(self, at: Place, form: Form, report: &Report) -> nix::Result<()> {
        let Self { mut world, mut victim, op } = self;
        victim.run(at)?;
        match form {
            Form::Kill => {
                victim.kill();
                // Now and then, the next newcomer is the first to touch the ring.
                if at.steps % 2 == 0 {
                    world.go_on(FEW, None);
                }
            }
            Form::Stop => {
                world.go_on(CALLS, Some(victim.pid()));
                if op.sits_or_stands() && at.steps % 2 == 1 {
                    world.keep_seat();
                }
                victim.run_out()?;
                world.note_end(report);
            }
        }
        world.settle();
        Ok(())
    }
}

/// What all points have in common.
struct Sweep<'a> {
    name: &'a TestName,
    report: Shared<Report>,
    /// Positions at which the ring begins.
    turned: u64,
}

impl Sweep<'_> {
    fn victim<K: Kind>(&self, op: Op) -> nix::Result<Victim> {
        self.report.clear();
        Victim::start::<K>(self.name, op, &self.report, || {
            clock::inject();
            stops::begin();
        })
    }

    fn fresh<K: Kind>(&self, op: Op) -> nix::Result<Stage<'_, K>> {
        let world = World::new(self.name, op, self.turned);
        Ok(Stage { world, victim: self.victim::<K>(op)?, op })
    }

    /// A newcomer at its mark; somebody else has died in `op` there. Says also how much that one moved.
    fn beside_a_dead<K: Kind>(&self, op: Op, died_at: Place) -> nix::Result<(Stage<'_, K>, u64)> {
        let mut world = World::new(self.name, op, self.turned);
        let mut dead = self.victim::<K>(op)?;
        dead.run(died_at)?;
        dead.kill();
        let join = if op.by_producer() { Op::JoinProducer } else { Op::JoinConsumer };
        let moved = world.note_death(join);
        Ok((Stage { world, victim: self.victim::<K>(join)?, op: join }, moved))
    }
}

/// All points of one operation: (beside changes, elsewhere).
fn points<'a, K: Kind>(
    stage: impl Fn() -> nix::Result<Stage<'a, K>>,
    report: &Report,
    (course, effort, rng): (&Course, Effort, &mut Rng),
    forms: &[Form],
) -> nix::Result<(u64, u64)> {
    let (mut critical, mut elsewhere, mut ticker) = (0, 0, Ticker::new());
    for at in course.critical() {
        // By default now this, now that: one form at each place.
        let one = critical as usize % forms.len();
        for form in if effort == Effort::Short { &forms[one..=one] } else { forms } {
            stage()?.play(at, *form, report)?;
            critical += 1;
            ticker.tick();
        }
    }
    for at in course.spread(effort, rng) {
        stage()?.play(at, forms[elsewhere as usize % forms.len()], report)?;
        elsewhere += 1;
        ticker.tick();
    }
    Ok((critical, elsewhere))
}

fn tell(what: &str, course: &Course, (critical, elsewhere): (u64, u64)) {
    let unit = if course.long { "system calls" } else { "instructions" };
    let (all, changes, length) = (critical + elsewhere, course.changes.len(), course.length);
    say(&format!("{what}: {all} points ({critical} beside the {changes} changes) of {length} {unit}"));
}

/// Stopped in all operations. Gives the number of points.
pub(crate) fn sweep<K: Kind>(name: &TestName, rng: &mut Rng, effort: Effort) -> nix::Result<u64> {
    let mut sweep = Sweep { name, report: Shared::create(), turned: 0 };
    let mut all = 0;
    for op in OPS.into_iter().filter(|op| op.is_there(K::BYTES)) {
        if effort == Effort::Short && op.is_common() && !K::PIECEMEAL {
            continue;
        }
        sweep.turned = rng.below(12);
        let course = Course::of(|| sweep.fresh::<K>(op))?;
        let done = points(|| sweep.fresh::<K>(op), &sweep.report, (&course, effort, rng), &[Form::Stop])?;
        tell(&format!("{op:?} at {}", sweep.turned), &course, done);
        all += done.0 + done.1;
    }
    Ok(all)
}

/// Who dies before: each changes words in its own order.
const DEATHS: [[Op; 3]; 2] =
    [[Op::TryPush, Op::PushSlice, Op::CommitGrant], [Op::TryPop, Op::PopSlice, Op::ReleaseGrant]];

/// Somebody died behind one of its changes; whoever takes the seat over is killed or stopped as well.
/// Gives the number of points.
pub(crate) fn take_over<K: Kind>(name: &TestName, rng: &mut Rng, effort: Effort) -> nix::Result<u64> {
    let mut sweep = Sweep { name, report: Shared::create(), turned: 0 };
    let mut all = 0;
    let mut deaths =
        DEATHS.map(|side| side.into_iter().filter(|op| op.is_there(K::BYTES)).collect::<Vec<_>>());
    if effort == Effort::Short {
        deaths = deaths.map(|side| vec![side[rng.below(side.len() as u64) as usize]]);
    }
    for death in deaths.concat() {
        sweep.turned = rng.below(12);
        let changes = Course::of(|| sweep.fresh::<K>(death))?.changes;
        // Not the last one: behind that, nothing is left undone.
        let chosen = rng.below((changes.len() as u64 - 1).max(1)) as usize;
        for (number, at) in changes.iter().enumerate() {
            if effort == Effort::Short && number != chosen {
                continue;
            }
            let stage = || sweep.beside_a_dead::<K>(death, *at).map(|(stage, _)| stage);
            let (first, moved) = sweep.beside_a_dead::<K>(death, *at)?;
            let all_of_it = number + 1 < changes.len() || moved == death.moves(K::BYTES);
            assert!(all_of_it, "{death:?} had changed all it would, and moved {moved}");
            first.victim.kill();
            first.world.discard();
            let course = Course::of(stage)?;
            let done = points(stage, &sweep.report, (&course, effort, rng), &[Form::Kill, Form::Stop])?;
            tell(&format!("{death:?} after change {} and then a newcomer", number + 1), &course, done);
            all += done.0 + done.1;
        }
    }
    Ok(all)
}
