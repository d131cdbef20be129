//! Creating: safe against two creators at once, and against a creator killed anywhere.
//!
//! Under the lock of the key's semaphore set:
//! 1. mark the set "a creator is at work" (lasting);
//! 2. `shmget(IPC_CREAT | IPC_EXCL)`, attach;
//! 3. store the magic number, then the header, then (Release) the ready mark;
//! 4. unmark, unlock.
//!
//! A creator killed between 1 and 3 leaves the mark and a segment that is not ready, and the
//! kernel gives its lock back. The next creator finds both and removes that segment; without the
//! mark, or made by another process than the mark, it would be somebody else's, and is never
//! touched. A segment that is ready is never changed, truncated or initialised again. A semaphore
//! set without segring's signature is somebody else's too.

use super::attach::{Readiness, readiness};
use super::error::{Context, Error};
use super::map::Mapping;
use super::set::{ADMIN, LockAttempt, Maker, SemSet};
use super::{Expect, Name, Region};
use crate::layout::exchange::{IN_HAND_MAX, SEATS_MAX, SLOTS_MAX};
use crate::layout::geometry::{BadShape, Geometry, Shape};
use crate::layout::header::{
    FEATURE_EPHEMERAL, FEATURE_HUGE, FEATURE_PAIRS, Header, Kind, MAGIC, READY, SCHEMA_MAX,
};
use crate::layout::slot::Layout;
use crate::layout::{ABI_MAJOR, ABI_MINOR};
use crate::sync::Ordering;
use crate::sys::{Errno, memory, process, shm, time};
use std::time::Duration;
use zerocopy::FromZeros;

/// Whether a ring's segment is made of huge pages (`SHM_HUGETLB`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HugePages {
    /// Ordinary pages.
    #[default]
    Off,
    /// Huge pages if the system has enough free ones and lets this user have them, ordinary pages
    /// if not. [`Stats::huge_pages`](crate::Stats::huge_pages) says which it became.
    Prefer,
    /// Huge pages or an error.
    Require,
}

/// Everything that a creator decides.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) shape: Shape,
    pub(crate) mode: u32,
    pub(crate) schema: String,
    pub(crate) huge: HugePages,
    pub(crate) ephemeral: bool,
    pub(crate) expect: Expect,
}

/// Attempts at meeting with other creators before giving up. Each failed one means that another
/// process made or removed something in between.
const ROUNDS: u32 = 1000;

/// Looks at a set without signature, a millisecond apart, before it is another program's.
const UNSIGNED_LOOKS: u32 = 20;

/// What a look under a key found.
enum Found {
    Nothing,
    Ready(i32),
}

impl Region {
    /// Makes a ring, or fails with [`Error::Exists`].
    pub(crate) fn create(name: &Name, recipe: &Recipe) -> Result<Self, Error> {
        let cx = Context::new(name);
        let geometry = check_recipe(recipe, &cx)?;
        let key = name.key()?;
        if key == 0 {
            return create_private(name, recipe, geometry, &cx);
        }
        for _ in 0..ROUNDS {
            // Without the lock first: who finds a ready ring must not wait, nor leave a set behind.
            if let Some(id) = ready_segment(key, &cx)? {
                return Err(Error::Exists { ring: cx.ring(), shm_id: id });
            }
            let (set, fresh) = meeting_place(key, recipe, &cx)?;
            let LockAttempt::Held(lock) = set.lock(&cx)? else {
                continue;
            };
            match make_under_lock(key, set, name, recipe, geometry, &cx) {
                Ok(Some(region)) => return Ok(region),
                Ok(None) => {}
                Err(e) => {
                    // Take the meeting place away again if nothing came of it.
                    if fresh {
                        super::remove::remove_unused_set(key, set, set_count(recipe), &lock);
                    }
                    return Err(e);
                }
            }
        }
        Err(Error::Busy { ring: cx.ring(), pid: 0 })
    }
}

fn check_recipe(recipe: &Recipe, cx: &Context<'_>) -> Result<Geometry, Error> {
    if recipe.mode & !0o777 != 0 || recipe.mode & 0o600 != 0o600 {
        return Err(cx.option(format!("mode {:#o} is not usable: give permission bits, with read and write for the owner, such as 0o600", recipe.mode)));
    }
    if recipe.schema.len() > SCHEMA_MAX || recipe.schema.contains('\0') {
        return Err(cx.option(format!(
            "schema {:?} is not usable: at most {SCHEMA_MAX} bytes, without NUL",
            recipe.schema
        )));
    }
    recipe.shape.geometry().map_err(|e| {
        cx.option(match e {
            BadShape::Capacity => "the capacity must be at least 1".to_owned(),
            BadShape::Payload if recipe.shape.kind == Kind::MpmcBytes => {
                "max_record is 0: records need at least one byte of room".to_owned()
            }
            BadShape::Payload if recipe.shape.layout == Layout::Inline => {
                "Layout::Inline is not for SPSC rings: choose Stamped (payloads of up to 56 bytes) or Dense".to_owned()
            }
            BadShape::Payload => format!(
                "a payload of {} bytes, aligned to {}, cannot have this layout: stamped slots take up to 56 bytes, and alignments go up to 128",
                recipe.shape.payload_size, recipe.shape.payload_align
            ),
            BadShape::TooLarge => format!(
                "{} slots of {} bytes are more than 64 TiB: ask for a smaller capacity",
                recipe.shape.capacity, recipe.shape.payload_size
            ),
            BadShape::Seats if recipe.shape.is_inline() => {
                format!("{} seats cannot be: give 1 to {SEATS_MAX}", recipe.shape.seats)
            }
            BadShape::Seats => format!(
                "{} seats with {} messages in hand each cannot be: give 1 to {SEATS_MAX} seats, and 1 to {IN_HAND_MAX} in hand",
                recipe.shape.seats, recipe.shape.in_hand
            ),
            BadShape::TooManySlots => format!(
                "a capacity of {} and {} seats with {} in hand each are more than {SLOTS_MAX} slots together: ask for less of each",
                recipe.shape.capacity, recipe.shape.seats, recipe.shape.in_hand
            ),
        })
    })
}

/// How many semaphores the ring's set has.
fn set_count(recipe: &Recipe) -> usize {
    ADMIN + recipe.shape.seats as usize
}

/// The segment under the key, if it is a finished ring.
fn ready_segment(key: i32, cx: &Context<'_>) -> Result<Option<i32>, Error> {
    match shm::open(key) {
        Ok(id) => Ok(is_ready(id, cx)?.then_some(id)),
        Err(Errno(libc::ENOENT)) => Ok(None),
        Err(e) => Err(cx.os("shmget", e)),
    }
}

/// Whether the segment is a finished ring, and still is there.
fn is_ready(id: i32, cx: &Context<'_>) -> Result<bool, Error> {
    let stat = match shm::stat(id) {
        Ok(stat) => stat,
        Err(e) if super::set::is_gone(e) => return Ok(false),
        Err(e) => return Err(cx.os("shmctl(IPC_STAT)", e)),
    };
    let mapping = match Mapping::attach(id, stat.size, true, cx) {
        Ok(mapping) => mapping,
        Err(Error::Removed { .. }) => return Ok(false),
        Err(e) => return Err(e),
    };
    match readiness(&mapping) {
        (Readiness::Ready, header) => {
            // Its last user may leave while I look, and leave its set to me.
            super::remove::stop_looking(mapping, &header);
            Ok(matches!(shm::stat(id), Ok(stat) if !stat.removed))
        }
        (Readiness::HalfMade, _) => Ok(false),
        (Readiness::Foreign(what), _) => Err(cx.not_segring(what)),
    }
}

/// The key's set, made if need be: where creators meet. Also whether this call made it.
fn meeting_place(key: i32, recipe: &Recipe, cx: &Context<'_>) -> Result<(SemSet, bool), Error> {
    let wanted = set_count(recipe);
    let mut unsigned = 0;
    for _ in 0..ROUNDS {
        match SemSet::create(key, recipe.shape.seats, recipe.mode) {
            Ok(set) => return Ok((set, true)),
            Err(Errno(libc::EEXIST)) => {}
            Err(e) => return Err(cx.sem_limit(wanted as u64, e)),
        }
        match SemSet::open(key) {
            Ok(set) => match set.stat() {
                Ok(stat)
                    if stat.cuid != process::effective_uid()
                        && !recipe.expect.allowed_users.contains(&stat.cuid) =>
                {
                    return Err(Error::OtherUser {
                        ring: cx.ring(),
                        half: "semaphore set",
                        creator: stat.cuid,
                        uid: process::effective_uid(),
                    });
                }
                Ok(stat) => match set.maker() {
                    Ok(Maker::Segring) => return Ok((set, false)),
                    // Left by a creator that was killed before it could sign.
                    Ok(Maker::Unsigned) if stat.count == wanted && set.is_untouched(stat.count) => {
                        set.sign();
                        return Ok((set, false));
                    }
                    // Somebody may be about to sign.
                    Ok(Maker::Unsigned) if unsigned < UNSIGNED_LOOKS => {
                        unsigned += 1;
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    // Not looked at any closer: to take its lock would be to change it.
                    Ok(_) => {
                        return Err(cx.not_segring(format!(
                            "semaphore set {} with this key, of {} semaphores, was made by another program",
                            set.id, stat.count
                        )));
                    }
                    Err(e) if super::set::is_gone(e) => {}
                    Err(e) => return Err(cx.os("semctl(GETVAL)", e)),
                },
                Err(e) if super::set::is_gone(e) => {}
                Err(e) => return Err(cx.os("semctl(IPC_STAT)", e)),
            },
            Err(Errno(libc::ENOENT)) => {}
            Err(e) => return Err(cx.os("semget", e)),
        }
    }
    Err(Error::Busy { ring: cx.ring(), pid: 0 })
}

/// The caller holds the set's lock. `Ok(None)`: the meeting place was removed; meet again.
fn make_under_lock(
    key: i32,
    set: SemSet,
    name: &Name,
    recipe: &Recipe,
    geometry: Geometry,
    cx: &Context<'_>,
) -> Result<Option<Region>, Error> {
    // The set may have been replaced while we waited for its lock: then ours is nobody's.
    if !matches!(SemSet::open(key), Ok(now) if now == set) {
        return Ok(None);
    }
    if let Found::Ready(id) = clear_half_made(key, set, cx)? {
        return Err(Error::Exists { ring: cx.ring(), shm_id: id });
    }
    let Some(home) = home_set(set, recipe, cx)? else {
        return Ok(None);
    };
    let generation = set.begin_creating(home == set).map_err(|e| {
        if home != set {
            let _ = home.remove();
        }
        cx.os("semop(creating)", e)
    })?;
    // A set of its own serves one ring only.
    let generation = if home == set { generation } else { 0 };
    let made = make_segment(key, (home, generation), name, recipe, geometry, cx);
    // A failure to unmark is harmless: the mark only matters beside a segment that is not ready.
    let _ = set.end_creating();
    if made.is_err() && home != set {
        let _ = home.remove();
    }
    made.map(Some)
}

/// Removes what a killed creator left. Under the lock.
fn clear_half_made(key: i32, set: SemSet, cx: &Context<'_>) -> Result<Found, Error> {
    let id = match shm::open(key) {
        Ok(id) => id,
        Err(Errno(libc::ENOENT)) => return Ok(Found::Nothing),
        Err(e) => return Err(cx.os("shmget", e)),
    };
    if is_ready(id, cx)? {
        return Ok(Found::Ready(id));
    }
    // Not ready, and its creator does not hold the lock: I do. Was it one of ours?
    let stat = match shm::stat(id) {
        // Somebody has removed it since.
        Ok(stat) if stat.removed => return Ok(Found::Nothing),
        Err(e) if super::set::is_gone(e) => return Ok(Found::Nothing),
        Ok(stat) => stat,
        Err(e) => return Err(cx.os("shmctl(IPC_STAT)", e)),
    };
    let was_creating = set.is_creating().map_err(|e| cx.os("semctl(GETVAL)", e))?;
    // The same process made the segment and put the mark up: a creator killed between the two
    // leaves a mark that says nothing of a segment that some other program makes later.
    let creator = set.creator().map_err(|e| cx.os("semctl(GETPID)", e))?;
    if !was_creating || stat.creator_pid != creator || stat.cuid != process::effective_uid() {
        return Err(
            cx.not_segring(format!("segment {id} holds nothing, and no segring process was making it"))
        );
    }
    shm::remove(id).map_err(|e| cx.os("shmctl(IPC_RMID)", e))?;
    Ok(Found::Nothing)
}

/// The set that the new ring will live with. Usually the meeting place itself. `None`: the meeting place
/// was of no use to anybody, and is gone now; meet again.
///
/// A ring of this name that was removed keeps its set as long as somebody sits in it; then the new
/// ring gets a private one. Who has the old ring attached without a seat cannot join it any more
/// after its set was given away: the generation tells.
fn home_set(set: SemSet, recipe: &Recipe, cx: &Context<'_>) -> Result<Option<SemSet>, Error> {
    let wanted = set_count(recipe);
    let stat = set.stat().map_err(|e| cx.os("semctl(IPC_STAT)", e))?;
    let held = set.held_seats(stat.count).map_err(|e| cx.os("semctl(GETALL)", e))?;
    // Both halves of a ring have one creator: a set that a trusted user left is not mine to use.
    let mine = stat.cuid == process::effective_uid();
    if mine && held == 0 && stat.count != wanted {
        // Left by a ring with another number of seats, which is gone.
        set.remove().map_err(|e| cx.os("semctl(IPC_RMID)", e))?;
        return Ok(None);
    }
    if !mine || held > 0 {
        return SemSet::create(0, recipe.shape.seats, recipe.mode)
            .map(Some)
            .map_err(|e| cx.sem_limit(wanted as u64, e));
    }
    // Left by a ring that is gone: its mode and owner may have been others.
    let owner = (process::effective_uid(), process::effective_gid());
    crate::sys::sem::set_permissions(set.id, Some(recipe.mode), Some(owner))
        .map_err(|e| cx.os("semctl(IPC_SET)", e))?;
    Ok(Some(set))
}

fn create_private(
    name: &Name,
    recipe: &Recipe,
    geometry: Geometry,
    cx: &Context<'_>,
) -> Result<Region, Error> {
    let seats = recipe.shape.seats;
    let set = SemSet::create(0, seats, recipe.mode)
        .map_err(|e| cx.sem_limit(ADMIN as u64 + u64::from(seats), e))?;
    make_segment(0, (set, 0), name, recipe, geometry, cx).inspect_err(|_| {
        let _ = set.remove();
    })
}

/// `shmget`, `shmat`, header, ready mark. On failure nothing is left of it. `set` is the ring's, and
/// its generation.
fn make_segment(
    key: i32,
    set: (SemSet, u64),
    name: &Name,
    recipe: &Recipe,
    geometry: Geometry,
    cx: &Context<'_>,
) -> Result<Region, Error> {
    let (id, huge) = get_segment(key, recipe, &geometry, cx)?;
    let region = initialise(id, huge, set, name, recipe, geometry, cx);
    if region.is_err() {
        let _ = shm::remove(id);
    }
    region
}

fn get_segment(
    key: i32,
    recipe: &Recipe,
    geometry: &Geometry,
    cx: &Context<'_>,
) -> Result<(i32, bool), Error> {
    let too_large = || cx.shm_limit(geometry.total_bytes, false, Errno(libc::EINVAL));
    let size = usize::try_from(geometry.total_bytes).map_err(|_| too_large())?;
    if recipe.huge != HugePages::Off {
        // The kernel takes whole huge pages only.
        let whole = size.next_multiple_of(memory::huge_page_size().max(1));
        match shm::create(key, whole, recipe.mode, true) {
            Ok(id) => return Ok((id, true)),
            Err(e) if recipe.huge == HugePages::Require => return Err(cx.shm_limit(whole as u64, true, e)),
            Err(_) => {}
        }
    }
    match shm::create(key, size, recipe.mode, false) {
        Ok(id) => Ok((id, false)),
        // Not one of ours: those wait for the lock.
        Err(Errno(libc::EEXIST)) => {
            Err(cx.not_segring("another program has just made a segment with this key"))
        }
        Err(e) => Err(cx.shm_limit(size as u64, false, e)),
    }
}

fn initialise(
    id: i32,
    huge: bool,
    (set, generation): (SemSet, u64),
    name: &Name,
    recipe: &Recipe,
    geometry: Geometry,
    cx: &Context<'_>,
) -> Result<Region, Error> {
    let stat = shm::stat(id).map_err(|e| cx.os("shmctl(IPC_STAT)", e))?;
    let mapping = Mapping::attach(id, stat.size, false, cx)?;
    let mut header = Header::new_zeroed();
    header.magic = MAGIC;
    header.abi_major = ABI_MAJOR;
    header.abi_minor = ABI_MINOR;
    header.features =
        if huge { FEATURE_HUGE } else { 0 } | if recipe.ephemeral { FEATURE_EPHEMERAL } else { 0 };
    if geometry.shape.is_inline() {
        header.features |= FEATURE_PAIRS;
    }
    geometry.describe(&mut header);
    header.sem_id = set.id;
    header.set_generation = generation;
    header.key = stat.key;
    (header.file_device, header.file_inode) = name.file().unwrap_or_default();
    header.creator_uid = stat.cuid;
    header.creator_pid = process::pid();
    header.created_at = time::realtime();
    let (stored, schema) = (name.stored(), recipe.schema.as_bytes());
    header.name[..stored.len()].copy_from_slice(stored.as_bytes());
    header.name_len = stored.len() as u16;
    header.schema[..schema.len()].copy_from_slice(schema);
    header.schema_len = schema.len() as u16;
    mapping.write_header(&header);
    if geometry.shape.kind.is_mpmc() {
        super::views::initialise_entries(&mapping, &geometry);
    }
    // Release: SYNC(ready), pairs with the Acquire load in `readiness`. The last store of all.
    mapping.ready().store(READY, Ordering::Release);
    header.ready = READY;
    Ok(Region { mapping, set, header, geometry, name: name.clone() })
}
