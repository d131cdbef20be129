//! crossbeam's bounded channel, polled and with its own waiting.

use super::{TryReceive, TrySend, capacity, prefault, single};
use anyhow::{Result, bail};
use crossbeam_channel::{TryRecvError, TrySendError, bounded};
use segring_bench::payload::{check, fill};
use segring_bench::{Cell, Ends, Mode, Pause, Receiver, Sender, ThreadEnds, Threads, Transport, for_size};

pub(super) fn all() -> [Transport; 3] {
    [
        transport("crossbeam channel", |_| "try_send/try_recv", &Channel(Some(Pause::Spin))),
        transport("crossbeam channel, slipping", |_| "try_send/try_recv", &Channel(Some(Pause::Slip))),
        transport("crossbeam channel, blocking", |_| "send/recv", &Channel(None)),
    ]
}

fn transport(name: &'static str, api: fn(Mode) -> &'static str, peer: &'static Channel) -> Transport {
    let modes = &[Mode::Single, Mode::RoundTrip];
    Transport { name, modes, api, copies: |_| 2, many: &[], ends: Ends::Threads(peer) }
}

/// Without a pause: blocking.
struct Channel(Option<Pause>);

impl Threads for Channel {
    fn pair(&self, cell: Cell) -> Result<ThreadEnds> {
        for_size!(cell.size, N => pair::<N>(self.0))
    }
}

fn pair<const N: usize>(pause: Option<Pause>) -> Result<ThreadEnds> {
    let (mut tx, mut rx) = bounded::<[u64; N]>(capacity(N * 8));
    match pause {
        Some(pause) => single(tx, rx, pause),
        None => {
            prefault(&mut tx, &mut rx)?;
            Ok((Box::new(BlockingSender(tx)), Box::new(BlockingReceiver(rx))))
        }
    }
}

impl<const N: usize> TrySend<N> for crossbeam_channel::Sender<[u64; N]> {
    #[inline(always)]
    fn try_send(&mut self, message: &[u64; N]) -> Result<bool> {
        match (*self).try_send(*message) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(_)) => Ok(false),
            Err(TrySendError::Disconnected(_)) => bail!("try_send: the receiver has gone"),
        }
    }
}

impl<const N: usize> TryReceive<N> for crossbeam_channel::Receiver<[u64; N]> {
    #[inline(always)]
    fn try_receive(&mut self, seq: u64) -> Result<bool> {
        match self.try_recv() {
            Ok(ref message) => check(message, seq).map(|()| true),
            Err(TryRecvError::Empty) => Ok(false),
            Err(TryRecvError::Disconnected) => bail!("try_recv: the sender has gone"),
        }
    }
}

struct BlockingSender<const N: usize>(crossbeam_channel::Sender<[u64; N]>);

impl<const N: usize> Sender for BlockingSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let mut message = [0; N];
        for seq in first..first + n {
            fill(&mut message, seq);
            if self.0.send(message).is_err() {
                bail!("send: the receiver has gone");
            }
        }
        Ok(())
    }
}

struct BlockingReceiver<const N: usize>(crossbeam_channel::Receiver<[u64; N]>);

impl<const N: usize> Receiver for BlockingReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            match self.0.recv() {
                Ok(ref message) => check(message, seq)?,
                Err(_) => bail!("recv: the sender has gone"),
            }
        }
        Ok(())
    }
}
