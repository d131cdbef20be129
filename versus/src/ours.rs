//! The ring in the ways that `segring bench` does not show.

use segring::Layout;
use segring_bench::{Mode, Transport, TypedRing};

/// A message at a time, without a copy, as disruptor does it.
pub(crate) const BUILT_IN_PLACE: &str = "ring, built in place";

pub(crate) fn all() -> Vec<Transport> {
    let dense = TypedRing { layout: Some(Layout::Dense), ..TypedRing::default() };
    let in_place = TypedRing { built_in_place: true, ..dense };
    vec![dense.transport("ring, dense", &[Mode::Single]), in_place.transport(BUILT_IN_PLACE, &[Mode::Single])]
}
