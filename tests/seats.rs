//! Joining, leaving, dying and taking over, between real processes; and what a waiter is told.

mod common;
#[path = "common/raw.rs"]
mod raw;

use common::{TestChild, TestName, child_role, listen, say, skip, watchdog};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};
use raw::{CONSUMER, PRODUCER, RawSegment, is_root, sem_of, sem_value};
use segring::{Error, Peer, RingError, spsc};
use std::time::Duration;

type Ring = spsc::Ring<u64>;

fn create(name: &TestName) -> Ring {
    Ring::builder(name.name()).capacity(4).create().unwrap()
}

#[test]
fn child_main() {
    let Some((role, args)) = child_role() else { return };
    let attach = || Ring::builder(&*args[0]).attach().unwrap();
    match role.as_str() {
        "producer" => producer_role(attach().producer().unwrap()),
        "consumer" => {
            let _rx = attach().consumer().unwrap();
            say("joined");
            listen();
        }
        "popper" => {
            let mut rx = attach().consumer().unwrap();
            say("joined");
            say(&format!("{:?}", rx.pop()));
        }
        "refused" => match attach().producer() {
            Err(Error::SeatTaken { pid, role, .. }) => say(&format!("{role} {pid}")),
            other => say(&format!("{other:?}")),
        },
        "fake" => fake_role(&attach),
        "headless" => headless_role(&attach),
        "namespace" => namespace_role(&args[0]),
        _ => panic!("unknown role {role}"),
    }
}

/// Pushes the numbers that it is told; any other word ends it.
fn producer_role(mut tx: spsc::Producer<u64>) {
    say("joined");
    while let Ok(number) = listen().parse() {
        say(&format!("{:?}", tx.try_push(number)));
    }
}

fn producer_child(name: &TestName) -> TestChild {
    let mut child = TestChild::spawn("producer", &[name.as_str()]);
    child.expect("joined");
    child
}

fn push_by(child: &mut TestChild, number: u64) {
    child.tell(&number.to_string());
    child.expect("Ok(())");
}

/// Kills it and waits until it is dead, but leaves the zombie.
fn kill_to_zombie(child: &TestChild) {
    child.signal(libc::SIGKILL);
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    let flags = libc::WEXITED | libc::WNOWAIT;
    // SAFETY: our own child; writes one siginfo.
    let done = unsafe { libc::waitid(libc::P_PID, child.pid() as u32, info.as_mut_ptr(), flags) };
    assert_eq!(done, 0);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.pid())).unwrap();
    assert!(stat.contains(") Z "), "{stat}");
}

fn taken_by(result: Result<spsc::Producer<u64>, Error>) -> u32 {
    match result {
        Err(Error::SeatTaken { pid, role: "producer", .. }) => pid,
        other => panic!("{other:?}"),
    }
}

#[test]
fn joining_and_leaving() {
    let name = TestName::new("join");
    let ring = create(&name);
    let seats = || (ring.stats().unwrap().producer, ring.stats().unwrap().consumer);
    let me = Peer::Live { pid: std::process::id() };
    assert_eq!(seats(), (Peer::NeverJoined, Peer::NeverJoined));
    let tx = ring.producer().unwrap();
    assert_eq!(seats(), (me, Peer::NeverJoined));
    let rx = ring.consumer().unwrap();
    assert_eq!(seats(), (me, me));
    drop(tx);
    assert_eq!(seats(), (Peer::Left, me));
    let _tx = ring.producer().unwrap();
    drop(rx);
    assert_eq!(seats(), (me, Peer::Left));
}

#[test]
fn one_seat_each() {
    let name = TestName::new("one");
    let ring = create(&name);
    let tx = ring.producer().unwrap();
    let rx = ring.consumer().unwrap();
    assert_eq!(taken_by(ring.producer()), std::process::id());
    let e = ring.consumer().unwrap_err();
    let text = e.to_string();
    for part in [name.as_str(), "consumer's seat", &std::process::id().to_string(), "alive", "end that one"] {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
    TestChild::spawn("refused", &[name.as_str()]).expect(&format!("producer {}", std::process::id()));
    drop((tx, rx));
    let child = producer_child(&name);
    assert_eq!(taken_by(ring.producer()), child.pid() as u32);
    assert_eq!(ring.stats().unwrap().producer, Peer::Live { pid: child.pid() as u32 });
}

#[test]
fn a_killed_holder_is_succeeded_while_it_is_a_zombie() {
    let name = TestName::new("zombie");
    let ring = create(&name);
    let mut child = producer_child(&name);
    push_by(&mut child, 1);
    kill_to_zombie(&child);
    assert_eq!(ring.stats().unwrap().producer, Peer::Died);
    let mut tx = ring.producer().unwrap();
    assert_eq!(tx.position(), 1);
    tx.try_push(2).unwrap();
    child.kill();
    // Reaping it takes nothing from its successor.
    assert_eq!(ring.stats().unwrap().producer, Peer::Live { pid: std::process::id() });
    assert_eq!(taken_by(ring.producer()), std::process::id());
    let mut rx = ring.consumer().unwrap();
    assert_eq!((rx.pop(), rx.pop()), (Ok(1), Ok(2)));
}

#[test]
fn a_thread_that_ended_still_holds_its_seat() {
    let name = TestName::new("thread");
    let ring = create(&name);
    let mut tx = std::thread::scope(|scope| scope.spawn(|| ring.producer().unwrap()).join().unwrap());
    assert_eq!(taken_by(ring.producer()), std::process::id());
    TestChild::spawn("refused", &[name.as_str()]).expect(&format!("producer {}", std::process::id()));
    tx.try_push(1).unwrap();
}

#[test]
fn a_stopped_holder_loses_nothing() {
    let name = TestName::new("stopped");
    let ring = create(&name);
    let mut child = producer_child(&name);
    push_by(&mut child, 1);
    child.signal(libc::SIGSTOP);
    // SAFETY: our own child; no status is asked for.
    unsafe { libc::waitpid(child.pid(), std::ptr::null_mut(), libc::WUNTRACED) };
    for _ in 0..20 {
        assert_eq!(taken_by(ring.producer()), child.pid() as u32);
    }
    assert_eq!(ring.stats().unwrap().producer, Peer::Live { pid: child.pid() as u32 });
    // Nobody is told that it has gone.
    let mut rx = ring.consumer().unwrap();
    assert_eq!(rx.pop(), Ok(1));
    assert_eq!(rx.pop_timeout(Duration::from_millis(120)), Err(RingError::TimedOut));
    child.signal(libc::SIGCONT);
    push_by(&mut child, 2);
    assert_eq!(rx.pop(), Ok(2));
}

/// In a child of one thread: forgets its undo, and so looks dead.
fn fake_role(attach: &dyn Fn() -> Ring) {
    in_fork(|| {
        let ring = attach();
        let mut tx = ring.producer().unwrap();
        let set = sem_of(common::key_of(ring.name())).unwrap();
        assert_eq!(sem_value(set, PRODUCER), 1);
        unshare(CloneFlags::CLONE_SYSVSEM).expect("unshare(CLONE_SYSVSEM)");
        assert_eq!(sem_value(set, PRODUCER), 0);
        assert_eq!(taken_by(ring.producer()), std::process::id());
        say(&std::process::id().to_string());
        listen();
        tx.try_push(5).unwrap();
        drop(tx);
        say("left");
        listen();
    });
}

/// Runs something in a forked child, as its only thread.
fn in_fork(f: impl FnOnce()) {
    wait_for(fork_to(f));
}

fn fork_to(f: impl FnOnce()) -> Pid {
    // SAFETY: the child uses only what glibc makes usable after a fork.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            common::die_with_parent();
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
            // SAFETY: ends the process without running anything of the parent's.
            unsafe { libc::_exit(i32::from(done.is_err())) }
        }
    }
}

fn wait_for(child: Pid) {
    let status = waitpid(child, None).expect("waitpid");
    assert!(matches!(status, nix::sys::wait::WaitStatus::Exited(_, 0)), "{status:?}");
}

#[test]
fn a_faked_death_is_seen_through() {
    let name = TestName::new("fake");
    let ring = create(&name);
    let mut child = TestChild::spawn("fake", &[name.as_str()]);
    let pid: u32 = child.hear().expect("alive").parse().expect("a pid");
    assert_eq!(sem_value(sem_of(name.key()).unwrap(), PRODUCER), 0);
    assert_eq!(taken_by(ring.producer()), pid);
    child.tell("push");
    child.expect("left");
    assert_eq!(ring.producer().unwrap().position(), 1);
    assert_eq!(ring.consumer().unwrap().try_pop(), Ok(5));
}

/// In a child whose first thread has ended: `/proc/PID/maps` is empty as if it were dead.
fn headless_role(attach: &dyn Fn() -> Ring) {
    in_fork(|| {
        let ring = attach();
        std::thread::spawn(move || {
            let mut tx = ring.producer().unwrap();
            let maps = format!("/proc/{}/maps", std::process::id());
            while !std::fs::read_to_string(&maps).is_ok_and(|text| text.is_empty()) {
                std::thread::yield_now();
            }
            say(&std::process::id().to_string());
            listen();
            tx.try_push(6).unwrap();
            say("pushed");
            listen();
        });
        // SAFETY: ends this thread alone; nothing of its stack is used by the other.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    });
}

#[test]
fn a_holder_without_its_first_thread_is_alive() {
    let name = TestName::new("headless");
    let ring = create(&name);
    let mut child = TestChild::spawn("headless", &[name.as_str()]);
    let pid: u32 = child.hear().expect("alive").parse().expect("a pid");
    assert_eq!(taken_by(ring.producer()), pid);
    assert_eq!(sem_value(sem_of(name.key()).unwrap(), PRODUCER), 1, "a live holder's seat was erased");
    child.tell("push");
    child.expect("pushed");
    assert_eq!(ring.consumer().unwrap().try_pop(), Ok(6));
    child.kill();
    // Its child dies with it; the seat is free from then on.
    while let Err(e) = ring.producer() {
        assert!(matches!(e, Error::SeatTaken { .. }), "{e:?}");
    }
}

/// In a new PID namespace that keeps the old `/proc`: a holder, and a rival beside it. The holder has
/// the pid that this process has outside, so that `/proc/PID` shows another process than it is.
fn namespace_role(name: &str) {
    let outside = std::process::id();
    unshare(CloneFlags::CLONE_NEWPID).expect("unshare(CLONE_NEWPID)");
    let attach = || Ring::builder(name).attach().unwrap();
    in_fork(|| {
        assert_eq!(std::process::id(), 1);
        std::fs::write("/proc/sys/kernel/ns_last_pid", (outside - 1).to_string()).expect("ns_last_pid");
        let holder = fork_to(|| {
            assert_eq!(std::process::id(), outside);
            let ring = attach();
            let _tx = ring.producer().unwrap();
            loop {
                nix::unistd::pause();
            }
        });
        while !matches!(attach().stats().unwrap().producer, Peer::Live { pid } if pid == outside) {
            std::thread::yield_now();
        }
        say(&outside.to_string());
        // By what that `/proc` says, the holder lives and has nothing mapped, as if after an exec.
        assert_eq!(taken_by(attach().producer()), outside);
        assert_eq!(
            sem_value(sem_of(common::key_of(name)).unwrap(), PRODUCER),
            1,
            "a live holder's seat was erased"
        );
        say("refused");
        listen();
        nix::sys::signal::kill(holder, nix::sys::signal::Signal::SIGKILL).unwrap();
        waitpid(holder, None).unwrap();
        say("killed");
        listen();
    });
}

#[test]
fn life_is_seen_across_pid_namespaces() {
    if !is_root() {
        return skip("life_is_seen_across_pid_namespaces", "needs root, to make a PID namespace");
    }
    let name = TestName::new("pidns");
    let ring = create(&name);
    let mut child = TestChild::spawn("namespace", &[name.as_str()]);
    let pid: u32 = child.hear().expect("alive").parse().expect("a pid");
    child.expect("refused");
    assert_eq!(ring.stats().unwrap().producer, Peer::Live { pid });
    // The refusal names the process as it is seen from here, not as it knows itself.
    let seen = taken_by(ring.producer());
    let maps = std::fs::read_to_string(format!("/proc/{seen}/maps")).unwrap();
    assert!(maps.contains("/SYSV"), "process {seen} does not have the ring");
    child.tell("kill it");
    child.expect("killed");
    assert_eq!(ring.stats().unwrap().producer, Peer::Died);
    ring.producer().unwrap();
}

/// Messages first, then the news, once; then waiting for a successor.
#[test]
fn a_death_is_told_once_and_after_the_messages() {
    let _watchdog = watchdog("a_death_is_told_once");
    let name = TestName::new("news");
    let ring = create(&name);
    let mut rx = ring.consumer().unwrap();
    for died in [true, false, true] {
        let mut child = producer_child(&name);
        for number in 1..=3 {
            push_by(&mut child, number);
        }
        if died {
            child.kill();
            assert_eq!(ring.stats().unwrap().producer, Peer::Died);
        } else {
            child.tell("leave");
            child.join();
            assert_eq!(ring.stats().unwrap().producer, Peer::Left);
        }
        for number in 1..=3 {
            assert_eq!(rx.pop(), Ok(number));
        }
        assert_eq!(rx.pop(), Err(RingError::PeerGone { died }));
        assert_eq!(rx.pop_timeout(Duration::from_millis(60)), Err(RingError::TimedOut));
        assert_eq!(rx.wait_for_message(Some(Duration::ZERO)), Err(RingError::TimedOut));
        assert_eq!(rx.try_pop(), Err(RingError::Empty));
    }
}

#[test]
fn a_death_is_told_on_a_byte_ring() {
    let _watchdog = watchdog("a_death_is_told_on_a_byte_ring");
    let name = TestName::new("news-bytes");
    let ring = spsc::ByteRing::builder(name.name()).capacity(4096).create().unwrap();
    let mut rx = ring.consumer().unwrap();
    let mut tx = ring.producer().unwrap();
    tx.push(b"last words").unwrap();
    drop(tx);
    assert_eq!(rx.pop().as_deref(), Ok(&b"last words"[..]));
    assert_eq!(rx.pop(), Err(RingError::PeerGone { died: false }));
    assert_eq!(rx.pop_timeout(Duration::from_millis(60)), Err(RingError::TimedOut));
}

/// Waits until the consumer of this ring has announced that it sleeps.
fn wait_until_asleep(raw: &RawSegment) {
    // The state line is the third after two seats; its second word is the consumer's.
    let consumer_waits = 1024 + 2 * 128 + 2 * 128 + 4;
    while raw.get_i32(consumer_waits) == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_consumer_waits_for_the_first_producer() {
    let _watchdog = watchdog("a_consumer_waits_for_the_first_producer");
    let name = TestName::new("first");
    let ring = create(&name);
    let raw = RawSegment::attach(ring.id());
    let mut child = TestChild::spawn("popper", &[name.as_str()]);
    child.expect("joined");
    wait_until_asleep(&raw);
    let mut tx = ring.producer().unwrap();
    tx.try_push(11).unwrap();
    child.expect("Ok(11)");
}

#[test]
fn a_sleeping_consumer_is_told_of_a_death() {
    let _watchdog = watchdog("a_sleeping_consumer_is_told_of_a_death");
    for (died, told) in [(true, "Err(PeerGone { died: true })"), (false, "Err(PeerGone { died: false })")] {
        let name = TestName::new("asleep");
        let ring = create(&name);
        let raw = RawSegment::attach(ring.id());
        let mut producer = producer_child(&name);
        let mut popper = TestChild::spawn("popper", &[name.as_str()]);
        popper.expect("joined");
        wait_until_asleep(&raw);
        if died {
            producer.kill();
        } else {
            producer.tell("leave");
        }
        popper.expect(told);
    }
}

#[test]
fn a_producer_on_a_full_ring_is_told_of_a_death() {
    let _watchdog = watchdog("a_producer_on_a_full_ring_is_told_of_a_death");
    for died in [true, false] {
        let name = TestName::new("full");
        let ring = create(&name);
        let mut tx = ring.producer().unwrap();
        let mut child = TestChild::spawn("consumer", &[name.as_str()]);
        child.expect("joined");
        assert_eq!(tx.push_slice(&[1, 2, 3, 4]), Ok(4));
        let blocked = std::thread::spawn(move || {
            let told = tx.push(5).map_err(|r| r.error);
            (tx, told)
        });
        if died {
            child.kill();
        } else {
            child.tell("leave");
            child.join();
        }
        let (mut tx, told) = blocked.join().unwrap();
        assert_eq!(told, Err(RingError::PeerGone { died }));
        let again = tx.push_timeout(5, Duration::from_millis(60)).map_err(|r| r.error);
        assert_eq!(again, Err(RingError::TimedOut));
        // A successor takes what is there, and then there is room.
        assert_eq!(ring.consumer().unwrap().pop(), Ok(1));
        tx.push(5).unwrap();
        assert_eq!(sem_value(sem_of(name.key()).unwrap(), CONSUMER), 0);
    }
}
