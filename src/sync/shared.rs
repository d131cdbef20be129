//! The one copy routine between private memory and memory that a peer may write at any time.
//!
//! A plain `memcpy` from such memory is a data race in Rust's model, and a `&[u8]` to it is worse:
//! the compiler may read twice and believe both. Inline assembly (x86-64) and volatile accesses
//! (elsewhere) read and write what is there, once per chunk, and assume nothing about it: the
//! bytes that arrive may be torn by a hostile peer, but they are bytes (I5).

/// Copies `len` bytes into memory that a peer may read or write meanwhile.
///
/// # Safety
/// `src` is readable and `dst` writable for `len` bytes, and the ranges do not overlap. `src` is
/// private to the caller and initialised; `dst` is mapped; peers may write it meanwhile.
#[inline(always)]
pub(crate) unsafe fn copy_in(dst: *mut u8, src: *const u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the contract of this function.
    unsafe {
        x86::copy_in(dst, src, len);
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: the contract of this function.
    unsafe {
        portable::copy(dst, src, len);
    }
}

/// Copies `len` bytes out of memory that a peer may write meanwhile.
///
/// # Safety
/// `src` is readable and `dst` writable for `len` bytes, and the ranges do not overlap. `dst` is
/// private to the caller; `src` is mapped; peers may write it meanwhile.
#[inline(always)]
pub(crate) unsafe fn copy_out(dst: *mut u8, src: *const u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the contract of this function.
    unsafe {
        x86::copy::<x86::Out>(dst, src, len);
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: the contract of this function.
    unsafe {
        portable::copy(dst, src, len);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::asm;
    use core::arch::x86_64::__m128i;

    /// What one instruction, or four, move between registers and shared memory.
    pub(super) trait Chunk: Copy {
        /// # Safety
        /// `at` is readable for the size of the chunk.
        unsafe fn load(at: *const u8) -> Self;
        /// # Safety
        /// `at` is writable for the size of the chunk.
        unsafe fn store(self, at: *mut u8);
    }

    macro_rules! chunk {
        ($ty:ty, $class:ident, $modifier:literal, $mov:literal, $size:literal) => {
            impl Chunk for $ty {
                #[inline(always)]
                unsafe fn load(at: *const u8) -> Self {
                    let v: $ty;
                    // SAFETY: reads what the contract allows. `readonly`, not `pure`: the bytes
                    // may have changed since any earlier read, and the compiler must assume so.
                    unsafe {
                        asm!(
                            concat!($mov, " {v", $modifier, "}, ", $size, " ptr [{at}]"),
                            v = out($class) v, at = in(reg) at,
                            options(nostack, preserves_flags, readonly)
                        );
                    }
                    v
                }

                #[inline(always)]
                unsafe fn store(self, at: *mut u8) {
                    // SAFETY: writes what the contract allows.
                    unsafe {
                        asm!(
                            concat!($mov, " ", $size, " ptr [{at}], {v", $modifier, "}"),
                            v = in($class) self, at = in(reg) at,
                            options(nostack, preserves_flags)
                        );
                    }
                }
            }
        };
    }
    chunk!(__m128i, xmm_reg, "", "movdqu", "xmmword");
    chunk!(u64, reg, ":r", "mov", "qword");
    chunk!(u32, reg, ":e", "mov", "dword");
    chunk!(u16, reg, ":x", "mov", "word");
    chunk!(u8, reg_byte, "", "mov", "byte");

    /// Four of them in a row, by four instructions that share one address.
    macro_rules! four_chunks {
        ($ty:ty, $class:ident, $mov:literal, $size:literal, $second:literal, $third:literal, $fourth:literal) => {
            impl Chunk for [$ty; 4] {
                #[inline(always)]
                unsafe fn load(at: *const u8) -> Self {
                    let (a, b, c, d);
                    // SAFETY: as one chunk.
                    unsafe {
                        asm!(
                            concat!($mov, " {a}, ", $size, " ptr [{at}]"),
                            concat!($mov, " {b}, ", $size, " ptr [{at} + ", $second, "]"),
                            concat!($mov, " {c}, ", $size, " ptr [{at} + ", $third, "]"),
                            concat!($mov, " {d}, ", $size, " ptr [{at} + ", $fourth, "]"),
                            a = out($class) a, b = out($class) b, c = out($class) c, d = out($class) d,
                            at = in(reg) at,
                            options(nostack, preserves_flags, readonly)
                        );
                    }
                    [a, b, c, d]
                }

                #[inline(always)]
                unsafe fn store(self, at: *mut u8) {
                    let [a, b, c, d] = self;
                    // SAFETY: as one chunk.
                    unsafe {
                        asm!(
                            concat!($mov, " ", $size, " ptr [{at}], {a}"),
                            concat!($mov, " ", $size, " ptr [{at} + ", $second, "], {b}"),
                            concat!($mov, " ", $size, " ptr [{at} + ", $third, "], {c}"),
                            concat!($mov, " ", $size, " ptr [{at} + ", $fourth, "], {d}"),
                            a = in($class) a, b = in($class) b, c = in($class) c, d = in($class) d,
                            at = in(reg) at,
                            options(nostack, preserves_flags)
                        );
                    }
                }
            }
        };
    }
    four_chunks!(u64, reg, "mov", "qword", "8", "16", "24");
    // A cache line.
    four_chunks!(__m128i, xmm_reg, "movdqu", "xmmword", "16", "32", "48");

    /// Which side is shared.
    pub(super) trait Direction {
        /// # Safety
        /// As [`copy`], for the bytes of one chunk from offset `at` on.
        unsafe fn one<C: Chunk>(dst: *mut u8, src: *const u8, at: usize);
        /// Asks for the line that will be read some lines later, if it is on another core.
        fn ask(src: *const u8, at: usize);
    }

    /// How far ahead.
    const ASK_AHEAD: usize = 1024;
    /// A copy of at least this size asks ahead: shorter ones are over before the line is there.
    const ASK_FROM: usize = 512;

    /// Private to shared.
    pub(super) struct In;
    /// Shared to private.
    pub(super) struct Out;

    impl Direction for In {
        #[inline(always)]
        unsafe fn one<C: Chunk>(dst: *mut u8, src: *const u8, at: usize) {
            // SAFETY: inside the private and initialised `src`, by the contract.
            let chunk = unsafe { src.wrapping_add(at).cast::<C>().read_unaligned() };
            // SAFETY: inside `dst`, by the contract.
            unsafe { chunk.store(dst.wrapping_add(at)) };
        }

        #[inline(always)]
        fn ask(_: *const u8, _: usize) {}
    }

    impl Direction for Out {
        #[inline(always)]
        unsafe fn one<C: Chunk>(dst: *mut u8, src: *const u8, at: usize) {
            // SAFETY: inside `src`, by the contract.
            let chunk = unsafe { C::load(src.wrapping_add(at)) };
            // SAFETY: inside the private `dst`, by the contract.
            unsafe { dst.wrapping_add(at).cast::<C>().write_unaligned(chunk) };
        }

        #[inline(always)]
        fn ask(src: *const u8, at: usize) {
            let line = src.wrapping_add(at + ASK_AHEAD);
            // SAFETY: a hint, which touches nothing and does not fault, wherever the address is.
            unsafe { asm!("prefetcht0 [{}]", in(reg) line, options(nostack, preserves_flags, readonly)) };
        }
    }

    /// A few words: all are loaded before the first is stored.
    ///
    /// A message is often built just before it is pushed, field by field. A 16-byte load from two
    /// 8-byte stores that are still on their way to the cache waits until they are there; an 8-byte
    /// load takes its value from the store. And what the compiler still has in registers it need
    /// not load at all, because no assembly comes before the last load. (`docs/measurements.md`)
    ///
    /// # Safety
    /// As [`super::copy_in`], for `N` words.
    #[inline(always)]
    unsafe fn words_in<const N: usize>(dst: *mut u8, src: *const u8) {
        // SAFETY: `N` words lie inside `src`, which is initialised.
        let words = unsafe { src.cast::<[u64; N]>().read_unaligned() };
        let mut i = 0;
        while i + 4 <= N {
            // SAFETY: words `i` to `i + 3` lie inside `dst`.
            unsafe { [words[i], words[i + 1], words[i + 2], words[i + 3]].store(dst.wrapping_add(i * 8)) };
            i += 4;
        }
        while i < N {
            // SAFETY: word `i` lies inside `dst`.
            unsafe { words[i].store(dst.wrapping_add(i * 8)) };
            i += 1;
        }
    }

    macro_rules! words_or_chunks {
        ($dst:ident, $src:ident, $len:ident, $($words:literal)*) => {
            match $len {
                $(
                    // SAFETY: the contract; that many words are the length.
                    len if len == $words * 8 => unsafe { words_in::<$words>($dst, $src) },
                )*
                // SAFETY: the contract.
                _ => unsafe { copy::<In>($dst, $src, $len) },
            }
        };
    }

    /// # Safety
    /// As [`super::copy_in`].
    #[inline(always)]
    pub(super) unsafe fn copy_in(dst: *mut u8, src: *const u8, len: usize) {
        words_or_chunks!(dst, src, len, 1 2 3 4 5 6 7 8);
    }

    /// From this size on, four parts at once: more lines are on their way from the other core at a
    /// time (`docs/measurements.md`).
    const FOUR_STREAMS_FROM: usize = 8192;

    /// Chunks, the last one shifted back to end exactly at `len`. With a constant `len` below a few
    /// lines this unrolls to a straight line.
    ///
    /// # Safety
    /// As [`super::copy_in`] or [`super::copy_out`].
    #[inline(always)]
    pub(super) unsafe fn copy<D: Direction>(dst: *mut u8, src: *const u8, len: usize) {
        let mut at = 0;
        if len >= FOUR_STREAMS_FROM {
            let quarter = len / 4 / 64 * 64;
            while at < quarter {
                // SAFETY: the first quarter and the three behind it lie before `len`.
                unsafe { D::one::<[__m128i; 4]>(dst, src, at) };
                // SAFETY: as above.
                unsafe { D::one::<[__m128i; 4]>(dst, src, at + quarter) };
                // SAFETY: as above.
                unsafe { D::one::<[__m128i; 4]>(dst, src, at + 2 * quarter) };
                // SAFETY: as above.
                unsafe { D::one::<[__m128i; 4]>(dst, src, at + 3 * quarter) };
                at += 64;
            }
            at = 4 * quarter;
        }
        while at + 64 <= len {
            if len >= ASK_FROM {
                D::ask(src, at);
            }
            // SAFETY: `at + 64 <= len`.
            unsafe { D::one::<[__m128i; 4]>(dst, src, at) };
            at += 64;
        }
        while at + 16 <= len {
            // SAFETY: `at + 16 <= len`.
            unsafe { D::one::<__m128i>(dst, src, at) };
            at += 16;
        }
        if at == len {
            return;
        }
        if at > 0 && len - at > 8 {
            // SAFETY: `len > 16`, so 16 bytes end at `len`.
            unsafe { D::one::<__m128i>(dst, src, len - 16) };
        } else if at > 0 {
            // SAFETY: `len > 16`, so 8 bytes end at `len`.
            unsafe { D::one::<u64>(dst, src, len - 8) };
        } else if len >= 8 {
            // SAFETY: `len >= 8`.
            unsafe { D::one::<u64>(dst, src, 0) };
            if len > 8 {
                // SAFETY: `len >= 8`.
                unsafe { D::one::<u64>(dst, src, len - 8) };
            }
        } else if len >= 4 {
            // SAFETY: `len >= 4`.
            unsafe { D::one::<u32>(dst, src, 0) };
            if len > 4 {
                // SAFETY: `len >= 4`.
                unsafe { D::one::<u32>(dst, src, len - 4) };
            }
        } else if len >= 2 {
            // SAFETY: `len >= 2`.
            unsafe { D::one::<u16>(dst, src, 0) };
            if len > 2 {
                // SAFETY: `len >= 2`.
                unsafe { D::one::<u16>(dst, src, len - 2) };
            }
        } else {
            // SAFETY: `len == 1`.
            unsafe { D::one::<u8>(dst, src, 0) };
        }
    }
}

/// Volatile words where both sides are aligned, volatile bytes elsewhere.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable {
    /// # Safety
    /// As [`super::copy`].
    #[inline(always)]
    pub(super) unsafe fn copy(dst: *mut u8, src: *const u8, len: usize) {
        let aligned = (dst as usize | src as usize) % 8 == 0;
        let words = if aligned { len / 8 } else { 0 };
        for i in 0..words {
            // SAFETY: word `i` lies inside both ranges.
            let (from, to) = (src.wrapping_add(i * 8).cast::<u64>(), dst.wrapping_add(i * 8).cast::<u64>());
            // SAFETY: inside `src`, and aligned as checked above.
            let word = unsafe { from.read_volatile() };
            // SAFETY: inside `dst`, and aligned as checked above.
            unsafe { to.write_volatile(word) };
        }
        for i in words * 8..len {
            // SAFETY: byte `i` lies inside `src`.
            let byte = unsafe { src.wrapping_add(i).read_volatile() };
            // SAFETY: byte `i` lies inside `dst`.
            unsafe { dst.wrapping_add(i).write_volatile(byte) };
        }
    }
}

#[cfg(test)]
mod tests {
    type Copy = unsafe fn(*mut u8, *const u8, usize);

    fn all_lengths_and_alignments(copy: Copy) {
        let src: Vec<u8> = (0..11_000u32).map(|i| (i * 7 + 3) as u8).collect();
        let lengths =
            (0..200).chain([255, 256, 257, 511, 512, 513, 1000, 1024, 8191, 8192, 8193, 9000, 10_001]);
        for len in lengths {
            for (from, to) in [(0, 0), (1, 0), (0, 1), (3, 5), (8, 16)] {
                let mut dst = vec![0xAAu8; 11_000];
                // SAFETY: `from + len` and `to + len` are below 11,000.
                unsafe { copy(dst.as_mut_ptr().wrapping_add(to), src.as_ptr().wrapping_add(from), len) };
                assert_eq!(dst[to..to + len], src[from..from + len], "len {len}");
                assert!(dst[..to].iter().all(|b| *b == 0xAA), "wrote before the range");
                assert!(dst[to + len..].iter().all(|b| *b == 0xAA), "wrote past the range");
            }
        }
    }

    #[test]
    fn the_copy_moves_exactly_the_range() {
        all_lengths_and_alignments(super::copy_in);
        all_lengths_and_alignments(super::copy_out);
    }

    #[test]
    fn the_portable_copy_moves_exactly_the_range() {
        all_lengths_and_alignments(super::portable::copy);
    }
}
