//! Copy bandwidth between two cores: blocks of 32 KiB through 1 MiB, one cursor for each side.

use crate::for_size;
use crate::keeper::Keeper;
use crate::memory::{self, Memory, TWO_LINES};
use crate::payload::{BATCH_BYTES, check_all, fill_all};
use crate::plan::{Cell, Mode};
use crate::transport::{End, Made, Processes, Receiver, Sender};
use anyhow::Result;
use std::rc::Rc;
use std::sync::atomic::Ordering;

/// The memory that all bulk transports have.
const ROOM: usize = 1 << 20;
const TAIL: usize = ROOM;
const HEAD: usize = ROOM + TWO_LINES;
const BYTES: usize = ROOM + 2 * TWO_LINES;

pub(super) struct Blocks;

impl Processes for Blocks {
    fn make(&self, _: Cell, keeper: &Rc<Keeper>) -> Result<Made> {
        Ok(Made::Channel(memory::make(BYTES, keeper)?))
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        for_size!(cell.size, N => Ok(Box::new(Side::<N>::open(&end, cell.mode)?)))
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        for_size!(cell.size, N => Ok(Box::new(Side::<N>::open(&end, cell.mode)?)))
    }
}

struct Side<const N: usize> {
    memory: Memory,
    /// The private copy of a block; empty in place.
    copy: Vec<[u64; N]>,
    /// Blocks that this side has finished, and the other one as far as is known.
    done: u64,
    seen: u64,
}

impl<const N: usize> Side<N> {
    /// Messages in a block.
    const LEN: usize = if BATCH_BYTES / (N * 8) > 0 { BATCH_BYTES / (N * 8) } else { 1 };
    const BLOCK: usize = Self::LEN * N * 8;
    const BLOCKS: u64 = (ROOM / Self::BLOCK) as u64;

    fn open(end: &End, mode: Mode) -> Result<Self> {
        let copy = if mode == Mode::InPlace { Vec::new() } else { vec![[0; N]; Self::LEN] };
        Ok(Self { memory: Memory::open(end, BYTES)?, copy, done: 0, seen: 0 })
    }

    /// The first `len` messages of this side's next block.
    fn block(&mut self, len: usize) -> &mut [[u64; N]] {
        let offset = (self.done % Self::BLOCKS) as usize * Self::BLOCK;
        let block = self.memory.words::<N>(offset);
        // SAFETY: within the segment; the cursors give the block to this side alone for now.
        unsafe { std::slice::from_raw_parts_mut(block.as_ptr(), len) }
    }

    /// Waits until the other side's cursor has reached `least`.
    fn wait(&mut self, other: usize, least: u64) {
        while self.seen < least {
            // Acquire: pairs with `finish`.
            self.seen = self.memory.word(other).load(Ordering::Acquire);
            std::hint::spin_loop();
        }
    }

    fn finish(&mut self, own: usize) {
        self.done += 1;
        // Release: pairs with `wait`.
        self.memory.word(own).store(self.done, Ordering::Release);
    }
}

impl<const N: usize> Sender for Side<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let end = first + n;
        let mut next = first;
        while next < end {
            let len = Self::LEN.min((end - next) as usize);
            let mut copy = std::mem::take(&mut self.copy);
            if !copy.is_empty() {
                fill_all(&mut copy[..len], next);
            }
            self.wait(HEAD, (self.done + 1).saturating_sub(Self::BLOCKS));
            if copy.is_empty() {
                fill_all(self.block(len), next);
            } else {
                self.block(len).copy_from_slice(&copy[..len]);
            }
            self.copy = copy;
            self.finish(TAIL);
            next += len as u64;
        }
        Ok(())
    }
}

impl<const N: usize> Receiver for Side<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        let end = first + n;
        let mut next = first;
        while next < end {
            let len = Self::LEN.min((end - next) as usize);
            self.wait(TAIL, self.done + 1);
            let mut copy = std::mem::take(&mut self.copy);
            if copy.is_empty() {
                check_all(self.block(len), next)?;
                self.finish(HEAD);
            } else {
                copy[..len].copy_from_slice(self.block(len));
                self.finish(HEAD);
                check_all(&copy[..len], next)?;
            }
            self.copy = copy;
            next += len as u64;
        }
        Ok(())
    }
}
