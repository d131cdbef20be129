//! What one cache line takes: to stream, and to go there and back.

use crate::for_size;
use crate::keeper::Keeper;
use crate::memory::{self, LINE, Memory, TWO_LINES};
use crate::payload::{check_all, fill_all};
use crate::plan::{Cell, Mode};
use crate::transport::{Channel, End, Made, Notes, Processes, Receiver, Sender};
use anyhow::{Context, Result};
use nix::errno::Errno;
use std::rc::Rc;
use std::sync::atomic::Ordering;

/// Words of a line beside its stamp.
const WORDS: usize = LINE / 8 - 1;
const STAMP: usize = WORDS * 8;

fn too_large(size: usize) -> Option<Made> {
    let most = WORDS * 8;
    (size > most).then(|| Made::Impossible(format!("a line holds {most} bytes beside its stamp")))
}

/// Writes as many messages as a line holds, then their stamp.
fn write_line<const N: usize>(memory: Memory, offset: usize, messages: &[[u64; N]], stamp: u64) {
    let line = memory.words::<N>(offset);
    // SAFETY: the messages fit before the stamp; the line is the writer's until it is stamped.
    unsafe { line.as_ptr().copy_from_nonoverlapping(messages.as_ptr(), messages.len()) };
    // Release: pairs with `await_stamp`.
    memory.word(offset + STAMP).store(stamp, Ordering::Release);
}

fn read_line<const N: usize>(memory: Memory, offset: usize, messages: &mut [[u64; N]]) {
    let line = memory.words::<N>(offset);
    // SAFETY: the messages lie before the stamp; the line is the reader's until it says otherwise.
    unsafe { line.as_ptr().copy_to_nonoverlapping(messages.as_mut_ptr(), messages.len()) };
}

#[inline(always)]
fn await_stamp(memory: Memory, offset: usize, stamp: u64) {
    // Acquire: pairs with `write_line`.
    while memory.word(offset + STAMP).load(Ordering::Acquire) != stamp {
        std::hint::spin_loop();
    }
}

/// A stream of stamped lines. The only thing that goes back is the reader's progress, four times
/// in a lap.
pub(super) struct Stream;

/// 1 MiB of lines.
const LINES: u64 = 1 << 14;
const QUARTER: u64 = LINES / 4;
const PROGRESS: usize = LINES as usize * LINE;
const STREAM_BYTES: usize = PROGRESS + TWO_LINES;

impl Processes for Stream {
    fn make(&self, cell: Cell, keeper: &Rc<Keeper>) -> Result<Made> {
        match too_large(cell.size) {
            Some(impossible) if cell.mode != Mode::Handover => Ok(impossible),
            _ => Ok(Made::Channel(memory::make(STREAM_BYTES, keeper)?)),
        }
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        match cell.mode {
            // A line of its own says that a message is there, whatever the message's size.
            Mode::Handover => Ok(Box::new(StreamSide::<WORDS>::open(&end)?)),
            _ => for_size!(cell.size, N => Ok(Box::new(StreamSide::<N>::open(&end)?))),
        }
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        match cell.mode {
            Mode::Handover => Ok(Box::new(StreamSide::<WORDS>::open(&end)?)),
            _ => for_size!(cell.size, N => Ok(Box::new(StreamSide::<N>::open(&end)?))),
        }
    }
}

struct StreamSide<const N: usize> {
    memory: Memory,
    /// Lines that this side has finished, and the reader as far as the writer knows.
    done: u64,
    seen: u64,
}

impl<const N: usize> StreamSide<N> {
    /// Messages in a line.
    const LEN: usize = if N <= WORDS { WORDS / N } else { 1 };

    fn open(end: &End) -> Result<Self> {
        Ok(Self { memory: Memory::open(end, STREAM_BYTES)?, done: 0, seen: 0 })
    }

    fn line(&self) -> usize {
        (self.done % LINES) as usize * LINE
    }
}

impl<const N: usize> Sender for StreamSide<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let end = first + n;
        let mut next = first;
        let mut line = [[0; N]; WORDS];
        while next < end {
            let len = Self::LEN.min((end - next) as usize);
            fill_all(&mut line[..len], next);
            while self.done >= self.seen + LINES {
                // Acquire: pairs with the reader's store.
                self.seen = self.memory.word(PROGRESS).load(Ordering::Acquire);
                std::hint::spin_loop();
            }
            write_line(self.memory, self.line(), &line[..len], self.done + 1);
            self.done += 1;
            next += len as u64;
        }
        Ok(())
    }
}

impl<const N: usize> Receiver for StreamSide<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        let end = first + n;
        let mut next = first;
        let mut line = [[0; N]; WORDS];
        while next < end {
            let len = Self::LEN.min((end - next) as usize);
            await_stamp(self.memory, self.line(), self.done + 1);
            read_line(self.memory, self.line(), &mut line[..len]);
            self.done += 1;
            if self.done % QUARTER == 0 {
                // Release: pairs with the writer's load.
                self.memory.word(PROGRESS).store(self.done, Ordering::Release);
            }
            check_all(&line[..len], next)?;
            next += len as u64;
        }
        Ok(())
    }
}

/// One line there and one back.
pub(super) enum PingPong {
    /// The same one.
    OneLine,
    TwoLines,
    /// Asleep between.
    Futex,
}

/// What the sleepers sleep on lies behind the line.
const FUTEX: usize = TWO_LINES;
const PING_PONG_BYTES: usize = 2 * TWO_LINES;

impl Processes for PingPong {
    fn make(&self, cell: Cell, keeper: &Rc<Keeper>) -> Result<Made> {
        match too_large(cell.size) {
            Some(impossible) => Ok(impossible),
            None => Ok(Made::Channel(memory::make(PING_PONG_BYTES, keeper)?)),
        }
    }

    fn make_back(&self, cell: Cell, there: &Channel, keeper: &Rc<Keeper>) -> Result<Made> {
        match self {
            Self::OneLine => Ok(Made::Channel(Channel::by_ids(there.sender.ids.clone(), Vec::new()))),
            Self::TwoLines | Self::Futex => self.make(cell, keeper),
        }
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        for_size!(cell.size, N => Ok(Box::new(Line::<N>::open(&end, matches!(self, Self::Futex))?)))
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        for_size!(cell.size, N => Ok(Box::new(Line::<N>::open(&end, matches!(self, Self::Futex))?)))
    }
}

struct Line<const N: usize> {
    memory: Memory,
    sleeps: bool,
    /// How often it slept.
    slept: u64,
}

impl<const N: usize> Line<N> {
    fn open(end: &End, sleeps: bool) -> Result<Self> {
        Ok(Self { memory: Memory::open(end, PING_PONG_BYTES)?, sleeps, slept: 0 })
    }

    fn sleep_until(&mut self, wanted: u32) -> Result<()> {
        loop {
            // Acquire: pairs with the waker's store.
            let word = self.memory.half_word(FUTEX).load(Ordering::Acquire);
            if word == wanted {
                return Ok(());
            }
            self.slept += u64::from(self.futex(libc::FUTEX_WAIT, word)?);
        }
    }

    /// `false`: it did not sleep.
    fn futex(&self, operation: i32, value: u32) -> Result<bool> {
        let word = self.memory.half_word(FUTEX).as_ptr();
        let no_limit = std::ptr::null::<libc::timespec>();
        // SAFETY: the word lies in the attached segment; no other pointer is passed.
        let result = unsafe { libc::syscall(libc::SYS_futex, word, operation, value, no_limit) };
        match Errno::result(result) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(false),
            Err(e) => Err(e).context("futex"),
        }
    }
}

impl<const N: usize> Sender for Line<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let mut message = [[0; N]];
        for seq in first..first + n {
            fill_all(&mut message, seq);
            // Every message has another stamp than the one before, and none is 0.
            write_line(self.memory, 0, &message, seq + 1);
            if self.sleeps {
                // Release: pairs with the sleeper's load.
                self.memory.half_word(FUTEX).store(seq as u32 + 1, Ordering::Release);
                self.futex(libc::FUTEX_WAKE, 1)?;
            }
        }
        Ok(())
    }
}

impl<const N: usize> Receiver for Line<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        let mut message = [[0; N]];
        for seq in first..first + n {
            if self.sleeps {
                self.sleep_until(seq as u32 + 1)?;
            }
            await_stamp(self.memory, 0, seq + 1);
            read_line(self.memory, 0, &mut message);
            check_all(&message, seq)?;
        }
        Ok(())
    }

    fn notes(&mut self) -> Notes {
        Notes { sleeps: self.slept, ..Notes::default() }
    }
}
