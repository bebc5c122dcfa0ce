//! The chunked transfer coding (RFC 9112 §7.1) as a filter over bytes that pass through.
//!
//! ```text
//! Size -> Extension -> SizeLf -> Data -> DataCr -> DataLf -> Size ...
//!              size 0: SizeLf -> LineStart -> Name -> Value -> ValueLf -> LineStart ... -> EndLf -> Done
//! ```

use std::ops::Range;

use super::{BodyProgress, Error, Leniency, text};

/// Most digits of a chunk size.
const SIZE_DIGITS: u8 = 16;
/// Most bytes of the extensions of one chunk.
const EXTENSION_BYTES: u32 = 1024;
/// A chunk of this size, which nobody sends, is one that a reader's arithmetic is to be tried with. HAProxy's limit.
const TOO_MUCH: u64 = 1 << 52;
/// Most bytes of all trailers.
const TRAILER_BYTES: u32 = 8192;
/// Most trailers: as many as there may be fields.
const TRAILERS: u32 = 100;
/// Longest of [`FORBIDDEN`].
const NAME_BYTES: usize = 19;

/// Fields that would change framing, routing, authentication or meaning if someone merged the trailers into
/// the head (RFC 9110 §6.5.1).
const FORBIDDEN: [&[u8]; 19] = [
    b"authorization",
    b"cache-control",
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"expect",
    b"forwarded",
    b"host",
    b"keep-alive",
    b"location",
    b"proxy-authorization",
    b"set-cookie",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size {
        digits: u8,
        value: u64,
    },
    /// White space after the size, accepted only by lenient readers.
    SizePadding {
        value: u64,
    },
    Extension {
        length: u32,
        value: u64,
    },
    SizeLf {
        value: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    LineStart,
    Name {
        length: usize,
    },
    Value,
    ValueLf,
    EndLf,
    Done,
}

/// What one call saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Bytes of the buffer that belong to this body, framing included.
    pub consumed: usize,
    /// Content among them (its place in the buffer).
    pub data: Range<usize>,
    /// The body ended with the last consumed byte.
    pub done: bool,
}

/// What one step saw.
#[derive(Debug, Default)]
struct Step {
    consumed: usize,
    data: Range<usize>,
    /// Bytes of an extension, the last of those consumed.
    extension: usize,
}

/// Decoder of one chunked body.
#[derive(Debug, Clone)]
pub struct ChunkedDecoder {
    state: State,
    leniency: Leniency,
    trailer_bytes: u32,
    trailers: u32,
    name: [u8; NAME_BYTES],
}

impl ChunkedDecoder {
    /// A decoder at the first chunk.
    pub fn new(leniency: Leniency) -> Self {
        Self {
            state: State::Size {
                digits: 0,
                value: 0,
            },
            leniency,
            trailer_bytes: 0,
            trailers: 0,
            name: [0; NAME_BYTES],
        }
    }

    /// Whether the last chunk and the trailers have been passed.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the last chunk has been passed: what follows are trailers.
    pub fn is_past_content(&self) -> bool {
        use State::{Done, EndLf, LineStart, Name, Value, ValueLf};
        matches!(
            self.state,
            LineStart | Name { .. } | Value | ValueLf | EndLf | Done
        )
    }

    /// Content bytes of the present chunk that have not passed: they may be moved without a look at them and
    /// reported by [`skip`](Self::skip).
    pub fn chunk_remaining(&self) -> u64 {
        match self.state {
            State::Data { left } => left,
            _ => 0,
        }
    }

    /// Counts `count` content bytes that were moved unseen.
    pub fn skip(&mut self, count: u64) {
        if let State::Data { left } = &mut self.state {
            *left = left.saturating_sub(count);
            if *left == 0 {
                self.state = State::DataCr;
            }
        }
    }

    /// Runs over `bytes`, which follow the ones consumed before: all of the body that is in them.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<BodyProgress, Error> {
        self.run(bytes, |_| false)
    }

    /// The same up to the end of the first extension in `bytes`; it is the last bytes of those consumed.
    pub fn pass_to_extension(&mut self, bytes: &[u8]) -> Result<BodyProgress, Error> {
        self.run(bytes, |step| step.extension > 0)
    }

    fn run(&mut self, bytes: &[u8], ends: fn(&Step) -> bool) -> Result<BodyProgress, Error> {
        let (mut consumed, mut content, mut extension) = (0, 0, 0);
        while consumed < bytes.len() && !self.is_done() {
            let step = self.step(bytes.get(consumed..).unwrap_or_default())?;
            consumed += step.consumed;
            content += step.data.len();
            extension += step.extension;
            if ends(&step) {
                break;
            }
        }
        let ended = usize::from(consumed > 0 && self.is_done());
        Ok(BodyProgress {
            consumed,
            done: self.is_done(),
            framing: (consumed - content - ended) as u64,
            extension,
        })
    }

    /// Runs up to the end of the next run of content in `bytes`. Call again with the rest until `done` or
    /// everything is consumed. For readers that want the content without its framing.
    pub fn next_piece(&mut self, bytes: &[u8]) -> Result<Piece, Error> {
        let mut consumed = 0;
        let mut data = 0..0;
        while data.is_empty() && consumed < bytes.len() && !self.is_done() {
            let step = self.step(bytes.get(consumed..).unwrap_or_default())?;
            data = consumed + step.data.start..consumed + step.data.end;
            consumed += step.consumed;
        }
        Ok(Piece {
            consumed,
            data,
            done: self.is_done(),
        })
    }

    /// Either a run of content, or everything up to the next one or to the end of an extension before it.
    fn step(&mut self, bytes: &[u8]) -> Result<Step, Error> {
        let mut step = Step::default();
        if let State::Data { left } = self.state {
            step.consumed = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            step.data = 0..step.consumed;
            self.skip(step.consumed as u64);
            return Ok(step);
        }
        for &b in bytes {
            let ended = step.extension > 0 && b == b'\r';
            if ended || matches!(self.state, State::Data { .. } | State::Done) {
                break;
            }
            self.state = self.after(b)?;
            step.consumed += 1;
            step.extension += usize::from(matches!(self.state, State::Extension { .. }));
        }
        Ok(step)
    }

    /// The state after one byte of framing.
    fn after(&mut self, b: u8) -> Result<State, Error> {
        let loose = self.leniency.loose_syntax;
        let next = match self.state {
            State::Size { digits, value } => match (b, hex(b)) {
                (_, Some(digit)) if digits < SIZE_DIGITS => State::Size {
                    digits: digits + 1,
                    value: value << 4 | digit,
                },
                _ if digits == 0 || value >= TOO_MUCH => return Err(Error::ChunkSize),
                (b' ' | b'\t', _) if loose => State::SizePadding { value },
                _ => after_size(b, value)?,
            },
            State::SizePadding { value } => match b {
                b' ' | b'\t' => self.state,
                _ => after_size(b, value)?,
            },
            State::Extension { length, value } => match b {
                b'\r' => State::SizeLf { value },
                // A bare LF here is where two readers part ways (CVE-2025-22871): refused in every mode.
                _ if length >= EXTENSION_BYTES || !text::is_field_value(&[b]) => {
                    return Err(Error::ChunkExtension);
                }
                _ => State::Extension {
                    length: length + 1,
                    value,
                },
            },
            State::SizeLf { value } => match (b, value) {
                (b'\n', 0) => State::LineStart,
                (b'\n', left) => State::Data { left },
                _ => return Err(Error::ChunkSize),
            },
            State::DataCr if b == b'\r' => State::DataLf,
            State::DataLf if b == b'\n' => State::Size {
                digits: 0,
                value: 0,
            },
            State::DataCr | State::DataLf => return Err(Error::ChunkEnd),
            _ => return self.after_trailer_byte(b),
        };
        Ok(next)
    }

    fn after_trailer_byte(&mut self, b: u8) -> Result<State, Error> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES {
            return Err(Error::Trailer);
        }
        match (self.state, b) {
            (State::LineStart, b'\r') => Ok(State::EndLf),
            (State::EndLf, b'\n') => Ok(State::Done),
            (State::LineStart, _) if text::is_tchar(b) && self.trailers < TRAILERS => {
                self.trailers += 1;
                Ok(self.name_byte(0, b))
            }
            (State::Name { length }, b':') => {
                let name = self.name.get(..length).unwrap_or_default();
                if FORBIDDEN.contains(&name) {
                    return Err(Error::Trailer);
                }
                Ok(State::Value)
            }
            (State::Name { length }, _) if text::is_tchar(b) => Ok(self.name_byte(length, b)),
            (State::Value, b'\r') => Ok(State::ValueLf),
            (State::Value, _) if text::is_field_value(&[b]) => Ok(State::Value),
            (State::ValueLf, b'\n') => Ok(State::LineStart),
            _ => Err(Error::Trailer),
        }
    }

    fn name_byte(&mut self, length: usize, b: u8) -> State {
        if let Some(slot) = self.name.get_mut(length) {
            *slot = b.to_ascii_lowercase();
        }
        State::Name { length: length + 1 }
    }
}

fn after_size(b: u8, value: u64) -> Result<State, Error> {
    match b {
        b'\r' => Ok(State::SizeLf { value }),
        b';' => Ok(State::Extension { length: 0, value }),
        _ => Err(Error::ChunkSize),
    }
}

fn hex(b: u8) -> Option<u64> {
    match b {
        b'0'..=b'9' => Some(u64::from(b - b'0')),
        b'a'..=b'f' => Some(u64::from(b - b'a' + 10)),
        b'A'..=b'F' => Some(u64::from(b - b'A' + 10)),
        _ => None,
    }
}
