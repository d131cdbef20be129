//! Prints the lines that the example `write` writes.
//!
//! Kill it with `kill -9` and start it again: no line is lost, and none is printed twice, except
//! perhaps the one that it was about to print.

use segring::{RingError, spsc};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
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
