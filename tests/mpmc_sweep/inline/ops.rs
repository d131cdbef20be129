//! The operations of a ring whose messages lie in its entries, and the process that makes one of them
//! between two marks.

use crate::clock;
use crate::common::TestName;
use crate::harness::Shared;
use crate::ops::{check_waits, mark};
use crate::stops;
use crate::victim::Arrival;
use segring::{RingError, WaitStrategy, mpmc};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

pub(crate) type Ring = mpmc::Ring<u64>;

/// A message: a number, and as many bits by which a torn one is seen.
pub(crate) fn item(n: u64) -> u64 {
    n << 32 | (!n & 0xFFFF_FFFF)
}

pub(crate) fn number(got: u64) -> u64 {
    assert_eq!(got, item(got >> 32), "torn");
    got >> 32
}

/// Messages of a batch; and of a slice that is two.
pub(crate) const BATCH: u64 = 5;
const TWO: u64 = 70;
const FULL: u64 = 64;

/// What a victim does between two marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    TryPush,
    /// A consumer sleeps.
    PushWakes,
    PushToFull,
    PushWaits,
    /// There is room when it sleeps.
    PushSleeps,
    /// Its block has been through the ring before.
    PushBatch,
    /// Of each seat there are two blocks.
    PushBatchOfTwo,
    PushBatchToFull,
    PushTwoBatches,
    /// Its block is in the ring, and nobody is at work on it: messages one by one, and there is room for two.
    PushNoBlock,
    /// A batch is in the ring.
    Close,
    /// The same: it leaves it.
    LeaveProducer,
    JoinProducer,
    /// Joins on the seat of a dead one whose batch is in the ring, and pushes a slice.
    TakeOver,
    TryPop,
    /// The ring was full, and a producer sleeps.
    PopWakes,
    PopOfBatch,
    PopPart,
    PopRest,
    PopWhole,
    /// A message, a batch, a message.
    PopAll,
    PopEmpty,
    PopNone,
    PopWaits,
    /// A message comes while it waits: see [`Arrival`].
    PopPolls,
    PopParks,
    PopSleeps,
    WaitForMessage,
    LeaveConsumer,
    JoinConsumer,
}

pub(crate) const OPS: [Op; 30] = [
    Op::TryPush,
    Op::PushWakes,
    Op::PushToFull,
    Op::PushWaits,
    Op::PushSleeps,
    Op::PushBatch,
    Op::PushBatchOfTwo,
    Op::PushBatchToFull,
    Op::PushTwoBatches,
    Op::PushNoBlock,
    Op::Close,
    Op::LeaveProducer,
    Op::JoinProducer,
    Op::TakeOver,
    Op::TryPop,
    Op::PopWakes,
    Op::PopOfBatch,
    Op::PopPart,
    Op::PopRest,
    Op::PopWhole,
    Op::PopAll,
    Op::PopEmpty,
    Op::PopNone,
    Op::PopWaits,
    Op::PopPolls,
    Op::PopParks,
    Op::PopSleeps,
    Op::WaitForMessage,
    Op::LeaveConsumer,
    Op::JoinConsumer,
];

/// How a victim stands at its mark.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scene {
    /// Entries in the ring when it begins to prepare, by their messages.
    pub(crate) filled: &'static [u64],
    /// A dead one has put a batch behind them, and its seat is the only one that is free.
    pub(crate) predecessor: bool,
    /// Of those, it pops so many messages.
    pub(crate) pops: u64,
    /// It pushes so many in one entry; 0: nothing.
    pub(crate) pushes: u64,
    /// Then others pop everything, and push one message.
    pub(crate) turned: bool,
    /// After that the ring is filled up.
    pub(crate) topped_up: bool,
    /// Somebody seems to sleep: until there is room, if it is topped up, or else until a message comes.
    pub(crate) sleeper: bool,
    /// What it waits for comes then, and that is its mark.
    pub(crate) arrival: Option<Arrival>,
}

impl Op {
    pub(crate) fn scene(self) -> Scene {
        let none = Scene::default();
        let producer = |filled, pushes| Scene { filled, pushes, ..none };
        let consumer = |filled| Scene { filled, pops: 1, ..none };
        match self {
            Self::TryPush => producer(&[1], 1),
            Self::PushWakes => Scene { sleeper: true, ..producer(&[], 1) },
            Self::PushToFull | Self::PushWaits => producer(&[1, 1, 1], 1),
            Self::PushSleeps => Scene { arrival: Some(Arrival::Asleep), ..producer(&[1, 1, 1], 1) },
            Self::PushBatch | Self::PushTwoBatches => Scene { turned: true, ..producer(&[], BATCH) },
            Self::PushBatchOfTwo => producer(&[], BATCH),
            Self::PushBatchToFull => Scene { turned: true, topped_up: true, ..producer(&[1], BATCH) },
            Self::PushNoBlock | Self::Close | Self::LeaveProducer => producer(&[1], BATCH),
            Self::TakeOver => Scene { predecessor: true, ..producer(&[1], 0) },
            Self::TryPop => consumer(&[1, 1, 1]),
            Self::PopWakes => Scene { topped_up: true, sleeper: true, ..consumer(&[1, 1, 1]) },
            Self::PopPolls => Scene { arrival: Some(Arrival::Polling), ..consumer(&[1]) },
            Self::PopParks => Scene { arrival: Some(Arrival::Parking), ..consumer(&[1]) },
            Self::PopSleeps => Scene { arrival: Some(Arrival::Asleep), ..consumer(&[1]) },
            Self::PopOfBatch | Self::PopPart | Self::PopWhole => consumer(&[1, 5, 1]),
            Self::PopRest => Scene { pops: 4, ..consumer(&[1, 5, 1]) },
            Self::PopAll => consumer(&[1, 1, 5, 1]),
            Self::PopEmpty | Self::PopNone | Self::PopWaits => consumer(&[1]),
            Self::WaitForMessage | Self::LeaveConsumer => consumer(&[1]),
            Self::JoinProducer | Self::JoinConsumer => Scene { filled: &[1, 5], ..none },
        }
    }

    /// Entries of the ring.
    pub(crate) fn capacity(self) -> usize {
        if matches!(self, Self::PushTwoBatches | Self::PushBatchOfTwo) { 128 } else { 4 }
    }

    /// The slice that it pushes; 0: nothing.
    pub(crate) fn pushes(self) -> u64 {
        match self {
            Self::TryPush | Self::PushWakes | Self::PushToFull | Self::PushWaits | Self::PushSleeps => 1,
            Self::PushBatch | Self::PushBatchOfTwo | Self::PushBatchToFull => BATCH,
            Self::PushNoBlock | Self::TakeOver => BATCH,
            Self::PushTwoBatches => TWO,
            _ => 0,
        }
    }

    /// The entries that it is to fill, by their messages, if nobody comes between.
    pub(crate) fn entries(self) -> Vec<u64> {
        let one_by_one = matches!(self, Self::PushNoBlock | Self::TakeOver);
        if one_by_one { vec![1, 1] } else { entries_of(self.pushes()) }
    }

    /// The most that it pops; 0: nothing.
    pub(crate) fn pops(self) -> u64 {
        match self {
            Self::TryPop | Self::PopWakes | Self::PopOfBatch | Self::PopEmpty | Self::PopWaits => 1,
            Self::PopPolls | Self::PopParks | Self::PopSleeps => 1,
            Self::PopPart => 3,
            Self::PopRest => 2,
            Self::PopWhole => BATCH,
            Self::PopAll | Self::PopNone => 10,
            _ => 0,
        }
    }

    /// Takes what came while it waited; if others did, it waits on, without limit.
    pub(crate) fn gets_in_a_wait(self) -> bool {
        matches!(self, Self::PopPolls | Self::PopParks | Self::PopSleeps)
    }

    /// Thousands of instructions of system calls and of reading `/proc`.
    pub(crate) fn is_long(self) -> bool {
        let joins = matches!(self, Self::JoinProducer | Self::JoinConsumer | Self::TakeOver);
        joins || matches!(self, Self::PushWaits | Self::PopWaits | Self::WaitForMessage)
    }
}

/// In which entries so many messages of one slice lie.
pub(crate) fn entries_of(n: u64) -> Vec<u64> {
    match n {
        0 => Vec::new(),
        1 | 4..=FULL => vec![n],
        _ => {
            assert!(n > FULL && n <= TWO, "{n} of a slice");
            vec![FULL, n - FULL]
        }
    }
}

/// What a victim pushes while it prepares, and then.
pub(crate) const FIRST: u64 = 1 << 30;
pub(crate) const SECOND: u64 = FIRST + 1000;
/// And what the one before it has pushed.
pub(crate) const BEFORE: u64 = FIRST + 2000;

pub(crate) fn slice(first: u64, n: u64) -> Vec<u64> {
    (first..first + n).map(item).collect()
}

/// What a victim says of itself, in memory that is not the ring's.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Report {
    /// One more than the messages that it has moved.
    moved: AtomicU64,
    items: [AtomicU64; 16],
}

impl Report {
    pub(crate) fn clear(&self) {
        self.moved.store(0, SeqCst);
        self.items.iter().for_each(|word| word.store(0, SeqCst));
    }

    fn end_as(&self, moved: Result<u64, RingError>) {
        let none = [RingError::Full, RingError::Empty, RingError::TimedOut];
        let moved = match moved {
            Err(e) if none.contains(&e) => 0,
            other => other.expect("neither full nor empty"),
        };
        self.moved.store(moved + 1, SeqCst);
    }

    /// Messages that it has pushed, or popped.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(SeqCst).checked_sub(1).expect("it has ended")
    }

    /// Those that it has popped.
    pub(crate) fn got(&self) -> Vec<u64> {
        self.items[..self.moved() as usize].iter().map(|word| number(word.load(SeqCst))).collect()
    }
}

/// The victim: attaches, prepares, stops, does it, stops. It leaves nothing in order.
pub(crate) fn act(op: Op, name: &TestName, report: &Shared<Report>) {
    let scene = op.scene();
    if scene.arrival != Some(Arrival::Asleep) {
        clock::inject();
    }
    stops::begin();
    let ring = Ring::builder(name.name()).attach().expect("attach");
    if scene.pushes > 0 {
        act_as_producer(op, scene, &ring, report);
    } else if scene.pops > 0 {
        act_as_consumer(op, scene, &ring, report);
    } else {
        mark();
        let moved = match op {
            Op::JoinConsumer => {
                std::mem::forget(ring.consumer().expect("a seat"));
                Ok(0)
            }
            _ => {
                let mut tx = ring.producer().expect("a seat");
                let pushed = tx.push_slice(&slice(SECOND, op.pushes()));
                std::mem::forget(tx);
                pushed.map(|n| n as u64)
            }
        };
        report.end_as(moved);
        mark();
    }
    std::mem::forget(ring);
}

/// The one before the victim: pushes a batch, and stops.
pub(crate) fn act_before(name: &TestName) {
    let ring = Ring::builder(name.name()).attach().expect("attach");
    let mut tx = ring.producer().expect("a seat");
    assert_eq!(tx.push_slice(&slice(BEFORE, BATCH)), Ok(BATCH as usize));
    mark();
}

fn act_as_producer(op: Op, scene: Scene, ring: &Ring, report: &Report) {
    let mut tx = ring.producer().expect("a seat");
    assert_eq!(tx.push_slice(&slice(FIRST, scene.pushes)), Ok(scene.pushes as usize));
    let second = slice(SECOND, op.pushes());
    mark();
    let end = match op {
        Op::TryPush | Op::PushWakes | Op::PushToFull => {
            tx.try_push(second[0]).map(|()| 1).map_err(|rejected| rejected.error)
        }
        Op::PushWaits | Op::PushSleeps => {
            tx.push_timeout(second[0], clock::WAIT).map(|()| 1).map_err(|rejected| rejected.error)
        }
        Op::Close => tx.close().map(|()| 0),
        Op::LeaveProducer => {
            drop(tx);
            report.end_as(Ok(0));
            return mark();
        }
        _ => tx.push_slice(&second).map(|n| n as u64),
    };
    report.end_as(end);
    mark();
    check_waits(scene.arrival, op == Op::PushWaits && end.is_err(), tx.wait_stats());
    std::mem::forget(tx);
}

fn act_as_consumer(op: Op, scene: Scene, ring: &Ring, report: &Report) {
    let mut rx = ring.consumer().expect("a seat");
    (0..scene.pops).for_each(|_| assert!(number(rx.try_pop().expect("a message")) < FIRST));
    let mut into = [0; 16];
    if op == Op::PopPolls {
        rx.set_wait_strategy(WaitStrategy::Yield);
    }
    mark();
    let end = match op {
        Op::PopWaits => rx.pop_timeout(clock::WAIT).map(|got| {
            into[0] = got;
            1
        }),
        Op::TryPop | Op::PopWakes | Op::PopOfBatch | Op::PopEmpty => {
            rx.try_pop_into(&mut into[0]).map(|()| 1)
        }
        Op::PopPolls | Op::PopParks | Op::PopSleeps => rx.pop_into(&mut into[0]).map(|()| 1),
        Op::WaitForMessage => rx.wait_for_message(Some(clock::WAIT)).map(|()| 0),
        Op::LeaveConsumer => {
            drop(rx);
            report.end_as(Ok(0));
            return mark();
        }
        _ => rx.pop_slice(&mut into[..op.pops() as usize]).map(|n| n as u64),
    };
    report.items.iter().zip(into).for_each(|(word, value)| word.store(value, SeqCst));
    report.end_as(end);
    mark();
    check_waits(scene.arrival, end == Err(RingError::TimedOut), rx.wait_stats());
    std::mem::forget(rx);
}
