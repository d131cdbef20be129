//! The benchmark.

use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct BenchArgs {}

#[derive(clap::Args)]
pub(crate) struct WorkerArgs {}

pub(crate) fn run(_: BenchArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}

pub(crate) fn worker(_: WorkerArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
