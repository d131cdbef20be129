//! One of many producers and consumers; or all of them, as threads of one process.

use super::{now, read};
use crate::control::{Done, Go, Role, Side, Times};
use crate::cores;
use crate::gate::Gate;
use crate::plan::{Cell, Shape};
use crate::tally::{Count, Tally, end_mark, sequence};
use crate::transport::{Notes, Receiver, Sender, Threads};
use anyhow::{Context, Result, ensure};
use nix::time::ClockId;
use std::sync::mpsc;

/// What it does with its end.
pub(super) enum Work {
    Produce {
        sender: Box<dyn Sender>,
        number: u32,
        /// Counter of its next message.
        next: u64,
    },
    Consume {
        receiver: Box<dyn Receiver>,
        tally: Tally,
    },
}

/// One of many.
pub(super) struct Participant {
    shape: Shape,
    gate: Gate,
    work: Work,
}

impl Participant {
    pub(super) fn produce(shape: Shape, gate: Gate, sender: Box<dyn Sender>, number: u32) -> Self {
        Self { shape, gate, work: Work::Produce { sender, number, next: 0 } }
    }

    pub(super) fn consume(shape: Shape, gate: Gate, receiver: Box<dyn Receiver>) -> Self {
        Self { shape, gate, work: Work::Consume { receiver, tally: Tally::new(shape.producers()) } }
    }

    /// Its part of so many messages, beginning when all are there. The last producer to end then
    /// sends one end mark for each consumer: behind every message, as each queue is first in, first
    /// out. So a consumer that gets one has nothing more to come.
    pub(super) fn run(&mut self, go: Go) -> Result<Done> {
        let Self { shape, gate, work } = self;
        let before = work.notes();
        gate.pass(shape.producers() + shape.consumers())?;
        let cpu = read(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
        let started = now()?;
        let mut counts = Vec::new();
        match work {
            Work::Produce { sender, number, next } => {
                let n = shape.share(go.messages, *number);
                sender.send(sequence(*number, *next), n)?;
                *next += n;
                if gate.last(shape.producers()) {
                    for consumer in 0..shape.consumers() {
                        sender.send(end_mark(consumer), 1)?;
                    }
                }
            }
            Work::Consume { receiver, tally } => {
                tally.begin();
                receiver.collect(tally)?;
                counts = tally.counts();
            }
        }
        let ended = now()?;
        let cpu = read(ClockId::CLOCK_THREAD_CPUTIME_ID)? - cpu;
        let side = Side { cpu, took: ended - started, notes: work.notes().since(before) };
        Ok((Times { started, ended, p50: None, side }, counts))
    }
}

impl Work {
    fn notes(&mut self) -> Notes {
        match self {
            Self::Produce { sender, .. } => sender.notes(),
            Self::Consume { receiver, .. } => receiver.notes(),
        }
    }
}

/// All of them.
pub(super) struct Everybody {
    orders: Vec<mpsc::Sender<Go>>,
    done: mpsc::Receiver<(Role, Result<Done>)>,
}

impl Everybody {
    pub(super) fn start(cell: Cell, ends: &dyn Threads, cores: Option<(usize, usize)>) -> Result<Self> {
        let (senders, receivers) = ends.many(cell)?;
        let (shape, gate) = (cell.shape, Gate::new());
        let there = (senders.len(), receivers.len());
        let wanted = (shape.producers() as usize, shape.consumers() as usize);
        ensure!(there == wanted, "{there:?} ends for {shape}");
        let (say, done) = mpsc::channel();
        let mut orders = Vec::new();
        for (sender, number) in senders.into_iter().zip(0..) {
            let gate = gate.clone();
            let made = move || Participant::produce(shape, gate, sender, number);
            orders.push(start(Role::Producer(number), cores.map(|c| c.0), made, say.clone())?);
        }
        for receiver in receivers {
            let gate = gate.clone();
            let made = move || Participant::consume(shape, gate, receiver);
            orders.push(start(Role::Consumer, cores.map(|c| c.1), made, say.clone())?);
        }
        Ok(Self { orders, done })
    }

    /// From the earliest start to the end of the last consumer, and the books of all.
    pub(super) fn run(&mut self, go: Go) -> Result<Done> {
        for order in self.orders.iter().rev() {
            order.send(go).ok().context("a thread has ended")?;
        }
        let mut all = Vec::new();
        for _ in 0..self.orders.len() {
            let (role, done) = self.done.recv().context("all threads have ended")?;
            all.push(done.with_context(|| format!("a {}", role.name()))?);
        }
        Ok((Times::together(&all)?, Count::together(&all)))
    }
}

fn start(
    role: Role,
    core: Option<usize>,
    made: impl FnOnce() -> Participant + Send + 'static,
    say: mpsc::Sender<(Role, Result<Done>)>,
) -> Result<mpsc::Sender<Go>> {
    let (order, orders) = mpsc::channel();
    let life = move || {
        if let Err(e) = core.map_or(Ok(()), cores::pin) {
            return drop(say.send((role, Err(e))));
        }
        let mut participant = made();
        // Who gave the order listens until all are done.
        while let Ok(go) = orders.recv() {
            if say.send((role, participant.run(go))).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().spawn(life).context("start a thread")?;
    Ok(order)
}
