//! Kills inside single operations, made exactly: the words of a hand are set back to what a process
//! leaves that is killed there. (`tests/kill_sweep` kills at every instruction.)

use super::slots::{HAND, hands};
use super::{Ring, attach, check_clean, create};
use crate::common::{TestChild, TestName, listen, say, watchdog};
use crate::raw::RawSegment;
use segring::RingError;

/// Offsets in a hand, by docs/layout.md.
const CUR: usize = 0;
const NOW: usize = 8;
const REL: usize = 16;

/// Pops one message, and says which.
pub(super) fn pop_role(name: &str) {
    let mut rx = attach(name).consumer().expect("a seat");
    say(&rx.pop().expect("a message").to_string());
    listen();
}

/// The words of each hand: (where, cur, now, rel).
fn words(raw: &RawSegment) -> Vec<(usize, u64, u64, u64)> {
    let (first, count) = hands(raw);
    let word = |at| raw.get_u64(at);
    let hand = |at| (at, word(at + CUR), word(at + NOW), word(at + REL));
    (0..count).map(|i| hand(first + HAND * i)).collect()
}

/// Lets a process do one operation, and kills it. Gives its hand before and after.
fn one_operation(raw: &RawSegment, role: &str, name: &TestName, says: &str) -> (usize, [u64; 3], [u64; 3]) {
    let before = words(raw);
    let mut child = TestChild::spawn(role, &[name.as_str(), "1"]);
    child.expect(says);
    child.kill();
    let mut changed = before.iter().zip(words(raw)).filter(|(old, new)| *old != new);
    let (old, new) = changed.next().expect("a hand has moved");
    assert_eq!(changed.count(), 0, "one hand");
    (old.0, [old.1, old.2, old.3], [new.1, new.2, new.3])
}

fn come_back(ring: &Ring, value: u64) {
    let _watchdog = watchdog("a message that comes back");
    let mut rx = ring.consumer().unwrap();
    assert_eq!((rx.pop(), rx.redelivered()), (Ok(value), true));
    assert_eq!(rx.try_pop(), Err(RingError::Empty));
    drop(rx);
    check_clean(ring);
}

/// Everybody copies. Before `rel`, it is not delivered; after it, it is.
#[test]
fn killed_in_a_copying_pop() {
    for (what, cur_too, comes_back) in
        [("after the mark", false, false), ("before the mark", false, true), ("before cur", true, true)]
    {
        let name = TestName::new("dead-copying");
        let ring = create(&name, 2, 3, 1);
        let raw = RawSegment::attach(ring.id());
        let mut tx = ring.producer().unwrap();
        tx.push(6).unwrap();
        let (hand, old, new) = one_operation(&raw, "pop", &name, "6");
        assert_eq!((new[0], new[0]), (new[1], new[2]), "finished");
        if comes_back {
            raw.put_u64(hand + REL, old[2]);
        }
        if cur_too {
            raw.put_u64(hand + CUR, old[0]);
        }
        drop((tx, raw));
        if comes_back {
            come_back(&ring, 6);
        } else {
            let mut rx = ring.consumer().unwrap();
            assert_eq!(rx.try_pop(), Err(RingError::Empty), "{what}");
            drop(rx);
            let _ = ring.recover().unwrap();
            check_clean(&ring);
        }
    }
}

/// Before the CAS: only the intent is there. The message is still in the ring, and nobody has had it.
#[test]
fn killed_before_the_exchange() {
    let name = TestName::new("dead-before");
    let ring = create(&name, 2, 3, 1);
    let raw = RawSegment::attach(ring.id());
    let mut tx = ring.producer().unwrap();
    tx.push(6).unwrap();
    let entries = raw.get_u64(112) as usize;
    let entry = raw.get_u64(entries);
    let (hand, old, _) = one_operation(&raw, "pop", &name, "6");
    raw.put_u64(entries, entry);
    raw.put_u64(hand + CUR, old[0]);
    raw.put_u64(hand + REL, old[2]);
    drop((tx, raw));
    let mut rx = ring.consumer().unwrap();
    assert_eq!((rx.try_pop(), rx.redelivered()), (Ok(6), false));
    assert_eq!(rx.try_pop(), Err(RingError::Empty));
    drop(rx);
    check_clean(&ring);
}

/// After the CAS and before `cur`: the message is in the ring, and the hand owns what it got for it,
/// however far the ring has gone on when somebody finds that out.
#[test]
fn killed_in_a_push() {
    for laps in [0, 1, 2, 5] {
        for adopt_first in [false, true] {
            let name = TestName::new("dead-push");
            let ring = create(&name, 2, 8, 1);
            let raw = RawSegment::attach(ring.id());
            // They join before it dies, and so do not repair it.
            let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
            let (hand, old, new) = one_operation(&raw, "push", &name, "pushed");
            assert_eq!(new[0], new[1], "finished");
            raw.put_u64(hand + CUR, old[0]);
            if adopt_first {
                assert_eq!(ring.recover().unwrap().seats, 1);
            }
            assert_eq!((rx.try_pop(), rx.redelivered()), (Ok(0), false));
            for i in 0..2 * laps {
                tx.try_push(i).unwrap();
                assert_eq!((rx.try_pop(), rx.redelivered()), (Ok(i), false));
            }
            let found = ring.recover().unwrap();
            assert_eq!((found.seats, found.messages), (usize::from(!adopt_first), 0), "{laps}");
            assert_eq!(raw.get_u64(hand + CUR), new[0], "{laps} laps: it is done");
            drop((tx, rx, raw));
            check_clean(&ring);
        }
    }
}
