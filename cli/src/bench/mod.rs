//! The benchmark: verified messages between two real processes, through the ring and through what
//! else the system offers.
//!
//! The parent plans ([`plan`]), starts two workers for each run ([`runner`], [`worker`]), orders the
//! runs ([`measure`]) and reports ([`results`], [`report`]). It makes and removes all kernel objects
//! ([`transports`], [`keeper`]).

mod control;
mod cores;
mod interrupt;
mod keeper;
mod measure;
mod payload;
mod plan;
mod progress;
mod report;
mod results;
mod runner;
mod transports;
mod worker;

use anyhow::{Context, Result, bail};
use interrupt::{Interrupt, Interrupted};
use measure::Extent;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// The hidden subcommand.
const WORKER: &str = "bench-worker";
/// This program's file, also when it was replaced or removed meanwhile.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// What to measure.
#[derive(clap::Args)]
#[command(after_help = "\
Messages of 8 bytes to 64 KiB go from one process to another, each on a core of its own: through
the ring, and through pipe, FIFO, Unix socket, TCP, System V and POSIX message queues, and shared
memory with semaphores. Every byte of every message is checked. About 90 s; with --quick 15 s.

Examples:
  segring bench                              all of it
  segring bench --quick --json               shorter runs, for programs
  segring bench --filter ring --sizes 56     the rings, beside the pipe
  segring bench --filter tcp --rounds 31     more rounds for a steadier median

Ratios compare runs of the same round, so they hold on a busy machine too.
Exit status: 0; 1 if a message was not what was sent or a transport failed; 130 after Ctrl-C.")]
pub(crate) struct BenchArgs {
    /// Shorter runs and fewer rounds: rougher figures in under 20 s.
    #[arg(long)]
    quick: bool,
    /// Print an array of rows instead of the table.
    #[arg(long)]
    json: bool,
    /// Only transports whose name contains this (and the pipe, which the ratios need). Repeatable.
    #[arg(long, value_name = "TRANSPORT")]
    filter: Vec<String>,
    /// Message sizes in bytes: any of 8, 56, 64, 256, 1024, 4096, 16384, 65536.
    #[arg(long, value_delimiter = ',', default_values_t = plan::DEFAULT_SIZES)]
    sizes: Vec<usize>,
    /// How often each cell is measured. Default: 13, or 5 with --quick; fewer if time runs out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Messages of each run, instead of finding out how many take long enough.
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,
}

/// What `bench` tells its workers.
#[derive(clap::Args)]
pub(crate) struct WorkerArgs {
    /// producer, consumer or keeper.
    role: String,
    /// What to do, as JSON.
    #[arg(default_value = "")]
    assignment: String,
}

/// `segring bench`.
pub(crate) fn run(args: BenchArgs) -> Result<ExitCode> {
    match compare(&args) {
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

/// `segring bench-worker`.
pub(crate) fn worker(args: WorkerArgs) -> Result<ExitCode> {
    worker::main(&args)
}

fn compare(args: &BenchArgs) -> Result<()> {
    let cells = plan::cells(&checked_sizes(&args.sizes)?, &checked_filter(&args.filter)?);
    let extent = extent(args);
    // Before anything exists that a signal could leave behind.
    let interrupt = Interrupt::install()?;
    let stage = runner::Stage { cores: cores::choose()?, keeper: keeper::Keeper::start()?, interrupt };
    let mut progress = progress::Progress::new()?;
    let measured = measure::measure(&cells, &stage, extent, &mut progress)?;
    let rows = results::rows(&measured);
    let text = if args.json {
        serde_json::to_string_pretty(&rows).context("rows as JSON")? + "\n"
    } else {
        report::report(&rows, &stage.cores).context("report")?
    };
    print(&text)
}

/// How much, by what was asked for: about 90 s, or 13 s.
fn extent(args: &BenchArgs) -> Extent {
    let (rounds, run, budget) = if args.quick { (5, 14, 17) } else { (13, 70, 120) };
    Extent {
        rounds: args.rounds.unwrap_or(rounds),
        run: Duration::from_millis(run),
        // Who asks for a number of rounds gets them.
        budget: args.rounds.is_none().then_some(Duration::from_secs(budget)),
        messages: args.messages,
    }
}

fn checked_sizes(sizes: &[usize]) -> Result<Vec<usize>> {
    let mut sizes = sizes.to_vec();
    sizes.sort_unstable();
    sizes.dedup();
    if let Some(unknown) = sizes.iter().find(|size| !plan::KNOWN_SIZES.contains(size)) {
        bail!("--sizes: {unknown} is not one of {:?}", plan::KNOWN_SIZES);
    }
    Ok(sizes)
}

fn checked_filter(filter: &[String]) -> Result<Vec<String>> {
    let names = plan::transport_names();
    let filter: Vec<String> = filter.iter().map(|f| f.to_lowercase()).collect();
    if let Some(unknown) = filter.iter().find(|&f| !names.iter().any(|name| name.contains(f.as_str()))) {
        bail!("--filter: {unknown:?} is part of no transport's name: {}", names.join(", "));
    }
    Ok(filter)
}

/// To stdout. A reader that has seen enough is no error.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e).context("write to stdout"),
        _ => Ok(()),
    }
}
