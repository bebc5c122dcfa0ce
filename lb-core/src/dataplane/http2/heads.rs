//! How much the heads of one response may take. No window limits heads (RFC 9113 §5.2.1), and what a client has not been told
//! yet is kept by the library, however many interim responses a server sends.
//!
//! Frames are followed by their heads alone (RFC 9113 §4.1):
//! ```text
//! length (24) | type (8) | flags (8) | stream (1 + 31) | payload of that length
//! ```

use std::collections::BTreeMap;

/// Bytes before a payload.
const FRAME_HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;

/// What all heads of one response may take together: a thousand of the smallest.
const MOST: usize = 256 * 1024;
/// What one takes beside its bytes.
const EACH: usize = 256;
/// Responses whose heads are counted; the oldest are forgotten, for their streams were given up.
const COUNTED: usize = 1024;

/// What came of heads, by stream.
#[derive(Debug, Default)]
pub(super) struct Heads {
    frame: [u8; FRAME_HEAD],
    /// How much of the frame's head is there.
    filled: usize,
    /// What is still to come of its payload.
    payload: usize,
    sizes: BTreeMap<u32, usize>,
}

impl Heads {
    /// These bytes came; false if one of the responses has more heads than it may.
    pub(super) fn saw(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.payload > 0 {
                let count = self.payload.min(bytes.len());
                self.payload -= count;
                bytes = bytes.get(count..).unwrap_or_default();
                continue;
            }
            let room = self.frame.get_mut(self.filled..).unwrap_or_default();
            let count = room.len().min(bytes.len());
            let (taken, rest) = bytes.split_at(count);
            for (place, byte) in room.iter_mut().zip(taken) {
                *place = *byte;
            }
            bytes = rest;
            self.filled += count;
            if self.filled == FRAME_HEAD {
                self.filled = 0;
                if !self.begin() {
                    return false;
                }
            }
        }
        true
    }

    /// The head of a frame is there.
    fn begin(&mut self) -> bool {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = self.frame;
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        let stream = u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff;
        self.payload = usize::try_from(length).unwrap_or(usize::MAX);
        match kind {
            HEADERS if flags & END_STREAM != 0 => drop(self.sizes.remove(&stream)),
            HEADERS | CONTINUATION => {
                let size = self.sizes.entry(stream).or_default();
                *size = size.saturating_add(self.payload.saturating_add(EACH));
                let is_fine = *size <= MOST;
                if self.sizes.len() > COUNTED {
                    self.sizes.pop_first();
                }
                return is_fine;
            }
            // Behind content come trailers alone.
            DATA | RESET => drop(self.sizes.remove(&stream)),
            _ => {}
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, flags, 0, 0, 0, stream]);
        bytes.extend(vec![0; payload]);
        bytes
    }

    /// How many bytes of these are let pass, a few at a time.
    fn passed(bytes: &[u8], step: usize) -> usize {
        let mut heads = Heads::default();
        let fine = bytes.chunks(step).take_while(|piece| heads.saw(piece));
        fine.map(<[u8]>::len).sum()
    }

    #[test]
    fn heads_of_one_response_have_a_limit_and_those_of_many_have_none() {
        let interim = frame(HEADERS, 4, 1, 100);
        let most = MOST / (EACH + 100) * interim.len();
        let flood = interim.repeat(10_000);
        for step in [1, 7, 109, 4096, flood.len()] {
            let through = passed(&flood, step);
            // The next one is refused once its length is known.
            assert!(through < most + FRAME_HEAD, "{step}: {through}");
            assert!(most.saturating_sub(through) <= step, "{step}: {through}");
        }
        let response = [
            frame(HEADERS, 4, 3, 100),
            frame(HEADERS, 4, 3, 5000),
            frame(DATA, 0, 3, 9),
            frame(HEADERS, 5, 3, 100),
        ];
        let responses = response.concat().repeat(1000);
        assert_eq!(passed(&responses, 1000), responses.len());
        let cancelled = [frame(HEADERS, 4, 3, 100), frame(RESET, 0, 3, 4)];
        let cancelled = cancelled.concat().repeat(10_000);
        assert_eq!(passed(&cancelled, 1000), cancelled.len());
    }

    #[test]
    fn streams_that_were_given_up_are_forgotten() {
        let mut heads = Heads::default();
        for stream in (1_u32..20_000).step_by(2) {
            let mut bytes = frame(HEADERS, 4, 0, 10);
            bytes[5..9].copy_from_slice(&stream.to_be_bytes());
            assert!(heads.saw(&bytes));
        }
        assert_eq!(heads.sizes.len(), COUNTED);
    }
}
