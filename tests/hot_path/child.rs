//! The optimised program that this test builds, counts and disassembles.
//!
//! `child NAME N`: each operation N times. `child NAME`: each a few times between two `int3`, with
//! the operation's address and name in registers, for a tracer. Both ends of a ring are in this
//! process and take turns, so that each pop looks at the ring anew; no push does, because the rings
//! are larger than all that is pushed.

use segring::spsc::{ByteConsumer, ByteProducer, ByteRing, Consumer, Producer, Ring};
use segring::{Layout, Payload, RingError, Trusted, mpmc};
use std::hint::black_box;

/// The most turns that a ring takes without its producer looking at the head.
const TURNS: usize = 1024;
/// Operations before the traced ones.
const WARM_UP: u32 = 8;
/// Traced operations.
const TRACED: u32 = 4;

type B56 = [u64; 7];
type B64 = [u64; 8];
type B1024 = [u64; 128];

/// Each operation is a function of its own, with a name that the tools find. No two may be alike:
/// the compiler would make one of them. The library's functions for the payload of 56 bytes have
/// two callers each, as in a program: what has one caller is inlined whatever its size.
macro_rules! hot {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) -> $out:ty $body:block)*) => {$(
        // SAFETY: no other symbol has a name like this.
        #[unsafe(no_mangle)]
        #[inline(never)]
        fn $name($($arg: $ty),*) -> $out $body
    )*};
}

hot! {
    fn hot_try_push_u64(tx: &mut Producer<u64>, item: u64) -> bool { tx.try_push(item).is_ok() }
    fn hot_try_pop_u64(rx: &mut Consumer<u64>) -> Option<u64> { rx.try_pop().ok() }
    fn hot_push_u64(tx: &mut Producer<u64>, item: u64) -> bool { tx.push(item).is_ok() }
    fn hot_pop_u64(rx: &mut Consumer<u64>) -> Option<u64> { rx.pop().ok() }

    fn hot_try_push_56(tx: &mut Producer<B56>, item: &B56) -> bool { tx.try_push(*item).is_ok() }
    fn hot_try_pop_56(rx: &mut Consumer<B56>) -> Option<B56> { rx.try_pop().ok() }
    fn hot_try_push_ref_56(tx: &mut Producer<B56>, item: &B56) -> Result<(), RingError> { tx.try_push_ref(item) }
    fn hot_try_pop_into_56(rx: &mut Consumer<B56>, into: &mut B56) -> bool { rx.try_pop_into(into).is_ok() }

    fn hot_try_push_64(tx: &mut Producer<B64>, item: &B64) -> bool { tx.try_push_ref(item).is_ok() }
    fn hot_try_pop_64(rx: &mut Consumer<B64>, into: &mut B64) -> bool { rx.try_pop_into(into).is_ok() }
    fn hot_try_push_1024(tx: &mut Producer<B1024>, item: &B1024) -> bool { tx.try_push_ref(item).is_ok() }
    fn hot_try_pop_1024(rx: &mut Consumer<B1024>, into: &mut B1024) -> bool { rx.try_pop_into(into).is_ok() }

    fn hot_push_slice(tx: &mut Producer<u64>, items: &[u64]) -> bool { tx.push_slice(items) == Ok(items.len()) }
    fn hot_pop_slice(rx: &mut Consumer<u64>, into: &mut [u64]) -> bool { rx.pop_slice(into) == Ok(into.len()) }

    fn hot_reserve_commit(tx: &mut Trusted<Producer<B56>>, value: u64) -> bool {
        let Ok(mut grant) = tx.reserve(1) else { return false };
        grant.iter_mut().for_each(|slot| slot[6] = value);
        grant.commit(1) == 1
    }
    fn hot_read_release(rx: &mut Trusted<Consumer<B56>>, sum: &mut u64) -> bool {
        let Ok(grant) = rx.read(1) else { return false };
        *sum = grant.iter().map(|slot| slot[6]).sum();
        grant.release(1) == 1
    }
    fn hot_reserve_commit_slice(tx: &mut Trusted<Producer<u64>>, value: u64) -> bool {
        let Ok(mut grant) = tx.reserve(64) else { return false };
        if let Some(([first, ..], _)) = grant.as_mut_slices() {
            *first = value;
        }
        grant.commit(64) == 64
    }
    fn hot_read_release_slice(rx: &mut Trusted<Consumer<u64>>, value: &mut u64) -> bool {
        let Ok(grant) = rx.read(64) else { return false };
        if let Some(([first, ..], _)) = grant.as_slices() {
            *value = *first;
        }
        grant.release(64) == 64
    }

    fn hot_bytes_try_push(tx: &mut ByteProducer, record: &[u8]) -> bool { tx.try_push(record).is_ok() }
    fn hot_bytes_try_pop(rx: &mut ByteConsumer, into: &mut Vec<u8>) -> bool { rx.try_pop_into(into).is_ok() }
    fn hot_bytes_push(tx: &mut ByteProducer, record: &[u8]) -> bool { tx.push(record).is_ok() }
    fn hot_bytes_pop(rx: &mut ByteConsumer, into: &mut Vec<u8>) -> bool { rx.pop_into(into).is_ok() }
    fn hot_bytes_reserve_commit(tx: &mut Trusted<ByteProducer>, value: u8) -> bool {
        let Ok(mut grant) = tx.reserve(56) else { return false };
        if let Some(last) = grant.last_mut() {
            *last = value;
        }
        grant.commit(56) == 56
    }
    fn hot_bytes_read_release(rx: &mut Trusted<ByteConsumer>, value: &mut u8) -> bool {
        let Ok(grant) = rx.read() else { return false };
        *value = grant.last().copied().unwrap_or(0);
        grant.release();
        true
    }

    fn hot_many_try_push_u64(tx: &mut mpmc::Producer<u64>, item: u64) -> bool { tx.try_push(item).is_ok() }
    fn hot_many_try_pop_u64(rx: &mut mpmc::Consumer<u64>) -> Option<u64> { rx.try_pop().ok() }
    fn hot_many_try_push_56(tx: &mut mpmc::Producer<B56>, item: &B56) -> bool { tx.try_push(*item).is_ok() }
    fn hot_many_try_pop_56(rx: &mut mpmc::Consumer<B56>) -> Option<B56> { rx.try_pop().ok() }
    fn hot_many_push_56(tx: &mut mpmc::Producer<B56>, item: &B56) -> Result<(), RingError> { tx.push_ref(item) }
    fn hot_many_pop_56(rx: &mut mpmc::Consumer<B56>, into: &mut B56) -> bool { rx.pop_into(into).is_ok() }
    fn hot_many_push_slice(tx: &mut mpmc::Producer<u64>, items: &[u64]) -> bool { tx.push_slice(items) == Ok(64) }
    fn hot_many_pop_slice(rx: &mut mpmc::Consumer<u64>, into: &mut [u64]) -> bool { rx.pop_slice(into) == Ok(64) }
}

/// One side of a ring and the function that works on it.
struct Side<F> {
    name: &'static str,
    address: *const (),
    op: F,
}

macro_rules! side {
    ($name:ident, $($arg:expr),*) => {
        Side { name: stringify!($name), address: $name as *const (), op: || $name($(black_box($arg)),*) }
    };
}

/// Stops in the tracer, which finds the function's address and name in registers.
fn trap(address: *const (), name: &str) {
    // SAFETY: a breakpoint; the tracer changes nothing.
    unsafe {
        core::arch::asm!("int3", in("rax") address, in("rdi") name.as_ptr(), in("rsi") name.len(), options(nostack));
    }
}

impl<F: FnMut() -> R, R: Done> Side<F> {
    fn run(&mut self) {
        assert!(black_box((self.op)()).done(), "the ring refuses");
    }

    fn run_traced(&mut self) {
        trap(self.address, self.name);
        let done = black_box((self.op)());
        trap(std::ptr::null(), "");
        assert!(done.done(), "the ring refuses");
    }
}

/// What an operation says when it worked.
trait Done {
    fn done(&self) -> bool;
}

impl Done for bool {
    fn done(&self) -> bool {
        *self
    }
}

impl<T> Done for Option<T> {
    fn done(&self) -> bool {
        self.is_some()
    }
}

impl<E> Done for Result<(), E> {
    fn done(&self) -> bool {
        self.is_ok()
    }
}

struct Bench {
    name: String,
    /// How often each; `None`: traced.
    count: Option<u32>,
}

impl Bench {
    fn turns<A: Done, B: Done>(&self, mut push: Side<impl FnMut() -> A>, mut pop: Side<impl FnMut() -> B>) {
        for _ in 0..self.count.unwrap_or(WARM_UP) {
            push.run();
            pop.run();
        }
        if self.count.is_none() {
            for _ in 0..TRACED {
                push.run_traced();
                pop.run_traced();
            }
        }
    }

    /// Both ends of a new ring, whose name is free again at once.
    fn typed<T: Payload>(&self, layout: Layout, capacity: usize) -> (Producer<T>, Consumer<T>) {
        let ring =
            Ring::<T>::builder(&*self.name).capacity(capacity).layout(layout).create().expect("a ring");
        let ends = (ring.producer().expect("a seat"), ring.consumer().expect("a seat"));
        ring.remove().expect("removed");
        ends
    }

    fn typed_of_many<T: Payload>(&self) -> (mpmc::Producer<T>, mpmc::Consumer<T>) {
        let ring = mpmc::Ring::<T>::builder(&*self.name).capacity(2 * TURNS).create().expect("a ring");
        let ends = (ring.producer().expect("a seat"), ring.consumer().expect("a seat"));
        ring.remove().expect("removed");
        ends
    }

    fn bytes(&self) -> (ByteProducer, ByteConsumer) {
        let ring = ByteRing::builder(&*self.name).capacity(TURNS * 64).create().expect("a ring");
        let ends = (ring.producer().expect("a seat"), ring.consumer().expect("a seat"));
        ring.remove().expect("removed");
        ends
    }

    fn single(&self) {
        let (mut tx, mut rx) = self.typed::<u64>(Layout::Stamped, 2 * TURNS);
        self.turns(side!(hot_try_push_u64, &mut tx, 7), side!(hot_try_pop_u64, &mut rx));
        self.turns(side!(hot_push_u64, &mut tx, 7), side!(hot_pop_u64, &mut rx));
        let (mut tx, mut rx) = self.typed(Layout::Stamped, 2 * TURNS);
        let (from, mut into) = ([7; 7], [0; 7]);
        self.turns(side!(hot_try_push_56, &mut tx, &from), side!(hot_try_pop_56, &mut rx));
        self.turns(
            side!(hot_try_push_ref_56, &mut tx, &from),
            side!(hot_try_pop_into_56, &mut rx, &mut into),
        );
        let (mut tx, mut rx) = self.typed(Layout::Dense, TURNS);
        let (from, mut into) = ([7; 8], [0; 8]);
        self.turns(side!(hot_try_push_64, &mut tx, &from), side!(hot_try_pop_64, &mut rx, &mut into));
        let (mut tx, mut rx) = self.typed(Layout::Dense, TURNS);
        let (from, mut into) = ([7; 128], [0; 128]);
        self.turns(side!(hot_try_push_1024, &mut tx, &from), side!(hot_try_pop_1024, &mut rx, &mut into));
    }

    /// There are always some messages in the ring: a push to an empty one looks whether somebody waits.
    fn many(&self) {
        let (mut tx, mut rx) = self.typed_of_many::<u64>();
        (0..4).for_each(|_| tx.try_push(7).expect("room"));
        self.turns(side!(hot_many_try_push_u64, &mut tx, 7), side!(hot_many_try_pop_u64, &mut rx));
        let (mut tx, mut rx) = self.typed_of_many();
        let (from, mut into) = ([7; 7], [0; 7]);
        (0..4).for_each(|_| tx.try_push_ref(&from).expect("room"));
        self.turns(side!(hot_many_try_push_56, &mut tx, &from), side!(hot_many_try_pop_56, &mut rx));
        let (mut tx, mut rx) = self.typed_of_many();
        (0..4).for_each(|_| tx.push_ref(&from).expect("room"));
        self.turns(side!(hot_many_push_56, &mut tx, &from), side!(hot_many_pop_56, &mut rx, &mut into));
        let (mut tx, mut rx) = self.typed_of_many();
        let (from, mut into) = ([7; 64], [0; 64]);
        self.turns(side!(hot_many_push_slice, &mut tx, &from), side!(hot_many_pop_slice, &mut rx, &mut into));
    }

    fn bulk(&self) {
        let (mut tx, mut rx) = self.typed::<u64>(Layout::Dense, 64 * TURNS);
        let (from, mut into) = ([7; 64], [0; 64]);
        self.turns(side!(hot_push_slice, &mut tx, &from), side!(hot_pop_slice, &mut rx, &mut into));
    }

    fn in_place(&self) {
        let (tx, rx) = self.typed::<B56>(Layout::Stamped, TURNS);
        // SAFETY: this process is the only user of the ring.
        let mut tx = unsafe { tx.trust_peers() };
        // SAFETY: as above.
        let mut rx = unsafe { rx.trust_peers() };
        let mut sum = 0;
        self.turns(side!(hot_reserve_commit, &mut tx, 7), side!(hot_read_release, &mut rx, &mut sum));
        let (tx, rx) = self.typed::<u64>(Layout::Dense, 64 * TURNS);
        // SAFETY: as above.
        let mut tx = unsafe { tx.trust_peers() };
        // SAFETY: as above.
        let mut rx = unsafe { rx.trust_peers() };
        self.turns(
            side!(hot_reserve_commit_slice, &mut tx, 7),
            side!(hot_read_release_slice, &mut rx, &mut sum),
        );
    }

    fn records(&self) {
        let record = [7; 56];
        let mut into = Vec::with_capacity(64);
        let (mut tx, mut rx) = self.bytes();
        self.turns(side!(hot_bytes_try_push, &mut tx, &record), side!(hot_bytes_try_pop, &mut rx, &mut into));
        let (mut tx, mut rx) = self.bytes();
        self.turns(side!(hot_bytes_push, &mut tx, &record), side!(hot_bytes_pop, &mut rx, &mut into));
        let (tx, rx) = self.bytes();
        // SAFETY: this process is the only user of the ring.
        let mut tx = unsafe { tx.trust_peers() };
        // SAFETY: as above.
        let mut rx = unsafe { rx.trust_peers() };
        let mut last = 0;
        self.turns(
            side!(hot_bytes_reserve_commit, &mut tx, 7),
            side!(hot_bytes_read_release, &mut rx, &mut last),
        );
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let name = args.next().expect("a name");
    let count = args.next().and_then(|n| n.parse().ok());
    assert!(count.is_none_or(|n| n as usize <= TURNS), "too many");
    let bench = Bench { name, count };
    bench.single();
    bench.bulk();
    bench.in_place();
    bench.records();
    bench.many();
}
