//! Writes the lines of standard input into the ring that the example `create` made.
//!
//! ```text
//! cargo run --example write        # after `create`; beside `read`
//! ```
//! Kill it with `kill -9` and start it again: it goes on where it was. Lines are cut at 80 bytes.

use segring::{RingError, spsc};
use std::error::Error;
use std::io::BufRead;
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
    let mut tx = ring.producer()?;
    println!("{} lines were written before me; type lines, end with Ctrl-D", tx.position());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut message = [0; 80];
        let n = line.len().min(80);
        message[..n].copy_from_slice(&line.as_bytes()[..n]);
        // Waits while the reader is 64 lines behind. That a reader has gone is said once for each: the
        // message comes back, and pushing it again waits for the next reader.
        while let Err(rejected) = tx.push(message) {
            match rejected.error {
                RingError::PeerGone { .. } => eprintln!("(the reader is gone; waiting for another)"),
                error => return Err(error.into()),
            }
        }
    }
    Ok(())
}
