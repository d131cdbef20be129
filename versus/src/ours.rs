//! The ring in the ways that `segring bench` does not show: with a layout that was asked for, and
//! built in place message by message, as some of the others do it.

use anyhow::{Context, Result};
use segring::{Layout, Name, RingError, Trusted, spsc};
use segring_bench::payload::{batch_len, capacity, check, fill};
use segring_bench::{
    Cell, Channel, End, Ends, Keeper, Made, Mode, Processes, Receiver, Sender, Transport, for_size,
};
use std::rc::Rc;

/// A message at a time, without a copy.
pub(crate) const BUILT_IN_PLACE: &str = "ring, built in place";

pub(crate) fn all() -> Vec<Transport> {
    let row = |name, api, copies, ends| Transport {
        name,
        modes: &[Mode::Single],
        api,
        copies,
        ends: Ends::Processes(ends),
    };
    vec![
        row("ring, dense", |_| "push/pop", |_| 2, &Copying),
        row(BUILT_IN_PLACE, |_| "reserve(1)/read", |_| 0, &InPlace),
    ]
}

type Ring<const N: usize> = spsc::Ring<[u64; N]>;

/// Removes the ring when the run is over.
struct Removed<const N: usize>(Ring<N>);

impl<const N: usize> Drop for Removed<N> {
    fn drop(&mut self) {
        if let Err(e) = self.0.remove() {
            eprintln!("versus: {e}");
        }
    }
}

fn make<const N: usize>(keeper: &Rc<Keeper>) -> Result<Made> {
    let ring = Ring::<N>::builder(Name::private()).capacity(capacity(N * 8)).layout(Layout::Dense);
    let ring = Removed(ring.prefault(true).create()?);
    let stats = ring.0.stats()?;
    let kept = keeper.watch_ring(stats.shm_id, stats.sem_id)?;
    Ok(Made::Channel(Channel::by_ids(vec![ring.0.id()], vec![Box::new(ring), Box::new(kept)])))
}

fn attach<const N: usize>(end: &End) -> Result<Ring<N>> {
    let [id] = end.ids()?;
    Ok(Ring::<N>::builder(Name::id(id)).prefault(true).attach()?)
}

/// `push` and `pop` on a dense ring.
struct Copying;

impl Processes for Copying {
    fn make(&self, cell: Cell, keeper: &Rc<Keeper>) -> Result<Made> {
        for_size!(cell.size, N => make::<N>(keeper))
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        for_size!(cell.size, N => Ok(Box::new(Pusher { tx: attach::<N>(&end)?.producer()?, message: vec![[0; N]] })))
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        for_size!(cell.size, N => Ok(Box::new(Popper { rx: attach::<N>(&end)?.consumer()?, message: vec![[0; N]] })))
    }
}

struct Pusher<const N: usize> {
    tx: spsc::Producer<[u64; N]>,
    message: Vec<[u64; N]>,
}

impl<const N: usize> Sender for Pusher<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            fill(&mut self.message[0], seq);
            self.tx.push_ref(&self.message[0]).context("push_ref")?;
        }
        Ok(())
    }
}

struct Popper<const N: usize> {
    rx: spsc::Consumer<[u64; N]>,
    message: Vec<[u64; N]>,
}

impl<const N: usize> Receiver for Popper<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            self.rx.pop_into(&mut self.message[0]).context("pop_into")?;
            check(&self.message[0], seq)?;
        }
        Ok(())
    }
}

/// Each message built in its slot and committed by itself; the consumer reads what there is.
struct InPlace;

impl Processes for InPlace {
    fn make(&self, cell: Cell, keeper: &Rc<Keeper>) -> Result<Made> {
        for_size!(cell.size, N => make::<N>(keeper))
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        for_size!(cell.size, N => {
            // SAFETY: the ring is private to one run, whose processes write into it through
            // segring only.
            Ok(Box::new(Builder { tx: unsafe { attach::<N>(&end)?.producer()?.trust_peers() } }))
        })
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        for_size!(cell.size, N => {
            // SAFETY: as the sender's.
            Ok(Box::new(Reader { rx: unsafe { attach::<N>(&end)?.consumer()?.trust_peers() } }))
        })
    }
}

struct Builder<const N: usize> {
    tx: Trusted<spsc::Producer<[u64; N]>>,
}

impl<const N: usize> Sender for Builder<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let mut next = first;
        while next < first + n {
            let mut grant = match self.tx.reserve(1) {
                Ok(grant) => grant,
                Err(RingError::Full) => {
                    self.tx.wait_for_room(None).context("wait_for_room")?;
                    continue;
                }
                Err(e) => return Err(e).context("reserve"),
            };
            if let Some((slots, _)) = grant.as_mut_slices() {
                for slot in slots {
                    fill(slot, next);
                }
            }
            next += grant.commit(1) as u64;
        }
        Ok(())
    }
}

struct Reader<const N: usize> {
    rx: Trusted<spsc::Consumer<[u64; N]>>,
}

impl<const N: usize> Receiver for Reader<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        let mut next = first;
        while next < first + n {
            let grant = match self.rx.read(batch_len(N * 8)) {
                Ok(grant) => grant,
                Err(RingError::Empty) => {
                    self.rx.wait_for_message(None).context("wait_for_message")?;
                    continue;
                }
                Err(e) => return Err(e).context("read"),
            };
            let len = grant.len();
            if let Some((head, tail)) = grant.as_slices() {
                for (slot, seq) in head.iter().chain(tail).zip(next..) {
                    check(slot, seq)?;
                }
            }
            next += grant.release(len) as u64;
        }
        Ok(())
    }
}
