//! The head of an HTTP message as every other module sees it: start line and fields as pieces of text that
//! lie either in the received bytes or in an arena of rewritten text.
//!
//! One [`Head`] is kept per connection direction and cleared between messages, so that neither parsing nor
//! rewriting allocates once it has grown. Whatever fills it (HTTP/1 text, HTTP/2 fields copied into a buffer)
//! the rules read it through [`HeadRef`] and change it through [`HeadMut`].

mod view;

pub use view::{HeadMut, HeadRef};

/// A piece of text: an offset and a length in the received bytes, or in the arena when the top bit is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Text {
    start: u32,
    len: u32,
}

const ARENA: u32 = 1 << 31;

impl Text {
    /// Text at `start..start + len` of the received bytes. Offsets of 2 GiB and more do not occur: heads are
    /// limited to a buffer.
    pub fn received(start: usize, len: usize) -> Self {
        Self {
            start: u32::try_from(start).unwrap_or(0) & !ARENA,
            len: u32::try_from(len).unwrap_or(0),
        }
    }

    /// Length in bytes.
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there is no text.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// One field line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Name as received (its case is kept).
    pub name: Text,
    /// Value without surrounding white space.
    pub value: Text,
}

/// HTTP version of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
    /// HTTP/2.
    Http2,
}

/// Start line and fields of one message; reused.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// Method of a request, empty in a response.
    pub(crate) method: Text,
    /// Target of a request; reason phrase of a response.
    pub(crate) target: Text,
    /// Version.
    pub(crate) version: Version,
    /// Status of a response, 0 in a request.
    pub(crate) status: u16,
    /// Field lines in order.
    pub(crate) fields: Vec<Field>,
    /// Text written by rules.
    pub(crate) arena: Vec<u8>,
}

impl Head {
    /// Forgets the message and keeps the memory.
    pub fn clear(&mut self) {
        self.method = Text::default();
        self.target = Text::default();
        self.version = Version::default();
        self.status = 0;
        self.fields.clear();
        self.arena.clear();
    }

    /// Becomes the same as one whose text is all its own.
    pub fn copy_from(&mut self, other: &Self) {
        self.clear();
        let (method, target) = (other.method, other.target);
        (self.method, self.target) = (method, target);
        (self.version, self.status) = (other.version, other.status);
        self.fields.extend_from_slice(&other.fields);
        self.arena.extend_from_slice(&other.arena);
    }

    /// Stores `bytes` in the arena.
    pub fn store(&mut self, bytes: &[u8]) -> Text {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        let text = Text::received(start, bytes.len());
        Text {
            start: text.start | ARENA,
            len: text.len,
        }
    }

    /// Starts filling in a request.
    pub fn set_request(&mut self, method: Text, target: Text, version: Version) {
        self.method = method;
        self.target = target;
        self.version = version;
        self.status = 0;
    }

    /// Starts filling in a response.
    pub fn set_response(&mut self, status: u16, reason: Text, version: Version) {
        self.method = Text::default();
        self.target = reason;
        self.version = version;
        self.status = status;
    }

    /// Appends a field line.
    pub fn push(&mut self, field: Field) {
        self.fields.push(field);
    }
}
