//! The first packets of MQTT: CONNECT and CONNACK of 3.1, 3.1.1 and 5.0. Manual 7.3.1.

use super::Converter;
use crate::expr::{
    Type, Value,
    args::{ArgKind, need},
};

/// The entries.
pub(super) const TABLE: &[Converter] = &[
    Converter::row(
        "mqtt_is_valid",
        &[],
        Type::Binary,
        Type::Bool,
        "Whether the bytes begin with a whole and right CONNECT or CONNACK of MQTT.",
        |value, _, _| Some(Value::Bool(packet(value.bytes()?).is_some())),
    ),
    Converter::row(
        "mqtt_field_value",
        &[
            need("packet", ArgKind::OneOf(KINDS)),
            need("field", ArgKind::Text),
        ],
        Type::Binary,
        Type::String,
        "A field of a CONNECT or CONNACK of MQTT by its name, or a property of MQTT 5.0 by its number.",
        |value, args, _| {
            let connect = args.first()?.choice()? % 2 == 0;
            let wanted = std::str::from_utf8(args.get(1)?.text()?).ok()?;
            let packet = packet(value.bytes()?)?;
            if packet.connect != connect {
                return None;
            }
            let found = packet.fields.into_iter().find(|(name, _)| match name {
                Name::Field(name) => name.eq_ignore_ascii_case(wanted),
                Name::Property(number) => wanted.parse() == Ok(*number),
            });
            Some(Value::String(found?.1.into()))
        },
    ),
];

/// Names and numbers of packets in turn: first CONNECT, then CONNACK.
const KINDS: &[&str] = &["connect", "connack", "1", "2"];

#[derive(Debug, PartialEq, Eq)]
enum Name {
    Field(&'static str),
    Property(u8),
}

/// A packet's fields as text.
#[derive(Debug)]
struct Packet {
    connect: bool,
    fields: Vec<(Name, Vec<u8>)>,
}

impl Packet {
    fn number(&mut self, name: &'static str, number: impl Into<u32>) {
        let text = number.into().to_string().into_bytes();
        self.fields.push((Name::Field(name), text));
    }

    fn text(&mut self, name: &'static str, bytes: &[u8]) {
        self.fields.push((Name::Field(name), bytes.to_vec()));
    }
}

/// Bytes that are read from the front.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self, bytes: usize) -> Option<u32> {
        let taken = self.take(bytes)?.iter();
        Some(taken.fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// Text or bytes behind their length.
    fn block(&mut self) -> Option<&'b [u8]> {
        let length = self.number(2)?;
        self.take(usize::try_from(length).ok()?)
    }

    /// Seven bits a byte, at most four bytes.
    fn variable(&mut self) -> Option<u32> {
        let mut number = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            number |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

/// The packet at the beginning of `bytes`, if it is whole and right.
fn packet(bytes: &[u8]) -> Option<Packet> {
    let mut reader = Reader(bytes);
    let kind = reader.byte()?;
    let length = usize::try_from(reader.variable()?).ok()?;
    let mut body = Reader(reader.take(length)?);
    let packet = match kind {
        0x10 => connect(&mut body)?,
        0x20 => acknowledgement(&mut body)?,
        _ => return None,
    };
    body.0.is_empty().then_some(packet)
}

fn connect(body: &mut Reader<'_>) -> Option<Packet> {
    let mut packet = Packet {
        connect: true,
        fields: Vec::new(),
    };
    let name = body.block()?;
    let version = body.byte()?;
    if !matches!((name, version), (b"MQIsdp", 3) | (b"MQTT", 4 | 5)) {
        return None;
    }
    let flags = body.byte()?;
    let has = |bit: u8| flags & bit != 0;
    let (clean, will, password, user) = (has(0x02), has(0x04), has(0x40), has(0x80));
    let quality = flags >> 3 & 3;
    let wrong_will = if will {
        quality == 3
    } else {
        flags & 0x38 != 0
    };
    // Before 5.0 a password goes with a user.
    if has(0x01) || wrong_will || version < 5 && password && !user {
        return None;
    }
    packet.text("protocol_name", name);
    packet.number("protocol_version", version);
    packet.number("flags", flags);
    packet.number("keepalive", body.number(2)?);
    if version == 5 {
        properties(body, CONNECT, &mut packet)?;
    }
    let client = body.block()?;
    // A client without a name cannot have a session that lasts (MQTT-3.1.3-8).
    if client.is_empty() && (version == 3 || version == 4 && !clean) {
        return None;
    }
    packet.text("client_identifier", client);
    if will {
        if version == 5 {
            properties(body, WILL, &mut packet)?;
        }
        packet.text("will_topic", body.block()?);
        packet.text("will_payload", body.block()?);
    }
    if user {
        packet.text("username", body.block()?);
    }
    if password {
        packet.text("password", body.block()?);
    }
    Some(packet)
}

fn acknowledgement(body: &mut Reader<'_>) -> Option<Packet> {
    let mut packet = Packet {
        connect: false,
        fields: Vec::new(),
    };
    let flags = body.byte()?;
    let reason = body.byte()?;
    // Only 5.0 has anything behind the reason.
    let older = body.0.is_empty();
    if flags > 1 || older && reason > 5 || flags == 1 && reason != 0 {
        return None;
    }
    packet.number("flags", flags);
    packet.number("protocol_version", if older { 4_u8 } else { 5 });
    packet.number("reason_code", reason);
    if !older {
        properties(body, ACKNOWLEDGEMENT, &mut packet)?;
    }
    Some(packet)
}

/// How the value of a property is written.
#[derive(Debug, Clone, Copy)]
enum Form {
    Number(usize),
    Variable,
    Block,
    Pair,
}

const CONNECT: &[(u8, Form)] = &[
    (17, Form::Number(4)),
    (21, Form::Block),
    (22, Form::Block),
    (23, Form::Number(1)),
    (25, Form::Number(1)),
    (33, Form::Number(2)),
    (34, Form::Number(2)),
    (38, Form::Pair),
    (39, Form::Number(4)),
];
const WILL: &[(u8, Form)] = &[
    (1, Form::Number(1)),
    (2, Form::Number(4)),
    (3, Form::Block),
    (8, Form::Block),
    (9, Form::Block),
    (18, Form::Number(4)),
    (38, Form::Pair),
];
const ACKNOWLEDGEMENT: &[(u8, Form)] = &[
    (11, Form::Variable),
    (17, Form::Number(4)),
    (18, Form::Block),
    (19, Form::Number(2)),
    (21, Form::Block),
    (22, Form::Block),
    (26, Form::Block),
    (28, Form::Block),
    (31, Form::Block),
    (33, Form::Number(2)),
    (34, Form::Number(2)),
    (36, Form::Number(1)),
    (37, Form::Number(1)),
    (38, Form::Pair),
    (39, Form::Number(4)),
    (40, Form::Number(1)),
    (41, Form::Number(1)),
    (42, Form::Number(1)),
];

/// Properties behind their length. Only those of users may stand more than once.
fn properties(body: &mut Reader<'_>, known: &[(u8, Form)], packet: &mut Packet) -> Option<()> {
    let length = usize::try_from(body.variable()?).ok()?;
    let mut reader = Reader(body.take(length)?);
    while !reader.0.is_empty() {
        let number = reader.byte()?;
        let (_, form) = known.iter().find(|(known, _)| *known == number)?;
        let value = match form {
            Form::Number(bytes) => reader.number(*bytes)?.to_string().into_bytes(),
            Form::Variable => reader.variable()?.to_string().into_bytes(),
            Form::Block => reader.block()?.to_vec(),
            Form::Pair => {
                reader.block()?;
                reader.block()?;
                continue;
            }
        };
        let name = Name::Property(number);
        if packet.fields.iter().any(|(other, _)| *other == name) {
            return None;
        }
        packet.fields.push((name, value));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A CONNECT of 3.1.1 with a will, a user and a password.
    const OLDER: &[u8] = b"\x10\x29\x00\x04MQTT\x04\xc6\x00\x3c\x00\x03cli\x00\x05topic\x00\x04gone\x00\x03bob\x00\x06s3cret";
    /// A CONNECT of 5.0 with a session expiry interval and a user property.
    const NEWER: &[u8] =
        b"\x10\x1c\x00\x04MQTT\x05\x02\x00\x0a\x0c\x11\x00\x00\x00\x10\x26\x00\x01a\x00\x01b\x00\x03cli";

    fn value(packet: &Packet, wanted: &Name) -> Option<String> {
        let found = packet.fields.iter().find(|(name, _)| name == wanted)?;
        Some(String::from_utf8_lossy(&found.1).into_owned())
    }

    #[test]
    fn fields_of_both_packets() {
        let older = packet(OLDER).unwrap();
        for (name, expected) in [
            ("protocol_name", "MQTT"),
            ("protocol_version", "4"),
            ("flags", "198"),
            ("keepalive", "60"),
            ("client_identifier", "cli"),
            ("will_topic", "topic"),
            ("will_payload", "gone"),
            ("username", "bob"),
            ("password", "s3cret"),
        ] {
            assert_eq!(value(&older, &Name::Field(name)).as_deref(), Some(expected));
        }
        let newer = packet(NEWER).unwrap();
        assert_eq!(value(&newer, &Name::Property(17)).as_deref(), Some("16"));
        assert_eq!(value(&newer, &Name::Property(33)), None);
        let answer = packet(b"\x20\x06\x00\x00\x03\x21\x00\x14").unwrap();
        assert_eq!(value(&answer, &Name::Property(33)).as_deref(), Some("20"));
        assert_eq!(
            value(&answer, &Name::Field("protocol_version")).as_deref(),
            Some("5")
        );
    }

    #[test]
    fn what_is_cut_or_wrong_is_not_valid() {
        for whole in [OLDER, NEWER] {
            for cut in 0..whole.len() {
                assert!(packet(&whole[..cut]).is_none(), "{cut} bytes");
            }
        }
        let with = |at: usize, byte: u8| {
            let mut bytes = OLDER.to_vec();
            bytes[at] = byte;
            packet(&bytes)
        };
        assert!(with(0, 0x11).is_none(), "flags of the fixed header");
        assert!(with(1, 0x28).is_none(), "a byte too few is announced");
        assert!(with(8, 6).is_none(), "there is no version 6");
        assert!(with(9, 0xc7).is_none(), "the reserved flag");
        assert!(with(9, 0xde).is_none(), "quality 3 of the will");
        assert!(with(9, 0x46).is_none(), "a password without a user");
        assert!(packet(b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x0a\x00\x00").is_none());
        assert!(packet(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00").is_some());
        assert!(packet(b"\x20\x02\x00\x06").is_none(), "an unknown reason");
        assert!(
            packet(b"\x20\x02\x01\x05").is_none(),
            "a session of a refused client"
        );
        assert!(
            packet(b"\x20\xff\xff\xff\xff\x01").is_none(),
            "an endless length"
        );
    }
}
