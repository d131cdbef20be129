//! The libraries that segring is compared with.

mod array_queue;
mod boost;
mod crossbeam_channel;
mod disruptor;
mod iceoryx2;
mod ipc_channel;
mod kanal;
mod many;
mod ringbuf;
mod rtrb;
mod shaq;
mod shaq_many;
mod shmem_ipc;
mod vyukov;

use anyhow::{Result, ensure};
use segring_bench::payload::capacity;
use segring_bench::payload::{batch_len, check_all, fill, fill_all};
use segring_bench::{Pause, Receiver, Sender, ThreadEnds, Transport};

/// All of them, in the order of the table.
pub(crate) fn all() -> Vec<Transport> {
    let mut all = Vec::new();
    all.extend(rtrb::all());
    all.extend(ringbuf::all());
    all.extend(disruptor::all());
    all.extend(array_queue::all());
    all.extend(crossbeam_channel::all());
    all.extend(kanal::all());
    all.extend(boost::all());
    all.extend(shaq::all());
    all.extend(shaq_many::all());
    all.extend(iceoryx2::all());
    all.extend(shmem_ipc::all());
    all.extend(ipc_channel::all());
    all.extend(vyukov::all());
    all
}

/// A producer's half that says when the queue is full.
trait TrySend<const N: usize> {
    /// Whether there was room.
    fn try_send(&mut self, message: &[u64; N]) -> Result<bool>;
}

/// A consumer's half that says when the queue is empty.
trait TryReceive<const N: usize> {
    /// Whether there was a message, which then is checked to be message `seq`.
    fn try_receive(&mut self, seq: u64) -> Result<bool>;
}

/// A producer's half that takes many messages per call.
trait TrySendSome<const N: usize> {
    /// How many there was room for.
    fn try_send_some(&mut self, messages: &[[u64; N]]) -> usize;
}

/// A consumer's half that gives many messages per call.
trait TryReceiveSome<const N: usize> {
    /// How many came.
    fn try_receive_some(&mut self, messages: &mut [[u64; N]]) -> usize;
}

/// A half, with one message per call. On lines of its own, as the other half is.
#[repr(align(128))]
struct Single<Half, const N: usize> {
    half: Half,
    pause: Pause,
}

impl<Half: TrySend<N>, const N: usize> Sender for Single<Half, N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let mut message = [0; N];
        for seq in first..first + n {
            fill(&mut message, seq);
            while !self.half.try_send(&message)? {
                self.pause.wait();
            }
        }
        Ok(())
    }
}

impl<Half: TryReceive<N>, const N: usize> Receiver for Single<Half, N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            while !self.half.try_receive(seq)? {
                self.pause.wait();
            }
        }
        Ok(())
    }
}

/// The ends of a queue, with one message per call.
fn single<const N: usize>(
    mut tx: impl TrySend<N> + Send + 'static,
    mut rx: impl TryReceive<N> + Send + 'static,
    pause: Pause,
) -> Result<ThreadEnds> {
    prefault(&mut tx, &mut rx)?;
    Ok((Box::new(Single { half: tx, pause }), Box::new(Single { half: rx, pause })))
}

/// Numbers that no run has: what they leave in a slot is never taken for a message.
const PREFAULT: u64 = 1 << 62;

/// Fills the queue and empties it again, so that every page of it is there.
fn prefault<const N: usize>(tx: &mut impl TrySend<N>, rx: &mut impl TryReceive<N>) -> Result<()> {
    let mut message = [0; N];
    let mut sent = PREFAULT;
    fill(&mut message, sent);
    while tx.try_send(&message)? {
        sent += 1;
        fill(&mut message, sent);
    }
    for seq in PREFAULT..sent {
        ensure!(rx.try_receive(seq)?, "message {seq} of {sent} did not come");
    }
    Ok(())
}

/// A half, with many messages per call. On lines of its own, too.
#[repr(align(128))]
struct Bulk<Half, const N: usize> {
    half: Half,
    pause: Pause,
    batch: Vec<[u64; N]>,
}

impl<Half, const N: usize> Bulk<Half, N> {
    fn new(half: Half, pause: Pause) -> Self {
        Self { half, pause, batch: vec![[0; N]; batch_len(N * 8)] }
    }
}

impl<Half: TrySendSome<N>, const N: usize> Sender for Bulk<Half, N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let end = first + n;
        let mut next = first;
        while next < end {
            let len = self.batch.len().min((end - next) as usize);
            let mut left = &mut self.batch[..len];
            fill_all(left, next);
            next += len as u64;
            while !left.is_empty() {
                let sent = self.half.try_send_some(left);
                if sent == 0 {
                    self.pause.wait();
                }
                left = &mut left[sent..];
            }
        }
        Ok(())
    }
}

impl<Half: TryReceiveSome<N>, const N: usize> Receiver for Bulk<Half, N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        let end = first + n;
        let mut next = first;
        while next < end {
            let wanted = self.batch.len().min((end - next) as usize);
            let came = self.half.try_receive_some(&mut self.batch[..wanted]);
            if came == 0 {
                self.pause.wait();
            }
            check_all(&self.batch[..came], next)?;
            next += came as u64;
        }
        Ok(())
    }
}

/// The ends of a queue, with many messages per call.
fn bulk<const N: usize, Tx, Rx>(mut tx: Tx, mut rx: Rx, pause: Pause) -> Result<ThreadEnds>
where
    Tx: TrySend<N> + TrySendSome<N> + Send + 'static,
    Rx: TryReceive<N> + TryReceiveSome<N> + Send + 'static,
{
    prefault(&mut tx, &mut rx)?;
    Ok((Box::new(Bulk::new(tx, pause)), Box::new(Bulk::new(rx, pause))))
}
