//! rtrb: a single-producer, single-consumer ring of real-time audio.

use super::{TryReceive, TryReceiveSome, TrySend, TrySendSome, bulk, capacity, prefault, single};
use anyhow::Result;
use rtrb::chunks::ChunkError::TooFewSlots;
use rtrb::{Consumer, Producer, RingBuffer};
use segring_bench::payload::{batch_len, check, check_all, check_ends, fill_all, fill_ends};
use segring_bench::{Cell, Ends, Mode, Pause, Receiver, Sender, ThreadEnds, Threads, Transport, for_size};
use std::mem::MaybeUninit;

pub(super) fn all() -> [Transport; 2] {
    [transport("rtrb", &Rtrb(Pause::Spin)), transport("rtrb, slipping", &Rtrb(Pause::Slip))]
}

fn transport(name: &'static str, peer: &'static Rtrb) -> Transport {
    Transport {
        name,
        modes: &[Mode::Handover, Mode::InPlace, Mode::Bulk, Mode::Single, Mode::RoundTrip],
        api: |mode| match mode {
            Mode::InPlace | Mode::Handover => "write_chunk_uninit/read_chunk",
            Mode::Bulk => "push_partial_slice/pop_partial_slice",
            Mode::Single | Mode::RoundTrip => "push/pop",
        },
        copies: |mode| if matches!(mode, Mode::InPlace | Mode::Handover) { 0 } else { 2 },
        many: &[],
        ends: Ends::Threads(peer),
    }
}

struct Rtrb(Pause);

impl Threads for Rtrb {
    fn pair(&self, cell: Cell) -> Result<ThreadEnds> {
        for_size!(cell.size, N => pair::<N>(cell.mode, self.0))
    }
}

fn pair<const N: usize>(mode: Mode, pause: Pause) -> Result<ThreadEnds> {
    let (mut tx, mut rx) = RingBuffer::<[u64; N]>::new(capacity(N * 8));
    match mode {
        Mode::InPlace => {
            prefault(&mut tx, &mut rx)?;
            Ok((Box::new(InPlaceSender { tx, pause }), Box::new(InPlaceReceiver { rx, pause })))
        }
        Mode::Handover => {
            prefault(&mut tx, &mut rx)?;
            Ok((Box::new(HandoverSender { tx, pause }), Box::new(HandoverReceiver { rx, pause })))
        }
        Mode::Bulk => bulk(tx, rx, pause),
        Mode::Single | Mode::RoundTrip => single(tx, rx, pause),
    }
}

impl<const N: usize> TrySend<N> for Producer<[u64; N]> {
    #[inline(always)]
    fn try_send(&mut self, message: &[u64; N]) -> Result<bool> {
        Ok(self.push(*message).is_ok())
    }
}

impl<const N: usize> TryReceive<N> for Consumer<[u64; N]> {
    #[inline(always)]
    fn try_receive(&mut self, seq: u64) -> Result<bool> {
        match self.pop() {
            Ok(ref message) => check(message, seq).map(|()| true),
            Err(_) => Ok(false),
        }
    }
}

impl<const N: usize> TrySendSome<N> for Producer<[u64; N]> {
    #[inline(always)]
    fn try_send_some(&mut self, messages: &[[u64; N]]) -> usize {
        self.push_partial_slice(messages).0.len()
    }
}

impl<const N: usize> TryReceiveSome<N> for Consumer<[u64; N]> {
    #[inline(always)]
    fn try_receive_some(&mut self, messages: &mut [[u64; N]]) -> usize {
        self.pop_partial_slice(messages).0.len()
    }
}

/// Every slot has been written once, by [`prefault`].
struct InPlaceSender<const N: usize> {
    tx: Producer<[u64; N]>,
    pause: Pause,
}

impl<const N: usize> Sender for InPlaceSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let end = first + n;
        let mut next = first;
        let mut wanted = batch_len(N * 8);
        while next < end {
            wanted = wanted.min((end - next) as usize);
            let mut chunk = match self.tx.write_chunk_uninit(wanted) {
                Ok(chunk) => chunk,
                Err(TooFewSlots(0)) => {
                    self.pause.wait();
                    continue;
                }
                // As many as there are, like the ring.
                Err(TooFewSlots(slots)) => {
                    wanted = slots;
                    continue;
                }
            };
            let (head, tail) = chunk.as_mut_slices();
            // SAFETY: every slot of this ring has been written once.
            let head = unsafe { written(head) };
            // SAFETY: as the head.
            let tail = unsafe { written(tail) };
            fill_all(head, next);
            fill_all(tail, next + head.len() as u64);
            // SAFETY: all slots of the chunk have been written.
            unsafe { chunk.commit_all() };
            next += wanted as u64;
            wanted = batch_len(N * 8);
        }
        Ok(())
    }
}

/// Slots as plain words.
///
/// # Safety
/// They must have been written before. A read does not undo that: words are `Copy`.
#[inline(always)]
unsafe fn written<const N: usize>(slots: &mut [MaybeUninit<[u64; N]>]) -> &mut [[u64; N]] {
    let slots = std::ptr::from_mut(slots) as *mut [[u64; N]];
    // SAFETY: the same memory, as borrowed, and written by the caller's promise.
    unsafe { &mut *slots }
}

struct InPlaceReceiver<const N: usize> {
    rx: Consumer<[u64; N]>,
    pause: Pause,
}

impl<const N: usize> Receiver for InPlaceReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        let end = first + n;
        let mut next = first;
        let mut wanted = batch_len(N * 8);
        while next < end {
            wanted = wanted.min((end - next) as usize);
            let chunk = match self.rx.read_chunk(wanted) {
                Ok(chunk) => chunk,
                Err(TooFewSlots(0)) => {
                    self.pause.wait();
                    continue;
                }
                Err(TooFewSlots(slots)) => {
                    wanted = slots;
                    continue;
                }
            };
            let (head, tail) = chunk.as_slices();
            check_all(head, next)?;
            check_all(tail, next + head.len() as u64)?;
            chunk.commit_all();
            next += wanted as u64;
            wanted = batch_len(N * 8);
        }
        Ok(())
    }
}

/// Every slot has been written once, by [`prefault`].
struct HandoverSender<const N: usize> {
    tx: Producer<[u64; N]>,
    pause: Pause,
}

impl<const N: usize> Sender for HandoverSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let mut next = first;
        while next < first + n {
            let Ok(mut chunk) = self.tx.write_chunk_uninit(1) else {
                self.pause.wait();
                continue;
            };
            let (slots, _) = chunk.as_mut_slices();
            // SAFETY: every slot of this ring has been written once.
            for slot in unsafe { written(slots) } {
                fill_ends(slot, next);
            }
            // SAFETY: as above; the words between the ends are old ones.
            unsafe { chunk.commit_all() };
            next += 1;
        }
        Ok(())
    }
}

struct HandoverReceiver<const N: usize> {
    rx: Consumer<[u64; N]>,
    pause: Pause,
}

impl<const N: usize> Receiver for HandoverReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        let mut next = first;
        while next < first + n {
            let Ok(chunk) = self.rx.read_chunk(1) else {
                self.pause.wait();
                continue;
            };
            check_ends(&chunk.as_slices().0[0], next)?;
            chunk.commit_all();
            next += 1;
        }
        Ok(())
    }
}
