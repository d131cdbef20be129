//! Making a ring: by many at once, and by creators that are killed or stopped at any system call.

mod common;
#[path = "common/raw.rs"]
mod raw;
#[path = "common/traced.rs"]
mod traced;

use common::{TestChild, TestName, child_role, listen, objects, say};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use raw::{CREATING, RawSegment, sem_of, sem_value, shm_of};
use segring::{Builder, Error, spsc};
use traced::{kill_and_reap, leave_stopped, step, step_instruction, step_until, traced, wait};

type Ring = spsc::Ring<u64>;

fn builder(name: &str) -> Builder<Ring> {
    Ring::builder(name).capacity(16)
}

#[test]
fn child_main() {
    let Some((role, args)) = child_role() else { return };
    match role.as_str() {
        "race" => race_role(&args[0]),
        "loop" => loop {
            if let Ok(ring) = builder(&args[0]).create() {
                let _ = ring.remove();
            }
        },
        "come_and_go" => come_and_go_role(&args[0]),
        "sweep" => sweep_role(&args[0], &args[1]),
        "mark" => mark_role(&args[0]),
        "stop" => stop_role(&args[0], &args[1]),
        _ => panic!("unknown role {role}"),
    }
}

/// Each round: how, then what came of it; then the ring is let go.
fn race_role(name: &str) {
    loop {
        let ring = match listen().as_str() {
            "create" => builder(name).create(),
            "both" => builder(name).create_or_attach(),
            other => panic!("{other}"),
        };
        match &ring {
            Ok(ring) => say(&format!("ok {}", ring.id())),
            Err(Error::Exists { shm_id, .. }) => say(&format!("exists {shm_id}")),
            Err(e) => say(&format!("{e}")),
        }
        assert_eq!(listen(), "next");
        drop(ring);
        say("dropped");
    }
}

/// Makes or finds a ring, uses it, and removes it, while others do the same.
fn come_and_go_role(name: &str) {
    for round in 0..1500 {
        let ring = match builder(name).create_or_attach() {
            Ok(ring) => ring,
            Err(e) => panic!("round {round}: {e}"),
        };
        match ring.producer() {
            Ok(mut tx) => drop(tx.try_push(round)),
            // Removed by another one, or its seat is taken.
            Err(Error::Removed { .. } | Error::SeatTaken { .. }) => {}
            Err(e) => panic!("round {round}: {e}"),
        }
        ring.remove().unwrap();
    }
}

#[test]
fn rings_that_come_and_go() {
    let name = TestName::new("come-and-go");
    let children: Vec<_> = (0..4).map(|_| TestChild::spawn("come_and_go", &[name.as_str()])).collect();
    children.into_iter().for_each(TestChild::join);
    assert_eq!(objects(name.key()), (false, false), "something was left behind");
}

#[test]
fn many_creators_at_once() {
    let name = TestName::new("race");
    let mut children: Vec<_> = (0..8).map(|_| TestChild::spawn("race", &[name.as_str()])).collect();
    for round in 0..50 {
        let way = if round % 2 == 0 { "create" } else { "both" };
        children.iter_mut().for_each(|child| child.tell(way));
        let heard: Vec<String> = children.iter_mut().map(|child| child.hear().expect("alive")).collect();
        let id = shm_of(name.key()).expect("a ring").to_string();
        let count = |what: &str| heard.iter().filter(|said| **said == format!("{what} {id}")).count();
        let expected = if way == "create" { (1, 7) } else { (8, 0) };
        assert_eq!((count("ok"), count("exists")), expected, "round {round}: {heard:?}, the ring is {id}");
        builder(name.as_str()).attach().unwrap().remove().unwrap();
        children.iter_mut().for_each(|child| child.tell("next"));
        children.iter_mut().for_each(|child| child.expect("dropped"));
        assert!(raw::is_gone(name.key()), "round {round}: something is left");
    }
}

/// After whatever has happened to creators of this name: attaching is clear about it, making works,
/// and in the end nothing is left.
fn works_again(name: &TestName, when: &str) {
    let finished = match builder(name.as_str()).attach() {
        Ok(ring) => Some(ring.id()),
        Err(Error::NotFound { .. }) => None,
        Err(e @ Error::NotReady { .. }) => {
            let text = e.to_string();
            assert!(text.contains(name.as_str()) && text.contains("create it again"), "{when}: {text}");
            None
        }
        Err(e) => panic!("{when}: attach: {e}"),
    };
    let ring = builder(name.as_str()).create_or_attach().unwrap_or_else(|e| panic!("{when}: {e}"));
    if let Some(id) = finished {
        assert_eq!(ring.id(), id, "{when}: a finished ring was made anew");
    }
    let mut tx = ring.producer().unwrap();
    let mut rx = ring.consumer().unwrap();
    tx.try_push(42).unwrap();
    assert_eq!(rx.try_pop(), Ok(42), "{when}");
    assert!(matches!(builder(name.as_str()).create(), Err(Error::Exists { .. })), "{when}");
    ring.remove().unwrap();
    drop((tx, rx, ring));
    assert!(raw::is_gone(name.key()), "{when}: something is left");
}

#[test]
fn creators_killed_at_random() {
    let name = TestName::new("killed");
    for round in 0..40_u64 {
        let mut child = TestChild::spawn("loop", &[name.as_str()]);
        // Until it is at work.
        while shm_of(name.key()).is_none() && sem_of(name.key()).is_none() {
            std::thread::yield_now();
        }
        for _ in 0..round * 977 % 20_000 {
            std::hint::spin_loop();
        }
        child.kill();
        works_again(&name, "random kill");
    }
}

fn traced_creator(name: &str) -> Pid {
    traced(|| {
        let made = builder(name).create();
        let worked = made.is_ok();
        std::mem::forget(made);
        worked
    })
}

/// Kills a creator at the entry and at the exit of its k-th system call, for every k.
fn sweep_role(name: &str, before: &str) {
    let name = TestName::called(name);
    if before == "removed" {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWIPC).expect("unshare(CLONE_NEWIPC)");
    }
    let mut stops = 0;
    let mut half_made = 0;
    loop {
        let held = prepare(&name, before);
        let child = traced_creator(name.as_str());
        let reached = (0..=stops).all(|_| step(child));
        if !reached {
            break;
        }
        kill_and_reap(child);
        half_made += u32::from(matches!(builder(name.as_str()).attach(), Err(Error::NotReady { .. })));
        if let Some((old, mut tx, mut rx)) = held {
            // The old ring of this name goes on, whatever happens to creators of a new one.
            tx.try_push(1).unwrap();
            assert_eq!(rx.try_pop(), Ok(1));
            assert!(matches!(old.producer(), Err(Error::SeatTaken { .. })));
            let new = builder(name.as_str()).create_or_attach().unwrap();
            assert!(new.id() != old.id());
            new.producer().unwrap().try_push(2).unwrap();
            assert_eq!((new.len(), old.len()), (1, 0));
            new.remove().unwrap();
            drop(new);
            drop((tx, rx, old));
            // A private set of a killed creator has no name to be found by.
            remove_orphans();
        }
        works_again(&name, &format!("killed at stop {stops} ({before})"));
        stops += 1;
    }
    // It ended by itself: it has made the ring.
    builder(name.as_str()).attach().unwrap().remove().unwrap();
    assert!(stops > 20 && half_made > 2, "{stops} stops, {half_made} half-made rings: too few");
    say(&format!("{stops} stops"));
}

type Held = (Ring, spsc::Producer<u64>, spsc::Consumer<u64>);

/// What a creator finds: nothing, an orphaned set, what a killed creator left, or the set of a
/// removed ring that is still in use.
fn prepare(name: &TestName, before: &str) -> Option<Held> {
    match before {
        "nothing" => None,
        "orphan" => {
            let child = traced_creator(name.as_str());
            while step(child) {}
            raw::shm_remove(shm_of(name.key()).unwrap());
            assert_eq!(objects(name.key()), (false, true));
            None
        }
        "half" => {
            let child = traced_creator(name.as_str());
            step_until(child, || shm_of(name.key()).is_some());
            assert!(step(child) && step(child) && step(child));
            kill_and_reap(child);
            assert!(matches!(builder(name.as_str()).attach(), Err(Error::NotReady { .. })));
            None
        }
        "removed" => {
            let ring = builder(name.as_str()).create().unwrap();
            let sides = (ring.producer().unwrap(), ring.consumer().unwrap());
            ring.remove().unwrap();
            Some((ring, sides.0, sides.1))
        }
        _ => panic!("{before}"),
    }
}

/// Sets without a key. This process has an IPC namespace of its own when it comes here.
fn remove_orphans() {
    let sets = std::fs::read_to_string("/proc/sysvipc/sem").unwrap();
    for line in sets.lines().skip(1) {
        let mut fields = line.split_whitespace();
        if fields.next() == Some("0") {
            raw::sem_remove(fields.next().unwrap().parse().unwrap());
        }
    }
}

fn sweep(before: &str) {
    let name = TestName::new("sweep");
    let mut child = TestChild::spawn("sweep", &[name.as_str(), before]);
    let said = child.hear();
    child.join();
    assert!(said.is_some_and(|said| said.ends_with("stops")));
}

#[test]
fn creators_killed_at_every_system_call() {
    sweep("nothing");
}

#[test]
fn creators_killed_at_every_system_call_over_an_orphaned_set() {
    sweep("orphan");
}

#[test]
fn creators_killed_at_every_system_call_while_cleaning_up() {
    sweep("half");
}

#[test]
fn creators_killed_at_every_system_call_beside_a_removed_ring() {
    if raw::is_root() {
        sweep("removed");
    } else {
        common::skip("creators_killed_…_beside_a_removed_ring", "needs root, to make an IPC namespace");
    }
}

/// A creator killed after its mark and before its segment: the mark says nothing of a segment that
/// another program makes under this key afterwards.
#[test]
fn the_mark_of_a_killed_creator_is_no_licence() {
    let name = TestName::new("mark");
    TestChild::spawn("mark", &[name.as_str()]).join();
}

fn mark_role(name: &str) {
    let name = TestName::called(name);
    let child = traced_creator(name.as_str());
    let marked = || sem_of(name.key()).is_some_and(|set| sem_value(set, CREATING) & 1 == 1);
    step_until(child, marked);
    kill_and_reap(child);
    assert!(marked() && shm_of(name.key()).is_none());

    let foreign = RawSegment::create(name.key(), 8192);
    for e in
        [builder(name.as_str()).create().unwrap_err(), builder(name.as_str()).create_or_attach().unwrap_err()]
    {
        assert!(matches!(e, Error::NotSegring { .. }), "{e:?}");
    }
    assert_eq!(shm_of(name.key()), Some(foreign.id), "another program's segment was removed");
    raw::shm_remove(foreign.id);
    drop(foreign);
    works_again(&name, "after the other program");
}

/// A stopped creator keeps its half-made ring: others are told so in a few seconds, and it goes on.
fn stop(at: &str) {
    let name = TestName::new("stop");
    TestChild::spawn("stop", &[name.as_str(), at]).join();
}

#[test]
fn a_creator_stopped_before_its_segment() {
    stop("locked");
}

#[test]
fn a_creator_stopped_with_an_empty_segment() {
    stop("segment");
}

#[test]
fn a_creator_stopped_with_half_a_header() {
    stop("header");
}

/// Whether a process has the segment mapped with `MADV_DONTDUMP`.
fn is_out_of_dumps(child: Pid, id: i32) -> bool {
    let smaps = std::fs::read_to_string(format!("/proc/{child}/smaps")).expect("smaps");
    let is_its = |line: &&str| line.contains("/SYSV") && line.split(' ').any(|f| f == id.to_string());
    let mut lines = smaps.lines().skip_while(|line| !is_its(line));
    lines.find_map(|line| line.strip_prefix("VmFlags:")).is_some_and(|flags| flags.contains(" dd"))
}

fn stop_role(name: &str, at: &str) {
    let name = TestName::called(name);
    let child = traced_creator(name.as_str());
    match at {
        "locked" => {
            step_until(child, || sem_of(name.key()).is_some_and(|set| sem_value(set, raw::LOCK) == 1));
        }
        "segment" => step_until(child, || shm_of(name.key()).is_some()),
        "header" => {
            step_until(child, || shm_of(name.key()).is_some());
            let raw = RawSegment::attach(shm_of(name.key()).unwrap());
            // Past the last two calls before the copy of the header: madvise and getpid. Then
            // instruction by instruction, into the copy.
            step_until(child, || is_out_of_dumps(child, raw.id));
            assert!(step(child) && step(child));
            while raw.get_u64(0) == 0 || raw.get_u64(32) == 0 {
                step_instruction(child);
            }
            assert_eq!(raw.get::<4>(8), [0; 4], "it is ready already");
        }
        _ => panic!("{at}"),
    }
    leave_stopped(child);
    let segment = shm_of(name.key());
    let pid = format!("process {child}");
    std::thread::scope(|scope| {
        let attach = scope.spawn(|| builder(name.as_str()).attach().unwrap_err());
        let create = scope.spawn(|| builder(name.as_str()).create().unwrap_err());
        let both = scope.spawn(|| builder(name.as_str()).create_or_attach().unwrap_err());
        let attach = attach.join().unwrap();
        match segment {
            None => assert!(matches!(attach, Error::NotFound { .. }), "{attach:?}"),
            Some(_) => {
                assert!(matches!(attach, Error::NotReady { .. }), "{attach:?}");
                assert!(attach.to_string().contains(&pid), "{attach}");
            }
        }
        for e in [create.join().unwrap(), both.join().unwrap()] {
            assert!(matches!(e, Error::Busy { pid, .. } if pid == child.as_raw()), "{e:?}");
            let text = e.to_string();
            for part in [name.as_str(), &pid, "stopped", "continue or end it"] {
                assert!(text.contains(part), "{text:?} does not say {part:?}");
            }
        }
    });
    assert_eq!(shm_of(name.key()), segment, "the stopped creator's segment was touched");
    kill(child, Signal::SIGCONT).expect("kill");
    assert_eq!(wait(child), WaitStatus::Exited(child, 0), "the creator could not finish");
    let ring = builder(name.as_str()).attach().expect("finished");
    assert!(segment.is_none_or(|id| id == ring.id()));
    drop(ring);
    works_again(&name, at);
}

/// Neither creating nor a crowd of callers changes a ring that is there.
#[test]
fn a_live_ring_is_never_made_anew() {
    let name = TestName::new("live");
    let ring = builder(name.as_str()).create().unwrap();
    let mut tx = ring.producer().unwrap();
    tx.try_push(1).unwrap();
    let raw = RawSegment::attach(ring.id());
    let before = raw.bytes(0, raw.len);
    for _ in 0..100 {
        assert!(matches!(builder(name.as_str()).capacity(64).create(), Err(Error::Exists { .. })));
        assert_eq!(builder(name.as_str()).capacity(64).create_or_attach().unwrap().id(), ring.id());
    }
    assert!(raw.bytes(0, raw.len) == before, "a live ring was changed");
    assert_eq!(ring.consumer().unwrap().try_pop(), Ok(1));
}

/// A set of the right size that somebody left under the key serves the new ring, with its mode.
#[test]
fn an_orphaned_set_is_used_again() {
    let name = TestName::new("orphan");
    let set = raw::sem_create(name.key(), 5);
    let ring = builder(name.as_str()).mode(0o640).create().unwrap();
    assert_eq!(ring.stats().unwrap().sem_id, set);
    assert_eq!(raw::sem_stat(set).unwrap().sem_perm.mode & 0o777, 0o640);
    ring.remove().unwrap();
    drop(ring);
    assert!(raw::is_gone(name.key()));
}
