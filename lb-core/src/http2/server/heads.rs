//! Heads: requests and trailers.

use super::{Event, FIRST_WINDOW, Key, Leaving, Server, receive::Heading};
use crate::http2::{
    Flood,
    frame::{self, Code, END_HEADERS, END_STREAM, Frame, PRIORITY},
    hpack::{self, Fields},
    request::{self, Malformed},
};

/// Continuations of a head.
const PIECES: u32 = 32;
/// Bytes of a priority.
const PRIORITY_LENGTH: usize = 5;
/// Memory for heads in pieces that is kept for the next one.
const KEPT: usize = 1024;

impl Server {
    pub(super) fn headers(&mut self, frame: Frame, payload: &[u8]) {
        let block = super::receive::without_padding(frame, payload);
        let skipped = if frame.has(PRIORITY) {
            PRIORITY_LENGTH
        } else {
            0
        };
        let block = block.and_then(|block| block.get(skipped..));
        let (Some(block), 1) = (block, frame.stream % 2) else {
            return self.fail(Code::PROTOCOL);
        };
        let heading = Heading {
            stream: frame.stream,
            end: frame.has(END_STREAM),
            pieces: 0,
        };
        if frame.has(END_HEADERS) {
            return self.head(heading, block);
        }
        self.reading.block.clear();
        self.reading.block.extend_from_slice(block);
        self.reading.heading = Some(heading);
    }

    pub(super) fn continuation(&mut self, frame: Frame, payload: &[u8]) {
        let Some(mut heading) = self.reading.heading.take() else {
            return self.fail(Code::PROTOCOL);
        };
        heading.pieces += 1;
        if heading.pieces > PIECES || self.reading.block.len() + payload.len() > self.block_most() {
            return self.note_flood(Some(Flood::Head));
        }
        self.reading.block.extend_from_slice(payload);
        if !frame.has(END_HEADERS) {
            self.reading.heading = Some(heading);
            return;
        }
        let mut block = std::mem::take(&mut self.reading.block);
        self.head(heading, &block);
        block.clear();
        if block.capacity() <= KEPT {
            self.reading.block = block;
        }
    }

    fn head(&mut self, heading: Heading, block: &[u8]) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear(self.limits.head as usize);
        if self.decoder.decode(block, &mut fields).is_err() {
            if fields.is_absurd() {
                self.note_flood(Some(Flood::Head));
            } else {
                self.fail(Code::COMPRESSION);
            }
        } else if heading.stream > self.last {
            self.open(heading, &fields);
        } else {
            self.trailers_of(heading, &fields);
        }
        self.fields = fields;
    }

    fn open(&mut self, heading: Heading, fields: &Fields) {
        if self.leaving >= Leaving::Last {
            // The client was told that nobody will.
            self.ignored = heading.stream;
            return;
        }
        self.last = heading.stream;
        if fields.is_too_large() {
            self.answer(heading, 431);
            return self.note_fault();
        }
        let most = self.limits.streams as usize;
        if self.numbers.len() >= most || self.held >= most.saturating_mul(2) {
            self.write_reset(heading.stream, Code::REFUSED);
            if self.numbers.len() >= most && self.agreed {
                // It knows that there is no room for this one.
                self.note_fault();
            }
            return;
        }
        let key = self.place();
        let window = i64::from(self.limits.window);
        let room_in = if self.agreed {
            window
        } else {
            window.max(FIRST_WINDOW)
        };
        let room_out = self.first_out;
        let Some(stream) = self.streams.get_mut(key.index()) else {
            return;
        };
        stream.open(heading.stream, room_in, room_out);
        if let Err(malformed) = stream.request.read(fields, heading.end) {
            self.free.push(key);
            match malformed {
                Malformed::Cancel => self.write_reset(heading.stream, Code::PROTOCOL),
                Malformed::Answer => self.answer(heading, 400),
            }
            self.unheard = self.unheard.saturating_add(1);
            return self.note_fault();
        }
        stream.receives = !heading.end;
        stream.is_tunnel = stream.request.tunnel;
        stream.left = stream.request.length.filter(|_| !stream.is_tunnel);
        self.numbers.push_back((heading.stream, key));
        self.held += 1;
        self.manners.note_request();
        self.events.push_back(Event::Request(key));
    }

    fn place(&mut self) -> Key {
        self.free.pop().unwrap_or_else(|| {
            let key = Key(u32::try_from(self.streams.len()).unwrap_or(u32::MAX));
            self.streams.push(super::Stream::default());
            key
        })
    }

    /// Answers what nobody is asked about.
    fn answer(&mut self, heading: Heading, status: u16) {
        self.begin_block();
        hpack::encode_status(status, &mut self.block);
        frame::write_block(&self.block, END_STREAM, heading.stream, &mut self.output);
        if !heading.end {
            self.write_reset(heading.stream, Code::NO_ERROR);
        }
    }

    fn trailers_of(&mut self, heading: Heading, fields: &Fields) {
        let Some(key) = self.find(heading.stream) else {
            // Of a stream that has been ended here, they were on the way: once.
            let ended = &mut self.ended_here;
            match ended.iter().position(|number| *number == heading.stream) {
                Some(at) => drop(ended.remove(at)),
                None => self.fail(Code::PROTOCOL),
            }
            return;
        };
        let Some(stream) = self.streams.get_mut(key.index()) else {
            return;
        };
        if !stream.receives {
            return self.fault(key, Code::STREAM_CLOSED);
        }
        let wrong = !heading.end || fields.is_too_large() || stream.is_tunnel;
        stream.trailers.clear();
        if wrong || request::write_trailers(fields, &mut stream.trailers).is_err() {
            return self.fault(key, Code::PROTOCOL);
        }
        self.end_of_request(key);
    }
}
