//! Who a process is: user, pid, start time, PID namespace, and what it has mapped.

use std::os::unix::fs::MetadataExt;

/// The effective user: the one that the kernel compares with a segment's owner.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: geteuid takes no pointer and cannot fail.
    unsafe { libc::geteuid() }
}

/// `getpid`, always asked anew: a cached one would be wrong after a fork.
pub(crate) fn pid() -> u32 {
    // SAFETY: getpid takes no pointer and cannot fail.
    unsafe { libc::getpid() as u32 }
}

/// When a process started, in clock ticks since boot. Pid and start time together name a process.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Field 22. The command name (field 2) may hold spaces and brackets: count after the last one.
    let rest = &stat[stat.rfind(')')? + 1..];
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// The inode of this process's PID namespace: pids can be compared only within one.
pub(crate) fn pid_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |m| m.ino())
}

/// Whether a process has the segment mapped. `None`: it cannot be seen.
pub(crate) fn maps_segment(pid: u32, shm_id: i32) -> Option<bool> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    // A line of a segment: `… 00000000 00:01 <shmid> /SYSV<key> (deleted)`.
    let wanted = (shm_id as u32).to_string();
    Some(maps.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(4);
        fields.next() == Some(wanted.as_str()) && fields.next().is_some_and(|name| name.starts_with("/SYSV"))
    }))
}
