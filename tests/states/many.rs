//! News that comes more than once: each time that the last peer has gone.

use crate::cells::STRATEGIES;
use crate::common::{TestName, watchdog};
use crate::ops::{KINDS, Side};
use crate::subject::{AnyRing, CAPACITY, Subject};

/// How many peers come and go together.
fn come_and_go(ring: &AnyRing, subject: &mut Subject, side: Side, peers: usize) {
    let what = if side == Side::Producer { "push_timeout(t)" } else { "pop_timeout(t)" };
    let mut peers: Vec<_> = (0..peers).map(|_| ring.join(side.peer())).collect();
    while peers.pop().is_some() {
        assert_eq!(
            subject.repeat(what, 1),
            if peers.is_empty() { "PeerGone { died: false }" } else { "TimedOut" }
        );
        assert_eq!(subject.repeat(what, 1), "TimedOut");
    }
}

#[test]
fn each_going_of_the_last_peer_is_news() {
    let _watchdog = watchdog("each_going_of_the_last_peer_is_news");
    let sides = [Side::Producer, Side::Consumer].into_iter();
    for (side, kind) in sides.flat_map(|side| KINDS.map(|kind| (side, kind))) {
        for strategy in STRATEGIES {
            let name = TestName::new("states-many");
            let ring = AnyRing::create(&name, kind);
            let mut subject = ring.join(side);
            subject.set_wait_strategy(strategy);
            if side == Side::Producer {
                assert_eq!(subject.repeat("try_push", CAPACITY + 1), "Full");
            }
            for peers in [1, 1, if kind.is_mpmc() { 3 } else { 1 }, 1] {
                come_and_go(&ring, &mut subject, side, peers);
            }
        }
    }
}
