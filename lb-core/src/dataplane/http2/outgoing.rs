//! Content written as in HTTP/1.1 on its way into a stream: what frames it is taken off, trailers go as fields.
//!
//! A stream takes no more than its receiver and the connection have room for: the rest waits where it came from.

use std::{
    io::{self, IoSlice},
    task::{Context, Poll, ready},
};

use crate::{
    http1::{ChunkedDecoder, Framing, Leniency},
    http2::Code,
};

/// Where content of a stream goes.
pub(super) trait Sink {
    /// How much of `wanted` bytes, which are some, can be sent now.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>>;

    /// Sends content that there is room for.
    fn send(&mut self, bytes: &[u8], last: bool) -> io::Result<()>;

    /// Ends the stream with trailers, given as lines.
    fn send_trailers(&mut self, text: &[u8]) -> io::Result<()>;

    /// Cancels the stream.
    fn reset(&mut self, code: Code);

    /// Waits for the other end to cancel it.
    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<io::Error>;
}

/// Writes slices one after the other as far as `write` takes them.
pub(super) fn poll_each(
    slices: &[IoSlice<'_>],
    mut write: impl FnMut(&[u8]) -> Poll<io::Result<usize>>,
) -> Poll<io::Result<usize>> {
    let mut written = 0;
    for slice in slices {
        let mut rest: &[u8] = slice;
        while !rest.is_empty() {
            match write(rest) {
                Poll::Ready(Ok(count)) => {
                    written += count;
                    rest = rest.get(count..).unwrap_or_default();
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if written > 0 => return Poll::Ready(Ok(written)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
    Poll::Ready(Ok(written))
}

/// How far content has been written.
#[derive(Debug)]
enum Content {
    /// All of it.
    Done,
    /// So many bytes are left.
    Length(u64),
    Chunks(Box<Chunks>),
    /// Until the end is written.
    UntilEnd,
}

#[derive(Debug)]
struct Chunks {
    decoder: ChunkedDecoder,
    trailers: Vec<u8>,
    /// Content taken out of chunks, on its way.
    content: Vec<u8>,
}

/// One direction of a stream, after its head.
#[derive(Debug)]
pub(super) struct Outgoing<S> {
    stream: S,
    content: Content,
}

/// The bytes that end a body in chunks without content.
const EMPTY: &[u8] = b"0\r\n\r\n";

/// How many of the bytes behind a head are the whole of its content, none; `None` if there is some, or none yet.
pub(super) fn ends_at_once(framing: Framing, behind: &[u8]) -> Option<usize> {
    match framing {
        Framing::None | Framing::Length(0) => Some(0),
        Framing::Chunked if behind.starts_with(EMPTY) => Some(EMPTY.len()),
        _ => None,
    }
}

impl<S: Sink> Outgoing<S> {
    /// What follows a head.
    pub(super) fn new(stream: S, framing: Framing, ended: bool) -> Self {
        let content = match framing {
            _ if ended => Content::Done,
            Framing::None | Framing::Length(0) => Content::Done,
            Framing::Length(length) => Content::Length(length),
            Framing::Chunked => Content::Chunks(Box::new(Chunks {
                decoder: ChunkedDecoder::new(Leniency::HAPROXY),
                trailers: Vec::new(),
                content: Vec::new(),
            })),
            Framing::UntilClose | Framing::Tunnel => Content::UntilEnd,
        };
        Self { stream, content }
    }

    /// Whether the end has been written.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.content, Content::Done)
    }

    /// Whether the other end cancelled the stream.
    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.stream.poll_reset(cx)
    }

    /// Cancels the stream.
    pub(super) fn reset(&mut self, code: Code) {
        self.stream.reset(code);
        self.content = Content::Done;
    }

    /// Takes some of `bytes`.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.content {
            Content::Done => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Content::UntilEnd => {
                let count = ready!(self.stream.poll_room(cx, bytes.len()))?;
                self.send(bytes.get(..count).unwrap_or_default(), false)?;
                Poll::Ready(Ok(count))
            }
            Content::Length(left) => {
                let wanted = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let count = ready!(self.stream.poll_room(cx, wanted))?;
                *left -= count as u64;
                let last = *left == 0;
                self.send(bytes.get(..count).unwrap_or_default(), last)?;
                Poll::Ready(Ok(count))
            }
            Content::Chunks(chunks) => {
                let consumed = chunks.take(&mut self.stream, cx, bytes)?;
                if consumed == 0 {
                    return Poll::Pending;
                }
                let done = chunks.decoder.is_done();
                let trailers = done && chunks.trailers.len() > 2;
                if !chunks.content.is_empty() || done && !trailers {
                    self.stream.send(&chunks.content, done && !trailers)?;
                }
                if trailers {
                    self.stream.send_trailers(&chunks.trailers)?;
                }
                if done {
                    self.content = Content::Done;
                }
                Poll::Ready(Ok(consumed))
            }
        }
    }

    /// The writer has ended.
    pub(super) fn end(&mut self) -> io::Result<()> {
        match self.content {
            Content::UntilEnd => self.send(&[], true),
            _ => Ok(()),
        }
    }

    fn send(&mut self, bytes: &[u8], last: bool) -> io::Result<()> {
        if last {
            self.content = Content::Done;
        }
        self.stream.send(bytes, last)
    }
}

impl Chunks {
    /// Takes from `bytes` what the stream has room for, and what frames it; tells how much that is.
    fn take(
        &mut self,
        stream: &mut impl Sink,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> io::Result<usize> {
        self.content.clear();
        let (mut consumed, mut room) = (0, None);
        while consumed < bytes.len() && !self.decoder.is_done() {
            let rest = bytes.get(consumed..).unwrap_or_default();
            let left = self.decoder.chunk_remaining();
            if left == 0 {
                consumed += self.take_line(rest)?;
                continue;
            }
            let room = match room {
                Some(room) => room,
                None => match stream.poll_room(cx, rest.len()) {
                    Poll::Ready(count) => *room.insert(count?),
                    Poll::Pending => break,
                },
            };
            let run = usize::try_from(left).unwrap_or(usize::MAX);
            let run = run.min(rest.len()).min(room - self.content.len());
            if run == 0 {
                break;
            }
            self.content
                .extend_from_slice(rest.get(..run).unwrap_or_default());
            self.decoder.skip(run as u64);
            consumed += run;
        }
        Ok(consumed)
    }

    /// A line between content, or as much of it as there is.
    fn take_line(&mut self, rest: &[u8]) -> io::Result<usize> {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let line = rest.get(..end).unwrap_or_default();
        let is_trailer = self.decoder.is_past_content();
        let malformed = |_| io::Error::from(io::ErrorKind::InvalidData);
        let taken = self.decoder.next_piece(line).map_err(malformed)?;
        if is_trailer {
            self.trailers.extend_from_slice(line);
        }
        Ok(taken.consumed)
    }
}
