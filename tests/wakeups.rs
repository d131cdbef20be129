//! No wakeup is lost (I7), with nothing to hide a lost one: in the children of this file every
//! sleep of the library lasts until it is woken.
//!
//! A sleeper looks again every 50 ms by itself, so a lost wakeup would only be a delay, and no test
//! may measure time. Therefore this executable has a `syscall` of its own, which the linker takes
//! before libc's: on request it makes the futex wait without a time limit. Then a lost wakeup is
//! a hang, and the watchdog's. It also lets a test act exactly between two steps of a waiter: at its
//! barrier, and at its look at the peer's semaphore.

mod common;

use common::{TestChild, TestName, child_role, say, watchdog};
use segring::spsc::{ByteRing, Ring};
use segring::{Layout, RingError};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

static FOR_EVER: AtomicBool = AtomicBool::new(false);
static SLEEPS: AtomicU64 = AtomicU64::new(0);

/// libc's `syscall`, but that a shared `FUTEX_WAIT_BITSET` loses its time limit while [`FOR_EVER`].
/// (The standard library's own are private.)
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
unsafe extern "C" fn syscall(
    nr: libc::c_long,
    a: libc::c_long,
    b: libc::c_long,
    c: libc::c_long,
    d: libc::c_long,
    e: libc::c_long,
    f: libc::c_long,
) -> libc::c_long {
    if nr == libc::SYS_membarrier && a == MEMBARRIER_CMD_GLOBAL_EXPEDITED {
        act(Moment::Barrier);
    }
    let waits = nr == libc::SYS_futex && b == libc::c_long::from(libc::FUTEX_WAIT_BITSET);
    let limit = if waits && FOR_EVER.load(SeqCst) {
        SLEEPS.fetch_add(1, SeqCst);
        0
    } else {
        d
    };
    // SAFETY: the caller's promise; a null time limit is one too.
    with_errno(unsafe { raw(nr, [a, b, c, limit, e, f]) })
}

/// libc's `semctl`, but for [`Moment::LookAtPeer`].
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
unsafe extern "C" fn semctl(
    id: libc::c_int,
    number: libc::c_int,
    command: libc::c_int,
    argument: libc::c_long,
) -> libc::c_int {
    if command == libc::GETVAL {
        act(Moment::LookAtPeer);
    }
    let arguments = [id.into(), number.into(), command.into(), argument, 0, 0];
    // SAFETY: the caller's promise.
    with_errno(unsafe { raw(libc::SYS_semctl, arguments) }) as libc::c_int
}

const MEMBARRIER_CMD_GLOBAL_EXPEDITED: libc::c_long = 1 << 1;

/// Where in a wait something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Between setting the waiter's bit and looking again (W2).
    Barrier,
    /// After that look, before the peer's semaphore is read.
    LookAtPeer,
}

type Plan = Option<(Moment, Box<dyn FnOnce()>)>;

thread_local! {
    /// What happens to this thread at its next moment of that kind.
    static PLAN: Cell<Plan> = const { Cell::new(None) };
}

fn act(now: Moment) {
    let _ = PLAN.try_with(|plan| match plan.take() {
        Some((moment, action)) if moment == now => action(),
        other => plan.set(other),
    });
}

/// The kernel's result in libc's way.
fn with_errno(result: libc::c_long) -> libc::c_long {
    if !(-4095..0).contains(&result) {
        return result;
    }
    // SAFETY: errno of this thread always exists.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above; nobody else has this thread's.
    unsafe { errno.write(-result as libc::c_int) };
    -1
}

/// # Safety
/// As the call's.
#[cfg(target_arch = "x86_64")]
unsafe fn raw(nr: libc::c_long, a: [libc::c_long; 6]) -> libc::c_long {
    let result;
    // SAFETY: the kernel's calling convention; the caller answers for the call.
    unsafe {
        std::arch::asm!(
            "syscall", inlateout("rax") nr => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _, options(nostack)
        );
    }
    result
}

/// # Safety
/// As the call's.
#[cfg(target_arch = "aarch64")]
unsafe fn raw(nr: libc::c_long, a: [libc::c_long; 6]) -> libc::c_long {
    let result;
    // SAFETY: the kernel's calling convention; the caller answers for the call.
    unsafe {
        std::arch::asm!(
            "svc 0", in("x8") nr, inlateout("x0") a[0] => result,
            in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack)
        );
    }
    result
}

const ROUNDS: u64 = 20_000;

/// One side of the ping-pong.
fn ping(names: &[String], first: bool) {
    let attach = |name| Ring::<[u64; 3]>::builder(name).attach().expect("attach");
    let (there, back) = (attach(names[0].as_str()), attach(names[1].as_str()));
    let (mut tx, mut rx) = if first {
        (there.producer().expect("seat"), back.consumer().expect("seat"))
    } else {
        (back.producer().expect("seat"), there.consumer().expect("seat"))
    };
    for i in 0..ROUNDS {
        // Now and then too late for a peer that only spins.
        if i % 128 == if first { 0 } else { 64 } {
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
        if first {
            tx.push([i; 3]).expect("push");
        }
        assert_eq!(rx.pop(), Ok([i; 3]));
        if !first {
            tx.push([i; 3]).expect("push");
        }
    }
}

/// A producer that is in turn faster and slower than its consumer, which is the same.
fn stream(name: &str, producer: bool) {
    let ring = ByteRing::builder(name).attach().expect("attach");
    let work = |i: u64, slow: bool| {
        if slow {
            (0..i % 700).for_each(|n| _ = std::hint::black_box(n));
        }
        if i % 512 == 0 && slow {
            std::thread::sleep(std::time::Duration::from_micros(300));
        }
    };
    if producer {
        let mut tx = ring.producer().expect("seat");
        for i in 0..ROUNDS {
            work(i, i / 2048 % 2 == 0);
            tx.push(&vec![i as u8; 20 + (i % 900) as usize]).expect("push");
        }
        tx.close();
        tx.wait_until_drained(None).expect("drained");
    } else {
        let mut rx = ring.consumer().expect("seat");
        for i in 0.. {
            work(i, i / 2048 % 2 == 1);
            match rx.pop() {
                Ok(record) => assert_eq!(record, vec![i as u8; 20 + (i % 900) as usize]),
                Err(end) => {
                    assert_eq!((end, i), (RingError::Closed, ROUNDS));
                    return;
                }
            }
        }
    }
}

/// A producer that sleeps on a full ring until its peer leaves and another one comes.
fn told_producer(name: &str) {
    let ring = Ring::<u64>::builder(name).attach().expect("attach");
    let mut tx = ring.producer().expect("seat");
    tx.push(0).expect("push");
    say("full");
    say(&format!("{:?}", tx.push(1).unwrap_err().error));
    tx.push(1).expect("the successor makes room");
}

/// A consumer that sleeps until its peer leaves, another one comes, and closes.
fn told_consumer(name: &str) {
    let mut rx = Ring::<u64>::builder(name).attach().expect("attach").consumer().expect("seat");
    say("empty");
    for _ in 0..3 {
        say(&format!("{:?}", rx.pop()));
    }
}

#[test]
fn child_main() {
    let Some((role, args)) = child_role() else { return };
    FOR_EVER.store(true, SeqCst);
    match role.as_str() {
        "ping" => ping(&args, true),
        "pong" => ping(&args, false),
        "producer" => stream(&args[0], true),
        "consumer" => stream(&args[0], false),
        "told producer" => told_producer(&args[0]),
        "told consumer" => told_consumer(&args[0]),
        other => panic!("no such role: {other}"),
    }
    say(&SLEEPS.load(SeqCst).to_string());
}

/// Runs two children to their end and says how often both slept.
fn pair(one: &str, other: &str, names: &[&TestName]) -> u64 {
    let args: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    let mut children = [TestChild::spawn(one, &args), TestChild::spawn(other, &args)];
    let _watchdog = watchdog("a wakeup is lost: a sleeper without a time limit");
    let sleeps =
        children.iter_mut().map(|c| c.hear().expect("it ends well").parse::<u64>().expect("a number")).sum();
    children.into_iter().for_each(TestChild::join);
    sleeps
}

fn ping_pong(layout: Layout, capacity: usize) {
    let names = [TestName::new("there"), TestName::new("back")];
    for name in &names {
        Ring::<[u64; 3]>::builder(name.name()).capacity(capacity).layout(layout).create().unwrap();
    }
    let sleeps = pair("ping", "pong", &[&names[0], &names[1]]);
    eprintln!("{ROUNDS} round trips, {sleeps} sleeps");
    assert!(sleeps > 0, "nobody ever slept: nothing was tested");
}

#[test]
fn ping_pong_over_stamped_rings() {
    ping_pong(Layout::Stamped, 4);
}

#[test]
fn ping_pong_over_dense_rings() {
    ping_pong(Layout::Dense, 1);
}

#[test]
fn a_stream_with_both_sides_slow_in_turn() {
    let name = TestName::new("stream");
    let _ring = ByteRing::builder(name.name()).capacity(4096).create().unwrap();
    let sleeps = pair("producer", "consumer", &[&name]);
    eprintln!("{ROUNDS} records, {sleeps} sleeps");
    assert!(sleeps > 0, "nobody ever slept: nothing was tested");
}

/// Time to fall asleep for another process. If it takes longer, only less is tested.
fn a_while() {
    std::thread::sleep(std::time::Duration::from_millis(30));
}

#[test]
fn a_leaving_consumer_wakes_a_sleeping_producer() {
    let name = TestName::new("told");
    let ring = Ring::<u64>::builder(name.name()).capacity(1).create().unwrap();
    let rx = ring.consumer().unwrap();
    let mut child = TestChild::spawn("told producer", &[name.as_str()]);
    let _watchdog = watchdog("nobody wakes a producer without a time limit");
    child.expect("full");
    a_while();
    drop(rx);
    child.expect("PeerGone { died: false }");
    a_while();
    let mut rx = ring.consumer().unwrap();
    assert_eq!(rx.pop(), Ok(0));
    assert_eq!(rx.pop(), Ok(1));
    child.join();
}

#[test]
fn leaving_and_closing_wake_a_sleeping_consumer() {
    let name = TestName::new("told");
    let ring = Ring::<u64>::builder(name.name()).capacity(1).create().unwrap();
    let tx = ring.producer().unwrap();
    let mut child = TestChild::spawn("told consumer", &[name.as_str()]);
    let _watchdog = watchdog("nobody wakes a consumer without a time limit");
    child.expect("empty");
    a_while();
    drop(tx);
    child.expect("Err(PeerGone { died: false })");
    a_while();
    let mut tx = ring.producer().unwrap();
    tx.push(2).unwrap();
    child.expect("Ok(2)");
    a_while();
    tx.close();
    child.expect("Err(Closed)");
    child.join();
}

fn plan(moment: Moment, action: impl FnOnce() + 'static) {
    PLAN.set(Some((moment, Box::new(action))));
}

/// The plan was carried out.
fn happened() -> bool {
    PLAN.take().is_none()
}

#[test]
fn a_message_comes_before_the_news_of_its_producer_whenever_it_goes() {
    for moment in [Moment::Barrier, Moment::LookAtPeer] {
        let name = TestName::new("before-news");
        let _watchdog = watchdog("a wait with a plan");
        let ring = Ring::<u64>::builder(name.name()).capacity(1).create().unwrap();
        let mut rx = ring.consumer().unwrap();
        let mut tx = ring.producer().unwrap();
        plan(moment, move || tx.try_push(7).unwrap());
        assert_eq!(rx.pop(), Ok(7), "{moment:?}");
        assert!(happened());
        let mut tx = ring.producer().unwrap();
        plan(moment, move || {
            tx.try_push(8).unwrap();
            tx.close();
        });
        assert_eq!(rx.pop(), Ok(8), "{moment:?}");
        assert_eq!(rx.pop(), Err(RingError::Closed));
        assert!(happened());
    }
}

#[test]
fn room_comes_before_the_news_of_its_consumer_whenever_it_goes() {
    for moment in [Moment::Barrier, Moment::LookAtPeer] {
        let name = TestName::new("before-news");
        let _watchdog = watchdog("a wait with a plan");
        let ring = Ring::<u64>::builder(name.name()).capacity(1).create().unwrap();
        let mut tx = ring.producer().unwrap();
        tx.try_push(1).unwrap();
        let mut rx = ring.consumer().unwrap();
        plan(moment, move || assert_eq!(rx.try_pop(), Ok(1)));
        assert_eq!(tx.push(2), Ok(()), "{moment:?}");
        assert!(happened());
        assert_eq!(tx.push(3).unwrap_err().error, RingError::PeerGone { died: false });
    }
}

#[test]
fn two_threads_of_one_process() {
    let name = TestName::new("threads");
    let ring = Ring::<u64>::builder(name.name()).capacity(2).create().unwrap();
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let _watchdog = watchdog("two threads");
    std::thread::scope(|s| {
        s.spawn(move || (0..100_000).for_each(|i| tx.push(i).unwrap()));
        (0..100_000).for_each(|i| assert_eq!(rx.pop(), Ok(i)));
        // A thread that leaves is news as a process that does.
        assert_eq!(rx.pop(), Err(RingError::PeerGone { died: false }));
    });
}
