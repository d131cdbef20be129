//! What a ring is called, and the key that follows from it.

use super::error::Error;
use crate::layout::header::NAME_MAX;
use crate::sys::Errno;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// How a ring is found: by name, by path, by raw key, or by the kernel's id.
///
/// A name is hashed to a System V key. The full name stands in the header, so two names with the
/// same key are an error ([`Error::Collision`]), never a mix-up.
///
/// ```
/// use segring::Name;
/// let by_name = Name::from("ticks");
/// let by_key = Name::raw(0x5e61_0001);
/// let by_path = Name::path("/etc/hostname");
/// let by_id = Name::id(42);
/// assert_eq!("key:0x5e610001".parse::<Name>().unwrap(), by_key);
/// assert_eq!(by_id.to_string(), "id:42");
/// # let _ = (by_name, by_path);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(Form);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Form {
    Text(String),
    Path(PathBuf),
    Key(i32),
    Id(i32),
    Private,
}

impl Name {
    /// A name of 1 to 255 bytes of text. The same as `Name::from(text)`.
    pub fn named(text: impl Into<String>) -> Self {
        Self(Form::Text(text.into()))
    }

    /// The key that `ftok` gives for an existing file (its inode and device). Renaming the file
    /// keeps the ring; replacing the file by a new one does not.
    pub fn path(path: impl AsRef<Path>) -> Self {
        Self(Form::Path(path.as_ref().to_path_buf()))
    }

    /// A System V key as other programs use it. `0` is `IPC_PRIVATE`, see [`Name::private`].
    pub fn raw(key: i32) -> Self {
        if key == 0 { Self::private() } else { Self(Form::Key(key)) }
    }

    /// The kernel's id of a segment, as `ipcs -m` and [`Ring::id`](crate::spsc::Ring::id) show it.
    /// Only to attach: also to a private ring, and to one that has been removed but is in use.
    pub fn id(shm_id: i32) -> Self {
        Self(Form::Id(shm_id))
    }

    /// No key at all (`IPC_PRIVATE`): the creator passes [`Ring::id`](crate::spsc::Ring::id) on.
    pub fn private() -> Self {
        Self(Form::Private)
    }

    /// The segment id, if this is a name by id.
    pub(crate) fn as_id(&self) -> Option<i32> {
        match self.0 {
            Form::Id(id) => Some(id),
            _ => None,
        }
    }

    /// The System V key.
    pub(crate) fn key(&self) -> Result<i32, Error> {
        match &self.0 {
            Form::Text(text) => {
                if text.is_empty() || text.len() > NAME_MAX || text.contains('\0') {
                    return Err(Error::BadName { name: text.clone() });
                }
                Ok(hash(text.as_bytes()))
            }
            Form::Path(path) => {
                let meta = std::fs::metadata(path).map_err(|e| Error::BadPath {
                    path: path.clone(),
                    errno: Errno(e.raw_os_error().unwrap_or(0)),
                })?;
                Ok(ftok(meta.ino(), meta.dev()))
            }
            Form::Key(key) => Ok(*key),
            Form::Private => Ok(0),
            Form::Id(id) => Err(Error::IdCannotCreate { id: *id }),
        }
    }

    /// The name as it stands in the header: at most [`NAME_MAX`] bytes.
    pub(crate) fn stored(&self) -> String {
        let mut text = self.to_string();
        while text.len() > NAME_MAX {
            text.pop();
        }
        text
    }

    /// Device and inode of the file that a path name means.
    pub(crate) fn file(&self) -> Option<(u64, u64)> {
        match &self.0 {
            Form::Path(path) => std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino())),
            _ => None,
        }
    }

    /// Whether a header with this name and file may be the ring that this name means.
    pub(crate) fn may_be(&self, stored: &str, file: (u64, u64)) -> bool {
        match &self.0 {
            Form::Text(_) => self.stored() == stored,
            // The same file under another path is the same ring.
            Form::Path(_) => self.file() == Some(file),
            // A raw key says nothing about names: whoever has the key may attach.
            Form::Key(_) | Form::Id(_) | Form::Private => true,
        }
    }
}

/// FNV-1a, 32 bits. Never 0, which would be `IPC_PRIVATE`.
fn hash(bytes: &[u8]) -> i32 {
    let mut h = 0x811c_9dc5_u32;
    for b in bytes {
        h = (h ^ u32::from(*b)).wrapping_mul(0x0100_0193);
    }
    if h == 0 { 1 } else { h as i32 }
}

/// `ftok(path, 's')` as glibc computes it: project, device, inode.
fn ftok(inode: u64, device: u64) -> i32 {
    let key = u32::from(b's') << 24 | (device as u32 & 0xff) << 16 | (inode as u32 & 0xffff);
    key as i32
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Text(text) => f.write_str(text),
            Form::Path(path) => write!(f, "path:{}", path.display()),
            Form::Key(key) => write!(f, "key:{key:#010x}"),
            Form::Id(id) => write!(f, "id:{id}"),
            Form::Private => f.write_str("private"),
        }
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::named(text)
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self::named(text)
    }
}

impl From<&Name> for Name {
    fn from(name: &Name) -> Self {
        name.clone()
    }
}

/// Reads what a person types: `key:0x5e610001`, `id:42`, `path:/some/file`, anything else a name.
impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::BadName { name: text.to_owned() };
        if let Some(key) = text.strip_prefix("key:") {
            let (digits, radix) = key.strip_prefix("0x").map_or((key, 10), |hex| (hex, 16));
            // A key is 32 bits; both 0xf0000000 and its negative are written.
            let number = i64::from_str_radix(digits, radix).map_err(|_| bad())?;
            let key = u32::try_from(number)
                .map(|k| k as i32)
                .or_else(|_| i32::try_from(number))
                .map_err(|_| bad())?;
            return if key == 0 { Err(bad()) } else { Ok(Self::raw(key)) };
        }
        if let Some(id) = text.strip_prefix("id:") {
            return id.parse().map(Self::id).map_err(|_| bad());
        }
        if let Some(path) = text.strip_prefix("path:") {
            return Ok(Self::path(path));
        }
        let name = Self::named(text);
        name.key()?;
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ftok_is_the_one_of_the_c_library() {
        let path = std::env::temp_dir();
        let c_path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: a valid C string that lives through the call.
        let theirs = unsafe { libc::ftok(c_path.as_ptr(), i32::from(b's')) };
        assert_eq!(Name::path(&path).key().unwrap(), theirs);
    }

    #[test]
    fn two_names_with_one_key_exist() {
        // The collision tests under tests/ rely on this pair.
        assert_eq!(hash(b"costarring"), hash(b"liquid"));
    }

    #[test]
    fn what_people_type() {
        assert_eq!("key:0xf0000001".parse::<Name>().unwrap(), Name::raw(0xf000_0001_u32 as i32));
        assert_eq!("id:7".parse::<Name>().unwrap(), Name::id(7));
        assert!("key:zz".parse::<Name>().is_err());
        assert!("key:0".parse::<Name>().is_err());
        assert!("key:0x1ffffffff".parse::<Name>().is_err());
        assert!("".parse::<Name>().is_err());
        assert!("x".repeat(256).parse::<Name>().is_err());
        assert!("a\0b".parse::<Name>().is_err());
    }
}
