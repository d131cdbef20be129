//! The SPSC ring in one process: the contract of names, and what each call says.

mod common;

use common::TestName;
use segring::{Error, Layout, Observer, RingError, spsc};
use std::time::Duration;

#[test]
fn an_observer_is_shown_by_name_id_and_kind() {
    let name = TestName::new("shown");
    let ring = spsc::Ring::<u64>::builder(name.name()).create().unwrap();
    let shown = format!("{:?}", Observer::attach(name.name()).unwrap());
    let wanted = format!("Observer {{ name: {:?}, id: {}, kind: Spsc, .. }}", name.name(), ring.id());
    assert_eq!(shown, wanted);
}

#[test]
fn the_contract_of_names() {
    let name = TestName::new("contract");
    let ring = spsc::Ring::<u64>::builder(name.name())
        .capacity(4000)
        .schema("tick.v1")
        .mode(0o600)
        .create()
        .unwrap();
    assert_eq!(ring.capacity(), 4096);
    let mut tx = ring.producer().unwrap();
    let mut rx = ring.consumer().unwrap();
    tx.try_push(1).unwrap();
    tx.push(2).unwrap();
    tx.push_timeout(3, Duration::ZERO).unwrap();
    tx.push_ref(&4).unwrap();
    assert_eq!(tx.push_slice(&[5, 6, 7, 8]), Ok(4));
    assert_eq!(ring.len(), 8);
    assert_eq!(rx.try_pop(), Ok(1));
    assert_eq!(rx.pop(), Ok(2));
    assert_eq!(rx.pop_timeout(Duration::ZERO), Ok(3));
    let mut one = 0;
    rx.pop_into(&mut one).unwrap();
    assert_eq!(one, 4);
    let mut many = [0; 8];
    assert_eq!(rx.pop_slice(&mut many), Ok(4));
    assert_eq!(many[..4], [5, 6, 7, 8]);
    assert_eq!(rx.pop_slice(&mut many), Ok(0));
    assert_eq!(rx.pop_timeout(Duration::ZERO), Err(RingError::TimedOut));
    assert_eq!((tx.position(), rx.position()), (8, 8));
    assert!(!rx.is_closed());
    tx.close();
    assert!(rx.is_closed() && ring.is_closed());
    assert_eq!(tx.try_push(9).unwrap_err().error, RingError::Closed);
    assert_eq!(rx.pop(), Err(RingError::Closed));
    let stats = ring.stats().unwrap();
    assert_eq!((stats.pushed, stats.popped, stats.len, stats.closed), (8, 8, 0, true));
    ring.remove().unwrap();
}

fn in_place(layout: Layout) {
    let name = TestName::new("in-place");
    let ring = spsc::Ring::<u64>::builder(name.name()).capacity(8).layout(layout).create().unwrap();
    let tx = ring.producer().unwrap();
    let rx = ring.consumer().unwrap();
    // SAFETY: this test is the only user of the ring.
    let mut tx = unsafe { tx.trust_peers() };
    // SAFETY: as above.
    let mut rx = unsafe { rx.trust_peers() };
    let mut next = 0;
    let mut expected = 0;
    for round in 0..50 {
        let mut grant = tx.reserve(5).unwrap();
        let n = grant.len();
        for slot in grant.iter_mut() {
            *slot = next;
            next += 1;
        }
        // Every third time the last one is not committed: it must not be seen.
        let keep = if round % 3 == 0 { n - 1 } else { n };
        next -= (n - keep) as u64;
        assert_eq!(grant.commit(keep), keep);
        if let Ok(mut dropped) = tx.reserve(1) {
            dropped.iter_mut().for_each(|s| *s = 999);
        }
        let grant = rx.read(64).unwrap();
        assert_eq!(grant.as_slices().is_some(), layout == Layout::Dense);
        for (i, item) in grant.iter().enumerate() {
            assert_eq!(*item, expected + i as u64);
        }
        let n = grant.release(64);
        assert_eq!(n, keep);
        expected += n as u64;
    }
    assert_eq!((tx.position(), rx.position()), (expected, expected));
}

#[test]
fn in_place_dense() {
    in_place(Layout::Dense);
}

#[test]
fn in_place_stamped() {
    in_place(Layout::Stamped);
}

#[test]
fn a_second_producer_is_refused_by_pid() {
    let name = TestName::new("second");
    let ring = spsc::Ring::<u64>::builder(name.name()).create().unwrap();
    let tx = ring.producer().unwrap();
    match ring.producer() {
        Err(Error::SeatTaken { pid, .. }) => assert_eq!(pid, std::process::id()),
        other => panic!("{other:?}"),
    }
    drop(tx);
    ring.producer().unwrap();
}

#[test]
fn the_promise_stays_with_its_handle() {
    let (name, other) = (TestName::new("trusted"), TestName::new("stranger"));
    let ring = spsc::Ring::<u64>::builder(name.name()).create().unwrap();
    let stranger = spsc::Ring::<u64>::builder(other.name()).create().unwrap();
    // SAFETY: this test is the only user of the ring.
    let mut tx = unsafe { ring.producer().unwrap().trust_peers() };
    assert!(tx.reserve(0).is_ok_and(|grant| grant.len() == 1));
    *tx = stranger.producer().unwrap();
    assert_eq!(tx.reserve(1).err(), Some(RingError::Untrusted));
    tx.try_push(1).unwrap();
}

#[test]
fn a_renamed_file_keeps_its_ring() {
    let old = std::env::temp_dir().join(TestName::new("old").as_str());
    let new = std::env::temp_dir().join(TestName::new("new").as_str());
    std::fs::write(&old, "").unwrap();
    let made = spsc::Ring::<u64>::builder(segring::Name::path(&old)).create();
    let renamed = std::fs::rename(&old, &new);
    let found = spsc::Ring::<u64>::builder(segring::Name::path(&new)).attach().map(|ring| ring.id());
    let ring = made.and_then(|ring| ring.remove().map(|()| ring.id()));
    std::fs::remove_file(&new).unwrap();
    renamed.unwrap();
    assert_eq!(found.unwrap(), ring.unwrap());
}
