//! The exchange ring, as its users see it.

#[path = "../common/mod.rs"]
mod common;
mod contract;
mod deaths;
mod holding;
mod names;
#[path = "../common/raw.rs"]
mod raw;
mod stuck;
mod threads;
mod words;
mod wrap;

/// Children of these tests start here.
#[test]
fn child_main() {
    let Some((role, args)) = common::child_role() else { return };
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    assert!(deaths::child(&role, &args), "unknown role {role}");
}
