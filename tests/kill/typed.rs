//! Both sides of a typed ring, at full speed, with every operation there is.

use crate::harness::{Rng, mix};
use crate::journal::{Journal, patience};
use segring::spsc::{Consumer, Producer, Ring};
use segring::{RingError, Trusted};
use std::sync::atomic::Ordering::SeqCst;

/// Message `n`: its number at both ends, and words in between that differ from those of its
/// neighbours. Made by copying: in a debug build, arithmetic here would leave no time for the ring.
struct Pattern<const W: usize>(Vec<[u64; W]>);

impl<const W: usize> Pattern<W> {
    fn new() -> Self {
        Self((0..61).map(|lane| std::array::from_fn(|i| mix(lane << 32 | i as u64))).collect())
    }

    fn message(&self, n: u64) -> [u64; W] {
        let mut message = self.0[(n % 61) as usize];
        message[0] = n;
        message[W - 1] = !n;
        message
    }

    fn check(&self, n: u64, got: &[u64; W]) {
        assert_eq!(got[0], n, "lost, doubled or out of order");
        assert_eq!(*got, self.message(n), "message {n} is torn");
    }
}

const BATCH: usize = 9;

fn join_producer<const W: usize>(ring: &Ring<[u64; W]>) -> Trusted<Producer<[u64; W]>> {
    let tx = ring.producer().expect("the seat of a killed producer is free");
    // SAFETY: all processes of this test write through segring only.
    unsafe { tx.trust_peers() }
}

fn join_consumer<const W: usize>(ring: &Ring<[u64; W]>) -> Trusted<Consumer<[u64; W]>> {
    let rx = ring.consumer().expect("the seat of a killed consumer is free");
    // SAFETY: all processes of this test write through segring only.
    unsafe { rx.trust_peers() }
}

/// `mixed`: slices, grants and coming and going too; else copying operations of one message.
pub(crate) fn produce<const W: usize>(
    ring: &Ring<[u64; W]>,
    journal: &Journal,
    rng: &mut Rng,
    mixed: bool,
    ready: fn(),
) {
    let (diary, pattern) = (&journal.producer, Pattern::<W>::new());
    let mut tx = join_producer(ring);
    diary.begin(tx.position());
    ready();
    while journal.stop.load(SeqCst) == 0 {
        let at = tx.position();
        let batch = 1 + rng.below(BATCH as u64) as usize;
        diary.intend(1);
        let pushed = match rng.below(if mixed { 16 } else { 8 }) {
            0..=5 => tx.try_push(pattern.message(at)).map_err(|r| r.error),
            6 => tx.push_timeout(pattern.message(at), patience(rng)).map_err(|r| r.error),
            7 => tx.wait_for_room(Some(patience(rng))).and_then(|()| tx.try_push_ref(&pattern.message(at))),
            8..=11 => {
                diary.intend(batch as u64);
                let items: [[u64; W]; BATCH] = std::array::from_fn(|i| pattern.message(at + i as u64));
                let n = tx.push_slice(&items[..batch]).expect("push_slice");
                diary.moved(n as u64, tx.position());
                continue;
            }
            12..=14 => {
                diary.intend(batch as u64);
                let n = match tx.reserve(batch) {
                    Ok(mut grant) => {
                        for (i, slot) in grant.iter_mut().enumerate() {
                            *slot = pattern.message(at + i as u64);
                        }
                        // What is not committed is not pushed.
                        let keep = batch - rng.below(2) as usize;
                        if rng.below(8) == 0 { 0 } else { grant.commit(keep) }
                    }
                    Err(RingError::Full) => 0,
                    Err(e) => panic!("reserve: {e}"),
                };
                diary.moved(n as u64, tx.position());
                continue;
            }
            _ => {
                if rng.below(500) == 0 {
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

pub(crate) fn consume<const W: usize>(
    ring: &Ring<[u64; W]>,
    journal: &Journal,
    rng: &mut Rng,
    mixed: bool,
    ready: fn(),
) {
    let (diary, pattern) = (&journal.consumer, Pattern::<W>::new());
    let mut rx = join_consumer(ring);
    diary.begin(rx.position());
    ready();
    let mut one = [0; W];
    let mut many = [[0; W]; BATCH];
    loop {
        let at = rx.position();
        let batch = 1 + rng.below(BATCH as u64) as usize;
        diary.intend(1);
        let popped = match rng.below(if mixed { 18 } else { 8 }) {
            0..=2 => rx.try_pop().map(|m| one = m),
            3..=5 => rx.try_pop_into(&mut one),
            6 => rx.pop_timeout(patience(rng)).map(|m| one = m),
            7 => rx.wait_for_message(Some(patience(rng))).and_then(|()| rx.try_pop_into(&mut one)),
            8..=11 => {
                diary.intend(batch as u64);
                match rx.pop_slice(&mut many[..batch]) {
                    Ok(n) => {
                        (at..).zip(&many[..n]).for_each(|(p, m)| pattern.check(p, m));
                        diary.moved(n as u64, rx.position());
                        continue;
                    }
                    Err(e) => Err(e),
                }
            }
            12..=14 => {
                diary.intend(batch as u64);
                match rx.read(batch) {
                    Ok(grant) => {
                        (at..).zip(grant.iter()).for_each(|(p, m)| pattern.check(p, m));
                        let n = grant.release(batch - rng.below(2) as usize);
                        diary.moved(n as u64, rx.position());
                        continue;
                    }
                    Err(e) => Err(e),
                }
            }
            15 | 16 => {
                diary.intend(batch as u64);
                match rx.read(batch) {
                    Ok(grant) => {
                        let mut p = at;
                        {
                            let mut messages = grant.releasing();
                            while let Some(m) = messages.next() {
                                pattern.check(p, m);
                                p += 1;
                            }
                        }
                        diary.moved(p - at, rx.position());
                        continue;
                    }
                    Err(e) => Err(e),
                }
            }
            _ => {
                if rng.below(500) == 0 {
                    drop(rx);
                    rx = join_consumer(ring);
                    assert_eq!(rx.position(), at, "a rejoined consumer goes on elsewhere");
                }
                continue;
            }
        };
        match popped {
            Ok(()) => {
                pattern.check(at, &one);
                diary.moved(1, rx.position());
            }
            Err(RingError::Empty | RingError::TimedOut | RingError::PeerGone { .. }) => {}
            Err(RingError::Closed) => return,
            Err(e) => panic!("pop: {e}"),
        }
    }
}
