//! loom runs the real algorithms, on heap memory, through every interleaving and every value that
//! a load may return under the C11 memory model (`RUSTFLAGS="--cfg segring_loom" cargo test --lib`).
//!
//! Payloads lie in cells that loom watches: a read that is not ordered after its write, or a write
//! that is not ordered after the read of the lap before, fails the test. Sleeping has no time-out
//! here, so a lost wakeup is a deadlock, which loom reports.
#![allow(unsafe_code)]

mod exchange;
mod inline;
mod kernel;
mod memory;

use crate::layout::cursors::Cursors;
use crate::ring::spsc::slots::Slots;
use crate::ring::spsc::{Receiver, Sender, bytes};
use crate::ring::wait::{self, WaitStrategy};
use crate::ring::{RingError, closing};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use kernel::{Side, World};
use loom::sync::Arc;
use loom::thread;
use memory::{HeapBytes, heap_dense, heap_stamped};

/// A bound of preemptions for what takes minutes with the larger one: that is for `SEGRING_LOOM=long`.
fn bound(short: usize, long: usize) -> usize {
    if std::env::var("SEGRING_LOOM").is_ok_and(|form| form == "long") { long } else { short }
}

fn model(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

/// One thread pushes `n` numbers without waiting long, the other pops them.
fn stream<S: Slots<Item = u64> + Clone + Send + 'static>(make: fn(u64) -> S, capacity: u64, n: u64) {
    model(move || {
        let slots = make(capacity);
        let cursors = Arc::new(Cursors::default());
        let mut tx = Sender::resume(slots.clone(), &cursors).expect("fresh");
        let mut rx = Receiver::resume(slots, &cursors).expect("fresh");
        let theirs = cursors.clone();
        let producer = thread::spawn(move || {
            for i in 0..n {
                loop {
                    match tx.try_push(&theirs, &(i + 100)) {
                        Ok(()) => break,
                        Err(RingError::Full) => thread::yield_now(),
                        Err(e) => panic!("{e}"),
                    }
                }
            }
        });
        for i in 0..n {
            let item = loop {
                match rx.try_pop(&cursors) {
                    Ok(item) => break item,
                    Err(RingError::Empty) => thread::yield_now(),
                    Err(e) => panic!("{e}"),
                }
            };
            assert_eq!(item, i + 100);
        }
        producer.join().expect("producer");
        assert_eq!(rx.try_pop(&cursors), Err(RingError::Empty));
    });
}

#[test]
fn dense_stream() {
    stream(heap_dense, 2, 3);
    stream(heap_dense, 1, 2);
}

#[test]
fn stamped_stream() {
    stream(heap_stamped, 2, 3);
    stream(heap_stamped, 1, 2);
}

#[test]
fn slices() {
    fn run<S: Slots<Item = u64> + Clone + Send + 'static>(make: fn(u64) -> S) {
        model(move || {
            let slots = make(2);
            let cursors = Arc::new(Cursors::default());
            let mut tx = Sender::resume(slots.clone(), &cursors).expect("fresh");
            let mut rx = Receiver::resume(slots, &cursors).expect("fresh");
            let theirs = cursors.clone();
            let producer = thread::spawn(move || {
                let items = [1, 2, 3];
                let mut done = 0;
                while done < 3 {
                    match tx.push_slice(&theirs, &items[done..]).expect("sound") {
                        0 => thread::yield_now(),
                        n => done += n,
                    }
                }
            });
            let mut got = Vec::new();
            while got.len() < 3 {
                let mut buffer = [0; 2];
                match rx.pop_slice(&cursors, &mut buffer).expect("sound") {
                    0 => thread::yield_now(),
                    n => got.extend_from_slice(&buffer[..n]),
                }
            }
            assert_eq!(got, [1, 2, 3]);
            producer.join().expect("producer");
        });
    }
    run(heap_dense);
    run(heap_stamped);
}

#[test]
fn bytes_stream() {
    model(|| {
        // Records of 24 bytes in a circle of 64: the third does not fit before the wrap.
        let memory = HeapBytes::new(8);
        let cursors = Arc::new(Cursors::default());
        let mut tx = bytes::Sender::resume(memory.clone(), &cursors).expect("fresh");
        let mut rx = bytes::Receiver::resume(memory, &cursors).expect("fresh");
        let theirs = cursors.clone();
        let producer = thread::spawn(move || {
            for i in 0..3u8 {
                loop {
                    match tx.try_push(&theirs, &[i; 16]) {
                        Ok(()) => break,
                        Err(RingError::Full) => thread::yield_now(),
                        Err(e) => panic!("{e}"),
                    }
                }
            }
        });
        let mut record = Vec::new();
        for i in 0..3u8 {
            loop {
                match rx.try_pop(&cursors, &mut record) {
                    Ok(()) => break,
                    Err(RingError::Empty) => thread::yield_now(),
                    Err(e) => panic!("{e}"),
                }
            }
            assert_eq!(record, [i; 16]);
        }
        producer.join().expect("producer");
        // 48 bytes, 16 of padding, 24 more.
        assert_eq!(bytes::progress(&cursors.producer), Ok((88, 3)));
    });
}

/// An observer reads the count of records while the producer moves it.
#[test]
fn ledger() {
    model(|| {
        let memory = HeapBytes::new(16);
        let cursors = Arc::new(Cursors::default());
        let mut tx = bytes::Sender::resume(memory, &cursors).expect("fresh");
        let theirs = cursors.clone();
        let producer = thread::spawn(move || {
            for i in 0..3u8 {
                tx.try_push(&theirs, &[i; 8]).expect("room");
            }
        });
        let (cursor, records) = bytes::progress(&cursors.producer).expect("sound");
        // Records of 16 bytes: exact, because it stopped moving before the looks were used up.
        assert_eq!(cursor, records * 16);
        producer.join().expect("producer");
    });
}

fn waiter(word: &AtomicU32, mask: u32, shared: bool) -> wait::Waiter<'_> {
    wait::Waiter { bit: wait::Bit { word, mask, shared }, position: 0, deadline: None }
}

/// Both sides sleep when they cannot go on. A lost wakeup would leave one asleep for ever.
fn sleepers<S: Slots<Item = u64> + Clone + Send + 'static>(
    make: fn(u64) -> S,
    strategies: [WaitStrategy; 2],
    barrier: bool,
) {
    model(move || {
        let slots = make(1);
        let cursors = Arc::new(Cursors::default());
        let world = Arc::new(World::new(&cursors, barrier));
        let mut tx = Sender::resume(slots.clone(), &cursors).expect("fresh");
        let mut rx = Receiver::resume(slots, &cursors).expect("fresh");
        let (theirs, their_world) = (cursors.clone(), world.clone());
        let producer = thread::spawn(move || {
            let side = Side::new(&their_world, strategies[0]);
            for i in 0..2 {
                wait::until(&side, &waiter(&theirs.state.producer_waits, 1, false), || {
                    match tx.try_push(&theirs, &i) {
                        Ok(()) => Ok(Some(())),
                        Err(RingError::Full) => Ok(None),
                        Err(e) => Err(e),
                    }
                })
                .expect("pushed");
                wait::notify(&side, &theirs.state.consumer_waits);
            }
        });
        let side = Side::new(&world, strategies[1]);
        for i in 0..2 {
            let item = wait::until(&side, &waiter(&cursors.state.consumer_waits, 1, false), || {
                match rx.try_pop(&cursors) {
                    Ok(item) => Ok(Some(item)),
                    Err(RingError::Empty) => Ok(None),
                    Err(e) => Err(e),
                }
            });
            assert_eq!(item, Ok(i));
            wait::notify(&side, &cursors.state.producer_waits);
        }
        producer.join().expect("producer");
    });
}

#[test]
fn no_wakeup_is_lost() {
    for strategies in [[WaitStrategy::Sleep; 2], [WaitStrategy::Adaptive; 2]] {
        sleepers(heap_dense, strategies, true);
        sleepers(heap_stamped, strategies, true);
    }
}

/// What loom must find: without the barrier of the side that goes to sleep, it sleeps for ever
/// beside a message. Run by the next test, in a process of its own: loom aborts.
#[test]
#[ignore = "fails, as it should: the_barrier_is_needed runs it"]
fn without_the_barrier() {
    sleepers(heap_stamped, [WaitStrategy::Sleep; 2], false);
}

#[test]
fn the_barrier_is_needed() {
    let this = std::env::current_exe().expect("this program");
    let ignored = ["--ignored", "--exact", "loom_tests::without_the_barrier"];
    let run = std::process::Command::new(this).args(ignored).output().expect("started");
    let said = String::from_utf8_lossy(&run.stderr) + String::from_utf8_lossy(&run.stdout);
    assert!(!run.status.success() && said.contains("deadlock"), "not caught: {said}");
}

/// A message, and then closing, while the consumer falls asleep: it gets the message first, and is
/// not left asleep.
fn closing_wakes(strategy: WaitStrategy) {
    model(move || {
        let slots = heap_stamped(2);
        let cursors = Arc::new(Cursors::default());
        let world = Arc::new(World::new(&cursors, true));
        let mut tx = Sender::resume(slots.clone(), &cursors).expect("fresh");
        let mut rx = Receiver::resume(slots, &cursors).expect("fresh");
        let (theirs, their_world) = (cursors.clone(), world.clone());
        let producer = thread::spawn(move || {
            let side = Side::new(&their_world, strategy);
            tx.try_push(&theirs, &7).expect("room");
            wait::notify(&side, &theirs.state.consumer_waits);
            closing::close(&side, &theirs.state, &theirs.state.consumer_waits);
        });
        let side = Side::new(&world, strategy);
        let mut pop = || {
            wait::until(&side, &waiter(&cursors.state.consumer_waits, 1, false), || {
                let popped = match rx.try_pop(&cursors) {
                    Err(RingError::Empty) => closing::look_again(&cursors.state, || rx.try_pop(&cursors)),
                    other => other,
                };
                match popped {
                    Ok(item) => Ok(Some(item)),
                    Err(RingError::Empty) => Ok(None),
                    Err(e) => Err(e),
                }
            })
        };
        assert_eq!(pop(), Ok(7));
        assert_eq!(pop(), Err(RingError::Closed));
        producer.join().expect("producer");
    });
}

#[test]
fn closed_comes_after_the_last_message() {
    closing_wakes(WaitStrategy::Sleep);
    closing_wakes(WaitStrategy::Adaptive);
}

/// Two sleepers on one word, with a bit each or one for both, and a waker that adds a message for
/// each of them.
fn two_sleepers(masks: [u32; 2]) {
    let shared = masks[0] == masks[1];
    model(move || {
        let cursors = Arc::new(Cursors::default());
        let world = Arc::new(World::new(&cursors, true));
        let messages = Arc::new(AtomicU64::new(0));
        let takers: Vec<_> = masks
            .into_iter()
            .map(|mask| {
                let (cursors, world, messages) = (cursors.clone(), world.clone(), messages.clone());
                thread::spawn(move || {
                    let side = Side::new(&world, WaitStrategy::Sleep);
                    wait::until(&side, &waiter(&cursors.state.consumer_waits, mask, shared), || {
                        let mut there = messages.load(Ordering::Acquire);
                        let taken = loop {
                            if there == 0 {
                                break false;
                            }
                            let less = there - 1;
                            match messages.compare_exchange(there, less, Ordering::AcqRel, Ordering::Acquire)
                            {
                                Ok(_) => break true,
                                Err(now) => there = now,
                            }
                        };
                        Ok(taken.then_some(()))
                    })
                    .expect("a message for each");
                })
            })
            .collect();
        let side = Side::new(&world, WaitStrategy::Sleep);
        for _ in 0..2 {
            messages.fetch_add(1, Ordering::Release);
            wait::notify(&side, &cursors.state.consumer_waits);
        }
        takers.into_iter().for_each(|taker| taker.join().expect("taker"));
    });
}

#[test]
fn two_sleepers_are_woken_by_two_messages() {
    two_sleepers([1, 2]);
    two_sleepers([1, 1]);
}
