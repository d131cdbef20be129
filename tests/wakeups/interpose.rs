//! This executable's own `syscall`, `semctl` and `clock_gettime`, which the linker takes before
//! libc's. They let a test act exactly between two steps of a waiter or a waker, take the time limit
//! from every sleep, take the barrier away, and see which clocks are read.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// A sleep between processes lasts until it is woken.
pub static FOR_EVER: AtomicBool = AtomicBool::new(false);
/// How many such sleeps there were.
pub static SLEEPS: AtomicU64 = AtomicU64::new(0);
/// `membarrier` does nothing, and says that it has worked.
pub static NO_BARRIER: AtomicBool = AtomicBool::new(false);

/// libc's `syscall`, but that a shared `FUTEX_WAIT_BITSET` loses its time limit while [`FOR_EVER`].
/// (The standard library's own are private.) A sleep without a bit of its own in the word is no wait, but a
/// pause that nobody ends: it keeps its limit.
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
        if NO_BARRIER.load(SeqCst) {
            return 0;
        }
    }
    if nr == libc::SYS_futex && b == libc::c_long::from(libc::FUTEX_WAKE_BITSET) {
        act(Moment::Wake);
    }
    let waits = nr == libc::SYS_futex && b == libc::c_long::from(libc::FUTEX_WAIT_BITSET) && c & f != 0;
    let limit = if waits && FOR_EVER.load(SeqCst) {
        SLEEPS.fetch_add(1, SeqCst);
        0
    } else {
        d
    };
    // SAFETY: the caller's promise; a null time limit is one too.
    let result = unsafe { raw(nr, [a, b, c, limit, e, f]) };
    if waits && result == 0 {
        act(Moment::Woken);
    }
    with_errno(result)
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
        let _ = LOOKS.try_with(|looks| looks.set(looks.get() + 1));
        act(Moment::LookAtPeer);
    }
    let arguments = [id.into(), number.into(), command.into(), argument, 0, 0];
    // SAFETY: the caller's promise.
    with_errno(unsafe { raw(libc::SYS_semctl, arguments) }) as libc::c_int
}

const MEMBARRIER_CMD_GLOBAL_EXPEDITED: libc::c_long = 1 << 1;

/// Where in a wait something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Between setting the waiter's bit and looking again (W2).
    Barrier,
    /// After that look, before the peer's semaphore is read.
    LookAtPeer,
    /// Between taking a waiter's bit and waking it (the two halves of K4).
    Wake,
    /// A waiter was woken from its sleep, and has not looked yet.
    Woken,
}

type Plan = Option<(Moment, Box<dyn FnOnce()>)>;

thread_local! {
    /// What happens to this thread at its next moment of that kind.
    static PLAN: Cell<Plan> = const { Cell::new(None) };
}

/// Something happens to this thread, once, at its next such moment.
pub fn plan(moment: Moment, action: impl FnOnce() + 'static) {
    PLAN.set(Some((moment, Box::new(action))));
}

/// The plan was carried out.
pub fn happened() -> bool {
    PLAN.take().is_none()
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

thread_local! {
    static LOOKS: Cell<u64> = const { Cell::new(0) };
}

/// How often this thread has looked at a semaphore since it last asked.
pub fn looks_at_semaphores() -> u64 {
    LOOKS.take()
}

thread_local! {
    static CLOCKS: RefCell<Vec<libc::clockid_t>> = const { RefCell::new(Vec::new()) };
}

/// The clocks that this thread has read since it last asked.
pub fn clocks_read() -> Vec<libc::clockid_t> {
    CLOCKS.take()
}

/// libc's `clock_gettime`, and a note of which clock.
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    let _ = CLOCKS.try_with(|clocks| {
        let mut clocks = clocks.borrow_mut();
        if !clocks.contains(&clock) {
            clocks.push(clock);
        }
    });
    let arguments = [clock.into(), time as libc::c_long, 0, 0, 0, 0];
    // SAFETY: the caller's promise.
    with_errno(unsafe { raw(libc::SYS_clock_gettime, arguments) }) as libc::c_int
}
