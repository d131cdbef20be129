//! Handles that may touch messages in place.

use std::ops::{Deref, DerefMut};

/// A handle whose owner has promised to trust the ring's peers. It can do all that the handle can,
/// and hand out references into the segment.
///
/// Made by `unsafe { handle.trust_peers() }`, the one line in a program that says: *nobody writes
/// into this segment except through segring*. The promise stays with the handle that it was made
/// for: another one, put in its place through `DerefMut`, is refused
/// ([`RingError::Untrusted`](crate::RingError::Untrusted)).
#[derive(Debug)]
pub struct Trusted<H> {
    pub(crate) handle: H,
}

impl<H> Trusted<H> {
    /// The handle knows itself that it is trusted.
    pub(crate) fn new(handle: H) -> Self {
        Self { handle }
    }

    /// Gives the handle without the operations in place.
    pub fn into_inner(self) -> H {
        self.handle
    }
}

impl<H> Deref for Trusted<H> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.handle
    }
}

impl<H> DerefMut for Trusted<H> {
    fn deref_mut(&mut self) -> &mut H {
        &mut self.handle
    }
}
