//! What the machine can do at most, measured in the same rounds as everything else.
//!
//! Each limit moves the same verified messages as the transports, with as little around them as
//! there can be: no bounds, no validation, no peer that may die, room checked once per quarter or
//! per block. So a transport's share of its limit says what its guarantees and its interface cost.

mod blocks;
mod lines;

use crate::Mode;
use crate::transport::{Ends, Processes, Transport};

/// One message in each cache line, or as many as fit, with the line's stamp beside it.
pub(crate) const STAMPED_LINES: &str = "bare stamped lines";
/// 32 KiB at a time, copied in and out, or built and read where they are.
pub(crate) const BLOCKS: &str = "bare blocks";
/// A line there, another line back.
pub(crate) const TWO_LINES: &str = "bare two lines";
/// The same line there and back.
pub(crate) const ONE_LINE: &str = "bare one line";
/// A line there and another back, each side asleep in the kernel until the other wakes it.
pub(crate) const FUTEX: &str = "bare futex";

/// Whether a transport of this name is one of them.
pub(crate) fn is_limit(name: &str) -> bool {
    [STAMPED_LINES, BLOCKS, TWO_LINES, ONE_LINE, FUTEX].contains(&name)
}

/// Blocks of this many bytes instead of 32 KiB, a multiple of 64, for messages of 64 bytes: copy
/// bandwidth by size.
pub fn blocks_of(bytes: usize) -> Transport {
    Transport {
        name: format!("{BLOCKS} of {bytes}").leak(),
        modes: &[],
        api: |_| "memcpy",
        copies: |mode| if mode == Mode::InPlace { 0 } else { 2 },
        many: &[],
        ends: Ends::Processes(Box::leak(Box::new(blocks::Blocks { bytes: Some(bytes) }))),
    }
}

pub(crate) fn all() -> Vec<Transport> {
    let row = |name, modes, api, ends: &'static dyn Processes| Transport {
        name,
        modes,
        api: match api {
            "memcpy" => |mode| if mode == Mode::InPlace { "in place" } else { "memcpy" },
            "futex" => |_| "futex",
            _ => |_| "load/store",
        },
        copies: |mode| if matches!(mode, Mode::InPlace | Mode::Handover) { 0 } else { 2 },
        many: &[],
        ends: Ends::Processes(ends),
    };
    vec![
        row(BLOCKS, &[Mode::InPlace, Mode::Bulk], "memcpy", &blocks::Blocks { bytes: None }),
        row(STAMPED_LINES, &[Mode::Single, Mode::Handover], "", &lines::Stream),
        row(ONE_LINE, &[Mode::RoundTrip], "", &lines::PingPong::OneLine),
        row(TWO_LINES, &[Mode::RoundTrip], "", &lines::PingPong::TwoLines),
        row(FUTEX, &[Mode::RoundTrip], "futex", &lines::PingPong::Futex),
    ]
}
