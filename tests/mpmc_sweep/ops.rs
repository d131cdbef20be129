//! The operations, and the process that makes one of them between two marks.

use crate::clock;
use crate::common::TestName;
use crate::harness::Shared;
use crate::stops;
use crate::victim::Arrival;
use nix::sys::signal::{Signal, raise};
use segring::{RingError, Trusted, WaitStats, WaitStrategy, mpmc};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// A message: a number, and words by which a torn one is seen.
pub(crate) type Item = [u64; 6];
pub(crate) type Ring = mpmc::Ring<Item>;

pub(crate) fn item(n: u64) -> Item {
    [n, !n, n ^ 0x55, n << 8, n + 1, n | 1 << 63]
}

pub(crate) fn number(got: Item) -> u64 {
    assert_eq!(got, item(got[0]), "torn");
    got[0]
}

/// What a victim does between two marks. Each of those that pop has popped one message before, and each
/// of those that push has pushed one: its slots are not its first ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    TryPush,
    /// A consumer sleeps.
    PushWakes,
    PushToFull,
    PushWaits,
    /// There is room when it sleeps.
    PushSleeps,
    Publish,
    Close,
    LeaveProducer,
    JoinProducer,
    TryPop,
    /// The ring was full, and a producer sleeps.
    PopWakes,
    PopEmpty,
    PopWaits,
    /// A message comes while it waits: see [`Arrival`].
    PopPolls,
    PopParks,
    PopSleeps,
    /// With a message in hand already.
    Take,
    Release,
    HandBack,
    /// The ring is full: it stays in hand.
    HandBackToFull,
    /// Leaves first, and then hands back.
    LeaveConsumer,
    /// The same, and the ring is full: it stays with the seat.
    LeaveOwing,
    JoinConsumer,
    Recover,
    /// Of a ring that is empty, when it is time to look for the dead.
    PopLooks,
}

/// The ones that need no dead seat.
pub(crate) const OPS: [Op; 23] = [
    Op::TryPush,
    Op::PushWakes,
    Op::PushToFull,
    Op::PushWaits,
    Op::PushSleeps,
    Op::Publish,
    Op::Close,
    Op::LeaveProducer,
    Op::JoinProducer,
    Op::TryPop,
    Op::PopWakes,
    Op::PopEmpty,
    Op::PopWaits,
    Op::PopPolls,
    Op::PopParks,
    Op::PopSleeps,
    Op::Take,
    Op::Release,
    Op::HandBack,
    Op::HandBackToFull,
    Op::LeaveConsumer,
    Op::LeaveOwing,
    Op::JoinConsumer,
];

/// How a victim stands at its mark.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scene {
    /// Messages in the ring when it begins to prepare.
    pub(crate) filled: usize,
    /// Of those, it pops this many, and keeps so many in hand.
    pub(crate) pops: usize,
    pub(crate) holds: usize,
    /// It pushes one.
    pub(crate) pushes: bool,
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
        let producer = |filled| Scene { filled, pushes: true, ..none };
        let consumer = |filled, holds| Scene { filled, pops: 1, holds, ..none };
        match self {
            Self::TryPush => producer(2),
            Self::PushWakes => Scene { sleeper: true, ..producer(1) },
            Self::Publish => producer(0),
            Self::PushToFull | Self::PushWaits => producer(3),
            Self::PushSleeps => Scene { arrival: Some(Arrival::Asleep), ..producer(3) },
            Self::Close | Self::LeaveProducer => producer(1),
            Self::TryPop => consumer(4, 0),
            Self::PopWakes => Scene { topped_up: true, sleeper: true, ..consumer(4, 0) },
            Self::PopEmpty | Self::PopWaits => consumer(1, 0),
            Self::PopPolls => Scene { arrival: Some(Arrival::Polling), ..consumer(1, 0) },
            Self::PopParks => Scene { arrival: Some(Arrival::Parking), ..consumer(1, 0) },
            Self::PopSleeps => Scene { arrival: Some(Arrival::Asleep), ..consumer(1, 0) },
            Self::Take | Self::Release | Self::HandBack | Self::LeaveConsumer => consumer(3, 1),
            Self::HandBackToFull | Self::LeaveOwing => Scene { topped_up: true, ..consumer(3, 1) },
            Self::JoinProducer | Self::JoinConsumer => Scene { filled: 2, ..none },
            Self::Recover | Self::PopLooks => none,
        }
    }

    /// Pushes a message of its own, if it can.
    pub(crate) fn pushes(self) -> bool {
        let tries = matches!(self, Self::TryPush | Self::PushWakes | Self::PushToFull);
        tries || matches!(self, Self::PushWaits | Self::PushSleeps | Self::Publish)
    }

    /// Takes a message out of the ring, if there is one.
    pub(crate) fn takes(self) -> bool {
        let tries = matches!(self, Self::TryPop | Self::PopWakes | Self::PopEmpty | Self::Take);
        tries || self == Self::PopWaits || self.gets_in_a_wait()
    }

    /// Takes what came while it waited; if others did, it waits on, without limit.
    pub(crate) fn gets_in_a_wait(self) -> bool {
        matches!(self, Self::PopPolls | Self::PopParks | Self::PopSleeps)
    }

    /// Thousands of instructions of system calls and of reading `/proc`.
    pub(crate) fn is_long(self) -> bool {
        let repairs = matches!(self, Self::Recover | Self::PopLooks);
        let joins = matches!(self, Self::JoinProducer | Self::JoinConsumer);
        repairs || joins || matches!(self, Self::PushWaits | Self::PopWaits)
    }
}

/// What a victim pushes while it prepares, and then.
pub(crate) const FIRST: u64 = 1 << 32;
pub(crate) const SECOND: u64 = FIRST + 1;

/// What a victim says of itself, in memory that is not the ring's.
#[derive(Default)]
pub(crate) struct Report {
    end: AtomicU64,
    item: [AtomicU64; 6],
}

/// How an operation has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    None,
    Done,
    Nothing,
    TimedOut,
    Closed,
}

impl Report {
    pub(crate) fn clear(&self) {
        self.end.store(0, SeqCst);
        self.item.iter().for_each(|word| word.store(0, SeqCst));
    }

    fn end_as(&self, end: Result<(), RingError>) {
        let code = match end {
            Ok(()) => 1,
            Err(RingError::Full | RingError::Empty) => 2,
            Err(RingError::TimedOut) => 3,
            Err(RingError::Closed) => 4,
            Err(e) => panic!("{e:?}"),
        };
        self.end.store(code, SeqCst);
    }

    pub(crate) fn end(&self) -> End {
        [End::None, End::Done, End::Nothing, End::TimedOut, End::Closed][self.end.load(SeqCst) as usize]
    }

    /// The message that it has taken, or copied.
    pub(crate) fn got(&self) -> u64 {
        number(self.item.each_ref().map(|word| word.load(SeqCst)))
    }

    fn note(&self, got: Item) {
        self.item.iter().zip(got).for_each(|(word, value)| word.store(value, SeqCst));
    }

    /// Where a popped message is copied to.
    #[allow(clippy::mut_from_ref)]
    fn place(&self) -> &mut Item {
        let at = (&raw const self.item).cast::<Item>().cast_mut();
        // SAFETY: atomics, which may be changed through a shared reference; the victim is the only one
        // that uses them while it runs, and calls this once.
        unsafe { &mut *at }
    }
}

/// The mark at which the tracer starts and ends counting.
pub(crate) fn mark() {
    raise(Signal::SIGSTOP).expect("raise");
}

fn trusted(ring: &Ring) -> (Trusted<mpmc::Consumer<Item>>, Vec<mpmc::Job<Item>>) {
    // SAFETY: only segring writes here.
    (unsafe { ring.consumer().expect("a seat").trust_peers() }, Vec::new())
}

/// The victim: attaches, prepares, stops, does it, stops. It leaves nothing in order.
pub(crate) fn act(op: Op, name: &TestName, report: &Shared<Report>) {
    let scene = op.scene();
    if scene.arrival != Some(Arrival::Asleep) {
        clock::inject();
    }
    stops::begin();
    let ring = Ring::builder(name.name()).attach().expect("attach");
    if scene.pushes {
        act_as_producer(op, scene, &ring, report);
    } else if scene.pops > 0 || op == Op::PopLooks {
        act_as_consumer(op, scene, &ring, report);
    } else {
        mark();
        match op {
            Op::JoinProducer => std::mem::forget(ring.producer().expect("a seat")),
            Op::JoinConsumer => std::mem::forget(ring.consumer().expect("a seat")),
            _ => drop(ring.recover().expect("recover")),
        }
        report.end_as(Ok(()));
        mark();
    }
    std::mem::forget(ring);
}

fn act_as_producer(op: Op, scene: Scene, ring: &Ring, report: &Report) {
    // SAFETY: only segring writes here.
    let mut tx = unsafe { ring.producer().expect("a seat").trust_peers() };
    tx.try_push(item(FIRST)).expect("room");
    let second = item(SECOND);
    mark();
    let end = match op {
        Op::TryPush | Op::PushWakes | Op::PushToFull => {
            tx.try_push(second).map_err(|rejected| rejected.error)
        }
        Op::PushWaits | Op::PushSleeps => {
            tx.push_timeout(second, clock::WAIT).map_err(|rejected| rejected.error)
        }
        Op::Publish => {
            let mut slot = tx.slot().expect("a hand");
            *slot = second;
            slot.publish()
        }
        Op::Close => tx.close(),
        _ => {
            drop(tx);
            report.end_as(Ok(()));
            return mark();
        }
    };
    report.end_as(end);
    mark();
    check_waits(scene.arrival, report.end() == End::TimedOut, tx.wait_stats());
    std::mem::forget(tx);
}

fn act_as_consumer(op: Op, scene: Scene, ring: &Ring, report: &Report) {
    let (mut rx, mut jobs) = trusted(ring);
    (0..scene.pops).for_each(|_| assert!(number(rx.try_pop().expect("a message")) < FIRST));
    (0..scene.holds).for_each(|_| jobs.push(rx.try_take().expect("a message")));
    let into = report.place();
    if op == Op::PopLooks {
        clock::jump();
    }
    if op == Op::PopPolls {
        rx.set_wait_strategy(WaitStrategy::Yield);
    }
    mark();
    let end = match op {
        Op::TryPop | Op::PopWakes | Op::PopEmpty | Op::PopLooks => rx.try_pop_into(into),
        Op::PopWaits => rx.pop_timeout(clock::WAIT).map(|got| report.note(got)),
        Op::PopPolls | Op::PopParks | Op::PopSleeps => rx.pop_into(into),
        Op::Take => rx.try_take().map(|job| {
            report.note(*job);
            jobs.push(job);
        }),
        Op::Release => {
            jobs.drain(..).for_each(mpmc::Job::release);
            Ok(())
        }
        Op::HandBack | Op::HandBackToFull => {
            jobs.drain(..).for_each(mpmc::Job::hand_back);
            Ok(())
        }
        _ => {
            // The seat goes with what was in hand.
            drop(rx);
            drop(jobs);
            report.end_as(Ok(()));
            return mark();
        }
    };
    report.end_as(end);
    mark();
    check_waits(scene.arrival, report.end() == End::TimedOut, rx.wait_stats());
    std::mem::forget((rx, jobs));
}

/// It has waited in the way that was meant. What had come may be gone again when it looks.
pub(crate) fn check_waits(arrival: Option<Arrival>, timed_out: bool, stats: WaitStats) {
    let slept = stats.sleeps;
    match arrival {
        Some(Arrival::Polling) => assert_eq!((stats.waits, slept), (1, 0), "it slept"),
        // If it was taken by others, it sleeps after all.
        Some(Arrival::Parking) => assert_eq!(stats.waits, 1, "it did not wait"),
        Some(Arrival::Asleep) => assert!(stats.waits == 1 && slept > 0, "it did not sleep"),
        None => assert!(!timed_out || slept > 1, "it did not sleep"),
    }
}

/// Time for those who look, and do not wait.
pub(crate) const NOW: Duration = Duration::ZERO;
