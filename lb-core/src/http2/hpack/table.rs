//! Fields that have a number: those of the fixed table (RFC 7541 Appendix A), and behind them those that the peer let
//! us remember, the newest first.

use std::collections::VecDeque;

/// What an entry costs beside its text (RFC 7541 §4.1).
const OVERHEAD: usize = 32;

/// The fixed table, from number 1 on.
#[rustfmt::skip]
pub(super) static FIXED: [(&[u8], &[u8]); 61] = [
    (b":authority", b""), (b":method", b"GET"), (b":method", b"POST"), (b":path", b"/"), (b":path", b"/index.html"),
    (b":scheme", b"http"), (b":scheme", b"https"), (b":status", b"200"), (b":status", b"204"), (b":status", b"206"),
    (b":status", b"304"), (b":status", b"400"), (b":status", b"404"), (b":status", b"500"), (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"), (b"accept-language", b""), (b"accept-ranges", b""), (b"accept", b""),
    (b"access-control-allow-origin", b""), (b"age", b""), (b"allow", b""), (b"authorization", b""),
    (b"cache-control", b""), (b"content-disposition", b""), (b"content-encoding", b""), (b"content-language", b""),
    (b"content-length", b""), (b"content-location", b""), (b"content-range", b""), (b"content-type", b""),
    (b"cookie", b""), (b"date", b""), (b"etag", b""), (b"expect", b""), (b"expires", b""), (b"from", b""),
    (b"host", b""), (b"if-match", b""), (b"if-modified-since", b""), (b"if-none-match", b""), (b"if-range", b""),
    (b"if-unmodified-since", b""), (b"last-modified", b""), (b"link", b""), (b"location", b""),
    (b"max-forwards", b""), (b"proxy-authenticate", b""), (b"proxy-authorization", b""), (b"range", b""),
    (b"referer", b""), (b"refresh", b""), (b"retry-after", b""), (b"server", b""), (b"set-cookie", b""),
    (b"strict-transport-security", b""), (b"transfer-encoding", b""), (b"user-agent", b""), (b"vary", b""),
    (b"via", b""), (b"www-authenticate", b""),
];

#[derive(Debug, Clone)]
struct Entry {
    text: Box<[u8]>,
    name: usize,
}

impl Entry {
    fn cost(&self) -> usize {
        self.text.len() + OVERHEAD
    }
}

/// Both tables.
#[derive(Debug, Clone)]
pub(super) struct Table {
    entries: VecDeque<Entry>,
    size: usize,
    limit: usize,
}

impl Table {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            limit,
        }
    }

    /// Name and value of a number.
    pub(super) fn get(&self, number: usize) -> Option<(&[u8], &[u8])> {
        let index = number.checked_sub(1)?;
        if let Some(&field) = FIXED.get(index) {
            return Some(field);
        }
        let entry = self.entries.get(index - FIXED.len())?;
        entry.text.split_at_checked(entry.name)
    }

    /// Remembers a field; the oldest ones make room for it. One that is larger than the table empties it.
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let cost = name.len() + value.len() + OVERHEAD;
        self.evict(self.limit.saturating_sub(cost));
        if cost > self.limit {
            return;
        }
        self.entries.push_front(Entry {
            text: [name, value].concat().into_boxed_slice(),
            name: name.len(),
        });
        self.size += cost;
    }

    /// Changes the size.
    pub(super) fn resize(&mut self, limit: usize) {
        self.limit = limit;
        self.evict(limit);
    }

    fn evict(&mut self, room: usize) {
        while self.size > room {
            match self.entries.pop_back() {
                Some(entry) => self.size -= entry.cost(),
                None => return,
            }
        }
    }
}
