//! The table: what is run, and what must come out.

use super::mutants::{harmless, mutants};
use super::{Change, Exchange, Hints, Search};
use crate::check::{Check, Expected};

/// All checks of this model.
pub fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, short, model) in as_it_is() {
        checks.push(Check::new(format!("exchange/{name}"), short, Expected::Holds, model));
    }
    for (name, short, model) in harmless() {
        checks.push(Check::new(format!("exchange/harmless/{name}"), short, Expected::Holds, model));
    }
    for (name, short, property, model) in mutants() {
        let name = format!("exchange/mutant/{name}");
        checks.push(Check::new(name, short, Expected::Caught(property), model));
    }
    checks
}

/// One kill and one newcomer, of either kind.
pub(super) fn ring(entries: u8, producers: &[u8], consumers: u8) -> Exchange {
    Exchange {
        entries,
        producers: producers.to_vec(),
        consumers,
        closers: 0,
        kills: 1,
        newcomers: 1,
        either: true,
        brings: 0,
        leaves: 0,
        backs: 0,
        recover: false,
        stopped: None,
        victim: None,
        hints: Hints::Fresh,
        lag: 0,
        laps: 16,
        from: 0,
        endless: None,
        counted: None,
        search: Search::Merged,
        change: Change::None,
    }
}

/// Two kills, two newcomers: a repair may be killed, and what it left is repaired.
pub(super) fn twice(model: Exchange) -> Exchange {
    Exchange { kills: 2, newcomers: 2, ..model }
}

pub(super) fn stale(lag: u8, model: Exchange) -> Exchange {
    Exchange { hints: Hints::Any, lag, ..model }
}

pub(super) fn same(model: Exchange) -> Exchange {
    Exchange { search: Search::Symmetric, ..model }
}

pub(super) fn closed(closers: u8, model: Exchange) -> Exchange {
    Exchange { closers, ..model }
}

/// Whoever leaves has a successor.
pub(super) fn leaving(leaves: u8, model: Exchange) -> Exchange {
    Exchange { leaves, newcomers: model.newcomers + leaves, ..model }
}

/// Who has a seat repairs; nobody comes.
pub(super) fn recover(model: Exchange) -> Exchange {
    Exchange { recover: true, newcomers: 0, ..model }
}

/// A consumer may hand a message back.
pub(super) fn back(model: Exchange) -> Exchange {
    Exchange { backs: 1, ..model }
}

/// The first producer is stopped with an intent that gets old; only the last consumer is killed.
pub(super) fn stopped() -> Exchange {
    Exchange { either: false, stopped: Some(0), victim: Some(3), ..ring(1, &[1, 4], 2) }
}

/// The protocol as it is.
fn as_it_is() -> Vec<(&'static str, bool, Exchange)> {
    let every = |model| Exchange { search: Search::Every, ..model };
    let alive = |model| Exchange { kills: 0, newcomers: 0, ..model };
    let wrap = |laps, from, model| Exchange { laps, from, ..model };
    let counted = |most, model| Exchange { counted: Some(most), ..model };
    let either = |model| Exchange { either: true, brings: 1, ..model };
    let endless = |lag, laps, model| Exchange { endless: Some(lag), laps, either: false, ..model };
    let thrice = |model| Exchange { kills: 3, newcomers: 3, ..model };
    let nobody = |model| Exchange { newcomers: 0, ..model };
    let both = |model| Exchange { newcomers: 1, ..recover(model) };
    let all = |model| back(closed(1, leaving(1, both(model))));
    vec![
        ("2P1C, no kill, every step", true, every(alive(ring(1, &[1, 1], 1)))),
        ("2P2C, no kill, every step", true, every(alive(ring(1, &[1, 2], 2)))),
        ("2P1C, every step", true, every(ring(1, &[1, 2], 1))),
        ("2P1C, merged", true, ring(1, &[1, 2], 1)),
        ("2P1C", true, same(ring(1, &[1, 2], 1))),
        ("1P2C, every step", true, every(ring(1, &[3], 2))),
        ("1P2C, merged", true, ring(1, &[3], 2)),
        ("1P2C", true, same(ring(1, &[3], 2))),
        ("2P2C, every step", false, every(ring(1, &[1, 2], 2))),
        ("2P2C, merged", false, ring(1, &[1, 2], 2)),
        ("2P2C", true, same(ring(1, &[1, 2], 2))),
        ("2P2C, 4 messages", false, same(ring(1, &[2, 2], 2))),
        ("3P1C, 4 messages", true, same(ring(1, &[1, 1, 2], 1))),
        ("1P3C, 4 messages", false, same(ring(1, &[4], 3))),
        ("2P1C, nobody comes", true, same(nobody(ring(1, &[1, 2], 1)))),
        ("2P1C, 2 kills, every step", false, every(twice(ring(1, &[1, 2], 1)))),
        ("2P1C, 2 kills", false, same(twice(ring(1, &[1, 2], 1)))),
        ("1P2C, 2 kills", false, same(twice(ring(1, &[3], 2)))),
        ("2P1C, 3 kills", false, same(thrice(ring(1, &[1, 2], 1)))),
        ("1P2C, 3 kills", false, same(thrice(ring(1, &[3], 2)))),
        ("2P2C, 4 messages, 2 kills", false, same(twice(ring(1, &[2, 2], 2)))),
        ("3P1C, 4 messages, 2 kills", false, same(twice(ring(1, &[1, 1, 2], 1)))),
        ("1P3C, 2 kills", false, same(twice(ring(1, &[3], 3)))),
        ("2P1C, 2 entries, 4 messages", false, same(ring(2, &[2, 2], 1))),
        ("1P2C, 2 entries, 4 messages", false, same(ring(2, &[4], 2))),
        ("2P2C, 2 entries, 4 messages", false, same(ring(2, &[2, 2], 2))),
        ("2P1C, 2 entries, 4 messages, 2 kills", false, same(twice(ring(2, &[2, 2], 1)))),
        ("2P1C, any hint", true, same(stale(2, ring(1, &[1, 2], 1)))),
        ("1P2C, any hint", true, same(stale(2, ring(1, &[3], 2)))),
        ("2P2C, any hint", false, same(stale(2, ring(1, &[1, 2], 2)))),
        ("2P1C, 2 entries, any hint", false, same(stale(3, ring(2, &[2, 2], 1)))),
        ("3P1C, 4 messages, any hint", false, same(stale(2, ring(1, &[1, 1, 2], 1)))),
        ("1P3C, 4 messages, any hint", false, same(stale(2, ring(1, &[4], 3)))),
        ("2P2C, 5 messages, one stopped, one killed", false, stopped()),
        ("closing/2P1C, every step", true, every(closed(1, ring(1, &[1, 1], 1)))),
        ("closing/2P1C", true, same(closed(1, ring(1, &[1, 2], 1)))),
        ("closing/2P1C, both close", true, same(closed(3, ring(1, &[1, 2], 1)))),
        ("closing/2P1C, both close, 2 kills", false, same(twice(closed(3, ring(1, &[1, 1], 1))))),
        ("closing/2P1C, 2 entries", false, same(closed(1, ring(2, &[1, 2], 1)))),
        (
            "closing/2P1C, 2 entries, both close, any hint",
            false,
            same(stale(2, closed(3, ring(2, &[1, 2], 1)))),
        ),
        ("closing/1P2C", true, same(closed(1, ring(1, &[3], 2)))),
        ("closing/1P2C, 2 kills", false, same(twice(closed(1, ring(1, &[2], 2))))),
        ("closing/2P2C, both close", false, same(closed(3, ring(1, &[1, 2], 2)))),
        ("closing/3P1C, two close", false, same(closed(6, ring(1, &[1, 1, 1], 1)))),
        ("closing/2P1C, 2 entries, handed back", false, same(back(closed(1, ring(2, &[1, 1], 1))))),
        ("leaving/2P1C, 2 leave, no kill", true, same(leaving(2, alive(ring(1, &[1, 2], 1))))),
        ("leaving/1P2C, 2 leave, no kill", true, same(leaving(2, alive(ring(1, &[3], 2))))),
        ("leaving/2P1C, every step", false, every(leaving(1, ring(1, &[1, 1], 1)))),
        ("leaving/2P1C", false, same(leaving(1, ring(1, &[1, 2], 1)))),
        ("leaving/1P2C", false, same(leaving(1, ring(1, &[3], 2)))),
        ("leaving/2P2C", false, same(leaving(1, ring(1, &[1, 2], 2)))),
        ("recover/2P1C, every step", true, every(recover(ring(1, &[1, 2], 1)))),
        ("recover/2P1C", true, same(recover(ring(1, &[1, 2], 1)))),
        ("recover/1P2C", true, same(recover(ring(1, &[3], 2)))),
        ("recover/2P2C", true, same(recover(ring(1, &[1, 2], 2)))),
        ("recover/1P2C, 2 kills, one comes", false, same(both(twice(ring(1, &[3], 2))))),
        ("recover/2P2C, 2 kills", false, same(recover(twice(ring(1, &[1, 2], 2))))),
        ("recover/2P2C, 2 kills, one comes", false, same(both(twice(ring(1, &[1, 2], 2))))),
        ("handed back/2P1C, every step", true, every(back(ring(1, &[1, 1], 1)))),
        ("handed back/2P1C", true, same(back(ring(1, &[1, 2], 1)))),
        ("handed back/1P2C", false, same(back(ring(1, &[3], 2)))),
        ("handed back/2P2C", false, same(back(ring(1, &[1, 2], 2)))),
        ("wrap/2P1C, 4 laps", true, same(wrap(4, 3, ring(1, &[1, 2], 1)))),
        ("wrap/1P2C, 4 laps", true, same(wrap(4, 3, ring(1, &[3], 2)))),
        ("wrap/2P2C, 4 laps", false, same(wrap(4, 3, ring(1, &[1, 2], 2)))),
        ("wrap/2P2C, 8 laps, 4 messages", false, same(wrap(8, 6, ring(1, &[2, 2], 2)))),
        ("wrap/2P1C, 2 entries, 4 laps", false, same(wrap(4, 6, ring(2, &[2, 2], 1)))),
        ("wrap/1P2C, 16 laps, any hint", true, same(stale(2, wrap(16, 14, ring(1, &[3], 2))))),
        ("wrap/2P1C, 8 laps, closing", true, same(closed(3, wrap(8, 7, ring(1, &[1, 2], 1))))),
        ("endless/2P1C, lag 2", false, same(endless(2, 8, ring(1, &[1, 1], 1)))),
        ("endless/1P2C, lag 2", false, same(endless(2, 8, ring(1, &[1], 2)))),
        ("endless/1P1C, lag 1, either kind comes", false, same(either(endless(1, 8, ring(1, &[1], 1))))),
        ("endless/2P2C, lag 1", false, same(endless(1, 8, ring(1, &[1, 1], 2)))),
        ("endless/2P1C, lag 2, recover", false, same(both(endless(2, 8, ring(1, &[1, 1], 1))))),
        ("endless/2P1C, lag 2, leaving", false, same(leaving(1, endless(2, 8, ring(1, &[1, 1], 1))))),
        ("endless/2P1C, lag 2, handed back", false, same(back(endless(2, 8, ring(1, &[1, 1], 1))))),
        (
            "endless/1P2C, lag 2, recover, leaving, handed back",
            false,
            same(back(leaving(1, both(endless(2, 8, ring(1, &[1], 2)))))),
        ),
        ("endless/3P1C, lag 1", false, same(endless(1, 8, ring(1, &[1, 1, 1], 1)))),
        ("endless/1P3C, lag 2", false, same(endless(2, 8, ring(1, &[1], 3)))),
        ("all/2P1C", false, same(all(ring(1, &[1, 1], 1)))),
        ("all/1P2C", false, same(all(ring(1, &[2], 2)))),
        (
            "all/2P1C, 2 entries, laps wrap, any hint",
            false,
            same(stale(1, wrap(8, 14, all(ring(2, &[1, 1], 1))))),
        ),
        ("together/2P1C, no kill", true, every(counted(10, alive(ring(1, &[1, 2], 1))))),
        ("together/1P2C", false, every(counted(18, ring(1, &[3], 2)))),
        ("together/2P1C, recover", true, every(counted(14, recover(ring(1, &[1, 1], 1))))),
        ("together/2P1C", true, every(counted(14, ring(1, &[1, 1], 1)))),
        (
            "together/2P1C, any hint, closing",
            false,
            every(counted(22, stale(1, closed(1, ring(1, &[1, 1], 1))))),
        ),
    ]
}

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
