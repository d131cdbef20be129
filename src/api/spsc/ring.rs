//! The typed ring and what it can say of itself.

use super::{Consumer, Producer};
use crate::api::builder::{Builder, Sealed};
use crate::api::payload::{Payload, check_payload};
use crate::api::ring_methods::common_methods;
use crate::layout::header::Kind;
use crate::layout::slot::Layout;
use crate::region::{Error, Name, Region};
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
    fn payload() -> Option<(u64, u32)> {
        Some((size_of::<T>() as u64, align_of::<T>() as u32))
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
