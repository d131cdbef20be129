//! Stream sockets: Unix, and TCP on the loopback interface.

use super::{Cell, Channel, End, Keeper, Made, Processes, Receiver, Sender, stream};
use crate::for_size;
use anyhow::{Context, Result, bail};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

/// A pair of Unix stream sockets.
pub(super) struct Unix;

impl Processes for Unix {
    fn make(&self, _: Cell, _: &Rc<Keeper>) -> Result<Made> {
        Ok(Made::Channel(unix()?))
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        for_size!(cell.size, N => stream::sender::<N>(cell.mode, end))
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        for_size!(cell.size, N => stream::receiver::<N>(cell.mode, end))
    }
}

/// A connection over the loopback interface.
pub(super) struct Tcp;

impl Processes for Tcp {
    fn make(&self, _: Cell, _: &Rc<Keeper>) -> Result<Made> {
        Ok(Made::Channel(tcp()?))
    }

    fn sender(&self, cell: Cell, end: End) -> Result<Box<dyn Sender>> {
        for_size!(cell.size, N => stream::sender::<N>(cell.mode, end))
    }

    fn receiver(&self, cell: Cell, end: End) -> Result<Box<dyn Receiver>> {
        for_size!(cell.size, N => stream::receiver::<N>(cell.mode, end))
    }
}

fn unix() -> Result<Channel> {
    let (sender, receiver) = UnixStream::pair().context("socketpair")?;
    Ok(Channel::by_descriptors(sender.into(), receiver.into()))
}

/// With `TCP_NODELAY`: a message must not wait for the next one.
fn tcp() -> Result<Channel> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("bind to 127.0.0.1")?;
    let address = listener.local_addr().context("getsockname")?;
    let sender = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
    let (receiver, peer) = listener.accept().context("accept")?;
    if peer != sender.local_addr().context("getsockname")? {
        bail!("another process ({peer}) connected to the benchmark's port");
    }
    for socket in [&sender, &receiver] {
        socket.set_nodelay(true).context("setsockopt(TCP_NODELAY)")?;
    }
    Ok(Channel::by_descriptors(sender.into(), receiver.into()))
}
