//! What the queues of many have in common: ends that poll, and pause as everybody else does.

use super::{TryReceive, TrySend, prefault};
use anyhow::{Result, bail};
use segring_bench::payload::fill;
use segring_bench::{Came, ManyEnds, Patience, Pause, Receiver, Sender, Shape, Tally};

/// A consumer's half of a queue of many.
pub(super) trait TryCollect<const N: usize> {
    /// What came and was checked, if anything did.
    fn try_collect(&mut self, tally: &mut Tally) -> Result<Option<Came>>;
}

/// One of many ends, with one message per call. On lines of its own, as the others are.
#[repr(align(128))]
pub(super) struct Many<Half, const N: usize> {
    half: Half,
    pause: Pause,
}

impl<Half, const N: usize> Many<Half, N> {
    pub(super) fn new(half: Half, pause: Pause) -> Self {
        Self { half, pause }
    }
}

impl<Half: TrySend<N>, const N: usize> Sender for Many<Half, N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let mut message = [0; N];
        for seq in first..first + n {
            fill(&mut message, seq);
            let mut patience = Patience::new(self.pause);
            while !self.half.try_send(&message)? {
                patience.wait();
            }
        }
        Ok(())
    }
}

impl<Half: TryCollect<N>, const N: usize> Receiver for Many<Half, N> {
    fn receive(&mut self, _: u64, _: u64) -> Result<()> {
        bail!("this end is for many")
    }

    fn collect(&mut self, tally: &mut Tally) -> Result<()> {
        loop {
            let mut patience = Patience::new(self.pause);
            let came = loop {
                match self.half.try_collect(tally)? {
                    Some(came) => break came,
                    None => patience.wait(),
                }
            };
            if came == Came::End {
                return Ok(());
            }
        }
    }
}

/// The ends of a queue within a process, all clones of these two. Every page of it is there then.
pub(super) fn ends<Tx, Rx, const N: usize>(shape: Shape, pause: Pause, tx: &Tx, rx: &Rx) -> Result<ManyEnds>
where
    Tx: TrySend<N> + Clone + Send + 'static,
    Rx: TryReceive<N> + TryCollect<N> + Clone + Send + 'static,
{
    prefault(&mut tx.clone(), &mut rx.clone())?;
    let senders = (0..shape.producers()).map(|_| Box::new(Many::<_, N>::new(tx.clone(), pause)) as _);
    let receivers = (0..shape.consumers()).map(|_| Box::new(Many::<_, N>::new(rx.clone(), pause)) as _);
    Ok((senders.collect(), receivers.collect()))
}
