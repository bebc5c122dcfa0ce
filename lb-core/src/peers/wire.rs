//! Messages of the peers protocol, and the numbers in them (HAProxy's `peers.txt`).
//!
//! ```text
//! class (1) | type (1) | length (varint, types from 128 on) | that many bytes
//! ```

/// A number: 240 and more go into further bytes of seven bits, after four bits of the first.
pub(crate) fn put_number(mut value: u64, out: &mut Vec<u8>) {
    let low = |value: u64| value.to_le_bytes()[0];
    if value < 0xf0 {
        out.push(low(value));
        return;
    }
    out.push(low(value) | 0xf0);
    value = (value - 0xf0) >> 4;
    while value >= 0x80 {
        out.push(low(value) | 0x80);
        value = (value - 0x80) >> 7;
    }
    out.push(low(value));
}

/// Takes values from the front of a message; what is not there is `None`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn word(&mut self) -> Option<u32> {
        let bytes = self.take(4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut value = u64::from(self.byte()?);
        if value < 0xf0 {
            return Some(value);
        }
        let mut shift = 4;
        loop {
            let byte = u64::from(self.byte()?);
            if shift > 60 {
                return None;
            }
            value = value.wrapping_add(byte << shift);
            if byte < 0x80 {
                return Some(value);
            }
            shift += 7;
        }
    }

    /// Bytes whose number stands before them.
    pub(super) fn counted(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }
}

/// Messages without content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    /// Everything is to be told.
    Request,
    /// Everything was told, by one that knows everything.
    Finished,
    /// Everything was told, by one that may not know everything.
    Partial,
    /// The end of everything was heard.
    Confirm,
    Heartbeat,
}

impl Control {
    pub(super) fn put(self, out: &mut Vec<u8>) {
        let kind = match self {
            Self::Request => 0,
            Self::Finished => 1,
            Self::Partial => 2,
            Self::Confirm => 3,
            Self::Heartbeat => 4,
        };
        out.extend([0, kind]);
    }
}

/// Types of messages about tables.
pub(super) const UPDATE: u8 = 0x80;
pub(super) const NEXT_UPDATE: u8 = 0x81;
pub(super) const DEFINITION: u8 = 0x82;
pub(super) const SWITCH: u8 = 0x83;
pub(super) const ACKNOWLEDGEMENT: u8 = 0x84;
pub(super) const TIMED_UPDATE: u8 = 0x85;
pub(super) const NEXT_TIMED_UPDATE: u8 = 0x86;

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message<'a> {
    Control(Control),
    /// The other side breaks off because of what it was sent.
    Error,
    /// About a table: its type and content.
    Table(u8, &'a [u8]),
    /// Nothing that is known here.
    Unknown,
}

/// A message about a table, around its content.
pub(super) fn put_table_message(kind: u8, content: &[u8], out: &mut Vec<u8>) {
    out.extend([10, kind]);
    put_number(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// Longest content of a message.
pub(super) const LONGEST: usize = 64 * 1024;

/// What is at the front of received bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoded<'a> {
    /// A message and its length.
    Message(Message<'a>, usize),
    /// The beginning of one.
    Partial,
    /// It is longer than [`LONGEST`].
    TooLong,
}

/// Reads one message.
pub(super) fn decode(bytes: &[u8]) -> Decoded<'_> {
    let &[class, kind, ref rest @ ..] = bytes else {
        return Decoded::Partial;
    };
    let mut reader = Reader(rest);
    let content = if kind >= 0x80 {
        let Some(length) = reader.number() else {
            return match rest.len() {
                // No number is longer than that.
                10.. => Decoded::TooLong,
                _ => Decoded::Partial,
            };
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Decoded::TooLong;
        }
        let Some(content) = reader.take(length) else {
            return Decoded::Partial;
        };
        content
    } else {
        &[]
    };
    let message = match (class, kind) {
        (0, 0) => Message::Control(Control::Request),
        (0, 1) => Message::Control(Control::Finished),
        (0, 2) => Message::Control(Control::Partial),
        (0, 3) => Message::Control(Control::Confirm),
        (0, 4) => Message::Control(Control::Heartbeat),
        (1, _) => Message::Error,
        (10, kind) => Message::Table(kind, content),
        _ => Message::Unknown,
    };
    Decoded::Message(message, bytes.len() - reader.0.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_those_of_the_protocols_description() {
        let mut out = Vec::new();
        put_number(0x1234, &mut out);
        assert_eq!(out, [0xf4, 0x94, 0x01]);
        for (value, length) in [
            (239, 1),
            (240, 2),
            (2287, 2),
            (2288, 3),
            (264_431, 3),
            (264_432, 4),
        ] {
            let mut out = Vec::new();
            put_number(value, &mut out);
            assert_eq!(out.len(), length, "{value}");
        }
        assert_eq!(Reader(&[0xff; 12]).number(), None);
    }

    proptest! {
        #[test]
        fn numbers_come_back(value: u64) {
            let mut out = Vec::new();
            put_number(value, &mut out);
            let mut reader = Reader(&out);
            prop_assert_eq!(reader.number(), Some(value));
            prop_assert!(reader.0.is_empty());
        }
    }
}
