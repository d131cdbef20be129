//! The bytes of version 0.3, one by one: header, seats, cursors and slots of a ring of each layout,
//! read by raw `shmat`. A test that fails here has found a change of the format, which needs a new
//! version number, and a new line in `docs/layout.md`.

mod common;
#[path = "common/raw.rs"]
mod raw;

use common::TestName;
use raw::RawSegment;
use segring::{Layout, mpmc, spsc};
use std::fmt::Write;

// 0000: magic, ready, ABI 0.3; 0010: features, kind, layout, seats; 0020: capacity, slots; 0030: stride,
// payload size; 0040: alignment; 0050: lengths of name and schema; 0060: offsets of seats, cursors,
// entries, slots; 0080: all bytes, generation of the set; 01e8: schema; 0400, 0480: seats; 0500, 0580,
// 0600: producer, consumer, state; 1000: slots. On an exchange ring also 00a0: hands of a seat, and their offset.

/// Fields whose values differ from run to run, as (offset, length): compared by other means.
const VARIABLE: [(usize, usize); 7] = [
    (68, 4),    // sem_id
    (72, 4),    // key
    (76, 4),    // creator_uid
    (80, 4),    // creator_pid
    (84, 2),    // name_len
    (88, 8),    // created_at
    (616, 256), // name
];

/// All of the segment, sixteen bytes a line; lines of zeros are left out, and lines equal to the one
/// before are told by a star.
fn dump(raw: &RawSegment) -> String {
    let mut bytes = raw.bytes(0, raw.len);
    for (at, len) in VARIABLE {
        bytes[at..at + len].fill(0);
    }
    for seat in [1024, 1152] {
        // pid, start time, PID namespace, image, time: all but the state.
        bytes[seat + 8..seat + 48].fill(0);
    }
    let mut text = String::new();
    let mut before: &[u8] = &[];
    for (i, line) in bytes.chunks(16).enumerate() {
        if line.iter().all(|b| *b == 0) {
        } else if line == before {
            if !text.ends_with("*\n") {
                text.push_str("*\n");
            }
        } else {
            write!(text, "{:04x}:", i * 16).unwrap();
            line.iter().for_each(|b| write!(text, " {b:02x}").unwrap());
            text.push('\n');
        }
        before = line;
    }
    text
}

/// The variable fields say what the kernel and this process say.
fn check_variable(raw: &RawSegment, name: &TestName, sem_id: i32) {
    let u32_at = |at| u32::from_le_bytes(raw.get(at));
    assert_eq!(raw.get_i32(68), sem_id);
    assert_eq!(raw.get_i32(72), name.key());
    let stat = raw::shm_stat(raw.id).unwrap();
    assert_eq!(u32_at(76), stat.shm_perm.cuid);
    assert_eq!(u32_at(80), std::process::id());
    assert!(raw.get_u64(88) > 1_600_000_000_000_000_000, "nanoseconds since 1970");
    let len = usize::from(u16::from_le_bytes(raw.get(84)));
    assert_eq!(raw.bytes(616, len), name.as_str().as_bytes());
    assert!(raw.bytes(616 + len, 256 - len).iter().all(|b| *b == 0));
    let namespace = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata("/proc/self/ns/pid").unwrap());
    for seat in [1024, 1152] {
        assert_eq!(raw.get_u64(seat + 8), u64::from(std::process::id()));
        assert!(raw.get_u64(seat + 16) > 0, "start time");
        assert_eq!(raw.get_u64(seat + 24), namespace);
        assert!(raw.get_u64(seat + 32) != 0, "image");
        assert!(raw.get_u64(seat + 40) >= raw.get_u64(88), "joined after it was created");
    }
}

fn compare(raw: &RawSegment, golden: &str) {
    let found = dump(raw);
    let golden: String = golden.lines().map(|line| format!("{}\n", line.trim())).collect();
    assert!(found == golden.trim_start(), "the bytes are\n{found}not\n{golden}");
}

#[test]
fn a_stamped_ring() {
    let name = TestName::new("golden");
    let ring = spsc::Ring::<[u64; 2]>::builder(name.name()).capacity(4).schema("tick.v1").create().unwrap();
    assert_eq!(ring.layout(), Layout::Stamped);
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for i in 0..4 {
        tx.try_push([0xA0 + i, 0xB0 + i]).unwrap();
    }
    assert_eq!(rx.pop_slice(&mut [[0; 2]; 2]), Ok(2));
    tx.try_push([0xA4, 0xB4]).unwrap();
    let raw = RawSegment::attach(ring.id());
    check_variable(&raw, &name, ring.stats().unwrap().sem_id);
    compare(&raw, STAMPED);
}

#[test]
fn a_dense_ring() {
    let name = TestName::new("golden");
    let ring = spsc::Ring::<u64>::builder(name.name())
        .capacity(4)
        .layout(Layout::Dense)
        .ephemeral(true)
        .create()
        .unwrap();
    assert_eq!(ring.layout(), Layout::Dense);
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    assert_eq!(tx.push_slice(&[0x11, 0x22, 0x33]), Ok(3));
    assert_eq!(rx.try_pop(), Ok(0x11));
    assert_eq!(tx.push_slice(&[0x44, 0x55]), Ok(2));
    tx.close();
    drop(tx);
    let raw = RawSegment::attach(ring.id());
    check_variable(&raw, &name, ring.stats().unwrap().sem_id);
    compare(&raw, DENSE);
}

#[test]
fn a_byte_ring() {
    let name = TestName::new("golden");
    let ring = spsc::ByteRing::builder(name.name()).capacity(4096).create().unwrap();
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for record in [&b"hello"[..], b"", &[0xAB; 2000], &[0xCD; 2000]] {
        tx.push(record).unwrap();
    }
    for _ in 0..3 {
        rx.pop().unwrap();
    }
    // Four records take 16, 8, 2008 and 2008 bytes; the fifth does not fit before the wrap.
    tx.push(&[0xEF; 60]).unwrap();
    let raw = RawSegment::attach(ring.id());
    check_variable(&raw, &name, ring.stats().unwrap().sem_id);
    compare(&raw, BYTES);
}

#[test]
fn an_exchange_ring() {
    let name = TestName::new("golden");
    let ring = mpmc::Ring::<u64>::builder(name.name()).capacity(2).seats(2).in_hand(2).create().unwrap();
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for i in 0..33 {
        tx.try_push(0xA0 + i).unwrap();
        if i < 32 {
            rx.try_pop().unwrap();
        }
    }
    tx.close().unwrap();
    let raw = RawSegment::attach(ring.id());
    check_variable(&raw, &name, ring.stats().unwrap().sem_id);
    compare(&raw, EXCHANGE);
}

#[test]
fn an_inline_ring() {
    let name = TestName::new("golden");
    let ring = mpmc::Ring::<u64>::builder(name.name()).capacity(128).seats(2).create().unwrap();
    assert_eq!(ring.stats().unwrap().layout, Layout::Inline);
    let (mut tx, mut rx) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for i in 0..33 {
        tx.try_push(0xA0 + i).unwrap();
        assert_eq!(rx.try_pop(), Ok(0xA0 + i));
    }
    assert_eq!(tx.push_slice(&[0xB0, 0xB1, 0xB2, 0xB3, 0xB4]), Ok(5));
    let whole: Vec<u64> = (0..64).map(|i| 0xC000 + i / 32).collect();
    assert_eq!(tx.push_slice(&whole), Ok(64));
    tx.try_push(0xD0).unwrap();
    assert_eq!(rx.pop_slice(&mut [0; 2]), Ok(2));
    tx.close().unwrap();
    let raw = RawSegment::attach(ring.id());
    check_variable(&raw, &name, ring.stats().unwrap().sem_id);
    compare(&raw, INLINE);
}

/// Slots of 32 bytes: 16 of payload, and the stamp (position + 1) in the last eight. Message 4 has taken
/// the place of message 0.
const STAMPED: &str = "
    0000: 53 45 47 52 49 4e 47 00 01 00 ad 5e 00 00 03 00
    0010: 00 00 00 00 01 00 00 00 00 00 00 00 02 00 00 00
    0020: 04 00 00 00 00 00 00 00 04 00 00 00 00 00 00 00
    0030: 20 00 00 00 00 00 00 00 10 00 00 00 00 00 00 00
    0040: 08 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0050: 00 00 00 00 00 00 07 00 00 00 00 00 00 00 00 00
    0060: 00 04 00 00 00 00 00 00 00 05 00 00 00 00 00 00
    0070: 00 00 00 00 00 00 00 00 00 10 00 00 00 00 00 00
    0080: 00 20 00 00 00 00 00 00 02 00 00 00 00 00 00 00
    01e0: 00 00 00 00 00 00 00 00 74 69 63 6b 2e 76 31 00
    0400: 01 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00
    0430: 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0480: 01 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00
    04b0: 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0500: 05 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0580: 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    1000: a4 00 00 00 00 00 00 00 b4 00 00 00 00 00 00 00
    1010: 00 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00
    1020: a1 00 00 00 00 00 00 00 b1 00 00 00 00 00 00 00
    1030: 00 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00
    1040: a2 00 00 00 00 00 00 00 b2 00 00 00 00 00 00 00
    1050: 00 00 00 00 00 00 00 00 03 00 00 00 00 00 00 00
    1060: a3 00 00 00 00 00 00 00 b3 00 00 00 00 00 00 00
    1070: 00 00 00 00 00 00 00 00 04 00 00 00 00 00 00 00
";

/// Slots of 8 bytes; the producer has closed the ring (600) and left (400).
const DENSE: &str = "
    0000: 53 45 47 52 49 4e 47 00 01 00 ad 5e 00 00 03 00
    0010: 01 00 00 00 01 00 00 00 01 00 00 00 02 00 00 00
    0020: 04 00 00 00 00 00 00 00 04 00 00 00 00 00 00 00
    0030: 08 00 00 00 00 00 00 00 08 00 00 00 00 00 00 00
    0040: 08 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0060: 00 04 00 00 00 00 00 00 00 05 00 00 00 00 00 00
    0070: 00 00 00 00 00 00 00 00 00 10 00 00 00 00 00 00
    0080: 00 20 00 00 00 00 00 00 02 00 00 00 00 00 00 00
    0400: 02 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00
    0430: 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0480: 01 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00
    04b0: 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0500: 05 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0580: 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0600: 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    1000: 55 00 00 00 00 00 00 00 22 00 00 00 00 00 00 00
    1010: 33 00 00 00 00 00 00 00 44 00 00 00 00 00 00 00
";

/// Length and payload, padding (ff) at the wrap, and the ledgers of both sides (508, 588).
const BYTES: &str = "
    0000: 53 45 47 52 49 4e 47 00 01 00 ad 5e 00 00 03 00
    0010: 00 00 00 00 02 00 00 00 01 00 00 00 02 00 00 00
    0020: 00 10 00 00 00 00 00 00 00 10 00 00 00 00 00 00
    0030: 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00
    0040: 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0060: 00 04 00 00 00 00 00 00 00 05 00 00 00 00 00 00
    0070: 00 00 00 00 00 00 00 00 00 10 00 00 00 00 00 00
    0080: 00 20 00 00 00 00 00 00 02 00 00 00 00 00 00 00
    0400: 01 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00
    0430: 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0480: 01 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00
    04b0: 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0500: 48 10 00 00 00 00 00 00 c8 0f 00 00 00 00 00 00
    0510: 04 00 00 00 00 00 00 00 48 10 00 00 00 00 00 00
    0520: 05 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0580: f0 07 00 00 00 00 00 00 18 00 00 00 00 00 00 00
    0590: 02 00 00 00 00 00 00 00 f0 07 00 00 00 00 00 00
    05a0: 03 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    1000: 3c 00 00 00 00 00 00 00 ef ef ef ef ef ef ef ef
    1010: ef ef ef ef ef ef ef ef ef ef ef ef ef ef ef ef
    *
    1040: ef ef ef ef ab ab ab ab ab ab ab ab ab ab ab ab
    1050: ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab
    *
    17f0: d0 07 00 00 00 00 00 00 cd cd cd cd cd cd cd cd
    1800: cd cd cd cd cd cd cd cd cd cd cd cd cd cd cd cd
    *
    1fc0: cd cd cd cd cd cd cd cd ff ff ff ff ff ff ff ff
";

/// The hands of both seats (680, 780; those that are never used: 700, 800), two entries (880), six slots.
/// Both hints are 32: they are moved once in 32 positions.
const EXCHANGE: &str = "
    0000: 53 45 47 52 49 4e 47 00 01 00 ad 5e 00 00 03 00
    0010: 00 00 00 00 03 00 00 00 01 00 00 00 02 00 00 00
    0020: 02 00 00 00 00 00 00 00 06 00 00 00 00 00 00 00
    0030: 40 00 00 00 00 00 00 00 08 00 00 00 00 00 00 00
    0040: 08 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0060: 00 04 00 00 00 00 00 00 00 05 00 00 00 00 00 00
    0070: 80 08 00 00 00 00 00 00 00 10 00 00 00 00 00 00
    0080: 00 20 00 00 00 00 00 00 02 00 00 00 00 00 00 00
    00a0: 02 00 00 00 00 00 00 00 80 06 00 00 00 00 00 00
    0400: 01 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00
    0430: 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0480: 01 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00
    04b0: 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0500: 20 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0580: 20 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0600: 01 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00
    0610: 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00
    0620: 00 00 00 00 02 00 00 00 00 00 00 00 00 00 00 00
    0680: 00 00 80 40 00 00 00 00 00 00 80 40 00 00 00 00
    0700: 03 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0780: 04 00 00 3f 00 00 00 00 04 00 00 3f 00 00 00 00
    0790: 04 00 00 3f 00 00 00 00 00 00 00 00 00 00 00 00
    0800: 05 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0880: 02 00 00 21 00 00 00 00 01 00 80 20 00 00 00 00
    1000: 03 00 00 00 00 00 00 00 bd 00 00 00 00 00 00 00
    1040: 03 00 00 00 00 00 00 00 be 00 00 00 00 00 00 00
    1080: 01 00 00 00 00 00 00 00 c0 00 00 00 00 00 00 00
    10c0: 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    1100: 01 00 00 00 00 00 00 00 bf 00 00 00 00 00 00 00
    1140: 04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
";

/// Two lines of notes (680, 700: never used), of positions 33 and 34; 128 entries of 16 bytes (780), four blocks
/// (1000). 33 entries are in lap 1, with the values they had in lap 0; of a batch of five in block 0 three are
/// left; block 1 has 64; a message; the mark of closing.
const INLINE: &str = "
    0000: 53 45 47 52 49 4e 47 00 01 00 ad 5e 00 00 03 00
    0010: 04 00 00 00 03 00 00 00 02 00 00 00 02 00 00 00
    0020: 80 00 00 00 00 00 00 00 04 00 00 00 00 00 00 00
    0030: 00 02 00 00 00 00 00 00 08 00 00 00 00 00 00 00
    0040: 08 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0060: 00 04 00 00 00 00 00 00 00 05 00 00 00 00 00 00
    0070: 80 07 00 00 00 00 00 00 00 10 00 00 00 00 00 00
    0080: 00 20 00 00 00 00 00 00 02 00 00 00 00 00 00 00
    00a0: 00 00 00 00 00 00 00 00 80 06 00 00 00 00 00 00
    0400: 01 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00
    0430: 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0480: 01 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00
    04b0: 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0500: 20 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0580: 20 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    0600: 01 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00
    0610: 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00
    0620: 00 00 00 00 02 00 00 00 00 00 00 00 00 00 00 00
    0680: 22 00 00 00 00 00 00 00 23 00 00 00 00 00 00 00
    0780: 00 00 00 02 00 00 00 00 a0 00 00 00 00 00 00 00
    0790: 00 00 00 02 00 00 00 00 a1 00 00 00 00 00 00 00
    07a0: 00 00 00 02 00 00 00 00 a2 00 00 00 00 00 00 00
    07b0: 00 00 00 02 00 00 00 00 a3 00 00 00 00 00 00 00
    07c0: 00 00 00 02 00 00 00 00 a4 00 00 00 00 00 00 00
    07d0: 00 00 00 02 00 00 00 00 a5 00 00 00 00 00 00 00
    07e0: 00 00 00 02 00 00 00 00 a6 00 00 00 00 00 00 00
    07f0: 00 00 00 02 00 00 00 00 a7 00 00 00 00 00 00 00
    0800: 00 00 00 02 00 00 00 00 a8 00 00 00 00 00 00 00
    0810: 00 00 00 02 00 00 00 00 a9 00 00 00 00 00 00 00
    0820: 00 00 00 02 00 00 00 00 aa 00 00 00 00 00 00 00
    0830: 00 00 00 02 00 00 00 00 ab 00 00 00 00 00 00 00
    0840: 00 00 00 02 00 00 00 00 ac 00 00 00 00 00 00 00
    0850: 00 00 00 02 00 00 00 00 ad 00 00 00 00 00 00 00
    0860: 00 00 00 02 00 00 00 00 ae 00 00 00 00 00 00 00
    0870: 00 00 00 02 00 00 00 00 af 00 00 00 00 00 00 00
    0880: 00 00 00 02 00 00 00 00 b0 00 00 00 00 00 00 00
    0890: 00 00 00 02 00 00 00 00 b1 00 00 00 00 00 00 00
    08a0: 00 00 00 02 00 00 00 00 b2 00 00 00 00 00 00 00
    08b0: 00 00 00 02 00 00 00 00 b3 00 00 00 00 00 00 00
    08c0: 00 00 00 02 00 00 00 00 b4 00 00 00 00 00 00 00
    08d0: 00 00 00 02 00 00 00 00 b5 00 00 00 00 00 00 00
    08e0: 00 00 00 02 00 00 00 00 b6 00 00 00 00 00 00 00
    08f0: 00 00 00 02 00 00 00 00 b7 00 00 00 00 00 00 00
    0900: 00 00 00 02 00 00 00 00 b8 00 00 00 00 00 00 00
    0910: 00 00 00 02 00 00 00 00 b9 00 00 00 00 00 00 00
    0920: 00 00 00 02 00 00 00 00 ba 00 00 00 00 00 00 00
    0930: 00 00 00 02 00 00 00 00 bb 00 00 00 00 00 00 00
    0940: 00 00 00 02 00 00 00 00 bc 00 00 00 00 00 00 00
    0950: 00 00 00 02 00 00 00 00 bd 00 00 00 00 00 00 00
    0960: 00 00 00 02 00 00 00 00 be 00 00 00 00 00 00 00
    0970: 00 00 00 02 00 00 00 00 bf 00 00 00 00 00 00 00
    0980: 00 00 00 02 00 00 00 00 c0 00 00 00 00 00 00 00
    0990: 00 00 03 01 00 00 00 00 00 00 00 00 00 00 00 00
    09a0: 01 00 40 01 00 00 00 00 00 00 00 00 00 00 00 00
    09b0: 00 00 00 01 00 00 00 00 d0 00 00 00 00 00 00 00
    09c0: 00 00 80 00 00 00 00 00 00 00 00 00 00 00 00 00
    11d0: 00 00 00 00 00 00 00 00 b0 00 00 00 00 00 00 00
    11e0: b1 00 00 00 00 00 00 00 b2 00 00 00 00 00 00 00
    11f0: b3 00 00 00 00 00 00 00 b4 00 00 00 00 00 00 00
    1200: 00 c0 00 00 00 00 00 00 00 c0 00 00 00 00 00 00
    *
    1300: 01 c0 00 00 00 00 00 00 01 c0 00 00 00 00 00 00
    *
";
