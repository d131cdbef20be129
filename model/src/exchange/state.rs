//! A state of the world: entries, slots, hands, and who runs.

/// Most entries.
pub const ENTRIES: usize = 2;
/// Most hands.
pub const HANDS: usize = 4;
/// Most slots.
pub const SLOTS: usize = ENTRIES + HANDS;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing: the first word of a hand.
    Start,
    /// Push.
    Push,
    /// Pop.
    Pop,
}

/// A word of a hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Op {
    /// What.
    pub kind: Kind,
    /// Where.
    pub pos: u8,
    /// The slot that the operation finds in the entry.
    pub slot: u8,
}

/// A ring entry: one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Entry {
    /// The lap, modulo [`Exchange::laps`](super::Exchange::laps).
    pub lap: u8,
    /// Whether a message lies in it.
    pub full: bool,
    /// No ordinary push goes on from here.
    pub closed: bool,
    /// The slot that lies in it.
    pub slot: u8,
}

/// A hand in shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hand {
    /// What the last finished operation left.
    pub cur: Op,
    /// The intent.
    pub now: Option<Op>,
    /// The `cur` that was released last.
    pub rel: Option<Op>,
}

/// What lies in a slot, and for the properties, what became of it. A message stays in its slot until it is
/// released, so it needs no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Payload {
    /// Nothing that anybody may read.
    #[default]
    Nothing,
    /// Written, not yet pushed.
    Written,
    /// Pushed and not yet released.
    Message {
        /// Delivered.
        seen: bool,
        /// Somebody who held it was killed, left, or handed it back.
        orphan: bool,
    },
}

/// A slot. Owner and mark are one word, written in one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Slot {
    /// The hand that stamped it last, plus 1.
    pub owner: u8,
    /// The redelivered mark.
    pub mark: bool,
    /// The message.
    pub payload: Payload,
}

/// What a participant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Pushes.
    Producer,
    /// Pops.
    Consumer,
}

/// What a participant is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Job {
    /// A push by a producer, a pop by a consumer.
    Own,
    /// The push of a message that is in the hand: of a dead predecessor, or handed back.
    Back,
    /// Closing.
    Close,
}

/// Where a participant is: the step that it makes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pc {
    /// Push: writes the message into its slot.
    Payload,
    /// Stamps its slot, mark included.
    Stamp,
    /// Reads the hint and the entry that it names.
    Look,
    /// Reads the entry at a position that it knows.
    Entry,
    /// Push: loads the closed flag.
    Flag,
    /// Writes `now`.
    Intent,
    /// Only a mutant: the stamp comes here.
    LateStamp,
    /// The CAS.
    Cas,
    /// Only a mutant: the intent comes here.
    LateIntent,
    /// Writes `cur`.
    Cur,
    /// Only a mutant: clears `now`.
    ClearNow,
    /// Pop: reads the message and the mark.
    Read,
    /// Stores `rel`.
    Release,
    /// Has seen the closed bit: sets the flag.
    SetFlag,
    /// Only a mutant: a push-back sets the flag after its CAS.
    LateFlag,
    /// Pop, of an empty ring: loads the flag.
    PopFlag,
    /// Pop, of an empty ring, the flag is set: reads the entry again.
    LookAgain,
    /// Close: loads the flag.
    CloseFlag,
    /// Close: the CAS that sets the bit.
    CloseCas,
    /// Has done all that it meant to, or was told that the ring is closed.
    Done,
    /// Killed, or left with a message in its hand.
    Dead,
    /// Left; or repaired by somebody who has a seat of his own.
    Left,
    /// Only a mutant: taken for repaired.
    Clean,
    /// The dead seat is locked by somebody who has a seat of his own.
    Locked,
    /// Repair 1: reads `cur` and `now`.
    RepairNow,
    /// Repair 2: reads the entry.
    RepairEntry,
    /// Repair 3: reads `now` of another hand.
    RepairScan,
    /// Repair 4: reads the owner of the slot.
    RepairOwner,
    /// Repair 4: `cur = now`.
    RepairFix,
    /// Repair 5: reads `rel`.
    RepairRel,
    /// Repair 5: stamps the slot, marked if it holds a message.
    RepairStamp,
}

/// How a repair came to say *succeeded*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum How {
    /// It did not.
    Not,
    /// By the entry.
    Entry,
    /// By the intent of another hand.
    Scan,
    /// By the owner of the slot.
    Owner,
}

/// A participant. What it has read and not used up is private.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// What it is.
    pub role: Role,
    /// Its next step.
    pub pc: Pc,
    /// What it is doing.
    pub job: Job,
    /// The hand that it works with: its own, or a dead one that it repairs.
    pub hand: u8,
    /// Messages that it has still to push, besides the one under way.
    pub left: u8,
    /// It closes when it has pushed them.
    pub closes: bool,
    /// Its slot bears its stamp, since it has it.
    pub stamped: bool,
    /// The message in its hand comes from a dead one.
    pub again: bool,
    /// The position.
    pub pos: u8,
    /// The entry as it was read.
    pub seen: Option<Entry>,
    /// Repair: the hands that are still to be read, as bits.
    pub others: u8,
    /// Repair, only a mutant: the owner as it was read.
    pub owner: u8,
    /// Repair: the verdict.
    pub how: How,
}

impl Process {
    pub(super) fn new(role: Role, hand: u8, left: u8) -> Self {
        Self {
            role,
            pc: Pc::Look,
            job: Job::Own,
            hand,
            left,
            closes: false,
            stamped: false,
            again: false,
            pos: 0,
            seen: None,
            others: 0,
            owner: 0,
            how: How::Not,
        }
    }

    /// Forgets what it has read.
    pub(super) fn forget(&mut self) {
        *self = Self {
            pc: self.pc,
            closes: self.closes,
            stamped: self.stamped,
            ..Self::new(self.role, self.hand, self.left)
        };
    }

    /// What its CAS does.
    pub(super) fn kind(&self) -> Kind {
        if self.job == Job::Own && self.role == Role::Consumer { Kind::Pop } else { Kind::Push }
    }

    /// The slot in the entry as it was read.
    pub(super) fn found(&self) -> u8 {
        self.seen.map_or(0, |e| e.slot)
    }

    /// Whether it comes to a verdict about a hand.
    pub(super) fn judges(&self) -> bool {
        self.pc >= Pc::RepairNow && self.pc <= Pc::RepairFix
    }

    /// Whether somebody may win the seat.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.pc, Pc::Dead | Pc::Left | Pc::Clean)
    }
}

/// What must never happen, noticed by the step that does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A CAS succeeded at another position than the next one.
    Order,
    /// A message was written over, or something was pushed, taken or read that is no message.
    Torn,
    /// Delivered without the mark, and not for the first time or after somebody lost it.
    Twice,
    /// Delivered with the mark, and nobody had lost it.
    IdleMark,
    /// Released twice.
    ReleasedTwice,
    /// Released before it was delivered.
    Unread,
    /// A repair came to another verdict than what happened.
    Verdict,
    /// An entry was in a state that it never has.
    Corrupt,
    /// An ordinary push succeeded after somebody was told that the ring is closed.
    AfterClosed,
    /// A consumer was told so, and there was a message.
    ClosedEarly,
}

/// What the model keeps for the properties; no participant sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ghost {
    /// The position of the next push whose CAS succeeds.
    pub tail: u8,
    /// The position of the next pop whose CAS succeeds.
    pub head: u8,
    /// Each hand's CAS that succeeded and is not yet in its `cur`.
    pub landed: [Option<Op>; HANDS],
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
    /// The ring.
    pub entries: [Entry; ENTRIES],
    /// The closed flag.
    pub flag: bool,
    /// The slots.
    pub slots: [Slot; SLOTS],
    /// The hands.
    pub hands: [Hand; HANDS],
    /// Who sits there.
    pub process: [Process; HANDS],
    /// Kills that may still come.
    pub kills: u8,
    /// Newcomers that may still come.
    pub newcomers: u8,
    /// How many may still leave.
    pub leaves: u8,
    /// Messages that may still be handed back.
    pub backs: u8,
    /// For the properties.
    pub ghost: Ghost,
}

impl State {
    pub(super) fn fault(&mut self, fault: Fault) {
        self.ghost.fault.get_or_insert(fault);
    }

    /// What a hand really has: its last CAS counts before it is written down.
    pub(super) fn has(&self, h: usize) -> Op {
        self.ghost.landed[h].unwrap_or(self.hands[h].cur)
    }

    /// Whether a hand holds a message.
    pub(super) fn holds(&self, h: usize) -> bool {
        let op = self.has(h);
        op.kind == Kind::Pop && self.hands[h].rel != Some(op)
    }
}
