//! What the other end of a stream sends, as the bytes of HTTP/1.1 that follow one another: head, content, trailers.
//!
//! Content that nobody has read yet lies in the library, at most a window of it for each stream: leave to send more is
//! given as bytes go out of here.

use std::{
    io,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use h2::RecvStream;

use super::message::{Form, write_trailers};

/// Room for the size of a chunk and the ends of its lines.
const CHUNK_FRAME: usize = 20;
/// A chunk that is copied once more, because it does not fit the room that is left.
const SMALL_CHUNK: usize = 1024;

/// One direction of a stream.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Text to be read before anything else, and how much of it has been.
    text: Vec<u8>,
    read: usize,
    /// Its content, once its head has come.
    content: Option<RecvStream>,
    /// Content that has come.
    data: Bytes,
    form: Form,
}

impl Incoming {
    /// `text` first, then the content of `content` in the form that the text announces.
    pub(super) fn new(text: Vec<u8>, content: RecvStream, form: Form) -> Self {
        Self {
            text,
            read: 0,
            content: Some(content),
            data: Bytes::new(),
            form,
        }
    }

    /// Nothing as yet.
    pub(super) fn waiting() -> Self {
        Self {
            text: Vec::new(),
            read: 0,
            content: None,
            data: Bytes::new(),
            form: Form::Nothing,
        }
    }

    /// Text to be read next.
    pub(super) fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// The head is among the text: this follows.
    pub(super) fn begin_content(&mut self, content: RecvStream, form: Form) {
        self.content = Some(content);
        self.form = form;
    }

    /// Reads into `room`; `Ok(0)` when everything has been read.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut filled = 0;
        loop {
            let left = room.get_mut(filled..).unwrap_or_default();
            filled += self.take_text(left);
            if filled == room.len() || self.read < self.text.len() {
                return Poll::Ready(Ok(filled));
            }
            self.text.clear();
            self.read = 0;
            if self.form == Form::Nothing {
                return Poll::Ready(Ok(filled));
            }
            if self.data.is_empty() {
                match self.poll_content(cx) {
                    Poll::Ready(Ok(())) => continue,
                    // What was read comes first; the error is still there afterwards.
                    _ if filled > 0 => return Poll::Ready(Ok(filled)),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            let left = room.get_mut(filled..).unwrap_or_default();
            filled += self.take_content(left);
        }
    }

    fn take_text(&mut self, room: &mut [u8]) -> usize {
        let text = self.text.get(self.read..).unwrap_or_default();
        let count = copy(text, room);
        self.read += count;
        count
    }

    /// Gets content, or its end.
    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(content) = &mut self.content else {
            self.form = Form::Nothing;
            return Poll::Ready(Ok(()));
        };
        match ready!(content.poll_data(cx)) {
            Some(Ok(data)) => self.data = data,
            Some(Err(error)) => return Poll::Ready(Err(broken(error))),
            None => {
                let trailers = ready!(content.poll_trailers(cx)).map_err(broken)?;
                if self.form == Form::Chunks {
                    write_trailers(trailers.as_ref(), &mut self.text);
                }
                self.form = Form::Nothing;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn take_content(&mut self, room: &mut [u8]) -> usize {
        let (taken, filled) = match self.form {
            Form::Nothing => (self.data.len(), 0),
            Form::Raw => {
                let count = copy(&self.data, room);
                (count, count)
            }
            Form::Chunks if room.len() <= 2 * CHUNK_FRAME => {
                let count = self.data.len().min(SMALL_CHUNK);
                let piece = self.data.get(..count).unwrap_or_default();
                self.text
                    .extend_from_slice(format!("{count:x}\r\n").as_bytes());
                self.text.extend_from_slice(piece);
                self.text.extend_from_slice(b"\r\n");
                (count, 0)
            }
            Form::Chunks => {
                let count = self.data.len().min(room.len() - CHUNK_FRAME);
                let piece = self.data.get(..count).unwrap_or_default();
                let mut at = 0;
                for part in [format!("{count:x}\r\n").as_bytes(), piece, b"\r\n"] {
                    at += copy(part, room.get_mut(at..).unwrap_or_default());
                }
                (count, at)
            }
        };
        self.data.advance(taken);
        if let Some(content) = &mut self.content {
            // Fails only for more than was received.
            let _ = content.flow_control().release_capacity(taken);
        }
        filled
    }
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..count), to.get_mut(..count)) {
        to.copy_from_slice(from);
    }
    count
}

/// An error of a stream as one of a connection.
pub(super) fn broken(error: h2::Error) -> io::Error {
    // RFC 9113 §8.7: nothing was done with the request.
    if error.reason() == Some(h2::Reason::REFUSED_STREAM) {
        return io::Error::new(io::ErrorKind::ConnectionRefused, error);
    }
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}
