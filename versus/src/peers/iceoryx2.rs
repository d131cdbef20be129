//! iceoryx2: publish-subscribe between two nodes, and the queues of its building blocks alone.
//!
//! A sample that finds the subscriber's buffer full is not lost: `send` then waits as the library
//! does, yielding and sleeping, and before each of its tries there is the row's pause as well.
//!
//! The queues hold their slots in themselves, or a distance to them, so they lie in shared memory.

use super::{Single, TryReceive, TrySend, capacity};
use anyhow::{Context, Result};
use iceoryx2::port::{BackpressureAction, publisher::Publisher, subscriber::Subscriber};
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use iceoryx2_bb_lock_free::spsc::index_queue::FixedSizeIndexQueue;
use iceoryx2_bb_lock_free::spsc::queue::Queue as DataQueue;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use segring_bench::payload::{check, check_ends, fill, fill_ends};
use segring_bench::{
    Cell, Channel, End, Ends, Keeper, Made, Mode, Pause, Processes, Receiver, Sender, Transport, for_size,
};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

pub(super) fn all() -> Vec<Transport> {
    let row = |name, peer| Transport {
        name,
        modes: &[Mode::Handover, Mode::InPlace, Mode::Single, Mode::RoundTrip],
        api: |mode| match mode {
            Mode::InPlace | Mode::Handover => "loan_uninit + send/receive",
            _ => "send_copy/receive",
        },
        copies: |mode| if matches!(mode, Mode::InPlace | Mode::Handover) { 0 } else { 2 },
        many: &[],
        ends: Ends::Processes(peer),
    };
    let queue = |name, peer| Transport {
        name,
        modes: &[Mode::Single, Mode::RoundTrip],
        api: |_| "push/pop",
        copies: |_| 2,
        many: &[],
        ends: Ends::Processes(peer),
    };
    vec![
        row("iceoryx2", &Iceoryx2(Pause::Spin)),
        row("iceoryx2, slipping", &Iceoryx2(Pause::Slip)),
        queue("iceoryx2 queue", &DataQueues(Pause::Spin)),
        queue("iceoryx2 queue, slipping", &DataQueues(Pause::Slip)),
        queue("iceoryx2 index queue", &IndexQueues(Pause::Spin)),
        queue("iceoryx2 index queue, slipping", &IndexQueues(Pause::Slip)),
    ]
}

struct Iceoryx2(Pause);

impl Processes for Iceoryx2 {
    fn make(&self, _cell: Cell, _keeper: &Rc<Keeper>) -> Result<Made> {
        let place = Place::new()?;
        let root = place.root.to_str().context("the temporary directory's name is not UTF-8")?;
        let names = vec![root.to_owned(), place.prefix.clone()];
        Ok(Made::Channel(Channel::by_names(names, vec![Box::new(place)])))
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        for_size!(cell.size, N => {
            let (node, service) = service::<N>(&end)?;
            let pause = self.0;
            let publisher = service
                .publisher_builder()
                .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
                .set_backpressure_handler(move |_| {
                    pause.wait();
                    BackpressureAction::Retry
                })
                .create()
                .context("create a publisher")?;
            Ok(match cell.mode {
                Mode::InPlace => Box::new(InPlaceSender::<N, ALL> { publisher, pause, _node: node }),
                Mode::Handover => Box::new(InPlaceSender::<N, ENDS> { publisher, pause, _node: node }),
                _ => Box::new(SingleSender { publisher, pause, message: vec![[0; N]], _node: node }),
            })
        })
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        for_size!(cell.size, N => {
            let (node, service) = service::<N>(&end)?;
            let subscriber = service.subscriber_builder().create().context("create a subscriber")?;
            Ok(match cell.mode {
                Mode::InPlace => {
                    let half = InPlaceSubscribed::<N, ALL> { subscriber, _node: node };
                    Box::new(Single { half, pause: self.0 })
                }
                Mode::Handover => {
                    let half = InPlaceSubscribed::<N, ENDS> { subscriber, _node: node };
                    Box::new(Single { half, pause: self.0 })
                }
                _ => {
                    let message = vec![[0; N]];
                    Box::new(Single { half: Subscribed { subscriber, message, _node: node }, pause: self.0 })
                }
            })
        })
    }
}

/// Where the library puts everything of one channel. Emptied on drop.
struct Place {
    /// A directory of its own.
    root: PathBuf,
    /// How the names of its shared memory begin.
    prefix: String,
}

impl Place {
    fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("segring_versus_{}_{number}_", std::process::id());
        let root = std::env::temp_dir().join(&prefix);
        std::fs::create_dir(&root).with_context(|| format!("mkdir {}", root.display()))?;
        Ok(Self { root, prefix })
    }

    fn remove(&self) -> Result<()> {
        std::fs::remove_dir_all(&self.root).with_context(|| format!("remove {}", self.root.display()))?;
        for entry in std::fs::read_dir("/dev/shm").context("/dev/shm")? {
            let entry = entry.context("/dev/shm")?;
            if entry.file_name().as_encoded_bytes().starts_with(self.prefix.as_bytes()) {
                std::fs::remove_file(entry.path()).with_context(|| format!("remove {:?}", entry.path()))?;
            }
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(e) = self.remove() {
            eprintln!("segring-versus: iceoryx2: {e:#}");
        }
    }
}

type Service<const N: usize> = PortFactory<ipc::Service, [u64; N], ()>;

/// Worker: the service of a channel, whichever side comes first.
fn service<const N: usize>(end: &End) -> Result<(Node<ipc::Service>, Service<N>)> {
    set_log_level(LogLevel::Error);
    let [root, prefix] = end.names.as_slice() else { anyhow::bail!("the parent sent other names") };
    let mut config = Config::default();
    config.global.set_root_path(&Path::new(root.as_bytes()).context("root path")?);
    config.global.prefix = FileName::new(prefix.as_bytes()).context("prefix")?;
    let node = NodeBuilder::new()
        .config(&config)
        .signal_handling_mode(SignalHandlingMode::Disabled)
        .create::<ipc::Service>()
        .context("create a node")?;
    let name = ServiceName::new("versus").context("service name")?;
    let service = node
        .service_builder(&name)
        .publish_subscribe::<[u64; N]>()
        .max_publishers(1)
        .max_subscribers(1)
        .history_size(0)
        .enable_safe_overflow(false)
        .subscriber_max_buffer_size(capacity(N * 8))
        .open_or_create()
        .context("open a service")?;
    Ok((node, service))
}

struct SingleSender<const N: usize> {
    publisher: Publisher<ipc::Service, [u64; N], ()>,
    pause: Pause,
    message: Vec<[u64; N]>,
    _node: Node<ipc::Service>,
}

impl<const N: usize> Sender for SingleSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            fill(&mut self.message[0], seq);
            // To nobody: the subscriber has not seen this publisher yet, and its buffer is full.
            while self.publisher.send_copy(self.message[0]).context("send_copy")? == 0 {
                self.pause.wait();
            }
        }
        Ok(())
    }
}

struct Subscribed<const N: usize> {
    subscriber: Subscriber<ipc::Service, [u64; N], ()>,
    message: Vec<[u64; N]>,
    _node: Node<ipc::Service>,
}

impl<const N: usize> TryReceive<N> for Subscribed<N> {
    #[inline(always)]
    fn try_receive(&mut self, seq: u64) -> Result<bool> {
        let Some(sample) = self.subscriber.receive().context("receive")? else { return Ok(false) };
        self.message[0] = *sample;
        drop(sample);
        check(&self.message[0], seq).map(|()| true)
    }
}

/// Which words of a message are written and checked.
const ALL: bool = false;
const ENDS: bool = true;

struct InPlaceSender<const N: usize, const ONLY_ENDS: bool> {
    publisher: Publisher<ipc::Service, [u64; N], ()>,
    pause: Pause,
    _node: Node<ipc::Service>,
}

impl<const N: usize, const ONLY_ENDS: bool> Sender for InPlaceSender<N, ONLY_ENDS> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        let mut next = first;
        while next < first + n {
            let mut sample = self.publisher.loan_uninit().context("loan_uninit")?;
            // SAFETY: mapped memory, which the kernel has zeroed, and numbers of any bits.
            let message = unsafe { sample.payload_mut().assume_init_mut() };
            if ONLY_ENDS {
                fill_ends(message, next)
            } else {
                fill(message, next)
            }
            // SAFETY: as above.
            let sample = unsafe { sample.assume_init() };
            // To nobody: the subscriber has not seen this publisher yet, and its buffer is full.
            match sample.send().context("send")? {
                0 => self.pause.wait(),
                _ => next += 1,
            }
        }
        Ok(())
    }
}

struct InPlaceSubscribed<const N: usize, const ONLY_ENDS: bool> {
    subscriber: Subscriber<ipc::Service, [u64; N], ()>,
    _node: Node<ipc::Service>,
}

impl<const N: usize, const ONLY_ENDS: bool> TryReceive<N> for InPlaceSubscribed<N, ONLY_ENDS> {
    #[inline(always)]
    fn try_receive(&mut self, seq: u64) -> Result<bool> {
        let Some(sample) = self.subscriber.receive().context("receive")? else { return Ok(false) };
        if ONLY_ENDS {
            check_ends(&sample, seq)?
        } else {
            check(&sample, seq)?
        }
        Ok(true)
    }
}

/// The queue of values.
struct DataQueues(Pause);

impl Processes for DataQueues {
    fn make(&self, cell: Cell, _keeper: &Rc<Keeper>) -> Result<Made> {
        for_size!(cell.size, N => {
            make_queue(|| Box::new(DataQueue::<[u64; N], { capacity(N * 8) }>::new()))
        })
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        for_size!(cell.size, N => {
            let queue: &DataQueue<[u64; N], { capacity(N * 8) }> = map_queue(end.descriptor()?)?;
            Ok(Box::new(Single::<_, N> { half: Pusher(queue), pause: self.0 }))
        })
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        for_size!(cell.size, N => {
            let queue: &DataQueue<[u64; N], { capacity(N * 8) }> = map_queue(end.descriptor()?)?;
            Ok(Box::new(Single::<_, N> { half: Popper(queue), pause: self.0 }))
        })
    }
}

/// The queue of 64-bit indices, which carries the library's own samples.
struct IndexQueues(Pause);

type IndexQueue = FixedSizeIndexQueue<{ capacity(8) }>;

impl Processes for IndexQueues {
    fn make(&self, cell: Cell, _keeper: &Rc<Keeper>) -> Result<Made> {
        if cell.size != 8 {
            return Ok(Made::Impossible("it carries 64-bit numbers only".to_owned()));
        }
        make_queue(|| Box::new(IndexQueue::new()))
    }

    fn sender(&self, _cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        let queue: &IndexQueue = map_queue(end.descriptor()?)?;
        Ok(Box::new(Single::<_, 1> { half: Pusher(queue), pause: self.0 }))
    }

    fn receiver(&self, _cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        let queue: &IndexQueue = map_queue(end.descriptor()?)?;
        Ok(Box::new(Single::<_, 1> { half: Popper(queue), pause: self.0 }))
    }
}

/// Either queue. Both have one producer and one consumer.
trait Queue<const N: usize>: 'static {
    /// # Safety
    /// Nobody else pushes.
    unsafe fn push(&self, message: &[u64; N]) -> bool;

    /// # Safety
    /// Nobody else pops.
    unsafe fn pop(&self) -> Option<[u64; N]>;
}

impl<const N: usize, const CAPACITY: usize> Queue<N> for DataQueue<[u64; N], CAPACITY> {
    #[inline(always)]
    unsafe fn push(&self, message: &[u64; N]) -> bool {
        // SAFETY: as the caller says.
        unsafe { self.push(message) }
    }

    #[inline(always)]
    unsafe fn pop(&self) -> Option<[u64; N]> {
        // SAFETY: as the caller says.
        unsafe { self.pop() }
    }
}

impl Queue<1> for IndexQueue {
    #[inline(always)]
    unsafe fn push(&self, message: &[u64; 1]) -> bool {
        // SAFETY: as the caller says.
        unsafe { self.push(message[0]) }
    }

    #[inline(always)]
    unsafe fn pop(&self) -> Option<[u64; 1]> {
        // SAFETY: as the caller says.
        unsafe { self.pop() }.map(|number| [number])
    }
}

/// Maps a whole queue. The mapping lasts as long as the process, or until it is unmapped.
fn map<Q>(memory: &OwnedFd) -> Result<std::ptr::NonNull<Q>> {
    let size = NonZeroUsize::new(size_of::<Q>()).context("an empty queue")?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: the kernel chooses the address, so nothing that is mapped is replaced.
    let start = unsafe { mmap(None, size, access, MapFlags::MAP_SHARED, memory, 0) };
    Ok(start.context("mmap")?.cast())
}

/// Parent: an empty queue in memory without a name.
fn make_queue<Q>(new: fn() -> Box<Q>) -> Result<Made> {
    let memory = memfd_create("queue", MFdFlags::MFD_CLOEXEC).context("memfd_create")?;
    nix::unistd::ftruncate(&memory, i64::try_from(size_of::<Q>())?).context("ftruncate")?;
    let start = map::<Q>(&memory)?;
    // SAFETY: mapped at this size, aligned to a page, and nobody else has it.
    unsafe { start.write(*new()) };
    // SAFETY: mapped above at this size, and not used any more.
    unsafe { nix::sys::mman::munmap(start.cast(), size_of::<Q>()) }.context("munmap")?;
    let other = memory.try_clone().context("dup")?;
    Ok(Made::Channel(Channel::by_descriptors(memory, other)))
}

/// Worker: the queue that the parent has made.
fn map_queue<Q>(memory: OwnedFd) -> Result<&'static Q> {
    let start = map::<Q>(&memory)?;
    // SAFETY: a queue lies there, written by the same program, and the mapping stays. All that
    // changes in it is atomic or a slot that the queue gives to one side at a time.
    Ok(unsafe { start.as_ref() })
}

/// The one producer of a queue.
struct Pusher<Q: 'static>(&'static Q);

impl<Q: Queue<N>, const N: usize> TrySend<N> for Pusher<Q> {
    #[inline(always)]
    fn try_send(&mut self, message: &[u64; N]) -> Result<bool> {
        // SAFETY: the run has one sender.
        Ok(unsafe { self.0.push(message) })
    }
}

/// The one consumer of a queue.
struct Popper<Q: 'static>(&'static Q);

impl<Q: Queue<N>, const N: usize> TryReceive<N> for Popper<Q> {
    #[inline(always)]
    fn try_receive(&mut self, seq: u64) -> Result<bool> {
        // SAFETY: the run has one receiver.
        match unsafe { self.0.pop() } {
            Some(ref message) => check(message, seq).map(|()| true),
            None => Ok(false),
        }
    }
}
