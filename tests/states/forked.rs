//! A child that forks, and what its child's handles say.

use crate::cells::{STRATEGIES, operations};
use crate::common::{TestName, die_with_parent, say};
use crate::ops::Kind;
use crate::scene::Fill;
use crate::subject::{AnyRing, CAPACITY};
use crate::table::{Step, Table, word};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use std::time::Duration;

/// Makes a ring, sits on both seats, and forks.
pub fn role(name: &str, fill: &str, kind: &str) {
    let (fill, title) = Fill::TITLES.into_iter().find(|(f, _)| format!("{f:?}") == fill).expect("a table");
    let kind = Kind::called(kind);
    let name = TestName::called(name);
    let ring = AnyRing::create(&name, kind);
    let mut subject = ring.join(fill.side());
    let mut peer = ring.join(fill.side().peer());
    match fill {
        Fill::Full | Fill::ManyFull | Fill::Undrained => {
            assert_eq!(subject.repeat("try_push", CAPACITY + 1), "Full")
        }
        Fill::Messages | Fill::Held => assert_eq!(peer.repeat("try_push", CAPACITY), "Ok"),
        Fill::Room | Fill::Empty | Fill::ManyEmpty => {}
    }
    // SAFETY: the child uses only what glibc makes usable after a fork.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None).expect("waitpid"), WaitStatus::Exited(child, 0));
        }
        ForkResult::Child => {
            die_with_parent();
            let table = Table::read(title);
            for op in operations(fill, &table, kind) {
                for strategy in STRATEGIES {
                    subject.set_wait_strategy(strategy);
                    let said = Step::Says(word(&subject.call(op, Duration::ZERO)));
                    say(&format!("{} {strategy:?} {said:?}", op.name));
                }
            }
            // SAFETY: ends the process without running anything of the parent's.
            unsafe { libc::_exit(0) }
        }
    }
}
