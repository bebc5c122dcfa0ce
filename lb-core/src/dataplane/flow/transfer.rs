//! Moving bytes: through a buffer, through a pipe, and the end of a direction.

use std::{
    io::{self, IoSlice},
    task::{Context, Poll},
};

use super::{
    super::{
        buffer::{BULK, Buffer, SIZE, WIDE},
        pipe::Pipe,
        rt::Direction,
        stream::Stream,
    },
    Fault, Flow, Side, Waits,
};
use crate::http1::Body;

/// Bytes that make a transfer worth a pipe.
const SPLICE_FROM: u64 = 64 * 1024;
/// Times in a row that [`SIZE`] bytes came at once after which an endless transfer counts as bulk.
const BUSY: u32 = 2;
/// Longest body that is copied behind its head.
const JOINED: usize = 2048;
/// Longest single splice.
const SPLICE_MAX: u64 = 1 << 20;

impl Flow {
    /// Writes head and approved bytes in one call, as far as the sink takes them.
    pub(super) fn send(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut Buffer,
        to: &mut Side,
    ) -> Result<bool, Fault> {
        let mut moved = false;
        loop {
            if self.joins() {
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

    /// Whether what comes next of the body is put behind what went first.
    fn joins(&mut self) -> bool {
        if self.approved == 0 {
            return false;
        }
        if let Some(most) = self.kept {
            let fits = self.ahead.len() + self.approved <= most;
            self.kept = fits.then_some(most);
            return fits;
        }
        // One small copy is cheaper than a second slice in the system call.
        self.ahead_sent < self.ahead.len() && self.approved <= JOINED
    }

    pub(super) fn receive(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Side,
        to: &Side,
    ) -> Result<bool, Fault> {
        if self.body.is_done() || from.ended || from.input.is_full() {
            return Ok(false);
        }
        let most = self.wanted(from, to);
        match from.poll_fill(cx, most) {
            Poll::Pending => Ok(false),
            Poll::Ready(Err(_)) => Err(Fault::Source),
            Poll::Ready(Ok(count)) => {
                self.busy = if count >= SIZE { self.busy + 1 } else { 0 };
                Ok(true)
            }
        }
    }

    /// How much is received at once: of bulk as much as the sink takes, so that nothing of it stays here while a sink is
    /// slow but what a buffer of the usual size holds. A server's frames come one by one: never more than that at once.
    fn wanted(&self, from: &Side, to: &Side) -> usize {
        let input = &from.input;
        let bulk = self.busy >= BUSY || self.known_bytes() >= BULK as u64 || input.is_bulk();
        let framed = matches!(from.stream, Stream::Upstream(_));
        match to.stream.portion() {
            WIDE if bulk && !framed && input.is_empty() => to.stream.room().clamp(SIZE, BULK),
            portion => portion,
        }
    }

    /// Whether the rest of what comes may fit the buffer of a sink that is slow, which frees the source before that takes it.
    pub(super) fn may_be_gathered(&self, input: &Buffer) -> bool {
        !input.is_bulk() && self.known_bytes() <= WIDE as u64
    }

    /// Bytes that are known to follow.
    fn known_bytes(&self) -> u64 {
        match self.body {
            Body::UntilClose => 0,
            _ => self.body.opaque_bytes(),
        }
    }

    /// Whether bytes go through a pipe from now on, of which there is one then.
    pub(super) fn may_splice(&mut self, from: &Side, to: &Side) -> bool {
        let bulk = self.known_bytes() >= SPLICE_FROM
            || self.pipe.is_some() && self.body.opaque_bytes() > 0
            || matches!(self.body, Body::UntilClose) && self.busy >= BUSY;
        bulk && self.unwrap.is_none()
            && !self.hidden
            && self.detour.is_none()
            && !from.ended
            && from.input.is_empty()
            && from.tcp().is_some_and(|source| !source.is_interrupted())
            && to.tcp().is_some()
            && {
                self.pipe = self.pipe.take().or_else(Pipe::new);
                self.pipe.is_some()
            }
    }

    /// Empties the pipe, then fills it once.
    pub(super) fn splice(
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
        if self.body.is_done() || from.ended || source.is_interrupted() {
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
                    from.ended = !source.stops_at_mark();
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

    pub(super) fn flush(&mut self, cx: &mut Context<'_>, to: &mut Side) -> Result<bool, Fault> {
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
    pub(super) fn finish(&mut self, cx: &mut Context<'_>, to: &mut Side) -> Result<bool, Fault> {
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
