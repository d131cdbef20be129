//! The ring of records: one record per call, and in place.

use super::{Cell, Channel, End, Keeper, Made, Mode, Processes, Receiver, Sender};
use crate::for_size;
use crate::payload::{check_bytes, fill};
use anyhow::{Context, Result};
use segring::spsc::{ByteConsumer, ByteProducer, ByteRing};
use segring::{Name, RingError, Trusted};
use std::rc::Rc;
use zerocopy::{FromBytes, IntoBytes};

/// `spsc::ByteRing`.
pub(super) struct Records;

impl Processes for Records {
    fn make(&self, _: Cell, keeper: &Rc<Keeper>) -> Result<Made> {
        Ok(Made::Channel(make(keeper)?))
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        for_size!(cell.size, N => Ok(match cell.mode {
            Mode::InPlace => Box::new(InPlaceSender::<N>::open(&end)?),
            _ => Box::new(SingleSender::<N>::open(&end)?),
        }))
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        for_size!(cell.size, N => Ok(match cell.mode {
            Mode::InPlace => Box::new(InPlaceReceiver::<N>::open(&end)?),
            _ => Box::new(SingleReceiver::<N>::open(&end)?),
        }))
    }
}

/// The calls that carry a message.
pub(super) fn api(mode: Mode) -> &'static str {
    if mode == Mode::InPlace { "reserve/read" } else { "push/pop" }
}

/// Removes the ring when the run is over.
struct Removed(ByteRing);

impl Drop for Removed {
    fn drop(&mut self) {
        if let Err(e) = self.0.remove() {
            eprintln!("segring: bench: {e}");
        }
    }
}

/// With the default capacity, 1 MiB.
fn make(keeper: &Rc<Keeper>) -> Result<Channel> {
    let ring = Removed(ByteRing::builder(Name::private()).prefault(true).create()?);
    let stats = ring.0.stats()?;
    let kept = keeper.watch_ring(stats.shm_id, stats.sem_id)?;
    Ok(Channel::by_ids(vec![ring.0.id()], vec![Box::new(ring), Box::new(kept)]))
}

fn attach(end: &End) -> Result<ByteRing> {
    let [id] = end.ids()?;
    Ok(ByteRing::builder(Name::id(id)).prefault(true).attach()?)
}

struct SingleSender<const N: usize> {
    tx: ByteProducer,
    record: Vec<[u64; N]>,
}

impl<const N: usize> SingleSender<N> {
    fn open(end: &End) -> Result<Self> {
        Ok(Self { tx: attach(end)?.producer()?, record: vec![[0; N]] })
    }
}

impl<const N: usize> Sender for SingleSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            fill(&mut self.record[0], seq);
            self.tx.push(self.record.as_bytes()).context("push")?;
        }
        Ok(())
    }
}

struct SingleReceiver<const N: usize> {
    rx: ByteConsumer,
    record: Vec<u8>,
}

impl<const N: usize> SingleReceiver<N> {
    fn open(end: &End) -> Result<Self> {
        Ok(Self { rx: attach(end)?.consumer()?, record: Vec::with_capacity(N * 8) })
    }
}

impl<const N: usize> Receiver for SingleReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            self.rx.pop_into(&mut self.record).context("pop_into")?;
            check_bytes::<N>(&self.record, seq)?;
        }
        Ok(())
    }
}

struct InPlaceSender<const N: usize> {
    tx: Trusted<ByteProducer>,
}

impl<const N: usize> InPlaceSender<N> {
    fn open(end: &End) -> Result<Self> {
        let tx = attach(end)?.producer()?;
        // SAFETY: the ring is private to one run of the benchmark, whose processes write into it
        // through segring only.
        Ok(Self { tx: unsafe { tx.trust_peers() } })
    }
}

impl<const N: usize> Sender for InPlaceSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let mut next = first;
        while next < first + n {
            let mut grant = match self.tx.reserve(N * 8) {
                Ok(grant) => grant,
                Err(RingError::Full) => {
                    self.tx.wait_for_room(N * 8, None).context("wait_for_room")?;
                    continue;
                }
                Err(e) => return Err(e).context("reserve"),
            };
            let record = <[u64; N]>::mut_from_bytes(&mut grant);
            fill(record.ok().context("a record is not aligned to 8 bytes")?, next);
            grant.commit(N * 8);
            next += 1;
        }
        Ok(())
    }
}

struct InPlaceReceiver<const N: usize> {
    rx: Trusted<ByteConsumer>,
}

impl<const N: usize> InPlaceReceiver<N> {
    fn open(end: &End) -> Result<Self> {
        let rx = attach(end)?.consumer()?;
        // SAFETY: as the sender's.
        Ok(Self { rx: unsafe { rx.trust_peers() } })
    }
}

impl<const N: usize> Receiver for InPlaceReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        let mut next = first;
        while next < first + n {
            let grant = match self.rx.read() {
                Ok(grant) => grant,
                Err(RingError::Empty) => {
                    self.rx.wait_for_message(None).context("wait_for_message")?;
                    continue;
                }
                Err(e) => return Err(e).context("read"),
            };
            check_bytes::<N>(&grant, next)?;
            grant.release();
            next += 1;
        }
        Ok(())
    }
}
