//! What the processes write down, in memory that a kill does not take away, and what must be true of it.
//!
//! Each message has one word of counts. A consumer notes a message as *in hand* before it counts the
//! delivery, and no longer so after it has counted what it did with it; so of each delivery after the
//! first one, a kill or a handing back is known. Only a call that was killed inside has a message that
//! nobody knows: at most one for each such kill.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Messages of one epoch, at most.
pub(crate) const MESSAGES: usize = 1 << 21;
pub(crate) const IN_HAND: usize = 4;
pub(crate) const PRODUCERS: usize = 4;
pub(crate) const WORKERS: usize = 8;

/// What may happen to a message: one byte of its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Event {
    /// A push was begun.
    Tried,
    /// It returned Ok.
    Pushed,
    /// It returned an error, for good.
    Refused,
    /// Delivered for the first time, says the ring.
    Fresh,
    /// Delivered again, says the ring.
    Again,
    /// `release`, or a copying pop, has returned.
    Released,
    /// A consumer began to hand it back.
    HandedBack,
    /// The parent has killed a process that had it in hand.
    HolderKilled,
}

/// What a process is inside of: what a kill there means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Doing {
    Nothing,
    Pushing,
    Popping,
    Taking,
    Releasing,
    HandingBack,
    /// Released, and counted.
    Ending,
}

impl Doing {
    fn of(word: u64) -> (Self, usize) {
        use Doing::{Ending, HandingBack, Nothing, Popping, Pushing, Releasing, Taking};
        let all = [Nothing, Pushing, Popping, Taking, Releasing, HandingBack, Ending];
        (all[(word & 0xFF) as usize], (word >> 8) as usize)
    }
}

/// One process's diary. Its successor goes on with it.
#[repr(C)]
pub(crate) struct Diary {
    doing: AtomicU64,
    /// Numbers of the messages in hand, plus one; 0: none.
    in_hand: [AtomicU64; IN_HAND],
}

impl Diary {
    pub(crate) fn does(&self, what: Doing, message: usize) {
        self.doing.store((message as u64) << 8 | what as u64, SeqCst);
    }

    /// Notes a message; gives the place.
    pub(crate) fn holds(&self, message: usize) -> usize {
        let place = self.in_hand.iter().position(|p| p.load(SeqCst) == 0).expect("one for each hand");
        self.in_hand[place].store(message as u64 + 1, SeqCst);
        place
    }

    pub(crate) fn holds_no_longer(&self, place: usize) {
        self.in_hand[place].store(0, SeqCst);
    }
}

/// Kills, by what the victim was inside of.
#[derive(Default, Debug)]
pub(crate) struct Kills {
    pub(crate) all: u64,
    pub(crate) pushing: u64,
    pub(crate) popping: u64,
    pub(crate) taking: u64,
    pub(crate) releasing: u64,
    pub(crate) handing_back: u64,
    pub(crate) holding: u64,
    /// Messages whose release was under way: in doubt.
    doubtful: Vec<usize>,
}

#[repr(C)]
pub(crate) struct Books {
    /// Numbers of messages that have been given out.
    next: AtomicU64,
    /// 1: producers go.
    pub(crate) stop: AtomicU64,
    pub(crate) diaries: [Diary; WORKERS],
    words: [AtomicU64; MESSAGES],
}

/// What the books of an epoch say when they are right.
#[derive(Default, Debug)]
pub(crate) struct Totals {
    pub(crate) pushed: u64,
    pub(crate) again: u64,
    /// Pushes that never returned, and what was pushed was delivered.
    pub(crate) unreturned: u64,
    /// Messages whose first delivery was lost with the process.
    pub(crate) unseen: u64,
    /// Messages of which nobody knows that they were delivered: killed between the mark and the caller.
    pub(crate) in_doubt: u64,
}

impl Books {
    /// A number for a message. `None`: there are no more.
    pub(crate) fn number(&self) -> Option<usize> {
        let number = self.next.fetch_add(1, SeqCst) as usize;
        (number < MESSAGES).then_some(number)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.next.load(SeqCst) as usize >= MESSAGES
    }

    pub(crate) fn count(&self, message: usize, event: Event) {
        self.words[message].fetch_add(1 << (8 * event as u32), SeqCst);
    }

    /// Two at once: nobody can be killed in between.
    pub(crate) fn count_both(&self, message: usize, one: Event, other: Event) {
        self.words[message].fetch_add(1 << (8 * one as u32) | 1 << (8 * other as u32), SeqCst);
    }

    fn times(&self, message: usize, event: Event) -> u64 {
        self.words[message].load(SeqCst) >> (8 * event as u32) & 0xFF
    }

    /// After a kill: what the victim was at. Its diary is empty then.
    pub(crate) fn bury(&self, worker: usize, kills: &mut Kills) {
        let diary = &self.diaries[worker];
        let (doing, message) = Doing::of(diary.doing.swap(Doing::Nothing as u64, SeqCst));
        kills.all += 1;
        match doing {
            Doing::Nothing | Doing::Ending => {}
            Doing::Pushing => kills.pushing += 1,
            Doing::Popping => kills.popping += 1,
            Doing::Taking => kills.taking += 1,
            Doing::Releasing => {
                kills.releasing += 1;
                kills.doubtful.push(message);
            }
            Doing::HandingBack => kills.handing_back += 1,
        }
        let held = diary.in_hand.iter().filter_map(|place| (place.swap(0, SeqCst) as usize).checked_sub(1));
        for held in held {
            // Handing back counts it already; what is released must not come again. (Whether it is
            // released by now says nothing: others may have done that since the kill.)
            let counted = matches!(doing, Doing::HandingBack | Doing::Ending) && held == message;
            if !counted {
                kills.holding += 1;
                self.count(held, Event::HolderKilled);
            }
        }
    }

    /// Checks every message. Nobody is at work any more, and the ring is empty.
    pub(crate) fn check(&self, kills: &Kills) -> Totals {
        let given = (self.next.load(SeqCst) as usize).min(MESSAGES);
        let mut totals = Totals::default();
        let (mut unreleased, mut unreturned) = (0, 0);
        for message in 0..given {
            let n = |event| self.times(message, event);
            let (tried, pushed, refused) = (n(Event::Tried), n(Event::Pushed), n(Event::Refused));
            let (fresh, again, released) = (n(Event::Fresh), n(Event::Again), n(Event::Released));
            let excuses = n(Event::HandedBack) + n(Event::HolderKilled);
            let word = self.words[message].load(SeqCst);
            let is = |so: bool, what: &str| assert!(so, "message {message} {what}: {word:016x}");
            is(tried <= 1 && pushed + refused <= tried, "was pushed twice");
            is(tried == 1 || fresh + again == 0, "came without a push");
            is(refused == 0 || fresh + again == 0, "was refused, and came");
            is(fresh <= 1, "came twice, unmarked");
            if fresh + again > 1 + excuses {
                eprintln!("BAD {message} of {given} {word:016x}");
            }
            is(released <= 1, "was released twice");
            if released == 0 && fresh + again > 0 && !kills.doubtful.contains(&message) {
                unreleased += 1;
            }
            totals.pushed += pushed;
            totals.again += again;
            totals.unreturned += u64::from(tried == 1 && pushed + refused == 0 && fresh + again > 0);
            unreturned += u64::from(tried == 1 && pushed + refused == 0);
            totals.unseen += u64::from(fresh == 0 && again > 0);
            totals.in_doubt += u64::from(pushed == 1 && fresh + again == 0);
        }
        let at_most = |n: u64, limit: u64, what: &str| {
            assert!(n <= limit, "{n} messages {what}, and only {limit} such kills: {kills:?}");
        };
        // A number may be given out, and the process killed before it tries.
        at_most(unreturned, kills.pushing, "whose push never returned");
        at_most(
            totals.unseen + totals.in_doubt,
            kills.popping + kills.taking,
            "were never seen, or only marked",
        );
        at_most(unreleased + totals.in_doubt, kills.popping, "were lost in a copying pop");
        totals
    }
}
