//! A list of fields in one piece of memory that is reused.

/// What a field costs beside its text (RFC 9113 §6.5.2).
const OVERHEAD: usize = 32;

/// How many times more than is allowed nobody has by mistake.
const ABSURD: usize = 16;

/// The fields of a head in order; those beyond a size are counted and not kept.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    size: usize,
    limit: usize,
}

/// A field: its name, and behind it its value.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    value: usize,
    end: usize,
}

impl Fields {
    /// Forgets all fields; keeps what comes up to `limit` (text, and 32 bytes for each field).
    pub fn clear(&mut self, limit: usize) {
        self.bytes.clear();
        self.spans.clear();
        self.size = 0;
        self.limit = limit;
    }

    /// Appends a field.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let cost = name.len() + value.len() + OVERHEAD;
        self.size = self.size.saturating_add(cost);
        if self.size > self.limit {
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.spans.push(Span {
            start,
            value: start + name.len(),
            end: self.bytes.len(),
        });
    }

    /// Whether there were more than are kept.
    pub fn is_too_large(&self) -> bool {
        self.size > self.limit
    }

    /// Whether there were so many more that they must have been made to cost whoever reads them.
    pub fn is_absurd(&self) -> bool {
        self.size / ABSURD > self.limit
    }

    /// Name and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.spans.iter().map(|span| {
            let name = self.bytes.get(span.start..span.value);
            let value = self.bytes.get(span.value..span.end);
            (name.unwrap_or_default(), value.unwrap_or_default())
        })
    }
}
