//! From bytes to frames, however they were cut, and content to its streams.

use std::time::Instant;

use super::{BLOCK, Key, Leaving, Server};
use crate::http2::frame::{self, Code, END_STREAM, Frame, Kind, PADDED};

/// What a client begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Memory for frames in pieces that is kept for the next one.
const KEPT: usize = 1024;

/// How far the bytes have been read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Bytes of the preface that have come.
    preface: usize,
    /// The client's settings have come, which are its first frame.
    settled: bool,
    /// A frame that has not come whole.
    partial: Vec<u8>,
    data: Option<Data>,
    pub(super) heading: Option<Heading>,
    pub(super) block: Vec<u8>,
}

/// A frame with content, passed on as it comes.
#[derive(Debug, Clone, Copy)]
struct Data {
    stream: u32,
    left: usize,
    end: bool,
    /// Nobody wants it.
    dropped: bool,
}

/// A head whose last piece has not come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heading {
    pub(super) stream: u32,
    pub(super) end: bool,
    pub(super) pieces: u32,
}

impl Reading {
    /// Whether the preface has not come whole.
    pub(super) fn is_at_preface(&self) -> bool {
        self.preface < PREFACE.len()
    }

    /// Whether not a byte has come.
    pub(super) fn is_silent(&self) -> bool {
        self.preface == 0
    }
}

impl Server {
    /// Takes what the client sent.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) {
        let mut rest = bytes;
        while !rest.is_empty() && self.leaving < Leaving::Over {
            rest = if self.reading.is_at_preface() {
                self.read_preface(rest)
            } else if let Some(data) = self.reading.data.take() {
                self.read_data(data, rest)
            } else {
                self.read_frame(rest, now)
            };
        }
    }

    fn read_preface<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let wanted = PREFACE.get(self.reading.preface..).unwrap_or_default();
        let (seen, rest) = bytes.split_at(wanted.len().min(bytes.len()));
        self.reading.preface += seen.len();
        if !wanted.starts_with(seen) {
            self.fail(Code::PROTOCOL);
        }
        rest
    }

    /// Reads a frame, or as much of it as there is.
    fn read_frame<'a>(&mut self, bytes: &'a [u8], now: Instant) -> &'a [u8] {
        if self.reading.partial.is_empty()
            && let Some(frame) = Frame::read(bytes)
        {
            let length = frame.length as usize;
            let behind = bytes.get(frame::HEAD..).unwrap_or_default();
            if let Some((payload, rest)) = behind.split_at_checked(length) {
                if self.begin(frame, now) {
                    self.take(frame, payload);
                    return rest;
                }
                return behind;
            }
        }
        self.read_partial(bytes, now)
    }

    /// The same where a frame comes in pieces: its head first, then the rest of it.
    fn read_partial<'a>(&mut self, bytes: &'a [u8], now: Instant) -> &'a [u8] {
        let mut rest = bytes;
        if self.reading.partial.len() < frame::HEAD {
            let (piece, behind) =
                rest.split_at(rest.len().min(frame::HEAD - self.reading.partial.len()));
            self.reading.partial.extend_from_slice(piece);
            rest = behind;
            let Some(frame) = Frame::read(&self.reading.partial) else {
                return rest;
            };
            if !self.begin(frame, now) {
                self.reading.partial.clear();
                return rest;
            }
        }
        let Some(frame) = Frame::read(&self.reading.partial) else {
            return rest;
        };
        let whole = frame::HEAD + frame.length as usize;
        let (piece, rest) = rest.split_at(rest.len().min(whole - self.reading.partial.len()));
        self.reading.partial.extend_from_slice(piece);
        if self.reading.partial.len() == whole {
            let mut partial = std::mem::take(&mut self.reading.partial);
            self.take(frame, partial.get(frame::HEAD..).unwrap_or_default());
            partial.clear();
            if partial.capacity() <= KEPT {
                self.reading.partial = partial;
            }
        }
        rest
    }

    /// Most bytes of a head as it is sent.
    pub(super) fn block_most(&self) -> usize {
        BLOCK.max(self.limits.head as usize)
    }

    /// Looks at the head of a frame; false if its payload is not to be collected.
    fn begin(&mut self, frame: Frame, now: Instant) -> bool {
        // What is collected before it is looked at is no longer than a head may be.
        let most = match frame.kind {
            Kind::Data => usize::MAX,
            _ => self.block_most(),
        };
        if frame.length > self.limits.frame || frame.length as usize > most {
            self.fail(Code::FRAME_SIZE);
        }
        let continues = frame.kind == Kind::Continuation;
        let fits = match self.reading.heading {
            Some(heading) => continues && heading.stream == frame.stream,
            None => !continues,
        };
        let is_first = !std::mem::replace(&mut self.reading.settled, true);
        let greets = frame.kind == Kind::Settings && !frame.has(frame::ACK);
        if !fits || is_first && !greets {
            self.fail(Code::PROTOCOL);
        }
        let flood = self.manners.note(now, frame);
        self.note_flood(flood);
        if self.leaving == Leaving::Over {
            return false;
        }
        if frame.kind == Kind::Data && !frame.has(PADDED) {
            let admitted = self.admit(frame, frame.length);
            self.read_data(
                Data {
                    stream: frame.stream,
                    left: frame.length as usize,
                    end: frame.has(END_STREAM),
                    dropped: admitted.is_none(),
                },
                &[],
            );
            return false;
        }
        true
    }

    /// Counts a frame with so many bytes of content; the stream, if that takes it.
    fn admit(&mut self, frame: Frame, content: u32) -> Option<Key> {
        if self.is_idle(frame.stream) {
            self.fail(Code::PROTOCOL);
            return None;
        }
        let length = i64::from(frame.length);
        self.room_in -= length;
        let Some(key) = self.find(frame.stream) else {
            if self.room_in < 0 {
                self.fail(Code::FLOW_CONTROL);
            } else if frame.stream <= self.last && !self.ended_here.contains(&frame.stream) {
                self.write_reset(frame.stream, Code::STREAM_CLOSED);
                self.note_fault();
            }
            return None;
        };
        let stream = self.streams.get_mut(key.index())?;
        stream.room_in -= length;
        if self.room_in < 0 || stream.room_in < 0 {
            self.fail(Code::FLOW_CONTROL);
            return None;
        }
        if !stream.receives {
            self.fault(key, Code::STREAM_CLOSED);
            return None;
        }
        if let Some(left) = stream.left {
            let Some(left) = left.checked_sub(u64::from(content)) else {
                self.fault(key, Code::PROTOCOL);
                return None;
            };
            stream.left = Some(left);
        }
        Some(key)
    }

    /// Passes content on.
    fn read_data<'a>(&mut self, mut data: Data, bytes: &'a [u8]) -> &'a [u8] {
        let (piece, rest) = bytes.split_at(data.left.min(bytes.len()));
        data.left -= piece.len();
        // It may have ended between the pieces of a frame.
        let key = self.find(data.stream).filter(|_| !data.dropped);
        match key {
            Some(key) => {
                if let Some(stream) = self.streams.get_mut(key.index()) {
                    stream.push(piece);
                }
                if !piece.is_empty() {
                    self.stir(key);
                }
                if data.left == 0 && data.end {
                    self.end_of_request(key);
                }
            }
            None => self.return_to_all(i64::try_from(piece.len()).unwrap_or(0)),
        }
        if data.left > 0 {
            self.reading.data = Some(data);
        }
        rest
    }

    /// A frame that has come whole.
    fn take(&mut self, frame: Frame, payload: &[u8]) {
        match frame.kind {
            Kind::Data => self.take_padded(frame, payload),
            Kind::Headers => self.headers(frame, payload),
            Kind::Continuation => self.continuation(frame, payload),
            Kind::Priority => self.priority(frame),
            Kind::Reset => self.cancel(frame, payload),
            Kind::Settings => self.settings(frame, payload),
            Kind::Push => self.fail(Code::PROTOCOL),
            Kind::Ping => self.ping(frame, payload),
            Kind::GoAway => self.goodbye(frame),
            Kind::WindowUpdate => self.update(frame, payload),
            Kind::Other => {}
        }
    }

    fn take_padded(&mut self, frame: Frame, payload: &[u8]) {
        let Some(content) = without_padding(frame, payload) else {
            return self.fail(Code::PROTOCOL);
        };
        let length = u32::try_from(content.len()).unwrap_or(0);
        let Some(key) = self.admit(frame, length) else {
            return self.return_to_all(i64::from(frame.length));
        };
        if let Some(stream) = self.streams.get_mut(key.index()) {
            stream.push(content);
        }
        self.give_leave(key, payload.len() - content.len());
        self.stir(key);
        if frame.has(END_STREAM) {
            self.end_of_request(key);
        }
    }

    /// No more of a request comes.
    pub(super) fn end_of_request(&mut self, key: Key) {
        let Some(stream) = self.stream(key) else {
            return;
        };
        if stream.left.is_some_and(|left| left > 0) {
            return self.fault(key, Code::PROTOCOL);
        }
        stream.receives = false;
        self.stir(key);
        self.forget_if_done(key);
    }

    /// The client broke the rules for streams.
    pub(super) fn fault(&mut self, key: Key, code: Code) {
        self.reset(key, code);
        self.note_fault();
    }

    pub(super) fn note_fault(&mut self) {
        self.malformed = self.malformed.saturating_add(1);
        let flood = self.manners.note_fault();
        self.note_flood(flood);
    }
}

/// The payload without its padding (RFC 9113 §6.1).
pub(super) fn without_padding(frame: Frame, payload: &[u8]) -> Option<&[u8]> {
    if !frame.has(PADDED) {
        return Some(payload);
    }
    let (&padding, rest) = payload.split_first()?;
    let length = rest.len().checked_sub(usize::from(padding))?;
    rest.get(..length)
}
