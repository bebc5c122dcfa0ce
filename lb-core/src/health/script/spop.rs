//! `option spop-check`: the hello of the Stream Processing Offload Protocol (SPOE.txt §3.2).

use super::{Act, Expect, Pattern, Report, Script, protocols::Judged};

const VERSION: &[u8] = b"2.0";
/// The greatest frame that is understood; an agent may not want larger ones.
const LARGEST: u64 = 16_380;

/// Types of frames.
const HAPROXY_HELLO: u8 = 1;
const AGENT_HELLO: u8 = 101;
const AGENT_DISCONNECT: u8 = 102;
/// Types of values; the upper half of a type is flags.
const TRUE: u8 = 0x11;
const UINT32: u8 = 3;
const STRING: u8 = 8;

impl Script {
    /// `option spop-check`.
    pub fn spop() -> Self {
        // FIN; no stream, no frame number.
        let mut frame = vec![HAPROXY_HELLO, 0, 0, 0, 1, 0, 0];
        string(&mut frame, b"supported-versions");
        frame.push(STRING);
        string(&mut frame, VERSION);
        string(&mut frame, b"max-frame-size");
        frame.push(UINT32);
        write_number(&mut frame, LARGEST);
        string(&mut frame, b"capabilities");
        frame.push(STRING);
        string(&mut frame, b"");
        string(&mut frame, b"healthcheck");
        frame.push(TRUE);
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let hello = [&length.to_be_bytes(), frame.as_slice()].concat();
        Self::of([
            Act::Send(hello),
            Act::Expect(Expect {
                on_success: Report::Text("SPOA server is ok".to_owned()),
                ..Expect::new(Pattern::SpopHello)
            }),
        ])
    }
}

fn string(out: &mut Vec<u8>, text: &[u8]) {
    write_number(out, u64::try_from(text.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(text);
}

/// Below 240 one byte; then the low four bits of the first and seven of each following one.
fn write_number(out: &mut Vec<u8>, number: u64) {
    let low = |number: u64, mask: u64| u8::try_from(number & mask).unwrap_or(u8::MAX);
    if number < 240 {
        out.push(low(number, 0xff));
        return;
    }
    out.push(low(number, 0x0f) | 0xf0);
    let mut rest = (number - 240) >> 4;
    while rest >= 128 {
        out.push(low(rest, 0x7f) | 0x80);
        rest = (rest - 128) >> 7;
    }
    out.push(low(rest, 0x7f));
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = u64::from(*bytes.split_off_first()?);
    let mut shift = 4;
    if number >= 240 {
        loop {
            let next = u64::from(*bytes.split_off_first()?);
            number = number.checked_add(next.checked_shl(shift)?)?;
            shift += 7;
            if next < 128 {
                break;
            }
        }
    }
    Some(number)
}

fn read_string<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = usize::try_from(read_number(bytes)?).ok()?;
    bytes.split_off(..length)
}

/// A value of a list.
enum Value<'b> {
    Number(u64),
    Text(&'b [u8]),
    Other,
}

fn read_value<'b>(bytes: &mut &'b [u8]) -> Option<Value<'b>> {
    Some(match bytes.split_off_first()? & 0x0f {
        0 | 1 => Value::Other,
        2..=5 => Value::Number(read_number(bytes)?),
        6 => bytes.split_off(..4).map(|_| Value::Other)?,
        7 => bytes.split_off(..16).map(|_| Value::Other)?,
        8 | 9 => Value::Text(read_string(bytes)?),
        _ => return None,
    })
}

/// The agent's answer: good if it is a hello with what a hello must have.
pub(super) fn hello(answer: &[u8]) -> Judged {
    let bad = |text: &str| Judged::Bad {
        code: None,
        text: text.to_owned(),
    };
    let Some((length, rest)) = answer.split_first_chunk() else {
        return Judged::Partial;
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length < 7 {
        return bad("invalid frame received");
    }
    if u64::try_from(length).is_ok_and(|length| length > LARGEST) {
        return bad("frame is too big");
    }
    match rest.get(..length) {
        None => Judged::Partial,
        Some(frame) => judge(frame).unwrap_or_else(|| bad("invalid frame received")),
    }
}

fn judge(frame: &[u8]) -> Option<Judged> {
    let bad = |text: &str| {
        Some(Judged::Bad {
            code: None,
            text: text.to_owned(),
        })
    };
    let (head, mut rest) = frame.split_first_chunk::<5>()?;
    let [kind, .., flags] = *head;
    if ![AGENT_HELLO, AGENT_DISCONNECT].contains(&kind) {
        return bad("invalid frame received");
    }
    if flags & 1 == 0 {
        return bad("fragmentation not supported");
    }
    if (read_number(&mut rest)?, read_number(&mut rest)?) != (0, 0) {
        return bad("invalid frame received");
    }
    let (mut version, mut largest, mut capabilities) = (None, None, false);
    let (mut message, mut status) = (None, None);
    while !rest.is_empty() {
        let name = read_string(&mut rest)?;
        match (name, read_value(&mut rest)?) {
            (b"version", Value::Text(text)) => version = Some(text),
            (b"max-frame-size", Value::Number(number)) => largest = Some(number),
            (b"capabilities", Value::Text(_)) => capabilities = true,
            (b"status-code", Value::Number(number)) => status = Some(number),
            (b"message", Value::Text(text)) => message = Some(text),
            _ => {}
        }
    }
    if kind == AGENT_DISCONNECT {
        let said = String::from_utf8_lossy(message.unwrap_or_default());
        return bad(reason(status.unwrap_or(0)).unwrap_or(&said));
    }
    let Some(version) = version else {
        return bad("version value not found");
    };
    let is_known = version.trim_ascii().strip_prefix(b"2.");
    if is_known.is_none_or(|minor| minor.is_empty() || !minor.iter().all(u8::is_ascii_digit)) {
        return bad("unsupported version");
    }
    match largest {
        None => bad("max-frame-size value not found"),
        Some(size) if size > LARGEST => bad("max-frame-size too big or too small"),
        Some(_) if !capabilities => bad("capabilities value not found"),
        Some(_) => Some(Judged::Good),
    }
}

/// What a status that ends a conversation means, in HAProxy's words.
fn reason(status: u64) -> Option<&'static str> {
    Some(match status {
        0 => "normal",
        1 => "I/O error",
        2 => "a timeout occurred",
        3 => "frame is too big",
        4 => "invalid frame received",
        5 => "version value not found",
        6 => "max-frame-size value not found",
        7 => "capabilities value not found",
        8 => "unsupported version",
        9 => "max-frame-size too big or too small",
        10 => "fragmentation not supported",
        11 => "invalid interlaced frames",
        12 => "frame-id not found",
        13 => "resource allocation error",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_come_back() {
        for number in [0, 239, 240, 2287, 2288, LARGEST, u64::from(u32::MAX)] {
            let mut bytes = Vec::new();
            write_number(&mut bytes, number);
            assert_eq!(read_number(&mut bytes.as_slice()), Some(number));
        }
    }

    #[test]
    fn an_agent_is_judged_by_its_hello_whatever_pieces_it_comes_in() {
        let mut frame = vec![AGENT_HELLO, 0, 0, 0, 1, 0, 0];
        string(&mut frame, b"version");
        frame.push(STRING);
        string(&mut frame, b"2.0");
        string(&mut frame, b"max-frame-size");
        frame.push(UINT32);
        write_number(&mut frame, 1000);
        string(&mut frame, b"capabilities");
        frame.push(STRING);
        string(&mut frame, b"pipelining");
        let told = |frame: &[u8]| {
            let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
            let bytes = [&length, frame].concat();
            for cut in 0..bytes.len() {
                assert!(matches!(hello(&bytes[..cut]), Judged::Partial) || cut >= 4);
            }
            match hello(&bytes) {
                Judged::Good => "good".to_owned(),
                Judged::Bad { text, .. } => text,
                Judged::Partial => "partial".to_owned(),
            }
        };
        assert_eq!(told(&frame), "good");
        let mut fragment = frame.clone();
        fragment[4] = 0;
        assert_eq!(told(&fragment), "fragmentation not supported");
        let mut old = frame.clone();
        old[17] = b'1';
        assert_eq!(told(&old), "unsupported version");
        assert_eq!(told(&frame[..20]), "max-frame-size value not found");
        assert_eq!(told(&frame[..12]), "invalid frame received");
        assert_eq!(told(b"HTTP/1.1 400"), "invalid frame received");
    }
}
