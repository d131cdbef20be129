//! Too little of something: each limit of the kernel is named with its value and with the way to
//! raise it, and a refused ring leaves nothing behind. In IPC namespaces of their own.

mod common;
#[path = "common/raw.rs"]
mod raw;

use common::{TestChild, TestName, child_role, objects, skip};
use raw::{as_user, is_root, sem_of, shm_of, shm_stat};
use segring::{Builder, Error, HugePages, Name, spsc};
use std::sync::Mutex;

type Ring = spsc::Ring<u64>;

#[test]
fn child_main() {
    let Some((role, _)) = child_role() else { return };
    match role.as_str() {
        "limits" => limits_role(),
        "rmid_forced" => rmid_forced_role(),
        _ => panic!("unknown role {role}"),
    }
}

/// This process alone, in a namespace without any ring.
fn own_ipc_namespace() {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWIPC).expect("unshare(CLONE_NEWIPC)");
}

fn may_unshare(test: &str) -> bool {
    if !is_root() {
        skip(test, "needs root, to make an IPC namespace");
    }
    is_root()
}

fn set_limit(file: &str, value: &str) {
    std::fs::write(format!("/proc/sys/kernel/{file}"), value).expect(file);
}

fn lines(file: &str) -> usize {
    std::fs::read_to_string(format!("/proc/sysvipc/{file}")).expect(file).lines().count() - 1
}

/// Segments and sets of this namespace.
fn counts() -> (usize, usize) {
    (lines("shm"), lines("sem"))
}

fn refused(builder: impl Fn() -> Builder<Ring>, parts: &[&str]) {
    refused_by(|| builder().create(), parts);
    refused_by(|| builder().create_or_attach(), parts);
}

fn refused_by(make: impl FnOnce() -> Result<Ring, Error>, parts: &[&str]) {
    let before = counts();
    let e = make().unwrap_err();
    assert!(matches!(e, Error::Limit { .. }), "{e:?}");
    let text = e.to_string();
    for part in parts {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
    assert_eq!(counts(), before, "a refused ring left something behind: {text}");
}

#[test]
fn each_limit_is_named_and_nothing_is_left() {
    if may_unshare("each_limit_is_named_and_nothing_is_left") {
        TestChild::spawn("limits", &[]).join();
    }
}

fn limits_role() {
    own_ipc_namespace();
    let name = "limited";
    let key = format!("{:#010x}", common::key_of(name));
    let ring = |name: &str| Ring::builder(name).capacity(4096).layout(segring::Layout::Dense);
    let size = 4096 + 4096 * 8;

    set_limit("shmmax", "8192");
    let shmmax = ["SHMMAX", "is 8192 bytes", "sysctl -w kernel.shmmax=36864", "EINVAL", "shmget for 36864"];
    refused(|| ring(name), &shmmax);
    refused(|| ring(name), &[name, &key, "smaller capacity"]);
    refused_by(
        || Ring::builder(Name::private()).capacity(4096).layout(segring::Layout::Dense).create(),
        &shmmax,
    );
    set_limit("shmmax", "1000000000");

    set_limit("shmall", "5");
    let shmall = ["SHMALL", "is 5 pages of 4096 bytes", "0 are in use", "9 are needed", "kernel.shmall=9"];
    refused(|| ring(name), &shmall);
    refused(|| ring(name), &["ENOSPC", "shmget", name, &key]);
    set_limit("shmall", "1000000");

    let first = ring("first").create().unwrap();
    set_limit("shmmni", "1");
    refused(|| ring(name), &["SHMMNI", "is 1, and 1 are in use", "ipcs -m", "kernel.shmmni=2", "ENOSPC"]);
    set_limit("shmmni", "4096");

    set_limit("sem", "3 32000 500 128");
    refused(|| ring(name), &["SEMMSL", "is 3", "kernel.sem", "EINVAL", "semget for 5 semaphores", &key]);
    set_limit("sem", "250 7 32 128");
    refused(|| ring(name), &["SEMMNS", "is 7, and 5 are in use", "second number", "ENOSPC", "ipcs -s"]);
    set_limit("sem", "250 32000 32 1");
    refused(|| ring(name), &["SEMMNI", "is 1, and 1 are in use", "fourth number", "ENOSPC"]);
    refused_by(|| Ring::builder(Name::private()).create(), &["SEMMNI"]);

    // A removed ring in use keeps its set, so that a new one needs another.
    let _tx = first.producer().unwrap();
    first.remove().unwrap();
    refused(|| ring("first"), &["SEMMNI"]);
    set_limit("sem", "250 32000 32 128");
    let second = ring("first").create().unwrap();
    assert_eq!(second.stats().unwrap().bytes, size);
}

/// With `kernel.shm_rmid_forced` a segment goes with its last user, so a ring lives only while
/// somebody is attached to it. The set that a killed one leaves serves the next ring.
#[test]
fn rings_under_shm_rmid_forced() {
    if may_unshare("rings_under_shm_rmid_forced") {
        TestChild::spawn("rmid_forced", &[]).join();
    }
}

fn rmid_forced_role() {
    own_ipc_namespace();
    set_limit("shm_rmid_forced", "1");
    let name = "forced";
    let key = common::key_of(name);
    let create = || Ring::builder(name).capacity(16).create().unwrap();

    // In use it is a ring like any other; without users it goes, and its set too.
    let ring = create();
    let other = Ring::builder(name).attach().unwrap();
    drop(ring);
    other.producer().unwrap().try_push(1).unwrap();
    assert_eq!(other.consumer().unwrap().try_pop(), Ok(1));
    drop(other);
    assert_eq!(objects(key), (false, false));
    assert!(matches!(Ring::builder(name).attach(), Err(Error::NotFound { .. })));

    // A killed last user: the kernel destroys the segment, and nobody was there for the set.
    in_killed_child(|| {
        let ring = create();
        let mut tx = ring.producer().unwrap();
        tx.try_push(1).unwrap();
        std::mem::forget((ring, tx));
    });
    let orphan = sem_of(key).expect("the set stays");
    assert_eq!(shm_of(key), None);
    let e = Ring::builder(name).attach().unwrap_err();
    assert!(e.to_string().contains("no such ring"), "{e}");
    let ring = create();
    assert_eq!(ring.stats().unwrap().sem_id, orphan, "the orphan was not used again");
    let mut tx = ring.producer().unwrap();
    tx.try_push(2).unwrap();
    assert_eq!(ring.consumer().unwrap().try_pop(), Ok(2));

    // A killed user who is not the last takes nothing with it.
    in_killed_child(|| {
        let ring = Ring::builder(name).attach().unwrap();
        let rx = ring.consumer().unwrap();
        std::mem::forget((ring, rx));
    });
    tx.try_push(3).unwrap();
    assert_eq!(ring.consumer().unwrap().try_pop(), Ok(3));
    drop((ring, tx));
    assert_eq!(objects(key), (false, false));
}

/// Runs something in a forked child that is killed afterwards. This process has one thread that
/// matters: the harness only waits.
fn in_killed_child(f: impl FnOnce()) {
    // SAFETY: the child uses nothing that another thread might have locked.
    match unsafe { nix::unistd::fork() }.expect("fork") {
        nix::unistd::ForkResult::Child => {
            f();
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
            unreachable!()
        }
        nix::unistd::ForkResult::Parent { child } => {
            use nix::sys::wait::{WaitStatus, waitpid};
            let status = waitpid(child, None).expect("waitpid");
            let killed = nix::sys::signal::Signal::SIGKILL;
            assert!(matches!(status, WaitStatus::Signaled(_, signal, _) if signal == killed), "{status:?}");
        }
    }
}

/// The reserve of huge pages belongs to the whole machine.
static HUGE: Mutex<()> = Mutex::new(());
const NR_HUGEPAGES: &str = "/proc/sys/vm/nr_hugepages";

struct Reserve(String);

impl Reserve {
    fn new(pages: u64) -> Option<Self> {
        let old = std::fs::read_to_string(NR_HUGEPAGES).ok()?;
        let this = Self(old);
        std::fs::write(NR_HUGEPAGES, pages.to_string()).ok()?;
        (free_huge_pages() >= pages).then_some(this)
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        let _ = std::fs::write(NR_HUGEPAGES, self.0.trim());
    }
}

fn free_huge_pages() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find(|line| line.starts_with("HugePages_Free:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

#[test]
fn huge_pages() {
    let _one_at_a_time = HUGE.lock();
    let name = TestName::new("huge");
    let ring = || Ring::builder(name.name()).capacity(1 << 16);
    if free_huge_pages() == 0 {
        let ordinary = ring().huge_pages(HugePages::Prefer).create().unwrap();
        assert!(!ordinary.stats().unwrap().huge_pages);
        ordinary.remove().unwrap();
        drop(ordinary);
        let e = ring().huge_pages(HugePages::Require).create().unwrap_err();
        assert!(matches!(e, Error::Limit { .. }), "{e:?}");
        let text = e.to_string();
        for part in
            [name.as_str(), "shmget for 2097152 bytes", "HugePages_Free", "vm.nr_hugepages=1", "Prefer"]
        {
            assert!(text.contains(part), "{text:?} does not say {part:?}");
        }
        assert_eq!(objects(name.key()), (false, false));
    }
    let Some(_reserve) = Reserve::new(4) else {
        return skip("huge_pages", "the machine gives no huge pages (vm.nr_hugepages)");
    };
    for huge in [HugePages::Require, HugePages::Prefer] {
        let ring = ring().huge_pages(huge).prefault(true).create().unwrap();
        let stats = ring.stats().unwrap();
        assert!(stats.huge_pages && stats.bytes % (2 << 20) == 0, "{stats:?}");
        let mut tx = ring.producer().unwrap();
        let other = Ring::builder(name.name()).attach().unwrap();
        let mut rx = other.consumer().unwrap();
        for i in 0..100_000 {
            tx.try_push(i).unwrap();
            assert_eq!(rx.try_pop(), Ok(i));
        }
        assert!(segring::list().unwrap().iter().any(|r| r.shm_id == ring.id()));
        ring.remove().unwrap();
    }
    assert!(raw::is_gone(name.key()));
}

const SHM_LOCKED: u32 = 0o2000;

fn is_locked(id: i32) -> bool {
    u32::from(shm_stat(id).unwrap().shm_perm.mode) & SHM_LOCKED != 0
}

#[test]
fn locked_memory() {
    let name = TestName::new("locked");
    let ring = Ring::builder(name.name()).lock_memory(true).create().unwrap();
    assert!(is_locked(ring.id()));
    ring.lock_memory(false).unwrap();
    assert!(!is_locked(ring.id()));
    ring.lock_memory(true).unwrap();
    assert!(is_locked(ring.id()));
    ring.producer().unwrap().try_push(1).unwrap();
}

/// More than a user may lock: the limit is named, and the ring is not left behind.
#[test]
fn more_locked_memory_than_allowed() {
    if !is_root() {
        return skip("more_locked_memory_than_allowed", "needs root, to become another user");
    }
    let name = TestName::new("locked-too-much");
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes one rlimit.
    unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    if limit.rlim_cur > 1 << 28 {
        return skip("more_locked_memory_than_allowed", "RLIMIT_MEMLOCK is too generous here");
    }
    let capacity = limit.rlim_cur as usize / 4;
    as_user(65534, || {
        let e = Ring::builder(name.name()).capacity(capacity).lock_memory(true).create().unwrap_err();
        assert!(matches!(e, Error::Limit { call: "shmctl(SHM_LOCK)", .. }), "{e:?}");
        let text = e.to_string();
        for part in [name.as_str(), "shmctl(SHM_LOCK): ENOMEM", "RLIMIT_MEMLOCK", "ulimit -l"] {
            assert!(text.contains(part), "{text:?} does not say {part:?}");
        }
    });
    assert_eq!(objects(name.key()), (false, false));
}

/// Kilobytes of the segment that this process has in memory.
fn resident(shm_id: i32) -> u64 {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut mine = false;
    let mut kilobytes = 0;
    for line in smaps.lines() {
        let mut fields = line.split_whitespace();
        let first = fields.next().unwrap_or_default();
        if !first.ends_with(':') {
            mine = line.contains("/SYSV") && line.split_whitespace().nth(4) == Some(&shm_id.to_string());
        } else if mine && first == "Rss:" {
            kilobytes += fields.next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    kilobytes
}

#[test]
fn prefaulted_memory() {
    for (prefault, all) in [(true, true), (false, false)] {
        let name = TestName::new("prefault");
        let ring = Ring::builder(name.name()).capacity(1 << 17).prefault(prefault).create().unwrap();
        let bytes = ring.stats().unwrap().bytes;
        assert_eq!(resident(ring.id()) * 1024 == bytes, all);
        // An attacher may ask for it too.
        let other = Ring::builder(name.name()).prefault(true).attach().unwrap();
        drop(ring);
        assert_eq!(resident(other.id()) * 1024, bytes);
    }
}
