//! Which rings there are: `/proc/sysvipc/shm` names all segments, and their headers tell.

use super::{Error, Expect, Name, Region};
use crate::layout::header::Kind;
use crate::sys::shm;

/// One ring of this machine (of this IPC namespace).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listing {
    /// The name in its header.
    pub name: String,
    /// Its System V key, 0 for a private or removed one.
    pub key: i32,
    /// The kernel's id of its segment.
    pub shm_id: i32,
    /// What it is.
    pub kind: Kind,
    /// The size of one message in bytes; 1 for an SPSC byte ring, the longest record for an exchange ring's.
    pub payload_size: u64,
    /// Messages, or bytes on an SPSC byte ring.
    pub capacity: u64,
    /// Bytes of the whole segment.
    pub bytes: u64,
    /// Permission bits.
    pub mode: u32,
    /// Who owns it.
    pub uid: u32,
    /// Attached processes (this look not counted).
    pub attached: u64,
    /// Its name is gone; it stays until the last process detaches.
    pub removed: bool,
}

/// Lists the rings that this user may read, in the order of their ids. Reads only; attaches to
/// each for a moment, which [`Listing::attached`] does not count.
///
/// # Errors
/// [`Error::Os`] if `/proc/sysvipc/shm` cannot be read.
///
/// ```
/// for ring in segring::list()? {
///     println!("{} {} {} bytes", ring.name, ring.kind, ring.bytes);
/// }
/// # Ok::<(), segring::Error>(())
/// ```
pub fn list() -> Result<Vec<Listing>, Error> {
    let text = std::fs::read_to_string("/proc/sysvipc/shm").map_err(|e| Error::Os {
        ring: "(all)".into(),
        call: "read /proc/sysvipc/shm",
        errno: crate::sys::Errno(e.raw_os_error().unwrap_or(0)),
    })?;
    let ids = text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)?.parse().ok());
    let mut rings: Vec<Listing> = ids.filter_map(look).collect();
    rings.sort_by_key(|ring| ring.shm_id);
    Ok(rings)
}

/// `None` for everything that is no finished ring, cannot be read, or is gone by now.
fn look(id: i32) -> Option<Listing> {
    let stat = shm::stat(id).ok()?;
    if stat.size < crate::layout::header::HEADER_LEN {
        return None;
    }
    let everyone = Expect { allowed_users: vec![stat.cuid], ..Expect::default() };
    let region = Region::peek(id, &Name::id(id), &everyone).ok()?;
    let shape = region.geometry().shape;
    Some(Listing {
        name: region.header().name()?.to_owned(),
        key: stat.key,
        shm_id: id,
        kind: shape.kind,
        payload_size: shape.payload_size,
        capacity: shape.capacity,
        bytes: stat.size as u64,
        mode: stat.mode,
        uid: stat.uid,
        attached: stat.attached,
        removed: stat.removed,
    })
}
