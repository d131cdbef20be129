//! The order of runs: find out how many messages a run needs, then rounds in which every cell runs
//! once, in an order that changes. Whatever disturbs the machine for a while then disturbs all
//! cells alike, and ratios are made within a round.

use crate::plan::Cell;
use crate::progress::Progress;
use crate::runner::{Pair, Run, Stage, Started};
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// How often each cell runs.
    pub rounds: u32,
    /// How long one run should take.
    pub run: Duration,
    /// No new round begins when this time would not be enough for it. `None`: all rounds.
    pub budget: Option<Duration>,
    /// Messages of each run, instead of finding a number that fits `run`.
    pub messages: Option<u64>,
}

/// A cell and what its runs gave: one for each round, or none and the reason.
pub struct Measured {
    /// What was measured.
    pub cell: Cell,
    /// One for each round.
    pub runs: Vec<Run>,
    /// Why there are none.
    pub impossible: Option<String>,
    messages: u64,
}

/// First guess of how many messages a run needs.
const FIRST_GUESS: u64 = 64;
/// By which a guess is raised.
const GROWTH: u64 = 8;
/// A run that takes so many times what one should is long enough to know.
const LONG: f64 = 30.0;
/// Part of a run's messages that goes ahead unmeasured, so that pages and caches are warm.
const WARM_UP_PART: u64 = 10;

/// Runs all cells.
///
/// # Errors
/// A wrong message, a transport that failed, a signal.
pub fn measure(
    cells: &[Cell],
    stage: &Stage<'_>,
    extent: Extent,
    progress: &mut Progress,
) -> Result<Vec<Measured>> {
    let begun = Instant::now();
    progress.begin(cells, extent);
    let mut measured = Vec::new();
    for &cell in cells {
        progress.step(cell, "calibrating");
        measured.push(prepare(cell, stage, extent)?);
    }
    for round in 0..extent.rounds {
        let round_begun = Instant::now();
        for at in order(measured.len(), round) {
            let Measured { cell, runs, impossible, messages } = &mut measured[at];
            progress.step(*cell, &format!("round {}/{}", round + 1, extent.rounds));
            if impossible.is_none() {
                runs.push(run(*cell, stage, *messages)?);
            }
        }
        let enough = |budget| begun.elapsed() + round_begun.elapsed() > budget;
        if round + 1 < extent.rounds && extent.budget.is_some_and(enough) {
            progress.say(&format!("this machine is busy: ending after {} rounds", round + 1));
            break;
        }
    }
    progress.end();
    Ok(measured)
}

/// Whether the cell is possible here, and how many messages take the time of a run.
fn prepare(cell: Cell, stage: &Stage<'_>, extent: Extent) -> Result<Measured> {
    let mut pair = match Pair::start(cell, stage)? {
        Started::Pair(pair) => pair,
        Started::Impossible(why) => {
            return Ok(Measured { cell, runs: Vec::new(), impossible: Some(why), messages: 0 });
        }
    };
    let most = stage.most(cell)?;
    let messages = match extent.messages.or((most < u64::MAX).then_some(most)) {
        Some(messages) => messages,
        None => calibrate(extent.run.as_nanos() as f64, |messages| {
            // The better of two: what stops a run for a while must not be taken for its speed.
            Ok(pair.go(messages)?.nanoseconds.min(pair.go(messages)?.nanoseconds))
        })?,
    };
    Ok(Measured { cell, runs: Vec::new(), impossible: None, messages: messages.min(most) })
}

/// How many messages take `target` nanoseconds, of which `time` says how long so many take. What does not
/// depend on their number, as waking all processes, is left out: it may take longer than all messages.
fn calibrate(target: f64, mut time: impl FnMut(u64) -> Result<u64>) -> Result<u64> {
    let mut messages = FIRST_GUESS;
    let mut took = time(messages)? as f64;
    loop {
        let more = messages * GROWTH;
        let longer = time(more)? as f64;
        let of_messages = longer - took;
        // Else most of it is something else, or it is too short to be measured well.
        if longer >= took * (GROWTH / 2) as f64 && of_messages >= target / 5.0 || longer > target * LONG {
            let needed = target * (more - messages) as f64 / of_messages.max(1.0);
            return Ok((needed as u64).clamp(FIRST_GUESS, more * GROWTH));
        }
        (messages, took) = (more, longer);
    }
}

/// One run in two new processes.
fn run(cell: Cell, stage: &Stage<'_>, messages: u64) -> Result<Run> {
    match Pair::start(cell, stage)? {
        Started::Pair(mut pair) => {
            pair.go((messages / WARM_UP_PART).max(1))?;
            pair.go(messages)
        }
        Started::Impossible(why) => bail!("{cell}: no longer possible: {why}"),
    }
}

/// The numbers below `n`, shuffled differently for each round, but the same way in every program
/// run (Fisher-Yates, xorshift).
fn order(n: usize, round: u32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ (u64::from(round) + 1).wrapping_mul(0xff51_afd7_ed55_8ccd);
    for i in (1..n).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(i, (state % (i as u64 + 1)) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In nanoseconds: all processes, and each message, give or take.
    fn calibrated(target: f64, all: f64, each: f64) -> f64 {
        let mut some = [0.8, 1.0, 1.3, 0.9].into_iter().cycle();
        let mut time =
            |messages: u64| Ok(((all + each * messages as f64) * some.next().unwrap_or(1.0)) as u64);
        calibrate(target, &mut time).unwrap() as f64 * each
    }

    #[test]
    fn a_run_has_as_many_messages_as_take_its_time() {
        for (all, each) in [(0.0, 20.0), (1e4, 5.0), (1e5, 1e3), (1e7, 20.0), (5e7, 1e3), (0.0, 1e5)] {
            for target in [1.4e7, 7e7] {
                let took = calibrated(target, all, each);
                assert!((0.5..2.0).contains(&(took / target)), "{all} {each} {target}: {took}");
            }
        }
        // One takes as long as all should.
        assert_eq!(calibrated(1.4e7, 0.0, 1e7), FIRST_GUESS as f64 * 1e7);
    }

    #[test]
    fn every_cell_runs_once_in_each_round() {
        let mut seen = Vec::new();
        for round in 0..5 {
            let mut order = order(70, round);
            assert!(!seen.contains(&order));
            seen.push(order.clone());
            order.sort_unstable();
            assert!(order.into_iter().eq(0..70));
        }
    }
}
