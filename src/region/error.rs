//! What can go wrong before a ring is in use: each error says what failed, on which key, why, and
//! what to do.

use super::Name;
use crate::layout::header::Kind;
use crate::sys::{Errno, limits, memory, sem, shm};
use std::path::PathBuf;

/// Why a ring could not be created, attached, joined, changed or removed.
///
/// Every message names the ring, the key, the failing call with its `errno` where there is one,
/// and what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text cannot be a ring's name.
    #[error(
        "{name:?} cannot be a ring's name: give 1 to 255 bytes of text without NUL, or key:0xHEX (not 0), id:NUMBER, path:FILE"
    )]
    BadName {
        /// What was given.
        name: String,
    },
    /// The file that the key should come from cannot be looked at.
    #[error("path {}: cannot make a key from it: {errno}; it must be an existing file or directory", path.display())]
    BadPath {
        /// What was given.
        path: PathBuf,
        /// The kernel's reason.
        errno: Errno,
    },
    /// An id names an existing segment; it cannot be used to make one.
    #[error("id:{id} names an existing segment: attach to it, or create under a name, a path or a key")]
    IdCannotCreate {
        /// What was given.
        id: i32,
    },
    /// Capacity, payload, mode, schema, seats or messages in hand are out of bounds, or two options contradict
    /// each other.
    #[error("ring {ring}: {what}")]
    BadOption {
        /// The ring's name and key.
        ring: String,
        /// Which, and what would be right.
        what: String,
    },
    /// There is no ring of this name.
    #[error("ring {ring}: no such ring ({call}: {errno}); create it first, or use create_or_attach")]
    NotFound {
        /// The ring's name and key.
        ring: String,
        /// The call that said so.
        call: &'static str,
        /// Its reason.
        errno: Errno,
    },
    /// A ring of this name is there already.
    #[error("ring {ring}: exists already (shmid {shm_id}); attach to it, or remove it first")]
    Exists {
        /// The ring's name and key.
        ring: String,
        /// The kernel's id of its segment.
        shm_id: i32,
    },
    /// The kernel has not enough for a segment or set of this size.
    #[error("ring {ring}: {call}{}: {errno}: {limit}; {remedy}", asked_for(*.size, .unit))]
    Limit {
        /// The ring's name and key.
        ring: String,
        /// The failing call.
        call: &'static str,
        /// What was asked for; 0 where the call asks for no amount.
        size: u64,
        /// The unit of `size`.
        unit: &'static str,
        /// The kernel's reason.
        errno: Errno,
        /// Which limit, and its value.
        limit: String,
        /// What to do.
        remedy: String,
    },
    /// The ring's mode does not let this user in.
    #[error("ring {ring}: {call}: {errno}: {}", permission_remedy(*.errno, *.uid))]
    PermissionDenied {
        /// The ring's name and key.
        ring: String,
        /// The failing call.
        call: &'static str,
        /// The kernel's reason.
        errno: Errno,
        /// The effective user of this process.
        uid: u32,
    },
    /// Another user made the segment or the set.
    #[error(
        "ring {ring}: its {half} was created by user {creator}, not by user {uid}; if that user is trusted, say so with allow_user({creator})"
    )]
    OtherUser {
        /// The ring's name and key.
        ring: String,
        /// `"segment"` or `"semaphore set"`.
        half: &'static str,
        /// Who made it (`cuid`).
        creator: u32,
        /// The effective user of this process.
        uid: u32,
    },
    /// Two names have the same key.
    #[error(
        "ring {ring}: its key belongs to the ring {found:?}; choose another name, or a key of your own with key:0x…"
    )]
    Collision {
        /// The ring's name and key.
        ring: String,
        /// The name in the header.
        found: String,
    },
    /// The segment or the set was made by some other program.
    #[error(
        "ring {ring}: not a segring segment: {what}; it was left untouched: choose another name or key, or remove it with ipcrm if it is yours"
    )]
    NotSegring {
        /// The ring's name and key.
        ring: String,
        /// What does not fit.
        what: String,
    },
    /// The segment is a ring of another version.
    #[error(
        "ring {ring}: its layout is version {found}, this program speaks {ours}; use the same segring version on both sides"
    )]
    WrongAbi {
        /// The ring's name and key.
        ring: String,
        /// Version (and unknown features) of the segment.
        found: String,
        /// Version of this library.
        ours: String,
    },
    /// The ring is of another kind.
    #[error("ring {ring}: is of kind {found}, not {wanted}; use that kind, or another name")]
    WrongKind {
        /// The ring's name and key.
        ring: String,
        /// The ring's kind.
        found: Kind,
        /// The kind that was asked for.
        wanted: Kind,
    },
    /// The messages are of another type.
    #[error(
        "ring {ring}: its messages have size {found_size} and alignment {found_align}, not {wanted_size} and {wanted_align}; both sides must use the same payload type"
    )]
    WrongPayload {
        /// The ring's name and key.
        ring: String,
        /// Size in the ring, in bytes.
        found_size: u64,
        /// Alignment in the ring, in bytes.
        found_align: u32,
        /// Size of the payload type, in bytes.
        wanted_size: u64,
        /// Alignment of the payload type, in bytes.
        wanted_align: u32,
    },
    /// The schema names differ.
    #[error("ring {ring}: its schema is {found:?}, not {wanted:?}; both sides must name the same schema")]
    WrongSchema {
        /// The ring's name and key.
        ring: String,
        /// The schema in the header.
        found: String,
        /// The schema that was asked for.
        wanted: String,
    },
    /// The segment is being made by a process that is alive, or its maker died half-way.
    #[error("ring {ring}: not ready: {what}")]
    NotReady {
        /// The ring's name and key.
        ring: String,
        /// Who is making it, or what to do if nobody is.
        what: String,
    },
    /// The ring, or its semaphore set, has been removed.
    #[error("ring {ring}: has been removed ({call}: {errno}); create it anew")]
    Removed {
        /// The ring's name and key.
        ring: String,
        /// The call that said so.
        call: &'static str,
        /// Its reason.
        errno: Errno,
    },
    /// The seat is held by a process that is alive.
    #[error(
        "ring {ring}: the {role}'s seat is taken by process {pid}, which is alive; a ring of this kind has one {role}: end that one, or use another ring"
    )]
    SeatTaken {
        /// The ring's name and key.
        ring: String,
        /// `"producer"` or `"consumer"`.
        role: &'static str,
        /// The holder; if it cannot be seen from this PID namespace, its pid in its own. This process
        /// itself, if another handle holds it.
        pid: u32,
    },
    /// All seats of an exchange ring are held by processes that are alive.
    #[error(
        "ring {ring}: all its {seats} seats are taken by live handles; drop some, or create it anew with more seats"
    )]
    SeatsFull {
        /// The ring's name and key.
        ring: String,
        /// How many it has.
        seats: u32,
    },
    /// Another process holds the lock under which seats are repaired, and does not let go.
    #[error(
        "ring {ring}: process {pid} holds the ring's lock and does not let go; is it stopped? continue or end it"
    )]
    Busy {
        /// The ring's name and key.
        ring: String,
        /// Who took the lock last.
        pid: i32,
    },
    /// The shared words contradict each other.
    #[error(
        "ring {ring}: its memory is corrupt: a peer wrote outside the protocol; remove it and create it anew"
    )]
    Corrupt {
        /// The ring's name and key.
        ring: String,
    },
    /// The handle was inherited through a `fork`.
    #[error("ring {ring}: this handle belongs to the parent process; attach again after fork")]
    Forked {
        /// The ring's name and key.
        ring: String,
    },
    /// The ring is attached read-only.
    #[error("ring {ring}: is attached read-only; attach for writing to do that")]
    ReadOnly {
        /// The ring's name and key.
        ring: String,
    },
    /// Some other call failed.
    #[error("ring {ring}: {call}: {errno}")]
    Os {
        /// The ring's name and key.
        ring: String,
        /// The failing call.
        call: &'static str,
        /// The kernel's reason.
        errno: Errno,
    },
}

fn asked_for(size: u64, unit: &str) -> String {
    if size == 0 { String::new() } else { format!(" for {size} {unit}") }
}

fn permission_remedy(errno: Errno, uid: u32) -> String {
    if errno.0 == libc::EPERM {
        // IPC_SET and IPC_RMID: no mode gives that right.
        format!("only its owner, its creator or root may do that, not user {uid}; ask one of them")
    } else {
        format!(
            "its mode does not admit user {uid}; ask its owner to widen it (set_mode), or run as that user"
        )
    }
}

/// Whom an error is about: carried along so that each error can say it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) name: &'a Name,
    /// Known once it has been computed.
    pub(crate) key: Option<i32>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(name: &'a Name) -> Self {
        Self { name, key: name.key().ok() }
    }

    /// `"ticks" (key 0x1234abcd)`.
    pub(crate) fn ring(&self) -> String {
        match self.key {
            Some(0) => format!("{} (IPC_PRIVATE)", self.name),
            Some(key) => format!("\"{}\" (key {key:#010x})", self.name),
            None => format!("\"{}\"", self.name),
        }
    }

    pub(crate) fn option(&self, what: impl Into<String>) -> Error {
        Error::BadOption { ring: self.ring(), what: what.into() }
    }

    pub(crate) fn not_segring(&self, what: impl Into<String>) -> Error {
        Error::NotSegring { ring: self.ring(), what: what.into() }
    }

    /// The general reading of an errno; special calls look at theirs first.
    pub(crate) fn os(&self, call: &'static str, errno: Errno) -> Error {
        let ring = self.ring();
        match errno.0 {
            libc::ENOENT => Error::NotFound { ring, call, errno },
            libc::EIDRM | libc::EINVAL if call.contains("ctl") || call.contains("op") || call == "shmat" => {
                Error::Removed { ring, call, errno }
            }
            libc::ENOMEM | libc::EPERM if call.contains("SHM_LOCK") => Error::Limit {
                ring,
                call,
                size: 0,
                unit: "bytes",
                errno,
                limit: "RLIMIT_MEMLOCK, what a user may lock, is too small for the segment, or this user does not own it".into(),
                remedy: "raise it (ulimit -l), run with CAP_IPC_LOCK, or do without lock_memory".into(),
            },
            libc::EACCES | libc::EPERM => {
                Error::PermissionDenied { ring, call, errno, uid: crate::sys::process::effective_uid() }
            }
            libc::ENOMEM => Error::Limit {
                ring,
                call,
                size: 0,
                unit: "bytes",
                errno,
                limit: "the machine is out of memory".into(),
                remedy: "free some, or ask for a smaller ring".into(),
            },
            _ => Error::Os { ring, call, errno },
        }
    }

    /// `shmget` refused to create: which limit was it?
    pub(crate) fn shm_limit(&self, size: u64, huge: bool, errno: Errno) -> Error {
        let page = memory::page_size() as u64;
        let pages = size.div_ceil(page);
        let (limit, remedy) = match errno.0 {
            libc::EINVAL if huge && limits::shmmax().is_some_and(|max| size <= max) => (
                "this kernel has no huge pages of the default size".into(),
                "use HugePages::Prefer or Off".into(),
            ),
            libc::EINVAL => {
                let max = limits::shmmax().unwrap_or(0);
                (
                    format!("SHMMAX, the largest segment, is {max} bytes"),
                    format!("ask for a smaller capacity, or raise it: sysctl -w kernel.shmmax={size}"),
                )
            }
            libc::ENOSPC => {
                let (used, pages_used) = shm::usage().unwrap_or((0, 0));
                let most = limits::shmmni().unwrap_or(0);
                if used >= most {
                    (
                        format!("SHMMNI, the number of segments, is {most}, and {used} are in use"),
                        format!(
                            "remove unused ones (ipcs -m, segring ls), or raise it: sysctl -w kernel.shmmni={}",
                            most + 1
                        ),
                    )
                } else {
                    let all = limits::shmall().unwrap_or(0);
                    (
                        format!(
                            "SHMALL, all segments together, is {all} pages of {page} bytes, {pages_used} are in use, {pages} are needed"
                        ),
                        format!(
                            "ask for a smaller capacity, or raise it: sysctl -w kernel.shmall={}",
                            pages_used.saturating_add(pages)
                        ),
                    )
                }
            }
            libc::ENOMEM if huge => (
                "not enough free huge pages (HugePages_Free in /proc/meminfo)".into(),
                format!(
                    "reserve some: sysctl -w vm.nr_hugepages={}, or use HugePages::Prefer",
                    size.div_ceil(memory::huge_page_size().max(1) as u64)
                ),
            ),
            libc::EPERM if huge => (
                "SHM_HUGETLB needs CAP_IPC_LOCK or the group in vm.hugetlb_shm_group".into(),
                "run with one of them, or use HugePages::Prefer".into(),
            ),
            libc::ENOMEM => ("the machine is out of memory".into(), "ask for a smaller capacity".into()),
            _ => return self.os("shmget", errno),
        };
        Error::Limit { ring: self.ring(), call: "shmget", size, unit: "bytes", errno, limit, remedy }
    }

    /// `semget` refused to create: which limit was it?
    pub(crate) fn sem_limit(&self, count: u64, errno: Errno) -> Error {
        let (limit, remedy) = match errno.0 {
            libc::EINVAL => {
                let most = limits::semmsl().unwrap_or(0);
                (
                    format!("SEMMSL, the semaphores of one set, is {most}"),
                    "ask for fewer seats, or raise it: the first number of sysctl kernel.sem".to_owned(),
                )
            }
            libc::ENOSPC => {
                let (sets, semaphores) = sem::usage().unwrap_or((0, 0));
                let most_sets = limits::semmni().unwrap_or(0);
                if sets >= most_sets {
                    (
                        format!("SEMMNI, the number of sets, is {most_sets}, and {sets} are in use"),
                        "remove unused ones (ipcs -s), or raise it: the fourth number of sysctl kernel.sem"
                            .into(),
                    )
                } else {
                    let most = limits::semmns().unwrap_or(0);
                    (
                        format!("SEMMNS, all semaphores together, is {most}, and {semaphores} are in use"),
                        "remove unused sets (ipcs -s), or raise it: the second number of sysctl kernel.sem"
                            .into(),
                    )
                }
            }
            _ => return self.os("semget", errno),
        };
        Error::Limit {
            ring: self.ring(),
            call: "semget",
            size: count,
            unit: "semaphores",
            errno,
            limit,
            remedy,
        }
    }
}
