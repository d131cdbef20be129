//! shaq: a ring in a mapped file. Its consumer can sleep, its producer only polls; both poll here.
//!
//! Version 4.3: newer ones use what is not in stable Rust 1.95.

use super::{Bulk, Single, TryReceive, TryReceiveSome, TrySend, TrySendSome, capacity};
use anyhow::{Context, Result};
use nix::sys::memfd::{MFdFlags, memfd_create};
use segring_bench::payload::{batch_len, check, check_all, fill};
use segring_bench::{
    Cell, Channel, End, Ends, Keeper, Made, Mode, Pause, Processes, Receiver, Sender, Transport, for_size,
};
use shaq::spsc::{Consumer, Producer, minimum_file_size};
use std::fs::File;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::rc::Rc;

pub(super) fn all() -> Vec<Transport> {
    let row = |name, peer| Transport {
        name,
        modes: &[Mode::InPlace, Mode::Bulk, Mode::Single, Mode::RoundTrip],
        api: |mode| match mode {
            Mode::InPlace => "try_as_mut/reserve_read_batch",
            Mode::Bulk => "write_batch/reserve_read_batch",
            _ => "try_write/try_read",
        },
        copies: |mode| if mode == Mode::InPlace { 0 } else { 2 },
        many: &[],
        ends: Ends::Processes(peer),
    };
    vec![row("shaq", &Shaq(Pause::Spin)), row("shaq, slipping", &Shaq(Pause::Slip))]
}

struct Shaq(Pause);

impl Processes for Shaq {
    fn make(&self, cell: Cell, _keeper: &Rc<Keeper>) -> Result<Made> {
        // A file in memory, without a name.
        let file = memfd_create("shaq", MFdFlags::MFD_CLOEXEC).context("memfd_create")?;
        let file = File::from(file);
        for_size!(cell.size, N => {
            let size = minimum_file_size::<[u64; N]>(capacity(cell.size));
            // SAFETY: the file is new, and this is its only initialization. This producer writes
            // nothing and is gone before the file is passed on. The messages are plain numbers.
            drop(unsafe { Producer::<[u64; N]>::create(&file, size) }.context("create")?);
        });
        let other = file.try_clone().context("dup")?;
        Ok(Made::Channel(Channel::by_descriptors(OwnedFd::from(file), OwnedFd::from(other))))
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        let file = File::from(end.descriptor()?);
        for_size!(cell.size, N => {
            // SAFETY: the only producer of this file, which both sides use for the same type.
            let tx = unsafe { Producer::<[u64; N]>::join(&file) }.context("join")?;
            Ok(match cell.mode {
                Mode::InPlace => Box::new(InPlaceSender { tx, pause: self.0 }),
                Mode::Bulk => Box::new(Bulk::<_, N>::new(tx, self.0)),
                _ => Box::new(Single::<_, N> { half: tx, pause: self.0 }),
            })
        })
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        let file = File::from(end.descriptor()?);
        for_size!(cell.size, N => {
            // SAFETY: the only consumer of this file, which both sides use for the same type.
            let rx = unsafe { Consumer::<[u64; N]>::join(&file) }.context("join")?;
            Ok(match cell.mode {
                Mode::InPlace => Box::new(InPlaceReceiver { rx, pause: self.0 }),
                Mode::Bulk => Box::new(Bulk::<_, N>::new(rx, self.0)),
                _ => Box::new(Single::<_, N> { half: rx, pause: self.0 }),
            })
        })
    }
}

impl<const N: usize> TrySend<N> for Producer<[u64; N]> {
    #[inline(always)]
    fn try_send(&mut self, message: &[u64; N]) -> Result<bool> {
        Ok(self.try_write(*message).is_ok())
    }
}

impl<const N: usize> TryReceive<N> for Consumer<[u64; N]> {
    #[inline(always)]
    fn try_receive(&mut self, seq: u64) -> Result<bool> {
        match self.try_read() {
            Some(ref message) => check(message, seq).map(|()| true),
            None => Ok(false),
        }
    }
}

impl<const N: usize> TrySendSome<N> for Producer<[u64; N]> {
    #[inline(always)]
    fn try_send_some(&mut self, messages: &[[u64; N]]) -> usize {
        let mut batch = self.write_batch();
        messages.iter().take_while(|message| batch.try_write(**message).is_ok()).count()
    }
}

impl<const N: usize> TryReceiveSome<N> for Consumer<[u64; N]> {
    #[inline(always)]
    fn try_receive_some(&mut self, messages: &mut [[u64; N]]) -> usize {
        let Some(most) = NonZeroUsize::new(messages.len()) else { return 0 };
        let Some(batch) = self.try_reserve_read_batch(most) else { return 0 };
        let (head, tail) = batch.as_slices();
        let len = head.len() + tail.len();
        messages[..head.len()].copy_from_slice(head);
        messages[head.len()..len].copy_from_slice(tail);
        len
    }
}

struct InPlaceSender<const N: usize> {
    tx: Producer<[u64; N]>,
    pause: Pause,
}

impl<const N: usize> Sender for InPlaceSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let end = first + n;
        let mut next = first;
        while next < end {
            let before = next;
            let last = end.min(next + batch_len(N * 8) as u64);
            let mut batch = self.tx.write_batch();
            while next < last {
                // SAFETY: `fill` writes the whole slot, and does not unwind.
                let Some(slot) = (unsafe { batch.try_as_mut() }) else { break };
                // SAFETY: mapped memory, which the kernel has zeroed, and numbers of any bits.
                fill(unsafe { slot.assume_init_mut() }, next);
                next += 1;
            }
            drop(batch);
            if next == before {
                self.pause.wait();
            }
        }
        Ok(())
    }
}

struct InPlaceReceiver<const N: usize> {
    rx: Consumer<[u64; N]>,
    pause: Pause,
}

impl<const N: usize> Receiver for InPlaceReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        let most = NonZeroUsize::new(batch_len(N * 8)).context("an empty batch")?;
        let end = first + n;
        let mut next = first;
        while next < end {
            let Some(batch) = self.rx.try_reserve_read_batch(most) else {
                self.pause.wait();
                continue;
            };
            let (head, tail) = batch.as_slices();
            check_all(head, next)?;
            check_all(tail, next + head.len() as u64)?;
            next += batch.len() as u64;
        }
        Ok(())
    }
}
