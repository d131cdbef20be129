//! Frames of 1 MiB that are built where they will be read: no copy at all.
//!
//! One process, two threads, to keep it short; two processes do the same with the same calls.
//!
//! ```text
//! cargo run --release --example in_place
//! ```

use segring::{RingError, spsc};
use std::error::Error;
use std::time::Instant;

/// One picture, 1 MiB.
type Frame = [u8; 1 << 20];

const FRAMES: u64 = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let ring = spsc::Ring::<Frame>::builder(segring::Name::private()).capacity(4).create()?;
    let (tx, rx) = (ring.producer()?, ring.consumer()?);
    // Nobody new can come now, and nothing stays behind whatever happens.
    ring.remove()?;

    // SAFETY: the ring is private to this process: nobody writes into it but these two handles.
    let mut tx = unsafe { tx.trust_peers() };
    // SAFETY: as above.
    let mut rx = unsafe { rx.trust_peers() };
    let started = Instant::now();

    let camera = std::thread::spawn(move || -> Result<(), RingError> {
        for number in 0..FRAMES {
            tx.wait_for_room(None)?;
            let mut grant = tx.reserve(1)?;
            for frame in grant.iter_mut() {
                // The slot still holds an older frame: every byte is written.
                frame.fill(number as u8);
                frame[..8].copy_from_slice(&number.to_le_bytes());
            }
            grant.commit(1);
        }
        tx.close();
        Ok(())
    });

    let mut expected = 0u64;
    loop {
        match rx.wait_for_message(None) {
            Ok(()) => {}
            Err(RingError::Closed) => break,
            Err(error) => return Err(error.into()),
        }
        // Each frame is given back as the next one is asked for.
        let mut frames = rx.read(4)?.releasing();
        while let Some(frame) = frames.next() {
            assert_eq!(frame[..8], expected.to_le_bytes());
            assert!(frame[8..].iter().all(|byte| *byte == expected as u8));
            expected += 1;
        }
    }
    camera.join().expect("the camera does not panic")?;
    println!("{expected} frames of 1 MiB in {:?}, none of them copied", started.elapsed());
    Ok(())
}
