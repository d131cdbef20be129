//! Rings in the states that the rows name: who sits there, who has gone and how, what was removed.

use crate::common::{TestChild, TestName, listen, say};
use crate::ops::{Kind, Side};
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
}

impl Fill {
    pub const TITLES: [(Fill, &'static str); 5] = [
        (Fill::Full, "A producer, and the ring is full"),
        (Fill::Room, "A producer, and the ring is empty"),
        (Fill::Undrained, "A producer that waits until all is taken"),
        (Fill::Empty, "A consumer, and the ring is empty"),
        (Fill::Messages, "A consumer, and there is a message"),
    ];

    pub fn side(self) -> Side {
        match self {
            Fill::Full | Fill::Room | Fill::Undrained => Side::Producer,
            Fill::Empty | Fill::Messages => Side::Consumer,
        }
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
    closed: bool,
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
            if fill != Fill::Messages {
                all.push(set_gone(Never));
            }
            all
        }
        "ring closed" => {
            let mut all: Vec<_> =
                [Live, Left, Died].into_iter().flat_map(|l| [closed(l), closing(l)]).collect();
            all.push(State { removed: true, ..closed(Left) });
            all.push(State { set_gone: true, ..closing(Live) });
            if fill.side() == Side::Producer {
                all.extend([closed(Never), closing(Never)]);
            }
            all
        }
        "words that contradict each other" => vec![State { corrupt: true, ..open(Live) }],
        FORKED => vec![],
        _ => panic!("docs/states.md: no row {label:?} is known"),
    };
    // Waiting for the drain does not look at the closing: each row holds for both.
    if fill == Fill::Undrained {
        let both = |s: State| [s, State { closed: true, ..s }, State { closed: true, by_itself: true, ..s }];
        all = all.into_iter().flat_map(both).collect();
    }
    all
}

/// The peers that a worker has: one that lives, again and again.
#[derive(Default)]
pub struct Helper {
    child: Option<TestChild>,
}

impl Helper {
    fn child(&mut self) -> &mut TestChild {
        self.child.get_or_insert_with(|| TestChild::spawn("peer", &[]))
    }

    fn does(&mut self, command: &str) {
        self.child().tell(command);
        self.child().expect("done");
    }

    fn kill(&mut self) {
        self.child.take().expect("a child").kill();
    }
}

/// A child that sits where it is told.
pub fn peer_role() {
    let (mut _ring, mut handle) = (None, None);
    loop {
        let line = listen();
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["join", kind, side, name] => {
                let kind = crate::ops::KINDS.into_iter().find(|k| format!("{k:?}") == kind).expect("a kind");
                let side = if side == "Producer" { Side::Producer } else { Side::Consumer };
                let ring = AnyRing::attach(name, kind);
                handle = Some(ring.join(side));
                _ring = Some(ring);
            }
            ["leave"] => (handle, _ring) = (None, None),
            ["close"] => handle.as_mut().expect("sits").close(),
            [what, n] => {
                let handle: &mut Subject = handle.as_mut().expect("sits");
                assert_eq!(handle.repeat(what, n.parse().expect("a number")), "Ok");
            }
            _ => panic!("no such command: {line}"),
        }
        say("done");
    }
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
    ring: AnyRing,
    _name: TestName,
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
        let join = format!("join {kind:?} {:?} {}", side.peer(), name.as_str());
        let mut this = Self { state, strategy, side, helper, kept: None, corrupted: None, ring, _name: name };
        if matches!(fill, Fill::Full | Fill::Undrained) {
            assert_eq!(this.ring.join(side).repeat("try_push", CAPACITY + 1), "Full");
        }
        if side == Side::Producer && state.closed && !state.by_itself {
            this.ring.join(side).close();
        }
        if state.life != Never {
            this.does(&join);
            if fill == Fill::Messages {
                this.does(&format!("try_push {CAPACITY}"));
            }
            if side == Side::Consumer && state.closed {
                this.does("close");
            }
        }
        match state.life {
            Never | Live => {}
            Left => this.does("leave"),
            Died => this.helper.borrow_mut().kill(),
        }
        this.trouble();
        this
    }

    fn does(&self, command: &str) {
        self.helper.borrow_mut().does(command);
    }

    fn trouble(&mut self) {
        let State { closed, by_itself, removed, set_gone, corrupt, .. } = self.state;
        if by_itself || set_gone || corrupt {
            let mut subject = self.join();
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
            self.corrupt(&segment);
            let bytes = segment.bytes(0, segment.len);
            self.corrupted = Some((segment, bytes));
        }
    }

    /// Writes what no peer writes. The offsets are those of `docs/layout.md`.
    fn corrupt(&self, segment: &RawSegment) {
        const TAIL: usize = 1024 + 2 * 128;
        const HEAD: usize = TAIL + 128;
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

    /// Gives it back. Whether the next operation can be tried here: on a handle that has been told
    /// something it cannot.
    pub fn give_back(&mut self, subject: Subject, was_told: bool) -> bool {
        let one = self.state.set_gone || self.state.by_itself || self.state.corrupt;
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
                return "PeerGone { died: false }";
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
