//! Embedding: a service that takes orders from a ring, survives its clients, and shuts down cleanly.
//!
//! ```text
//! cargo run --example service                 # in one shell, first; end it with Ctrl-C
//! cargo run --example service -- client 1000  # in another, as often as you like, also killed
//! ```

use segring::{RingError, spsc};
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zerocopy::{FromBytes, Immutable, IntoBytes};

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Order {
    number: u64,
    amount: u64,
}

fn builder() -> segring::Builder<spsc::Ring<Order>> {
    spsc::Ring::builder("orders").capacity(1024).schema("order.v1")
}

fn client(orders: u64) -> Result<(), Box<dyn Error>> {
    let ring = builder().attach()?;
    let mut tx = ring.producer()?;
    // Where the last client stopped, however it ended.
    let first = tx.position();
    for number in first..first + orders {
        // The order comes back when the service goes; pushing it again waits for the next one.
        while let Err(rejected) = tx.push(Order { number, amount: number * 3 }) {
            match rejected.error {
                RingError::PeerGone { .. } => eprintln!("the service is gone; waiting for it"),
                error => return Err(error.into()),
            }
        }
    }
    println!("sent orders {first} to {}", first + orders);
    Ok(())
}

fn service() -> Result<(), Box<dyn Error>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    // A ring that an earlier run of this service left (it was killed) is taken over as it is.
    let ring = builder().create_or_attach()?;
    let mut rx = ring.consumer()?;
    println!("waiting for orders from number {}; Ctrl-C ends", rx.position());
    let (mut handled, mut total) = (0u64, 0u64);
    while !stop.load(Ordering::Relaxed) {
        // The time-out is how often the flag is looked at; a message is taken at once.
        match rx.pop_timeout(Duration::from_millis(200)) {
            Ok(order) => {
                handled += 1;
                total += order.amount;
            }
            Err(RingError::TimedOut) => {}
            Err(RingError::PeerGone { died }) => {
                let how = if died { "was killed" } else { "is done" };
                println!("a client {how}; {handled} orders so far, {total} in all");
            }
            Err(error) => return Err(error.into()),
        }
    }
    println!("stopping: {handled} orders handled, {} still in the ring", ring.len());
    // A service that will be started again would leave the ring, and what is in it, in place.
    ring.remove()?;
    Ok(())
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("client") => client(args.next().map_or(Ok(1000), |n| n.parse())?),
        _ => service(),
    }
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
