//! Many producers, many consumers: the ring beside whatever else many can share.

mod aims;
pub(crate) mod growth;
mod table;

use crate::ours::{MANY_SLIPPING, MANY_SPIN};
use segring_bench::{Catalogue, Cell, Cores, MANY_RING, Measured, Mode, Row, Shape, median};
use std::fmt;

/// What is measured when nobody says otherwise.
pub(crate) const SIZES: [usize; 4] = [8, 56, 256, 1024];
/// See [`SIZES`].
pub(crate) const SHAPES: [&str; 3] = ["1p1c", "2p2c", "4p4c"];
/// The ring's rows, which copy.
const OURS: [&str; 3] = [MANY_RING, MANY_SPIN, MANY_SLIPPING];

/// The rows of these sizes and shapes, and, if none are left out, what the aims need besides.
pub(crate) fn cells(
    catalogue: &Catalogue,
    sizes: &[usize],
    shapes: &[Shape],
    filter: &[String],
) -> Vec<Cell> {
    let complete = filter.is_empty();
    let mut filter = filter.to_vec();
    if !complete {
        filter.extend(OURS.map(|name| format!("={name}")));
    }
    let mut cells = catalogue.many_cells(sizes, shapes, &filter);
    if complete {
        for cell in aims::cells() {
            if !cells.contains(&cell) {
                cells.push(cell);
            }
        }
    }
    cells
}

/// The tables and, if nothing was left out, the aims.
pub(crate) fn report(
    rows: &[Row],
    measured: &[Measured],
    cores: &Cores,
    complete: bool,
) -> Result<String, fmt::Error> {
    let mut text = table::table(rows, measured, cores)?;
    if complete {
        text += &aims::report(measured)?;
    } else {
        text += "\nNo aims: some rows were left out.\n";
    }
    Ok(text)
}

fn speed(one: &Measured) -> f64 {
    median(&one.rates()).unwrap_or(0.0)
}

/// The fastest of those with one of these names, in this mode, size and shape.
fn fastest<'a>(measured: &'a [Measured], names: &[&str], like: Cell) -> Option<&'a Measured> {
    let same = |one: &&Measured| {
        let cell = one.cell;
        names.contains(&cell.transport)
            && (cell.mode, cell.size, cell.shape) == (like.mode, like.size, like.shape)
            && !one.runs.is_empty()
    };
    measured.iter().filter(same).max_by(|a, b| speed(a).total_cmp(&speed(b)))
}

/// The ring's row to compare a cell with: its fastest that copies, or, where others do not, its own.
pub(crate) fn ours_like(measured: &[Measured], cell: Cell) -> Option<&Measured> {
    let names: &[&str] = match cell.mode {
        Mode::RoundTrip => &[MANY_RING],
        _ => &OURS,
    };
    fastest(measured, names, cell)
}
