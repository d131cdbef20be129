//! `segring bench --waiting`: the tables.

use super::report::digits;
use segring_bench::waiting::{SIZE, Waiting};
use segring_bench::{Cores, Ratio, machine};
use std::fmt::{self, Write};

/// What the figures are held against.
const ASLEEP_AIM: f64 = 1.1;

/// The whole report, at most 100 columns wide.
pub(super) fn report(waiting: &Waiting, cores: &Cores) -> Result<String, fmt::Error> {
    let mut out = String::new();
    writeln!(out, "{}", machine())?;
    writeln!(out, "Two processes on {}. Medians of {} rounds.", cores.note, waiting.rounds)?;
    if cores.pair.is_none() {
        writeln!(out, "Without a second core the figures show the scheduler more than the ring.")?;
    }
    strategies(&mut out, waiting)?;
    paces(&mut out, waiting)?;
    idle(&mut out, waiting)?;
    reading(&mut out, waiting)?;
    Ok(out)
}

fn strategies(out: &mut String, waiting: &Waiting) -> fmt::Result {
    writeln!(out, "\nMessages of {SIZE} bytes, both sides waiting in the same way")?;
    writeln!(
        out,
        "  {:<10} {:>14} {:>14}   {:>13} {:>15} {:>12}",
        "strategy", "stream M msg/s", "looks away ns", "round trip µs", "looks away ns", "sleeps/trip"
    )?;
    for row in &waiting.strategies {
        writeln!(
            out,
            "  {:<10} {:>14} {:>14}   {:>13} {:>15} {:>12}",
            row.strategy,
            scaled(row.stream_per_s, 1e-6),
            whole(row.stream_slip_ns),
            scaled(row.round_trip_ns, 1e-3),
            whole(row.round_trip_slip_ns),
            scaled(row.sleeps_per_round_trip, 1.0),
        )?;
    }
    writeln!(
        out,
        "  {:<10} {:>14} {:>14}   a consumer that polls with try_pop",
        "polled",
        scaled(waiting.polled_per_s, 1e-6),
        "1000"
    )?;
    writeln!(
        out,
        "  {:<10} {:>14} {:>14}   {:>13}   both sides asleep on it",
        "bare futex",
        "",
        "",
        scaled(waiting.bare_futex_ns, 1e-3)
    )
}

fn paces(out: &mut String, waiting: &Waiting) -> fmt::Result {
    for same in waiting.paces.chunk_by(|a, b| a.gap_ns == b.gap_ns) {
        writeln!(out, "\nOne message every {:?}", std::time::Duration::from_nanos(same[0].gap_ns))?;
        writeln!(
            out,
            "  {:<10} {:>10} {:>10} {:>16} {:>11} {:>15}",
            "consumer", "delay µs", "99 % µs", "core it used", "push µs", "sleeps/message"
        )?;
        for row in same {
            writeln!(
                out,
                "  {:<10} {:>10} {:>10} {:>14} % {:>11} {:>15}",
                row.strategy,
                scaled(row.delay_p50_ns, 1e-3),
                scaled(row.delay_p99_ns, 1e-3),
                scaled(row.cpu, 100.0),
                scaled(row.push_ns, 1e-3),
                scaled(row.sleeps, 1.0),
            )?;
        }
    }
    Ok(())
}

fn idle(out: &mut String, waiting: &Waiting) -> fmt::Result {
    writeln!(out, "\nNo message at all")?;
    writeln!(
        out,
        "  {:<10} {:>10} {:>20} {:>18}",
        "consumer", "waited s", "core it used ms", "looks at its peer"
    )?;
    for row in &waiting.idle {
        writeln!(
            out,
            "  {:<10} {:>10} {:>20} {:>18}",
            row.strategy,
            digits(row.waited_ns as f64 * 1e-9),
            digits(row.cpu_ns as f64 * 1e-6),
            row.sleeps
        )?;
    }
    Ok(())
}

const NOTES: &str = "
delay: from before a push to after its pop. looks away: how long a side leaves the lines to its
peer each time that a stream has run dry (slipping). core it used: user and system time by the
kernel's clock of the thread. Every message is checked.
";

fn reading(out: &mut String, waiting: &Waiting) -> fmt::Result {
    out.push_str(NOTES);
    writeln!(out)?;
    if let Some(ratio) = waiting.asleep_vs_futex {
        writeln!(
            out,
            "Round trip with both sides asleep: {} times the bare futex's (aim: {ASLEEP_AIM}).",
            with_interval(ratio)
        )?;
    }
    if let Some(ratio) = waiting.adaptive_vs_polled {
        writeln!(
            out,
            "Stream to a consumer that may sleep: {} times the one to a consumer that cannot.",
            with_interval(ratio)
        )?;
    }
    Ok(())
}

fn with_interval(ratio: Ratio) -> String {
    match ratio.interval {
        Some([low, high]) => format!("{} [{}, {}]", digits(ratio.median), digits(low), digits(high)),
        None => digits(ratio.median),
    }
}

fn scaled(value: Option<f64>, factor: f64) -> String {
    value.map_or_else(
        || "-".to_owned(),
        |value| if value == 0.0 { "0".to_owned() } else { digits(value * factor) },
    )
}

fn whole(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"))
}
