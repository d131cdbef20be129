//! The waiting protocol of `src/ring/wait`: W1 to W4, K1 to K4, closing, leaving, and being killed.
//!
//! One ring, a producer and a consumer. Each access to shared memory and each system call is one
//! step; stores wait in a buffer until a step of their own makes them visible (TSO). Read-modify-write
//! operations do not empty the buffer, unless [`Rmw::Drains`] says so: the code calls them Relaxed,
//! so the proof must not lean on x86's lock prefix. W1 is a plain store in the buffer for that
//! reason.
//!
//! Not here: the polling before a sleep (more looks, which change nothing), time limits, signals,
//! removal, `fork`, and reordering beyond store buffers. `docs/model.md` says more.

mod checks;
mod properties;
mod state;
mod steps;

pub use checks::checks;
pub use properties::name;
pub use state::{
    At, BUFFER, Buffer, Fault, Ghost, Life, Loc, Memory, Outcome, Pc, Process, SLOTS, Side, Slept, State,
    Then,
};
pub use steps::Action;

/// What the producer does after its last message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Closes the ring and stays.
    Closes,
    /// Leaves its seat.
    Leaves,
    /// Closes the ring and leaves.
    ClosesAndLeaves,
}

/// When the kernel ends a sleep by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Never: who is not woken sleeps for good.
    Never,
    /// Once somebody has been killed in this history.
    AfterKill,
    /// At any time.
    Always,
}

/// Whether a read-modify-write operation empties the store buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rmw {
    /// No more than coherence asks for.
    Weak,
    /// As x86's lock prefix.
    Drains,
}

/// How the waker's half of the barrier is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The waiter's membarrier reaches the waker.
    Membarrier,
    /// It does not; the waker fences at K2.
    OwnFence,
    /// It does not, and the waker does not fence either.
    Neither,
}

/// A change of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// None: the code as it is.
    None,
    /// W1 is missing.
    NoBit,
    /// W2 is missing.
    NoBarrier,
    /// W2, then W1.
    BarrierBeforeBit,
    /// W3 does not look at the ring.
    NoLookAfterBit,
    /// K3, then K1.
    WordBeforePublish,
    /// The wake, and then the bit is cleared.
    WakeBeforeClear,
    /// The bit is not cleared at all.
    BitNotTaken,
    /// After a sleep the bit is taken to be set still, however the sleep ended.
    BitNotSetAgain,
    /// The kernel does not compare the word.
    NoCompare,
    /// The kernel's wake is no fence.
    WakeIsNoFence,
    /// W3 looks at the ring, but not at the closed flag.
    FlagNotLookedAtAgain,
    /// The closed flag is believed without another look at the ring.
    RingNotLookedAtAgain,
    /// Closing wakes nobody.
    CloseWithoutWake,
    /// Leaving wakes nobody.
    LeaveWithoutWake,
    /// Leaving wakes, and then leaves.
    WakeBeforeLeaving,
    /// W3 does not look for a goodbye.
    NoHint,
    /// The peer's going is told without a last look at the ring.
    NewsBeforeLastLook,
    /// A producer that joins does not look whether the ring is closed.
    SuccessorIgnoresFlag,
    /// A recheck does not look at the peer's seat.
    RecheckIgnoresSeat,
    /// A dead seat is free before the last stores of its holder are visible.
    SeatFreeTooEarly,
    /// A newcomer wakes nobody.
    JoinWithoutWake,
    /// Closing does not fence.
    CloseWithoutFence,
    /// A waiter clears its own bit after each sleep, by a plain store.
    ClearsOwnBit,
    /// A waiter that need not sleep leaves its bit set.
    BitNotGivenUp,
    /// The word is not looked at before the system call; the kernel does it anyway.
    NoWordBeforeSleep,
    /// The bit is set again after every sleep, with another barrier.
    BitAlwaysSetAgain,
}

/// The model: a size, a setting and a change.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Slots of the ring, 1 or 2.
    pub capacity: u8,
    /// Messages of the first producer. A successor pushes at least one more.
    pub messages: u8,
    /// What the producer does then.
    pub ending: Ending,
    /// The consumer leaves after so many; else it goes on until it is told to stop.
    pub quits_after: Option<u8>,
    /// How many kills there may be.
    pub kills: u8,
    /// How many may take a dead seat over, for each side.
    pub newcomers: u8,
    /// The recheck.
    pub timer: Timer,
    /// The strength of read-modify-write operations.
    pub rmw: Rmw,
    /// The waker's half of the barrier.
    pub reach: Reach,
    /// What is broken.
    pub change: Change,
}
