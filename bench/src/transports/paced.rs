//! A ring on which a message comes now and then: how long it takes to arrive, and what waiting for
//! it costs.

use super::ring::{attach, make};
use super::{Cell, End, Keeper, Made, Processes, Receiver, Sender, TypedRing};
use crate::results::at_part;
use crate::transport::Notes;
use crate::worker::now;
use anyhow::{Context, Result, bail};
use segring::{WaitStrategy, spsc};
use std::rc::Rc;
use std::time::Duration;

/// A message's number, and when its push began.
type Message = [u64; 2];
/// Bytes of it.
pub(crate) const SIZE: usize = size_of::<Message>();

/// From here on the producer sleeps between messages; it spins for shorter times, and for the last
/// part of longer ones, so that it is awake when it pushes.
const SLEEPS: u64 = 200_000;
const SPINS: u64 = 100_000;

/// One message every `gap`, on a ring whose consumer waits in this way.
pub(crate) struct Paced {
    pub(crate) strategy: WaitStrategy,
    pub(crate) gap: Duration,
}

impl Processes for Paced {
    fn make(&self, cell: Cell, keeper: &Rc<Keeper>) -> Result<Made> {
        let ring = TypedRing { capacity: Some(1024), ..TypedRing::default() };
        make::<2>(ring, cell.mode, keeper).map(Made::Channel)
    }

    fn sender(&self, _: Cell, end: End) -> Result<Box<dyn Sender>> {
        let tx = attach::<2>(&end)?.producer()?;
        Ok(Box::new(PacedSender { tx, gap: self.gap.as_nanos() as u64, pushes: Vec::new() }))
    }

    fn receiver(&self, _: Cell, end: End) -> Result<Box<dyn Receiver>> {
        let mut rx = attach::<2>(&end)?.consumer()?;
        rx.set_wait_strategy(self.strategy);
        Ok(Box::new(PacedReceiver { rx, delays: Vec::new() }))
    }
}

struct PacedSender {
    tx: spsc::Producer<Message>,
    gap: u64,
    /// How long each push of the last run took.
    pushes: Vec<u64>,
}

/// Until this point in time.
fn rest_until(end: u64) -> Result<()> {
    let left = end.saturating_sub(now()?);
    if left > SLEEPS {
        std::thread::sleep(Duration::from_nanos(left - SPINS));
    }
    while now()? < end {
        std::hint::spin_loop();
    }
    Ok(())
}

impl Sender for PacedSender {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        self.pushes.clear();
        let mut next = now()?;
        for seq in first..first + n {
            next += self.gap;
            rest_until(next)?;
            next = now()?;
            self.tx.push([seq, next]).context("push")?;
            self.pushes.push(now()? - next);
        }
        Ok(())
    }

    fn notes(&mut self) -> Notes {
        Notes { push: at_part(&mut self.pushes, 0.5), ..self.tx.wait_stats().into() }
    }
}

struct PacedReceiver {
    rx: spsc::Consumer<Message>,
    /// Of the messages of the last run.
    delays: Vec<u64>,
}

impl Receiver for PacedReceiver {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        self.delays.clear();
        for seq in first..first + n {
            let [number, sent] = self.rx.pop().context("pop")?;
            if number != seq {
                bail!("message {number} came instead of {seq}");
            }
            self.delays.push(now()?.saturating_sub(sent));
        }
        Ok(())
    }

    fn notes(&mut self) -> Notes {
        let delay = at_part(&mut self.delays, 0.5);
        // Of fewer, it would be the longest.
        let delay_p99 = if self.delays.len() < 100 { None } else { at_part(&mut self.delays, 0.99) };
        Notes { delay, delay_p99, ..self.rx.wait_stats().into() }
    }
}
