//! How the cost of the ring of many grows: with seats, capacity, length, and participants.

use crate::growth::spread;
use anyhow::{Context, Result};
use segring_bench::{Catalogue, Cell, KNOWN_SIZES, MANY_RING, ManyRing, Measured, Mode, Shape, Transport};
use std::fmt::{self, Write};

/// Of a ring that two producers and two consumers use.
const SEATS: [u32; 6] = [4, 16, 64, 256, 1024, 4096];
/// Powers of two up to 2^16.
const CAPACITIES: std::ops::RangeInclusive<u32> = 1..=16;
/// As many producers as consumers.
const CROWDS: [u32; 6] = [1, 2, 4, 8, 16, 32];
/// Bytes of the messages, where they are not what grows.
const SIZES: [usize; 2] = [8, 56];

fn of_seats(seats: u32) -> String {
    format!("mpmc ring of {seats} seats")
}

fn of_capacity(exponent: u32) -> String {
    format!("mpmc ring of {} messages", 1_u64 << exponent)
}

/// A transport for each number of seats and each capacity, which only [`cells`] asks for.
pub(crate) fn all() -> Vec<Transport> {
    let seats = SEATS.map(|seats| {
        let ring = ManyRing { seats: Some(seats), ..ManyRing::default() };
        ring.transport(of_seats(seats).leak(), &[])
    });
    let capacities = CAPACITIES.map(|exponent| {
        let ring = ManyRing { capacity: Some(1 << exponent), ..ManyRing::default() };
        ring.transport(of_capacity(exponent).leak(), &[])
    });
    seats.into_iter().chain(capacities).collect()
}

fn single(transport: &'static str, size: usize, each: u32) -> Cell {
    Cell { transport, mode: Mode::Single, size, shape: Shape::square(each) }
}

/// What is measured, in the order of the tables.
pub(crate) fn cells(catalogue: &Catalogue) -> Result<Vec<Cell>> {
    let named =
        |name: String| catalogue.name(&name).with_context(|| format!("no transport is called {name:?}"));
    let mut cells = Vec::new();
    for seats in SEATS {
        let name = named(of_seats(seats))?;
        cells.extend(SIZES.map(|size| single(name, size, 2)));
    }
    for exponent in CAPACITIES {
        let name = named(of_capacity(exponent))?;
        cells.extend(SIZES.map(|size| single(name, size, 2)));
    }
    cells.extend(KNOWN_SIZES.map(|size| single(MANY_RING, size, 2)));
    for each in CROWDS {
        cells.extend(SIZES.map(|size| single(MANY_RING, size, each)));
    }
    // Two producers and two consumers are in two of the tables.
    let mut once: Vec<Cell> = Vec::new();
    cells.retain(|cell| {
        !once.contains(cell) && {
            once.push(*cell);
            true
        }
    });
    Ok(cells)
}

/// Nanoseconds for each message: median (min … max).
fn cost(measured: &[Measured], name: &str, size: usize, each: u32) -> String {
    let wanted = |one: &&Measured| {
        one.cell.transport == name
            && (one.cell.mode, one.cell.size, one.cell.shape) == (Mode::Single, size, Shape::square(each))
    };
    let one = measured.iter().find(wanted);
    match one.and_then(|one| one.impossible.as_ref()) {
        Some(why) => format!("not possible: {why}"),
        None => spread(one, |rate| 1e9 / rate),
    }
}

/// The four tables.
pub(crate) fn report(measured: &[Measured]) -> Result<String, fmt::Error> {
    let mut out = String::from(
        "ns for each message, one per call: median (min … max). Two producers and two consumers, where\n\
         their number is not what grows; 1 MiB of messages, where the capacity is not.\n",
    );
    let head =
        |out: &mut String, what: &str| writeln!(out, "\n| {what} | 8 bytes | 56 bytes |\n|---|---|---|");
    let both = |out: &mut String, what: String, name: &str, each| {
        let [words, lines] = SIZES.map(|size| cost(measured, name, size, each));
        writeln!(out, "| {what} | {words} | {lines} |")
    };
    head(&mut out, "seats")?;
    for seats in SEATS {
        both(&mut out, seats.to_string(), &of_seats(seats), 2)?;
    }
    head(&mut out, "capacity")?;
    for exponent in CAPACITIES {
        both(&mut out, (1_u64 << exponent).to_string(), &of_capacity(exponent), 2)?;
    }
    writeln!(out, "\n| bytes of a message | ns |\n|---|---|")?;
    for size in KNOWN_SIZES {
        writeln!(out, "| {size} | {} |", cost(measured, MANY_RING, size, 2))?;
    }
    head(&mut out, "participants")?;
    for each in CROWDS {
        both(&mut out, Shape::square(each).to_string(), MANY_RING, each)?;
    }
    Ok(out)
}
