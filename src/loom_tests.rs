//! loom runs the real algorithms, on heap memory, through every interleaving and every value that
//! a load may return under the C11 memory model (`RUSTFLAGS="--cfg segring_loom" cargo test --lib`).
//!
//! Payloads lie in cells that loom watches: a read that is not ordered after its write, or a write
//! that is not ordered after the read of the lap before, fails the test. Sleeping has no time-out
//! here, so a lost wakeup is a deadlock, which loom reports.
#![allow(unsafe_code)]

use crate::layout::cursors::{Cursors, SideLine};
use crate::ring::RingError;
use crate::ring::spsc::slots::{Slots, Stamps};
use crate::ring::spsc::{Receiver, Sender, bytes, dense, stamped};
use crate::ring::wait::{self, Slept, WaitState, WaitStrategy};
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use std::cell::Cell;

/// Cells that two threads share by the algorithm's rules; loom checks that the rules order them.
struct Cells(Vec<UnsafeCell<u64>>);

// SAFETY: loom reports every access that is not ordered with another one.
unsafe impl Sync for Cells {}
// SAFETY: plain numbers.
unsafe impl Send for Cells {}

impl Cells {
    fn new(n: u64) -> Self {
        Self((0..n).map(|_| UnsafeCell::new(0)).collect())
    }
    fn set(&self, position: u64, value: u64) {
        // SAFETY: loom checks that nobody else touches the cell meanwhile.
        self.0[position as usize % self.0.len()].with_mut(|p| unsafe { *p = value });
    }
    fn get(&self, position: u64) -> u64 {
        // SAFETY: loom checks that nobody writes the cell meanwhile.
        self.0[position as usize % self.0.len()].with(|p| unsafe { *p })
    }
}

/// The shared memory of a dense ring.
#[derive(Clone)]
struct HeapDense(Arc<Cells>);

/// The shared memory of a stamped ring.
#[derive(Clone)]
struct HeapStamped(Arc<(Cells, Vec<AtomicU64>)>);

impl Stamps for HeapStamped {
    fn capacity(&self) -> u64 {
        self.0.1.len() as u64
    }
    fn stamp(&self, position: u64) -> &AtomicU64 {
        &self.0.1[position as usize % self.0.1.len()]
    }
}

impl AsRef<Cells> for HeapDense {
    fn as_ref(&self) -> &Cells {
        &self.0
    }
}

impl AsRef<Cells> for HeapStamped {
    fn as_ref(&self) -> &Cells {
        &self.0.0
    }
}

macro_rules! copies {
    () => {
        type Item = u64;
        fn capacity(&self) -> u64 {
            self.as_ref().0.len() as u64
        }
        fn write(&self, position: u64, item: &u64) {
            self.as_ref().set(position, *item);
        }
        fn read(&self, position: u64) -> u64 {
            self.as_ref().get(position)
        }
        fn read_into(&self, position: u64, into: &mut u64) {
            *into = self.as_ref().get(position);
        }
        fn write_all(&self, position: u64, items: &[u64]) {
            for (p, item) in (position..).zip(items) {
                self.as_ref().set(p, *item);
            }
        }
        fn read_all(&self, position: u64, into: &mut [u64]) {
            for (p, item) in (position..).zip(into) {
                *item = self.as_ref().get(p);
            }
        }
    };
}

impl Slots for HeapDense {
    copies!();
    fn publish_one(&self, line: &SideLine, tail: u64) {
        dense::publish(line, tail, 1);
    }
    fn look(&self, line: &SideLine, head: u64, seen: &mut u64) -> Result<bool, RingError> {
        dense::look(line, head, seen, Slots::capacity(self))
    }
    fn publish(&self, line: &SideLine, tail: u64, n: u64) {
        dense::publish(line, tail, n);
    }
    fn visible(&self, line: &SideLine, head: u64, seen: u64, _: u64) -> Result<u64, RingError> {
        dense::visible(line, head, seen, Slots::capacity(self))
    }
    fn find_tail(&self, line: &SideLine, head: u64) -> Result<u64, RingError> {
        dense::find_tail(line, head, Slots::capacity(self))
    }
}

impl Slots for HeapStamped {
    copies!();
    fn publish_one(&self, line: &SideLine, tail: u64) {
        stamped::publish_one(self, line, tail);
    }
    fn look(&self, _: &SideLine, head: u64, seen: &mut u64) -> Result<bool, RingError> {
        stamped::look(self, head, seen)
    }
    fn publish(&self, line: &SideLine, tail: u64, n: u64) {
        stamped::publish(self, line, tail, n);
    }
    fn visible(&self, _: &SideLine, head: u64, seen: u64, wanted: u64) -> Result<u64, RingError> {
        stamped::visible(self, head, seen, wanted)
    }
    fn find_tail(&self, line: &SideLine, head: u64) -> Result<u64, RingError> {
        stamped::find_tail(self, line, head)
    }
}

fn heap_dense(capacity: u64) -> HeapDense {
    HeapDense(Arc::new(Cells::new(capacity)))
}

fn heap_stamped(capacity: u64) -> HeapStamped {
    let stamps = (0..capacity).map(|_| AtomicU64::new(0)).collect();
    HeapStamped(Arc::new((Cells::new(capacity), stamps)))
}

/// A circle of 8-byte words: payloads here are whole words. Headers are atomics, as in a segment.
#[derive(Clone)]
struct HeapBytes(Arc<(Cells, Vec<AtomicU64>)>);

impl HeapBytes {
    fn new(words: u64) -> Self {
        Self(Arc::new((Cells::new(words), (0..words).map(|_| AtomicU64::new(0)).collect())))
    }
    fn header_word(&self, position: u64) -> &AtomicU64 {
        &self.0.1[position as usize / 8 % self.0.1.len()]
    }
}

impl bytes::Bytes for HeapBytes {
    fn capacity(&self) -> u64 {
        self.0.1.len() as u64 * 8
    }
    fn write(&self, position: u64, bytes: &[u8]) {
        for (p, word) in (position / 8..).zip(bytes.chunks_exact(8)) {
            self.0.0.set(p, u64::from_le_bytes(word.try_into().expect("eight")));
        }
    }
    fn read(&self, position: u64, len: usize, into: &mut Vec<u8>) {
        for p in position / 8..position / 8 + len as u64 / 8 {
            into.extend_from_slice(&self.0.0.get(p).to_le_bytes());
        }
    }
    fn set_header(&self, position: u64, value: u64) {
        self.header_word(position).store(value, Ordering::Relaxed);
    }
    fn header(&self, position: u64) -> u64 {
        self.header_word(position).load(Ordering::Relaxed)
    }
}

/// The kernel, for threads: a queue of sleepers for each word. To wake the wrong one, or nobody,
/// must show, so a sleep has no time limit.
struct World {
    words: [usize; 2],
    queues: [(Mutex<Vec<Sleeper>>, Condvar); 2],
    /// What stands for membarrier: all that the waiting side adds. Tests take it away.
    barrier: bool,
}

/// Who sleeps, with which bits, and whether it was woken.
struct Sleeper {
    bits: u32,
    woken: bool,
}

impl World {
    fn new(cursors: &Cursors, barrier: bool) -> Self {
        let address = |word: &AtomicU32| std::ptr::from_ref(word) as usize;
        Self {
            words: [address(&cursors.state.consumer_waits), address(&cursors.state.producer_waits)],
            queues: Default::default(),
            barrier,
        }
    }
    fn queue(&self, word: &AtomicU32) -> &(Mutex<Vec<Sleeper>>, Condvar) {
        let index = self.words.iter().position(|w| *w == std::ptr::from_ref(word) as usize);
        &self.queues[index.expect("a word of this ring")]
    }
}

/// One thread's view of it. The clock jumps a second at each look, so that nobody spins for long.
struct Side {
    world: Arc<World>,
    clock: Cell<u64>,
    waits: WaitState,
}

impl Side {
    fn new(world: &Arc<World>, strategy: WaitStrategy) -> Self {
        let waits = WaitState::default();
        waits.set_strategy(strategy);
        Self { world: world.clone(), clock: Cell::new(0), waits }
    }
}

impl wait::Host for Side {
    fn now(&self) -> u64 {
        self.clock.set(self.clock.get() + 1_000_000_000);
        self.clock.get()
    }
    fn sleep(&self, word: &AtomicU32, seen: u32, bits: u32, _: u64) -> Slept {
        // As the kernel does it: the word is compared under the queue's lock.
        let (sleepers, changed) = self.world.queue(word);
        let mut queue = sleepers.lock().expect("loom");
        if word.load(Ordering::Relaxed) != seen {
            return Slept::NotAtAll;
        }
        queue.push(Sleeper { bits, woken: false });
        let mine = queue.len() - 1;
        while !queue[mine].woken {
            queue = changed.wait(queue).expect("loom");
        }
        Slept::Woken
    }
    fn wake(&self, word: &AtomicU32, bits: u32) -> bool {
        let (sleepers, changed) = self.world.queue(word);
        let mut woken = false;
        // They stay in the list, which is short: their places are their names.
        for sleeper in sleepers.lock().expect("loom").iter_mut() {
            woken |= !sleeper.woken && sleeper.bits & bits != 0;
            sleeper.woken |= sleeper.bits & bits != 0;
        }
        changed.notify_all();
        woken
    }
    fn yield_now(&self) {
        thread::yield_now();
    }
    fn must_fence(&self) -> bool {
        false // the light barrier is a full fence under loom
    }
    fn barrier(&self) -> bool {
        if self.world.barrier {
            // SeqCst: SYNC(park), stands for membarrier.
            fence(Ordering::SeqCst);
        }
        true
    }
    fn has_hint(&self) -> bool {
        false
    }
    fn news(&self) -> Option<RingError> {
        None
    }
    fn told(&self) {}
    fn state(&self) -> &WaitState {
        &self.waits
    }
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
