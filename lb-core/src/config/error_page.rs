//! `errorfile` and `errorloc`: messages sent in the place of the built-in error pages.

use crate::{
    head::{Head, HeadRef, Version},
    http1::{Error, Framing, Leniency, Limits, Method, Progress, ResponseDecoder, write_field},
};

/// A message that is sent whole, but for its `connection` field, which is that of the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPage {
    message: Vec<u8>,
    delimited: bool,
    status: Option<u16>,
}

/// Why a file is no error page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorPageError {
    /// It is no response of HTTP.
    #[error("not a response of HTTP: {0}")]
    Malformed(#[from] Error),
    /// Its head does not end.
    #[error("the empty line that ends its head is missing")]
    NoEnd,
    /// Chunks could be cut off.
    #[error("chunk-encoded payload not supported")]
    Chunked,
    /// Another length than there is.
    #[error("payload size does not match the announced content-length ({found} != {announced})")]
    Length {
        /// Bytes behind the head.
        found: u64,
        /// What `content-length` says.
        announced: u64,
    },
}

impl ErrorPage {
    /// The statuses that have a page.
    pub const STATUSES: [u16; 19] = [
        200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 421, 422, 425, 429, 500, 501, 502, 503,
        504,
    ];

    /// A page out of a file. An empty one is an answer without a byte.
    pub fn parse(bytes: &[u8]) -> Result<Self, ErrorPageError> {
        if bytes.is_empty() {
            return Ok(Self {
                message: Vec::new(),
                delimited: false,
                status: None,
            });
        }
        let leniency = Leniency {
            loose_syntax: true,
            ..Leniency::default()
        };
        let mut head = Head::default();
        let mut decoder = ResponseDecoder::new(Limits::default(), leniency, Method::default());
        let Progress::Complete(summary) = decoder.decode(bytes, &mut head)? else {
            return Err(ErrorPageError::NoEnd);
        };
        let (head_bytes, body) = bytes.split_at(summary.head_len.min(bytes.len()));
        let found = body.len() as u64;
        match summary.framing {
            Framing::Chunked => return Err(ErrorPageError::Chunked),
            Framing::Length(announced) if announced != found => {
                return Err(ErrorPageError::Length { found, announced });
            }
            _ => {}
        }
        let view = HeadRef::new(&head, head_bytes);
        let version: &[u8] = match view.version() {
            Version::Http10 => b"HTTP/1.0 ",
            Version::Http11 | Version::Http2 => b"HTTP/1.1 ",
        };
        let mut message = version.to_vec();
        message.extend_from_slice(summary.status.to_string().as_bytes());
        message.push(b' ');
        message.extend_from_slice(view.reason());
        message.extend_from_slice(b"\r\n");
        for (name, value) in view.fields() {
            if !name.eq_ignore_ascii_case(b"connection") {
                write_field(&name.to_ascii_lowercase(), value, &mut message);
            }
        }
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(body);
        let delimited = matches!(summary.framing, Framing::Length(_) | Framing::None)
            && view.version() == Version::Http11;
        Ok(Self {
            message,
            delimited,
            status: Some(summary.status),
        })
    }

    /// A redirect to `url`; `answer` is status and reason.
    pub fn redirect(answer: &str, url: &str) -> Self {
        let head = format!(
            "HTTP/1.1 {answer}\r\ncache-control: no-cache\r\ncontent-length: 0\r\nlocation: {url}\r\n\r\n"
        );
        Self {
            message: head.into_bytes(),
            delimited: true,
            status: answer.get(..3).and_then(|digits| digits.parse().ok()),
        }
    }

    /// Head and content.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The status in its first line; `None` if it is empty.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Whether its end can be seen, so that the connection may stay; else the end of the connection is its end.
    pub fn is_delimited(&self) -> bool {
        self.delimited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_sent_as_haproxy_sends_the_file() {
        let old = b"HTTP/1.0 503 Service Unavailable\r\nCache-Control: no-cache\r\nConnection: close\r\n\r\n<html>\n";
        let page = ErrorPage::parse(old).unwrap();
        assert_eq!(
            page.message(),
            b"HTTP/1.0 503 Service Unavailable\r\ncache-control: no-cache\r\n\r\n<html>\n"
        );
        assert!(!page.is_delimited());
        let page = ErrorPage::parse(b"HTTP/1.1 403 No\nContent-Length: 2\n\nno").unwrap();
        assert_eq!(
            page.message(),
            b"HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno"
        );
        assert!(page.is_delimited());
        assert!(ErrorPage::parse(b"").unwrap().message().is_empty());
    }

    #[test]
    fn what_is_no_page_is_refused() {
        let why = |bytes: &[u8]| ErrorPage::parse(bytes).unwrap_err().to_string();
        assert_eq!(
            why(b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nshort"),
            "payload size does not match the announced content-length (5 != 9)"
        );
        assert_eq!(
            why(b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            "chunk-encoded payload not supported"
        );
        assert!(why(b"<html>").starts_with("not a response of HTTP"));
        assert!(why(b"HTTP/1.1 403 No\r\nX: y\r\n").contains("is missing"));
    }
}
