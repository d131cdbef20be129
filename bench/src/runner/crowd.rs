//! Many producers, many consumers: each started with its end and the gate; and their books.

use super::{Pair, Run, Stage, Started};
use crate::control::{Assignment, CellName, Done, EndIds, Part, Reply, Role, Side, Times};
use crate::gate::Gate;
use crate::plan::{Cell, Shape};
use crate::tally::{Count, balance};
use crate::transport::{End, Made, Processes};
use crate::workers::Worker;
use anyhow::{Context, Result, bail};
use std::os::fd::OwnedFd;

/// What each producer has sent, in all runs before.
pub(super) struct Crowd {
    shape: Shape,
    sent: Vec<u64>,
}

impl Crowd {
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, sent: vec![0; shape.producers() as usize] }
    }

    /// Whether what came is what was sent, and how long it took: from the earliest start to the end of
    /// the last consumer.
    pub(super) fn done(&mut self, messages: u64, replies: Vec<Reply>) -> Result<Run> {
        let mut due = Vec::new();
        for (producer, sent) in (0..).zip(&mut self.sent) {
            let n = self.shape.share(messages, producer);
            due.push(Count::of(*sent, n));
            *sent += n;
        }
        let done = |reply| match reply {
            Reply::Counted(times, counts) => Ok((times, counts)),
            other => bail!("a worker said {other:?} instead of being done"),
        };
        let all: Vec<Done> = replies.into_iter().map(done).collect::<Result<_>>()?;
        balance(&due, &Count::together(&all))?;
        let Times { started, ended, .. } = Times::together(&all)?;
        let side = |consumes: bool| {
            let of = all.iter().filter(|(_, counts)| consumes != counts.is_empty());
            of.fold(Side::default(), |sum, (times, _)| sum.and(times.side))
        };
        let sides = if all.len() == 1 { [side(true); 2] } else { [side(false), side(true)] };
        Ok(Run { messages, nanoseconds: ended.saturating_sub(started), p50: None, sides })
    }
}

impl<'a> Pair<'a> {
    /// Processes, one for each participant.
    pub(super) fn crowd(cell: Cell, ends: &dyn Processes, stage: &'a Stage<'a>) -> Result<Started<'a>> {
        let mut channel = match ends.make(cell, &stage.keeper)? {
            Made::Channel(channel) => channel,
            Made::Impossible(why) => return Ok(Started::Impossible(why)),
        };
        let gate = Gate::make()?;
        let cores = stage.cores.pair;
        // Dropped in here: the descriptors are the workers' alone after that.
        let (out, into) = (std::mem::take(&mut channel.sender), std::mem::take(&mut channel.receiver));
        let mut workers = Vec::new();
        for producer in 0..cell.shape.producers() {
            workers.push(start(cell, Role::Producer(producer), cores.map(|c| c.0), &out, &gate)?);
        }
        for _ in 0..cell.shape.consumers() {
            workers.push(start(cell, Role::Consumer, cores.map(|c| c.1), &into, &gate)?);
        }
        Self::ready(cell, stage, workers, vec![channel])
    }
}

fn start(cell: Cell, role: Role, core: Option<usize>, end: &End, gate: &OwnedFd) -> Result<Worker> {
    let end = end.share()?;
    let part = Part::OneOfMany { core, role, end: EndIds::of(&end) };
    let parent = nix::unistd::getpid().as_raw();
    let assignment = Assignment { cell: CellName::of(cell), parent, part };
    let gate = gate.try_clone().context("dup")?;
    let fds: Vec<OwnedFd> = std::iter::once(gate).chain(end.fd).collect();
    Worker::start(role.name(), &assignment, &fds)
}
