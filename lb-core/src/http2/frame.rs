//! Frames (RFC 9113 §4, §6): their heads read and written.
//!
//! ```text
//! length (24) | type (8) | flags (8) | stream (1 + 31) | payload of that length
//! ```

/// Bytes before the payload.
pub(super) const HEAD: usize = 9;
/// Payload that nobody may refuse.
pub(super) const PAYLOAD: usize = 16_384;

/// The last frame of a stream, in [`Kind::Data`] and [`Kind::Headers`].
pub(super) const END_STREAM: u8 = 1;
/// An answer, in [`Kind::Settings`] and [`Kind::Ping`].
pub(super) const ACK: u8 = 1;
/// The last piece of a head.
pub(super) const END_HEADERS: u8 = 4;
/// The payload has padding.
pub(super) const PADDED: u8 = 8;
/// A head begins with a priority.
pub(super) const PRIORITY: u8 = 0x20;

/// Type of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
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
    /// A request that nobody made.
    Push,
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

impl Kind {
    fn of(number: u8) -> Self {
        match number {
            0 => Self::Data,
            1 => Self::Headers,
            2 => Self::Priority,
            3 => Self::Reset,
            4 => Self::Settings,
            5 => Self::Push,
            6 => Self::Ping,
            7 => Self::GoAway,
            8 => Self::WindowUpdate,
            9 => Self::Continuation,
            _ => Self::Other,
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Data => 0,
            Self::Headers => 1,
            Self::Priority => 2,
            Self::Reset => 3,
            Self::Settings => 4,
            Self::Push => 5,
            Self::Ping => 6,
            Self::GoAway => 7,
            Self::WindowUpdate => 8,
            Self::Continuation => 9,
            Self::Other => u8::MAX,
        }
    }
}

/// Why a stream or a connection ends (RFC 9113 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub u32);

impl Code {
    /// Nothing is wrong.
    pub const NO_ERROR: Self = Self(0);
    /// The peer broke the protocol.
    pub const PROTOCOL: Self = Self(1);
    /// Something went wrong here.
    pub const INTERNAL: Self = Self(2);
    /// More was sent than there was leave for.
    pub const FLOW_CONTROL: Self = Self(3);
    /// A frame for a stream that has ended.
    pub const STREAM_CLOSED: Self = Self(5);
    /// A frame of a length that its type cannot have.
    pub const FRAME_SIZE: Self = Self(6);
    /// Nothing was done with the request.
    pub const REFUSED: Self = Self(7);
    /// Nobody wants it any more.
    pub const CANCEL: Self = Self(8);
    /// Fields cannot be read.
    pub const COMPRESSION: Self = Self(9);
    /// The peer costs more than it should.
    pub const CALM: Self = Self(11);
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Type.
    pub kind: Kind,
    /// Flags; what they mean depends on the type.
    pub flags: u8,
    /// Bytes of the payload.
    pub length: u32,
    /// The stream; 0 is the connection.
    pub stream: u32,
}

impl Frame {
    /// Reads a head from the first bytes of a frame.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3, ..] = *bytes else {
            return None;
        };
        Some(Self {
            kind: Kind::of(kind),
            flags,
            length: u32::from_be_bytes([0, l0, l1, l2]),
            stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
        })
    }

    /// Whether it has this flag.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Appends the head of a frame.
pub(super) fn head(kind: Kind, flags: u8, stream: u32, length: usize, out: &mut Vec<u8>) {
    let [_, l0, l1, l2] = u32::try_from(length).unwrap_or(0).to_be_bytes();
    let [s0, s1, s2, s3] = stream.to_be_bytes();
    out.extend_from_slice(&[l0, l1, l2, kind.number(), flags, s0, s1, s2, s3]);
}

/// Appends a frame.
pub(super) fn write(kind: Kind, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    head(kind, flags, stream, payload.len(), out);
    out.extend_from_slice(payload);
}

/// Appends the fields of a stream: one frame, or as many as a block needs.
pub(super) fn write_block(block: &[u8], flags: u8, stream: u32, out: &mut Vec<u8>) {
    let (mut kind, mut flags, mut rest) = (Kind::Headers, flags, block);
    while rest.len() > PAYLOAD {
        let (piece, after) = rest.split_at(PAYLOAD);
        write(kind, flags, stream, piece, out);
        (kind, flags, rest) = (Kind::Continuation, 0, after);
    }
    write(kind, flags | END_HEADERS, stream, rest, out);
}

/// The number at the beginning of a payload.
pub(super) fn word(payload: &[u8]) -> Option<u32> {
    payload
        .first_chunk()
        .map(|bytes| u32::from_be_bytes(*bytes))
}
