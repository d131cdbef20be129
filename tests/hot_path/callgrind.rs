//! Instructions of each operation under callgrind, those of the functions it calls included.

use super::common::TestName;
use super::{Counts, build};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

/// Operations of the shorter run. The longer one has twice as many, so that what happens once only
/// (start-up, first calls) is in both and cancels.
const N: u64 = 500;

/// An error: why it cannot run here.
pub fn counts() -> Result<Counts, &'static str> {
    let child = build::child()?;
    let (once, twice) = (run(child, N)?, run(child, 2 * N)?);
    let per_call = |(name, total): (&String, &Total)| {
        let first = once.get(name)?;
        Some((name.clone(), (total.cost - first.cost).div_ceil(total.calls - first.calls)))
    };
    Ok(twice.iter().filter_map(per_call).collect())
}

/// All calls of a function.
#[derive(Default)]
struct Total {
    calls: u64,
    cost: u64,
}

fn run(child: &Path, n: u64) -> Result<BTreeMap<String, Total>, &'static str> {
    let name = TestName::new("callgrind");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name.as_str());
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--compress-strings=no", "--compress-pos=no", "--error-exitcode=1"]);
    command.arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(child).args([name.as_str(), &n.to_string()]);
    let output = match command.output() {
        Err(e) if e.kind() == ErrorKind::NotFound => return Err("no valgrind"),
        output => output.expect("valgrind runs"),
    };
    assert!(output.status.success(), "callgrind: {}", String::from_utf8_lossy(&output.stderr));
    let profile = std::fs::read_to_string(&out).expect("a profile");
    std::fs::remove_file(&out).expect("removed");
    Ok(inclusive(&profile))
}

/// `cfn=NAME`, then `calls=N …`, then a line whose second number is the cost of those calls, with
/// all that they called.
fn inclusive(profile: &str) -> BTreeMap<String, Total> {
    let mut totals: BTreeMap<String, Total> = BTreeMap::new();
    let mut callee = "";
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("cfn=") {
            callee = name;
        } else if let Some(calls) = line.strip_prefix("calls=") {
            let cost = lines.next().and_then(|line| number(line, 1));
            if callee.starts_with("hot_") {
                let total = totals.entry(callee.to_owned()).or_default();
                total.calls += number(calls, 0).expect("a number of calls");
                total.cost += cost.expect("a cost");
            }
        }
    }
    totals
}

fn number(line: &str, index: usize) -> Option<u64> {
    line.split(' ').nth(index)?.parse().ok()
}
