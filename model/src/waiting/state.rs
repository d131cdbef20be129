//! A state of the world: shared memory, two processes, their store buffers, and the kernel.

/// Which process, and whose place in shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Pushes; waits for room.
    Producer,
    /// Pops; waits for messages.
    Consumer,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Producer, Self::Consumer];

    /// The other one.
    pub fn peer(self) -> Self {
        match self {
            Self::Producer => Self::Consumer,
            Self::Consumer => Self::Producer,
        }
    }
}

/// A word of shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loc {
    /// The producer's tail, the consumer's head.
    Cursor(Side),
    /// The word that this side sleeps on, with one bit.
    Waits(Side),
    /// The record of a seat: twice the epoch, plus 1 when its holder has left.
    Record(Side),
    /// The closed flag.
    Closed,
    /// A slot's message: its position plus 1.
    Slot(u8),
}

/// Slots of the largest ring.
pub const SLOTS: usize = 2;
const LOCS: usize = 7 + SLOTS;

impl Loc {
    fn index(self) -> usize {
        match self {
            Self::Cursor(s) => s as usize,
            Self::Waits(s) => 2 + s as usize,
            Self::Record(s) => 4 + s as usize,
            Self::Closed => 6,
            Self::Slot(i) => 7 + i as usize,
        }
    }
}

/// What everybody sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Memory([u8; LOCS]);

impl Memory {
    pub(super) fn get(&self, loc: Loc) -> u8 {
        self.0[loc.index()]
    }

    pub(super) fn set(&mut self, loc: Loc, value: u8) {
        self.0[loc.index()] = value;
    }
}

/// Stores that others do not see yet, in order. A processor's buffer is finite, and so is this one:
/// a store that finds it full waits for a flush.
pub const BUFFER: usize = 6;

/// A process's store buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Buffer([Option<(Loc, u8)>; BUFFER]);

impl Buffer {
    pub(super) fn is_empty(&self) -> bool {
        self.0[0].is_none()
    }

    pub(super) fn is_full(&self) -> bool {
        self.0[BUFFER - 1].is_some()
    }

    pub(super) fn push(&mut self, loc: Loc, value: u8) {
        if let Some(free) = self.0.iter_mut().find(|e| e.is_none()) {
            *free = Some((loc, value));
        }
    }

    /// The oldest.
    pub(super) fn pop(&mut self) -> Option<(Loc, u8)> {
        let first = self.0[0].take();
        self.0.rotate_left(1);
        first
    }

    /// The youngest value of a word.
    pub(super) fn find(&self, loc: Loc) -> Option<u8> {
        self.0.iter().flatten().rev().find(|(l, _)| *l == loc).map(|(_, v)| *v)
    }
}

/// Where a process is: the step that it makes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pc {
    /// A newcomer writes its record.
    Enter,
    /// It wakes the peer that may wait for somebody to come: clears the word.
    JoinClear,
    /// The same: the system call.
    JoinWake,
    /// Looks where its predecessor was.
    Resume,
    /// Looks whether the ring is closed.
    ResumeFlag,
    /// The attempt: is there room, is there a message?
    Look,
    /// The consumer found none: is it closed?
    Flag,
    /// It is closed: is there really none?
    LookAgain,
    /// A sleep was interrupted: is the bit still set? Then W1 and W2 of before still hold.
    BitStillSet,
    /// W1.
    SetBit,
    /// W2.
    Barrier,
    /// Has the peer said goodbye, is it time to look at its seat?
    Hint,
    /// The peer's record.
    SeatRecord,
    /// The peer's semaphore.
    SeatHeld,
    /// Its record again.
    SeatRecordAgain,
    /// W4: the word, before the system call.
    WordBeforeSleep,
    /// W4: the kernel compares the word and puts the process to sleep, as one step.
    FutexWait,
    /// In the kernel's queue.
    Asleep,
    /// Only a variant: clears its own bit after each sleep.
    ClearOwn,
    /// W1 undone.
    GiveUp,
    /// Writes or reads the slot.
    Payload,
    /// Only a mutant: the waker looks at the word before it publishes.
    WordTooEarly,
    /// K1: stores the cursor.
    Publish,
    /// K2, where the waker fences for itself.
    OwnFence,
    /// K3.
    Word,
    /// K4: the word once more.
    WordAgain,
    /// K4: takes the bit.
    TakeBit,
    /// K4: the system call.
    Wake,
    /// The operation returns Ok.
    Return,
    /// Closing: the flag.
    CloseFlag,
    /// Closing: the full fence.
    CloseFence,
    /// Closing: clears the peer's word.
    CloseClear,
    /// Closing: the system call.
    CloseWake,
    /// Leaving: the record.
    LeaveRecord,
    /// Leaving: the semaphore.
    LeaveSeat,
    /// Leaving: clears the peer's word.
    LeaveClear,
    /// Leaving: the system call.
    LeaveWake,
    /// Its program is over.
    Done,
    /// Killed.
    Gone,
}

/// Which attempt this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// Before any waiting.
    First,
    /// W3.
    AfterBit,
    /// The last look, when the peer is known to have gone.
    BeforeNews,
    /// After W4.
    AfterSleep,
}

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slept {
    /// By a wake.
    Woken,
    /// The word had changed.
    NotAtAll,
    /// By the timer.
    Interrupted,
}

/// What follows on giving the bit up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    /// There is a message.
    Take,
    /// A message was pushed.
    Notify,
    /// It is closed.
    Closed,
    /// The peer has gone.
    PeerGone,
}

/// How a process stands to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    /// Runs or sleeps.
    Live,
    /// Killed. What it stored may not be visible yet, and its seat is still held.
    Dying,
    /// The kernel has released its seat.
    Dead,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Not yet.
    Running,
    /// It did all that it meant to.
    Finished,
    /// It was told that the ring is closed.
    Closed,
    /// It was told that the peer has gone, and none can come any more.
    PeerGone,
}

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its next step.
    pub pc: Pc,
    /// Whether it runs.
    pub life: Life,
    /// Its stores that nobody else sees.
    pub buffer: Buffer,
    /// Messages that have moved past it: its own cursor.
    pub position: u8,
    /// Where its program ends.
    pub goal: u8,
    pub(super) at: At,
    pub(super) slept: Slept,
    pub(super) then: Then,
    /// The peer's record as it was read, while the seat is looked at.
    pub(super) seen: u8,
    pub(super) seen_held: bool,
    /// The epoch of the peer whose going has been told.
    pub(super) told: u8,
    /// The recheck has come: the seat must be looked at.
    pub(super) due: bool,
    /// What the early look of a mutant saw.
    pub(super) early: bool,
    /// The peer's cursor when it let go of its seat, as the news that is about to be told has it.
    pub(super) gone_at: u8,
    /// How its program ended.
    pub outcome: Outcome,
    /// Rechecks of this wait that fired beside something to tell.
    pub rechecks: u8,
}

impl Process {
    pub(super) fn new(goal: u8) -> Self {
        Self {
            pc: Pc::Look,
            life: Life::Live,
            buffer: Buffer::default(),
            position: 0,
            goal,
            at: At::First,
            slept: Slept::NotAtAll,
            then: Then::Take,
            seen: 0,
            seen_held: false,
            told: 0,
            due: false,
            early: false,
            gone_at: 0,
            outcome: Outcome::Running,
            rechecks: 0,
        }
    }
}

/// What must never happen, noticed by the step that does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A pop returned another message than the next one.
    WrongMessage,
    /// A newcomer does not go on where its predecessor was.
    LostPosition,
    /// A push returned Ok after a consumer had seen Closed.
    PushAfterClosed,
    /// Closed was said over a message.
    ClosedOverMessage,
    /// PeerGone was said over a message, or over room, that the peer had left.
    GoneOverMessage,
}

/// What the model counts for the properties; no process sees it. By side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ghost {
    /// Cursor stores that have retired.
    pub committed: [u8; 2],
    /// Messages whose push or pop has returned Ok.
    pub returned: [u8; 2],
    /// The cursor when the seat was last let go.
    pub gone_at: [u8; 2],
    /// Whether this side's bit, if set, was set by one that was killed since.
    pub orphan: [bool; 2],
    /// Bits of a killed waiter that wakers took.
    pub idle_takes: [u8; 2],
    /// A consumer has been told Closed.
    pub closed_seen: bool,
    /// The first thing that went wrong.
    pub fault: Option<Fault>,
}

/// The whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Shared memory.
    pub memory: Memory,
    /// The semaphores: whether a seat is held.
    pub held: [bool; 2],
    /// The processes.
    pub process: [Process; 2],
    /// Kills that may still come.
    pub kills: u8,
    /// Somebody was killed in this history.
    pub killed: bool,
    /// Newcomers that may still come.
    pub newcomers: [u8; 2],
    /// For the properties.
    pub ghost: Ghost,
}

impl State {
    /// Both sit; nothing has been pushed.
    pub(super) fn new(goals: [u8; 2], kills: u8, newcomers: u8) -> Self {
        let mut memory = Memory([0; LOCS]);
        for side in Side::BOTH {
            memory.set(Loc::Record(side), 2);
        }
        Self {
            memory,
            held: [true; 2],
            process: goals.map(Process::new),
            kills,
            killed: false,
            newcomers: [newcomers; 2],
            ghost: Ghost {
                committed: [0; 2],
                returned: [0; 2],
                gone_at: [0; 2],
                orphan: [false; 2],
                idle_takes: [0; 2],
                closed_seen: false,
                fault: None,
            },
        }
    }

    /// The process of a side.
    pub fn of(&self, side: Side) -> &Process {
        &self.process[side as usize]
    }

    pub(super) fn of_mut(&mut self, side: Side) -> &mut Process {
        &mut self.process[side as usize]
    }

    /// What this side reads: its own youngest store, or memory.
    pub(super) fn load(&self, side: Side, loc: Loc) -> u8 {
        self.of(side).buffer.find(loc).unwrap_or(self.memory.get(loc))
    }

    pub(super) fn store(&mut self, side: Side, loc: Loc, value: u8) {
        self.of_mut(side).buffer.push(loc, value);
    }

    /// One store becomes visible.
    pub(super) fn flush(&mut self, side: Side) {
        if let Some((loc, value)) = self.of_mut(side).buffer.pop() {
            self.memory.set(loc, value);
        }
    }

    /// A full fence.
    pub(super) fn drain(&mut self, side: Side) {
        while !self.of(side).buffer.is_empty() {
            self.flush(side);
        }
    }

    /// Before a read-modify-write: own stores to the same word come first. The others may stay
    /// behind, as nothing but x86's lock prefix forbids it.
    pub(super) fn drain_to(&mut self, side: Side, loc: Loc) {
        while self.of(side).buffer.find(loc).is_some() {
            self.flush(side);
        }
    }
}
