//! `segring ls`: which rings there are, and who is in them.

use super::args::name_parser;
use anyhow::Context;
use segring::{Error, Kind, Layout, Name, Observer, Peer, Stats};
use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

pub(crate) const HELP: &str = "\
Columns:
  PAYLOAD            bytes of a message (of the longest, on mpmc-bytes), or 'bytes' where
                     messages have any length
  CAPACITY           messages that fit, or bytes where they have any length; where IN-HAND says
                     'inline', entries: each takes a message, or up to 64 that were pushed in one
                     call, so LEN may be more
  BYTES              the memory of the whole segment
  LEN                messages in the ring now
  IN-HAND            how many a consumer may hold at once, from slots; 'inline' where messages lie
                     in the entries and none is held; '-' on spsc
  PRODUCER CONSUMER  the process on the seat, or how many live ones there are (3 live);
                     '-' nobody yet, 'left' gone by themselves, 'died' killed
  ATTACHED           processes that have it in their memory
  STATE              open, closed (by its producer, for good) or removed (no name any more);
                     ephemeral (goes when the last one leaves), huge (made of huge pages)

It looks, read-only, and disturbs nobody. Rings that this user may not read are not listed.

Examples:
  segring ls
  segring ls ticks
  segring ls --json | jq -r '.[] | select(.producer.state == \"died\") | .name'

Exit codes: 0 listed, 1 an error, such as no ring of that NAME, 2 wrong command line.";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this ring.
    #[arg(value_parser = name_parser())]
    name: Option<Name>,

    /// Print an array of objects.
    #[arg(long)]
    json: bool,
}

/// One ring, as it is printed.
#[derive(serde::Serialize)]
struct Row {
    name: String,
    key: String,
    shmid: i32,
    semid: i32,
    kind: String,
    schema: String,
    payload_size: u64,
    capacity: u64,
    bytes: u64,
    len: u64,
    pushed: u64,
    popped: u64,
    producer: Seat,
    consumer: Seat,
    seats: u32,
    layout: &'static str,
    /// Messages that a consumer may hold at once; 0 where they lie in the entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_hand: Option<u32>,
    /// Messages in the hands of consumers, dead or alive.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<u64>,
    /// Seats of the dead that nobody has seen to yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    unclean: Option<u32>,
    mode: String,
    uid: u32,
    owner: String,
    attached: u64,
    closed: bool,
    removed: bool,
    ephemeral: bool,
    huge_pages: bool,
    #[serde(skip)]
    any_length: bool,
}

#[derive(serde::Serialize)]
struct Seat {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// Rings of many seats: how many of them are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<u32>,
}

impl Seat {
    fn new(peer: Peer, live: Option<u32>) -> Self {
        let (state, pid) = match peer {
            Peer::NeverJoined => ("never", None),
            Peer::Live { pid } => ("live", (pid != 0).then_some(pid)),
            Peer::Left => ("left", None),
            Peer::Died => ("died", None),
            _ => ("unknown", None),
        };
        Self { state, pid, live }
    }

    fn cell(&self) -> String {
        match (self.state, self.pid, self.live) {
            (_, Some(pid), _) => pid.to_string(),
            ("live", _, Some(live)) => format!("{live} live"),
            ("never", ..) => "-".to_owned(),
            (state, ..) => state.to_owned(),
        }
    }
}

impl Row {
    fn new(stats: Stats) -> Self {
        let many = matches!(stats.kind, Kind::Mpmc | Kind::MpmcBytes);
        Self {
            name: stats.name,
            key: format!("{:#010x}", stats.key),
            shmid: stats.shm_id,
            semid: stats.sem_id,
            any_length: stats.kind == Kind::SpscBytes,
            kind: stats.kind.to_string(),
            schema: stats.schema,
            payload_size: stats.payload_size,
            capacity: stats.capacity,
            bytes: stats.bytes,
            len: stats.len,
            pushed: stats.pushed,
            popped: stats.popped,
            producer: Seat::new(stats.producer, many.then_some(stats.producers)),
            consumer: Seat::new(stats.consumer, many.then_some(stats.consumers)),
            seats: stats.seats,
            layout: match stats.layout {
                Layout::Stamped => "stamped",
                Layout::Dense => "dense",
                Layout::Inline => INLINE,
                _ => "unknown",
            },
            in_hand: many.then_some(stats.in_hand),
            held: many.then_some(stats.held),
            unclean: many.then_some(stats.unclean),
            mode: format!("{:03o}", stats.mode),
            uid: stats.uid,
            owner: owner(stats.uid),
            // This very look counts as one.
            attached: stats.attached.saturating_sub(1),
            closed: stats.closed,
            removed: stats.removed,
            ephemeral: stats.ephemeral,
            huge_pages: stats.huge_pages,
        }
    }

    fn state(&self) -> String {
        let mut words = Vec::new();
        match (self.removed, self.closed) {
            (false, false) => words.push("open"),
            (removed, closed) => {
                words.extend(closed.then_some("closed"));
                words.extend(removed.then_some("removed"));
            }
        }
        words.extend(self.ephemeral.then_some("ephemeral"));
        words.extend(self.huge_pages.then_some("huge"));
        words.join(",")
    }

    fn in_hand(&self) -> String {
        match self.in_hand {
            Some(0) => self.layout.to_owned(),
            Some(messages) => messages.to_string(),
            None => "-".to_owned(),
        }
    }

    /// A batch in the entries takes one of them.
    fn more_than_fit(&self) -> bool {
        self.layout == INLINE && self.len > self.capacity
    }

    fn cells(&self) -> [String; COLUMNS.len()] {
        [
            printable(&self.name),
            self.key.clone(),
            self.shmid.to_string(),
            self.kind.clone(),
            if self.any_length { "bytes".to_owned() } else { self.payload_size.to_string() },
            self.capacity.to_string(),
            self.bytes.to_string(),
            self.len.to_string(),
            self.in_hand(),
            self.producer.cell(),
            self.consumer.cell(),
            self.mode.clone(),
            self.owner.clone(),
            self.attached.to_string(),
            self.state(),
        ]
    }
}

/// Messages lie in the entries.
const INLINE: &str = "inline";

/// Below the table, where a row needs it.
const MORE_THAN_FIT: &str = "
inline: CAPACITY counts entries, LEN messages. An entry holds up to 64 that were pushed in one call.
";

/// Headings, and whether a column is one of numbers, which stand to the right.
const COLUMNS: [(&str, bool); 15] = [
    ("NAME", false),
    ("KEY", false),
    ("SHMID", true),
    ("KIND", false),
    ("PAYLOAD", true),
    ("CAPACITY", true),
    ("BYTES", true),
    ("LEN", true),
    ("IN-HAND", true),
    ("PRODUCER", true),
    ("CONSUMER", true),
    ("MODE", true),
    ("OWNER", false),
    ("ATTACHED", true),
    ("STATE", false),
];

/// The name is whatever its creator wrote: no control characters to somebody's terminal.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The user's name, or the number if it has none.
fn owner(uid: u32) -> String {
    match nix::unistd::User::from_uid(uid.into()) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    }
}

/// Looks at a ring, whoever made it: looking trusts nobody.
fn look(name: &Name) -> Result<Row, Error> {
    let mut users = Vec::new();
    loop {
        match Observer::attach_trusting(name, &users) {
            Ok(observer) => return observer.stats().map(Row::new),
            // The two halves may have been made by two users.
            Err(Error::OtherUser { creator, .. }) if !users.contains(&creator) => users.push(creator),
            Err(error) => return Err(error),
        }
    }
}

/// All that can be looked at. One that goes meanwhile, or that is broken, is no reason to fail.
fn look_at_all() -> Result<Vec<Row>, Error> {
    Ok(segring::list()?.iter().filter_map(|ring| look(&Name::id(ring.shm_id)).ok()).collect())
}

fn table(rows: &[Row]) -> String {
    let mut lines = vec![COLUMNS.map(|(heading, _)| heading.to_owned())];
    lines.extend(rows.iter().map(Row::cells));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS.len()] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for ((cell, width), (_, right)) in line.iter().zip(widths).zip(COLUMNS) {
            // Writing to a String cannot fail.
            let _ = if right { write!(row, "{cell:>width$}  ") } else { write!(row, "{cell:<width$}  ") };
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    if rows.iter().any(Row::more_than_fit) {
        text.push_str(MORE_THAN_FIT);
    }
    text
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let rows = match &args.name {
        Some(name) => vec![look(name).context("cannot look")?],
        None => look_at_all().context("cannot list")?,
    };
    let text = if args.json { serde_json::to_string_pretty(&rows)? + "\n" } else { table(&rows) };
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(super::OUTPUT_CLOSED.into()),
        written => written.context("cannot write to standard output").map(|()| ExitCode::SUCCESS),
    }
}
