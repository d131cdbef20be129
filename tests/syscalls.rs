//! No system call in a million pushes and pops: counted by ptrace, and the count can fail.

mod common;
mod harness;

use common::{TestChild, TestName, child_role, listen, say, skip};
use harness::trace;
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use segring::Layout;
use segring::spsc::{ByteRing, Ring};

const PAIRS: u64 = 1_000_000;

/// A system call that nothing else here makes: the beginning and the end of the counting.
fn mark() {
    // SAFETY: getppid takes nothing and cannot fail.
    unsafe { libc::syscall(libc::SYS_getppid) };
}

fn counted(mut pair: impl FnMut(u64)) {
    mark();
    for i in 0..PAIRS {
        pair(i);
    }
    mark();
}

fn typed(name: &TestName, layout: Layout, bulk: bool, in_place: bool) {
    let ring = Ring::<[u64; 4]>::builder(name.name()).capacity(64).layout(layout).create().unwrap();
    let tx = ring.producer().unwrap();
    let rx = ring.consumer().unwrap();
    // SAFETY: this process is the only user of the ring.
    let mut tx = unsafe { tx.trust_peers() };
    // SAFETY: as above.
    let mut rx = unsafe { rx.trust_peers() };
    let mut items = [[0u64; 4]; 10];
    counted(|i| match (bulk, in_place) {
        (false, false) => {
            tx.try_push([i; 4]).unwrap();
            assert_eq!(rx.try_pop().unwrap()[3], i);
        }
        // Ten at a time: as many messages, in fewer calls.
        (true, false) if i % 10 == 0 => {
            assert_eq!(tx.push_slice(&[[i; 4]; 10]), Ok(10));
            assert_eq!(rx.pop_slice(&mut items), Ok(10));
            assert_eq!(items[9][3], i);
        }
        (_, true) => {
            let mut grant = tx.reserve(1).unwrap();
            grant.iter_mut().for_each(|slot| *slot = [i; 4]);
            grant.commit(1);
            let grant = rx.read(1).unwrap();
            assert!(grant.iter().all(|m| m[3] == i));
            grant.release(1);
        }
        _ => {}
    });
    assert_eq!((tx.position(), rx.position()), (PAIRS, PAIRS));
}

fn bytes(name: &TestName, in_place: bool) {
    let ring = ByteRing::builder(name.name()).capacity(4096).create().unwrap();
    let tx = ring.producer().unwrap();
    let rx = ring.consumer().unwrap();
    // SAFETY: this process is the only user of the ring.
    let mut tx = unsafe { tx.trust_peers() };
    // SAFETY: as above.
    let mut rx = unsafe { rx.trust_peers() };
    let source = [7u8; 300];
    let mut record = Vec::with_capacity(300);
    counted(|i| {
        let len = (i % 300) as usize;
        if in_place {
            let mut grant = tx.reserve(len).unwrap();
            grant.copy_from_slice(&source[..len]);
            grant.commit(len);
            let grant = rx.read().unwrap();
            assert_eq!(grant.len(), len);
            grant.release();
        } else {
            tx.try_push(&source[..len]).unwrap();
            rx.try_pop_into(&mut record).unwrap();
            assert_eq!(record.len(), len);
        }
    });
    assert_eq!((tx.position(), rx.position()), (PAIRS, PAIRS));
}

#[test]
fn child_main() {
    let Some((role, args)) = child_role() else { return };
    let name = TestName::called(&args[0]);
    say(&nix::unistd::gettid().to_string());
    listen();
    match role.as_str() {
        "stamped" => typed(&name, Layout::Stamped, false, false),
        "dense" => typed(&name, Layout::Dense, false, false),
        "stamped slices" => typed(&name, Layout::Stamped, true, false),
        "dense slices" => typed(&name, Layout::Dense, true, false),
        "stamped in place" => typed(&name, Layout::Stamped, false, true),
        "dense in place" => typed(&name, Layout::Dense, false, true),
        "bytes" => bytes(&name, false),
        "bytes in place" => bytes(&name, true),
        "one call per thousand" => counted(|i| {
            if i % 1000 == 0 {
                // SAFETY: getpid takes nothing and cannot fail.
                unsafe { libc::syscall(libc::SYS_getpid) };
            }
        }),
        other => panic!("no such role: {other}"),
    }
}

/// Runs a role and counts its worker's system calls between the marks.
fn count(role: &str) -> nix::Result<u64> {
    // The parent's, so that it is cleaned up also when the child is killed.
    let name = TestName::new("syscalls");
    let mut child = TestChild::spawn(role, &[name.as_str()]);
    let worker = Pid::from_raw(child.hear().expect("its thread").parse().expect("a number"));
    trace::stop(worker, Options::PTRACE_O_TRACESYSGOOD)?;
    child.tell("go");
    let (mut marks, mut calls) = (0, 0);
    while marks < 2 {
        ptrace::syscall(worker, None)?;
        match trace::wait(worker)? {
            WaitStatus::PtraceSyscall(_) => match trace::syscall_entered(worker)? {
                Some(nr) if nr == libc::SYS_getppid as u64 => marks += 1,
                Some(_) if marks == 1 => calls += 1,
                _ => {}
            },
            WaitStatus::Stopped(_, signal) => panic!("{role}: {signal}"),
            WaitStatus::PtraceEvent(..) => {}
            end => panic!("{role}: ended before its second mark: {end:?}"),
        }
    }
    ptrace::detach(worker, None)?;
    child.join();
    Ok(calls)
}

fn expect(role: &str, wanted: u64) {
    match count(role) {
        Ok(calls) => assert_eq!(calls, wanted, "{role}: system calls between the marks"),
        Err(e @ (Errno::EPERM | Errno::EACCES | Errno::ENOSYS)) => skip(role, &trace::refused(e)),
        Err(e) => panic!("{role}: {e}"),
    }
}

#[test]
fn none_in_a_million_single_operations() {
    expect("stamped", 0);
    expect("dense", 0);
}

#[test]
fn none_in_a_million_messages_by_slices() {
    expect("stamped slices", 0);
    expect("dense slices", 0);
}

#[test]
fn none_in_a_million_messages_in_place() {
    expect("stamped in place", 0);
    expect("dense in place", 0);
}

#[test]
fn none_in_a_million_records() {
    expect("bytes", 0);
    expect("bytes in place", 0);
}

#[test]
fn the_count_counts() {
    expect("one call per thousand", PAIRS / 1000);
}
