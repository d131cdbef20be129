//! The hot path is as short as it was. Counted, not timed: the numbers are the same on any machine.
//!
//! - Under callgrind, and once more by single steps (ptrace, no tool needed): each operation takes no
//!   more instructions than [`MEASURED`] says, plus a tenth.
//! - By single steps: no operation makes a system call or runs a fence, but one locked instruction in
//!   those between many ([`MANY`]), and [`STRICT`] ones make no call at all while nothing needs to wait or
//!   to be woken.
//! - By objdump: the code of the [`STRICT`] operations has no panic path, refers to nothing but the
//!   [`COLD`] functions, and has the one fence that is for processes without `membarrier`.
//!
//! What is counted is `child.rs`, built by cargo's release profile. To update the numbers (a new
//! compiler, a shorter path): `cargo test --test hot_path -- --nocapture` prints the table as it must
//! stand below; the larger of the two. They are those of rustc 1.95 on x86-64.
#![cfg(target_arch = "x86_64")]
#![allow(unreachable_pub)] // each module is private to this test

#[path = "../common/mod.rs"]
mod common;
#[path = "../harness/trace.rs"]
#[allow(dead_code)]
mod trace;

mod build;
mod callgrind;
/// The program itself, here only so that clippy and rustfmt see it.
#[allow(dead_code)]
mod child;
mod disassembly;
mod stepping;

use common::skip;
use std::collections::BTreeMap;

/// Instructions by the name of a function in `child.rs`.
type Counts = BTreeMap<String, u64>;

/// Instructions per operation, its calls included. Each round of a string instruction (copies of 512
/// bytes and more) is one: that is where the large numbers come from.
const MEASURED: &[(&str, u64)] = &[
    ("hot_bytes_pop", 178),
    ("hot_bytes_push", 144),
    ("hot_bytes_read_release", 111),
    ("hot_bytes_reserve_commit", 100),
    ("hot_bytes_try_pop", 170),
    ("hot_bytes_try_push", 135),
    ("hot_many_pop_56", 138),
    ("hot_many_pop_slice", 353),
    ("hot_many_push_56", 150),
    ("hot_many_push_slice", 474),
    ("hot_many_try_pop_56", 147),
    ("hot_many_try_pop_u64", 63),
    ("hot_many_try_push_56", 144),
    ("hot_many_try_push_u64", 70),
    ("hot_pop_slice", 270),
    ("hot_pop_u64", 50),
    ("hot_push_slice", 250),
    ("hot_push_u64", 38),
    ("hot_read_release", 117),
    ("hot_read_release_slice", 92),
    ("hot_reserve_commit", 169),
    ("hot_reserve_commit_slice", 67),
    ("hot_try_pop_1024", 227),
    ("hot_try_pop_56", 67),
    ("hot_try_pop_64", 57),
    ("hot_try_pop_into_56", 63),
    ("hot_try_pop_u64", 50),
    ("hot_try_push_1024", 174),
    ("hot_try_push_56", 57),
    ("hot_try_push_64", 53),
    ("hot_try_push_ref_56", 53),
    ("hot_try_push_u64", 32),
];

/// Operations whose code is looked at: one message of a typed ring.
const STRICT: &[&str] = &[
    "hot_try_push_u64",
    "hot_try_pop_u64",
    "hot_try_push_56",
    "hot_try_pop_56",
    "hot_try_push_ref_56",
    "hot_try_pop_into_56",
    "hot_try_push_64",
    "hot_try_pop_64",
    "hot_try_push_1024",
    "hot_try_pop_1024",
];

/// Operations between many begin like this.
const MANY: &str = "hot_many_";

/// Functions of the library that a strict operation may call, off its hot path: the ring looks full;
/// the peer sleeps; the ring is empty.
const COLD: &[&str] = &["look_at_head", "look_again", "wake_some", "is_closed"];

/// Most instructions allowed: a tenth more, but not so much that a check hides behind a long copy.
fn bound(measured: u64) -> u64 {
    measured + (measured / 10).clamp(2, 10)
}

/// Prints the table, and says what is wrong with it.
fn compare(how: &str, counts: &Counts) -> Vec<String> {
    let table: String = counts.iter().map(|(name, n)| format!("    (\"{name}\", {n}),\n")).collect();
    println!("instructions per operation, {how}:\n{table}");
    let mut wrong = Vec::new();
    for (name, n) in counts {
        match MEASURED.iter().find(|(known, _)| known == name) {
            None => wrong.push(format!("{name}: {n}, and no number to compare with")),
            Some((_, measured)) if *n > bound(*measured) => {
                wrong
                    .push(format!("{name}: {n} instructions, were {measured}, allowed {}", bound(*measured)));
            }
            Some(_) => {}
        }
    }
    let lost = MEASURED.iter().filter(|(name, _)| !counts.contains_key(*name));
    wrong.extend(lost.map(|(name, _)| format!("{name}: not counted; the compiler may have made one of two")));
    wrong
}

fn expect_none(what: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{what}:\n  {}\n", wrong.join("\n  "));
}

#[test]
fn instructions_under_callgrind() {
    match callgrind::counts() {
        Ok(counts) => expect_none("the hot path has grown", &compare("callgrind", &counts)),
        Err(why) => skip("instructions_under_callgrind", why),
    }
}

#[test]
fn the_path_taken() {
    let paths = match stepping::paths() {
        Ok(paths) => paths,
        Err(why) => return skip("the_path_taken", &why),
    };
    let counts = paths.iter().map(|(name, path)| (name.clone(), path.instructions)).collect();
    let mut wrong = compare("single steps", &counts);
    println!("calls, fences, system calls on the way:");
    for (name, path) in &paths {
        println!("  {name:26} {:3} {:3} {:3}", path.calls, path.fences, path.syscalls);
        if path.syscalls > 0 {
            wrong.push(format!("{name}: makes a system call"));
        }
        let exchanges = u64::from(name.starts_with(MANY));
        if path.fences > exchanges.max(u64::from(!has_membarrier())) {
            wrong.push(format!("{name}: {} fences or locked instructions", path.fences));
        }
        let slice = name.ends_with("_slice");
        if (STRICT.contains(&name.as_str()) || name.starts_with(MANY) && !slice) && path.calls > 0 {
            wrong.push(format!("{name}: {} calls that are not inlined", path.calls));
        }
    }
    expect_none("on the hot path", &wrong);
}

/// Without it, every publish is followed by a fence.
fn has_membarrier() -> bool {
    const GLOBAL_EXPEDITED: i64 = 1 << 1;
    // SAFETY: membarrier takes no pointer; 0 asks which commands there are.
    let commands = unsafe { libc::syscall(libc::SYS_membarrier, 0, 0, 0) };
    commands > 0 && commands & GLOBAL_EXPEDITED != 0
}

/// `a::b::<C>::f::h0123456789abcdef` → `f`
fn last_part(name: &str) -> &str {
    let is_hash = |p: &str| p.len() == 17 && p.starts_with('h');
    name.rsplit("::").find(|p| !is_hash(p)).unwrap_or(name)
}

#[test]
fn the_code_of_push_and_pop() {
    let functions = match disassembly::functions() {
        Ok(functions) => functions,
        Err(why) => return skip("the_code_of_push_and_pop", why),
    };
    let mut wrong = Vec::new();
    for name in STRICT {
        let function = functions.get(*name).unwrap_or_else(|| panic!("{name} is not in the program"));
        let before = wrong.len();
        for target in &function.targets {
            let cold = target.contains("segring") && COLD.contains(&last_part(target));
            if target.contains("panic") || target.contains("_fail") || target.contains("unwrap") {
                wrong.push(format!("{name}: a panic path: {target}"));
            } else if !cold {
                wrong.push(format!("{name}: a call that is not inlined: {target}"));
            }
        }
        wrong.extend(function.traps.iter().map(|t| format!("{name}: a trap: {t}")));
        // That it is found shows that the code was read.
        if function.fences.len() != 1 {
            wrong.push(format!("{name}: one fence is expected: {}", function.fences.join("; ")));
        }
        if wrong.len() > before {
            println!("{name}:\n{}", function.text);
        }
    }
    expect_none("in the generated code, printed above", &wrong);
}
