//! All rows between many, the fastest first, each with the ring's ratio to it.

use crate::table::{EMPTY_INTERVAL, digits, interval, noted, ratio};
use segring_bench::{Cores, Measured, Mode, Row, machine};
use std::fmt::{self, Write};

/// For each size, shape and mode a part, for people.
pub(super) fn table(rows: &[Row], measured: &[Measured], cores: &Cores) -> Result<String, fmt::Error> {
    let mut out = String::new();
    let runs = rows.iter().map(|row| row.runs).max().unwrap_or(0);
    writeln!(out, "{}\nProcesses, or threads, on {}: all producers on the", machine(), cores.note)?;
    writeln!(out, "first, all consumers on the second. 2p4c: two producers, four consumers.")?;
    writeln!(out, "Medians (min … max) of {runs} rounds. \"ring is\": how many times as fast as this row")?;
    writeln!(out, "the ring's fastest row is in the same mode, by rounds: median and its 95 % interval.")?;
    let mut rows: Vec<&Row> = rows.iter().collect();
    let part =
        |row: &Row| (row.cell.mode == Mode::RoundTrip, row.size, row.producers, row.consumers, row.mode);
    rows.sort_by(|a, b| {
        let speed = |row: &Row| row.median.unwrap_or(0.0);
        part(a).cmp(&part(b)).then(speed(b).total_cmp(&speed(a)))
    });
    for part in rows.chunk_by(|a, b| part(a) == part(b)) {
        writeln!(out, "\n{} bytes, {}, {}", part[0].size, part[0].cell.shape, part[0].mode)?;
        writeln!(
            out,
            "  {:<32} {:<9} {:>6} {:>8} {:<19} {:>7} {:<15}",
            "transport", "between", "copies", "M msg/s", "(min … max)", "ring is", "[95 %]"
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
    let range = format!("({} … {})", digits(min / 1e6), digits(max / 1e6));
    write!(out, "{:>8} {range:<19} {ratio:>7} {interval:<15}", digits(median / 1e6))?;
    match row.round_trip_p50_ns {
        Some(p50) => writeln!(out, "  p50 {p50:.0} ns"),
        None => writeln!(out),
    }
}
