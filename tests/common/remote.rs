//! A child at the parent's command: one line in, what came of it out. The parent can wait until it
//! sleeps in what it was told.
#![allow(dead_code, unreachable_pub)] // each test binary uses a part of it

use crate::common::{TestChild, WATCHDOG, say};
use std::time::{Duration, Instant};

/// A child and the thread of it that is at work.
pub struct Remote {
    pub child: TestChild,
    pub tid: String,
}

/// In the child, first of all: says which thread will be at work.
pub fn at_work() {
    say(&nix::unistd::gettid().to_string());
}

impl Remote {
    pub fn start(role: &str, args: &[&str]) -> Self {
        let mut child = TestChild::spawn(role, args);
        let tid = child.hear().expect("its thread");
        Self { child, tid }
    }

    pub fn answers(&mut self, command: &str, answer: &str) {
        self.child.tell(command);
        self.child.expect(answer);
    }

    /// Tells it to do something, and returns once it sleeps in it.
    pub fn sleeps_in(&mut self, command: &str) {
        self.child.tell(command);
        self.falls_asleep();
    }

    /// Returns once it sleeps in a `FUTEX_WAIT_BITSET` between processes.
    pub fn falls_asleep(&self) {
        let wanted = format!("{} ", libc::SYS_futex);
        let end = Instant::now() + WATCHDOG;
        loop {
            assert!(Instant::now() < end, "watchdog: the child does not fall asleep");
            std::thread::sleep(Duration::from_millis(1));
            let Ok(call) = std::fs::read_to_string(format!("/proc/{}/syscall", self.tid)) else {
                // Not readable here: then only most runs test a sleeper.
                return std::thread::sleep(Duration::from_millis(30));
            };
            if call.starts_with(&wanted) && call.split(' ').nth(2) == Some("0x9") {
                return;
            }
        }
    }
}
