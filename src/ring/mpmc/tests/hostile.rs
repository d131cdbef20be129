//! Words that nobody of this protocol writes (I5).

use super::{Heap, Ring};
use crate::layout::exchange::Op;
use crate::ring::RingError;
use crate::ring::mpmc::repair::finish;
use crate::ring::mpmc::walk::look;
use crate::ring::mpmc::{Entries, Hand, Memory, Message, closing, look_for_room, progress};
use crate::sync::Ordering::Relaxed;
use proptest::prelude::*;

#[test]
fn words_that_no_hand_writes_are_corrupt_and_left_alone() {
    let bad = [3 << 23, 12, Op::push(5, 12).0, Op::pop(1, u32::MAX >> 9).0, u64::MAX];
    for word in bad {
        for field in 0..2 {
            let ring = Ring::new(8, 4, 0);
            let line = &ring.heap.hands[1];
            [&line.cur, &line.now][field].store(word, Relaxed);
            let words = ring.heap.words();
            assert!(matches!(finish(&ring.heap, 1), Err(RingError::Corrupt)), "{word:x} in {field}");
            assert_eq!(ring.heap.words(), words, "{word:x} in {field}");
        }
    }
}

/// A word that somebody hostile might have written: any bits, or nearly sound ones.
fn word() -> impl Strategy<Value = u64> {
    let laps = prop_oneof![0..4u64, any::<u64>(), Just(1u64 << 37), Just(3 << 36), Just(1 << 38)];
    let sound = (laps, 0..4u64, 0..16u64).prop_map(|(lap, kind, slot)| lap << 25 | kind << 23 | slot);
    prop_oneof![any::<u64>(), sound]
}

/// No position is ever beyond this.
const MOST: u64 = crate::ring::POSITION_MAX;

/// Any, and those near both ends of what may be.
fn position() -> impl Strategy<Value = u64> {
    prop_oneof![0..20u64, MOST - 20..=MOST + 1, any::<u64>()]
}

/// What somebody hostile has written into a ring, all of it.
#[derive(Clone, Debug)]
struct Garbage {
    bits: u32,
    words: Vec<u64>,
    hints: [u64; 2],
    closed: bool,
}

fn garbage() -> impl Strategy<Value = Garbage> {
    let words = proptest::collection::vec(word(), 8 + 11 + 9);
    (0..4u32, words, [position(), position()], any::<bool>())
        .prop_map(|(bits, words, hints, closed)| Garbage { bits, words, hints, closed })
}

impl Garbage {
    fn heap(&self) -> Heap {
        let heap = Heap::new(1 << self.bits, 3, 0);
        let hands = heap.hands.iter().flat_map(|hand| [&hand.cur, &hand.now, &hand.rel]);
        for (word, to) in self.words.iter().zip(heap.entries.iter().chain(hands).chain(&heap.headers)) {
            to.store(*word, Relaxed);
        }
        heap.cursors.producer.cursor.store(self.hints[0], Relaxed);
        heap.cursors.consumer.cursor.store(self.hints[1], Relaxed);
        heap.cursors.state.flags.store(u32::from(self.closed), Relaxed);
        heap.limit.set(10 * (&heap).capacity() + 200);
        heap
    }
}

/// A hand that is sound, whatever the shared words say: it is private.
fn sound_hand(heap: &Heap) -> Hand {
    let mut hand = Hand::from_parts((0, Op::start((&heap).capacity() as u32).0, false));
    hand.stamp(heap, false);
    hand
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// I5: each operation ends after a walk around the ring or so, and no number leads out of the ring.
    #[test]
    fn whatever_is_written_there_every_operation_ends(garbage in garbage(), at in position()) {
        // Private: where it may be, it stays.
        let stays = |done: Result<(), RingError>, to: u64| done.is_ok() || at > MOST || to <= MOST;
        let mut to = at;
        let done = look(&garbage.heap(), &mut to);
        prop_assert!(stays(done, to), "look: {done:?} at {to:x}");
        let mut to = at;
        let done = look_for_room(&garbage.heap(), &mut to);
        prop_assert!(stays(done, to), "look_for_room: {done:?} at {to:x}");
        let _ = progress(&garbage.heap());
        let _ = closing::close(&garbage.heap());
        let heap = garbage.heap();
        if let Ok((hand, _)) = finish(&heap, 1) {
            prop_assert!(hand.slot().0 < (&heap).slot_count());
        }
        let heap = garbage.heap();
        let (mut hand, mut to) = (sound_hand(&heap), at);
        let done = hand.try_pop(&heap, &mut to).map(drop);
        prop_assert!(hand.slot().0 < (&heap).slot_count());
        prop_assert!(stays(done, to), "try_pop: {done:?} at {to:x}");
        for message in [Message::New, Message::Again] {
            let heap = garbage.heap();
            let (mut hand, mut to) = (sound_hand(&heap), at);
            let done = hand.try_push(&heap, &mut to, message);
            prop_assert!(hand.slot().0 < (&heap).slot_count());
            prop_assert!(stays(done, to), "try_push of {message:?}: {done:?} at {to:x}");
        }
    }
}

/// Each entry is ahead of the one before, all around: a walk follows them once around all laps.
#[test]
fn entries_that_chase_each_other_are_corrupt() {
    for capacity in [4u64, 8] {
        let heap = Heap::new(capacity, 3, 0);
        for (i, entry) in (1..).zip(&heap.entries) {
            entry.store(((1 << 39) / capacity * i) << 25, Relaxed);
        }
        heap.limit.set(10 * capacity + 200);
        assert_eq!(look_for_room(&heap, &mut 0), Err(RingError::Corrupt));
    }
}
