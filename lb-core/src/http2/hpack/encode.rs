//! Fields to blocks.

/// Appends a field. Its name goes in lower case, as HTTP/2 has them.
pub fn encode(name: &[u8], value: &[u8], block: &mut Vec<u8>) {
    match number(name) {
        Some(number) => integer(0, 4, number, block),
        None => {
            block.push(0);
            integer(0, 7, name.len(), block);
            block.extend(name.iter().map(u8::to_ascii_lowercase));
        }
    }
    integer(0, 7, value.len(), block);
    block.extend_from_slice(value);
}

/// Appends that the blocks from now on need no table (RFC 7541 §6.3). It comes before any field.
pub fn encode_no_table(block: &mut Vec<u8>) {
    block.push(0x20);
}

/// Appends `:status`.
pub fn encode_status(status: u16, block: &mut Vec<u8>) {
    let number = match status {
        200 => 8,
        204 => 9,
        206 => 10,
        304 => 11,
        400 => 12,
        404 => 13,
        500 => 14,
        _ => {
            let digit = |of: u16| b'0' + u8::try_from(of % 10).unwrap_or(0);
            let digits = [digit(status / 100), digit(status / 10), digit(status)];
            block.extend_from_slice(&[8, 3]);
            block.extend_from_slice(&digits);
            return;
        }
    };
    block.push(0x80 | number);
}

/// The number of a name in the fixed table.
fn number(name: &[u8]) -> Option<usize> {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    let candidates: &[(&[u8], usize)] = match name.len() {
        3 => &[(b"age", 21), (b"via", 60)],
        4 => &[(b"date", 33), (b"etag", 34), (b"vary", 59), (b"link", 45)],
        5 => &[(b"allow", 22)],
        6 => &[(b"server", 54)],
        7 => &[(b"expires", 36), (b"refresh", 52)],
        8 => &[(b"location", 46)],
        10 => &[(b"set-cookie", 55)],
        11 => &[(b"retry-after", 53)],
        12 => &[(b"content-type", 31)],
        13 => &[
            (b"content-range", 30),
            (b"cache-control", 24),
            (b"last-modified", 44),
            (b"accept-ranges", 18),
        ],
        14 => &[(b"content-length", 28)],
        16 => &[
            (b"content-encoding", 26),
            (b"content-language", 27),
            (b"content-location", 29),
            (b"www-authenticate", 61),
        ],
        19 => &[(b"content-disposition", 25)],
        25 => &[(b"strict-transport-security", 56)],
        27 => &[(b"access-control-allow-origin", 20)],
        _ => return None,
    };
    candidates
        .iter()
        .find(|(known, _)| is(known))
        .map(|(_, number)| *number)
}

/// An integer in the lowest `prefix` bits of a byte, whose other bits are `first`, and those behind it.
fn integer(first: u8, prefix: u32, number: usize, block: &mut Vec<u8>) {
    let mask = (1usize << prefix) - 1;
    let low = |number: usize| u8::try_from(number & 0x7f).unwrap_or(0);
    if number < mask {
        block.push(first | low(number));
        return;
    }
    block.push(first | low(mask));
    let mut rest = number - mask;
    while rest >= 0x80 {
        block.push(0x80 | low(rest));
        rest >>= 7;
    }
    block.push(low(rest));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{Decoder, Fields, table::FIXED},
        *,
    };

    #[test]
    fn numbers_are_those_of_the_fixed_table() {
        for (at, (name, _)) in (1..).zip(FIXED) {
            if let Some(number) = number(name) {
                assert_eq!(number, at, "{}", String::from_utf8_lossy(name));
            }
        }
        assert!(
            FIXED
                .iter()
                .filter(|(name, _)| number(name).is_some())
                .count()
                > 25
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            status in 100u16..1000,
            list in prop::collection::vec(("[a-z-]{1,40}|content-type|x{200}", prop::collection::vec(any::<u8>(), 0..300)), 0..20),
        ) {
            let mut block = Vec::new();
            encode_status(status, &mut block);
            for (name, value) in &list {
                encode(name.as_bytes(), value, &mut block);
            }
            let mut fields = Fields::default();
            fields.clear(1 << 20);
            Decoder::new(4096).decode(&block, &mut fields).unwrap();
            let mut read = fields.iter();
            let digits = status.to_string();
            prop_assert_eq!(read.next(), Some((&b":status"[..], digits.as_bytes())));
            let written = list.iter().map(|(name, value)| (name.as_bytes(), value.as_slice()));
            prop_assert!(read.eq(written));
        }
    }
}
