//! From runs to figures: medians with minimum and maximum, and ratios made within each round.

use super::measure::Measured;
use super::plan::Cell;
use super::runner::Run;
use serde::Serialize;

/// One line of the report. Serialised as it is for `--json`; figures are null where the cell is not
/// possible on this system, and `note` says why.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    #[serde(skip)]
    pub(super) cell: Cell,
    pub(super) transport: &'static str,
    pub(super) api: &'static str,
    pub(super) mode: &'static str,
    /// Bytes of a message.
    pub(super) size: usize,
    pub(super) producers: u32,
    pub(super) consumers: u32,
    /// Of each payload, see [`Cell::copies`].
    pub(super) copies: u32,
    /// The median. Round trips per second in that mode.
    pub(super) msgs_per_s: Option<f64>,
    pub(super) bytes_per_s: Option<f64>,
    pub(super) median: Option<f64>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) runs: usize,
    /// Messages of the measured runs whose every byte was compared: all of them.
    pub(super) verified: u64,
    /// Median of the rounds' ratios to the pipe with one message per call, at the same size; to
    /// the pipe's round trips where these are round trips.
    pub(super) ratio_vs_pipe: Option<f64>,
    /// Median round trip in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) round_trip_p50_ns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
}

pub(super) fn rows(measured: &[Measured]) -> Vec<Row> {
    measured.iter().map(|one| row(one, measured)).collect()
}

fn row(one: &Measured, all: &[Measured]) -> Row {
    let cell = one.cell;
    let rates: Vec<f64> = one.runs.iter().map(|run| run.per_second()).collect();
    let median_rate = median(&rates);
    let reference = all.iter().find(|other| other.cell == cell.reference());
    let ratios = reference.map(|reference| ratios(&one.runs, &reference.runs)).unwrap_or_default();
    let p50s: Vec<f64> = one.runs.iter().filter_map(|run| run.p50).map(|p50| p50 as f64).collect();
    Row {
        cell,
        transport: cell.transport.name(),
        api: cell.api(),
        mode: cell.mode.name(),
        size: cell.size,
        producers: 1,
        consumers: 1,
        copies: cell.copies(),
        msgs_per_s: median_rate,
        bytes_per_s: median_rate.map(|rate| rate * cell.size as f64),
        median: median_rate,
        min: rates.iter().copied().min_by(f64::total_cmp),
        max: rates.iter().copied().max_by(f64::total_cmp),
        runs: one.runs.len(),
        verified: one.runs.iter().map(|run| run.messages).sum(),
        ratio_vs_pipe: median(&ratios),
        round_trip_p50_ns: median(&p50s),
        note: one.impossible.as_ref().map(|why| format!("not possible: {why}")),
    }
}

/// Round by round. Both have a run in each, unless one of them is not possible.
fn ratios(runs: &[Run], references: &[Run]) -> Vec<f64> {
    runs.iter().zip(references).map(|(run, reference)| run.per_second() / reference.per_second()).collect()
}

/// The middle one, or the mean of the two in the middle.
fn median(values: &[f64]) -> Option<f64> {
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
        let run = |nanoseconds| Run { messages: 100, nanoseconds, p50: None };
        let fast = [run(10), run(100), run(10)];
        let slow = [run(40), run(400), run(40)];
        assert!(ratios(&fast, &slow).iter().all(|ratio| (ratio - 4.0).abs() < 1e-9));
    }
}
