//! What the ring is to reach, and whether it does, from the runs of this program run.

use crate::table::digits;
use segring_bench::{Cell, Measured, Mode, PIPE, RING, median, paired};
use std::fmt::{self, Write};

/// Against whom.
enum Against {
    /// The fastest of all the others, in this mode and size.
    BestPeer(Mode, usize),
    /// The fastest of the kernel's transports with one message per call, at the same size.
    BestOfKernel,
    /// The row of this name.
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

const fn best(mode: Mode, size: usize, times: f64) -> Aim {
    aim(mode, size, Against::BestPeer(mode, size), times)
}

const AIMS: [Aim; 15] = [
    best(Mode::Single, 8, 1.2),
    best(Mode::Bulk, 8, 1.2),
    // One line for ours; others have no size that fills one line.
    aim(Mode::Single, 56, Against::BestPeer(Mode::Single, 64), 3.0),
    best(Mode::Single, 64, 1.5),
    best(Mode::Bulk, 64, 1.2),
    best(Mode::Single, 1024, 1.2),
    best(Mode::Bulk, 1024, 1.0),
    best(Mode::Single, 65536, 1.0),
    aim(Mode::Handover, 65536, Against::Row("iceoryx2"), 5.0),
    aim(Mode::RoundTrip, 56, Against::Row("bare two lines"), 0.8),
    aim(Mode::Single, 8, Against::BestOfKernel, 25.0),
    aim(Mode::Single, 56, Against::BestOfKernel, 25.0),
    aim(Mode::Single, 64, Against::BestOfKernel, 25.0),
    aim(Mode::Single, 1024, Against::BestOfKernel, 8.0),
    aim(Mode::Single, 65536, Against::BestOfKernel, 5.0),
];

/// One message per call through the kernel, as the aims mean it.
const KERNEL: [&str; 4] = [PIPE, "fifo", "sysv queue", "posix queue"];

/// Not a peer: ours, or what the machine can do with no guarantee at all.
fn is_peer(name: &str) -> bool {
    name != RING && name != "byte ring" && !name.starts_with("bare ")
}

impl Aim {
    fn rival<'a>(&self, measured: &'a [Measured]) -> Option<&'a Measured> {
        let fits = |one: &&Measured| {
            let Cell { transport, mode, size } = one.cell;
            match self.against {
                Against::BestPeer(m, s) => (m, s) == (mode, size) && is_peer(transport),
                Against::BestOfKernel => {
                    (self.mode, self.size) == (mode, size) && KERNEL.contains(&transport)
                }
                Against::Row(name) => (self.mode, self.size, name) == (mode, size, transport),
            }
        };
        let speed = |one: &Measured| median(&one.rates()).unwrap_or(0.0);
        let possible = measured.iter().filter(fits).filter(|one| !one.runs.is_empty());
        possible.max_by(|a, b| speed(a).total_cmp(&speed(b)))
    }
}

/// A line for each aim whose rows were measured.
pub(crate) fn report(measured: &[Measured]) -> Result<String, fmt::Error> {
    let mut out = String::from("\nAims: the ring against the best, by rounds\n");
    writeln!(
        out,
        "  {:<22} {:>8}  {:<40} {:>8} {:>7} {:<15} {:>6}",
        "ring", "M msg/s", "against", "M msg/s", "ratio", "[95 %]", "aim"
    )?;
    for aim in &AIMS {
        let ours = Cell { transport: RING, mode: aim.mode, size: aim.size };
        let ours = measured.iter().find(|one| one.cell == ours);
        let Some((ours, rival)) = ours.zip(aim.rival(measured)) else { continue };
        let Some(ratio) = paired(&ours.rates(), &rival.rates()) else { continue };
        let speed = |one: &Measured| digits(median(&one.rates()).unwrap_or(0.0) / 1e6);
        writeln!(
            out,
            "  {:<22} {:>8}  {:<40} {:>8} {:>7} {:<15} {:>6}  {}",
            format!("{}, {} bytes", aim.mode.name(), aim.size),
            speed(ours),
            rival.cell.to_string(),
            speed(rival),
            format!("x{}", digits(ratio.median)),
            format!("[{}, {}]", digits(ratio.low), digits(ratio.high)),
            format!("x{}", aim.times),
            if ratio.median >= aim.times { "met" } else { "missed" },
        )?;
    }
    Ok(out)
}
