//! Boost: the lock-free queue between threads, and the message queue between processes. The loops
//! are in `cpp/boost.cpp`. Without Boost's headers both say what is missing.

use segring_bench::{Ends, Mode, Pause, Transport};

#[cfg(not(boost))]
use missing::{MessageQueue, Spsc};
#[cfg(boost)]
use there::{MessageQueue, Spsc};

pub(super) fn all() -> [Transport; 3] {
    [
        spsc("boost spsc_queue", &Spsc(Pause::Spin)),
        spsc("boost spsc_queue, slipping", &Spsc(Pause::Slip)),
        Transport {
            name: "boost message_queue",
            modes: &[Mode::Single, Mode::RoundTrip],
            api: |_| "send/receive",
            copies: |_| 2,
            many: &[],
            ends: Ends::Processes(&MessageQueue),
        },
    ]
}

fn spsc(name: &'static str, peer: &'static Spsc) -> Transport {
    Transport {
        name,
        modes: &[Mode::Bulk, Mode::Single, Mode::RoundTrip],
        api: |mode| if mode == Mode::Bulk { "push/pop of arrays" } else { "push/pop" },
        copies: |_| 2,
        many: &[],
        ends: Ends::Threads(peer),
    }
}

/// What build.rs found missing.
#[cfg(not(boost))]
mod missing {
    use anyhow::{Result, bail};
    use segring_bench::{Cell, End, Keeper, Made, Pause, Processes, Receiver, Sender, ThreadEnds, Threads};
    use std::rc::Rc;

    const WHY: &str = env!("SEGRING_VERSUS_NO_BOOST");

    pub(super) struct Spsc(#[expect(dead_code, reason = "as the other one")] pub(super) Pause);

    impl Threads for Spsc {
        fn pair(&self, _cell: Cell) -> Result<ThreadEnds> {
            bail!(WHY)
        }

        fn impossible(&self, _cell: Cell) -> Option<String> {
            Some(WHY.to_owned())
        }
    }

    pub(super) struct MessageQueue;

    impl Processes for MessageQueue {
        fn make(&self, _cell: Cell, _keeper: &Rc<Keeper>) -> Result<Made> {
            Ok(Made::Impossible(WHY.to_owned()))
        }

        fn sender(&self, _cell: Cell, _end: End) -> Result<Box<dyn Sender>> {
            bail!(WHY)
        }

        fn receiver(&self, _cell: Cell, _end: End) -> Result<Box<dyn Receiver>> {
            bail!(WHY)
        }
    }
}

#[cfg(boost)]
mod there {
    use crate::peers::capacity;
    use anyhow::{Context, Result, bail, ensure};
    use segring_bench::payload::{batch_len, check};
    use segring_bench::{
        Cell, Channel, End, Keeper, Made, Mode, Pause, Processes, Receiver, Sender, ThreadEnds, Threads,
        for_size,
    };
    use std::ffi::{CStr, CString, c_char, c_int, c_void};
    use std::ptr::NonNull;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Room for what an exception says.
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Text {
        bytes: *mut c_char,
        len: usize,
    }

    type PauseFunction = Option<extern "C" fn()>;

    unsafe extern "C" {
        fn segring_versus_fill(words: usize, out: *mut u64, seq: u64, error: Text) -> bool;
        fn segring_versus_difference(
            words: usize,
            message: *const u64,
            seq: u64,
            differs: *mut bool,
            error: Text,
        ) -> bool;
        fn segring_versus_spsc_new(words: usize, error: Text) -> *mut c_void;
        fn segring_versus_spsc_delete(words: usize, queue: *mut c_void, error: Text);
        fn segring_versus_spsc_send(
            words: usize,
            queue: *mut c_void,
            first: u64,
            n: u64,
            pause: PauseFunction,
            batch: *mut u64,
            len: usize,
            error: Text,
        ) -> bool;
        fn segring_versus_spsc_receive(
            words: usize,
            queue: *mut c_void,
            first: u64,
            n: u64,
            pause: PauseFunction,
            buffer: *mut u64,
            len: usize,
            reached: *mut u64,
            error: Text,
        ) -> bool;
        fn segring_versus_mq_make(name: *const c_char, words: usize, error: Text) -> c_int;
        fn segring_versus_mq_remove(name: *const c_char) -> bool;
        fn segring_versus_mq_open(name: *const c_char, error: Text) -> *mut c_void;
        fn segring_versus_mq_close(queue: *mut c_void);
        fn segring_versus_mq_send(words: usize, queue: *mut c_void, first: u64, n: u64, error: Text) -> bool;
        fn segring_versus_mq_receive(
            words: usize,
            queue: *mut c_void,
            first: u64,
            n: u64,
            wrong: *mut u64,
            reached: *mut u64,
            error: Text,
        ) -> bool;
    }

    /// What C++ said went wrong.
    struct Said([u8; 256]);

    impl Said {
        fn new() -> Self {
            Self([0; 256])
        }

        fn text(&mut self) -> Text {
            Text { bytes: self.0.as_mut_ptr().cast(), len: self.0.len() }
        }

        fn words(&self) -> String {
            CStr::from_bytes_until_nul(&self.0).map_or_else(|_| String::new(), |s| s.to_string_lossy().into())
        }

        fn unless(self, done: bool) -> Result<()> {
            if done { Ok(()) } else { bail!("boost: {}", self.words()) }
        }
    }

    /// Message `seq`, built in C++.
    fn built<const N: usize>(seq: u64) -> Result<Box<[[u64; N]]>> {
        let mut message = vec![[0; N]].into_boxed_slice();
        let mut said = Said::new();
        // SAFETY: room for a message of this many words, and for the text.
        let done = unsafe { segring_versus_fill(N, message.as_mut_ptr().cast(), seq, said.text()) };
        said.unless(done)?;
        Ok(message)
    }

    /// Whether C++ finds that this is not message `seq`.
    fn differs<const N: usize>(message: &[u64; N], seq: u64) -> Result<bool> {
        let mut differs = false;
        let mut said = Said::new();
        let message = message.as_ptr();
        // SAFETY: a message of this many words, and room for the answer and the text.
        let done = unsafe { segring_versus_difference(N, message, seq, &raw mut differs, said.text()) };
        said.unless(done)?;
        Ok(differs)
    }

    /// Both languages build and check the same messages.
    fn same_payload<const N: usize>() -> Result<()> {
        for seq in [0, 1, 40] {
            let message = built::<N>(seq)?;
            check(&message[0], seq).context("C++ builds other messages")?;
            let right = !differs(&message[0], seq)? && differs(&message[0], seq + 1)?;
            ensure!(right, "C++ checks message {seq} in another way");
        }
        Ok(())
    }

    /// C++ ended its loop at message `reached`, which is in the buffer if it is a wrong one.
    fn all_came<const N: usize>(reached: u64, end: u64, buffer: &[[u64; N]]) -> Result<()> {
        if reached == end {
            return Ok(());
        }
        check(&buffer[0], reached)?;
        bail!("message {reached} changed while it was checked")
    }

    /// The queue between threads.
    pub(super) struct Spsc(pub(super) Pause);

    impl Threads for Spsc {
        fn pair(&self, cell: Cell) -> Result<ThreadEnds> {
            for_size!(cell.size, N => pair::<N>(cell.mode, self.0))
        }
    }

    fn pair<const N: usize>(mode: Mode, pause: Pause) -> Result<ThreadEnds> {
        same_payload::<N>()?;
        let mut said = Said::new();
        // SAFETY: room for the text.
        let queue = unsafe { segring_versus_spsc_new(N, said.text()) };
        let queue = NonNull::new(queue).with_context(|| format!("boost: {}", said.words()))?;
        let queue = Arc::new(Queue::<N>(queue));
        let pause: PauseFunction = match pause {
            Pause::Spin => None,
            Pause::Slip => Some(slip),
        };
        let len = if mode == Mode::Bulk { batch_len(N * 8) } else { 0 };
        let end = |queue| Half { queue, pause, len, buffer: vec![[0; N]; len.max(1)] };
        let (mut tx, mut rx) = (end(Arc::clone(&queue)), end(queue));
        // Every page of it is there from now on.
        let all = capacity(N * 8) as u64;
        tx.send(crate::peers::PREFAULT, all)?;
        rx.receive(crate::peers::PREFAULT, all)?;
        Ok((Box::new(tx), Box::new(rx)))
    }

    extern "C" fn slip() {
        Pause::Slip.wait();
    }

    struct Queue<const N: usize>(NonNull<c_void>);

    // SAFETY: a queue is plain memory, of no thread in particular.
    unsafe impl<const N: usize> Send for Queue<N> {}
    // SAFETY: one thread sends and one receives, which is what it is made for.
    unsafe impl<const N: usize> Sync for Queue<N> {}

    impl<const N: usize> Drop for Queue<N> {
        fn drop(&mut self) {
            // SAFETY: both halves are gone, and it was made for messages of this many words.
            unsafe { segring_versus_spsc_delete(N, self.0.as_ptr(), Said::new().text()) };
        }
    }

    /// A side of the queue. A `len` of 0 means one message per call; else the buffer has so many.
    struct Half<const N: usize> {
        queue: Arc<Queue<N>>,
        pause: PauseFunction,
        len: usize,
        buffer: Vec<[u64; N]>,
    }

    impl<const N: usize> Sender for Half<N> {
        fn send(&mut self, first: u64, n: u64) -> Result<()> {
            let mut said = Said::new();
            let (queue, batch) = (self.queue.0.as_ptr(), self.buffer.as_mut_ptr().cast());
            // SAFETY: the queue is for messages of this many words and only this half sends; the
            // buffer has `len` messages.
            let done = unsafe {
                segring_versus_spsc_send(N, queue, first, n, self.pause, batch, self.len, said.text())
            };
            said.unless(done)
        }
    }

    impl<const N: usize> Receiver for Half<N> {
        fn receive(&mut self, first: u64, n: u64) -> Result<()> {
            let mut said = Said::new();
            let mut reached = first;
            let (queue, buffer) = (self.queue.0.as_ptr(), self.buffer.as_mut_ptr().cast());
            // SAFETY: the queue is for messages of this many words and only this half receives; the
            // buffer has `len` messages, and at least one.
            let done = unsafe {
                segring_versus_spsc_receive(
                    N,
                    queue,
                    first,
                    n,
                    self.pause,
                    buffer,
                    self.len,
                    &raw mut reached,
                    said.text(),
                )
            };
            said.unless(done)?;
            all_came(reached, first + n, &self.buffer)
        }
    }

    /// The queue between processes.
    pub(super) struct MessageQueue;

    impl Processes for MessageQueue {
        fn make(&self, cell: Cell, _keeper: &Rc<Keeper>) -> Result<Made> {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let n = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("segring-versus-{}-{n}", std::process::id());
            let removed = Removed(CString::new(name.as_str())?);
            let mut said = Said::new();
            // SAFETY: a C string, and room for the text.
            let made = unsafe { segring_versus_mq_make(removed.0.as_ptr(), cell.size / 8, said.text()) };
            match made {
                0 => Ok(Made::Channel(Channel::by_names(vec![name], vec![Box::new(removed)]))),
                1 => Ok(Made::Impossible(said.words())),
                _ => bail!("boost: {}", said.words()),
            }
        }

        fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
            for_size!(cell.size, N => Ok(Box::new(Side::<N>::open(&end)?)))
        }

        fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
            for_size!(cell.size, N => Ok(Box::new(Side::<N>::open(&end)?)))
        }
    }

    /// Removes the queue when the run is over, and what is left if making it failed.
    struct Removed(CString);

    impl Drop for Removed {
        fn drop(&mut self) {
            // SAFETY: a C string.
            let _: bool = unsafe { segring_versus_mq_remove(self.0.as_ptr()) };
        }
    }

    /// Either side: the queue, opened, and room for a wrong message.
    struct Side<const N: usize> {
        queue: NonNull<c_void>,
        wrong: Vec<[u64; N]>,
    }

    impl<const N: usize> Side<N> {
        fn open(end: &End) -> Result<Self> {
            same_payload::<N>()?;
            let [name] = end.names.as_slice() else { bail!("expected one name, got {:?}", end.names) };
            let name = CString::new(name.as_str())?;
            let mut said = Said::new();
            // SAFETY: a C string, and room for the text.
            let queue = unsafe { segring_versus_mq_open(name.as_ptr(), said.text()) };
            let queue = NonNull::new(queue).with_context(|| format!("boost: {}", said.words()))?;
            Ok(Self { queue, wrong: vec![[0; N]] })
        }
    }

    impl<const N: usize> Drop for Side<N> {
        fn drop(&mut self) {
            // SAFETY: it was opened here, and nobody else has it.
            unsafe { segring_versus_mq_close(self.queue.as_ptr()) };
        }
    }

    impl<const N: usize> Sender for Side<N> {
        fn send(&mut self, first: u64, n: u64) -> Result<()> {
            let mut said = Said::new();
            // SAFETY: an open queue, and room for the text.
            let done = unsafe { segring_versus_mq_send(N, self.queue.as_ptr(), first, n, said.text()) };
            said.unless(done)
        }
    }

    impl<const N: usize> Receiver for Side<N> {
        fn receive(&mut self, first: u64, n: u64) -> Result<()> {
            let mut said = Said::new();
            let mut reached = first;
            let (queue, wrong) = (self.queue.as_ptr(), self.wrong.as_mut_ptr().cast());
            // SAFETY: an open queue, and room for a message, for its number and for the text.
            let done = unsafe {
                segring_versus_mq_receive(N, queue, first, n, wrong, &raw mut reached, said.text())
            };
            said.unless(done)?;
            all_came(reached, first + n, &self.wrong)
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn every_byte<const N: usize>() {
            same_payload::<N>().unwrap();
            let mut message = built::<N>(40).unwrap();
            for at in 0..N {
                for byte in 0..8 {
                    message[0][at] ^= 0x10 << (8 * byte);
                    assert!(differs(&message[0], 40).unwrap(), "byte {byte} of word {at}");
                    message[0][at] ^= 0x10 << (8 * byte);
                }
            }
        }

        #[test]
        fn every_changed_byte_is_found_by_the_other_language() {
            every_byte::<1>();
            every_byte::<7>();
            every_byte::<128>();
        }
    }
}
