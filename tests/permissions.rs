//! Modes, owners and creators. Other users are threads of this process with another effective
//! user: the kernel and the library look at nothing else.

mod common;
#[path = "common/raw.rs"]
mod raw;

use common::{TestName, objects, skip};
use raw::{Cleanup, as_user, is_root, sem_of, sem_stat, shm_stat};
use segring::{Builder, Error, Name, Observer, spsc};

type Ring = spsc::Ring<u64>;

const NOBODY: u32 = 65534;
const OTHER: u32 = 65533;

fn builder(name: &TestName) -> Builder<Ring> {
    Ring::builder(name.name()).capacity(8)
}

fn may_change_user(test: &str) -> bool {
    if !is_root() {
        skip(test, "needs root, to become other users");
    }
    is_root()
}

fn says(e: &Error, parts: &[&str]) {
    let text = e.to_string();
    for part in parts {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
}

#[test]
fn another_user_is_not_admitted() {
    if !may_change_user("another_user_is_not_admitted") {
        return;
    }
    let name = TestName::new("private");
    let ring = builder(&name).create().unwrap();
    as_user(NOBODY, || {
        let denied = [
            builder(&name).attach().unwrap_err(),
            builder(&name).allow_user(0).attach().unwrap_err(),
            builder(&name).create().unwrap_err(),
            builder(&name).create_or_attach().unwrap_err(),
            Observer::attach(name.name()).unwrap_err(),
            Observer::attach_trusting(Name::id(ring.id()), &[0]).unwrap_err(),
        ];
        for e in denied {
            assert!(matches!(e, Error::PermissionDenied { uid: NOBODY, .. }), "{e:?}");
            says(&e, &["EACCES", "user 65534", "shmctl(IPC_STAT)", "set_mode"]);
        }
        assert!(segring::list().unwrap().iter().all(|l| l.shm_id != ring.id()));
    });
    assert_eq!(objects(name.key()), (true, true));
}

/// Nobody can wait at a well-known name with a ring of his.
#[test]
fn another_users_ring_is_refused_unless_allowed() {
    if !may_change_user("another_users_ring_is_refused_unless_allowed") {
        return;
    }
    let name = TestName::new("other");
    let ring = as_user(NOBODY, || builder(&name).mode(0o666).create().unwrap());
    let here = [
        builder(&name).attach().unwrap_err(),
        builder(&name).create_or_attach().unwrap_err(),
        builder(&name).allow_user(OTHER).attach().unwrap_err(),
        Observer::attach(name.name()).unwrap_err(),
    ];
    let there = as_user(OTHER, || builder(&name).attach().unwrap_err());
    for (e, me) in here.into_iter().map(|e| (e, "user 0")).chain([(there, "user 65533")]) {
        assert!(matches!(e, Error::OtherUser { creator: NOBODY, half: "segment", .. }), "{e:?}");
        says(&e, &[name.as_str(), "created by user 65534", me, "allow_user(65534)"]);
    }
    let mine = builder(&name).allow_user(NOBODY).attach().unwrap();
    Observer::attach_trusting(name.name(), &[NOBODY]).unwrap();
    ring.producer().unwrap().try_push(1).unwrap();
    assert_eq!(mine.consumer().unwrap().pop(), Ok(1));
    as_user(OTHER, || {
        let theirs = builder(&name).allow_user(NOBODY).attach().unwrap();
        theirs.producer().unwrap().try_push(2).unwrap();
        let e = theirs.remove().unwrap_err();
        assert!(matches!(e, Error::PermissionDenied { call: "shmctl(IPC_RMID)", uid: OTHER, .. }), "{e:?}");
        says(&e, &["EPERM", "only its owner", "65533"]);
    });
    assert_eq!(mine.consumer().unwrap().pop(), Ok(2));
    mine.remove().unwrap();
    drop((ring, mine));
    assert!(raw::is_gone(name.key()));
}

#[test]
fn another_users_set_is_refused_and_never_used() {
    if !may_change_user("another_users_set_is_refused_and_never_used") {
        return;
    }
    let name = TestName::new("other-set");
    let theirs = as_user(NOBODY, || raw::sem_create(name.key(), 5));
    let e = builder(&name).create().unwrap_err();
    assert!(matches!(e, Error::OtherUser { creator: NOBODY, half: "semaphore set", .. }), "{e:?}");
    // Who trusts that user meets other creators there, but the ring gets a set of its own.
    let ring = builder(&name).allow_user(NOBODY).create().unwrap();
    let own = ring.stats().unwrap().sem_id;
    assert!(own != theirs);
    let _guard = Cleanup::set(own);
    builder(&name).attach().unwrap().producer().unwrap().try_push(1).unwrap();
    ring.remove().unwrap();
    drop(ring);
    assert!(raw::soon(|| sem_stat(own).is_none()));
}

/// Reading is enough to look, and not to take part.
#[test]
fn a_mode_for_observers() {
    if !may_change_user("a_mode_for_observers") {
        return;
    }
    let name = TestName::new("observers");
    let ring = builder(&name).mode(0o644).create().unwrap();
    ring.producer().unwrap().try_push(1).unwrap();
    as_user(NOBODY, || {
        let e = builder(&name).allow_user(0).attach().unwrap_err();
        assert!(matches!(e, Error::PermissionDenied { call: "shmat", .. }), "{e:?}");
        let observer = Observer::attach_trusting(name.name(), &[0]).unwrap();
        let stats = observer.stats().unwrap();
        assert_eq!((stats.len, stats.mode, stats.producer), (1, 0o644, segring::Peer::Left));
    });
}

/// Mode and owner of (segment, set), as the kernel says.
fn both(ring: &Ring) -> [(u32, u32, u32); 2] {
    let shm = shm_stat(ring.id()).unwrap().shm_perm;
    let sem = sem_stat(ring.stats().unwrap().sem_id).unwrap().sem_perm;
    [(u32::from(shm.mode) & 0o777, shm.uid, shm.gid), (u32::from(sem.mode) & 0o777, sem.uid, sem.gid)]
}

#[test]
fn mode_and_owner_of_both_halves() {
    let name = TestName::new("set");
    let ring = builder(&name).mode(0o640).create().unwrap();
    let (uid, gid) = (both(&ring)[0].1, both(&ring)[0].2);
    assert_eq!(both(&ring), [(0o640, uid, gid); 2]);
    ring.set_mode(0o666).unwrap();
    assert_eq!(both(&ring), [(0o666, uid, gid); 2]);
    assert_eq!(ring.stats().unwrap().mode, 0o666);
    if !may_change_user("mode_and_owner_of_both_halves") {
        return;
    }
    as_user(NOBODY, || {
        let theirs = builder(&name).allow_user(0).attach().unwrap();
        for e in [theirs.set_mode(0o777).unwrap_err(), theirs.set_owner(NOBODY, NOBODY).unwrap_err()] {
            assert!(matches!(e, Error::PermissionDenied { call: "semctl(IPC_SET)", .. }), "{e:?}");
            says(&e, &[name.as_str(), "EPERM", "only its owner", "65534"]);
        }
    });
    assert_eq!(both(&ring), [(0o666, uid, gid); 2]);
    ring.set_mode(0o600).unwrap();
    ring.set_owner(NOBODY, OTHER).unwrap();
    assert_eq!(both(&ring), [(0o600, NOBODY, OTHER); 2]);
    assert_eq!(ring.stats().unwrap().uid, NOBODY);
    as_user(NOBODY, || {
        // The owner, though not the creator.
        assert!(matches!(builder(&name).attach(), Err(Error::OtherUser { creator: 0, .. })));
        let theirs = builder(&name).allow_user(0).attach().unwrap();
        theirs.producer().unwrap().try_push(1).unwrap();
        theirs.set_mode(0o660).unwrap();
        theirs.remove().unwrap();
    });
    assert_eq!(both(&ring), [(0o660, NOBODY, OTHER); 2]);
    assert_eq!(ring.consumer().unwrap().pop(), Ok(1));
    drop(ring);
    assert!(raw::is_gone(name.key()));
}

#[test]
fn the_umask_does_not_matter() {
    let name = TestName::new("umask");
    // SAFETY: umask takes a number. No other test of this file makes a file.
    let old = unsafe { libc::umask(0o777) };
    let ring = builder(&name).mode(0o666).create();
    // SAFETY: as above.
    unsafe { libc::umask(old) };
    let ring = ring.unwrap();
    assert_eq!(both(&ring).map(|half| half.0), [0o666; 2]);
    assert!(sem_of(name.key()).is_some());
}
