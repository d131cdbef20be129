//! A header in which somebody wrote (I5): every field that carries weight is checked against the
//! kernel's own data, the others do no harm. Refusals touch nothing; nothing crashes.

mod common;
#[path = "common/raw.rs"]
mod raw;

use common::TestName;
use raw::{Cleanup, RawSegment, as_user, is_root, sem_create, sem_of, sem_remove};
use segring::{Builder, Error, Name, Observer, RingError, spsc};

type Ring = spsc::Ring<u64>;

const HEADER: usize = 1024;

fn builder(name: &TestName) -> Builder<Ring> {
    Ring::builder(name.name()).capacity(64).layout(segring::Layout::Dense).schema("tick.v1")
}

/// What may come of a flipped bit.
#[derive(Clone, Copy, PartialEq)]
enum Weight {
    /// An error, always.
    Refused,
    /// Means nothing to an attacher.
    Idle,
    /// Some values mean something else, and others nothing.
    Either,
}
use Weight::{Either, Idle, Refused};

/// Every numeric field of the header: name, offset, size.
const FIELDS: [(&str, usize, usize, Weight); 24] = [
    ("magic", 0, 8, Refused),
    ("ready", 8, 4, Refused),
    ("abi_major", 12, 2, Refused),
    ("abi_minor", 14, 2, Refused),
    // Bits 0 and 1 are known ones.
    ("features", 16, 4, Either),
    ("kind", 20, 4, Refused),
    ("slot_layout", 24, 4, Refused),
    ("seats", 28, 4, Refused),
    ("capacity", 32, 8, Refused),
    ("slot_count", 40, 8, Refused),
    ("stride", 48, 8, Refused),
    ("payload_size", 56, 8, Refused),
    ("payload_align", 64, 4, Refused),
    // The id of a set that does not exist: as if it had been removed.
    ("sem_id", 68, 4, Either),
    ("key", 72, 4, Refused),
    ("creator_uid", 76, 4, Idle),
    ("creator_pid", 80, 4, Idle),
    ("name_len", 84, 2, Refused),
    ("schema_len", 86, 2, Refused),
    ("created_at", 88, 8, Idle),
    ("seats_offset", 96, 8, Refused),
    ("cursors_offset", 104, 8, Refused),
    ("entries_offset", 112, 8, Refused),
    ("slots_offset", 120, 8, Refused),
];

#[test]
fn every_bit_of_every_field() {
    let name = TestName::new("bits");
    let ring = builder(&name).create().unwrap();
    ring.producer().unwrap().try_push(5).unwrap();
    let raw = RawSegment::attach(ring.id());
    let fields = FIELDS.iter().copied().chain([
        ("total_bytes", 128, 8, Refused),
        ("set_generation", 136, 8, Idle),
        ("name", 616, 8, Refused),
        ("schema", 488, 7, Refused),
        ("tail", 872, 8, Idle),
    ]);
    for (field, offset, size, weight) in fields {
        for bit in 0..size * 8 {
            let at = offset + bit / 8;
            let [byte] = raw.get::<1>(at);
            raw.put(at, &[byte ^ (1 << (bit % 8))]);
            let before = raw.bytes(0, raw.len);
            let attached = builder(&name).attach().map(drop);
            let observed = Observer::attach(name.name()).map(|o| o.stats().map(drop));
            assert!(raw.bytes(0, raw.len) == before, "attaching wrote, with a flipped {field}");
            match weight {
                Refused => assert!(attached.is_err(), "{field}, bit {bit} was accepted"),
                Idle => attached.unwrap_or_else(|e| panic!("{field}, bit {bit}: {e}")),
                Either => {}
            }
            drop(observed);
            raw.put(at, &[byte]);
        }
    }
    assert_eq!(builder(&name).attach().unwrap().consumer().unwrap().try_pop(), Ok(5));
}

/// A header of random bytes behind the right magic number, version and mark.
#[test]
fn random_headers() {
    let name = TestName::new("random");
    let ring = builder(&name).create().unwrap();
    let raw = RawSegment::attach(ring.id());
    let good = raw.bytes(0, HEADER);
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..3000 {
        // Now one damaged field, now many, now everything.
        for _ in 0..1 << (round % 8) {
            let at = 16 + random() as usize % (HEADER - 24);
            let value = if random() % 4 == 0 { u64::MAX << (random() % 64) } else { random() };
            raw.put_u64(at, value);
        }
        if let Ok(other) = Ring::builder(name.name()).attach() {
            assert_eq!(other.capacity(), 64);
        }
        if let Ok(observer) = Observer::attach(name.name()) {
            let _ = observer.stats();
        }
        raw.put(16, &good[16..]);
    }
    builder(&name).attach().unwrap();
}

/// Cursors that cannot be: `Corrupt`, on joining or in use, and never a crash.
#[test]
fn cursors_that_cannot_be() {
    let name = TestName::new("cursors");
    let ring = builder(&name).create().unwrap();
    let bytes_name = TestName::new("cursors-bytes");
    let bytes = spsc::ByteRing::builder(bytes_name.name()).capacity(4096).create().unwrap();
    let (raw, raw_bytes) = (RawSegment::attach(ring.id()), RawSegment::attach(bytes.id()));
    let (producer, consumer) = (1024 + 2 * 128, 1024 + 3 * 128);
    for value in [65, 1 << 32, (1 << 62) + 1, u64::MAX, u64::MAX - 63] {
        for line in [producer, consumer] {
            raw.put_u64(line, value);
            raw_bytes.put_u64(line, value);
            let joined = [ring.producer().map(drop), ring.consumer().map(drop)];
            assert!(joined.iter().any(|j| matches!(j, Err(Error::Corrupt { .. }))) || line == consumer);
            if let Ok(mut rx) = ring.consumer() {
                assert_eq!(rx.try_pop(), Err(RingError::Corrupt));
            }
            if let Ok(mut tx) = ring.producer() {
                assert_eq!(tx.try_push(1).map_err(|r| r.error), Err(RingError::Corrupt));
            }
            assert!(ring.stats().is_ok());
            assert!(matches!(bytes.producer(), Err(Error::Corrupt { .. })), "{value:#x} at {line}");
            if let Ok(mut rx) = bytes.consumer() {
                assert_eq!(rx.try_pop(), Err(RingError::Corrupt));
            }
            raw.put_u64(line, 0);
            raw_bytes.put_u64(line, 0);
        }
    }
    let e = {
        raw.put_u64(producer, u64::MAX);
        ring.producer().unwrap_err()
    };
    assert!(e.to_string().contains("corrupt") && e.to_string().contains("create it anew"), "{e}");
    // A refused join has left the seat again.
    raw.put_u64(producer, 0);
    ring.producer().unwrap().try_push(1).unwrap();
}

/// The header of a large ring in a small segment.
#[test]
fn a_segment_shorter_than_its_header_says() {
    let (large, small) = (TestName::new("large"), TestName::new("small"));
    let ring = builder(&large).capacity(4096).create().unwrap();
    let header = RawSegment::attach(ring.id()).bytes(0, HEADER);
    let raw = RawSegment::create(small.key(), 8192);
    raw.put(0, &header);
    raw.put_i32(72, small.key());
    let e = Ring::builder(Name::raw(small.key())).attach().unwrap_err();
    assert!(matches!(e, Error::NotSegring { .. }), "{e:?}");
    assert!(e.to_string().contains("describes") && e.to_string().contains("has 8192"), "{e}");
}

/// A segment and a set that were not made for each other are no ring.
#[test]
fn the_halves_are_bound() {
    let (name, other) = (TestName::new("half"), TestName::new("other-half"));
    let ring = builder(&name).create().unwrap();
    let stranger = builder(&other).create().unwrap();
    let raw = RawSegment::attach(ring.id());
    let own = ring.stats().unwrap().sem_id;
    let refused = |sem_id: i32, what: &str| {
        raw.put_i32(68, sem_id);
        let e = builder(&name).attach().unwrap_err();
        let text = e.to_string();
        assert!(matches!(e, Error::NotSegring { .. } | Error::OtherUser { .. }), "{what}: {e:?}");
        assert!(text.contains("semaphore set"), "{what}: {text}");
        raw.put_i32(68, own);
    };
    refused(stranger.stats().unwrap().sem_id, "another key");
    let wrong_count = Cleanup::set(sem_create(0, 7));
    refused(wrong_count.sets[0], "another number of seats");
    let wrong_user = is_root().then(|| Cleanup::set(as_user(65534, || sem_create(0, 5))));
    if let Some(set) = &wrong_user {
        refused(set.sets[0], "another creator");
        // Also for one who trusts that other user: the halves have different creators.
        raw.put_i32(68, set.sets[0]);
        let e = builder(&name).allow_user(65534).attach().unwrap_err();
        assert!(matches!(e, Error::NotSegring { .. }), "{e:?}");
        raw.put_i32(68, own);
    }
    // The header says another key than the kernel.
    raw.put_i32(72, name.key() ^ 1);
    assert!(matches!(Observer::attach(Name::id(ring.id())), Err(Error::NotSegring { .. })));
    raw.put_i32(72, name.key());
    builder(&name).attach().unwrap().producer().unwrap();
}

/// Without its set a ring can be looked at, but nobody can sit down.
#[test]
fn a_ring_whose_set_is_gone() {
    let name = TestName::new("no-set");
    let ring = builder(&name).create().unwrap();
    ring.producer().unwrap().try_push(1).unwrap();
    sem_remove(sem_of(name.key()).unwrap());
    let late = builder(&name).attach().unwrap();
    for e in [ring.producer().unwrap_err(), late.consumer().unwrap_err()] {
        assert!(matches!(e, Error::Removed { .. }), "{e:?}");
        let text = e.to_string();
        for part in [name.as_str(), "semctl(GETVAL)", "removed", "create it anew"] {
            assert!(text.contains(part), "{text:?} does not say {part:?}");
        }
    }
    let stats = late.stats().unwrap();
    assert_eq!((stats.len, stats.producer), (1, segring::Peer::Unknown));
    assert!(matches!(builder(&name).create(), Err(Error::Exists { .. })));
    ring.remove().unwrap();
    builder(&name).create().unwrap();
}
