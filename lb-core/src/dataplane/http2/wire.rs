//! The connection under the streams: what was read of it before, and what passes over it in frames.

use std::{
    cell::Cell,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    dataplane::{clock, stream::Stream},
    http2::{Flood, Frame, FrameKind, FrameWalk, Manners},
};

/// `PROTOCOL_ERROR` (RFC 9113 §7).
const PROTOCOL_ERROR: u32 = 1;

/// What was seen of the frames of a connection.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The peer's frames are a flood.
    pub(super) flood: Cell<Option<Flood>>,
    /// Requests that were no valid ones, since this was last asked.
    pub(super) malformed: Cell<u32>,
    /// Since when the peer takes nothing of what waits to be sent.
    pub(super) stuck: Cell<Option<Instant>>,
}

impl Seen {
    fn note_sending<T>(&self, polled: &Poll<io::Result<T>>) {
        let since = match polled {
            Poll::Pending => self.stuck.get().or_else(|| Some(clock::recent())),
            Poll::Ready(_) => None,
        };
        self.stuck.set(since);
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    /// Bytes that were read before this was one of HTTP/2.
    before: Bytes,
    watch: Option<Watch>,
}

/// An eye on a client.
#[derive(Debug)]
struct Watch {
    incoming: FrameWalk,
    outgoing: FrameWalk,
    manners: Manners,
    seen: Rc<Seen>,
}

impl Wire {
    /// The connection of a client, of whom `before` has been read.
    pub(super) fn of_client(stream: Stream, before: Bytes, seen: &Rc<Seen>) -> Self {
        Self {
            stream,
            before,
            watch: Some(Watch {
                incoming: FrameWalk::of_client(),
                outgoing: FrameWalk::of_server(),
                manners: Manners::new(clock::recent()),
                seen: Rc::clone(seen),
            }),
        }
    }

    /// A connection to a server, which nobody watches: it is one of ours.
    pub(super) fn to_server(stream: Stream) -> Self {
        Self {
            stream,
            before: Bytes::new(),
            watch: None,
        }
    }
}

impl Watch {
    fn note_read(&mut self, bytes: &[u8]) {
        let (now, manners, seen) = (clock::recent(), &mut self.manners, &self.seen);
        self.incoming.pass(bytes, |frame| {
            if let Some(flood) = manners.note(now, frame) {
                seen.flood.set(Some(flood));
            }
        });
    }

    fn note_written(&mut self, slices: &[IoSlice<'_>], mut count: usize) {
        let seen = &self.seen;
        let refused = |frame: Frame| {
            if frame.kind == FrameKind::Reset && frame.code == PROTOCOL_ERROR {
                seen.malformed.set(seen.malformed.get() + 1);
            }
        };
        for slice in slices {
            let (sent, _) = slice.split_at(count.min(slice.len()));
            self.outgoing.pass(sent, refused);
            count -= sent.len();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.before.is_empty() {
            let count = this.before.len().min(buffer.remaining());
            let bytes = this.before.slice(..count);
            this.before.advance(count);
            if let Some(watch) = &mut this.watch {
                watch.note_read(&bytes);
            }
            buffer.put_slice(&bytes);
            return Poll::Ready(Ok(()));
        }
        let room = buffer.initialize_unfilled();
        match this.stream.poll_read(cx, room) {
            Poll::Ready(Ok(count)) => {
                let filled = buffer.filled().len();
                buffer.advance(count);
                if let Some(watch) = &mut this.watch {
                    watch.note_read(buffer.filled().get(filled..).unwrap_or_default());
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = this.stream.poll_write(cx, slices);
        if let Some(watch) = &mut this.watch {
            watch.seen.note_sending(&polled);
            if let Poll::Ready(Ok(count)) = &polled {
                watch.note_written(slices, *count);
            }
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = this.stream.poll_flush(cx);
        if let Some(watch) = &this.watch {
            watch.seen.note_sending(&polled);
        }
        polled
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.poll_shutdown(cx)
    }
}
