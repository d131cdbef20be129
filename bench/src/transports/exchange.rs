//! The typed ring of many producers and consumers: one message per call, many per call, in place.

use super::ring::message;
use super::{Cell, Channel, End, Ends, Keeper, Made, Mode, Processes, Receiver, Sender, Transport, copies};
use crate::for_size;
use crate::pause::{Patience, Pause};
use crate::payload::{batch_len, capacity, check, fill, fill_all, fill_ends};
use crate::plan::Shape;
use crate::tally::{Came, Tally, end_mark};
use crate::transport::Notes;
use anyhow::{Context, Result, bail};
use segring::{Name, RingError, Trusted, mpmc};
use std::rc::Rc;

/// `mpmc::Ring`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ManyRing {
    /// Messages. As many as every queue has, if nothing else is asked for.
    pub capacity: Option<usize>,
    /// Seats. As many as are needed, and 64 at least, if nothing else is asked for.
    pub seats: Option<u32>,
    /// What both sides do instead of waiting as the ring does: they poll, and pause like everybody who
    /// polls.
    pub polled: Option<Pause>,
}

/// Seats that a ring has if nobody says otherwise.
const SEATS: u32 = 64;
/// Entries of a ring whose messages are handed over: the same for all lengths, which are what is compared.
const HANDED_OVER: usize = 64;

impl ManyRing {
    /// As a row of a table between many. Between two it is asked for by name only.
    pub fn transport(self, name: &'static str, many: &'static [Mode]) -> Transport {
        let api = if self.polled.is_some() { |_| "try_push/try_pop" } else { api };
        let ends = Ends::Processes(Box::leak(Box::new(self)));
        Transport { name, modes: &[], many, api, copies, ends }
    }

    fn create<const N: usize>(self, mode: Mode, shape: Shape, keeper: &Rc<Keeper>) -> Result<Channel> {
        // In bulk a consumer may need a producer's seat, see `BulkReceiver`.
        let needed = shape.producers() + 2 * shape.consumers();
        let usual = if mode == Mode::Handover { HANDED_OVER } else { capacity(N * 8) };
        let ring = Ring::<N>::builder(Name::private()).capacity(self.capacity.unwrap_or(usual));
        let ring = ring.seats(self.seats.unwrap_or(needed.max(SEATS))).prefault(true);
        let ring = if in_place(mode) { ring.in_hand(1) } else { ring };
        let ring = Removed(ring.create()?);
        let stats = ring.0.stats()?;
        let kept = keeper.watch_ring(stats.shm_id, stats.sem_id)?;
        // Dropped in this order: the library removes, then the keeper is told.
        Ok(Channel::by_ids(vec![ring.0.id()], vec![Box::new(ring), Box::new(kept)]))
    }
}

fn in_place(mode: Mode) -> bool {
    matches!(mode, Mode::InPlace | Mode::Handover)
}

/// The calls that carry a message.
fn api(mode: Mode) -> &'static str {
    match mode {
        Mode::InPlace | Mode::Handover => "slot/take",
        Mode::Bulk => "push_slice/pop_slice",
        Mode::Single | Mode::RoundTrip => "push/pop",
    }
}

impl Processes for ManyRing {
    fn make(&self, cell: Cell, keeper: &Rc<Keeper>) -> Result<Made> {
        let made = for_size!(cell.size, N => self.create::<N>(cell.mode, cell.shape, keeper));
        match made {
            // Such as a limit of this system: nobody has promised that there is room for it.
            Err(e) if self.capacity.is_some() || self.seats.is_some() => {
                Ok(Made::Impossible(format!("{e:#}")))
            }
            made => Ok(Made::Channel(made?)),
        }
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        let handover = cell.mode == Mode::Handover;
        for_size!(cell.size, N => {
            let tx = attach::<N>(&end)?.producer()?;
            Ok(match (cell.mode, self.polled) {
                (Mode::InPlace | Mode::Handover, _) => {
                    // SAFETY: the ring is private to one cell of the benchmark, whose processes write
                    // into it through segring only.
                    Box::new(InPlaceSender { tx: unsafe { tx.trust_peers() }, handover })
                }
                (Mode::Bulk, _) => Box::new(BulkSender { tx, batch: vec![[0; N]; batch_len(N * 8)] }),
                (_, Some(pause)) => Box::new(PolledSender { tx, message: message()?, pause }),
                (_, None) => Box::new(BlockingSender { tx, message: message()? }),
            })
        })
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        let handover = cell.mode == Mode::Handover;
        for_size!(cell.size, N => {
            let ring = attach::<N>(&end)?;
            let rx = ring.consumer()?;
            Ok(match (cell.mode, self.polled) {
                (Mode::InPlace | Mode::Handover, _) => {
                    // SAFETY: as the sender's.
                    Box::new(InPlaceReceiver { rx: unsafe { rx.trust_peers() }, handover })
                }
                (Mode::Bulk, _) => Box::new(BulkReceiver { rx, ring, batch: vec![[0; N]; batch_len(N * 8)] }),
                (_, Some(pause)) => Box::new(PolledReceiver { rx, message: message()?, pause }),
                (_, None) => Box::new(BlockingReceiver { rx, message: message()? }),
            })
        })
    }
}

type Ring<const N: usize> = mpmc::Ring<[u64; N]>;

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

fn attach<const N: usize>(end: &End) -> Result<Ring<N>> {
    let [id] = end.ids()?;
    Ok(Ring::<N>::builder(Name::id(id)).prefault(true).attach()?)
}

/// Nobody dies in a run, and nobody hands back.
#[inline(always)]
fn first_time(redelivered: bool) -> Result<()> {
    if redelivered { bail!("a message was delivered again") } else { Ok(()) }
}

struct BlockingSender<const N: usize> {
    tx: mpmc::Producer<[u64; N]>,
    message: Box<[u64; N]>,
}

impl<const N: usize> Sender for BlockingSender<N> {
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

struct BlockingReceiver<const N: usize> {
    rx: mpmc::Consumer<[u64; N]>,
    message: Box<[u64; N]>,
}

impl<const N: usize> Receiver for BlockingReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            self.rx.pop_into(&mut self.message).context("pop_into")?;
            first_time(self.rx.redelivered())?;
            check(&self.message, seq)?;
        }
        Ok(())
    }

    fn collect(&mut self, tally: &mut Tally) -> Result<()> {
        loop {
            self.rx.pop_into(&mut self.message).context("pop_into")?;
            first_time(self.rx.redelivered())?;
            if tally.take(&self.message)? == Came::End {
                return Ok(());
            }
        }
    }

    fn notes(&mut self) -> Notes {
        self.rx.wait_stats().into()
    }
}

struct PolledSender<const N: usize> {
    tx: mpmc::Producer<[u64; N]>,
    message: Box<[u64; N]>,
    pause: Pause,
}

impl<const N: usize> Sender for PolledSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            fill(&mut self.message, seq);
            let mut patience = Patience::new(self.pause);
            loop {
                match self.tx.try_push_ref(&self.message) {
                    Ok(()) => break,
                    Err(RingError::Full) => patience.wait(),
                    Err(e) => return Err(e).context("try_push_ref"),
                }
            }
        }
        Ok(())
    }
}

struct PolledReceiver<const N: usize> {
    rx: mpmc::Consumer<[u64; N]>,
    message: Box<[u64; N]>,
    pause: Pause,
}

impl<const N: usize> PolledReceiver<N> {
    #[inline(always)]
    fn next(&mut self) -> Result<()> {
        let mut patience = Patience::new(self.pause);
        loop {
            match self.rx.try_pop_into(&mut self.message) {
                Ok(()) => return first_time(self.rx.redelivered()),
                Err(RingError::Empty) => patience.wait(),
                Err(e) => return Err(e).context("try_pop_into"),
            }
        }
    }
}

impl<const N: usize> Receiver for PolledReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            self.next()?;
            check(&self.message, seq)?;
        }
        Ok(())
    }

    fn collect(&mut self, tally: &mut Tally) -> Result<()> {
        loop {
            self.next()?;
            if tally.take(&self.message)? == Came::End {
                return Ok(());
            }
        }
    }
}

struct BulkSender<const N: usize> {
    tx: mpmc::Producer<[u64; N]>,
    batch: Vec<[u64; N]>,
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

    fn notes(&mut self) -> Notes {
        self.tx.wait_stats().into()
    }
}

/// May get the end marks of others together with its own, and gives those back.
struct BulkReceiver<const N: usize> {
    rx: mpmc::Consumer<[u64; N]>,
    ring: Ring<N>,
    batch: Vec<[u64; N]>,
}

impl<const N: usize> BulkReceiver<N> {
    fn give_back(&self, marks: u32) -> Result<()> {
        if marks == 0 {
            return Ok(());
        }
        let mut tx = self.ring.producer()?;
        let mut mark = message()?;
        for number in 0..marks {
            fill(&mut mark, end_mark(number));
            tx.push_ref(&mark).context("push_ref")?;
        }
        Ok(())
    }
}

impl<const N: usize> Receiver for BulkReceiver<N> {
    fn receive(&mut self, _: u64, _: u64) -> Result<()> {
        bail!("in bulk the ring of many is measured between many")
    }

    fn collect(&mut self, tally: &mut Tally) -> Result<()> {
        loop {
            let popped = self.rx.pop_slice(&mut self.batch).context("pop_slice")?;
            if popped == 0 {
                self.rx.wait_for_message(None).context("wait_for_message")?;
            }
            first_time(self.rx.redelivered())?;
            let marks = tally.take_all(&self.batch[..popped])?;
            if let Some(others) = marks.checked_sub(1) {
                return self.give_back(others);
            }
        }
    }

    fn notes(&mut self) -> Notes {
        self.rx.wait_stats().into()
    }
}

struct InPlaceSender<const N: usize> {
    tx: Trusted<mpmc::Producer<[u64; N]>>,
    /// Only the first and the last word are written.
    handover: bool,
}

impl<const N: usize> Sender for InPlaceSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            let mut slot = self.tx.slot().context("slot")?;
            if self.handover {
                fill_ends(&mut slot, seq);
            } else {
                fill(&mut slot, seq);
            }
            slot.publish_timeout(None).context("publish")?;
        }
        Ok(())
    }

    fn notes(&mut self) -> Notes {
        self.tx.wait_stats().into()
    }
}

struct InPlaceReceiver<const N: usize> {
    rx: Trusted<mpmc::Consumer<[u64; N]>>,
    handover: bool,
}

impl<const N: usize> Receiver for InPlaceReceiver<N> {
    fn receive(&mut self, _: u64, _: u64) -> Result<()> {
        bail!("in place the ring of many is measured between many")
    }

    fn collect(&mut self, tally: &mut Tally) -> Result<()> {
        loop {
            let job = self.rx.take().context("take")?;
            first_time(job.redelivered())?;
            let came = if self.handover { tally.take_ends(&job) } else { tally.take(&job) }?;
            job.release();
            if came == Came::End {
                return Ok(());
            }
        }
    }

    fn notes(&mut self) -> Notes {
        self.rx.wait_stats().into()
    }
}
