//! Dmitry Vyukov's bounded queue of many producers and consumers, between processes: the textbook's, with
//! a number in each cell that says whose turn it is, and a CAS on the head or the tail to take the turn.
//! It has no protection at all: one that is killed or stopped between its CAS and its store leaves a cell
//! that nobody gets past, and nobody notices.

use super::TrySend;
use super::many::{Many, TryCollect};
use anyhow::{Context, Result};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use segring_bench::payload::capacity;
use segring_bench::{
    Came, Cell, Channel, End, Ends, Keeper, Made, Mode, Pause, Processes, Receiver, Sender, Tally, Transport,
    for_size,
};
use std::cell::UnsafeCell;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

pub(super) fn all() -> [Transport; 2] {
    [transport("vyukov", &Vyukov(Pause::Spin)), transport("vyukov, slipping", &Vyukov(Pause::Slip))]
}

fn transport(name: &'static str, peer: &'static Vyukov) -> Transport {
    Transport {
        name,
        modes: &[],
        many: &[Mode::Single],
        api: |_| "CAS + store",
        copies: |_| 2,
        ends: Ends::Processes(peer),
    }
}

struct Vyukov(Pause);

impl Processes for Vyukov {
    fn make(&self, cell: Cell, _: &Rc<Keeper>) -> Result<Made> {
        for_size!(cell.size, N => {
            // A file in memory, without a name.
            let file = memfd_create("vyukov", MFdFlags::MFD_CLOEXEC).context("memfd_create")?;
            nix::unistd::ftruncate(&file, i64::try_from(bytes::<N>())?).context("ftruncate")?;
            Queue::<N>::map(&file)?.initialise();
            let other = file.try_clone().context("dup")?;
            Ok(Made::Channel(Channel::by_descriptors(file, other)))
        })
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        let file = end.descriptor()?;
        for_size!(cell.size, N => Ok(Box::new(Many::<_, N>::new(Queue::<N>::map(&file)?, self.0))))
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        let file = end.descriptor()?;
        for_size!(cell.size, N => Ok(Box::new(Many::<_, N>::new(Queue::<N>::map(&file)?, self.0))))
    }
}

/// A position on lines of its own.
#[repr(C, align(128))]
struct Position(AtomicU64);

#[repr(C)]
struct Positions {
    tail: Position,
    head: Position,
}

/// What is in a cell: the turn, then the message.
#[repr(C)]
struct Slot<const N: usize> {
    /// Position of who may write; that and one, of who may read.
    turn: AtomicU64,
    message: UnsafeCell<[u64; N]>,
}

/// From one cell to the next: 16 bytes for a single word, whole lines else.
const fn stride<const N: usize>() -> usize {
    let size = size_of::<Slot<N>>();
    if size <= 16 { 16 } else { size.next_multiple_of(64) }
}

const fn bytes<const N: usize>() -> usize {
    size_of::<Positions>() + capacity(N * 8) * stride::<N>()
}

/// A mapping of it. The process unmaps by ending.
struct Queue<const N: usize> {
    ends: NonNull<Positions>,
    slots: NonNull<u8>,
}

impl<const N: usize> Queue<N> {
    const MASK: u64 = capacity(N * 8) as u64 - 1;

    fn map(file: &OwnedFd) -> Result<Self> {
        let length = NonZeroUsize::new(bytes::<N>()).context("an empty queue")?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE;
        // SAFETY: a new mapping, where the kernel wants it.
        let base = unsafe { mmap(None, length, access, flags, file, 0) }.context("mmap")?;
        // SAFETY: within the mapping.
        let slots = unsafe { base.byte_add(size_of::<Positions>()) };
        Ok(Self { ends: base.cast(), slots: slots.cast() })
    }

    /// Nobody else has it yet.
    fn initialise(&self) {
        for position in 0..=Self::MASK {
            self.slot(position).turn.store(position, Relaxed);
        }
    }

    #[inline(always)]
    fn ends(&self) -> &Positions {
        // SAFETY: at the start of the mapping, and only atomics.
        unsafe { self.ends.as_ref() }
    }

    #[inline(always)]
    fn slot(&self, position: u64) -> &Slot<N> {
        let offset = (position & Self::MASK) as usize * stride::<N>();
        // SAFETY: within the mapping, as the mask is below the capacity.
        let slot = unsafe { self.slots.add(offset) };
        // SAFETY: aligned, as the strides and the start are; an atomic and a cell of plain words.
        unsafe { slot.cast().as_ref() }
    }

    /// Takes the turn at an end, where cells must say `due` more than their position. None: it is full,
    /// or empty.
    #[inline(always)]
    fn turn(&self, end: &AtomicU64, due: u64) -> Option<(u64, &Slot<N>)> {
        let mut position = end.load(Relaxed);
        loop {
            let slot = self.slot(position);
            // Acquire: pairs with the Release of who had the turn before, so that the cell is ours.
            let ahead = slot.turn.load(Acquire).wrapping_sub(position.wrapping_add(due)) as i64;
            if ahead < 0 {
                return None;
            }
            if ahead > 0 {
                position = end.load(Relaxed);
                continue;
            }
            match end.compare_exchange_weak(position, position + 1, Relaxed, Relaxed) {
                Ok(_) => return Some((position, slot)),
                Err(other) => position = other,
            }
        }
    }
}

impl<const N: usize> TrySend<N> for Queue<N> {
    #[inline(always)]
    fn try_send(&mut self, message: &[u64; N]) -> Result<bool> {
        let Some((position, slot)) = self.turn(&self.ends().tail.0, 0) else { return Ok(false) };
        // SAFETY: the turn is ours until the store below.
        unsafe { slot.message.get().write(*message) };
        slot.turn.store(position + 1, Release);
        Ok(true)
    }
}

impl<const N: usize> TryCollect<N> for Queue<N> {
    #[inline(always)]
    fn try_collect(&mut self, tally: &mut Tally) -> Result<Option<Came>> {
        let Some((position, slot)) = self.turn(&self.ends().head.0, 1) else { return Ok(None) };
        // SAFETY: the turn is ours until the store below.
        let message = unsafe { slot.message.get().read() };
        slot.turn.store(position + Self::MASK + 1, Release);
        tally.take(&message).map(Some)
    }
}
