//! Which instructions of an operation matter most: those that change a word.

use crate::harness::Rng;
use crate::sweep::Staged;
use crate::victim::Place;

/// How much is swept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// What a test run has time for.
    Short,
    /// About so many points of each operation.
    About(u64),
    /// Every instruction, but of joining and repairing, which read `/proc`.
    All,
}

/// Points beside those where a word changes, by default.
const ELSEWHERE: u64 = 5;
/// Most points of joining, waiting and repairing, and their instructions from a system call on.
const LONG_POINTS: u64 = 200;
const LONG_STEPS: u64 = 400;

impl Effort {
    pub(crate) fn asked() -> Self {
        match std::env::var("SEGRING_SWEEP").as_deref() {
            Ok("all") => Self::All,
            Ok(n) => n.parse().map_or(Self::Short, Self::About),
            Err(_) => Self::Short,
        }
    }
}

impl Effort {
    /// One of so many that are asked for together.
    pub(crate) fn of(self, cases: usize) -> Self {
        match self {
            Self::About(n) => Self::About(n.div_ceil(cases as u64)),
            other => other,
        }
    }
}

/// An operation from its mark to its end.
pub(crate) struct Course {
    /// Instructions; system calls of a long one.
    pub(crate) length: u64,
    pub(crate) long: bool,
    /// Right behind each instruction that changes a word.
    pub(crate) changes: Vec<Place>,
}

impl Course {
    /// Leads somebody through it; then somebody else to each change.
    pub(crate) fn of<S: Staged>(stage: impl Fn() -> nix::Result<S>) -> nix::Result<Self> {
        let mut first = stage()?;
        let mut course = Self { length: 0, long: first.is_long(), changes: Vec::new() };
        if !course.long {
            let mut last = 0;
            while first.victim().step()? {
                course.length += 1;
                let place = Place { calls: 0, steps: course.length };
                course.note(&mut last, first.changes(), place);
            }
            first.check();
            first.discard();
            return Ok(course);
        }
        // How many changes there are at the mark, at the end of each call, and at the end.
        let mut changes = vec![0];
        while first.victim().skip_call()? {
            changes.push(first.changes());
        }
        changes.push(first.changes());
        first.check();
        first.discard();
        course.length = changes.len() as u64 - 2;
        for (calls, around) in (0..).zip(changes.windows(2)).filter(|(_, around)| around[0] != around[1]) {
            let mut stage = stage()?;
            stage.victim().run(Place { calls, steps: 0 })?;
            let mut last = around[0];
            for steps in 1.. {
                if last == around[1] || !stage.victim().step()? {
                    break;
                }
                course.note(&mut last, stage.changes(), Place { calls, steps });
            }
            stage.discard();
        }
        Ok(course)
    }

    fn note(&mut self, last: &mut u64, changes: u64, place: Place) {
        if changes != *last {
            assert!(changes > *last, "a change was taken back");
            self.changes.push(place);
            *last = changes;
        }
    }

    /// Right before each change, right behind it, and one further.
    pub(crate) fn critical(&self) -> Vec<Place> {
        let around = |at: &Place| [at.steps - 1, at.steps, at.steps + 1].map(|steps| Place { steps, ..*at });
        self.changes.iter().flat_map(around).collect()
    }

    /// Places all over it, in order, as many as asked for.
    pub(crate) fn spread(&self, effort: Effort, rng: &mut Rng) -> Vec<Place> {
        let wanted = match effort {
            Effort::Short => ELSEWHERE,
            Effort::About(n) => n,
            Effort::All => u64::MAX,
        };
        if self.long {
            // Half of them where words change.
            let place = |i: u64| match self.changes.get((i / 2) as usize % self.changes.len().max(1)) {
                Some(change) if i % 2 == 0 => Place { steps: rng.below(change.steps + 50), ..*change },
                _ => Place { calls: rng.below(self.length + 1), steps: rng.below(LONG_STEPS) },
            };
            return (0..wanted.min(LONG_POINTS)).map(place).collect();
        }
        let stride = (self.length / wanted.max(1)).max(1);
        let first = rng.below(stride);
        (first..self.length).step_by(stride as usize).map(|steps| Place { calls: 0, steps }).collect()
    }
}

/// What is told of a sweep.
#[derive(Default)]
pub(crate) struct Count {
    pub(crate) points: u64,
    pub(crate) critical: u64,
}

impl Count {
    pub(crate) fn all(&self) -> u64 {
        self.points + self.critical
    }

    pub(crate) fn line(&self, what: &str, course: &Course) -> String {
        let unit = if course.long { "system calls" } else { "instructions" };
        let (all, beside, changes, length) = (self.all(), self.critical, course.changes.len(), course.length);
        format!("{what}: {all} points ({beside} beside the {changes} changes) of {length} {unit}")
    }
}
