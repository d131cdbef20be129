//! The kinds of rings, as far as the sweep needs to handle them.

use crate::common::TestName;
use segring::spsc::{ByteConsumer, ByteProducer, ByteRing, Consumer, Producer, Ring};
use segring::{Error, Layout, RingError, Stats, Trusted};
use std::time::Duration;

type Moved = Result<u64, RingError>;

/// A kind of ring.
pub(crate) trait Kind: Sized {
    /// A slice is committed message by message.
    const PIECEMEAL: bool;
    const BYTES: bool;
    /// Fewer than these are never too many.
    const ROOM: u64;
    type Message: PartialEq;
    type Tx;
    type Rx;
    fn create(name: &TestName) -> Self;
    fn attach(name: &TestName) -> Self;
    fn remove(&self);
    fn stats(&self) -> Stats;
    fn producer(&self) -> Result<Self::Tx, Error>;
    fn consumer(&self) -> Result<Self::Rx, Error>;
    /// The message of this number.
    fn message(n: u64) -> Self::Message;
    /// Room for one.
    fn blank() -> Self::Message;
    /// A handle's position.
    fn pushed(tx: &Self::Tx) -> u64;
    fn popped(rx: &Self::Rx) -> u64;
    fn push(tx: &mut Self::Tx, message: &Self::Message) -> Result<(), RingError>;
    fn push_for(tx: &mut Self::Tx, message: &Self::Message, time: Duration) -> Result<(), RingError>;
    fn push_slice(tx: &mut Self::Tx, messages: &[Self::Message; 3]) -> Moved;
    fn push_grant(tx: &mut Self::Tx, messages: &[Self::Message; 3]) -> Moved;
    fn wait_for_room(tx: &mut Self::Tx, time: Duration) -> Result<(), RingError>;
    fn close(tx: &mut Self::Tx);
    fn pop(rx: &mut Self::Rx, into: &mut Self::Message) -> Result<(), RingError>;
    fn pop_for(rx: &mut Self::Rx, into: &mut Self::Message, time: Duration) -> Result<(), RingError>;
    fn pop_slice(rx: &mut Self::Rx, into: &mut [Self::Message; 3]) -> Moved;
    fn pop_grant(rx: &mut Self::Rx, into: &mut [Self::Message; 3]) -> Moved;
    fn wait_for_message(rx: &mut Self::Rx, time: Duration) -> Result<(), RingError>;
}

type Item = [u64; 6];

pub(crate) struct Typed<const DENSE: bool>(Ring<Item>);

impl<const DENSE: bool> Kind for Typed<DENSE> {
    const PIECEMEAL: bool = !DENSE;
    const BYTES: bool = false;
    const ROOM: u64 = 8;
    type Message = Item;
    type Tx = Trusted<Producer<Item>>;
    type Rx = Trusted<Consumer<Item>>;

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

    fn stats(&self) -> Stats {
        self.0.stats().expect("stats")
    }

    fn producer(&self) -> Result<Self::Tx, Error> {
        // SAFETY: only segring writes here.
        self.0.producer().map(|tx| unsafe { tx.trust_peers() })
    }

    fn consumer(&self) -> Result<Self::Rx, Error> {
        // SAFETY: only segring writes here.
        self.0.consumer().map(|rx| unsafe { rx.trust_peers() })
    }

    fn message(n: u64) -> Item {
        [n, !n, n ^ 0x55, n << 8, n + 1, n | 1 << 63]
    }

    fn blank() -> Item {
        [0; 6]
    }

    fn pushed(tx: &Self::Tx) -> u64 {
        tx.position()
    }

    fn popped(rx: &Self::Rx) -> u64 {
        rx.position()
    }

    fn push(tx: &mut Self::Tx, message: &Item) -> Result<(), RingError> {
        tx.try_push(*message).map_err(|rejected| rejected.error)
    }

    fn push_for(tx: &mut Self::Tx, message: &Item, time: Duration) -> Result<(), RingError> {
        tx.push_timeout(*message, time).map_err(|rejected| rejected.error)
    }

    fn push_slice(tx: &mut Self::Tx, messages: &[Item; 3]) -> Moved {
        tx.push_slice(messages).map(|n| n as u64)
    }

    fn push_grant(tx: &mut Self::Tx, messages: &[Item; 3]) -> Moved {
        let mut grant = tx.reserve(3)?;
        grant.iter_mut().zip(messages).for_each(|(slot, item)| *slot = *item);
        Ok(grant.commit(3) as u64)
    }

    fn wait_for_room(tx: &mut Self::Tx, time: Duration) -> Result<(), RingError> {
        tx.wait_for_room(Some(time))
    }

    fn close(tx: &mut Self::Tx) {
        tx.close();
    }

    fn pop(rx: &mut Self::Rx, into: &mut Item) -> Result<(), RingError> {
        rx.try_pop().map(|item| *into = item)
    }

    fn pop_for(rx: &mut Self::Rx, into: &mut Item, time: Duration) -> Result<(), RingError> {
        rx.pop_timeout(time).map(|item| *into = item)
    }

    fn pop_slice(rx: &mut Self::Rx, into: &mut [Item; 3]) -> Moved {
        rx.pop_slice(into).map(|n| n as u64)
    }

    fn pop_grant(rx: &mut Self::Rx, into: &mut [Item; 3]) -> Moved {
        let grant = rx.read(3)?;
        into.iter_mut().zip(grant.iter()).for_each(|(into, item)| *into = *item);
        Ok(grant.release(3) as u64)
    }

    fn wait_for_message(rx: &mut Self::Rx, time: Duration) -> Result<(), RingError> {
        rx.wait_for_message(Some(time))
    }
}

pub(crate) struct Bytes(ByteRing);

impl Kind for Bytes {
    const PIECEMEAL: bool = false;
    const BYTES: bool = true;
    const ROOM: u64 = 4;
    type Message = Vec<u8>;
    type Tx = Trusted<ByteProducer>;
    type Rx = Trusted<ByteConsumer>;

    fn create(name: &TestName) -> Self {
        Self(ByteRing::builder(name.name()).capacity(4096).create().expect("create"))
    }

    fn attach(name: &TestName) -> Self {
        Self(ByteRing::builder(name.name()).attach().expect("attach"))
    }

    fn remove(&self) {
        self.0.remove().expect("remove");
    }

    fn stats(&self) -> Stats {
        self.0.stats().expect("stats")
    }

    fn producer(&self) -> Result<Self::Tx, Error> {
        // SAFETY: only segring writes here.
        self.0.producer().map(|tx| unsafe { tx.trust_peers() })
    }

    fn consumer(&self) -> Result<Self::Rx, Error> {
        // SAFETY: only segring writes here.
        self.0.consumer().map(|rx| unsafe { rx.trust_peers() })
    }

    /// Five of these and a bit fill the ring: the sixth is padded over the wrap.
    fn message(n: u64) -> Vec<u8> {
        (0..690 + n as usize % 7).map(|i| (n as usize * 5 + i) as u8).collect()
    }

    fn blank() -> Vec<u8> {
        Vec::with_capacity(1000)
    }

    fn pushed(tx: &Self::Tx) -> u64 {
        tx.position()
    }

    fn popped(rx: &Self::Rx) -> u64 {
        rx.position()
    }

    fn push(tx: &mut Self::Tx, message: &Vec<u8>) -> Result<(), RingError> {
        tx.try_push(message)
    }

    fn push_for(tx: &mut Self::Tx, message: &Vec<u8>, time: Duration) -> Result<(), RingError> {
        tx.push_timeout(message, time)
    }

    fn push_slice(tx: &mut Self::Tx, messages: &[Vec<u8>; 3]) -> Moved {
        tx.try_push(&messages[0]).map(|()| 1)
    }

    fn push_grant(tx: &mut Self::Tx, messages: &[Vec<u8>; 3]) -> Moved {
        let next = &messages[0];
        let mut grant = tx.reserve(next.len() + 9)?;
        grant[..next.len()].copy_from_slice(next);
        grant.commit(next.len());
        Ok(1)
    }

    fn wait_for_room(tx: &mut Self::Tx, time: Duration) -> Result<(), RingError> {
        tx.wait_for_room(690, Some(time))
    }

    fn close(tx: &mut Self::Tx) {
        tx.close();
    }

    fn pop(rx: &mut Self::Rx, into: &mut Vec<u8>) -> Result<(), RingError> {
        rx.try_pop_into(into)
    }

    fn pop_for(rx: &mut Self::Rx, into: &mut Vec<u8>, time: Duration) -> Result<(), RingError> {
        rx.pop_into_timeout(into, time)
    }

    fn pop_slice(rx: &mut Self::Rx, into: &mut [Vec<u8>; 3]) -> Moved {
        rx.try_pop_into(&mut into[0]).map(|()| 1)
    }

    fn pop_grant(rx: &mut Self::Rx, into: &mut [Vec<u8>; 3]) -> Moved {
        let grant = rx.read()?;
        into[0].extend_from_slice(&grant);
        grant.release();
        Ok(1)
    }

    fn wait_for_message(rx: &mut Self::Rx, time: Duration) -> Result<(), RingError> {
        rx.wait_for_message(Some(time))
    }
}
