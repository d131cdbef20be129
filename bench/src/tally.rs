//! What a consumer of many checks and counts, and how the parent balances the books.
//!
//! The number of a message says who sent it (16 bits) and the how many-th of his it is. The factor
//! that makes the first word of it is odd, so the number comes back out of that word; then the whole
//! message is compared with what that number's message is. Of each producer the numbers that one
//! consumer sees must rise. When a run is over, how many of each producer came to all consumers, and
//! the sum of their numbers, must be those sent: so nothing was lost, doubled, or made up.

use crate::control::Done;
use crate::payload::{check, check_ends, in_sequence, number};
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// Bits of a message's number that count the messages of one producer.
const COUNTER: u32 = 48;
/// The producer that says that all others have ended.
const END: u64 = 0xffff;

/// The number of a producer's message.
pub(crate) fn sequence(producer: u32, counter: u64) -> u64 {
    (u64::from(producer) << COUNTER) | counter
}

/// The number of an end mark: of its kind there is one for each consumer.
pub(crate) fn end_mark(consumer: u32) -> u64 {
    (END << COUNTER) | u64::from(consumer)
}

/// What came of one producer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Count {
    messages: u64,
    /// Of their counters, modulo 2^64.
    sum: u64,
}

impl Count {
    /// Of a producer's messages `first` to `first + n - 1`.
    pub(crate) fn of(first: u64, n: u64) -> Self {
        // n * (first + last) is even, but may not fit.
        let twice = u128::from(n) * (2 * u128::from(first) + u128::from(n.saturating_sub(1)));
        Self { messages: n, sum: (twice / 2) as u64 }
    }

    /// What came to all consumers.
    pub(crate) fn together(all: &[Done]) -> Vec<Self> {
        let producers = all.iter().map(|(_, counts)| counts.len()).max().unwrap_or(0);
        let mut sums = vec![Self::default(); producers];
        for (_, counts) in all {
            sums.iter_mut().zip(counts).for_each(|(sum, &one)| sum.add(one));
        }
        sums
    }

    fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// One producer, as one consumer sees it.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// The lowest counter that its next message may have.
    next: u64,
    count: Count,
}

/// What came to one consumer.
pub struct Tally {
    seen: Vec<Seen>,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// A producer's.
    Message,
    /// An end mark: nothing but such comes any more.
    End,
}

impl Tally {
    /// For messages of so many producers.
    pub fn new(producers: u32) -> Self {
        Self { seen: vec![Seen::default(); producers as usize] }
    }

    /// Before a run: nothing is counted. Counters go on rising.
    pub(crate) fn begin(&mut self) {
        for seen in &mut self.seen {
            seen.count = Count::default();
        }
    }

    /// Of each producer.
    pub(crate) fn counts(&self) -> Vec<Count> {
        self.seen.iter().map(|seen| seen.count).collect()
    }

    /// Checks every byte of a message that came, and counts it.
    ///
    /// # Errors
    /// Says what is wrong: its bytes, its producer, or that it is not after the one before.
    #[inline(always)]
    pub fn take<const N: usize>(&mut self, message: &[u64; N]) -> Result<Came> {
        let seq = number(message[0]);
        check(message, seq)?;
        self.count(seq, 1)
    }

    /// Checks every byte of messages that came together, and counts them: how many end marks are among them.
    /// Those that follow each other are one step, as a program would take a slice.
    ///
    /// # Errors
    /// As [`Tally::take`].
    #[inline(always)]
    pub fn take_all<const N: usize>(&mut self, mut messages: &[[u64; N]]) -> Result<u32> {
        let mut marks = 0;
        while let Some(first) = messages.first() {
            let seq = number(first[0]);
            let run = in_sequence(messages, seq);
            if run == 0 {
                check(first, seq)?;
            }
            if self.count(seq, run as u64)? == Came::End {
                marks += run as u32;
            }
            messages = &messages[run..];
        }
        Ok(marks)
    }

    /// The same, of a message of which only the first and the last word were written.
    ///
    /// # Errors
    /// As [`Tally::take`].
    #[inline(always)]
    pub fn take_ends<const N: usize>(&mut self, message: &[u64; N]) -> Result<Came> {
        let seq = number(message[0]);
        check_ends(message, seq)?;
        self.count(seq, 1)
    }

    #[inline(always)]
    fn count(&mut self, seq: u64, n: u64) -> Result<Came> {
        let (producer, counter) = (seq >> COUNTER, seq & ((1 << COUNTER) - 1));
        match self.seen.get_mut(producer as usize) {
            Some(seen) if counter >= seen.next => {
                seen.next = counter + n;
                seen.count.messages += n;
                // Of a few, which does not overflow.
                seen.count.sum = seen.count.sum.wrapping_add(n * counter + n * (n - 1) / 2);
                Ok(Came::Message)
            }
            seen => unusual(seen, producer, counter),
        }
    }
}

#[cold]
#[inline(never)]
fn unusual(seen: Option<&mut Seen>, producer: u64, counter: u64) -> Result<Came> {
    match seen {
        _ if producer == END => Ok(Came::End),
        Some(seen) => bail!(
            "message {counter} of producer {producer} is out of order: after message {}",
            seen.next.wrapping_sub(1)
        ),
        None => bail!("message {counter} of a producer {producer} that there is not"),
    }
}

/// Compares what was sent, by each producer, with what came, at all consumers together.
///
/// # Errors
/// Names the first producer whose books do not balance.
pub(crate) fn balance(sent: &[Count], came: &[Count]) -> Result<()> {
    if sent.len() != came.len() {
        bail!("{} producers were counted, of {}", came.len(), sent.len());
    }
    for (producer, (sent, came)) in sent.iter().zip(came).enumerate() {
        if sent.messages != came.messages {
            let what = if sent.messages > came.messages { "lost" } else { "doubled" };
            bail!(
                "messages of producer {producer} were {what}: {} were sent, {} came",
                sent.messages,
                came.messages
            );
        }
        if sent != came {
            bail!("of producer {producer} some messages were lost and others doubled");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::{fill, fill_ends};
    use zerocopy::IntoBytes;

    fn message(producer: u32, counter: u64) -> [u64; 7] {
        let mut message = [0; 7];
        fill(&mut message, sequence(producer, counter));
        message
    }

    /// What two consumers of two producers say, when these messages come to them.
    fn books(came: [&[(u32, u64)]; 2]) -> Result<()> {
        let mut all = [Count::default(); 2];
        for came in came {
            let mut tally = Tally::new(2);
            tally.begin();
            for &(producer, counter) in came {
                assert_eq!(tally.take(&message(producer, counter))?, Came::Message);
            }
            all.iter_mut().zip(tally.counts()).for_each(|(all, one)| all.add(one));
        }
        balance(&[Count::of(10, 3), Count::of(0, 2)], &all)
    }

    #[test]
    fn good_books_balance() {
        books([&[(0, 10), (1, 0), (0, 12)], &[(0, 11), (1, 1)]]).unwrap();
        books([&[], &[(1, 0), (0, 10), (0, 11), (1, 1), (0, 12)]]).unwrap();
        assert_eq!(Count::of(5, 0), Count::default());
        let most = (1_u64 << COUNTER) - 1;
        assert_eq!(Count::of(most, 1), Count { messages: 1, sum: most });
    }

    fn complaint(came: [&[(u32, u64)]; 2]) -> String {
        books(came).unwrap_err().to_string()
    }

    #[test]
    fn loss_doubling_and_disorder_are_found() {
        let lost = complaint([&[(0, 10), (1, 0)], &[(0, 11), (1, 1)]]);
        assert!(lost.contains("producer 0 were lost: 3 were sent, 2 came"), "{lost}");
        let doubled = complaint([&[(0, 10), (0, 11), (0, 12)], &[(0, 11), (1, 0), (1, 1)]]);
        assert!(doubled.contains("producer 0 were doubled: 3 were sent, 4 came"), "{doubled}");
        let both = complaint([&[(0, 10), (0, 12)], &[(0, 10), (1, 0), (1, 1)]]);
        assert!(both.contains("lost and others doubled"), "{both}");
        let disorder = complaint([&[(0, 11), (1, 0), (0, 10)], &[]]);
        assert!(
            disorder.contains("message 10 of producer 0 is out of order: after message 11"),
            "{disorder}"
        );
        let twice = complaint([&[(0, 10), (0, 10)], &[]]);
        assert!(twice.contains("out of order"), "{twice}");
        let unknown = complaint([&[(2, 0)], &[]]);
        assert!(unknown.contains("producer 2 that there is not"), "{unknown}");
        assert!(balance(&[Count::of(0, 1)], &[]).is_err());
    }

    #[test]
    fn torn_messages_are_found() {
        let good = message(1, 77);
        for at in 0..good.as_bytes().len() {
            let mut torn = good;
            torn.as_mut_bytes()[at] ^= 4;
            assert!(Tally::new(2).take(&torn).is_err(), "byte {at}");
        }
        // The first half of one and the second half of another.
        let mut torn = message(0, 5);
        torn[4..].copy_from_slice(&message(1, 5)[4..]);
        assert!(Tally::new(2).take(&torn).is_err());
        let mut ends = [0_u64; 7];
        fill_ends(&mut ends, sequence(1, 3));
        assert_eq!(Tally::new(2).take_ends(&ends).unwrap(), Came::Message);
        ends[6] ^= 1;
        assert!(Tally::new(2).take_ends(&ends).is_err());
    }

    #[test]
    fn a_slice_is_counted_as_its_messages_are() {
        let some = [(0, 3), (0, 4), (0, 5), (1, 0), (1, 1), (0, 6), (0, 9), (1, 2)];
        let messages = some.map(|(producer, counter)| message(producer, counter));
        let (mut whole, mut single) = (Tally::new(2), Tally::new(2));
        assert_eq!(whole.take_all(&messages).unwrap(), 0);
        messages.iter().for_each(|message| assert_eq!(single.take(message).unwrap(), Came::Message));
        assert_eq!(whole.counts(), single.counts());
        // Each of these is old, or unknown, or torn somewhere.
        assert!(whole.take_all(&messages).is_err());
        assert!(Tally::new(1).take_all(&messages).is_err());
        for i in 0..messages.len() {
            for word in 0..7 {
                let mut torn = messages;
                torn[i][word] ^= 1;
                assert!(Tally::new(2).take_all(&torn).is_err(), "message {i}, word {word}");
            }
        }
        let doubled = [messages[0], messages[1], messages[1]];
        assert!(Tally::new(2).take_all(&doubled).is_err());
        let mut marks = [[0; 7]; 3];
        marks.iter_mut().zip(4..).for_each(|(mark, number)| fill(mark, end_mark(number)));
        assert_eq!(Tally::new(2).take_all(&[messages[0], marks[0], marks[1], messages[3]]).unwrap(), 2);
    }

    #[test]
    fn an_end_mark_is_no_message() {
        let mut tally = Tally::new(3);
        let mut mark = [0_u64; 7];
        fill(&mut mark, end_mark(2));
        assert_eq!(tally.take(&mark).unwrap(), Came::End);
        assert_eq!(tally.counts(), [Count::default(); 3]);
        // A single word of zeros is message 0 of producer 0: known by its counter only.
        tally.take(&[0_u64; 1]).unwrap();
        assert!(tally.take(&[0_u64; 1]).is_err());
        assert!(tally.take(&[0_u64; 7]).is_err());
    }
}
