//! The operations, by the names that the document gives them.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Stamped,
    Dense,
    Bytes,
}

pub const KINDS: [Kind; 3] = [Kind::Stamped, Kind::Dense, Kind::Bytes];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Producer,
    Consumer,
}

impl Side {
    pub fn peer(self) -> Self {
        match self {
            Self::Producer => Self::Consumer,
            Self::Consumer => Self::Producer,
        }
    }
}

/// How long an operation may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// It never waits.
    Try,
    /// `t`.
    Given,
    /// None, or `Duration::MAX`.
    Without,
}

/// Which rings have it.
#[derive(Clone, Copy, Debug)]
enum Rings {
    Both,
    Typed,
    Records,
}

/// An operation: its name, its side, the rings that have it.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    pub name: &'static str,
    pub side: Side,
    rings: Rings,
    pub limit: Limit,
}

impl Op {
    pub fn is_on(self, kind: Kind) -> bool {
        match self.rings {
            Both => true,
            Typed => kind != Kind::Bytes,
            Records => kind == Kind::Bytes,
        }
    }

    /// The times to call it with. Any stands for all where it takes none.
    pub fn times(self) -> &'static [Duration] {
        const ZERO: Duration = Duration::ZERO;
        const SHORT: Duration = Duration::from_millis(5);
        if self.limit == Limit::Given { &[ZERO, SHORT] } else { &[ZERO] }
    }
}

use Limit::{Given, Try, Without};
use Rings::{Both, Records, Typed};
use Side::{Consumer as Rx, Producer as Tx};

const fn op(name: &'static str, side: Side, rings: Rings, limit: Limit) -> Op {
    Op { name, side, rings, limit }
}

/// All of them. `t` stands for zero and for more, `MAX` for `Duration::MAX`.
pub const OPS: [Op; 27] = [
    op("wait_until_drained(None)", Tx, Records, Without),
    op("wait_until_drained(Some(MAX))", Tx, Records, Without),
    op("wait_until_drained(Some(t))", Tx, Records, Given),
    op("try_push", Tx, Both, Try),
    op("try_push_ref", Tx, Typed, Try),
    op("reserve", Tx, Both, Try),
    op("push_slice", Tx, Typed, Try),
    op("push", Tx, Both, Without),
    op("push_ref", Tx, Typed, Without),
    op("push_timeout(MAX)", Tx, Both, Without),
    op("push_timeout(t)", Tx, Both, Given),
    op("wait_for_room(None)", Tx, Both, Without),
    op("wait_for_room(Some(MAX))", Tx, Both, Without),
    op("wait_for_room(Some(t))", Tx, Both, Given),
    op("try_pop", Rx, Both, Try),
    op("try_pop_into", Rx, Both, Try),
    op("read", Rx, Both, Try),
    op("pop_slice", Rx, Typed, Try),
    op("pop", Rx, Both, Without),
    op("pop_into", Rx, Both, Without),
    op("pop_timeout(MAX)", Rx, Both, Without),
    op("pop_timeout(t)", Rx, Both, Given),
    op("pop_into_timeout(MAX)", Rx, Records, Without),
    op("pop_into_timeout(t)", Rx, Records, Given),
    op("wait_for_message(None)", Rx, Both, Without),
    op("wait_for_message(Some(MAX))", Rx, Both, Without),
    op("wait_for_message(Some(t))", Rx, Both, Given),
];

impl Op {
    pub fn called(name: &str) -> Self {
        OPS.into_iter().find(|op| op.name == name).unwrap_or_else(|| panic!("no operation {name:?}"))
    }
}
