//! ipc-channel: one packet of a Unix socket per message, and a new vector for each that comes.
//!
//! How much it holds is the socket's limit, which it does not let one choose.

use anyhow::{Context, Result};
use ipc_channel::ipc::{self, IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcReceiver, IpcSender};
use segring_bench::payload::{check_bytes, fill};
use segring_bench::{
    Cell, Channel, End, Ends, Keeper, Made, Mode, Processes, Receiver, Sender, Transport, for_size,
};
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use std::thread::JoinHandle;
use zerocopy::IntoBytes;

pub(super) fn all() -> Vec<Transport> {
    vec![Transport {
        name: "ipc-channel",
        modes: &[Mode::Single, Mode::RoundTrip],
        api: |_| "IpcBytesSender::send/recv",
        copies: |_| 2,
        many: &[],
        ends: Ends::Processes(&IpcChannel),
    }]
}

struct IpcChannel;

impl Processes for IpcChannel {
    fn make(&self, _cell: Cell, _keeper: &Rc<Keeper>) -> Result<Made> {
        let (tx, rx) = ipc::bytes_channel().context("bytes_channel")?;
        let sender = Handover::start(tx)?;
        let receiver = Handover::start(rx)?;
        let end = |name: &str| End { names: vec![name.to_owned()], ..End::default() };
        Ok(Made::Channel(Channel::new(
            end(&sender.name),
            end(&receiver.name),
            vec![Box::new(sender), Box::new(receiver)],
        )))
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        let tx = taken_over(end)?;
        for_size!(cell.size, N => Ok(Box::new(BytesSender { tx, message: vec![[0_u64; N]] })))
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        let rx = taken_over(end)?;
        for_size!(cell.size, N => Ok(Box::new(BytesReceiver::<N> { rx })))
    }
}

/// Passes an end to whoever connects to a name. The library passes ends over its own channels only.
struct Handover {
    name: String,
    /// `None` only while it is being dropped.
    thread: Option<JoinHandle<Result<()>>>,
}

impl Handover {
    fn start<T>(end: T) -> Result<Self>
    where
        T: Serialize + for<'de> Deserialize<'de> + Send + 'static,
    {
        let (server, name) = IpcOneShotServer::<IpcSender<T>>::new().context("IpcOneShotServer")?;
        let thread = std::thread::spawn(move || {
            let (_, reply) = server.accept().context("accept")?;
            reply.send(end).context("send an end")
        });
        Ok(Self { name, thread: Some(thread) })
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if !thread.is_finished() {
            // Nobody came: a connection that is closed at once ends the wait.
            drop(IpcSender::<()>::connect(self.name.clone()));
        }
        // A worker that could not take its end over has said so.
        let _ = thread.join();
    }
}

/// Worker: fetches an end.
fn taken_over<T>(end: End) -> Result<T>
where
    T: Serialize + for<'de> Deserialize<'de>,
{
    let name = end.names.into_iter().next().context("the parent sent no name")?;
    let (reply, answer): (IpcSender<T>, IpcReceiver<T>) = ipc::channel().context("channel")?;
    let parent = IpcSender::connect(name).context("connect")?;
    parent.send(reply).context("ask for an end")?;
    answer.recv().context("receive an end")
}

struct BytesSender<const N: usize> {
    tx: IpcBytesSender,
    message: Vec<[u64; N]>,
}

impl<const N: usize> Sender for BytesSender<N> {
    fn send(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            fill(&mut self.message[0], seq);
            self.tx.send(self.message.as_bytes()).context("send")?;
        }
        Ok(())
    }
}

struct BytesReceiver<const N: usize> {
    rx: IpcBytesReceiver,
}

impl<const N: usize> Receiver for BytesReceiver<N> {
    fn receive(&mut self, first: u64, n: u64) -> Result<()> {
        for seq in first..first + n {
            let bytes = self.rx.recv().context("recv")?;
            check_bytes::<N>(&bytes, seq)?;
        }
        Ok(())
    }
}
