//! A client that sends what it likes: frames by hand, fields without compression.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::common::connect;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RESET: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const WHOLE: u8 = END_STREAM | END_HEADERS;

/// A frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Fields as literals that nobody remembers (RFC 7541 §6.2.2).
pub(crate) fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in list {
        block.push(0);
        for text in [name, value] {
            // One byte for each character: what is beyond ASCII in a table stands for a byte.
            match text.chars().count() {
                short @ ..127 => block.push(short as u8),
                long => {
                    let mut rest = long - 127;
                    block.push(127);
                    while rest >= 128 {
                        block.push((rest % 128) as u8 | 128);
                        rest /= 128;
                    }
                    block.push(rest as u8);
                }
            }
            block.extend(text.chars().map(|c| c as u8));
        }
    }
    block
}

/// The pseudo fields of a request, and others.
pub(crate) fn request(method: &str, path: &str, others: &[(&str, &str)]) -> Vec<u8> {
    let mut list = vec![
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "web.test"),
    ];
    list.extend(others);
    fields(&list)
}

/// What came of a stream or of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Status(u16),
    Reset(u32),
    GoAway(u32),
    Closed,
}

/// A connection.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
}

impl Raw {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::begin(connect(address))
    }

    /// Says on a connection that HTTP/2 is spoken.
    pub(crate) fn begin(mut stream: TcpStream) -> Self {
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
        Self { stream }
    }

    /// Sends bytes; a peer that has closed is noticed when reading.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next frame: kind, flags, stream, payload.
    pub(crate) fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = head;
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).ok()?;
        Some((kind, flags, u32::from_be_bytes([s0, s1, s2, s3]), payload))
    }

    /// What becomes of `stream`.
    pub(crate) fn outcome(&mut self, stream: u32) -> Outcome {
        loop {
            match self.next() {
                None => return Outcome::Closed,
                Some((HEADERS, _, of, block)) if of == stream => {
                    return Outcome::Status(status(&block));
                }
                Some((RESET, _, of, code)) if of == stream => return Outcome::Reset(word(&code)),
                Some((GOAWAY, _, _, last)) => return Outcome::GoAway(word(&last[4..])),
                Some(_) => {}
            }
        }
    }
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

/// `:status`, which comes first: by its index, or as digits in Huffman's code.
fn status(block: &[u8]) -> u16 {
    const KNOWN: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    match block {
        [index @ 0x88..=0x8e, ..] => KNOWN[usize::from(index - 0x88)],
        [0x08 | 0x48, length, text @ ..] if length & 0x80 != 0 => {
            let bits = u32::from_be_bytes([text[0], text[1], text[2], 0]);
            let (mut at, mut number) = (0, 0);
            for _ in 0..3 {
                let next = bits << at >> 26;
                let (digit, length) = if next < 6 {
                    (next >> 1, 5)
                } else {
                    (next - 22, 6)
                };
                number = number * 10 + digit;
                at += length;
            }
            number as u16
        }
        [0x08 | 0x48, 3, text @ ..] => String::from_utf8_lossy(&text[..3]).parse().unwrap(),
        // The table was used before: 431 and others after their first time.
        _ => panic!("no status: {block:x?}"),
    }
}
