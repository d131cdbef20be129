//! The slot-exchange ring: push, pop, release, and taking a dead seat over.
//!
//! Entries that hold slots, hands that own one slot each. Each access to shared memory is one step,
//! and everybody sees it at once (sequentially consistent: there are no store buffers here). Kills
//! come before any step, those of a repair included; then somebody of either kind wins the dead
//! seat, finishes its last step, and goes on.
//!
//! Not here: weak memory, waiting, closing, leaving, wrap-around, one process with two seats.
//! `docs/model-exchange.md` says more.

mod checks;
mod properties;
mod state;
mod steps;

pub use checks::checks;
pub use properties::name;
pub use state::{
    ENTRIES, Entry, Fault, Ghost, HANDS, Hand, Kind, Op, POSITIONS, Pc, Process, Role, Slot, State,
};
pub use steps::Action;

/// What a hint may say when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hints {
    /// The position of the next push or pop at that moment. It may be stale one step later.
    Fresh,
    /// Any position from 0 to that one.
    Any,
}

/// A change of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// None: the protocol as it is.
    None,
    /// Pushes do not stamp the slot.
    NoStampByPush,
    /// Pops do not stamp the slot.
    NoStampByPop,
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
    /// A repair does not stamp.
    NoStampByRepair,
    /// The intent of another hand fits at any position.
    AnyPosition,
    /// A pop leaves the lap of the entry as it is.
    NoLap,
    /// `cur` is not written in a repair.
    NoRepair,
    /// A push leaves the redelivered mark as it is.
    MarkNotCleared,
    /// A producer pushes what its predecessor held without the mark.
    NotMarked,
    /// A newcomer does not look for a message that its predecessor held.
    HeldNotLookedFor,
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
    /// How many kills there may be.
    pub kills: u8,
    /// How many may take a dead seat over.
    pub newcomers: u8,
    /// Whether a newcomer may be of the other kind.
    pub either: bool,
    /// This producer's hand is stopped for good before its first CAS, where the histories begin.
    pub stopped: Option<u8>,
    /// Only this hand may be killed.
    pub victim: Option<u8>,
    /// The hints.
    pub hints: Hints,
    /// What is broken.
    pub change: Change,
}
