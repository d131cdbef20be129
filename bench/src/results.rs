//! From runs to figures: medians with minimum and maximum, and ratios made within each round.

use crate::measure::Measured;
use crate::plan::{Catalogue, Cell, Mode};
use crate::runner::Run;
use anyhow::Result;
use serde::Serialize;

/// One line of the report. Serialised as it is for `--json`; figures are null where the cell is not
/// possible on this system, and `note` says why.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What was measured.
    #[serde(skip)]
    pub cell: Cell,
    /// Its transport's name.
    pub transport: &'static str,
    /// The calls that carry a message.
    pub api: &'static str,
    /// How messages are handed over.
    pub mode: &'static str,
    /// Whether its ends are processes, or threads of one.
    pub between: &'static str,
    /// Bytes of a message.
    pub size: usize,
    /// How many processes or threads send.
    pub producers: u32,
    /// How many processes or threads receive.
    pub consumers: u32,
    /// Of each payload, see [`Transport::copies`](crate::Transport::copies).
    pub copies: u32,
    /// The median. Round trips per second in that mode.
    pub msgs_per_s: Option<f64>,
    /// The median, in bytes of payload. None where messages are handed over without being touched.
    pub bytes_per_s: Option<f64>,
    /// The median of the rounds, in messages per second.
    pub median: Option<f64>,
    /// The slowest round.
    pub min: Option<f64>,
    /// The fastest round.
    pub max: Option<f64>,
    /// In how many rounds it ran.
    pub runs: usize,
    /// Messages of the measured runs that were compared: all of them.
    pub verified: u64,
    /// What was compared of each: `"every byte"`, or `"both ends"` where it was handed over without
    /// being touched.
    pub checked: &'static str,
    /// Median of the rounds' ratios to the pipe with one message per call, at the same size and
    /// between as many; to the pipe's round trips where these are round trips.
    pub ratio_vs_pipe: Option<f64>,
    /// The interval that holds the true median of that ratio with at least 95 % confidence.
    pub ratio_vs_pipe_interval: Option<[f64; 2]>,
    /// What the machine can do at most, by name. None between many.
    pub limit: Option<&'static str>,
    /// Median of the rounds' ratios to that limit.
    pub share_of_limit: Option<f64>,
    /// Median round trip in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_trip_p50_ns: Option<f64>,
    /// Why there are no figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The lines of the report, in the order of the cells.
///
/// # Errors
/// If a cell is not of this catalogue.
pub fn rows(measured: &[Measured], catalogue: &Catalogue) -> Result<Vec<Row>> {
    measured.iter().map(|one| row(one, measured, catalogue)).collect()
}

fn row(one: &Measured, all: &[Measured], catalogue: &Catalogue) -> Result<Row> {
    let cell = one.cell;
    let transport = catalogue.find(cell.transport)?;
    let untouched = cell.mode == Mode::Handover;
    let rates = one.rates();
    let median_rate = median(&rates);
    let to = |other: Cell| {
        let other = all.iter().find(|measured| measured.cell == other)?;
        paired(&rates, &other.rates())
    };
    // What nobody touched is not held against what was copied and checked.
    let ratio = if untouched { None } else { to(cell.reference()) };
    let p50s: Vec<f64> = one.runs.iter().filter_map(|run| run.p50).map(|p50| p50 as f64).collect();
    Ok(Row {
        cell,
        transport: cell.transport,
        api: (transport.api)(cell.mode),
        mode: cell.mode.name(),
        between: transport.ends.between(),
        size: cell.size,
        producers: cell.shape.producers(),
        consumers: cell.shape.consumers(),
        copies: (transport.copies)(cell.mode),
        msgs_per_s: median_rate,
        bytes_per_s: median_rate.filter(|_| !untouched).map(|rate| rate * cell.size as f64),
        median: median_rate,
        min: rates.iter().copied().min_by(f64::total_cmp),
        max: rates.iter().copied().max_by(f64::total_cmp),
        runs: one.runs.len(),
        verified: one.runs.iter().map(|run| run.messages).sum(),
        checked: if untouched { "both ends" } else { "every byte" },
        ratio_vs_pipe: ratio.map(|ratio| ratio.median),
        ratio_vs_pipe_interval: ratio.and_then(|ratio| ratio.interval),
        limit: cell.limit().map(|limit| limit.transport),
        share_of_limit: cell.limit().and_then(to).map(|ratio| ratio.median),
        round_trip_p50_ns: median(&p50s),
        note: one.impossible.as_ref().map(|why| format!("not possible: {why}")),
    })
}

/// The value below which that part of them lies.
pub(crate) fn at_part(values: &mut [u64], part: f64) -> Option<u64> {
    let last = values.len().checked_sub(1)?;
    let at = ((last as f64) * part).round() as usize;
    Some(*values.select_nth_unstable(at.min(last)).1)
}

impl Measured {
    /// Messages per second of each round.
    pub fn rates(&self) -> Vec<f64> {
        self.runs.iter().copied().map(Run::per_second).collect()
    }
}

/// How many times as fast one is as the other, in the same rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// The median of the rounds' ratios.
    pub median: f64,
    /// The interval that holds the true median with at least 95 % confidence, whatever the
    /// distribution. None with fewer than 6 rounds, which cannot say.
    pub interval: Option<[f64; 2]>,
}

/// The ratio of two cells by rounds. None if one of them has no runs.
pub fn paired(one: &[f64], other: &[f64]) -> Option<Ratio> {
    let mut ratios: Vec<f64> = one.iter().zip(other).map(|(a, b)| a / b).collect();
    ratios.sort_by(f64::total_cmp);
    let interval = outside(ratios.len()).map(|k| [ratios[k], ratios[ratios.len() - 1 - k]]);
    Some(Ratio { median: median(&ratios)?, interval })
}

/// How many of `n` sorted values lie outside the interval for the median at each end: the sign
/// test's. A value is below the true median with probability 1/2, so the number of those below is
/// binomial. None if even all of them are no interval of 95 %.
fn outside(n: usize) -> Option<usize> {
    let mut probability = 0.5_f64.powi(i32::try_from(n).ok()?);
    if probability == 0.0 {
        // Beyond a thousand rounds it cannot be said in a double.
        return None;
    }
    let mut below = 0.0;
    let mut k = 0;
    while k < n {
        below += probability;
        if below > 0.025 {
            break;
        }
        probability *= (n - k) as f64 / (k + 1) as f64;
        k += 1;
    }
    k.checked_sub(1)
}

/// The middle one, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn a_slow_round_does_not_bend_the_ratio() {
        let ratio = paired(&[10.0, 1.0, 10.0], &[2.5, 0.25, 2.5]).unwrap();
        assert_eq!(ratio, Ratio { median: 4.0, interval: None });
        let ratio = paired(&[10.0; 6], &[2.5; 6]).unwrap();
        assert_eq!(ratio, Ratio { median: 4.0, interval: Some([4.0, 4.0]) });
        assert_eq!(paired(&[1.0], &[]), None);
    }

    #[test]
    fn intervals_are_those_of_the_sign_test() {
        // From the binomial distribution: the k-th smallest and largest of n hold the median with
        // at least 95 %.
        for (n, kth) in [(6, 1), (8, 1), (9, 2), (11, 2), (12, 3), (15, 4), (20, 6), (25, 8), (31, 10)] {
            assert_eq!(outside(n), Some(kth - 1), "{n}");
        }
        assert_eq!([0, 1, 2, 5, 2000].map(outside), [None; 5]);
    }
}
