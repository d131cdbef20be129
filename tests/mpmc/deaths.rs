//! Processes that are killed while they take part.

pub(crate) fn child(_role: &str, _args: &[&str]) -> bool {
    false
}
