//! Attaching: every field of the header is checked against what the kernel says and what the
//! caller expects, and copied into private memory.

use super::error::{Context, Error};
use super::map::Mapping;
use super::set::{ADMIN, SemSet};
use super::{Name, Region};
use crate::layout::geometry::Geometry;
use crate::layout::header::{Header, Kind, MAGIC, READY, features_known};
use crate::layout::{ABI_MAJOR, ABI_MINOR};
use crate::sync::{Ordering, fence};
use crate::sys::{process, shm};
use std::time::{Duration, Instant};

/// How long an attacher waits for a creator that is alive to finish.
const PATIENCE: Duration = Duration::from_secs(2);

/// Segments that may come and go under a key while one attaches.
const ROUNDS: u32 = 100;

/// What the caller needs the ring to be. `None`: whatever it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expect {
    pub(crate) kind: Option<Kind>,
    /// Size and alignment.
    pub(crate) payload: Option<(u64, u32)>,
    pub(crate) schema: Option<String>,
    /// Messages are to come back from the dead.
    pub(crate) redelivery: bool,
    pub(crate) allowed_users: Vec<u32>,
}

/// How far a segment has got.
pub(crate) enum Readiness {
    Ready,
    /// The magic number is there, or nothing yet.
    HalfMade,
    /// It was made by something else.
    Foreign(String),
}

/// Looks at the ready mark, then at the magic number.
pub(crate) fn readiness(mapping: &Mapping) -> (Readiness, Header) {
    // Relaxed, then a fence: the mapping may be read-only, where a load must be Relaxed.
    let ready = mapping.ready().load(Ordering::Relaxed);
    // Acquire: SYNC(ready), pairs with the Release store of the creator: the header is complete.
    fence(Ordering::Acquire);
    let header = mapping.read_header();
    let state = if header.magic == MAGIC {
        if ready == READY { Readiness::Ready } else { Readiness::HalfMade }
    } else if zerocopy::IntoBytes::as_bytes(&header).iter().all(|b| *b == 0) || magic_has_come(mapping) {
        Readiness::HalfMade
    } else {
        Readiness::Foreign("its magic number is not segring's".into())
    };
    (state, header)
}

/// A copy may have met a creator's: the magic number before it came, something else after. A second
/// look finds the magic number then.
fn magic_has_come(mapping: &Mapping) -> bool {
    // Acquire: SYNC(magic), pairs with the Release fence in `write_header`.
    fence(Ordering::Acquire);
    mapping.read_header().magic == MAGIC
}

impl Region {
    /// Attaches to a ring that exists.
    pub(crate) fn attach(name: &Name, expect: &Expect, read_only: bool) -> Result<Self, Error> {
        let cx = Context::new(name);
        if let Some(id) = name.as_id() {
            return Self::attach_id(id, name, expect, read_only);
        }
        let key = match name.key()? {
            0 => return Err(cx.option("a private ring has no key: attach to it by id")),
            key => key,
        };
        let mut rounds = 0;
        loop {
            let id = shm::open(key).map_err(|e| cx.os("shmget", e))?;
            match Self::attach_id(id, name, expect, read_only) {
                // Removed while I looked: the key may have another segment by now.
                Err(Error::Removed { .. }) if rounds < ROUNDS => rounds += 1,
                result => return result,
            }
        }
    }

    fn attach_id(id: i32, name: &Name, expect: &Expect, read_only: bool) -> Result<Self, Error> {
        let cx = Context::new(name);
        let stat = shm::stat(id).map_err(|e| stat_error(&cx, name, e))?;
        let mapping = Mapping::attach(id, stat.size, read_only, &cx)?;
        let header = wait_until_ready(&mapping, &stat, &cx)?;
        Self::check_or_leave(mapping, header, &stat, name, expect, &cx)
    }

    /// Checks a ready segment. Whoever is refused may have become the last who has it attached.
    fn check_or_leave(
        mapping: Mapping,
        header: Header,
        stat: &shm::Stat,
        name: &Name,
        expect: &Expect,
        cx: &Context<'_>,
    ) -> Result<Self, Error> {
        let set = Self::check(&header, stat, name, expect, cx);
        match set {
            Ok((set, geometry)) => Ok(Self { mapping, set, header, geometry, name: name.clone() }),
            Err(e) => {
                super::remove::stop_looking(mapping, &header);
                Err(e)
            }
        }
    }

    /// Attaches to read, and does not wait for a creator.
    pub(crate) fn peek(id: i32, name: &Name, expect: &Expect) -> Result<Self, Error> {
        let cx = Context::new(name);
        let stat = shm::stat(id).map_err(|e| stat_error(&cx, name, e))?;
        let mapping = Mapping::attach(id, stat.size, true, &cx)?;
        match readiness(&mapping) {
            (Readiness::Ready, header) => Self::check_or_leave(mapping, header, &stat, name, expect, &cx),
            _ => Err(cx.not_segring("it is not ready")),
        }
    }

    /// Nothing has been written to the segment yet, and nothing is on refusal.
    fn check(
        header: &Header,
        stat: &shm::Stat,
        name: &Name,
        expect: &Expect,
        cx: &Context<'_>,
    ) -> Result<(SemSet, Geometry), Error> {
        if (header.abi_major, header.abi_minor) != (ABI_MAJOR, ABI_MINOR)
            || header.features & !features_known() != 0
        {
            return Err(Error::WrongAbi {
                ring: cx.ring(),
                found: format!("{}.{} (features {:#x})", header.abi_major, header.abi_minor, header.features),
                ours: format!("{ABI_MAJOR}.{ABI_MINOR} (features {:#x})", features_known()),
            });
        }
        refuse_other_users("segment", stat.cuid, &expect.allowed_users, cx)?;
        let (Some(stored), Some(schema)) = (header.name(), header.schema()) else {
            return Err(cx.not_segring("its name or schema is not text"));
        };
        if !name.may_be(stored, (header.file_device, header.file_inode)) {
            return Err(Error::Collision { ring: cx.ring(), found: stored.to_owned() });
        }
        let Some(geometry) = Geometry::of_header(header) else {
            return Err(cx.not_segring("the numbers of its header contradict each other"));
        };
        if geometry.total_bytes > stat.size as u64 {
            return Err(cx.not_segring(format!(
                "its header describes {} bytes, the segment has {}",
                geometry.total_bytes, stat.size
            )));
        }
        let shape = geometry.shape;
        if let Some(wanted) = expect.kind {
            if wanted != shape.kind {
                return Err(Error::WrongKind { ring: cx.ring(), found: shape.kind, wanted });
            }
        }
        if let Some((size, align)) = expect.payload {
            if (size, align) != (shape.payload_size, shape.payload_align) {
                return Err(Error::WrongPayload {
                    ring: cx.ring(),
                    found_size: shape.payload_size,
                    found_align: shape.payload_align,
                    wanted_size: size,
                    wanted_align: align,
                });
            }
        }
        if expect.redelivery && geometry.shape.is_inline() {
            return Err(cx.option(
                "redelivery was asked for, but this ring keeps its messages in its entries, and they do not come back: do not ask for redelivery or in_hand, or remove the ring and make it anew with it".to_owned(),
            ));
        }
        if let Some(wanted) = &expect.schema {
            if wanted != schema {
                return Err(Error::WrongSchema {
                    ring: cx.ring(),
                    found: schema.to_owned(),
                    wanted: wanted.clone(),
                });
            }
        }
        Ok((bound_set(header, stat, expect, cx)?, geometry))
    }
}

fn stat_error(cx: &Context<'_>, name: &Name, e: crate::sys::Errno) -> Error {
    match (name.as_id(), e.0) {
        // An id that never was, or is no more.
        (Some(_), libc::EINVAL | libc::EIDRM) => {
            Error::NotFound { ring: cx.ring(), call: "shmctl(IPC_STAT)", errno: e }
        }
        _ => cx.os("shmctl(IPC_STAT)", e),
    }
}

fn refuse_other_users(
    half: &'static str,
    creator: u32,
    allowed: &[u32],
    cx: &Context<'_>,
) -> Result<(), Error> {
    let uid = process::effective_uid();
    if creator == uid || allowed.contains(&creator) {
        return Ok(());
    }
    Err(Error::OtherUser { ring: cx.ring(), half, creator, uid })
}

/// Finds the set that belongs to this segment. A set that is gone is no error here: what is in the
/// ring can still be taken out of it by those who sit, and observers need no set.
fn bound_set(header: &Header, stat: &shm::Stat, expect: &Expect, cx: &Context<'_>) -> Result<SemSet, Error> {
    let set = SemSet { id: header.sem_id };
    let found = match set.stat() {
        Ok(found) => found,
        Err(e) if super::set::is_gone(e) => return Ok(set),
        Err(e) => return Err(cx.os("semctl(IPC_STAT)", e)),
    };
    refuse_other_users("semaphore set", found.cuid, &expect.allowed_users, cx)?;
    // A removed segment has lost its key; a set made while an older one of this key was still in
    // use never had one.
    let same_key = found.key == header.key || found.key == 0;
    let same_segment_key = stat.key == header.key || stat.removed;
    let same_count = found.count == ADMIN + header.seats as usize;
    if found.cuid != stat.cuid || !same_key || !same_segment_key || !same_count {
        return Err(cx.not_segring(format!(
            "semaphore set {} does not belong to it (key {:#010x}, creator {}, {} semaphores)",
            set.id, found.key, found.cuid, found.count
        )));
    }
    Ok(set)
}

/// Waits for the ready mark as long as a live creator is at work.
fn wait_until_ready(mapping: &Mapping, stat: &shm::Stat, cx: &Context<'_>) -> Result<Header, Error> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        let working = match SemSet::open(stat.key) {
            _ if stat.key == 0 => None,
            Ok(set) => set.is_locked().unwrap_or(false).then(|| set.locker()),
            Err(_) => None,
        };
        // After the look at the lock: a creator stores the mark before it lets go.
        match readiness(mapping) {
            (Readiness::Ready, header) => return Ok(header),
            (Readiness::Foreign(what), _) => return Err(cx.not_segring(what)),
            (Readiness::HalfMade, _) => {}
        }
        let Some(pid) = working else {
            if !matches!(shm::stat(mapping.id()), Ok(now) if now.removed == stat.removed) {
                // The next creator has cleared it away, and may be done.
                return Err(cx.os("shmctl(IPC_STAT)", crate::sys::Errno(libc::EIDRM)));
            }
            if stat.key == 0 {
                return Err(Error::NotReady {
                    ring: cx.ring(),
                    what: "its creator has not finished, or died half-way; if so, remove it with ipcrm -m"
                        .into(),
                });
            }
            return Err(Error::NotReady {
                ring: cx.ring(),
                what: "its creator died half-way; create it again (create, or create_or_attach), which cleans it up (a segment of another program that is all zero looks the same; create leaves that one alone)".into(),
            });
        };
        if Instant::now() > give_up {
            return Err(Error::NotReady {
                ring: cx.ring(),
                what: format!("process {pid} is making it, and has not finished; is it stopped? try again"),
            });
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
