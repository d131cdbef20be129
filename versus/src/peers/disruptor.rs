//! The disruptor, in its Rust port: a ring of slots that messages are built and read in.

use super::capacity;
use anyhow::{Result, bail};
use disruptor::{
    BusySpin, EventPoller, Polling, Producer, SingleConsumerBarrier, SingleProducer, SingleProducerBarrier,
    build_single_producer,
};
use segring_bench::payload::{batch_len, check, check_ends, fill, fill_ends};
use segring_bench::{Cell, Ends, Mode, Pause, Receiver, Sender, ThreadEnds, Threads, Transport, for_size};

pub(super) fn all() -> [Transport; 2] {
    [
        transport("disruptor", &Disruptor(Pause::Spin)),
        transport("disruptor, slipping", &Disruptor(Pause::Slip)),
    ]
}

/// Nothing is ever copied. The consumer takes all that has come, also with single messages: there
/// is no other way.
fn transport(name: &'static str, peer: &'static Disruptor) -> Transport {
    Transport {
        name,
        modes: &[Mode::Handover, Mode::Bulk, Mode::Single, Mode::RoundTrip],
        api: |mode| if mode == Mode::Bulk { "try_batch_publish/take" } else { "try_publish/take" },
        copies: |_| 0,
        many: &[],
        ends: Ends::Threads(peer),
    }
}

struct Disruptor(Pause);

impl Threads for Disruptor {
    fn pair(&self, cell: Cell) -> Result<ThreadEnds> {
        for_size!(cell.size, N => Ok(pair::<N>(cell.mode, self.0)))
    }
}

/// The wait strategy is for threads that the library manages; a poller waits by itself.
fn pair<const N: usize>(mode: Mode, pause: Pause) -> ThreadEnds {
    let builder = build_single_producer(capacity(N * 8), || [0; N], BusySpin);
    let (rx, builder) = builder.new_event_poller();
    let tx = builder.build();
    match mode {
        Mode::Handover => {
            (Box::new(Publisher::<N, ENDS> { tx, pause }), Box::new(Poller::<N, ENDS> { rx, pause }))
        }
        Mode::Bulk => (Box::new(BatchPublisher { tx, pause }), Box::new(Poller::<N, ALL> { rx, pause })),
        _ => (Box::new(Publisher::<N, ALL> { tx, pause }), Box::new(Poller::<N, ALL> { rx, pause })),
    }
}

/// Which words of a message are written and checked.
const ALL: bool = false;
const ENDS: bool = true;

struct Publisher<const N: usize, const ONLY_ENDS: bool> {
    tx: SingleProducer<[u64; N], SingleConsumerBarrier>,
    pause: Pause,
}

impl<const N: usize, const ONLY_ENDS: bool> Sender for Publisher<N, ONLY_ENDS> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            let build = |slot: &mut [u64; N]| if ONLY_ENDS { fill_ends(slot, seq) } else { fill(slot, seq) };
            while self.tx.try_publish(build).is_err() {
                self.pause.wait();
            }
        }
        Ok(())
    }
}

struct BatchPublisher<const N: usize> {
    tx: SingleProducer<[u64; N], SingleConsumerBarrier>,
    pause: Pause,
}

impl<const N: usize> Sender for BatchPublisher<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let end = first + n;
        let mut next = first;
        while next < end {
            let len = batch_len(N * 8).min((end - next) as usize);
            let published = self.tx.try_batch_publish(len, |slots| {
                for (slot, seq) in slots.zip(next..) {
                    fill(slot, seq);
                }
            });
            match published {
                Ok(_) => next += len as u64,
                Err(_) => self.pause.wait(),
            }
        }
        Ok(())
    }
}

struct Poller<const N: usize, const ONLY_ENDS: bool> {
    rx: EventPoller<[u64; N], SingleProducerBarrier>,
    pause: Pause,
}

impl<const N: usize, const ONLY_ENDS: bool> Receiver for Poller<N, ONLY_ENDS> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        let end = first + n;
        let mut next = first;
        while next < end {
            match self.rx.take(end - next) {
                Ok(mut slots) => {
                    for slot in &mut slots {
                        if ONLY_ENDS {
                            check_ends(slot, next)?;
                        } else {
                            check(slot, next)?;
                        }
                        next += 1;
                    }
                }
                Err(Polling::NoEvents) => self.pause.wait(),
                Err(Polling::Shutdown) => bail!("take: the producer has gone"),
            }
        }
        Ok(())
    }
}
