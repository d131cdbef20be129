//! shaq's queue of many, in a mapped file. Both sides poll. Who has written or read waits, spinning, for
//! those before him to have done so: that is inside its calls, where no pause of ours applies. If one of
//! those is off the core meanwhile, this takes a whole time slice; and with two producers or two consumers
//! on a core they keep doing that to each other, for every message. So its runs have few messages.

use super::many::{Many, TryCollect};
use super::{TrySend, capacity};
use anyhow::{Context, Result};
use nix::sys::memfd::{MFdFlags, memfd_create};
use segring_bench::{
    Came, Cell, Channel, End, Ends, Keeper, Made, Mode, Pause, Processes, Receiver, Sender, Tally, Transport,
    for_size,
};
use shaq::mpmc::{Consumer, Producer, minimum_file_size};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::rc::Rc;

pub(super) fn all() -> [Transport; 2] {
    let row = |name, peer| Transport {
        name,
        modes: &[],
        many: &[Mode::Single],
        api: |_| "try_write/try_read",
        copies: |_| 2,
        ends: Ends::Processes(peer),
    };
    [row("shaq mpmc", &Shaq(Pause::Spin)), row("shaq mpmc, slipping", &Shaq(Pause::Slip))]
}

/// Messages of a run that may take a time slice for each.
const MOST: u64 = 128;

struct Shaq(Pause);

impl Processes for Shaq {
    fn make(&self, cell: Cell, _: &Rc<Keeper>) -> Result<Made> {
        // A file in memory, without a name.
        let file = File::from(memfd_create("shaq", MFdFlags::MFD_CLOEXEC).context("memfd_create")?);
        for_size!(cell.size, N => {
            let size = minimum_file_size::<[u64; N]>(capacity(cell.size));
            // SAFETY: the file is new, and this is its only initialization. The messages are plain
            // numbers.
            drop(unsafe { Producer::<[u64; N]>::create(&file, size) }.context("create")?);
        });
        let other = file.try_clone().context("dup")?;
        Ok(Made::Channel(Channel::by_descriptors(OwnedFd::from(file), OwnedFd::from(other))))
    }

    fn most(&self, cell: Cell) -> u64 {
        if cell.shape.producers().max(cell.shape.consumers()) > 1 { MOST } else { u64::MAX }
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        let file = File::from(end.descriptor()?);
        for_size!(cell.size, N => {
            // SAFETY: all sides use this file for the same type, plain numbers.
            let tx = unsafe { Producer::<[u64; N]>::join(&file) }.context("join")?;
            Ok(Box::new(Many::<_, N>::new(tx, self.0)))
        })
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        let file = File::from(end.descriptor()?);
        for_size!(cell.size, N => {
            // SAFETY: as the sender's.
            let rx = unsafe { Consumer::<[u64; N]>::join(&file) }.context("join")?;
            Ok(Box::new(Many::<_, N>::new(rx, self.0)))
        })
    }
}

impl<const N: usize> TrySend<N> for Producer<[u64; N]> {
    #[inline(always)]
    fn try_send(&mut self, message: &[u64; N]) -> Result<bool> {
        Ok(self.try_write(*message).is_ok())
    }
}

impl<const N: usize> TryCollect<N> for Consumer<[u64; N]> {
    #[inline(always)]
    fn try_collect(&mut self, tally: &mut Tally) -> Result<Option<Came>> {
        self.try_read().map(|ref message| tally.take(message)).transpose()
    }
}
