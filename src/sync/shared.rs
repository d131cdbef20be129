//! The one copy routine between private memory and memory that a peer may write at any time.
//!
//! A plain `memcpy` from such memory is a data race in Rust's model, and a `&[u8]` to it is worse:
//! the compiler may read twice and believe both. Inline assembly (x86-64) and volatile accesses
//! (elsewhere) read and write what is there, once per chunk, and assume nothing about it: the
//! bytes that arrive may be torn by a hostile peer, but they are bytes (I5).

/// Copies `len` bytes. One side is private to the caller, the other may be shared memory.
///
/// # Safety
/// `src` is readable and `dst` writable for `len` bytes, and the ranges do not overlap. The
/// private side has no other user. The shared side is mapped; peers may write it meanwhile.
#[inline(always)]
pub(crate) unsafe fn copy(dst: *mut u8, src: *const u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the contract of this function.
    unsafe {
        x86::copy(dst, src, len);
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

    /// From this size on, the string instruction wins over a loop of 16-byte moves.
    const STRING_FROM: usize = 512;

    macro_rules! move_through {
        ($name:ident, $class:ident, $ty:ty, $modifier:literal, $mov:literal, $size:literal) => {
            /// # Safety
            /// As [`copy`], for the bytes at offset `at`.
            #[inline(always)]
            unsafe fn $name(dst: *mut u8, src: *const u8, at: usize) {
                let v: $ty;
                // SAFETY: reads inside `src`, by the contract. `readonly`: the bytes may have
                // changed since any earlier read, and the compiler must assume so: no `pure`.
                unsafe {
                    asm!(
                        concat!($mov, " {v", $modifier, "}, ", $size, " ptr [{s} + {at}]"),
                        v = out($class) v, s = in(reg) src, at = in(reg) at,
                        options(nostack, preserves_flags, readonly)
                    );
                }
                // SAFETY: writes inside `dst`, by the contract.
                unsafe {
                    asm!(
                        concat!($mov, " ", $size, " ptr [{d} + {at}], {v", $modifier, "}"),
                        v = in($class) v, d = in(reg) dst, at = in(reg) at,
                        options(nostack, preserves_flags)
                    );
                }
            }
        };
    }
    move_through!(move16, xmm_reg, core::arch::x86_64::__m128i, "", "movdqu", "xmmword");
    move_through!(move8, reg, u64, ":r", "mov", "qword");
    move_through!(move4, reg, u32, ":e", "mov", "dword");
    move_through!(move2, reg, u16, ":x", "mov", "word");
    move_through!(move1, reg_byte, u8, "", "mov", "byte");

    /// # Safety
    /// As [`super::copy`].
    #[inline(always)]
    pub(super) unsafe fn copy(dst: *mut u8, src: *const u8, len: usize) {
        if len >= STRING_FROM {
            // SAFETY: `rep movsb` reads `len` bytes at `src` and writes them at `dst`; the
            // direction flag is clear by the ABI.
            unsafe {
                asm!(
                    "rep movsb",
                    inout("rdi") dst => _, inout("rsi") src => _, inout("rcx") len => _,
                    options(nostack, preserves_flags)
                );
            }
            return;
        }
        // Chunks, the last one shifted back to end exactly at `len`. With a constant `len` this
        // unrolls to a straight line.
        if len >= 16 {
            let mut at = 0;
            while at + 16 <= len {
                // SAFETY: `at + 16 <= len`.
                unsafe { move16(dst, src, at) };
                at += 16;
            }
            if at < len {
                if len - at <= 8 {
                    // SAFETY: `len >= 16`, so 8 bytes end at `len`.
                    unsafe { move8(dst, src, len - 8) };
                } else {
                    // SAFETY: `len >= 16`, so 16 bytes end at `len`.
                    unsafe { move16(dst, src, len - 16) };
                }
            }
        } else if len >= 8 {
            // SAFETY: `len >= 8`.
            unsafe { move8(dst, src, 0) };
            if len > 8 {
                // SAFETY: `len >= 8`.
                unsafe { move8(dst, src, len - 8) };
            }
        } else if len >= 4 {
            // SAFETY: `len >= 4`.
            unsafe { move4(dst, src, 0) };
            if len > 4 {
                // SAFETY: `len >= 4`.
                unsafe { move4(dst, src, len - 4) };
            }
        } else if len >= 2 {
            // SAFETY: `len >= 2`.
            unsafe { move2(dst, src, 0) };
            if len > 2 {
                // SAFETY: `len >= 2`.
                unsafe { move2(dst, src, len - 2) };
            }
        } else if len == 1 {
            // SAFETY: `len == 1`.
            unsafe { move1(dst, src, 0) };
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
        let src: Vec<u8> = (0..1400u32).map(|i| (i * 7 + 3) as u8).collect();
        let lengths = (0..200).chain([255, 256, 257, 511, 512, 513, 1000, 1024]);
        for len in lengths {
            for (from, to) in [(0, 0), (1, 0), (0, 1), (3, 5), (8, 16)] {
                let mut dst = vec![0xAAu8; 1400];
                // SAFETY: `from + len` and `to + len` are below 1400.
                unsafe { copy(dst.as_mut_ptr().wrapping_add(to), src.as_ptr().wrapping_add(from), len) };
                assert_eq!(dst[to..to + len], src[from..from + len], "len {len}");
                assert!(dst[..to].iter().all(|b| *b == 0xAA), "wrote before the range");
                assert!(dst[to + len..].iter().all(|b| *b == 0xAA), "wrote past the range");
            }
        }
    }

    #[test]
    fn the_copy_moves_exactly_the_range() {
        all_lengths_and_alignments(super::copy);
    }

    #[test]
    fn the_portable_copy_moves_exactly_the_range() {
        all_lengths_and_alignments(super::portable::copy);
    }
}
