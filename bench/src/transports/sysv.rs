//! System V objects for the transports that are not segring: made private, removed on drop.

use super::Keeper;
use anyhow::{Context, Result};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::rc::Rc;

/// A kernel object by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Object {
    Segment(i32),
    Set(i32),
    Queue(i32),
}

impl Object {
    /// Removes it. One that is gone already is no error.
    pub(crate) fn remove(self) -> Result<()> {
        let result = match self {
            // SAFETY: IPC_RMID takes no buffer.
            Self::Segment(id) => unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) },
            // SAFETY: IPC_RMID takes no argument.
            Self::Set(id) => unsafe { libc::semctl(id, 0, libc::IPC_RMID) },
            // SAFETY: IPC_RMID takes no buffer.
            Self::Queue(id) => unsafe { libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()) },
        };
        match Errno::result(result) {
            Ok(_) | Err(Errno::EINVAL | Errno::EIDRM) => Ok(()),
            Err(e) => Err(e).with_context(|| format!("remove {self:?}")),
        }
    }
}

/// Removes its object on drop.
struct Owned(Object);

impl Drop for Owned {
    fn drop(&mut self) {
        if let Err(e) = self.0.remove() {
            eprintln!("segring: bench: {e:#}");
        }
    }
}

/// Takes care of an object that was just made, here and in the keeper.
pub(crate) fn own(object: Object, keeper: &Rc<Keeper>) -> Result<[Box<dyn Any>; 2]> {
    let owned = Owned(object);
    let kept = keeper.watch(&[object])?;
    Ok([Box::new(owned), Box::new(kept)])
}

const PRIVATE: i32 = libc::IPC_CREAT | 0o600;

pub(crate) fn new_segment(size: usize) -> Result<i32, Errno> {
    // SAFETY: no pointers.
    Errno::result(unsafe { libc::shmget(libc::IPC_PRIVATE, size, PRIVATE) })
}

pub(crate) fn new_set(count: i32) -> Result<i32, Errno> {
    // SAFETY: no pointers.
    Errno::result(unsafe { libc::semget(libc::IPC_PRIVATE, count, PRIVATE) })
}

pub(crate) fn new_queue() -> Result<i32, Errno> {
    // SAFETY: no pointers.
    Errno::result(unsafe { libc::msgget(libc::IPC_PRIVATE, PRIVATE) })
}
