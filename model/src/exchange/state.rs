//! A state of the world: entries, slots, hands, and who runs.

/// Most entries.
pub const ENTRIES: usize = 2;
/// Most hands.
pub const HANDS: usize = 4;
/// Most positions in one history: messages, and what is pushed back.
pub const POSITIONS: usize = 8;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// A ring entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Entry {
    /// Twice the lap, plus 1 when it is full: an entry goes through these in order.
    pub stage: u8,
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
    /// The position that was released last.
    pub rel: Option<u8>,
}

/// A slot. A message is a number from 1; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Slot {
    /// The hand that stamped it last, plus 1.
    pub owner: u8,
    /// The redelivered mark.
    pub mark: bool,
    /// The message.
    pub payload: u8,
}

/// What a participant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Pushes.
    Producer,
    /// Pops.
    Consumer,
}

/// Where a participant is: the step that it makes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pc {
    /// Push: writes the message into its slot.
    Payload,
    /// Push: clears the mark.
    ClearMark,
    /// Push of what the predecessor held: sets the mark.
    SetMark,
    /// Stamps its slot.
    Stamp,
    /// Reads the hint.
    Hint,
    /// Reads the entry.
    Entry,
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
    /// Pop: reads the message in place.
    Read,
    /// Pop: reads the mark.
    ReadMark,
    /// Stores `rel`.
    Release,
    /// Found the ring full, or empty, and looks again when it is not.
    Wait,
    /// Has pushed all that it meant to.
    Done,
    /// Killed.
    Dead,
    /// Repair: reads `cur`.
    RepairCur,
    /// Repair 1: reads `now`.
    RepairNow,
    /// Repair 2: reads the entry.
    RepairEntry,
    /// Repair 3: reads `now` of another hand.
    RepairScan,
    /// Repair 4: reads the owner of the slot.
    RepairOwner,
    /// Repair 4: `cur = now`.
    RepairFix,
    /// Repair 5: stamps the slot.
    RepairStamp,
    /// Repair 5: reads `rel`.
    RepairRel,
}

/// A participant. What it has read and not used up is private.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// What it is.
    pub role: Role,
    /// Its next step.
    pub pc: Pc,
    /// Messages that it has still to push, besides the one under way.
    pub left: u8,
    /// The message under way.
    pub message: u8,
    /// It comes from a dead hand.
    pub again: bool,
    /// The position.
    pub pos: u8,
    /// The entry as it was read.
    pub seen: Entry,
    /// Repair: the hand that is looked at next.
    pub other: u8,
    /// Repair, only a mutant: the owner as it was read.
    pub owner: u8,
}

impl Process {
    pub(super) fn new(role: Role, left: u8) -> Self {
        Self {
            role,
            pc: Pc::Stamp,
            left,
            message: 0,
            again: false,
            pos: 0,
            seen: Entry::default(),
            other: 0,
            owner: 0,
        }
    }

    /// Forgets what it has read.
    pub(super) fn forget(&mut self) {
        *self = Self { pc: self.pc, ..Self::new(self.role, self.left) };
    }
}

/// What must never happen, noticed by the step that does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A CAS succeeded at another position than the next one, or took another message than the one
    /// that was pushed there.
    Order,
    /// A message was read that is not the one that was taken.
    Torn,
    /// Delivered twice without the mark, or without it after its holder was killed.
    Twice,
    /// Delivered with the mark, and no holder of it was killed.
    IdleMark,
    /// Released twice.
    ReleasedTwice,
    /// A repair came to another verdict than what happened.
    Verdict,
    /// An entry was behind the hint.
    Behind,
}

/// What the model keeps for the properties; no participant sees it. Sets of messages are bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ghost {
    /// Messages begun.
    pub begun: u8,
    /// Pushes whose CAS succeeded.
    pub tail: u8,
    /// Pops whose CAS succeeded.
    pub head: u8,
    /// What was pushed at each position and not yet popped.
    pub at: [u8; POSITIONS],
    /// Messages that are in the ring for the first time, or were.
    pub pushed: u8,
    /// Released.
    pub released: u8,
    /// Delivered without the mark.
    pub seen: u8,
    /// A holder of it was killed.
    pub orphaned: u8,
    /// Each hand's last operation whose CAS succeeded.
    pub landed: [Op; HANDS],
    /// The message that it left in this hand.
    pub holds: [u8; HANDS],
    /// The first thing that went wrong.
    pub fault: Option<Fault>,
}

/// The whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The ring.
    pub entries: [Entry; ENTRIES],
    /// The slots.
    pub slots: [Slot; ENTRIES + HANDS],
    /// The hands.
    pub hands: [Hand; HANDS],
    /// Who sits there.
    pub process: [Process; HANDS],
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

    /// What a hand really has: its last CAS counts before it is written down, as long as it is under
    /// way, or nobody has finished it.
    pub(super) fn has(&self, i: usize) -> Op {
        match self.process[i].pc {
            Pc::LateIntent | Pc::Cur | Pc::Dead => self.ghost.landed[i],
            Pc::RepairCur | Pc::RepairNow | Pc::RepairEntry => self.ghost.landed[i],
            Pc::RepairScan | Pc::RepairOwner | Pc::RepairFix => self.ghost.landed[i],
            _ => self.hands[i].cur,
        }
    }

    /// Whether a hand holds a message.
    pub(super) fn holds(&self, i: usize) -> bool {
        let op = self.has(i);
        op.kind == Kind::Pop && self.hands[i].rel != Some(op.pos)
    }
}

/// A message's bit.
pub(super) fn bit(message: u8) -> u8 {
    1 << message
}
