//! How one message of a fixed size lies in its slot.

/// Where a typed ring keeps its messages and their commit marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// Each slot carries its own stamp behind the payload: flag and data arrive in one cache line.
    /// The default for payloads of up to 56 bytes, and not possible for larger ones. Best for one
    /// message per call.
    Stamped,
    /// Slots lie without gaps and one cursor commits them. The default for larger payloads, best for
    /// bulk at any size, and the only one with slices in place. What an exchange ring's slots say, too.
    Dense,
    /// Messages of up to 8 bytes lie in the entries themselves: an [`mpmc::Ring`](crate::mpmc::Ring) of such,
    /// unless it is to hold messages in hands. Not to be asked for: the builder's `redelivery` and `in_hand`
    /// decide. Not of SPSC rings.
    Inline,
}

impl Layout {
    /// The layout that measurement favours for a payload of this size, with one message per call
    /// (`docs/measurements.md`).
    #[must_use]
    pub const fn for_payload(size: usize) -> Self {
        if size <= STAMPED_MAX { Self::Stamped } else { Self::Dense }
    }
}

/// The largest payload of a stamped slot: payload and stamp share one 64-byte line.
pub(crate) const STAMPED_MAX: usize = 56;

/// Bytes from one stamped slot to the next: 16, 32 or 64, so that no slot straddles a line.
/// Payload first (offset 0), stamp in the last 8 bytes.
pub(crate) const fn stamped_stride(payload: usize) -> usize {
    let needed = payload + 8;
    if needed <= 16 { 16 } else { needed.next_power_of_two() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamped_slot_never_straddles_a_line() {
        for size in 1..=STAMPED_MAX {
            let stride = stamped_stride(size);
            assert!(stride >= size + 8 && 64 % stride == 0, "size {size}");
        }
    }
}
