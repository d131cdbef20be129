//! What is measured: one cell for each transport, mode and size.

use crate::payload::{BATCH_BYTES, batch_len};
use crate::transport::Transport;
use crate::{limits, transports};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// Message sizes that the workers are compiled for.
pub const KNOWN_SIZES: [usize; 8] = [8, 56, 64, 256, 1024, 4096, 16384, 65536];

/// What is measured when nobody says otherwise.
pub const DEFAULT_SIZES: [usize; 4] = [8, 56, 1024, 65536];

/// The size of a round trip's messages, if it is among those asked for.
const ROUND_TRIP_SIZE: usize = 56;

/// How messages are handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// One message per call.
    Single,
    /// Many messages per call: up to 64 on the ring, 32 KiB on a stream.
    Bulk,
    /// Built and read where it lies in the segment.
    InPlace,
    /// The same, one message per call, and only its first and its last word: what handing it over
    /// costs beside the work on it.
    Handover,
    /// One message there, its answer back, one after the other.
    RoundTrip,
}

impl Mode {
    /// As the tables show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Bulk => "bulk",
            Self::InPlace => "in place",
            Self::Handover => "handover",
            Self::RoundTrip => "round trip",
        }
    }
}

/// How many take part, and what they know of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// One producer and one consumer, who knows the number of every message that comes.
    OneToOne,
    /// Any number of each. Who sends a message is in it; who gets it is open.
    Many {
        /// How many send.
        producers: u32,
        /// How many receive.
        consumers: u32,
    },
}

/// Most producers, and most consumers.
const MOST: u32 = 1024;

impl Shape {
    /// As many producers as consumers.
    pub const fn square(each: u32) -> Self {
        Self::Many { producers: each, consumers: each }
    }

    /// How many send.
    pub fn producers(self) -> u32 {
        match self {
            Self::OneToOne => 1,
            Self::Many { producers, .. } => producers,
        }
    }

    /// How many receive.
    pub fn consumers(self) -> u32 {
        match self {
            Self::OneToOne => 1,
            Self::Many { consumers, .. } => consumers,
        }
    }

    /// How many of so many messages a producer sends, as evenly as can be.
    pub(crate) fn share(self, messages: u64, producer: u32) -> u64 {
        let producers = u64::from(self.producers());
        messages / producers + u64::from(u64::from(producer) < messages % producers)
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}p{}c", self.producers(), self.consumers())
    }
}

impl std::str::FromStr for Shape {
    type Err = anyhow::Error;

    /// Such as `2p4c` or `2P4C`: a shape of many, also if it is one of each.
    fn from_str(text: &str) -> Result<Self> {
        let lower = text.to_ascii_lowercase();
        let numbers = lower.strip_suffix('c').and_then(|text| text.split_once('p'));
        let number = |text: &str| text.parse().ok().filter(|n| (1..=MOST).contains(n));
        numbers
            .and_then(|(p, c)| Some(Self::Many { producers: number(p)?, consumers: number(c)? }))
            .with_context(|| format!("{text:?} is not a shape such as 2p2c, of 1 to {MOST} each"))
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its name in the catalogue.
    pub transport: &'static str,
    /// How messages are handed over.
    pub mode: Mode,
    /// Bytes of a message.
    pub size: usize,
    /// How many take part.
    pub shape: Shape,
}

impl Cell {
    /// With one producer and one consumer.
    pub const fn one_to_one(transport: &'static str, mode: Mode, size: usize) -> Self {
        Self { transport, mode, size, shape: Shape::OneToOne }
    }

    /// What every cell's ratio is against: the pipe with one message per call, at the same size and
    /// between as many.
    pub fn reference(self) -> Self {
        let mode = if self.mode == Mode::RoundTrip { Mode::RoundTrip } else { Mode::Single };
        Self { transport: transports::PIPE, mode, ..self }
    }

    /// What the machine can do at most: the cell that moves the same bytes with the least effort.
    /// None between many.
    pub fn limit(self) -> Option<Self> {
        if self.shape != Shape::OneToOne {
            return None;
        }
        let (transport, mode) = match self.mode {
            Mode::RoundTrip => (limits::TWO_LINES, Mode::RoundTrip),
            // One line says that the message is there.
            Mode::Handover => (limits::STAMPED_LINES, Mode::Handover),
            Mode::Single if self.size < 64 => (limits::STAMPED_LINES, Mode::Single),
            // Whatever is copied must also be written and read once.
            Mode::Single | Mode::Bulk | Mode::InPlace => (limits::BLOCKS, Mode::InPlace),
        };
        Some(Self::one_to_one(transport, mode, self.size))
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}, {} bytes", self.transport, self.mode.name(), self.size)?;
        if self.shape == Shape::OneToOne { Ok(()) } else { write!(f, ", {}", self.shape) }
    }
}

/// The transports that a program knows, in the order of its table. The pipe, which the ratios need,
/// and the machine's limits are always among them.
pub struct Catalogue {
    transports: Vec<Transport>,
}

impl Catalogue {
    /// The machine's limits, the rings, what the system offers, and `more`.
    pub fn with(more: Vec<Transport>) -> Self {
        let mut transports = transports::all();
        transports.extend(more);
        transports.extend(limits::all());
        Self { transports }
    }

    /// By its name.
    pub(crate) fn find(&self, name: &str) -> Result<&Transport> {
        let found = self.transports.iter().find(|transport| transport.name == name);
        found.with_context(|| format!("no transport is called {name:?}"))
    }

    /// The name as the catalogue has it, if it has one.
    pub fn name(&self, name: &str) -> Option<&'static str> {
        self.find(name).ok().map(|transport| transport.name)
    }

    /// How often this cell's transport copies a payload, if it is known.
    pub fn copies(&self, cell: Cell) -> Option<u32> {
        self.find(cell.transport).ok().map(|transport| (transport.copies)(cell.mode))
    }

    /// The names of those that [`Catalogue::cells`] plans, in order.
    pub fn names(&self) -> Vec<&'static str> {
        let planned = self.transports.iter().filter(|transport| !transport.modes.is_empty());
        planned.map(|transport| transport.name).collect()
    }

    /// All cells of these sizes, in the order of the table. A filter is part of a name, or after an
    /// `=` the whole name; an empty list lets everything through. The references and limits of what is left are always there.
    pub fn cells(&self, sizes: &[usize], filter: &[String]) -> Vec<Cell> {
        let all = self.all_cells(sizes);
        let wanted = |cell: &&Cell| {
            if filter.is_empty() {
                // A limit is there for the others; some are worth a look for themselves.
                !limits::is_limit(cell.transport) || matches!(cell.mode, Mode::RoundTrip | Mode::Bulk)
            } else {
                filter.iter().any(|f| matches(f, cell.transport))
            }
        };
        let wanted: Vec<Cell> = all.iter().filter(wanted).copied().collect();
        let needed = |cell: &Cell| {
            wanted.iter().any(|w| *cell == *w || *cell == w.reference() || Some(*cell) == w.limit())
        };
        all.into_iter().filter(needed).collect()
    }

    /// The names of those that [`Catalogue::many_cells`] plans, in order.
    pub fn many_names(&self) -> Vec<&'static str> {
        let planned = self.transports.iter().filter(|transport| !transport.many.is_empty());
        planned.map(|transport| transport.name).collect()
    }

    /// All cells between many, of these sizes and shapes, in the order of the table; a shape that is named
    /// twice is there once. The filter is as in [`Catalogue::cells`]; the references of what is left are always
    /// there.
    pub fn many_cells(&self, sizes: &[usize], shapes: &[Shape], filter: &[String]) -> Vec<Cell> {
        let mut unique = Vec::new();
        for shape in shapes {
            if !unique.contains(shape) {
                unique.push(*shape);
            }
        }
        let mut all = Vec::new();
        for &size in sizes {
            for &shape in &unique {
                for transport in &self.transports {
                    for &mode in transport.many {
                        // A batch of one message is the single call under another name.
                        if mode != Mode::RoundTrip && (mode != Mode::Bulk || batch_len(size) > 1) {
                            all.push(Cell { transport: transport.name, mode, size, shape });
                        }
                    }
                }
            }
        }
        let wanted = |cell: &&Cell| filter.is_empty() || filter.iter().any(|f| matches(f, cell.transport));
        let wanted: Vec<Cell> = all.iter().filter(wanted).copied().collect();
        let needed = |cell: &Cell| wanted.iter().any(|w| *cell == *w || *cell == w.reference());
        all.into_iter().filter(needed).collect()
    }

    fn all_cells(&self, sizes: &[usize]) -> Vec<Cell> {
        let mut cells = Vec::new();
        for &size in sizes {
            for transport in &self.transports {
                for &mode in transport.modes {
                    // A typed ring's batch of one message is the single call under another name.
                    let same_as_single =
                        mode == Mode::Bulk && transport.name == transports::RING && batch_len(size) == 1;
                    if !same_as_single && mode != Mode::RoundTrip {
                        cells.push(Cell::one_to_one(transport.name, mode, size));
                    }
                }
            }
        }
        // A round trip is about waking, not about bytes: one small size says it.
        let usual = sizes.iter().copied().find(|&size| size == ROUND_TRIP_SIZE);
        let small = usual.or_else(|| sizes.iter().copied().min());
        if let Some(size) = small.filter(|&size| size <= BATCH_BYTES) {
            let round_trips = self.transports.iter().filter(|t| t.modes.contains(&Mode::RoundTrip));
            cells.extend(round_trips.map(|t| Cell::one_to_one(t.name, Mode::RoundTrip, size)));
        }
        cells
    }

    /// Checks what a user asked for.
    ///
    /// # Errors
    /// Names the first size that is not one of [`KNOWN_SIZES`].
    pub fn checked_sizes(sizes: &[usize]) -> Result<Vec<usize>> {
        let mut sizes = sizes.to_vec();
        sizes.sort_unstable();
        sizes.dedup();
        if let Some(unknown) = sizes.iter().find(|size| !KNOWN_SIZES.contains(size)) {
            bail!("--sizes: {unknown} is not one of {KNOWN_SIZES:?}");
        }
        Ok(sizes)
    }

    /// Checks what a user asked for.
    ///
    /// # Errors
    /// Names the first filter that is part of no name.
    pub fn checked_filter(&self, filter: &[String]) -> Result<Vec<String>> {
        Self::checked(filter, &self.names())
    }

    /// The same, for [`Catalogue::many_cells`].
    ///
    /// # Errors
    /// As [`Catalogue::checked_filter`].
    pub fn checked_many_filter(&self, filter: &[String]) -> Result<Vec<String>> {
        Self::checked(filter, &self.many_names())
    }

    fn checked(filter: &[String], names: &[&str]) -> Result<Vec<String>> {
        let filter: Vec<String> = filter.iter().map(|f| f.to_lowercase()).collect();
        if let Some(unknown) = filter.iter().find(|&f| !names.iter().any(|name| matches(f, name))) {
            bail!("--filter: {unknown:?} is part of no transport's name: {names:?}");
        }
        Ok(filter)
    }
}

/// Whether a filter lets a name through.
fn matches(filter: &str, name: &str) -> bool {
    filter.strip_prefix('=').map_or_else(|| name.contains(filter), |whole| name == whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_and_the_limit_are_always_measured() {
        let catalogue = Catalogue::with(Vec::new());
        for filter in [vec![], vec!["tcp".to_owned()]] {
            let cells = catalogue.cells(&DEFAULT_SIZES, &filter);
            for cell in cells.iter().filter(|cell| !limits::is_limit(cell.transport)) {
                let limit = cell.limit().unwrap();
                assert!(cells.contains(&cell.reference()) && cells.contains(&limit), "{cell}");
            }
        }
    }

    #[test]
    fn shapes_are_read_as_they_are_shown() {
        for text in ["1p1c", "2p2c", "16p16c", "1p4c"] {
            assert_eq!(text.parse::<Shape>().unwrap().to_string(), text);
            assert_eq!(text.to_uppercase().parse::<Shape>().unwrap().to_string(), text);
        }
        for text in ["", "2", "2p", "0p1c", "2p2", "2p2cc", "1025p1c", "-1p1c"] {
            assert!(text.parse::<Shape>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn every_message_is_some_producers() {
        for (shape, messages) in [(Shape::square(4), 11), (Shape::square(16), 3), (Shape::square(1), 5)] {
            let shares: Vec<u64> = (0..shape.producers()).map(|p| shape.share(messages, p)).collect();
            assert_eq!(shares.iter().sum::<u64>(), messages);
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
    }

    #[test]
    fn between_many_the_reference_is_measured_too() {
        let catalogue = Catalogue::with(Vec::new());
        let cells = catalogue.many_cells(&[56], &[Shape::square(2)], &["sysv".to_owned()]);
        assert_eq!(cells.len(), 2);
        assert!(cells.iter().all(|cell| cells.contains(&cell.reference()) && cell.limit().is_none()));
    }

    #[test]
    fn a_shape_that_is_named_twice_is_measured_once() {
        let catalogue = Catalogue::with(Vec::new());
        let cells = |shapes: &[Shape]| catalogue.many_cells(&[8, 56], shapes, &[]);
        let (one, two) = (Shape::square(1), Shape::square(2));
        assert_eq!(cells(&[two, one, two, two]), cells(&[two, one]));
    }

    #[test]
    fn names_are_lower_case_and_said_once() {
        let catalogue = Catalogue::with(Vec::new());
        let names: Vec<_> = catalogue.transports.iter().map(|transport| transport.name).collect();
        assert!(names.iter().all(|name| name.to_lowercase() == *name));
        assert!(names.iter().all(|name| names.iter().filter(|other| other == &name).count() == 1));
    }
}
