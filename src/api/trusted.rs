//! Handles that may touch messages in place.

use crate::layout::view::Trust;
use std::ops::{Deref, DerefMut};

/// A handle whose owner has promised to trust the ring's peers. It can do all that the handle can,
/// and hand out references into the segment.
///
/// Made by `unsafe { handle.trust_peers() }`, the one line in a program that says: *nobody writes
/// into this segment except through segring*.
#[derive(Debug)]
pub struct Trusted<H> {
    pub(crate) handle: H,
    pub(crate) trust: Trust,
}

impl<H> Trusted<H> {
    pub(crate) fn new(handle: H, trust: Trust) -> Self {
        Self { handle, trust }
    }

    /// Takes the promise back: a handle that only copies.
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
