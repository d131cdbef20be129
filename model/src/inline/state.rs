//! A state of the world: entries, blocks, notes, and who runs.

/// Most entries.
pub const ENTRIES: usize = 2;
/// Most participants.
pub const SEATS: usize = 4;
/// Most blocks of a seat.
pub const BLOCKS_OF_SEAT: usize = 2;
/// Most blocks.
pub const BLOCKS: usize = 6;
/// Messages of a block.
pub const LEN: usize = 3;
/// Most messages in the ring.
pub const QUEUE: usize = ENTRIES * LEN;

/// The state of a ring entry: one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Entry {
    /// The lap, modulo [`Inline::laps`](super::Inline::laps).
    pub lap: u8,
    /// Whether a message lies in it.
    pub full: bool,
    /// Nothing is pushed from here on.
    pub closed: bool,
    /// Messages of a batch that nobody has taken. 0: one message, in the value.
    pub left: u8,
    /// Where they lie.
    pub block: u8,
}

/// What a participant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Pushes.
    Producer,
    /// Takes.
    Consumer,
}

/// What a participant is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Job {
    /// A push by a producer, a take by a consumer.
    Own,
    /// Closing.
    Close,
}

/// Where a participant is: the step that it makes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pc {
    /// Take-over: loads the note of a block.
    Resume,
    /// Take-over: loads the shared hint.
    Hint,
    /// Batch: loads the entry in which its block was last.
    Free,
    /// Only a mutant: the value is read here.
    EarlyValue,
    /// Loads the state of the entry where it begins to look.
    Look,
    /// Loads the state of an entry that it has walked to.
    Entry,
    /// Loads the shared hint on the way.
    WalkHint,
    /// The same, where an entry seems to be behind.
    BehindHint,
    /// Push: loads the closed flag.
    Flag,
    /// Loads the value.
    Value,
    /// Batch: writes a word of the block.
    Write,
    /// Batch: stores the position.
    Note,
    /// Take: loads a word of the block.
    Read,
    /// The exchange.
    Swap,
    /// Only a mutant: the other half of the exchange.
    OtherHalf,
    /// Only a mutant: the note comes here.
    LateNote,
    /// Only a mutant: the block is written here.
    LateWrite,
    /// Only a mutant: the value is read here.
    LateValue,
    /// Only a mutant: the block is read here.
    LateRead,
    /// Loads the shared hint, to move it.
    HintLoad,
    /// Moves it.
    HintSwap,
    /// Has seen the mark: sets the flag.
    SetFlag,
    /// Take, of an empty ring: loads the flag.
    PopFlag,
    /// Take, of an empty ring, the flag is set: loads the entry again.
    LookAgain,
    /// Close: loads the flag.
    CloseFlag,
    /// Close: the exchange that sets the mark.
    CloseSwap,
    /// Has done all that it meant to, or was told that the ring is closed.
    Done,
    /// Killed.
    Dead,
}

/// A participant. What it has read and not used up is private.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Process {
    /// What it is.
    pub role: Role,
    /// Its next step.
    pub pc: Pc,
    /// What it is doing.
    pub job: Job,
    /// Messages of its seat that were pushed, or lost with who had begun to push them.
    pub next: u8,
    /// It closes at the end.
    pub closes: bool,
    /// Where it is on its way; between two operations, its private hint.
    pub pos: u8,
    /// The state as it was read.
    pub seen: Option<Entry>,
    /// The value as it was read; or the hint.
    pub value: u8,
    /// How many messages this operation pushes or takes.
    pub n: u8,
    /// Words of the block, or notes, that it has done.
    pub i: u8,
    /// Push: the block, of the seat's. None: one message by itself.
    pub block: Option<u8>,
    /// The block is written.
    pub written: bool,
    /// The exchange has succeeded.
    pub landed: bool,
    /// Take: what it has read.
    pub got: [u8; LEN],
    /// Only mutants: what it should read after the exchange.
    pub owed: [u8; LEN],
    /// Where its blocks were put: the position and one, or 0.
    pub at: [u8; BLOCKS_OF_SEAT],
    /// Which is the next one.
    pub turn: u8,
}

impl Process {
    pub(super) fn new(role: Role, next: u8, closes: bool) -> Self {
        Self {
            role,
            pc: Pc::Look,
            job: Job::Own,
            next,
            closes,
            pos: 0,
            seen: None,
            value: 0,
            n: 0,
            i: 0,
            block: None,
            written: false,
            landed: false,
            got: [0; LEN],
            owed: [0; LEN],
            at: [0; BLOCKS_OF_SEAT],
            turn: 0,
        }
    }

    /// Forgets what the operation has read.
    pub(super) fn forget(&mut self) {
        *self = Self {
            pc: self.pc,
            pos: self.pos,
            at: self.at,
            turn: self.turn,
            ..Self::new(self.role, self.next, self.closes)
        };
    }

    /// Whether it looks for the place of the next take, not of the next push.
    pub(super) fn pops(&self) -> bool {
        self.role == Role::Consumer
    }

    /// Whether what it is pushing is lost if it is killed.
    pub(super) fn has_begun(&self) -> bool {
        let waits = matches!(self.pc, Pc::Resume | Pc::Hint | Pc::Free | Pc::Look);
        self.job == Job::Own && !self.pops() && !self.landed && (self.written || !waits)
    }
}

/// What must never happen, noticed by the step that does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// An exchange succeeded at another position than the next one.
    Order,
    /// What was taken is not what comes next.
    Torn,
    /// A word of a block was written while an entry had the block.
    Written,
    /// An entry was in a state that it never has.
    Corrupt,
    /// A push succeeded after somebody was told that the ring is closed.
    AfterClosed,
    /// A consumer was told so, and there was a message.
    ClosedEarly,
}

/// What the model keeps for the properties; no participant sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ghost {
    /// The position of the next push whose exchange succeeds.
    pub tail: u8,
    /// The position of the next take.
    pub head: u8,
    /// Messages that were pushed and not taken, in order.
    pub queue: [u8; QUEUE],
    /// A close has returned, or somebody was told that the ring is closed.
    pub told: bool,
    /// Steps since something was done, where they are counted.
    pub quiet: u8,
    /// The first thing that went wrong.
    pub fault: Option<Fault>,
}

/// The whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The states of the entries.
    pub entries: [Entry; ENTRIES],
    /// Their values.
    pub values: [u8; ENTRIES],
    /// The blocks.
    pub blocks: [[u8; LEN]; BLOCKS],
    /// Where each was put: the position and one, or 0.
    pub notes: [u8; BLOCKS],
    /// The shared hints, of pushes and of takes.
    pub hints: [u8; 2],
    /// The closed flag.
    pub flag: bool,
    /// Who sits there.
    pub process: [Process; SEATS],
    /// Kills that may still come.
    pub kills: u8,
    /// Newcomers that may still come.
    pub newcomers: u8,
    /// For the properties.
    pub ghost: Ghost,
}

impl State {
    pub(super) fn fault(&mut self, fault: Fault) {
        self.ghost.fault.get_or_insert(fault);
    }
}
