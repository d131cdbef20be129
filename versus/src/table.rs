//! All rows, the fastest first, each with the ring's ratio to it.

use crate::many;
use crate::ours::BUILT_IN_PLACE;
use segring_bench::{Cell, Cores, MANY_RING, Measured, Mode, RING, Ratio, Row, Shape, machine, paired};
use serde::Serialize;
use std::fmt::{self, Write};

/// A row as `--json` prints it.
#[derive(Serialize)]
pub(crate) struct WithRatio<'a> {
    #[serde(flatten)]
    row: &'a Row,
    /// How many times as fast as this row the ring is in the same mode, by rounds: the median.
    ring_is: Option<f64>,
    /// The interval that holds its true value with at least 95 % confidence.
    ring_is_interval: Option<[f64; 2]>,
}

/// All rows, each with the ring's ratio to it.
pub(crate) fn with_ratios<'a>(rows: &'a [Row], measured: &[Measured]) -> Vec<WithRatio<'a>> {
    let with_ratio = |row: &'a Row| {
        let ratio = ratio(row, measured);
        let (ring_is, ring_is_interval) = (ratio.map(|r| r.median), ratio.and_then(|r| r.interval));
        WithRatio { row, ring_is, ring_is_interval }
    };
    rows.iter().map(with_ratio).collect()
}

/// The ring's ratio to a row.
pub(crate) fn ratio(row: &Row, measured: &[Measured]) -> Option<Ratio> {
    let find = |cell| measured.iter().find(|one| one.cell == cell);
    // Where the ring of many makes round trips, it is the one that is compared.
    let many = find(Cell { transport: MANY_RING, ..row.cell }).is_some() || row.cell.shape != Shape::OneToOne;
    let ring = if many { many::ours_like(measured, row.cell) } else { find(ours_like(row)) };
    paired(&ring?.rates(), &find(row.cell)?.rates())
}

/// For each size and mode a part, for people.
pub(crate) fn table(rows: &[Row], measured: &[Measured], cores: &Cores) -> Result<String, fmt::Error> {
    let mut out = String::new();
    let runs = rows.iter().map(|row| row.runs).max().unwrap_or(0);
    writeln!(out, "{}\nTwo processes, or two threads, on {}.", machine(), cores.note)?;
    writeln!(
        out,
        "Medians (min … max) of {runs} rounds. \"ring is\": how many times as fast as this row the"
    )?;
    writeln!(
        out,
        "ring is in the same mode, by rounds: median and its 95 % interval. \"limit\": which part of"
    )?;
    writeln!(out, "the machine's limit the row reaches.")?;
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by(|a, b| {
        let speed = |row: &Row| row.median.unwrap_or(0.0);
        let part = |row: &Row| (row.cell.mode == Mode::RoundTrip, row.size, row.mode);
        part(a).cmp(&part(b)).then(speed(b).total_cmp(&speed(a)))
    });
    for part in rows.chunk_by(|a, b| (a.size, a.mode) == (b.size, b.mode)) {
        writeln!(out, "\n{} bytes, {}", part[0].size, part[0].mode)?;
        writeln!(
            out,
            "  {:<32} {:<9} {:>6} {:>8} {:<19} {:>7} {:<15} {:>5}",
            "transport", "between", "copies", "M msg/s", "(min … max)", "ring is", "[95 %]", "limit"
        )?;
        for row in part {
            line(&mut out, row, measured)?;
        }
    }
    out += noted(rows.iter().filter_map(|row| ratio(row, measured)), EMPTY_INTERVAL);
    Ok(out)
}

fn line(out: &mut String, row: &Row, measured: &[Measured]) -> fmt::Result {
    write!(out, "  {:<32} {:<9} {:>6} ", row.transport, row.between, row.copies)?;
    let (Some(median), Some(min), Some(max)) = (row.median, row.min, row.max) else {
        return writeln!(out, "{}", row.note.as_deref().unwrap_or("not measured"));
    };
    let (ratio, interval) = ratio(row, measured)
        .map_or_else(|| ("-".to_owned(), String::new()), |r| (format!("x{}", digits(r.median)), interval(r)));
    let share = row.share_of_limit.map_or_else(|| "-".to_owned(), |share| format!("{:.0}%", share * 100.0));
    let range = format!("({} … {})", digits(min / 1e6), digits(max / 1e6));
    write!(out, "{:>8} {range:<19} {ratio:>7} {interval:<15} {share:>5}", digits(median / 1e6))?;
    match row.round_trip_p50_ns {
        Some(p50) => writeln!(out, "  p50 {p50:.0} ns"),
        None => writeln!(out),
    }
}

/// The ring's row that does the same as this one.
fn ours_like(row: &Row) -> Cell {
    match (row.copies, row.cell.mode) {
        (0, Mode::Single) => Cell { transport: BUILT_IN_PLACE, ..row.cell },
        (0, Mode::Bulk) => Cell { transport: RING, mode: Mode::InPlace, ..row.cell },
        _ => Cell { transport: RING, ..row.cell },
    }
}

/// An interval as the tables show it.
pub(crate) fn interval(ratio: Ratio) -> String {
    ratio.interval.map_or_else(String::new, |[low, high]| format!("[{}, {}]", digits(low), digits(high)))
}

/// Of the table.
pub(crate) const EMPTY_INTERVAL: &str =
    "\n[95 %] is empty where there were fewer than 6 rounds: so few give no interval.\n";
/// Of the aims.
pub(crate) const NO_VERDICT: &str =
    "-: fewer than 6 rounds give no interval, so nothing can be said of the aim.\n";

/// The note, if one of the ratios has no interval.
pub(crate) fn noted(ratios: impl IntoIterator<Item = Ratio>, note: &'static str) -> &'static str {
    if ratios.into_iter().any(|ratio| ratio.interval.is_none()) { note } else { "" }
}

/// Three digits that count, and never fewer than the whole number.
pub(crate) fn digits(value: f64) -> String {
    let decimals = match value {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        v if v >= 0.9995 => 2,
        v if v >= 0.09995 => 3,
        _ => 4,
    };
    format!("{value:.decimals$}")
}
