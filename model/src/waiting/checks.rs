//! The table: what is run, and what must come out.

use super::{Change, Ending, Reach, Rmw, Timer, Waiting, name};
use crate::check::{Check, Expected};

/// Capacity 1, two messages, nobody is killed, no timer.
const SMALL: Waiting = Waiting {
    capacity: 1,
    messages: 2,
    ending: Ending::Closes,
    quits_after: None,
    kills: 0,
    newcomers: 0,
    timer: Timer::Never,
    rmw: Rmw::Weak,
    reach: Reach::Membarrier,
    change: Change::None,
};

/// The same, and the producer leaves.
const LEAVES: Waiting = Waiting { ending: Ending::Leaves, ..SMALL };

/// One kill, one newcomer, and the recheck.
const KILL: Waiting = Waiting { kills: 1, newcomers: 1, timer: Timer::AfterKill, ..SMALL };

/// All checks of this model, the short ones first in each group.
pub fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    let mut add = |name: &str, short: bool, expected: Expected, model: Waiting| {
        checks.push(Check::new(format!("waiting/{name}"), short, expected, model));
    };
    for (name, short, model) in as_it_is() {
        add(name, short, Expected::Holds, model);
    }
    for (name, model) in harmless() {
        add(&format!("harmless/{name}"), true, Expected::Holds, model);
    }
    for (name, property, model) in mutants() {
        add(&format!("mutant/{name}"), true, Expected::Caught(property), model);
    }
    checks
}

/// The code as it is.
fn as_it_is() -> Vec<(&'static str, bool, Waiting)> {
    let two = Waiting { capacity: 2, messages: 3, ..SMALL };
    let killed_twice = Waiting { kills: 2, newcomers: 2, ..KILL };
    vec![
        ("closes", true, SMALL),
        ("leaves", true, LEAVES),
        ("closes, then leaves", true, Waiting { ending: Ending::ClosesAndLeaves, ..SMALL }),
        ("3 messages, closes", true, Waiting { messages: 3, ..SMALL }),
        ("3 messages, leaves", true, Waiting { messages: 3, ..LEAVES }),
        ("2 slots, 3 messages, closes", true, two.clone()),
        ("2 slots, 3 messages, leaves", true, Waiting { ending: Ending::Leaves, ..two.clone() }),
        ("consumer leaves", true, Waiting { messages: 3, quits_after: Some(1), ..SMALL }),
        ("read-modify-write drains", true, Waiting { rmw: Rmw::Drains, ..SMALL }),
        ("the waker fences", true, Waiting { reach: Reach::OwnFence, ..SMALL }),
        ("timer always", true, Waiting { timer: Timer::Always, ..LEAVES }),
        ("1 kill, closes", true, KILL),
        ("1 kill, leaves", true, Waiting { ending: Ending::Leaves, ..KILL }),
        ("1 kill, nobody comes", true, Waiting { newcomers: 0, ..KILL }),
        ("1 kill, no timer", true, Waiting { timer: Timer::Never, ..KILL }),
        ("1 kill, the waker fences", true, Waiting { reach: Reach::OwnFence, ..KILL }),
        ("1 kill, consumer leaves", true, Waiting { messages: 3, quits_after: Some(1), ..KILL }),
        ("1 kill, timer always", false, Waiting { timer: Timer::Always, ..KILL }),
        ("1 kill, 2 slots, 3 messages", false, Waiting { capacity: 2, messages: 3, ..KILL }),
        ("2 kills, closes", false, killed_twice.clone()),
        ("2 kills, leaves", false, Waiting { ending: Ending::Leaves, ..killed_twice.clone() }),
        (
            "2 kills, closes, then leaves",
            false,
            Waiting { ending: Ending::ClosesAndLeaves, ..killed_twice.clone() },
        ),
        ("2 kills, no timer", false, Waiting { timer: Timer::Never, ..killed_twice.clone() }),
        (
            "2 kills, consumer leaves",
            false,
            Waiting { messages: 3, quits_after: Some(1), ..killed_twice.clone() },
        ),
        ("2 kills, 2 slots, 3 messages", false, Waiting { capacity: 2, messages: 3, ..killed_twice }),
    ]
}

/// Changes that do no harm: the check must tell them from the others.
fn harmless() -> Vec<(&'static str, Waiting)> {
    let kill = |change| Waiting { change, ..KILL };
    let with_timer = |change| Waiting { change, timer: Timer::Always, ..LEAVES };
    vec![
        ("a waiter clears its bit after sleep", kill(Change::ClearsOwnBit)),
        ("a waiter leaves its bit set", kill(Change::BitNotGivenUp)),
        ("no look at the word before the call", kill(Change::NoWordBeforeSleep)),
        ("the bit set again after every sleep", kill(Change::BitAlwaysSetAgain)),
        ("close without its own fence", kill(Change::CloseWithoutFence)),
        ("leave without wake, with timer", with_timer(Change::LeaveWithoutWake)),
        ("wake before leaving, with timer", with_timer(Change::WakeBeforeLeaving)),
        ("join without wake, with timer", kill(Change::JoinWithoutWake)),
    ]
}

/// Changes that must be caught, and by what.
fn mutants() -> Vec<(&'static str, &'static str, Waiting)> {
    let closes = |change| Waiting { change, ..SMALL };
    let leaves = |change| Waiting { change, ..LEAVES };
    let kill = |change| Waiting { change, ..KILL };
    let no_timer = |change| Waiting { change, timer: Timer::Never, ..KILL };
    let lost = name::LOST_WAKEUP;
    vec![
        ("no bit", name::PROGRESS, closes(Change::NoBit)),
        ("no barrier", lost, closes(Change::NoBarrier)),
        ("no barrier, lock prefix", lost, Waiting { rmw: Rmw::Drains, ..closes(Change::NoBarrier) }),
        ("barrier before bit", lost, closes(Change::BarrierBeforeBit)),
        ("waker neither reached nor fencing", lost, Waiting { reach: Reach::Neither, ..SMALL }),
        ("no look after the bit", lost, closes(Change::NoLookAfterBit)),
        ("word before publish", lost, closes(Change::WordBeforePublish)),
        ("wake before clear", lost, closes(Change::WakeBeforeClear)),
        ("bit not set again after a wake", name::PROGRESS, kill(Change::BitNotSetAgain)),
        ("futex without compare", lost, closes(Change::NoCompare)),
        ("futex wake is no fence", lost, closes(Change::WakeIsNoFence)),
        ("flag not looked at again", lost, closes(Change::FlagNotLookedAtAgain)),
        ("ring not looked at again", name::CLOSING, closes(Change::RingNotLookedAtAgain)),
        ("close without wake", lost, closes(Change::CloseWithoutWake)),
        ("leave without wake", lost, leaves(Change::LeaveWithoutWake)),
        ("wake before leaving", lost, leaves(Change::WakeBeforeLeaving)),
        ("no look for a goodbye", lost, leaves(Change::NoHint)),
        ("news before the last look", name::NEWS, leaves(Change::NewsBeforeLastLook)),
        ("successor ignores the flag", name::CLOSING, kill(Change::SuccessorIgnoresFlag)),
        ("recheck ignores the seat", name::RECHECK, kill(Change::RecheckIgnoresSeat)),
        ("bit not taken", name::IDLE_WAKE, Waiting { messages: 3, capacity: 2, ..kill(Change::BitNotTaken) }),
        ("seat free too early", name::BOOKS, kill(Change::SeatFreeTooEarly)),
        ("join without wake", lost, no_timer(Change::JoinWithoutWake)),
    ]
}
