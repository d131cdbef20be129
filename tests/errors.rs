//! What goes wrong before a ring is in use: each error names the ring, its key, the failing call
//! with its errno, and what to do; and nothing of anybody else's is touched.

mod common;
#[path = "common/raw.rs"]
mod raw;

use common::{TestName, key_of, objects};
use raw::{Cleanup, RawSegment, sem_create, sem_of, sem_set_value, sem_stat, sem_value, shm_of, shm_stat};
use segring::{Builder, Error, Kind, Name, Observer, spsc};
use std::collections::HashMap;

type Ring = spsc::Ring<u64>;

fn builder(name: &TestName) -> Builder<Ring> {
    Ring::builder(name.name()).capacity(16)
}

/// Whether the message names the ring and its key, and says all this.
fn said(error: &Error, name: &TestName, parts: &[&str]) {
    let text = error.to_string();
    let key = format!("{:#010x}", name.key());
    for part in [name.as_str(), &key].into_iter().chain(parts.iter().copied()) {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
}

/// Every way to come by a name.
fn all_ways(name: &TestName) -> [(&'static str, Error); 4] {
    [
        ("attach", builder(name).attach().unwrap_err()),
        ("observe", builder(name).observe().unwrap_err()),
        ("create", builder(name).create().unwrap_err()),
        ("create_or_attach", builder(name).create_or_attach().unwrap_err()),
    ]
}

#[test]
fn no_such_ring() {
    let name = TestName::new("nothing");
    let errors = [
        builder(&name).attach().unwrap_err(),
        builder(&name).observe().unwrap_err(),
        Observer::attach(name.name()).unwrap_err(),
    ];
    for e in errors {
        assert!(matches!(e, Error::NotFound { call: "shmget", .. }), "{e:?}");
        said(&e, &name, &["no such ring", "shmget", "ENOENT", "create it first", "create_or_attach"]);
    }
    assert_eq!(objects(name.key()), (false, false));
}

#[test]
fn a_second_create_is_refused_and_changes_nothing() {
    let name = TestName::new("exists");
    let ring = builder(&name).create().unwrap();
    ring.producer().unwrap().try_push(7).unwrap();
    let e = builder(&name).capacity(64).create().unwrap_err();
    assert!(matches!(e, Error::Exists { shm_id, .. } if shm_id == ring.id()), "{e:?}");
    said(&e, &name, &["exists already", &ring.id().to_string(), "attach", "remove"]);
    assert_eq!(builder(&name).capacity(64).create_or_attach().unwrap().capacity(), 16);
    assert_eq!(ring.consumer().unwrap().try_pop(), Ok(7));
}

#[test]
fn the_wrong_kind() {
    let name = TestName::new("kind");
    let _ring = builder(&name).create().unwrap();
    let e = spsc::ByteRing::builder(name.name()).attach().unwrap_err();
    assert!(matches!(e, Error::WrongKind { found: Kind::Spsc, wanted: Kind::SpscBytes, .. }), "{e:?}");
    said(&e, &name, &["kind spsc, not spsc-bytes", "use that kind"]);

    let name = TestName::new("kind-bytes");
    let _ring = spsc::ByteRing::builder(name.name()).create().unwrap();
    let e = builder(&name).attach().unwrap_err();
    assert!(matches!(e, Error::WrongKind { found: Kind::SpscBytes, wanted: Kind::Spsc, .. }), "{e:?}");
}

#[test]
fn the_wrong_payload() {
    let name = TestName::new("payload");
    let _ring = builder(&name).create().unwrap();
    let e = spsc::Ring::<[u64; 2]>::builder(name.name()).attach().unwrap_err();
    assert!(matches!(e, Error::WrongPayload { found_size: 8, wanted_size: 16, .. }), "{e:?}");
    said(&e, &name, &["size 8 and alignment 8, not 16 and 8", "the same payload type"]);
    let e = spsc::Ring::<[u8; 8]>::builder(name.name()).attach().unwrap_err();
    assert!(matches!(e, Error::WrongPayload { found_align: 8, wanted_align: 1, .. }), "{e:?}");
    // An observer takes any payload.
    Observer::attach(name.name()).unwrap();
}

#[test]
fn the_wrong_schema() {
    let name = TestName::new("schema");
    let _ring = builder(&name).schema("tick.v1").create().unwrap();
    let e = builder(&name).schema("tick.v2").attach().unwrap_err();
    assert!(matches!(&e, Error::WrongSchema { found, .. } if found == "tick.v1"), "{e:?}");
    said(&e, &name, &["\"tick.v1\", not \"tick.v2\"", "the same schema"]);
    builder(&name).schema("tick.v1").attach().unwrap();
    // Who names none takes what is there.
    builder(&name).attach().unwrap();
}

#[test]
fn the_wrong_version() {
    let name = TestName::new("abi");
    let ring = builder(&name).create().unwrap();
    let raw = RawSegment::attach(ring.id());
    // (offset, bytes): abi_major, abi_minor, features.
    let cases: [(usize, &[u8], &str); 4] =
        [(12, &[1], "1.3"), (14, &[4], "0.4"), (16, &[8], "features 0x8"), (19, &[0x80], "0x80000000")];
    for (at, bytes, shown) in cases {
        let before = raw.bytes(at, bytes.len());
        raw.put(at, bytes);
        let errors = [builder(&name).attach().unwrap_err(), Observer::attach(name.name()).unwrap_err()];
        for e in errors {
            assert!(matches!(e, Error::WrongAbi { .. }), "{e:?}");
            said(&e, &name, &[shown, "this program speaks 0.3", "the same segring version"]);
        }
        assert!(matches!(builder(&name).create(), Err(Error::Exists { .. })));
        assert_eq!(raw.bytes(at, bytes.len()), bytes, "an older version changed a newer ring");
        raw.put(at, &before);
    }
    builder(&name).attach().unwrap();
}

/// Contents and time of the last change of a segment that is none of ours. (Not the number of its
/// users: whoever lists the rings attaches to it for a moment.)
fn fingerprint(raw: &RawSegment) -> (Vec<u8>, i64) {
    (raw.bytes(0, raw.len), shm_stat(raw.id).expect("still exists").shm_ctime)
}

#[test]
fn a_foreign_segment_is_left_untouched() {
    for (len, fill) in [(8192, 0x5A), (8192, 1), (1500, 0xFF), (100, 0x5A), (100, 0), (1, 0)] {
        let name = TestName::new("foreign");
        let raw = RawSegment::create(name.key(), len);
        raw.put(0, &vec![fill; len]);
        let before = fingerprint(&raw);
        for (way, e) in all_ways(&name) {
            assert!(matches!(e, Error::NotSegring { .. }), "{way}, {len} bytes of {fill}: {e:?}");
            said(&e, &name, &["not a segring segment", "left untouched", "another name or key", "ipcrm"]);
        }
        assert!(matches!(Observer::attach(Name::id(raw.id)), Err(Error::NotSegring { .. })));
        assert!(segring::list().unwrap().iter().all(|ring| ring.shm_id != raw.id));
        assert!(fingerprint(&raw) == before, "a foreign segment was changed");
        assert_eq!(shm_of(name.key()), Some(raw.id));
        assert_eq!(sem_of(name.key()), None, "a semaphore set was left beside a foreign segment");
    }
}

/// Nothing tells such a segment from a ring in its first microseconds but that nobody makes one.
#[test]
fn a_foreign_segment_of_zeros_is_left_untouched() {
    let name = TestName::new("zeros");
    let raw = RawSegment::create(name.key(), 8192);
    let before = fingerprint(&raw);
    for (way, e) in all_ways(&name) {
        match way {
            "attach" | "observe" => assert!(matches!(e, Error::NotReady { .. }), "{way}: {e:?}"),
            _ => assert!(matches!(e, Error::NotSegring { .. }), "{way}: {e:?}"),
        }
        said(&e, &name, &[]);
    }
    assert!(fingerprint(&raw) == before, "a foreign segment was changed");
    assert_eq!((shm_of(name.key()), sem_of(name.key())), (Some(raw.id), None));
}

#[test]
fn a_segment_that_is_not_ready() {
    let name = TestName::new("not-ready");
    let raw = RawSegment::create(name.key(), 16384);
    raw.put(0, b"SEGRING\0");
    let e = builder(&name).attach().unwrap_err();
    assert!(matches!(e, Error::NotReady { .. }), "{e:?}");
    said(&e, &name, &["not ready", "died half-way", "create"]);
    // No creator has left its mark: it is not ours to remove.
    let e = builder(&name).create().unwrap_err();
    assert!(matches!(e, Error::NotSegring { .. }), "{e:?}");
    assert_eq!((shm_of(name.key()), sem_of(name.key())), (Some(raw.id), None));
}

#[test]
fn a_foreign_semaphore_set_is_left_untouched() {
    for (count, value) in [(1, 1), (1, 0), (3, 0), (5, 1), (7, 0), (7, 1)] {
        let name = TestName::new("foreign-set");
        let set = sem_create(name.key(), count);
        for index in 0..count {
            sem_set_value(set, index, value);
        }
        let before = sem_stat(set).unwrap();
        for e in [builder(&name).create().unwrap_err(), builder(&name).create_or_attach().unwrap_err()] {
            assert!(matches!(e, Error::NotSegring { .. }), "{count} semaphores at {value}: {e:?}");
            said(&e, &name, &[&format!("semaphore set {set}"), "left untouched", "ipcrm"]);
        }
        assert!(matches!(builder(&name).attach(), Err(Error::NotFound { .. })));
        let after = sem_stat(set).expect("still exists");
        assert_eq!((before.sem_otime, before.sem_ctime), (after.sem_otime, after.sem_ctime));
        assert!((0..count).all(|index| sem_value(set, index) == value));
        assert_eq!((shm_of(name.key()), sem_of(name.key())), (None, Some(set)));
    }
}

/// Two names with the same key, of this test alone.
fn colliding_names() -> (TestName, String) {
    let name = TestName::new("collision");
    let mut seen = HashMap::new();
    for i in 0.. {
        let other = format!("{}-{i}", name.as_str());
        if let Some(first) = seen.insert(key_of(&other), other.clone()) {
            // A guard that removes what is under their key, whichever of the two it is called.
            return (TestName::called(&first), other);
        }
    }
    unreachable!()
}

#[test]
fn two_names_with_one_key_never_mix() {
    assert_eq!(key_of("costarring"), key_of("liquid"));
    let (name, other) = colliding_names();
    let ring = builder(&name).create().unwrap();
    ring.producer().unwrap().try_push(1).unwrap();
    let attach = || Ring::builder(&*other);
    for e in [attach().attach().unwrap_err(), attach().create_or_attach().unwrap_err()] {
        assert!(matches!(&e, Error::Collision { found, .. } if found == name.as_str()), "{e:?}");
        let text = e.to_string();
        for part in [&other, name.as_str(), &format!("{:#010x}", name.key()), "another name", "key:0x"] {
            assert!(text.contains(part), "{text:?} does not say {part:?}");
        }
    }
    assert!(matches!(attach().create(), Err(Error::Exists { shm_id, .. }) if shm_id == ring.id()));
    assert_eq!(ring.len(), 1);
    // Whoever has the key has the ring.
    assert_eq!(Ring::builder(Name::raw(name.key())).attach().unwrap().name(), name.as_str());
}

#[test]
fn names_that_cannot_be() {
    for bad in [String::new(), "x".repeat(256), "a\0b".into()] {
        for e in [Ring::builder(&*bad).create().unwrap_err(), Ring::builder(&*bad).attach().unwrap_err()] {
            assert!(matches!(&e, Error::BadName { name } if *name == bad), "{e:?}");
            assert!(e.to_string().contains("1 to 255 bytes"), "{e}");
        }
    }
    let longest = format!("{}-{}", TestName::new("long").as_str(), "x".repeat(255));
    let guard = TestName::called(&longest[..255]);
    assert_eq!(builder(&guard).create().unwrap().name(), guard.as_str());

    let missing = Name::path("/nonexistent/segring");
    for e in [Ring::builder(&missing).create().unwrap_err(), Ring::builder(&missing).attach().unwrap_err()] {
        let text = e.to_string();
        assert!(matches!(e, Error::BadPath { .. }), "{e:?}");
        for part in ["/nonexistent/segring", "ENOENT", "existing file"] {
            assert!(text.contains(part), "{text:?} does not say {part:?}");
        }
    }
}

#[test]
fn ids_name_what_exists() {
    let e = Ring::builder(Name::id(i32::MAX)).attach().unwrap_err();
    assert!(matches!(e, Error::NotFound { call: "shmctl(IPC_STAT)", .. }), "{e:?}");
    let text = e.to_string();
    for part in ["id:2147483647", "shmctl(IPC_STAT)", "EINVAL", "no such ring"] {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
    for e in [
        Ring::builder(Name::id(i32::MAX)).create().unwrap_err(),
        Ring::builder(Name::id(i32::MAX)).create_or_attach().unwrap_err(),
    ] {
        assert!(matches!(e, Error::IdCannotCreate { id: i32::MAX }), "{e:?}");
        assert!(e.to_string().contains("create under a name, a path or a key"), "{e}");
    }
    let e = Ring::builder(Name::private()).attach().unwrap_err();
    assert!(matches!(e, Error::BadOption { .. }) && e.to_string().contains("by id"), "{e:?}");

    let private = Ring::builder(Name::private()).create().unwrap();
    let _guard = Cleanup::of(private.id(), private.stats().unwrap().sem_id);
    assert_eq!(private.stats().unwrap().key, 0);
    let same = Ring::builder(Name::id(private.id())).attach().unwrap();
    private.producer().unwrap().try_push(3).unwrap();
    assert_eq!(same.consumer().unwrap().try_pop(), Ok(3));
}

#[test]
fn settings_that_cannot_be() {
    let name = TestName::new("option");
    let refused = |b: Builder<Ring>, parts: &[&str]| {
        let e = b.create().unwrap_err();
        assert!(matches!(e, Error::BadOption { .. }), "{e:?}");
        said(&e, &name, parts);
        assert_eq!(objects(name.key()), (false, false));
    };
    refused(builder(&name).capacity(0), &["capacity of 0", "at least 1"]);
    refused(builder(&name).capacity(usize::MAX), &["18446744073709551615"]);
    refused(builder(&name).capacity(1 << 60), &["64 TiB", "smaller capacity"]);
    refused(builder(&name).mode(0o400), &["0o400", "0o600"]);
    refused(builder(&name).mode(0o1600), &["0o1600", "0o600"]);
    refused(builder(&name).schema("x".repeat(128)), &["at most 127 bytes"]);
    refused(builder(&name).schema("a\0b"), &["without NUL"]);
    let e =
        spsc::Ring::<[u64; 8]>::builder(name.name()).layout(segring::Layout::Stamped).create().unwrap_err();
    assert!(matches!(e, Error::BadOption { .. }), "{e:?}");
    said(&e, &name, &["64 bytes", "up to 56"]);

    let ring = builder(&name).schema("x".repeat(127)).create().unwrap();
    let e = ring.set_mode(0o4755).unwrap_err();
    assert!(matches!(e, Error::BadOption { .. }), "{e:?}");
    said(&e, &name, &["0o4755"]);
}

#[test]
fn capacities_are_rounded_up() {
    for (wish, got) in [(1, 1), (2, 2), (3, 4), (4000, 4096), (4096, 4096)] {
        let name = TestName::new("round");
        let ring = Ring::builder(name.name()).capacity(wish).create().unwrap();
        assert_eq!(ring.capacity(), got);
        assert_eq!(ring.stats().unwrap().capacity, got as u64);
        let mut tx = ring.producer().unwrap();
        assert_eq!(tx.push_slice(&vec![1; 5000]), Ok(got));
    }
    for (wish, got) in [(1, 4096), (4096, 4096), (5000, 8192)] {
        let name = TestName::new("round-bytes");
        let ring = spsc::ByteRing::builder(name.name()).capacity(wish).create().unwrap();
        assert_eq!((ring.capacity(), ring.max_record()), (got, got / 2 - 8));
    }
}

#[test]
fn a_path_names_a_file_not_a_spelling() {
    let dir = std::env::temp_dir().join(TestName::new("path").as_str());
    std::fs::create_dir(&dir).unwrap();
    let ring = Ring::builder(Name::path(&dir)).create();
    let other = dir.join("..").join(dir.file_name().unwrap());
    let same = Ring::builder(Name::path(&other)).attach();
    std::fs::remove_dir(&dir).unwrap();
    let ring = ring.unwrap();
    let _guard = Cleanup::of(ring.id(), ring.stats().unwrap().sem_id);
    assert_eq!(same.unwrap().id(), ring.id());
}
