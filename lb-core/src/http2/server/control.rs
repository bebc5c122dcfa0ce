//! Frames about the connection and about streams as a whole.

use super::{FIRST_TABLE, FIRST_WINDOW, Leaving, MAX_WINDOW, Resize, Server};
use crate::http2::frame::{self, ACK, Code, Frame, Kind, PAYLOAD};

/// The ping whose answer tells that the client has seen our farewell.
pub(super) const FAREWELL: [u8; 8] = *b"farewell";

/// Settings (RFC 9113 §6.5.2, RFC 8441 §3).
const HEADER_TABLE: u16 = 1;
const PUSH: u16 = 2;
const STREAMS: u16 = 3;
const WINDOW: u16 = 4;
const FRAME: u16 = 5;
const HEAD: u16 = 6;
const CONNECT: u16 = 8;

impl Server {
    /// Our settings.
    pub(super) fn greet(&mut self) {
        let limits = self.limits;
        let ours = [
            (HEADER_TABLE, limits.header_table),
            (STREAMS, limits.streams),
            (WINDOW, limits.window),
            (FRAME, limits.frame),
            (HEAD, limits.head),
            (CONNECT, u32::from(limits.websockets)),
        ];
        frame::head(Kind::Settings, 0, 0, ours.len() * 6, &mut self.output);
        for (setting, value) in ours {
            self.output.extend_from_slice(&setting.to_be_bytes());
            self.output.extend_from_slice(&value.to_be_bytes());
        }
    }

    pub(super) fn settings(&mut self, frame: Frame, payload: &[u8]) {
        if frame.stream != 0 {
            return self.fail(Code::PROTOCOL);
        }
        if !payload.len().is_multiple_of(6) || frame.has(ACK) && !payload.is_empty() {
            return self.fail(Code::FRAME_SIZE);
        }
        if frame.has(ACK) {
            self.agreed = true;
            return;
        }
        let mut window = None;
        for setting in payload.chunks_exact(6) {
            let [s0, s1, v0, v1, v2, v3] = *setting else {
                return;
            };
            let value = u32::from_be_bytes([v0, v1, v2, v3]);
            match u16::from_be_bytes([s0, s1]) {
                PUSH | CONNECT if value > 1 => return self.fail(Code::PROTOCOL),
                FRAME if !(PAYLOAD..1 << 24).contains(&(value as usize)) => {
                    return self.fail(Code::PROTOCOL);
                }
                HEADER_TABLE if value < FIRST_TABLE && self.resize == Resize::No => {
                    self.resize = Resize::Due;
                }
                WINDOW if i64::from(value) > MAX_WINDOW => return self.fail(Code::FLOW_CONTROL),
                WINDOW => window = Some(i64::from(value)),
                _ => {}
            }
        }
        // The last of a frame: with each of thousands all streams would be gone through.
        if window.is_some_and(|window| !self.change_windows(window)) {
            return self.fail(Code::FLOW_CONTROL);
        }
        frame::head(Kind::Settings, ACK, 0, 0, &mut self.output);
        // Behind the first of them, as clients expect it.
        let more = self.room_in - FIRST_WINDOW;
        if !std::mem::replace(&mut self.greeted, true) && more > 0 {
            write_update(0, more, &mut self.output);
        }
    }

    /// Every stream has another window to begin with (RFC 9113 §6.9.2); false if that is too large for one.
    fn change_windows(&mut self, window: i64) -> bool {
        let more = window - self.first_out;
        self.first_out = window;
        let mut fits = true;
        for at in 0..self.numbers.len() {
            let Some((_, key)) = self.numbers.get(at).copied() else {
                break;
            };
            if let Some(stream) = self.stream(key) {
                stream.room_out += more;
                fits &= stream.room_out <= MAX_WINDOW;
            }
            if more > 0 {
                self.stir(key);
            }
        }
        fits
    }

    pub(super) fn ping(&mut self, frame: Frame, payload: &[u8]) {
        if frame.stream != 0 {
            return self.fail(Code::PROTOCOL);
        }
        if payload.len() != 8 {
            return self.fail(Code::FRAME_SIZE);
        }
        if !frame.has(ACK) {
            frame::write(Kind::Ping, ACK, 0, payload, &mut self.output);
        } else if payload == FAREWELL && self.leaving == Leaving::Told {
            self.leaving = Leaving::Last;
            self.say_goodbye(self.last, Code::NO_ERROR);
        }
    }

    pub(super) fn goodbye(&mut self, frame: Frame) {
        match (frame.stream, frame.length) {
            (0, 8..) => self.peer_leaves = true,
            (0, _) => self.fail(Code::FRAME_SIZE),
            _ => self.fail(Code::PROTOCOL),
        }
    }

    pub(super) fn priority(&mut self, frame: Frame) {
        if frame.stream == 0 {
            self.fail(Code::PROTOCOL);
        } else if frame.length != 5 {
            self.fail(Code::FRAME_SIZE);
        }
    }

    /// The client wants no more of a stream.
    pub(super) fn cancel(&mut self, frame: Frame, payload: &[u8]) {
        if self.is_idle(frame.stream) {
            return self.fail(Code::PROTOCOL);
        }
        let (Some(code), 4) = (frame::word(payload), payload.len()) else {
            return self.fail(Code::FRAME_SIZE);
        };
        let Some(key) = self.find(frame.stream) else {
            return;
        };
        if let Some(stream) = self.stream(key) {
            stream.reset = Some(Code(code));
        }
        self.take_off(frame.stream);
        self.stir(key);
    }

    /// The client gives leave to send more.
    pub(super) fn update(&mut self, frame: Frame, payload: &[u8]) {
        let (Some(more), 4) = (frame::word(payload), payload.len()) else {
            return self.fail(Code::FRAME_SIZE);
        };
        let more = i64::from(more & 0x7fff_ffff);
        if frame.stream == 0 {
            self.room_out += more;
            if more == 0 {
                self.fail(Code::PROTOCOL);
            } else if self.room_out > MAX_WINDOW {
                self.fail(Code::FLOW_CONTROL);
            }
            return self.unblock();
        }
        if self.is_idle(frame.stream) {
            return self.fail(Code::PROTOCOL);
        }
        let Some(key) = self.find(frame.stream) else {
            return;
        };
        if more == 0 {
            return self.fault(key, Code::PROTOCOL);
        }
        if let Some(stream) = self.stream(key) {
            stream.room_out += more;
            if stream.room_out > MAX_WINDOW {
                return self.fault(key, Code::FLOW_CONTROL);
            }
        }
        self.stir(key);
    }
}

/// Appends leave to send `more`, which fits a window.
pub(super) fn write_update(stream: u32, more: i64, out: &mut Vec<u8>) {
    let more = u32::try_from(more).unwrap_or(0);
    frame::write(Kind::WindowUpdate, 0, stream, &more.to_be_bytes(), out);
}
