//! How a ring is made or found.

use crate::layout::exchange::IN_HAND_MAX;
use crate::layout::geometry::{RECORD_LEN, Shape, can_be_inline};
use crate::layout::header::Kind;
use crate::layout::slot::Layout;
use crate::region::{Context, Error, Expect, HugePages, Name, Recipe, Region};
use std::marker::PhantomData;
use std::sync::Arc;

use super::Observer;

mod sealed {
    use crate::layout::header::Kind;
    use crate::layout::slot::Layout;
    use crate::region::Region;
    use std::sync::Arc;

    /// What the builder must know of a ring type.
    pub trait Sealed: Sized {
        #[doc(hidden)]
        fn kind() -> Kind;
        /// Size and alignment of a message. `None`: the builder says how long one may be.
        #[doc(hidden)]
        fn payload() -> Option<(u64, u32)>;
        #[doc(hidden)]
        fn default_layout() -> Layout;
        #[doc(hidden)]
        fn default_capacity() -> usize;
        #[doc(hidden)]
        #[allow(private_interfaces)]
        fn from_region(region: Arc<Region>) -> Self;
    }
}
pub(crate) use sealed::Sealed;

/// A ring that a [`Builder`] can make: [`spsc::Ring`](crate::spsc::Ring),
/// [`spsc::ByteRing`](crate::spsc::ByteRing), [`mpmc::Ring`](crate::mpmc::Ring) and
/// [`mpmc::ByteRing`](crate::mpmc::ByteRing). Sealed.
pub trait RingType: Sealed {}
impl<R: Sealed> RingType for R {}

/// Settings of a ring, ending in [`create`](Builder::create), [`attach`](Builder::attach),
/// [`create_or_attach`](Builder::create_or_attach) or [`observe`](Builder::observe).
///
/// Capacity, layout, seats, hands, the longest record, mode, pages and ephemerality are the creator's; an
/// attacher takes what is there. Kind, payload, schema and the creator's user are compared when attaching,
/// and whether messages come back, if that was asked for.
#[derive(Debug)]
#[must_use = "a builder does nothing until create, attach, create_or_attach or observe"]
pub struct Builder<R> {
    name: Name,
    capacity: usize,
    layout: Layout,
    schema: Option<String>,
    mode: u32,
    huge: HugePages,
    prefault: bool,
    lock: bool,
    ephemeral: bool,
    allowed_users: Vec<u32>,
    /// Exchange rings: seats, and hands of each.
    pub(super) seats: u32,
    pub(super) in_hand: u32,
    /// Messages are to be taken in place, and to come back from the dead: they need slots.
    pub(super) redelivery: bool,
    /// Exchange rings of records: the longest one, in bytes.
    pub(super) max_record: usize,
    ring: PhantomData<fn() -> R>,
}

// By hand: the derive would ask for `R: Clone`.
impl<R> Clone for Builder<R> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            schema: self.schema.clone(),
            allowed_users: self.allowed_users.clone(),
            ring: PhantomData,
            ..*self
        }
    }
}

/// Attempts of `create_or_attach`: each failed one means that another process removed or made the
/// ring in between.
const ROUNDS: u32 = 100;

impl<R: RingType> Builder<R> {
    pub(crate) fn new(name: impl Into<Name>) -> Self {
        Self {
            name: name.into(),
            capacity: R::default_capacity(),
            layout: R::default_layout(),
            schema: None,
            mode: 0o600,
            huge: HugePages::Off,
            prefault: false,
            lock: false,
            ephemeral: false,
            allowed_users: Vec::new(),
            seats: 64,
            in_hand: 1,
            redelivery: false,
            max_record: 4096,
            ring: PhantomData,
        }
    }

    /// How many messages fit (bytes, on an SPSC byte ring; see [`mpmc::Ring::capacity`](crate::mpmc::Ring::capacity)
    /// for small messages between many). Rounded up to a power of two, and to 4096
    /// bytes on an SPSC byte ring; the ring's `capacity()` reports it. Default: 1024 messages, 1 MiB.
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// Where an SPSC ring keeps its commit marks. Default: by payload size, see [`Layout`]. Of no effect
    /// on other rings.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// A name for the meaning of the payload, such as `"tick.v1"`, up to 127 bytes. Who names another one is
    /// refused, also if the ring was made without; who names none is not. Default: none.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// Permission bits of both kernel objects. The owner needs `0o600`; others need read *and*
    /// write to take part, and read to observe. Default: `0o600`. The umask does not apply.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Makes the segment of huge pages. Default: [`HugePages::Off`].
    pub fn huge_pages(mut self, huge: HugePages) -> Self {
        self.huge = huge;
        self
    }

    /// Makes every page exist before the call returns, so that the first lap takes no page fault.
    /// Linux 5.14 or later. Default: off.
    pub fn prefault(mut self, prefault: bool) -> Self {
        self.prefault = prefault;
        self
    }

    /// Keeps touched pages in memory (`SHM_LOCK`; bounded by `RLIMIT_MEMLOCK`). Default: off.
    pub fn lock_memory(mut self, lock: bool) -> Self {
        self.lock = lock;
        self
    }

    /// The ring is removed when the last producer or consumer leaves. If all are killed, it stays,
    /// with what is in it. Default: off: a ring stays until it is removed.
    pub fn ephemeral(mut self, ephemeral: bool) -> Self {
        self.ephemeral = ephemeral;
        self
    }

    /// Trusts rings that this user created. Without it only one's own are accepted, so that nobody
    /// can wait at a well-known name with a ring of his.
    pub fn allow_user(mut self, uid: u32) -> Self {
        self.allowed_users.push(uid);
        self
    }

    fn expect(&self) -> Result<Expect, Error> {
        self.check_hands()?;
        Ok(Expect {
            kind: Some(R::kind()),
            payload: R::payload(),
            schema: self.schema.clone(),
            redelivery: self.redelivery && R::kind() == Kind::Mpmc,
            allowed_users: self.allowed_users.clone(),
        })
    }

    /// `in_hand` asks for redelivery: that it is off says that it was turned off afterwards. What one of the
    /// two wants would be dropped without a word, whatever there is to attach to.
    fn check_hands(&self) -> Result<(), Error> {
        if self.redelivery || self.in_hand == 1 {
            return Ok(());
        }
        let hands = self.in_hand;
        Err(Context::new(&self.name).option(if (1..=IN_HAND_MAX).contains(&hands) {
            format!("in_hand({hands}) asks for messages that come back, and redelivery(false) after it for ones that do not: leave out one of the two")
        } else {
            format!("{hands} messages in hand cannot be: give 1 to {IN_HAND_MAX} in hand")
        }))
    }

    fn recipe(&self) -> Result<Recipe, Error> {
        let cx = Context::new(&self.name);
        let record = (self.max_record as u64, RECORD_LEN as u32);
        let (payload_size, payload_align) = R::payload().unwrap_or(record);
        let capacity = Shape::round_capacity(R::kind(), self.capacity).ok_or_else(|| {
            cx.option(format!(
                "a capacity of {} cannot be: give at least 1, and less than 2^63",
                self.capacity
            ))
        })?;
        let kind: Kind = R::kind();
        let (seats, in_hand) = if kind.is_mpmc() { (self.seats, self.in_hand) } else { (2, 0) };
        let inline = kind == Kind::Mpmc && !self.redelivery && can_be_inline(payload_size, payload_align);
        let (layout, in_hand) = match kind {
            _ if inline => (Layout::Inline, 0),
            Kind::Spsc => (self.layout, in_hand),
            // Of no effect.
            _ => (R::default_layout(), in_hand),
        };
        Ok(Recipe {
            shape: Shape { kind, layout, capacity, payload_size, payload_align, seats, in_hand },
            mode: self.mode,
            schema: self.schema.clone().unwrap_or_default(),
            huge: self.huge,
            ephemeral: self.ephemeral,
            expect: self.expect()?,
        })
    }

    fn finish(&self, region: Region) -> Result<R, Error> {
        let cx = Context::new(&self.name);
        if self.prefault {
            region.prefault().map_err(|e| cx.os("madvise(MADV_POPULATE_WRITE)", e))?;
        }
        if self.lock {
            region.lock_memory(true).map_err(|e| cx.os("shmctl(SHM_LOCK)", e))?;
        }
        Ok(R::from_region(Arc::new(region)))
    }

    /// Makes the ring.
    ///
    /// Safe against others who create at the same time: one succeeds. A half-made ring of a creator
    /// that was killed is cleaned up; nothing else is ever touched. A creator killed in here leaves
    /// at most that half-made ring, for the next call to clean up.
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::Limit`] when the system has too little; [`Error::NotSegring`]
    /// when the key belongs to another program; [`Error::BadOption`], [`Error::BadName`], ….
    pub fn create(self) -> Result<R, Error> {
        let made = Region::create(&self.name, &self.recipe()?)?;
        self.finish_new(made)
    }

    /// A ring that could not be finished is not left behind.
    fn finish_new(&self, region: Region) -> Result<R, Error> {
        let id = region.shm_id();
        self.finish(region).inspect_err(|_| {
            let _ = crate::region::remove_trusting(Name::id(id), &self.allowed_users);
        })
    }

    /// Attaches to a ring that exists. Waits up to 2 s for a creator that is at work.
    ///
    /// Every field of the header is checked against the kernel's data and copied: nothing is read
    /// from it again.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotReady`], [`Error::WrongKind`], [`Error::WrongPayload`],
    /// [`Error::WrongSchema`], [`Error::WrongAbi`], [`Error::OtherUser`],
    /// [`Error::PermissionDenied`], [`Error::Collision`], [`Error::NotSegring`]; [`Error::BadOption`] for
    /// redelivery that this ring has not, and for options that contradict each other, ….
    pub fn attach(self) -> Result<R, Error> {
        let region = Region::attach(&self.name, &self.expect()?, false)?;
        self.finish(region)
    }

    /// Attaches, or makes the ring if there is none. Any number of processes may call this at once:
    /// all of them get the same ring.
    ///
    /// # Errors
    /// Those of [`attach`](Builder::attach) and [`create`](Builder::create), but for the two that
    /// it is there to avoid.
    pub fn create_or_attach(self) -> Result<R, Error> {
        let mut last = Error::Busy { ring: self.name.to_string(), pid: 0 };
        for _ in 0..ROUNDS {
            match Region::attach(&self.name, &self.expect()?, false) {
                Ok(region) => return self.finish(region),
                Err(Error::NotFound { .. } | Error::NotReady { .. } | Error::Removed { .. }) => {}
                Err(e) => return Err(e),
            }
            match Region::create(&self.name, &self.recipe()?) {
                Ok(region) => return self.finish_new(region),
                Err(e @ Error::Exists { .. }) => last = e,
                Err(e) => return Err(e),
            }
        }
        Err(last)
    }

    /// Attaches read-only (`SHM_RDONLY`), to look: never joins, never disturbs.
    ///
    /// # Errors
    /// Those of [`attach`](Builder::attach).
    pub fn observe(self) -> Result<Observer, Error> {
        let region = Region::attach(&self.name, &self.expect()?, true)?;
        Ok(Observer::from_region(region))
    }
}
