//! Rings of many producers and consumers: whoever sleeps is woken by whatever concerns it.
//!
//! The sleepers are children whose sleeps have no time limit, so a lost wakeup is a hang. The parent
//! acts when it has seen that they sleep. Who joins or leaves wakes others: so everybody has sat down
//! before anybody sleeps, and nobody leaves before the end, if that is not what is tested.

mod batches;
mod calls;
mod comings;
mod crowd;
mod passing;
mod returned;

pub use crowd::{taker, worker};

use crate::common::{listen, say};
use crate::interpose::{Moment, plan};
use crate::many_rings::{Message, Slots, ring, sits};
use crate::remote::at_work;
use segring::mpmc::{Consumer, Job, Producer, Ring};
use segring::{RingError, Trusted};

/// A child at the parent's command.
pub fn side(name: &str, kind: &str) {
    at_work();
    match kind {
        "words" => Side::<u64>::attach(name).obey(),
        "slots" => Side::<Slots>::attach(name).obey(),
        other => panic!("no such kind: {other}"),
    }
}

struct Side<T> {
    ring: Ring<T>,
    tx: Option<Producer<T>>,
    rx: Option<Trusted<Consumer<T>>>,
    jobs: Vec<Job<T>>,
}

impl<T: Message> Side<T> {
    fn attach(name: &str) -> Self {
        let ring = Ring::builder(name).attach().expect("attach");
        Self { ring, tx: None, rx: None, jobs: Vec::new() }
    }

    fn obey(mut self) {
        loop {
            let line = listen();
            let (command, number) = line.split_once(' ').unwrap_or((&line, "0"));
            let answer = self.answer(command, number.parse().expect("a number"));
            say(&answer);
        }
    }

    fn answer(&mut self, command: &str, number: u64) -> String {
        match command {
            "produce" => {
                self.tx = Some(self.ring.producer().expect("seat"));
                "sits".into()
            }
            "consume" => {
                // SAFETY: nobody writes into this segment except through segring.
                self.rx = Some(unsafe { self.ring.consumer().expect("seat").trust_peers() });
                "sits".into()
            }
            "push" => format!("{:?}", self.tx().push(T::of(number)).map_err(RingError::from)),
            "room" => format!("{:?}", self.tx().wait_for_room(None)),
            "pop" => format!("{:?}", self.rx().pop().map(|item| item.number())),
            "message" => format!("{:?}", self.rx().wait_for_message(None)),
            "take" => match self.rx().take() {
                Ok(job) => {
                    let number = job.number();
                    self.jobs.push(job);
                    format!("Ok({number})")
                }
                Err(e) => format!("Err({e:?})"),
            },
            "hold-when-woken" => {
                plan(Moment::Woken, || {
                    say("woken");
                    assert_eq!(listen(), "go");
                });
                "ready".into()
            }
            "hand-back-when-woken" => {
                let job = self.jobs.pop().expect("something in hand");
                plan(Moment::Woken, || {
                    job.hand_back();
                    say("woken");
                });
                "ready".into()
            }
            "die-when-waking" => {
                plan(Moment::Wake, || {
                    // SAFETY: ends this process, as meant.
                    unsafe { libc::raise(libc::SIGKILL) };
                });
                "ready".into()
            }
            other => panic!("no such command: {other:?}"),
        }
    }

    fn tx(&mut self) -> &mut Producer<T> {
        self.tx.as_mut().expect("seat")
    }

    fn rx(&mut self) -> &mut Trusted<Consumer<T>> {
        self.rx.as_mut().expect("seat")
    }
}
