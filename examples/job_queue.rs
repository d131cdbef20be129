//! A job queue whose workers you may `kill -9`: it kills them itself, and prints the books.
//!
//! Workers take jobs in place, push the result into a second ring, and then release the job. One that is
//! killed in between leaves its job to another, marked; so a job is done at least once, and its result may
//! come twice.
//!
//! ```text
//! cargo run --release --example job_queue                # 20,000 jobs, 4 workers, up to 50 kills
//! cargo run --release --example job_queue -- 100000 8 300
//! ```

use segring::{Name, RingError, mpmc};
use std::error::Error;
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};
use zerocopy::{FromBytes, Immutable, IntoBytes};

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Job {
    number: u64,
    rounds: u64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Done {
    job: u64,
    answer: u64,
    /// 1 if somebody had begun this job before.
    redelivered: u64,
}

/// How much work a job is.
const ROUNDS: u64 = 20_000;

fn work(job: &Job) -> u64 {
    (0..job.rounds).fold(job.number, |x, _| x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1))
}

fn worker(jobs: i32, results: i32) -> Result<(), Box<dyn Error>> {
    let jobs = mpmc::Ring::<Job>::builder(Name::id(jobs)).attach()?;
    let results = mpmc::Ring::<Done>::builder(Name::id(results)).attach()?;
    // SAFETY: nobody writes into this segment except through segring.
    let mut rx = unsafe { jobs.consumer()?.trust_peers() };
    let mut tx = results.producer()?;
    loop {
        let job = match rx.take() {
            Ok(job) => job,
            // Everything has been taken. (What another worker still holds may come back: to the parent.)
            Err(RingError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let redelivered = u64::from(job.redelivered());
        tx.push(Done { job: job.number, answer: work(&job), redelivered })?;
        job.release();
    }
}

/// Workers, started by running this program again. Killed when this is dropped.
struct Workers {
    ids: [String; 2],
    children: Vec<Child>,
}

impl Workers {
    fn start(&mut self) -> Result<(), Box<dyn Error>> {
        let child = Command::new(std::env::current_exe()?).arg("worker").args(&self.ids).spawn()?;
        self.children.push(child);
        Ok(())
    }

    /// `kill -9` for the oldest one, and a new one.
    fn kill_one(&mut self) -> Result<(), Box<dyn Error>> {
        let mut oldest = self.children.remove(0);
        let killed = oldest.kill();
        oldest.wait()?;
        killed?;
        self.start()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn parent(count: u64, workers: u32, kills: u64) -> Result<(), Box<dyn Error>> {
    let name = |what| format!("{what}-{}", std::process::id());
    let seats = workers + 4;
    let jobs =
        mpmc::Ring::<Job>::builder(name("jobs")).capacity(256).seats(seats).ephemeral(true).create()?;
    let results =
        mpmc::Ring::<Done>::builder(name("results")).capacity(256).seats(seats).ephemeral(true).create()?;
    // My seats keep the rings: when I leave, they go.
    let (mut tx, mut rx) = (jobs.producer()?, results.consumer()?);
    let mut pool = Workers { ids: [jobs.id().to_string(), results.id().to_string()], children: Vec::new() };
    (0..workers).try_for_each(|_| pool.start())?;

    let (mut pushed, mut killed, mut again) = (0, 0, 0u64);
    let mut results_of = vec![0u32; count as usize];
    let mut note = |done: Done| -> Result<(), Box<dyn Error>> {
        let job = Job { number: done.job, rounds: ROUNDS };
        if done.answer != work(&job) {
            return Err(format!("job {} has a wrong answer", done.job).into());
        }
        results_of[done.job as usize] += 1;
        again += done.redelivered;
        Ok(())
    };
    let mut last_kill = Instant::now();
    while pushed < count {
        match tx.try_push(Job { number: pushed, rounds: ROUNDS }) {
            Ok(()) => pushed += 1,
            Err(rejected) if rejected.error == RingError::Full => {}
            Err(rejected) => return Err(rejected.error.into()),
        }
        while let Ok(done) = rx.try_pop() {
            note(done)?;
        }
        if killed < kills && last_kill.elapsed() > Duration::from_millis(5) {
            pool.kill_one()?;
            killed += 1;
            last_kill = Instant::now();
        }
    }
    tx.close()?;
    // The workers end when they find nothing any more; meanwhile their results come in.
    while pool.children.iter_mut().any(|child| matches!(child.try_wait(), Ok(None))) {
        match rx.pop_timeout(Duration::from_millis(10)) {
            Ok(done) => note(done)?,
            Err(RingError::TimedOut | RingError::PeerGone { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // What the last killed worker held, if nobody has come across it.
    jobs.recover()?;
    let mut last = jobs.consumer()?;
    while let Ok(job) = last.try_pop() {
        note(Done { job: job.number, answer: work(&job), redelivered: u64::from(last.redelivered()) })?;
    }
    while let Ok(done) = rx.try_pop() {
        note(done)?;
    }
    let lost = results_of.iter().filter(|n| **n == 0).count();
    let twice = results_of.iter().filter(|n| **n > 1).count();
    println!("{pushed} jobs pushed, {killed} workers killed with kill -9");
    println!("{} jobs done, {again} of them begun before by somebody who was killed", pushed - lost as u64);
    println!("{twice} results came more than once, {lost} jobs lost");
    if lost > 0 { Err("the books do not balance".into()) } else { Ok(()) }
}

fn run() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [role, jobs, results] = &args[..] {
        if role == "worker" {
            return worker(jobs.parse()?, results.parse()?);
        }
    }
    let number = |i: usize, default| match args.get(i) {
        None => Ok(default),
        Some(n) => n
            .parse::<u64>()
            .map_err(|_| format!("{n:?} is no number; usage: job_queue [JOBS [WORKERS [KILLS]]]")),
    };
    let (jobs, workers, kills) = (number(0, 20_000)?, number(1, 4)?, number(2, 50)?);
    if workers == 0 {
        return Err("at least one worker is needed".into());
    }
    parent(jobs, workers.try_into()?, kills)
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
