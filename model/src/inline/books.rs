//! The books: what really happened, and what must never happen.

use super::state::{Entry, Fault, LEN, QUEUE, State};
use super::{Change, Inline};

impl Inline {
    /// The name of a message: of which seat, and its number there.
    pub(super) fn message(&self, seat: usize, number: u8) -> u8 {
        seat as u8 * 16 + number + 1
    }

    /// An exchange of a push has succeeded: the next `n` messages of its seat.
    pub(super) fn pushed(&self, s: &mut State, seat: usize, pos: u8, n: u8) {
        if pos != s.ghost.tail {
            s.fault(Fault::Order);
        }
        if s.ghost.told {
            s.fault(Fault::AfterClosed);
        }
        s.ghost.tail = pos + 1;
        let first = s.process[seat].next;
        let len = s.ghost.queue.iter().take_while(|m| **m != 0).count();
        for (at, number) in (len..).zip(first..first + n) {
            if at == QUEUE {
                return s.fault(Fault::Order);
            }
            s.ghost.queue[at] = self.message(seat, number);
        }
    }

    /// An exchange of a take has succeeded: what comes next, and so must be what was read.
    pub(super) fn taken(&self, s: &mut State, pos: u8, n: u8, was_last: bool) -> [u8; LEN] {
        if pos != s.ghost.head {
            s.fault(Fault::Order);
        }
        let n = usize::from(n);
        let mut next = [0; LEN];
        next[..n].copy_from_slice(&s.ghost.queue[..n]);
        s.ghost.queue.copy_within(n.., 0);
        s.ghost.queue[QUEUE - n..].fill(0);
        s.ghost.head += u8::from(was_last);
        next
    }

    /// Whether the words of the ring say what the books say.
    pub(super) fn books_balance(&self, s: &State) -> bool {
        if matches!(s.ghost.fault, Some(Fault::Torn)) {
            return false;
        }
        let mut queue = [0; QUEUE];
        let mut len = 0;
        let mut full = 0;
        for pos in s.ghost.head..s.ghost.tail {
            let at = self.index(pos);
            let e = s.entries[at];
            if !e.full || e.lap != self.lap(pos) {
                return false;
            }
            full += 1;
            let words = self.content(s, at, e);
            for word in words {
                queue[len] = *word;
                len += 1;
            }
        }
        let all = s.entries[..usize::from(self.entries)].iter().filter(|e| e.full).count();
        queue == s.ghost.queue && all == full
    }

    /// What a full entry has.
    fn content<'a>(&self, s: &'a State, at: usize, e: Entry) -> &'a [u8] {
        if e.left == 0 {
            return &s.values[at..=at];
        }
        &s.blocks[usize::from(e.block)][LEN - usize::from(e.left)..]
    }

    /// A word of a block is written.
    pub(super) fn write(&self, s: &mut State, block: u8, word: usize, message: u8) {
        let has = |e: &Entry| e.full && e.left > 0 && e.block == block;
        if s.entries.iter().any(has) {
            s.fault(Fault::Written);
        }
        s.blocks[usize::from(block)][word] = message;
    }

    /// Whether an entry has this block, if it was put there at this position.
    pub(super) fn is_there(&self, s: &State, pos: u8, block: u8) -> bool {
        let e = s.entries[self.index(pos)];
        let stage = self.ahead(e, pos, 1) == 0;
        let number = e.full && e.left > 0 && e.block == block;
        match self.change {
            Change::FreeAlways => false,
            Change::FreeByPosition => stage,
            Change::FreeByBlock => number,
            _ => stage && number,
        }
    }
}
