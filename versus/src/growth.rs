//! How cost grows with the ring's capacity and with the length of a message.

use crate::table::digits;
use anyhow::{Context, Result};
use segring::{Name, RingError, Trusted, spsc};
use segring_bench::payload::{check_all, fill_all};
use segring_bench::{
    Catalogue, Cell, Channel, End, Ends, Keeper, Made, Measured, Mode, Processes, Receiver, Sender,
    Transport, TypedRing, blocks_of, median,
};
use std::fmt::{self, Write};
use std::rc::Rc;
use zerocopy::{FromBytes, IntoBytes};

/// Slots of the typed ring.
const CAPACITIES: [usize; 12] = [2, 4, 8, 16, 64, 256, 1024, 4096, 16384, 1 << 16, 1 << 18, 1 << 20];
/// Messages that go through it.
const SIZES: [usize; 3] = [8, 56, 1024];
/// Bytes of a record on the byte ring: whole blocks.
const LENGTHS: [usize; 10] = [64, 256, 1024, 4096, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24];
/// What a record is built of, and checked as.
type Block = [u64; 8];
const BLOCK: usize = size_of::<Block>();

/// A transport for each capacity and each length, which only [`cells`] asks for.
pub(crate) fn all() -> Vec<Transport> {
    let typed = CAPACITIES.iter().map(|&capacity| {
        let ring = TypedRing { capacity: Some(capacity), ..TypedRing::default() };
        ring.transport(format!("ring of {capacity}").leak(), &[])
    });
    let records = LENGTHS.iter().map(|&length| Transport {
        name: format!("records of {length}").leak(),
        modes: &[],
        api: |mode| if mode == Mode::InPlace { "reserve/read" } else { "push/pop" },
        copies: |mode| if mode == Mode::InPlace { 0 } else { 2 },
        many: &[],
        ends: Ends::Processes(Box::leak(Box::new(Records(length)))),
    });
    typed.chain(records).chain(LENGTHS.map(blocks_of)).collect()
}

/// What is measured, in the order of the tables.
pub(crate) fn cells(catalogue: &Catalogue) -> Vec<Cell> {
    let named = |wanted: String| catalogue.name(&wanted);
    let mut cells = Vec::new();
    for transport in CAPACITIES.iter().filter_map(|capacity| named(format!("ring of {capacity}"))) {
        cells.extend(SIZES.map(|size| Cell::one_to_one(transport, Mode::Single, size)));
        cells.push(Cell::one_to_one(transport, Mode::RoundTrip, 56));
    }
    for transport in LENGTHS.iter().filter_map(|length| named(format!("records of {length}"))) {
        cells.extend([Mode::Single, Mode::InPlace].map(|mode| Cell::one_to_one(transport, mode, BLOCK)));
    }
    for transport in LENGTHS.iter().filter_map(|length| named(format!("bare blocks of {length}"))) {
        cells.extend([Mode::Bulk, Mode::InPlace].map(|mode| Cell::one_to_one(transport, mode, BLOCK)));
    }
    cells
}

fn find<'a>(measured: &'a [Measured], transport: &str, mode: Mode, size: usize) -> Option<&'a Measured> {
    let same =
        |one: &&Measured| one.cell.transport == transport && (one.cell.mode, one.cell.size) == (mode, size);
    measured.iter().find(same)
}

/// What is made of the rates of a cell: median (min … max).
pub(crate) fn spread(one: Option<&Measured>, of: impl Fn(f64) -> f64) -> String {
    let mut values: Vec<f64> = one.map(Measured::rates).unwrap_or_default().into_iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    match (median(&values), values.first(), values.last()) {
        (Some(median), Some(&min), Some(&max)) => {
            format!("{} ({} … {})", digits(median), digits(min), digits(max))
        }
        _ => "-".to_owned(),
    }
}

/// The two tables.
pub(crate) fn report(measured: &[Measured]) -> Result<String, fmt::Error> {
    let mut out = String::from(
        "Medians (min … max).\n\nCapacity: M msg/s with one message per call, and round trips\n\n",
    );
    writeln!(out, "| slots | 8 bytes | 56 bytes | 1024 bytes | round trip, ns |\n|---|---|---|---|---|")?;
    for capacity in CAPACITIES {
        let name = format!("ring of {capacity}");
        write!(out, "| {capacity} ")?;
        for size in SIZES {
            write!(out, "| {} ", spread(find(measured, &name, Mode::Single, size), |rate| rate / 1e6))?;
        }
        let round_trips = find(measured, &name, Mode::RoundTrip, 56);
        writeln!(out, "| {} |", spread(round_trips, |rate| 1e9 / rate))?;
    }
    writeln!(out, "\nLength of a record on the byte ring, and bare blocks of that length: GB/s\n")?;
    writeln!(out, "| bytes | copied: records/s | GB/s | bare | in place: records/s | GB/s | bare |")?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for length in LENGTHS {
        let (records, blocks) = (format!("records of {length}"), format!("bare blocks of {length}"));
        write!(out, "| {length} ")?;
        for (mode, bare) in [(Mode::Single, Mode::Bulk), (Mode::InPlace, Mode::InPlace)] {
            let records = find(measured, &records, mode, BLOCK);
            let bare = find(measured, &blocks, bare, BLOCK);
            write!(
                out,
                "| {} | {} | {} ",
                spread(records, |rate| rate),
                spread(records, |rate| rate * length as f64 / 1e9),
                // The bare rows count blocks of 64 bytes.
                spread(bare, |rate| rate * BLOCK as f64 / 1e9),
            )?;
        }
        writeln!(out, "|")?;
    }
    Ok(out)
}

/// A byte ring with records of this length.
struct Records(usize);

struct RemovedRecords(spsc::ByteRing);

impl Drop for RemovedRecords {
    fn drop(&mut self) {
        if let Err(e) = self.0.remove() {
            eprintln!("versus: {e}");
        }
    }
}

impl Processes for Records {
    fn make(&self, _: Cell, keeper: &Rc<Keeper>) -> Result<Made> {
        // Four records at least, and what the short ones have elsewhere.
        let capacity = (4 * self.0).max(1 << 20);
        let ring = spsc::ByteRing::builder(Name::private()).capacity(capacity).prefault(true).create()?;
        let ring = RemovedRecords(ring);
        let stats = ring.0.stats()?;
        let kept = keeper.watch_ring(stats.shm_id, stats.sem_id)?;
        Ok(Made::Channel(Channel::by_ids(vec![ring.0.id()], vec![Box::new(ring), Box::new(kept)])))
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        let [id] = end.ids()?;
        let tx = spsc::ByteRing::builder(Name::id(id)).prefault(true).attach()?.producer()?;
        // SAFETY: the ring is private to one run, whose processes write into it through segring
        // only.
        let tx = unsafe { tx.trust_peers() };
        let record = vec![[0; 8]; self.0 / BLOCK];
        Ok(Box::new(RecordSender { tx, record, in_place: cell.mode == Mode::InPlace }))
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        let [id] = end.ids()?;
        let rx = spsc::ByteRing::builder(Name::id(id)).prefault(true).attach()?.consumer()?;
        // SAFETY: as the sender's.
        let rx = unsafe { rx.trust_peers() };
        let record = Vec::with_capacity(self.0);
        Ok(Box::new(RecordReceiver { rx, record, length: self.0, in_place: cell.mode == Mode::InPlace }))
    }
}

/// The first block of record `seq` of so many bytes.
fn first_block(seq: u64, length: usize) -> u64 {
    seq.wrapping_mul((length / BLOCK) as u64)
}

struct RecordSender {
    tx: Trusted<spsc::ByteProducer>,
    record: Vec<Block>,
    in_place: bool,
}

impl Sender for RecordSender {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let length = self.record.len() * BLOCK;
        let mut next = first;
        while next < first + n {
            if !self.in_place {
                fill_all(&mut self.record, first_block(next, length));
                self.tx.push(self.record.as_bytes()).context("push")?;
                next += 1;
                continue;
            }
            let mut grant = match self.tx.reserve(length) {
                Ok(grant) => grant,
                Err(RingError::Full) => {
                    self.tx.wait_for_room(length, None).context("wait_for_room")?;
                    continue;
                }
                Err(e) => return Err(e).context("reserve"),
            };
            let blocks =
                <[Block]>::mut_from_bytes(&mut grant).ok().context("a record is not whole blocks")?;
            fill_all(blocks, first_block(next, length));
            grant.commit(length);
            next += 1;
        }
        Ok(())
    }
}

fn whole_blocks(record: &[u8]) -> Result<&[Block]> {
    <[Block]>::ref_from_bytes(record).ok().context("a record is not whole blocks")
}

struct RecordReceiver {
    rx: Trusted<spsc::ByteConsumer>,
    record: Vec<u8>,
    length: usize,
    in_place: bool,
}

impl Receiver for RecordReceiver {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        let mut next = first;
        while next < first + n {
            if !self.in_place {
                self.rx.pop_into(&mut self.record).context("pop_into")?;
                check_all(whole_blocks(&self.record)?, first_block(next, self.length))?;
                next += 1;
                continue;
            }
            let grant = match self.rx.read() {
                Ok(grant) => grant,
                Err(RingError::Empty) => {
                    self.rx.wait_for_message(None).context("wait_for_message")?;
                    continue;
                }
                Err(e) => return Err(e).context("read"),
            };
            check_all(whole_blocks(&grant)?, first_block(next, self.length))?;
            grant.release();
            next += 1;
        }
        Ok(())
    }
}
