//! The limits of the System V objects, from `/proc/sys/kernel`.

fn number(file: &str, field: usize) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/sys/kernel/{file}")).ok()?;
    text.split_whitespace().nth(field)?.parse().ok()
}

/// SHMMAX: the largest segment, in bytes.
pub(crate) fn shmmax() -> Option<u64> {
    number("shmmax", 0)
}

/// SHMALL: all segments together, in pages.
pub(crate) fn shmall() -> Option<u64> {
    number("shmall", 0)
}

/// SHMMNI: how many segments.
pub(crate) fn shmmni() -> Option<u64> {
    number("shmmni", 0)
}

/// SEMMSL: the semaphores of one set.
pub(crate) fn semmsl() -> Option<u64> {
    number("sem", 0)
}

/// SEMMNS: all semaphores together.
pub(crate) fn semmns() -> Option<u64> {
    number("sem", 1)
}

/// SEMMNI: how many sets.
pub(crate) fn semmni() -> Option<u64> {
    number("sem", 3)
}
