//! Bytes through a descriptor by `write` and `read`: pipe, FIFO, Unix stream socket, TCP.

use super::{End, Mode, Receiver, Sender};
use crate::payload::{BATCH_BYTES, check, check_all, fill, fill_all};
use crate::tally::{Came, Tally};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use zerocopy::IntoBytes;

/// Whole messages in a buffer of 32 KiB; one, if a message is larger.
fn batch<const N: usize>() -> Vec<[u64; N]> {
    vec![[0; N]; (BATCH_BYTES / (N * 8)).max(1)]
}

/// The writing end of any stream.
pub(super) fn sender<const N: usize>(mode: Mode, end: End) -> Result<Box<dyn Sender>> {
    Ok(if mode == Mode::Bulk {
        Box::new(BulkSender::<N>::open(end)?)
    } else {
        Box::new(SingleSender::<N>::open(end)?)
    })
}

/// The reading end of any stream.
pub(super) fn receiver<const N: usize>(mode: Mode, end: End) -> Result<Box<dyn Receiver>> {
    Ok(if mode == Mode::Bulk {
        Box::new(BulkReceiver::<N>::open(end)?)
    } else {
        Box::new(SingleReceiver::<N>::open(end)?)
    })
}

struct SingleSender<const N: usize> {
    out: File,
    message: Vec<[u64; N]>,
}

impl<const N: usize> SingleSender<N> {
    fn open(end: End) -> Result<Self> {
        Ok(Self { out: File::from(end.descriptor()?), message: vec![[0; N]] })
    }
}

impl<const N: usize> Sender for SingleSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            fill(&mut self.message[0], seq);
            self.out.write_all(self.message.as_bytes()).context("write")?;
        }
        Ok(())
    }
}

struct SingleReceiver<const N: usize> {
    from: File,
    message: Vec<[u64; N]>,
}

impl<const N: usize> SingleReceiver<N> {
    fn open(end: End) -> Result<Self> {
        Ok(Self { from: File::from(end.descriptor()?), message: vec![[0; N]] })
    }
}

impl<const N: usize> Receiver for SingleReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            self.from.read_exact(self.message.as_mut_bytes()).context("read")?;
            check(&self.message[0], seq)?;
        }
        Ok(())
    }

    /// Of a pipe. What a short read has left belongs to whoever reads next, so there is no going on
    /// after one; with whole messages in the pipe there is none.
    fn collect(&mut self, tally: &mut Tally) -> Result<()> {
        loop {
            let came = match self.from.read(self.message.as_mut_bytes()) {
                Ok(came) => came,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(e).context("read"),
            };
            if came != N * 8 {
                bail!("a read gave {came} bytes of a message of {}", N * 8);
            }
            if tally.take(&self.message[0])? == Came::End {
                return Ok(());
            }
        }
    }
}

struct BulkSender<const N: usize> {
    out: File,
    batch: Vec<[u64; N]>,
}

impl<const N: usize> BulkSender<N> {
    fn open(end: End) -> Result<Self> {
        Ok(Self { out: File::from(end.descriptor()?), batch: batch() })
    }
}

impl<const N: usize> Sender for BulkSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let end = first + n;
        let mut next = first;
        while next < end {
            let len = self.batch.len().min((end - next) as usize);
            let part = &mut self.batch[..len];
            fill_all(part, next);
            self.out.write_all(part.as_bytes()).context("write")?;
            next += len as u64;
        }
        Ok(())
    }
}

struct BulkReceiver<const N: usize> {
    from: File,
    batch: Vec<[u64; N]>,
    /// Bytes of the batch that have come and are not checked: less than one message.
    kept: usize,
}

impl<const N: usize> BulkReceiver<N> {
    fn open(end: End) -> Result<Self> {
        Ok(Self { from: File::from(end.descriptor()?), batch: batch(), kept: 0 })
    }
}

impl<const N: usize> Receiver for BulkReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        let size = N * 8;
        let end = first + n;
        let mut next = first;
        while next < end {
            let came = match self.from.read(&mut self.batch.as_mut_bytes()[self.kept..]) {
                Ok(0) => bail!("the stream ended before message {next}"),
                Ok(came) => came,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(e).context("read"),
            };
            let have = self.kept + came;
            let whole = have / size;
            check_all(&self.batch[..whole], next)?;
            next += whole as u64;
            self.kept = have - whole * size;
            if self.kept > 0 && whole > 0 {
                self.batch.as_mut_bytes().copy_within(whole * size..have, 0);
            }
        }
        Ok(())
    }
}
