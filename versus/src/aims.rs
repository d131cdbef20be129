//! What the ring is to reach, and whether it does, from the runs of this program run.

use crate::table::{NO_VERDICT, digits, interval, noted};
use segring_bench::{Catalogue, Cell, Measured, Mode, PIPE, RING, Ratio, median, paired};
use std::fmt::{self, Write};

/// Against whom.
enum Against {
    /// The fastest of all the others in this mode and size: among those that copy, and among those
    /// that build and read in place.
    BestPeer(Mode, &'static [usize]),
    /// The fastest of the kernel's transports with one message per call, at the same size.
    BestOfKernel,
    /// The row of this name, or its slipping twin.
    Row(&'static str),
}

struct Aim {
    mode: Mode,
    size: usize,
    against: Against,
    /// How many times as fast the ring is to be.
    times: f64,
}

const fn aim(mode: Mode, size: usize, against: Against, times: f64) -> Aim {
    Aim { mode, size, against, times }
}

const fn best(mode: Mode, size: usize, sizes: &'static [usize], times: f64) -> Aim {
    aim(mode, size, Against::BestPeer(mode, sizes), times)
}

const AIMS: [Aim; 16] = [
    best(Mode::Single, 8, &[8], 1.2),
    best(Mode::Bulk, 8, &[8], 1.2),
    // One line for ours; of the others the faster of 56 and 64 bytes.
    best(Mode::Single, 56, &[56, 64], 3.0),
    best(Mode::Single, 64, &[64], 1.5),
    best(Mode::Bulk, 64, &[64], 1.2),
    best(Mode::Single, 1024, &[1024], 1.2),
    best(Mode::Bulk, 1024, &[1024], 1.0),
    best(Mode::Single, 65536, &[65536], 1.0),
    aim(Mode::Handover, 65536, Against::Row("iceoryx2"), 5.0),
    // Not asked for: those that stay within one process hand over in place, too.
    best(Mode::Handover, 65536, &[65536], 1.0),
    aim(Mode::RoundTrip, 56, Against::Row("bare two lines"), 0.8),
    aim(Mode::Single, 8, Against::BestOfKernel, 25.0),
    aim(Mode::Single, 56, Against::BestOfKernel, 25.0),
    aim(Mode::Single, 64, Against::BestOfKernel, 25.0),
    aim(Mode::Single, 1024, Against::BestOfKernel, 8.0),
    aim(Mode::Single, 65536, Against::BestOfKernel, 5.0),
];

/// One message per call through the kernel, as the aims mean it.
const KERNEL: [&str; 4] = [PIPE, "fifo", "sysv queue", "posix queue"];

/// Ours, with whatever layout was asked for.
fn is_ours(name: &str) -> bool {
    name == RING || name.starts_with("ring, ")
}

/// Not a peer: ours, or what the machine can do with no guarantee at all.
fn is_peer(name: &str) -> bool {
    !is_ours(name) && name != "byte ring" && !name.starts_with("bare ")
}

fn speed(one: &Measured) -> f64 {
    median(&one.rates()).unwrap_or(0.0)
}

fn fastest<'a>(measured: impl Iterator<Item = &'a Measured>) -> Option<&'a Measured> {
    measured.filter(|one| !one.runs.is_empty()).max_by(|a, b| speed(a).total_cmp(&speed(b)))
}

impl Aim {
    /// Those that the ring is to beat.
    fn rivals<'a>(&self, measured: &'a [Measured], catalogue: &Catalogue) -> Vec<&'a Measured> {
        let cell = |one: &Measured| one.cell;
        match self.against {
            Against::BestPeer(wanted, sizes) => [false, true]
                .into_iter()
                .filter_map(|in_place| {
                    fastest(measured.iter().filter(|one| {
                        let Cell { transport, mode, size, .. } = one.cell;
                        let same_mode =
                            mode == wanted || (in_place && wanted == Mode::Bulk && mode == Mode::InPlace);
                        same_mode
                            && sizes.contains(&size)
                            && is_peer(transport)
                            && (catalogue.copies(one.cell) == Some(0)) == in_place
                    }))
                })
                .collect(),
            Against::BestOfKernel => fastest(measured.iter().filter(|one| {
                (cell(one).mode, cell(one).size) == (self.mode, self.size)
                    && KERNEL.contains(&cell(one).transport)
            }))
            .into_iter()
            .collect(),
            Against::Row(name) => fastest(measured.iter().filter(|one| {
                let Cell { transport, mode, size, .. } = one.cell;
                let named =
                    transport.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest == ", slipping");
                named && (mode, size) == (self.mode, self.size)
            }))
            .into_iter()
            .collect(),
        }
    }

    /// The ring's fastest way that copies as the rival does: who copies is compared with who copies.
    fn ours<'a>(&self, measured: &'a [Measured], rival: Cell, catalogue: &Catalogue) -> Option<&'a Measured> {
        let rival_in_place = catalogue.copies(rival) == Some(0);
        fastest(measured.iter().filter(|one| {
            let Cell { transport, mode, size, .. } = one.cell;
            let in_place = catalogue.copies(one.cell) == Some(0);
            let same_mode =
                mode == self.mode || (rival_in_place && self.mode == Mode::Bulk && mode == Mode::InPlace);
            is_ours(transport) && size == self.size && same_mode && in_place == rival_in_place
        }))
    }
}

/// A line for each aim and rival whose rows were measured.
pub(crate) fn report(measured: &[Measured], catalogue: &Catalogue) -> Result<String, fmt::Error> {
    let mut out = String::new();
    writeln!(
        out,
        "  {:<41} {:>8}  {:<43} {:>8} {:>7} {:<14} {:>5}",
        "ring", "M msg/s", "against", "M msg/s", "ratio", "[95 %]", "aim"
    )?;
    let mut ratios = Vec::new();
    for aim in &AIMS {
        for rival in aim.rivals(measured, catalogue) {
            let Some(ours) = aim.ours(measured, rival.cell, catalogue) else { continue };
            let Some(ratio) = paired(&ours.rates(), &rival.rates()) else { continue };
            ratios.push(ratio);
            writeln!(
                out,
                "  {:<41} {:>8}  {:<43} {:>8} {:>7} {:<14} {:>5}  {}",
                ours.cell.to_string(),
                digits(speed(ours) / 1e6),
                rival.cell.to_string(),
                digits(speed(rival) / 1e6),
                format!("x{}", digits(ratio.median)),
                interval(ratio),
                format!("x{}", aim.times),
                verdict(ratio, aim.times),
            )?;
        }
    }
    if ratios.is_empty() {
        return Ok(String::new());
    }
    Ok(format!(
        "\nAims: the ring against the best of this run, by rounds; who copies against who copies, who builds\n\
         in place against who builds in place. met: the whole interval is at the aim or above; missed: below.\n\
         Both best rows are chosen after the run, which favours neither side.\n{out}{}",
        noted(ratios, NO_VERDICT)
    ))
}

/// What the interval says of an aim.
pub(crate) fn verdict(ratio: Ratio, times: f64) -> &'static str {
    match ratio.interval {
        None => "-",
        Some([low, _]) if low >= times => "met",
        Some([_, high]) if high < times => "missed",
        Some(_) => "undecided",
    }
}
