//! Which instructions of an operation matter most: those that change a word, or a seat.

use crate::effort::Effort;
use crate::harness::Rng;
use crate::rings::Kind;
use crate::stopped::Stage;
use crate::victim::Place;

/// Points beside those where a word changes, by default.
const ELSEWHERE: u64 = 3;
/// Most points of joining and waiting, and their instructions from a system call on.
const LONG_POINTS: u64 = 200;
const LONG_STEPS: u64 = 400;

/// An operation from its mark to its end.
pub(crate) struct Course {
    /// Instructions; system calls of a long one.
    pub(crate) length: u64,
    pub(crate) long: bool,
    /// Right behind each instruction that changes something.
    pub(crate) changes: Vec<Place>,
}

impl Course {
    /// Leads somebody through it; then, if it is long, somebody else to each change.
    pub(crate) fn of<'a, K: Kind + 'a>(stage: impl Fn() -> nix::Result<Stage<'a, K>>) -> nix::Result<Self> {
        let Stage { world, mut victim, op, .. } = stage()?;
        let mut course = Self { length: 0, long: op.is_long(), changes: Vec::new() };
        let mut last = world.snapshot();
        if !course.long {
            while victim.step()? {
                course.length += 1;
                let now = world.snapshot();
                if now != last {
                    course.changes.push(Place { calls: 0, steps: course.length });
                }
                last = now;
            }
            victim.kill();
            world.discard();
            return Ok(course);
        }
        // What there is at the mark, at the end of each call, and at the end.
        let mut seen = vec![last];
        while victim.skip_call()? {
            seen.push(world.snapshot());
        }
        seen.push(world.snapshot());
        victim.kill();
        world.discard();
        course.length = seen.len() as u64 - 2;
        for (calls, around) in (0..).zip(seen.windows(2)).filter(|(_, around)| around[0] != around[1]) {
            let Stage { world, mut victim, .. } = stage()?;
            victim.run(Place { calls, steps: 0 })?;
            // Who joins writes who it is, and when: not the same each time, but the same words.
            let changes = |(before, after): (&Vec<u64>, &Vec<u64>)| {
                before.iter().zip(after).filter(|(before, after)| before != after).count()
            };
            let all = changes((&around[0], &around[1]));
            let first = world.snapshot();
            let mut seen = 0;
            for steps in 1.. {
                if seen == all || !victim.step()? {
                    break;
                }
                let now = changes((&first, &world.snapshot()));
                if now != seen {
                    course.changes.push(Place { calls, steps });
                }
                seen = now;
            }
            victim.kill();
            world.discard();
        }
        Ok(course)
    }

    /// Right before each change and right behind it; and one further, if that does not take long.
    pub(crate) fn critical(&self) -> Vec<Place> {
        let last = if self.long { 0 } else { 1 };
        let around = |at: &Place| {
            let at = *at;
            (at.steps - 1..=at.steps + last).map(move |steps| Place { steps, ..at })
        };
        let mut places: Vec<Place> = self.changes.iter().flat_map(around).collect();
        places.dedup();
        places
    }

    /// Places all over it, in order, as many as asked for.
    pub(crate) fn spread(&self, effort: Effort, rng: &mut Rng) -> Vec<Place> {
        let wanted = match effort {
            Effort::Short => ELSEWHERE,
            Effort::About(n) => n,
            Effort::All => u64::MAX,
        };
        if self.long {
            let place = |_| Place { calls: rng.below(self.length + 1), steps: rng.below(LONG_STEPS) };
            return (0..wanted.min(LONG_POINTS)).map(place).collect();
        }
        let stride = (self.length / wanted.max(1)).max(1);
        let first = rng.below(stride);
        (first..self.length).step_by(stride as usize).map(|steps| Place { calls: 0, steps }).collect()
    }
}
