//! shmem-ipc: a ring in a memfd. An eventfd each way wakes a side that sleeps, and is written
//! whenever the ring was empty (or full); or without them, when both sides poll the ring itself.

use super::capacity;
use anyhow::{Context, Result, bail};
use nix::cmsg_space;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, sendmsg};
use segring_bench::payload::{batch_len, check, check_all, fill, fill_all};
use segring_bench::{
    Cell, Channel, End, Ends, Keeper, Made, Mode, Pause, Processes, Receiver, Sender, Transport, for_size,
};
use shmem_ipc::sharedring;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

pub(super) fn all() -> Vec<Transport> {
    let row = |name, peer| Transport {
        name,
        modes: &[Mode::InPlace, Mode::Bulk, Mode::Single, Mode::RoundTrip],
        api: |_| "send_raw/receive_raw",
        copies: |mode| if mode == Mode::InPlace { 0 } else { 2 },
        many: &[],
        ends: Ends::Processes(peer),
    };
    vec![
        row("shmem-ipc", &ShmemIpc(Wait::Sleep)),
        row("shmem-ipc ring", &ShmemIpc(Wait::Poll(Pause::Spin))),
        row("shmem-ipc ring, slipping", &ShmemIpc(Wait::Poll(Pause::Slip))),
    ]
}

/// What a side does that finds the ring full or empty.
#[derive(Clone, Copy)]
enum Wait {
    /// Sleeps until the other side writes its eventfd.
    Sleep,
    /// Tries again. Nobody writes an eventfd.
    Poll(Pause),
}

struct ShmemIpc(Wait);

impl Processes for ShmemIpc {
    fn make(&self, cell: Cell, _keeper: &Rc<Keeper>) -> Result<Made> {
        for_size!(cell.size, N => {
            let ring = sharedring::Sender::<[u64; N]>::new(capacity(cell.size)).context("Sender::new")?;
            let files = [ring.memfd().as_file(), ring.empty_signal(), ring.full_signal()];
            let files = files.map(AsRawFd::as_raw_fd);
            Ok(Made::Channel(Channel::by_descriptors(parcel(files)?, parcel(files)?)))
        })
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        let [memory, empty, full] = unpack(end)?;
        for_size!(cell.size, N => {
            let tx = sharedring::Sender::<[u64; N]>::open(capacity(cell.size), memory, empty, full);
            let tx = Tx { tx: tx.context("Sender::open")?, wait: self.0 };
            Ok(match cell.mode {
                Mode::InPlace => Box::new(InPlaceSender(tx)),
                Mode::Bulk => Box::new(BulkSender { tx, batch: vec![[0; N]; batch_len(cell.size)] }),
                _ => Box::new(SingleSender { tx, message: vec![[0; N]] }),
            })
        })
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        let [memory, empty, full] = unpack(end)?;
        for_size!(cell.size, N => {
            let rx = sharedring::Receiver::<[u64; N]>::open(capacity(cell.size), memory, empty, full);
            let rx = Rx { rx: rx.context("Receiver::open")?, wait: self.0 };
            Ok(match cell.mode {
                Mode::InPlace => Box::new(InPlaceReceiver(rx)),
                Mode::Bulk => Box::new(BulkReceiver { rx, batch: vec![[0; N]; batch_len(cell.size)] }),
                _ => Box::new(SingleReceiver { rx, message: vec![[0; N]] }),
            })
        })
    }
}

/// A socket in which three descriptors lie ready: an end has room for one.
fn parcel(files: [RawFd; 3]) -> Result<OwnedFd> {
    let (ours, theirs) = UnixStream::pair().context("socketpair")?;
    let rights = [ControlMessage::ScmRights(&files)];
    let byte = [IoSlice::new(&[0])];
    sendmsg::<UnixAddr>(ours.as_raw_fd(), &byte, &rights, MsgFlags::empty(), None).context("sendmsg")?;
    Ok(theirs.into())
}

fn unpack(end: End) -> Result<[File; 3]> {
    let socket = end.descriptor()?;
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    let mut space = cmsg_space!([RawFd; 3]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut bytes, Some(&mut space), flags);
    let message = message.context("recvmsg")?;
    let mut files = Vec::new();
    for part in message.cmsgs().context("recvmsg")? {
        if let ControlMessageOwned::ScmRights(fds) = part {
            // SAFETY: the kernel has just made these descriptors for this process.
            files.extend(fds.into_iter().map(|fd| unsafe { File::from_raw_fd(fd) }));
        }
    }
    let Ok(files) = files.try_into() else { bail!("expected three descriptors") };
    Ok(files)
}

struct Tx<const N: usize> {
    tx: sharedring::Sender<[u64; N]>,
    wait: Wait,
}

impl<const N: usize> Tx<N> {
    /// Has free slots filled, and says how many were. Waits while there are none.
    #[inline(always)]
    fn send(&mut self, mut fill: impl FnMut(*mut [u64; N], usize) -> usize) -> Result<usize> {
        loop {
            let mut sent = 0;
            let some = |slots: *mut [u64; N], room: usize| {
                sent = fill(slots, room);
                sent
            };
            match self.wait {
                Wait::Sleep => self.tx.send_raw(some).context("send_raw")?,
                Wait::Poll(_) => self.tx.sender_mut().send(some).context("send")?,
            };
            if sent > 0 {
                return Ok(sent);
            }
            match self.wait {
                Wait::Sleep => drop(self.tx.block_until_writable().context("block_until_writable")?),
                Wait::Poll(pause) => pause.wait(),
            }
        }
    }
}

struct Rx<const N: usize> {
    rx: sharedring::Receiver<[u64; N]>,
    wait: Wait,
}

impl<const N: usize> Rx<N> {
    /// Has messages read, and says how many were. Waits while there are none.
    #[inline(always)]
    fn receive(&mut self, mut read: impl FnMut(*const [u64; N], usize) -> usize) -> Result<usize> {
        loop {
            let mut received = 0;
            let some = |slots: *const [u64; N], len: usize| {
                received = read(slots, len);
                received
            };
            match self.wait {
                Wait::Sleep => self.rx.receive_raw(some).context("receive_raw")?,
                Wait::Poll(_) => self.rx.receiver_mut().recv(some).context("recv")?,
            };
            if received > 0 {
                return Ok(received);
            }
            match self.wait {
                Wait::Sleep => drop(self.rx.block_until_readable().context("block_until_readable")?),
                Wait::Poll(pause) => pause.wait(),
            }
        }
    }
}

struct SingleSender<const N: usize> {
    tx: Tx<N>,
    message: Vec<[u64; N]>,
}

impl<const N: usize> Sender for SingleSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            fill(&mut self.message[0], seq);
            let message = self.message.as_ptr();
            self.tx.send(|slots, _| {
                // SAFETY: at least one slot, which is this side's until the closure ends.
                unsafe { slots.copy_from_nonoverlapping(message, 1) };
                1
            })?;
        }
        Ok(())
    }
}

struct SingleReceiver<const N: usize> {
    rx: Rx<N>,
    message: Vec<[u64; N]>,
}

impl<const N: usize> Receiver for SingleReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            let message = self.message.as_mut_ptr();
            self.rx.receive(|slots, _| {
                // SAFETY: at least one slot, which is this side's until the closure ends.
                unsafe { slots.copy_to_nonoverlapping(message, 1) };
                1
            })?;
            check(&self.message[0], seq)?;
        }
        Ok(())
    }
}

struct BulkSender<const N: usize> {
    tx: Tx<N>,
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
                let sent = self.tx.send(|slots, room| {
                    let len = room.min(left.len());
                    // SAFETY: so many slots, which are this side's until the closure ends.
                    unsafe { slots.copy_from_nonoverlapping(left.as_ptr(), len) };
                    len
                })?;
                left = &mut left[sent..];
            }
        }
        Ok(())
    }
}

struct BulkReceiver<const N: usize> {
    rx: Rx<N>,
    batch: Vec<[u64; N]>,
}

impl<const N: usize> Receiver for BulkReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        let end = first + n;
        let mut next = first;
        while next < end {
            let batch = &mut self.batch;
            let received = self.rx.receive(|slots, len| {
                let len = len.min(batch.len());
                // SAFETY: so many messages, which are this side's until the closure ends.
                unsafe { slots.copy_to_nonoverlapping(batch.as_mut_ptr(), len) };
                len
            })?;
            check_all(&self.batch[..received], next)?;
            next += received as u64;
        }
        Ok(())
    }
}

struct InPlaceSender<const N: usize>(Tx<N>);

impl<const N: usize> Sender for InPlaceSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let end = first + n;
        let mut next = first;
        while next < end {
            let most = batch_len(N * 8).min((end - next) as usize);
            next += self.0.send(|slots, room| {
                let len = room.min(most);
                // SAFETY: so many slots, mapped and zeroed at first, which are this side's until
                // the closure ends: the run's only other process is a receiver of this library.
                fill_all(unsafe { std::slice::from_raw_parts_mut(slots, len) }, next);
                len
            })? as u64;
        }
        Ok(())
    }
}

struct InPlaceReceiver<const N: usize>(Rx<N>);

impl<const N: usize> Receiver for InPlaceReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        let end = first + n;
        let mut next = first;
        while next < end {
            let mut checked = Ok(());
            next += self.0.receive(|slots, len| {
                let len = len.min(batch_len(N * 8));
                // SAFETY: so many messages, which are this side's until the closure ends: the run's
                // only other process is a sender of this library.
                checked = check_all(unsafe { std::slice::from_raw_parts(slots, len) }, next);
                len
            })? as u64;
            checked?;
        }
        Ok(())
    }
}
