//! `segring create`: a ring that stays.

use super::args::{name_parser, parse_mode, parse_size};
use super::{USAGE, complain};
use anyhow::Context;
use segring::{HugePages, Name, mpmc, spsc};
use std::process::ExitCode;

pub(crate) const HELP: &str = "\
The ring carries records of any length from one producer to one consumer (spsc): 'segring send'
and 'segring recv', or programs that use the library. Or from many to many (mpmc), for programs
that use segring::mpmc::ByteRing. It outlives them, with what is in it, until 'segring rm' removes
it or the machine restarts.

Examples:
  segring create ticks --capacity 16M --mode 660
  segring create key:0x5e610001 --prefault
  segring create path:/etc/hostname --huge-pages prefer
  segring create jobs --kind mpmc --records 1024 --max-record 64K --seats 32 --in-hand 4

An id (id:42) names a ring that exists: nothing can be created under it.

Exit codes: 0 made, 1 not made (the reason is on standard error), 2 wrong command line, or options
that cannot be.";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the ring is called: text, key:0xHEX or path:FILE.
    #[arg(value_parser = name_parser())]
    name: Name,

    /// Who may take part: one sender and one receiver, or many of both.
    #[arg(long, value_enum, default_value = "spsc")]
    kind: Kind,

    /// Bytes that fit: a number with K, M or G; rounded up to a power of two [spsc; default: 1M]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    capacity: Option<usize>,

    /// Records that fit, rounded up to a power of two [mpmc; default: 1024]
    #[arg(long, value_name = "N")]
    records: Option<usize>,

    /// The longest record, in bytes: each slot has room for it [mpmc; default: 4K]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_record: Option<usize>,

    /// How many may take part at once, up to 4096 [mpmc; default: 64]
    #[arg(long, value_name = "N")]
    seats: Option<u32>,

    /// How many records a consumer may hold at once, up to 64 [mpmc; default: 1]
    #[arg(long, value_name = "N")]
    in_hand: Option<u32>,

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

impl Args {
    /// Options that do not belong to the kind are no wish that can be fulfilled.
    fn refuse_others(&self) -> Result<(), String> {
        let given = |name, given: bool| given.then_some(name);
        let wrong = match self.kind {
            Kind::Spsc => [
                given("--records", self.records.is_some()),
                given("--max-record", self.max_record.is_some()),
                given("--seats", self.seats.is_some()),
                given("--in-hand", self.in_hand.is_some()),
            ],
            Kind::Mpmc => [given("--capacity", self.capacity.is_some()), None, None, None],
        };
        match (wrong.into_iter().flatten().next(), self.kind) {
            (None, _) => Ok(()),
            (Some(name), Kind::Spsc) => Err(format!("{name} is for --kind mpmc")),
            (Some(name), Kind::Mpmc) => {
                Err(format!("{name} is for --kind spsc; an mpmc ring has --records and --max-record"))
            }
        }
    }

    fn huge_pages(&self) -> HugePages {
        match self.huge_pages {
            Huge::Off => HugePages::Off,
            Huge::Prefer => HugePages::Prefer,
            Huge::Require => HugePages::Require,
        }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Err(wrong) = args.refuse_others() {
        complain(format_args!("{wrong}"));
        return Ok(ExitCode::from(USAGE));
    }
    let made = match args.kind {
        Kind::Spsc => spsc::ByteRing::builder(&args.name)
            .capacity(args.capacity.unwrap_or(1 << 20))
            .mode(args.mode)
            .huge_pages(args.huge_pages())
            .prefault(args.prefault)
            .create()
            .map(drop),
        Kind::Mpmc => mpmc::ByteRing::builder(&args.name)
            .capacity(args.records.unwrap_or(1024))
            .max_record(args.max_record.unwrap_or(4096))
            .seats(args.seats.unwrap_or(64))
            .in_hand(args.in_hand.unwrap_or(1))
            .mode(args.mode)
            .huge_pages(args.huge_pages())
            .prefault(args.prefault)
            .create()
            .map(drop),
    };
    made.context("cannot create")?;
    Ok(ExitCode::SUCCESS)
}
