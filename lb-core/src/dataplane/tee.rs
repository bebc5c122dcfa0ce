//! Content that caches keep as it passes.

use std::ops::Range;

use crate::{
    cache::{Candidate, Keeping},
    http1::{ChunkedDecoder, Error, Framing, Leniency},
};

/// Where content comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunks(Box<ChunkedDecoder>),
}

impl Source {
    /// For a content in this framing; `None` if there is none, or no end of it but that of the connection.
    pub(super) fn new(framing: Framing) -> Option<Self> {
        match framing {
            Framing::Length(length @ 1..) => Some(Self::Length(length)),
            Framing::Chunked => Some(Self::Chunks(Box::new(ChunkedDecoder::new(
                Leniency::HAPROXY,
            )))),
            _ => None,
        }
    }

    /// The bytes at the front of `bytes` that are done with the next run of content, and its place.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Result<(usize, Range<usize>), Error> {
        Ok(match self {
            Self::Length(left) => {
                let run = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left -= run as u64;
                (run, 0..run)
            }
            Self::Chunks(decoder) => {
                let piece = decoder.next_piece(bytes)?;
                (piece.consumed, piece.data)
            }
        })
    }

    /// Whether all of it has passed.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunks(decoder) => decoder.is_done(),
        }
    }
}

/// Content that caches keep as it passes, unchanged.
#[derive(Debug)]
pub(super) struct Tee {
    source: Source,
    keeping: Vec<Keeping>,
}

impl Tee {
    /// For a content in this framing. What ends with its connection is not kept: nobody could tell whether it is whole.
    pub(super) fn new(framing: Framing, keeping: Vec<Keeping>) -> Option<Self> {
        let source = Source::new(framing)?;
        Some(Self { source, keeping })
    }

    /// These bytes of the body pass. False once there is nothing more to keep.
    pub(super) fn see(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() && !self.source.is_over() {
            let Ok((consumed, data)) = self.source.next(bytes) else {
                return false;
            };
            let content = bytes.get(data).unwrap_or_default();
            self.keeping.retain_mut(|keeping| keeping.add(content));
            bytes = bytes.get(consumed..).unwrap_or_default();
        }
        if self.source.is_over() {
            finish(&mut self.keeping);
        }
        !self.keeping.is_empty()
    }
}

/// Caches begin to keep what they may; nothing more is to come of a content that is empty.
pub(super) fn begin(candidates: Vec<Candidate>, framing: Framing) -> Vec<Keeping> {
    let begun = candidates.into_iter().filter_map(Candidate::begin);
    let mut keeping: Vec<Keeping> = begun.collect();
    if framing == Framing::Length(0) {
        finish(&mut keeping);
    }
    keeping
}

/// All of the content has passed.
pub(super) fn finish(keeping: &mut Vec<Keeping>) {
    keeping.drain(..).for_each(Keeping::finish);
}
