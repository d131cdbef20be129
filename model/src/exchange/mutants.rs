//! Changes that must be caught, and changes that do no harm.

use super::checks::{back, closed, leaving, recover, ring, stale, stopped, twice};
use super::{Change, Exchange, name};

/// Changes that nothing depends on.
pub(super) fn harmless() -> Vec<(&'static str, bool, Exchange)> {
    let with = |change, model| Exchange { change, ..model };
    vec![
        (
            "no stamp by repairs, one by each first pop",
            false,
            with(Change::StampLater, twice(ring(1, &[1, 2], 1))),
        ),
        (
            "no stamp by push-backs of who repaired",
            false,
            with(Change::NoStampByBack, twice(ring(1, &[3], 2))),
        ),
    ]
}

/// Changes that must be caught, and by what.
pub(super) fn mutants() -> Vec<(&'static str, bool, &'static str, Exchange)> {
    use Change::*;
    let with = |change, model| Exchange { change, ..model };
    let small = |change| with(change, ring(1, &[1, 1], 1));
    let two = |change| with(change, ring(1, &[1, 2], 1));
    let pops = |change| with(change, ring(1, &[3], 2));
    let alive = |model| Exchange { kills: 0, newcomers: 0, ..model };
    let shut = |change| with(change, closed(1, ring(1, &[1, 1], 1)));
    let shut_alive = |change| with(change, alive(closed(1, ring(1, &[1, 1], 1))));
    let shut_back =
        |change, closers, entries| with(change, alive(back(closed(closers, ring(entries, &[1, 1], 1)))));
    let (verdict, books, corrupt) = (name::VERDICT, name::BOOKS, name::CORRUPT);
    vec![
        ("no lap step", true, corrupt, small(NoLap)),
        ("no lap step, no kill", true, corrupt, with(NoLap, alive(ring(1, &[1, 1], 1)))),
        ("no lap test", true, name::ORDER, with(NoLapTest, stale(1, alive(ring(2, &[1, 1], 1))))),
        ("no walk", true, name::PROGRESS, with(NoWalk, stale(1, alive(ring(1, &[1, 1], 1))))),
        ("intent after the CAS", true, verdict, small(IntentAfterCas)),
        ("now cleared", true, verdict, two(NowCleared)),
        ("stamp after the intent", true, verdict, two(StampAfterIntent)),
        ("no stamp by pushes", true, verdict, pops(NoStampByPush)),
        ("no stamp by pops", true, verdict, two(NoStampByPop)),
        ("no stamp by push-backs", true, verdict, with(NoStampByBack, back(ring(1, &[2], 2)))),
        ("no stamp by repairs", true, verdict, with(NoStampByRepair, twice(ring(1, &[1, 2], 1)))),
        ("owner before the scan", true, verdict, two(OwnerBeforeScan)),
        ("no scan", true, verdict, two(NoScan)),
        ("no owner", true, verdict, two(NoOwner)),
        ("next state is success", true, verdict, small(NextIsSuccess)),
        ("any position", false, verdict, with(AnyPosition, stopped())),
        ("no repair", true, verdict, small(NoRepair)),
        ("two repairers", true, books, with(TwoRepairers, recover(ring(1, &[2], 3)))),
        ("half-done repair forgotten", true, name::PLACES, with(ForgottenRepair, twice(ring(1, &[1, 1], 1)))),
        (
            "half-done repair forgotten, leaving",
            true,
            books,
            with(ForgottenRepair, leaving(1, twice(ring(1, &[2], 2)))),
        ),
        ("mark not cleared", false, books, with(MarkNotCleared, ring(1, &[4], 2))),
        ("pushed back without the mark", true, books, pops(NotMarked)),
        ("held message not looked for", true, name::ENDING, small(HeldNotLookedFor)),
        ("released early", true, books, small(ReleasedEarly)),
        ("closing with a flag only", true, name::CLOSING, shut_alive(FlagOnly)),
        ("pop drops the closed bit", true, name::CLOSING, shut_alive(DropBit)),
        ("push does not look at the flag", true, name::CLOSING, shut_back(NoFlagLook, 1, 2)),
        ("push-back sets the flag late", true, name::CLOSING, shut_back(NoFlagByBack, 1, 2)),
        ("flag is not helped", true, name::ENDING, shut(NoFlagHelp)),
        ("no second look", true, name::CLOSING, shut_alive(NoSecondLook)),
        (
            "a position half a wrap old",
            true,
            name::PROGRESS,
            Exchange { laps: 8, ..stale(2, ring(1, &[3], 2)) },
        ),
        (
            "an intent a whole wrap old",
            false,
            verdict,
            Exchange { laps: 4, producers: vec![1, 5], ..stopped() },
        ),
        ("push-back refused on a closed ring", true, name::ENDING, shut_back(BackRefused, 1, 1)),
    ]
}
