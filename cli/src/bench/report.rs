//! The table for people.

use super::notes::notes;
use segring_bench::{Cores, Mode, PIPE, RING, Row, Shape, machine};
use std::fmt::{self, Write};

/// The whole report, at most 120 columns wide.
pub(super) fn report(rows: &[Row], cores: &Cores) -> Result<String, fmt::Error> {
    let mut out = String::new();
    head(&mut out, rows, cores)?;
    let (round_trips, throughput): (Vec<&Row>, Vec<&Row>) =
        rows.iter().partition(|row| row.cell.mode == Mode::RoundTrip);
    let part = |row: &Row| (row.size, row.cell.shape);
    for same_size in throughput.chunk_by(|a, b| part(a) == part(b)) {
        let limit = Limit::of(same_size);
        match part(same_size[0]) {
            (size, Shape::OneToOne) => writeln!(out, "\nMessages of {size} bytes")?,
            (size, shape) => writeln!(
                out,
                "\nMessages of {size} bytes, {shape}: {}, {}, each a process",
                counted(shape.producers(), "producer"),
                counted(shape.consumers(), "consumer")
            )?,
        }
        writeln!(
            out,
            "  {:<18} {:<8} {:<20} {:>6} {:>7} {:<17} {:>6} {:>7} {}",
            "transport",
            "mode",
            "calls",
            "copies",
            "M msg/s",
            "(min … max)",
            "GB/s",
            "vs pipe",
            limit.after("[95 %]", "limit")
        )?;
        for row in same_size {
            line(&mut out, row, limit)?;
        }
    }
    if let Some(first) = round_trips.first() {
        writeln!(out, "\nRound trip: a message of {} bytes there, its answer back", first.size)?;
        writeln!(
            out,
            "  {:<18} {:<18} {:>10}  {:>9} {:<19} {:>7} {:<14} {:>5}",
            "transport", "calls", "median µs", "M trips/s", "(min … max)", "vs pipe", "[95 %]", "limit"
        )?;
        for row in &round_trips {
            round_trip(&mut out, row)?;
        }
    }
    foot(&mut out, rows)?;
    Ok(out)
}

/// So many of them, in words.
fn counted(number: u32, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn head(out: &mut String, rows: &[Row], cores: &Cores) -> fmt::Result {
    let runs = rows.iter().map(|row| row.runs).max().unwrap_or(0);
    writeln!(out, "{}", machine())?;
    let many = rows.iter().all(|row| row.cell.shape != Shape::OneToOne);
    let who =
        if many { "All producers on the first, all consumers on the second of" } else { "Two processes on" };
    writeln!(out, "{who} {}.", cores.note)?;
    if cores.pair.is_none() {
        writeln!(out, "Without a second core the figures show the scheduler more than the transports.")?;
    }
    write!(out, "Each message is built, carried and compared byte by byte within the measured time")?;
    let ends = rows.iter().any(|row| row.cell.mode == Mode::Handover);
    writeln!(out, "{}", if ends { "\n(handover: its first and last word)." } else { "." })?;
    let rounds = if runs == 1 { "round" } else { "rounds" };
    writeln!(
        out,
        "Medians (min … max) of {runs} {rounds}. On a noisy machine trust the ratios: they compare"
    )?;
    writeln!(out, "each run with the pipe's run (one message per call) of the same round; [95 %]: where")?;
    writeln!(out, "their true median lies.")
}

/// The last column, where anything has a limit: between many nothing has.
#[derive(Clone, Copy)]
struct Limit(bool);

impl Limit {
    fn of(rows: &[&Row]) -> Self {
        Self(rows.iter().any(|row| share(row) != "-"))
    }

    fn after(self, interval: &str, text: &str) -> String {
        if self.0 { format!("{interval:<14} {text:>5}") } else { interval.to_owned() }
    }
}

fn line(out: &mut String, row: &Row, limit: Limit) -> fmt::Result {
    write!(out, "  {:<18} {:<8} ", row.transport, row.mode)?;
    let (Some(median), Some(min), Some(max)) = (row.median, row.min, row.max) else {
        return writeln!(out, "{}", row.note.as_deref().unwrap_or("not measured"));
    };
    let range = format!("({} … {})", millions(min), millions(max));
    writeln!(
        out,
        "{:<20} {:>6} {:>7} {:<17} {:>6} {:>7} {}",
        row.api,
        row.copies,
        millions(median),
        range,
        row.bytes_per_s.map_or_else(|| "-".to_owned(), |bytes| digits(bytes / 1e9)),
        ratio(row.ratio_vs_pipe),
        limit.after(&interval(row), &share(row))
    )
}

fn round_trip(out: &mut String, row: &Row) -> fmt::Result {
    write!(out, "  {:<18} ", row.transport)?;
    let (Some(median), Some(min), Some(max), Some(p50)) =
        (row.median, row.min, row.max, row.round_trip_p50_ns)
    else {
        return writeln!(out, "{}", row.note.as_deref().unwrap_or("not measured"));
    };
    let range = format!("({} … {})", millions(min), millions(max));
    writeln!(
        out,
        "{:<18} {:>10.2}  {:>9} {:<19} {:>7} {:<14} {:>5}",
        row.api,
        p50 / 1e3,
        millions(median),
        range,
        ratio(row.ratio_vs_pipe),
        interval(row),
        share(row)
    )
}

fn foot(out: &mut String, rows: &[Row]) -> fmt::Result {
    write!(out, "\n{}", notes(rows))?;
    let mut text = String::new();
    reading(&mut text, rows)?;
    if text.is_empty() { Ok(()) } else { write!(out, "\n{text}") }
}

/// Two lines that say what the table says.
fn reading(out: &mut String, rows: &[Row]) -> fmt::Result {
    let small = rows.iter().map(|row| row.size).filter(|&size| size <= 64).max();
    let large = rows.iter().map(|row| row.size).max();
    let ring = |mode, size| ratio_of(rows, RING, mode, size);
    let pipe_bulk = |size| ratio_of(rows, PIPE, Mode::Bulk, size);
    if let (Some(size), Some(single)) = (small, ring(Mode::Single, small)) {
        write!(out, "{size} bytes, ring against pipe: x{} with one message per call", digits(single))?;
        if let (Some(bulk), Some(pipe)) = (ring(Mode::Bulk, small), pipe_bulk(small)) {
            write!(out, ", x{} when both go in bulk", digits(bulk / pipe))?;
        }
        writeln!(out, ".")?;
    }
    if let (Some(size), Some(copying)) = (large, ring(Mode::Single, large)) {
        write!(out, "{size} bytes, ring against pipe: x{} when both copy", digits(copying))?;
        if let (Some(in_place), Some(pipe)) = (ring(Mode::InPlace, large), pipe_bulk(large)) {
            write!(out, ", x{} in place against the pipe at its best", digits(in_place / pipe))?;
        }
        writeln!(out, ".")?;
    }
    Ok(())
}

fn ratio_of(rows: &[Row], transport: &str, mode: Mode, size: Option<usize>) -> Option<f64> {
    let wanted = |row: &&Row| {
        row.cell.shape == Shape::OneToOne
            && (row.cell.transport, row.cell.mode, Some(row.size)) == (transport, mode, size)
    };
    rows.iter().find(wanted)?.ratio_vs_pipe
}

fn millions(per_second: f64) -> String {
    digits(per_second / 1e6)
}

/// Three digits that count, and never fewer than the whole number.
pub(super) fn digits(value: f64) -> String {
    let decimals = match value {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        v if v >= 0.9995 => 2,
        v if v >= 0.09995 => 3,
        _ => 4,
    };
    format!("{value:.decimals$}")
}

/// Where the true median of the ratio lies, if there are rounds enough to say.
fn interval(row: &Row) -> String {
    row.ratio_vs_pipe_interval
        .map_or_else(String::new, |[low, high]| format!("[{}, {}]", digits(low), digits(high)))
}

/// What part of the machine's limit it reaches.
pub(super) fn share(row: &Row) -> String {
    match row.share_of_limit {
        Some(share) if Some(row.transport) != row.limit => format!("{:.0}%", share * 100.0),
        _ => "-".to_owned(),
    }
}

fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("x{}", digits(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        let all = [1234.5, 99.96, 12.34, 9.996, 1.234, 0.1234, 0.01234].map(digits);
        assert_eq!(all, ["1234", "100", "12.3", "10.0", "1.23", "0.123", "0.0123"]);
    }
}
