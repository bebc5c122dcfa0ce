//! One direction of an exchange: bytes from one side to the other, headed by a rewritten message head,
//! limited by the framing of a body, through a bounded buffer or a pipe.
//!
//! A flow never waits by itself: [`Flow::poll`] does what can be done now and remembers whom it waits for, so
//! that one task and one timer serve both directions.

use std::{
    io::{self, IoSlice},
    task::{Context, Poll},
    time::Instant,
};

use super::{
    buffer::{BULK, Buffer, SIZE},
    pipe::Pipe,
    rt::{Direction, Socket},
    squeeze::Squeeze,
    stream::{Plain, Stream},
};
use crate::http1::{Body, ChunkedDecoder};

/// Bytes that make a transfer worth a pipe.
const SPLICE_FROM: u64 = 64 * 1024;
/// Full buffers in a row after which an endless transfer counts as bulk.
const BUSY: u32 = 2;
/// Longest body that is copied behind its head.
const JOINED: usize = 2048;
/// Longest single splice.
const SPLICE_MAX: u64 = 1 << 20;

/// One end of an exchange: the client or the server.
#[derive(Debug)]
pub(super) struct Side {
    /// Its connection.
    pub(super) stream: Stream,
    /// What it sent and nobody has taken yet.
    pub(super) input: Buffer,
    /// It has ended its sending direction.
    pub(super) ended: bool,
    /// Last time bytes came from it or went to it.
    pub(super) active: Instant,
}

impl Side {
    /// A connection on which nothing has happened.
    pub(super) fn new(stream: Stream, now: Instant) -> Self {
        Self {
            stream,
            input: Buffer::default(),
            ended: false,
            active: now,
        }
    }

    /// Receives once; `Ok(0)` is the end, which is also remembered.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        size: usize,
    ) -> Poll<io::Result<usize>> {
        let polled = self.input.poll_fill(&mut self.stream, cx, size);
        if let Poll::Ready(Ok(0)) = polled {
            self.ended = true;
        }
        polled
    }

    fn tcp(&self) -> Option<&Socket> {
        match self.stream.plain() {
            Some(Plain::Tcp(stream)) => Some(stream),
            _ => None,
        }
    }
}

/// Whom a flow waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Waits {
    /// Nobody: it is done.
    #[default]
    Nobody,
    /// More bytes of the source.
    Source,
    /// The sink to take some.
    Sink,
}

/// Why a flow cannot go on.
#[derive(Debug)]
pub(super) enum Fault {
    /// Receiving failed.
    Source,
    /// The source ended in the middle of a body.
    Truncated,
    /// Sending failed.
    Sink,
    /// The body's framing is broken.
    Malformed,
}

/// A direction.
#[derive(Debug)]
pub(super) struct Flow {
    body: Body,
    /// Bytes written before those of the source: the head, or content taken out of chunks.
    ahead: Vec<u8>,
    ahead_sent: usize,
    /// Bytes at the front of the source's input that belong to the body.
    approved: usize,
    /// The sink gets content compressed.
    squeeze: Option<Box<Squeeze>>,
    /// The sink gets nothing of the body.
    hidden: bool,
    /// The sink gets content without chunks.
    unwrap: Option<ChunkedDecoder>,
    /// The sink's sending direction is ended after the last byte.
    close: bool,
    closed: bool,
    /// The connection is ended after the last byte, by whoever polls this.
    last: bool,
    pipe: Option<Pipe>,
    busy: u32,
    flushed: bool,
    waits: Waits,
    /// Body bytes passed.
    bytes: u64,
    /// Those of them that only frame content: sizes and ends of chunks.
    framing: u64,
    /// Those of them that lie behind the head and can be sent again with it.
    joined: u64,
}

impl Default for Flow {
    fn default() -> Self {
        Self::new(Body::Done, false)
    }
}

impl Flow {
    /// A flow for `body`; `close` ends the sink's direction after it, as a tunnel does.
    pub(super) fn new(body: Body, close: bool) -> Self {
        Self {
            body,
            ahead: Vec::new(),
            ahead_sent: 0,
            approved: 0,
            squeeze: None,
            hidden: false,
            unwrap: None,
            close,
            closed: false,
            last: false,
            pipe: None,
            busy: 0,
            flushed: true,
            waits: Waits::Nobody,
            bytes: 0,
            framing: 0,
            joined: 0,
        }
    }

    /// Bytes until one side closes.
    pub(super) fn tunnel() -> Self {
        Self::new(Body::UntilClose, true)
    }

    /// Begins anew and keeps the memory. `bytes` that the caller writes into the returned vector go first.
    pub(super) fn restart(&mut self, body: Body) -> &mut Vec<u8> {
        let mut ahead = std::mem::take(&mut self.ahead);
        ahead.clear();
        *self = Self::new(body, false);
        self.ahead = ahead;
        &mut self.ahead
    }

    /// Nothing more is moved until the next beginning.
    pub(super) fn release_pipe(&mut self) {
        self.pipe = None;
    }

    /// What goes first and may still be added to.
    pub(super) fn ahead(&mut self) -> &mut Vec<u8> {
        if self.ahead_sent == self.ahead.len() {
            self.ahead.clear();
            self.ahead_sent = 0;
        }
        &mut self.ahead
    }

    /// Replaces the body; used when the head that names it has come.
    pub(super) fn set_body(&mut self, body: Body) {
        self.body = body;
    }

    /// The sink's connection is ended when this is done: its last bytes may wait for that.
    pub(super) fn set_last(&mut self) {
        self.last = true;
    }

    /// The sink speaks HTTP/1.0: content is sent without the chunks it came in.
    pub(super) fn unwrap_chunks(&mut self, decoder: ChunkedDecoder) {
        self.unwrap = Some(decoder);
    }

    /// The sink gets what this makes of the content.
    pub(super) fn squeeze(&mut self, squeeze: Box<Squeeze>) {
        self.squeeze = Some(squeeze);
    }

    /// The sink asked for a head alone: the body is read and forgotten.
    pub(super) fn hide_body(&mut self) {
        self.hidden = true;
    }

    /// Sends everything again from the first byte; only while no body byte has been taken from the source.
    pub(super) fn rewind(&mut self) {
        self.ahead_sent = 0;
        self.flushed = true;
    }

    /// Whether a body byte has left the buffer: the message cannot be sent again.
    pub(super) fn is_spent(&self) -> bool {
        self.bytes > self.joined
    }

    /// Whether anything was sent.
    pub(super) fn has_begun(&self) -> bool {
        self.ahead_sent > 0 || self.bytes > 0
    }

    /// Body bytes passed so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The same as HAProxy's log counts it: without the framing of chunks, with one byte for their end.
    pub(super) fn content_bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.framing)
    }

    /// Whom it waited for at the last poll.
    pub(super) fn waits(&self) -> Waits {
        self.waits
    }

    /// Whether the sink's sending direction ends with this flow.
    pub(super) fn closes(&self) -> bool {
        self.close
    }

    /// Whether the source has nothing left to give to this message.
    pub(super) fn is_taken(&self) -> bool {
        self.body.is_done() && self.approved == 0
    }

    /// What comes next has no end but that of the connection.
    pub(super) fn pass_everything(&mut self) {
        self.body = Body::UntilClose;
        self.close = true;
    }

    /// Whether the whole message has been sent.
    pub(super) fn is_done(&self) -> bool {
        self.is_drained() && self.body.is_done() && (!self.close || self.closed)
    }

    fn is_drained(&self) -> bool {
        self.ahead_sent == self.ahead.len()
            && self.approved == 0
            && self.pipe.as_ref().is_none_or(|p| p.len() == 0)
            && self.flushed
    }

    /// Moves what can be moved now; true if something was.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Side,
        to: &mut Side,
    ) -> Result<bool, Fault> {
        let mut moved = false;
        loop {
            self.approve(from)?;
            let sent = self.send(cx, &mut from.input, to)?;
            moved |= sent;
            if !self.ahead_is_sent() || self.approved > 0 {
                self.waits = Waits::Sink;
                // While the sink is slow, what the source sends may still fill the buffer.
                if !self.receive(cx, from)? {
                    break;
                }
                moved = true;
                continue;
            }
            let piped = self.pipe.as_ref().is_some_and(|p| p.len() > 0);
            if self.body.is_done() && !piped {
                moved |= self.finish(cx, to)?;
                break;
            }
            if piped || self.may_splice(from, to) {
                match self.splice(cx, from, to)? {
                    true => moved = true,
                    false => break,
                }
                continue;
            }
            self.waits = Waits::Source;
            if !self.receive(cx, from)? {
                moved |= self.flush(cx, to)?;
                break;
            }
            moved = true;
        }
        Ok(moved)
    }

    /// Sends what goes first, for answers that have no source.
    pub(super) fn poll_ahead(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut Side,
    ) -> Result<bool, Fault> {
        self.waits = Waits::Sink;
        let mut moved = self.send(cx, &mut Buffer::default(), to)?;
        if self.ahead_is_sent() {
            moved |= self.finish(cx, to)?;
        }
        Ok(moved)
    }

    fn ahead_is_sent(&self) -> bool {
        self.ahead_sent == self.ahead.len()
    }

    /// Finds out which of the received bytes belong to the body.
    fn approve(&mut self, from: &mut Side) -> Result<(), Fault> {
        if self.squeeze.is_some() {
            return self.compress(from);
        }
        if let Some(decoder) = &mut self.unwrap {
            if self.ahead_sent < self.ahead.len() || self.body.is_done() {
                return Ok(());
            }
            self.ahead.clear();
            self.ahead_sent = 0;
            while !from.input.is_empty() && !decoder.is_done() {
                let piece = decoder
                    .next_piece(from.input.bytes())
                    .map_err(|_| Fault::Malformed)?;
                let content = from.input.bytes().get(piece.data).unwrap_or_default();
                self.ahead.extend_from_slice(content);
                self.bytes += content.len() as u64;
                from.input.consume(piece.consumed);
            }
            if decoder.is_done() {
                self.body = Body::Done;
            } else if from.ended {
                return Err(Fault::Truncated);
            }
            return Ok(());
        }
        if !self.body.is_done() {
            let fresh = from.input.bytes().get(self.approved..).unwrap_or_default();
            if !fresh.is_empty() {
                let progress = self.body.pass(fresh).map_err(|_| Fault::Malformed)?;
                self.approved += progress.consumed;
                self.framing += progress.framing;
            }
        }
        if self.hidden {
            from.input.consume(self.approved);
            self.approved = 0;
        }
        // The end of the source ends a body without a length.
        let over = from.ended && !self.body.is_done() && self.approved == from.input.len();
        if over && !self.body.ends_at_close() {
            return Err(Fault::Truncated);
        }
        Ok(())
    }

    /// Puts what has come of the content before what goes next, compressed.
    fn compress(&mut self, from: &mut Side) -> Result<(), Fault> {
        let Some(squeeze) = &mut self.squeeze else {
            return Ok(());
        };
        // What is sent behind a head goes with it.
        let waits = self.ahead_sent < self.ahead.len() && (self.ahead_sent > 0 || self.bytes > 0);
        if waits || self.body.is_done() {
            return Ok(());
        }
        if self.ahead_sent == self.ahead.len() {
            self.ahead.clear();
            self.ahead_sent = 0;
        }
        let over = squeeze.pass(&mut from.input, &mut self.ahead);
        self.bytes += squeeze.sent();
        if over.map_err(|_| Fault::Malformed)? {
            self.body = Body::Done;
        } else if from.ended {
            return Err(Fault::Truncated);
        }
        Ok(())
    }

    /// Writes head and approved bytes in one call, as far as the sink takes them.
    fn send(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut Buffer,
        to: &mut Side,
    ) -> Result<bool, Fault> {
        let mut moved = false;
        loop {
            if self.ahead_sent < self.ahead.len() && (1..=JOINED).contains(&self.approved) {
                // One small copy is cheaper than a second slice in the system call.
                let body = input.bytes().get(..self.approved).unwrap_or_default();
                self.ahead.extend_from_slice(body);
                input.consume(self.approved);
                self.bytes += self.approved as u64;
                self.joined += self.approved as u64;
                self.approved = 0;
            }
            let ahead = self.ahead.get(self.ahead_sent..).unwrap_or_default();
            let body = input.bytes().get(..self.approved).unwrap_or_default();
            let polled = match (ahead.is_empty(), body.is_empty()) {
                (true, true) => return Ok(moved),
                (false, true) if self.last && self.body.is_done() => {
                    to.stream.poll_write_last(cx, ahead)
                }
                (false, true) => to.stream.poll_write(cx, &[IoSlice::new(ahead)]),
                (true, false) => to.stream.poll_write(cx, &[IoSlice::new(body)]),
                (false, false) => {
                    let slices = [IoSlice::new(ahead), IoSlice::new(body)];
                    to.stream.poll_write(cx, &slices)
                }
            };
            let count = match polled {
                Poll::Pending => return Ok(moved),
                Poll::Ready(Ok(0)) => return Err(Fault::Sink),
                Poll::Ready(Ok(count)) => count,
                Poll::Ready(Err(_)) => return Err(Fault::Sink),
            };
            let of_head = count.min(ahead.len());
            self.ahead_sent += of_head;
            self.approved -= count - of_head;
            self.bytes += (count - of_head) as u64;
            input.consume(count - of_head);
            self.flushed = false;
            moved = true;
        }
    }

    fn receive(&mut self, cx: &mut Context<'_>, from: &mut Side) -> Result<bool, Fault> {
        if self.body.is_done() || from.ended || from.input.is_full() {
            return Ok(false);
        }
        let bulk = self.busy >= BUSY || self.known_bytes() >= BULK as u64;
        let size = if bulk { BULK } else { SIZE };
        match from.poll_fill(cx, size) {
            Poll::Pending => Ok(false),
            Poll::Ready(Err(_)) => Err(Fault::Source),
            Poll::Ready(Ok(count)) => {
                self.busy = if count >= SIZE { self.busy + 1 } else { 0 };
                Ok(true)
            }
        }
    }

    /// Bytes that are known to follow.
    fn known_bytes(&self) -> u64 {
        match self.body {
            Body::UntilClose => 0,
            _ => self.body.opaque_bytes(),
        }
    }

    /// Whether bytes go through a pipe from now on, of which there is one then.
    fn may_splice(&mut self, from: &Side, to: &Side) -> bool {
        let bulk = self.known_bytes() >= SPLICE_FROM
            || self.pipe.is_some() && self.body.opaque_bytes() > 0
            || matches!(self.body, Body::UntilClose) && self.busy >= BUSY;
        bulk && self.unwrap.is_none()
            && !self.hidden
            && self.squeeze.is_none()
            && !from.ended
            && from.input.is_empty()
            && from.tcp().is_some()
            && to.tcp().is_some()
            && {
                self.pipe = self.pipe.take().or_else(Pipe::new);
                self.pipe.is_some()
            }
    }

    /// Empties the pipe, then fills it once.
    fn splice(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Side,
        to: &mut Side,
    ) -> Result<bool, Fault> {
        from.input.release();
        let (Some(source), Some(sink)) = (from.tcp(), to.tcp()) else {
            return Ok(false);
        };
        let Some(pipe) = &mut self.pipe else {
            return Ok(false);
        };
        while pipe.len() > 0 {
            if sink.poll_ready(Direction::Write, cx).is_pending() {
                self.waits = Waits::Sink;
                return Ok(false);
            }
            let more = self.body.opaque_bytes() > 0 && !matches!(self.body, Body::UntilClose);
            match pipe.drain(sink, more) {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(Fault::Sink),
            }
        }
        if self.body.is_done() {
            return Ok(true);
        }
        loop {
            self.waits = Waits::Source;
            if source.poll_ready(Direction::Read, cx).is_pending() {
                return Ok(false);
            }
            let limit = self.body.opaque_bytes().min(SPLICE_MAX);
            match pipe.fill(source, usize::try_from(limit).unwrap_or(SIZE)) {
                Ok(0) => {
                    from.ended = true;
                    return Ok(true);
                }
                Ok(count) => {
                    self.bytes += count as u64;
                    self.body.skip(count as u64);
                    return Ok(true);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(Fault::Source),
            }
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>, to: &mut Side) -> Result<bool, Fault> {
        if self.flushed {
            return Ok(false);
        }
        match to.stream.poll_flush(cx) {
            Poll::Pending => {
                self.waits = Waits::Sink;
                Ok(false)
            }
            Poll::Ready(Err(_)) => Err(Fault::Sink),
            Poll::Ready(Ok(())) => {
                self.flushed = true;
                Ok(true)
            }
        }
    }

    /// After the last byte: TLS records out, and the end of the direction where it is passed on.
    fn finish(&mut self, cx: &mut Context<'_>, to: &mut Side) -> Result<bool, Fault> {
        let moved = self.flush(cx, to)?;
        if !self.flushed {
            return Ok(moved);
        }
        self.waits = Waits::Nobody;
        if !self.close || self.closed {
            return Ok(moved);
        }
        match to.stream.poll_shutdown(cx) {
            Poll::Pending => {
                self.waits = Waits::Sink;
                Ok(moved)
            }
            // A peer that is gone needs no end.
            Poll::Ready(_) => {
                self.closed = true;
                Ok(true)
            }
        }
    }
}
