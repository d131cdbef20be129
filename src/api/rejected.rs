//! A push that did not happen gives the value back.

use crate::ring::RingError;
use std::fmt;

/// The value that a ring did not take, and why.
///
/// ```
/// use segring::{Rejected, RingError};
/// let rejected = Rejected { value: 7u64, error: RingError::Full };
/// assert_eq!(rejected.to_string(), "the ring is full");
/// assert_eq!(RingError::from(rejected), RingError::Full);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Rejected<T> {
    /// The value, untouched.
    pub value: T,
    /// Why it was not taken.
    pub error: RingError,
}

impl<T> fmt::Debug for Rejected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Rejected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> std::error::Error for Rejected<T> {}

impl<T> From<Rejected<T>> for RingError {
    fn from(rejected: Rejected<T>) -> Self {
        rejected.error
    }
}
