//! From bytes to frame headers (RFC 9113 §4.1), however the bytes were cut.
//!
//! ```text
//! length (24) | type (8) | flags (8) | stream (1 + 31) | payload of that length
//! ```

/// Bytes before the payload.
const HEADER: usize = 9;
/// Bytes of the payload that are looked at: the code of a reset.
const CODE: usize = 4;
/// Bytes of a client's preface (RFC 9113 §3.4).
const PREFACE: u64 = 24;

/// Type of a frame (RFC 9113 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// Content.
    Data,
    /// Begins a stream, or ends it with trailers.
    Headers,
    /// Deprecated.
    Priority,
    /// Cancels a stream.
    Reset,
    /// Settings, or their acknowledgement.
    Settings,
    /// A question whether somebody is there, or the answer.
    Ping,
    /// No stream will be opened any more.
    GoAway,
    /// Leave to send more.
    WindowUpdate,
    /// More of a head.
    Continuation,
    /// Any other.
    Other,
}

/// What the header of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: FrameKind,
    /// Bytes of its payload.
    pub length: u32,
    /// Its lowest flag: the last frame of a stream (`Data`, `Headers`), an answer (`Settings`, `Ping`).
    pub flag: bool,
    /// The code of a [`FrameKind::Reset`], 0 in others.
    pub code: u32,
}

/// Walks over one direction of a connection.
#[derive(Debug, Clone, Default)]
pub struct FrameWalk {
    seen: [u8; HEADER + CODE],
    have: usize,
    skip: u64,
}

impl FrameWalk {
    /// What a client sends, from the first byte of its preface on.
    pub fn of_client() -> Self {
        Self {
            skip: PREFACE,
            ..Self::default()
        }
    }

    /// What a server sends, from its first frame on.
    pub fn of_server() -> Self {
        Self::default()
    }

    /// Runs over `bytes`, which follow those of the call before, and tells of each frame that begins in them.
    pub fn pass(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = usize::try_from(self.skip)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                self.skip -= skipped as u64;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            let wanted = self.wanted() - self.have;
            let (taken, rest) = bytes.split_at(wanted.min(bytes.len()));
            if let Some(room) = self.seen.get_mut(self.have..self.have + taken.len()) {
                room.copy_from_slice(taken);
            }
            self.have += taken.len();
            bytes = rest;
            if self.have >= HEADER && self.have == self.wanted() {
                let frame = self.frame();
                self.skip = u64::from(frame.length) - (self.have - HEADER) as u64;
                self.have = 0;
                tell(frame);
            }
        }
    }

    /// Bytes that are collected before a frame is told of.
    fn wanted(&self) -> usize {
        match self.seen {
            [0, 0, 4, 3, ..] if self.have >= HEADER => HEADER + CODE,
            _ => HEADER,
        }
    }

    fn frame(&self) -> Frame {
        let [l0, l1, l2, kind, flags, _, _, _, _, code @ ..] = self.seen;
        let kind = match kind {
            0 => FrameKind::Data,
            1 => FrameKind::Headers,
            2 => FrameKind::Priority,
            3 => FrameKind::Reset,
            4 => FrameKind::Settings,
            6 => FrameKind::Ping,
            7 => FrameKind::GoAway,
            8 => FrameKind::WindowUpdate,
            9 => FrameKind::Continuation,
            _ => FrameKind::Other,
        };
        Frame {
            kind,
            length: u32::from_be_bytes([0, l0, l1, l2]),
            flag: flags & 1 != 0,
            code: match kind {
                FrameKind::Reset if self.have > HEADER => u32::from_be_bytes(code),
                _ => 0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, flags, 0, 0, 0, 1]);
        bytes.extend(payload);
        bytes
    }

    fn connection() -> Vec<u8> {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(4, 0, &[0; 12]));
        bytes.extend(frame(1, 5, &[0x82; 20]));
        bytes.extend(frame(3, 0, &[0, 0, 0, 8]));
        bytes.extend(frame(0, 1, &[]));
        bytes.extend(frame(6, 0, &[1; 8]));
        bytes
    }

    proptest! {
        #[test]
        fn every_way_to_cut_the_bytes_gives_the_same_frames(cuts in prop::collection::vec(1usize..40, 1..40)) {
            let bytes = connection();
            let mut whole = Vec::new();
            FrameWalk::of_client().pass(&bytes, |frame| whole.push(frame));
            let (mut walk, mut pieces, mut rest) = (FrameWalk::of_client(), Vec::new(), &bytes[..]);
            for cut in cuts.into_iter().cycle() {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                walk.pass(piece, |frame| pieces.push(frame));
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(&whole, &pieces);
        }
    }

    #[test]
    fn frames_are_told_apart() {
        let mut seen = Vec::new();
        FrameWalk::of_client().pass(&connection(), |f| {
            seen.push((f.kind, f.length, f.flag, f.code))
        });
        assert_eq!(
            seen,
            [
                (FrameKind::Settings, 12, false, 0),
                (FrameKind::Headers, 20, true, 0),
                (FrameKind::Reset, 4, false, 8),
                (FrameKind::Data, 0, true, 0),
                (FrameKind::Ping, 8, false, 0),
            ]
        );
    }
}
