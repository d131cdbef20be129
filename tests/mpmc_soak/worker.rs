//! One process: a producer, or a consumer of one of three kinds.

use crate::books::{Books, Diary, Doing, Event, IN_HAND, PRODUCERS};
use crate::harness::{Rng, mix};
use segring::{RingError, Trusted, mpmc};
use std::time::Duration;

/// 48 bytes: the number at both ends, so that a torn one is seen.
pub(crate) type Message = [u64; 6];
pub(crate) type Ring = mpmc::Ring<Message>;

fn message(number: usize, producer: usize) -> Message {
    let n = number as u64;
    [n, producer as u64, mix(n), mix(!n), mix(n << 1), !n]
}

/// What each producer's last message was, as far as this consumer has seen.
#[derive(Default)]
pub(crate) struct Seen([u64; PRODUCERS]);

impl Seen {
    /// Checks what has been delivered, and gives its number.
    pub(crate) fn check(&mut self, got: &Message, redelivered: bool) -> usize {
        let (number, producer) = (got[0] as usize, got[1] as usize);
        assert!(producer < PRODUCERS && *got == message(number, producer), "torn: {got:x?}");
        if !redelivered {
            let last = std::mem::replace(&mut self.0[producer], got[0] + 1);
            assert!(last <= got[0], "out of order: producer {producer}, {number} after {}", last - 1);
        }
        number
    }
}

/// Mostly no time at all: who sleeps is not inside anything.
fn patience(rng: &mut Rng) -> Duration {
    match rng.below(16) {
        0 => Duration::from_millis(20),
        1 | 2 => Duration::from_micros(50),
        _ => Duration::ZERO,
    }
}

fn taker(ring: &Ring) -> Trusted<mpmc::Consumer<Message>> {
    let rx = ring.consumer().expect("there are seats enough");
    // SAFETY: all processes of this test write through segring only.
    unsafe { rx.trust_peers() }
}

pub(crate) fn produce(ring: &Ring, books: &Books, who: usize, rng: &mut Rng) {
    let diary = &books.diaries[who];
    // SAFETY: all processes of this test write through segring only.
    let join = || unsafe { ring.producer().expect("there are seats enough").trust_peers() };
    let mut tx = join();
    while books.stop.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        let Some(number) = books.number() else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        diary.does(Doing::Pushing, number);
        books.count(number, Event::Tried);
        let message = message(number, who);
        loop {
            let pushed = match rng.below(8) {
                0..=4 => tx.push_timeout(message, patience(rng)).map_err(|r| r.error),
                5 | 6 => tx.try_push_ref(&message),
                _ => tx.slot().and_then(|mut slot| {
                    *slot = message;
                    slot.publish_timeout(Some(patience(rng)))
                }),
            };
            match pushed {
                Ok(()) => break books.count(number, Event::Pushed),
                Err(RingError::Full | RingError::TimedOut | RingError::PeerGone { .. }) => {}
                Err(RingError::Closed) => break books.count(number, Event::Refused),
                Err(e) => panic!("push: {e}"),
            }
        }
        diary.does(Doing::Nothing, 0);
        if rng.below(1000) == 0 {
            drop(tx);
            tx = join();
        }
    }
}

/// `false`: it is over.
fn more(error: RingError) -> bool {
    match error {
        RingError::Empty | RingError::TimedOut | RingError::HandsFull | RingError::PeerGone { .. } => true,
        RingError::Closed => false,
        e => panic!("pop: {e}"),
    }
}

/// Copies.
pub(crate) fn pop(ring: &Ring, books: &Books, who: usize, rng: &mut Rng) {
    let diary = &books.diaries[who];
    let join = || ring.consumer().expect("there are seats enough");
    let (mut rx, mut seen, mut one) = (join(), Seen::default(), [0; 6]);
    loop {
        diary.does(Doing::Popping, 0);
        let popped = match rng.below(4) {
            0 => rx.try_pop().map(|m| one = m),
            1 => rx.try_pop_into(&mut one),
            _ => rx.pop_timeout(patience(rng)).map(|m| one = m),
        };
        if popped.is_ok() {
            let number = seen.check(&one, rx.redelivered());
            let how = if rx.redelivered() { Event::Again } else { Event::Fresh };
            books.count_both(number, how, Event::Released);
        }
        diary.does(Doing::Nothing, 0);
        match popped {
            Err(e) if !more(e) => return,
            _ if rng.below(1000) == 0 => {
                drop(rx);
                rx = join();
            }
            _ => {}
        }
    }
}

/// A message, its number, and its place in the diary.
struct InHand {
    job: mpmc::Job<Message>,
    number: usize,
    place: usize,
}

impl InHand {
    fn end(self, books: &Books, diary: &Diary, release: bool) {
        let Self { job, number, place } = self;
        assert_eq!(job[0], number as u64, "it has changed in hand");
        if release {
            diary.does(Doing::Releasing, number);
            job.release();
            books.count(number, Event::Released);
            diary.does(Doing::Ending, number);
        } else {
            books.count(number, Event::HandedBack);
            diary.does(Doing::HandingBack, number);
            job.hand_back();
        }
        diary.holds_no_longer(place);
        diary.does(Doing::Nothing, 0);
    }
}

/// Takes in place, holds several, and hands some back.
pub(crate) fn take(ring: &Ring, books: &Books, who: usize, rng: &mut Rng, hands_back: bool) {
    let diary = &books.diaries[who];
    let (mut rx, mut seen) = (taker(ring), Seen::default());
    let mut jobs: Vec<InHand> = Vec::new();
    let mut open = true;
    while open {
        let enough = 1 + rng.below(IN_HAND as u64) as usize;
        while open && jobs.len() < enough {
            diary.does(Doing::Taking, 0);
            let taken = if rng.below(3) == 0 { rx.try_take() } else { rx.take_timeout(patience(rng)) };
            match taken {
                Ok(job) => {
                    let number = seen.check(&job, job.redelivered());
                    let place = diary.holds(number);
                    books.count(number, if job.redelivered() { Event::Again } else { Event::Fresh });
                    jobs.push(InHand { job, number, place });
                }
                Err(e) => open = more(e),
            }
            diary.does(Doing::Nothing, 0);
            if taken_nothing_for_now(&jobs, rng) {
                break;
            }
        }
        let keep = rng.below(2) as usize;
        while jobs.len() > if open { keep } else { 0 } {
            let job = jobs.swap_remove(rng.below(jobs.len() as u64) as usize);
            job.end(books, diary, !(hands_back && rng.below(32) == 0));
        }
        if rng.below(1000) == 0 {
            // What it holds outlives the handle.
            drop(rx);
            rx = taker(ring);
        }
    }
}

/// Who holds something does not always wait for more.
fn taken_nothing_for_now(jobs: &[InHand], rng: &mut Rng) -> bool {
    !jobs.is_empty() && rng.below(4) == 0
}
