//! Queues that are wrong, each in a way of its own: the checker must see it. And one that is right.

use crate::arena::Queue;
use crate::checker::{BATCH, Said, batch};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Takes the newest message when it has two.
    Reorders,
    /// Looks whether it is empty, and takes the lock after that.
    LooksTooEarly,
    /// Looks whether it is closed, and takes the lock after that.
    ClosesTooLate,
    /// The messages of a batch come out the other way round.
    TurnsBatches,
    /// Lets others push between two messages of a batch.
    SplitsBatches,
    /// Frees the place of a batch with its first message.
    FreesTooEarly,
    /// Looks what the first ones are, and takes as many after that.
    ReadsTooEarly,
}

/// A queue behind a lock. Messages lie in places, those of a batch in one.
pub(crate) struct Locked {
    fault: Fault,
    capacity: usize,
    batches: bool,
    items: Mutex<VecDeque<VecDeque<u8>>>,
    len: AtomicUsize,
    closed: AtomicBool,
}

impl Locked {
    pub(crate) fn new(fault: Fault, capacity: usize) -> Self {
        Self {
            fault,
            capacity,
            batches: false,
            items: Mutex::default(),
            len: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn with_batches(fault: Fault, capacity: usize) -> Self {
        Self { batches: true, ..Self::new(fault, capacity) }
    }

    /// Up to `into`, of one place.
    fn take(&self, items: &mut VecDeque<VecDeque<u8>>, into: &mut [u8]) -> usize {
        let newest = self.fault == Fault::Reorders && items.len() > 1;
        let place = if newest { items.back_mut() } else { items.front_mut() };
        let Some(place) = place else { return 0 };
        let n = place.len().min(into.len());
        for item in &mut into[..n] {
            *item = place.pop_front().unwrap_or(0);
        }
        match (place.is_empty(), newest) {
            (false, _) => None,
            (true, true) => items.pop_back(),
            (true, false) => items.pop_front(),
        };
        n
    }
}

impl Queue for Arc<Locked> {
    fn try_push(&mut self, item: u8) -> Said {
        let early = self.closed.load(SeqCst);
        if self.fault == Fault::ClosesTooLate {
            std::thread::yield_now();
        }
        let mut items = self.items.lock().expect("nobody panics");
        let closed = if self.fault == Fault::ClosesTooLate { early } else { self.closed.load(SeqCst) };
        if closed {
            return Said::Closed;
        }
        if items.len() == self.capacity {
            return Said::Full;
        }
        items.push_back(VecDeque::from([item]));
        let len = items.len();
        drop(items);
        if self.fault == Fault::LooksTooEarly {
            std::thread::yield_now();
            self.len.store(len, SeqCst);
        }
        Said::Ok
    }

    fn try_pop(&mut self) -> Said {
        let early = self.fault == Fault::LooksTooEarly && self.len.load(SeqCst) == 0;
        if early && !self.closed.load(SeqCst) {
            return Said::Empty;
        }
        let mut items = self.items.lock().expect("nobody panics");
        let mut item = [0];
        let n = self.take(&mut items, &mut item);
        self.len.store(items.len(), SeqCst);
        match n {
            1 => Said::Popped(item[0]),
            _ if self.closed.load(SeqCst) => Said::Closed,
            _ => Said::Empty,
        }
    }

    fn has_batches(&self) -> bool {
        self.batches
    }

    fn push_batch(&mut self, item: u8) -> Result<usize, Said> {
        let mut all = batch(item);
        if self.fault == Fault::TurnsBatches {
            all.reverse();
        }
        let mut items = self.items.lock().expect("nobody panics");
        if self.closed.load(SeqCst) {
            return Err(Said::Closed);
        }
        let taken = match self.fault {
            Fault::FreesTooEarly => items.iter().filter(|place| place.len() != 3).count(),
            _ => items.len(),
        };
        if taken >= self.capacity {
            return Err(Said::Full);
        }
        if self.fault == Fault::SplitsBatches {
            items.push_back(VecDeque::from([all[0]]));
            drop(items);
            std::thread::yield_now();
            items = self.items.lock().expect("nobody panics");
            items.push_back(all[1..].iter().copied().collect());
        } else {
            items.push_back(VecDeque::from(all));
        }
        self.len.store(items.len(), SeqCst);
        Ok(BATCH)
    }

    fn pop_slice(&mut self, into: &mut [u8]) -> Result<usize, Said> {
        let seen = self.items.lock().expect("nobody panics").front().cloned().unwrap_or_default();
        if self.fault == Fault::ReadsTooEarly {
            std::thread::yield_now();
        }
        let mut popped = 0;
        while popped < into.len() {
            let mut items = self.items.lock().expect("nobody panics");
            match self.take(&mut items, &mut into[popped..]) {
                0 => break,
                n => popped += n,
            }
        }
        if self.fault == Fault::ReadsTooEarly {
            into.iter_mut().zip(seen).take(popped).for_each(|(item, seen)| *item = seen);
        }
        match popped {
            0 if self.closed.load(SeqCst) => Err(Said::Closed),
            0 => Err(Said::Empty),
            n => Ok(n),
        }
    }

    fn close(&mut self) {
        let _items = self.items.lock().expect("nobody panics");
        self.closed.store(true, SeqCst);
    }
}

/// A ring that claims a place first and publishes later (Vyukov's), or that forgets the laps.
/// Neither can be closed.
pub(crate) struct Claiming {
    cells: Vec<Cell>,
    head: AtomicU64,
    tail: AtomicU64,
    /// Without laps a cell is taken for free, or for full, whatever lap it is in.
    laps: bool,
}

#[derive(Default)]
struct Cell {
    /// The stage: 2 × lap, and one more when it is full.
    stage: AtomicU64,
    item: AtomicU64,
}

impl Claiming {
    pub(crate) fn new(capacity: usize, laps: bool) -> Self {
        let cells = (0..capacity).map(|_| Cell::default()).collect();
        Self { cells, head: AtomicU64::new(0), tail: AtomicU64::new(0), laps }
    }

    fn cell(&self, position: u64) -> (&Cell, u64) {
        let capacity = self.cells.len() as u64;
        (&self.cells[(position % capacity) as usize], position / capacity * 2)
    }
}

impl Queue for Arc<Claiming> {
    fn try_push(&mut self, item: u8) -> Said {
        loop {
            let tail = self.tail.load(SeqCst);
            let (cell, stage) = self.cell(tail);
            if self.laps && cell.stage.load(SeqCst) < stage {
                return Said::Full;
            }
            if self.tail.compare_exchange(tail, tail + 1, SeqCst, SeqCst).is_ok() {
                // The hole: claimed, and not yet published.
                std::thread::yield_now();
                cell.item.store(u64::from(item), SeqCst);
                cell.stage.store(stage + 1, SeqCst);
                return Said::Ok;
            }
        }
    }

    fn try_pop(&mut self) -> Said {
        loop {
            let head = self.head.load(SeqCst);
            let (cell, stage) = self.cell(head);
            let found = cell.stage.load(SeqCst);
            let full = if self.laps { found > stage } else { found % 2 == 1 };
            if !full {
                return Said::Empty;
            }
            if self.head.compare_exchange(head, head + 1, SeqCst, SeqCst).is_ok() {
                let item = cell.item.load(SeqCst) as u8;
                cell.stage.store(stage + 2, SeqCst);
                return Said::Popped(item);
            }
        }
    }

    fn close(&mut self) {
        unreachable!("it cannot be closed");
    }

    fn can_close(&self) -> bool {
        false
    }
}
