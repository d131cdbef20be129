//! What the generated code refers to, by objdump.

use super::build;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

/// One function of the child.
#[derive(Default)]
pub struct Function {
    /// Other functions that it calls or jumps to. What could not be resolved is the operand.
    pub targets: BTreeSet<String>,
    /// Fences and locked instructions, as they stand there.
    pub fences: Vec<String>,
    /// Instructions that end the process.
    pub traps: Vec<String>,
    /// All of it, for messages.
    pub text: String,
}

/// The functions whose names begin with `hot_`. An error: why it cannot run here.
pub fn functions() -> Result<BTreeMap<String, Function>, &'static str> {
    let child = build::child()?;
    let listing = objdump(child, &["-d", "--no-show-raw-insn", "-C"])?;
    let symbols = symbols(&listing);
    let relocations = objdump(child, &["-R"])?;
    let table = offsets(&relocations);
    let mut functions: BTreeMap<String, Function> = BTreeMap::new();
    let mut current = None;
    for line in listing.lines() {
        if let Some((_, name)) = header(line) {
            current = name.starts_with("hot_").then(|| name.to_owned());
        } else if let Some(name) = &current {
            let function = functions.entry(name.clone()).or_default();
            let Some((_, code)) = line.split_once(":\t") else { continue };
            // Padding to the next function.
            if code == "int3" || code.starts_with("nop") {
                continue;
            }
            function.text += line;
            function.text.push('\n');
            let (mnemonic, operand) = code.split_once(' ').unwrap_or((code, ""));
            let operand = operand.trim();
            match mnemonic {
                "lock" | "mfence" => function.fences.push(code.to_owned()),
                // An exchange with memory locks by itself; one of registers is padding.
                "xchg" if operand.contains('(') => function.fences.push(code.to_owned()),
                "ud2" | "hlt" => function.traps.push(code.to_owned()),
                _ if mnemonic.starts_with("call") || mnemonic.starts_with('j') => {
                    let target = resolve(operand, &symbols, &table);
                    if target != *name {
                        function.targets.insert(target);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(functions)
}

fn objdump(child: &Path, args: &[&str]) -> Result<String, &'static str> {
    match Command::new("objdump").args(args).arg(child).output() {
        Err(e) if e.kind() == ErrorKind::NotFound => Err("no objdump"),
        output => {
            let output = output.expect("objdump runs");
            assert!(output.status.success(), "objdump: {}", String::from_utf8_lossy(&output.stderr));
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
    }
}

/// `0000000000026e20 <name>:`
fn header(line: &str) -> Option<(u64, &str)> {
    let (address, name) = line.strip_suffix(">:")?.split_once(" <")?;
    Some((u64::from_str_radix(address, 16).ok()?, name))
}

fn symbols(listing: &str) -> BTreeMap<u64, &str> {
    listing.lines().filter_map(header).collect()
}

/// Where the offset table points, which is filled in at start: `84b08 R_X86_64_RELATIVE *ABS*+0x26320`,
/// or the name of a function of another library.
fn offsets<'a>(relocations: &'a str) -> BTreeMap<u64, &'a str> {
    let entry = |line: &'a str| {
        let mut words = line.split_whitespace();
        let at = u64::from_str_radix(words.next()?, 16).ok()?;
        Some((at, words.nth(1)?))
    };
    relocations.lines().filter_map(entry).collect()
}

/// `26f17 <name+0xf7>` by itself; `*0x5dbdc(%rip)        # 84b08 <…>` through the offset table.
fn resolve(operand: &str, symbols: &BTreeMap<u64, &str>, table: &BTreeMap<u64, &str>) -> String {
    let named = |s: &str| -> Option<String> {
        let (_, name) = s.strip_suffix('>')?.split_once('<')?;
        // The last `+`: a name may have one in it.
        Some(name.rsplit_once("+0x").map_or(name, |(name, _)| name).to_owned())
    };
    if !operand.starts_with('*') {
        return named(operand).unwrap_or_else(|| operand.to_owned());
    }
    let through = || {
        let (_, slot) = operand.split_once("# ")?;
        let target = table.get(&u64::from_str_radix(slot.split(' ').next()?, 16).ok()?)?;
        match target.strip_prefix("*ABS*+0x") {
            Some(address) => Some((*symbols.get(&u64::from_str_radix(address, 16).ok()?)?).to_owned()),
            None => Some((*target).to_owned()),
        }
    };
    through().unwrap_or_else(|| operand.to_owned())
}
