//! What is said below the table: only of what is in it.

use super::report::share;
use segring_bench::{Mode, Row};

/// Columns of a line.
const WIDTH: usize = 96;

/// Transports whose messages have no edges.
const STREAMS: [&str; 4] = ["pipe", "fifo", "unix socket", "tcp"];
/// Those that are an array in shared memory, and what is around it.
const GUARDED: [(&str, &str); 3] = [
    ("textbook", "under three System V semaphores"),
    ("robust mutex", "under a process-shared mutex with condition variables"),
    ("file lock", "under a lock on a file"),
];

/// A paragraph for each word of the table that needs one.
pub(super) fn notes(rows: &[Row]) -> String {
    let paragraphs = [
        Some(copies(rows)),
        has(rows, Mode::Single).then(|| "single: one message per call.".to_owned()),
        has(rows, Mode::Bulk).then(|| bulk(rows)),
        has(rows, Mode::Handover).then(|| {
            "handover: one message per call, in place, only its first and last word written and read."
                .to_owned()
        }),
        guarded(rows),
        limit(rows),
        without_interval(rows),
    ];
    paragraphs.into_iter().flatten().map(|text| wrapped(&text)).collect()
}

fn has(rows: &[Row], mode: Mode) -> bool {
    rows.iter().any(|row| row.cell.mode == mode)
}

fn copies(rows: &[Row]) -> String {
    let mut text = "copies: of the payload, from the producer's private memory to the consumer's.".to_owned();
    if has(rows, Mode::InPlace) || has(rows, Mode::Handover) {
        text += " In place the payload is built in the ring and read there, so there are none.";
    }
    text
}

fn bulk(rows: &[Row]) -> String {
    let streams = |row: &Row| row.cell.mode == Mode::Bulk && STREAMS.contains(&row.transport);
    let mut text = "bulk: up to 64 messages per call on a ring of 1 MiB".to_owned();
    if rows.iter().any(streams) {
        text += "; on streams as many as 32 KiB hold, and the pipes enlarged to 1 MiB";
    }
    text + "."
}

fn guarded(rows: &[Row]) -> Option<String> {
    let there = |(name, _): &&(&str, &str)| rows.iter().any(|row| row.transport == *name);
    let (names, guards): (Vec<_>, Vec<_>) = GUARDED.iter().filter(there).copied().unzip();
    let text = || format!("{}: an array in shared memory {}.", names.join(", "), guards.join(", "));
    (!names.is_empty()).then(text)
}

fn limit(rows: &[Row]) -> Option<String> {
    let shown = rows.iter().filter(|row| share(row) != "-");
    let limits: Vec<Mode> = shown.filter_map(|row| row.cell.limit()).map(|limit| limit.mode).collect();
    let of = |mode, what: &'static str| limits.contains(&mode).then_some(what);
    let bare = [
        of(Mode::Single, "lines with a stamp for single messages below 64 bytes"),
        of(Mode::Handover, "the same for handover"),
        of(Mode::RoundTrip, "a line there and another back for round trips"),
        of(Mode::InPlace, "blocks of 32 KiB in place for the rest"),
    ];
    let bare: Vec<&str> = bare.into_iter().flatten().collect();
    let text = || {
        format!(
            "limit: the part that a transport reaches of what the machine can do with no guarantee at all, in \
             the same rounds (the rows called bare): {}.",
            bare.join(", ")
        )
    };
    (!bare.is_empty()).then(text)
}

fn without_interval(rows: &[Row]) -> Option<String> {
    let without = |row: &Row| row.ratio_vs_pipe.is_some() && row.ratio_vs_pipe_interval.is_none();
    rows.iter()
        .any(without)
        .then(|| "[95 %] is empty where there were fewer than 6 rounds: so few give no interval.".to_owned())
}

/// In lines, each with its end.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used > 0 {
            let fits = used + 1 + length <= WIDTH;
            lines.push(if fits { ' ' } else { '\n' });
            used = if fits { used + 1 } else { 0 };
        }
        lines.push_str(word);
        used += length;
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_filled_and_not_longer_than_they_may_be() {
        let text = "word ".repeat(60);
        let lines = wrapped(&text);
        assert_eq!(lines.split_whitespace().count(), 60);
        assert!(lines.lines().all(|line| line.len() <= WIDTH));
        assert_eq!(lines.lines().next().map(str::len), Some(94));
        assert_eq!(wrapped("one"), "one\n");
    }
}
