//! One direction of an exchange: bytes from one side to the other, headed by a rewritten message head,
//! limited by the framing of a body, through a bounded buffer or a pipe.
//!
//! A flow never waits by itself: [`Flow::poll`] does what can be done now and remembers whom it waits for, so
//! that one task and one timer serve both directions.

mod framing;
mod side;
mod transfer;

use std::task::Context;

use super::{buffer::Buffer, pipe::Pipe, squeeze::Squeeze, tee::Tee};
use crate::http1::{Body, ChunkedDecoder};
pub(super) use side::Side;

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

/// What is done with content on its way.
#[derive(Debug)]
pub(super) enum Detour {
    /// It is compressed.
    Squeeze(Box<Squeeze>),
    /// It is kept.
    Tee(Box<Tee>),
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
    /// What is done with the content on its way; mostly nothing.
    detour: Option<Detour>,
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
    /// All that is sent is put there, as long as it fits.
    kept: Option<usize>,
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
            detour: None,
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
            kept: None,
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

    /// Writes another head in place of the one that goes first; what was put behind that stays.
    pub(super) fn replace_head(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let end = memchr::memmem::find(&self.ahead, b"\r\n\r\n").map_or(0, |at| at + 4);
        let behind = self.ahead.split_off(end);
        self.ahead.clear();
        write(&mut self.ahead);
        self.ahead.extend_from_slice(&behind);
    }

    /// What goes first and may still be added to.
    pub(super) fn ahead(&mut self) -> &mut Vec<u8> {
        if self.ahead_sent == self.ahead.len() {
            self.ahead.clear();
            self.ahead_sent = 0;
        }
        &mut self.ahead
    }

    /// How much of what goes first waits for the sink.
    pub(super) fn unsent(&self) -> usize {
        self.ahead.len() - self.ahead_sent
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

    /// What is done with the content on its way.
    pub(super) fn set_detour(&mut self, detour: Option<Detour>) {
        self.detour = detour;
    }

    /// The sink asked for a head alone: the body is read and forgotten.
    pub(super) fn hide_body(&mut self) {
        self.hidden = true;
    }

    /// What is sent of the body is kept behind the head, as long as both have `most` bytes at most: it may have to be sent
    /// again.
    pub(super) fn keep_to_repeat(&mut self, most: usize) {
        self.kept = Some(most);
    }

    /// Sends everything again from the first byte; only while it [is whole](Self::is_spent).
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

    /// Whether it has not even looked at what its source sent.
    pub(super) fn is_untouched(&self) -> bool {
        !self.has_begun() && self.approved == 0
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

    /// Whether only the end of the source's connection tells where it ends.
    pub(super) fn is_endless(&self) -> bool {
        matches!(self.body, Body::UntilClose) && self.detour.is_none() && self.unwrap.is_none()
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

    /// Nothing more is passed on; what was counts.
    pub(super) fn stop(&mut self) {
        let bytes = self.bytes;
        *self = Self::default();
        self.bytes = bytes;
    }

    /// The sink's direction does not end with this flow.
    pub(super) fn leave_open(&mut self) {
        self.close = false;
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
        if self.is_done() {
            self.waits = Waits::Nobody;
            return Ok(false);
        }
        let mut moved = false;
        loop {
            self.approve(from)?;
            let sent = self.send(cx, &mut from.input, to)?;
            moved |= sent;
            if !self.ahead_is_sent() || self.approved > 0 {
                self.waits = Waits::Sink;
                // While the sink is slow, what the source sends may still fill the buffer, where that may be all of it: it
                // may be slow for ever.
                from.input.tighten();
                if !self.may_be_gathered(&from.input) || !self.receive(cx, from, to)? {
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
            if !self.receive(cx, from, to)? {
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
        if self.is_done() {
            self.waits = Waits::Nobody;
            return Ok(false);
        }
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
}
