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
        let ring = mpmc::Ring::<u64>::builder(name.name())
            .capacity(capacity as usize)
            .redelivery(true)
            .create()
            .unwrap();
        advance(&RawSegment::attach(ring.id()), capacity, (1 << 39) * capacity - 500);
        let sum: u64 = std::thread::scope(|scope| {
            // All join first: else one may come, take its part and leave before the next one is there.
            let receivers = [(); 2].map(|()| ring.consumer().unwrap());
            for who in 0..2u64 {
                let mut tx = ring.producer().unwrap();
                scope.spawn(move || (0..1000).for_each(|i| tx.push(who * 1000 + i).unwrap()));
            }
            let take = |mut rx: mpmc::Consumer<u64>| (0..1000).map(|_| rx.pop().unwrap()).sum::<u64>();
            let takers: Vec<_> = receivers.map(|rx| scope.spawn(move || take(rx))).into_iter().collect();
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
        let ring = mpmc::Ring::<u64>::builder(name.name()).capacity(2).redelivery(true).create().unwrap();
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

/// The same of a ring whose messages lie in its entries, of 16 bytes each.
fn advance_words(raw: &RawSegment, capacity: u64, position: u64) {
    let cursors = raw.get_u64(CURSORS_OFFSET) as usize;
    let entries = raw.get_u64(ENTRIES_OFFSET) as usize;
    for cursor in [cursors, cursors + 128] {
        raw.put_u64(cursor, position);
    }
    for i in 0..capacity {
        let next = position + (i.wrapping_sub(position) & (capacity - 1));
        raw.put_u64(entries + 16 * i as usize, (next / capacity) << 25);
    }
}

/// Pushes until the ring is full: `len` at a time, of which a producer of a small ring has one batch in it.
fn fill(tx: &mut mpmc::Producer<u64>, next: &mut u64, len: u64) {
    loop {
        let slice: Vec<u64> = (*next..*next + len).collect();
        match tx.push_slice(&slice).unwrap() {
            0 => break,
            n => *next += n as u64,
        }
    }
}

/// A batch is one.
fn entries(ring: &mpmc::Ring<u64>) -> u64 {
    let stats = ring.stats().unwrap();
    stats.pushed - stats.popped
}

fn words_around(capacity: u64, position: u64) {
    let _watchdog = watchdog("words around the wrap");
    let name = TestName::new("wrap");
    let ring = mpmc::Ring::<u64>::builder(name.name()).capacity(capacity as usize).create().unwrap();
    advance_words(&RawSegment::attach(ring.id()), capacity, position);
    assert_eq!(ring.len(), 0);
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let (mut next, mut expected, mut into) = (0, 0, [0; 3]);
    let rounds = 24;
    for round in 0..rounds {
        // Singles, batches, and batches that a predecessor has left in the ring.
        fill(&mut tx, &mut next, if round % 3 == 0 { 1 } else { 5 });
        assert_eq!(tx.try_push(0).unwrap_err().error, RingError::Full);
        assert_eq!(entries(&ring), capacity);
        assert!(ring.len() as u64 >= capacity, "a batch has several");
        if round % 3 == 2 {
            drop(tx);
            tx = ring.producer().unwrap();
            assert_eq!(tx.push_slice(&[0; 5]), Ok(0));
            // The batch is in front: a place for one message, and the block is not free before that.
            while entries(&ring) == capacity {
                assert_eq!((rx.try_pop(), expected), (Ok(expected), expected), "round {round}");
                expected += 1;
            }
            fill(&mut tx, &mut next, 5);
        }
        loop {
            let n = rx.pop_slice(&mut into).unwrap();
            assert!(into[..n].iter().copied().eq(expected..expected + n as u64), "round {round}: {into:?}");
            expected += n as u64;
            if n == 0 {
                break;
            }
        }
        assert_eq!(rx.try_pop(), Err(RingError::Empty));
    }
    assert_eq!(expected, next);
    // Positions are entries.
    let stats = ring.stats().unwrap();
    let entries = position + rounds * capacity + rounds / 3;
    assert_eq!((stats.pushed, stats.popped), (entries, entries));
    // Newcomers find their place by the shared hints.
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    assert_eq!((tx.push_slice(&[5; 5]), rx.pop_slice(&mut into)), (Ok(5), Ok(3)));
    tx.close().unwrap();
    assert_eq!((rx.pop_slice(&mut into), rx.try_pop()), (Ok(2), Err(RingError::Closed)));
}

#[test]
fn laps_of_words_go_around() {
    for capacity in [1, 2, 8] {
        for before in [0, 1, 3, 5 * capacity] {
            words_around(capacity, (1 << 39) * capacity - before);
        }
    }
}

/// A block is noted with its whole position, which an entry knows modulo its laps only.
#[test]
fn a_block_is_found_again_around_the_wrap() {
    for capacity in [1u64, 2, 8] {
        for before in [1, 2, 8] {
            let name = TestName::new("wrap");
            let ring = mpmc::Ring::<u64>::builder(name.name()).capacity(capacity as usize).create().unwrap();
            advance_words(&RawSegment::attach(ring.id()), capacity, (1 << 39) * capacity - before);
            let mut rx = ring.consumer().unwrap();
            for lap in 0..2 * before {
                // Each is the successor of the one before, on its seat.
                let mut tx = ring.producer().unwrap();
                assert_eq!(tx.push_slice(&[lap, 1, 2, 3, 4]), Ok(5), "capacity {capacity}, lap {lap}");
                drop(tx);
                let mut tx = ring.producer().unwrap();
                let rest = (capacity as usize - 1).min(5);
                assert_eq!(tx.push_slice(&[9, 8, 7, 6, 5]), Ok(rest), "its block is in the ring");
                drop(tx);
                let mut into = [0; 11];
                assert_eq!(rx.pop_slice(&mut into), Ok(5 + rest));
                assert_eq!(into[..5], [lap, 1, 2, 3, 4]);
            }
        }
    }
}

#[test]
fn threads_with_batches_go_around_together() {
    let _watchdog = watchdog("threads around the wrap");
    for capacity in [1u64, 4] {
        let name = TestName::new("wrap-threads");
        let ring = mpmc::Ring::<u64>::builder(name.name()).capacity(capacity as usize).create().unwrap();
        advance_words(&RawSegment::attach(ring.id()), capacity, (1 << 39) * capacity - 300);
        let sum: u64 = std::thread::scope(|scope| {
            // All join first, as above.
            let [mut first, mut rx] = [(); 2].map(|()| ring.consumer().unwrap());
            for who in 0..2u64 {
                let mut tx = ring.producer().unwrap();
                scope.spawn(move || {
                    let mut next = who * 3000;
                    while next < (who + 1) * 3000 {
                        let len = (next % 9).min((who + 1) * 3000 - next);
                        let slice: Vec<u64> = (next..next + len).collect();
                        match tx.push_slice(&slice).unwrap() as u64 {
                            0 => {
                                tx.push(next).unwrap();
                                next += 1;
                            }
                            n => next += n,
                        }
                    }
                });
            }
            let other = scope.spawn(move || (0..3000).map(|_| first.pop().unwrap()).sum::<u64>());
            let (mut left, mut sum, mut into) = (3000, 0, [0; 7]);
            while left > 0 {
                rx.wait_for_message(None).unwrap();
                let most = left.min(7);
                let n = rx.pop_slice(&mut into[..most]).unwrap();
                sum += into[..n].iter().sum::<u64>();
                left -= n;
            }
            sum + other.join().unwrap()
        });
        assert_eq!(sum, (0..6000).sum());
    }
}

#[test]
fn a_handle_of_words_that_has_slept_half_the_laps() {
    for laps in [(1u64 << 38) - 1, 1 << 38, (1 << 38) + 1, (1 << 39) - 2] {
        let name = TestName::new("slept");
        let ring = mpmc::Ring::<u64>::builder(name.name()).capacity(2).create().unwrap();
        let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
        assert_eq!((tx.push_slice(&[1; 4]), rx.pop_slice(&mut [0; 4])), (Ok(4), Ok(4)));
        advance_words(&RawSegment::attach(ring.id()), 2, laps * 2);
        assert_eq!((tx.push_slice(&[2; 4]), rx.pop_slice(&mut [0; 4])), (Ok(4), Ok(4)), "{laps} laps");
        tx.try_push(2).unwrap();
        assert_eq!((rx.try_pop(), rx.try_pop()), (Ok(2), Err(RingError::Empty)), "{laps} laps");
    }
}
