//! Every cell of the tables, on every kind of ring and for every way to wait.

use crate::common::{TestChild, TestName, watchdog};
use crate::ops::{CLOSE, KINDS, Kind, Limit, OPS, Op};
use crate::peers::Helper;
use crate::scene::{FORKED, Fill, Scene, State, states};
use crate::subject::{CAPACITY, Subject};
use crate::table::{Step, Table, word};
use segring::WaitStrategy;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

pub const STRATEGIES: [WaitStrategy; 4] =
    [WaitStrategy::BusySpin, WaitStrategy::Yield, WaitStrategy::Adaptive, WaitStrategy::Sleep];

/// Two looks at the peer are no further apart than this, and a little more: who waits still has
/// found nothing at another look.
const TWO_LOOKS: Duration = Duration::from_millis(110);

/// A call that should have answered by now waits. Only failing tests wait for this.
const TOO_LONG: Duration = Duration::from_secs(20);

/// They wait, mostly.
const WORKERS: usize = 16;

/// One ring in one state, on which all operations of a table are tried.
#[derive(Clone, Copy, Debug)]
struct Task {
    fill: Fill,
    label: &'static str,
    state: State,
    kind: Kind,
    strategy: WaitStrategy,
}

/// What has been run: table, row, operation, and the kind of ring.
#[derive(Default)]
struct Done {
    cells: BTreeSet<(&'static str, &'static str, &'static str, String)>,
    runs: usize,
    failures: Vec<String>,
}

#[test]
fn every_cell_is_as_written() {
    let tables = Fill::TITLES.map(|(fill, title)| (fill, Table::read(title)));
    tables.iter().for_each(|(fill, table)| is_complete(*fill, table));
    let tasks = Mutex::new(tasks(&tables));
    let done = Mutex::new(Done::default());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let helper = RefCell::new(Helper::default());
                loop {
                    let task = tasks.lock().unwrap().pop();
                    let Some(task) = task else { return };
                    run(task, &tables, &helper, &done);
                    if done.lock().unwrap().failures.len() > 7 {
                        return;
                    }
                }
            });
        }
        scope.spawn(|| forked(&tables, &done));
    });
    let done = done.into_inner().unwrap();
    assert!(done.failures.is_empty(), "docs/states.md is not so:\n{}", done.failures.join("\n"));
    let mut impossible = 0;
    for (fill, table) in &tables {
        for (kind, label) in KINDS.into_iter().flat_map(|kind| table.labels().map(move |l| (kind, l))) {
            for op in operations(*fill, table, kind) {
                let cell = (table.title, label, op.name, format!("{kind:?}"));
                let was_run = done.cells.contains(&cell);
                assert!(was_run || table.cell(label, op.name).is_none(), "not run: {cell:?}");
                impossible += usize::from(!was_run);
            }
        }
    }
    let cells: BTreeSet<_> = done.cells.iter().map(|(title, label, op, _)| (title, label, op)).collect();
    println!(
        "{} cells, {} with the kinds of rings, and {impossible} that cannot be, in {} runs",
        cells.len(),
        done.cells.len(),
        done.runs
    );
}

/// The operations of a table that are tried in this state of the ring.
pub fn operations(fill: Fill, table: &Table, kind: Kind) -> impl Iterator<Item = Op> {
    let can_be = (kind.is_mpmc() || !fill.is_mpmc()) && (kind.redelivers() || fill != Fill::Held);
    let here = move |op: &Op| op.side == fill.side() && op.is_on(kind) && can_be;
    OPS.into_iter().filter(move |op| here(op) && table.operations().any(|name| name == op.name))
}

/// All operations of the side, each once; all rows.
fn is_complete(fill: Fill, table: &Table) {
    if matches!(fill, Fill::ManyFull | Fill::ManyEmpty) {
        // Not each operation: they find out about their peers in the same way. Each row is run.
        assert!(table.operations().all(|name| OPS.iter().any(|op| op.name == name)));
        return;
    }
    let wanted = |op: &Op| {
        let drains = op.name.contains("drained");
        let here = match fill {
            Fill::Full => !drains,
            Fill::Undrained => drains,
            Fill::Held => KINDS.into_iter().any(|kind| kind.redelivers() && op.is_on(kind)),
            _ => true,
        };
        op.side == fill.side() && here
    };
    let wanted: BTreeSet<_> = OPS.iter().filter(|op| wanted(op)).map(|op| op.name).collect();
    let written: BTreeSet<_> = table.operations().collect();
    assert_eq!(written, wanted, "the operations of {:?}", table.title);
    assert_eq!(table.operations().count(), wanted.len(), "{:?} has an operation twice", table.title);

    // Somebody sent what a dead one holds.
    let lives = &["never joined", "live", "left", "died"][usize::from(fill == Fill::Held)..];
    let mut wanted: BTreeSet<String> = lives.iter().map(|&life| life.into()).collect();
    wanted.extend(lives.iter().map(|life| format!("removed, {life}")));
    wanted.extend(["semaphore set gone", FORKED].map(str::to_owned));
    // Who drains does not look at the closing.
    wanted.extend((fill != Fill::Undrained).then(|| "ring closed".into()));
    // With room, or with a message, nobody looks at the words that the peer writes.
    let looks = matches!(fill, Fill::Full | Fill::Undrained | Fill::Empty);
    wanted.extend(looks.then(|| "words that contradict each other".into()));
    let written: BTreeSet<String> = table.labels().map(str::to_owned).collect();
    assert_eq!(written, wanted, "the rows of {:?}", table.title);
    for (label, op) in table.labels().flat_map(|l| table.operations().map(move |op| (l, op))) {
        // No message without a producer who sent it.
        let impossible = fill == Fill::Messages && label.ends_with("never joined");
        assert_eq!(table.cell(label, op).is_none(), impossible, "{:?}, {label}, {op}", table.title);
    }
}

fn tasks(tables: &[(Fill, Table)]) -> Vec<Task> {
    let mut tasks = Vec::new();
    for (fill, table) in tables {
        for label in table.labels().filter(|l| *fill != Fill::Messages || !l.ends_with("never joined")) {
            for state in states(label, *fill) {
                for kind in KINDS.into_iter().filter(|kind| operations(*fill, table, *kind).next().is_some())
                {
                    // Where there are so many states: half of the strategies for each kind, the others for
                    // the other kind, and the other way round for the handle that was there before.
                    let half = usize::from(kind == Kind::Mpmc) + usize::from(state.early);
                    let strategies = STRATEGIES.into_iter().enumerate();
                    let strategies = strategies.filter(|(i, _)| !fill.is_mpmc() || (i + half) % 2 == 0);
                    tasks.extend(strategies.map(|(_, s)| Task {
                        fill: *fill,
                        label,
                        state,
                        kind,
                        strategy: s,
                    }));
                }
            }
        }
    }
    tasks
}

fn table(tables: &[(Fill, Table)], fill: Fill) -> &Table {
    &tables.iter().find(|(f, _)| *f == fill).expect("a table").1
}

fn run(task: Task, tables: &[(Fill, Table)], helper: &RefCell<Helper>, done: &Mutex<Done>) {
    let _watchdog = watchdog("a cell of docs/states.md");
    let Task { fill, label, state, kind, strategy } = task;
    let table = table(tables, fill);
    let fails = |what: String| {
        let text = format!("{}, {label}, {what}: {kind:?}, {strategy:?}, {state:?}", table.title);
        done.lock().unwrap().failures.push(text);
    };
    let build = || Scene::new(fill, state, kind, strategy, helper);
    let mut scene = Some(build());
    for op in operations(fill, table, kind) {
        let steps = table.cell(label, op.name).as_ref().expect("a state that can be");
        for t in op.times() {
            let mut here = scene.take().unwrap_or_else(build);
            match cell(&mut here, op, *t, steps) {
                Ok(goes_on) => {
                    if fill == Fill::Held && op.name.starts_with("wait") && steps[0] == Step::Says("Ok") {
                        let said = here.next().repeat("pop_timeout(t)", 1);
                        if said != "Again" {
                            return fails(format!("after `{}`, the next one says {said}", op.name));
                        }
                    }
                    scene = goes_on.then_some(here);
                }
                Err(what) => return fails(format!("`{}` {what}", op.name)),
            }
            let mut done = done.lock().unwrap();
            done.cells.insert((table.title, label, op.name, format!("{kind:?}")));
            done.runs += 1;
        }
    }
    // Messages, and room, come before news.
    let (all, first) = match fill {
        Fill::Room => ("push_timeout(t)", Fill::Full),
        Fill::Messages => ("pop_timeout(t)", Fill::Empty),
        _ => return,
    };
    let steps = self::table(tables, first).cell(label, all).as_ref().expect("a state that can be");
    let mut here = scene.take().unwrap_or_else(build);
    let mut subject = here.subject();
    let said = subject.repeat(all, CAPACITY + 1);
    if steps[0] != Step::Says(word(&said)) {
        fails(format!("after the last, `{all}` says `{said}`, the document {:?}", steps[0]));
    }
    here.give_back(subject, true);
}

/// Calls it once for each answer, and once more, because the last one holds. Whether the scene is
/// as before.
fn cell(scene: &mut Scene<'_>, op: Op, t: Duration, steps: &[Step]) -> Result<bool, String> {
    let mut subject = scene.subject();
    let before = subject.sleeps();
    for call in 0..=steps.len() {
        let step = steps[call.min(steps.len() - 1)];
        let said;
        match step {
            Step::Waits if op.limit != Limit::Without => return Err("may not wait".into()),
            Step::Waits => {
                waits(scene, subject, op).map_err(|what| format!("{what} at call {}", call + 1))?;
                return Ok(false);
            }
            Step::Says(_) if op.limit == Limit::Without => (subject, said) = in_time(subject, op)?,
            Step::Says("Again") if op.limit == Limit::Try && !scene.state.closed => {
                said = after_a_while(&mut subject, op);
            }
            Step::Says(_) => said = subject.call(op, t),
        }
        if step != Step::Says(word(&said)) {
            return Err(format!("says `{said}` at call {}, the document {step:?}", call + 1));
        }
    }
    let polls = matches!(scene.strategy, WaitStrategy::BusySpin | WaitStrategy::Yield);
    let may_sleep = !polls && op.limit != Limit::Try && (op.limit == Limit::Without || t > Duration::ZERO);
    if !may_sleep && subject.sleeps() != before {
        return Err("slept".into());
    }
    Ok(scene.give_back(subject, steps.len() > 1) && op.name != CLOSE)
}

/// Who does not wait looks for dead ones at times only: until then it finds nothing.
fn after_a_while(subject: &mut Subject, op: Op) -> String {
    let end = Instant::now() + TOO_LONG;
    loop {
        let said = subject.call(op, Duration::ZERO);
        if said != "Empty" && said != "0" || Instant::now() > end {
            return said;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A thread that calls it: its number, then what came of it.
fn start(mut subject: Subject, op: Op) -> (String, Receiver<(Subject, String)>) {
    let (thread, number) = channel();
    let (answer, answers) = channel();
    std::thread::spawn(move || {
        thread.send(nix::unistd::gettid()).expect("the test waits");
        let said = subject.call(op, Duration::ZERO);
        // Nobody waits after a failure.
        let _ = answer.send((subject, said));
    });
    (number.recv().expect("the thread lives").to_string(), answers)
}

/// For a call that answers although it might wait.
fn in_time(subject: Subject, op: Op) -> Result<(Subject, String), String> {
    let (_, answers) = start(subject, op);
    match answers.recv_timeout(TOO_LONG) {
        Ok(answer) => Ok(answer),
        // The thread stays where it is until the test has failed.
        Err(RecvTimeoutError::Timeout) => Err("waits".into()),
        Err(RecvTimeoutError::Disconnected) => Err("panicked".into()),
    }
}

fn waits(scene: &mut Scene<'_>, subject: Subject, op: Op) -> Result<(), String> {
    let sleeps = matches!(scene.strategy, WaitStrategy::Adaptive | WaitStrategy::Sleep);
    let before = subject.sleeps();
    let (thread, answers) = start(subject, op);
    if sleeps {
        falls_asleep(&thread, &answers)?;
    }
    let hold = if op.name.contains("MAX") { TWO_LOOKS / 5 } else { TWO_LOOKS };
    match answers.recv_timeout(hold) {
        Ok((_, said)) => return Err(format!("says `{said}`, the document: waits")),
        Err(RecvTimeoutError::Disconnected) => return Err("panicked".into()),
        Err(RecvTimeoutError::Timeout) => {}
    }
    if sleeps {
        falls_asleep(&thread, &answers)?;
    }
    let wanted = scene.end_wait(op.name);
    let (subject, said) = answers.recv_timeout(TOO_LONG).map_err(|_| "goes on waiting".to_owned())?;
    if said != wanted {
        return Err(format!("says `{said}` at the end of its wait, not `{wanted}`"));
    }
    if sleeps != (subject.sleeps() > before) {
        return Err(format!("slept {} times", subject.sleeps() - before));
    }
    Ok(())
}

/// Returns once the thread sleeps in a `FUTEX_WAIT_BITSET` between processes.
fn falls_asleep(thread: &str, answers: &Receiver<(Subject, String)>) -> Result<(), String> {
    let wanted = format!("{} ", libc::SYS_futex);
    let end = Instant::now() + TOO_LONG;
    while Instant::now() < end {
        match answers.recv_timeout(Duration::from_millis(1)) {
            Ok((_, said)) => return Err(format!("says `{said}`, the document: waits")),
            Err(RecvTimeoutError::Disconnected) => return Err("panicked".into()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        // Not readable everywhere: then its own count tells later that it slept.
        let Ok(call) = std::fs::read_to_string(format!("/proc/self/task/{thread}/syscall")) else {
            return Ok(());
        };
        if call.starts_with(&wanted) && call.split(' ').nth(2) == Some("0x9") {
            return Ok(());
        }
    }
    Err("does not fall asleep".into())
}

/// The rows of handles that were inherited: a child makes them and forks.
fn forked(tables: &[(Fill, Table)], done: &Mutex<Done>) {
    for (fill, table) in tables.iter().filter(|(_, table)| table.labels().any(|label| label == FORKED)) {
        for kind in KINDS.into_iter().filter(|kind| operations(*fill, table, *kind).next().is_some()) {
            let _watchdog = watchdog("the forked child's handles");
            let name = TestName::new("states-forked");
            let mut child =
                TestChild::spawn("forks", &[name.as_str(), &format!("{fill:?}"), &format!("{kind:?}")]);
            for op in operations(*fill, table, kind) {
                let Some(steps) = table.cell(FORKED, op.name) else { panic!("can be") };
                assert_eq!(steps.len(), 1, "it stays what it is");
                for strategy in STRATEGIES {
                    let said = child.hear().unwrap_or_default();
                    let wanted = format!("{} {strategy:?} {:?}", op.name, steps[0]);
                    let mut done = done.lock().unwrap();
                    if said != wanted {
                        done.failures.push(format!("{}: forked: {said:?}, not {wanted:?}", table.title));
                        return;
                    }
                    done.cells.insert((table.title, FORKED, op.name, format!("{kind:?}")));
                    done.runs += 1;
                }
            }
        }
    }
}
