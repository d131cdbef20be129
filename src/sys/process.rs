//! Who a process is: user, pid, start time, PID namespace, and what it has mapped.

use std::os::unix::fs::MetadataExt;

/// The effective user: the one that the kernel compares with a segment's owner.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: geteuid takes no pointer and cannot fail.
    unsafe { libc::geteuid() }
}

/// The effective group.
pub(crate) fn effective_gid() -> u32 {
    // SAFETY: getegid takes no pointer and cannot fail.
    unsafe { libc::getegid() }
}

/// A file of `/proc`, which may hold names that are not UTF-8.
fn read(path: impl AsRef<std::path::Path>) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// `getpid`, always asked anew: a cached one would be wrong after a fork.
pub(crate) fn pid() -> u32 {
    // SAFETY: getpid takes no pointer and cannot fail.
    unsafe { libc::getpid() as u32 }
}

/// Sixteen random bytes that the kernel gives to each program that it starts (`AT_RANDOM`): others after
/// each `exec`, the same for all libraries of one process. `None`: this kernel gives none.
pub(crate) fn program_random() -> Option<[u8; 16]> {
    // SAFETY: getauxval takes no pointer and cannot fail.
    let at = unsafe { libc::getauxval(libc::AT_RANDOM) } as *const [u8; 16];
    if at.is_null() {
        return None;
    }
    // SAFETY: the kernel has put sixteen bytes there, on the stack of the program, for good.
    Some(unsafe { at.read() })
}

/// Whether `/proc` shows the PID namespace of this process. In a container that kept the outer
/// `/proc`, `/proc/PID` is somebody else: nothing must be concluded from it.
pub(crate) fn proc_is_of_my_namespace() -> bool {
    let Some(status) = read("/proc/self/status") else { return false };
    // My pids from the namespace of this `/proc` down to mine: one only if they are the same.
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    line.is_some_and(|pids| pids.split_whitespace().count() == 1)
}

/// When a process started, in clock ticks since boot. Pid and start time together name a process.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    let stat = read(format!("/proc/{pid}/stat"))?;
    // Field 22. The command name (field 2) may hold spaces and brackets: count after the last one.
    let rest = &stat[stat.rfind(')')? + 1..];
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// The inode of this process's PID namespace: pids can be compared only within one.
pub(crate) fn pid_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |m| m.ino())
}

/// The mappings of a process. `None`: they cannot be seen, or it has none any more.
fn maps(pid: u32) -> Option<String> {
    let read = |path: std::path::PathBuf| read(path).filter(|text| !text.is_empty());
    // Empty for a zombie; also for one whose first thread has ended (`pthread_exit` in `main`)
    // while the others live and have everything mapped: ask those.
    read(format!("/proc/{pid}/maps").into()).or_else(|| {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
        threads.flatten().find_map(|thread| read(thread.path().join("maps")))
    })
}

/// Whether a process has the segment mapped. `None`: it cannot be seen, or has no memory any more.
pub(crate) fn maps_segment(pid: u32, shm_id: i32) -> Option<bool> {
    let maps = maps(pid)?;
    // A line of a segment: `… 00000000 00:01 <shmid> /SYSV<key> (deleted)`.
    let wanted = (shm_id as u32).to_string();
    Some(maps.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(4);
        fields.next() == Some(wanted.as_str()) && fields.next().is_some_and(|name| name.starts_with("/SYSV"))
    }))
}
