//! The client's side of a case.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use socket2::SockRef;

use crate::{
    case::{Case, Step},
    origin::Origin,
};

/// How a client's connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The proxy closed it.
    Closed,
    /// The proxy reset it.
    Reset,
    /// It stands.
    Open,
    /// The client left.
    Left,
}

/// What a client received and how it ended.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: End,
}

const PATIENCE: Duration = Duration::from_secs(10);

/// As long as a machine may stand still: who has not been told of an exchange has not heard all of it before.
const STANDSTILL: Duration = Duration::from_secs(2);

/// Plays the client of `case`. `stretch` makes silences longer.
pub(crate) fn play(case: &Case, address: SocketAddr, origin: &Origin, stretch: u32) -> Received {
    play_until(case, address, origin, stretch, || true)
}

/// The same; before the log `has_told` of all that it will tell of, what a short silence means is open.
pub(crate) fn play_until(
    case: &Case,
    address: SocketAddr,
    origin: &Origin,
    stretch: u32,
    has_told: impl Fn() -> bool,
) -> Received {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let silence = Duration::from_millis(case.silence_ms) * stretch;
    let mut client = Client {
        stream,
        bytes: Vec::new(),
        end: None,
    };
    for step in case.steps {
        if client.end.is_some() && !matches!(step, Step::Close | Step::Reset) {
            break;
        }
        match step {
            Step::Send(bytes) => client.send(bytes),
            Step::Fill(byte, count) => client.send(&vec![*byte; *count]),
            Step::Until(bytes) => client.read_until(bytes),
            Step::AtOrigin(bytes) => origin.wait_for(bytes, PATIENCE),
            Step::Tell => origin.tell(),
            Step::HalfClose => drop(client.stream.shutdown(Shutdown::Write)),
            Step::Close => client.end = Some(End::Left),
            Step::Reset => {
                SockRef::from(&client.stream)
                    .set_linger(Some(Duration::ZERO))
                    .unwrap();
                client.end = Some(End::Left);
            }
        }
    }
    let mut heard = Instant::now();
    while client.end.is_none() {
        if client.read(silence) > 0 {
            heard = Instant::now();
        } else if client.end.is_none() && (has_told() || heard.elapsed() > STANDSTILL * stretch) {
            client.end = Some(End::Open);
        }
    }
    Received {
        bytes: client.bytes,
        end: client.end.unwrap(),
    }
}

struct Client {
    stream: TcpStream,
    bytes: Vec<u8>,
    end: Option<End>,
}

impl Client {
    /// A failed write is no end: the answer may still be there to read.
    fn send(&mut self, bytes: &[u8]) {
        self.stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let _ = self.stream.write_all(bytes);
    }

    fn read(&mut self, patience: Duration) -> usize {
        self.stream.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = vec![0; 65536];
        // A process that was stopped finds its reading interrupted.
        let read = loop {
            match self.stream.read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(0) => self.end = Some(End::Closed),
            Ok(count) => {
                self.bytes.extend_from_slice(&buffer[..count]);
                return count;
            }
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) => {}
            Err(_) => self.end = Some(End::Reset),
        }
        0
    }

    fn read_until(&mut self, wanted: &[u8]) {
        let from = self.bytes.len();
        let deadline = Instant::now() + PATIENCE;
        while self.end.is_none() && Instant::now() < deadline {
            if memmem(&self.bytes[from..], wanted) {
                return;
            }
            self.read(Duration::from_millis(200));
        }
    }
}

/// Whether `needle` occurs in `haystack`.
pub(crate) fn memmem(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}
