//! criterion: the ring against a pipe, between two real processes.
//!
//! The consumer is this program again, started once per benchmark before criterion measures, pinned
//! to another core. Payloads are made and checked inside the timed region by both transports.
//! `segring bench` compares all transports; this is for watching the ring's own figures over time.

use criterion::{Criterion, Throughput, criterion_group};
use segring::{Name, spsc};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

const PEER: &str = "SEGRING_BENCH_PEER";
const BATCH: usize = 64;

/// A message that says which one it is, in every byte.
fn message<const N: usize>(number: u64) -> [u8; N] {
    let mut m = [0; N];
    for (i, word) in m.chunks_exact_mut(8).enumerate() {
        word.copy_from_slice(&(number ^ i as u64).to_le_bytes());
    }
    m
}

fn check(got: &[u8], number: u64) {
    let wrong = got.chunks_exact(8).enumerate().any(|(i, word)| word != (number ^ i as u64).to_le_bytes());
    assert!(!wrong, "message {number} arrived damaged");
}

/// CLOCK_MONOTONIC, which all processes share.
fn now() -> u64 {
    let ts = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).expect("clock");
    ts.tv_sec() as u64 * 1_000_000_000 + ts.tv_nsec() as u64
}

/// The first and the last core that this process may use.
fn two_cores() -> (usize, usize) {
    let allowed = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)).expect("affinity");
    let mut cores = (0..nix::sched::CpuSet::count()).filter(|c| allowed.is_set(*c).unwrap_or(false));
    let first = cores.next().expect("a core");
    (first, cores.next_back().unwrap_or(first))
}

fn pin(core: usize) {
    let mut only = nix::sched::CpuSet::new();
    only.set(core).expect("core");
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &only).expect("pin");
}

/// One side of a transport for messages of `N` bytes.
trait Side {
    /// Pushes, or pops and checks, the messages `from..to`.
    fn run(&mut self, from: u64, to: u64);
}

struct Tx<const N: usize>(spsc::Producer<[u8; N]>);
impl<const N: usize> Side for Tx<N> {
    fn run(&mut self, from: u64, to: u64) {
        for i in from..to {
            let m = message(i);
            while self.0.try_push_ref(&m).is_err() {
                std::hint::spin_loop();
            }
        }
    }
}

struct Rx<const N: usize>(spsc::Consumer<[u8; N]>);
impl<const N: usize> Side for Rx<N> {
    fn run(&mut self, from: u64, to: u64) {
        for i in from..to {
            let m = loop {
                match self.0.try_pop() {
                    Ok(m) => break m,
                    Err(_) => std::hint::spin_loop(),
                }
            };
            check(&m, i);
        }
    }
}

struct BulkTx<const N: usize>(spsc::Producer<[u8; N]>);
impl<const N: usize> Side for BulkTx<N> {
    fn run(&mut self, from: u64, to: u64) {
        let mut at = from;
        let mut batch = [[0; N]; BATCH];
        while at < to {
            let n = BATCH.min((to - at) as usize);
            for (i, m) in batch[..n].iter_mut().enumerate() {
                *m = message(at + i as u64);
            }
            let mut done = 0;
            while done < n {
                done += self.0.push_slice(&batch[done..n]).expect("open");
            }
            at += n as u64;
        }
    }
}

struct BulkRx<const N: usize>(spsc::Consumer<[u8; N]>);
impl<const N: usize> Side for BulkRx<N> {
    fn run(&mut self, from: u64, to: u64) {
        let mut at = from;
        let mut batch = [[0; N]; BATCH];
        while at < to {
            let most = BATCH.min((to - at) as usize);
            let n = self.0.pop_slice(&mut batch[..most]).expect("open");
            for m in &batch[..n] {
                check(m, at);
                at += 1;
            }
        }
    }
}

/// One message per write, one per read.
struct Pipe<const N: usize>(std::fs::File, bool);
impl<const N: usize> Side for Pipe<N> {
    fn run(&mut self, from: u64, to: u64) {
        for i in from..to {
            if self.1 {
                self.0.write_all(&message::<N>(i)).expect("pipe");
            } else {
                let mut m = [0; N];
                self.0.read_exact(&mut m).expect("pipe");
                check(&m, i);
            }
        }
    }
}

fn ring<const N: usize>(id: i32) -> spsc::Ring<[u8; N]> {
    spsc::Ring::builder(Name::id(id)).attach().expect("attach")
}

fn consumer<const N: usize>(transport: &str, id: i32) -> Box<dyn Side> {
    match transport {
        "ring" => Box::new(Rx::<N>(ring(id).consumer().expect("seat"))),
        "ring-bulk" => Box::new(BulkRx::<N>(ring(id).consumer().expect("seat"))),
        _ => {
            // SAFETY: the parent has passed this descriptor on for us alone.
            let fd = unsafe { OwnedFd::from_raw_fd(id) };
            Box::new(Pipe::<N>(fd.into(), false))
        }
    }
}

/// The other process: consumes as many messages as each line of standard input says.
fn peer(spec: &str) {
    let mut parts = spec.split(' ');
    let mut next = || parts.next().expect("spec");
    // A child inherits its parent's single core: it is told the other one.
    pin(next().parse().expect("core"));
    let (transport, size, id) = (next(), next(), next().parse().expect("id"));
    let mut side = match size {
        "8" => consumer::<8>(transport, id),
        "56" => consumer::<56>(transport, id),
        "1024" => consumer::<1024>(transport, id),
        other => panic!("size {other}"),
    };
    println!("ready");
    let mut at = 0;
    for line in std::io::stdin().lock().lines() {
        let n: u64 = line.expect("parent").parse().expect("number");
        side.run(at, at + n);
        at += n;
        println!("{}", now());
    }
}

struct Remote {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Remote {
    fn start(core: usize, transport: &str, size: usize, id: i32) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("self"))
            .env(PEER, format!("{core} {transport} {size} {id}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("peer");
        let to = child.stdin.take().expect("piped");
        let from = BufReader::new(child.stdout.take().expect("piped"));
        let mut remote = Self { child, to, from };
        assert_eq!(remote.line(), "ready");
        remote
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).expect("peer");
        line.trim().to_owned()
    }

    fn time(&mut self, side: &mut dyn Side, from: u64, n: u64) -> Duration {
        writeln!(self.to, "{n}").expect("peer");
        let start = now();
        side.run(from, from + n);
        let end: u64 = self.line().parse().expect("the peer checked all messages");
        Duration::from_nanos(end.saturating_sub(start))
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn bench<const N: usize>(c: &mut Criterion, core: usize) {
    let mut group = c.benchmark_group(format!("{N} bytes"));
    group.throughput(Throughput::Elements(1)).sample_size(20).measurement_time(Duration::from_secs(2));
    for transport in ["ring", "ring-bulk", "pipe"] {
        let (mut side, mut remote): (Box<dyn Side>, Remote);
        if transport == "pipe" {
            let (read, write) = nix::unistd::pipe().expect("pipe");
            remote = Remote::start(core, transport, N, read.as_raw_fd());
            side = Box::new(Pipe::<N>(write.into(), true));
        } else {
            let ring = spsc::Ring::<[u8; N]>::builder(Name::private()).capacity(4096).create().expect("ring");
            remote = Remote::start(core, transport, N, ring.id());
            let tx = ring.producer().expect("seat");
            // From here on nothing can be left behind.
            ring.remove().expect("remove");
            side = if transport == "ring" { Box::new(Tx(tx)) } else { Box::new(BulkTx(tx)) };
        }
        let mut at = 0;
        group.bench_function(transport, |b| {
            b.iter_custom(|n| {
                let taken = remote.time(&mut *side, at, n);
                at += n;
                taken
            });
        });
    }
    group.finish();
}

fn all(c: &mut Criterion) {
    let (mine, theirs) = two_cores();
    pin(mine);
    bench::<8>(c, theirs);
    bench::<56>(c, theirs);
    bench::<1024>(c, theirs);
}

criterion_group!(benches, all);

fn main() {
    if let Ok(spec) = std::env::var(PEER) {
        return peer(&spec);
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
