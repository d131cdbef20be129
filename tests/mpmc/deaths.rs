//! Processes that are killed, stopped, forked or replaced while they take part.

#[path = "../mpmc_soak/brood.rs"]
mod brood;
mod copying;
#[path = "../harness/mod.rs"]
mod harness;
mod inherited;
mod many;
#[path = "../mpmc_soak/slots.rs"]
mod slots;
mod words;

use crate::common::{TestChild, TestName, listen, say, watchdog};
use segring::{RingError, Trusted, mpmc};
use slots::check_slots;
use std::time::Duration;

type Ring = mpmc::Ring<u64>;

pub(crate) fn child(role: &str, args: &[&str]) -> bool {
    match role {
        "hold" => hold_role(args[0], args[1].parse().expect("a number")),
        "push" => push_role(args[0], args[1].parse().expect("a number")),
        "pop" => copying::pop_role(args[0]),
        "fork" => inherited::fork_role(args[0]),
        "fork_bytes" => inherited::fork_bytes_role(args[0]),
        "exec" => inherited::exec_role(args[0], args[1]),
        "after_exec" => inherited::after_exec_role(args[0]),
        "nursery" => many::nursery_role(args),
        "nursery words" => words::nursery_role(args),
        "push_slice" => words::push_slice_role(args[0], args[1].parse().expect("a number")),
        _ => return false,
    }
    true
}

fn attach(name: &str) -> Ring {
    Ring::builder(name).attach().expect("attach")
}

fn create(name: &TestName, capacity: usize, seats: u32, in_hand: u32) -> Ring {
    Ring::builder(name.name()).capacity(capacity).seats(seats).in_hand(in_hand).create().expect("create")
}

fn taker(ring: &Ring) -> Trusted<mpmc::Consumer<u64>> {
    let rx = ring.consumer().expect("a seat");
    // SAFETY: all processes of these tests write through segring only, or while nobody reads in place.
    unsafe { rx.trust_peers() }
}

/// Takes so many messages, and holds them until it is killed, or told to release them.
fn hold_role(name: &str, messages: usize) {
    let ring = attach(name);
    let mut rx = taker(&ring);
    let jobs: Vec<_> = (0..messages).map(|_| rx.take().expect("a message")).collect();
    say("holds");
    assert_eq!(listen(), "release");
    jobs.into_iter().for_each(mpmc::Job::release);
    say("released");
    listen();
}

/// Pushes 0, 1, 2, …; then does nothing until it is killed.
fn push_role(name: &str, messages: u64) {
    let ring = attach(name);
    let mut tx = ring.producer().expect("a seat");
    (0..messages).for_each(|i| tx.push(i).expect("push"));
    say("pushed");
    listen();
}

/// A process that holds so many messages, the next ones of the ring.
fn holder(name: &TestName, messages: usize) -> TestChild {
    let mut child = TestChild::spawn("hold", &[name.as_str(), &messages.to_string()]);
    child.expect("holds");
    child
}

/// Lets a process take the messages 0, 1, 2, …, and kills it with them in hand.
fn die_holding(ring: &Ring, name: &TestName, messages: usize) {
    let mut tx = ring.producer().expect("a seat");
    (0..messages as u64).for_each(|i| tx.push(i).expect("room"));
    drop(tx);
    holder(name, messages).kill();
    let stats = ring.stats().unwrap();
    assert_eq!((stats.held, stats.unclean, stats.len), (messages as u64, 1, 0));
}

/// Nobody is left, nothing is held, each slot is in one place, and every seat can be taken.
fn check_clean(ring: &Ring) {
    let stats = ring.stats().unwrap();
    assert_eq!((stats.producers, stats.consumers), (0, 0));
    assert_eq!((stats.len, stats.held, stats.unclean, stats.attached), (0, 0, 0, 1));
    check_slots(ring.id());
    let all: Vec<_> =
        (0..ring.seats()).map(|i| ring.producer().unwrap_or_else(|e| panic!("{i}: {e}"))).collect();
    assert_eq!(ring.stats().unwrap().producers, ring.seats());
    drop(all);
    check_slots(ring.id());
}

#[test]
fn a_blocked_consumer_gets_what_a_dead_one_held() {
    let _watchdog = watchdog("a blocked consumer");
    let name = TestName::new("dead-blocked");
    let ring = create(&name, 4, 4, 1);
    let mut tx = ring.producer().unwrap();
    tx.push(7).unwrap();
    let mut dying = holder(&name, 1);
    let mut rx = ring.consumer().unwrap();
    let waiting = std::thread::spawn(move || (rx.pop(), rx.redelivered()));
    // Until it sleeps, mostly; what it gets is the same if it does not.
    std::thread::sleep(Duration::from_millis(20));
    dying.kill();
    assert_eq!(waiting.join().unwrap(), (Ok(7), true));
    drop(tx);
    check_clean(&ring);
}

#[test]
fn polling_gets_what_a_dead_one_held() {
    let _watchdog = watchdog("polling");
    let name = TestName::new("dead-polled");
    let ring = create(&name, 4, 4, 1);
    let mut rx = ring.consumer().unwrap();
    die_holding(&ring, &name, 1);
    let got = loop {
        match rx.try_pop() {
            Err(RingError::Empty) => std::thread::yield_now(),
            other => break other,
        }
    };
    assert_eq!((got, rx.redelivered()), (Ok(0), true));
    assert_eq!(rx.try_pop(), Err(RingError::Empty));
    drop(rx);
    check_clean(&ring);
}

#[test]
fn recover_brings_it_back_at_once() {
    let name = TestName::new("dead-recovered");
    let ring = create(&name, 4, 4, 1);
    let mut rx = taker(&ring);
    die_holding(&ring, &name, 1);
    let done = ring.recover().unwrap();
    assert_eq!((done.seats, done.messages, done.left), (1, 1, 0));
    assert_eq!(ring.recover().unwrap(), mpmc::Recovered::default());
    assert_eq!(ring.len(), 1);
    let job = rx.try_take().unwrap();
    assert!(*job == 0 && job.redelivered());
    job.release();
    assert_eq!(rx.try_pop(), Err(RingError::Empty));
    drop(rx);
    check_clean(&ring);
}

/// Whether it finds a free seat, or has to take the dead one's.
#[test]
fn a_newcomer_gets_it_first() {
    for seats in [1, 2, 4] {
        let name = TestName::new("dead-newcomer");
        let ring = create(&name, 4, seats, 1);
        die_holding(&ring, &name, 1);
        if seats > 2 {
            ring.producer().unwrap().push(5).unwrap();
            // By then the producer, which also looks, has put it in front.
            assert_eq!(ring.len(), 2);
        }
        let mut rx = ring.consumer().unwrap();
        assert_eq!((rx.try_pop(), rx.redelivered()), (Ok(0), true), "{seats} seats");
        if seats > 2 {
            assert_eq!((rx.try_pop(), rx.redelivered()), (Ok(5), false));
        }
        assert_eq!(rx.try_pop(), Err(RingError::Empty));
        drop(rx);
        check_clean(&ring);
    }
}

/// On a ring that has only producers for a time, it waits in the ring.
#[test]
fn a_producer_puts_it_back() {
    for seats in [1, 2, 4] {
        let name = TestName::new("dead-producers");
        let ring = create(&name, 4, seats, 3);
        die_holding(&ring, &name, 3);
        let mut tx = ring.producer().unwrap();
        assert_eq!(ring.len(), 3, "{seats} seats");
        tx.try_push(9).unwrap();
        assert_eq!(tx.try_push(9).unwrap_err().error, RingError::Full);
        drop(tx);
        let mut rx = ring.consumer().unwrap();
        let mut got: Vec<_> = (0..4).map(|_| (rx.try_pop().unwrap(), rx.redelivered())).collect();
        got.sort_unstable();
        assert_eq!(got, [(0, true), (1, true), (2, true), (9, false)]);
        drop(rx);
        check_clean(&ring);
    }
}

/// A producer that takes the seat of one that held more than the ring has room for.
#[test]
fn a_producer_keeps_what_does_not_fit() {
    let _watchdog = watchdog("a producer on a full ring");
    let name = TestName::new("dead-full");
    let ring = create(&name, 2, 2, 3);
    let mut filler = ring.producer().unwrap();
    let mut dying = TestChild::spawn("hold", &[name.as_str(), "3"]);
    (0..3).for_each(|i| filler.push(i).unwrap());
    dying.expect("holds");
    dying.kill();
    // The only free seat. There is room for two of three.
    let mut tx = ring.producer().unwrap();
    assert_eq!(tx.try_push(9).unwrap_err().error, RingError::Full);
    let stats = ring.stats().unwrap();
    assert_eq!((stats.len, stats.held, stats.unclean), (2, 1, 0));
    drop(filler);
    let mut rx = ring.consumer().unwrap();
    let mut got = vec![(rx.try_pop().unwrap(), rx.redelivered())];
    assert_eq!(tx.try_push(9).unwrap_err().error, RingError::Full, "what was held comes first");
    got.push((rx.try_pop().unwrap(), rx.redelivered()));
    got.push((rx.try_pop().unwrap(), rx.redelivered()));
    got.sort_unstable();
    assert_eq!(got, [(0, true), (1, true), (2, true)]);
    tx.try_push(9).unwrap();
    assert_eq!((rx.try_pop(), rx.redelivered()), (Ok(9), false));
    drop((tx, rx));
    check_clean(&ring);
}

#[test]
fn all_that_it_held_comes_back() {
    for (capacity, copying) in [(4, true), (4, false), (8, true)] {
        let name = TestName::new("dead-four");
        let ring = create(&name, capacity, 3, 4);
        let mut rx = taker(&ring);
        die_holding(&ring, &name, 4);
        let mut got = Vec::new();
        let _watchdog = watchdog("four messages");
        while got.len() < 4 {
            if copying {
                got.extend(rx.pop_timeout(Duration::from_secs(1)));
                assert!(got.is_empty() || rx.redelivered());
            } else if let Ok(job) = rx.take_timeout(Duration::from_secs(1)) {
                assert!(job.redelivered());
                got.push(*job);
                job.release();
            }
        }
        got.sort_unstable();
        assert_eq!(got, [0, 1, 2, 3]);
        assert_eq!(rx.try_pop(), Err(RingError::Empty));
        drop(rx);
        check_clean(&ring);
    }
}

/// One that adopts four on a ring that has room for none of them.
#[test]
fn all_of_it_comes_back_on_a_full_ring() {
    let _watchdog = watchdog("four messages on a full ring");
    let name = TestName::new("dead-four-full");
    let ring = create(&name, 2, 3, 4);
    let mut tx = ring.producer().unwrap();
    let mut dying = TestChild::spawn("hold", &[name.as_str(), "4"]);
    (0..6).for_each(|i| tx.push(i).unwrap());
    dying.expect("holds");
    dying.kill();
    let mut rx = ring.consumer().unwrap();
    let mut got: Vec<_> = (0..6).map(|_| (rx.pop().unwrap(), rx.redelivered())).collect();
    got.sort_unstable();
    assert_eq!(got, [(0, true), (1, true), (2, true), (3, true), (4, false), (5, false)]);
    drop((tx, rx));
    check_clean(&ring);
}

#[test]
fn a_killed_producer_loses_nothing() {
    let _watchdog = watchdog("a blocked consumer");
    let name = TestName::new("dead-producer");
    let ring = create(&name, 8, 4, 1);
    let mut rx = ring.consumer().unwrap();
    let mut producers: Vec<_> = (0..2).map(|_| TestChild::spawn("push", &[name.as_str(), "3"])).collect();
    producers.iter_mut().for_each(|child| child.expect("pushed"));
    producers[0].kill();
    let mut got: Vec<_> = (0..6).map(|_| rx.pop().unwrap()).collect();
    got.sort_unstable();
    assert_eq!(got, [0, 0, 1, 1, 2, 2]);
    assert_eq!(rx.pop_timeout(Duration::from_millis(150)), Err(RingError::TimedOut), "one is there");
    let waiting = std::thread::spawn(move || (rx.pop(), rx));
    std::thread::sleep(Duration::from_millis(20));
    producers[1].kill();
    let (news, mut rx) = waiting.join().unwrap();
    assert_eq!(news, Err(RingError::PeerGone { died: true }));
    assert_eq!(rx.pop_timeout(Duration::from_millis(150)), Err(RingError::TimedOut), "told once");
    assert_eq!(rx.try_pop(), Err(RingError::Empty));
    drop(rx);
    let _ = ring.recover().unwrap();
    check_clean(&ring);
}

#[test]
fn a_stopped_consumer_keeps_its_message() {
    let name = TestName::new("stopped");
    let ring = create(&name, 4, 4, 1);
    let mut rx = taker(&ring);
    let mut tx = ring.producer().unwrap();
    tx.push(1).unwrap();
    let mut stopped = holder(&name, 1);
    stopped.signal(libc::SIGSTOP);
    // SAFETY: our own child; no status is asked for.
    let seen = unsafe { libc::waitpid(stopped.pid(), std::ptr::null_mut(), libc::WUNTRACED) };
    assert_eq!(seen, stopped.pid());
    for _ in 0..3 {
        assert_eq!(ring.recover().unwrap(), mpmc::Recovered::default());
        assert_eq!(rx.try_pop(), Err(RingError::Empty));
    }
    // Longer than the time after which everybody looks for dead seats.
    assert_eq!(rx.pop_timeout(Duration::from_millis(250)), Err(RingError::TimedOut));
    drop(ring.consumer().unwrap());
    // Nobody waits for it.
    for i in 0..20 {
        tx.push(i).unwrap();
        assert_eq!((rx.pop(), rx.redelivered()), (Ok(i), false));
    }
    assert_eq!(ring.stats().unwrap().held, 1);
    stopped.signal(libc::SIGCONT);
    stopped.tell("release");
    stopped.expect("released");
    let stats = ring.stats().unwrap();
    assert_eq!((stats.held, stats.consumers, stats.len), (0, 2, 0));
    stopped.kill();
    assert_eq!(ring.recover().unwrap().messages, 0, "it was released");
    drop((tx, rx));
    check_clean(&ring);
}

/// A process with several handles, which takes several dead seats over, and keeps its own.
#[test]
fn a_process_with_many_handles_takes_over() {
    let _watchdog = watchdog("several handles");
    let name = TestName::new("dead-several");
    let ring = create(&name, 8, 9, 1);
    let mut tx = ring.producer().unwrap();
    (0..4).for_each(|i| tx.push(i).unwrap());
    let (mut one, mut two) = (taker(&ring), taker(&ring));
    let (mine, mine_too) = (one.take().unwrap(), two.take().unwrap());
    assert_eq!(one.try_take().err(), Some(RingError::HandsFull));
    let mut dying = [holder(&name, 1), holder(&name, 1)];
    dying.iter_mut().for_each(TestChild::kill);
    let (mut three, mut four) = (taker(&ring), taker(&ring));
    let (first, second) = (three.take().unwrap(), four.take_timeout(Duration::from_secs(1)).unwrap());
    assert!(first.redelivered() && second.redelivered());
    let mut got = [*first, *second];
    got.sort_unstable();
    assert_eq!((got, *mine, *mine_too), ([2, 3], 0, 1));
    assert_eq!(ring.recover().unwrap(), mpmc::Recovered::default(), "they are alive");
    // A message that came from a dead seat outlives the handle that adopted it.
    drop((three, four));
    assert_eq!(ring.stats().unwrap().held, 4);
    first.release();
    second.hand_back();
    mine.release();
    mine_too.release();
    assert!(one.try_pop().is_ok() && one.redelivered());
    assert_eq!(two.try_pop(), Err(RingError::Empty));
    drop((tx, one, two));
    check_clean(&ring);
}
