//! Both sides of a run as threads of one process, for queues that do not cross processes.

use super::{Work, run};
use crate::control::{Go, Times};
use crate::cores;
use crate::plan::{Cell, Mode};
use crate::transport::{Receiver, Sender, Threads};
use anyhow::{Context, Result, anyhow};
use std::sync::mpsc;

type Ends = (Option<Box<dyn Sender + Send>>, Option<Box<dyn Receiver + Send>>);

/// Which side says something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Producer,
    Consumer,
}

/// The two threads.
pub(super) struct Both {
    orders: [mpsc::Sender<Go>; 2],
    done: mpsc::Receiver<(Side, Result<Times>)>,
}

impl Both {
    pub(super) fn start(cell: Cell, ends: &dyn Threads, cores: Option<(usize, usize)>) -> Result<Self> {
        let (sender, receiver) = ends.pair(cell)?;
        let (mut producer, mut consumer): (Ends, Ends) = ((Some(sender), None), (None, Some(receiver)));
        if cell.mode == Mode::RoundTrip {
            let (answers_out, answers_in) = ends.pair(cell)?;
            (producer.1, consumer.0) = (Some(answers_in), Some(answers_out));
        }
        let (say, done) = mpsc::channel();
        let producer = start(cell.mode, Side::Producer, producer, cores.map(|c| c.0), say.clone())?;
        let consumer = start(cell.mode, Side::Consumer, consumer, cores.map(|c| c.1), say)?;
        Ok(Self { orders: [producer, consumer], done })
    }

    /// From the producer's start to the end of who ends last.
    pub(super) fn run(&mut self, go: Go) -> Result<Times> {
        // The consumer first: it waits when the first message comes.
        for order in self.orders.iter().rev() {
            order.send(go).ok().context("a thread has ended")?;
        }
        let (mut producer, mut consumer) = (None, None);
        for _ in 0..2 {
            match self.done.recv().context("both threads have ended")? {
                (Side::Producer, times) => producer = Some(times.context("the producer")?),
                (Side::Consumer, times) => consumer = Some(times.context("the consumer")?),
            }
        }
        let both = producer.zip(consumer);
        both.map(|(p, c)| p.until(c)).ok_or_else(|| anyhow!("one thread answered twice"))
    }
}

fn start(
    mode: Mode,
    side: Side,
    (sender, receiver): Ends,
    core: Option<usize>,
    say: mpsc::Sender<(Side, Result<Times>)>,
) -> Result<mpsc::Sender<Go>> {
    let (order, orders) = mpsc::channel();
    let life = move || {
        let prepared = core.map_or(Ok(()), cores::pin).and_then(|()| {
            let sender = sender.map(|s| s as Box<dyn Sender>);
            let receiver = receiver.map(|r| r as Box<dyn Receiver>);
            Work::of(mode, side == Side::Producer, sender, receiver)
        });
        let mut work = match prepared {
            Ok(work) => work,
            Err(e) => return drop(say.send((side, Err(e)))),
        };
        // Who gave the order listens until both are done.
        while let Ok(go) = orders.recv() {
            let times = run(&mut work, go);
            if say.send((side, times)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().spawn(life).context("start a thread")?;
    Ok(order)
}
