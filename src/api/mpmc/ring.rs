//! The typed ring.

use super::recover::{self, Recovered};
use super::{Consumer, Producer};
use crate::api::builder::{Builder, Sealed};
use crate::api::payload::{Payload, check_payload};
use crate::api::ring_methods::common_methods;
use crate::layout::header::Kind;
use crate::layout::slot::Layout;
use crate::region::{Error, Name, Region};
use std::marker::PhantomData;
use std::sync::Arc;

/// A FIFO of messages of type `T`, between any number of producers and consumers.
///
/// This is an attachment, not a side: take [`producer`](Ring::producer)s and
/// [`consumer`](Ring::consumer)s from it, one for each thread that takes part. `Send` and `Sync`; any
/// number of attachments may exist. Dropping it detaches once its handles are gone, and removes nothing.
pub struct Ring<T> {
    region: Arc<Region>,
    item: PhantomData<fn(T) -> T>,
}

impl<T: Payload> Sealed for Ring<T> {
    fn kind() -> Kind {
        Kind::Mpmc
    }
    fn payload() -> Option<(u64, u32)> {
        Some((size_of::<T>() as u64, align_of::<T>() as u32))
    }
    fn default_layout() -> Layout {
        Layout::Dense
    }
    fn default_capacity() -> usize {
        1024
    }
    #[allow(private_interfaces)]
    fn from_region(region: Arc<Region>) -> Self {
        Self { region, item: PhantomData }
    }
}

/// What only exchange rings can be asked for.
macro_rules! exchange_options {
    () => {
        /// How many producers and consumers there may be at once, 1 to 4096. Each takes 128 bytes, a semaphore,
        /// and, with slots, 128 bytes and a slot for each message in hand; where messages lie in entries, 128
        /// bytes and `capacity / 64` blocks of 512 bytes, 1 to 16: of 1,024 messages 8.4 KB. Default: 64.
        pub fn seats(mut self, seats: u32) -> Self {
            self.seats = seats;
            self
        }

        /// How many messages a consumer may hold at once, 1 to 64. Default: 1. Asks for
        /// redelivery, too: who holds messages wants them to come back. More than 1, and redelivery turned off
        /// after it, is refused when the ring is made or attached to.
        pub fn in_hand(mut self, messages: u32) -> Self {
            self.in_hand = messages;
            self.redelivery = true;
            self
        }
    };
}
pub(super) use exchange_options;

impl<T: Payload> Builder<Ring<T>> {
    exchange_options!();

    /// Whether messages can be built and taken in place, and come back when their consumer dies or hands
    /// them back. Larger ones always do. Those of up to 8 bytes lie in the ring's entries if this is off
    /// ([`Layout::Inline`](crate::Layout::Inline)): faster, and only to push and pop; what a consumer has popped
    /// when it is killed is gone. Default: off, unless [`in_hand`](Builder::in_hand) is called. Off after
    /// `in_hand(1)` is off; after more in hand it is [`Error::BadOption`], for messages of any size, as one wish
    /// would have to be dropped. Who asks for it does not attach to a ring that was made without.
    pub fn redelivery(mut self, redelivery: bool) -> Self {
        self.redelivery = redelivery;
        self
    }
}

/// What both exchange rings can do.
macro_rules! exchange_methods {
    () => {
        /// Looks for seats whose holders are dead, finishes what those had begun, and puts what they held
        /// into the ring again, marked. Consumers do this every 100 ms or so while they wait, poll or work, and
        /// whoever joins does; so this is for those who want it now. Any number may call it at once. Waits for
        /// nobody; some system calls, and a look into `/proc` for each live participant that holds something.
        ///
        /// Killed in here, it leaves what it had not finished to the next one.
        ///
        /// # Errors
        /// [`Error::Corrupt`], [`Error::Removed`], [`Error::Forked`].
        pub fn recover(&self) -> Result<Recovered, Error> {
            recover::recover(&self.region)
        }

        /// How many entries there are: a power of two. A message takes one; of messages of up to 8 bytes a batch
        /// of up to 64 does ([`push_slice`](crate::mpmc::Producer::push_slice)), so more of those may fit.
        pub fn capacity(&self) -> usize {
            self.region.geometry().shape.capacity as usize
        }

        /// How many producers and consumers there may be at once.
        pub fn seats(&self) -> u32 {
            self.region.geometry().shape.seats
        }

        /// How many messages a consumer may hold at once. 0 where they lie in the entries.
        pub fn in_hand(&self) -> u32 {
            self.region.geometry().shape.in_hand
        }
    };
}
pub(super) use exchange_methods;

impl<T: Payload> Ring<T> {
    /// Starts the settings of a ring. `T` of size 0, or aligned to more than 128, does not compile.
    pub fn builder(name: impl Into<Name>) -> Builder<Self> {
        const { check_payload::<T>() };
        Builder::new(name)
    }

    /// Takes a seat to push. One that a dead participant held is repaired first; what that one had taken
    /// is pushed again, marked. A few system calls. Waits for nobody but a process that makes, removes or leaves
    /// this very ring at the moment: 5 s at most, then [`Error::Busy`].
    ///
    /// # Errors
    /// [`Error::SeatsFull`]; [`Error::Busy`], [`Error::Removed`], [`Error::Forked`], [`Error::Corrupt`].
    pub fn producer(&self) -> Result<Producer<T>, Error> {
        Producer::join(&self.region)
    }

    /// Takes a seat to pop. One that a dead participant held is repaired first; what that one had taken
    /// is pushed again, marked; if the ring is full, it comes first.
    ///
    /// # Errors
    /// As [`producer`](Ring::producer).
    pub fn consumer(&self) -> Result<Consumer<T>, Error> {
        Consumer::join(&self.region)
    }

    exchange_methods!();
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
