//! The `segring` program: rings from the shell, and the benchmark that compares them.

mod bench;
mod commands;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Rings between processes, in System V shared memory.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compare the ring with pipes, queues and sockets, between two real processes.
    Bench(bench::BenchArgs),
    /// One side of a benchmark, started by `bench`.
    #[command(hide = true)]
    BenchWorker(bench::WorkerArgs),
    #[command(flatten)]
    Ring(commands::Command),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Bench(args) => bench::run(args),
        Command::BenchWorker(args) => bench::worker(args),
        Command::Ring(command) => commands::run(command),
    };
    result.unwrap_or_else(|error| {
        eprintln!("segring: {error:#}");
        ExitCode::FAILURE
    })
}
