//! The operations, by the names that the document gives them.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Stamped,
    Dense,
    Bytes,
    Mpmc,
    MpmcBytes,
    /// Many producers, many consumers, and the messages in the entries.
    Inline,
}

impl Kind {
    /// Many producers, many consumers.
    pub fn is_mpmc(self) -> bool {
        MANY.contains(&self)
    }

    /// Whether a consumer may hold messages, which come back.
    pub fn redelivers(self) -> bool {
        MPMC.contains(&self)
    }
}

pub const KINDS: [Kind; 6] =
    [Kind::Stamped, Kind::Dense, Kind::Bytes, Kind::Mpmc, Kind::MpmcBytes, Kind::Inline];

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

// Which rings have it.
const ALL: &[Kind] = &KINDS;
const TYPED: &[Kind] = &[Kind::Stamped, Kind::Dense, Kind::Mpmc, Kind::Inline];
const RECORDS: &[Kind] = &[Kind::Bytes, Kind::MpmcBytes];
const SPSC: &[Kind] = &[Kind::Stamped, Kind::Dense, Kind::Bytes];
const DRAINS: &[Kind] = &[Kind::Bytes];
const MANY: &[Kind] = &[Kind::Mpmc, Kind::MpmcBytes, Kind::Inline];
const MPMC: &[Kind] = &[Kind::Mpmc, Kind::MpmcBytes];
const TYPED_MPMC: &[Kind] = &[Kind::Mpmc];
const RECORDS_MPMC: &[Kind] = &[Kind::MpmcBytes];

/// An operation: its name, its side, the rings that have it.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    pub name: &'static str,
    pub side: Side,
    rings: &'static [Kind],
    pub limit: Limit,
}

impl Op {
    pub fn is_on(self, kind: Kind) -> bool {
        self.rings.contains(&kind)
    }

    /// The times to call it with. Any stands for all where it takes none.
    pub fn times(self) -> &'static [Duration] {
        const ZERO: Duration = Duration::ZERO;
        const SHORT: Duration = Duration::from_millis(5);
        if self.limit == Limit::Given { &[ZERO, SHORT] } else { &[ZERO] }
    }
}

use Limit::{Given, Try, Without};
use Side::{Consumer as Rx, Producer as Tx};

const fn op(name: &'static str, side: Side, rings: &'static [Kind], limit: Limit) -> Op {
    Op { name, side, rings, limit }
}

/// After it, the ring is in another state.
pub const CLOSE: &str = "close";

/// All of them. `t` stands for zero and for more, `MAX` for `Duration::MAX`.
pub const OPS: [Op; 38] = [
    op("wait_until_drained(None)", Tx, DRAINS, Without),
    op("wait_until_drained(Some(MAX))", Tx, DRAINS, Without),
    op("wait_until_drained(Some(t))", Tx, DRAINS, Given),
    op("try_push", Tx, ALL, Try),
    op("try_push_ref", Tx, TYPED, Try),
    op("reserve", Tx, SPSC, Try),
    op("push_slice", Tx, TYPED, Try),
    op("push", Tx, ALL, Without),
    op("push_ref", Tx, TYPED, Without),
    op("push_timeout(MAX)", Tx, ALL, Without),
    op("push_timeout(t)", Tx, ALL, Given),
    op("wait_for_room(None)", Tx, ALL, Without),
    op("wait_for_room(Some(MAX))", Tx, ALL, Without),
    op("wait_for_room(Some(t))", Tx, ALL, Given),
    op("slot", Tx, TYPED_MPMC, Try),
    op("byte_slot", Tx, RECORDS_MPMC, Try),
    op("publish", Tx, MPMC, Try),
    op("publish_timeout(None)", Tx, MPMC, Without),
    op("publish_timeout(Some(MAX))", Tx, MPMC, Without),
    op("publish_timeout(Some(t))", Tx, MPMC, Given),
    op(CLOSE, Tx, MANY, Try),
    op("try_pop", Rx, ALL, Try),
    op("try_pop_into", Rx, ALL, Try),
    op("read", Rx, SPSC, Try),
    op("pop_slice", Rx, TYPED, Try),
    op("pop", Rx, ALL, Without),
    op("pop_into", Rx, ALL, Without),
    op("pop_timeout(MAX)", Rx, ALL, Without),
    op("pop_timeout(t)", Rx, ALL, Given),
    op("pop_into_timeout(MAX)", Rx, RECORDS, Without),
    op("pop_into_timeout(t)", Rx, RECORDS, Given),
    op("try_take", Rx, MPMC, Try),
    op("take", Rx, MPMC, Without),
    op("take_timeout(MAX)", Rx, MPMC, Without),
    op("take_timeout(t)", Rx, MPMC, Given),
    op("wait_for_message(None)", Rx, ALL, Without),
    op("wait_for_message(Some(MAX))", Rx, ALL, Without),
    op("wait_for_message(Some(t))", Rx, ALL, Given),
];

impl Kind {
    pub fn called(name: &str) -> Self {
        KINDS.into_iter().find(|kind| format!("{kind:?}") == name).expect("a kind")
    }
}

impl Op {
    pub fn called(name: &str) -> Self {
        OPS.into_iter().find(|op| op.name == name).unwrap_or_else(|| panic!("no operation {name:?}"))
    }
}
