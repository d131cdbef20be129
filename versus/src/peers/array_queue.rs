//! crossbeam's `ArrayQueue`: a bounded queue of many producers and consumers.

use super::many::{TryCollect, ends};
use super::{TryReceive, TrySend, capacity, single};
use anyhow::Result;
use crossbeam_queue::ArrayQueue;
use segring_bench::payload::check;
use segring_bench::{
    Came, Cell, Ends, ManyEnds, Mode, Pause, Tally, ThreadEnds, Threads, Transport, for_size,
};
use std::sync::Arc;

pub(super) fn all() -> [Transport; 2] {
    [
        transport("crossbeam array queue", &Queue(Pause::Spin)),
        transport("crossbeam array queue, slipping", &Queue(Pause::Slip)),
    ]
}

fn transport(name: &'static str, peer: &'static Queue) -> Transport {
    Transport {
        name,
        modes: &[Mode::Single, Mode::RoundTrip],
        api: |_| "push/pop",
        copies: |_| 2,
        many: &[Mode::Single],
        ends: Ends::Threads(peer),
    }
}

struct Queue(Pause);

impl Threads for Queue {
    fn pair(&self, cell: Cell) -> Result<ThreadEnds> {
        for_size!(cell.size, N => {
            let queue = Arc::new(ArrayQueue::<[u64; N]>::new(capacity(N * 8)));
            single(Arc::clone(&queue), queue, self.0)
        })
    }

    fn many(&self, cell: Cell) -> Result<ManyEnds> {
        for_size!(cell.size, N => {
            let queue = Arc::new(ArrayQueue::<[u64; N]>::new(capacity(N * 8)));
            ends::<_, _, N>(cell.shape, self.0, &queue, &queue)
        })
    }
}

impl<const N: usize> TrySend<N> for Arc<ArrayQueue<[u64; N]>> {
    #[inline(always)]
    fn try_send(&mut self, message: &[u64; N]) -> Result<bool> {
        Ok(self.push(*message).is_ok())
    }
}

impl<const N: usize> TryReceive<N> for Arc<ArrayQueue<[u64; N]>> {
    #[inline(always)]
    fn try_receive(&mut self, seq: u64) -> Result<bool> {
        match self.pop() {
            Some(ref message) => check(message, seq).map(|()| true),
            None => Ok(false),
        }
    }
}

impl<const N: usize> TryCollect<N> for Arc<ArrayQueue<[u64; N]>> {
    #[inline(always)]
    fn try_collect(&mut self, tally: &mut Tally) -> Result<Option<Came>> {
        self.pop().map(|ref message| tally.take(message)).transpose()
    }
}
