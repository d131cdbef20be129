//! Random sequences of operations against a model that anybody can read: a `VecDeque`.

mod common;

use common::TestName;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use segring::spsc::{ByteConsumer, ByteProducer, ByteRing, Consumer, Producer, Ring};
use segring::{Error, Layout, Payload, RingError, Trusted};
use std::collections::VecDeque;

#[derive(Clone, Debug)]
enum Op {
    Push,
    PushRef,
    PushNow,
    PushSlice(usize),
    /// Reserve so many, write all of them, commit so many.
    Reserve(usize, usize),
    ReserveAndDrop(usize),
    Pop,
    PopInto,
    PopNow,
    PopSlice(usize),
    /// Read so many, release so many.
    Read(usize, usize),
    ReadAndDrop(usize),
    /// Read so many, go past so many one by one, drop the rest.
    Releasing(usize, usize),
    RejoinProducer,
    RejoinConsumer,
    /// A second attachment takes a look, and tries to sit.
    SecondAttach,
    Look,
    Close,
}

fn op(most: usize) -> impl Strategy<Value = Op> {
    let n = move || 0..=most;
    prop_oneof![
        4 => Just(Op::Push),
        1 => Just(Op::PushRef),
        1 => Just(Op::PushNow),
        4 => n().prop_map(Op::PushSlice),
        4 => (n(), n()).prop_map(|(n, keep)| Op::Reserve(n, keep)),
        1 => n().prop_map(Op::ReserveAndDrop),
        4 => Just(Op::Pop),
        1 => Just(Op::PopInto),
        1 => Just(Op::PopNow),
        4 => n().prop_map(Op::PopSlice),
        4 => (n(), n()).prop_map(|(n, keep)| Op::Read(n, keep)),
        1 => n().prop_map(Op::ReadAndDrop),
        2 => (n(), n()).prop_map(|(n, past)| Op::Releasing(n, past)),
        1 => Just(Op::RejoinProducer),
        1 => Just(Op::RejoinConsumer),
        1 => Just(Op::SecondAttach),
        2 => Just(Op::Look),
    ]
}

/// Many operations, and now and then a close near the end.
fn ops(most: usize) -> impl Strategy<Value = Vec<Op>> {
    (proptest::collection::vec(op(most), 1..150), any::<bool>(), proptest::collection::vec(op(most), 0..20))
        .prop_map(|(mut ops, close, after)| {
            if close {
                ops.push(Op::Close);
                ops.extend(after);
            }
            ops
        })
}

/// Runs `test` on `cases` values, the same ones every time.
fn check<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value)) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let rng = proptest::test_runner::TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let ran = runner.run(&strategy, |value| {
        test(value);
        Ok(())
    });
    if let Err(e) = ran {
        panic!("{e}");
    }
}

/// What a ring must be like.
struct Model<M> {
    queue: VecDeque<M>,
    pushed: u64,
    popped: u64,
    closed: bool,
}

impl<M> Model<M> {
    fn new() -> Self {
        Self { queue: VecDeque::new(), pushed: 0, popped: 0, closed: false }
    }

    fn end(&self) -> RingError {
        if self.closed { RingError::Closed } else { RingError::Empty }
    }

    fn push(&mut self, messages: impl IntoIterator<Item = M>) {
        let before = self.queue.len();
        self.queue.extend(messages);
        self.pushed += (self.queue.len() - before) as u64;
    }

    fn pop(&mut self, n: usize) -> Vec<M> {
        self.popped += n as u64;
        self.queue.drain(..n).collect()
    }
}

/// Made by filling: in a debug build, arithmetic for each byte would be most of the test.
fn message<const N: usize>(n: u64) -> [u8; N] {
    let mut message = [(n * 13 + 7) as u8; N];
    message.iter_mut().zip(n.to_le_bytes()).for_each(|(byte, digit)| *byte ^= digit);
    message[N - 1] = !(n as u8);
    message
}

struct Sides<T: Payload> {
    tx: Option<Trusted<Producer<T>>>,
    rx: Option<Trusted<Consumer<T>>>,
}

impl<T: Payload> Sides<T> {
    fn join(&mut self, ring: &Ring<T>) {
        if self.tx.is_none() {
            // SAFETY: this test is the only user of the ring.
            self.tx = Some(unsafe { ring.producer().expect("free").trust_peers() });
        }
        if self.rx.is_none() {
            // SAFETY: as above.
            self.rx = Some(unsafe { ring.consumer().expect("free").trust_peers() });
        }
    }
}

fn typed<const N: usize>(layout: Layout, capacity: usize, ops: &[Op]) {
    let name = TestName::new("model");
    let ring = Ring::<[u8; N]>::builder(name.name()).capacity(capacity).layout(layout).create().unwrap();
    let capacity = ring.capacity();
    let mut sides = Sides { tx: None, rx: None };
    let mut model = Model::new();
    let mut next = 0u64;
    let mut fresh = |n: usize| -> Vec<[u8; N]> {
        next += n as u64;
        (next - n as u64..next).map(message).collect()
    };
    for op in ops {
        sides.join(&ring);
        let (Some(tx), Some(rx)) = (&mut sides.tx, &mut sides.rx) else { unreachable!() };
        let room = capacity - model.queue.len();
        match *op {
            Op::Push | Op::PushRef | Op::PushNow => {
                let item = fresh(1)[0];
                let (pushed, full) = match op {
                    Op::Push => (tx.try_push(item).map_err(RingError::from), RingError::Full),
                    Op::PushRef => (tx.try_push_ref(&item), RingError::Full),
                    _ => (
                        tx.push_timeout(item, Default::default()).map_err(RingError::from),
                        RingError::TimedOut,
                    ),
                };
                let wanted = match () {
                    () if model.closed => Err(RingError::Closed),
                    () if room == 0 => Err(full),
                    () => Ok(()),
                };
                assert_eq!(pushed, wanted);
                model.push(wanted.is_ok().then_some(item));
            }
            Op::PushSlice(n) => {
                let items = fresh(n);
                let wanted = if model.closed { Err(RingError::Closed) } else { Ok(n.min(room)) };
                assert_eq!(tx.push_slice(&items), wanted);
                model.push(items.into_iter().take(wanted.unwrap_or(0)));
            }
            Op::Reserve(n, keep) => match tx.reserve(n) {
                Ok(mut grant) => {
                    // At least one is lent, also when none is asked for.
                    let n = n.max(1).min(room);
                    let items = fresh(n);
                    assert!(!model.closed && n > 0);
                    assert_eq!((grant.len(), grant.iter_mut().count()), (n, n));
                    match grant.as_mut_slices() {
                        Some((a, b)) => {
                            assert_eq!(layout, Layout::Dense);
                            a.copy_from_slice(&items[..a.len()]);
                            b.copy_from_slice(&items[a.len()..]);
                        }
                        None => grant.iter_mut().zip(&items).for_each(|(slot, item)| *slot = *item),
                    }
                    assert_eq!(grant.commit(keep), keep.min(n));
                    model.push(items.into_iter().take(keep));
                }
                Err(RingError::Closed) => assert!(model.closed),
                Err(e) => {
                    assert_eq!(e, RingError::Full);
                    assert_eq!(room, 0);
                }
            },
            Op::ReserveAndDrop(n) => {
                if let Ok(mut grant) = tx.reserve(n) {
                    grant.iter_mut().for_each(|slot| *slot = [0xEE; N]);
                }
            }
            Op::Pop | Op::PopInto | Op::PopNow => {
                let mut into = [0xCC; N];
                let (popped, empty) = match op {
                    Op::Pop => (rx.try_pop(), model.end()),
                    Op::PopInto => (rx.try_pop_into(&mut into).map(|()| into), model.end()),
                    _ => (
                        rx.pop_timeout(Default::default()),
                        if model.closed { RingError::Closed } else { RingError::TimedOut },
                    ),
                };
                let n = model.queue.len().min(1);
                let wanted = model.pop(n).pop().ok_or(empty);
                assert_eq!(popped, wanted);
                if popped.is_err() {
                    assert_eq!(into, [0xCC; N], "untouched");
                }
            }
            Op::PopSlice(n) => {
                let mut into = vec![[0xCC; N]; n];
                let there = n.min(model.queue.len());
                let wanted =
                    if there == 0 && n > 0 && model.closed { Err(RingError::Closed) } else { Ok(there) };
                assert_eq!(rx.pop_slice(&mut into), wanted);
                assert_eq!(into[..there], model.pop(there));
                assert!(into[there..].iter().all(|m| *m == [0xCC; N]), "untouched");
            }
            Op::Read(n, keep) => match rx.read(n) {
                Ok(grant) => {
                    let there = n.max(1).min(model.queue.len());
                    assert_eq!(grant.len(), there);
                    assert!(grant.iter().eq(model.queue.iter().take(there)));
                    if let Some((a, b)) = grant.as_slices() {
                        assert!(a.iter().chain(b).eq(model.queue.iter().take(there)));
                    }
                    assert_eq!(grant.release(keep), keep.min(there));
                    model.pop(keep.min(there));
                }
                Err(e) => {
                    assert!(model.queue.is_empty());
                    assert_eq!(e, model.end());
                }
            },
            Op::ReadAndDrop(n) => {
                if let Ok(grant) = rx.read(n) {
                    assert!(grant.iter().eq(model.queue.iter().take(n.max(1))));
                }
            }
            Op::Releasing(n, past) => {
                if let Ok(grant) = rx.read(n) {
                    let there = grant.len();
                    {
                        let mut messages = grant.releasing();
                        for i in 0..past {
                            assert_eq!(messages.next(), model.queue.get(i).filter(|_| i < there));
                        }
                    }
                    // The one in hand is not released, unless the end was seen.
                    model.pop(if past > there { there } else { past.saturating_sub(1) });
                }
            }
            Op::RejoinProducer => sides.tx = None,
            Op::RejoinConsumer => sides.rx = None,
            Op::SecondAttach => {
                let second = Ring::<[u8; N]>::builder(name.name()).attach().unwrap();
                assert_eq!((second.len(), second.capacity()), (model.queue.len(), capacity));
                assert!(matches!(second.producer(), Err(Error::SeatTaken { .. })));
                assert!(matches!(second.consumer(), Err(Error::SeatTaken { .. })));
            }
            Op::Look => {
                let stats = ring.stats().unwrap();
                assert_eq!((stats.pushed, stats.popped), (model.pushed, model.popped));
                assert_eq!((stats.len, stats.closed), (model.queue.len() as u64, model.closed));
            }
            Op::Close => {
                tx.close();
                model.closed = true;
            }
        }
        sides.join(&ring);
        let (Some(tx), Some(rx)) = (&sides.tx, &sides.rx) else { unreachable!() };
        assert_eq!((tx.position(), rx.position()), (model.pushed, model.popped));
        assert_eq!(ring.len(), model.queue.len());
        assert_eq!(
            (tx.is_closed(), rx.is_closed(), ring.is_closed()),
            (model.closed, model.closed, model.closed)
        );
    }
}

/// Capacities of 1 to 64, and up to some more at once than fit.
fn typed_cases(cases: u32, run: impl Fn(usize, &[Op])) {
    let capacity = prop_oneof![3 => Just(1usize), 3 => Just(2), 3 => Just(4), 2 => Just(8), 1 => 1..=64usize];
    let strategy = capacity.prop_flat_map(|c| (Just(c), ops(c + c / 2 + 2)));
    check(cases, strategy, |(capacity, ops)| run(capacity, &ops));
}

macro_rules! sizes {
    ($($test:ident: $layout:ident, $($size:literal)+;)+) => {$(
        #[test]
        fn $test() {
            $(typed_cases(100, |capacity, ops| typed::<$size>(Layout::$layout, capacity, ops));)+
        }
    )+};
}

sizes! {
    stamped_slots: Stamped, 1 3 7 8 16 24 56;
    dense_slots: Dense, 1 3 7 8 16 24 56 57 64 200;
}

#[derive(Clone, Debug)]
enum ByteOp {
    Push(usize),
    /// Reserve so many, commit so many.
    Reserve(usize, usize),
    ReserveAndDrop(usize),
    Pop,
    PopInto,
    Read,
    ReadAndDrop,
    RejoinProducer,
    RejoinConsumer,
    Look,
    Close,
}

fn byte_ops() -> impl Strategy<Value = Vec<ByteOp>> {
    let len = || prop_oneof![3 => 0..30usize, 3 => 0..700usize, 1 => 2000..2045usize];
    let op = prop_oneof![
        6 => len().prop_map(ByteOp::Push),
        3 => (len(), len()).prop_map(|(n, keep)| ByteOp::Reserve(n, keep)),
        1 => len().prop_map(ByteOp::ReserveAndDrop),
        4 => Just(ByteOp::Pop),
        1 => Just(ByteOp::PopInto),
        2 => Just(ByteOp::Read),
        1 => Just(ByteOp::ReadAndDrop),
        1 => Just(ByteOp::RejoinProducer),
        1 => Just(ByteOp::RejoinConsumer),
        1 => Just(ByteOp::Look),
    ];
    (proptest::collection::vec(op, 1..200), any::<bool>()).prop_map(|(mut ops, close)| {
        if close {
            let at = ops.len() - ops.len() / 10;
            ops.insert(at, ByteOp::Close);
        }
        ops
    })
}

/// The room of a byte ring: where its two cursors stand, and where each record ends.
#[derive(Default)]
struct Circle {
    tail: u64,
    head: u64,
    ends: VecDeque<u64>,
}

impl Circle {
    const CAPACITY: u64 = 4096;

    fn behind(cursor: u64, len: usize) -> u64 {
        let wanted = 8 + (len as u64).next_multiple_of(8);
        let to_wrap = Self::CAPACITY - cursor % Self::CAPACITY;
        cursor + wanted + if wanted > to_wrap { to_wrap } else { 0 }
    }

    /// A record whose place was reserved for `reserved` bytes.
    fn push(&mut self, reserved: usize, len: usize) {
        let spare = reserved.next_multiple_of(8) - len.next_multiple_of(8);
        self.tail = Self::behind(self.tail, reserved) - spare as u64;
        self.ends.push_back(self.tail);
    }

    fn pop(&mut self) {
        self.head = self.ends.pop_front().expect("a record");
    }

    fn takes(&self, len: usize) -> bool {
        Self::behind(self.tail, len) - self.head <= Self::CAPACITY
    }
}

fn bytes(ops: &[ByteOp]) {
    let name = TestName::new("model-bytes");
    let ring = ByteRing::builder(name.name()).capacity(4096).create().unwrap();
    let mut model = Model::<Vec<u8>>::new();
    let mut circle = Circle::default();
    let mut next = 0u8;
    let join_tx = || -> Trusted<ByteProducer> {
        // SAFETY: this test is the only user of the ring.
        unsafe { ring.producer().expect("free").trust_peers() }
    };
    let join_rx = || -> Trusted<ByteConsumer> {
        // SAFETY: as above.
        unsafe { ring.consumer().expect("free").trust_peers() }
    };
    let (mut tx, mut rx) = (join_tx(), join_rx());
    for op in ops {
        let mut record = |len: usize| -> Vec<u8> {
            next = next.wrapping_add(1);
            (0..len).map(|i| (i as u8).wrapping_mul(3) ^ next).collect()
        };
        let refused = |len: usize| match () {
            () if model.closed => Some(RingError::Closed),
            () if len > ring.max_record() => Some(RingError::TooLong),
            () if !circle.takes(len) => Some(RingError::Full),
            () => None,
        };
        let mut popped = None;
        match *op {
            ByteOp::Push(len) => {
                let (record, refused) = (record(len), refused(len));
                assert_eq!(tx.try_push(&record).err(), refused);
                if refused.is_none() {
                    circle.push(len, len);
                    model.push([record]);
                }
            }
            ByteOp::Reserve(len, keep) => {
                let refused = refused(len);
                match tx.reserve(len) {
                    Ok(mut grant) => {
                        assert_eq!((refused, grant.len()), (None, len));
                        let mut record = record(len);
                        grant.copy_from_slice(&record);
                        assert_eq!(grant.commit(keep), keep.min(len));
                        record.truncate(keep);
                        circle.push(len, record.len());
                        model.push([record]);
                    }
                    Err(e) => assert_eq!(Some(e), refused),
                }
            }
            ByteOp::ReserveAndDrop(len) => {
                if let Ok(mut grant) = tx.reserve(len) {
                    grant.fill(0xEE);
                }
            }
            ByteOp::Pop => popped = Some(rx.try_pop()),
            ByteOp::PopInto => {
                let mut into = vec![1, 2, 3];
                popped = Some(rx.try_pop_into(&mut into).map(|()| into));
            }
            ByteOp::Read => {
                popped = Some(rx.read().map(|grant| {
                    let record = grant.to_vec();
                    grant.release();
                    record
                }));
            }
            ByteOp::ReadAndDrop => {
                let looked = rx.read().map(|grant| grant.to_vec());
                assert_eq!(looked.ok().as_ref(), model.queue.front());
            }
            ByteOp::RejoinProducer => {
                drop(tx);
                tx = join_tx();
            }
            ByteOp::RejoinConsumer => {
                drop(rx);
                rx = join_rx();
            }
            ByteOp::Look => {
                let stats = ring.stats().unwrap();
                assert_eq!((stats.pushed, stats.popped), (model.pushed, model.popped));
                assert_eq!((stats.len, stats.closed), (model.queue.len() as u64, model.closed));
                let drained = tx.wait_until_drained(Some(Default::default()));
                assert_eq!(drained.is_ok(), model.queue.is_empty());
            }
            ByteOp::Close => {
                tx.close();
                model.closed = true;
            }
        }
        if let Some(popped) = popped {
            let n = model.queue.len().min(1);
            let wanted = model.pop(n).pop().ok_or(model.end());
            assert_eq!(popped, wanted);
            if wanted.is_ok() {
                circle.pop();
            }
        }
        assert_eq!((tx.position(), rx.position()), (model.pushed, model.popped));
        assert_eq!(ring.len(), model.queue.len());
    }
}

#[test]
fn records() {
    check(200, byte_ops(), |ops| bytes(&ops));
}
