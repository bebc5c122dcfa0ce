//! Slow readers: they ask, see that the answer begins, and then take their time.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, connect, socket_with,
    sockopt::set_socket_recv_buffer_size,
};
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;

use super::{
    MUCH, PATIENCE,
    kind::{Kind, Over, STREAMS, Windows},
};
use crate::{Fatal, certificate};

/// What a reader's kernel takes ahead of it.
const AHEAD: usize = 16 << 10;
/// What one that trickles reads in a second ...
const SIP: usize = 8 << 10;
/// ... in which so many groups of readers have their turn.
const TURNS: u32 = 20;

/// Those of one kind.
#[derive(Default)]
pub(super) struct Readers(Mutex<Vec<TcpStream>>);

impl Readers {
    /// Opens so many requests as are asked for, one after the other; each is being answered then.
    pub(super) fn open(
        &self,
        kind: &Kind,
        requests: u32,
        port: u16,
        pem: &Path,
    ) -> Result<(), Fatal> {
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut left = requests;
        let mut count = 0;
        let tls = match kind.over {
            Over::Tls => Some(certificate::client(pem, false)?),
            _ => None,
        };
        while left > 0 {
            let (streams, asked) = match kind.over {
                Over::Http2(windows) => {
                    let streams = left.min(STREAMS);
                    (streams, http2(streams, windows))
                }
                _ => (1, request().into_bytes()),
            };
            let opened = open(target, &asked, tls.as_ref());
            let reader = opened.map_err(|why| format!("slow reader {}: {why}", count + 1))?;
            reader.set_nonblocking(true)?;
            self.streams().push(reader);
            count += 1;
            left -= streams;
        }
        Ok(())
    }

    fn streams(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a little of each that is open every second, until it is enough.
    pub(super) fn trickle(&self, enough: &AtomicBool) {
        let mut room = [0; SIP];
        for turn in (0..TURNS as usize).cycle() {
            if enough.load(Ordering::Relaxed) {
                return;
            }
            for mut reader in self.streams().iter().skip(turn).step_by(TURNS as usize) {
                // The proxy's log tells what becomes of it.
                let _ = reader.read(&mut room);
            }
            thread::sleep(Duration::from_secs(1) / TURNS);
        }
    }
}

fn request() -> String {
    format!("GET /{MUCH} HTTP/1.1\r\nHost: versus.example\r\n\r\n")
}

/// Connects, asks, and reads the first bytes that come.
fn open(
    target: SocketAddr,
    asked: &[u8],
    tls: Option<&Arc<ClientConfig>>,
) -> io::Result<TcpStream> {
    let fd = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    set_socket_recv_buffer_size(&fd, AHEAD)?;
    connect(&fd, &target)?;
    let mut stream = TcpStream::from(fd);
    stream.set_read_timeout(Some(PATIENCE))?;
    match tls {
        None => begin(&mut stream, asked)?,
        Some(config) => {
            let name = ServerName::from(target.ip());
            let session = ClientConnection::new(Arc::clone(config), name);
            let mut session = session.map_err(io::Error::other)?;
            begin(&mut rustls::Stream::new(&mut session, &mut stream), asked)?;
        }
    }
    Ok(stream)
}

fn begin(stream: &mut (impl Read + Write), asked: &[u8]) -> io::Result<()> {
    stream.write_all(asked)?;
    stream.flush()?;
    let mut first = [0; 9];
    stream.read_exact(&mut first)?;
    // A status line, or the head of a frame: the settings that every connection begins with (RFC 9113 §3.4).
    match &first == b"HTTP/1.1 " || first.get(3) == Some(&SETTINGS) {
        true => Ok(()),
        false => Err(io::Error::other(format!("it says {first:?}"))),
    }
}

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
/// END_STREAM and END_HEADERS.
const WHOLE: u8 = 0x5;
/// The largest window but a little.
const WIDE: u32 = 0x7000_0000;

/// All that a client of HTTP/2 sends: the preface, its windows, and so many requests.
fn http2(streams: u32, windows: Windows) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    match windows {
        Windows::First => frame(SETTINGS, 0, 0, &[], &mut bytes),
        Windows::Wide => {
            // SETTINGS_INITIAL_WINDOW_SIZE, then the window of the connection.
            let [a, b, c, d] = WIDE.to_be_bytes();
            frame(SETTINGS, 0, 0, &[0, 4, a, b, c, d], &mut bytes);
            frame(WINDOW_UPDATE, 0, 0, &[a, b, c, d], &mut bytes);
        }
    }
    // RFC 7541: GET and http from the table, then two literals with names from it: the path and the authority.
    let mut block = vec![0x82, 0x86];
    for (index, value) in [(4, format!("/{MUCH}")), (1, "versus.example".to_owned())] {
        block.push(index);
        block.push(u8::try_from(value.len()).unwrap_or(0));
        block.extend(value.bytes());
    }
    for number in 0..streams {
        frame(HEADERS, WHOLE, 2 * number + 1, &block, &mut bytes);
    }
    bytes
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    out.extend_from_slice(length.get(1..).unwrap_or_default());
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_http2_follow_the_preface_and_the_settings() {
        let bytes = http2(2, Windows::First);
        let (preface, frames) = bytes.split_at(24);
        assert!(preface.starts_with(b"PRI * HTTP/2.0"));
        assert_eq!(frames[..9], [0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]);
        assert_eq!(frames[12..18], [HEADERS, WHOLE, 0, 0, 0, 1]);
        let length = usize::from(frames[11]);
        assert_eq!(frames[9 + 9 + length + 8], 3);
        assert_eq!(frames.len(), 9 + 2 * (9 + length));
    }
}
