//! Rings in the states that the rows name: who sits there, who has gone and how, what was removed.

use crate::common::TestName;
use crate::ops::{Kind, Side};
use crate::peers::Helper;
use crate::raw::{RawSegment, sem_remove};
use crate::subject::{AnyRing, CAPACITY, Subject};
use segring::WaitStrategy;
use std::cell::RefCell;

/// What is in the ring, by the title of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    Full,
    Room,
    Undrained,
    Empty,
    Messages,
    /// Several peers.
    ManyFull,
    ManyEmpty,
    /// The ring is empty. A consumer that was killed has a message.
    Held,
}

impl Fill {
    pub const TITLES: [(Fill, &'static str); 8] = [
        (Fill::Full, "A producer, and the ring is full"),
        (Fill::Room, "A producer, and the ring is empty"),
        (Fill::Undrained, "A producer that waits until all is taken"),
        (Fill::Empty, "A consumer, and the ring is empty"),
        (Fill::Messages, "A consumer, and there is a message"),
        (Fill::ManyFull, "Several peers"),
        (Fill::ManyEmpty, "Several peers"),
        (Fill::Held, "A consumer, and a dead one holds a message"),
    ];

    pub fn side(self) -> Side {
        match self {
            Fill::Full | Fill::Room | Fill::Undrained | Fill::ManyFull => Side::Producer,
            Fill::Empty | Fill::Messages | Fill::ManyEmpty | Fill::Held => Side::Consumer,
        }
    }

    /// Whether only exchange rings can be so.
    pub fn is_mpmc(self) -> bool {
        matches!(self, Fill::ManyFull | Fill::ManyEmpty | Fill::Held)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    Never,
    Live,
    Left,
    Died,
}
use Life::{Died, Left, Live, Never};

/// One state that a row stands for.
#[derive(Clone, Copy, Debug)]
pub struct State {
    pub life: Life,
    /// Several peers: what becomes of them, in this order. Else there is one at most.
    crowd: &'static [Life],
    /// After that, another peer comes.
    another: bool,
    /// After that, others of the same side take the seats of the peers.
    seats_taken: bool,
    /// A consumer that was killed has a message.
    held: bool,
    /// The handle under test was there before all this.
    pub early: bool,
    pub closed: bool,
    /// The handle under test closes, instead of a producer before it.
    by_itself: bool,
    removed: bool,
    set_gone: bool,
    corrupt: bool,
}

/// The row of handles inherited through a fork, which has a test of its own.
pub const FORKED: &str = "a handle from before a `fork`";

/// The states of a row. All of them must answer as it says.
pub fn states(label: &str, fill: Fill) -> Vec<State> {
    let open = |life| State {
        life,
        crowd: &[],
        another: false,
        seats_taken: false,
        held: fill == Fill::Held,
        early: false,
        closed: false,
        by_itself: false,
        removed: false,
        set_gone: false,
        corrupt: false,
    };
    let closed = |life| State { closed: true, ..open(life) };
    let closing = |life| State { by_itself: fill.side() == Side::Producer, ..closed(life) };
    let removed = |life| State { removed: true, ..open(life) };
    let set_gone = |life| State { set_gone: true, ..open(life) };
    let many = |crowd: &'static [Life]| {
        let life = if crowd.contains(&Live) { Live } else { crowd[0] };
        State { crowd, ..open(life) }
    };
    let mut all = match label {
        "never joined" => vec![open(Never)],
        "live" => vec![open(Live)],
        "left" => vec![open(Left)],
        "died" => vec![open(Died)],
        "removed, never joined" => vec![removed(Never)],
        "removed, live" => vec![removed(Live)],
        "removed, left" => vec![removed(Left)],
        "removed, died" => vec![removed(Died)],
        "semaphore set gone" => {
            let also_removed = State { removed: true, ..set_gone(Live) };
            let mut all = vec![set_gone(Live), set_gone(Left), set_gone(Died), also_removed];
            if !matches!(fill, Fill::Messages | Fill::Held) {
                all.push(set_gone(Never));
            }
            // Who comes while the set is there gets the message.
            all.into_iter().map(|state| State { early: state.held, ..state }).collect()
        }
        "ring closed" => {
            let mut all: Vec<_> =
                [Live, Left, Died].into_iter().flat_map(|l| [closed(l), closing(l)]).collect();
            if fill == Fill::Held {
                all = [Live, Left, Died].map(closed).into();
            }
            all.push(State { removed: true, ..closed(Left) });
            // Nobody can know any more what dead ones hold.
            all.extend((fill != Fill::Held).then(|| State { set_gone: true, ..closing(Live) }));
            if fill.side() == Side::Producer {
                all.extend([closed(Never), closing(Never)]);
            }
            all
        }
        "words that contradict each other" => vec![State { corrupt: true, ..open(Live) }],
        FORKED => vec![],
        "one of two left" => vec![many(&[Left, Live])],
        "one of two died" => vec![many(&[Died, Live]), many(&[Live, Died])],
        "both left" => vec![many(&[Left, Left])],
        "both died" => vec![many(&[Died, Died])],
        "one left, one died" => vec![many(&[Left, Died]), many(&[Died, Left])],
        "both died, others of my side have their seats" => {
            vec![State { seats_taken: true, ..many(&[Died, Died]) }]
        }
        "both left, another has come" => vec![State { another: true, life: Live, ..many(&[Left, Left]) }],
        "both died, another has come" => vec![State { another: true, life: Live, ..many(&[Died, Died]) }],
        "removed, one of two died" => vec![State { removed: true, ..many(&[Died, Live]) }],
        "removed, one left, one died" => vec![State { removed: true, ..many(&[Died, Left]) }],
        _ => panic!("docs/states.md: no row {label:?} is known"),
    };
    // Waiting for the drain does not look at the closing: each row holds for both.
    if fill == Fill::Undrained {
        let both = |s: State| [s, State { closed: true, ..s }, State { closed: true, by_itself: true, ..s }];
        all = all.into_iter().flat_map(both).collect();
    }
    // For a handle that was there before, and for one that comes later.
    if fill.is_mpmc() && label != "semaphore set gone" {
        all = all.into_iter().flat_map(|s| [s, State { early: true, ..s }]).collect();
    }
    all
}

/// A ring in a state.
pub struct Scene<'a> {
    pub state: State,
    pub strategy: WaitStrategy,
    side: Side,
    helper: &'a RefCell<Helper>,
    /// The one handle under test, if no other can join.
    kept: Option<Subject>,
    /// What the segment was, if somebody wrote there what he should not.
    corrupted: Option<(RawSegment, Vec<u8>)>,
    /// Others of its side, who do nothing.
    bystanders: Vec<Subject>,
    kind: Kind,
    ring: AnyRing,
    name: TestName,
}

impl<'a> Scene<'a> {
    pub fn new(
        fill: Fill,
        state: State,
        kind: Kind,
        strategy: WaitStrategy,
        helper: &'a RefCell<Helper>,
    ) -> Self {
        let name = TestName::new("states");
        let ring = AnyRing::create(&name, kind);
        let side = fill.side();
        let (kept, corrupted, bystanders) = (None, None, Vec::new());
        let mut this = Self { state, strategy, side, helper, kept, corrupted, bystanders, kind, ring, name };
        if matches!(fill, Fill::Full | Fill::Undrained | Fill::ManyFull) {
            assert_eq!(this.ring.join(side).repeat("try_push", CAPACITY + 1), "Full");
        }
        if state.early {
            this.kept = Some(this.join());
        }
        if side == Side::Producer && state.closed && !state.by_itself {
            this.ring.join(side).close();
        }
        if state.crowd.is_empty() {
            this.one_peer(fill);
        } else {
            this.crowd();
        }
        this.trouble();
        this
    }

    /// What the helper is told, to do it on this ring.
    fn on_it(&self, command: &str) -> String {
        format!("{command} {:?} {:?} {}", self.kind, self.side.peer(), self.name.as_str())
    }

    fn one_peer(&mut self, fill: Fill) {
        let state = self.state;
        if state.life != Never {
            self.does(&self.on_it("join"));
            if fill == Fill::Messages {
                self.does(&format!("try_push {CAPACITY}"));
            }
            if state.held {
                self.does("try_push 1");
                self.does(&format!("dies_holding {:?} {}", self.kind, self.name.as_str()));
            }
            if self.side == Side::Consumer && state.closed {
                self.does("close");
            }
        }
        match state.life {
            Never | Live => {}
            Left => self.does("leave"),
            Died => self.helper.borrow_mut().kill(),
        }
    }

    /// All of them sit there before the first one goes.
    fn crowd(&mut self) {
        for life in self.state.crowd {
            self.does(&self.on_it(if *life == Died { "fork" } else { "join" }));
        }
        for life in self.state.crowd {
            match life {
                Never | Live => {}
                Left => self.does("leave"),
                Died => self.does("kill"),
            }
        }
        if self.state.another {
            self.does(&self.on_it("join"));
        }
        if self.state.seats_taken {
            // The first one tidies up, so that the others find the seats free.
            self.bystanders = (0..=self.state.crowd.len()).map(|_| self.ring.join(self.side)).collect();
            drop(self.bystanders.remove(0));
        }
    }

    fn does(&self, command: &str) {
        self.helper.borrow_mut().does(command);
    }

    fn trouble(&mut self) {
        let State { closed, by_itself, removed, set_gone, corrupt, .. } = self.state;
        if by_itself || set_gone || corrupt {
            let mut subject = self.kept.take().unwrap_or_else(|| self.join());
            if by_itself && closed {
                subject.close();
            }
            self.kept = Some(subject);
        }
        let set = self.ring.sem_id();
        if removed {
            self.ring.remove();
        }
        if set_gone {
            sem_remove(set);
        }
        if corrupt {
            let segment = RawSegment::attach(self.ring.id());
            if self.kind.is_mpmc() && self.side == Side::Producer {
                // A push writes into the slot of its own hand first: it is there already then.
                let said = self.kept.as_mut().expect("just joined").repeat("try_push", 1);
                assert_eq!(said, "Full");
            }
            self.corrupt(&segment);
            let bytes = segment.bytes(0, segment.len);
            self.corrupted = Some((segment, bytes));
        }
    }

    /// Writes what no peer writes. The offsets are those of `docs/layout.md`.
    fn corrupt(&self, segment: &RawSegment) {
        const TAIL: usize = 1024 + 2 * 128;
        const HEAD: usize = TAIL + 128;
        if self.kind.is_mpmc() {
            // The entry that is next for both: of a lap that cannot be, five before the first one.
            let entry = segment.get_u64(112) as usize;
            segment.put_u64(entry, ((1 << 39) - 5) << 25);
            return;
        }
        match self.side {
            Side::Producer => segment.put_u64(HEAD, u64::MAX - 7),
            Side::Consumer => {
                segment.put_u64(TAIL, u64::MAX - 7);
                // A stamped ring commits by the stamp behind the payload.
                segment.put_u64(segment.get_u64(120) as usize + 8, 77);
            }
        }
    }

    fn join(&self) -> Subject {
        let mut subject = self.ring.join(self.side);
        subject.set_wait_strategy(self.strategy);
        subject
    }

    /// A handle that has not been told anything yet, or the only one.
    pub fn subject(&mut self) -> Subject {
        self.kept.take().unwrap_or_else(|| self.join())
    }

    /// A handle that comes after the one under test has gone.
    pub fn next(&mut self) -> Subject {
        self.kept = None;
        self.join()
    }

    /// Gives it back. Whether the next operation can be tried here: on a handle that has been told
    /// something it cannot.
    pub fn give_back(&mut self, subject: Subject, was_told: bool) -> bool {
        let State { set_gone, by_itself, corrupt, early, .. } = self.state;
        let one = set_gone || by_itself || corrupt || early;
        if self.state.held {
            return false;
        }
        if one {
            self.kept = Some(subject);
        }
        !(one && was_told)
    }

    /// Ends a wait, by something that must end it: which one depends on the operation, so that all
    /// of them happen. What is then said.
    pub fn end_wait(&mut self, op: &str) -> &'static str {
        match self.state.life {
            Live if op.ends_with("(None)") => {
                self.does("leave");
                // Who came after a death, while others were there, is not told of it.
                let died = self.state.early && self.state.crowd.contains(&Died);
                return if died { "PeerGone { died: true }" } else { "PeerGone { died: false }" };
            }
            Live if op.ends_with("(Some(MAX))") => {
                self.helper.borrow_mut().kill();
                return "PeerGone { died: true }";
            }
            Never if op.ends_with("(None)") => {
                self.ring.remove();
                return "Removed";
            }
            Never if op.ends_with("(Some(MAX))") => {
                sem_remove(self.ring.sem_id());
                return "Removed";
            }
            _ => {}
        }
        let all = CAPACITY.to_string();
        let (what, n, said) = match self.side {
            Side::Consumer if op.ends_with("(MAX)") => ("close", "", "Closed"),
            Side::Consumer => ("try_push", "1", "Ok"),
            Side::Producer if op.contains("drained") => ("try_pop", &*all, "Ok"),
            Side::Producer => ("try_pop", "1", "Ok"),
        };
        if self.state.life == Live {
            self.does(format!("{what} {n}").trim_end());
            return said;
        }
        // A successor.
        let mut peer = self.ring.join(self.side.peer());
        match n.parse() {
            Ok(n) => assert_eq!(peer.repeat(what, n), "Ok"),
            Err(_) => peer.close(),
        }
        said
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if let Some((segment, before)) = &self.corrupted {
            assert!(segment.bytes(0, segment.len) == *before, "something was touched in a corrupt ring");
        }
        if self.state.life == Live {
            self.does("leave");
        }
    }
}
