//! kanal's bounded channel, polled and with its own waiting.

use super::many::{TryCollect, ends};
use super::{TryReceive, TrySend, capacity, prefault, single};
use anyhow::{Context, Result, bail};
use segring_bench::payload::{check, fill};
use segring_bench::{
    Came, Cell, Ends, ManyEnds, Mode, Pause, Receiver, Sender, Tally, ThreadEnds, Threads, Transport,
    for_size,
};

pub(super) fn all() -> [Transport; 3] {
    [
        transport("kanal", |_| "try_send/try_recv", &Channel(Some(Pause::Spin))),
        transport("kanal, slipping", |_| "try_send/try_recv", &Channel(Some(Pause::Slip))),
        transport("kanal, blocking", |_| "send/recv", &Channel(None)),
    ]
}

fn transport(name: &'static str, api: fn(Mode) -> &'static str, peer: &'static Channel) -> Transport {
    let modes = &[Mode::Single, Mode::RoundTrip];
    // Between many, polled only: what the pauses of all others are, its are, too.
    let many: &[Mode] = if peer.0.is_some() { &[Mode::Single] } else { &[] };
    Transport { name, modes, many, api, copies: |_| 2, ends: Ends::Threads(peer) }
}

/// Without a pause: blocking.
struct Channel(Option<Pause>);

impl Threads for Channel {
    fn pair(&self, cell: Cell) -> Result<ThreadEnds> {
        for_size!(cell.size, N => pair::<N>(self.0))
    }

    fn many(&self, cell: Cell) -> Result<ManyEnds> {
        let Some(pause) = self.0 else { bail!("{cell}: polled only") };
        for_size!(cell.size, N => {
            let (tx, rx) = kanal::bounded::<[u64; N]>(capacity(N * 8));
            ends::<_, _, N>(cell.shape, pause, &tx, &rx)
        })
    }
}

fn pair<const N: usize>(pause: Option<Pause>) -> Result<ThreadEnds> {
    let (mut tx, mut rx) = kanal::bounded::<[u64; N]>(capacity(N * 8));
    match pause {
        Some(pause) => single(tx, rx, pause),
        None => {
            prefault(&mut tx, &mut rx)?;
            Ok((Box::new(BlockingSender(tx)), Box::new(BlockingReceiver(rx))))
        }
    }
}

impl<const N: usize> TrySend<N> for kanal::Sender<[u64; N]> {
    #[inline(always)]
    fn try_send(&mut self, message: &[u64; N]) -> Result<bool> {
        (*self).try_send(*message).context("try_send")
    }
}

impl<const N: usize> TryReceive<N> for kanal::Receiver<[u64; N]> {
    #[inline(always)]
    fn try_receive(&mut self, seq: u64) -> Result<bool> {
        match self.try_recv().context("try_recv")? {
            Some(ref message) => check(message, seq).map(|()| true),
            None => Ok(false),
        }
    }
}

impl<const N: usize> TryCollect<N> for kanal::Receiver<[u64; N]> {
    #[inline(always)]
    fn try_collect(&mut self, tally: &mut Tally) -> Result<Option<Came>> {
        self.try_recv().context("try_recv")?.map(|ref message| tally.take(message)).transpose()
    }
}

struct BlockingSender<const N: usize>(kanal::Sender<[u64; N]>);

impl<const N: usize> Sender for BlockingSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let mut message = [0; N];
        for seq in first..first + n {
            fill(&mut message, seq);
            self.0.send(message).context("send")?;
        }
        Ok(())
    }
}

struct BlockingReceiver<const N: usize>(kanal::Receiver<[u64; N]>);

impl<const N: usize> Receiver for BlockingReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            match self.0.recv() {
                Ok(ref message) => check(message, seq)?,
                Err(e) => return Err(e).context("recv"),
            }
        }
        Ok(())
    }
}
