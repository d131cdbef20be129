//! The program as a child of a test: fed, listened to, waited for with a limit, and never outliving
//! the test.

use super::name::TestName;
use segring::{Observer, Peer, Stats};
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The longest that anything may take. It ends tests that hang; none passes or fails by time.
const WATCHDOG: Duration = Duration::from_secs(60);

/// `segring` with these arguments. It dies with the thread that starts it.
pub(crate) fn segring(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_segring"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let die_with_parent = || {
        // SAFETY: PR_SET_PDEATHSIG takes a number.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        // Whoever runs the tests may have had `nohup` before them.
        // SAFETY: no handler is replaced: exec resets them anyway.
        unsafe { libc::signal(libc::SIGHUP, libc::SIG_DFL) };
        Ok(())
    };
    // SAFETY: between fork and exec only prctl and signal are called, which are safe there.
    unsafe { command.pre_exec(die_with_parent) };
    command
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; 128 + n if signal n killed it.
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, in_err: &str) {
        assert_eq!(self.code, code, "{}", self.err);
        assert!(self.err.contains(in_err), "{in_err:?} is not in {:?}", self.err);
        assert!(code != 0 || self.err.is_empty(), "success, but: {}", self.err);
    }
}

/// Runs it to its end, with no input.
pub(crate) fn run(args: &[&str]) -> Ended {
    Side::start(segring(args)).end()
}

/// A running `send` or `recv`. Killed on drop.
pub(crate) struct Side {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Its output, until somebody reads it.
    stdout: Option<ChildStdout>,
    out: Option<JoinHandle<Vec<u8>>>,
    err: Option<JoinHandle<Vec<u8>>>,
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = from.read_to_end(&mut all);
        all
    })
}

impl Side {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("start segring");
        let stdin = child.stdin.take();
        let err = child.stderr.take().map(read_all);
        let out = child.stdout.take().map(read_all);
        Self { child, stdin, stdout: None, out, err }
    }

    /// `segring send`, whose input stays open until [`Side::end`].
    pub(crate) fn send(name: &str) -> Self {
        let mut command = segring(&["send", name]);
        command.stdin(Stdio::piped());
        Self::start(command)
    }

    /// `segring send` of just this.
    pub(crate) fn send_all(name: &str, data: &[u8]) -> Self {
        let mut side = Self::send(name);
        let (mut stdin, data) = (side.stdin.take().expect("piped"), data.to_vec());
        // It may end before it has read all.
        std::thread::spawn(move || stdin.write_all(&data));
        side
    }

    pub(crate) fn recv(name: &str) -> Self {
        Self::start(segring(&["recv", name]))
    }

    /// `segring recv`, whose output nobody reads yet.
    pub(crate) fn recv_unread(name: &str) -> Self {
        let mut child = segring(&["recv", name]).spawn().expect("start segring");
        let stdout = child.stdout.take();
        let err = child.stderr.take().map(read_all);
        Self { child, stdin: None, stdout, out: None, err }
    }

    /// Closes the reading end of its output.
    pub(crate) fn stop_reading(&mut self) {
        self.stdout = None;
    }

    pub(crate) fn feed(&mut self, data: &[u8]) {
        self.stdin.as_mut().expect("open").write_all(data).expect("segring reads");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: our own child, not yet waited for, so the pid is its.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// Lets its input end and waits until it does; fails the test if that takes too long.
    pub(crate) fn end(mut self) -> Ended {
        drop(self.stdin.take());
        self.end_by_itself()
    }

    /// Waits until it ends although its input does not.
    pub(crate) fn end_by_itself(mut self) -> Ended {
        let mut status = None;
        until("the program ends", || {
            status = self.child.try_wait().expect("wait");
            status.is_some()
        });
        let status = status.expect("ended");
        let code = status.code().or(status.signal().map(|s| 128 + s)).expect("code or signal");
        let read = |thread: Option<JoinHandle<Vec<u8>>>| {
            thread.map(|t| t.join().expect("reads")).unwrap_or_default()
        };
        let err = String::from_utf8_lossy(&read(self.err.take())).into_owned();
        Ended { code, out: read(self.out.take()), err }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something to become true. The limit only ends a test that hangs.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let limit = Instant::now() + WATCHDOG;
    while !is_so() {
        assert!(Instant::now() < limit, "watchdog: in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until the ring is there and looks like this.
#[track_caller]
pub(crate) fn until_ring(name: &str, what: &str, is_so: impl Fn(&Stats) -> bool) {
    until(what, || Observer::attach(name).and_then(|o| o.stats()).is_ok_and(|stats| is_so(&stats)));
}

pub(crate) fn is_live(peer: Peer) -> bool {
    matches!(peer, Peer::Live { pid } if pid != 0)
}

/// Both sides are seated.
#[track_caller]
pub(crate) fn until_met(name: &TestName) {
    until_ring(name.as_str(), "both have come", |s| is_live(s.producer) && is_live(s.consumer));
}

/// The receiver has taken all that was sent so far, and that is something.
#[track_caller]
pub(crate) fn until_taken(name: &TestName) {
    until_ring(name.as_str(), "all is taken", |s| s.pushed > 0 && s.popped == s.pushed);
}

/// Bytes that do not repeat (xorshift).
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64 ^ len as u64;
    let words = std::iter::repeat_with(|| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    });
    words.flat_map(u64::to_le_bytes).take(len).collect()
}
