//! Whether a history is one of a bounded FIFO queue that can be closed: Wing and Gong's search for an order
//! of the calls, with Lowe's memory of what has been tried.
//!
//! A call may come next if no other call that is still to come had returned before it began. The order
//! must make each call say what it has said.
//!
//! A batch is pushed by one call, its messages one behind the other; it takes one place, until the last of
//! them has been popped. A call that pops several is that many pops, in this order. So is one that pushes
//! several, and finds no block for them: that many pushes. Which one has done that if all of them went in it
//! does not say; how many places all pushes have taken together says how many there were.

use std::collections::HashSet;
use std::fmt;

/// Longest queue, in places.
pub(crate) const CAPACITY_MAX: usize = 4;
/// Messages of a batch.
pub(crate) const BATCH: usize = 4;
const MESSAGES_MAX: usize = CAPACITY_MAX * BATCH;

/// The messages of the batch that is pushed as `item`: numbers below 32 and above.
pub(crate) fn batch(item: u8) -> [u8; BATCH] {
    [item, item | 1 << 5, item | 2 << 5, item | 3 << 5]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Push(u8),
    PushBatch(u8),
    Pop,
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Ok,
    Full,
    Empty,
    Closed,
    /// There was no more: empty, or closed.
    NoMore,
    Popped(u8),
}

/// One call, and when it began and returned, by one clock.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) worker: usize,
    /// Which pop of its call it is: those behind the first come after the one before, which stands right
    /// before it in the history.
    pub(crate) part: usize,
    pub(crate) op: Op,
    pub(crate) said: Said,
    pub(crate) invoked: u64,
    pub(crate) returned: u64,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worker, part, op, said, invoked, returned } = self;
        write!(f, "{invoked:4} … {returned:4}  worker {worker}, part {part}: {op:?} said {said:?}")
    }
}

/// The queue that it ought to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Queue {
    items: [u8; MESSAGES_MAX],
    len: usize,
    /// Of each place: messages that are left.
    places: [u8; CAPACITY_MAX],
    taken: usize,
    closed: bool,
}

impl Queue {
    fn put(&mut self, items: &[u8]) {
        self.items[self.len..self.len + items.len()].copy_from_slice(items);
        self.len += items.len();
        self.places[self.taken] = items.len() as u8;
        self.taken += 1;
    }

    fn take(&mut self) -> u8 {
        let item = self.items[0];
        self.items.rotate_left(1);
        self.items[MESSAGES_MAX - 1] = 0;
        self.len -= 1;
        self.places[0] -= 1;
        if self.places[0] == 0 {
            self.places.rotate_left(1);
            self.taken -= 1;
        }
        item
    }

    /// What it says; `said` is what was said, where it may be one or the other.
    fn call(&mut self, op: Op, said: Said, capacity: usize) -> Said {
        match op {
            Op::Push(_) | Op::PushBatch(_) if self.closed => Said::Closed,
            Op::Push(_) | Op::PushBatch(_) if self.taken == capacity => Said::Full,
            Op::Push(item) => {
                self.put(&[item]);
                Said::Ok
            }
            Op::PushBatch(item) => {
                self.put(&batch(item));
                Said::Ok
            }
            Op::Pop if self.len == 0 && said == Said::NoMore => Said::NoMore,
            Op::Pop if self.len == 0 => {
                if self.closed {
                    Said::Closed
                } else {
                    Said::Empty
                }
            }
            Op::Pop => Said::Popped(self.take()),
            Op::Close => {
                self.closed = true;
                Said::Ok
            }
        }
    }
}

struct Search<'a> {
    calls: &'a [Call],
    capacity: usize,
    /// Calls that are in the order, as bits, and what they have led to.
    tried: HashSet<(u128, Queue)>,
}

impl Search<'_> {
    fn completes(&mut self, done: u128, queue: Queue) -> bool {
        if done.count_ones() as usize == self.calls.len() {
            return true;
        }
        if !self.tried.insert((done, queue)) {
            return false;
        }
        let calls = self.calls;
        let open = || calls.iter().enumerate().filter(|(i, _)| done >> i & 1 == 0);
        let first_return = open().map(|(_, call)| call.returned).min().unwrap_or(u64::MAX);
        let in_turn = |i: usize, call: &Call| call.part == 0 || done >> (i - 1) & 1 == 1;
        open().filter(|(i, call)| call.invoked < first_return && in_turn(*i, call)).any(|(i, call)| {
            let mut next = queue;
            next.call(call.op, call.said, self.capacity) == call.said && self.completes(done | 1 << i, next)
        })
    }
}

/// Whether there is an order that explains these calls, on a queue that was empty and open.
pub(crate) fn is_linearizable(calls: &[Call], capacity: usize) -> bool {
    assert!(calls.len() <= 128 && (1..=CAPACITY_MAX).contains(&capacity));
    Search { calls, capacity, tried: HashSet::new() }.completes(0, Queue::default())
}

/// The same, where all pushes have taken so many places, if that is known: batches beyond that went in one by
/// one, and any of them may have.
pub(crate) fn is_linearizable_in(calls: &[Call], capacity: usize, places: Option<u64>) -> bool {
    let is_batch = |call: &&Call| matches!(call.op, Op::PushBatch(_)) && call.said == Said::Ok;
    let one_by_one = places.map_or(0, |places| {
        let pushes = calls.iter().filter(|call| matches!(call.op, Op::Push(_)) && call.said == Said::Ok);
        let known = pushes.count() + calls.iter().filter(is_batch).count();
        let more = (places as usize).checked_sub(known).expect("no push took less than a place");
        assert_eq!(more % (BATCH - 1), 0, "{places} places, {known} pushes");
        more / (BATCH - 1)
    });
    any_apart(calls, one_by_one, &|calls| is_linearizable(calls, capacity))
}

/// Whether `check` says so with some of the batches, so many, taken apart.
fn any_apart(calls: &[Call], one_by_one: usize, check: &dyn Fn(&[Call]) -> bool) -> bool {
    if one_by_one == 0 {
        return check(calls);
    }
    calls.iter().enumerate().any(|(at, call)| {
        let Op::PushBatch(item) = call.op else { return false };
        if call.said != Said::Ok {
            return false;
        }
        let parts = batch(item).map(Op::Push).into_iter().enumerate();
        let parts = parts.map(|(part, op)| Call { part, op, ..*call });
        let before = &calls[..at];
        // Those before it stay whole here: each choice once.
        any_apart(&calls[at + 1..], one_by_one - 1, &|rest| {
            check(
                &before.iter().copied().chain(parts.clone()).chain(rest.iter().copied()).collect::<Vec<_>>(),
            )
        })
    })
}

/// `worker, op, said, invoked, returned`.
#[cfg(test)]
fn history(calls: &[(usize, Op, Said, u64, u64)]) -> Vec<Call> {
    let mut history: Vec<Call> = Vec::new();
    for &(worker, op, said, invoked, returned) in calls {
        let before = history.last().filter(|last| (last.worker, last.invoked) == (worker, invoked));
        let part = before.map_or(0, |last| last.part + 1);
        history.push(Call { worker, part, op, said, invoked, returned });
    }
    history
}

#[test]
fn what_a_queue_may_say() {
    use Op::{Close, Pop, Push};
    use Said::{Closed, Empty, Full, Ok, Popped};
    let good = |calls: &[_]| assert!(is_linearizable(&history(calls), 1), "{calls:?}");
    // One after the other.
    good(&[
        (0, Push(1), Ok, 0, 1),
        (0, Push(2), Full, 2, 3),
        (0, Pop, Popped(1), 4, 5),
        (0, Pop, Empty, 6, 7),
    ]);
    good(&[(0, Push(1), Ok, 0, 1), (0, Close, Ok, 2, 3), (0, Pop, Popped(1), 4, 5), (0, Pop, Closed, 6, 7)]);
    // A pop that returns before the push of what it has popped does.
    good(&[(0, Push(1), Ok, 0, 9), (1, Pop, Popped(1), 1, 2), (1, Pop, Empty, 3, 4)]);
    // Two that began together, in the other order.
    good(&[(0, Pop, Empty, 0, 5), (1, Push(1), Ok, 1, 2), (1, Push(2), Full, 3, 4)]);
    // A push beside a close.
    good(&[(0, Close, Ok, 0, 3), (1, Push(1), Ok, 1, 2), (1, Pop, Popped(1), 4, 5), (1, Pop, Closed, 6, 7)]);
    good(&[(0, Close, Ok, 0, 3), (1, Push(1), Closed, 1, 2), (1, Pop, Closed, 4, 5)]);
}

#[test]
fn what_no_queue_says() {
    use Op::{Close, Pop, Push};
    use Said::{Closed, Empty, Full, Ok, Popped};
    let bad = |what: &str, calls: &[_]| assert!(!is_linearizable(&history(calls), 2), "{what}");
    bad("out of nothing", &[(0, Pop, Popped(1), 0, 1)]);
    bad("lost", &[(0, Push(1), Ok, 0, 1), (1, Pop, Empty, 2, 3)]);
    bad("twice", &[(0, Push(1), Ok, 0, 1), (0, Pop, Popped(1), 2, 4), (1, Pop, Popped(1), 3, 5)]);
    bad("full too early", &[(0, Push(1), Ok, 0, 1), (1, Push(2), Full, 2, 3)]);
    bad("too many", &[(0, Push(1), Ok, 0, 1), (0, Push(2), Ok, 2, 3), (1, Push(3), Ok, 4, 5)]);
    bad("before its push", &[(0, Pop, Popped(1), 0, 1), (1, Push(1), Ok, 2, 3)]);
    bad("closed by nobody", &[(0, Pop, Closed, 0, 1)]);
    bad("open after closing", &[(0, Close, Ok, 0, 1), (1, Pop, Empty, 2, 3)]);
    bad(
        "closed before its messages",
        &[(0, Push(1), Ok, 0, 1), (0, Close, Ok, 2, 3), (1, Pop, Closed, 4, 5)],
    );
    bad("pushed after Closed", &[(0, Close, Ok, 0, 9), (1, Pop, Closed, 1, 2), (1, Push(1), Ok, 3, 4)]);
    let swapped = (1, Pop, Popped(2), 4, 5);
    bad(
        "out of order",
        &[(0, Push(1), Ok, 0, 1), (0, Push(2), Ok, 2, 3), swapped, (1, Pop, Popped(1), 6, 7)],
    );
    // The hole: 2 is there, and the one before it is not yet.
    bad(
        "empty behind a claimed place",
        &[(0, Push(1), Ok, 0, 9), (1, Push(2), Ok, 1, 2), (1, Pop, Empty, 3, 4), (1, Pop, Popped(1), 10, 11)],
    );
}

#[test]
fn what_a_queue_may_say_of_batches() {
    use Op::{Close, Pop, Push, PushBatch};
    use Said::{Closed, Empty, Full, NoMore, Ok, Popped};
    let good = |calls: &[_]| assert!(is_linearizable(&history(calls), 2), "{calls:?}");
    let [a, b, c, d] = batch(1);
    // It takes one place until its last message is gone. Pops of one call are parts of it.
    good(&[
        (0, PushBatch(1), Ok, 0, 1),
        (0, Push(2), Ok, 2, 3),
        (0, Push(3), Full, 4, 5),
        (1, Pop, Popped(a), 6, 7),
        (1, Pop, Popped(b), 6, 7),
        (1, Pop, Popped(c), 6, 7),
        (0, Push(3), Full, 8, 9),
        (1, Pop, Popped(d), 10, 11),
        (0, Push(3), Ok, 12, 13),
        (1, Pop, Popped(2), 14, 15),
        (1, Pop, Popped(3), 14, 15),
        (1, Pop, NoMore, 14, 15),
        (1, Pop, Empty, 16, 17),
    ]);
    // Somebody takes one between two pops of a call; and the ring is closed beside it.
    good(&[
        (0, PushBatch(1), Ok, 0, 1),
        (1, Pop, Popped(a), 2, 9),
        (1, Pop, Popped(c), 2, 9),
        (2, Pop, Popped(b), 3, 4),
        (0, Close, Ok, 5, 6),
        (2, Pop, Popped(d), 10, 11),
        (2, Pop, NoMore, 10, 11),
        (2, Pop, Closed, 12, 13),
    ]);
}

#[test]
fn what_no_queue_says_of_batches() {
    use Op::{Pop, Push, PushBatch};
    use Said::{Ok, Popped};
    let bad = |what: &str, calls: &[_]| assert!(!is_linearizable(&history(calls), 2), "{what}");
    let [a, b, c, _] = batch(1);
    let push = (0, PushBatch(1), Ok, 0, 5);
    bad("out of order", &[push, (1, Pop, Popped(b), 6, 7), (1, Pop, Popped(a), 6, 7)]);
    bad("out of order by another", &[push, (1, Pop, Popped(b), 6, 7), (2, Pop, Popped(a), 8, 9)]);
    bad("one is left out", &[push, (1, Pop, Popped(a), 6, 7), (1, Pop, Popped(c), 6, 7)]);
    let between = (2, Push(9), Ok, 1, 2);
    bad(
        "split",
        &[push, between, (1, Pop, Popped(a), 6, 7), (1, Pop, Popped(9), 6, 7), (1, Pop, Popped(b), 6, 7)],
    );
    bad(
        "more than one of it",
        &[(0, Push(1), Ok, 0, 1), (1, Pop, Popped(a), 6, 7), (1, Pop, Popped(b), 6, 7)],
    );
    bad("twice", &[push, (1, Pop, Popped(a), 6, 9), (2, Pop, Popped(a), 7, 8)]);
    let places = [push, (0, PushBatch(2), Ok, 6, 7), (1, Pop, Popped(a), 8, 9), (0, Push(9), Ok, 10, 11)];
    bad("a place that is not free yet", &places);
}

#[test]
fn batches_without_a_block() {
    use Op::{Pop, Push, PushBatch};
    use Said::{Ok, Popped};
    let [a, b, c, d] = batch(1);
    let pops = [a, 9, b, c, d].map(|item| (1, Pop, Popped(item), 6, 7));
    let beside = [(0, PushBatch(1), Ok, 0, 5), (2, Push(9), Ok, 1, 2), (2, PushBatch(2), Ok, 3, 4)];
    let calls = history(&[&beside[..], &pops].concat());
    assert!(!is_linearizable_in(&calls, 4, Some(3)), "the first one was a batch");
    assert!(!is_linearizable_in(&calls, 4, None));
    // One of both was none: the first one. For all messages at once there would be no room.
    assert!(!is_linearizable_in(&calls, 4, Some(6)));
    let pops = pops.map(|(worker, op, said, ..)| (worker, op, said, 2, 9));
    let calls = history(&[&beside[..1], &pops, &beside[1..]].concat());
    assert!(is_linearizable_in(&calls, 4, Some(6)));
    // In its order, and all of it.
    let turned = [b, a, 9, c, d].map(|item| (1, Pop, Popped(item), 2, 9));
    assert!(!is_linearizable_in(&history(&[&beside[..1], &turned, &beside[1..]].concat()), 4, Some(6)));
}
