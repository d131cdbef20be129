//! What each strategy does, call by call, with a world that the test makes up: its clock goes on by a
//! step at each look, and nothing else passes.

use super::{Bit, Host, RECHECK, Slept, WaitState, WaitStrategy, Waiter, Waker, until};
use crate::ring::RingError;
use crate::sync::{AtomicU32, Ordering};
use std::cell::{Cell, RefCell};

/// What a waiter asks of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Barrier,
    /// Until this long after it was called.
    Sleep(u64),
    Wake,
    Yield,
    News,
}

struct World {
    clock: Cell<u64>,
    step: u64,
    calls: RefCell<Vec<Call>>,
    barrier: bool,
    /// How sleeps end, one after the other; then by a wake.
    sleeps: RefCell<Vec<Slept>>,
    state: WaitState,
}

const START: u64 = 1_000_000_000_000;

impl World {
    fn new(strategy: WaitStrategy) -> Self {
        let state = WaitState::default();
        state.set_strategy(strategy);
        Self {
            clock: Cell::new(START),
            step: 1_000,
            calls: RefCell::default(),
            barrier: true,
            sleeps: RefCell::default(),
            state,
        }
    }

    fn call(&self, call: Call) {
        self.calls.borrow_mut().push(call);
    }

    fn count(&self, wanted: impl Fn(&Call) -> bool) -> usize {
        self.calls.borrow().iter().filter(|call| wanted(call)).count()
    }

    /// A wait that finds something at its `n`th look, and how it ended.
    fn wait(&self, word: &AtomicU32, n: u32, deadline: Option<u64>, position: u64) -> Result<(), RingError> {
        let bit = Bit { word, mask: 1, shared: false };
        let mut looks = 0;
        until(self, &Waiter { bit, position, deadline }, || {
            looks += 1;
            Ok((looks >= n).then_some(()))
        })
    }
}

impl Waker for World {
    fn wake(&self, _: &AtomicU32, _: u32) -> bool {
        self.call(Call::Wake);
        true
    }

    fn must_fence(&self) -> bool {
        false
    }

    fn bits(&self) -> u32 {
        1
    }

    fn woke(&self) {
        self.state.woke();
    }
}

impl Host for World {
    fn now(&self) -> u64 {
        self.clock.set(self.clock.get() + self.step);
        self.clock.get()
    }
    fn sleep(&self, word: &AtomicU32, seen: u32, _: u32, until: u64) -> Slept {
        assert_eq!(word.load(Ordering::Relaxed), seen);
        self.call(Call::Sleep(until - self.clock.get()));
        let mut sleeps = self.sleeps.borrow_mut();
        if sleeps.is_empty() {
            word.store(0, Ordering::Relaxed);
            return Slept::Woken;
        }
        self.clock.set(until);
        sleeps.remove(0)
    }
    fn yield_now(&self) {
        self.call(Call::Yield);
    }
    fn barrier(&self) -> bool {
        self.call(Call::Barrier);
        self.barrier
    }
    fn has_hint(&self) -> bool {
        false
    }
    fn news(&self) -> Option<RingError> {
        self.call(Call::News);
        None
    }
    fn told(&self) {}
    fn state(&self) -> &WaitState {
        &self.state
    }
}

fn is_sleep(call: &Call) -> bool {
    matches!(call, Call::Sleep(_))
}

#[test]
fn busy_spin_neither_sleeps_nor_yields() {
    let (world, word) = (World::new(WaitStrategy::BusySpin), AtomicU32::new(0));
    assert_eq!(world.wait(&word, 10_000, None, 0), Ok(()));
    assert_eq!(world.count(|call| *call != Call::News), 0);
    assert_eq!(word.load(Ordering::Relaxed), 0);
}

#[test]
fn yield_gives_the_core_away_between_two_looks() {
    let (world, word) = (World::new(WaitStrategy::Yield), AtomicU32::new(0));
    assert_eq!(world.wait(&word, 1_000, None, 0), Ok(()));
    assert_eq!(world.count(|call| *call == Call::Yield), 998);
    assert_eq!(world.count(is_sleep), 0);
}

#[test]
fn sleep_sleeps_before_the_third_look() {
    let (world, word) = (World::new(WaitStrategy::Sleep), AtomicU32::new(0));
    // One by the caller's wish, one after the bit is set, one after the sleep.
    assert_eq!(world.wait(&word, 3, None, 0), Ok(()));
    let calls = world.calls.borrow().clone();
    assert!(matches!(calls[..], [Call::Barrier, Call::News, Call::Sleep(_)]), "{calls:?}");
}

#[test]
fn adaptive_looks_for_as_long_as_its_last_waits_say() {
    let (world, word) = (World::new(WaitStrategy::Adaptive), AtomicU32::new(0));
    assert_eq!(world.wait(&word, 1_000, None, 0), Ok(()));
    assert_eq!(world.count(is_sleep), 0, "looking was enough");
    // Waits of a second.
    for _ in 0..10 {
        world.sleeps.borrow_mut().extend([Slept::Interrupted; 10]);
        assert_eq!(
            world.wait(&word, 100_000, Some(world.clock.get() + 1_000_000_000), 0),
            Err(RingError::TimedOut)
        );
    }
    assert_eq!(world.state.stats().spin.as_nanos(), 0);
    world.calls.borrow_mut().clear();
    world.sleeps.borrow_mut().clear();
    assert_eq!(world.wait(&word, 3, None, 0), Ok(()));
    assert_eq!(world.count(is_sleep), 1, "it did not look for longer than Sleep does");
}

#[test]
fn a_stream_slips_and_a_ping_pong_does_not() {
    let (world, word) = (World::new(WaitStrategy::Adaptive), AtomicU32::new(0));
    (0..50).for_each(|i| world.wait(&word, 2, None, i).unwrap());
    assert_eq!(world.state.stats().slips, 0, "one message for each wait of microseconds");
    (0..50).for_each(|i| world.wait(&word, 2, None, i * 100).unwrap());
    let stats = world.state.stats();
    assert!(stats.slips > 40 && stats.slip.as_nanos() == 1_000, "{stats:?}");
}

#[test]
fn a_limit_of_zero_looks_and_neither_sleeps_nor_yields_nor_sets_a_bit() {
    use WaitStrategy::{Adaptive, BusySpin, Sleep, Yield};
    for strategy in [BusySpin, Yield, Adaptive, Sleep] {
        let (world, word) = (World::new(strategy), AtomicU32::new(0));
        let mut looks = 0;
        let bit = Bit { word: &word, mask: 1, shared: false };
        let waiter = Waiter { bit, position: 0, deadline: Some(START) };
        let never = until(&world, &waiter, || {
            looks += 1;
            Ok(None::<()>)
        });
        assert_eq!((never, looks), (Err(RingError::TimedOut), 2), "{strategy:?}");
        assert_eq!(*world.calls.borrow(), [Call::News], "{strategy:?}");
    }
}

#[test]
fn a_recheck_makes_no_second_barrier() {
    let (world, word) = (World::new(WaitStrategy::Sleep), AtomicU32::new(0));
    world.sleeps.borrow_mut().extend([Slept::Interrupted; 5]);
    assert_eq!(world.wait(&word, 13, None, 0), Ok(()));
    assert_eq!(world.count(|call| *call == Call::Barrier), 1, "{:?}", world.calls.borrow());
    assert_eq!(world.count(|call| *call == Call::News), 6, "the peer is looked at every time");
    let longest =
        world.calls.borrow().iter().map(|call| if let Call::Sleep(n) = call { *n } else { 0 }).max();
    assert!(longest <= Some(RECHECK), "{longest:?}");
}

#[test]
fn after_a_wake_for_nothing_the_bit_is_set_again_and_the_barrier_made() {
    let (world, word) = (World::new(WaitStrategy::Sleep), AtomicU32::new(0));
    assert_eq!(world.wait(&word, 6, None, 0), Ok(()));
    assert_eq!((world.count(is_sleep), world.count(|call| *call == Call::Barrier)), (2, 3));
}

#[test]
fn without_a_barrier_it_sleeps_a_millisecond_at_most() {
    let mut world = World::new(WaitStrategy::Sleep);
    world.barrier = false;
    let word = AtomicU32::new(0);
    world.sleeps.borrow_mut().extend([Slept::Interrupted; 4]);
    assert_eq!(world.wait(&word, 11, None, 0), Ok(()));
    for call in world.calls.borrow().iter() {
        assert!(!matches!(call, Call::Sleep(n) if *n > 1_000_000), "{call:?}");
    }
    assert!(world.count(is_sleep) >= 4);
    assert_eq!(word.load(Ordering::Relaxed), 0, "its bit is taken back");
}

#[test]
fn scribbled_bits_cost_one_look() {
    let (world, word) = (World::new(WaitStrategy::Sleep), AtomicU32::new(u32::MAX));
    super::notify(&world, &word);
    super::notify(&world, &word);
    assert_eq!((world.count(|call| *call == Call::Wake), word.load(Ordering::Relaxed)), (1, 0));
}
