//! Frames of 1 MiB, built by some cameras and looked at by some viewers, without a copy, and held for as
//! long as each likes: nobody waits for a slow viewer.
//!
//! Threads here, to keep it short; processes do the same with the same calls.
//!
//! ```text
//! cargo run --release --example frames
//! ```

use segring::{RingError, mpmc};
use std::error::Error;
use std::time::{Duration, Instant};

/// One picture, 1 MiB.
type Frame = [u8; 1 << 20];

const CAMERAS: u64 = 2;
const VIEWERS: u64 = 3;
const FRAMES: u64 = 300;

fn camera(ring: &mpmc::Ring<Frame>, number: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
    // SAFETY: the ring is private to this process, which writes into it through segring only.
    let mut tx = unsafe { ring.producer()?.trust_peers() };
    for i in 0..FRAMES {
        let mut frame = tx.slot()?;
        // The slot holds some older frame: every byte is written.
        frame.fill((number * FRAMES + i) as u8);
        frame[..8].copy_from_slice(&(number * FRAMES + i).to_le_bytes());
        frame.publish_timeout(None)?;
    }
    Ok(())
}

/// Looks at frames until there are no more: how many, and the sum of their numbers.
fn viewer(ring: &mpmc::Ring<Frame>, number: u64) -> Result<(u64, u64), Box<dyn Error + Send + Sync>> {
    // SAFETY: as above.
    let mut rx = unsafe { ring.consumer()?.trust_peers() };
    let (mut seen, mut sum) = (0, 0);
    loop {
        let frame = match rx.take() {
            Ok(frame) => frame,
            Err(RingError::Closed) => return Ok((seen, sum)),
            Err(error) => return Err(error.into()),
        };
        if number == 0 {
            // A slow one. The others take what it does not get to.
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut first = [0; 8];
        first.copy_from_slice(&frame[..8]);
        let number = u64::from_le_bytes(first);
        if frame[8] != number as u8 || frame[frame.len() - 1] != number as u8 {
            return Err("a torn frame".into());
        }
        (seen, sum) = (seen + 1, sum + number);
        frame.release();
    }
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let ring = mpmc::Ring::<Frame>::builder(segring::Name::private()).capacity(4).seats(8).create()?;
    // Nobody new can come by name, and nothing stays behind whatever happens.
    ring.remove()?;
    // As long as this one is there, viewers are not told that all cameras have left.
    let mut closer = ring.producer()?;
    let started = Instant::now();
    let (seen, sum) = std::thread::scope(|scope| {
        let cameras: Vec<_> = (0..CAMERAS)
            .map(|i| {
                scope.spawn({
                    let ring = &ring;
                    move || camera(ring, i)
                })
            })
            .collect();
        let viewers: Vec<_> = (0..VIEWERS)
            .map(|i| {
                scope.spawn({
                    let ring = &ring;
                    move || viewer(ring, i)
                })
            })
            .collect();
        for camera in cameras {
            camera.join().map_err(|_| "a camera panicked")??;
        }
        closer.close()?;
        let mut all = (0, 0);
        for (i, viewer) in viewers.into_iter().enumerate() {
            let (seen, sum) = viewer.join().map_err(|_| "a viewer panicked")??;
            println!("viewer {i} saw {seen} frames");
            all = (all.0 + seen, all.1 + sum);
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(all)
    })?;
    let frames = CAMERAS * FRAMES;
    if (seen, sum) != (frames, frames * (frames - 1) / 2) {
        return Err(format!("{seen} of {frames} frames seen").into());
    }
    println!("{frames} frames of 1 MiB in {:.0?}, each seen once", started.elapsed());
    Ok(())
}
