//! I4 by the segment's own words: each slot is in exactly one place, in an entry or in a hand.

use crate::raw::RawSegment;

/// Offsets in the header, by docs/layout.md.
const SEATS: usize = 28;
const CAPACITY: usize = 32;
const ENTRIES_OFFSET: usize = 112;
const IN_HAND: usize = 160;
const HANDS_OFFSET: usize = 168;
/// From hand to hand; `cur` comes first.
pub(crate) const HAND: usize = 128;
/// The low bits of an entry, and of a hand's words.
const SLOT_BITS: u64 = (1 << 23) - 1;

/// Where hand 0 lies, and how many hands there are.
pub(crate) fn hands(raw: &RawSegment) -> (usize, usize) {
    let seats = u32::from_le_bytes(raw.get(SEATS)) as usize;
    (raw.get_u64(HANDS_OFFSET) as usize, seats * raw.get_u64(IN_HAND) as usize)
}

/// Counts where each slot is. For a ring that nobody uses, and whose dead have been seen to.
pub(crate) fn check_slots(id: i32) {
    let raw = RawSegment::attach(id);
    let (first_hand, hands) = hands(&raw);
    let capacity = raw.get_u64(CAPACITY) as usize;
    let first_entry = raw.get_u64(ENTRIES_OFFSET) as usize;
    let entries = (0..capacity).map(|i| first_entry + 8 * i);
    let curs = (0..hands).map(|i| first_hand + HAND * i);
    let mut places = vec![Vec::new(); capacity + hands];
    for at in entries.chain(curs) {
        places[(raw.get_u64(at) & SLOT_BITS) as usize].push(at);
    }
    for (slot, places) in places.iter().enumerate() {
        assert_eq!(
            places.len(),
            1,
            "slot {slot} is at {places:?}: entries {first_entry}, hands {first_hand}"
        );
    }
}
