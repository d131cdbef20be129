//! System calls, and nothing else: each wrapper names its call, and knows nothing of rings.
//!
//! `unsafe` is allowed here because a system call is a foreign function. Every failure comes
//! back as an [`Errno`]; nothing here panics.
#![allow(unsafe_code)]

pub(crate) mod futex;
pub(crate) mod guarded;
pub(crate) mod limits;
pub(crate) mod membarrier;
pub(crate) mod memory;
pub(crate) mod process;
pub(crate) mod sem;
pub(crate) mod shm;
pub(crate) mod time;

/// An `errno` value, as the failing call left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// The `errno` of the call that has just failed in this thread.
    pub(crate) fn last() -> Self {
        Self(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }
}

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.0 {
            libc::EACCES => "EACCES",
            libc::EAGAIN => "EAGAIN",
            libc::EEXIST => "EEXIST",
            libc::EFBIG => "EFBIG",
            libc::EIDRM => "EIDRM",
            libc::EINTR => "EINTR",
            libc::EINVAL => "EINVAL",
            libc::ENFILE => "ENFILE",
            libc::ENOENT => "ENOENT",
            libc::ENOMEM => "ENOMEM",
            libc::ENOSPC => "ENOSPC",
            libc::ENOSYS => "ENOSYS",
            libc::EPERM => "EPERM",
            _ => "errno",
        };
        // `io::Error` prints "text (os error N)": the text and the number both help a search.
        write!(f, "{name}: {}", std::io::Error::from_raw_os_error(self.0))
    }
}

/// Turns the `-1` convention of libc into a `Result`.
pub(crate) fn check(result: libc::c_int) -> Result<libc::c_int, Errno> {
    if result == -1 { Err(Errno::last()) } else { Ok(result) }
}
