//! The exchange ring is one FIFO queue (I6): thousands of short histories of real calls, by threads and
//! by processes, each of which must have an order that a bounded queue with closing explains.
//!
//! Also of a ring whose messages lie in its entries, with batches: one is pushed by one call, its messages one
//! behind the other.
//!
//! `SEGRING_HISTORIES=N`: so many with threads, and half as many with processes (default 4000), of each.

mod arena;
mod broken;
mod checker;
#[path = "../common/mod.rs"]
mod common;
#[path = "../harness/mod.rs"]
mod harness;
mod shaken;

use arena::{Arena, Counts, Queue, WORKERS_MAX, until};
use broken::{Claiming, Fault, Locked};
use checker::{BATCH, Call, Said, batch};
use common::{TestChild, TestName, child_role, watchdog};
use harness::{Rng, Shared};
use segring::{Layout, Name, RingError, mpmc};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

type Ring = mpmc::Ring<u64>;

/// Rounds on one ring: the last one may close it.
const ROUNDS: u64 = 4;

/// Both sides of the ring.
struct Both {
    tx: mpmc::Producer<u64>,
    rx: mpmc::Consumer<u64>,
    inline: bool,
}

impl Both {
    fn of(ring: &Ring) -> Self {
        let inline = ring.stats().expect("stats").layout == Layout::Inline;
        Self { tx: ring.producer().expect("a seat"), rx: ring.consumer().expect("a seat"), inline }
    }
}

impl Queue for Both {
    fn try_push(&mut self, item: u8) -> Said {
        match self.tx.try_push(item.into()).map_err(|r| r.error) {
            Ok(()) => Said::Ok,
            Err(RingError::Full) => Said::Full,
            Err(RingError::Closed) => Said::Closed,
            Err(e) => panic!("try_push: {e}"),
        }
    }

    fn try_pop(&mut self) -> Said {
        let popped = self.rx.try_pop();
        assert!(!self.rx.redelivered(), "nobody was killed");
        match popped {
            Ok(item) => Said::Popped(item as u8),
            Err(RingError::Empty) => Said::Empty,
            Err(RingError::Closed) => Said::Closed,
            Err(e) => panic!("try_pop: {e}"),
        }
    }

    fn close(&mut self) {
        self.tx.close().expect("close");
    }

    fn has_batches(&self) -> bool {
        self.inline
    }

    fn push_batch(&mut self, item: u8) -> Result<usize, Said> {
        match self.tx.push_slice(&batch(item).map(u64::from)) {
            Ok(0) => Err(Said::Full),
            Ok(n) => Ok(n),
            Err(RingError::Closed) => Err(Said::Closed),
            Err(e) => panic!("push_slice: {e}"),
        }
    }

    fn pop_slice(&mut self, into: &mut [u8]) -> Result<usize, Said> {
        let mut items = [0; BATCH];
        match self.rx.pop_slice(&mut items[..into.len()]) {
            Ok(0) => Err(Said::Empty),
            Ok(n) => {
                into.iter_mut().zip(items).for_each(|(into, item)| *into = item as u8);
                Ok(n)
            }
            Err(RingError::Closed) => Err(Said::Closed),
            Err(e) => panic!("pop_slice: {e}"),
        }
    }
}

#[test]
fn child_main() {
    let Some((role, args)) = child_role() else { return };
    assert_eq!(role, "worker");
    let [arena, worker] = &args[..] else { panic!("arguments") };
    let arena = Shared::<Arena>::attach(arena.parse().expect("an id"));
    let worker: usize = worker.parse().expect("a number");
    for batch in 1.. {
        while arena.batch.load(SeqCst) < batch {
            std::thread::sleep(Duration::from_micros(100));
        }
        let id = arena.ring.load(SeqCst);
        if id == u64::MAX {
            return;
        }
        let ring = Ring::builder(Name::id(id as i32)).attach().expect("attach");
        arena.serve(worker, &mut Both::of(&ring));
    }
}

/// A shape of a batch: workers, and capacity.
fn shape(rng: &mut Rng) -> (usize, usize) {
    (2 + rng.below(WORKERS_MAX as u64 - 1) as usize, 1 << rng.below(3))
}

/// One batch with threads. `leader` and each of what `join` gives are on the same queue.
fn with_threads<Q: Queue>(
    arena: &Arena,
    (workers, capacity): (usize, usize),
    rounds: u64,
    rng: &mut Rng,
    counts: &mut Counts,
    places: &dyn Fn() -> Option<u64>,
    join: impl Fn() -> Q + Sync,
) -> Result<(), Vec<Call>> {
    arena.begin(workers);
    let seated = std::sync::Barrier::new(workers + 1);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (join, seated) = (&join, &seated);
            scope.spawn(move || {
                let mut queue = join();
                seated.wait();
                arena.serve(worker, &mut queue);
            });
        }
        seated.wait();
        arena.lead(capacity, rounds, rng, &mut join(), places, counts)
    })
}

fn histories() -> u64 {
    std::env::var("SEGRING_HISTORIES").ok().and_then(|n| n.parse().ok()).unwrap_or(4_000)
}

fn create(name: &TestName, capacity: usize, slots: bool) -> Ring {
    Ring::builder(name.name())
        .capacity(capacity)
        .seats(2 * WORKERS_MAX as u32 + 2)
        .redelivery(slots)
        .create()
        .expect("create")
}

/// Places that all pushes so far have taken.
fn places(ring: &Ring) -> Option<u64> {
    Some(ring.stats().expect("stats").pushed)
}

fn fail(calls: &[Call], shape: (usize, usize), seed: u64) -> ! {
    let lines: String = calls.iter().map(|call| format!("\n  {call:?}")).collect();
    panic!("(workers, capacity) {shape:?}, seed {seed}: no queue has this history:{lines}");
}

fn report(who: &str, (counts, seed): &(Counts, u64)) {
    let _ = writeln!(std::io::stderr(), "{who}, seed {seed}: {counts:?}");
    assert!(counts.overlaps > counts.histories / 50, "hardly any calls overlapped");
    assert!(counts.full.min(counts.empty).min(counts.popped) > counts.histories / 2 && counts.closed > 0);
}

/// Both calls that are only there have been made often.
fn report_batches(counts: &Counts) {
    let least = counts.batches.min(counts.ones).min(counts.parts);
    assert!(least > counts.histories / 20, "hardly any batches: {counts:?}");
}

#[test]
fn histories_of_threads() {
    report("threads", &of_threads(true));
}

#[test]
fn histories_of_threads_with_batches() {
    let done = of_threads(false);
    report("threads, inline", &done);
    report_batches(&done.0);
}

fn of_threads(slots: bool) -> (Counts, u64) {
    let seed = Rng::random_seed();
    let (rng, arena, mut counts) = (&mut Rng::new(seed), Arena::default(), Counts::default());
    while counts.histories < histories() {
        let _watchdog = watchdog("a batch of threads");
        let name = TestName::new("linear");
        let shape = shape(rng);
        let ring = create(&name, shape.1, slots);
        let places = || places(&ring);
        let result = with_threads(&arena, shape, ROUNDS, rng, &mut counts, &places, || Both::of(&ring));
        result.unwrap_or_else(|calls| fail(&calls, shape, seed));
    }
    (counts, seed)
}

#[test]
fn histories_of_processes() {
    report("processes", &of_processes(true));
}

#[test]
fn histories_of_processes_with_batches() {
    let done = of_processes(false);
    report("processes, inline", &done);
    report_batches(&done.0);
}

fn of_processes(slots: bool) -> (Counts, u64) {
    let seed = Rng::random_seed();
    let (rng, arena, mut counts) = (&mut Rng::new(seed), Shared::<Arena>::create(), Counts::default());
    let workers = 3;
    let id = arena.id().to_string();
    let child = |worker: usize| TestChild::spawn("worker", &[&id, &worker.to_string()]);
    let children: Vec<TestChild> = (0..workers).map(child).collect();
    while counts.histories < histories() / 2 {
        let _watchdog = watchdog("a batch of processes");
        let name = TestName::new("linear-processes");
        let shape = (workers, shape(rng).1);
        let ring = create(&name, shape.1, slots);
        let mut leader = Both::of(&ring);
        arena.begin(workers);
        arena.ring.store(ring.id() as u64, SeqCst);
        arena.batch.fetch_add(1, SeqCst);
        let all = || ring.stats().expect("stats").producers as usize == workers + 1;
        until(|| ring.stats().expect("stats").consumers as usize == workers + 1 && all());
        let result = arena.lead(shape.1, ROUNDS, rng, &mut leader, &|| places(&ring), &mut counts);
        result.unwrap_or_else(|calls| fail(&calls, shape, seed));
        // They leave before the ring is removed.
        until(|| ring.stats().expect("stats").attached == 1);
    }
    arena.ring.store(u64::MAX, SeqCst);
    arena.batch.fetch_add(1, SeqCst);
    children.into_iter().for_each(TestChild::join);
    (counts, seed)
}

/// Histories until the checker says that it is no queue. `None`: it never did.
fn caught_after<T: Send + Sync>(what: &str, within: u64, make: impl Fn(usize) -> Arc<T>) -> Option<u64>
where
    Arc<T>: Queue,
{
    let (rng, arena, mut counts) = (&mut Rng::new(Rng::random_seed()), Arena::default(), Counts::default());
    while counts.histories < within {
        let _watchdog = watchdog("a batch of a queue of the test's own");
        let shape = shape(rng);
        let queue = make(shape.1);
        let join = || Arc::clone(&queue);
        if with_threads(&arena, shape, ROUNDS, rng, &mut counts, &|| None, join).is_err() {
            let _ = writeln!(std::io::stderr(), "{what}: caught after {} histories", counts.histories);
            return Some(counts.histories);
        }
    }
    None
}

#[test]
fn broken_queues_are_caught() {
    // They take fewer than a hundred, mostly.
    let enough = 20_000;
    for fault in [Fault::Reorders, Fault::LooksTooEarly, Fault::ClosesTooLate] {
        let make = |capacity| Arc::new(Locked::new(fault, capacity));
        assert!(caught_after(&format!("{fault:?}"), enough, make).is_some(), "{fault:?}");
    }
    let of_batches = [
        Fault::TurnsBatches,
        Fault::SplitsBatches,
        Fault::FreesTooEarly,
        Fault::ReadsTooEarly,
        Fault::Reorders,
    ];
    for fault in of_batches {
        let make = |capacity| Arc::new(Locked::with_batches(fault, capacity));
        assert!(caught_after(&format!("batches: {fault:?}"), enough, make).is_some(), "{fault:?}");
    }
    for (what, laps) in [("a claimed place is a hole", true), ("laps forgotten", false)] {
        let make = |capacity| Arc::new(Claiming::new(capacity, laps));
        assert!(caught_after(what, enough, make).is_some(), "{what}");
    }
}

#[test]
fn a_right_queue_is_not() {
    let make = |capacity| Arc::new(Locked::new(Fault::None, capacity));
    assert_eq!(caught_after("a right one", 1000, make), None);
    let make = |capacity| Arc::new(Locked::with_batches(Fault::None, capacity));
    assert_eq!(caught_after("a right one with batches", 1000, make), None);
}
