//! Streams of the `h2` crate, which speaks to servers.

use std::{
    io,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream};

use super::{heads::Handle, incoming::Content, message, outgoing::Sink};
use crate::http2::Code;

/// What comes.
#[derive(Debug)]
pub(super) struct Received {
    stream: RecvStream,
    /// Content that nobody has read.
    data: Bytes,
}

impl Received {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self {
            stream,
            data: Bytes::new(),
        }
    }
}

impl Content for Received {
    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while self.data.is_empty() {
            match ready!(self.stream.poll_data(cx)) {
                Some(data) => self.data = data.map_err(broken)?,
                None => return Poll::Ready(Ok(0)),
            }
        }
        Poll::Ready(Ok(self.data.len()))
    }

    fn take(&mut self, room: &mut [u8]) {
        let count = room.len().min(self.data.len());
        self.data
            .copy_to_slice(room.get_mut(..count).unwrap_or_default());
        // Fails only for more than was received.
        let _ = self.stream.flow_control().release_capacity(count);
    }

    fn poll_trailers(&mut self, cx: &mut Context<'_>, text: &mut Vec<u8>) -> Poll<io::Result<()>> {
        let trailers = ready!(self.stream.poll_trailers(cx)).map_err(broken)?;
        message::write_trailers(trailers.as_ref(), text);
        Poll::Ready(Ok(()))
    }
}

/// What goes.
#[derive(Debug)]
pub(super) struct Sent(pub(super) Rc<Handle>);

impl Sink for Sent {
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        let mut stream = self.0.borrow_mut();
        stream.reserve_capacity(wanted);
        let room = stream.capacity();
        if room > 0 {
            return Poll::Ready(Ok(room.min(wanted)));
        }
        loop {
            match ready!(stream.poll_capacity(cx)) {
                Some(Ok(0)) => {}
                Some(Ok(room)) => return Poll::Ready(Ok(room.min(wanted))),
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
    }

    fn send(&mut self, bytes: &[u8], last: bool) -> io::Result<()> {
        let bytes = Bytes::copy_from_slice(bytes);
        self.0.borrow_mut().send_data(bytes, last).map_err(broken)
    }

    fn send_trailers(&mut self, text: &[u8]) -> io::Result<()> {
        let trailers = message::read_trailers(text);
        self.0.borrow_mut().send_trailers(trailers).map_err(broken)
    }

    fn reset(&mut self, code: Code) {
        self.0.borrow_mut().send_reset(Reason::from(code.0));
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.0.borrow_mut().poll_reset(cx).map(|reset| match reset {
            Ok(reason) => broken(reason.into()),
            Err(error) => broken(error),
        })
    }
}

/// An error of a stream as one of a connection.
pub(super) fn broken(error: h2::Error) -> io::Error {
    // RFC 9113 §8.7: nothing was done with the request.
    if error.reason() == Some(Reason::REFUSED_STREAM) {
        return io::Error::new(io::ErrorKind::ConnectionRefused, error);
    }
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}
