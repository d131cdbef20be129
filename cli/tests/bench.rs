//! `segring bench` as its user runs it: what it prints, and that nothing is left behind, whatever
//! ends it. No test here depends on a time measured.

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_segring");
/// Longest time that a run may take. It ends hung tests; no test passes or fails by time.
const WATCHDOG: Duration = Duration::from_secs(120);

/// Runs the benchmark in an IPC namespace of its own, where every object is one of its, and then
/// prints what is left there. The keeper of a killed benchmark is given a moment.
const IN_ITS_OWN_NAMESPACE: &str = r#"
objects() { tail -q -n +2 /proc/sysvipc/shm /proc/sysvipc/sem /proc/sysvipc/msg; }
"$0" bench "$@"
status=$?
for i in $(seq 500); do
    test -z "$(objects)" && break
    sleep 0.01
done
echo "LEFT BEHIND"
objects
exit $status
"#;

fn skip(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
    assert!(std::env::var_os("SEGRING_NO_SKIP").is_none(), "skipped {test}: {why}");
}

/// Whether this user may have an IPC namespace of his own: as root, or within a user namespace.
fn namespaced(command: &mut Command) {
    // SAFETY: unshare is one system call and touches no memory of the parent.
    unsafe {
        command.pre_exec(|| {
            use nix::sched::{CloneFlags, unshare};
            unshare(CloneFlags::CLONE_NEWIPC)
                .or_else(|_| unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWIPC))?;
            Ok(())
        });
    }
}

fn may_have_a_namespace() -> bool {
    let mut command = Command::new("true");
    namespaced(&mut command);
    command.status().is_ok_and(|status| status.success())
}

/// Waits for a child; kills it and fails the test if that takes too long.
fn wait(mut child: Child) -> Output {
    let end = Instant::now() + WATCHDOG;
    // Its output is read by threads meanwhile, so that it never waits for us.
    let reader = |pipe: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut all = Vec::new();
            if let Some(mut pipe) = pipe {
                pipe.read_to_end(&mut all).expect("child's output");
            }
            all
        })
    };
    let out = reader(child.stdout.take().map(|pipe| Box::new(pipe) as _));
    let err = reader(child.stderr.take().map(|pipe| Box::new(pipe) as _));
    let status = loop {
        if let Some(status) = child.try_wait().expect("wait") {
            break status;
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            panic!("watchdog: the benchmark did not end");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Output { status, stdout: out.join().expect("reader"), stderr: err.join().expect("reader") }
}

/// Runs the benchmark so that it can be seen what it leaves, does something to it meanwhile, and
/// says how it ended: exit code, stdout, stderr. Fails if anything is left.
fn run_isolated(test: &str, args: &[&str], act: impl FnOnce(i32)) -> Option<(Option<i32>, String, String)> {
    if !may_have_a_namespace() {
        skip(test, "this user may not make an IPC namespace");
        return None;
    }
    let mut command = Command::new("sh");
    command.args(["-c", IN_ITS_OWN_NAMESPACE, PROGRAM]).args(args);
    namespaced(&mut command);
    // Where the FIFOs are made.
    let temporary = tempfile::tempdir().expect("a directory");
    command.env("TMPDIR", temporary.path());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("spawn");
    act(child.id() as i32);
    let output = wait(child);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (printed, left) = text.split_once("LEFT BEHIND\n").unwrap_or_else(|| panic!("{text}{errors}"));
    assert_eq!(left, "", "objects were left behind: {errors}");
    let files = std::fs::read_dir(temporary.path()).expect("list").count();
    assert_eq!(files, 0, "files were left behind: {errors}");
    Some((output.status.code(), printed.to_owned(), errors))
}

#[test]
fn every_transport_moves_verified_messages_and_leaves_nothing() {
    let args = ["--quick", "--json", "--rounds", "1", "--messages", "300"];
    let Some((code, printed, errors)) = run_isolated("every transport", &args, |_| {}) else { return };
    assert_eq!(code, Some(0), "{errors}");
    let rows: Vec<Value> = serde_json::from_str(&printed).expect("an array of rows");
    check_rows(&rows);
}

fn check_rows(rows: &[Value]) {
    let transports: BTreeSet<&str> = rows.iter().filter_map(|row| row["transport"].as_str()).collect();
    let wanted = "bare blocks, bare futex, bare one line, bare stamped lines, bare two lines, byte ring, fifo, \
                  file lock, mpmc ring, pipe, posix queue, ring, robust mutex, sysv queue, tcp, textbook, \
                  unix socket";
    assert_eq!(transports.into_iter().collect::<Vec<_>>().join(", "), wanted);
    for mode in ["single", "bulk", "in place", "round trip"] {
        assert!(rows.iter().any(|row| row["transport"] == "ring" && row["mode"] == mode), "{mode}");
    }
    let many = |row: &&Value| row["producers"] == 2 && row["consumers"] == 2;
    let few: BTreeSet<&str> = rows.iter().filter(many).filter_map(|row| row["transport"].as_str()).collect();
    assert!(few.into_iter().eq(["mpmc ring", "pipe", "posix queue", "sysv queue"]));
    for row in rows {
        assert!(row["api"].is_string() && row["copies"].is_u64(), "{row}");
        if many(&row) {
            check_many(row, 300);
            continue;
        }
        assert_eq!((&row["producers"], &row["consumers"]), (&1.into(), &1.into()), "{row}");
        if row["note"].is_string() {
            assert!(row["msgs_per_s"].is_null() && row["ratio_vs_pipe"].is_null(), "{row}");
            assert_eq!((&row["runs"], &row["verified"]), (&0.into(), &0.into()), "{row}");
            let queue = row["transport"] == "sysv queue" || row["transport"] == "posix queue";
            assert!(queue, "only queues have limits: {row}");
            continue;
        }
        assert_eq!((&row["runs"], &row["verified"]), (&1.into(), &300.into()), "{row}");
        let figure = |name: &str| row[name].as_f64().unwrap_or_else(|| panic!("{name}: {row}"));
        assert_eq!(figure("msgs_per_s"), figure("median"), "{row}");
        assert!(figure("share_of_limit") > 0.0, "{row}");
        if row["transport"] == row["limit"] && row["copies"] == 0 && row["mode"] == "in place" {
            assert_eq!(figure("share_of_limit"), 1.0, "{row}");
        }
        if row["mode"] == "handover" {
            assert_eq!(row["checked"], "both ends", "{row}");
            assert!(row["bytes_per_s"].is_null() && row["ratio_vs_pipe"].is_null(), "{row}");
            continue;
        }
        assert_eq!(row["checked"], "every byte", "{row}");
        let bytes = figure("msgs_per_s") * figure("size");
        assert!((figure("bytes_per_s") / bytes - 1.0).abs() < 1e-9, "{row}");
        assert!(figure("min") <= figure("median") && figure("median") <= figure("max"), "{row}");
        assert!(figure("ratio_vs_pipe") > 0.0 && row["ratio_vs_pipe_interval"].is_null(), "{row}");
        if row["transport"] == "pipe" && (row["mode"] == "single" || row["mode"] == "round trip") {
            assert_eq!(figure("ratio_vs_pipe"), 1.0, "{row}");
        }
    }
}

/// A row between many, with so many messages.
fn check_many(row: &Value, messages: u64) {
    assert!(row["limit"].is_null() && row["share_of_limit"].is_null(), "{row}");
    if row["note"].is_string() {
        assert!(row["msgs_per_s"].is_null() && row["transport"] != "mpmc ring", "{row}");
        return;
    }
    assert_eq!((&row["runs"], &row["verified"]), (&1.into(), &messages.into()), "{row}");
    assert!(row["msgs_per_s"].as_f64() > Some(0.0), "{row}");
}

#[test]
fn many_to_many_every_message_is_checked_and_nothing_is_left() {
    let args =
        ["--many", "--quick", "--json", "--rounds", "1", "--messages", "2000", "--shapes", "1p1c,1P1C,2p4c"];
    let Some((code, printed, errors)) = run_isolated("many to many", &args, |_| {}) else { return };
    assert_eq!(code, Some(0), "{errors}");
    let rows: Vec<Value> = serde_json::from_str(&printed).expect("an array of rows");
    for (producers, consumers) in [(1, 1), (2, 4)] {
        let same = |row: &&Value| row["producers"] == producers && row["consumers"] == consumers;
        let rows: Vec<&Value> = rows.iter().filter(same).collect();
        let names: BTreeSet<_> = rows.iter().filter_map(|row| row["transport"].as_str()).collect();
        assert!(names.into_iter().eq(["mpmc ring", "pipe", "posix queue", "sysv queue"]));
        let cells: BTreeSet<_> =
            rows.iter().map(|row| format!("{} {} {}", row["transport"], row["mode"], row["size"])).collect();
        assert_eq!(cells.len(), rows.len(), "a shape that is named twice is measured once");
        for mode in ["single", "bulk", "in place", "handover"] {
            assert!(rows.iter().any(|row| row["transport"] == "mpmc ring" && row["mode"] == mode), "{mode}");
        }
        rows.into_iter().for_each(|row| check_many(row, 2000));
    }
}

#[test]
fn below_the_table_is_only_what_is_in_it() {
    let few = ["--rounds", "1", "--messages", "100", "--sizes", "56"];
    let table = |args: &[&str]| {
        let args = [args, &few].concat();
        let (code, printed, errors) = run_isolated("notes", &args, |_| {})?;
        assert_eq!(code, Some(0), "{errors}");
        Some(printed)
    };
    let says = |text: &str, word: &str| text.lines().any(|line| line.starts_with(word));
    let Some(many) = table(&["--many", "--shapes", "1p2c", "--filter", "mpmc"]) else { return };
    for word in ["copies: ", "single: ", "bulk: ", "handover: ", "[95 %] is empty"] {
        assert!(says(&many, word), "{word}: {many}");
    }
    assert!(many.contains(", 1p2c: 1 producer, 2 consumers, each a process\n"), "{many}");
    for word in ["limit", "textbook", "file lock", "streams", "bare", "round trip"] {
        assert!(!many.contains(word), "{word}: {many}");
    }
    let Some(one) = table(&["--filter", "file lock"]) else { return };
    assert!(
        says(&one, "file lock: an array in shared memory under a lock") && says(&one, "limit: "),
        "{one}"
    );
    for word in ["handover", "bulk", "mutex"] {
        assert!(!one.contains(word), "{word}: {one}");
    }
}

#[test]
fn one_of_many_that_is_killed_ends_it_with_an_error() {
    for (filter, role) in [("mpmc", "producer"), ("mpmc", "consumer"), ("sysv", "consumer")] {
        let act = |shell| {
            let bench = await_child(shell, "bench");
            // One that is killed just when it has done its part is not missed: so one after another.
            while is_alive(bench) {
                if let Some(&worker) = children(bench, role).last() {
                    let _ = signal(worker, Signal::SIGKILL);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        let mut args = endless(filter).to_vec();
        args.extend(["--many", "--shapes", "2p2c"]);
        let Some((ended, _, errors)) = run_isolated("one of many", &args, act) else { return };
        assert_eq!(ended, Some(1), "{errors}");
        assert!(errors.contains(&format!("the {role} was killed by signal 9")), "{errors}");
        assert!(errors.contains("56 bytes, 2p2c: "), "which transport: {errors}");
    }
}

#[test]
fn the_ways_of_waiting_are_measured_and_nothing_is_left() {
    let args = ["--waiting", "--quick", "--json", "--rounds", "1"];
    let Some((code, printed, errors)) = run_isolated("ways of waiting", &args, |_| {}) else { return };
    assert_eq!(code, Some(0), "{errors}");
    let all: Value = serde_json::from_str(&printed).expect("an object");
    let rows = |of: &str| all[of].as_array().unwrap_or_else(|| panic!("{of}: {all}")).clone();
    let names =
        |of: &str| rows(of).iter().map(|row| row["strategy"].to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(names("strategies"), r#""busy spin" "yield" "adaptive" "sleep""#);
    assert_eq!(names("paces").matches("yield").count(), 3);
    assert_eq!(names("idle"), r#""adaptive" "sleep""#);
    assert_eq!(names("one_core"), r#""busy spin" "yield" "adaptive" "sleep" "bare futex""#);
    for row in rows("strategies") {
        assert!(
            row["stream_per_s"].as_f64() > Some(0.0) && row["round_trip_ns"].as_f64() > Some(0.0),
            "{row}"
        );
        let slept = row["sleeps_per_round_trip"].as_f64().expect("a number") > 0.0;
        match row["strategy"].as_str() {
            Some("busy spin" | "yield") => assert!(!slept, "{row}"),
            Some("sleep") => assert!(slept, "{row}"),
            _ => {}
        }
    }
    for row in rows("paces") {
        assert!(row["delay_p50_ns"].as_f64() > Some(0.0), "{row}");
        let p99 = row["delay_p99_ns"].as_f64();
        assert!(p99.is_none() || p99 >= row["delay_p50_ns"].as_f64(), "{row}");
        assert!(row["cpu"].as_f64() > Some(0.0) && row["push_ns"].as_f64() > Some(0.0), "{row}");
    }
    for row in rows("idle") {
        assert!(row["sleeps"].as_u64() > Some(0) && row["cpu_ns"].as_u64() > Some(0), "{row}");
    }
    for ratio in ["asleep_vs_futex", "adaptive_vs_polled"] {
        assert!(all[ratio]["median"].as_f64() > Some(0.0), "{ratio}: {all}");
    }
}

/// Who asks for shapes does not want something else measured.
#[test]
fn an_option_that_would_be_ignored_is_refused() {
    let other_modes: [(&[&str], &str); 5] = [
        (&["--waiting", "--shapes", "1p1c"], "--shapes"),
        (&["--waiting", "--filter", "tcp"], "--filter"),
        (&["--waiting", "--sizes", "56"], "--sizes"),
        (&["--waiting", "--many"], "--many"),
        (&["--shapes", "1p1c"], "--many"),
    ];
    for (args, named) in other_modes {
        let mut command = Command::new(PROGRAM);
        command.args(["bench", "--quick", "--rounds", "1"]).args(args);
        let output = wait(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("spawn"));
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.starts_with("error: the ") && errors.contains(named), "{args:?}: {errors}");
    }
}

#[test]
fn sizes_and_filter() {
    let run = |args: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(["bench", "--json", "--rounds", "1", "--messages", "10"]).args(args);
        wait(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("spawn"))
    };
    let output = run(&["--sizes", "64", "--filter", "FIFO"]);
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).expect("rows");
    let names: BTreeSet<_> =
        rows.iter().map(|row| (row["transport"].as_str(), row["size"].as_u64())).collect();
    let wanted = ["bare blocks", "bare two lines", "fifo", "pipe"];
    assert!(names.into_iter().eq(wanted.map(|name| (Some(name), Some(64)))));
    for (args, complaint) in
        [(["--sizes", "9"], "--sizes: 9"), (["--filter", "pigeon"], "--filter: \"pigeon\"")]
    {
        let output = run(&args);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(complaint), "{output:?}");
    }
}

/// A run that does not end by itself.
fn endless(filter: &'static str) -> [&'static str; 6] {
    ["--sizes", "56", "--filter", filter, "--messages", "4000000000"]
}

#[test]
fn a_signal_ends_it_in_order() {
    for (number, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let act = |shell| {
            let bench = await_child(shell, "bench");
            await_child(bench, "producer");
            let _ = signal(bench, number);
        };
        let Some((ended, _, errors)) = run_isolated("signals", &endless("ring"), act) else { return };
        assert_eq!(ended, Some(code), "{errors}");
        assert!(errors.contains("ended by signal"), "{errors}");
    }
}

#[test]
fn a_killed_worker_ends_it_with_an_error() {
    for (filter, role) in [("ring", "producer"), ("sysv", "consumer"), ("textbook", "producer")] {
        let act = |shell| {
            let bench = await_child(shell, "bench");
            // One that is killed just when it has done its part is not missed: so all are killed.
            while is_alive(bench) {
                for worker in children(bench, role) {
                    let _ = signal(worker, Signal::SIGKILL);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        let Some((ended, _, errors)) = run_isolated("killed workers", &endless(filter), act) else { return };
        assert_eq!(ended, Some(1), "{errors}");
        assert!(errors.contains(&format!("the {role} was killed by signal 9")), "{errors}");
        assert!(errors.contains("56 bytes: "), "which transport: {errors}");
    }
}

#[test]
fn a_killed_benchmark_leaves_nothing() {
    for filter in ["ring", "sysv", "textbook"] {
        let act = |shell| {
            let bench = await_child(shell, "bench");
            await_child(bench, "consumer");
            let _ = signal(bench, Signal::SIGKILL);
        };
        let Some((ended, _, errors)) = run_isolated("killed", &endless(filter), act) else { return };
        assert_eq!(ended, Some(128 + 9), "{errors}");
    }
}

/// The children of a process that have a word among their arguments.
fn children(parent: i32, word: &str) -> Vec<i32> {
    let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let has_word = |pid: &i32| {
        let args = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        args.split('\0').any(|arg| arg == word)
    };
    let list = list.unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).filter(has_word).collect()
}

/// The first such child. Waits for it.
fn await_child(parent: i32, word: &str) -> i32 {
    let end = Instant::now() + WATCHDOG;
    loop {
        if let Some(child) = children(parent, word).first() {
            return *child;
        }
        assert!(Instant::now() < end, "watchdog: process {parent} has no child with {word:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn is_alive(pid: i32) -> bool {
    std::fs::exists(format!("/proc/{pid}")).unwrap_or(false)
}

fn signal(pid: i32, signal: Signal) -> nix::Result<()> {
    nix::sys::signal::kill(Pid::from_raw(pid), signal)
}
