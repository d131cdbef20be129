//! Both sides of a byte ring, at full speed, with every operation there is.

use crate::harness::{Rng, mix};
use crate::journal::{Journal, patience};
use segring::spsc::{ByteConsumer, ByteProducer, ByteRing};
use segring::{RingError, Trusted};
use std::sync::atomic::Ordering::SeqCst;

/// Record `n`: its length and every byte follow from its number. Made by copying: see `typed`.
struct Pattern {
    bytes: Vec<u8>,
    max: usize,
}

impl Pattern {
    fn new(max: usize) -> Self {
        Self { bytes: (0..max as u64 + 64).map(|i| mix(i) as u8).collect(), max }
    }

    fn record(&self, n: u64, into: &mut Vec<u8>) {
        let len = match mix(n) % 64 {
            0 => self.max,
            1 => 0,
            r => (r * 5 + mix(n ^ 1) % 8) as usize,
        };
        into.clear();
        into.extend_from_slice(&self.bytes[(n % 61) as usize..][..len]);
        if let Some(first) = into.first_chunk_mut() {
            *first = n.to_le_bytes();
        }
    }
}

fn join_producer(ring: &ByteRing) -> Trusted<ByteProducer> {
    let tx = ring.producer().expect("the seat of a killed producer is free");
    // SAFETY: all processes of this test write through segring only.
    unsafe { tx.trust_peers() }
}

fn join_consumer(ring: &ByteRing) -> Trusted<ByteConsumer> {
    let rx = ring.consumer().expect("the seat of a killed consumer is free");
    // SAFETY: all processes of this test write through segring only.
    unsafe { rx.trust_peers() }
}

pub(crate) fn produce(ring: &ByteRing, journal: &Journal, rng: &mut Rng, mixed: bool, ready: fn()) {
    let diary = &journal.producer;
    let mut tx = join_producer(ring);
    diary.begin(tx.position());
    ready();
    let max = ring.max_record();
    let pattern = Pattern::new(max);
    let mut next = Vec::new();
    while journal.stop.load(SeqCst) == 0 {
        let at = tx.position();
        pattern.record(at, &mut next);
        diary.intend(1);
        let pushed = match rng.below(if mixed { 13 } else { 8 }) {
            0..=5 => tx.try_push(&next),
            6 => tx.push_timeout(&next, patience(rng)),
            7 => tx.wait_for_room(next.len(), Some(patience(rng))).and_then(|()| tx.try_push(&next)),
            8..=11 => {
                // Reserved longer than committed, now and then not committed at all.
                let reserved = (next.len() + rng.below(16) as usize).min(max);
                match tx.reserve(reserved) {
                    Ok(mut grant) => {
                        grant[..next.len()].copy_from_slice(&next);
                        if rng.below(8) == 0 {
                            drop(grant);
                            continue;
                        }
                        grant.commit(next.len());
                        Ok(())
                    }
                    Err(e) => Err(e),
                }
            }
            _ => {
                if rng.below(300) == 0 {
                    drop(tx);
                    tx = join_producer(ring);
                    assert_eq!(tx.position(), at, "a rejoined producer goes on elsewhere");
                }
                continue;
            }
        };
        match pushed {
            Ok(()) => diary.moved(1, tx.position()),
            Err(RingError::Full | RingError::TimedOut | RingError::PeerGone { .. }) => {}
            Err(e) => panic!("push: {e}"),
        }
    }
    tx.close();
}

pub(crate) fn consume(ring: &ByteRing, journal: &Journal, rng: &mut Rng, mixed: bool, ready: fn()) {
    let diary = &journal.consumer;
    let mut rx = join_consumer(ring);
    diary.begin(rx.position());
    ready();
    let pattern = Pattern::new(ring.max_record());
    let (mut expected, mut got) = (Vec::new(), Vec::new());
    loop {
        let at = rx.position();
        pattern.record(at, &mut expected);
        diary.intend(1);
        let popped = match rng.below(if mixed { 13 } else { 8 }) {
            0..=5 => rx.try_pop_into(&mut got),
            6 => rx.pop_into_timeout(&mut got, patience(rng)),
            7 => rx.wait_for_message(Some(patience(rng))).and_then(|()| rx.try_pop_into(&mut got)),
            8..=11 => match rx.read() {
                Ok(grant) => {
                    got.clear();
                    got.extend_from_slice(&grant);
                    if rng.below(8) == 0 {
                        drop(grant);
                        assert_eq!(got, expected, "record {at}, looked at");
                        continue;
                    }
                    grant.release();
                    Ok(())
                }
                Err(e) => Err(e),
            },
            _ => {
                if rng.below(300) == 0 {
                    drop(rx);
                    rx = join_consumer(ring);
                    assert_eq!(rx.position(), at, "a rejoined consumer goes on elsewhere");
                }
                continue;
            }
        };
        match popped {
            Ok(()) => {
                assert_eq!(got, expected, "record {at} is lost, doubled or torn");
                diary.moved(1, rx.position());
            }
            Err(RingError::Empty | RingError::TimedOut | RingError::PeerGone { .. }) => {}
            Err(RingError::Closed) => return,
            Err(e) => panic!("pop: {e}"),
        }
    }
}
