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
/// Most by which a guess is raised at once: short runs are measured badly.
const STEEPEST: f64 = 50.0;
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
        None => calibrate(&mut pair, extent.run.as_nanos() as f64)?,
    };
    Ok(Measured { cell, runs: Vec::new(), impossible: None, messages: messages.min(most) })
}

fn calibrate(pair: &mut Pair<'_>, target: f64) -> Result<u64> {
    let mut messages = FIRST_GUESS;
    loop {
        // The better of two: what stops a run for a while must not be taken for its speed.
        let nanoseconds = pair.go(messages)?.nanoseconds.min(pair.go(messages)?.nanoseconds);
        let factor = target / nanoseconds.max(1) as f64;
        messages = ((messages as f64 * factor.min(STEEPEST)) as u64).max(FIRST_GUESS);
        if factor < 4.0 {
            return Ok(messages);
        }
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
