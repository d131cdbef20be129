//! SIGKILL at an instruction. What the survivor and the newcomer find says how far it had got; the
//! commit is one store (I1), so that is "not yet" up to some instruction, and "done" from there on.

use crate::common::{TestName, say};
use crate::effort::{Effort, Ticker};
use crate::harness::Rng;
use crate::ops::{OPS, Op, Report};
use crate::rings::Kind;
use crate::victim::Victim;
use segring::RingError;

fn start<K: Kind>(name: &TestName, op: Op) -> nix::Result<Victim> {
    Victim::start::<K>(name, op, &Report::default(), || {})
}

/// Joins, pushes up to `n` messages numbered from its position on, leaves: (first position, how
/// many).
fn push<K: Kind>(ring: &K, n: u64) -> (u64, u64) {
    let mut tx = ring.producer().expect("the seat is free");
    let at = K::pushed(&tx);
    let pushed = (at..at + n).take_while(|i| K::push(&mut tx, &K::message(*i)).is_ok()).count();
    (at, pushed as u64)
}

/// Joins, pops and checks up to `n` messages, leaves: (first position, how many, last error).
fn pop<K: Kind>(ring: &K, n: u64) -> (u64, u64, Option<RingError>) {
    let mut rx = ring.consumer().expect("the seat is free");
    let (at, mut got) = (K::popped(&rx), K::blank());
    for i in 0..n {
        match K::pop(&mut rx, &mut got) {
            Ok(()) => assert!(got == K::message(at + i), "message {} is lost, doubled or torn", at + i),
            Err(e) => return (at, i, Some(e)),
        }
    }
    (at, n, None)
}

/// Stops a consumer right after its commit, lets its peer write all that is free then, and lets it
/// go on: what it has must be what it took.
fn overtake<K: Kind>(name: &TestName, op: Op, commit: u64) -> nix::Result<()> {
    let ring = K::create(name);
    assert_eq!(push(&ring, 5), (0, 5));
    let mut victim = start::<K>(name, op)?;
    victim.steps(commit)?;
    assert!(push(&ring, 100).1 > 0, "no room to overtake");
    victim.run_out()?;
    ring.remove();
    Ok(())
}

/// A consumer finds the ring empty; at some instruction of that, its peer pushes a message, closes
/// and leaves. No consumer may say `Closed` then.
fn close_beside_a_pop<K: Kind>(name: &TestName, rng: &mut Rng) -> nix::Result<u64> {
    let (mut k, mut points) = (rng.below(10), 0);
    loop {
        let ring = K::create(name);
        let mut victim = start::<K>(name, Op::PopEmpty)?;
        let made = victim.steps(k)?;
        let mut tx = ring.producer().expect("the seat is free");
        K::push(&mut tx, &K::message(0)).expect("room");
        K::close(&mut tx);
        drop(tx);
        victim.run_out()?;
        ring.remove();
        points += 1;
        if made < k {
            say(&format!("a close beside a pop: {points} of {made} instructions"));
            return Ok(points);
        }
        k += 10;
    }
}

/// One point: how many instructions were made, and how many messages the victim had moved.
/// `newcomer_first`: a successor comes before the survivor has touched the ring again, which else
/// it has.
fn point<K: Kind>(name: &TestName, op: Op, k: u64, newcomer_first: bool) -> nix::Result<(u64, u64)> {
    let ring = K::create(name);
    // Positions 5 and 5 + 3 wrap in 8 slots; so does the sixth record of 690 bytes.
    let (tail, head) = (5, if op.by_producer() { 2 } else { 0 });
    assert_eq!(push(&ring, tail), (0, tail));
    assert_eq!(pop(&ring, head).2, None);
    let mut victim = start::<K>(name, op)?;
    let made = victim.steps(k)?;
    victim.kill();
    let moved;
    if op.by_producer() {
        let first = newcomer_first.then(|| push(&ring, 1));
        // The survivor drains, and finds a beginning of what the victim pushed.
        let (at, n, end) = pop(&ring, 100);
        assert_eq!(at, head);
        let found = at + n;
        let closed = end == Some(RingError::Closed);
        assert!(closed && op == Op::Close || end == Some(RingError::Empty), "{end:?}");
        if let Some((at, n)) = first {
            assert_eq!(at + n, found, "the newcomer pushed elsewhere");
        }
        moved = first.map_or(found, |(at, _)| at) - tail;
        // The next one goes on exactly there; a closed ring refuses it.
        let wanted = if closed { 0 } else { 3 };
        assert_eq!(push(&ring, 3), (found, wanted));
        assert_eq!(pop(&ring, wanted), (found, wanted, None));
    } else {
        // A newcomer takes the rest; the survivor has all the room again.
        if newcomer_first {
            push(&ring, 1);
        }
        let (at, n, end) = pop(&ring, 100);
        let tail = push(&ring, 0).0;
        assert_eq!((at + n, end), (tail, Some(RingError::Empty)));
        moved = at - head;
        let (at, room) = push(&ring, 100);
        assert!(at == tail && if K::BYTES { room >= 4 } else { room == 8 }, "room for {room} only");
        assert_eq!(pop(&ring, room), (tail, room, None));
    }
    assert!(moved <= op.moves(K::BYTES), "{moved} messages from one {op:?}");
    if !(K::PIECEMEAL && op.by_producer()) {
        assert!(moved == 0 || moved == op.moves(K::BYTES), "{op:?} was done by half: {moved}");
    }
    ring.remove();
    Ok((made, moved))
}

/// How many instructions the points of one operation may take together by default: each is a
/// context switch to and fro.
const STEPS: u64 = 3_000;

/// Gives the number of points.
pub(crate) fn sweep<K: Kind>(name: &TestName, rng: &mut Rng, effort: Effort) -> nix::Result<u64> {
    let mut all_points = close_beside_a_pop::<K>(name, rng)?;
    let mut ticker = Ticker::new();
    let short = effort == Effort::Short;
    for op in OPS {
        if op.is_in_vain() || !op.is_there(K::BYTES) {
            continue;
        }
        let common = op.is_common();
        if op.joins() && K::PIECEMEAL && short {
            let k = rng.below(45_000);
            let (made, _) = point::<K>(name, op, k, k % 2 == 0)?;
            say(&format!("{op:?}: killed at the {made}th instruction"));
            all_points += 1;
        }
        if short && (op.joins() || common && !K::PIECEMEAL) {
            continue;
        }
        let (length, all) = point::<K>(name, op, u64::MAX, false)?;
        assert_eq!(all, op.moves(K::BYTES), "{op:?} was not done when its child was done with it");
        let most = if op.joins() { 500 } else { u64::MAX };
        let wanted = match effort {
            Effort::Short => (2 * STEPS / length).clamp(2, 25),
            Effort::About(n) => n.min(most),
            Effort::All => most,
        };
        let stride = (length / wanted.max(1)).max(1);
        let offset = rng.below(stride);
        let (mut points, mut before) = (0, 0);
        // The last point known to be before the (first) commit, and the first one known to be after.
        let (mut low, mut high) = (0, length);
        for k in (offset..length).step_by(stride as usize) {
            let (_, moved) = point::<K>(name, op, k, k % 2 == 0)?;
            assert!(moved >= before, "{op:?}: {moved} after {k} instructions, {before} before that");
            if moved == 0 {
                low = k;
            } else {
                high = high.min(k);
            }
            before = moved;
            points += 1;
            ticker.tick();
        }
        let mut report = format!("{op:?}: {points} of {length} instructions, from {offset} on");
        if !common && (!short || length < 3000) {
            // Closing in on the commit, where a kill matters most.
            while high - low > 1 {
                let middle = low.midpoint(high);
                let (_, moved) = point::<K>(name, op, middle, middle % 2 == 0)?;
                *(if moved == 0 { &mut low } else { &mut high }) = middle;
                points += 1;
            }
            // The instruction after the commit, with both orders of what follows.
            for newcomer_first in [false, true] {
                point::<K>(name, op, high, newcomer_first)?;
                points += 1;
            }
            if !op.by_producer() {
                overtake::<K>(name, op, high)?;
                points += 1;
            }
            report += &format!("; committed by the {high}th ({points} in all)");
        }
        say(&report);
        all_points += points;
    }
    Ok(all_points)
}
