//! What each call says on a ring whose messages lie in its entries, and what a slice does.

use super::ring;
use crate::common::{TestName, watchdog};
use segring::{Error, Kind, Layout, Payload, RingError, mpmc};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const NOW: Duration = Duration::ZERO;

/// Everything in the ring, and then what it says.
fn drain(rx: &mut mpmc::Consumer<u64>) -> (Vec<u64>, RingError) {
    let mut got = Vec::new();
    loop {
        match rx.try_pop() {
            Ok(item) => got.push(item),
            Err(e) => return (got, e),
        }
    }
}

#[test]
fn full_and_empty_at_each_capacity() {
    for capacity in [1, 2, 8] {
        let name = TestName::new("words");
        let ring = ring(&name, capacity);
        let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let mut into = [0; 9];
        for lap in 0..5 {
            let all: Vec<u64> = (0..capacity as u64).map(|i| lap * 1000 + i).collect();
            all.iter().for_each(|item| tx.try_push(*item).unwrap());
            let full = tx.try_push(9).unwrap_err();
            assert_eq!((full.value, full.error), (9, RingError::Full));
            let late = tx.push_timeout(9, Duration::from_millis(1)).unwrap_err();
            assert_eq!((late.value, late.error), (9, RingError::TimedOut));
            assert_eq!(tx.wait_for_room(Some(NOW)), Err(RingError::TimedOut));
            for len in [0, 1, 3, 5, 70] {
                assert_eq!(tx.push_slice(&vec![9; len]), Ok(0), "{len} on a full ring");
            }
            assert_eq!(ring.len(), capacity);
            assert_eq!(rx.wait_for_message(Some(NOW)), Ok(()));
            if lap % 2 == 0 {
                assert_eq!(rx.pop_slice(&mut into), Ok(capacity));
                assert_eq!(into[..capacity], all);
            } else {
                assert_eq!(drain(&mut rx), (all, RingError::Empty));
            }
            assert_eq!(tx.wait_for_room(Some(NOW)), Ok(()));
            assert_eq!(rx.try_pop(), Err(RingError::Empty));
            assert_eq!(rx.try_pop_into(&mut into[0]), Err(RingError::Empty));
            assert_eq!(rx.pop_timeout(NOW), Err(RingError::TimedOut));
            assert_eq!(rx.wait_for_message(Some(Duration::from_millis(1))), Err(RingError::TimedOut));
            assert_eq!((rx.pop_slice(&mut into), rx.pop_slice(&mut [])), (Ok(0), Ok(0)));
            assert!(ring.is_empty() && !rx.redelivered());
        }
    }
}

/// A producer of a small ring has one block: beyond it a call pushes one message.
#[test]
fn slices_fill_a_ring_of_each_capacity() {
    for capacity in [1, 2, 8] {
        let name = TestName::new("words");
        let ring = ring(&name, capacity);
        let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
        for lap in 0..5 {
            let (mut next, mut calls) = (lap * 1000, Vec::new());
            loop {
                let slice: Vec<u64> = (next..next + 5).collect();
                let n = tx.push_slice(&slice).unwrap();
                if n == 0 {
                    break;
                }
                calls.push(n);
                next += n as u64;
            }
            // Its one block; then one by one, as nobody takes any.
            let expected: &[usize] = match capacity {
                1 => &[5],
                2 => &[5, 1],
                _ => &[5, 5, 2],
            };
            assert_eq!(calls, expected, "{capacity}");
            let mut two = [0; 2];
            assert_eq!((rx.pop_slice(&mut two), two), (Ok(2), [lap * 1000, lap * 1000 + 1]));
            assert_eq!(tx.push_slice(&[9; 5]), Ok(0), "three of the batch are there");
            assert_eq!(drain(&mut rx), ((lap * 1000 + 2..next).collect(), RingError::Empty));
        }
    }
}

#[test]
fn a_closed_ring_takes_nothing_and_gives_what_it_has() {
    for capacity in [1, 2, 8] {
        for batch in [false, true] {
            let name = TestName::new("words");
            let ring = ring(&name, capacity);
            let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
            let mut other = ring.producer().unwrap();
            let pushed = if batch { tx.push_slice(&[0, 1, 2, 3, 4]) } else { tx.push_slice(&[0]) }.unwrap();
            tx.close().unwrap();
            tx.close().unwrap();
            assert!(tx.is_closed() && rx.is_closed() && other.is_closed() && ring.is_closed());
            for tx in [&mut tx, &mut other] {
                let refused = tx.try_push(9).unwrap_err();
                assert_eq!((refused.value, refused.error), (9, RingError::Closed));
                assert_eq!(tx.push(9).unwrap_err().error, RingError::Closed);
                assert_eq!(tx.push_timeout(9, NOW).unwrap_err().error, RingError::Closed);
                assert_eq!(tx.wait_for_room(None), Err(RingError::Closed));
                for len in [1, 5, 70] {
                    assert_eq!(tx.push_slice(&vec![9; len]), Err(RingError::Closed), "{len}");
                }
                assert_eq!(tx.push_slice(&[]), Ok(0));
            }
            let mut into = [9; 8];
            if batch {
                assert_eq!((rx.pop_slice(&mut into[..2]), rx.try_pop()), (Ok(2), Ok(2)));
                assert_eq!((rx.pop_slice(&mut into), &into[..3]), (Ok(2), &[3, 4, 9][..]));
            } else {
                assert_eq!((rx.pop_slice(&mut into), &into[..2]), (Ok(pushed), &[0, 9][..]));
            }
            assert_eq!(rx.pop_slice(&mut into), Err(RingError::Closed));
            assert_eq!((rx.try_pop(), rx.pop()), (Err(RingError::Closed), Err(RingError::Closed)));
            assert_eq!(rx.wait_for_message(None), Err(RingError::Closed));
            assert_eq!(ring.producer().unwrap().push_slice(&[9; 5]), Err(RingError::Closed));
        }
    }
}

/// What was pushed before `Closed` was said comes out; whatever is tried after it is refused.
#[test]
fn closing_beside_batches_loses_and_adds_nothing() {
    let _watchdog = watchdog("closing beside batches");
    for round in 0..300u64 {
        let name = TestName::new("words");
        let ring = ring(&name, [1, 2, 8][round as usize % 3]);
        let pushed = [const { AtomicU64::new(0) }; 2];
        let (mut rx, mut closer) = (ring.consumer().unwrap(), ring.producer().unwrap());
        let got = std::thread::scope(|scope| {
            for (who, pushed) in (0..2u64).zip(&pushed) {
                let mut tx = ring.producer().unwrap();
                scope.spawn(move || {
                    let mut next = 0;
                    loop {
                        let len = [5, 70, 1][(next % 3) as usize];
                        let slice: Vec<u64> = (next..next + len).map(|i| who << 32 | i).collect();
                        match tx.push_slice(&slice) {
                            Ok(n) => next += n as u64,
                            Err(RingError::Closed) => break,
                            Err(e) => panic!("{e}"),
                        }
                    }
                    pushed.store(next, Ordering::SeqCst);
                    assert_eq!(tx.push_slice(&[9; 5]), Err(RingError::Closed));
                });
            }
            scope.spawn(move || {
                (0..round * 20).for_each(|_| std::hint::spin_loop());
                closer.close().unwrap();
            });
            let (mut next, mut into) = ([0, 0], [0; 9]);
            loop {
                let n = match rx.pop_slice(&mut into) {
                    Ok(n) => n,
                    Err(RingError::Closed) => break next,
                    Err(e) => panic!("{e}"),
                };
                for item in &into[..n] {
                    let (who, i) = ((item >> 32) as usize, item & 0xFFFF_FFFF);
                    assert_eq!(i, next[who], "lost, doubled, or out of order");
                    next[who] += 1;
                }
            }
        });
        assert_eq!(got, pushed.map(AtomicU64::into_inner), "round {round}");
    }
}

/// 16 batches, and then one message a call.
#[test]
fn who_has_all_blocks_in_the_ring_goes_on_message_by_message() {
    let name = TestName::new("words");
    let ring = ring(&name, 4096);
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let slice = |next: u64| (next..next + 64).collect::<Vec<u64>>();
    let mut next = 0;
    // Nobody takes any: each of these calls pushes all, and the last as many as there is room for.
    for call in 0..80 {
        let n = tx.push_slice(&slice(next)).unwrap();
        assert_eq!(n, if call < 79 { 64 } else { 48 }, "call {call}");
        next += n as u64;
    }
    let stats = ring.stats().unwrap();
    assert_eq!((stats.pushed, stats.len), (4096, 16 * 64 + 4080), "16 batches");
    assert_eq!(tx.push_slice(&slice(next)), Ok(0));
    // Another one has blocks of its own, and there is no room.
    assert_eq!(ring.producer().unwrap().push_slice(&slice(next)), Ok(0));
    let mut some = [0; 64];
    assert_eq!((rx.pop_slice(&mut some[..63]), some[62]), (Ok(63), 62));
    assert_eq!(tx.push_slice(&slice(next)), Ok(0), "one of the batch is there");
    assert_eq!(rx.try_pop(), Ok(63));
    assert_eq!(tx.push_slice(&slice(next)), Ok(64), "its block is free again");
    next += 64;
    assert_eq!(drain(&mut rx), ((64..next).collect(), RingError::Empty));
    // All of one long slice.
    assert_eq!(tx.push_slice(&(0..2000).collect::<Vec<u64>>()), Ok(2000));
    assert_eq!(drain(&mut rx), ((0..2000).collect(), RingError::Empty));
}

/// A pop of part of a batch leaves the rest where it was: in front.
#[test]
fn consumers_share_a_batch() {
    let name = TestName::new("words");
    let ring = ring(&name, 8);
    let (mut tx, mut a, mut b) =
        (ring.producer().unwrap(), ring.consumer().unwrap(), ring.consumer().unwrap());
    assert_eq!(tx.push_slice(&(0..70).collect::<Vec<u64>>()), Ok(70), "a block, and six");
    tx.push(70).unwrap();
    let (mut next, mut into) = (0, [0; 64]);
    for take in [1, 5, 7, 2, 20, 28, 1, 1, 1] {
        for rx in [&mut a, &mut b] {
            let n = rx.pop_slice(&mut into[..take.min(71 - next)]).unwrap();
            assert!(into[..n].iter().copied().eq(next as u64..(next + n) as u64), "{next}: {into:?}");
            next += n;
            assert_eq!(ring.is_empty(), next == 71);
        }
    }
    assert_eq!((next, a.try_pop()), (71, Err(RingError::Empty)));
}

#[test]
fn a_consumer_is_told_once_when_the_last_producer_goes() {
    let name = TestName::new("words");
    let ring = ring(&name, 2);
    let mut rx = ring.consumer().unwrap();
    let mut tx = ring.producer().unwrap();
    tx.push_slice(&[1, 2, 3, 4]).unwrap();
    drop(tx);
    assert_eq!((rx.pop(), rx.pop_slice(&mut [0; 9])), (Ok(1), Ok(3)), "messages come before news");
    assert_eq!(rx.pop_slice(&mut [0; 9]), Ok(0), "a slice looks at the ring only");
    assert_eq!(rx.pop(), Err(RingError::PeerGone { died: false }));
    assert_eq!(rx.pop_timeout(NOW), Err(RingError::TimedOut), "once");
    let mut tx = ring.producer().unwrap();
    drop(rx);
    [1, 2].into_iter().for_each(|i| tx.push(i).unwrap());
    assert_eq!(tx.push_slice(&[3; 5]), Ok(0));
    assert_eq!(tx.push(3).unwrap_err().error, RingError::PeerGone { died: false });
    ring.remove().unwrap();
    assert_eq!(tx.push(3).unwrap_err().error, RingError::Removed);
}

/// Singles, batches, and a part of one.
fn keeps<T: Payload + PartialEq + std::fmt::Debug>(items: &[T], layout: Layout) {
    let name = TestName::new("words");
    let ring = mpmc::Ring::<T>::builder(name.name()).capacity(128).create().unwrap();
    assert_eq!(ring.stats().unwrap().layout, layout);
    let attached = mpmc::Ring::<T>::builder(name.name()).attach().unwrap();
    let (mut tx, mut rx) = (ring.producer().unwrap(), attached.consumer().unwrap());
    for chunk in items.chunks(7) {
        tx.try_push(chunk[0]).unwrap();
        assert_eq!(tx.push_slice(chunk), Ok(chunk.len()));
        assert_eq!(rx.pop(), Ok(chunk[0]));
        let mut into = vec![chunk[0]; chunk.len()];
        assert_eq!(rx.pop_slice(&mut into[..1]), Ok(1));
        assert_eq!(rx.pop_slice(&mut into[1..]), Ok(chunk.len() - 1));
        assert_eq!(into, chunk);
    }
    let all = &items[..items.len().min(64)];
    assert_eq!(tx.push_slice(all), Ok(all.len()));
    for item in all {
        assert_eq!(rx.try_pop(), Ok(*item));
    }
    assert_eq!(rx.try_pop(), Err(RingError::Empty));
}

#[test]
fn types_of_each_size_keep_their_bytes() {
    let n = |i: usize| (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    keeps(&(0..200).map(|i| n(i) as u8).collect::<Vec<_>>(), Layout::Inline);
    keeps(&(0..200).map(|i| n(i) as u16).collect::<Vec<_>>(), Layout::Inline);
    keeps(&(0..200).map(|i| [n(i) as u8, i as u8, 255 - i as u8]).collect::<Vec<_>>(), Layout::Inline);
    keeps(&(0..200).map(|i| n(i) as u32).collect::<Vec<_>>(), Layout::Inline);
    keeps(&(0..200).map(|i| [n(i) as u16, i as u16, 7]).collect::<Vec<_>>(), Layout::Inline);
    keeps(&(0..200).map(n).collect::<Vec<_>>(), Layout::Inline);
    keeps(&(0..200).map(|i| -(n(i) as f64)).collect::<Vec<_>>(), Layout::Inline);
    keeps(&(0..200).map(|i| [n(i) as u8; 9]).collect::<Vec<_>>(), Layout::Dense);
    keeps(&(0..200).map(|i| [n(i), !n(i)]).collect::<Vec<_>>(), Layout::Dense);
}

/// Each message by itself: as many as there is room for.
#[test]
fn rings_of_slots_have_slices_too() {
    for in_hand in [1, 3] {
        let name = TestName::new("words");
        let builder = mpmc::Ring::<[u64; 2]>::builder(name.name()).capacity(8).in_hand(in_hand);
        let ring = builder.create().unwrap();
        let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let slice: Vec<[u64; 2]> = (0..12).map(|i| [i, !i]).collect();
        let mut into = [[0; 2]; 12];
        for _ in 0..5 {
            assert_eq!((tx.push_slice(&slice[..0]), rx.pop_slice(&mut into)), (Ok(0), Ok(0)));
            assert_eq!(tx.push_slice(&slice[..3]), Ok(3));
            assert_eq!(tx.push_slice(&slice[3..]), Ok(5), "as many as there is room for");
            assert_eq!(tx.push_slice(&slice), Ok(0));
            assert_eq!((rx.pop_slice(&mut into[..2]), rx.try_pop()), (Ok(2), Ok(slice[2])));
            assert_eq!(into[..2], slice[..2]);
            assert_eq!(tx.push_slice(&slice[8..]), Ok(3));
            assert_eq!(rx.pop_slice(&mut into), Ok(8));
            assert_eq!(into[..8], slice[3..11]);
            assert_eq!(rx.try_pop(), Err(RingError::Empty));
        }
        tx.push_slice(&slice[..2]).unwrap();
        tx.close().unwrap();
        assert_eq!(tx.push_slice(&slice), Err(RingError::Closed));
        assert_eq!(rx.pop_slice(&mut into), Ok(2));
        assert_eq!(rx.pop_slice(&mut into), Err(RingError::Closed));
    }
}

#[test]
fn who_attaches_takes_the_layout_that_is_there() {
    let name = TestName::new("words");
    let inline = ring(&name, 4);
    // What only a creator decides.
    let attached = mpmc::Ring::<u64>::builder(name.name()).capacity(64).attach().unwrap();
    let stats = attached.stats().unwrap();
    assert_eq!((stats.layout, stats.kind, stats.in_hand, stats.held), (Layout::Inline, Kind::Mpmc, 0, 0));
    assert_eq!((attached.in_hand(), attached.capacity()), (0, 4));
    let (mut tx, mut rx) = (inline.producer().unwrap(), attached.consumer().unwrap());
    tx.push_slice(&[1, 2, 3, 4, 5]).unwrap();
    tx.push(6).unwrap();
    let mut into = [0; 9];
    assert_eq!((rx.pop_slice(&mut into), &into[..6]), (Ok(6), &[1, 2, 3, 4, 5, 6][..]));
    assert_eq!(attached.recover().unwrap(), mpmc::Recovered::default());
    // Of the same size, and another alignment.
    let wrong = mpmc::Ring::<[u8; 8]>::builder(name.name()).attach().unwrap_err();
    assert!(matches!(wrong, Error::WrongPayload { .. }), "{wrong:?}");
    drop((tx, rx, attached));
    inline.remove().unwrap();
    let slots = mpmc::Ring::<u64>::builder(name.name()).redelivery(true).create().unwrap();
    let attached = mpmc::Ring::<u64>::builder(name.name()).attach().unwrap();
    assert_eq!((attached.stats().unwrap().layout, attached.in_hand()), (Layout::Dense, 1));
    drop(slots);
}

/// `layout` is for SPSC rings, and of no effect here.
#[test]
fn a_layout_that_is_asked_for_changes_nothing() {
    for asked in [Layout::Inline, Layout::Stamped, Layout::Dense] {
        let name = TestName::new("words");
        let is = |found: Layout, expected: Layout| assert_eq!(found, expected, "asked for {asked:?}");
        let small = || mpmc::Ring::<u64>::builder(name.name()).capacity(4).layout(asked);
        let ring = small().create().unwrap();
        is(ring.stats().unwrap().layout, Layout::Inline);
        ring.remove().unwrap();
        let ring = small().redelivery(true).create().unwrap();
        is(ring.stats().unwrap().layout, Layout::Dense);
        ring.remove().unwrap();
        let large = mpmc::Ring::<[u64; 2]>::builder(name.name()).layout(asked).create().unwrap();
        is(large.stats().unwrap().layout, Layout::Dense);
        large.remove().unwrap();
        let bytes = mpmc::ByteRing::builder(name.name()).layout(asked).create().unwrap();
        is(bytes.stats().unwrap().layout, Layout::Dense);
        bytes.remove().unwrap();
    }
    let name = TestName::new("words");
    let spsc = segring::spsc::Ring::<u64>::builder(name.name()).layout(Layout::Inline).create().unwrap_err();
    assert!(matches!(spsc, Error::BadOption { .. }), "{spsc:?}");
}

/// Who asks for messages that come back does not get a ring whose messages do not.
#[test]
fn who_asks_for_redelivery_is_refused_by_a_ring_without_it() {
    let name = TestName::new("words");
    let ring = ring(&name, 2);
    let build = || mpmc::Ring::<u64>::builder(name.name());
    for builder in [build().redelivery(true), build().in_hand(1)] {
        for refused in [builder.clone().attach(), builder.create_or_attach()] {
            let why = refused.unwrap_err();
            assert!(matches!(why, segring::Error::BadOption { .. }), "{why}");
            assert!(why.to_string().contains("redelivery"), "{why}");
        }
    }
    // The last of the two calls decides.
    assert_eq!(build().in_hand(1).redelivery(false).attach().unwrap().in_hand(), 0);
    ring.remove().unwrap();
}

/// Who asks for several in hand, and then for none that comes back, does not get one of the two and no word
/// of the other.
#[test]
fn hands_are_not_taken_back() {
    let name = TestName::new("words");
    let build = || mpmc::Ring::<u64>::builder(name.name());
    let refused = |wish: segring::Builder<mpmc::Ring<u64>>, words: &[&str]| {
        let observed = wish.clone().observe().map(drop);
        let all = [wish.clone().create(), wish.clone().attach(), wish.create_or_attach()];
        for error in all.map(|made| made.map(drop)).into_iter().chain([observed]) {
            let why = error.unwrap_err();
            assert!(matches!(why, Error::BadOption { .. }), "{why}");
            words.iter().for_each(|word| assert!(why.to_string().contains(word), "{word}: {why}"));
        }
    };
    let all_refused = || {
        refused(build().in_hand(4).redelivery(false), &["in_hand(4)", "redelivery(false)"]);
        refused(build().in_hand(2).redelivery(true).redelivery(false), &["in_hand(2)"]);
        refused(build().in_hand(0).redelivery(false), &["0 messages in hand", "1 to 64"]);
        refused(build().in_hand(65).redelivery(false), &["65 messages in hand", "1 to 64"]);
    };
    all_refused();
    // The same for larger ones, which have slots: it is not the size that makes it a contradiction.
    let large = mpmc::Ring::<[u64; 2]>::builder(name.name()).in_hand(4).redelivery(false).create();
    assert!(matches!(large, Err(Error::BadOption { .. })));
    assert!(matches!(build().attach(), Err(Error::NotFound { .. })), "nothing was made");
    for wish in [build().redelivery(false).in_hand(4), build().in_hand(4).redelivery(false).redelivery(true)]
    {
        let ring = wish.create().unwrap();
        assert_eq!(ring.in_hand(), 4);
        all_refused();
        ring.remove().unwrap();
    }
    let ring = build().in_hand(4).in_hand(1).redelivery(false).create().unwrap();
    assert_eq!(ring.stats().unwrap().layout, Layout::Inline);
}

/// A slice of which some were taken before says so.
#[test]
fn a_slice_keeps_the_mark_of_what_comes_back() {
    let name = TestName::new("words");
    let ring = mpmc::Ring::<u64>::builder(name.name()).in_hand(1).create().unwrap();
    let mut tx = ring.producer().unwrap();
    // SAFETY: nobody writes into this segment except through segring.
    let mut rx = unsafe { ring.consumer().unwrap().trust_peers() };
    tx.push_slice(&[1, 2]).unwrap();
    rx.try_take().unwrap().hand_back();
    tx.push(3).unwrap();
    let mut into = [0; 8];
    assert_eq!((rx.pop_slice(&mut into), &into[..3]), (Ok(3), &[2, 1, 3][..]));
    assert!(rx.redelivered(), "the one in the middle had been taken");
    tx.push(4).unwrap();
    assert_eq!((rx.pop_slice(&mut into), rx.redelivered()), (Ok(1), false));
}
