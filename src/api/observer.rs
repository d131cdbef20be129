//! Looking at a ring without taking part.

use super::stats::{self, Stats};
use crate::region::{Error, Expect, Name, Region};

/// A read-only view of any ring, whatever its payload (`shmat` with `SHM_RDONLY`).
///
/// It cannot push, pop, wait or wake, so it can disturb nobody; any number may look at once, and a
/// killed one leaves nothing. It polls.
///
/// ```
/// use segring::{Observer, spsc};
/// # let name = format!("doc-observer-{}", std::process::id());
/// let ring = spsc::Ring::<u64>::builder(&*name).create()?;
/// let observer = Observer::attach(&*name)?;
/// ring.producer()?.try_push(1)?;
/// assert_eq!(observer.stats()?.len, 1);
/// ring.remove()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Observer {
    region: Region,
}

impl Observer {
    /// Attaches to a ring of any kind, made by this user.
    ///
    /// # Errors
    /// As [`Builder::attach`](crate::Builder::attach), but for the comparison of payload and schema.
    pub fn attach(name: impl Into<Name>) -> Result<Self, Error> {
        Self::attach_trusting(name, &[])
    }

    /// The same, also to rings that one of these users made.
    ///
    /// # Errors
    /// As [`Observer::attach`].
    pub fn attach_trusting(name: impl Into<Name>, users: &[u32]) -> Result<Self, Error> {
        let expect = Expect { allowed_users: users.to_vec(), ..Expect::default() };
        Region::attach(&name.into(), &expect, true).map(Self::from_region)
    }

    pub(crate) fn from_region(region: Region) -> Self {
        Self { region }
    }

    /// A snapshot. A few system calls; lock-free.
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::Removed`], [`Error::Corrupt`].
    pub fn stats(&self) -> Result<Stats, Error> {
        stats::collect(&self.region)
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer")
            .field("name", self.region.name())
            .field("id", &self.region.shm_id())
            .field("kind", &self.region.geometry().shape.kind)
            .finish_non_exhaustive()
    }
}
