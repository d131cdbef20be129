//! ringbuf: a single-producer, single-consumer ring, whose halves keep the other one's index.

use super::{TryReceive, TryReceiveSome, TrySend, TrySendSome, bulk, capacity, single};
use anyhow::Result;
use ringbuf::traits::{Consumer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};
use segring_bench::payload::check;
use segring_bench::{Cell, Ends, Mode, Pause, ThreadEnds, Threads, Transport, for_size};

pub(super) fn all() -> [Transport; 2] {
    [transport("ringbuf", &Ringbuf(Pause::Spin)), transport("ringbuf, slipping", &Ringbuf(Pause::Slip))]
}

fn transport(name: &'static str, peer: &'static Ringbuf) -> Transport {
    Transport {
        name,
        modes: &[Mode::Bulk, Mode::Single, Mode::RoundTrip],
        api: |mode| if mode == Mode::Bulk { "push_slice/pop_slice" } else { "try_push/try_pop" },
        copies: |_| 2,
        many: &[],
        ends: Ends::Threads(peer),
    }
}

struct Ringbuf(Pause);

impl Threads for Ringbuf {
    fn pair(&self, cell: Cell) -> Result<ThreadEnds> {
        for_size!(cell.size, N => pair::<N>(cell.mode, self.0))
    }
}

fn pair<const N: usize>(mode: Mode, pause: Pause) -> Result<ThreadEnds> {
    let (tx, rx) = HeapRb::<[u64; N]>::new(capacity(N * 8)).split();
    if mode == Mode::Bulk { bulk(tx, rx, pause) } else { single(tx, rx, pause) }
}

impl<const N: usize> TrySend<N> for HeapProd<[u64; N]> {
    #[inline(always)]
    fn try_send(&mut self, message: &[u64; N]) -> Result<bool> {
        Ok(self.try_push(*message).is_ok())
    }
}

impl<const N: usize> TryReceive<N> for HeapCons<[u64; N]> {
    #[inline(always)]
    fn try_receive(&mut self, seq: u64) -> Result<bool> {
        match self.try_pop() {
            Some(ref message) => check(message, seq).map(|()| true),
            None => Ok(false),
        }
    }
}

impl<const N: usize> TrySendSome<N> for HeapProd<[u64; N]> {
    #[inline(always)]
    fn try_send_some(&mut self, messages: &[[u64; N]]) -> usize {
        self.push_slice(messages)
    }
}

impl<const N: usize> TryReceiveSome<N> for HeapCons<[u64; N]> {
    #[inline(always)]
    fn try_receive_some(&mut self, messages: &mut [[u64; N]]) -> usize {
        self.pop_slice(messages)
    }
}
