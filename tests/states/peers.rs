//! The peers: a child that sits where it is told, and forks others that are killed.

use crate::common::{TestChild, die_with_parent, listen, say};
use crate::ops::{Kind, Side};
use crate::subject::{AnyRing, Subject};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};

/// The peers that a worker has: one that lives, again and again.
#[derive(Default)]
pub struct Helper {
    child: Option<TestChild>,
}

impl Helper {
    fn child(&mut self) -> &mut TestChild {
        self.child.get_or_insert_with(|| TestChild::spawn("peer", &[]))
    }

    pub fn does(&mut self, command: &str) {
        self.child().tell(command);
        self.child().expect("done");
    }

    pub fn kill(&mut self) {
        self.child.take().expect("a child").kill();
    }
}

fn sit(kind: &str, side: &str, name: &str) -> (Subject, AnyRing) {
    let side = if side == "Producer" { Side::Producer } else { Side::Consumer };
    let ring = AnyRing::attach(name, Kind::called(kind));
    (ring.join(side), ring)
}

/// A process that does something and is then killed: by itself, if it has no more to do.
fn forked(work: impl FnOnce()) -> Pid {
    // SAFETY: the child uses only what glibc makes usable after a fork.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            die_with_parent();
            work();
            kill(Pid::this(), Signal::SIGKILL).expect("kill");
            unreachable!("killed")
        }
    }
}

/// A child that sits where it is told: on several seats, if it is told to.
pub fn role() {
    let mut handles: Vec<(Subject, AnyRing)> = Vec::new();
    let mut others = Vec::new();
    loop {
        let line = listen();
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["join", kind, side, name] => handles.push(sit(kind, side, name)),
            ["leave"] => drop(handles.pop()),
            // Another process sits there, until it is killed.
            ["fork", kind, side, name] => {
                others.push(forked(|| {
                    let _seat = sit(kind, side, name);
                    say("done");
                    loop {
                        nix::unistd::pause();
                    }
                }));
                continue;
            }
            ["kill"] => {
                let other = others.pop().expect("another one");
                kill(other, Signal::SIGKILL).expect("kill");
                waitpid(other, None).expect("waitpid");
            }
            // Another process takes the next message and is killed with it in hand.
            ["dies_holding", kind, name] => {
                let dead = forked(|| sit(kind, "Consumer", name).0.takes_for_ever());
                waitpid(dead, None).expect("waitpid");
            }
            ["close"] => handles.last_mut().expect("sits").0.close(),
            [what, n] => {
                let (handle, _) = handles.last_mut().expect("sits");
                assert_eq!(handle.repeat(what, n.parse().expect("a number")), "Ok");
            }
            _ => panic!("no such command: {line}"),
        }
        say("done");
    }
}
