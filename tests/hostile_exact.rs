//! I5, case by case: what a peer could write, and what is said to it.

mod common;
mod harness;

use common::{TestName, watchdog};
use harness::Rng;
use harness::segment::{FLAGS, HEAD, Raw, SEATS, SLOTS, StopOnDrop, TAIL, spite};
use segring::spsc::{ByteRing, Ring};
use segring::{Error, Layout, Observer, RingError, mpmc};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

#[test]
fn a_tail_that_cannot_be() {
    for layout in [Layout::Stamped, Layout::Dense] {
        let name = TestName::new("tail");
        let ring = Ring::<[u64; 2]>::builder(name.name()).capacity(8).layout(layout).create().unwrap();
        let raw = Raw::attach(ring.id());
        let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
        for i in 0..10 {
            tx.try_push([i; 2]).unwrap();
            rx.try_pop().unwrap();
        }
        drop(tx);
        for tail in [9, 0, 19, 1 << 62, u64::MAX, 1 << 63] {
            raw.word(TAIL).store(tail, Relaxed);
            // On a stamped ring the tail is a hint: behind the truth it does no harm.
            let harmless = layout == Layout::Stamped && tail <= 18;
            assert_eq!(ring.producer().is_ok(), harmless, "{layout:?} {tail}");
            let popped = rx.try_pop();
            let wanted = if layout == Layout::Stamped { RingError::Empty } else { RingError::Corrupt };
            assert_eq!(popped, Err(wanted), "{layout:?} {tail}");
        }
    }
}

#[test]
fn a_head_that_moves_by_itself() {
    for layout in [Layout::Stamped, Layout::Dense] {
        let name = TestName::new("head");
        let ring = Ring::<[u64; 2]>::builder(name.name()).capacity(4).layout(layout).create().unwrap();
        let raw = Raw::attach(ring.id());
        let mut tx = ring.producer().unwrap();
        (0..4).for_each(|i| tx.try_push([i; 2]).unwrap());
        for head in [5, 100, 1 << 62, u64::MAX] {
            raw.word(HEAD).store(head, Relaxed);
            assert_eq!(tx.try_push([9; 2]).unwrap_err().error, RingError::Corrupt);
            assert_eq!(tx.position(), 4);
        }
        // Back to a truth, it works; then a step back from a head that has been seen is a lie.
        raw.word(HEAD).store(2, Relaxed);
        assert_eq!(tx.push_slice(&[[9; 2]; 2]), Ok(2));
        raw.word(HEAD).store(1, Relaxed);
        assert_eq!(tx.try_push([9; 2]).unwrap_err().error, RingError::Corrupt);
        for head in [(1 << 62) + 1, 1 << 63, u64::MAX] {
            raw.word(HEAD).store(head, Relaxed);
            assert!(matches!(ring.consumer(), Err(Error::Corrupt { .. })), "{head}");
        }
    }
}

#[test]
fn a_stamp_that_nobody_writes() {
    let name = TestName::new("stamp");
    let ring = Ring::<u64>::builder(name.name()).capacity(4).layout(Layout::Stamped).create().unwrap();
    let raw = Raw::attach(ring.id());
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    tx.try_push(7).unwrap();
    for stamp in [2, 5, u64::MAX, 1 << 63] {
        raw.word(SLOTS + 8).store(stamp, Relaxed);
        assert_eq!(rx.try_pop(), Err(RingError::Corrupt), "{stamp}");
    }
    raw.word(SLOTS + 8).store(0, Relaxed);
    assert_eq!(rx.try_pop(), Err(RingError::Empty));
    raw.word(SLOTS + 8).store(1, Relaxed);
    assert_eq!(rx.try_pop(), Ok(7));
}

#[test]
fn record_lengths_that_cannot_be() {
    let name = TestName::new("lengths");
    let ring = ByteRing::builder(name.name()).capacity(4096).create().unwrap();
    let raw = Raw::attach(ring.id());
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    tx.try_push(b"first").unwrap();
    tx.try_push(&[2; 40]).unwrap();
    // Records of 16 and 48 bytes: a payload ends at 56 bytes from the first header at the latest.
    for len in [u64::MAX, u64::MAX - 1, u64::MAX - 8, 1 << 63, 1 << 62, 4096, 57] {
        raw.word(SLOTS).store(len, Relaxed);
        assert_eq!(rx.try_pop(), Err(RingError::Corrupt), "{len:#x}");
        assert_eq!(rx.wait_for_message(None), Err(RingError::Corrupt), "{len:#x}");
    }
    raw.word(SLOTS).store(5, Relaxed);
    assert_eq!(rx.try_pop().unwrap(), b"first");
    assert_eq!(rx.try_pop().unwrap(), [2; 40]);
    // Padding as the last thing there is, and padding behind padding.
    (0..3).for_each(|_| tx.try_push(&[3; 1000]).unwrap());
    (0..3).for_each(|_| drop(rx.try_pop().unwrap()));
    tx.try_push(&[4; 1016]).unwrap();
    raw.word(SLOTS).store(u64::MAX, Relaxed);
    assert_eq!(rx.try_pop(), Err(RingError::Corrupt));
    let tail = raw.word(TAIL).load(Relaxed);
    raw.word(TAIL).store(4096, Relaxed);
    drop(rx);
    let mut rx = ring.consumer().unwrap();
    assert_eq!(rx.try_pop(), Err(RingError::Corrupt), "padding, and nothing behind it");
    raw.word(TAIL).store(tail, Relaxed);
    raw.word(SLOTS).store(1016, Relaxed);
    drop(rx);
    assert_eq!(ring.consumer().unwrap().try_pop().unwrap(), [4; 1016]);
}

/// Of an exchange ring, a record that nobody can read is taken out once, and does not come round again.
#[test]
fn a_record_of_many_whose_length_cannot_be_is_given_up() {
    // Two seats with a hand of 128 bytes each; then the entries. A record of 40 has a slot of 64.
    const ENTRIES: u64 = FLAGS + 128 + 2 * 128;
    let name = TestName::new("many-lengths");
    let _watchdog = watchdog("a record that comes round");
    let ring = mpmc::ByteRing::builder(name.name()).capacity(4).max_record(40).seats(2).create().unwrap();
    let raw = Raw::attach(ring.id());
    let mut tx = ring.producer().unwrap();
    // SAFETY: this test writes past segring only while nobody reads in place.
    let mut rx = unsafe { ring.consumer().unwrap().trust_peers() };
    let mut position = 0;
    for len in [41, 64, 4096, 1 << 32, 1 << 62, 1 << 63, u64::MAX - 7, u64::MAX] {
        for way in 0..6 {
            tx.try_push(b"garbled").unwrap();
            let slot = raw.word(ENTRIES + position % 4 * 8).load(Relaxed) & ((1 << 23) - 1);
            let header = SLOTS + slot * 64;
            assert_eq!(raw.word(header + 8).load(Relaxed), 7, "that is its length");
            raw.word(header + 8).store(len, Relaxed);
            tx.try_push(b"sound").unwrap();
            position += 2;
            let said = match way {
                0 => rx.try_take().err(),
                1 => rx.take().err(),
                2 => rx.take_timeout(Duration::MAX).err(),
                3 => rx.try_pop().err(),
                4 => rx.pop().err(),
                _ => rx.pop_timeout(Duration::MAX).err(),
            };
            assert_eq!(said, Some(RingError::Corrupt), "{len:#x}, {way}");
            let stats = ring.stats().unwrap();
            assert_eq!((stats.len, stats.held), (1, 0), "{len:#x}, {way}");
            let job = rx.try_take().unwrap();
            assert!(*job == *b"sound" && !job.redelivered(), "{len:#x}, {way}");
            job.release();
            assert_eq!(rx.try_take().err(), Some(RingError::Empty), "{len:#x}, {way}");
        }
    }
}

#[test]
fn byte_cursors_that_cannot_be() {
    let name = TestName::new("byte-cursors");
    let ring = ByteRing::builder(name.name()).capacity(4096).create().unwrap();
    let raw = Raw::attach(ring.id());
    let mut tx = ring.producer().unwrap();
    (0..4).for_each(|_| tx.try_push(&[1; 100]).unwrap());
    let good = raw.copy();
    for bad in [1, 4, 105, 448 + 4096 + 8, (1 << 62) + 8, u64::MAX - 7, u64::MAX, 1 << 63] {
        // While sitting: unaligned, or too far.
        let mut rx = ring.consumer().unwrap();
        raw.word(TAIL).store(bad, Relaxed);
        assert_eq!(rx.try_pop(), Err(RingError::Corrupt), "tail {bad:#x}");
        raw.restore_data(&good);
        drop(rx);
        drop(tx);
        // Before joining, each side, with a ledger that agrees and with one that does not.
        for (line, agrees) in [(TAIL, false), (TAIL, true), (HEAD, false), (HEAD, true)] {
            raw.restore_data(&good);
            raw.word(line).store(bad, Relaxed);
            if agrees {
                raw.word(line + 8).store(bad, Relaxed);
                raw.word(line + 16).store(1, Relaxed);
            }
            if line == TAIL {
                assert!(matches!(ring.producer(), Err(Error::Corrupt { .. })), "tail {bad:#x}");
                continue;
            }
            match ring.consumer() {
                Err(Error::Corrupt { .. }) => {}
                // A head that could be by itself is found out beside the tail.
                Ok(mut rx) if agrees => assert_eq!(rx.try_pop(), Err(RingError::Corrupt), "head {bad:#x}"),
                other => panic!("head {bad:#x}: {other:?}"),
            }
        }
        // A head beyond everything must not be believed by a producer either.
        raw.restore_data(&good);
        raw.word(HEAD).store(bad, Relaxed);
        if bad > 448 {
            assert!(matches!(ring.producer(), Err(Error::Corrupt { .. })), "head {bad:#x}");
        }
        raw.restore_data(&good);
        tx = ring.producer().unwrap();
    }
    // A huge ledger: more records than bytes.
    drop(tx);
    raw.word(TAIL + 8).store(416 + 16, Relaxed);
    for entry in [TAIL + 8, TAIL + 24] {
        raw.word(entry).store(432, Relaxed);
        raw.word(entry + 8).store(u64::MAX, Relaxed);
    }
    raw.word(TAIL).store(432, Relaxed);
    assert!(matches!(ring.producer(), Err(Error::Corrupt { .. })));
}

#[test]
fn an_empty_ring_at_the_edge_of_time() {
    for bytes in [false, true] {
        let name = TestName::new("edge");
        let edge = 1u64 << 62;
        let poke = |raw: &Raw, at: u64| {
            for line in [TAIL, HEAD] {
                raw.word(line).store(at, Relaxed);
                raw.word(line + 8).store(at, Relaxed);
                raw.word(line + 16).store(3, Relaxed);
            }
        };
        if bytes {
            let ring = ByteRing::builder(name.name()).capacity(4096).create().unwrap();
            poke(&Raw::attach(ring.id()), edge);
            let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
            for i in 0..100 {
                tx.try_push(&[i; 90]).unwrap();
                assert_eq!(rx.try_pop().unwrap(), [i; 90]);
            }
        } else {
            let ring = Ring::<u64>::builder(name.name()).capacity(4).layout(Layout::Dense).create().unwrap();
            poke(&Raw::attach(ring.id()), edge);
            let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
            for i in 0..100 {
                tx.try_push(i).unwrap();
                assert_eq!(rx.try_pop(), Ok(i));
            }
        }
    }
}

/// In an exchange ring, where the shared cursors are only hints: the way is found without them.
#[test]
fn a_hint_that_cannot_be_is_not_believed() {
    for redelivery in [true, false] {
        for hint in [(1 << 62) + 1, (1 << 62) + 8, 1 << 63, u64::MAX - 8, u64::MAX] {
            for line in [[TAIL, TAIL], [HEAD, HEAD], [TAIL, HEAD]] {
                let name = TestName::new("many-hints");
                let _watchdog = watchdog("the way to the end");
                let builder = mpmc::Ring::<u64>::builder(name.name()).capacity(8).seats(2);
                let ring = builder.redelivery(redelivery).create().unwrap();
                let raw = Raw::attach(ring.id());
                let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
                for i in 0..100 {
                    tx.try_push(i).unwrap();
                    assert_eq!(rx.try_pop(), Ok(i));
                    if i % 7 != 6 {
                        continue;
                    }
                    // These come new, and know nothing else.
                    drop((tx, rx));
                    line.into_iter().for_each(|line| raw.word(line).store(hint, Relaxed));
                    (tx, rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
                    assert_eq!(rx.try_pop(), Err(RingError::Empty), "{hint:#x} after {i}");
                    (0..8)
                        .for_each(|k| tx.try_push(k).unwrap_or_else(|e| panic!("{hint:#x} after {i}: {e}")));
                    assert_eq!(tx.try_push(8).unwrap_err().error, RingError::Full);
                    let got: Vec<_> = std::iter::from_fn(|| rx.try_pop().ok()).collect();
                    assert_eq!(got, [0, 1, 2, 3, 4, 5, 6, 7], "{hint:#x} after {i}");
                    assert_eq!(rx.try_pop(), Err(RingError::Empty));
                }
                tx.close().unwrap();
                assert_eq!(rx.try_pop(), Err(RingError::Closed));
            }
        }
    }
}

#[test]
fn waiter_bits_and_seats_of_nobody() {
    let name = TestName::new("bits");
    let ring = Ring::<u64>::builder(name.name()).capacity(4).create().unwrap();
    let raw = Raw::attach(ring.id());
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let _watchdog = watchdog("waiter bits");
    for i in 0..1000u64 {
        raw.half(FLAGS + 4).store(i as u32 ^ 1, Relaxed);
        raw.half(FLAGS + 8).store(u32::MAX, Relaxed);
        raw.half(FLAGS).store((i as u32) << 2, Relaxed);
        for seat in [SEATS, SEATS + 128] {
            raw.word(seat).store((i << 32) | (i % 7), Relaxed);
            raw.word(seat + 8).store(i, Relaxed);
        }
        tx.push(i).unwrap();
        assert_eq!(rx.pop(), Ok(i));
        assert_eq!(rx.pop_timeout(Duration::ZERO), Err(RingError::TimedOut));
    }
    ring.stats().unwrap();
}

#[test]
fn a_seat_record_that_never_rests_does_not_hold_up_a_wait() {
    let name = TestName::new("restless");
    let ring = Ring::<u64>::builder(name.name()).create().unwrap();
    let raw = Raw::attach(ring.id());
    let mut rx = ring.consumer().unwrap();
    let stop = AtomicBool::new(false);
    let _watchdog = watchdog("a wait beside a restless seat record");
    std::thread::scope(|s| {
        let _stop = StopOnDrop(&stop);
        s.spawn(|| {
            for i in 0.. {
                raw.word(SEATS).store(i, Relaxed);
                raw.word(SEATS + 128).store(i, Relaxed);
                if stop.load(Relaxed) {
                    return;
                }
            }
        });
        for _ in 0..50 {
            assert!(rx.pop_timeout(Duration::from_millis(1)).is_err());
            let _ = ring.stats();
        }
    });
}

#[test]
fn attaching_to_a_scribbled_header_is_refused_or_works() {
    let name = TestName::new("header");
    let ring = Ring::<u64>::builder(name.name()).create().unwrap();
    let raw = Raw::attach(ring.id());
    let good = raw.copy();
    let seed = Rng::random_seed();
    let rng = &mut Rng::new(seed);
    for _ in 0..2000 {
        raw.restore(&good[..128]);
        // Not the magic number nor the mark: without them an attacher waits for the creator.
        let at = 16 + rng.below(1008);
        // Not "ephemeral" either: then the first one to leave rightly removes the ring.
        raw.word(at).store(spite(rng) & !1, Relaxed);
        let _ = Ring::<u64>::builder(name.name()).attach().map(|ring| (ring.len(), ring.producer().is_ok()));
        let _ = Observer::attach(name.name()).map(|o| o.stats().is_ok());
    }
    raw.restore(&good[..128]);
    Ring::<u64>::builder(name.name()).attach().unwrap();
}
