//! The transports: what the parent makes for a run, and what each worker makes of its end.
//!
//! The parent makes every kernel object and is the only one that removes any. A worker gets ids in
//! its arguments and open descriptors over its control socket, so that nothing needs a name that
//! could be left behind.

mod byte_ring;
mod fifo;
mod pipe;
mod posix_queue;
mod ring;
mod socket;
mod stream;
mod sysv;
mod sysv_queue;
mod textbook;

use super::keeper::Keeper;
use super::plan::{Cell, Mode, Transport};
use anyhow::{Context, Result, bail};
use std::any::Any;
use std::os::fd::OwnedFd;
use std::rc::Rc;

pub(super) use sysv::Object;

/// A producer's end. Sends messages `first` to `first + n - 1`, each built in here.
pub(super) trait Sender {
    fn send(&mut self, first: u64, n: u64) -> Result<()>;
}

/// A consumer's end. Receives messages `first` to `first + n - 1` and checks every byte.
pub(super) trait Receiver {
    fn receive(&mut self, first: u64, n: u64) -> Result<()>;
}

/// What one side needs to open its end.
#[derive(Default)]
pub(super) struct End {
    pub(super) ids: Vec<i32>,
    pub(super) fd: Option<OwnedFd>,
}

/// One way from a producer to a consumer. Dropping it removes its kernel objects.
pub(super) struct Channel {
    pub(super) sender: End,
    pub(super) receiver: End,
    _objects: Vec<Box<dyn Any>>,
}

impl Channel {
    /// Both sides find it by the same ids.
    fn by_ids(ids: Vec<i32>, objects: Vec<Box<dyn Any>>) -> Self {
        let end = |ids| End { ids, fd: None };
        Self { sender: end(ids.clone()), receiver: end(ids), _objects: objects }
    }

    fn by_descriptors(sender: OwnedFd, receiver: OwnedFd) -> Self {
        let end = |fd| End { ids: Vec::new(), fd: Some(fd) };
        Self { sender: end(sender), receiver: end(receiver), _objects: Vec::new() }
    }
}

/// What came of making a channel.
pub(super) enum Made {
    Channel(Channel),
    /// This system does not allow it at this size; says why.
    Impossible(String),
}

/// Runs an expression with the message's number of words as a constant.
macro_rules! for_size {
    ($size:expr, $n:ident => $body:expr) => {
        for_size!(@ $size, $n, $body, 8 56 64 256 1024 4096 16384 65536)
    };
    (@ $size:expr, $n:ident, $body:expr, $($known:literal)*) => {
        match $size {
            $($known => {
                const $n: usize = $known / 8;
                $body
            })*
            other => bail!("messages of {other} bytes are not compiled in"),
        }
    };
}

/// Parent: makes the kernel objects of one channel.
pub(super) fn make(cell: Cell, keeper: &Rc<Keeper>) -> Result<Made> {
    let channel = match cell.transport {
        Transport::Ring => for_size!(cell.size, N => ring::make::<N>(cell.mode, keeper)?),
        Transport::ByteRing => byte_ring::make(keeper)?,
        Transport::Pipe => pipe::make(cell.mode)?,
        Transport::Fifo => fifo::make(cell.mode)?,
        Transport::UnixSocket => socket::unix()?,
        Transport::Tcp => socket::tcp()?,
        Transport::Textbook => textbook::make(cell.size, keeper)?,
        Transport::SysvQueue => return sysv_queue::make(cell.size, keeper),
        Transport::PosixQueue => return posix_queue::make(cell.size),
    };
    Ok(Made::Channel(channel))
}

/// Worker: opens the producer's end.
pub(super) fn sender(cell: Cell, end: End) -> Result<Box<dyn Sender>> {
    for_size!(cell.size, N => sender_of::<N>(cell, end))
}

/// Worker: opens the consumer's end.
pub(super) fn receiver(cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
    for_size!(cell.size, N => receiver_of::<N>(cell, end))
}

fn sender_of<const N: usize>(cell: Cell, end: End) -> Result<Box<dyn Sender>> {
    Ok(match (cell.transport, cell.mode) {
        (Transport::Ring, Mode::InPlace) => Box::new(ring::InPlaceSender::<N>::open(&end)?),
        (Transport::Ring, Mode::Bulk) => Box::new(ring::BulkSender::<N>::open(&end)?),
        (Transport::Ring, _) => Box::new(ring::SingleSender::<N>::open(&end)?),
        (Transport::ByteRing, Mode::InPlace) => Box::new(byte_ring::InPlaceSender::<N>::open(&end)?),
        (Transport::ByteRing, _) => Box::new(byte_ring::SingleSender::<N>::open(&end)?),
        (Transport::SysvQueue, _) => Box::new(sysv_queue::End::<N>::open(&end)?),
        (Transport::PosixQueue, _) => Box::new(posix_queue::Queue::<N>::open(end)?),
        (Transport::Textbook, _) => Box::new(textbook::Side::<N>::open(&end)?),
        (_, Mode::Bulk) => Box::new(stream::BulkSender::<N>::open(end)?),
        (_, _) => Box::new(stream::SingleSender::<N>::open(end)?),
    })
}

fn receiver_of<const N: usize>(cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
    Ok(match (cell.transport, cell.mode) {
        (Transport::Ring, Mode::InPlace) => Box::new(ring::InPlaceReceiver::<N>::open(&end)?),
        (Transport::Ring, Mode::Bulk) => Box::new(ring::BulkReceiver::<N>::open(&end)?),
        (Transport::Ring, _) => Box::new(ring::SingleReceiver::<N>::open(&end)?),
        (Transport::ByteRing, Mode::InPlace) => Box::new(byte_ring::InPlaceReceiver::<N>::open(&end)?),
        (Transport::ByteRing, _) => Box::new(byte_ring::SingleReceiver::<N>::open(&end)?),
        (Transport::SysvQueue, _) => Box::new(sysv_queue::End::<N>::open(&end)?),
        (Transport::PosixQueue, _) => Box::new(posix_queue::Queue::<N>::open(end)?),
        (Transport::Textbook, _) => Box::new(textbook::Side::<N>::open(&end)?),
        (_, Mode::Bulk) => Box::new(stream::BulkReceiver::<N>::open(end)?),
        (_, _) => Box::new(stream::SingleReceiver::<N>::open(end)?),
    })
}

/// The one id, or the ids, that the parent passed.
fn ids<const COUNT: usize>(end: &End) -> Result<[i32; COUNT]> {
    end.ids.as_slice().try_into().ok().with_context(|| format!("expected {COUNT} ids, got {:?}", end.ids))
}

/// The descriptor that the parent passed.
fn descriptor(end: End) -> Result<OwnedFd> {
    end.fd.context("the parent sent no descriptor")
}

/// A number that the kernel shows under `/proc/sys`, if it does.
fn sysctl(path: &str) -> Option<u64> {
    std::fs::read_to_string(format!("/proc/sys/{path}")).ok()?.trim().parse().ok()
}
