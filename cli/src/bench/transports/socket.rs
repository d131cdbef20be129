//! Stream sockets: Unix, and TCP on the loopback interface.

use super::Channel;
use anyhow::{Context, Result, bail};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

pub(super) fn unix() -> Result<Channel> {
    let (sender, receiver) = UnixStream::pair().context("socketpair")?;
    Ok(Channel::by_descriptors(sender.into(), receiver.into()))
}

/// With `TCP_NODELAY`: a message must not wait for the next one.
pub(super) fn tcp() -> Result<Channel> {
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
