//! The origin: one thread that answers `GET /N` with N bytes, as cheaply as it can. `asked` has what else it does.

mod asked;

use std::{
    collections::BTreeMap,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    rc::Rc,
    thread,
    time::Duration,
};

use rustix::net::sockopt::{set_socket_linger, set_socket_send_buffer_size};
use slab::Slab;

use self::asked::{Asked, Manner, render};
use crate::{
    cpus,
    poll::{Interest, Poll, ready},
};

const LISTENER: usize = usize::MAX;
/// Connections that wait to be accepted.
pub(crate) const BACKLOG: i32 = 4096;

/// Starts the origin on `cpus`, for as long as the program runs, and returns its port.
pub(crate) fn start(cpus: Vec<usize>) -> io::Result<u16> {
    start_with(cpus, None)
}

/// The same; the kernel holds no more than `buffer` bytes for each of its connections.
pub(crate) fn start_with(cpus: Vec<usize>, buffer: Option<usize>) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // A queue of the standard library's length overflows with a thousand connections at once: a proxy would wait a
    // second for its SYN to be repeated, and may be reset after all, for what is this origin's fault.
    rustix::net::listen(&listener, BACKLOG)?;
    if let Some(bytes) = buffer {
        // Connections inherit it.
        set_socket_send_buffer_size(&listener, bytes)?;
    }
    let port = listener.local_addr()?.port();
    listener.set_nonblocking(true)?;
    thread::Builder::new()
        .name("origin".to_owned())
        .spawn(move || {
            let served = cpus::pin(&cpus).and_then(|()| serve(&listener));
            if let Err(failed) = served {
                eprintln!("versus: the origin ends: {failed}");
            }
        })?;
    Ok(port)
}

/// A connection of a proxy.
struct Peer {
    stream: TcpStream,
    /// The beginning of a request that is not whole yet.
    input: Vec<u8>,
    answer: Option<Answer>,
}

/// What is being sent.
struct Answer {
    bytes: Rc<[u8]>,
    sent: usize,
    asked: Asked,
}

/// Answers by what was asked for.
type Answers = BTreeMap<Asked, Rc<[u8]>>;

fn serve(listener: &TcpListener) -> io::Result<()> {
    let mut poll = Poll::new()?;
    poll.add(listener, LISTENER, Interest::IN)?;
    let mut peers = Slab::new();
    let mut answers = Answers::new();
    loop {
        for index in 0..poll.wait(None)? {
            let Some((token, _)) = poll.event(index) else {
                continue;
            };
            if token == LISTENER {
                accept(listener, &poll, &mut peers)?;
                continue;
            }
            let Some(peer) = peers.get_mut(token) else {
                continue;
            };
            // What a proxy does to its connections is its own affair; the client sees what is lost by it.
            if !matches!(peer.turn(token, &poll, &mut answers), Ok(true)) {
                peers.remove(token);
            }
        }
    }
}

fn accept(listener: &TcpListener, poll: &Poll, peers: &mut Slab<Peer>) -> io::Result<()> {
    while let Some((stream, _)) = ready(listener.accept())? {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let place = peers.vacant_entry();
        poll.add(&stream, place.key(), Interest::IN)?;
        place.insert(Peer {
            stream,
            input: Vec::new(),
            answer: None,
        });
    }
    Ok(())
}

impl Peer {
    /// Reads and answers as far as possible; false when the connection is over.
    fn turn(&mut self, token: usize, poll: &Poll, answers: &mut Answers) -> io::Result<bool> {
        if self.answer.is_some() {
            if !self.send()? {
                return Ok(true);
            }
            poll.change(&self.stream, token, Interest::IN)?;
            return self.finish();
        }
        let mut room = [0; 8192];
        let Some(count) = ready(self.stream.read(&mut room))? else {
            return Ok(true);
        };
        if count == 0 {
            return Ok(false);
        }
        self.input
            .extend_from_slice(room.get(..count).unwrap_or_default());
        if !asked::is_whole(&self.input) {
            return Ok(true);
        }
        let asked = asked::understand(&self.input).ok_or(io::ErrorKind::InvalidData)?;
        self.input.clear();
        if asked.manner == Manner::Stall {
            // Until the proxy gives up.
            return Ok(true);
        }
        let bytes = answers.entry(asked).or_insert_with(|| render(asked));
        self.answer = Some(Answer {
            bytes: Rc::clone(bytes),
            sent: 0,
            asked,
        });
        if self.send()? {
            return self.finish();
        }
        poll.change(&self.stream, token, Interest::OUT)?;
        Ok(true)
    }

    /// Sends what is left; true when nothing is.
    fn send(&mut self) -> io::Result<bool> {
        let Some(answer) = &mut self.answer else {
            return Ok(true);
        };
        while let Some(left @ [_, ..]) = answer.bytes.get(answer.sent..) {
            match ready(self.stream.write(left))? {
                Some(count) => answer.sent += count,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// An answer is out; true if another request may come.
    fn finish(&mut self) -> io::Result<bool> {
        let Some(Asked { manner, close, .. }) = self.answer.take().map(|a| a.asked) else {
            return Ok(true);
        };
        if manner == Manner::Reset {
            set_socket_linger(&self.stream, Some(Duration::ZERO))?;
        }
        Ok(!close && !manner.breaks_off())
    }
}
