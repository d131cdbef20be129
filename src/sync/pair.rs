//! Two words that change together: `cmpxchg16b`.
//!
//! Rust has no atomics of 16 bytes, and none that overlap smaller ones. The exchange is inline assembly;
//! each word by itself is an ordinary atomic. On x86 a locked instruction of any size is a full barrier
//! and stands in one order with all others on the same line, which is what the algorithm asks for.

use super::{AtomicU64, Ordering};

/// Two words side by side.
#[derive(Default)]
#[repr(C, align(16))]
pub(crate) struct Pair {
    first: AtomicU64,
    second: AtomicU64,
    /// loom knows no such exchange: see there.
    #[cfg(segring_loom)]
    exchange: loom::sync::Mutex<()>,
}

/// Whether this machine can exchange two words at once.
#[cfg(not(segring_loom))]
pub(crate) fn can_exchange_pairs() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("cmpxchg16b")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

impl Pair {
    /// By itself: to load, and to exchange alone.
    #[inline(always)]
    pub(crate) fn first(&self) -> &AtomicU64 {
        &self.first
    }

    /// The second word. Relaxed.
    #[inline(always)]
    pub(crate) fn second(&self) -> u64 {
        self.second.load(Ordering::Relaxed)
    }

    /// Puts `new` in the place of `old`, if both words are as in `old`: whether they were. An AcqRel, and a
    /// full barrier.
    #[cfg(all(target_arch = "x86_64", not(segring_loom)))]
    #[inline(always)]
    pub(crate) fn compare_exchange(&self, old: [u64; 2], new: [u64; 2]) -> bool {
        let done: u8;
        // SAFETY: 16 bytes of atomics, aligned to 16, which `self` keeps alive. `rbx`, which the compiler
        // reserves, is put back. Where the processor lacks the instruction there are no rings with pairs:
        // making and attaching one ask `can_exchange_pairs`.
        unsafe {
            core::arch::asm!(
                "xchg rsi, rbx",
                "lock cmpxchg16b xmmword ptr [rdi]",
                "sete r8b",
                "mov rbx, rsi",
                in("rdi") std::ptr::from_ref(self),
                inout("rsi") new[0] => _,
                in("rcx") new[1],
                inout("rax") old[0] => _,
                inout("rdx") old[1] => _,
                out("r8b") done,
                options(nostack)
            );
        }
        done != 0
    }

    /// There are no such rings here: see [`can_exchange_pairs`].
    #[cfg(all(not(target_arch = "x86_64"), not(segring_loom)))]
    #[inline(always)]
    pub(crate) fn compare_exchange(&self, _: [u64; 2], _: [u64; 2]) -> bool {
        false
    }

    /// For loom: pushers one at a time, and the second word a moment before the first, if the first is as in
    /// `old`: it has no message then, so that nobody who reads the second meanwhile succeeds with it.
    #[cfg(segring_loom)]
    pub(crate) fn compare_exchange(&self, old: [u64; 2], new: [u64; 2]) -> bool {
        let Ok(_one) = self.exchange.lock() else { return false };
        // An exchange of equals reads the newest: a load might read an older one.
        let same = self.first.compare_exchange(old[0], old[0], Ordering::Relaxed, Ordering::Relaxed);
        if same.is_err() || self.second() != old[1] {
            return false;
        }
        self.second.store(new[1], Ordering::Relaxed);
        let done = self.first.compare_exchange(old[0], new[0], Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if !done {
            self.second.store(old[1], Ordering::Relaxed);
        }
        done
    }
}

#[cfg(all(test, not(segring_loom)))]
mod tests {
    use super::*;

    #[test]
    fn both_words_or_none() {
        if !can_exchange_pairs() {
            return;
        }
        let pair = Pair::default();
        assert!(pair.compare_exchange([0, 0], [1, u64::MAX]));
        let words = |pair: &Pair| [pair.first().load(Ordering::Relaxed), pair.second()];
        assert_eq!(words(&pair), [1, u64::MAX]);
        for wrong in [[0, u64::MAX], [1, 0], [u64::MAX, 1]] {
            assert!(!pair.compare_exchange(wrong, [7, 7]));
            assert_eq!(words(&pair), [1, u64::MAX]);
        }
        assert!(pair.compare_exchange([1, u64::MAX], [u64::MAX, 2]));
        assert_eq!(words(&pair), [u64::MAX, 2]);
    }

    #[test]
    fn neither_is_seen_without_the_other() {
        if !can_exchange_pairs() {
            return;
        }
        let pair = Pair::default();
        let rounds = if cfg!(debug_assertions) { 20_000 } else { 200_000 };
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        loop {
                            let first = pair.first().load(Ordering::Acquire);
                            let second = pair.second();
                            // Of one exchange, both are equal: another pair is refused.
                            let done = pair.compare_exchange([first, second], [first + 1, second + 1]);
                            assert!(!done || first == second, "{first} with {second}");
                            if done {
                                break;
                            }
                        }
                    }
                });
            }
        });
        assert_eq!([pair.first().load(Ordering::Relaxed), pair.second()], [2 * rounds; 2]);
    }
}
