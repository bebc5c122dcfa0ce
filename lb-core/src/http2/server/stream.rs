//! A stream: what came of its request, and what may go of its answer.

use std::ops::RangeInclusive;

use super::{GRACE, Key, Leaving, OUTPUT, Resize, Server, control::write_update};
use crate::http2::{
    frame::{self, Code, END_STREAM, Kind, PAYLOAD},
    hpack,
    request::Request,
};

/// Streams that were ended here and of which frames may still be on the way.
const REMEMBERED: RangeInclusive<usize> = 128..=2048;
/// The part of its window that a stream may be owed: the more that is, the sooner a client has nothing to send while what it
/// sent is on its way through here.
const OWED: i64 = 8;
/// Memory for content that a stream without a user keeps.
const KEPT: usize = 16 * 1024;

/// One stream. Its memory is used again by the next one in its place.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) number: u32,
    pub(super) request: Request,
    pub(super) content: Vec<u8>,
    /// How much of it has been read.
    taken: usize,
    pub(super) trailers: Vec<u8>,
    /// Content that must still come, if its length was stated.
    pub(super) left: Option<u64>,
    /// More of the request comes.
    pub(super) receives: bool,
    /// It was not whole when the client ended its direction.
    pub(super) truncated: bool,
    /// Content is all that comes (RFC 9113 §8.5).
    pub(super) is_tunnel: bool,
    /// More of the answer goes.
    pub(super) sends: bool,
    pub(super) reset: Option<Code>,
    pub(super) room_in: i64,
    owed: i64,
    pub(super) room_out: i64,
    /// Content that was sent so far, as far as [`GRACE`] counts it.
    favoured: usize,
    /// Somebody waits for something to happen.
    pub(super) waits: bool,
    /// It waits for room that all share.
    pub(super) queued: bool,
}

impl Stream {
    /// Begins anew.
    pub(super) fn open(&mut self, number: u32, room_in: i64, room_out: i64) {
        self.content.clear();
        self.trailers.clear();
        *self = Self {
            number,
            room_in,
            room_out,
            receives: true,
            sends: true,
            request: std::mem::take(&mut self.request),
            content: std::mem::take(&mut self.content),
            trailers: std::mem::take(&mut self.trailers),
            ..Self::default()
        };
    }

    /// Appends content that came.
    pub(super) fn push(&mut self, piece: &[u8]) {
        if self.taken > self.content.len() / 2 {
            self.content.drain(..self.taken);
            self.taken = 0;
        }
        self.content.extend_from_slice(piece);
    }

    fn unread(&self) -> usize {
        self.content.len() - self.taken
    }
}

/// What has come of the content of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// So many bytes.
    Some(usize),
    /// None; [`Event::Stirred`](super::Event) tells of more.
    None,
    /// All of it was read.
    End,
}

impl Server {
    /// The request of a stream. Whoever gives it back with [`Server::recycle`] saves memory.
    pub fn take_request(&mut self, key: Key) -> Request {
        self.stream(key)
            .map(|stream| std::mem::take(&mut stream.request))
            .unwrap_or_default()
    }

    /// Takes the memory of a request.
    pub fn recycle(&mut self, key: Key, request: Request) {
        if let Some(stream) = self.stream(key) {
            stream.request = request;
        }
    }

    /// Why the stream has ended, if not as it should. The next [`Event::Stirred`](super::Event) tells of it.
    pub fn poll_reset(&mut self, key: Key) -> Option<Code> {
        let stream = self.stream(key)?;
        stream.waits = stream.reset.is_none();
        stream.reset
    }

    /// What there is of the content.
    pub fn content(&mut self, key: Key) -> Result<Content, Code> {
        let Some(stream) = self.stream(key) else {
            return Err(Code::INTERNAL);
        };
        match (stream.reset, stream.unread()) {
            (Some(code), _) => Err(code),
            (None, 1..) => Ok(Content::Some(stream.unread())),
            (None, 0) if stream.truncated => Err(Code::CANCEL),
            (None, 0) if !stream.receives => Ok(Content::End),
            (None, 0) => {
                stream.waits = true;
                Ok(Content::None)
            }
        }
    }

    /// Takes content into `room`, and gives the client leave to send as much again.
    pub fn read(&mut self, key: Key, room: &mut [u8]) -> usize {
        let Some(stream) = self.stream(key) else {
            return 0;
        };
        let count = stream.unread().min(room.len());
        let from = stream.content.get(stream.taken..stream.taken + count);
        if let (Some(from), Some(to)) = (from, room.get_mut(..count)) {
            to.copy_from_slice(from);
        }
        stream.taken += count;
        if stream.unread() == 0 {
            stream.content.clear();
            stream.taken = 0;
        }
        self.give_leave(key, count);
        count
    }

    /// The lines of the request's trailers.
    pub fn trailers(&self, key: Key) -> &[u8] {
        let stream = self.streams.get(key.index());
        stream.map(|s| s.trailers.as_slice()).unwrap_or_default()
    }

    pub(super) fn give_leave(&mut self, key: Key, count: usize) {
        let count = i64::try_from(count).unwrap_or(0);
        let window = i64::from(self.limits.window);
        if let Some(stream) = self.streams.get_mut(key.index()) {
            stream.owed += count;
            if stream.receives && stream.reset.is_none() && stream.owed >= (window / OWED).max(1) {
                let owed = std::mem::take(&mut stream.owed);
                stream.room_in += owed;
                write_update(stream.number, owed, &mut self.output);
            }
        }
        self.return_to_all(count);
    }

    /// Gives the connection leave to receive again what is no longer held.
    pub(super) fn return_to_all(&mut self, count: i64) {
        self.owed += count;
        let is_due = self.owed >= self.whole_in / 4 || self.owed > self.room_in;
        if is_due && self.owed > 0 && self.leaving < Leaving::Over {
            let owed = std::mem::take(&mut self.owed);
            self.room_in += owed;
            write_update(0, owed, &mut self.output);
        }
    }

    /// Sends a head: that of an interim answer, of one with content to follow, or (`end`) of a whole one. Fields that
    /// HTTP/2 has no place for must have been left out.
    pub fn respond<'a>(
        &mut self,
        key: Key,
        status: u16,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        end: bool,
    ) -> Result<(), Code> {
        self.begin_block();
        hpack::encode_status(status, &mut self.block);
        self.write_head(key, fields, end)
    }

    /// Ends an answer with trailers.
    pub fn send_trailers<'a>(
        &mut self,
        key: Key,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<(), Code> {
        self.begin_block();
        self.write_head(key, fields, true)
    }

    pub(super) fn begin_block(&mut self) {
        self.block.clear();
        if self.resize == Resize::Due {
            self.resize = Resize::Done;
            hpack::encode_no_table(&mut self.block);
        }
    }

    fn write_head<'a>(
        &mut self,
        key: Key,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        end: bool,
    ) -> Result<(), Code> {
        for (name, value) in fields {
            hpack::encode(name, value, &mut self.block);
        }
        let Some(stream) = self.streams.get_mut(key.index()) else {
            return Err(Code::INTERNAL);
        };
        if let Some(code) = stream.reset {
            return Err(code);
        }
        let flags = if end { END_STREAM } else { 0 };
        frame::write_block(&self.block, flags, stream.number, &mut self.output);
        stream.sends &= !end;
        self.forget_if_done(key);
        Ok(())
    }

    /// How much content can be sent now. With none, [`Event::Stirred`](super::Event) tells when there may be.
    pub fn room(&mut self, key: Key) -> Result<usize, Code> {
        let room = self.spare(key);
        let Some(stream) = self.streams.get_mut(key.index()) else {
            return Err(Code::INTERNAL);
        };
        if let Some(code) = stream.reset {
            return Err(code);
        }
        if stream.room_out.min(self.room_out) <= 0 && self.ended {
            // Nobody will give leave to send more.
            return Err(Code::CANCEL);
        }
        if room == 0 {
            stream.waits = true;
            if stream.room_out > 0 && !std::mem::replace(&mut stream.queued, true) {
                self.blocked.push_back(key);
            }
        }
        Ok(room)
    }

    /// How much content could be sent now, for those who do not mean to yet.
    pub fn spare(&self, key: Key) -> usize {
        let Some(stream) = self.streams.get(key.index()) else {
            return 0;
        };
        let waiting = self.output().len();
        let output = OUTPUT.saturating_sub(waiting).max(GRACE - stream.favoured);
        let window = usize::try_from(stream.room_out.min(self.room_out)).unwrap_or(0);
        output.min(window)
    }

    /// Sends content, for which there must be [`Server::room`]; `end` if it is the last.
    pub fn send(&mut self, key: Key, bytes: &[u8], end: bool) -> Result<(), Code> {
        let Some(stream) = self.streams.get_mut(key.index()) else {
            return Err(Code::INTERNAL);
        };
        if let Some(code) = stream.reset {
            return Err(code);
        }
        let mut rest = bytes;
        loop {
            let (piece, after) = rest.split_at(rest.len().min(PAYLOAD));
            rest = after;
            let flags = if end && rest.is_empty() {
                END_STREAM
            } else {
                0
            };
            frame::write(Kind::Data, flags, stream.number, piece, &mut self.output);
            if rest.is_empty() {
                break;
            }
        }
        let count = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        stream.favoured = GRACE.min(stream.favoured.saturating_add(bytes.len()));
        stream.room_out -= count;
        stream.sends &= !end;
        self.room_out -= count;
        self.manners.note_content();
        self.forget_if_done(key);
        Ok(())
    }

    /// Ends a stream that goes wrong here.
    pub fn reset(&mut self, key: Key, code: Code) {
        let Some(stream) = self.streams.get_mut(key.index()) else {
            return;
        };
        if stream.reset.is_some() {
            return;
        }
        stream.reset = Some(code);
        let number = stream.number;
        self.take_off(number);
        self.write_reset(number, code);
        self.stir(key);
    }

    pub(super) fn write_reset(&mut self, number: u32, code: Code) {
        frame::write(
            Kind::Reset,
            0,
            number,
            &code.0.to_be_bytes(),
            &mut self.output,
        );
        // As many as there can be: all were cancelled here, and all that came in their place.
        let most = (self.limits.streams as usize)
            .saturating_mul(2)
            .clamp(*REMEMBERED.start(), *REMEMBERED.end());
        if self.ended_here.len() >= most {
            self.ended_here.pop_front();
        }
        self.ended_here.push_back(number);
    }

    /// Nobody serves the stream any longer. What is left of it is cancelled.
    pub fn release(&mut self, key: Key) {
        let Some(stream) = self.streams.get_mut(key.index()) else {
            return;
        };
        let (sends, receives) = (stream.sends, stream.receives);
        let unread = i64::try_from(stream.unread()).unwrap_or(0);
        stream.waits = false;
        let queued = std::mem::take(&mut stream.queued);
        stream.content.clear();
        if stream.content.capacity() > KEPT {
            stream.content = Vec::new();
        }
        stream.taken = 0;
        if queued {
            self.blocked.retain(|blocked| *blocked != key);
        }
        self.return_to_all(unread);
        // RFC 9113 §8.1: the answer is whole, and no more of the request is wanted.
        match (sends, receives) {
            (true, _) => self.reset(key, Code::CANCEL),
            (false, true) => self.reset(key, Code::NO_ERROR),
            (false, false) => {}
        }
        self.held = self.held.saturating_sub(1);
        self.free.push(key);
    }

    /// A stream that has ended on both sides is none of the wire.
    pub(super) fn forget_if_done(&mut self, key: Key) {
        let done = |stream: &&Stream| !stream.sends && !stream.receives;
        let number = self.streams.get(key.index()).filter(done).map(|s| s.number);
        if let Some(number) = number {
            self.take_off(number);
        }
    }

    pub(super) fn take_off(&mut self, number: u32) {
        let at = self.numbers.binary_search_by_key(&number, |(n, _)| *n);
        if let Ok(at) = at {
            self.numbers.remove(at);
        }
    }
}
