//! `mmap`, `mprotect`: a buffer behind which nothing can be written.

use super::{Errno, check, memory};
use std::ptr::NonNull;

/// Room for `len` values, which ends at a page that cannot be touched. A system call that writes more
/// than fits, from the front to the back, fails with `EFAULT` at the end of the room.
#[derive(Debug)]
pub(crate) struct GuardedBuffer {
    base: NonNull<u8>,
    mapped: usize,
    values: NonNull<u16>,
    len: usize,
}

impl GuardedBuffer {
    pub(crate) fn new(len: usize) -> Result<Self, Errno> {
        let page = memory::page_size();
        let bytes = len * size_of::<u16>();
        let room = bytes.next_multiple_of(page);
        let mapped = room + page;
        // SAFETY: a fresh private anonymous mapping; the kernel chooses the address.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapped,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let base = NonNull::new(at.cast::<u8>()).ok_or(Errno(libc::ENOMEM))?;
        let values = base.as_ptr().wrapping_add(room - bytes).cast();
        let values = NonNull::new(values).ok_or(Errno(libc::ENOMEM))?;
        let buffer = Self { base, mapped, values, len };
        let guard = base.as_ptr().wrapping_add(room);
        // SAFETY: the last page of the mapping just made.
        check(unsafe { libc::mprotect(guard.cast(), page, libc::PROT_NONE) })?;
        Ok(buffer)
    }

    /// Where the values begin: room for exactly `len`, zero at first.
    pub(super) fn as_mut_ptr(&mut self) -> *mut u16 {
        self.values.as_ptr()
    }

    pub(crate) fn values(&self) -> &[u16] {
        // SAFETY: `len` values lie before the guard, zeroed by the kernel or written by it since; nobody
        // else has the mapping.
        unsafe { std::slice::from_raw_parts(self.values.as_ptr(), self.len) }
    }
}

impl Drop for GuardedBuffer {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, which nobody uses any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.mapped) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_end_at_the_guard() {
        for len in [1, 2047, 2048, 2049] {
            let mut buffer = GuardedBuffer::new(len).unwrap();
            assert_eq!(buffer.values(), vec![0; len]);
            let end = buffer.as_mut_ptr() as usize + len * 2;
            assert_eq!(end % memory::page_size(), 0);
        }
    }
}
