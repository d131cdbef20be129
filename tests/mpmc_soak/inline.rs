//! The soak of a ring whose messages lie in its entries. Nothing comes back: each message is delivered once,
//! or was taken by one that was killed in its call.
//!
//! Consumers of slices pop into memory that a kill does not take away. A batch is read before it is taken: so
//! of what lies there after a kill the first ones were taken, and the last ones, of one entry, may not have been.

use crate::brood::Kid;
use crate::common::{TestChild, TestName, say, watchdog};
use crate::harness::{Rng, Shared, mix};
use segring::{Layout, RingError, mpmc};
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

type Ring = mpmc::Ring<u64>;

/// Messages of one epoch, at most.
const MESSAGES: u64 = 1 << 22;
const PRODUCERS: usize = 4;
const WORKERS: usize = 8;
/// The longest slice: more than a batch.
const SLICE: usize = 70;
/// The longest batch.
const BATCH: u64 = 64;

/// What may happen to a message: one byte of its word.
#[derive(Clone, Copy)]
enum Event {
    Tried,
    /// Its push returned.
    Pushed,
    Got,
}

#[repr(C)]
struct Diary {
    /// First message (from bit 16 on) and number (8 bits) of those that are being pushed; number 0: none.
    /// Bit 8: one by itself, now.
    pushing: AtomicU64,
    /// 0: nothing. 1: pops one message. 2: pops a slice. From 3 on: has popped so many less 3, and counts them.
    popping: AtomicU64,
    slice: [AtomicU64; SLICE],
}

#[repr(C)]
struct Books {
    next: AtomicU64,
    /// 1: producers go.
    stop: AtomicU64,
    diaries: [Diary; WORKERS],
    words: [AtomicU32; MESSAGES as usize],
}

/// What the killed were at.
#[derive(Default)]
struct Kills {
    all: u64,
    /// In a pop of one message: it may have been taken, and nobody knows which it was.
    single: u64,
    /// In a push: as in the diary.
    pushes: Vec<u64>,
    /// In a pop of a slice: what they left there.
    slices: Vec<Vec<u64>>,
}

#[derive(Default)]
struct Totals {
    got: u64,
    /// Pushes that never returned, and what was pushed was delivered.
    unreturned: u64,
    /// Taken by the dead.
    taken: u64,
    /// Read by the dead, and not taken.
    read: u64,
    /// Of these nobody knows who took them.
    lost: u64,
}

fn message(n: u64, producer: usize) -> u64 {
    n << 32 | mix(n) & 0xFFFF_FFF0 | producer as u64
}

/// What each producer's last message was, as far as this consumer has seen.
#[derive(Default)]
struct Seen([u64; PRODUCERS]);

impl Seen {
    fn check(&mut self, got: u64) -> u64 {
        let (n, producer) = (got >> 32, got as usize & 0xF);
        assert!(producer < PRODUCERS && got == message(n, producer), "torn: {got:x}");
        let last = std::mem::replace(&mut self.0[producer], n + 1);
        assert!(last <= n, "out of order: producer {producer}, {n} after {}", last - 1);
        n
    }
}

impl Books {
    fn count(&self, message: u64, event: Event) {
        self.words[message as usize].fetch_add(1 << (8 * event as u32), SeqCst);
    }

    fn times(&self, message: u64, event: Event) -> u32 {
        self.words[message as usize].load(SeqCst) >> (8 * event as u32) & 0xFF
    }

    fn was_got(&self, message: u64) -> bool {
        self.times(message, Event::Got) > 0
    }

    fn bury(&self, who: usize, kills: &mut Kills) {
        let diary = &self.diaries[who];
        kills.all += 1;
        let pushing = diary.pushing.swap(0, SeqCst);
        if pushing & 0xFF > 0 {
            kills.pushes.push(pushing);
        }
        let there = diary.slice.iter().map(|word| word.swap(0, SeqCst)).filter(|word| *word != 0);
        let there: Vec<u64> = there.map(|word| word >> 32).collect();
        match diary.popping.swap(0, SeqCst) {
            0 => {}
            1 => kills.single += 1,
            2 => kills.slices.push(there),
            n => {
                // It had them; some it has counted.
                let had = there.into_iter().take(n as usize - 3);
                had.filter(|n| !self.was_got(*n)).for_each(|n| self.count(n, Event::Got));
            }
        }
    }

    /// Checks every message. Nobody is at work any more, and the ring is empty.
    fn check(&self, kills: &Kills) -> Totals {
        let mut totals = Totals::default();
        // Read by several dead ones: by whom it was taken cannot be told.
        let mut readers: HashMap<u64, u32> = HashMap::new();
        kills.slices.iter().flatten().for_each(|n| *readers.entry(*n).or_default() += 1);
        for slice in &kills.slices {
            let told: Vec<bool> =
                slice.iter().filter(|n| readers[n] == 1).map(|n| self.was_got(*n)).collect();
            assert!(told.is_sorted(), "taken, but not the one before it: {slice:?} {told:?}");
            let read = told.iter().filter(|got| **got).count() as u64;
            assert!(read <= BATCH, "read out of several entries, and not taken: {slice:?} {told:?}");
            totals.read += read;
        }
        let given = self.next.load(SeqCst).min(MESSAGES);
        let mut unreturned = HashSet::new();
        for n in 0..given {
            let [tried, pushed, got] = [Event::Tried, Event::Pushed, Event::Got].map(|e| self.times(n, e));
            assert!(got <= 1, "message {n} came {got} times");
            assert!(pushed <= tried && got <= tried && tried <= 1, "message {n} out of nothing");
            totals.got += u64::from(got);
            if pushed < tried {
                unreturned.insert(n);
            } else if pushed > got {
                match readers.contains_key(&n) {
                    true => totals.taken += 1,
                    false => totals.lost += 1,
                }
            }
        }
        for &pushing in &kills.pushes {
            let (first, len) = (pushing >> 16, pushing & 0xFF);
            self.check_push(first, len, pushing & 0x100 != 0, &readers, &mut totals);
            unreturned.retain(|n| !(first..first + len).contains(n));
        }
        let one = unreturned.iter().next();
        assert!(one.is_none(), "a push has not returned, and nobody was killed: {one:?}");
        assert!(totals.lost <= kills.single, "{} messages are lost, of {}", totals.lost, kills.single);
        totals
    }

    /// A killed push: the first ones are in, those that came out at least. (That batches are in wholly the sweep
    /// shows: messages of a slice that nobody takes go in one by one.)
    fn check_push(
        &self,
        first: u64,
        len: u64,
        by_itself: bool,
        readers: &HashMap<u64, u32>,
        totals: &mut Totals,
    ) {
        let returned = (0..len).take_while(|i| self.times(first + i, Event::Pushed) > 0).count() as u64;
        let is_there = |i: u64| self.was_got(first + i) || readers.contains_key(&(first + i));
        let pushed = (returned..len).rev().find(|i| is_there(*i)).map_or(returned, |i| i + 1);
        assert!(pushed <= 1 || !by_itself, "{pushed} of {len} are in");
        for i in returned..pushed {
            totals.unreturned += u64::from(is_there(i));
            totals.lost += u64::from(!is_there(i));
        }
    }
}

fn patience(rng: &mut Rng) -> Duration {
    if rng.below(16) == 0 { Duration::from_millis(20) } else { Duration::from_micros(rng.below(2) * 50) }
}

fn produce(ring: &Ring, books: &Books, who: usize, rng: &mut Rng) {
    let diary = &books.diaries[who];
    let join = || ring.producer().expect("there are seats enough");
    let mut tx = join();
    while books.stop.load(SeqCst) == 0 {
        let len = [1, 1, 3, 5, 20, SLICE as u64][rng.below(6) as usize];
        let mut first = books.next.fetch_add(len, SeqCst);
        let end = first + len;
        if end > MESSAGES {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        diary.pushing.store(first << 16 | len, SeqCst);
        (first..end).for_each(|n| books.count(n, Event::Tried));
        while first < end {
            let items: Vec<u64> = (first..end).map(|n| message(n, who)).collect();
            let pushed = if items.len() == 1 || rng.below(8) == 0 {
                // Of one that is killed in here it is known how many it pushed.
                diary.pushing.store(first << 16 | 0x100 | (end - first), SeqCst);
                tx.push_timeout(items[0], patience(rng)).map(|()| 1).map_err(|r| r.error)
            } else {
                tx.push_slice(&items)
            };
            match pushed {
                Ok(n) => {
                    (first..first + n as u64).for_each(|n| books.count(n, Event::Pushed));
                    first += n as u64;
                }
                Err(RingError::TimedOut | RingError::PeerGone { .. }) => {}
                Err(e) => panic!("push: {e}"),
            }
            diary.pushing.store(first << 16 | (end - first), SeqCst);
        }
        diary.pushing.store(0, SeqCst);
        if rng.below(1000) == 0 {
            drop(tx);
            tx = join();
        }
    }
}

/// `false`: it is over.
fn more(error: RingError) -> bool {
    match error {
        RingError::Empty | RingError::TimedOut | RingError::PeerGone { .. } => true,
        RingError::Closed => false,
        e => panic!("pop: {e}"),
    }
}

fn pop_one(
    rx: &mut mpmc::Consumer<u64>,
    books: &Books,
    diary: &Diary,
    seen: &mut Seen,
    rng: &mut Rng,
) -> bool {
    diary.popping.store(1, SeqCst);
    let popped = if rng.below(2) == 0 { rx.try_pop() } else { rx.pop_timeout(patience(rng)) };
    let goes_on = popped.map_or_else(more, |got| {
        books.count(seen.check(got), Event::Got);
        true
    });
    diary.popping.store(0, SeqCst);
    goes_on
}

fn pop_some(
    rx: &mut mpmc::Consumer<u64>,
    books: &Books,
    diary: &Diary,
    seen: &mut Seen,
    rng: &mut Rng,
) -> bool {
    if rng.below(4) == 0 {
        let waited = rx.wait_for_message(Some(patience(rng)));
        if !waited.map_or_else(more, |()| true) {
            return false;
        }
    }
    diary.popping.store(2, SeqCst);
    let at = (&raw const diary.slice).cast::<[u64; SLICE]>().cast_mut();
    // SAFETY: atomics, which may be changed through a shared reference; while this worker lives nobody else
    // looks there, and this reference ends before the words are used as atomics again.
    let into = unsafe { &mut *at };
    let most = [1, 3, 5, 30, SLICE][rng.below(5) as usize];
    let popped = rx.pop_slice(&mut into[..most]);
    let goes_on = popped.map_or_else(more, |n| {
        diary.popping.store(3 + n as u64, SeqCst);
        for got in &diary.slice[..n] {
            books.count(seen.check(got.load(SeqCst)), Event::Got);
        }
        true
    });
    // Empty before it begins anew: what others were faster to take may be there.
    diary.popping.store(0, SeqCst);
    diary.slice.iter().for_each(|word| word.store(0, SeqCst));
    goes_on
}

fn consume(ring: &Ring, books: &Books, who: usize, rng: &mut Rng) {
    let join = || ring.consumer().expect("there are seats enough");
    let (mut rx, mut seen, diary) = (join(), Seen::default(), &books.diaries[who]);
    let slices = |rng: &mut Rng| match who % 4 {
        0 => false,
        1 => rng.below(2) == 0,
        _ => true,
    };
    loop {
        let pop = if slices(rng) { pop_some } else { pop_one };
        if !pop(&mut rx, books, diary, &mut seen, rng) {
            return;
        }
        if rng.below(1000) == 0 {
            drop(rx);
            rx = join();
        }
    }
}

fn work(name: &str, books: &Books, who: usize, seed: u64) {
    let rng = &mut Rng::new(seed);
    let ring = Ring::builder(name).attach().expect("attach");
    if who < PRODUCERS { produce(&ring, books, who, rng) } else { consume(&ring, books, who, rng) }
}

/// A ring from its making to its end: the parent of the eight, and their bookkeeper.
pub(crate) fn epoch(name: &str, seconds: u64, capacity: usize, seed: u64) {
    let rng = &mut Rng::new(seed);
    // A dying process may be about to repair another's seat, and changing its own.
    let seats = 3 * WORKERS as u32;
    let ring = Ring::builder(name).capacity(capacity).seats(seats).create().expect("create");
    assert_eq!(ring.stats().expect("stats").layout, Layout::Inline);
    let books = &Shared::<Books>::create();
    let start = |who: usize, rng: &mut Rng| {
        let seed = rng.next();
        Kid::fork(|| work(name, books, who, seed))
    };
    let mut kids: Vec<Kid> = (0..WORKERS).map(|who| start(who, rng)).collect();
    let mut kills = Kills::default();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(seconds) && books.next.load(SeqCst) < MESSAGES {
        std::thread::sleep(Duration::from_micros(rng.below(6000)));
        let who = rng.below(WORKERS as u64) as usize;
        kids[who].kill();
        books.bury(who, &mut kills);
        kids[who] = start(who, rng);
    }
    books.stop.store(1, SeqCst);
    let consumers = kids.split_off(PRODUCERS);
    kids.into_iter().for_each(Kid::join);
    ring.producer().expect("a seat").close().expect("close");
    consumers.into_iter().for_each(Kid::join);
    let _watchdog = watchdog("the end of an epoch");
    assert_eq!(ring.consumer().expect("a seat").try_pop(), Err(RingError::Closed));
    let totals = books.check(&kills);
    let _ = ring.recover().expect("recover");
    let stats = ring.stats().expect("stats");
    assert_eq!((stats.len, stats.held, stats.unclean, stats.attached), (0, 0, 0, 1));
    assert_eq!((stats.producers, stats.consumers, stats.closed), (0, 0, true));
    assert_eq!(stats.pushed, stats.popped);
    let all: Vec<_> = (0..seats).map(|_| ring.consumer().expect("every seat can be taken")).collect();
    drop(all);
    let Kills { all, single, pushes, slices } = &kills;
    let Totals { got, unreturned, taken, read, lost } = totals;
    say(&format!("{all} {got} {unreturned} {taken} {read} {lost}"));
    let _ = writeln!(
        std::io::stderr(),
        "inline, capacity {capacity}: {all} kills ({} while pushing, {single} popping one, {} popping several), {got} \
         messages, {unreturned} pushed by the dead, {taken} taken by them, {read} read and not taken, {lost} lost",
        pushes.len(),
        slices.len()
    );
}

#[test]
fn every_message_of_an_inline_ring_is_accounted_for() {
    let seconds = std::env::var("SEGRING_SOAK").ok().and_then(|n| n.parse().ok()).unwrap_or(4u64);
    let seed = Rng::random_seed();
    let rng = &mut Rng::new(seed);
    let _ = writeln!(std::io::stderr(), "soak of {seconds} s, inline, seed {seed}");
    let begun = Instant::now();
    let mut sums = [0u64; 6];
    for capacity in [2, 256, 1, 8, 1024].into_iter().cycle() {
        let left = seconds.saturating_sub(begun.elapsed().as_secs());
        if left == 0 {
            break;
        }
        // At least two rings.
        let now = left.min(crate::EPOCH).min(seconds.div_ceil(2));
        let name = TestName::new("soak-inline");
        let args = [name.as_str(), &now.to_string(), &capacity.to_string(), &rng.next().to_string()];
        let mut child = TestChild::spawn("epoch inline", &args);
        let said = child.hear().expect("the epoch failed: see above");
        child.join();
        for (sum, n) in sums.iter_mut().zip(said.split(' ')) {
            *sum += n.parse::<u64>().expect("a number");
        }
    }
    let [kills, got, unreturned, taken, read, lost] = sums;
    let _ = writeln!(
        std::io::stderr(),
        "soak, inline: {kills} kills, {got} messages, {unreturned} pushed by the dead, {taken} taken by them, \
         {read} read and not taken, {lost} lost"
    );
    assert!(got > 10 * kills, "too little went through");
    assert!(kills >= 5 * seconds, "too little happened");
}
