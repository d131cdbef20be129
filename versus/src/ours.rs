//! The rings in the ways that `segring bench` does not show.

use segring::Layout;
use segring_bench::{ManyRing, Mode, Pause, Transport, TypedRing};

/// A message at a time, without a copy, as disruptor does it.
pub(crate) const BUILT_IN_PLACE: &str = "ring, built in place";
/// The ring of many, polled as those are that do not wait by themselves.
pub(crate) const MANY_SPIN: &str = "mpmc ring, spin";
/// See [`MANY_SPIN`].
pub(crate) const MANY_SLIPPING: &str = "mpmc ring, slipping";

pub(crate) fn all() -> Vec<Transport> {
    let dense = TypedRing { layout: Some(Layout::Dense), ..TypedRing::default() };
    let in_place = TypedRing { built_in_place: true, ..dense };
    let polled = |pause| ManyRing { polled: Some(pause), ..ManyRing::default() };
    vec![
        dense.transport("ring, dense", &[Mode::Single]),
        in_place.transport(BUILT_IN_PLACE, &[Mode::Single]),
        polled(Pause::Spin).transport(MANY_SPIN, &[Mode::Single]),
        polled(Pause::Slip).transport(MANY_SLIPPING, &[Mode::Single]),
    ]
}
