//! The document and the sources know the same names.

use crate::ops::{Kind, OPS};
use crate::table::{DOCUMENT, quoted};
use std::path::Path;

/// Every public operation that may be refused is in the tables, by way of [`OPS`].
#[test]
fn no_operation_is_left_out() {
    let sources = [
        (Kind::Stamped, include_str!("../../src/api/spsc/producer.rs")),
        (Kind::Stamped, include_str!("../../src/api/spsc/consumer.rs")),
        (Kind::Stamped, include_str!("../../src/api/spsc/grant.rs")),
        (Kind::Bytes, include_str!("../../src/api/spsc/byte_ring.rs")),
        (Kind::Bytes, include_str!("../../src/api/spsc/byte_grant.rs")),
        (Kind::Mpmc, include_str!("../../src/api/mpmc/producer.rs")),
        (Kind::Mpmc, include_str!("../../src/api/mpmc/consumer.rs")),
        (Kind::Mpmc, include_str!("../../src/api/mpmc/slot.rs")),
        (Kind::Mpmc, include_str!("../../src/api/mpmc/job.rs")),
        (Kind::MpmcBytes, include_str!("../../src/api/mpmc/bytes.rs")),
    ];
    let mut seen = 0;
    for (kind, line) in sources.iter().flat_map(|(kind, source)| source.lines().map(|line| (*kind, line))) {
        let Some((name, rest)) = line.trim().strip_prefix("pub fn ").and_then(|l| l.split_once('(')) else {
            continue;
        };
        if rest.contains("RingError>") || rest.contains("Rejected<") {
            let known = OPS.iter().any(|op| op.is_on(kind) && op.name.split('(').next() == Some(name));
            assert!(known, "docs/states.md does not say what {name} says on {kind:?}");
            seen += 1;
        }
    }
    assert!(seen >= 60, "only {seen} operations found in the sources");
}

/// Whether there is a test of this name in a file, or in a folder of files.
fn exists(file: &str, test: &str) -> bool {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let files = match std::fs::read_dir(tests.join(file)) {
        Ok(folder) => folder.map(|entry| entry.expect("an entry").path()).collect(),
        Err(_) => vec![tests.join(format!("{file}.rs"))],
    };
    let wanted = format!("fn {test}()");
    files.iter().filter_map(|path| std::fs::read_to_string(path).ok()).any(|text| {
        let lines: Vec<_> = text.lines().collect();
        lines.windows(2).any(|pair| pair[0] == "#[test]" && pair[1].starts_with(&wanted))
    })
}

/// Below "Promises and their tests" each line of a table ends with a test, or several.
#[test]
fn the_tests_that_are_named_exist() {
    let mut named = 0;
    for title in ["## Seats", "## Promises and their tests"] {
        let below = DOCUMENT.lines().skip_while(|line| !line.starts_with(title)).skip(1);
        let rows = below.take_while(|line| !line.starts_with('#')).filter(|line| line.starts_with('|'));
        for row in rows.skip(2) {
            let (_, last) = row.trim_end_matches('|').rsplit_once('|').expect("columns");
            let tests = quoted(last);
            assert!(!tests.is_empty(), "no test: {row}");
            for test in tests {
                let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("no test: {test}"));
                assert!(exists(file, name), "{test} does not exist");
                named += 1;
            }
        }
    }
    assert!(named > 15, "only {named} tests are named");
}
