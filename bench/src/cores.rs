//! Which two cores the workers run on.

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The producer's core, the consumer's, and what they have to do with each other.
pub struct Cores {
    /// Those two. `None`: there is only one.
    pub pair: Option<(usize, usize)>,
    /// In words.
    pub note: String,
}

/// Where a core is. Two hardware threads of one core are the same place.
#[derive(PartialEq, Eq)]
struct Place {
    package: String,
    core: String,
}

fn place(cpu: usize) -> Place {
    let read = |what: &str| {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/{what}");
        // A system that does not tell has one package, and each CPU is a core.
        std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
    };
    Place {
        package: read("physical_package_id").unwrap_or_default(),
        core: read("core_id").unwrap_or_else(|| cpu.to_string()),
    }
}

/// The best two of those that this process may use: different cores of one package, then different
/// packages, then two threads of one core.
pub(crate) fn choose() -> Result<Cores> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).context("sched_getaffinity")?;
    let cpus: Vec<usize> = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false)).collect();
    let [first, others @ ..] = cpus.as_slice() else {
        anyhow::bail!("sched_getaffinity: this process may run nowhere");
    };
    let home = place(*first);
    let places: Vec<(usize, Place)> = others.iter().map(|&cpu| (cpu, place(cpu))).collect();
    let beside = places.iter().find(|(_, p)| p.package == home.package && p.core != home.core);
    let away = places.iter().find(|(_, p)| p.package != home.package);
    let (second, what) = match (beside, away, places.first()) {
        (Some((second, _)), _, _) => (*second, "of one package"),
        (None, Some((second, _)), _) => (*second, "of two packages"),
        (None, None, Some((second, _))) => (*second, "which are threads of one core"),
        (None, None, None) => return Ok(alone(*first)),
    };
    Ok(Cores { pair: Some((*first, second)), note: format!("cores {first} and {second} {what}") })
}

fn alone(core: usize) -> Cores {
    Cores { pair: None, note: format!("core {core}, the only one allowed, unpinned") }
}

/// Keeps the calling process on one core.
pub(crate) fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core).with_context(|| format!("core {core}"))?;
    sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("sched_setaffinity to core {core}"))
}

/// The processor's name and the kernel's version, for the head of the report.
pub fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim()))
        .unwrap_or("unknown processor");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, Linux {}", kernel.trim())
}
