//! What may be sent: plain bytes, without padding, pointers or `Drop`.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A message type of fixed size: any type that derives zerocopy's [`FromBytes`], [`IntoBytes`] and
/// [`Immutable`] and is `Copy`. Implemented for all of them; not to be implemented by hand.
///
/// Those bounds are what makes a shared ring safe: every byte pattern is a value (a hostile peer
/// may write any), every value is bytes (no padding that would leak or compare unequal), and no
/// byte is a pointer into one process.
///
/// ```
/// use zerocopy::{FromBytes, Immutable, IntoBytes};
///
/// #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
/// #[repr(C)]
/// struct Tick { price: f64, size: u64 }
///
/// fn is_payload<T: segring::Payload>() {}
/// is_payload::<Tick>();
/// is_payload::<[u8; 1024]>();
/// ```
/// A payload with padding is refused by the compiler:
/// ```compile_fail
/// # use zerocopy::{FromBytes, Immutable, IntoBytes};
/// #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
/// #[repr(C)]
/// struct Padded { a: u8, b: u64 }
/// ```
/// So is one with a pointer, or with values that not every byte pattern has:
/// ```compile_fail
/// fn is_payload<T: segring::Payload>() {}
/// is_payload::<&'static str>();
/// ```
/// ```compile_fail
/// fn is_payload<T: segring::Payload>() {}
/// is_payload::<bool>();
/// ```
/// A type of size 0 fails to compile where the ring is built:
/// ```compile_fail
/// let _ = segring::spsc::Ring::<[u8; 0]>::builder("empty");
/// ```
pub trait Payload: FromBytes + IntoBytes + Immutable + Copy + Send + 'static {}

impl<T: FromBytes + IntoBytes + Immutable + Copy + Send + 'static> Payload for T {}

/// Fails to compile for payloads that no slot can hold.
pub(crate) const fn check_payload<T>() {
    assert!(size_of::<T>() > 0, "a payload needs at least one byte");
    assert!(align_of::<T>() <= 128, "a payload may be aligned to 128 bytes at most");
}
