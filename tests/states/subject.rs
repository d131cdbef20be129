//! Rings and handles of every kind, that do what a name says.

use crate::common::TestName;
use crate::ops::{Kind, Op, Side};
use segring::spsc::{ByteConsumer, ByteProducer, ByteRing, Consumer, Producer, Ring};
use segring::{Layout, RingError, Trusted, WaitStrategy};
use std::time::Duration;

/// Messages that fit.
pub const CAPACITY: usize = 32;
const MESSAGE: u64 = 0x5EED_CAFE;
/// A record and its header fill the ring to the last byte, 32 times.
const RECORD: [u8; 120] = [0xA5; 120];

pub enum AnyRing {
    Typed(Ring<u64>),
    Bytes(ByteRing),
}

impl AnyRing {
    pub fn create(name: &TestName, kind: Kind) -> Self {
        let layout = if kind == Kind::Stamped { Layout::Stamped } else { Layout::Dense };
        if kind == Kind::Bytes {
            let bytes = CAPACITY * (RECORD.len() + 8);
            return Self::Bytes(ByteRing::builder(name.name()).capacity(bytes).create().unwrap());
        }
        Self::Typed(Ring::builder(name.name()).capacity(CAPACITY).layout(layout).create().unwrap())
    }

    pub fn attach(name: &str, kind: Kind) -> Self {
        if kind == Kind::Bytes {
            return Self::Bytes(ByteRing::builder(name).attach().unwrap());
        }
        Self::Typed(Ring::builder(name).attach().unwrap())
    }

    /// Takes a seat. Trusted, to have all operations; the others are the same.
    pub fn join(&self, side: Side) -> Subject {
        match (self, side) {
            (Self::Typed(ring), Side::Producer) => {
                // SAFETY: the processes of this test use the ring through segring. It corrupts a
                // ring only for handles that then hand no reference out.
                Subject::Tx(unsafe { ring.producer().unwrap().trust_peers() })
            }
            (Self::Typed(ring), Side::Consumer) => {
                // SAFETY: as above.
                Subject::Rx(unsafe { ring.consumer().unwrap().trust_peers() })
            }
            (Self::Bytes(ring), Side::Producer) => {
                // SAFETY: as above.
                Subject::BytesTx(unsafe { ring.producer().unwrap().trust_peers() })
            }
            (Self::Bytes(ring), Side::Consumer) => {
                // SAFETY: as above.
                Subject::BytesRx(unsafe { ring.consumer().unwrap().trust_peers() })
            }
        }
    }

    pub fn id(&self) -> i32 {
        match self {
            Self::Typed(ring) => ring.id(),
            Self::Bytes(ring) => ring.id(),
        }
    }

    pub fn sem_id(&self) -> i32 {
        match self {
            Self::Typed(ring) => ring.stats().unwrap().sem_id,
            Self::Bytes(ring) => ring.stats().unwrap().sem_id,
        }
    }

    pub fn remove(&self) {
        match self {
            Self::Typed(ring) => ring.remove().unwrap(),
            Self::Bytes(ring) => ring.remove().unwrap(),
        }
    }
}

/// The handle under test.
pub enum Subject {
    Tx(Trusted<Producer<u64>>),
    Rx(Trusted<Consumer<u64>>),
    BytesTx(Trusted<ByteProducer>),
    BytesRx(Trusted<ByteConsumer>),
}

/// Runs one expression for whichever handle it is.
macro_rules! each {
    ($subject:expr, $handle:ident => $body:expr) => {
        match $subject {
            Subject::Tx($handle) => $body,
            Subject::Rx($handle) => $body,
            Subject::BytesTx($handle) => $body,
            Subject::BytesRx($handle) => $body,
        }
    };
}

fn word<T>(result: Result<T, RingError>) -> String {
    result.map_or_else(|error| format!("{error:?}"), |_| "Ok".into())
}

/// A push that did not happen gives the value back.
fn pushed(result: Result<(), segring::Rejected<u64>>) -> String {
    word(result.map_err(|rejected| {
        assert_eq!(rejected.value, MESSAGE);
        rejected.error
    }))
}

fn popped(result: Result<u64, RingError>) -> String {
    word(result.map(|message| assert_eq!(message, MESSAGE)))
}

fn record(result: Result<Vec<u8>, RingError>) -> String {
    word(result.map(|record| assert_eq!(record, RECORD)))
}

fn number(result: Result<usize, RingError>) -> String {
    if result == Ok(0) { "0".into() } else { word(result) }
}

impl Subject {
    /// Does it, and says what came of it.
    pub fn call(&mut self, op: Op, t: Duration) -> String {
        match self {
            Self::Tx(tx) => push(tx, op.name, t),
            Self::Rx(rx) => pop(rx, op.name, t),
            Self::BytesTx(tx) => push_bytes(tx, op.name, t),
            Self::BytesRx(rx) => pop_bytes(rx, op.name, t),
        }
    }

    /// The same as long as it is done, `n` times at most. What came of the last one.
    pub fn repeat(&mut self, name: &str, n: usize) -> String {
        let op = Op::called(name);
        let mut answers = (0..n).map(|_| self.call(op, Duration::ZERO)).skip_while(|said| said == "Ok");
        answers.next().unwrap_or_else(|| "Ok".into())
    }

    pub fn close(&mut self) {
        match self {
            Self::Tx(tx) => tx.close(),
            Self::BytesTx(tx) => tx.close(),
            _ => panic!("only a producer closes"),
        }
    }

    pub fn set_wait_strategy(&mut self, strategy: WaitStrategy) {
        each!(self, handle => handle.set_wait_strategy(strategy));
    }

    pub fn sleeps(&self) -> u64 {
        each!(self, handle => handle.wait_stats().sleeps)
    }
}

const MAX: Duration = Duration::MAX;

fn push(tx: &mut Trusted<Producer<u64>>, op: &str, t: Duration) -> String {
    match op {
        "try_push" => pushed(tx.try_push(MESSAGE)),
        "try_push_ref" => word(tx.try_push_ref(&MESSAGE)),
        "reserve" => word(tx.reserve(1).map(|mut grant| {
            grant.iter_mut().for_each(|slot| *slot = MESSAGE);
            assert_eq!(grant.commit(1), 1);
        })),
        "push_slice" => number(tx.push_slice(&[MESSAGE; 2])),
        "push" => pushed(tx.push(MESSAGE)),
        "push_ref" => word(tx.push_ref(&MESSAGE)),
        "push_timeout(MAX)" => pushed(tx.push_timeout(MESSAGE, MAX)),
        "push_timeout(t)" => pushed(tx.push_timeout(MESSAGE, t)),
        "wait_for_room(None)" => word(tx.wait_for_room(None)),
        "wait_for_room(Some(MAX))" => word(tx.wait_for_room(Some(MAX))),
        "wait_for_room(Some(t))" => word(tx.wait_for_room(Some(t))),
        _ => panic!("a producer has no {op}"),
    }
}

fn push_bytes(tx: &mut Trusted<ByteProducer>, op: &str, t: Duration) -> String {
    word(match op {
        "try_push" => tx.try_push(&RECORD),
        "reserve" => tx.reserve(RECORD.len()).map(|mut grant| {
            grant.copy_from_slice(&RECORD);
            assert_eq!(grant.commit(RECORD.len()), RECORD.len());
        }),
        "push" => tx.push(&RECORD),
        "push_timeout(MAX)" => tx.push_timeout(&RECORD, MAX),
        "push_timeout(t)" => tx.push_timeout(&RECORD, t),
        "wait_for_room(None)" => tx.wait_for_room(RECORD.len(), None),
        "wait_for_room(Some(MAX))" => tx.wait_for_room(RECORD.len(), Some(MAX)),
        "wait_for_room(Some(t))" => tx.wait_for_room(RECORD.len(), Some(t)),
        "wait_until_drained(None)" => tx.wait_until_drained(None),
        "wait_until_drained(Some(MAX))" => tx.wait_until_drained(Some(MAX)),
        "wait_until_drained(Some(t))" => tx.wait_until_drained(Some(t)),
        _ => panic!("a producer of bytes has no {op}"),
    })
}

fn pop(rx: &mut Trusted<Consumer<u64>>, op: &str, t: Duration) -> String {
    let mut into = 0;
    match op {
        "try_pop" => popped(rx.try_pop()),
        "try_pop_into" => popped(rx.try_pop_into(&mut into).map(|()| into)),
        "read" => word(rx.read(1).map(|grant| {
            assert!(grant.iter().all(|message| *message == MESSAGE));
            assert_eq!(grant.release(1), 1);
        })),
        "pop_slice" => number(rx.pop_slice(&mut [0])),
        "pop" => popped(rx.pop()),
        "pop_into" => popped(rx.pop_into(&mut into).map(|()| into)),
        "pop_timeout(MAX)" => popped(rx.pop_timeout(MAX)),
        "pop_timeout(t)" => popped(rx.pop_timeout(t)),
        "wait_for_message(None)" => word(rx.wait_for_message(None)),
        "wait_for_message(Some(MAX))" => word(rx.wait_for_message(Some(MAX))),
        "wait_for_message(Some(t))" => word(rx.wait_for_message(Some(t))),
        _ => panic!("a consumer has no {op}"),
    }
}

fn pop_bytes(rx: &mut Trusted<ByteConsumer>, op: &str, t: Duration) -> String {
    let mut into = Vec::new();
    match op {
        "try_pop" => record(rx.try_pop()),
        "try_pop_into" => record(rx.try_pop_into(&mut into).map(|()| into)),
        "read" => word(rx.read().map(|grant| {
            assert_eq!(*grant, RECORD);
            grant.release();
        })),
        "pop" => record(rx.pop()),
        "pop_into" => record(rx.pop_into(&mut into).map(|()| into)),
        "pop_timeout(MAX)" => record(rx.pop_timeout(MAX)),
        "pop_timeout(t)" => record(rx.pop_timeout(t)),
        "pop_into_timeout(MAX)" => record(rx.pop_into_timeout(&mut into, MAX).map(|()| into)),
        "pop_into_timeout(t)" => record(rx.pop_into_timeout(&mut into, t).map(|()| into)),
        "wait_for_message(None)" => word(rx.wait_for_message(None)),
        "wait_for_message(Some(MAX))" => word(rx.wait_for_message(Some(MAX))),
        "wait_for_message(Some(t))" => word(rx.wait_for_message(Some(t))),
        _ => panic!("a consumer of bytes has no {op}"),
    }
}
