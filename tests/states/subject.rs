//! Rings and handles of every kind, that do what a name says.

use crate::calls;
use crate::common::TestName;
use crate::ops::{Kind, Op, Side};
use segring::spsc::{ByteConsumer, ByteProducer, ByteRing, Consumer, Producer, Ring};
use segring::{Layout, Trusted, WaitStrategy, mpmc};
use std::time::Duration;

/// Messages that fit.
pub const CAPACITY: usize = 32;
pub const MESSAGE: u64 = 0x5EED_CAFE;
/// A record and its header fill the ring to the last byte, 32 times.
pub const RECORD: [u8; 120] = [0xA5; 120];

/// Who may sit on an exchange ring: all that any test needs.
const SEATS: u32 = 8;

pub enum AnyRing {
    Typed(Ring<u64>),
    Bytes(ByteRing),
    Mpmc(mpmc::Ring<u64>),
    MpmcBytes(mpmc::ByteRing),
}

/// Runs one expression for whichever ring it is.
macro_rules! each_ring {
    ($any:expr, $ring:ident => $body:expr) => {
        match $any {
            AnyRing::Typed($ring) => $body,
            AnyRing::Bytes($ring) => $body,
            AnyRing::Mpmc($ring) => $body,
            AnyRing::MpmcBytes($ring) => $body,
        }
    };
}

/// A trusted handle, to have all operations; the others are the same.
macro_rules! trusted {
    ($handle:expr) => {{
        let handle = $handle.unwrap();
        // SAFETY: the processes of this test use the ring through segring. It corrupts a ring only
        // for handles that then hand no reference out.
        unsafe { handle.trust_peers() }
    }};
}

impl AnyRing {
    pub fn create(name: &TestName, kind: Kind) -> Self {
        let name = name.name();
        let typed =
            |layout| Self::Typed(Ring::builder(&name).capacity(CAPACITY).layout(layout).create().unwrap());
        match kind {
            Kind::Stamped => typed(Layout::Stamped),
            Kind::Dense => typed(Layout::Dense),
            Kind::Bytes => {
                let bytes = CAPACITY * (RECORD.len() + 8);
                Self::Bytes(ByteRing::builder(name).capacity(bytes).create().unwrap())
            }
            Kind::Mpmc | Kind::Inline => {
                let builder = mpmc::Ring::builder(name).capacity(CAPACITY).seats(SEATS);
                let ring = builder.redelivery(kind == Kind::Mpmc).create().unwrap();
                assert_eq!(ring.stats().unwrap().layout == Layout::Inline, kind == Kind::Inline);
                Self::Mpmc(ring)
            }
            Kind::MpmcBytes => {
                let builder = mpmc::ByteRing::builder(name).capacity(CAPACITY).seats(SEATS);
                Self::MpmcBytes(builder.max_record(RECORD.len()).create().unwrap())
            }
        }
    }

    pub fn attach(name: &str, kind: Kind) -> Self {
        match kind {
            Kind::Stamped | Kind::Dense => Self::Typed(Ring::builder(name).attach().unwrap()),
            Kind::Bytes => Self::Bytes(ByteRing::builder(name).attach().unwrap()),
            Kind::Mpmc | Kind::Inline => Self::Mpmc(mpmc::Ring::builder(name).attach().unwrap()),
            Kind::MpmcBytes => Self::MpmcBytes(mpmc::ByteRing::builder(name).attach().unwrap()),
        }
    }

    /// Takes a seat.
    pub fn join(&self, side: Side) -> Subject {
        match (self, side) {
            (Self::Typed(ring), Side::Producer) => Subject::Tx(trusted!(ring.producer())),
            (Self::Typed(ring), Side::Consumer) => Subject::Rx(trusted!(ring.consumer())),
            (Self::Bytes(ring), Side::Producer) => Subject::BytesTx(trusted!(ring.producer())),
            (Self::Bytes(ring), Side::Consumer) => Subject::BytesRx(trusted!(ring.consumer())),
            (Self::Mpmc(ring), Side::Producer) => Subject::MpmcTx(trusted!(ring.producer())),
            (Self::Mpmc(ring), Side::Consumer) => Subject::MpmcRx(trusted!(ring.consumer())),
            (Self::MpmcBytes(ring), Side::Producer) => Subject::MpmcBytesTx(trusted!(ring.producer())),
            (Self::MpmcBytes(ring), Side::Consumer) => Subject::MpmcBytesRx(trusted!(ring.consumer())),
        }
    }

    pub fn id(&self) -> i32 {
        each_ring!(self, ring => ring.id())
    }

    pub fn sem_id(&self) -> i32 {
        each_ring!(self, ring => ring.stats().unwrap().sem_id)
    }

    pub fn remove(&self) {
        each_ring!(self, ring => ring.remove().unwrap());
    }
}

/// The handle under test.
pub enum Subject {
    Tx(Trusted<Producer<u64>>),
    Rx(Trusted<Consumer<u64>>),
    BytesTx(Trusted<ByteProducer>),
    BytesRx(Trusted<ByteConsumer>),
    MpmcTx(Trusted<mpmc::Producer<u64>>),
    MpmcRx(Trusted<mpmc::Consumer<u64>>),
    MpmcBytesTx(Trusted<mpmc::ByteProducer>),
    MpmcBytesRx(Trusted<mpmc::ByteConsumer>),
}

/// Runs one expression for whichever handle it is.
macro_rules! each {
    ($subject:expr, $handle:ident => $body:expr) => {
        match $subject {
            Subject::Tx($handle) => $body,
            Subject::Rx($handle) => $body,
            Subject::BytesTx($handle) => $body,
            Subject::BytesRx($handle) => $body,
            Subject::MpmcTx($handle) => $body,
            Subject::MpmcRx($handle) => $body,
            Subject::MpmcBytesTx($handle) => $body,
            Subject::MpmcBytesRx($handle) => $body,
        }
    };
}

impl Subject {
    /// Does it, and says what came of it.
    pub fn call(&mut self, op: Op, t: Duration) -> String {
        match self {
            Self::Tx(tx) => calls::push(tx, op.name, t),
            Self::Rx(rx) => calls::pop(rx, op.name, t),
            Self::BytesTx(tx) => calls::push_bytes(tx, op.name, t),
            Self::BytesRx(rx) => calls::pop_bytes(rx, op.name, t),
            Self::MpmcTx(tx) => calls::push_mpmc(tx, op.name, t),
            Self::MpmcRx(rx) => calls::pop_mpmc(rx, op.name, t),
            Self::MpmcBytesTx(tx) => calls::push_mpmc_bytes(tx, op.name, t),
            Self::MpmcBytesRx(rx) => calls::pop_mpmc_bytes(rx, op.name, t),
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
            Self::MpmcTx(tx) => tx.close().unwrap(),
            Self::MpmcBytesTx(tx) => tx.close().unwrap(),
            _ => panic!("only a producer closes"),
        }
    }

    /// Takes the next message, and neither releases it nor hands it back.
    pub fn takes_for_ever(&mut self) {
        match self {
            Self::MpmcRx(rx) => std::mem::forget(rx.try_take().unwrap()),
            Self::MpmcBytesRx(rx) => std::mem::forget(rx.try_take().unwrap()),
            _ => panic!("only a consumer of an exchange ring takes"),
        }
    }

    pub fn set_wait_strategy(&mut self, strategy: WaitStrategy) {
        each!(self, handle => handle.set_wait_strategy(strategy));
    }

    pub fn sleeps(&self) -> u64 {
        each!(self, handle => handle.wait_stats().sleeps)
    }
}
