//! `segring rm`: rings that nobody needs.

use super::args::name_parser;
use super::complain;
use segring::Name;
use std::process::ExitCode;

pub(crate) const HELP: &str = "\
A removed ring has no name any more, so nobody new can come. Whoever is in it goes on, and what is
in it can still be received by them; its memory goes when the last one has left.

Examples:
  segring rm ticks quotes
  segring rm key:0x5e610001
  segring rm id:42              the ids that 'segring ls' and 'ipcs -m' show

Only segring's rings are touched. What else has the key, or was left half-made by a creator that was
killed, is for ipcrm.

Exit codes: 0 all removed, 1 at least one was not (the others were), 2 wrong command line.";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The rings.
    #[arg(required = true, value_name = "NAME", value_parser = name_parser())]
    names: Vec<Name>,

    /// Also remove rings that this user (a number) has made. May be given several times.
    #[arg(long, value_name = "UID")]
    allow_user: Vec<u32>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for name in &args.names {
        if let Err(error) = segring::remove_trusting(name, &args.allow_user) {
            complain(format_args!("cannot remove: {error}"));
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
