//! The slot-exchange ring: push, pop, release, push-back, closing, leaving, and taking a dead seat over.
//!
//! Entries that hold slots, hands that own one slot each. Each access to shared memory is one step,
//! and everybody sees it at once (sequentially consistent: there are no store buffers here). Kills
//! come before any step, those of a repair included; then somebody of either kind wins the dead
//! seat, finishes its last step, and goes on.
//!
//! Not here: weak memory, waiting, one process with two seats. `docs/model-exchange.md` says more.

mod actions;
mod books;
mod checks;
mod mutants;
mod properties;
mod repair;
mod state;
mod steps;
mod symmetry;

pub use actions::Action;
pub use checks::checks;
pub use properties::name;
pub use state::{
    ENTRIES, Entry, Fault, Ghost, HANDS, Hand, How, Job, Kind, Op, Payload, Pc, Process, Role, SLOTS, Slot,
    State,
};

/// What a hint may say when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hints {
    /// The position of the next push or pop at that moment.
    Fresh,
    /// Any position from [`Exchange::lag`] before it to that one.
    Any,
}

/// Which states are visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Every interleaving of every step.
    Every,
    /// Private steps are made at once.
    Merged,
    /// The same, and states that differ only in names are one.
    Symmetric,
}

/// A change of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// None: the protocol as it is.
    None,
    /// Pushes do not stamp the slot; they clear the mark.
    NoStampByPush,
    /// Pops do not stamp the slot.
    NoStampByPop,
    /// Push-backs do not stamp the slot; they set the mark.
    NoStampByBack,
    /// Repairs do not stamp.
    NoStampByRepair,
    /// Repairs do not stamp; the first pop after one does.
    StampLater,
    /// The slot is stamped between the intent and the CAS.
    StampAfterIntent,
    /// The intent is written after the CAS.
    IntentAfterCas,
    /// `now` is cleared as soon as the operation is finished.
    NowCleared,
    /// A repair reads the owner before it reads the other hands.
    OwnerBeforeScan,
    /// A repair does not read the other hands.
    NoScan,
    /// A repair does not read the owner: it takes the CAS for failed.
    NoOwner,
    /// A repair takes the next state of the entry for success, whatever slot lies there.
    NextIsSuccess,
    /// The intent of another hand fits at any position.
    AnyPosition,
    /// A pop leaves the lap of the entry as it is.
    NoLap,
    /// Nobody compares laps: full or empty is all that counts.
    NoLapTest,
    /// Nobody walks on from a stale entry.
    NoWalk,
    /// `cur` is not written in a repair.
    NoRepair,
    /// Two may repair a seat at once.
    TwoRepairers,
    /// A seat whose repairer was killed is taken for repaired.
    ForgottenRepair,
    /// A push leaves the redelivered mark as it is.
    MarkNotCleared,
    /// A push-back does not set the mark.
    NotMarked,
    /// A newcomer does not look for a message that its predecessor held.
    HeldNotLookedFor,
    /// `rel` is stored before the message is read.
    ReleasedEarly,
    /// Closing sets the flag only, no bit in an entry.
    FlagOnly,
    /// A pop drops the closed bit.
    DropBit,
    /// A push does not look at the flag.
    NoFlagLook,
    /// Who sees the closed bit does not set the flag.
    NoFlagHelp,
    /// A pop that has seen the flag does not look again.
    NoSecondLook,
    /// A closed entry refuses what is pushed back.
    BackRefused,
    /// A push-back sets the flag after its CAS.
    NoFlagByBack,
}

/// The model: a size, a setting and a change.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Entries, 1 or 2.
    pub entries: u8,
    /// What each producer pushes: its number of messages.
    pub producers: Vec<u8>,
    /// Consumers.
    pub consumers: u8,
    /// Producers that close after their last message, as bits.
    pub closers: u8,
    /// How many kills there may be.
    pub kills: u8,
    /// How many may take a seat over.
    pub newcomers: u8,
    /// Whether a newcomer may be of the other kind.
    pub either: bool,
    /// What a producer pushes that takes a consumer's seat over.
    pub brings: u8,
    /// How many may leave.
    pub leaves: u8,
    /// How many messages may be handed back by consumers that live.
    pub backs: u8,
    /// Whether somebody who has a seat of his own may repair a dead one.
    pub recover: bool,
    /// This producer's hand is stopped for good before its first CAS, where the histories begin.
    pub stopped: Option<u8>,
    /// Only this hand may be killed.
    pub victim: Option<u8>,
    /// The hints.
    pub hints: Hints,
    /// How far a hint may lag.
    pub lag: u8,
    /// Laps wrap at this number, an even one.
    pub laps: u8,
    /// The first position.
    pub from: u8,
    /// No end of messages, kills and newcomers; no word is older than so many positions when a CAS succeeds.
    pub endless: Option<u8>,
    /// Steps without a finished operation are counted, and so many are allowed.
    pub counted: Option<u8>,
    /// The search.
    pub search: Search,
    /// What is broken.
    pub change: Change,
}
