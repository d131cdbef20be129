//! `docs/states.md` is the specification: its tables are read, every cell is run on real rings with
//! real processes, and the tests that it names must exist.

#![allow(unreachable_pub)] // a test binary has no outside

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/raw.rs"]
mod raw;

mod calls;
mod cells;
mod forked;
mod many;
mod names;
mod ops;
mod peers;
mod scene;
mod stopped;
mod subject;
mod table;

/// The roles of children.
#[test]
fn child_main() {
    let Some((role, args)) = common::child_role() else { return };
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match (role.as_str(), &args[..]) {
        ("peer", []) => peers::role(),
        ("forks", [name, fill, kind]) => forked::role(name, fill, kind),
        ("stopped", [name, kind, side, strategy]) => stopped::role(name, kind, side, strategy),
        _ => panic!("unknown role {role}"),
    }
}
