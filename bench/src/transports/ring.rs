//! The typed ring: one message per call, many per call, in place.

use super::{Cell, Channel, End, Ends, Keeper, Made, Mode, Processes, Receiver, Sender, Transport};
use crate::for_size;
use crate::pause::Pause;
use crate::payload::{batch_len, capacity, check, check_all, check_ends, fill, fill_all, fill_ends};
use crate::transport::Notes;
use anyhow::{Context, Result};
use segring::{Layout, Name, RingError, Trusted, WaitStrategy, spsc};
use std::rc::Rc;

/// `spsc::Ring`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TypedRing {
    /// Slots. As many as every queue has, if nothing else is asked for.
    pub capacity: Option<usize>,
    /// The one that is made for the mode, if nothing else is asked for.
    pub layout: Option<Layout>,
    /// Single messages are built in their slots, each committed by itself, and read in place, as
    /// many as there are.
    pub built_in_place: bool,
    /// What both sides do while they wait.
    pub strategy: WaitStrategy,
    /// The consumer of single messages never waits: it polls with `try_pop`.
    pub polled: bool,
}

impl TypedRing {
    /// As a row of a table.
    pub fn transport(self, name: &'static str, modes: &'static [Mode]) -> Transport {
        let api = if self.built_in_place { |_| "reserve(1)/read" } else { api };
        let copies = if self.built_in_place { |_| 0 } else { super::copies };
        Transport { name, modes, api, copies, many: &[], ends: Ends::Processes(Box::leak(Box::new(self))) }
    }

    /// In bulk and in place the layout is the one that is made for it.
    fn layout(self, mode: Mode, size: usize) -> Layout {
        let usual = match mode {
            Mode::Single | Mode::RoundTrip => Layout::for_payload(size),
            Mode::Bulk | Mode::InPlace | Mode::Handover => Layout::Dense,
        };
        self.layout.unwrap_or(usual)
    }
}

impl Processes for TypedRing {
    fn make(&self, cell: Cell, keeper: &Rc<Keeper>) -> Result<Made> {
        let made = for_size!(cell.size, N => make::<N>(*self, cell.mode, keeper));
        match made {
            // Such as a limit of this system: nobody has promised that there is room for it.
            Err(e) if self.capacity.is_some() => Ok(Made::Impossible(format!("{e:#}"))),
            made => Ok(Made::Channel(made?)),
        }
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        let many = batch_len(cell.size);
        for_size!(cell.size, N => Ok(match cell.mode {
            Mode::InPlace => Box::new(InPlaceSender::<N>::open(&end, many)?),
            Mode::Handover => Box::new(HandoverSender(InPlaceSender::<N>::open(&end, 1)?)),
            Mode::Bulk => Box::new(BulkSender::<N>::open(&end)?),
            _ if self.built_in_place => Box::new(InPlaceSender::<N>::open(&end, 1)?),
            Mode::Single | Mode::RoundTrip => Box::new(SingleSender::<N>::open(&end, self.strategy)?),
        }))
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        for_size!(cell.size, N => Ok(match cell.mode {
            Mode::InPlace => Box::new(InPlaceReceiver::<N>::open(&end)?),
            Mode::Handover => Box::new(HandoverReceiver(InPlaceReceiver::<N>::open(&end)?)),
            Mode::Bulk => Box::new(BulkReceiver::<N>::open(&end)?),
            _ if self.built_in_place => Box::new(InPlaceReceiver::<N>::open(&end)?),
            Mode::Single if self.polled => {
                Box::new(PollingReceiver(SingleReceiver::<N>::open(&end, self.strategy)?))
            }
            Mode::Single | Mode::RoundTrip => Box::new(SingleReceiver::<N>::open(&end, self.strategy)?),
        }))
    }
}

/// The calls that carry a message.
fn api(mode: Mode) -> &'static str {
    match mode {
        Mode::InPlace | Mode::Handover => "reserve/read",
        Mode::Bulk => "push_slice/pop_slice",
        Mode::Single | Mode::RoundTrip => "push/pop",
    }
}

pub(super) type Ring<const N: usize> = spsc::Ring<[u64; N]>;

/// Removes the ring when the run is over. The workers are gone by then, so the semaphore set goes
/// with this last attachment.
struct Removed<const N: usize>(Ring<N>);

impl<const N: usize> Drop for Removed<N> {
    fn drop(&mut self) {
        if let Err(e) = self.0.remove() {
            eprintln!("segring: bench: {e}");
        }
    }
}

pub(super) fn make<const N: usize>(asked: TypedRing, mode: Mode, keeper: &Rc<Keeper>) -> Result<Channel> {
    let ring = Ring::<N>::builder(Name::private()).layout(asked.layout(mode, N * 8));
    let ring = ring.capacity(asked.capacity.unwrap_or(capacity(N * 8))).prefault(true);
    let ring = Removed(ring.create()?);
    let stats = ring.0.stats()?;
    let kept = keeper.watch_ring(stats.shm_id, stats.sem_id)?;
    // Dropped in this order: the library removes, then the keeper is told.
    Ok(Channel::by_ids(vec![ring.0.id()], vec![Box::new(ring), Box::new(kept)]))
}

pub(super) fn attach<const N: usize>(end: &End) -> Result<Ring<N>> {
    let [id] = end.ids()?;
    Ok(Ring::<N>::builder(Name::id(id)).prefault(true).attach()?)
}

pub(super) fn message<const N: usize>() -> Result<Box<[u64; N]>> {
    let words = vec![0_u64; N].into_boxed_slice();
    words.try_into().ok().context("a message's buffer has another length")
}

struct SingleSender<const N: usize> {
    tx: spsc::Producer<[u64; N]>,
    message: Box<[u64; N]>,
}

impl<const N: usize> SingleSender<N> {
    fn open(end: &End, strategy: WaitStrategy) -> Result<Self> {
        let mut tx = attach(end)?.producer()?;
        tx.set_wait_strategy(strategy);
        Ok(Self { tx, message: message()? })
    }
}

impl<const N: usize> Sender for SingleSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            fill(&mut self.message, seq);
            self.tx.push_ref(&self.message).context("push_ref")?;
        }
        Ok(())
    }

    fn notes(&mut self) -> Notes {
        self.tx.wait_stats().into()
    }
}

struct SingleReceiver<const N: usize> {
    rx: spsc::Consumer<[u64; N]>,
    message: Box<[u64; N]>,
}

impl<const N: usize> SingleReceiver<N> {
    fn open(end: &End, strategy: WaitStrategy) -> Result<Self> {
        let mut rx = attach(end)?.consumer()?;
        rx.set_wait_strategy(strategy);
        Ok(Self { rx, message: message()? })
    }
}

impl<const N: usize> Receiver for SingleReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            self.rx.pop_into(&mut self.message).context("pop_into")?;
            check(&self.message, seq)?;
        }
        Ok(())
    }

    fn notes(&mut self) -> Notes {
        self.rx.wait_stats().into()
    }
}

/// A consumer that cannot sleep, and looks away for as long as the blocking one at most.
struct PollingReceiver<const N: usize>(SingleReceiver<N>);

impl<const N: usize> Receiver for PollingReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        let SingleReceiver { rx, message } = &mut self.0;
        for seq in first..first + n {
            loop {
                match rx.try_pop_into(message) {
                    Ok(()) => break,
                    Err(RingError::Empty) => Pause::Slip.wait(),
                    Err(e) => return Err(e).context("try_pop_into"),
                }
            }
            check(message, seq)?;
        }
        Ok(())
    }
}

struct BulkSender<const N: usize> {
    tx: spsc::Producer<[u64; N]>,
    batch: Vec<[u64; N]>,
}

impl<const N: usize> BulkSender<N> {
    fn open(end: &End) -> Result<Self> {
        Ok(Self { tx: attach(end)?.producer()?, batch: vec![[0; N]; batch_len(N * 8)] })
    }
}

impl<const N: usize> Sender for BulkSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let end = first + n;
        let mut next = first;
        while next < end {
            let len = self.batch.len().min((end - next) as usize);
            let mut left = &mut self.batch[..len];
            fill_all(left, next);
            next += len as u64;
            while !left.is_empty() {
                let pushed = self.tx.push_slice(left).context("push_slice")?;
                if pushed == 0 {
                    self.tx.wait_for_room(None).context("wait_for_room")?;
                }
                left = &mut left[pushed..];
            }
        }
        Ok(())
    }
}

struct BulkReceiver<const N: usize> {
    rx: spsc::Consumer<[u64; N]>,
    batch: Vec<[u64; N]>,
}

impl<const N: usize> BulkReceiver<N> {
    fn open(end: &End) -> Result<Self> {
        Ok(Self { rx: attach(end)?.consumer()?, batch: vec![[0; N]; batch_len(N * 8)] })
    }
}

impl<const N: usize> Receiver for BulkReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        let end = first + n;
        let mut next = first;
        while next < end {
            let popped = self.rx.pop_slice(&mut self.batch).context("pop_slice")?;
            if popped == 0 {
                self.rx.wait_for_message(None).context("wait_for_message")?;
            }
            check_all(&self.batch[..popped], next)?;
            next += popped as u64;
        }
        Ok(())
    }
}

struct InPlaceSender<const N: usize> {
    tx: Trusted<spsc::Producer<[u64; N]>>,
    /// Messages per grant.
    many: usize,
}

impl<const N: usize> InPlaceSender<N> {
    fn open(end: &End, many: usize) -> Result<Self> {
        let tx = attach(end)?.producer()?;
        // SAFETY: the ring is private to one run of the benchmark, whose processes write into it
        // through segring only.
        Ok(Self { tx: unsafe { tx.trust_peers() }, many })
    }
}

impl<const N: usize> Sender for InPlaceSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let end = first + n;
        let mut next = first;
        while next < end {
            let wanted = self.many.min((end - next) as usize);
            let mut grant = match self.tx.reserve(wanted) {
                Ok(grant) => grant,
                Err(RingError::Full) => {
                    self.tx.wait_for_room(None).context("wait_for_room")?;
                    continue;
                }
                Err(e) => return Err(e).context("reserve"),
            };
            let len = grant.len();
            if let Some((head, tail)) = grant.as_mut_slices() {
                fill_all(head, next);
                fill_all(tail, next + head.len() as u64);
            } else {
                for (slot, seq) in grant.iter_mut().zip(next..) {
                    fill(slot, seq);
                }
            }
            next += grant.commit(len) as u64;
        }
        Ok(())
    }
}

struct InPlaceReceiver<const N: usize> {
    rx: Trusted<spsc::Consumer<[u64; N]>>,
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
        let end = first + n;
        let mut next = first;
        while next < end {
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
                check_all(head, next)?;
                check_all(tail, next + head.len() as u64)?;
            } else {
                for (slot, seq) in grant.iter().zip(next..) {
                    check(slot, seq)?;
                }
            }
            next += grant.release(len) as u64;
        }
        Ok(())
    }
}

struct HandoverSender<const N: usize>(InPlaceSender<N>);

impl<const N: usize> Sender for HandoverSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let mut next = first;
        while next < first + n {
            let mut grant = match self.0.tx.reserve(1) {
                Ok(grant) => grant,
                Err(RingError::Full) => {
                    self.0.tx.wait_for_room(None).context("wait_for_room")?;
                    continue;
                }
                Err(e) => return Err(e).context("reserve"),
            };
            for slot in grant.iter_mut() {
                fill_ends(slot, next);
            }
            next += grant.commit(1) as u64;
        }
        Ok(())
    }
}

struct HandoverReceiver<const N: usize>(InPlaceReceiver<N>);

impl<const N: usize> Receiver for HandoverReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        let mut next = first;
        while next < first + n {
            let grant = match self.0.rx.read(1) {
                Ok(grant) => grant,
                Err(RingError::Empty) => {
                    self.0.rx.wait_for_message(None).context("wait_for_message")?;
                    continue;
                }
                Err(e) => return Err(e).context("read"),
            };
            for slot in grant.iter() {
                check_ends(slot, next)?;
            }
            next += grant.release(1) as u64;
        }
        Ok(())
    }
}
