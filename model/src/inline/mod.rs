//! The ring whose messages lie in its entries: push, batches in blocks, takes of one or of many, closing, and
//! seats that change hands.
//!
//! Each access to shared memory is one step, and everybody sees it at once (sequentially consistent: there
//! are no store buffers here); blocks are written and read word by word. Kills come before any step; then
//! somebody of the same kind wins the dead seat and goes on.
//!
//! Not here: weak memory, waiting. `docs/model-inline.md` says more.

mod actions;
mod books;
mod checks;
mod mutants;
mod properties;
mod state;
mod steps;

pub use actions::Action;
pub use checks::checks;
pub use properties::name;
pub use state::{
    BLOCKS, BLOCKS_OF_SEAT, ENTRIES, Entry, Fault, Ghost, Job, LEN, Pc, Process, QUEUE, Role, SEATS, State,
};

/// Where a participant looks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hints {
    /// At the position of the next push or take.
    Fresh,
    /// Anywhere from so many positions before it to that one.
    Any(u8),
    /// Where it was last, as in the code. The shared hint is moved by each operation, in two steps, and read
    /// by whoever comes, after each stale entry, and where an entry seems to be behind.
    Real,
}

/// Which states are visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Every interleaving of every step.
    Every,
    /// Private steps are made at once.
    Merged,
    /// The same, and states that differ only in which consumer is which are one.
    Symmetric,
}

/// A change of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// None: the protocol as it is.
    None,
    /// The position is noted after the exchange.
    NoteLate,
    /// The position is not noted.
    NoNote,
    /// The position of the first try is noted only.
    NoteOnce,
    /// Every block is taken for free.
    FreeAlways,
    /// A block is taken for free if the entry has left the stage, whatever block it has now.
    FreeByPosition,
    /// A block is taken for free if the entry does not have it, at whatever stage.
    FreeByBlock,
    /// Whoever takes a seat over takes its blocks for free.
    ResumeFree,
    /// Whoever takes a seat over begins with its first block.
    ResumeAtFirst,
    /// The exchange of a take does not compare laps.
    NoLapCompared,
    /// A take leaves the lap of the entry as it is.
    NoLap,
    /// The value is read after the exchange.
    ValueLate,
    /// The value is read before the state.
    ValueEarly,
    /// The block is read after the exchange.
    BlockLate,
    /// The block is written after the exchange.
    WriteLate,
    /// A take of some takes all out.
    RestForgotten,
    /// A take of some counts one less.
    RestTooLong,
    /// A push looks neither at the mark nor at the flag.
    NoClosedTest,
    /// A push does not look at the mark.
    NoMarkTest,
    /// A push does not look at the flag.
    NoFlagTest,
    /// Closing sets the flag only.
    FlagOnly,
    /// A take drops the mark.
    DropMark,
    /// A take of some drops the mark.
    FewerDropsMark,
    /// A take that has seen the flag does not look again.
    NoSecondLook,
    /// A take that sees the mark does not set the flag.
    NoFlagHelp,
    /// The value is exchanged first, and then the state.
    ValueFirst,
    /// The state is exchanged first, and then the value.
    StateFirst,
    /// The exchange of a push does not compare the value.
    StateOnly,
    /// Nobody walks on from a stale entry.
    NoWalk,
}

/// The model: a size, a setting and a change.
#[derive(Clone, Debug)]
pub struct Inline {
    /// Entries, 1 or 2.
    pub entries: u8,
    /// What each producer pushes: lengths, 1 for one message by itself.
    pub producers: Vec<Vec<u8>>,
    /// Consumers.
    pub consumers: u8,
    /// Blocks of each producer's seat, 1 or 2.
    pub blocks: u8,
    /// What a take may ask for.
    pub takes: Vec<u8>,
    /// Producers that close after their last message, as bits.
    pub closers: u8,
    /// How many kills there may be.
    pub kills: u8,
    /// How many may take a seat over.
    pub newcomers: u8,
    /// The hints.
    pub hints: Hints,
    /// Laps wrap at this number.
    pub laps: u8,
    /// The first position.
    pub from: u8,
    /// Steps without a finished operation are counted, and so many are allowed.
    pub counted: Option<u8>,
    /// The search.
    pub search: Search,
    /// What is broken.
    pub change: Change,
}
