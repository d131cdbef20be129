//! The operations, and the process that makes one of them between two marks.

use crate::clock;
use crate::rings::Kind;
use nix::sys::signal::{Signal, raise};
use segring::{Error, RingError};
use std::mem::forget;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// What a victim does between two marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    TryPush,
    PushSlice,
    CommitGrant,
    PushToFull,
    PushWaits,
    Close,
    LeaveProducer,
    JoinProducer,
    TryPop,
    PopSlice,
    ReleaseGrant,
    PopEmpty,
    PopWaits,
    LeaveConsumer,
    JoinConsumer,
}

pub(crate) const OPS: [Op; 15] = [
    Op::TryPush,
    Op::PushSlice,
    Op::CommitGrant,
    Op::PushToFull,
    Op::PushWaits,
    Op::Close,
    Op::LeaveProducer,
    Op::JoinProducer,
    Op::TryPop,
    Op::PopSlice,
    Op::ReleaseGrant,
    Op::PopEmpty,
    Op::PopWaits,
    Op::LeaveConsumer,
    Op::JoinConsumer,
];

impl Op {
    pub(crate) fn by_producer(self) -> bool {
        (self as u32) < Op::TryPop as u32
    }

    /// How many messages it moves, if the ring is such that it can.
    pub(crate) fn moves(self, bytes: bool) -> u64 {
        match self {
            Op::TryPush | Op::TryPop => 1,
            // A byte ring has grants of one record, and no slices.
            Op::CommitGrant | Op::ReleaseGrant | Op::PushSlice | Op::PopSlice => {
                if bytes {
                    1
                } else {
                    3
                }
            }
            _ => 0,
        }
    }

    /// Finds nothing to move, unless its peer goes on meanwhile.
    pub(crate) fn is_in_vain(self) -> bool {
        matches!(self, Op::PushToFull | Op::PushWaits | Op::PopEmpty | Op::PopWaits)
    }

    /// Tens of thousands of instructions: reads `/proc`, or looks and looks.
    pub(crate) fn is_long(self) -> bool {
        self.joins() || matches!(self, Op::PushWaits | Op::PopWaits)
    }

    pub(crate) fn joins(self) -> bool {
        matches!(self, Op::JoinProducer | Op::JoinConsumer)
    }

    /// Its seat may be a free one meanwhile.
    pub(crate) fn sits_or_stands(self) -> bool {
        self.joins() || matches!(self, Op::LeaveProducer | Op::LeaveConsumer)
    }

    /// The same for all kinds of rings.
    pub(crate) fn is_common(self) -> bool {
        self.sits_or_stands() || self == Op::Close
    }

    pub(crate) fn is_there(self, bytes: bool) -> bool {
        !(bytes && matches!(self, Op::PushSlice | Op::PopSlice))
    }
}

/// What a victim says of itself at its end, in memory that is not the ring's.
#[derive(Default)]
pub(crate) struct Report {
    moved: AtomicU64,
    /// Of the handle it has got by joining, and one; 0: the seat was taken.
    joined: AtomicU64,
}

impl Report {
    /// How many messages it has moved, by what it was told.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(SeqCst)
    }

    pub(crate) fn clear(&self) {
        self.moved.store(0, SeqCst);
        self.joined.store(0, SeqCst);
    }

    /// Where it has joined; `None`: the seat was taken.
    pub(crate) fn joined_at(&self) -> Option<u64> {
        self.joined.load(SeqCst).checked_sub(1)
    }

    fn note_joined(&self, joined: Result<u64, &Error>) {
        match joined {
            Ok(at) => self.joined.store(at + 1, SeqCst),
            Err(Error::SeatTaken { .. }) => {}
            Err(e) => panic!("{e}"),
        }
    }
}

/// The mark at which the tracer starts and ends counting.
pub(crate) fn mark() {
    raise(Signal::SIGSTOP).expect("raise");
}

/// Joins, stops, does it, stops. It leaves nothing in order.
pub(crate) fn act<K: Kind>(ring: &K, op: Op, report: &Report) {
    if op == Op::JoinProducer {
        mark();
        let joined = ring.producer();
        mark();
        report.note_joined(joined.as_ref().map(K::pushed));
        forget(joined);
    } else if op == Op::JoinConsumer {
        mark();
        let joined = ring.consumer();
        mark();
        report.note_joined(joined.as_ref().map(K::popped));
        forget(joined);
    } else if op.by_producer() {
        act_as_producer(ring, op, report);
    } else {
        act_as_consumer(ring, op, report);
    }
}

fn act_as_producer<K: Kind>(ring: &K, op: Op, report: &Report) {
    let mut tx = ring.producer().expect("the seat is free");
    let at = K::pushed(&tx);
    let three = [at, at + 1, at + 2].map(K::message);
    mark();
    let end = match op {
        Op::TryPush | Op::PushToFull => K::push(&mut tx, &three[0]).map(|()| 1),
        Op::PushWaits => K::push_for(&mut tx, &three[0], clock::WAIT).map(|()| 1),
        Op::PushSlice => K::push_slice(&mut tx, &three),
        Op::CommitGrant => K::push_grant(&mut tx, &three),
        Op::Close => {
            K::close(&mut tx);
            Ok(0)
        }
        _ => {
            drop(tx);
            return mark();
        }
    };
    mark();
    let nothing = op.is_in_vain() && matches!(end, Err(RingError::Full | RingError::TimedOut));
    let moved = if nothing { 0 } else { end.expect("there was room") };
    assert!(op.is_in_vain() || moved == op.moves(K::BYTES), "{op:?} was done by half: {moved}");
    assert_eq!(K::pushed(&tx), at + moved);
    report.moved.store(moved, SeqCst);
    forget(tx);
}

fn act_as_consumer<K: Kind>(ring: &K, op: Op, report: &Report) {
    let mut rx = ring.consumer().expect("the seat is free");
    let at = K::popped(&rx);
    let mut three = [K::blank(), K::blank(), K::blank()];
    mark();
    let end = match op {
        Op::TryPop | Op::PopEmpty => K::pop(&mut rx, &mut three[0]).map(|()| 1),
        Op::PopWaits => K::pop_for(&mut rx, &mut three[0], clock::WAIT).map(|()| 1),
        Op::PopSlice => K::pop_slice(&mut rx, &mut three),
        Op::ReleaseGrant => K::pop_grant(&mut rx, &mut three),
        _ => {
            drop(rx);
            return mark();
        }
    };
    mark();
    // Not `Closed`: where a ring is closed beside it, a message came before that.
    let nothing = op.is_in_vain() && matches!(end, Err(RingError::Empty | RingError::TimedOut));
    let moved = if nothing { 0 } else { end.expect("there was one") };
    assert!(op.is_in_vain() || moved == op.moves(K::BYTES), "{op:?} was done by half: {moved}");
    for (got, n) in three.iter().zip(at..at + moved) {
        assert!(*got == K::message(n), "message {n} is lost, doubled or torn");
    }
    assert_eq!(K::popped(&rx), at + moved);
    report.moved.store(moved, SeqCst);
    forget(rx);
}
