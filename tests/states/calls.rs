//! One call of an operation, by its name, and what came of it.

use crate::subject::{MESSAGE, RECORD};
use segring::spsc::{ByteConsumer, ByteProducer, Consumer, Producer};
use segring::{RingError, Trusted, mpmc};
use std::time::Duration;

const MAX: Duration = Duration::MAX;

fn word<T>(result: Result<T, RingError>) -> String {
    result.map_or_else(|error| format!("{error:?}"), |_| "Ok".into())
}

/// A push that did not happen gives the value back.
fn pushed(result: Result<(), segring::Rejected<u64>>) -> String {
    word(result.map_err(|rejected| {
        assert_eq!(rejected.value, MESSAGE);
        rejected.error
    }))
}

fn popped(result: Result<u64, RingError>) -> String {
    word(result.map(|message| assert_eq!(message, MESSAGE)))
}

fn record(result: Result<Vec<u8>, RingError>) -> String {
    word(result.map(|record| assert_eq!(record, RECORD)))
}

fn number(result: Result<usize, RingError>) -> String {
    if result == Ok(0) { "0".into() } else { word(result) }
}

/// Of what was taken: whether it says that it was taken before.
fn marked(said: String, op: &str, again: bool) -> String {
    if said == "Ok" && again && !op.starts_with("wait") { "Again".into() } else { said }
}

/// What the producers of all typed rings have.
macro_rules! push_as_all {
    ($tx:ident, $op:expr, $t:expr) => {
        match $op {
            "try_push" => pushed($tx.try_push(MESSAGE)),
            "try_push_ref" => word($tx.try_push_ref(&MESSAGE)),
            "push" => pushed($tx.push(MESSAGE)),
            "push_ref" => word($tx.push_ref(&MESSAGE)),
            "push_timeout(MAX)" => pushed($tx.push_timeout(MESSAGE, MAX)),
            "push_timeout(t)" => pushed($tx.push_timeout(MESSAGE, $t)),
            "wait_for_room(None)" => word($tx.wait_for_room(None)),
            "wait_for_room(Some(MAX))" => word($tx.wait_for_room(Some(MAX))),
            "wait_for_room(Some(t))" => word($tx.wait_for_room(Some($t))),
            op => panic!("a producer has no {op}"),
        }
    };
}

/// What the consumers of all typed rings have.
macro_rules! pop_as_all {
    ($rx:ident, $op:expr, $t:expr) => {{
        let mut into = 0;
        match $op {
            "try_pop" => popped($rx.try_pop()),
            "try_pop_into" => popped($rx.try_pop_into(&mut into).map(|()| into)),
            "pop" => popped($rx.pop()),
            "pop_into" => popped($rx.pop_into(&mut into).map(|()| into)),
            "pop_timeout(MAX)" => popped($rx.pop_timeout(MAX)),
            "pop_timeout(t)" => popped($rx.pop_timeout($t)),
            "wait_for_message(None)" => word($rx.wait_for_message(None)),
            "wait_for_message(Some(MAX))" => word($rx.wait_for_message(Some(MAX))),
            "wait_for_message(Some(t))" => word($rx.wait_for_message(Some($t))),
            op => panic!("a consumer has no {op}"),
        }
    }};
}

/// What the consumers of all byte rings have.
macro_rules! pop_bytes_as_all {
    ($rx:ident, $op:expr, $t:expr) => {{
        let mut into = Vec::new();
        match $op {
            "try_pop" => record($rx.try_pop()),
            "try_pop_into" => record($rx.try_pop_into(&mut into).map(|()| into)),
            "pop" => record($rx.pop()),
            "pop_into" => record($rx.pop_into(&mut into).map(|()| into)),
            "pop_timeout(MAX)" => record($rx.pop_timeout(MAX)),
            "pop_timeout(t)" => record($rx.pop_timeout($t)),
            "pop_into_timeout(MAX)" => record($rx.pop_into_timeout(&mut into, MAX).map(|()| into)),
            "pop_into_timeout(t)" => record($rx.pop_into_timeout(&mut into, $t).map(|()| into)),
            "wait_for_message(None)" => word($rx.wait_for_message(None)),
            "wait_for_message(Some(MAX))" => word($rx.wait_for_message(Some(MAX))),
            "wait_for_message(Some(t))" => word($rx.wait_for_message(Some($t))),
            op => panic!("a consumer of bytes has no {op}"),
        }
    }};
}

pub fn push(tx: &mut Trusted<Producer<u64>>, op: &str, t: Duration) -> String {
    match op {
        "reserve" => word(tx.reserve(1).map(|mut grant| {
            grant.iter_mut().for_each(|slot| *slot = MESSAGE);
            assert_eq!(grant.commit(1), 1);
        })),
        "push_slice" => number(tx.push_slice(&[MESSAGE; 2])),
        _ => push_as_all!(tx, op, t),
    }
}

pub fn push_bytes(tx: &mut Trusted<ByteProducer>, op: &str, t: Duration) -> String {
    word(match op {
        "try_push" => tx.try_push(&RECORD),
        "reserve" => tx.reserve(RECORD.len()).map(|mut grant| {
            grant.copy_from_slice(&RECORD);
            assert_eq!(grant.commit(RECORD.len()), RECORD.len());
        }),
        "push" => tx.push(&RECORD),
        "push_timeout(MAX)" => tx.push_timeout(&RECORD, MAX),
        "push_timeout(t)" => tx.push_timeout(&RECORD, t),
        "wait_for_room(None)" => tx.wait_for_room(RECORD.len(), None),
        "wait_for_room(Some(MAX))" => tx.wait_for_room(RECORD.len(), Some(MAX)),
        "wait_for_room(Some(t))" => tx.wait_for_room(RECORD.len(), Some(t)),
        "wait_until_drained(None)" => tx.wait_until_drained(None),
        "wait_until_drained(Some(MAX))" => tx.wait_until_drained(Some(MAX)),
        "wait_until_drained(Some(t))" => tx.wait_until_drained(Some(t)),
        _ => panic!("a producer of bytes has no {op}"),
    })
}

pub fn pop(rx: &mut Trusted<Consumer<u64>>, op: &str, t: Duration) -> String {
    match op {
        "read" => word(rx.read(1).map(|grant| {
            assert!(grant.iter().all(|message| *message == MESSAGE));
            assert_eq!(grant.release(1), 1);
        })),
        "pop_slice" => number(rx.pop_slice(&mut [0])),
        _ => pop_as_all!(rx, op, t),
    }
}

pub fn pop_bytes(rx: &mut Trusted<ByteConsumer>, op: &str, t: Duration) -> String {
    match op {
        "read" => word(rx.read().map(|grant| {
            assert_eq!(*grant, RECORD);
            grant.release();
        })),
        _ => pop_bytes_as_all!(rx, op, t),
    }
}

pub fn push_mpmc(tx: &mut Trusted<mpmc::Producer<u64>>, op: &str, t: Duration) -> String {
    let slot = |tx: &mut Trusted<mpmc::Producer<u64>>, publish: fn(mpmc::Slot<'_, u64>, Duration) -> _, t| {
        let mut slot = tx.slot()?;
        *slot = MESSAGE;
        publish(slot, t)
    };
    match op {
        "slot" => word(tx.slot()),
        "publish" => word(slot(tx, |slot, _| slot.publish(), t)),
        "publish_timeout(None)" => word(slot(tx, |slot, _| slot.publish_timeout(None), t)),
        "publish_timeout(Some(MAX))" => word(slot(tx, |slot, _| slot.publish_timeout(Some(MAX)), t)),
        "publish_timeout(Some(t))" => word(slot(tx, |slot, t| slot.publish_timeout(Some(t)), t)),
        "push_slice" => number(tx.push_slice(&[MESSAGE; 4])),
        "close" => word(tx.close()),
        _ => push_as_all!(tx, op, t),
    }
}

pub fn push_mpmc_bytes(tx: &mut Trusted<mpmc::ByteProducer>, op: &str, t: Duration) -> String {
    const LEN: usize = RECORD.len();
    let slot = |tx: &mut Trusted<mpmc::ByteProducer>, publish: fn(mpmc::ByteSlot<'_>, Duration) -> _, t| {
        let mut slot = tx.byte_slot()?;
        slot.copy_from_slice(&RECORD);
        publish(slot, t)
    };
    word(match op {
        "byte_slot" => tx.byte_slot().map(drop),
        "publish" => slot(tx, |slot, _| slot.publish(LEN), t),
        "publish_timeout(None)" => slot(tx, |slot, _| slot.publish_timeout(LEN, None), t),
        "publish_timeout(Some(MAX))" => slot(tx, |slot, _| slot.publish_timeout(LEN, Some(MAX)), t),
        "publish_timeout(Some(t))" => slot(tx, |slot, t| slot.publish_timeout(LEN, Some(t)), t),
        "close" => tx.close(),
        "try_push" => tx.try_push(&RECORD),
        "push" => tx.push(&RECORD),
        "push_timeout(MAX)" => tx.push_timeout(&RECORD, MAX),
        "push_timeout(t)" => tx.push_timeout(&RECORD, t),
        "wait_for_room(None)" => tx.wait_for_room(None),
        "wait_for_room(Some(MAX))" => tx.wait_for_room(Some(MAX)),
        "wait_for_room(Some(t))" => tx.wait_for_room(Some(t)),
        _ => panic!("a producer of bytes has no {op}"),
    })
}

pub fn pop_mpmc(rx: &mut Trusted<mpmc::Consumer<u64>>, op: &str, t: Duration) -> String {
    let taken = match op {
        "try_take" => rx.try_take(),
        "take" => rx.take(),
        "take_timeout(MAX)" => rx.take_timeout(MAX),
        "take_timeout(t)" => rx.take_timeout(t),
        "pop_slice" => {
            let said = number(rx.pop_slice(&mut [0]));
            return marked(said, op, rx.redelivered());
        }
        _ => {
            let said = pop_as_all!(rx, op, t);
            return marked(said, op, rx.redelivered());
        }
    };
    let again = taken.as_ref().is_ok_and(mpmc::Job::redelivered);
    let message = taken.map(|job| {
        let message = *job;
        job.release();
        message
    });
    marked(popped(message), op, again)
}

pub fn pop_mpmc_bytes(rx: &mut Trusted<mpmc::ByteConsumer>, op: &str, t: Duration) -> String {
    let taken = match op {
        "try_take" => rx.try_take(),
        "take" => rx.take(),
        "take_timeout(MAX)" => rx.take_timeout(MAX),
        "take_timeout(t)" => rx.take_timeout(t),
        _ => {
            let said = pop_bytes_as_all!(rx, op, t);
            return marked(said, op, rx.redelivered());
        }
    };
    let again = taken.as_ref().is_ok_and(mpmc::ByteJob::redelivered);
    let message = taken.map(|job| {
        let message = job.to_vec();
        job.release();
        message
    });
    marked(record(message), op, again)
}
