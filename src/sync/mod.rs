//! The only door to atomics and to bytes that another process may change.
//!
//! Under `cfg(segring_loom)` the atomics are loom's, so that loom runs the real algorithms on heap
//! memory. Nothing else in the crate names `core::sync::atomic`, apart from `sys`, which has to
//! hand a futex word to the kernel.
#![allow(unsafe_code)]

#[cfg(not(segring_loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence, fence};
#[cfg(segring_loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

mod pair;
#[cfg(not(segring_loom))]
pub(crate) mod shared;

pub(crate) use pair::Pair;
#[cfg(not(segring_loom))]
pub(crate) use pair::can_exchange_pairs;

/// The light half of an asymmetric barrier: stops the compiler. The heavy half, on the sleeping
/// side, stops the processors (`membarrier`).
#[cfg(not(segring_loom))]
#[inline(always)]
pub(crate) fn light_barrier() {
    // SYNC(park): pairs with the membarrier of the side that goes to sleep.
    compiler_fence(Ordering::SeqCst);
}

/// loom knows no membarrier: both halves are full fences there.
#[cfg(segring_loom)]
pub(crate) fn light_barrier() {
    // SYNC(park): pairs with the fence that stands for membarrier under loom.
    fence(Ordering::SeqCst);
}

/// Whether a read-modify-write with acquire and release is no full barrier here: a load after it may
/// come before its store. On x86 it always is one.
#[cfg(not(segring_loom))]
pub(crate) const RMW_NEEDS_FENCE: bool = cfg!(not(target_arch = "x86_64"));

/// Tells the processor that this is a waiting loop.
#[inline(always)]
pub(crate) fn pause() {
    #[cfg(not(segring_loom))]
    core::hint::spin_loop();
    #[cfg(segring_loom)]
    loom::thread::yield_now();
}

/// Asks for the line of `at`, to be written soon. A hint: it does not fault, wherever the address is.
#[cfg(not(segring_loom))]
#[inline(always)]
pub(crate) fn ask_to_write<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: touches nothing. Processors that do not know it take it for a no-op.
    unsafe {
        core::arch::asm!("prefetchw [{}]", in(reg) at, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Says that another core will want the line of `at` next: it is moved to where that one gets it sooner. A hint,
/// as [`ask_to_write`].
#[cfg(not(segring_loom))]
#[inline(always)]
pub(crate) fn hand_on<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: touches nothing. `cldemote [rax]`, by its bytes, as assemblers know it only for processors that
    // have it; the others take it for a no-op.
    unsafe {
        core::arch::asm!(".byte 0x0f, 0x1c, 0x00", in("rax") at, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Cycles of some steady clock, for short distances on one core. 0 where there is none at hand.
#[cfg(not(segring_loom))]
#[inline(always)]
pub(crate) fn cycles() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reads a counter that every such processor has. It faults only in a process that has forbidden it
    // to itself (`PR_SET_TSC`), as the clock of the C library does there.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    0
}
