//! Where connections to servers go, and how they begin: for streams and for checks alike.

use std::{io, net::SocketAddr};

use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{rt, stream::Plain};
use crate::config::{KernelBuffers, UnixAddress};

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    /// TCP.
    Ip(SocketAddr),
    /// A UNIX stream socket.
    Unix(UnixAddress),
}

/// Why a connection did not even begin.
#[derive(Debug)]
pub(super) enum NotBegun {
    /// This machine could not make one.
    Local(io::Error),
    /// The other end is not there.
    Refused(io::Error),
}

impl NotBegun {
    /// Whether this process, or the system, has no descriptor left.
    pub(super) fn is_of_descriptors(&self) -> bool {
        match self {
            Self::Local(error) => is(error, Errno::MFILE) || is(error, Errno::NFILE),
            Self::Refused(_) => false,
        }
    }
}

impl Destination {
    /// Starts a connection, from `source` if that is given; it stands once the socket is writable and has no error.
    pub(super) fn begin(
        &self,
        source: Option<SocketAddr>,
        options: SocketOptions,
    ) -> Result<Plain, NotBegun> {
        match self {
            Self::Ip(address) => tcp(*address, source, options).map(Plain::Tcp),
            Self::Unix(address) => unix(address).map(Plain::Unix),
        }
    }
}

/// What a socket in TCP is told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SocketOptions {
    pub(super) keepalive: bool,
    pub(super) buffers: KernelBuffers,
}

/// Limits what the kernel holds for a socket. One that it does not take has the kernel's own limits.
pub(super) fn limit(socket: &Socket, buffers: KernelBuffers) {
    let bytes = |bytes: Option<u32>| bytes.and_then(|bytes| usize::try_from(bytes).ok());
    if let Some(bytes) = bytes(buffers.receive) {
        let _ = socket.set_recv_buffer_size(bytes);
    }
    if let Some(bytes) = bytes(buffers.send) {
        let _ = socket.set_send_buffer_size(bytes);
    }
}

fn tcp(
    address: SocketAddr,
    source: Option<SocketAddr>,
    options: SocketOptions,
) -> Result<rt::Socket, NotBegun> {
    let socket = || {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )?;
        socket.set_tcp_nodelay(true)?;
        if options.keepalive {
            socket.set_keepalive(true)?;
        }
        // Before it connects: the window that the other end may use is agreed on then.
        limit(&socket, options.buffers);
        if let Some(source) = source {
            socket.bind(&source.into())?;
        }
        Ok(socket)
    };
    let socket: Socket = socket().map_err(NotBegun::Local)?;
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(e) if is(&e, Errno::INPROGRESS) => {}
        // Ports or addresses of this machine are used up, or not its own.
        Err(e)
            if [Errno::AGAIN, Errno::ADDRINUSE, Errno::ADDRNOTAVAIL]
                .iter()
                .any(|n| is(&e, *n)) =>
        {
            return Err(NotBegun::Local(e));
        }
        Err(e) => return Err(NotBegun::Refused(e)),
    }
    rt::Socket::connecting(socket.into()).map_err(NotBegun::Local)
}

/// A UNIX connection stands at once, or never: a full queue is EAGAIN, as when this machine has no port left.
fn unix(address: &UnixAddress) -> Result<rt::Socket, NotBegun> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None);
    let socket = socket.map_err(NotBegun::Local)?;
    let address = SockAddr::unix(address.to_path()).map_err(NotBegun::Local)?;
    match socket.connect(&address) {
        Ok(()) => rt::Socket::connected(socket.into()).map_err(NotBegun::Local),
        Err(e) if is(&e, Errno::AGAIN) => Err(NotBegun::Local(e)),
        Err(e) => Err(NotBegun::Refused(e)),
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}
