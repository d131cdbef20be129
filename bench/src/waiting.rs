//! What each way of waiting costs: in a stream, in a ping-pong, when a message comes now and then,
//! and when none comes at all.

use crate::limits;
use crate::measure::{Extent, Measured, measure};
use crate::plan::{Catalogue, Cell, Mode};
use crate::progress::Progress;
use crate::results::{Ratio, median, paired};
use crate::runner::{Pair, Run, Stage, Started};
use crate::transport::{Ends, Transport};
use crate::transports::{TypedRing, paced};
use anyhow::{Context, Result, bail};
use segring::WaitStrategy;
use serde::Serialize;
use std::time::Duration;

/// Bytes of the messages of streams and ping-pongs.
pub const SIZE: usize = 56;
/// How far apart messages come.
pub const GAPS: [Duration; 3] =
    [Duration::from_micros(20), Duration::from_millis(1), Duration::from_millis(10)];
/// A consumer that polls with `try_pop`, and so can never sleep.
const POLLED: &str = "polled";

const STRATEGIES: [WaitStrategy; 4] =
    [WaitStrategy::BusySpin, WaitStrategy::Yield, WaitStrategy::Adaptive, WaitStrategy::Sleep];

/// As the tables show it.
fn name(strategy: WaitStrategy) -> &'static str {
    match strategy {
        WaitStrategy::BusySpin => "busy spin",
        WaitStrategy::Yield => "yield",
        WaitStrategy::Sleep => "sleep",
        _ => "adaptive",
    }
}

/// The transports that are measured here, for a catalogue. They are in no other table.
pub fn transports() -> Vec<Transport> {
    let mut all = Vec::new();
    for strategy in STRATEGIES {
        all.push(TypedRing { strategy, ..TypedRing::default() }.transport(name(strategy), &[]));
        for gap in GAPS {
            all.push(paced_by(strategy, gap));
        }
    }
    all.push(TypedRing { polled: true, ..TypedRing::default() }.transport(POLLED, &[]));
    for idle in [QUICK_IDLE, IDLE] {
        for strategy in [WaitStrategy::Adaptive, WaitStrategy::Sleep] {
            all.push(paced_by(strategy, idle));
        }
    }
    all
}

/// How long nothing comes, at the end.
const IDLE: Duration = Duration::from_secs(10);
const QUICK_IDLE: Duration = Duration::from_secs(1);
/// How often, in turn.
const IDLE_ROUNDS: u32 = 3;

fn paced_name(strategy: WaitStrategy, gap: Duration) -> String {
    format!("{}, every {gap:?}", name(strategy))
}

fn paced_by(strategy: WaitStrategy, gap: Duration) -> Transport {
    Transport {
        name: paced_name(strategy, gap).leak(),
        modes: &[],
        api: |_| "push/pop",
        copies: |_| 2,
        many: &[],
        ends: Ends::Processes(Box::leak(Box::new(paced::Paced { strategy, gap }))),
    }
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How often each cell runs.
    pub rounds: u32,
    /// How long one run takes.
    pub run: Duration,
    /// A short look at the idle consumer, instead of ten seconds.
    pub quick: bool,
}

/// Everything, as `--json` prints it. Medians; times in nanoseconds.
#[derive(Debug, Serialize)]
pub struct Waiting {
    /// A row for each way of waiting.
    pub strategies: Vec<Strategy>,
    /// A row for each way of waiting and each pace.
    pub paces: Vec<Pace>,
    /// Ping-pongs with both sides on one core, the bare futex's last.
    pub one_core: Vec<OneCore>,
    /// Consumers to whom nothing came.
    pub idle: Vec<Idle>,
    /// Median round trip of two sides that sleep on a bare futex.
    pub bare_futex_ns: Option<f64>,
    /// Their sleeps in one of them.
    pub bare_futex_sleeps: Option<f64>,
    /// Median round trip of the ring with both sides asleep, by the bare futex's of the same round.
    pub asleep_vs_futex: Option<Ratio>,
    /// Messages a second of a stream whose consumer may sleep, by those of one whose consumer polls.
    pub adaptive_vs_polled: Option<Ratio>,
    /// Messages a second of that one.
    pub polled_per_s: Option<f64>,
    /// How often each was measured.
    pub rounds: u32,
}

/// Streams and ping-pongs of one way of waiting.
#[derive(Debug, Serialize)]
pub struct Strategy {
    /// Of both sides.
    pub strategy: &'static str,
    /// Messages per second in a stream.
    pub stream_per_s: Option<f64>,
    /// Sleeps of both sides for each message of it.
    pub stream_sleeps: Option<f64>,
    /// How long a side looked away each time that the stream ran dry; 0 if it never did.
    pub stream_slip_ns: Option<f64>,
    /// Median round trip.
    pub round_trip_ns: Option<f64>,
    /// The same as `stream_slip_ns`, in the ping-pong.
    pub round_trip_slip_ns: Option<f64>,
    /// Sleeps of both sides in one round trip.
    pub sleeps_per_round_trip: Option<f64>,
}

/// A message now and then.
#[derive(Debug, Serialize)]
pub struct Pace {
    /// Of the consumer.
    pub strategy: &'static str,
    /// Between two messages.
    pub gap_ns: u64,
    /// From before a push to after its pop.
    pub delay_p50_ns: Option<f64>,
    /// Of 100 messages one takes longer. None where a run has fewer.
    pub delay_p99_ns: Option<f64>,
    /// Part of a core that the consumer used.
    pub cpu: Option<f64>,
    /// How long a push took: a wake makes it longer.
    pub push_ns: Option<f64>,
    /// How often the consumer slept for each message.
    pub sleeps: Option<f64>,
}

/// Two sides that share a core.
#[derive(Debug, Serialize)]
pub struct OneCore {
    /// Of both sides.
    pub strategy: &'static str,
    /// Median round trip.
    pub round_trip_ns: Option<f64>,
    /// Sleeps of both sides in one round trip.
    pub sleeps_per_round_trip: Option<f64>,
}

/// No message for a while.
#[derive(Debug, Serialize)]
pub struct Idle {
    /// Of the consumer.
    pub strategy: &'static str,
    /// How long it waited.
    pub waited_ns: u64,
    /// Time of a core that it used meanwhile.
    pub cpu_ns: u64,
    /// How often it slept: once for each look at its peer.
    pub sleeps: u64,
}

/// Measures all of it.
///
/// # Errors
/// A wrong message, a transport that failed, a signal.
pub fn run(catalogue: &Catalogue, stage: &Stage<'_>, plan: Plan, progress: &mut Progress) -> Result<Waiting> {
    let cell = |transport: &str, mode, size| -> Result<Cell> {
        let transport = catalogue.name(transport).with_context(|| format!("{transport} is not planned"))?;
        Ok(Cell::one_to_one(transport, mode, size))
    };
    let extent = Extent { rounds: plan.rounds, run: plan.run, budget: None, messages: None };
    let mut cells = vec![cell(limits::FUTEX, Mode::RoundTrip, SIZE)?, cell(POLLED, Mode::Single, SIZE)?];
    for strategy in STRATEGIES {
        cells.push(cell(name(strategy), Mode::Single, SIZE)?);
        cells.push(cell(name(strategy), Mode::RoundTrip, SIZE)?);
    }
    let steady = measure(&cells, stage, extent, progress)?;
    let mut paces = Vec::new();
    for gap in GAPS {
        // Enough for a 99th percentile of each run, but where that would take seconds.
        let messages = (5 * plan.run.as_nanos() / gap.as_nanos()).clamp(20, 5000) as u64;
        let cells: Vec<Cell> = STRATEGIES
            .into_iter()
            .map(|s| cell(&paced_name(s, gap), Mode::Single, paced::SIZE))
            .collect::<Result<_>>()?;
        let extent = Extent { messages: Some(messages), ..extent };
        let measured = measure(&cells, stage, extent, progress)?;
        paces.extend(measured.iter().zip(STRATEGIES).map(|(one, s)| Pace::of(name(s), gap, &one.runs)));
    }
    let one_core = one_core(&cell, stage, extent, progress)?;
    let idle = if plan.quick { QUICK_IDLE } else { IDLE };
    let mut idlers = Vec::new();
    for _ in 0..if plan.quick { 1 } else { IDLE_ROUNDS } {
        for s in [WaitStrategy::Adaptive, WaitStrategy::Sleep] {
            let cell = cell(&paced_name(s, idle), Mode::Single, paced::SIZE)?;
            idlers.push(Idle::measure(name(s), cell, stage)?);
        }
    }
    // Rounds of one strategy side by side.
    idlers.sort_by_key(|idler| idler.strategy);

    let find = |transport: &str, mode| {
        steady.iter().find(|one| one.cell.transport == transport && one.cell.mode == mode)
    };
    let asleep = find(name(WaitStrategy::Sleep), Mode::RoundTrip).zip(find(limits::FUTEX, Mode::RoundTrip));
    let adaptive = find(name(WaitStrategy::Adaptive), Mode::Single).zip(find(POLLED, Mode::Single));
    Ok(Waiting {
        strategies: STRATEGIES
            .into_iter()
            .filter_map(|s| {
                let (stream, trips) = find(name(s), Mode::Single).zip(find(name(s), Mode::RoundTrip))?;
                Some(Strategy::of(name(s), stream, trips))
            })
            .collect(),
        paces,
        one_core,
        idle: idlers,
        bare_futex_ns: find(limits::FUTEX, Mode::RoundTrip).and_then(|one| median(&p50s(one))),
        bare_futex_sleeps: find(limits::FUTEX, Mode::RoundTrip).and_then(|one| sleeps_per_message(&one.runs)),
        asleep_vs_futex: asleep.and_then(|(ring, futex)| paired(&p50s(ring), &p50s(futex))),
        adaptive_vs_polled: adaptive.and_then(|(ring, polled)| paired(&ring.rates(), &polled.rates())),
        polled_per_s: adaptive.and_then(|(_, polled)| median(&polled.rates())),
        rounds: plan.rounds,
    })
}

/// Round trips of sides that spin on one core: each takes a time slice of the scheduler.
const SLICES: u64 = 16;
/// Round trips of the others, there.
const TRIPS: u64 = 2000;

fn one_core(
    cell: &impl Fn(&str, Mode, usize) -> Result<Cell>,
    stage: &Stage<'_>,
    extent: Extent,
    progress: &mut Progress,
) -> Result<Vec<OneCore>> {
    let stage = stage.on_one_core();
    let mut rows = Vec::new();
    let [spinning, others @ ..] = STRATEGIES.map(name);
    for (names, messages) in [(vec![spinning], SLICES), ([&others[..], &[limits::FUTEX]].concat(), TRIPS)] {
        let cells: Vec<Cell> =
            names.into_iter().map(|name| cell(name, Mode::RoundTrip, SIZE)).collect::<Result<_>>()?;
        let extent = Extent { messages: Some(messages), ..extent };
        rows.extend(measure(&cells, &stage, extent, progress)?.iter().map(|one| OneCore {
            strategy: one.cell.transport,
            round_trip_ns: median(&p50s(one)),
            sleeps_per_round_trip: sleeps_per_message(&one.runs),
        }));
    }
    Ok(rows)
}

fn p50s(one: &Measured) -> Vec<f64> {
    one.runs.iter().filter_map(|run| run.p50).map(|p50| p50 as f64).collect()
}

/// The median of what the runs say, of those that say something.
fn median_of(runs: &[Run], figure: impl Fn(&Run) -> Option<f64>) -> Option<f64> {
    median(&runs.iter().filter_map(figure).collect::<Vec<_>>())
}

/// Of both sides, for each message or round trip.
fn sleeps_per_message(runs: &[Run]) -> Option<f64> {
    median_of(runs, |run| {
        let sleeps: u64 = run.sides.iter().map(|side| side.notes.sleeps).sum();
        Some(sleeps as f64 / run.messages as f64)
    })
}

/// How long the sides looked away each time.
fn slip(run: &Run) -> Option<f64> {
    let slips: u64 = run.sides.iter().map(|side| side.notes.slips).sum();
    let slipped: u64 = run.sides.iter().map(|side| side.notes.slipped).sum();
    Some(if slips == 0 { 0.0 } else { slipped as f64 / slips as f64 })
}

impl Strategy {
    fn of(strategy: &'static str, stream: &Measured, trips: &Measured) -> Self {
        Self {
            strategy,
            stream_per_s: median(&stream.rates()),
            stream_slip_ns: median_of(&stream.runs, slip),
            round_trip_ns: median(&p50s(trips)),
            round_trip_slip_ns: median_of(&trips.runs, slip),
            sleeps_per_round_trip: sleeps_per_message(&trips.runs),
            stream_sleeps: sleeps_per_message(&stream.runs),
        }
    }
}

impl Pace {
    fn of(strategy: &'static str, gap: Duration, runs: &[Run]) -> Self {
        let [producer, consumer] = [0, 1];
        Self {
            strategy,
            gap_ns: gap.as_nanos() as u64,
            delay_p50_ns: median_of(runs, |run| run.sides[consumer].notes.delay.map(|d| d as f64)),
            delay_p99_ns: median_of(runs, |run| run.sides[consumer].notes.delay_p99.map(|d| d as f64)),
            cpu: median_of(runs, |run| {
                let side = run.sides[consumer];
                Some(side.cpu as f64 / side.took.max(1) as f64)
            }),
            push_ns: median_of(runs, |run| run.sides[producer].notes.push.map(|n| n as f64)),
            sleeps: median_of(runs, |run| {
                Some(run.sides[consumer].notes.sleeps as f64 / run.messages as f64)
            }),
        }
    }
}

impl Idle {
    fn measure(strategy: &'static str, cell: Cell, stage: &Stage<'_>) -> Result<Self> {
        match Pair::start(cell, stage)? {
            Started::Pair(mut pair) => {
                let run = pair.go(1)?;
                let [_, consumer] = run.sides;
                let (waited_ns, cpu_ns) = (run.nanoseconds, consumer.cpu);
                Ok(Self { strategy, waited_ns, cpu_ns, sleeps: consumer.notes.sleeps })
            }
            Started::Impossible(why) => bail!("{cell}: {why}"),
        }
    }
}
