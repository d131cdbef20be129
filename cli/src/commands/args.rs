//! What several commands are told on the command line.

use clap::builder::ValueParser;
use segring::{Name, WaitStrategy};

/// Which ring.
pub(crate) fn parse_name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|e: segring::Error| e.to_string())
}

/// A size in bytes: `4096`, `64K`, `1M`, `2G`, by powers of 1024. `KiB` and `KB` mean the same.
pub(crate) fn parse_size(text: &str) -> Result<usize, String> {
    let bad = || format!("{text:?} is no size: give a number of bytes, or one with K, M or G, such as 64K");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(bad()),
    };
    let number: usize = digits.parse().map_err(|_| bad())?;
    match number.checked_mul(1 << shift) {
        Some(0) => Err("a ring needs at least one byte".to_owned()),
        Some(size) => Ok(size),
        None => Err(format!("{text:?} is more than this machine can count")),
    }
}

/// Permission bits in octal: `600`, `0660`, `0o666`.
pub(crate) fn parse_mode(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err(format!("{text:?} is no mode: give permission bits in octal, such as 600 or 660")),
    }
}

pub(crate) fn name_parser() -> ValueParser {
    ValueParser::new(parse_name)
}

/// How `send` and `recv` come to a ring.
#[derive(clap::Args)]
pub(crate) struct JoinArgs {
    /// The ring. If there is none, it is made, and removed again when both sides have ended.
    #[arg(value_parser = name_parser())]
    pub(crate) name: Name,

    /// Bytes in flight at most, if the ring has to be made: a number with K, M or G.
    #[arg(long, value_name = "SIZE", default_value = "4M", value_parser = parse_size)]
    pub(crate) capacity: usize,

    /// Permissions in octal, if the ring has to be made.
    #[arg(long, value_name = "OCTAL", default_value = "600", value_parser = parse_mode)]
    pub(crate) mode: u32,

    /// Trust a ring that this user (a number) has made. May be given several times.
    #[arg(long, value_name = "UID")]
    pub(crate) allow_user: Vec<u32>,

    /// What to do while there is nothing to do: look for a while and then sleep, look all the time
    /// (takes a core), let others run in between, or sleep at once.
    #[arg(long, value_name = "HOW", value_enum, default_value = "adaptive")]
    pub(crate) wait: Wait,
}

/// [`WaitStrategy`] on the command line.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Wait {
    Adaptive,
    BusySpin,
    Yield,
    Sleep,
}

impl From<Wait> for WaitStrategy {
    fn from(wait: Wait) -> Self {
        match wait {
            Wait::Adaptive => Self::Adaptive,
            Wait::BusySpin => Self::BusySpin,
            Wait::Yield => Self::Yield,
            Wait::Sleep => Self::Sleep,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("64K"), Ok(65_536));
        assert_eq!(parse_size("1m"), Ok(1 << 20));
        assert_eq!(parse_size("2GiB"), Ok(2 << 30));
        for bad in ["", "K", "0", "-1", "1.5M", "1T", "99999999999G", "1 M"] {
            assert!(parse_size(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn modes() {
        assert_eq!(parse_mode("600"), Ok(0o600));
        assert_eq!(parse_mode("0o660"), Ok(0o660));
        for bad in ["", "888", "1777", "rw", "-1"] {
            assert!(parse_mode(bad).is_err(), "{bad:?}");
        }
    }
}
