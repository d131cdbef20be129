//! `membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED)`: a full barrier in every registered process.
//!
//! Never `PRIVATE_EXPEDITED`: that one orders the threads of a single process.

use std::sync::atomic::{AtomicU32, Ordering};

const GLOBAL_EXPEDITED: libc::c_int = 1 << 1;
const REGISTER_GLOBAL_EXPEDITED: libc::c_int = 1 << 2;

fn call(command: libc::c_int) -> bool {
    // SAFETY: membarrier takes no pointer.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Makes this process one that [`barrier`] of others reaches. `false`: it fences for itself.
///
/// Registration belongs to the address space and ends with `exec`; a fork's child inherits it.
pub(crate) fn register() -> bool {
    // 0: not asked yet, 1: registered, 2: refused. Relaxed: the answer is the same for every thread.
    static ANSWER: AtomicU32 = AtomicU32::new(0);
    match ANSWER.load(Ordering::Relaxed) {
        1 => true,
        2 => false,
        _ => {
            let registered = call(REGISTER_GLOBAL_EXPEDITED);
            ANSWER.store(if registered { 1 } else { 2 }, Ordering::Relaxed);
            registered
        }
    }
}

/// A full barrier on every core that runs a registered process. `false`: it could not be made.
pub(crate) fn barrier() -> bool {
    call(GLOBAL_EXPEDITED)
}
