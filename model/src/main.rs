//! Runs the model checks and prints a table. Exit code 1 if anything is not as expected.

use anyhow::Result;
use clap::Parser;
use segring_model::check::{Check, Expected};
use segring_model::{exchange, inline, waiting};
use std::io::Write;
use std::process::ExitCode;

/// A line on standard output. A reader that has seen enough is no error.
macro_rules! say {
    ($($line:tt)*) => {{
        let _ = writeln!(std::io::stdout(), $($line)*);
    }};
}

/// Checks segring's protocols in every interleaving of their steps.
#[derive(Parser)]
struct Args {
    /// Only checks whose name contains one of these.
    names: Vec<String>,
    /// Say what there is and stop.
    #[arg(long)]
    list: bool,
    /// Only what the tests run, too.
    #[arg(long)]
    short: bool,
    /// Print the steps of every counterexample.
    #[arg(long)]
    steps: bool,
    /// Threads that search. More than one may find other counterexamples.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let wanted = |check: &Check| {
        (args.names.is_empty() || args.names.iter().any(|n| check.name.contains(n.as_str())))
            && (check.short || !args.short)
    };
    let checks: Vec<Check> = waiting::checks()
        .into_iter()
        .chain(exchange::checks())
        .chain(inline::checks())
        .filter(wanted)
        .collect();
    anyhow::ensure!(!checks.is_empty(), "no check has such a name; --list says what there is");
    let width = checks.iter().map(|c| c.name.len()).max().unwrap_or(0);
    if args.list {
        for check in &checks {
            say!("{:width$}  {}", check.name, expectation(check.expected));
        }
        return Ok(ExitCode::SUCCESS);
    }
    say!("{:width$}  {:>10}  {:>5}  {:>5}      result", "variant", "states", "depth", "s");
    let mut wrong = 0;
    for check in &checks {
        let found = check.run(args.threads.max(1));
        let fits = found.is(check.expected);
        say!(
            "{:width$}  {:>10}  {:>5}  {:>5.1}  {}  {}",
            check.name,
            found.states,
            found.depth,
            found.took.as_secs_f64(),
            if fits { "ok" } else { "NO" },
            found.verdict(),
        );
        if !fits {
            wrong += 1;
            say!("{:width$}  expected: {}", "", expectation(check.expected));
        }
        if args.steps || !fits {
            for broken in &found.broken {
                say!("  {}:", broken.property);
                for (i, step) in broken.steps.iter().enumerate() {
                    say!("  {:4}  {step}", i + 1);
                }
            }
        }
    }
    say!("{} checks, {wrong} not as expected", checks.len());
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn expectation(expected: Expected) -> String {
    match expected {
        Expected::Holds => "holds".into(),
        Expected::Caught(property) => format!("caught: {property}"),
    }
}
