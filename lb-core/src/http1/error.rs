//! Why a message is refused, one variant per cause.

/// A message that is not passed on. A request gets [`Error::status`], a response becomes 502.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The method is not a token, or does not end in a space.
    #[error("invalid method")]
    Method,
    /// The request target has a forbidden byte or none of the four forms.
    #[error("invalid request target")]
    Target,
    /// Not `HTTP/` digit `.` digit.
    #[error("invalid protocol version")]
    VersionSyntax,
    /// A version other than 1.0 and 1.1.
    #[error("unsupported protocol version")]
    Version,
    /// The status line has no three-digit status.
    #[error("invalid status line")]
    StatusLine,
    /// A line that ends in LF without CR, or a CR alone.
    #[error("line not ended by CR LF")]
    LineEnd,
    /// A continuation line.
    #[error("folded header line")]
    Folded,
    /// A field name that is empty or holds a byte which is not of a token; no colon.
    #[error("invalid header name")]
    FieldName,
    /// NUL or another control character in a value.
    #[error("control character in a header value")]
    FieldValue,
    /// More field lines than allowed.
    #[error("more than {0} header lines")]
    TooManyFields(usize),
    /// A longer head than allowed.
    #[error("head longer than {0} bytes")]
    TooLarge(usize),
    /// `Content-Length` is no number, too large, or given twice with different values.
    #[error("invalid content-length")]
    ContentLength,
    /// `Transfer-Encoding` does not end in `chunked`, or names it twice.
    #[error("invalid transfer-encoding")]
    TransferEncoding,
    /// A transfer coding before `chunked`.
    #[error("unsupported transfer coding")]
    Coding,
    /// `Transfer-Encoding` where `Content-Length` or HTTP/1.0 contradicts it.
    #[error("conflicting message framing")]
    Conflict,
    /// Content of a GET, HEAD or DELETE in HTTP/1.0.
    #[error("content of a method that had none in HTTP/1.0")]
    OldContent,
    /// No `Host`, more than one, an invalid one, or one that differs from the target's authority.
    #[error("missing, repeated or invalid host")]
    Host,
    /// A WebSocket handshake without its key.
    #[error("websocket handshake without a key")]
    WebSocketKey,
    /// An `Expect` other than `100-continue`.
    #[error("unknown expectation")]
    Expectation,
    /// A chunk size that is not 1 to 16 hexadecimal digits, or is 2^52 or more.
    #[error("invalid chunk size")]
    ChunkSize,
    /// A chunk extension that is too long or holds a control character.
    #[error("invalid chunk extension")]
    ChunkExtension,
    /// No CR LF after the bytes of a chunk.
    #[error("chunk not ended by CR LF")]
    ChunkEnd,
    /// A trailer that is malformed, too long, one too many, or may not be one (framing, routing, authentication).
    #[error("invalid trailer")]
    Trailer,
}

impl Error {
    /// Status code of the answer when a request is refused.
    pub fn status(self) -> u16 {
        match self {
            Self::OldContent => 413,
            Self::Expectation => 417,
            Self::Coding => 501,
            Self::Version => 505,
            _ => 400,
        }
    }

    /// A short word for counters and logs.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Target => "target",
            Self::VersionSyntax | Self::Version => "version",
            Self::StatusLine => "status-line",
            Self::LineEnd => "line-end",
            Self::Folded => "folded",
            Self::FieldName => "header-name",
            Self::FieldValue => "header-value",
            Self::TooManyFields(_) => "header-count",
            Self::TooLarge(_) => "head-size",
            Self::ContentLength => "content-length",
            Self::TransferEncoding | Self::Coding => "transfer-encoding",
            Self::Conflict => "framing-conflict",
            Self::OldContent => "content",
            Self::Host => "host",
            Self::WebSocketKey => "websocket",
            Self::Expectation => "expect",
            Self::ChunkSize | Self::ChunkExtension | Self::ChunkEnd => "chunk",
            Self::Trailer => "trailer",
        }
    }
}
