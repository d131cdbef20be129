//! What all rings have in common.

macro_rules! common_methods {
    () => {
        /// The kernel's id of the segment, for [`Name::id`](crate::Name::id).
        pub fn id(&self) -> i32 {
            self.region.shm_id()
        }

        /// The ring's name as its creator gave it.
        pub fn name(&self) -> &str {
            self.region.header().name().unwrap_or_default()
        }

        /// Whether the ring has been closed. Messages may still be in it.
        pub fn is_closed(&self) -> bool {
            // Relaxed: a snapshot. A child after fork has no memory to look at.
            self.region.is_mine()
                && self.region.cursors().state.flags.load($crate::sync::Ordering::Relaxed)
                    & $crate::layout::cursors::CLOSED
                    != 0
        }

        /// Messages in the ring now: a snapshot, exact only while both sides rest. With
        /// [`Layout::Inline`](crate::Layout::Inline) it looks at every entry that has some.
        #[allow(clippy::len_without_is_empty)]
        pub fn len(&self) -> usize {
            if self.region.is_mine() { $crate::api::stats::len(&self.region) as usize } else { 0 }
        }

        /// Whether there is no message now: a snapshot.
        pub fn is_empty(&self) -> bool {
            !self.region.is_mine() || $crate::api::stats::is_empty(&self.region)
        }

        /// A snapshot of everything that can be seen. A few system calls.
        ///
        /// # Errors
        /// [`Error::Forked`], [`Error::Removed`], [`Error::Corrupt`].
        pub fn stats(&self) -> Result<$crate::api::Stats, Error> {
            $crate::api::stats::collect(&self.region)
        }

        /// Takes the ring's name away (`IPC_RMID`). Whoever is in it goes on, and messages in it are
        /// delivered; who waits for a peer that can no longer come is told
        /// [`RingError::Removed`](crate::RingError::Removed). The name is free for a new ring at
        /// once; the memory goes when the last process detaches, and the semaphore set with it.
        ///
        /// Removing twice is no error.
        ///
        /// # Errors
        /// [`Error::PermissionDenied`] if this user is not the owner; [`Error::Forked`].
        pub fn remove(&self) -> Result<(), Error> {
            self.region.remove()
        }

        /// Changes the permission bits of both kernel objects (`IPC_SET`).
        ///
        /// # Errors
        /// [`Error::BadOption`] for other bits than `0o777`; [`Error::PermissionDenied`] if this
        /// user is not the owner; [`Error::Forked`], [`Error::Removed`].
        pub fn set_mode(&self, mode: u32) -> Result<(), Error> {
            if mode & !0o777 != 0 {
                return Err($crate::region::Context::new(self.region.name())
                    .option(format!("mode {mode:#o} has more than permission bits")));
            }
            self.region.set_permissions(Some(mode), None)
        }

        /// Gives both kernel objects to another user and group (`IPC_SET`). The creator stays the
        /// creator: others still need [`allow_user`](crate::Builder::allow_user) for it.
        ///
        /// # Errors
        /// [`Error::PermissionDenied`] if this user is not the owner; [`Error::Forked`],
        /// [`Error::Removed`].
        pub fn set_owner(&self, uid: u32, gid: u32) -> Result<(), Error> {
            self.region.set_permissions(None, Some((uid, gid)))
        }

        /// Keeps the segment's touched pages in memory, or no longer (`SHM_LOCK`, `SHM_UNLOCK`).
        ///
        /// # Errors
        /// [`Error::PermissionDenied`], or [`Error::Limit`] beyond `RLIMIT_MEMLOCK`;
        /// [`Error::Forked`], [`Error::Removed`].
        pub fn lock_memory(&self, locked: bool) -> Result<(), Error> {
            let cx = $crate::region::Context::new(self.region.name());
            if !self.region.is_mine() {
                return Err(Error::Forked { ring: cx.ring() });
            }
            self.region.lock_memory(locked).map_err(|e| cx.os("shmctl(SHM_LOCK)", e))
        }
    };
}
pub(crate) use common_methods;
