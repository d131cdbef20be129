//! What can be seen of a ring from outside.

use crate::layout::cursors::CLOSED;
use crate::layout::header::{FEATURE_EPHEMERAL, FEATURE_HUGE, Kind};
use crate::layout::seat::Role;
use crate::layout::slot::Layout;
use crate::region::{Context, Error, Occupancy, Region};
use crate::ring::mpmc;
use crate::ring::spsc::{bytes, distance};
use crate::sync::{Ordering, fence};

/// Who sits on a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// Nobody ever has.
    NeverJoined,
    /// A live process, by its pid in its own PID namespace. While it is only just joining, 0 or the
    /// pid of its predecessor.
    Live {
        /// The process.
        pid: u32,
    },
    /// The last one left by itself.
    Left,
    /// The last one ended without leaving: killed, or exited with a live handle.
    Died,
    /// The semaphore set is gone.
    Unknown,
}

/// A snapshot of a ring. The numbers are read one after the other while others work, so they need
/// not belong to one instant; each is right for some instant during the call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// The name in the header.
    pub name: String,
    /// The schema in the header; empty if none was given.
    pub schema: String,
    /// The System V key; 0 for a private or removed ring.
    pub key: i32,
    /// The kernel's id of the segment.
    pub shm_id: i32,
    /// The kernel's id of the semaphore set.
    pub sem_id: i32,
    /// What kind of ring.
    pub kind: Kind,
    /// Where commit marks are kept.
    pub layout: Layout,
    /// Messages, or bytes on an SPSC byte ring. With [`Layout::Inline`] entries: `len` may be more, as a batch
    /// takes one.
    pub capacity: u64,
    /// Size of one message in bytes; 1 on an SPSC byte ring, the longest record on an exchange ring's.
    pub payload_size: u64,
    /// Bytes of the segment.
    pub bytes: u64,
    /// Messages committed since the ring was created. On a stamped ring it may lag behind a slice
    /// that is being pushed. With [`Layout::Inline`] a batch of them counts as one here, and not in `len`.
    pub pushed: u64,
    /// Messages released since the ring was created. See `pushed`.
    pub popped: u64,
    /// Messages in the ring. With [`Layout::Inline`] up to 64 for each entry, so it may be more than `capacity`.
    pub len: u64,
    /// The producer has closed it.
    pub closed: bool,
    /// Its name is gone.
    pub removed: bool,
    /// It goes when the last one leaves.
    pub ephemeral: bool,
    /// It is made of huge pages.
    pub huge_pages: bool,
    /// Permission bits.
    pub mode: u32,
    /// The segment's owner.
    pub uid: u32,
    /// Attached processes, this one included.
    pub attached: u64,
    /// The producer's seat. With many seats: a live producer if there is one (its pid is not told then: 0),
    /// else what became of them, `Died` if any of them did.
    pub producer: Peer,
    /// The same for consumers.
    pub consumer: Peer,
    /// Live producers.
    pub producers: u32,
    /// Live consumers.
    pub consumers: u32,
    /// Seats: 2 on an SPSC ring.
    pub seats: u32,
    /// Messages that a consumer may hold at once; 0 on an SPSC ring, where it is not counted.
    pub in_hand: u32,
    /// Messages that consumers hold, dead or alive. 0 on an SPSC ring.
    pub held: u64,
    /// Seats whose holders are dead or have left messages behind, and that nobody has seen to yet. 0 on an
    /// SPSC ring.
    pub unclean: u32,
}

/// Seat numbers of an SPSC ring.
pub(crate) const PRODUCER_SEAT: u32 = 0;
pub(crate) const CONSUMER_SEAT: u32 = 1;

fn peer(region: &Region, seat: u32, cx: &Context<'_>) -> Result<Peer, Error> {
    let occupancy = region.occupancy(seat, false).map_err(|e| cx.os("semctl(GETVAL)", e))?;
    Ok(match occupancy {
        Occupancy::Never => Peer::NeverJoined,
        Occupancy::Live { pid } => Peer::Live { pid },
        Occupancy::Left { .. } => Peer::Left,
        Occupancy::Dead { .. } => Peer::Died,
        Occupancy::NoSet => Peer::Unknown,
    })
}

/// Messages committed and released. Right after each other, the released ones first, so that the
/// difference is never negative while others work.
pub(crate) fn positions(region: &Region) -> Option<(u64, u64)> {
    let cursors = region.cursors();
    let (pushed, popped) = match region.geometry().shape.kind {
        Kind::Spsc => {
            // The consumer's count first; the producer's can only be further then. Relaxed, then a
            // fence: the mapping may be read-only, where a load must be Relaxed.
            let popped = cursors.consumer.cursor.load(Ordering::Relaxed);
            // Acquire: keeps the two loads in order.
            fence(Ordering::Acquire);
            let pushed = cursors.producer.cursor.load(Ordering::Relaxed);
            // A stamped ring's tail is a hint, which the consumer may have overtaken.
            (pushed.max(popped), popped)
        }
        Kind::SpscBytes => {
            let (_, popped) = bytes::progress(&cursors.consumer).ok()?;
            let (_, pushed) = bytes::progress(&cursors.producer).ok()?;
            (pushed, popped)
        }
        Kind::Mpmc | Kind::MpmcBytes => {
            let slots = region.with_exchange_view(|view| mpmc::progress(view).ok());
            let progress = slots.or_else(|| region.with_inline_view(|view| mpmc::progress(view).ok()));
            progress.flatten()?
        }
    };
    Some((pushed, popped))
}

/// Looks at two cursors that do not fit together before giving up.
const LOOKS: u32 = 100;

/// Messages in the ring: never more than fit.
pub(crate) fn len(region: &Region) -> u64 {
    let inline = region.with_inline_view(|view| {
        let (tail, head) = mpmc::progress(view).ok()?;
        Some(mpmc::inline::count(view, tail, head))
    });
    if let Some(len) = inline {
        return len.unwrap_or_default();
    }
    let shape = region.geometry().shape;
    let most = match shape.kind {
        Kind::Spsc | Kind::Mpmc | Kind::MpmcBytes => shape.capacity,
        // A record takes 8 bytes at least.
        Kind::SpscBytes => shape.capacity / 8,
    };
    for _ in 0..LOOKS {
        let Some((pushed, popped)) = positions(region) else { return 0 };
        // More than fit: both sides have moved on between the two looks.
        if let Ok(len) = distance(popped, pushed, most) {
            return len;
        }
    }
    most
}

/// Whether there is no message now.
pub(crate) fn is_empty(region: &Region) -> bool {
    positions(region).is_none_or(|(pushed, popped)| pushed == popped)
}

/// Everything at once. Must not be called in a forked child.
pub(crate) fn collect(region: &Region) -> Result<Stats, Error> {
    let cx = Context::new(region.name());
    if !region.is_mine() {
        return Err(Error::Forked { ring: cx.ring() });
    }
    let stat = region.stat().map_err(|e| cx.os("shmctl(IPC_STAT)", e))?;
    let shape = region.geometry().shape;
    let header = region.header();
    let (pushed, popped) = positions(region).ok_or(Error::Corrupt { ring: cx.ring() })?;
    let sides = sides(region, &cx)?;
    // Relaxed: a snapshot.
    let flags = region.cursors().state.flags.load(Ordering::Relaxed);
    Ok(Stats {
        name: header.name().unwrap_or_default().to_owned(),
        schema: header.schema().unwrap_or_default().to_owned(),
        key: if stat.removed { 0 } else { stat.key },
        shm_id: region.shm_id(),
        sem_id: header.sem_id,
        kind: shape.kind,
        layout: shape.layout,
        capacity: shape.capacity,
        payload_size: shape.payload_size,
        bytes: stat.size as u64,
        pushed,
        popped,
        len: len(region),
        closed: flags & CLOSED != 0,
        removed: stat.removed,
        ephemeral: header.features & FEATURE_EPHEMERAL != 0,
        huge_pages: header.features & FEATURE_HUGE != 0,
        mode: stat.mode,
        uid: stat.uid,
        attached: stat.attached,
        producer: sides.producer,
        consumer: sides.consumer,
        producers: sides.producers,
        consumers: sides.consumers,
        seats: shape.seats,
        in_hand: shape.in_hand,
        held: sides.held,
        unclean: sides.unclean,
    })
}

/// Who is there.
struct Sides {
    producer: Peer,
    consumer: Peer,
    producers: u32,
    consumers: u32,
    held: u64,
    unclean: u32,
}

fn sides(region: &Region, cx: &Context<'_>) -> Result<Sides, Error> {
    if !region.geometry().shape.kind.is_mpmc() {
        let (producer, consumer) = (peer(region, PRODUCER_SEAT, cx)?, peer(region, CONSUMER_SEAT, cx)?);
        let live = |peer| u32::from(matches!(peer, Peer::Live { .. }));
        let (producers, consumers) = (live(producer), live(consumer));
        return Ok(Sides { producer, consumer, producers, consumers, held: 0, unclean: 0 });
    }
    let held = region.with_exchange_view(|view| {
        (0..view.hand_count()).filter(|hand| mpmc::repair::holds(view, *hand)).count() as u64
    });
    let held = held.unwrap_or_default();
    let survey = region.survey(false).map_err(|e| cx.os("semctl(GETALL)", e))?;
    let known = survey.is_some();
    let survey = survey.unwrap_or_default();
    let side = |role| match survey.live(role) {
        _ if !known => Peer::Unknown,
        // Relaxed: a snapshot.
        0 if region.attendance(role).joined.load(Ordering::Relaxed) == 0 => Peer::NeverJoined,
        0 if survey.died(role) => Peer::Died,
        0 => Peer::Left,
        _ => Peer::Live { pid: 0 },
    };
    Ok(Sides {
        producer: side(Role::Producer),
        consumer: side(Role::Consumer),
        producers: survey.producers,
        consumers: survey.consumers,
        held,
        unclean: survey.unclean.len() as u32,
    })
}
