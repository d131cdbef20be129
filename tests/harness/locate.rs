//! From a program counter in a child of the same executable to a function and a line.

use std::collections::BTreeMap;
use std::fmt;

/// Where the executable lies in a process: start and end of all its mappings.
fn executable_at(maps: &str) -> Option<(u64, u64)> {
    let exe = std::env::current_exe().ok()?;
    let exe = exe.to_str()?;
    let mut range: Option<(u64, u64)> = None;
    for line in maps.lines().filter(|l| l.ends_with(exe)) {
        let (start, end) = parse_range(line)?;
        let first = range.map_or(start, |r| r.0.min(start));
        range = Some((first, end));
    }
    range
}

fn parse_range(line: &str) -> Option<(u64, u64)> {
    let (start, rest) = line.split_once('-')?;
    let (end, _) = rest.split_once(' ')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}

/// A place in the program.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Relative to the crate for our own code; a short name else.
    pub file: String,
    pub function: String,
    /// The process was in the standard library, libc or the kernel, called from here.
    pub below: bool,
}

impl Place {
    /// Whether it is in the library, not in the test.
    pub fn is_segring(&self) -> bool {
        self.file.starts_with("src/")
    }

    /// Whether it is in this repository at all.
    fn is_ours(&self) -> bool {
        self.is_segring() || self.file.starts_with("tests/")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.below { " (in std, libc or the kernel below it)" } else { "" };
        write!(f, "{} {}{below}", self.file, self.function)
    }
}

/// Finds the place where a stopped child of this executable stands. When that is no code of this
/// repository, the stack is searched for the innermost return address into it: a guess, because a
/// stack holds old addresses too, and marked as `below`.
pub fn locate(pid: i32, pc: u64, sp: u64) -> Option<Place> {
    let theirs = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let theirs = executable_at(&theirs)?;
    let own = executable_at(&std::fs::read_to_string("/proc/self/maps").ok()?)?;
    // `resolve` looks one byte before an address, as is right for return addresses.
    let here =
        |address: u64| (theirs.0..theirs.1).contains(&address).then(|| resolve(address - theirs.0 + own.0));
    let exact = here(pc + 1);
    if let Some(place) = exact.clone().filter(Place::is_ours) {
        return Some(place);
    }
    let mut stack = [0u8; 2048];
    let mem = std::fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    let n = std::os::unix::fs::FileExt::read_at(&mem, &mut stack, sp).unwrap_or(0);
    let words = stack[..n].chunks_exact(8).map(|w| w.try_into().map_or(0, u64::from_le_bytes));
    let mut callers = words.filter_map(here);
    let caller = callers.find(Place::is_ours).map(|place| Place { below: true, ..place });
    let unknown = || Place { file: "?".into(), function: String::new(), below: false };
    Some(caller.or(exact).unwrap_or_else(unknown))
}

/// The innermost frame that is ours, inlined ones included; the innermost at all if none is.
fn resolve(address: u64) -> Place {
    let mut innermost = Place { file: String::new(), function: String::new(), below: false };
    let mut ours = None;
    backtrace::resolve(address as *mut _, |symbol| {
        let path = symbol.filename().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
        let function = symbol.name().map(|n| short(&n.to_string())).unwrap_or_default();
        if let Some(file) = path.strip_prefix(env!("CARGO_MANIFEST_DIR")) {
            let file = file.trim_start_matches('/').to_owned();
            ours.get_or_insert(Place { file, function, below: false });
        } else if innermost.file.is_empty() {
            innermost = Place { file: path, function, below: false };
        }
    });
    ours.unwrap_or(innermost)
}

/// `<a::B<C> as d::E>::f::<G>::h123` → `f`; a closure is named after its function.
fn short(name: &str) -> String {
    let mut flat = String::new();
    let mut depth = 0usize;
    for c in name.chars() {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => flat.push(c),
            _ => {}
        }
    }
    let hash = |p: &&str| p.len() == 17 && p.starts_with('h');
    let parts: Vec<&str> = flat.split("::").filter(|p| !p.is_empty() && !hash(p)).collect();
    match parts.iter().rposition(|p| !p.starts_with('{')) {
        Some(i) if i + 1 < parts.len() => format!("{}::{{closure}}", parts[i]),
        Some(i) => parts[i].to_owned(),
        None => flat,
    }
}

/// How often each place was hit.
#[derive(Default)]
pub struct Histogram {
    hits: BTreeMap<Place, u32>,
    pub unknown: u32,
}

impl Histogram {
    pub fn add(&mut self, place: Option<Place>) {
        match place {
            Some(place) => *self.hits.entry(place).or_default() += 1,
            None => self.unknown += 1,
        }
    }

    /// How many were inside an operation: (in our own lines, with what was called from there).
    pub fn in_segring(&self) -> (u32, u32) {
        let inside = |below| {
            let hits = self.hits.iter().filter(move |(p, _)| p.is_segring() && (below || !p.below));
            hits.map(|(_, n)| n).sum()
        };
        (inside(false), inside(true))
    }

    pub fn total(&self) -> u32 {
        self.hits.values().sum::<u32>() + self.unknown
    }
}

impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<_> = self.hits.iter().collect();
        all.sort_by_key(|(place, n)| (!place.is_segring(), place.below, std::cmp::Reverse(**n)));
        let mut others = 0;
        for (place, n) in all {
            if place.is_segring() {
                writeln!(f, "  {n:5}  {place}")?;
            } else {
                others += n;
            }
        }
        writeln!(f, "  {others:5}  outside of src/: in the test itself")
    }
}
