//! Reads the tables of `docs/states.md`. Whatever it does not understand is a failure.

/// The specification.
pub const DOCUMENT: &str = include_str!("../../docs/states.md");

/// What an operation may say, as the document writes it.
const WORDS: [&str; 12] = [
    "Ok",
    "Again",
    "0",
    "Full",
    "Empty",
    "Closed",
    "TimedOut",
    "Removed",
    "Forked",
    "Corrupt",
    "PeerGone { died: false }",
    "PeerGone { died: true }",
];

/// The document's word for what was said.
pub fn word(said: &str) -> &'static str {
    WORDS.into_iter().find(|word| *word == said).unwrap_or("something else")
}

/// One answer of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Says(&'static str),
    Waits,
}

/// What the answers are, one call after the other; the last one holds from then on. `None`: this
/// state cannot be.
pub type Cell = Option<Vec<Step>>;

/// A table: the first column names a state, the first line names operations.
pub struct Table {
    pub title: &'static str,
    /// The operations of each column but the first.
    columns: Vec<Vec<&'static str>>,
    rows: Vec<(&'static str, Vec<Cell>)>,
}

impl Table {
    /// The table under a heading.
    pub fn read(title: &'static str) -> Self {
        let mut lines = lines_under(title);
        let columns = fields(lines.next().unwrap_or_else(|| panic!("no table under {title:?}")));
        assert!(fields(lines.next().expect("a ruler")).iter().all(|field| *field == "---"));
        let columns: Vec<_> = columns[1..].iter().map(|field| quoted(field)).collect();
        assert!(columns.iter().all(|ops| !ops.is_empty()), "{title}: a column without an operation");
        let mut rows: Vec<(&str, Vec<Cell>)> = Vec::new();
        for line in lines {
            let fields = fields(line);
            assert_eq!(fields.len(), columns.len() + 1, "{title}: {line}");
            assert!(rows.iter().all(|(label, _)| *label != fields[0]), "{title}: twice: {line}");
            rows.push((fields[0], fields[1..].iter().map(|field| cell(field)).collect()));
        }
        Self { title, columns, rows }
    }

    pub fn operations(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().flatten().copied()
    }

    pub fn labels(&self) -> impl Iterator<Item = &'static str> {
        self.rows.iter().map(|(label, _)| *label)
    }

    pub fn cell(&self, label: &str, operation: &str) -> &Cell {
        let row = self.rows.iter().find(|(l, _)| *l == label).expect("a row of this name");
        let column = self.columns.iter().position(|ops| ops.contains(&operation)).expect("a column");
        &row.1[column]
    }
}

/// The lines of the first table under a heading.
fn lines_under(title: &str) -> impl Iterator<Item = &'static str> {
    let heading = format!("## {title}");
    let below = DOCUMENT.lines().skip_while(move |line| *line != heading).skip(1);
    let section = below.take_while(|line| !line.starts_with('#'));
    section.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'))
}

fn fields(line: &'static str) -> Vec<&'static str> {
    let inner = line.strip_prefix('|').and_then(|l| l.strip_suffix('|'));
    inner.unwrap_or_else(|| panic!("no line of a table: {line}")).split('|').map(str::trim).collect()
}

/// What stands in `backticks`.
pub fn quoted(text: &'static str) -> Vec<&'static str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn cell(text: &'static str) -> Cell {
    (text != "—").then(|| text.split(", then ").map(step).collect())
}

fn step(text: &'static str) -> Step {
    if text == "waits" {
        return Step::Waits;
    }
    let said = text.strip_prefix('`').and_then(|t| t.strip_suffix('`'));
    match said {
        Some(word) if WORDS.contains(&word) => Step::Says(word),
        _ => panic!("docs/states.md: a cell says {text:?}, which is none of its words"),
    }
}
