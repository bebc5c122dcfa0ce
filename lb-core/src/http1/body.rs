//! One body in progress, whatever its framing.

use super::{ChunkedDecoder, Error, Framing, Leniency};

/// Counts a body's bytes as they pass.
#[derive(Debug, Clone)]
pub enum Body {
    /// Nothing is left.
    Done,
    /// This many bytes are left.
    Length(u64),
    /// Chunked.
    Chunked(ChunkedDecoder),
    /// Until end of file.
    UntilClose,
}

/// What of a buffer belongs to a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyProgress {
    /// This many bytes from the front.
    pub consumed: usize,
    /// The body ends with them.
    pub done: bool,
    /// Bytes among them that frame the content of chunks; all but one once the last chunk has passed.
    pub framing: u64,
    /// Bytes among them that are extensions of chunks.
    pub extension: usize,
}

impl Body {
    /// The body of a message whose head was just read. A tunnel has no end but that of the connection.
    pub fn new(framing: Framing, leniency: Leniency) -> Self {
        match framing {
            Framing::None | Framing::Length(0) => Self::Done,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(ChunkedDecoder::new(leniency)),
            Framing::UntilClose | Framing::Tunnel => Self::UntilClose,
        }
    }

    /// Takes what belongs to the body from the front of `bytes`, which pass through unchanged.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<BodyProgress, Error> {
        self.run(bytes, ChunkedDecoder::pass)
    }

    /// The same up to the end of the first extension of a chunk, which the last bytes of those consumed are then.
    pub fn pass_to_extension(&mut self, bytes: &[u8]) -> Result<BodyProgress, Error> {
        self.run(bytes, ChunkedDecoder::pass_to_extension)
    }

    fn run(
        &mut self,
        bytes: &[u8],
        chunks: fn(&mut ChunkedDecoder, &[u8]) -> Result<BodyProgress, Error>,
    ) -> Result<BodyProgress, Error> {
        let (mut framing, mut extension) = (0, 0);
        let consumed = match self {
            Self::Done => 0,
            Self::UntilClose => bytes.len(),
            Self::Length(left) => {
                let run = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left -= run as u64;
                run
            }
            Self::Chunked(decoder) => {
                let progress = chunks(decoder, bytes)?;
                (framing, extension) = (progress.framing, progress.extension);
                progress.consumed
            }
        };
        self.settle();
        Ok(BodyProgress {
            consumed,
            done: self.is_done(),
            framing,
            extension,
        })
    }

    /// Whether every byte has passed.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Bytes that certainly belong to the body and need not be looked at (for bulk transfers).
    pub fn opaque_bytes(&self) -> u64 {
        match self {
            Self::Done => 0,
            Self::Length(left) => *left,
            Self::Chunked(decoder) => decoder.chunk_remaining(),
            Self::UntilClose => u64::MAX,
        }
    }

    /// Counts bytes moved unseen, at most [`opaque_bytes`](Self::opaque_bytes).
    pub fn skip(&mut self, count: u64) {
        match self {
            Self::Length(left) => *left = left.saturating_sub(count),
            Self::Chunked(decoder) => decoder.skip(count),
            Self::Done | Self::UntilClose => {}
        }
        self.settle();
    }

    /// The sender closed: whether the body is whole. A truncated one must not be passed on as complete.
    pub fn ends_at_close(&mut self) -> bool {
        if matches!(self, Self::UntilClose) {
            *self = Self::Done;
        }
        self.is_done()
    }

    fn settle(&mut self) {
        let over = match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(decoder) => decoder.is_done(),
            Self::Done | Self::UntilClose => false,
        };
        if over {
            *self = Self::Done;
        }
    }
}
