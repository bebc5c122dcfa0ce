//! The floor: what any proxy pays that reads from one socket and writes to another. One epoll, level-triggered, no
//! system call that is not `recv`, `send` or the wait; nothing is understood.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddrV4, TcpListener, TcpStream},
    os::fd::OwnedFd,
    thread,
};

use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};
use slab::Slab;

use crate::{
    Fatal,
    origin::BACKLOG,
    poll::{Interest, Poll, ready},
};

const LISTENER: usize = usize::MAX;
const ROOM: usize = 64 << 10;

/// Relays from `address` to `origin` with `workers` threads, until it is killed.
pub(crate) fn run(
    address: SocketAddrV4,
    origin: SocketAddrV4,
    workers: usize,
) -> Result<(), Fatal> {
    let mut threads = Vec::new();
    for _ in 0..workers {
        let listener = reuse_port(address)?;
        threads.push(thread::spawn(move || work(&listener, origin)));
    }
    for thread in threads {
        thread.join().map_err(|_| "a worker of the relay broke")??;
    }
    Ok(())
}

fn reuse_port(address: SocketAddrV4) -> io::Result<TcpListener> {
    let fd: OwnedFd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&fd, true)?;
    sockopt::set_socket_reuseport(&fd, true)?;
    bind(&fd, &address)?;
    listen(&fd, BACKLOG)?;
    let listener = TcpListener::from(fd);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// One of two connected sockets; its peer has the token with the last bit turned.
struct End {
    stream: TcpStream,
    /// Read from the peer, but not yet taken by this socket.
    backlog: Vec<u8>,
}

/// Two sockets whose bytes are exchanged.
struct Pair([End; 2]);

fn work(listener: &TcpListener, origin: SocketAddrV4) -> io::Result<()> {
    let mut poll = Poll::new()?;
    poll.add(listener, LISTENER, Interest::IN)?;
    let mut pairs: Slab<Pair> = Slab::new();
    let mut room = vec![0; ROOM];
    loop {
        for index in 0..poll.wait(None)? {
            let Some((token, flags)) = poll.event(index) else {
                continue;
            };
            if token == LISTENER {
                accept(listener, origin, &poll, &mut pairs)?;
                continue;
            }
            let Some(pair) = pairs.get_mut(token / 2) else {
                continue;
            };
            let lives = if flags.contains(Interest::OUT) {
                pair.flush(token, &poll)
            } else {
                pair.pass(token, &poll, &mut room)
            };
            if !matches!(lives, Ok(true)) {
                pairs.remove(token / 2);
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    origin: SocketAddrV4,
    poll: &Poll,
    pairs: &mut Slab<Pair>,
) -> io::Result<()> {
    while let Some((client, _)) = ready(listener.accept())? {
        let server = TcpStream::connect(origin)?;
        let place = pairs.vacant_entry();
        for (side, stream) in [&client, &server].into_iter().enumerate() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            poll.add(stream, place.key() * 2 + side, Interest::IN)?;
        }
        place.insert(Pair([client, server].map(|stream| End {
            stream,
            backlog: Vec::new(),
        })));
    }
    Ok(())
}

impl Pair {
    /// The socket of `token` and the other one.
    fn sides(&mut self, token: usize) -> (&mut End, &mut End) {
        let Self([client, server]) = self;
        if token.is_multiple_of(2) {
            (client, server)
        } else {
            (server, client)
        }
    }

    /// One read from the socket of `token` and one write to the other; false when either is over.
    fn pass(&mut self, token: usize, poll: &Poll, room: &mut [u8]) -> io::Result<bool> {
        let (from, to) = self.sides(token);
        let Some(count) = ready(from.stream.read(room))? else {
            return Ok(true);
        };
        let bytes = room.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(false);
        }
        let sent = ready(to.stream.write(bytes))?.unwrap_or(0);
        if let Some(left @ [_, ..]) = bytes.get(sent..) {
            to.backlog.extend_from_slice(left);
            // Read no further before this is gone.
            poll.change(&from.stream, token, Interest::empty())?;
            poll.change(&to.stream, token ^ 1, Interest::OUT)?;
        }
        Ok(true)
    }

    /// Sends the backlog of the socket of `token`.
    fn flush(&mut self, token: usize, poll: &Poll) -> io::Result<bool> {
        let (to, from) = self.sides(token);
        if let Some(count) = ready(to.stream.write(&to.backlog))? {
            to.backlog.drain(..count);
        }
        if to.backlog.is_empty() {
            poll.change(&to.stream, token, Interest::IN)?;
            poll.change(&from.stream, token ^ 1, Interest::IN)?;
        }
        Ok(true)
    }
}
