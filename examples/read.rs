//! Prints the lines that the example `write` writes.
//!
//! ```text
//! cargo run --example read         # after `create`; beside `write`
//! ```
//! Kill it with `kill -9` and start it again: no line is printed twice, and none is missing, except
//! perhaps the one that was popped and not yet printed. (`read` and `release`, in place, are for
//! "print first, then commit".)

use segring::{RingError, spsc};
use std::error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let ring = spsc::Ring::<[u8; 80]>::builder("textbook").schema("text.v1").attach()?;
    let mut rx = ring.consumer()?;
    println!("{} lines were read before me; waiting for lines, end with Ctrl-C", rx.position());
    loop {
        match rx.pop() {
            Ok(message) => {
                let text = String::from_utf8_lossy(&message);
                println!("{}: {}", rx.position(), text.trim_end_matches('\0'));
            }
            // Said once for each writer that goes; the next pop waits for another.
            Err(RingError::PeerGone { died }) => {
                println!("(the writer {})", if died { "was killed" } else { "has left" });
            }
            Err(RingError::Removed | RingError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
