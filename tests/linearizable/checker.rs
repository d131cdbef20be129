//! Whether a history is one of a bounded FIFO queue that can be closed: Wing and Gong's search for an order
//! of the calls, with Lowe's memory of what has been tried.
//!
//! A call may come next if no other call that is still to come had returned before it began. The order
//! must make each call say what it has said.

use std::collections::HashSet;
use std::fmt;

/// Longest queue.
pub(crate) const CAPACITY_MAX: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Push(u8),
    Pop,
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Ok,
    Full,
    Empty,
    Closed,
    Popped(u8),
}

/// One call, and when it began and returned, by one clock.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) worker: usize,
    pub(crate) op: Op,
    pub(crate) said: Said,
    pub(crate) invoked: u64,
    pub(crate) returned: u64,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worker, op, said, invoked, returned } = self;
        write!(f, "{invoked:4} … {returned:4}  worker {worker}: {op:?} said {said:?}")
    }
}

/// The queue that it ought to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Queue {
    items: [u8; CAPACITY_MAX],
    len: usize,
    closed: bool,
}

impl Queue {
    fn call(&mut self, op: Op, capacity: usize) -> Said {
        match op {
            Op::Push(_) if self.closed => Said::Closed,
            Op::Push(_) if self.len == capacity => Said::Full,
            Op::Push(item) => {
                self.items[self.len] = item;
                self.len += 1;
                Said::Ok
            }
            Op::Pop if self.len == 0 => {
                if self.closed {
                    Said::Closed
                } else {
                    Said::Empty
                }
            }
            Op::Pop => {
                let item = self.items[0];
                self.items.rotate_left(1);
                self.items[CAPACITY_MAX - 1] = 0;
                self.len -= 1;
                Said::Popped(item)
            }
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
    tried: HashSet<(u64, Queue)>,
}

impl Search<'_> {
    fn completes(&mut self, done: u64, queue: Queue) -> bool {
        if done.count_ones() as usize == self.calls.len() {
            return true;
        }
        if !self.tried.insert((done, queue)) {
            return false;
        }
        let calls = self.calls;
        let open = || calls.iter().enumerate().filter(|(i, _)| done >> i & 1 == 0);
        let first_return = open().map(|(_, call)| call.returned).min().unwrap_or(u64::MAX);
        open().filter(|(_, call)| call.invoked < first_return).any(|(i, call)| {
            let mut next = queue;
            next.call(call.op, self.capacity) == call.said && self.completes(done | 1 << i, next)
        })
    }
}

/// Whether there is an order that explains these calls, on a queue that was empty and open.
pub(crate) fn is_linearizable(calls: &[Call], capacity: usize) -> bool {
    assert!(calls.len() <= 64 && (1..=CAPACITY_MAX).contains(&capacity));
    Search { calls, capacity, tried: HashSet::new() }.completes(0, Queue::default())
}

/// `worker, op, said, invoked, returned`.
#[cfg(test)]
fn history(calls: &[(usize, Op, Said, u64, u64)]) -> Vec<Call> {
    let call = |&(worker, op, said, invoked, returned)| Call { worker, op, said, invoked, returned };
    calls.iter().map(call).collect()
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
