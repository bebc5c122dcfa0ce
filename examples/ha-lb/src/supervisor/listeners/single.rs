//! Listening sockets that all workers share: UNIX sockets, which have one queue, and those that the process was
//! started with.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use lb_core::config::{Bind, BindAddress, UnixAddress};
use rustix::io::FdFlags;
use socket2::{Domain, SockAddr, Socket, Type};

use super::{Rights, Step, listen, tcp};

/// A listening socket at `address`.
pub(super) fn single(address: &BindAddress, rights: &Rights, backlog: u32) -> Step<OwnedFd> {
    match address {
        BindAddress::Unix(path) => unix(path, rights, backlog),
        BindAddress::Abstract(name) => hidden(name, backlog),
        BindAddress::Inherited(number) => {
            let socket = inherited(*number).map_err(|error| ("use", error))?;
            listen(&socket, backlog)?;
            Ok(socket.into())
        }
        BindAddress::Tcp(address) => tcp(*address, &Bind::new(BindAddress::Tcp(*address)), backlog),
    }
}

fn hidden(name: &str, backlog: u32) -> Step<OwnedFd> {
    let path = UnixAddress::Abstract(name.to_owned()).to_path();
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)
        .map_err(|error| ("create a socket for", error))?;
    SockAddr::unix(path)
        .and_then(|address| socket.bind(&address))
        .map_err(|error| ("bind", error))?;
    listen(&socket, backlog)?;
    Ok(socket.into())
}

/// A stream socket that the process was started with. No program that is executed from now on gets it.
#[expect(unsafe_code, reason = "a descriptor is known by its number alone")]
fn inherited(number: i32) -> io::Result<Socket> {
    // SAFETY: nothing in this process closes descriptors by number, and the borrow ends with this function. A number
    // that is no open descriptor is an error of the first call.
    let given = unsafe { BorrowedFd::borrow_raw(number) };
    let own = Socket::from(rustix::io::fcntl_dupfd_cloexec(given, 3)?);
    if own.r#type()? != Type::STREAM {
        return Err(io::Error::other("not a stream socket"));
    }
    rustix::io::fcntl_setfd(given, FdFlags::CLOEXEC)?;
    own.set_nonblocking(true)?;
    Ok(own)
}

/// Binds beside the final path and renames, so that clients of a running daemon never find the path absent.
fn unix(path: &Path, rights: &Rights, backlog: u32) -> Step<OwnedFd> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = PathBuf::from(beside);
    let at = |step: &'static str| move |error: io::Error| (step, error);
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)
        .map_err(at("create a socket for"))?;
    let _ = std::fs::remove_file(&beside);
    let made = socket
        .bind(&SockAddr::unix(&beside).map_err(at("bind"))?)
        .map_err(at("bind"))
        .and_then(|()| {
            rights.give(&beside)?;
            listen(&socket, backlog)?;
            std::fs::rename(&beside, path).map_err(at("put into place"))
        });
    if made.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    made.map(|()| socket.into())
}
