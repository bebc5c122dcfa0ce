//! One end of an exchange.

use std::{
    io,
    task::{Context, Poll},
    time::Instant,
};

use super::super::{
    buffer::Buffer,
    rt::Socket,
    stream::{Plain, Stream},
};

/// One end of an exchange: the client or the server.
#[derive(Debug)]
pub(in super::super) struct Side {
    /// Its connection.
    pub(in super::super) stream: Stream,
    /// What it sent and nobody has taken yet.
    pub(in super::super) input: Buffer,
    /// It has ended its sending direction.
    pub(in super::super) ended: bool,
    /// Last time bytes came from it or went to it.
    pub(in super::super) active: Instant,
}

impl Side {
    /// A connection on which nothing has happened.
    pub(in super::super) fn new(stream: Stream, now: Instant) -> Self {
        Self {
            stream,
            input: Buffer::default(),
            ended: false,
            active: now,
        }
    }

    /// Receives once; `Ok(0)` is the end, which is also remembered.
    pub(in super::super) fn poll_fill(
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

    /// Whether it sends nothing more: it has ended its direction, or that of the connection it is one of many of.
    pub(in super::super) fn has_ended(&self) -> bool {
        self.ended || self.stream.has_ended()
    }

    pub(super) fn tcp(&self) -> Option<&Socket> {
        match self.stream.plain() {
            Some(Plain::Tcp(stream)) => Some(stream),
            _ => None,
        }
    }
}
