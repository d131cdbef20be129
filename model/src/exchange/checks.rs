//! The table: what is run, and what must come out.

use super::{Change, Exchange, Hints, name};
use crate::check::{Check, Expected};

/// All checks of this model.
pub fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, short, model) in as_it_is() {
        checks.push(Check::new(format!("exchange/{name}"), short, Expected::Holds, model));
    }
    let unstamped = Exchange { change: Change::NoStampByRepair, ..twice(ring(1, &[1, 1], 1)) };
    checks.push(Check::new("exchange/harmless/no stamp by a repair", false, Expected::Holds, unstamped));
    for (name, short, property, model) in mutants() {
        let name = format!("exchange/mutant/{name}");
        checks.push(Check::new(name, short, Expected::Caught(property), model));
    }
    checks
}

/// One kill and one newcomer, of either kind.
fn ring(entries: u8, producers: &[u8], consumers: u8) -> Exchange {
    Exchange {
        entries,
        producers: producers.to_vec(),
        consumers,
        kills: 1,
        newcomers: 1,
        either: true,
        stopped: None,
        victim: None,
        hints: Hints::Fresh,
        change: Change::None,
    }
}

/// Two kills, two newcomers: a repair may be killed, and what it left is repaired.
fn twice(model: Exchange) -> Exchange {
    Exchange { kills: 2, newcomers: 2, ..model }
}

fn stale(model: Exchange) -> Exchange {
    Exchange { hints: Hints::Any, ..model }
}

/// The first producer is stopped with an intent that gets old; only the last consumer is killed.
fn stopped() -> Exchange {
    Exchange { either: false, stopped: Some(0), victim: Some(3), ..ring(1, &[1, 4], 2) }
}

/// The protocol as it is.
fn as_it_is() -> Vec<(&'static str, bool, Exchange)> {
    let alive = |model| Exchange { kills: 0, newcomers: 0, ..model };
    let nobody = |model| Exchange { newcomers: 0, ..model };
    let same = |model| Exchange { either: false, ..model };
    vec![
        ("2P1C, 2 messages, no kill", true, alive(ring(1, &[1, 1], 1))),
        ("2P2C, 2 messages, no kill", true, alive(ring(1, &[1, 1], 2))),
        ("2P1C, 2 messages", true, ring(1, &[1, 1], 1)),
        ("2P1C, 3 messages", true, ring(1, &[1, 2], 1)),
        ("1P2C, 2 messages", true, ring(1, &[2], 2)),
        ("1P2C, 3 messages", true, ring(1, &[3], 2)),
        ("2P1C, 3 messages, nobody comes", true, nobody(ring(1, &[1, 2], 1))),
        ("1P2C, 3 messages, any hint", false, stale(ring(1, &[3], 2))),
        ("2P1C, 3 messages, any hint", false, stale(ring(1, &[1, 2], 1))),
        ("2P1C, 2 entries, 3 messages", false, ring(2, &[1, 2], 1)),
        ("1P2C, 2 entries, 3 messages", false, ring(2, &[3], 2)),
        ("2P1C, 2 messages, 2 kills", false, twice(ring(1, &[1, 1], 1))),
        ("2P1C, 3 messages, 2 kills", false, twice(ring(1, &[1, 2], 1))),
        ("1P2C, 2 messages, 2 kills", false, twice(ring(1, &[2], 2))),
        ("1P2C, 3 messages, 2 kills", false, twice(ring(1, &[3], 2))),
        ("2P2C, 2 messages, same kind comes", false, same(ring(1, &[1, 1], 2))),
        ("2P2C, 2 messages", false, ring(1, &[1, 1], 2)),
        ("2P2C, 3 messages", false, ring(1, &[1, 2], 2)),
        ("2P2C, 5 messages, one stopped, one killed", false, stopped()),
    ]
}

/// Changes that must be caught, and by what.
fn mutants() -> Vec<(&'static str, bool, &'static str, Exchange)> {
    let small = |change| Exchange { change, ..ring(1, &[1, 1], 1) };
    let two = |change| Exchange { change, ..ring(1, &[1, 2], 1) };
    let pops = |change| Exchange { change, ..ring(1, &[3], 2) };
    let four = |change| Exchange { change, ..ring(1, &[4], 2) };
    let five = |change| Exchange { change, ..stopped() };
    let alive = |change| Exchange { change, kills: 0, newcomers: 0, ..ring(1, &[1, 1], 1) };
    let verdict = name::VERDICT;
    vec![
        ("no stamp by pushes", true, verdict, pops(Change::NoStampByPush)),
        ("no stamp by pops", true, verdict, two(Change::NoStampByPop)),
        ("stamp after the intent", true, verdict, two(Change::StampAfterIntent)),
        ("intent after the CAS", true, verdict, small(Change::IntentAfterCas)),
        ("now cleared", true, verdict, two(Change::NowCleared)),
        ("owner before the scan", true, verdict, two(Change::OwnerBeforeScan)),
        ("no scan", true, verdict, two(Change::NoScan)),
        ("no owner", true, verdict, two(Change::NoOwner)),
        ("next state is success", true, verdict, small(Change::NextIsSuccess)),
        ("any position", false, verdict, five(Change::AnyPosition)),
        ("no lap", true, verdict, small(Change::NoLap)),
        ("no lap, no kill", true, name::ORDER, alive(Change::NoLap)),
        ("no repair", true, verdict, small(Change::NoRepair)),
        ("mark not cleared", false, name::BOOKS, four(Change::MarkNotCleared)),
        ("pushed back without the mark", true, name::BOOKS, pops(Change::NotMarked)),
        ("held message not looked for", true, name::BOOKS, small(Change::HeldNotLookedFor)),
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_short_check_is_as_expected() {
        let mut wrong = Vec::new();
        for check in super::checks().iter().filter(|c| c.short) {
            let found = check.run(1);
            if !found.is(check.expected) {
                wrong.push(format!("{}: {}, expected {:?}", check.name, found.verdict(), check.expected));
            }
        }
        assert!(wrong.is_empty(), "not as expected:\n{}", wrong.join("\n"));
    }
}
