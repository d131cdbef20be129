//! criterion: the ring against everything else the system offers, between two real processes.
//!
//! Both processes are this program again, started once per benchmark before criterion measures,
//! each pinned to a core of its own. Every message is built, carried and compared byte by byte
//! inside the measured time, which one side starts and the other ends (`iter_custom`). With
//! `-- --test` each benchmark moves a few messages and checks them. The round trips, and what else
//! the harness measures, are those of `segring bench`; this is for watching figures over time.
//!
//! What begins with `mpmc` goes from many processes to many, all checked in the same way.
//!
//! `cargo bench --bench transports -- 'u64|ring'` runs those whose name matches.

use criterion::{BenchmarkId, Criterion, Throughput};
use segring_bench::{
    Catalogue, Cell, DEFAULT_SIZES, MANY_RING, Mode, Pair, SYSV_QUEUE, Shape, Stage, Started,
};
use std::process::ExitCode;
use std::time::Duration;

/// Prints why, and ends the benchmarks: criterion has no way to hand an error on.
fn or_end<T>(result: anyhow::Result<T>) -> T {
    result.unwrap_or_else(|error| {
        eprintln!("transports: {error:#}");
        // Not `exit`: what was made is removed by destructors while this unwinds.
        std::panic::resume_unwind(Box::new("failed"))
    })
}

/// What a group's title says.
fn title(cell: Cell) -> String {
    match (cell.shape, cell.mode) {
        (Shape::OneToOne, Mode::RoundTrip) => format!("round trip of {} bytes", cell.size),
        (Shape::OneToOne, mode) => format!("{} bytes, {}", cell.size, mode.name()),
        (shape, mode) => format!("mpmc: {shape}, {} bytes, {}", cell.size, mode.name()),
    }
}

/// Between many: what watching needs.
fn many(catalogue: &Catalogue) -> Vec<Cell> {
    let names = [MANY_RING, SYSV_QUEUE];
    let shapes = [1, 2].map(Shape::square);
    let mut cells = catalogue.many_cells(&[8, 56, 1024], &shapes, &names.map(|name| format!("={name}")));
    cells.retain(|cell| names.contains(&cell.transport) && cell.mode != Mode::Handover);
    cells
}

fn measure(criterion: &mut Criterion, stage: &Stage<'_>, cells: &[Cell]) {
    let mut cells = cells.to_vec();
    let many = |cell: &Cell| cell.shape != Shape::OneToOne;
    cells.sort_by_key(|cell| (many(cell), cell.size, cell.shape.producers(), cell.mode.name()));
    for same in cells.chunk_by(|a, b| title(*a) == title(*b)) {
        let mut group = criterion.benchmark_group(title(same[0]));
        group.throughput(match same[0].mode {
            // What is handed over without being touched says nothing about bytes.
            Mode::Handover => Throughput::Elements(1),
            _ => Throughput::ElementsAndBytes { elements: 1, bytes: same[0].size as u64 },
        });
        group.sample_size(20).warm_up_time(Duration::from_millis(300));
        group.measurement_time(Duration::from_secs(1));
        for &cell in same {
            // Not started for a benchmark that the command line leaves out.
            let mut pair: Option<Pair<'_>> = None;
            group.bench_function(BenchmarkId::from_parameter(cell.transport), |bencher| {
                let pair = pair.get_or_insert_with(|| match or_end(Pair::start(cell, stage)) {
                    Started::Pair(pair) => pair,
                    Started::Impossible(why) => or_end(Err(anyhow::anyhow!("{cell}: {why}"))),
                });
                bencher.iter_custom(|messages| Duration::from_nanos(or_end(pair.go(messages)).nanoseconds));
            });
        }
        group.finish();
    }
}

fn main() -> ExitCode {
    let catalogue = Catalogue::with(Vec::new());
    if let Some(code) = segring_bench::worker(&catalogue) {
        return code;
    }
    let stage = or_end(Stage::set(&catalogue));
    // What this system cannot do is left out, aloud.
    let mut cells = catalogue.cells(&DEFAULT_SIZES, &[]);
    cells.extend(many(&catalogue));
    cells.retain(|&cell| match or_end(stage.impossible(cell)) {
        None => true,
        Some(why) => {
            eprintln!("transports: not possible here: {cell}: {why}");
            false
        }
    });
    let mut criterion = Criterion::default().configure_from_args();
    measure(&mut criterion, &stage, &cells);
    criterion.final_summary();
    ExitCode::SUCCESS
}
