//! Rounds of a few calls by a few workers at once, and their record. In memory that threads and processes
//! share alike.

use crate::checker::{BATCH, Call, Op, Said, batch, is_linearizable_in};
use crate::harness::{Rng, mix};
use crate::shaken::Shaker;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

pub(crate) const WORKERS_MAX: usize = 4;
const CALLS_MAX: usize = 6;
/// Each worker is held up once in a round, so many nanoseconds after some call: a timer takes a few
/// microseconds, and a round lasts not much longer.
const HELD_UP: std::ops::Range<u64> = 5_000..14_000;

/// What is tested.
pub(crate) trait Queue {
    fn try_push(&mut self, item: u8) -> Said;
    fn try_pop(&mut self) -> Said;
    fn close(&mut self);
    fn can_close(&self) -> bool {
        true
    }
    /// Whether it has the two that follow.
    fn has_batches(&self) -> bool {
        false
    }
    /// Pushes a batch, or some of its messages one by one: how many, if there is room.
    fn push_batch(&mut self, _item: u8) -> Result<usize, Said> {
        unreachable!("it has no batches")
    }
    /// Pops as many as `into` has room for: how many, if there is any.
    fn pop_slice(&mut self, _into: &mut [u8]) -> Result<usize, Said> {
        unreachable!("it has no batches")
    }
}

/// A call, and what is asked: `PopSlice` so many.
#[derive(Clone, Copy)]
enum Asked {
    One(Op),
    PopSlice(usize),
}

/// What was said of each part of it.
#[derive(Clone, Copy, Default)]
struct Answer {
    /// Messages, the first ones of a call that pops several; or only how many were pushed.
    popped: [u8; BATCH],
    n: usize,
    /// And then.
    last: Option<Said>,
}

fn call(queue: &mut dyn Queue, asked: Asked) -> Answer {
    let one = |said| Answer { last: Some(said), ..Answer::default() };
    match asked {
        Asked::One(Op::Push(item)) => one(queue.try_push(item)),
        Asked::One(Op::PushBatch(item)) => match queue.push_batch(item) {
            Ok(n) => Answer { n, ..Answer::default() },
            Err(said) => one(said),
        },
        Asked::One(Op::Pop) => one(queue.try_pop()),
        Asked::One(Op::Close) => {
            queue.close();
            one(Said::Ok)
        }
        Asked::PopSlice(most) => {
            let mut answer = Answer::default();
            match queue.pop_slice(&mut answer.popped[..most]) {
                Ok(n) => Answer { n, last: (n < most).then_some(Said::NoMore), ..answer },
                Err(said) => one(said),
            }
        }
    }
}

#[repr(C)]
#[derive(Default)]
struct Record {
    /// Two bytes for what was asked, one for what was said; and what was popped: how many, and four bytes.
    /// 0: no call.
    what: AtomicU64,
    invoked: AtomicU64,
    returned: AtomicU64,
}

impl Record {
    fn write(&self, asked: Asked, answer: Answer, invoked: u64, returned: u64) {
        let (op, item) = match asked {
            Asked::One(Op::Push(item)) => (1, item),
            Asked::One(Op::Pop) | Asked::PopSlice(_) => (2, 0),
            Asked::One(Op::Close) => (3, 0),
            Asked::One(Op::PushBatch(item)) => (4, item),
        };
        let Answer { mut popped, mut n, last } = answer;
        let last = match last {
            None => 0,
            Some(Said::Ok) => 1,
            Some(Said::Full) => 2,
            Some(Said::Empty) => 3,
            Some(Said::Closed) => 4,
            Some(Said::NoMore) => 5,
            Some(Said::Popped(item)) => {
                (popped[0], n) = (item, 1);
                0
            }
        };
        self.invoked.store(invoked, SeqCst);
        self.returned.store(returned, SeqCst);
        let [a, b, c, d] = popped;
        self.what.store(u64::from_le_bytes([op, item, last, n as u8, a, b, c, d]), SeqCst);
    }

    /// The call, or its parts. And empties it.
    fn read(&self, worker: usize) -> Vec<Call> {
        let [op, item, last, n, popped @ ..] = self.what.swap(0, SeqCst).to_le_bytes();
        let ops = [Op::Push(item), Op::Pop, Op::Close, Op::PushBatch(item)];
        let Some(op) = usize::from(op).checked_sub(1).map(|i| ops[i]) else { return Vec::new() };
        let all = [Said::Ok, Said::Full, Said::Empty, Said::Closed, Said::NoMore];
        let last = usize::from(last).checked_sub(1).map(|i| all[i]);
        let (invoked, returned) = (self.invoked.load(SeqCst), self.returned.load(SeqCst));
        let call = |(part, (op, said))| Call { worker, part, op, said, invoked, returned };
        let n = usize::from(n);
        match op {
            Op::PushBatch(_) if n == BATCH => vec![call((0, (op, Said::Ok)))],
            // One by one.
            Op::PushBatch(item) if n > 0 => batch(item)[..n]
                .iter()
                .map(|item| (Op::Push(*item), Said::Ok))
                .enumerate()
                .map(call)
                .collect(),
            _ => {
                let popped = popped[..n].iter().map(|item| Said::Popped(*item));
                popped.chain(last).map(|said| (op, said)).enumerate().map(call).collect()
            }
        }
    }
}

/// All zeros at first.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Arena {
    /// The one clock: each reading is later than all before it, whoever reads.
    clock: AtomicU64,
    /// For processes: which ring is next, by its id, counted by batches.
    pub(crate) batch: AtomicU64,
    pub(crate) ring: AtomicU64,
    /// Workers of this batch.
    workers: AtomicU64,
    round: AtomicU64,
    /// Of the round: whether somebody may close.
    closing: AtomicU64,
    seed: AtomicU64,
    ready: AtomicU64,
    done: AtomicU64,
    /// The last round of the batch that is over.
    over: AtomicU64,
    records: [[Record; CALLS_MAX]; WORKERS_MAX],
}

/// Waits, and lets others work.
pub(crate) fn until(so: impl Fn() -> bool) {
    while !so() {
        std::thread::sleep(Duration::from_micros(20));
    }
}

/// Waits for a moment that is near, so as to begin at once.
fn spin_until(so: impl Fn() -> bool) {
    let mut looks = 0u32;
    while !so() {
        looks += 1;
        if looks % 512 == 0 {
            std::thread::yield_now();
        }
        std::hint::spin_loop();
    }
}

impl Arena {
    /// A worker's part in a batch.
    pub(crate) fn serve(&self, worker: usize, queue: &mut dyn Queue) {
        let mut last = self.over.load(SeqCst);
        let workers = self.workers.load(SeqCst);
        let shaker = &mut Shaker::new();
        loop {
            spin_until(|| self.round.load(SeqCst) != last);
            last += 1;
            if self.over.load(SeqCst) == last {
                return;
            }
            self.ready.fetch_add(1, SeqCst);
            let rng = &mut Rng::new(mix(self.seed.load(SeqCst) + worker as u64));
            // All at once.
            spin_until(|| self.ready.load(SeqCst) == workers);
            self.play(worker, queue, rng, shaker);
            self.done.fetch_add(1, SeqCst);
        }
    }

    fn play(&self, worker: usize, queue: &mut dyn Queue, rng: &mut Rng, shaker: &mut Shaker) {
        let closing = self.closing.load(SeqCst) != 0;
        let calls = 4 + rng.below(CALLS_MAX as u64 - 3) as usize;
        // Rounds in which somebody only pushes, or only pops, fill and empty the queue.
        let at = rng.below(4) as usize;
        let pushes = 1 + rng.below(7);
        for (i, record) in self.records[worker].iter().enumerate().take(calls) {
            let (item, batches) = ((worker * CALLS_MAX + i + 1) as u8, queue.has_batches());
            let asked = match rng.below(8) {
                _ if closing && rng.below(10) == 0 => Asked::One(Op::Close),
                n if n < pushes && batches && rng.below(2) == 0 => Asked::One(Op::PushBatch(item)),
                n if n < pushes => Asked::One(Op::Push(item)),
                _ if batches && rng.below(2) == 0 => Asked::PopSlice(1 + rng.below(BATCH as u64) as usize),
                _ => Asked::One(Op::Pop),
            };
            if i == at {
                shaker.in_nanos(HELD_UP.start + rng.below(HELD_UP.end - HELD_UP.start));
            }
            let invoked = self.clock.fetch_add(1, SeqCst);
            let answer = call(queue, asked);
            let returned = self.clock.fetch_add(1, SeqCst);
            record.write(asked, answer, invoked, returned);
            match rng.below(8) {
                0 | 1 => std::thread::yield_now(),
                2 | 3 => (0..rng.below(60)).for_each(|_| std::hint::spin_loop()),
                _ => {}
            }
        }
    }

    /// To be called before the workers serve.
    pub(crate) fn begin(&self, workers: usize) {
        self.workers.store(workers as u64, SeqCst);
    }

    /// So many rounds on one queue, all of whose messages are popped in between; it is closed in the last
    /// one. `places`: how many all pushes so far have taken, if that is known. `Err`: a history that no queue
    /// has.
    pub(crate) fn lead(
        &self,
        capacity: usize,
        rounds: u64,
        rng: &mut Rng,
        queue: &mut dyn Queue,
        places: &dyn Fn() -> Option<u64>,
        counts: &mut Counts,
    ) -> Result<(), Vec<Call>> {
        let workers = self.workers.load(SeqCst);
        let mut result = Ok(());
        for round in 0..rounds {
            let before = places();
            self.seed.store(rng.next() >> 1, SeqCst);
            self.closing.store(u64::from(round + 1 == rounds && queue.can_close()), SeqCst);
            self.ready.store(0, SeqCst);
            self.done.store(0, SeqCst);
            self.round.fetch_add(1, SeqCst);
            until(|| self.done.load(SeqCst) == workers);
            let calls = self.collect(queue);
            counts.add(&calls);
            let taken = before.zip(places()).map(|(before, now)| now - before);
            if !is_linearizable_in(&calls, capacity, taken) {
                result = Err(calls);
                break;
            }
        }
        // One more round, which is none.
        self.over.store(self.round.load(SeqCst) + 1, SeqCst);
        self.round.fetch_add(1, SeqCst);
        result
    }

    /// The history of a round, and of popping what is left: what is lost is seen too.
    fn collect(&self, queue: &mut dyn Queue) -> Vec<Call> {
        let records = self.records.iter().enumerate();
        let mut calls: Vec<Call> =
            records.flat_map(|(w, all)| all.iter().flat_map(move |r| r.read(w))).collect();
        let mut left = 0;
        loop {
            let invoked = self.clock.fetch_add(1, SeqCst);
            let said = queue.try_pop();
            let returned = self.clock.fetch_add(1, SeqCst);
            calls.push(Call { worker: WORKERS_MAX, part: 0, op: Op::Pop, said, invoked, returned });
            left += 1;
            // More than there can be: the checker will say so.
            if !matches!(said, Said::Popped(_)) || left > 30 {
                break;
            }
        }
        calls.sort_by_key(|call| call.invoked);
        calls
    }
}

/// How much happened, and how much of it at once.
#[derive(Default, Debug)]
pub(crate) struct Counts {
    pub(crate) histories: u64,
    pub(crate) calls: u64,
    /// Calls that began before the one before them had returned.
    pub(crate) overlaps: u64,
    pub(crate) full: u64,
    pub(crate) empty: u64,
    pub(crate) closed: u64,
    pub(crate) popped: u64,
    /// Batches; messages of some that went in one by one, but for the first; and parts of calls behind the
    /// first.
    pub(crate) batches: u64,
    pub(crate) ones: u64,
    pub(crate) parts: u64,
}

impl Counts {
    fn add(&mut self, calls: &[Call]) {
        self.histories += 1;
        self.calls += calls.len() as u64;
        self.overlaps +=
            calls.windows(2).filter(|two| two[1].part == 0 && two[1].invoked < two[0].returned).count()
                as u64;
        for call in calls {
            self.parts += u64::from(call.part > 0);
            match call.said {
                Said::Ok => {
                    self.batches += u64::from(matches!(call.op, Op::PushBatch(_)));
                    self.ones += u64::from(matches!(call.op, Op::Push(_)) && call.part > 0);
                }
                Said::NoMore => {}
                Said::Full => self.full += 1,
                Said::Empty => self.empty += 1,
                Said::Closed => self.closed += 1,
                Said::Popped(_) => self.popped += 1,
            }
        }
    }
}
