//! The textbook's `shmget`, done right: makes a ring for the examples `write` and `read`.
//!
//! ```text
//! cargo run --example create                  # once
//! cargo run --example read                    # in one shell
//! cargo run --example write                   # in another
//! cargo run --example create -- remove        # at the end
//! ```

use segring::{Error, spsc};
use std::process::ExitCode;

fn run() -> Result<(), Error> {
    if std::env::args().nth(1).as_deref() == Some("remove") {
        segring::remove("textbook")?;
        println!("removed");
        return Ok(());
    }
    // 80 bytes of text per message, as textbooks have it.
    let ring = spsc::Ring::<[u8; 80]>::builder("textbook").capacity(64).schema("text.v1").create()?;
    println!("made a ring of {} messages, shmid {}; `ipcs -m -s` shows it", ring.capacity(), ring.id());
    println!("it stays until `create -- remove`: System V objects outlive their programs");
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
