//! TLS over a stream.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncBufRead as _, AsyncWrite as _};
use tokio_rustls::TlsStream;

use super::Plain;
use crate::request::ServerSession;

/// TLS over a stream.
#[derive(Debug)]
pub(in crate::dataplane) struct Secured {
    pub(super) stream: TlsStream<Plain>,
    /// What rules may know of it, where a server is at the other end.
    pub(super) session: Option<Arc<ServerSession>>,
    /// What went wrong behind bytes that were given away: who asks for more is told.
    failure: Option<io::Error>,
}

impl Secured {
    pub(super) fn new(stream: TlsStream<Plain>, session: Option<Arc<ServerSession>>) -> Self {
        Self {
            stream,
            session,
            failure: None,
        }
    }

    /// Whether something has been sealed that the socket has not taken.
    fn has_sealed(&self) -> bool {
        self.stream.get_ref().1.wants_write()
    }

    /// Pending where it is known that there is nothing to receive: every record that has come whole is opened at once, so
    /// that where nothing of it is left, news come from the socket alone.
    pub(super) fn poll_silence(&self, cx: &Context<'_>) -> Poll<()> {
        let (plain, session) = self.stream.get_ref();
        match session.wants_read() && !session.wants_write() && self.failure.is_none() {
            true => plain.socket().poll_silence(cx),
            false => Poll::Ready(()),
        }
    }

    /// Receives into `room`; `Ok(0)` is the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(ended(failure));
        }
        let mut count = match ready!(self.poll_piece(cx, room)) {
            Ok(count) => count,
            Err(failure) => return Poll::Ready(ended(failure)),
        };
        // What more has come goes on together with that.
        while count > 0 && count < room.len() && self.poll_silence(cx).is_ready() {
            match self.poll_piece(cx, room.get_mut(count..).unwrap_or_default()) {
                Poll::Ready(Ok(more @ 1..)) => count += more,
                Poll::Ready(Ok(0)) | Poll::Pending => break,
                Poll::Ready(Err(failure)) => {
                    self.failure = Some(failure);
                    break;
                }
            }
        }
        Poll::Ready(Ok(count))
    }

    /// Receives what is left of a record, or the next one.
    fn poll_piece(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut stream = Pin::new(&mut self.stream);
        let piece = ready!(stream.as_mut().poll_fill_buf(cx))?;
        let count = piece.len().min(room.len());
        if let (Some(to), Some(from)) = (room.get_mut(..count), piece.get(..count)) {
            to.copy_from_slice(from);
        }
        stream.consume(count);
        Poll::Ready(Ok(count))
    }

    /// What is sealed and not sent is held as well: nothing is added to it.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.has_sealed() {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    pub(super) fn room(&self) -> usize {
        match self.has_sealed() {
            true => 0,
            false => self.stream.get_ref().0.socket().room(),
        }
    }
}

/// A peer that closes without close_notify has ended the stream all the same.
fn ended(failure: io::Error) -> io::Result<usize> {
    match failure.kind() {
        io::ErrorKind::UnexpectedEof => Ok(0),
        _ => Err(failure),
    }
}
