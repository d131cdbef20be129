//! Rings from the shell.

mod args;
mod create;
mod files;
mod interrupt;
mod join;
mod ls;
mod recv;
mod rm;
mod send;
mod stream;

use std::io::Write;
use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make a ring that stays until it is removed.
    #[command(after_help = create::HELP)]
    Create(create::Args),
    /// Send standard input through a ring.
    #[command(after_help = send::HELP)]
    Send(send::Args),
    /// Write what comes through a ring to standard output.
    #[command(after_help = recv::HELP)]
    Recv(recv::Args),
    /// List rings, and who is in them.
    #[command(after_help = ls::HELP)]
    Ls(ls::Args),
    /// Remove rings.
    #[command(after_help = rm::HELP)]
    Rm(rm::Args),
}

pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    let result = match command {
        Command::Create(args) => create::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Recv(args) => recv::run(&args),
        Command::Ls(args) => ls::run(&args),
        Command::Rm(args) => rm::run(&args),
    };
    match result {
        // Whoever gave it can mend it: as what clap refuses.
        Err(error) if matches!(error.downcast_ref(), Some(segring::Error::BadOption { .. })) => {
            complain(format_args!("{error:#}"));
            Ok(ExitCode::from(USAGE))
        }
        result => result,
    }
}

/// The end of `segring --help`.
pub(crate) const HELP: &str = "\
Examples:
  tar c src | segring send backup            in one shell, and in another one,
  segring recv backup | tar x -C /tmp        started before or after it
  segring ls                                 which rings there are, and who is in them
  segring rm ticks                           remove a ring that nobody needs

Names of rings:
  ticks          any text of up to 255 bytes: hashed to a System V key
  key:0x5e610001 a System V key as other programs use it
  path:FILE      the key of an existing file, as ftok(FILE, 's') gives it
  id:42          the segment with this id, as ipcs -m and segring ls show it; it must exist

Exit codes:
  0    it worked
  1    an error, which was said on standard error
  2    the command line is wrong, or says what cannot be, such as a ring of no records
  3    the other side ended too early: the stream is incomplete
  128+n  ended by signal n: 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP; 141 nobody reads the output

'segring COMMAND --help' says more about a command.";

/// Exit status for arguments that cannot be, as clap's own.
pub(crate) const USAGE: u8 = 2;
/// The other side has ended too early.
pub(crate) const PEER_ENDED: u8 = 3;
/// What a shell says of a program that SIGPIPE ended.
pub(crate) const OUTPUT_CLOSED: u8 = 141;

/// Says something on standard error. A standard error that is gone is no reason to panic.
pub(crate) fn complain(what: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "segring: {what}");
}
