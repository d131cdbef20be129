//! The `segring` program: rings from the shell, and the benchmark that compares them.

mod bench;
mod commands;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Rings between processes, in System V shared memory.
#[derive(Parser)]
#[command(version, about, max_term_width = 100, after_help = commands::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Ring(commands::Command),
    /// Compare the ring with pipes, queues and sockets, between two real processes.
    Bench(bench::BenchArgs),
}

fn main() -> ExitCode {
    if let Some(code) = bench::worker() {
        return code;
    }
    let result = match Cli::parse().command {
        Command::Ring(command) => commands::run(command),
        Command::Bench(args) => bench::run(args),
    };
    result.unwrap_or_else(|error| {
        commands::complain(format_args!("{error:#}"));
        ExitCode::FAILURE
    })
}
