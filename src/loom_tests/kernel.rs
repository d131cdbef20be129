//! What the system does for a waiter: sleeping, waking, the barrier, a clock.

use crate::layout::cursors::Cursors;
use crate::ring::RingError;
use crate::ring::wait::{self, Slept, WaitState, WaitStrategy};
use crate::sync::{AtomicU32, Ordering, fence};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use std::cell::Cell;

/// The kernel, for threads: a queue of sleepers for each word. To wake the wrong one, or nobody,
/// must show, so a sleep has no time limit.
pub(super) struct World {
    words: [usize; 2],
    queues: [(Mutex<Vec<Sleeper>>, Condvar); 2],
    /// What stands for membarrier: all that the waiting side adds. Tests take it away.
    barrier: bool,
}

/// Who sleeps, with which bits, and whether it was woken.
struct Sleeper {
    bits: u32,
    woken: bool,
}

impl World {
    pub(super) fn new(cursors: &Cursors, barrier: bool) -> Self {
        let address = |word: &AtomicU32| std::ptr::from_ref(word) as usize;
        Self {
            words: [address(&cursors.state.consumer_waits), address(&cursors.state.producer_waits)],
            queues: Default::default(),
            barrier,
        }
    }
    fn queue(&self, word: &AtomicU32) -> &(Mutex<Vec<Sleeper>>, Condvar) {
        let index = self.words.iter().position(|w| *w == std::ptr::from_ref(word) as usize);
        &self.queues[index.expect("a word of this ring")]
    }
}

/// One thread's view of it. The clock jumps a second at each look, so that nobody spins for long.
pub(super) struct Side {
    world: Arc<World>,
    clock: Cell<u64>,
    waits: WaitState,
}

impl Side {
    pub(super) fn new(world: &Arc<World>, strategy: WaitStrategy) -> Self {
        let waits = WaitState::default();
        waits.set_strategy(strategy);
        Self { world: world.clone(), clock: Cell::new(0), waits }
    }
}

impl wait::Waker for Side {
    fn wake(&self, word: &AtomicU32, bits: u32) -> bool {
        let (sleepers, changed) = self.world.queue(word);
        let mut woken = false;
        // They stay in the list, which is short: their places are their names.
        for sleeper in sleepers.lock().expect("loom").iter_mut() {
            woken |= !sleeper.woken && sleeper.bits & bits != 0;
            sleeper.woken |= sleeper.bits & bits != 0;
        }
        changed.notify_all();
        woken
    }

    fn must_fence(&self) -> bool {
        false // the light barrier is a full fence under loom
    }

    fn bits(&self) -> u32 {
        0b11
    }

    fn woke(&self) {
        self.waits.woke();
    }
}

impl wait::Host for Side {
    fn now(&self) -> u64 {
        self.clock.set(self.clock.get() + 1_000_000_000);
        self.clock.get()
    }
    fn sleep(&self, word: &AtomicU32, seen: u32, bits: u32, _: u64) -> Slept {
        // As the kernel does it: the word is compared under the queue's lock.
        let (sleepers, changed) = self.world.queue(word);
        let mut queue = sleepers.lock().expect("loom");
        if word.load(Ordering::Relaxed) != seen {
            return Slept::NotAtAll;
        }
        queue.push(Sleeper { bits, woken: false });
        let mine = queue.len() - 1;
        while !queue[mine].woken {
            queue = changed.wait(queue).expect("loom");
        }
        Slept::Woken
    }
    fn yield_now(&self) {
        thread::yield_now();
    }
    fn barrier(&self) -> bool {
        if self.world.barrier {
            // SeqCst: SYNC(park), stands for membarrier.
            fence(Ordering::SeqCst);
        }
        true
    }
    fn has_hint(&self) -> bool {
        false
    }
    fn news(&self) -> Option<RingError> {
        None
    }
    fn told(&self) {}
    fn state(&self) -> &WaitState {
        &self.waits
    }
}
