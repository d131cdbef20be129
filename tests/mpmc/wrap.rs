//! Laps and positions that go around: rings that begin just before it.

use crate::common::{TestName, watchdog};
use crate::raw::RawSegment;
use segring::{RingError, mpmc};

/// The offsets in the header, by docs/layout.md.
const CURSORS_OFFSET: usize = 104;
const ENTRIES_OFFSET: usize = 112;

/// Makes a ring look as if `position` messages had gone through it.
fn advance(raw: &RawSegment, capacity: u64, position: u64) {
    let cursors = raw.get_u64(CURSORS_OFFSET) as usize;
    let entries = raw.get_u64(ENTRIES_OFFSET) as usize;
    for cursor in [cursors, cursors + 128] {
        raw.put(cursor, &position.to_le_bytes());
    }
    for i in 0..capacity {
        // The first position at this entry that has not been.
        let next = position + (i.wrapping_sub(position) & (capacity - 1));
        let word = (next / capacity) << 25 | i;
        raw.put(entries + 8 * i as usize, &word.to_le_bytes());
    }
}

fn around(capacity: u64, position: u64) {
    let _watchdog = watchdog("around the wrap");
    let name = TestName::new("wrap");
    let ring =
        mpmc::Ring::<u64>::builder(name.name()).capacity(capacity as usize).in_hand(2).create().unwrap();
    advance(&RawSegment::attach(ring.id()), capacity, position);
    assert_eq!(ring.len(), 0);
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut next = 0;
    for round in 0..20 {
        for i in 0..capacity {
            tx.try_push(round * 1000 + i).unwrap();
        }
        assert_eq!(tx.try_push(0).unwrap_err().error, RingError::Full);
        for i in 0..capacity {
            assert_eq!(rx.try_pop(), Ok(round * 1000 + i), "round {round}");
            next += 1;
        }
        assert_eq!(rx.try_pop(), Err(RingError::Empty));
    }
    let stats = ring.stats().unwrap();
    assert_eq!((stats.pushed, stats.popped), (position + next, position + next));
    // Newcomers find their place by the shared hints.
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    tx.try_push(5).unwrap();
    assert_eq!(rx.try_pop(), Ok(5));
    tx.close().unwrap();
    assert_eq!(rx.try_pop(), Err(RingError::Closed));
}

/// Laps are 39 bits.
#[test]
fn laps_go_around() {
    for capacity in [1, 2, 8] {
        for before in [0, 1, 3, 5 * capacity] {
            around(capacity, (1 << 39) * capacity - before);
        }
    }
}

/// So are the positions in hands.
#[test]
fn positions_go_around() {
    for capacity in [1, 2, 8] {
        for before in [0, 1, 3, 5 * capacity] {
            around(capacity, (1 << 39) - before);
        }
    }
}

#[test]
fn threads_go_around_together() {
    let _watchdog = watchdog("threads around the wrap");
    for capacity in [1u64, 4] {
        let name = TestName::new("wrap-threads");
        let ring = mpmc::Ring::<u64>::builder(name.name()).capacity(capacity as usize).create().unwrap();
        advance(&RawSegment::attach(ring.id()), capacity, (1 << 39) * capacity - 500);
        let sum: u64 = std::thread::scope(|scope| {
            for who in 0..2u64 {
                let mut tx = ring.producer().unwrap();
                scope.spawn(move || (0..1000).for_each(|i| tx.push(who * 1000 + i).unwrap()));
            }
            let takers: Vec<_> = (0..2)
                .map(|_| {
                    let mut rx = ring.consumer().unwrap();
                    scope.spawn(move || (0..1000).map(|_| rx.pop().unwrap()).sum::<u64>())
                })
                .collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });
        assert_eq!(sum, (0..2000).sum());
    }
}

/// A handle that has slept while others went around: what it remembers is more than half of all laps old.
#[test]
fn a_handle_that_has_slept_half_the_laps() {
    for laps in [(1u64 << 38) - 1, 1 << 38, (1 << 38) + 1, (1 << 39) - 2] {
        let name = TestName::new("slept");
        let ring = mpmc::Ring::<u64>::builder(name.name()).capacity(2).create().unwrap();
        let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
        tx.try_push(1).unwrap();
        assert_eq!(rx.try_pop(), Ok(1));
        let raw = RawSegment::attach(ring.id());
        // The slots are where the two operations have left them: only the laps change.
        let entries = raw.get_u64(ENTRIES_OFFSET) as usize;
        let slots: Vec<u64> = (0..2).map(|i| raw.get_u64(entries + 8 * i) & ((1 << 23) - 1)).collect();
        advance(&raw, 2, laps * 2);
        for (i, slot) in slots.iter().enumerate() {
            raw.put_u64(entries + 8 * i, laps << 25 | slot);
        }
        tx.try_push(2).unwrap();
        assert_eq!(rx.try_pop(), Ok(2), "{laps} laps");
        assert_eq!(rx.try_pop(), Err(RingError::Empty));
    }
}
