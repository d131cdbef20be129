//! The typed ring and what it can say of itself.

use super::{Consumer, Producer};
use crate::api::builder::{Builder, Sealed};
use crate::api::payload::{Payload, check_payload};
use crate::api::stats::{self, Stats};
use crate::layout::cursors::CLOSED;
use crate::layout::header::Kind;
use crate::layout::slot::Layout;
use crate::region::{Context, Error, Name, Region};
use crate::sync::Ordering;
use std::marker::PhantomData;
use std::sync::Arc;

/// A FIFO of messages of type `T`, between one producer and one consumer.
///
/// This is an attachment, not a side: take [`producer`](Ring::producer) or
/// [`consumer`](Ring::consumer) from it. `Send` and `Sync`; any number of attachments may exist.
/// Dropping it detaches once its handles are gone, and removes nothing.
pub struct Ring<T> {
    region: Arc<Region>,
    item: PhantomData<fn(T) -> T>,
}

impl<T: Payload> Sealed for Ring<T> {
    fn kind() -> Kind {
        Kind::Spsc
    }
    fn payload() -> (u64, u32) {
        (size_of::<T>() as u64, align_of::<T>() as u32)
    }
    fn default_layout() -> Layout {
        Layout::for_payload(size_of::<T>())
    }
    fn default_capacity() -> usize {
        1024
    }
    #[allow(private_interfaces)]
    fn from_region(region: Arc<Region>) -> Self {
        Self { region, item: PhantomData }
    }
}

impl<T: Payload> Ring<T> {
    /// Starts the settings of a ring. `T` of size 0, or aligned to more than 128, does not compile.
    pub fn builder(name: impl Into<Name>) -> Builder<Self> {
        const { check_payload::<T>() };
        Builder::new(name)
    }

    /// Takes the producer's seat, also that of one that left or died; goes on at its position.
    ///
    /// A few system calls, no waiting for peers.
    ///
    /// # Errors
    /// [`Error::SeatTaken`] while another producer lives, in this process or another;
    /// [`Error::Removed`], [`Error::Forked`], [`Error::Corrupt`].
    pub fn producer(&self) -> Result<Producer<T>, Error> {
        Producer::join(&self.region)
    }

    /// Takes the consumer's seat, also that of one that left or died; goes on at its position.
    ///
    /// # Errors
    /// As [`producer`](Ring::producer).
    pub fn consumer(&self) -> Result<Consumer<T>, Error> {
        Consumer::join(&self.region)
    }

    /// Where commit marks are kept.
    pub fn layout(&self) -> Layout {
        self.region.geometry().shape.layout
    }
}

/// What typed rings and byte rings have in common.
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

        /// Whether the producer has closed the ring. Messages may still be in it.
        pub fn is_closed(&self) -> bool {
            // Relaxed: a snapshot. A child after fork has no memory to look at.
            self.region.is_mine() && self.region.cursors().state.flags.load(Ordering::Relaxed) & CLOSED != 0
        }

        /// Messages in the ring now: a snapshot, exact only while both sides rest.
        #[allow(clippy::len_without_is_empty)]
        pub fn len(&self) -> usize {
            if self.region.is_mine() { stats::len(&self.region) as usize } else { 0 }
        }

        /// Whether there is no message now: a snapshot.
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }

        /// A snapshot of everything that can be seen. A few system calls.
        ///
        /// # Errors
        /// [`Error::Forked`], [`Error::Removed`], [`Error::Corrupt`].
        pub fn stats(&self) -> Result<Stats, Error> {
            stats::collect(&self.region)
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
                return Err(Context::new(self.region.name())
                    .option(format!("mode {mode:#o} has more than permission bits")));
            }
            self.region.set_permissions(Some(mode), None)
        }

        /// Gives both kernel objects to another user and group (`IPC_SET`). The creator stays the
        /// creator: others still need [`allow_user`](Builder::allow_user) for it.
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
            let cx = Context::new(self.region.name());
            if !self.region.is_mine() {
                return Err(Error::Forked { ring: cx.ring() });
            }
            self.region.lock_memory(locked).map_err(|e| cx.os("shmctl(SHM_LOCK)", e))
        }
    };
}
pub(crate) use common_methods;

impl<T: Payload> Ring<T> {
    /// How many messages fit: a power of two.
    pub fn capacity(&self) -> usize {
        self.region.geometry().shape.capacity as usize
    }

    common_methods!();
}

impl<T> std::fmt::Debug for Ring<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("name", self.region.name())
            .field("id", &self.region.shm_id())
            .finish_non_exhaustive()
    }
}
