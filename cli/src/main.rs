//! The `segring` program.
fn main() {}
