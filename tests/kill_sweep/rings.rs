//! The operations, and the rings that they are made on, as far as the sweep needs to handle them.

use crate::common::TestName;
use nix::sys::signal::{Signal, raise};
use segring::spsc::{ByteRing, Ring};
use segring::{Layout, RingError};

type Item = [u64; 6];

fn item(n: u64) -> Item {
    [n, !n, n ^ 0x55, n << 8, n + 1, n | 1 << 63]
}

/// What a victim does between two marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    TryPush,
    PushSlice,
    CommitGrant,
    Close,
    LeaveProducer,
    JoinProducer,
    TryPop,
    PopSlice,
    ReleaseGrant,
    LeaveConsumer,
    JoinConsumer,
}

pub(crate) const OPS: [Op; 11] = [
    Op::TryPush,
    Op::PushSlice,
    Op::CommitGrant,
    Op::Close,
    Op::LeaveProducer,
    Op::JoinProducer,
    Op::TryPop,
    Op::PopSlice,
    Op::ReleaseGrant,
    Op::LeaveConsumer,
    Op::JoinConsumer,
];

impl Op {
    pub(crate) fn by_producer(self) -> bool {
        (self as u32) < Op::TryPop as u32
    }

    /// How many messages it moves.
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
}

/// A kind of ring.
pub(crate) trait Kind {
    /// A slice is committed message by message.
    const PIECEMEAL: bool;
    const BYTES: bool;
    fn create(name: &TestName) -> Self;
    fn attach(name: &TestName) -> Self;
    fn remove(&self);
    /// Joins, pushes up to `n` messages numbered from its position on, leaves: (first position, how
    /// many).
    fn push(&self, n: u64) -> (u64, u64);
    /// Joins, pops and checks up to `n` messages, leaves: (first position, how many, last error).
    fn pop(&self, n: u64) -> (u64, u64, Option<RingError>);
    /// Joins, stops, does it, stops.
    fn act(&self, op: Op);
    /// Joins, pushes one message, closes, leaves.
    fn push_and_close(&self);
    /// Joins an empty ring, stops, pops, stops. `Closed` would be wrong: a message came before it.
    fn pop_from_empty(&self);
}

/// The mark at which the tracer starts and ends counting.
pub(crate) fn mark() {
    raise(Signal::SIGSTOP).expect("raise");
}

pub(crate) struct Typed<const DENSE: bool>(Ring<Item>);

impl<const DENSE: bool> Kind for Typed<DENSE> {
    const PIECEMEAL: bool = !DENSE;
    const BYTES: bool = false;

    fn create(name: &TestName) -> Self {
        let layout = if DENSE { Layout::Dense } else { Layout::Stamped };
        Self(Ring::builder(name.name()).capacity(8).layout(layout).create().expect("create"))
    }

    fn attach(name: &TestName) -> Self {
        Self(Ring::builder(name.name()).attach().expect("attach"))
    }

    fn remove(&self) {
        self.0.remove().expect("remove");
    }

    fn push(&self, n: u64) -> (u64, u64) {
        let mut tx = self.0.producer().expect("the seat is free");
        let at = tx.position();
        let pushed = (at..at + n).take_while(|i| tx.try_push(item(*i)).is_ok()).count();
        (at, pushed as u64)
    }

    fn pop(&self, n: u64) -> (u64, u64, Option<RingError>) {
        let mut rx = self.0.consumer().expect("the seat is free");
        let at = rx.position();
        for i in 0..n {
            match rx.try_pop() {
                Ok(got) => assert_eq!(got, item(at + i), "lost, doubled or torn"),
                Err(e) => return (at, i, Some(e)),
            }
        }
        (at, n, None)
    }

    fn act(&self, op: Op) {
        if op == Op::JoinProducer || op == Op::JoinConsumer {
            mark();
            if op == Op::JoinProducer {
                std::mem::forget(self.0.producer());
            } else {
                std::mem::forget(self.0.consumer());
            }
            return mark();
        }
        if op.by_producer() {
            let tx = self.0.producer().expect("the seat is free");
            let at = tx.position();
            let items = [item(at), item(at + 1), item(at + 2)];
            // SAFETY: only segring writes here.
            let mut tx = unsafe { tx.trust_peers() };
            match op {
                Op::TryPush => {
                    mark();
                    tx.try_push(items[0]).expect("room");
                }
                Op::PushSlice => {
                    mark();
                    assert_eq!(tx.push_slice(&items), Ok(3));
                }
                Op::CommitGrant => {
                    mark();
                    let mut grant = tx.reserve(3).expect("room");
                    grant.iter_mut().zip(items).for_each(|(slot, item)| *slot = item);
                    assert_eq!(grant.commit(3), 3);
                }
                Op::Close => {
                    mark();
                    tx.close();
                }
                _ => {
                    mark();
                    drop(tx);
                    return mark();
                }
            }
            mark();
            std::mem::forget(tx);
        } else {
            // SAFETY: only segring writes here.
            let mut rx = unsafe { self.0.consumer().expect("the seat is free").trust_peers() };
            let at = rx.position();
            match op {
                Op::TryPop => {
                    mark();
                    assert_eq!(rx.try_pop(), Ok(item(at)));
                }
                Op::PopSlice => {
                    let mut three = [[0; 6]; 3];
                    mark();
                    assert_eq!(rx.pop_slice(&mut three), Ok(3));
                    assert_eq!(three, [item(at), item(at + 1), item(at + 2)]);
                }
                Op::ReleaseGrant => {
                    mark();
                    assert_eq!(rx.read(3).expect("messages").release(3), 3);
                }
                _ => {
                    mark();
                    drop(rx);
                    return mark();
                }
            }
            mark();
            std::mem::forget(rx);
        }
    }

    fn push_and_close(&self) {
        let mut tx = self.0.producer().expect("the seat is free");
        tx.try_push(item(0)).expect("room");
        tx.close();
    }

    fn pop_from_empty(&self) {
        let mut rx = self.0.consumer().expect("the seat is free");
        mark();
        let popped = rx.try_pop();
        mark();
        assert!(popped == Ok(item(0)) || popped == Err(RingError::Empty), "{popped:?}");
        std::mem::forget(rx);
    }
}

pub(crate) struct Bytes(ByteRing);

/// Five of these and a bit fill the ring: the sixth is padded over the wrap.
fn record(n: u64) -> Vec<u8> {
    (0..690 + n as usize % 7).map(|i| (n as usize * 5 + i) as u8).collect()
}

impl Kind for Bytes {
    const PIECEMEAL: bool = false;
    const BYTES: bool = true;

    fn create(name: &TestName) -> Self {
        Self(ByteRing::builder(name.name()).capacity(4096).create().expect("create"))
    }

    fn attach(name: &TestName) -> Self {
        Self(ByteRing::builder(name.name()).attach().expect("attach"))
    }

    fn remove(&self) {
        self.0.remove().expect("remove");
    }

    fn push(&self, n: u64) -> (u64, u64) {
        let mut tx = self.0.producer().expect("the seat is free");
        let at = tx.position();
        let pushed = (at..at + n).take_while(|i| tx.try_push(&record(*i)).is_ok()).count();
        (at, pushed as u64)
    }

    fn pop(&self, n: u64) -> (u64, u64, Option<RingError>) {
        let mut rx = self.0.consumer().expect("the seat is free");
        let at = rx.position();
        for i in 0..n {
            match rx.try_pop() {
                Ok(got) => assert_eq!(got, record(at + i), "lost, doubled or torn"),
                Err(e) => return (at, i, Some(e)),
            }
        }
        (at, n, None)
    }

    fn act(&self, op: Op) {
        if op == Op::JoinProducer || op == Op::JoinConsumer {
            mark();
            if op == Op::JoinProducer {
                std::mem::forget(self.0.producer());
            } else {
                std::mem::forget(self.0.consumer());
            }
            return mark();
        }
        if op.by_producer() {
            let tx = self.0.producer().expect("the seat is free");
            let next = record(tx.position());
            // SAFETY: only segring writes here.
            let mut tx = unsafe { tx.trust_peers() };
            match op {
                Op::TryPush | Op::PushSlice => {
                    mark();
                    tx.try_push(&next).expect("room");
                }
                Op::CommitGrant => {
                    mark();
                    let mut grant = tx.reserve(next.len() + 9).expect("room");
                    grant[..next.len()].copy_from_slice(&next);
                    grant.commit(next.len());
                }
                Op::Close => {
                    mark();
                    tx.close();
                }
                _ => {
                    mark();
                    drop(tx);
                    return mark();
                }
            }
            mark();
            std::mem::forget(tx);
        } else {
            // SAFETY: only segring writes here.
            let mut rx = unsafe { self.0.consumer().expect("the seat is free").trust_peers() };
            let mut into = Vec::with_capacity(1000);
            let at = rx.position();
            match op {
                Op::TryPop | Op::PopSlice => {
                    mark();
                    rx.try_pop_into(&mut into).expect("a record");
                    mark();
                    assert_eq!(into, record(at));
                    return std::mem::forget(rx);
                }
                Op::ReleaseGrant => {
                    mark();
                    rx.read().expect("a record").release();
                }
                _ => {
                    mark();
                    drop(rx);
                    return mark();
                }
            }
            mark();
            std::mem::forget(rx);
        }
    }

    fn push_and_close(&self) {
        let mut tx = self.0.producer().expect("the seat is free");
        tx.try_push(&record(0)).expect("room");
        tx.close();
    }

    fn pop_from_empty(&self) {
        let mut rx = self.0.consumer().expect("the seat is free");
        mark();
        let popped = rx.try_pop();
        mark();
        assert!(popped == Ok(record(0)) || popped == Err(RingError::Empty), "{popped:?}");
        std::mem::forget(rx);
    }
}
