//! Removing: the segment's removal is deferred by the kernel, the set's is not, so the set goes
//! with the last process that uses the ring.

use super::error::{Context, Error};
use super::map::Mapping;
use super::set::{LockAttempt, LockGuard, SemSet};
use super::{Name, Region};
use crate::layout::cursors::REMOVED;
use crate::layout::header::{FEATURE_EPHEMERAL, Header, MAGIC};
use crate::sync::Ordering;
use crate::sys::{Errno, futex, sem, shm};

impl Region {
    /// Takes the ring's name away. Processes that are in it go on; nobody new comes by name. The
    /// memory goes when the last one detaches, and the set with it.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        let cx = Context::new(&self.name);
        if !self.is_mine() {
            return Err(Error::Forked { ring: cx.ring() });
        }
        match shm::remove(self.shm_id()) {
            Ok(()) => {}
            Err(e) if super::set::is_gone(e) => {}
            Err(e) => return Err(cx.os("shmctl(IPC_RMID)", e)),
        }
        if !self.is_read_only() {
            let state = &self.cursors().state;
            // Relaxed: a hint to look at the kernel's own mark, which is the truth.
            state.flags.fetch_or(REMOVED, Ordering::Relaxed);
            for word in [&state.consumer_waits, &state.producer_waits] {
                word.store(0, Ordering::Relaxed);
                futex::wake(word, u32::MAX);
            }
        }
        Ok(())
    }

    /// Whether the ring's name is gone, by [`Region::remove`] or by `ipcrm -m`.
    pub(crate) fn is_removed(&self) -> bool {
        match shm::stat(self.shm_id()) {
            Ok(stat) => stat.removed,
            // Any other error, such as a permission that was taken away, says nothing of the ring.
            Err(e) => super::set::is_gone(e),
        }
    }

    /// Changes mode and owner of both halves.
    pub(crate) fn set_permissions(&self, mode: Option<u32>, owner: Option<(u32, u32)>) -> Result<(), Error> {
        let cx = Context::new(&self.name);
        if !self.is_mine() {
            return Err(Error::Forked { ring: cx.ring() });
        }
        // The set first: who may join but not attach gets a clear refusal, the reverse would not.
        sem::set_permissions(self.set.id, mode, owner).map_err(|e| cx.os("semctl(IPC_SET)", e))?;
        shm::set_permissions(self.shm_id(), mode, owner).map_err(|e| cx.os("shmctl(IPC_SET)", e))
    }

    /// An ephemeral ring is removed by the last one who leaves a seat. Called after leaving.
    pub(crate) fn remove_if_abandoned(&self) {
        if self.header.features & FEATURE_EPHEMERAL == 0 {
            return;
        }
        let nobody_sits = || matches!(self.set.held_seats(self.set_count()), Ok(0));
        if nobody_sits() {
            // Waits for whoever makes or repairs something: he does not look for me.
            if let Ok(LockAttempt::Held(_lock)) = self.set.lock(&Context::new(&self.name)) {
                // Under the lock nobody can sit down between the look and the removal.
                if nobody_sits() {
                    let _ = self.remove();
                }
            }
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // A child that inherited this has no mapping and no business with the set.
        if !self.is_mine() {
            return;
        }
        let id = self.shm_id();
        // Detach first (the field's own drop would come after this), then look: if the kernel has
        // destroyed the segment, it had been removed and nobody else has it.
        if self.mapping.detach_early() && matches!(shm::stat(id), Err(e) if super::set::is_gone(e)) {
            // Waits for a creator of this name who is at work, and who may have decided already
            // that this set is in use: nobody else would remove it.
            if let Ok(LockAttempt::Held(lock)) = self.set.lock(&Context::new(&self.name)) {
                remove_set_of(&self.header, self.set_generation(), self.set, &lock);
            }
        }
    }
}

/// Detaches from a ring that was only looked at. If its last user has left meanwhile, its set is left
/// to me.
pub(crate) fn stop_looking(mapping: Mapping, header: &Header) {
    let id = mapping.id();
    drop(mapping);
    if !matches!(shm::stat(id), Err(e) if super::set::is_gone(e)) {
        return;
    }
    let set = SemSet { id: header.sem_id };
    let count = super::set::ADMIN + header.seats as usize;
    // The header is a peer's word: the set must be mine, and fit.
    let fits = |stat: sem::Stat| {
        stat.count == count
            && stat.cuid == crate::sys::process::effective_uid()
            && (stat.key == header.key || stat.key == 0)
    };
    if set.stat().is_ok_and(fits) {
        // Not waited for: who holds the lock may be this very thread.
        if let Some(lock) = set.try_lock() {
            remove_set_of(header, header.set_generation, set, &lock);
        }
    }
}

/// Removes the set of a ring that is gone. Creators are kept out by the lock; one that gave the set
/// to another ring has changed the generation. The mark of a killed one is kept as long as there is
/// a segment under the key that it might speak of.
fn remove_set_of(header: &Header, generation: u64, set: SemSet, _lock: &LockGuard) {
    let Ok((now, marked)) = set.generation() else { return };
    let needed = marked && shm::open(header.key) != Err(Errno(libc::ENOENT));
    let count = super::set::ADMIN + header.seats as usize;
    if now == generation && !needed && matches!(set.held_seats(count), Ok(0)) {
        let _ = set.remove();
    }
}

/// Takes a meeting place away that served no ring yet, if this is one.
pub(crate) fn remove_unused_set(key: i32, set: SemSet, count: usize, _lock: &LockGuard) {
    // At most the failed attempt of the caller.
    let unused = matches!(set.generation(), Ok((now, false)) if now <= super::set::FIRST);
    if unused && !is_in_use(key, set) && matches!(set.held_seats(count), Ok(0)) {
        let _ = set.remove();
    }
}

/// Whether the segment that has the key now is a ring that lives with this set. When in doubt, yes.
fn is_in_use(key: i32, set: SemSet) -> bool {
    let id = match shm::open(key) {
        Ok(id) => id,
        Err(e) => return e != Errno(libc::ENOENT),
    };
    let name = Name::id(id);
    let Ok(stat) = shm::stat(id) else { return true };
    match Mapping::attach(id, stat.size, true, &Context::new(&name)) {
        Ok(mapping) => {
            let header = mapping.read_header();
            header.magic == MAGIC && header.sem_id == set.id
        }
        Err(Error::NotSegring { .. }) => false,
        Err(_) => true,
    }
}

/// Removes a ring of any kind by its name, as [`Ring::remove`](crate::spsc::Ring::remove) does.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::NotSegring`] and [`Error::OtherUser`] leave everything untouched;
/// [`Error::PermissionDenied`] if this user does not own it.
///
/// ```
/// # let name = format!("doc-remove-{}", std::process::id());
/// let ring = segring::spsc::Ring::<u64>::builder(&*name).create()?;
/// segring::remove(&*name)?;
/// assert!(matches!(segring::remove(&*name), Err(segring::Error::NotFound { .. })));
/// # Ok::<(), segring::Error>(())
/// ```
pub fn remove(name: impl Into<Name>) -> Result<(), Error> {
    remove_trusting(name, &[])
}

/// The same, also for rings that one of these users made.
///
/// # Errors
/// As [`remove`].
pub fn remove_trusting(name: impl Into<Name>, users: &[u32]) -> Result<(), Error> {
    let expect = super::Expect { allowed_users: users.to_vec(), ..super::Expect::default() };
    Region::attach(&name.into(), &expect, false)?.remove()
}
