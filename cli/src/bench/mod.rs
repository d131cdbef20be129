//! `segring bench`: the ring against what else the system offers, as a table.

mod notes;
mod report;
mod waiting;

use crate::commands::USAGE;
use anyhow::{Context, Result};
use segring_bench::waiting::Plan;
use segring_bench::{
    Catalogue, Cell, DEFAULT_SIZES, Extent, Interrupted, MANY_RING, Mode, PIPE, POSIX_QUEUE, Progress,
    SYSV_QUEUE, Shape, Stage, measure, rows,
};
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// What to measure.
#[derive(clap::Args)]
#[command(after_help = "\
Messages of 8 bytes to 64 KiB go from one process to another, each on a core of its own: through the \
ring, and through pipe, FIFO, Unix socket, TCP, System V and POSIX message queues, and shared memory with \
semaphores, with a mutex and with file locks. Every byte of every message is checked (handover: its first \
and last word). The machine's limits are measured in the same rounds. At the end a look at two producers \
and two consumers; --many has the rest of that. About 2 min; with --quick 20 s.

Examples:
  segring bench                              all of it
  segring bench --quick --json               shorter runs, for programs
  segring bench --filter ring --sizes 56     the rings, beside the pipe
  segring bench --filter tcp --rounds 31     more rounds for a steadier median
  segring bench --waiting                    what the ways of waiting cost
  segring bench --many --shapes 2p2c,1p4c    many producers, many consumers

Ratios compare runs of the same round, so they hold on a busy machine too.
Exit status: 0; 1 if a message was not what was sent or a transport failed; 2 for a size or filter that \
there is not; 130 after Ctrl-C.")]
pub(crate) struct BenchArgs {
    /// Shorter runs and fewer rounds: rougher figures in under 20 s.
    #[arg(long)]
    quick: bool,
    /// Print an array of rows instead of the table.
    #[arg(long)]
    json: bool,
    /// What each way of waiting costs, instead of the comparison: delay, time of a core, idle
    /// consumers. About 2 min; with --quick 15 s.
    #[arg(long, conflicts_with_all = ["filter", "sizes", "messages"])]
    waiting: bool,
    /// From many to many, instead of from one to one: the ring of many, pipes and message queues, each
    /// producer and each consumer a process. About 2 min; with --quick 20 s.
    #[arg(long, conflicts_with = "waiting")]
    many: bool,
    /// With --many: how many producers and consumers.
    // Named as a conflict, too: clap asks nobody for --many beside an option that excludes it.
    #[arg(
        long,
        value_delimiter = ',',
        requires = "many",
        conflicts_with = "waiting",
        default_values = ["1p1c", "2p2c", "4p4c"]
    )]
    shapes: Vec<Shape>,
    /// Only transports whose name contains this (and the pipe and the limits, for the ratios).
    /// Repeatable.
    #[arg(long, value_name = "TRANSPORT")]
    filter: Vec<String>,
    /// Message sizes in bytes: any of 8, 56, 64, 256, 1024, 4096, 16384, 65536.
    #[arg(long, value_delimiter = ',', default_values_t = DEFAULT_SIZES)]
    sizes: Vec<usize>,
    /// How often each cell is measured. Default: 13, or 5 with --quick; fewer if time runs out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Messages of each run, instead of finding out how many take long enough.
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,
}

/// The worker's life, if this process is one.
pub(crate) fn worker() -> Option<ExitCode> {
    segring_bench::worker(&catalogue())
}

fn catalogue() -> Catalogue {
    Catalogue::with(segring_bench::waiting::transports())
}

/// `segring bench`.
pub(crate) fn run(args: BenchArgs) -> Result<ExitCode> {
    let catalogue = catalogue();
    let checked_filter = || {
        if args.many {
            catalogue.checked_many_filter(&args.filter)
        } else {
            catalogue.checked_filter(&args.filter)
        }
    };
    let wanted = Catalogue::checked_sizes(&args.sizes).and_then(|s| Ok((s, checked_filter()?)));
    let (sizes, filter) = match wanted {
        Ok(wanted) => wanted,
        Err(error) => {
            eprintln!("segring: {error:#}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    let measured =
        if args.waiting { waiting(&args, &catalogue) } else { compare(&args, &catalogue, &sizes, &filter) };
    match measured {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => match error.downcast_ref::<Interrupted>() {
            Some(interrupted) => {
                eprintln!("segring: {interrupted}");
                Ok(ExitCode::from(u8::try_from(128 + interrupted.signal).unwrap_or(u8::MAX)))
            }
            None => Err(error),
        },
    }
}

fn compare(args: &BenchArgs, catalogue: &Catalogue, sizes: &[usize], filter: &[String]) -> Result<()> {
    let cells = if args.many {
        catalogue.many_cells(sizes, &args.shapes, filter)
    } else {
        let mut cells = catalogue.cells(sizes, filter);
        if filter.is_empty() {
            cells.extend(a_few_of_many(catalogue, sizes));
        }
        cells
    };
    let stage = Stage::set(catalogue)?;
    let mut progress = Progress::new()?;
    let measured = measure(&cells, &stage, extent(args), &mut progress)?;
    let rows = rows(&measured, catalogue)?;
    let text = if args.json {
        serde_json::to_string_pretty(&rows).context("rows as JSON")? + "\n"
    } else {
        report::report(&rows, &stage.cores).context("report")?
    };
    print(&text)
}

/// Two producers and two consumers, one message of 56 bytes per call.
fn a_few_of_many(catalogue: &Catalogue, sizes: &[usize]) -> Vec<Cell> {
    let size = [SIZE_OF_MANY].into_iter().filter(|size| sizes.contains(size)).collect::<Vec<_>>();
    let names = [MANY_RING, PIPE, SYSV_QUEUE, POSIX_QUEUE].map(|name| format!("={name}"));
    let mut cells = catalogue.many_cells(&size, &[Shape::square(2)], &names);
    cells.retain(|cell| cell.mode == Mode::Single);
    cells
}

/// See [`a_few_of_many`].
const SIZE_OF_MANY: usize = 56;

fn waiting(args: &BenchArgs, catalogue: &Catalogue) -> Result<()> {
    let stage = Stage::set(catalogue)?;
    let mut progress = Progress::new()?;
    let (rounds, run) = if args.quick { (3, 14) } else { (13, 50) };
    let plan =
        Plan { rounds: args.rounds.unwrap_or(rounds), run: Duration::from_millis(run), quick: args.quick };
    let measured = segring_bench::waiting::run(catalogue, &stage, plan, &mut progress)?;
    let text = if args.json {
        serde_json::to_string_pretty(&measured).context("figures as JSON")? + "\n"
    } else {
        waiting::report(&measured, &stage.cores).context("report")?
    };
    print(&text)
}

/// How much, by what was asked for: about 2 min, or 20 s.
fn extent(args: &BenchArgs) -> Extent {
    let (rounds, run, budget) = if args.quick { (5, 14, 20) } else { (13, 70, 150) };
    Extent {
        rounds: args.rounds.unwrap_or(rounds),
        run: Duration::from_millis(run),
        // Who asks for a number of rounds gets them.
        budget: args.rounds.is_none().then_some(Duration::from_secs(budget)),
        messages: args.messages,
    }
}

/// To stdout. A reader that has seen enough is no error.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e).context("write to stdout"),
        _ => Ok(()),
    }
}
