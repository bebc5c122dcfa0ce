//! The connection to a server, as the `h2` crate sees it.

use std::{
    cell::Cell,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{heads::Heads, preface::Preface};
use crate::dataplane::stream::Stream;

/// A connection, and who is to know what comes.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) stream: Stream,
    /// How its first frame comes.
    pub(super) preface: Rc<Preface>,
    /// How often something came.
    pub(super) heard: Rc<Cell<u64>>,
    /// What came of heads.
    pub(super) heads: Heads,
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self {
            stream,
            preface,
            heard,
            heads,
        } = self.get_mut();
        if heads.untaken.is_over() {
            // The connection's task cuts them off as soon as this returns, and reads on.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let room = buffer.initialize_unfilled();
        let count = ready!(stream.poll_read(cx, room))?;
        heard.set(heard.get() + 1);
        let came = room.get(..count).unwrap_or_default();
        preface.saw(came);
        heads.saw(came);
        buffer.advance(count);
        Poll::Ready(Ok(()))
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
        self.get_mut().stream.poll_write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.poll_shutdown(cx)
    }
}
