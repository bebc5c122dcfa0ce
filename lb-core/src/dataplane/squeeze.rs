//! Content compressed on its way: taken out of the framing it came in, sent in chunks.
//!
//! A compressor holds some 300 kB for as long as its response takes; each worker has at most [`MOST`] of them, and lends
//! them to one response after the other. Where none is left, content goes as it came.

use std::cell::{Cell, RefCell};

use flate2::{Compress, Compression as Level, Crc, FlushCompress, Status};

use super::tee::{self, Source};
use crate::{
    cache::Keeping,
    compression::Algorithm,
    http1::{Error, Framing},
};

/// Compressors of one worker.
const MOST: usize = 64;
/// Free ones that are kept.
const KEPT: usize = 8;
/// As HAProxy's `tune.comp.maxlevel`: the fastest.
const LEVEL: u32 = 1;
/// What a chunk of output has room for.
const ROOM: usize = 16 * 1024;

thread_local! {
    static LENT: Cell<usize> = const { Cell::new(0) };
    /// Free ones: (within zlib, compressor).
    static FREE: RefCell<Vec<(bool, Compress)>> = const { RefCell::new(Vec::new()) };
}

/// A compressor that is returned on drop.
#[derive(Debug)]
struct Lent {
    compress: Option<(bool, Compress)>,
}

impl Lent {
    fn new(zlib: bool) -> Option<Self> {
        let lent = LENT.get();
        if lent >= MOST {
            return None;
        }
        LENT.set(lent + 1);
        let free = FREE.with_borrow_mut(|free| {
            let at = free.iter().position(|(kind, _)| *kind == zlib)?;
            Some(free.swap_remove(at))
        });
        let compress = free.unwrap_or_else(|| (zlib, Compress::new(Level::new(LEVEL), zlib)));
        Some(Self {
            compress: Some(compress),
        })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        LENT.set(LENT.get().saturating_sub(1));
        if let Some((kind, mut compress)) = self.compress.take() {
            // The thread may be ending.
            let _ = FREE.try_with(|free| {
                let mut free = free.borrow_mut();
                if free.len() < KEPT {
                    compress.reset();
                    free.push((kind, compress));
                }
            });
        }
    }
}

/// A content on its way.
#[derive(Debug)]
pub(super) struct Squeeze {
    algorithm: Algorithm,
    source: Source,
    lent: Option<Lent>,
    checksum: Crc,
    begun: bool,
    /// Caches that keep it as it came.
    keeping: Vec<Keeping>,
    piece: Vec<u8>,
    /// Bytes of content so far.
    taken: u64,
}

impl Squeeze {
    /// For a content in this framing; `None` if it cannot be, or no compressor is left.
    pub(super) fn new(algorithm: Algorithm, framing: Framing) -> Option<Self> {
        let source = Source::new(framing)?;
        let lent = match algorithm {
            Algorithm::Identity => None,
            other => Some(Lent::new(other == Algorithm::Deflate)?),
        };
        Some(Self {
            algorithm,
            source,
            lent,
            checksum: Crc::new(),
            begun: false,
            keeping: Vec::new(),
            piece: Vec::new(),
            taken: 0,
        })
    }

    /// Caches keep the content as it comes.
    pub(super) fn keep(&mut self, keeping: Vec<Keeping>) {
        self.keeping = keeping;
    }

    /// Bytes of content that the last pass has sent.
    pub(super) fn sent(&self) -> u64 {
        self.piece.len() as u64
    }

    /// Takes what there is of the content from `input` and appends chunks to `out`; tells how many bytes it took, and
    /// whether all of the content is through.
    pub(super) fn pass(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(usize, bool), Error> {
        self.piece.clear();
        let (before, mut done) = (self.taken, 0);
        while done < input.len() && !self.source.is_over() {
            let bytes = input.get(done..).unwrap_or_default();
            let (consumed, data) = self.source.next(bytes)?;
            let content = bytes.get(data).unwrap_or_default();
            self.taken += content.len() as u64;
            self.keeping.retain_mut(|keeping| keeping.add(content));
            squeeze(
                self.algorithm,
                &mut self.lent,
                (&mut self.checksum, &mut self.begun),
                content,
                &mut self.piece,
            );
            done += consumed;
        }
        let over = self.source.is_over();
        if over {
            tee::finish(&mut self.keeping);
            self.finish();
        } else if self.taken > before {
            // What came is on its way, however long the rest takes.
            flush(&mut self.lent, FlushCompress::Sync, &mut self.piece);
        }
        if !self.piece.is_empty() {
            out.extend_from_slice(format!("{:x}\r\n", self.piece.len()).as_bytes());
            out.extend_from_slice(&self.piece);
            out.extend_from_slice(b"\r\n");
        }
        if over {
            out.extend_from_slice(b"0\r\n\r\n");
        }
        Ok((done, over))
    }

    fn finish(&mut self) {
        if self.algorithm == Algorithm::Gzip && !self.begun {
            self.piece.extend_from_slice(&GZIP);
        }
        flush(&mut self.lent, FlushCompress::Finish, &mut self.piece);
        if self.algorithm == Algorithm::Gzip {
            self.piece
                .extend_from_slice(&self.checksum.sum().to_le_bytes());
            self.piece
                .extend_from_slice(&self.checksum.amount().to_le_bytes());
        }
    }
}

/// RFC 1952: deflate, no name, no time, any system.
const GZIP: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff];

fn squeeze(
    algorithm: Algorithm,
    lent: &mut Option<Lent>,
    (checksum, begun): (&mut Crc, &mut bool),
    mut content: &[u8],
    out: &mut Vec<u8>,
) {
    if content.is_empty() {
        return;
    }
    let Some((_, compress)) = lent.as_mut().and_then(|lent| lent.compress.as_mut()) else {
        return out.extend_from_slice(content);
    };
    if algorithm == Algorithm::Gzip {
        checksum.update(content);
        if !std::mem::replace(begun, true) {
            out.extend_from_slice(&GZIP);
        }
    }
    while !content.is_empty() {
        out.reserve(ROOM);
        let before = compress.total_in();
        let done = compress.compress_vec(content, out, FlushCompress::None);
        let taken = usize::try_from(compress.total_in() - before).unwrap_or(0);
        content = content.get(taken..).unwrap_or_default();
        if done.is_err() {
            return;
        }
    }
}

/// Has everything out that is held back.
fn flush(lent: &mut Option<Lent>, how: FlushCompress, out: &mut Vec<u8>) {
    let Some((_, compress)) = lent.as_mut().and_then(|lent| lent.compress.as_mut()) else {
        return;
    };
    loop {
        out.reserve(ROOM);
        let room = out.capacity() - out.len();
        let before = out.len();
        match compress.compress_vec(&[], out, how) {
            Ok(Status::StreamEnd) | Err(_) => return,
            // Room that is left says that there is nothing more, except at the end, which is said.
            Ok(_) if how == FlushCompress::Sync && out.len() - before < room => return,
            Ok(_) => {}
        }
    }
}
