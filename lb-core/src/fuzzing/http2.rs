//! Frames of a client, whole and in pieces.

use std::time::Instant;

use crate::{
    head::Head,
    http1::{Leniency, RequestDecoder},
    http2::{Code, Content, Event, Flood, Frame, Key, Limits, Server},
};

const LIMITS: Limits = Limits {
    header_table: 4096,
    window: 65_535,
    streams: 8,
    frame: 16_384,
    head: 15 * 1024,
    websockets: true,
};

/// A preface, and settings that say nothing.
const BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// What came of a connection.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    requests: Vec<Vec<u8>>,
    output: Vec<u8>,
    failure: Option<Code>,
    flood: Option<Flood>,
    malformed: u32,
}

/// The first byte says how many bytes arrive at a time, the others are frames behind a client's preface and settings.
/// What they mean does not depend on how they were cut, requests are heads of HTTP/1.1 without a line too many, and
/// what is sent are frames that every client understands.
pub fn http2(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else {
        return;
    };
    let whole = serve(bytes, bytes.len().max(1));
    let step = 1 + usize::from(*choice);
    assert_eq!(whole, serve(bytes, step), "cut by {step}");
    frames(&whole.output);
}

fn serve(bytes: &[u8], step: usize) -> Seen {
    let now = some_time();
    let mut server = Server::new(LIMITS, now);
    server.receive(BEGIN, now);
    for piece in bytes.chunks(step) {
        server.receive(piece, now);
    }
    let mut requests = Vec::new();
    while let Some(event) = server.next_event() {
        if let Event::Request(key) = event {
            requests.push(answer(&mut server, key));
        }
    }
    let output = server.output().to_vec();
    server.sent(output.len());
    server.leave();
    server.abandon(Code::NO_ERROR);
    server.lose();
    assert!(server.is_over() && server.output().is_empty());
    server.shrink();
    Seen {
        requests,
        output,
        failure: server.failure(),
        flood: server.flood(),
        malformed: server.take_malformed(),
    }
}

/// Reads a request and answers it; what was read.
fn answer(server: &mut Server, key: Key) -> Vec<u8> {
    let request = server.take_request(key);
    let mut seen = request.text.clone();
    let end = memchr::memmem::find(&seen, b"\r\n\r\n").map(|at| at + 4);
    assert_eq!(end, Some(seen.len()), "one head");
    let mut decoder = RequestDecoder::new(crate::http1::Limits::default(), Leniency::default());
    let _ = decoder.decode(&seen, &mut Head::default());
    while let Ok(Content::Some(count)) = server.content(key) {
        let mut room = vec![0; count];
        assert_eq!(server.read(key, &mut room), count);
        seen.extend(room);
    }
    seen.extend_from_slice(server.trailers(key));
    let fields = [(&b"Server"[..], &b"x"[..])];
    let _ = server.respond(key, 200, fields.into_iter(), false);
    if let Ok(room @ 1..) = server.room(key) {
        let _ = server.send(key, &vec![b'x'; room.min(20_000)], true);
    }
    server.recycle(key, request);
    server.release(key);
    seen
}

/// Walks over what was sent.
fn frames(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let frame = Frame::read(bytes);
        let length = frame.map_or(usize::MAX, |frame| frame.length as usize);
        assert!(length <= 16_384, "{frame:?}");
        let rest = bytes.get(9 + length..);
        assert!(rest.is_some(), "{frame:?}");
        bytes = rest.unwrap_or_default();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an instant cannot be made otherwise, and which one is all the same"
)]
fn some_time() -> Instant {
    Instant::now()
}
