//! The table: what is run, and what must come out.

use super::mutants::{harmless, mutants};
use super::{Change, Hints, Inline, Search};
use crate::check::{Check, Expected};

/// All checks of this model.
pub fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, short, model) in as_it_is() {
        checks.push(Check::new(format!("inline/{name}"), short, Expected::Holds, model));
    }
    for (name, short, model) in harmless() {
        checks.push(Check::new(format!("inline/harmless/{name}"), short, Expected::Holds, model));
    }
    for (name, short, property, model) in mutants() {
        let name = format!("inline/mutant/{name}");
        checks.push(Check::new(name, short, Expected::Caught(property), model));
    }
    checks
}

/// One kill and one newcomer, one block for each seat.
pub(super) fn ring(entries: u8, producers: &[&[u8]], consumers: u8) -> Inline {
    Inline {
        entries,
        producers: producers.iter().map(|program| program.to_vec()).collect(),
        consumers,
        blocks: 1,
        takes: vec![1, 3],
        closers: 0,
        kills: 1,
        newcomers: 1,
        hints: Hints::Fresh,
        laps: 16,
        from: 0,
        counted: None,
        search: Search::Symmetric,
        change: Change::None,
    }
}

/// Two kills, two newcomers.
pub(super) fn twice(model: Inline) -> Inline {
    Inline { kills: 2, newcomers: 2, ..model }
}

/// No kills.
pub(super) fn alive(model: Inline) -> Inline {
    Inline { kills: 0, newcomers: 0, ..model }
}

pub(super) fn any(lag: u8, model: Inline) -> Inline {
    Inline { hints: Hints::Any(lag), ..model }
}

pub(super) fn closed(closers: u8, model: Inline) -> Inline {
    Inline { closers, ..model }
}

pub(super) fn two_blocks(model: Inline) -> Inline {
    Inline { blocks: 2, ..model }
}

/// The protocol as it is.
fn as_it_is() -> Vec<(&'static str, bool, Inline)> {
    let every = |model| Inline { search: Search::Every, ..model };
    let merged = |model| Inline { search: Search::Merged, ..model };
    let real = |model| Inline { hints: Hints::Real, ..model };
    let wrap = |laps, from, model| Inline { laps, from, ..model };
    let counted = |most, model| Inline { counted: Some(most), ..model };
    let thrice = |model| Inline { kills: 3, newcomers: 3, ..model };
    let nobody = |model| Inline { newcomers: 0, ..model };
    vec![
        ("2P1C, no kill, every step", true, every(alive(ring(1, &[&[2], &[1, 2]], 1)))),
        ("2P1C, every step", true, every(ring(1, &[&[2, 1], &[1, 2]], 1))),
        ("2P1C, merged", true, merged(ring(1, &[&[2, 1], &[1, 2]], 1))),
        ("2P1C", true, ring(1, &[&[2, 1], &[1, 2]], 1)),
        ("1P2C, every step", true, every(ring(1, &[&[1, 3, 2]], 2))),
        ("1P2C, merged", true, merged(ring(1, &[&[1, 3, 2]], 2))),
        ("1P2C", true, ring(1, &[&[1, 3, 2]], 2)),
        ("2P2C, every step", true, every(ring(1, &[&[2, 1], &[2]], 2))),
        ("2P2C, merged", true, merged(ring(1, &[&[2, 1], &[2]], 2))),
        ("2P2C", true, ring(1, &[&[2, 1], &[2]], 2)),
        ("2P2C, nobody comes", true, nobody(ring(1, &[&[2, 1], &[2]], 2))),
        ("2P2C, 2 kills, every step", false, every(twice(ring(1, &[&[2, 1], &[1, 2]], 2)))),
        ("2P2C, 2 kills", true, twice(ring(1, &[&[2, 1], &[1, 2]], 2))),
        ("2P2C, 10 messages, 2 kills", false, twice(ring(1, &[&[3, 1, 2], &[2, 2]], 2))),
        ("2P2C, 3 kills", false, thrice(ring(1, &[&[2, 1], &[1, 2]], 2))),
        ("3P1C", true, ring(1, &[&[2], &[2, 1], &[1, 2]], 1)),
        ("3P1C, 2 kills", false, twice(ring(1, &[&[2], &[2, 1], &[1, 2]], 1))),
        ("1P3C", true, ring(1, &[&[3, 1, 2]], 3)),
        ("1P3C, 2 kills", false, twice(ring(1, &[&[3, 1, 2, 1]], 3))),
        ("2P1C, 2 entries", true, ring(2, &[&[2, 2], &[1, 2]], 1)),
        ("1P2C, 2 entries", true, ring(2, &[&[2, 2, 1, 2]], 2)),
        ("2P2C, 2 entries", true, ring(2, &[&[2, 2], &[1]], 2)),
        ("2P2C, 2 entries, every step", false, every(ring(2, &[&[2, 2], &[1, 2]], 2))),
        ("2P2C, 2 entries, 2 kills", false, twice(ring(2, &[&[2, 2], &[1, 2]], 2))),
        ("3P1C, 2 entries, 2 kills", false, twice(ring(2, &[&[2, 2], &[2], &[1]], 1))),
        ("1P2C, 2 entries, 2 blocks", true, two_blocks(ring(2, &[&[2, 2, 2]], 2))),
        ("1P2C, 2 entries, 2 blocks, 3 kills", false, two_blocks(thrice(ring(2, &[&[2, 2, 3, 2]], 2)))),
        ("2P1C, 2 entries, 2 blocks, 2 kills", false, two_blocks(twice(ring(2, &[&[2, 2, 2], &[2, 1]], 1)))),
        ("2P2C, 2 entries, 2 blocks, 2 kills", false, two_blocks(twice(ring(2, &[&[2, 2, 2], &[2]], 2)))),
        ("2P1C, any hint", true, any(2, ring(1, &[&[2, 1], &[1, 2]], 1))),
        ("1P2C, any hint", true, any(2, ring(1, &[&[1, 3, 2]], 2))),
        ("2P2C, any hint, 2 kills", false, twice(any(2, ring(1, &[&[2, 1], &[2]], 2)))),
        ("2P2C, 2 entries, any hint", false, any(3, ring(2, &[&[2, 2], &[1, 1]], 2))),
        ("2P1C, real hints", true, real(ring(1, &[&[2], &[1, 2]], 1))),
        ("1P2C, real hints", true, real(ring(1, &[&[1, 3, 2]], 2))),
        ("2P2C, real hints", false, real(ring(1, &[&[2], &[1, 2]], 2))),
        ("3P1C, real hints", false, real(ring(1, &[&[2], &[1], &[1]], 1))),
        ("2P1C, 2 entries, real hints", false, real(ring(2, &[&[2, 2], &[1, 1]], 1))),
        ("closing/2P1C, every step", true, every(closed(1, ring(1, &[&[2], &[2]], 1)))),
        ("closing/2P1C", true, closed(1, ring(1, &[&[2], &[1, 2]], 1))),
        ("closing/2P1C, both close, 2 kills", false, twice(closed(3, ring(1, &[&[2], &[1, 2]], 1)))),
        ("closing/1P2C", true, closed(1, ring(1, &[&[3, 1]], 2))),
        ("closing/2P2C", true, closed(1, ring(1, &[&[2], &[1]], 2))),
        ("closing/2P2C, both close, 2 kills", false, twice(closed(3, ring(1, &[&[2], &[1, 2]], 2)))),
        ("closing/3P1C, two close, 2 kills", false, twice(closed(6, ring(1, &[&[1], &[2], &[1]], 1)))),
        ("closing/2P2C, 2 entries, any hint", false, any(2, closed(1, ring(2, &[&[2, 1], &[2]], 2)))),
        ("closing/2P1C, real hints", false, real(closed(1, ring(1, &[&[2], &[1, 1]], 1)))),
        ("wrap/2P1C, 4 laps", true, wrap(4, 3, ring(1, &[&[2, 1], &[1, 2]], 1))),
        ("wrap/1P2C, 4 laps", true, wrap(4, 3, ring(1, &[&[2, 1, 1, 2]], 2))),
        ("wrap/2P2C, 4 laps, 2 kills", false, twice(wrap(4, 3, ring(1, &[&[2, 1], &[1, 2]], 2)))),
        ("wrap/2P2C, 2 entries, 4 laps", false, wrap(4, 7, ring(2, &[&[2, 2], &[1, 1]], 2))),
        ("wrap/1P2C, 8 laps, any hint", true, any(2, wrap(8, 7, ring(1, &[&[2, 1, 2]], 2)))),
        ("wrap/2P1C, 8 laps, closing", true, closed(3, wrap(8, 7, ring(1, &[&[2], &[1, 2]], 1)))),
        ("together/2P1C, no kill", true, every(counted(TOGETHER, alive(ring(1, &[&[2], &[1, 2]], 1))))),
        ("together/2P1C", true, every(counted(TOGETHER, ring(1, &[&[2], &[2]], 1)))),
        ("together/1P2C", true, every(counted(TOGETHER, ring(1, &[&[2, 2]], 2)))),
        ("together/2P2C", false, every(counted(TOGETHER, ring(1, &[&[2], &[1]], 2)))),
        (
            "together/2P1C, any hint, closing",
            false,
            every(counted(TOGETHER, any(1, closed(1, ring(1, &[&[2], &[1]], 1))))),
        ),
    ]
}

/// Steps of all together without a finished operation: no more than these.
const TOGETHER: u8 = 30;

#[cfg(test)]
mod tests {
    #[test]
    fn every_short_check_is_as_expected() {
        let mut wrong = Vec::new();
        for check in super::checks().iter().filter(|c| c.short) {
            let found = check.run(1);
            println!("{}: {} states, {}", check.name, found.states, found.verdict());
            if !found.is(check.expected) {
                wrong.push(format!("{}: {}, expected {:?}", check.name, found.verdict(), check.expected));
            }
        }
        assert!(wrong.is_empty(), "not as expected:\n{}", wrong.join("\n"));
    }
}
