//! Copy bandwidth between two cores: blocks, of 32 KiB unless asked for otherwise, one cursor for each side.

use crate::for_size;
use crate::keeper::Keeper;
use crate::memory::{self, Memory, TWO_LINES};
use crate::payload::{BATCH_BYTES, check_all, fill_all};
use crate::plan::{Cell, Mode};
use crate::transport::{End, Made, Processes, Receiver, Sender};
use anyhow::Result;
use std::rc::Rc;
use std::sync::atomic::Ordering;

/// The cursors, and where the blocks begin.
const TAIL: usize = 0;
const HEAD: usize = TWO_LINES;
const ROOM: usize = 2 * TWO_LINES;
/// The memory that all bulk transports have, and the least number of blocks.
const USUAL_ROOM: usize = 1 << 20;
const LEAST_BLOCKS: usize = 4;

pub(super) struct Blocks {
    /// Of a block, if not [`BATCH_BYTES`] (or one message, if that is larger).
    pub(super) bytes: Option<usize>,
}

/// How the memory is divided.
#[derive(Clone, Copy)]
struct Shape {
    /// Bytes of a block.
    block: usize,
    blocks: usize,
}

impl Blocks {
    fn shape(&self, size: usize) -> Shape {
        let block = self.bytes.unwrap_or(BATCH_BYTES / size * size).max(size);
        Shape { block, blocks: (USUAL_ROOM / block).max(LEAST_BLOCKS) }
    }
}

impl Shape {
    fn bytes(self) -> usize {
        ROOM + self.block * self.blocks
    }
}

impl Processes for Blocks {
    fn make(&self, cell: Cell, keeper: &Rc<Keeper>) -> Result<Made> {
        Ok(Made::Channel(memory::make(self.shape(cell.size).bytes(), keeper)?))
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        for_size!(cell.size, N => Ok(Box::new(Side::<N>::open(&end, cell.mode, self.shape(cell.size))?)))
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        for_size!(cell.size, N => Ok(Box::new(Side::<N>::open(&end, cell.mode, self.shape(cell.size))?)))
    }
}

struct Side<const N: usize> {
    memory: Memory,
    shape: Shape,
    /// The private copy of a block; empty in place.
    copy: Vec<[u64; N]>,
    /// Blocks that this side has finished, and the other one as far as is known.
    done: u64,
    seen: u64,
}

impl<const N: usize> Side<N> {
    fn open(end: &End, mode: Mode, shape: Shape) -> Result<Self> {
        let copy = if mode == Mode::InPlace { Vec::new() } else { vec![[0; N]; shape.block / (N * 8)] };
        Ok(Self { memory: Memory::open(end, shape.bytes())?, shape, copy, done: 0, seen: 0 })
    }

    /// Messages of the next block, if so many are left.
    fn len(&self, left: u64) -> usize {
        (self.shape.block / (N * 8)).min(usize::try_from(left).unwrap_or(usize::MAX))
    }

    /// The first `len` messages of this side's next block.
    fn block(&mut self, len: usize) -> &mut [[u64; N]] {
        let offset = ROOM + (self.done % self.shape.blocks as u64) as usize * self.shape.block;
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
            let len = self.len(end - next);
            let mut copy = std::mem::take(&mut self.copy);
            if !copy.is_empty() {
                fill_all(&mut copy[..len], next);
            }
            self.wait(HEAD, (self.done + 1).saturating_sub(self.shape.blocks as u64));
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
            let len = self.len(end - next);
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
