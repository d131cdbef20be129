//! Rings of many for the tests of sleepers: in slots and in entries, and a child with a seat.
#![allow(dead_code, unreachable_pub)] // each test binary uses a part of it

use crate::common::TestName;
use crate::remote::Remote;
use segring::Payload;
use segring::mpmc::Ring;

/// A message with a number: one for each way in which a ring has its messages.
pub trait Message: Payload + Copy + PartialEq + std::fmt::Debug + Send + 'static {
    const KIND: &'static str;
    fn of(number: u64) -> Self;
    fn number(&self) -> u64;
}

/// In the entries.
impl Message for u64 {
    const KIND: &'static str = "words";
    fn of(number: u64) -> Self {
        number
    }
    fn number(&self) -> u64 {
        *self
    }
}

pub type Slots = [u64; 7];

/// In slots.
impl Message for Slots {
    const KIND: &'static str = "slots";
    fn of(number: u64) -> Self {
        [number; 7]
    }
    fn number(&self) -> u64 {
        assert_eq!(*self, [self[0]; 7], "torn");
        self[0]
    }
}

/// A ring of 64 seats, so that bits are shared if more than 32 are taken.
pub fn ring<T: Message>(capacity: usize) -> (TestName, Ring<T>) {
    let name = TestName::new("many");
    let ring = Ring::builder(name.name()).capacity(capacity).create().unwrap();
    (name, ring)
}

/// A child that has a seat of this side.
pub fn sits<T: Message>(name: &TestName, side: &str) -> Remote {
    let mut this = Remote::start("many", &[name.as_str(), T::KIND]);
    this.answers(side, "sits");
    this
}
