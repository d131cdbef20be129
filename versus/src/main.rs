//! segring's SPSC ring beside other libraries and the kernel's transports, in one run.
//!
//! `cargo run --release -p segring-versus` measures all; see `--help`. What can cross processes
//! runs between two processes, the rest between two threads, all pinned to the same two cores. The
//! harness, the payloads and the checks are those of `segring bench`.

mod aims;
mod growth;
mod many;
mod ours;
mod peers;
mod table;

use anyhow::{Context, Result};
use clap::Parser;
use segring_bench::{Catalogue, Extent, Interrupted, Progress, Shape, Stage, measure, rows};
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// Measures segring's ring beside other libraries, and says whether it leads.
///
/// Polling libraries appear twice: with a plain spin, and slipping, that is looking away for a
/// microsecond when there is nothing to do, which lets the other side write undisturbed.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Args {
    /// Print an array of rows instead of the tables.
    #[arg(long)]
    json: bool,
    /// Only transports whose name contains this (and the ring, the pipe and the limits). Repeatable.
    #[arg(long, value_name = "TRANSPORT")]
    filter: Vec<String>,
    /// Message sizes in bytes: any of 8, 56, 64, 256, 1024, 4096, 16384, 65536. Default: 8, 56, 64, 1024,
    /// 65536; with --many 8, 56, 256, 1024. With --many, rows of other sizes that aims need are measured
    /// besides, unless there is a filter.
    #[arg(long, value_delimiter = ',')]
    sizes: Vec<usize>,
    /// Instead of the comparison: from many to many, each participant a process (or a thread, of queues
    /// that do not cross processes). Without a filter the rows that its aims need are measured besides,
    /// whatever sizes and shapes were asked for.
    #[arg(long, conflicts_with_all = ["growth", "many_growth"])]
    many: bool,
    /// With --many: how many producers and consumers.
    // Named as conflicts, too: clap asks nobody for --many beside an option that excludes it.
    #[arg(
        long,
        value_delimiter = ',',
        requires = "many",
        conflicts_with_all = ["growth", "many_growth"],
        default_values = many::SHAPES
    )]
    shapes: Vec<Shape>,
    /// How often each cell is measured.
    #[arg(long, value_name = "N", default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long one run takes, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    run: u64,
    /// Instead of the comparison: how the ring's cost grows with its capacity and with the length of
    /// a message.
    #[arg(long, conflicts_with_all = ["filter", "sizes"])]
    growth: bool,
    /// Instead of the comparison: how the cost of the ring of many grows with its seats, its capacity, the
    /// length of a message, and the number of participants.
    #[arg(long, conflicts_with_all = ["filter", "sizes", "growth"])]
    many_growth: bool,
    /// Messages of each run, instead of finding out how many take long enough.
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,
}

impl Args {
    fn sizes(&self) -> &[usize] {
        match self.sizes.as_slice() {
            [] if self.many => &many::SIZES,
            [] => &SIZES,
            sizes => sizes,
        }
    }

    fn checked_filter(&self, catalogue: &Catalogue) -> Result<Vec<String>> {
        if self.many {
            catalogue.checked_many_filter(&self.filter)
        } else {
            catalogue.checked_filter(&self.filter)
        }
    }
}

/// What is measured when nobody says otherwise.
const SIZES: [usize; 5] = [8, 56, 64, 1024, 65536];

fn catalogue() -> Catalogue {
    let mut transports = ours::all();
    transports.extend(peers::all());
    transports.extend(growth::all());
    transports.extend(many::growth::all());
    Catalogue::with(transports)
}

fn main() -> ExitCode {
    let catalogue = catalogue();
    if let Some(code) = segring_bench::worker(&catalogue) {
        return code;
    }
    let args = Args::parse();
    let wanted = Catalogue::checked_sizes(args.sizes());
    let wanted = wanted.and_then(|sizes| Ok((sizes, args.checked_filter(&catalogue)?)));
    let (sizes, filter) = match wanted {
        Ok(wanted) => wanted,
        Err(error) => {
            eprintln!("versus: {error:#}");
            return ExitCode::from(USAGE);
        }
    };
    compare(&args, &catalogue, &sizes, filter).map_or_else(
        |error| {
            eprintln!("versus: {error:#}");
            let signal = error.downcast_ref::<Interrupted>().and_then(|i| u8::try_from(128 + i.signal).ok());
            signal.map_or(ExitCode::FAILURE, ExitCode::from)
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Exit status for arguments that cannot be, as clap's own.
const USAGE: u8 = 2;

fn compare(args: &Args, catalogue: &Catalogue, sizes: &[usize], mut filter: Vec<String>) -> Result<()> {
    let complete = filter.is_empty();
    if !filter.is_empty() && !args.many {
        filter.push(format!("={}", segring_bench::RING));
    }
    let cells = if args.growth {
        growth::cells(catalogue)
    } else if args.many_growth {
        many::growth::cells(catalogue)?
    } else if args.many {
        many::cells(catalogue, sizes, &args.shapes, &filter)
    } else {
        catalogue.cells(sizes, &filter)
    };
    let extent = Extent {
        rounds: args.rounds,
        run: Duration::from_millis(args.run),
        budget: None,
        messages: args.messages,
    };
    let stage = Stage::set(catalogue)?;
    let measured = measure(&cells, &stage, extent, &mut Progress::new()?)?;
    let rows = rows(&measured, catalogue)?;
    let text = if args.growth && !args.json {
        growth::report(&measured).context("table")?
    } else if args.many_growth && !args.json {
        many::growth::report(&measured).context("table")?
    } else if args.json {
        let rows = table::with_ratios(&rows, &measured);
        serde_json::to_string_pretty(&rows).context("rows as JSON")? + "\n"
    } else if args.many {
        many::report(&rows, &measured, &stage.cores, complete).context("table")?
    } else {
        let mut text = table::table(&rows, &measured, &stage.cores).context("table")?;
        if complete {
            text += &aims::report(&measured, catalogue).context("aims")?;
        } else {
            text += "\nNo aims: they are against the best of all, and some were left out.\n";
        }
        text
    };
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e).context("write to stdout"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_would_be_ignored_is_refused() {
        let refused = |args: &[&str], named: &str| {
            let error = Args::try_parse_from([&["versus"], args].concat()).err();
            let error = error.unwrap_or_else(|| panic!("{args:?} is not refused"));
            assert_eq!(error.exit_code(), i32::from(USAGE), "{args:?}: {error}");
            assert!(error.to_string().contains(named), "{args:?}: {error}");
        };
        for mode in ["--growth", "--many-growth"] {
            for (option, value) in [("--shapes", "2p2c"), ("--sizes", "56"), ("--filter", "ring")] {
                refused(&[mode, option, value], option);
            }
        }
        refused(&["--shapes", "2p2c"], "--many");
        assert!(Args::try_parse_from(["versus", "--many", "--shapes", "2p2c"]).is_ok());
        assert!(Args::try_parse_from(["versus", "--many-growth"]).is_ok(), "a default is no wish");
    }
}
