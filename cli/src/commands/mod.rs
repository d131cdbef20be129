//! Rings from the shell.

use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List rings.
    Ls {},
}

pub(crate) fn run(_: Command) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
