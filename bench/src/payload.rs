//! What a message says, and how it is checked: the same two functions for every transport.
//!
//! Word `i` of message `seq` is `seq * SPREAD + i * STEP`. Every word depends on the sequence
//! number, so a lost, repeated, reordered, torn or stale message shows in every byte compared. Both
//! directions go line by line and only add, so that the check does not hide the transport: a
//! multiplication for each word, which the compiler keeps otherwise, takes 4 us for 64 KiB, as much
//! as the copies.

use anyhow::{Result, bail};
use zerocopy::{FromBytes, IntoBytes};

/// Bytes of a producer's or consumer's own buffer in bulk, for every transport.
pub const BATCH_BYTES: usize = 32 * 1024;
/// Most messages per call of the ring in bulk.
const BATCH_MESSAGES: usize = 64;

const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const STEP: u64 = 0xd1b5_4a32_d192_ed03;

/// What [`SPREAD`], which is odd, is undone by: Newton's iteration doubles the bits that are right.
const GATHER: u64 = {
    let mut inverse = SPREAD;
    let mut bits = 3;
    while bits < u64::BITS {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(SPREAD.wrapping_mul(inverse)));
        bits *= 2;
    }
    inverse
};
const _: () = assert!(SPREAD.wrapping_mul(GATHER) == 1);

/// The number of the message whose first word this is.
#[inline(always)]
pub(crate) fn number(first_word: u64) -> u64 {
    first_word.wrapping_mul(GATHER)
}

/// Messages that every queue holds: 1 MiB of them, as much as an enlarged pipe; a power of two.
pub const fn capacity(size: usize) -> usize {
    1 << ((1 << 20) / size).ilog2()
}

/// Messages per call of the ring in bulk and in place.
pub fn batch_len(size: usize) -> usize {
    (BATCH_BYTES / size).clamp(1, BATCH_MESSAGES)
}

/// Words that are computed side by side: a cache line.
const LANES: usize = 8;

/// The first words of message `seq`, and what takes each to the one a line further.
#[inline(always)]
fn first_line(seq: u64) -> [u64; LANES] {
    let base = seq.wrapping_mul(SPREAD);
    std::array::from_fn(|i| base.wrapping_add((i as u64).wrapping_mul(STEP)))
}

#[inline(always)]
fn next_line(line: &mut [u64; LANES]) {
    for word in line {
        *word = word.wrapping_add(STEP.wrapping_mul(LANES as u64));
    }
}

/// Writes message `seq`.
#[inline(always)]
pub fn fill<const N: usize>(message: &mut [u64; N], seq: u64) {
    let mut wanted = first_line(seq);
    if let Some(wanted) = wanted.first_chunk::<N>() {
        *message = *wanted;
        return;
    }
    let mut lines = message.chunks_exact_mut(LANES);
    for line in &mut lines {
        line.copy_from_slice(&wanted);
        next_line(&mut wanted);
    }
    for (word, wanted) in lines.into_remainder().iter_mut().zip(wanted) {
        *word = wanted;
    }
}

/// Writes messages `first`, `first + 1`, ….
#[inline(always)]
pub fn fill_all<const N: usize>(messages: &mut [[u64; N]], first: u64) {
    for (message, seq) in messages.iter_mut().zip(first..) {
        fill(message, seq);
    }
}

/// Writes the first and the last word of message `seq`, and leaves the rest as it is.
#[inline(always)]
pub fn fill_ends<const N: usize>(message: &mut [u64; N], seq: u64) {
    let base = seq.wrapping_mul(SPREAD);
    message[0] = base;
    message[N - 1] = base.wrapping_add((N as u64 - 1).wrapping_mul(STEP));
}

/// Checks what [`fill_ends`] writes.
///
/// # Errors
/// Says what came instead.
#[inline(always)]
pub fn check_ends<const N: usize>(message: &[u64; N], seq: u64) -> Result<()> {
    let base = seq.wrapping_mul(SPREAD);
    let last = base.wrapping_add((N as u64 - 1).wrapping_mul(STEP));
    if message[0] == base && message[N - 1] == last { Ok(()) } else { wrong_ends(seq) }
}

#[cold]
fn wrong_ends(seq: u64) -> Result<()> {
    bail!("message {seq} is not what was sent: its first or last word is another one")
}

/// Zero if every byte is as [`fill`] writes it.
#[inline(always)]
fn difference<const N: usize>(message: &[u64; N], seq: u64) -> u64 {
    let mut wanted = first_line(seq);
    if N <= LANES {
        return message.iter().zip(wanted).fold(0, |all, (word, wanted)| all | (word ^ wanted));
    }
    let mut different = [0; LANES];
    let mut lines = message.chunks_exact(LANES);
    for line in &mut lines {
        for i in 0..LANES {
            different[i] |= line[i] ^ wanted[i];
        }
        next_line(&mut wanted);
    }
    for (i, word) in lines.remainder().iter().enumerate() {
        different[i] |= word ^ wanted[i];
    }
    different.into_iter().fold(0, |all, word| all | word)
}

/// Checks every byte of message `seq`.
///
/// # Errors
/// Says what came instead.
#[inline(always)]
pub fn check<const N: usize>(message: &[u64; N], seq: u64) -> Result<()> {
    if difference(message, seq) == 0 { Ok(()) } else { mismatch(std::slice::from_ref(message), seq) }
}

/// Checks every byte of messages `first`, `first + 1`, ….
///
/// # Errors
/// Says what came instead.
#[inline(always)]
pub fn check_all<const N: usize>(messages: &[[u64; N]], first: u64) -> Result<()> {
    let mut all = 0;
    for (message, seq) in messages.iter().zip(first..) {
        all |= difference(message, seq);
    }
    if all == 0 { Ok(()) } else { mismatch(messages, first) }
}

/// How many of these, from the first on, are messages `first`, `first + 1`, …, in every byte.
#[inline(always)]
pub(crate) fn in_sequence<const N: usize>(messages: &[[u64; N]], first: u64) -> usize {
    messages.iter().zip(first..).take_while(|(message, seq)| difference(message, *seq) == 0).count()
}

/// Checks a record that came as bytes.
///
/// # Errors
/// Says what came instead.
#[inline(always)]
pub fn check_bytes<const N: usize>(record: &[u8], seq: u64) -> Result<()> {
    match <[u64; N]>::ref_from_bytes(record) {
        Ok(message) => check(message, seq),
        Err(_) => check_unaligned::<N>(record, seq),
    }
}

#[cold]
fn check_unaligned<const N: usize>(record: &[u8], seq: u64) -> Result<()> {
    let mut message = vec![[0_u64; N]];
    let bytes = message.as_mut_bytes();
    if bytes.len() != record.len() {
        bail!("message {seq} has {} bytes instead of {}", record.len(), bytes.len());
    }
    bytes.copy_from_slice(record);
    check_all(&message, seq)
}

/// Says what came instead of what should have come.
#[cold]
#[inline(never)]
fn mismatch<const N: usize>(messages: &[[u64; N]], first: u64) -> Result<()> {
    for (message, seq) in messages.iter().zip(first..) {
        let base = seq.wrapping_mul(SPREAD);
        for (i, &word) in message.iter().enumerate() {
            let wanted = base.wrapping_add((i as u64).wrapping_mul(STEP));
            if word != wanted {
                bail!(
                    "message {seq} is not what was sent: its bytes {} to {} are {word:#018x} instead of {wanted:#018x}",
                    i * 8,
                    i * 8 + 7,
                );
            }
        }
    }
    bail!("messages changed while they were checked, from message {first} on")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_byte_is_found() {
        let mut messages = vec![[0_u64; 7]; 3];
        fill_all(&mut messages, 40);
        check_all(&messages, 40).unwrap();
        for at in 0..messages.as_bytes().len() {
            let mut wrong = messages.clone();
            wrong.as_mut_bytes()[at] ^= 0x10;
            assert!(check_all(&wrong, 40).is_err(), "byte {at}");
        }
    }

    #[test]
    fn ends_are_checked() {
        let mut message = [0_u64; 7];
        fill_ends(&mut message, 3);
        check_ends(&message, 3).unwrap();
        assert!(check_ends(&message, 4).is_err());
        for end in [0, 6] {
            let mut wrong = message;
            wrong[end] ^= 1;
            assert!(check_ends(&wrong, 3).is_err());
        }
    }

    #[test]
    fn loss_repetition_and_reordering_are_found() {
        let mut messages = vec![[0_u64; 1]; 3];
        fill_all(&mut messages, 40);
        assert!(check_all(&messages, 41).is_err());
        messages.swap(0, 1);
        assert!(check_all(&messages, 40).is_err());
    }

    #[test]
    fn bytes_are_checked_wherever_they_lie() {
        let mut message = [0_u64; 7];
        fill(&mut message, 9);
        let mut bytes = vec![0];
        bytes.extend_from_slice(message.as_bytes());
        check_bytes::<7>(&bytes[1..], 9).unwrap();
        assert!(check_bytes::<7>(&bytes[1..], 10).is_err());
        assert!(check_bytes::<7>(&bytes[2..], 9).is_err());
    }
}
