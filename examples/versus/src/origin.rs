//! The origin: one thread that answers `GET /N` with N bytes, as cheaply as it can.

use std::{
    collections::BTreeMap,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    rc::Rc,
    thread,
};

use memchr::memmem;
use slab::Slab;

use crate::{
    cpus,
    poll::{Interest, Poll, ready},
};

const LISTENER: usize = usize::MAX;

/// Starts the origin on `cpus`, for as long as the program runs, and returns its port.
pub(crate) fn start(cpus: Vec<usize>) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
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
    close: bool,
}

/// Answers by the length of their bodies, with and without a close.
type Answers = BTreeMap<(usize, bool), Rc<[u8]>>;

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
        if !self.input.ends_with(b"\r\n\r\n") {
            return Ok(true);
        }
        let (body, close) = understand(&self.input).ok_or(io::ErrorKind::InvalidData)?;
        self.input.clear();
        let bytes = answers
            .entry((body, close))
            .or_insert_with(|| render(body, close));
        self.answer = Some(Answer {
            bytes: Rc::clone(bytes),
            sent: 0,
            close,
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
        Ok(!self.answer.take().is_some_and(|answer| answer.close))
    }
}

/// The length that a request asks for, and whether it asks for the close.
fn understand(head: &[u8]) -> Option<(usize, bool)> {
    let rest = head.strip_prefix(b"GET /")?;
    let digits = rest.get(..memchr::memchr(b' ', rest)?)?;
    let body = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let close = memmem::find(head, b"onnection: close").is_some();
    Some((body, close))
}

fn render(body: usize, close: bool) -> Rc<[u8]> {
    let connection = if close { "Connection: close\r\n" } else { "" };
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {body}\r\n{connection}\r\n").into_bytes();
    bytes.resize(bytes.len() + body, b'x');
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_how_much_and_whether_to_close() {
        assert_eq!(
            understand(b"GET /128 HTTP/1.1\r\nHost: x\r\n\r\n"),
            Some((128, false))
        );
        assert_eq!(
            understand(b"GET /1 HTTP/1.1\r\nconnection: close\r\n\r\n"),
            Some((1, true))
        );
        assert_eq!(understand(b"GET /x HTTP/1.1\r\n\r\n"), None);
    }
}
