//! `mmap`, `madvise`: pages with a special life.

use super::{Errno, check};
use std::ptr::NonNull;

/// One zeroed page that a forked child sees as zero again: `mmap` + `MADV_WIPEONFORK`.
pub(crate) fn page_wiped_on_fork() -> Result<NonNull<u8>, Errno> {
    let page = page_size();
    // SAFETY: a fresh private anonymous mapping; the kernel chooses the address.
    let at = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            page,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if at == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    // SAFETY: the page was mapped just above, with this length.
    check(unsafe { libc::madvise(at, page, libc::MADV_WIPEONFORK) })?;
    NonNull::new(at.cast()).ok_or(Errno(libc::ENOMEM))
}

/// `madvise(MADV_DONTFORK)`: a forked child does not get this mapping.
///
/// # Safety
/// The range is a mapping of the caller.
pub(crate) unsafe fn dont_fork(at: NonNull<u8>, len: usize) -> Result<(), Errno> {
    // SAFETY: the caller owns the range; the advice does not change its contents here.
    check(unsafe { libc::madvise(at.as_ptr().cast(), len, libc::MADV_DONTFORK) }).map(drop)
}

/// `madvise(MADV_DONTDUMP)`: the range is left out of core dumps.
///
/// # Safety
/// The range is a mapping of the caller.
pub(crate) unsafe fn dont_dump(at: NonNull<u8>, len: usize) -> Result<(), Errno> {
    // SAFETY: the caller owns the range; the advice does not change its contents.
    check(unsafe { libc::madvise(at.as_ptr().cast(), len, libc::MADV_DONTDUMP) }).map(drop)
}

/// `madvise(MADV_POPULATE_WRITE)`, Linux 5.14: every page exists and is writable afterwards.
///
/// # Safety
/// The range is a writable mapping of the caller.
pub(crate) unsafe fn populate(at: NonNull<u8>, len: usize) -> Result<(), Errno> {
    // SAFETY: the caller owns the range; populating does not change its contents.
    check(unsafe { libc::madvise(at.as_ptr().cast(), len, libc::MADV_POPULATE_WRITE) }).map(drop)
}

/// `sysconf(_SC_PAGESIZE)`.
pub(crate) fn page_size() -> usize {
    // SAFETY: sysconf takes no pointer.
    let n = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(n).unwrap_or(4096)
}

/// The default huge page in bytes (`Hugepagesize` of `/proc/meminfo`), 0 where there is none.
pub(crate) fn huge_page_size() -> usize {
    std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|l| l.starts_with("Hugepagesize:"))?;
            line.split_whitespace().nth(1)?.parse::<usize>().ok()
        })
        .map_or(0, |kb| kb * 1024)
}
