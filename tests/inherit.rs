//! What a child inherits through `fork`, and a program through `exec`: nothing that it could use
//! by mistake, and nothing that would keep others out.

mod common;
#[path = "common/raw.rs"]
mod raw;

use common::{TestChild, TestName, child_command, child_role, listen, say};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use raw::{CONSUMER, PRODUCER, sem_of, sem_value};
use segring::{Error, Name, Observer, Peer, RingError, spsc};
use std::os::unix::process::CommandExt;
use std::time::Duration;

type Ring = spsc::Ring<u64>;

#[test]
fn child_main() {
    let Some((role, args)) = child_role() else { return };
    match role.as_str() {
        "fork" => fork_role(&args[0]),
        "fork_bytes" => fork_bytes_role(&args[0]),
        "fork_grant" => fork_grant_role(&args[0]),
        "exec" => {
            let ring = Ring::builder(&*args[0]).attach().unwrap();
            let mut tx = ring.producer().unwrap();
            tx.try_push(1).unwrap();
            let failed = match args[1].as_str() {
                "self" => child_command("after_exec", &[&args[0]]).exec(),
                program => std::process::Command::new(program).arg("1000").exec(),
            };
            panic!("exec: {failed}");
        }
        "after_exec" => after_exec_role(&args[0]),
        "rival" => rival_role(&args[0]),
        "refused" => {
            let taken = Ring::builder(&*args[0]).attach().unwrap().producer().map(drop);
            say(&format!("{}", matches!(taken, Err(Error::SeatTaken { .. }))));
        }
        _ => panic!("unknown role {role}"),
    }
}

/// Runs checks in a forked child, as its only thread, and insists that they pass.
fn in_fork(f: impl FnOnce()) {
    // SAFETY: the child uses only what glibc makes usable after a fork.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            common::die_with_parent();
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
            // SAFETY: ends the process without running anything of the parent's.
            unsafe { libc::_exit(i32::from(done.is_err())) }
        }
        ForkResult::Parent { child } => {
            let status = waitpid(child, None).expect("waitpid");
            assert_eq!(status, WaitStatus::Exited(child, 0), "the forked child failed");
        }
    }
}

fn maps_segment(id: i32) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().any(|l| l.contains("/SYSV") && l.split_whitespace().nth(4) == Some(&id.to_string()))
}

fn forked(result: Result<(), Error>) {
    match result {
        Err(e @ Error::Forked { .. }) => assert!(e.to_string().contains("attach again after fork"), "{e}"),
        other => panic!("{other:?}"),
    }
}

fn role(role: &str, tag: &str) {
    let name = TestName::new(tag);
    TestChild::spawn(role, &[name.as_str()]).join();
}

#[test]
fn inherited_handles_refuse() {
    role("fork", "fork");
}

fn fork_role(name: &str) {
    let name = TestName::called(name);
    let ring = Ring::builder(name.name()).capacity(16).create().unwrap();
    let observer = Observer::attach(name.name()).unwrap();
    let mut tx = ring.producer().unwrap();
    let mut rx = ring.consumer().unwrap();
    tx.try_push(1).unwrap();
    let set = sem_of(name.key()).unwrap();
    let parent = std::process::id();
    assert!(maps_segment(ring.id()));
    {
        let (tx, rx, ring, observer) = (&mut tx, &mut rx, &ring, &observer);
        in_fork(|| {
            assert!(!maps_segment(ring.id()), "the child has the parent's mapping");
            let push = |r: Result<(), segring::Rejected<u64>>| r.map_err(|r| (r.value, r.error));
            assert_eq!(push(tx.try_push(9)), Err((9, RingError::Forked)));
            assert_eq!(push(tx.push(9)), Err((9, RingError::Forked)));
            assert_eq!(push(tx.push_timeout(9, Duration::ZERO)), Err((9, RingError::Forked)));
            assert_eq!(tx.push_slice(&[9]), Err(RingError::Forked));
            assert_eq!(tx.try_push_ref(&9), Err(RingError::Forked));
            assert_eq!(tx.wait_for_room(None), Err(RingError::Forked));
            tx.close();
            assert!(!tx.is_closed());
            assert_eq!(rx.try_pop(), Err(RingError::Forked));
            assert_eq!(rx.pop(), Err(RingError::Forked));
            assert_eq!(rx.pop_timeout(Duration::ZERO), Err(RingError::Forked));
            assert_eq!(rx.pop_slice(&mut [0]), Err(RingError::Forked));
            assert_eq!(rx.try_pop_into(&mut 0), Err(RingError::Forked));
            assert_eq!(rx.wait_for_message(None), Err(RingError::Forked));
            assert!(!rx.is_closed());
            forked(ring.producer().map(drop));
            forked(ring.consumer().map(drop));
            forked(ring.stats().map(drop));
            forked(ring.remove());
            forked(ring.set_mode(0o666));
            forked(ring.set_owner(1, 1));
            forked(ring.lock_memory(true));
            forked(observer.stats().map(drop));
            assert!(ring.is_empty() && !ring.is_closed() && ring.capacity() == 16);
        });
    }
    // The child drops everything: moved into it, while the parent keeps its own.
    // SAFETY: the child uses only what glibc makes usable after a fork.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            let id = ring.id();
            drop((tx, rx, ring, observer));
            child_of_its_own(&name, id, parent);
            // SAFETY: ends the process without running anything of the parent's.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None).expect("waitpid"), WaitStatus::Exited(child, 0));
        }
    }
    assert_eq!((sem_value(set, PRODUCER), sem_value(set, CONSUMER)), (1, 1));
    let live = Peer::Live { pid: parent };
    let stats = ring.stats().unwrap();
    assert_eq!((stats.producer, stats.consumer, stats.removed), (live, live, false));
    tx.try_push(2).unwrap();
    assert_eq!((rx.pop(), rx.pop()), (Ok(1), Ok(2)));
    assert_eq!(observer.stats().unwrap().popped, 2);
}

/// In a child that has dropped what it inherited: it attaches anew, as anybody may.
fn child_of_its_own(name: &TestName, id: i32, parent: u32) {
    let ring = Ring::builder(name.name()).attach().unwrap();
    assert_eq!(ring.id(), id);
    assert!(matches!(ring.producer(), Err(Error::SeatTaken { pid, .. }) if pid == parent));
    let private = Ring::builder(Name::private()).capacity(4).create().unwrap();
    let _guard = raw::Cleanup::of(private.id(), private.stats().unwrap().sem_id);
    let mut tx = private.producer().unwrap();
    let mut rx = private.consumer().unwrap();
    tx.try_push(3).unwrap();
    // A grandchild has neither the parent's nor the child's.
    in_fork(|| {
        assert_eq!(tx.try_push(4).map_err(|r| r.error), Err(RingError::Forked));
        forked(private.stats().map(drop));
        forked(ring.stats().map(drop));
        let again = Ring::builder(Name::id(private.id())).attach().unwrap();
        assert_eq!(again.len(), 1);
        assert!(matches!(again.consumer(), Err(Error::SeatTaken { .. })));
        assert_eq!(rx.try_pop(), Err(RingError::Forked), "a token of its own made an inherited handle valid");
    });
    assert_eq!(rx.pop(), Ok(3));
    private.remove().unwrap();
}

#[test]
fn inherited_byte_handles_and_trusted_ones_refuse() {
    role("fork_bytes", "fork-bytes");
}

fn fork_bytes_role(name: &str) {
    let name = TestName::called(name);
    let bytes = spsc::ByteRing::builder(name.name()).capacity(4096).create().unwrap();
    // SAFETY: this test is the only user of the ring.
    let mut tx = unsafe { bytes.producer().unwrap().trust_peers() };
    // SAFETY: as above.
    let mut rx = unsafe { bytes.consumer().unwrap().trust_peers() };
    tx.push(b"one").unwrap();
    in_fork(|| {
        assert_eq!(tx.push(b"x"), Err(RingError::Forked));
        assert_eq!(tx.reserve(8).map(drop), Err(RingError::Forked));
        assert_eq!(tx.wait_for_room(8, None), Err(RingError::Forked));
        assert_eq!(tx.wait_until_drained(None), Err(RingError::Forked));
        assert_eq!(rx.pop(), Err(RingError::Forked));
        assert_eq!(rx.read().map(drop), Err(RingError::Forked));
        forked(bytes.producer().map(drop));
        forked(bytes.stats().map(drop));
    });
    assert_eq!(rx.pop().as_deref(), Ok(&b"one"[..]));
    drop((tx, rx));

    let name = TestName::called(&format!("{}-typed", name.as_str()));
    let ring = Ring::builder(name.name()).create().unwrap();
    // SAFETY: this test is the only user of the ring.
    let mut tx = unsafe { ring.producer().unwrap().trust_peers() };
    // SAFETY: as above.
    let mut rx = unsafe { ring.consumer().unwrap().trust_peers() };
    tx.try_push(1).unwrap();
    in_fork(|| {
        assert_eq!(tx.reserve(1).map(drop), Err(RingError::Forked));
        assert_eq!(rx.read(1).map(drop), Err(RingError::Forked));
    });
    assert_eq!(rx.read(1).unwrap().release(1), 1);
}

/// A grant that is held across a fork belongs to the parent too.
#[test]
fn inherited_grants_commit_nothing() {
    role("fork_grant", "fork-grant");
}

fn fork_grant_role(name: &str) {
    let name = TestName::called(name);
    let ring = Ring::builder(name.name()).create().unwrap();
    // SAFETY: this test is the only user of the ring.
    let mut tx = unsafe { ring.producer().unwrap().trust_peers() };
    // SAFETY: as above.
    let mut rx = unsafe { ring.consumer().unwrap().trust_peers() };
    tx.try_push(1).unwrap();
    let write = tx.reserve(1).unwrap();
    let read = rx.read(1).unwrap();
    // The child uses them up; the parent, whose memory is another, gives them up unused.
    in_fork(|| {
        assert_eq!(write.commit(1), 0);
        assert_eq!(read.release(1), 0);
    });
    assert_eq!((tx.position(), rx.position(), rx.pop()), (1, 0, Ok(1)));
}

/// The image after an exec, with the pid and the undo of the one before.
fn after_exec_role(name: &str) {
    let ring = Ring::builder(name).attach().unwrap();
    let set = sem_of(common::key_of(name)).unwrap();
    assert_eq!(sem_value(set, PRODUCER), 1, "the undo did not survive the exec");
    let mut tx = ring.producer().expect("its own seat");
    assert_eq!(tx.position(), 1);
    tx.try_push(2).unwrap();
    assert!(matches!(ring.producer(), Err(Error::SeatTaken { pid, .. }) if pid == std::process::id()));
    say("took it over");
    listen();
    std::mem::forget((tx, ring));
}

#[test]
fn a_program_takes_its_own_seat_over_after_exec() {
    let name = TestName::new("exec-self");
    let ring = Ring::builder(name.name()).create().unwrap();
    let mut child = TestChild::spawn("exec", &[name.as_str(), "self"]);
    child.expect("took it over");
    let pid = child.pid() as u32;
    assert_eq!(ring.stats().unwrap().producer, Peer::Live { pid });
    assert!(matches!(ring.producer(), Err(Error::SeatTaken { pid: holder, .. }) if holder == pid));
    child.kill();
    assert_eq!(ring.stats().unwrap().producer, Peer::Died);
    let mut rx = ring.consumer().unwrap();
    assert_eq!((rx.pop(), rx.pop()), (Ok(1), Ok(2)));
    assert_eq!(ring.producer().unwrap().position(), 2);
}

#[test]
fn a_seat_left_behind_by_exec_is_taken_over() {
    let name = TestName::new("exec-other");
    let ring = Ring::builder(name.name()).create().unwrap();
    let mut child = TestChild::spawn("exec", &[name.as_str(), "sleep"]);
    let comm = format!("/proc/{}/comm", child.pid());
    while std::fs::read_to_string(&comm).unwrap().trim() != "sleep" {
        std::thread::yield_now();
    }
    let set = sem_of(name.key()).unwrap();
    assert_eq!(sem_value(set, PRODUCER), 1, "the undo did not survive the exec");
    let mut tx = ring.producer().expect("/proc/PID/maps proves that nobody uses the seat");
    assert_eq!(tx.position(), 1);
    tx.try_push(2).unwrap();
    assert!(child.child.try_wait().unwrap().is_none(), "it lives");
    // The old undo must not take the new holder's seat away.
    child.kill();
    assert_eq!(sem_value(set, PRODUCER), 1, "the seat was lost with the old image");
    assert_eq!(ring.stats().unwrap().producer, Peer::Live { pid: std::process::id() });
    TestChild::spawn("refused", &[name.as_str()]).expect("true");
    tx.try_push(3).unwrap();
    drop(tx);
    assert_eq!(sem_value(set, PRODUCER), 0);
    ring.producer().unwrap();
}

/// At each word, tries to take the seat; at the next, lets it go.
fn rival_role(name: &str) {
    let ring = Ring::builder(name).attach().unwrap();
    loop {
        let spins: u32 = listen().parse().unwrap();
        (0..spins).for_each(|_| std::hint::spin_loop());
        let tx = ring.producer();
        say(if tx.is_ok() { "won" } else { "lost" });
        assert_eq!(listen(), "next");
        drop(tx);
        say("left");
    }
}

/// A process that holds the seat, and has executed `sleep`.
fn left_by_exec(name: &TestName) -> TestChild {
    let child = TestChild::spawn("exec", &[name.as_str(), "sleep"]);
    let comm = format!("/proc/{}/comm", child.pid());
    while std::fs::read_to_string(&comm).unwrap().trim() != "sleep" {
        std::thread::yield_now();
    }
    child
}

/// Many want the seat at once: one gets it, whoever erases whose undo meanwhile.
#[test]
fn processes_race_for_a_seat_left_behind_by_exec() {
    let name = TestName::new("exec-race");
    let _ring = Ring::builder(name.name()).create().unwrap();
    let mut rivals: Vec<_> = (0..3).map(|_| TestChild::spawn("rival", &[name.as_str()])).collect();
    for round in 0..60u32 {
        let _former = left_by_exec(&name);
        for (rival, n) in rivals.iter_mut().zip(0u32..) {
            rival.tell(&(n * (round % 20) * 200).to_string());
        }
        let won = rivals.iter_mut().filter_map(TestChild::hear).filter(|said| said == "won").count();
        assert_eq!(won, 1, "round {round}");
        rivals.iter_mut().for_each(|rival| rival.tell("next"));
        rivals.iter_mut().for_each(|rival| rival.expect("left"));
    }
}

#[test]
fn threads_race_for_a_seat_left_behind_by_exec() {
    let name = TestName::new("exec-threads");
    let ring = Ring::builder(name.name()).create().unwrap();
    for round in 0..60u32 {
        let _former = left_by_exec(&name);
        let start = std::sync::Barrier::new(4);
        let try_it = |n: u32| {
            start.wait();
            (0..n * (round % 20) * 200).for_each(|_| std::hint::spin_loop());
            ring.producer().ok()
        };
        let try_it = &try_it;
        let won: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|n| scope.spawn(move || try_it(n))).collect();
            threads.into_iter().filter_map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(won.len(), 1, "round {round}");
    }
}

/// The segment stays out of core dumps and out of children.
#[test]
fn the_mapping_is_neither_dumped_nor_inherited() {
    let name = TestName::new("flags");
    let ring = Ring::builder(name.name()).create().unwrap();
    let observer = Observer::attach(name.name()).unwrap();
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut mine = false;
    let mut seen = 0;
    for line in smaps.lines() {
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            if std::mem::take(&mut mine) {
                let has = |flag: &str| flags.split_whitespace().any(|f| f == flag);
                assert!(has("dd") && has("dc"), "MADV_DONTDUMP, MADV_DONTFORK: {flags}");
                seen += 1;
            }
        } else if line.contains("/SYSV") {
            mine = line.split_whitespace().nth(4) == Some(&ring.id().to_string());
        }
    }
    assert_eq!(seen, 2, "one mapping each of ring and observer");
    drop(observer);
}
