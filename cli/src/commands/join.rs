//! Coming to a ring from either side, first or second.

use super::args::JoinArgs;
use anyhow::{Context, anyhow};
use segring::spsc::ByteRing;
use segring::{Error, Kind, Stats};

/// Times that a ring may go between our coming and our sitting down. Each time, the last one of its
/// users has left just then.
const ROUNDS: u32 = 100;

/// Attaches, or makes an ephemeral ring, and takes a seat in it. A ring that was there before keeps
/// its own settings: one made by `segring create` stays when we leave.
///
/// The snapshot is from just before sitting down: who was gone by then was so before we came. Once
/// somebody sits, nothing but `rm` removes the ring.
pub(crate) fn join<S>(
    args: &JoinArgs,
    sit: impl Fn(&ByteRing) -> Result<S, Error>,
) -> anyhow::Result<(ByteRing, S, Stats)> {
    // An id names one segment: there is none to make, and a removed one may still be joined.
    let by_id = args.name.to_string().starts_with("id:");
    for round in 1.. {
        let mut builder =
            ByteRing::builder(&args.name).capacity(args.capacity).mode(args.mode).ephemeral(true);
        for uid in &args.allow_user {
            builder = builder.allow_user(*uid);
        }
        let ring = if by_id { builder.attach() } else { builder.create_or_attach() };
        let ring = ring.map_err(not_opened)?;
        let again = !by_id && round < ROUNDS;
        let look = || ring.stats().context("cannot look at the ring");
        let before = look()?;
        let seat = match sit(&ring) {
            Ok(seat) => seat,
            Err(Error::Removed { .. }) if again => continue,
            Err(error) => return Err(error).context("cannot take part"),
        };
        if !again || !look()?.removed {
            return Ok((ring, seat, before));
        }
    }
    anyhow::bail!("the ring comes and goes")
}

/// Why a ring cannot be opened. Of another kind: which programs can use it, as these two cannot.
fn not_opened(error: Error) -> anyhow::Error {
    let Error::WrongKind { ring, found, wanted } = &error else {
        return anyhow::Error::new(error).context("cannot open");
    };
    let library = match found {
        Kind::Spsc => "segring::spsc::Ring",
        Kind::Mpmc => "segring::mpmc::Ring",
        Kind::MpmcBytes => "segring::mpmc::ByteRing",
        _ => "the library",
    };
    anyhow!(
        "cannot open: ring {ring}: is of kind {found}, not {wanted}: send and recv speak {wanted} only, one \
         sender and one receiver; give another name, or use this ring from a program, with {library}"
    )
}
