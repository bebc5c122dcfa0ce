//! Blocks to fields.

use super::{Fields, Malformed, huffman, table::Table};

/// Memory for a field that is kept for the next one.
const KEPT: usize = 4096;

/// The reader of one direction of a connection.
#[derive(Debug, Clone)]
pub struct Decoder {
    table: Table,
    /// The largest table that the peer may choose.
    allowed: usize,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    /// One that remembers `table` bytes of fields.
    pub fn new(table: usize) -> Self {
        Self {
            table: Table::new(table),
            allowed: table,
            name: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Appends the fields of a whole block. One that stands for an absurd size is not read to its end.
    pub fn decode(&mut self, block: &[u8], fields: &mut Fields) -> Result<(), Malformed> {
        let decoded = self.decode_all(block, fields);
        if self.name.capacity().max(self.value.capacity()) > KEPT {
            self.shrink();
        }
        decoded
    }

    /// Gives memory back that is not needed between blocks.
    pub fn shrink(&mut self) {
        self.name = Vec::new();
        self.value = Vec::new();
    }

    fn decode_all(&mut self, block: &[u8], fields: &mut Fields) -> Result<(), Malformed> {
        let mut reader = Reader(block);
        let mut begun = false;
        while let Some(&first) = reader.0.first() {
            match first {
                0x80.. => {
                    let number = reader.integer(7)?;
                    let (name, value) = self.table.get(number).ok_or(Malformed)?;
                    fields.push(name, value);
                }
                0x40.. => {
                    self.literal(&mut reader, 6)?;
                    fields.push(&self.name, &self.value);
                    self.table.insert(&self.name, &self.value);
                }
                // RFC 7541 §4.2: at the beginning, and not beyond what we said.
                0x20.. => {
                    let limit = reader.integer(5)?;
                    if begun || limit > self.allowed {
                        return Err(Malformed);
                    }
                    self.table.resize(limit);
                    continue;
                }
                _ => {
                    self.literal(&mut reader, 4)?;
                    fields.push(&self.name, &self.value);
                }
            }
            begun = true;
            if fields.is_absurd() {
                return Err(Malformed);
            }
        }
        Ok(())
    }

    /// Reads a field whose value is written out, and maybe its name.
    fn literal(&mut self, reader: &mut Reader<'_>, prefix: u32) -> Result<(), Malformed> {
        self.name.clear();
        self.value.clear();
        match reader.integer(prefix)? {
            0 => reader.string(&mut self.name)?,
            number => {
                let (name, _) = self.table.get(number).ok_or(Malformed)?;
                self.name.extend_from_slice(name);
            }
        }
        reader.string(&mut self.value)
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    /// An integer in the lowest `prefix` bits of a byte and those behind it (RFC 7541 §5.1).
    fn integer(&mut self, prefix: u32) -> Result<usize, Malformed> {
        let [first, rest @ ..] = self.0 else {
            return Err(Malformed);
        };
        let mask = (1u8 << prefix) - 1;
        let mut number = usize::from(first & mask);
        self.0 = rest;
        if first & mask != mask {
            return Ok(number);
        }
        // More than 28 bits are nothing that fits a block.
        for shift in [0, 7, 14, 21] {
            let [next, rest @ ..] = self.0 else {
                return Err(Malformed);
            };
            self.0 = rest;
            number += usize::from(next & 0x7f) << shift;
            if next & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    fn string(&mut self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let coded = self.0.first().is_some_and(|first| first & 0x80 != 0);
        let length = self.integer(7)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        if coded {
            return huffman::decode(text, out);
        }
        out.extend_from_slice(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, Malformed> {
        let mut fields = Fields::default();
        fields.clear(100_000);
        decoder.decode(block, &mut fields)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(fields.iter().map(|(n, v)| (text(n), text(v))).collect())
    }

    fn names(list: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        list.iter().map(own).collect()
    }

    /// RFC 7541 Appendix C.4: three requests of a connection.
    #[test]
    fn what_was_said_before_is_remembered() {
        let mut decoder = Decoder::new(4096);
        let common = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "www.example.com"),
        ];
        let first = b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        assert_eq!(decoded(&mut decoder, first).unwrap(), names(&common));
        let second = b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf";
        let cached = [&common[..], &[("cache-control", "no-cache")]].concat();
        assert_eq!(decoded(&mut decoder, second).unwrap(), names(&cached));
        let third = b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf";
        let custom = [
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/index.html"),
            (":authority", "www.example.com"),
            ("custom-key", "custom-value"),
        ];
        assert_eq!(decoded(&mut decoder, third).unwrap(), names(&custom));
    }

    #[test]
    fn the_table_forgets_the_oldest_and_may_be_resized_only_at_the_beginning_and_within_limits() {
        let mut decoder = Decoder::new(100);
        for name in ["a", "b"] {
            let block = [b"\x40\x01", name.as_bytes(), b"\x0f012345678901234"].concat();
            decoded(&mut decoder, &block).unwrap();
        }
        // 48 bytes each: both have room.
        assert_eq!(decoded(&mut decoder, b"\xbf").unwrap()[0].0, "a");
        decoded(&mut decoder, b"\x40\x01c\x00").unwrap();
        assert_eq!(decoded(&mut decoder, b"\xbe\xbf").unwrap()[1].0, "b");
        assert!(decoded(&mut decoder, b"\xc0").is_err());
        assert_eq!(decoded(&mut decoder, b"\x20").unwrap(), []);
        assert!(decoded(&mut decoder, b"\xbe").is_err());
        assert!(decoded(&mut decoder, b"\x82\x20").is_err());
        assert!(decoded(&mut decoder, b"\x3f\x46").is_err());
        assert!(decoded(&mut decoder, b"\x3f\x45").is_ok());
    }

    #[test]
    fn blocks_that_break_off_or_count_beyond_reason_are_refused() {
        for block in [
            &b"\x80"[..],
            b"\xff",
            b"\xff\xff\xff\xff\xff\x01",
            b"\x40",
            b"\x40\x05ab",
            b"\x00\x01a\x7f\xff\xff\xff\x7f",
            b"\x7e\x00",
        ] {
            assert_eq!(
                decoded(&mut Decoder::new(4096), block),
                Err(Malformed),
                "{block:x?}"
            );
        }
    }

    #[test]
    fn a_long_field_leaves_no_memory_behind() {
        let mut decoder = Decoder::new(4096);
        let block = [&b"\x00\x01x\x7f\xe1\xd3\x03"[..], &[b'y'; 60_000]].concat();
        let fields = decoded(&mut decoder, &block).unwrap();
        assert_eq!(fields[0].1.len(), 60_000);
        assert!(decoder.name.capacity() + decoder.value.capacity() <= 2 * KEPT);
    }

    #[test]
    fn a_small_block_that_stands_for_much_costs_no_memory() {
        let mut decoder = Decoder::new(4096);
        let mut fields = Fields::default();
        fields.clear(15_000);
        let entry = [b"\x40\x01x\x7f\x81\x1e", &[b'y'; 3968][..]].concat();
        let bomb = [entry, vec![0xbe; 16_000]].concat();
        assert_eq!(decoder.decode(&bomb, &mut fields), Err(Malformed));
        assert!(fields.is_too_large() && fields.is_absurd());
        assert!(fields.iter().count() <= 4);
    }
}
