//! kill -9 of either side at random moments under load: the books balance exactly as I1 says.
//!
//! A parent keeps one producer and one consumer at full speed, and kills and restarts one of them
//! again and again. Message `n` is made of the number `n`; a producer goes on at its `position()`,
//! a consumer expects its own. So the consumer itself sees anything lost, doubled, torn or out of
//! order, and the parent compares what the dead had written down with where the next one starts.
//!
//! Three of four victims are stopped first, and their program counter says where the kill landed.
//! `SEGRING_KILLS=N`: that many kills in all (default 510).

#[path = "../common/mod.rs"]
mod common;
#[path = "../harness/mod.rs"]
mod harness;

mod bytes;
mod journal;
mod typed;

use common::{TestChild, TestName, child_role, say};
use harness::locate::{Histogram, locate};
use harness::{Rng, Shared, trace};
use journal::{Diary, Journal};
use nix::sys::ptrace::{self, Options};
use nix::unistd::Pid;
use segring::spsc::{ByteRing, Ring};
use segring::{Layout, RingError};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// 48 bytes: a stamped slot of 64.
const SMALL: usize = 6;
/// 640 bytes: a dense slot, copied by the string instruction.
const LARGE: usize = 80;

#[test]
fn child_main() {
    let Some((role, args)) = child_role() else { return };
    let [kind, name, journal, seed, mixed] = &args[..] else { panic!("arguments") };
    let journal = Shared::<Journal>::attach(journal.parse().expect("an id"));
    let rng = &mut Rng::new(seed.parse().expect("a seed"));
    let mixed = mixed == "true";
    let ready = || say(&nix::unistd::gettid().to_string());
    match (kind.as_str(), role.as_str()) {
        ("stamped", "producer") => typed::produce::<SMALL>(&attach(name), &journal, rng, mixed, ready),
        ("stamped", "consumer") => typed::consume::<SMALL>(&attach(name), &journal, rng, mixed, ready),
        ("dense", "producer") => typed::produce::<LARGE>(&attach(name), &journal, rng, mixed, ready),
        ("dense", "consumer") => typed::consume::<LARGE>(&attach(name), &journal, rng, mixed, ready),
        ("bytes", "producer") => bytes::produce(&attach_bytes(name), &journal, rng, mixed, ready),
        ("bytes", "consumer") => bytes::consume(&attach_bytes(name), &journal, rng, mixed, ready),
        other => panic!("no such role: {other:?}"),
    }
}

fn attach<const W: usize>(name: &str) -> Ring<[u64; W]> {
    Ring::builder(name).attach().expect("attach")
}

fn attach_bytes(name: &str) -> ByteRing {
    ByteRing::builder(name).attach().expect("attach")
}

/// One side, through all its lives.
struct Side<'a> {
    role: &'static str,
    kind: &'static str,
    name: &'a TestName,
    journal: &'a Shared<Journal>,
    child: TestChild,
    /// The thread of the child that is at work: the harness runs a test in one of its own.
    worker: Pid,
    /// Messages that were in doubt at a kill, and turned out to be committed.
    doubtful: u64,
}

impl<'a> Side<'a> {
    fn start(
        role: &'static str,
        kind: &'static str,
        name: &'a TestName,
        journal: &'a Shared<Journal>,
        rng: &mut Rng,
    ) -> Self {
        let (child, worker) = Self::spawn(role, kind, name, journal, rng);
        Self { role, kind, name, journal, child, worker, doubtful: 0 }
    }

    fn spawn(
        role: &str,
        kind: &str,
        name: &TestName,
        journal: &Shared<Journal>,
        rng: &mut Rng,
    ) -> (TestChild, Pid) {
        let (id, seed) = (journal.id().to_string(), rng.next().to_string());
        let mixed = (rng.below(3) > 0).to_string();
        let mut child = TestChild::spawn(role, &[kind, name.as_str(), &id, &seed, &mixed]);
        let worker = child.hear().and_then(|tid| tid.parse().ok()).expect("the child has joined");
        (child, Pid::from_raw(worker))
    }

    fn diary(&self) -> &Diary {
        if self.role == "producer" { &self.journal.producer } else { &self.journal.consumer }
    }

    /// Stops it at a random moment, notes where it stands, and kills it there. Who sleeps is let go
    /// three times of four, so that most kills land in operations.
    fn stop_and_look(&self, rng: &mut Rng, histogram: &mut Histogram) {
        while trace::stop(self.worker, Options::empty()).is_ok() {
            let (pc, sp) = trace::counters(self.worker).expect("registers of a stopped child");
            let place = locate(self.child.pid(), pc, sp);
            let sleeps = place.as_ref().is_some_and(|p| p.file == "src/sys/futex.rs" && p.function == "wait");
            if sleeps && rng.below(4) > 0 {
                ptrace::detach(self.worker, None).expect("detach");
                std::thread::sleep(Duration::from_micros(rng.below(1000)));
                continue;
            }
            histogram.add(place);
            self.child.signal(libc::SIGKILL);
            // A traced thread has to be buried by its tracer.
            trace::wait(self.worker).expect("wait for the thread");
            return;
        }
    }

    /// Kills it, restarts it, and compares the books of the two lives.
    fn kill_and_restart(&mut self, rng: &mut Rng, histogram: Option<&mut Histogram>) {
        if let Some(histogram) = histogram {
            self.stop_and_look(rng, histogram);
        }
        self.child.signal(libc::SIGKILL);
        let status = self.child.child.wait().expect("wait");
        assert_eq!(status.signal(), Some(libc::SIGKILL), "the {} ended by itself: {status}", self.role);
        let (done, intent) = (self.diary().done(), self.diary().intent.load(SeqCst).max(self.diary().done()));
        (self.child, self.worker) = Self::spawn(self.role, self.kind, self.name, self.journal, rng);
        let start = self.diary().start.load(SeqCst);
        assert!(
            (done..=intent).contains(&start),
            "{} {}: finished {done}, was at work up to {intent}, and its successor starts at {start}",
            self.kind,
            self.role
        );
        self.doubtful += start - done;
    }
}

/// How many kills each of the three tests makes.
fn kills() -> u64 {
    let all = std::env::var("SEGRING_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(510u64);
    all.div_ceil(3)
}

fn run(kind: &'static str, name: &TestName) {
    let seed = Rng::random_seed();
    let rng = &mut Rng::new(seed);
    let journal = &Shared::<Journal>::create();
    let mut producer = Side::start("producer", kind, name, journal, rng);
    let mut consumer = Side::start("consumer", kind, name, journal, rng);
    let mut histogram = Histogram::default();
    let kills = kills();
    for i in 0..kills {
        std::thread::sleep(Duration::from_micros(rng.below(4000)));
        let victim = if rng.below(2) == 0 { &mut producer } else { &mut consumer };
        // Every fourth without the stop that could hide something.
        victim.kill_and_restart(rng, (i % 4 != 3).then_some(&mut histogram));
    }
    journal.stop.store(1, SeqCst);
    let doubtful = (producer.doubtful, consumer.doubtful);
    producer.child.join();
    consumer.child.join();
    let (pushed, popped) = (journal.producer.done(), journal.consumer.done());
    assert_eq!(pushed, popped, "{kind}: pushed and popped differ after draining");
    assert!(pushed > kills, "{kind}: only {pushed} messages went through");
    let (exact, inside) = histogram.in_segring();
    let mut err = std::io::stderr().lock();
    let _ = write!(
        err,
        "{kind}: {kills} kills (seed {seed}), {pushed} messages; in doubt and committed: {} pushed, {} popped\n\
         where {} of them landed, {inside} in operations of segring ({exact} in its own lines):\n{histogram}",
        doubtful.0,
        doubtful.1,
        histogram.total(),
    );
    drop(err);
    if histogram.total() == 0 {
        common::skip("where the kills landed", "ptrace is not permitted here");
    } else if kills >= 100 {
        assert!(exact > 0, "{kind}: no kill landed inside an operation");
    }
}

fn typed<const W: usize>(kind: &'static str, layout: Layout) {
    let name = TestName::new(kind);
    let ring = Ring::<[u64; W]>::builder(name.name()).capacity(8).layout(layout).create().unwrap();
    run(kind, &name);
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    assert_eq!(tx.position(), rx.position());
    assert_eq!(rx.try_pop(), Err(RingError::Closed));
    assert_eq!(tx.try_push([0; W]).unwrap_err().error, RingError::Closed);
}

#[test]
fn kills_of_a_stamped_ring() {
    typed::<SMALL>("stamped", Layout::Stamped);
}

#[test]
fn kills_of_a_dense_ring() {
    typed::<LARGE>("dense", Layout::Dense);
}

#[test]
fn kills_of_a_byte_ring() {
    let name = TestName::new("bytes");
    let ring = ByteRing::builder(name.name()).capacity(4096).create().unwrap();
    run("bytes", &name);
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    assert_eq!(tx.position(), rx.position());
    assert_eq!(rx.try_pop(), Err(RingError::Closed));
    assert_eq!(tx.try_push(b""), Err(RingError::Closed));
}
