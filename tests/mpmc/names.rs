//! Rings of other sizes under the same name, one after the other.

use crate::common::{TestName, objects};
use crate::raw::{ids_are_gone, is_gone};
use segring::{mpmc, spsc};

fn many(name: &TestName, seats: u32) -> mpmc::Ring<u64> {
    mpmc::Ring::builder(name.name()).seats(seats).create().unwrap()
}

/// The old ring is removed and in use: the new one gets a set of its own, of its size.
#[test]
fn another_number_of_seats_while_the_old_ring_is_in_use() {
    let name = TestName::new("more-seats");
    let old = many(&name, 4);
    let mut tx = old.producer().unwrap();
    old.remove().unwrap();
    let new = many(&name, 8);
    let one = spsc::Ring::<u64>::builder(name.name()).attach().unwrap_err();
    assert!(matches!(one, segring::Error::WrongKind { .. }), "{one}");
    let all: Vec<_> = (0..8).map(|_| new.producer().unwrap()).collect();
    tx.push(1).unwrap();
    assert_eq!(old.consumer().unwrap().pop(), Ok(1));
    let (old_set, new_set) = (old.stats().unwrap().sem_id, new.stats().unwrap().sem_id);
    assert!(old_set != new_set);
    new.remove().unwrap();
    let (old_id, new_id) = (old.id(), new.id());
    drop((all, new));
    drop((tx, old));
    assert!(ids_are_gone(old_id, old_set) && ids_are_gone(new_id, new_set));
    assert!(is_gone(name.key()));
}

/// Nobody sits in the old one: its set is of no use to anybody, and makes room for one of the new size.
#[test]
fn another_number_of_seats_when_nobody_sits_there() {
    let name = TestName::new("other-kind");
    let old = many(&name, 4);
    old.remove().unwrap();
    let new = spsc::Ring::<u64>::builder(name.name()).create().unwrap();
    assert!(old.producer().is_err(), "it has no set any more");
    new.producer().unwrap().push(1).unwrap();
    assert_eq!(new.consumer().unwrap().pop(), Ok(1));
    new.remove().unwrap();
    drop((old, new));
    assert_eq!(objects(name.key()), (false, false));
}
