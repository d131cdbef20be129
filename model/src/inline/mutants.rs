//! Changes that must be caught, and changes that do no harm.

use super::checks::{alive, any, closed, ring, two_blocks};
use super::{Change, Inline, Search, name};

/// Changes that nothing depends on.
pub(super) fn harmless() -> Vec<(&'static str, bool, Inline)> {
    use Change::*;
    let with = |change, model| Inline { change, ..model };
    let blocks = |change| with(change, two_blocks(ring(2, &[&[2, 2, 2]], 2)));
    vec![
        ("a block is there if the stage is", true, blocks(FreeByPosition)),
        ("a block is there if the number is", true, blocks(FreeByBlock)),
        (
            "a block is there if the stage is, 2P1C",
            true,
            with(FreeByPosition, ring(2, &[&[2, 2], &[2, 2]], 1)),
        ),
        ("a block is there if the number is, 2P1C", true, with(FreeByBlock, ring(2, &[&[2, 2], &[2, 2]], 1))),
        ("a newcomer begins with the first block", true, blocks(ResumeAtFirst)),
        ("the value is not compared", true, with(StateOnly, ring(1, &[&[1, 1], &[1, 2]], 1))),
        ("a push does not look at the flag", true, with(NoFlagTest, closed(1, ring(1, &[&[2], &[1, 2]], 1)))),
    ]
}

/// Changes that must be caught, and by what.
pub(super) fn mutants() -> Vec<(&'static str, bool, &'static str, Inline)> {
    use Change::*;
    let with = |change, model| Inline { change, search: Search::Merged, ..model };
    let batches = |change| with(change, ring(1, &[&[2, 2]], 1));
    let two = |change| with(change, ring(2, &[&[2, 2], &[1]], 1));
    let alone = |change| with(change, alive(ring(1, &[&[2, 1]], 1)));
    let pops = |change| with(change, alive(ring(1, &[&[1, 1, 1]], 2)));
    let nobody = |model| Inline { newcomers: 0, ..model };
    let shut = |change| with(change, alive(closed(1, ring(1, &[&[1], &[1]], 1))));
    vec![
        ("note after the exchange", true, name::BLOCKS, two(NoteLate)),
        ("no note", true, name::BLOCKS, two(NoNote)),
        ("note of the first try only", true, name::BLOCKS, with(NoteOnce, ring(2, &[&[2, 2], &[1]], 1))),
        ("every block is free", true, name::BLOCKS, with(FreeAlways, alive(ring(2, &[&[2, 2]], 1)))),
        ("a newcomer's blocks are free", true, name::BLOCKS, two(ResumeFree)),
        ("the laps are not compared", true, name::ORDER, pops(NoLapCompared)),
        ("no lap step", true, name::CORRUPT, alone(NoLap)),
        ("value after the exchange", true, name::BOOKS, pops(ValueLate)),
        ("value before the state", true, name::BOOKS, pops(ValueEarly)),
        ("block read after the exchange", true, name::BOOKS, batches(BlockLate)),
        ("block written after the exchange", true, name::BOOKS, alone(WriteLate)),
        ("the rest is not left", true, name::BOOKS, alone(RestForgotten)),
        ("one too many is left", true, name::BOOKS, alone(RestTooLong)),
        ("a push looks at neither mark nor flag", true, name::CLOSING, shut(NoClosedTest)),
        ("a push does not look at the mark", true, name::CLOSING, shut(NoMarkTest)),
        ("closing with a flag only", true, name::CLOSING, shut(FlagOnly)),
        ("a take drops the mark", true, name::CLOSING, shut(DropMark)),
        (
            "a take of some drops the mark",
            true,
            name::CLOSING,
            with(FewerDropsMark, alive(closed(2, ring(1, &[&[2, 1], &[1]], 1)))),
        ),
        ("no second look", true, name::CLOSING, shut(NoSecondLook)),
        ("flag is not helped", true, name::ENDING, with(NoFlagHelp, nobody(closed(1, ring(1, &[&[1]], 1))))),
        (
            "first the value, then the state",
            true,
            name::BOOKS,
            with(ValueFirst, alive(ring(1, &[&[1], &[1]], 1))),
        ),
        ("first the state, then the value", true, name::BOOKS, alone(StateFirst)),
        ("no walk", true, name::PROGRESS, with(NoWalk, any(1, alive(ring(1, &[&[2, 1]], 1))))),
        (
            "a position half a wrap old",
            true,
            name::CORRUPT,
            Inline { laps: 2, ..any(2, alive(ring(1, &[&[1, 1, 1]], 1))) },
        ),
        (
            "an exchange a whole wrap old",
            true,
            name::ORDER,
            Inline { laps: 2, ..alive(ring(1, &[&[1, 1, 1]], 2)) },
        ),
    ]
}
