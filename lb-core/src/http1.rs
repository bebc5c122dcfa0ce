//! HTTP/1 as decoders without I/O: heads, framing, chunked bodies, and heads written for the other side.
//!
//! One [`RequestDecoder`] or [`ResponseDecoder`] per direction of a connection. Each is fed the bytes from the
//! first one of a message on, again and again as more arrive, fills a [`Head`](crate::head::Head) and says how
//! the body is delimited. Bodies are never stored here: [`Framing::Length`] is counted down by the caller,
//! [`ChunkedDecoder`] says which bytes belong to a chunked body.
//!
//! Never here: sockets, clocks, routing. Nothing from the network can panic or make the answer depend on how
//! the bytes were cut (RFC 9112; strictness as in the tables of `tests.rs`).

mod authority;
mod body;
mod case;
mod chunked;
mod connection;
mod error;
mod fields;
mod framing;
#[doc(hidden)]
pub mod fuzzing;
mod pages;
mod request;
mod response;
mod text;
mod write;

#[cfg(test)]
mod tests;

pub use body::{Body, BodyProgress};
pub use case::{CaseError, HeaderCase};
pub use chunked::{ChunkedDecoder, Piece};
pub use connection::{
    ConnectionOption, client_framing, client_stays, framing_of_status, says_close, server_stays,
    take_close_out,
};
pub use error::Error;
pub(crate) use framing::content_length;
pub use pages::{page, reason_phrase, write_error_page, write_raw_error_page, write_redirect};
pub(crate) use request::is_authority;
pub use request::{RequestDecoder, RequestSummary};
pub use response::{ResponseDecoder, ResponseSummary};
pub(crate) use text::{is_field_value, is_target, is_token};
pub use write::{Names, write_field, write_request_head, write_response_head};

/// Result of feeding a decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<T> {
    /// The head is not complete: feed the same bytes and more.
    Partial,
    /// The head is complete.
    Complete(T),
}

/// How the end of a body is found (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// There is no body, and no length was stated.
    #[default]
    None,
    /// Exactly this many bytes.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
    /// A response that ends with the connection.
    UntilClose,
    /// After `101` or a successful CONNECT: bytes both ways until either side closes.
    Tunnel,
}

impl Framing {
    /// Whether no byte follows the head.
    pub fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }

    /// Looks at the bytes of a body that came together with its head: what is malformed from the start is
    /// refused before anything is passed on.
    pub fn check_start(self, bytes: &[u8], leniency: Leniency) -> Result<(), Error> {
        match self {
            Self::Chunked => ChunkedDecoder::new(leniency).pass(bytes).map(drop),
            _ => Ok(()),
        }
    }
}

/// How much a head may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest head in bytes, its empty line included.
    pub head_bytes: usize,
    /// Most field lines.
    pub fields: usize,
}

impl Limits {
    /// For heads that have been read before: what rules added to them counts for nothing.
    pub const NONE: Self = Self {
        head_bytes: usize::MAX,
        fields: usize::MAX,
    };
}

impl Default for Limits {
    /// HAProxy's: 101 lines, the first among them, in a buffer of 16384 bytes of which 1024 are kept free for rewriting.
    fn default() -> Self {
        Self {
            head_bytes: 15360,
            fields: 100,
        }
    }
}

/// What is accepted beyond the strict reading. The default accepts nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leniency {
    /// `Content-Length` beside `Transfer-Encoding`, and `Transfer-Encoding` in HTTP/1.0, are read as chunked
    /// and the connection is closed after the message, as HAProxy does; else they are refused.
    pub conflicting_framing: bool,
    /// Bare LF as line end, folded lines, control characters in values, white space around chunk sizes, a
    /// missing `Host`.
    pub loose_syntax: bool,
    /// Any character in names of fields and in targets that no reader takes for their end, and fragments of targets.
    pub odd_characters: bool,
    /// Content of GET, HEAD and DELETE in HTTP/1.0, of which some readers take no notice: they read the next request in it.
    pub old_content: bool,
}

impl Leniency {
    /// Nothing beyond the RFC.
    pub const STRICT: Self = Self {
        conflicting_framing: false,
        loose_syntax: false,
        odd_characters: false,
        old_content: false,
    };
    /// The answers HAProxy gives to conflicting framing.
    pub const HAPROXY: Self = Self {
        conflicting_framing: true,
        loose_syntax: false,
        odd_characters: false,
        old_content: false,
    };
    /// Heads that HAProxy reads, and those that it reads with `option accept-invalid-http-request` or `-response`.
    pub const RELAXED: Self = Self {
        conflicting_framing: true,
        loose_syntax: true,
        odd_characters: true,
        old_content: false,
    };
}

/// The methods whose meaning matters to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD: the response has no body.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
    /// OPTIONS.
    Options,
    /// TRACE.
    Trace,
    /// CONNECT: a 2xx response starts a tunnel.
    Connect,
    /// Any other token.
    #[default]
    Other,
}

impl Method {
    /// Reads a method token; methods are case-sensitive.
    pub fn of(token: &[u8]) -> Self {
        match token {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }

    /// Whether a repeated request means the same as one (RFC 9110 §9.2.2): it may be retried.
    pub fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Connect | Self::Other)
    }
}
