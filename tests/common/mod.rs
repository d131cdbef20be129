//! What every test of real processes needs: unique names that are cleaned up whatever happens,
//! children by re-exec that die with their parent, watchdogs, loud skips.
#![allow(dead_code, unreachable_pub)] // each test binary uses a part of it

use segring::Name;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Longest time that a child may take. It ends hung tests; no test passes or fails by time.
pub const WATCHDOG: Duration = Duration::from_secs(60);

/// A ring's name that no other test uses. Whatever exists under it is removed when this is dropped.
pub struct TestName(String);

impl TestName {
    pub fn new(tag: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        Self::called(&format!("test-{tag}-{}-{n}", std::process::id()))
    }

    /// A guard for a name that is given: whatever exists under it is removed when this is dropped.
    pub fn called(name: &str) -> Self {
        live_keys().push(key_of(name));
        Self(name.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn name(&self) -> Name {
        Name::from(self.as_str())
    }

    pub fn key(&self) -> i32 {
        key_of(&self.0)
    }
}

impl Drop for TestName {
    fn drop(&mut self) {
        remove_objects(self.key());
        live_keys().retain(|key| *key != self.key());
    }
}

/// The keys of all names that this process would clean up.
fn live_keys() -> std::sync::MutexGuard<'static, Vec<i32>> {
    static KEYS: std::sync::Mutex<Vec<i32>> = std::sync::Mutex::new(Vec::new());
    KEYS.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The key of a name, by the algorithm in `docs/layout.md` (FNV-1a), written out here once more so
/// that a change of the format is noticed.
pub fn key_of(name: &str) -> i32 {
    let h = name.bytes().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    if h == 0 { 1 } else { h as i32 }
}

/// Removes segment and set of a key, past the library: also what it would not touch.
pub fn remove_objects(key: i32) {
    // SAFETY: shmget takes no pointer.
    let shm = unsafe { libc::shmget(key, 0, 0) };
    if shm >= 0 {
        // SAFETY: IPC_RMID ignores the pointer.
        unsafe { libc::shmctl(shm, libc::IPC_RMID, std::ptr::null_mut()) };
    }
    // SAFETY: semget takes no pointer.
    let sem = unsafe { libc::semget(key, 0, 0) };
    if sem >= 0 {
        // SAFETY: IPC_RMID takes no fourth argument.
        unsafe { libc::semctl(sem, 0, libc::IPC_RMID) };
    }
}

/// Whether a segment or a set of this key exists: (segment, set).
pub fn objects(key: i32) -> (bool, bool) {
    // SAFETY: shmget takes no pointer.
    let segment = unsafe { libc::shmget(key, 0, 0) } >= 0;
    // SAFETY: semget takes no pointer.
    let set = unsafe { libc::semget(key, 0, 0) } >= 0;
    (segment, set)
}

/// The environment variable that makes a test binary play a child: `role\u{1f}arg\u{1f}arg…`.
const ROLE: &str = "SEGRING_TEST_ROLE";

/// In a child: its role and arguments. Each test file has a test named `child_main` that starts with
/// this and returns at once when it is `None`.
pub fn child_role() -> Option<(String, Vec<String>)> {
    let all = std::env::var(ROLE).ok()?;
    die_with_parent();
    let mut parts = all.split('\u{1f}').map(str::to_owned);
    Some((parts.next().unwrap_or_default(), parts.collect()))
}

/// SIGKILL for this process when its parent ends, however that ends.
pub fn die_with_parent() {
    // SAFETY: PR_SET_PDEATHSIG takes a number.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// A child of this test binary. Killed and reaped on drop.
pub struct TestChild {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    out: BufReader<ChildStdout>,
}

/// The command that runs `child_main` of this test binary in a role.
pub fn child_command(role: &str, args: &[&str]) -> Command {
    let mut all = vec![role];
    all.extend(args);
    let mut command = Command::new(std::env::current_exe().expect("own path"));
    command.args(["child_main", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(ROLE, all.join("\u{1f}"));
    command
}

impl TestChild {
    pub fn spawn(role: &str, args: &[&str]) -> Self {
        Self::from_command(child_command(role, args))
    }

    pub fn from_command(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("spawn self");
        let stdin = child.stdin.take();
        let out = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, stdin, out }
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// The next line that the child says with [`say`]. `None` when it has ended.
    pub fn hear(&mut self) -> Option<String> {
        let _watchdog = watchdog("a child that says nothing");
        let mut line = String::new();
        loop {
            line.clear();
            if self.out.read_line(&mut line).expect("child's output") == 0 {
                return None;
            }
            // The test harness prints lines of its own, and may do so in front of ours.
            if let Some((_, said)) = line.split_once("SAYS ") {
                return Some(said.trim_end().to_owned());
            }
        }
    }

    /// Hears a line and insists on it.
    pub fn expect(&mut self, wanted: &str) {
        assert_eq!(self.hear().as_deref(), Some(wanted), "the child said something else");
    }

    /// Tells the child a line, which it gets with [`listen`].
    pub fn tell(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().expect("open"), "{line}").expect("child listens");
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: our own child, not yet reaped, so the pid is its.
        unsafe { libc::kill(self.pid(), signal) };
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it ends by itself; kills it and fails the test if that takes too long.
    pub fn wait(&mut self) -> ExitStatus {
        drop(self.stdin.take());
        let end = Instant::now() + WATCHDOG;
        loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return status;
            }
            if Instant::now() > end {
                self.kill();
                panic!("watchdog: the child did not end");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits, and insists that the child's own checks passed.
    pub fn join(mut self) {
        let status = self.wait();
        let mut rest = String::new();
        let _ = self.out.read_to_string(&mut rest);
        assert!(status.success(), "the child failed: {status}\n{rest}");
    }
}

impl Drop for TestChild {
    fn drop(&mut self) {
        self.kill();
    }
}

/// In a child: says a line to the parent.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "SAYS {line}").and_then(|()| out.flush()).expect("parent listens");
}

/// In a child: waits for a line from the parent. Ends the process if the parent has gone.
pub fn listen() -> String {
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).unwrap_or(0) == 0 {
        std::process::exit(0);
    }
    line.trim_end().to_owned()
}

/// Ends this process with a message if the test has not ended by then. Also removes what exists
/// under the names of all tests of this process: an abort drops nothing.
pub fn watchdog(what: &'static str) -> impl Drop {
    struct Guard(std::sync::mpsc::Sender<()>);
    impl Drop for Guard {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (tx, rx) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        if rx.recv_timeout(WATCHDOG) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ = writeln!(std::io::stderr(), "watchdog: {what} hangs");
            live_keys().drain(..).for_each(remove_objects);
            std::process::abort();
        }
    });
    Guard(tx)
}

/// Says aloud that a test cannot run here (past the harness's capture). With `SEGRING_NO_SKIP` set, as in
/// `.ci/run`, it fails instead.
pub fn skip(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
    assert!(std::env::var_os("SEGRING_NO_SKIP").is_none(), "skipped {test}: {why}");
}
