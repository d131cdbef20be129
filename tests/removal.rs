//! The end of a ring: removed while it is in use, by the library or past it, and by whoever is the
//! last to leave. Nothing leaks, in no order of leaving.

mod common;
#[path = "common/raw.rs"]
mod raw;
#[path = "common/traced.rs"]
mod traced;

use common::{TestChild, TestName, child_role, listen, objects, say, watchdog};
use raw::{
    Cleanup, RawSegment, ids_are_gone, is_gone, sem_of, sem_remove, sem_stat, shm_of, shm_remove, shm_stat,
    soon,
};
use segring::{Error, Name, Observer, Peer, RingError, spsc};
use std::sync::Barrier;
use std::time::Duration;
use traced::{step, step_until, traced};

type Ring = spsc::Ring<u64>;

fn create(name: &TestName) -> Ring {
    Ring::builder(name.name()).capacity(8).create().unwrap()
}

fn attach(name: &TestName) -> Ring {
    Ring::builder(name.name()).attach().unwrap()
}

fn sem_id(ring: &Ring) -> i32 {
    ring.stats().unwrap().sem_id
}

#[test]
fn child_main() {
    let Some((role, args)) = child_role() else { return };
    if role == "leavers" {
        return leavers_role(&args[0]);
    }
    let ring = Ring::builder(&*args[0]).attach().unwrap();
    match role.as_str() {
        "attached" => {}
        "producer" => {
            let _tx = ring.producer().unwrap();
            say("here");
            listen();
            return;
        }
        "popper" => {
            let mut rx = ring.consumer().unwrap();
            say("here");
            say(&format!("{:?}", rx.pop()));
        }
        _ => panic!("unknown role {role}"),
    }
    say("here");
    listen();
}

fn spawn(role: &str, name: &TestName) -> TestChild {
    let mut child = TestChild::spawn(role, &[name.as_str()]);
    child.expect("here");
    child
}

fn leave(mut child: TestChild) {
    child.tell("leave");
    child.join();
}

/// Something that keeps a ring in use.
type User = Box<dyn Send>;

/// All orders of four things.
fn orders() -> Vec<[usize; 4]> {
    let mut all = Vec::new();
    for n in 0..256 {
        let order = [n % 4, n / 4 % 4, n / 16 % 4, n / 64];
        if (0..4).all(|i| order.contains(&i)) {
            all.push(order);
        }
    }
    all
}

#[test]
fn the_last_to_leave_a_removed_ring_takes_the_set_along() {
    assert_eq!(orders().len(), 24);
    for order in orders() {
        let name = TestName::new("orders");
        let ring = create(&name);
        let (id, set) = (ring.id(), sem_id(&ring));
        let mut users: [Option<User>; 4] = [
            Some(Box::new(ring.producer().unwrap())),
            Some(Box::new(ring.consumer().unwrap())),
            Some(Box::new(attach(&name))),
            Some(Box::new(Observer::attach(name.name()).unwrap())),
        ];
        ring.remove().unwrap();
        ring.remove().unwrap();
        drop(ring);
        for (gone, i) in order.into_iter().enumerate() {
            assert!(shm_stat(id).is_some() && sem_stat(set).is_some(), "gone after {gone} of {order:?}");
            drop(users[i].take());
        }
        assert!(ids_are_gone(id, set), "{order:?} left something");
        assert!(is_gone(name.key()));
    }
}

#[test]
fn the_last_process_to_leave_takes_the_set_along() {
    for killed_first in [true, false] {
        let name = TestName::new("processes");
        let ring = create(&name);
        let mut producer = spawn("producer", &name);
        let attached = spawn("attached", &name);
        ring.remove().unwrap();
        drop(ring);
        assert_eq!((shm_of(name.key()), sem_of(name.key()).is_some()), (None, true));
        if killed_first {
            producer.kill();
            leave(attached);
        } else {
            leave(attached);
            leave(producer);
        }
        assert!(is_gone(name.key()));
    }
}

/// The name is free at once. The new ring has nothing in common with the old one, and nothing of it
/// goes when the old one does.
#[test]
fn a_new_ring_beside_a_removed_one() {
    let name = TestName::new("again");
    let old = create(&name);
    let other = attach(&name);
    let (mut old_tx, mut old_rx) = (old.producer().unwrap(), other.consumer().unwrap());
    old.remove().unwrap();
    assert!(matches!(Ring::builder(name.name()).attach(), Err(Error::NotFound { .. })));
    let new = create(&name);
    assert!(new.id() != old.id() && sem_id(&new) != sem_id(&old));
    let _guard = Cleanup::set(sem_id(&new));
    assert_eq!(attach(&name).id(), new.id());

    let (mut new_tx, mut new_rx) = (new.producer().unwrap(), new.consumer().unwrap());
    old_tx.try_push(1).unwrap();
    new_tx.try_push(2).unwrap();
    assert_eq!((old.len(), new.len()), (1, 1));
    assert_eq!((old_rx.pop(), new_rx.pop()), (Ok(1), Ok(2)));
    // Also a seat of the old one goes from hand to hand as before.
    drop(old_tx);
    let old_tx = other.producer().unwrap();

    let (old_id, old_set, new_id, new_set) = (old.id(), sem_id(&old), new.id(), sem_id(&new));
    drop((old_tx, old_rx, old, other));
    assert!(ids_are_gone(old_id, old_set));
    new_tx.try_push(3).unwrap();
    assert_eq!(new_rx.pop(), Ok(3));
    assert!(matches!(new.producer(), Err(Error::SeatTaken { .. })));
    let third = attach(&name);
    new.remove().unwrap();
    drop((new_tx, new_rx, new, third));
    assert!(ids_are_gone(new_id, new_set));
    assert!(is_gone(name.key()));
}

/// A removed ring that is only attached, with nobody on its seats, loses its set to the next ring
/// of its name: nobody can join it any more, so that no seat is shared by two rings.
#[test]
fn a_new_ring_beside_a_removed_one_without_seats() {
    let name = TestName::new("seatless");
    let old = create(&name);
    old.producer().unwrap().try_push(1).unwrap();
    old.remove().unwrap();
    // Until then it can be joined.
    drop(old.consumer().unwrap());
    for _ in 0..3 {
        let new = create(&name);
        for e in [old.producer().unwrap_err(), old.consumer().unwrap_err()] {
            assert!(matches!(e, Error::Removed { .. }), "{e:?}");
        }
        let (mut tx, mut rx) = (new.producer().unwrap(), new.consumer().unwrap());
        assert!(matches!(old.producer(), Err(Error::Removed { .. })));
        assert_eq!(old.stats().unwrap().producer, Peer::Unknown);
        tx.try_push(2).unwrap();
        assert_eq!((rx.pop(), old.len()), (Ok(2), 1));
        new.remove().unwrap();
    }
    let last = create(&name);
    drop(old);
    last.producer().unwrap().try_push(1).unwrap();
    last.remove().unwrap();
    drop(last);
    assert!(is_gone(name.key()));
}

#[test]
fn a_removed_ring_is_found_by_its_id() {
    let name = TestName::new("by-id");
    let ring = create(&name);
    let mut tx = ring.producer().unwrap();
    tx.try_push(1).unwrap();
    ring.remove().unwrap();
    let same = Ring::builder(Name::id(ring.id())).attach().unwrap();
    let stats = same.stats().unwrap();
    assert!(stats.removed && stats.key == 0 && stats.name == name.as_str(), "{stats:?}");
    assert_eq!(stats.producer, Peer::Live { pid: std::process::id() });
    let mut rx = same.consumer().unwrap();
    assert_eq!(rx.pop(), Ok(1));
    tx.try_push(2).unwrap();
    assert_eq!(rx.pop(), Ok(2));
    let listed = segring::list().unwrap();
    assert!(listed.iter().any(|l| l.shm_id == ring.id() && l.removed && l.key == 0));
}

/// With a live peer a removed ring works on; without one a waiter is told, after the messages.
#[test]
fn waiting_on_a_removed_ring() {
    let _watchdog = watchdog("waiting_on_a_removed_ring");
    let name = TestName::new("waiting");
    let ring = create(&name);
    let mut rx = ring.consumer().unwrap();
    let mut tx = ring.producer().unwrap();
    tx.try_push(1).unwrap();
    ring.remove().unwrap();
    assert_eq!(rx.pop(), Ok(1));
    assert_eq!(rx.pop_timeout(Duration::from_millis(60)), Err(RingError::TimedOut));
    assert_eq!(tx.push_slice(&[1; 9]), Ok(8));
    let full = tx.push_timeout(2, Duration::from_millis(60)).map_err(|r| r.error);
    assert_eq!(full, Err(RingError::TimedOut));
    drop(tx);
    assert_eq!(rx.pop_slice(&mut [0; 9]), Ok(8));
    assert_eq!(rx.pop(), Err(RingError::PeerGone { died: false }));
    assert_eq!(rx.pop(), Err(RingError::Removed));
    assert_eq!(rx.pop_timeout(Duration::ZERO), Err(RingError::Removed));
    // Whoever has it attached may still join.
    let mut tx = ring.producer().unwrap();
    tx.try_push(3).unwrap();
    assert_eq!(rx.pop(), Ok(3));
    drop(rx);
    assert_eq!(tx.push_slice(&[1; 9]), Ok(8));
    let told = [(); 2].map(|()| tx.push(9).map_err(|r| r.error));
    assert_eq!(told, [Err(RingError::PeerGone { died: false }), Err(RingError::Removed)]);
}

#[test]
fn a_sleeper_is_told_of_the_removal() {
    let _watchdog = watchdog("a_sleeper_is_told_of_the_removal");
    let name = TestName::new("sleeper");
    let ring = create(&name);
    let raw = RawSegment::attach(ring.id());
    let mut child = spawn("popper", &name);
    // The consumer's futex word, see `docs/layout.md`.
    while raw.get_i32(1024 + 2 * 128 + 2 * 128 + 4) == 0 {
        std::thread::yield_now();
    }
    ring.remove().unwrap();
    child.expect("Err(Removed)");
}

/// `ipcrm -m`: as if the library had removed it.
#[test]
fn the_segment_alone_is_removed() {
    let _watchdog = watchdog("the_segment_alone_is_removed");
    let name = TestName::new("ipcrm-m");
    let ring = create(&name);
    let (id, set) = (ring.id(), sem_id(&ring));
    let mut tx = ring.producer().unwrap();
    let mut rx = ring.consumer().unwrap();
    shm_remove(id);
    tx.push(1).unwrap();
    assert_eq!(rx.pop(), Ok(1));
    drop(tx);
    assert_eq!(rx.pop(), Err(RingError::PeerGone { died: false }));
    assert_eq!(rx.pop(), Err(RingError::Removed));
    assert!(ring.stats().unwrap().removed);
    assert!(matches!(Ring::builder(name.name()).attach(), Err(Error::NotFound { .. })));
    ring.remove().unwrap();
    drop((ring, rx));
    assert!(ids_are_gone(id, set));
}

/// `ipcrm -s`: nobody's life can be told any more, so nobody is succeeded, and slow paths say so.
#[test]
fn the_set_alone_is_removed() {
    let _watchdog = watchdog("the_set_alone_is_removed");
    let name = TestName::new("ipcrm-s");
    let ring = create(&name);
    let mut tx = ring.producer().unwrap();
    let mut rx = ring.consumer().unwrap();
    sem_remove(sem_id(&ring));
    for i in 0..20 {
        tx.push(i).unwrap();
        assert_eq!(rx.pop(), Ok(i));
    }
    assert_eq!(rx.pop(), Err(RingError::Removed));
    assert_eq!(rx.pop_timeout(Duration::from_secs(5)), Err(RingError::Removed));
    assert_eq!(tx.push_slice(&[7; 9]), Ok(8));
    assert_eq!(tx.push(8).map_err(|r| r.error), Err(RingError::Removed));
    assert_eq!(rx.pop(), Ok(7), "what is there can still be taken");
    drop(tx);
    for e in [ring.producer().unwrap_err(), attach(&name).producer().unwrap_err()] {
        assert!(matches!(e, Error::Removed { .. }), "{e:?}");
        assert!(e.to_string().contains("semctl(GETVAL)") && e.to_string().contains("create it anew"), "{e}");
    }
    assert_eq!(ring.stats().unwrap().consumer, Peer::Unknown);
    // The ring itself is there until somebody removes it, and then its name is free.
    assert!(matches!(Ring::builder(name.name()).create(), Err(Error::Exists { .. })));
    ring.remove().unwrap();
    let new = create(&name);
    new.producer().unwrap().try_push(1).unwrap();
    drop((ring, rx));
    new.producer().unwrap();
    new.remove().unwrap();
    drop(new);
    assert!(is_gone(name.key()));
}

#[test]
fn everybody_is_killed_after_the_removal() {
    let name = TestName::new("all-killed");
    let ring = create(&name);
    let (id, set) = (ring.id(), sem_id(&ring));
    let mut children = [spawn("producer", &name), spawn("attached", &name)];
    ring.remove().unwrap();
    // The last one here: the set stays, for the children.
    drop(ring);
    children.iter_mut().for_each(TestChild::kill);
    assert!(soon(|| shm_stat(id).is_none()), "the kernel keeps the memory");
    assert_eq!(objects(name.key()), (false, true));
    let new = create(&name);
    assert_eq!(sem_id(&new), set, "the orphaned set was not used again");
    assert_eq!(new.stats().unwrap().producer, Peer::NeverJoined);
    new.producer().unwrap();
    new.remove().unwrap();
    drop(new);
    assert!(is_gone(name.key()));
}

fn ephemeral(name: &TestName) -> Ring {
    Ring::builder(name.name()).capacity(8).ephemeral(true).create().unwrap()
}

#[test]
fn an_ephemeral_ring_goes_with_the_last_leaver() {
    for producer_first in [true, false] {
        let name = TestName::new("ephemeral");
        let ring = ephemeral(&name);
        assert!(ring.stats().unwrap().ephemeral);
        // Nobody has joined: attaching and detaching removes nothing.
        drop(attach(&name));
        let (mut tx, rx) = (ring.producer().unwrap(), attach(&name).consumer().unwrap());
        tx.try_push(1).unwrap();
        if producer_first {
            drop(tx);
            assert!(!ring.stats().unwrap().removed);
            drop(rx);
        } else {
            drop(rx);
            assert!(!ring.stats().unwrap().removed);
            drop(tx);
        }
        assert!(ring.stats().unwrap().removed);
        assert_eq!(shm_of(name.key()), None);
        drop(ring);
        assert!(is_gone(name.key()));
    }
}

#[test]
fn an_ephemeral_ring_after_a_kill() {
    let name = TestName::new("ephemeral-kill");
    let ring = ephemeral(&name);
    let rx = ring.consumer().unwrap();
    let mut child = spawn("producer", &name);
    child.kill();
    assert!(!ring.stats().unwrap().removed);
    drop((rx, ring));
    assert!(is_gone(name.key()));

    // If all are killed it stays, with what is in it, for whoever comes next.
    let ring = ephemeral(&name);
    let mut tx = ring.producer().unwrap();
    tx.try_push(4).unwrap();
    let mut child = spawn("popper", &name);
    child.expect("Ok(4)");
    std::mem::forget((tx, ring));
    // This process stays attached; the child's leaving does not end what the producer has.
    child.wait();
    assert!(!attach(&name).stats().unwrap().removed);
}

/// Two that leave at the same time: one of them must be the last. One is held at each system call
/// of its leaving, in turn, while the other leaves.
#[test]
fn two_leave_an_ephemeral_ring_at_once() {
    let name = TestName::new("at-once");
    let mut child = TestChild::spawn("leavers", &[name.as_str()]);
    let stops: u32 = child.hear().expect("alive").parse().expect("a number");
    assert!(stops > 10, "only {stops} stops");
    child.join();
}

fn leavers_role(name: &str) {
    let name = TestName::called(name);
    for stop in 0.. {
        let ring = ephemeral(&name);
        let rx = ring.consumer().unwrap();
        // Joining is not what is looked at: it goes on until it has joined.
        let leaver = traced(|| {
            let tx = Ring::builder(name.name()).attach().unwrap().producer().unwrap();
            drop(tx);
            true
        });
        let set = sem_id(&ring);
        step_until(leaver, || raw::sem_value(set, raw::PRODUCER) == 1);
        let reached = (0..=stop).all(|_| step(leaver));
        drop(rx);
        while reached && step(leaver) {}
        assert!(ring.stats().unwrap().removed, "held at stop {stop}: the ring stayed");
        drop(ring);
        assert!(is_gone(name.key()), "held at stop {stop}: something is left");
        if !reached {
            return say(&stop.to_string());
        }
    }
}

/// The last user of a removed ring leaves while somebody makes a new one of that name.
#[test]
fn leaving_the_old_while_making_the_new() {
    let name = TestName::new("old-new");
    for round in 0..1000 {
        let old = create(&name);
        let tx = (round % 2 == 0).then(|| old.producer().unwrap());
        old.remove().unwrap();
        let barrier = Barrier::new(2);
        let new = std::thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                drop((tx, old));
            });
            barrier.wait();
            create(&name)
        });
        let _guard = Cleanup::set(sem_id(&new));
        new.producer().unwrap_or_else(|e| panic!("round {round}: {e}")).try_push(1).unwrap();
        assert_eq!(attach(&name).consumer().unwrap().try_pop(), Ok(1));
        new.remove().unwrap();
        drop(new);
        assert!(is_gone(name.key()), "round {round}: something is left");
    }
}
