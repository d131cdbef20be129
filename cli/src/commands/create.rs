//! `segring create`: a ring that stays.

use super::args::{name_parser, parse_mode, parse_size};
use anyhow::{Context, bail};
use segring::spsc::ByteRing;
use segring::{HugePages, Name};
use std::process::ExitCode;

pub(crate) const HELP: &str = "\
The ring carries records of any length from one producer to one consumer: 'segring send' and
'segring recv', or programs that use the library. It outlives them, with what is in it, until
'segring rm' removes it or the machine restarts.

Examples:
  segring create ticks --capacity 16M --mode 660
  segring create key:0x5e610001 --prefault
  segring create path:/etc/hostname --huge-pages prefer

An id (id:42) names a ring that exists: nothing can be created under it.

Exit codes: 0 made, 1 not made (the reason is on standard error), 2 wrong command line.";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the ring is called: text, key:0xHEX or path:FILE.
    #[arg(value_parser = name_parser())]
    name: Name,

    /// Who may take part: one sender and one receiver, or many of both.
    #[arg(long, value_enum, default_value = "spsc")]
    kind: Kind,

    /// Bytes that fit: a number with K, M or G; rounded up to a power of two.
    #[arg(long, value_name = "SIZE", default_value = "1M", value_parser = parse_size)]
    capacity: usize,

    /// Permissions in octal. Others need both read and write to take part.
    #[arg(long, value_name = "OCTAL", default_value = "600", value_parser = parse_mode)]
    mode: u32,

    /// Make it of huge pages.
    #[arg(long, value_enum, value_name = "WHEN", default_value = "off")]
    huge_pages: Huge,

    /// Take all the memory now, so that first use is not slower.
    #[arg(long)]
    prefault: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    Spsc,
    Mpmc,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Huge {
    /// Ordinary pages
    Off,
    /// Huge pages if there are enough free ones
    Prefer,
    /// Huge pages or an error
    Require,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match args.kind {
        Kind::Spsc => {}
        Kind::Mpmc => bail!("--kind mpmc: this version makes spsc rings only"),
    }
    let huge_pages = match args.huge_pages {
        Huge::Off => HugePages::Off,
        Huge::Prefer => HugePages::Prefer,
        Huge::Require => HugePages::Require,
    };
    ByteRing::builder(&args.name)
        .capacity(args.capacity)
        .mode(args.mode)
        .huge_pages(huge_pages)
        .prefault(args.prefault)
        .create()
        .context("cannot create")?;
    Ok(ExitCode::SUCCESS)
}
