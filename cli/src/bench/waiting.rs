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
    one_core(&mut out, waiting)?;
    idle(&mut out, waiting)?;
    reading(&mut out, waiting)?;
    Ok(out)
}

fn strategies(out: &mut String, waiting: &Waiting) -> fmt::Result {
    writeln!(out, "\nMessages of {SIZE} bytes, both sides waiting in the same way")?;
    writeln!(
        out,
        "  {:<10} {:>14} {:>13} {:>10}  {:>13} {:>13} {:>11}",
        "strategy",
        "stream M msg/s",
        "looks away ns",
        "sleeps/msg",
        "round trip µs",
        "looks away ns",
        "sleeps/trip"
    )?;
    for row in &waiting.strategies {
        writeln!(
            out,
            "  {:<10} {:>14} {:>13} {:>10}  {:>13} {:>13} {:>11}",
            row.strategy,
            scaled(row.stream_per_s, 1e-6),
            whole(row.stream_slip_ns),
            scaled(row.stream_sleeps, 1.0),
            scaled(row.round_trip_ns, 1e-3),
            whole(row.round_trip_slip_ns),
            scaled(row.sleeps_per_round_trip, 1.0),
        )?;
    }
    let polled = scaled(waiting.polled_per_s, 1e-6);
    writeln!(out, "  {:<10} {polled:>14} {:>13} {:>10}", "polled", "1000", "0")?;
    writeln!(
        out,
        "  {:<10} {:>14} {:>13} {:>10}  {:>13} {:>13} {:>11}",
        "bare futex",
        "",
        "",
        "",
        scaled(waiting.bare_futex_ns, 1e-3),
        "",
        scaled(waiting.bare_futex_sleeps, 1.0)
    )
}

fn one_core(out: &mut String, waiting: &Waiting) -> fmt::Result {
    writeln!(out, "\nBoth sides on one core")?;
    writeln!(out, "  {:<10} {:>13} {:>11}", "strategy", "round trip µs", "sleeps/trip")?;
    for row in &waiting.one_core {
        writeln!(
            out,
            "  {:<10} {:>13} {:>11}",
            row.strategy,
            scaled(row.round_trip_ns, 1e-3),
            scaled(row.sleeps_per_round_trip, 1.0)
        )?;
    }
    Ok(())
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
    writeln!(out, "  (busy spin, yield: a whole core)")
}

const NOTES: &str = "
Figures are medians of the rounds (no message at all: each of them). Every message is checked. Streams go through a ring of 1 MiB.
looks away: for how long a side leaves the lines to its peer each time that a stream has run dry
(slipping), on average. sleeps: of both sides together. polled: a consumer that polls with try_pop,
never sleeps and looks away for 1 µs. bare futex: two sides asleep on a word, without a ring.
delay: from before a push to after its pop, median and 99th percentile of the messages of a round.
push: the median; where the consumer sleeps it holds the system call that wakes it. core it used:
user and system time by the kernel's clock of the thread. sleeps/message above 1: rechecks.
";

fn reading(out: &mut String, waiting: &Waiting) -> fmt::Result {
    out.push_str(NOTES);
    writeln!(out, "\nMedians of the rounds' ratios [95 %: where the true median lies]:")?;
    if let Some(ratio) = waiting.asleep_vs_futex {
        writeln!(out, "  round trip, sleep / bare futex:     {} (aim: {ASLEEP_AIM} at most)", shown(ratio))?;
    }
    if let Some(ratio) = waiting.adaptive_vs_polled {
        writeln!(out, "  stream M msg/s, adaptive / polled:  {}", shown(ratio))?;
    }
    Ok(())
}

fn shown(ratio: Ratio) -> String {
    match ratio.interval {
        Some([low, high]) => format!("{} [{}, {}]", digits(ratio.median), digits(low), digits(high)),
        None => format!("{} (too few rounds for an interval)", digits(ratio.median)),
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
