//! A ring's two kernel objects: the segment that carries the data, and the semaphore set that
//! carries life.
//!
//! Semaphore 0 of a set is the lock under which a ring is made and unmade; semaphore 1 says that a
//! creator is at work, semaphore 2 that the set is segring's; the others are the seats, from 3 on. All
//! changes that must not outlive their process are made with `SEM_UNDO`: the kernel takes them back
//! whatever ends it.
#![allow(unsafe_code)]

mod attach;
mod create;
mod error;
mod fork;
mod list;
mod map;
mod name;
mod park;
mod registry;
mod remove;
mod seats;
mod set;
mod views;

pub(crate) use attach::Expect;
pub use create::HugePages;
pub(crate) use create::Recipe;
pub(crate) use error::Context;
pub use error::Error;
pub(crate) use fork::ForkToken;
pub use list::{Listing, list};
pub(crate) use map::Mapping;
pub use name::Name;
pub(crate) use park::{NotWoken, Parking};
pub(crate) use registry::{Adoption, Survey};
pub use remove::{remove, remove_trusting};
pub(crate) use seats::{Occupancy, Seat};
use set::SemSet;
pub(crate) use views::TypedSlots;

use crate::layout::cursors::Cursors;
use crate::layout::geometry::Geometry;
use crate::layout::header::Header;
use crate::layout::seat::SeatRecord;
use crate::sys::shm;

/// An attached ring: mapping, set, and a private copy of everything that the header says.
///
/// Dropping the last handle detaches. If the ring was removed, and this was the last process that
/// had it, the semaphore set goes too.
#[derive(Debug)]
pub(crate) struct Region {
    mapping: Mapping,
    set: SemSet,
    header: Header,
    geometry: Geometry,
    name: Name,
}

impl Region {
    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The private copy: what the creator wrote, checked.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    pub(crate) fn set(&self) -> SemSet {
        self.set
    }

    /// The generation of the set that is this ring's.
    fn set_generation(&self) -> u64 {
        self.header.set_generation
    }

    /// Whether the set still is this ring's, and was not given to the next ring of its name.
    fn has_its_set(&self) -> Result<bool, crate::sys::Errno> {
        self.set.generation().map(|(now, _)| now == self.set_generation())
    }

    /// How many semaphores the set has: checked on attach.
    fn set_count(&self) -> usize {
        set::ADMIN + self.header.seats as usize
    }

    pub(crate) fn shm_id(&self) -> i32 {
        self.mapping.id()
    }

    pub(crate) fn stat(&self) -> Result<shm::Stat, crate::sys::Errno> {
        shm::stat(self.mapping.id())
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.mapping.is_read_only()
    }

    /// Whether this process made the region itself, and did not inherit it through a fork.
    #[inline(always)]
    pub(crate) fn is_mine(&self) -> bool {
        self.mapping.token().is_valid()
    }

    /// The lines through which the two sides meet. Must not be called in a forked child.
    pub(crate) fn cursors(&self) -> &Cursors {
        let at = self.mapping.at(self.geometry.cursors_offset);
        // SAFETY: checked on attach: offset and size lie inside the mapping, which `self` keeps;
        // 128-aligned by `Shape::geometry`. All fields are atomics, so peers may write them.
        unsafe { at.cast::<Cursors>().as_ref() }
    }

    /// A seat's record. Must not be called in a forked child.
    pub(crate) fn seat_record(&self, seat: u32) -> &SeatRecord {
        let seat = u64::from(seat.min(self.geometry.shape.seats - 1));
        let offset = self.geometry.seats_offset + seat * size_of::<SeatRecord>() as u64;
        let at = self.mapping.at(offset);
        // SAFETY: the seat number is bounded by the checked seat count, so the record lies inside
        // the mapping; 128-aligned by `Shape::geometry`. All fields are atomics.
        unsafe { at.cast::<SeatRecord>().as_ref() }
    }

    /// Makes every page exist now, so that the first pass over the ring takes no page fault.
    pub(crate) fn prefault(&self) -> Result<(), crate::sys::Errno> {
        self.mapping.populate()
    }

    /// `SHM_LOCK` or `SHM_UNLOCK`.
    pub(crate) fn lock_memory(&self, locked: bool) -> Result<(), crate::sys::Errno> {
        shm::lock(self.mapping.id(), locked)
    }
}
