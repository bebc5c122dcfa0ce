//! What the other end of a stream sends, as the bytes of HTTP/1.1 that follow one another: head, content, trailers.
//!
//! Content that nobody has read yet lies in the engine of its connection, at most a window of it for each stream:
//! leave to send more is given as bytes go out of here.

use std::{
    io::{self, Write as _},
    task::{Context, Poll, ready},
};

use crate::http2::{Code, Form};

/// Room for the size of a chunk and the ends of its lines.
const CHUNK_FRAME: usize = 20;
/// A chunk that is copied once more, because it does not fit the room that is left.
const SMALL_CHUNK: usize = 1024;

/// Content of a stream as it comes.
pub(super) trait Content {
    /// How many bytes can be taken; 0 behind the last.
    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>>;

    /// Takes bytes, no more than there are.
    fn take(&mut self, room: &mut [u8]);

    /// Appends the lines of the trailers, behind the last byte.
    fn poll_trailers(&mut self, cx: &mut Context<'_>, text: &mut Vec<u8>) -> Poll<io::Result<()>>;
}

/// One direction of a stream.
#[derive(Debug)]
pub(super) struct Incoming<C> {
    /// Text to be read before anything else, and how much of it has been.
    text: Vec<u8>,
    read: usize,
    /// Its content, once its head has come.
    content: Option<C>,
    form: Form,
    /// The end of the content has come.
    ended: bool,
}

impl<C: Content> Incoming<C> {
    /// `text` first, then `content` in the form that the text announces.
    pub(super) fn new(text: Vec<u8>, content: C, form: Form) -> Self {
        Self {
            text,
            read: 0,
            content: Some(content),
            form,
            ended: false,
        }
    }

    /// Nothing as yet.
    pub(super) fn waiting() -> Self {
        Self {
            text: Vec::new(),
            read: 0,
            content: None,
            form: Form::Nothing,
            ended: false,
        }
    }

    /// Text to be read next.
    pub(super) fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// The head is among the text: this follows.
    pub(super) fn begin_content(&mut self, content: C, form: Form) {
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
            match self.poll_some(cx) {
                Poll::Ready(Ok(0)) => {}
                Poll::Ready(Ok(count)) => {
                    let left = room.get_mut(filled..).unwrap_or_default();
                    filled += self.take_content(count, left);
                }
                // What was read comes first; the error is still there afterwards.
                _ if filled > 0 => return Poll::Ready(Ok(filled)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn take_text(&mut self, room: &mut [u8]) -> usize {
        let text = self.text.get(self.read..).unwrap_or_default();
        let count = copy(text, room);
        self.read += count;
        count
    }

    /// How much content there is; with 0, what ends it is among the text.
    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(content) = &mut self.content else {
            self.form = Form::Nothing;
            return Poll::Ready(Ok(0));
        };
        if !self.ended {
            let count = ready!(content.poll_some(cx))?;
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
            self.ended = true;
        }
        if self.form == Form::Chunks {
            self.text.clear();
            self.text.extend_from_slice(b"0\r\n");
            let polled = content.poll_trailers(cx, &mut self.text);
            if !matches!(polled, Poll::Ready(Ok(()))) {
                self.text.clear();
            }
            ready!(polled)?;
            self.text.extend_from_slice(b"\r\n");
        }
        self.form = Form::Nothing;
        Poll::Ready(Ok(0))
    }

    fn take_content(&mut self, count: usize, room: &mut [u8]) -> usize {
        let Some(content) = &mut self.content else {
            return 0;
        };
        let mut line = [0; CHUNK_FRAME];
        if self.form == Form::Raw {
            let count = count.min(room.len());
            content.take(room.get_mut(..count).unwrap_or_default());
            count
        } else if room.len() <= 2 * CHUNK_FRAME {
            let count = count.min(SMALL_CHUNK);
            self.text.extend_from_slice(size_line(count, &mut line));
            let start = self.text.len();
            self.text.resize(start + count, 0);
            content.take(self.text.get_mut(start..).unwrap_or_default());
            self.text.extend_from_slice(b"\r\n");
            0
        } else {
            let count = count.min(room.len() - CHUNK_FRAME);
            let start = copy(size_line(count, &mut line), room);
            let end = start + count;
            content.take(room.get_mut(start..end).unwrap_or_default());
            end + copy(b"\r\n", room.get_mut(end..).unwrap_or_default())
        }
    }
}

/// The line before a chunk.
fn size_line(count: usize, line: &mut [u8; CHUNK_FRAME]) -> &[u8] {
    let mut rest = &mut line[..];
    // Sixteen digits at most.
    let _ = write!(rest, "{count:x}\r\n");
    let length = CHUNK_FRAME - rest.len();
    line.get(..length).unwrap_or_default()
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..count), to.get_mut(..count)) {
        to.copy_from_slice(from);
    }
    count
}

/// The end of a stream as an error of a connection.
pub(super) fn broken(code: Code) -> io::Error {
    // RFC 9113 §8.7: nothing was done with the request.
    if code == Code::REFUSED {
        return io::ErrorKind::ConnectionRefused.into();
    }
    io::ErrorKind::ConnectionReset.into()
}
