//! Writes the lines of standard input into the ring that the example `create` made.
//!
//! Kill it with `kill -9` and start it again: it goes on where it was.

use segring::spsc;
use std::error::Error;
use std::io::BufRead;

fn main() -> Result<(), Box<dyn Error>> {
    let ring = spsc::Ring::<[u8; 80]>::builder("textbook").schema("text.v1").attach()?;
    let mut tx = ring.producer()?;
    println!("{} lines were written before me; type lines, end with Ctrl-D", tx.position());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut message = [0; 80];
        let n = line.len().min(80);
        message[..n].copy_from_slice(&line.as_bytes()[..n]);
        // Waits while the reader is 64 lines behind.
        tx.push(message)?;
    }
    Ok(())
}
