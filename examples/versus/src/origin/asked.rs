//! What a request asks the origin for: `/N` is a body of N bytes, `/N/chunked` one in chunks, `/N/cut` and `/N/reset`
//! break off in the middle, `/N/stall` never answers. A body that comes in chunks is answered by one of its length.

use std::rc::Rc;

use memchr::memmem;

/// A request, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    /// Bytes of the answer.
    pub(super) body: usize,
    pub(super) manner: Manner,
    /// It is the last request of its connection.
    pub(super) close: bool,
}

/// How a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Manner {
    Length,
    Chunked,
    Cut,
    Reset,
    Stall,
}

impl Manner {
    /// Half of the answer is all there is.
    pub(super) fn breaks_off(self) -> bool {
        matches!(self, Self::Cut | Self::Reset)
    }
}

fn has_chunks(head: &[u8]) -> bool {
    [
        &b"ransfer-encoding: chunked"[..],
        b"ransfer-Encoding: chunked",
    ]
    .iter()
    .any(|field| memmem::find(head, field).is_some())
}

/// Whether a request is complete. All bodies are of one letter, so that nothing in them looks like an end.
pub(super) fn is_whole(input: &[u8]) -> bool {
    if !input.ends_with(b"\r\n\r\n") {
        return false;
    }
    input.starts_with(b"GET ") || !has_chunks(input) || input.ends_with(b"\r\n0\r\n\r\n")
}

/// What a complete request asks for.
pub(super) fn understand(request: &[u8]) -> Option<Asked> {
    let is_post = request.starts_with(b"POST ");
    let rest = request.strip_prefix(if is_post { &b"POST /"[..] } else { b"GET /" })?;
    let path = std::str::from_utf8(rest.get(..memchr::memchr(b' ', rest)?)?).ok()?;
    let (digits, manner) = match path.split_once('/') {
        None => (path, Manner::Length),
        Some((digits, "chunked")) => (digits, Manner::Chunked),
        Some((digits, "cut")) => (digits, Manner::Cut),
        Some((digits, "reset")) => (digits, Manner::Reset),
        Some((digits, "stall")) => (digits, Manner::Stall),
        Some(_) => return None,
    };
    let mut body = digits.parse().ok()?;
    if is_post {
        let data = request.get(memmem::find(request, b"\r\n\r\n")?..)?;
        body = memchr::memchr_iter(b'x', data).count();
    }
    Some(Asked {
        body,
        manner,
        close: memmem::find(request, b"onnection: close").is_some(),
    })
}

/// All bytes that are sent for it.
pub(super) fn render(asked: Asked) -> Rc<[u8]> {
    let Asked {
        body,
        manner,
        close,
    } = asked;
    let connection = if close { "Connection: close\r\n" } else { "" };
    let length = match manner {
        Manner::Chunked => "Transfer-Encoding: chunked".to_owned(),
        _ => format!("Content-Length: {body}"),
    };
    let mut bytes = format!("HTTP/1.1 200 OK\r\n{length}\r\n{connection}\r\n").into_bytes();
    match manner {
        Manner::Chunked => {
            for data in vec![b'x'; body].chunks(1_000) {
                bytes.extend(format!("{:x}\r\n", data.len()).bytes());
                bytes.extend(data);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
        }
        _ => {
            let sent = if manner.breaks_off() { body / 2 } else { body };
            bytes.resize(bytes.len() + sent, b'x');
        }
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_how_much_in_which_manner_and_whether_to_close() {
        let asked = |body, manner, close| {
            Some(Asked {
                body,
                manner,
                close,
            })
        };
        assert_eq!(
            understand(b"GET /128 HTTP/1.1\r\nHost: x\r\n\r\n"),
            asked(128, Manner::Length, false)
        );
        assert_eq!(
            understand(b"GET /1/cut HTTP/1.1\r\nconnection: close\r\n\r\n"),
            asked(1, Manner::Cut, true)
        );
        assert_eq!(understand(b"GET /x HTTP/1.1\r\n\r\n"), None);
        let post =
            b"POST /0/chunked HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nxx\r\n0\r\n\r\n";
        assert_eq!(understand(post), asked(2, Manner::Chunked, false));
        let whole: Vec<_> = (0..=post.len()).filter(|&n| is_whole(&post[..n])).collect();
        assert_eq!(whole, [post.len()]);
    }

    #[test]
    fn an_answer_breaks_off_in_its_middle_or_comes_in_chunks() {
        let text = |body, manner| {
            let bytes = render(Asked {
                body,
                manner,
                close: false,
            });
            String::from_utf8_lossy(&bytes).into_owned()
        };
        assert!(text(4, Manner::Cut).ends_with("Content-Length: 4\r\n\r\nxx"));
        assert!(text(3, Manner::Chunked).ends_with("\r\n\r\n3\r\nxxx\r\n0\r\n\r\n"));
    }
}
