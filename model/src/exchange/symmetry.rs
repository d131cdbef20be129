//! States that differ only in the names of slots and hands are one state.
//!
//! Slots and hands are compared for equality only, and a repair may read the other hands in any order.
//! So a renaming of a state behaves as the state does, whichever renaming is taken: the sorting need not be
//! perfect to be sound.

use super::state::{Entry, HANDS, Hand, Kind, Op, Process, SLOTS, Slot, State};
use super::{Exchange, Search};

/// Where each name goes.
struct Names {
    hand: [u8; HANDS],
    slot: [u8; SLOTS],
}

impl Exchange {
    /// The state, renamed where the search asks for it.
    pub(super) fn canonical(&self, s: State) -> State {
        if self.search != Search::Symmetric {
            return s;
        }
        let s = if self.endless.is_some() { self.shifted(s) } else { s };
        let mut order: [usize; HANDS] = std::array::from_fn(|i| i);
        order[..self.hands()].sort_by_cached_key(|&i| key(&s, i));
        let Some(names) = self.names(&s, &order) else {
            return s;
        };
        self.rename(&s, &names)
    }

    /// Whether a CAS that succeeds now would leave a word too far behind.
    pub(super) fn leaves_behind(&self, s: &State, p: &Process) -> bool {
        let Some(lag) = self.endless else {
            return false;
        };
        if Some(s.entries[self.index(p.pos)]) != p.seen || p.kind() == Kind::Push {
            return false;
        }
        // What is at the head, or ahead of it, is there yet.
        let positions = self.laps * self.entries;
        let behind = |o: &Op| (s.ghost.head + positions - o.pos) % positions;
        let is_old = |o: &Op| o.kind != Kind::Start && behind(o) >= lag && behind(o) < positions - 2;
        let words = |h: usize| [Some(s.hands[h].cur), s.hands[h].now, s.ghost.landed[h]];
        (0..self.hands()).any(|h| words(h).iter().flatten().any(is_old) || self.process_lags(s, h, lag))
    }

    fn process_lags(&self, s: &State, i: usize, lag: u8) -> bool {
        let p = &s.process[i];
        let positions = self.laps * self.entries;
        let behind = (s.ghost.head + positions - p.pos) % positions;
        p.seen.is_some() && behind >= lag && behind < positions - 2
    }

    /// The same with the head at 0, of a ring of one entry. A `rel` that is not `cur` says nothing.
    fn shifted(&self, mut s: State) -> State {
        let by = self.laps - s.ghost.head;
        let at = |pos: u8| (pos + by) % self.laps;
        let op = |o: Op| if o.kind == Kind::Start { o } else { Op { pos: at(o.pos), ..o } };
        s.entries[0].lap = at(s.entries[0].lap);
        for h in 0..self.hands() {
            let rel = s.hands[h].rel.filter(|&rel| rel == s.hands[h].cur || Some(rel) == s.ghost.landed[h]);
            let Hand { cur, now, .. } = s.hands[h];
            s.hands[h] = Hand { cur: op(cur), now: now.map(op), rel: rel.map(op) };
            s.ghost.landed[h] = s.ghost.landed[h].map(op);
            let p = &mut s.process[h];
            if let Some(e) = &mut p.seen {
                e.lap = at(e.lap);
                p.pos = at(p.pos);
            }
        }
        s.ghost.tail = at(s.ghost.tail);
        s.ghost.head = 0;
        s
    }

    /// Slots are named by where they are: in an entry, or in a hand. None: they are not where they should be.
    fn names(&self, s: &State, order: &[usize; HANDS]) -> Option<Names> {
        const NONE: u8 = u8::MAX;
        let mut names = Names { hand: [0; HANDS], slot: [NONE; SLOTS] };
        let in_entries = s.entries[..usize::from(self.entries)].iter().map(|e| e.slot);
        let in_hands = order[..self.hands()].iter().map(|&i| s.has(i).slot);
        for (name, slot) in in_entries.chain(in_hands).enumerate() {
            let slot = &mut names.slot[usize::from(slot)];
            if *slot != NONE {
                return None;
            }
            *slot = name as u8;
        }
        let used = usize::from(self.entries) + self.hands();
        for (i, slot) in names.slot.iter_mut().enumerate().skip(used) {
            *slot = i as u8;
        }
        for (name, &i) in order.iter().enumerate() {
            names.hand[i] = name as u8;
        }
        Some(names)
    }

    fn rename(&self, s: &State, names: &Names) -> State {
        let op = |o: Op| Op { slot: names.slot[usize::from(o.slot)], ..o };
        let mut r = s.clone();
        for e in &mut r.entries[..usize::from(self.entries)] {
            e.slot = names.slot[usize::from(e.slot)];
        }
        for (i, &slot) in s.slots.iter().enumerate() {
            let owner = if slot.owner == 0 { 0 } else { names.hand[usize::from(slot.owner) - 1] + 1 };
            r.slots[usize::from(names.slot[i])] = Slot { owner, ..slot };
        }
        for i in 0..HANDS {
            let to = usize::from(names.hand[i]);
            let Hand { cur, now, rel } = s.hands[i];
            r.hands[to] = Hand { cur: op(cur), now: now.map(op), rel: rel.map(op) };
            r.ghost.landed[to] = s.ghost.landed[i].map(op);
            let p = s.process[i];
            let bits = (0..HANDS).filter(|j| p.others & 1 << j != 0);
            r.process[to] = Process {
                hand: names.hand[usize::from(p.hand)],
                others: bits.fold(0, |all, j| all | 1 << names.hand[j]),
                owner: if p.owner == 0 { 0 } else { names.hand[usize::from(p.owner) - 1] + 1 },
                seen: p.seen.map(|e| Entry { slot: names.slot[usize::from(e.slot)], ..e }),
                ..p
            };
        }
        r
    }
}

/// What a hand is, without any name.
fn key(s: &State, i: usize) -> impl Ord + use<> {
    let word = |o: Option<Op>| o.map_or((Kind::Start, 0), |o| (o.kind, o.pos));
    let p = &s.process[i];
    let Hand { cur, now, rel } = s.hands[i];
    let slot = s.slots[usize::from(s.has(i).slot)];
    let is_mine = usize::from(slot.owner) == i + 1;
    (
        (p.role, p.pc, p.job, p.left, p.closes, p.stamped, p.again, p.pos),
        (usize::from(p.hand) == i, p.others.count_ones(), p.how, is_mine, slot.mark),
        (word(Some(cur)), word(now), word(rel), word(s.ghost.landed[i])),
        (now == Some(cur), rel == Some(cur)),
    )
}
