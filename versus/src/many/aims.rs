//! What the ring of many is to reach, and whether it does, from the runs of this program run.

use super::{OURS, fastest, speed};
use crate::aims::verdict;
use crate::ours::{MANY_SLIPPING, MANY_SPIN};
use crate::table::{NO_VERDICT, digits, interval, noted};
use segring_bench::{Cell, MANY_RING, Measured, Mode, RING, Shape, paired};
use std::fmt::{self, Write};

/// The fastest of some rows is to be so many times as fast as the fastest of others.
struct Aim {
    ours: &'static [&'static str],
    cell: Cell,
    others: &'static [&'static str],
    than: Cell,
    /// At least.
    times: f64,
    /// At most, where cost is not to depend on something.
    most: Option<f64>,
}

const ARRAY_QUEUE: &[&str] = &["crossbeam array queue", "crossbeam array queue, slipping"];
const KANAL: &[&str] = &["kanal", "kanal, slipping"];
const SHAQ: &[&str] = &["shaq mpmc", "shaq mpmc, slipping"];

/// A message whose parts are not looked at.
fn cell(mode: Mode, size: usize, shape: Shape) -> Cell {
    Cell { transport: MANY_RING, mode, size, shape }
}

fn aims() -> Vec<Aim> {
    let mut aims = Vec::new();
    let pair = [1, 2, 4].map(Shape::square);
    for size in [8, 56, 256, 1024] {
        for shape in pair {
            let same = cell(Mode::Single, size, shape);
            let aim = |ours, others, times| Aim { ours, cell: same, others, than: same, times, most: None };
            let far = if size >= 256 { 2.0 } else { 1.2 };
            aims.extend([
                aim(&OURS, ARRAY_QUEUE, far),
                aim(&OURS, KANAL, 1.0),
                aim(&[MANY_SPIN], &["vyukov"], 1.0),
                aim(&[MANY_SLIPPING], &["vyukov, slipping"], 1.0),
                aim(&OURS, SHAQ, 8.0),
            ]);
        }
    }
    let own =
        |cell, than, times, most| Aim { ours: &[MANY_RING], cell, others: &[MANY_RING], than, times, most };
    for shape in pair {
        let (bulk, single) = (cell(Mode::Bulk, 8, shape), cell(Mode::Single, 8, shape));
        aims.push(Aim { others: &OURS, ..own(bulk, single, 5.0, None) });
    }
    let two = Shape::square(2);
    let handover = |size| cell(Mode::Handover, size, two);
    aims.push(own(handover(65536), handover(4096), 0.8, Some(1.25)));
    for size in [8, 56] {
        let single = |shape| cell(Mode::Single, size, shape);
        aims.push(own(single(Shape::square(16)), single(two), 0.5, None));
    }
    let round_trip = Cell::one_to_one(MANY_RING, Mode::RoundTrip, 56);
    aims.push(Aim { others: &[RING], ..own(round_trip, round_trip, 1.0 / 1.5, None) });
    aims
}

/// What only the aims need.
pub(super) fn cells() -> Vec<Cell> {
    let two = Shape::square(2);
    let mut cells = Vec::new();
    for size in [4096, 65536] {
        cells.extend([Mode::Handover, Mode::InPlace].map(|mode| cell(mode, size, two)));
    }
    for size in [8, 56] {
        cells.extend([two, Shape::square(16)].map(|shape| cell(Mode::Single, size, shape)));
    }
    cells.extend([MANY_RING, RING].map(|name| Cell::one_to_one(name, Mode::RoundTrip, 56)));
    cells
}

/// A line for each aim whose rows were measured.
pub(super) fn report(measured: &[Measured]) -> Result<String, fmt::Error> {
    let mut out = String::new();
    let mut ratios = Vec::new();
    for aim in aims() {
        let ours = fastest(measured, aim.ours, aim.cell);
        let Some((ours, other)) = ours.zip(fastest(measured, aim.others, aim.than)) else { continue };
        let Some(ratio) = paired(&ours.rates(), &other.rates()) else { continue };
        ratios.push(ratio);
        let aimed = match aim.most {
            None => format!("x{}", digits(aim.times)),
            Some(most) => format!("x{} … {}", digits(aim.times), digits(most)),
        };
        let verdict = match (aim.most, ratio.interval) {
            (Some(most), Some([low, _])) if low > most => "missed",
            (Some(most), Some([_, high])) if high > most => "undecided",
            _ => verdict(ratio, aim.times),
        };
        writeln!(
            out,
            "  {:<44} {:>8}  {:<57} {:>8} {:>7} {:<14} {:>13}  {}",
            ours.cell.to_string(),
            digits(speed(ours) / 1e6),
            other.cell.to_string(),
            digits(speed(other) / 1e6),
            format!("x{}", digits(ratio.median)),
            interval(ratio),
            aimed,
            verdict,
        )?;
    }
    if out.is_empty() {
        return Ok(out);
    }
    Ok(format!(
        "\nAims: the ring against the best of this run, by rounds. met: the whole interval is at the aim or\n\
         above (between the two, where there are two); missed: outside. Both best rows are chosen after the\n\
         run, which favours neither side.\n  {:<44} {:>8}  {:<57} {:>8} {:>7} {:<14} {:>13}\n{out}{}",
        "ring",
        "M msg/s",
        "against",
        "M msg/s",
        "ratio",
        "[95 %]",
        "aim",
        noted(ratios, NO_VERDICT)
    ))
}
