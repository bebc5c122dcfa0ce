//! One answer: the expected status and length, chunked or not, not a byte more.

use memchr::memmem;

/// A decoder that is fed whatever arrives.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    /// Of the body; any length that the answer announces where there is none.
    expected: Option<usize>,
    head: Vec<u8>,
    body: Body,
}

/// How far the body has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// The head is not known yet.
    Unknown,
    /// So many bytes are still to come.
    Left(usize),
    /// Chunks: so much of what fills all bodies here has come, and the last bytes.
    Chunks { seen: usize, tail: [u8; 7] },
}

/// Behind the data of the last chunk.
const LAST_CHUNK: &[u8; 7] = b"\r\n0\r\n\r\n";

impl Answer {
    /// Of an answer with a body of `expected` bytes.
    pub(super) fn new(expected: usize) -> Self {
        Self::of(200, Some(expected))
    }

    /// Of an answer with this status, and a body of so many bytes if any number is expected.
    pub(crate) fn of(status: u16, expected: Option<usize>) -> Self {
        Self {
            status,
            expected,
            head: Vec::new(),
            body: Body::Unknown,
        }
    }

    /// Another one.
    pub(crate) fn restart(&mut self) {
        self.head.clear();
        self.body = Body::Unknown;
    }

    /// Takes bytes; true when the answer is complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<bool, String> {
        if self.body != Body::Unknown {
            return self.take(bytes);
        }
        self.head.extend_from_slice(bytes);
        let Some(end) = memmem::find(&self.head, b"\r\n\r\n") else {
            return Ok(false);
        };
        self.check_head(end)?;
        let rest = self.head.split_off(end + 4);
        self.take(&rest)
    }

    /// Takes bytes of the body.
    fn take(&mut self, bytes: &[u8]) -> Result<bool, String> {
        match &mut self.body {
            Body::Unknown => Ok(false),
            Body::Left(left) => {
                *left = left
                    .checked_sub(bytes.len())
                    .ok_or("a longer answer than announced")?;
                Ok(*left == 0)
            }
            Body::Chunks { seen, tail } => {
                *seen += memchr::memchr_iter(b'x', bytes).count();
                for byte in bytes.iter().rev().take(7).rev() {
                    tail.rotate_left(1);
                    tail[6] = *byte;
                }
                if tail != LAST_CHUNK {
                    return Ok(false);
                }
                match self.expected {
                    Some(expected) if expected != *seen => {
                        Err(format!("chunks of {seen} instead of {expected} bytes"))
                    }
                    _ => Ok(true),
                }
            }
        }
    }

    fn check_head(&mut self, end: usize) -> Result<(), String> {
        let head = self.head.get(..end).unwrap_or_default();
        let wrong = |what: &str| {
            let text = String::from_utf8_lossy(head);
            format!("{what}: {}", text.lines().next().unwrap_or_default())
        };
        let status = head.strip_prefix(b"HTTP/1.1 ").and_then(|s| s.get(..3));
        if status != Some(self.status.to_string().as_bytes()) {
            return Err(wrong(&format!("not a {}", self.status)));
        }
        if memmem::find(head, b"ransfer-encoding: chunked").is_some()
            || memmem::find(head, b"ransfer-Encoding: chunked").is_some()
        {
            self.body = Body::Chunks {
                seen: 0,
                tail: [0; 7],
            };
            return Ok(());
        }
        let name = b"ontent-length: ";
        let digits: String = memmem::find_iter(head, b"ontent-")
            .filter_map(|at| {
                head.get(at..at + name.len())
                    .zip(head.get(at + name.len()..))
            })
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, rest)| {
                rest.iter()
                    .take_while(|b| b.is_ascii_digit())
                    .map(|b| char::from(*b))
                    .collect()
            })
            .unwrap_or_default();
        match digits.parse() {
            Ok(length) if self.expected.is_none_or(|e| e == length) => {
                self.body = Body::Left(length);
                Ok(())
            }
            _ => Err(wrong("another length than asked for")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-Length: 3\r\n\r\nabc";

    #[test]
    fn a_good_answer_is_complete_however_it_is_cut() {
        for cut in 1..GOOD.len() {
            let mut answer = Answer::new(3);
            let (first, second) = GOOD.split_at(cut);
            assert_eq!(answer.feed(first), Ok(false), "{cut}");
            assert_eq!(answer.feed(second), Ok(true), "{cut}");
        }
    }

    #[test]
    fn chunks_are_counted_however_they_are_cut() {
        let chunks =
            b"HTTP/1.1 502 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nxx\r\n1\r\nx\r\n0\r\n\r\n";
        for cut in 1..chunks.len() {
            let (first, second) = chunks.split_at(cut);
            let mut answer = Answer::of(502, Some(3));
            assert_eq!(answer.feed(first), Ok(false), "{cut}");
            assert_eq!(answer.feed(second), Ok(true), "{cut}");
        }
        assert!(Answer::of(502, Some(4)).feed(chunks).is_err());
        assert_eq!(Answer::of(502, None).feed(chunks), Ok(true));
    }

    #[test]
    fn wrong_answers_are_errors() {
        assert!(
            Answer::new(3)
                .feed(b"HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nabc")
                .is_err()
        );
        assert!(Answer::new(4).feed(GOOD).is_err());
        assert!(Answer::new(3).feed(&[GOOD, b"d"].concat()).is_err());
        let mut answer = Answer::new(3);
        assert_eq!(answer.feed(&GOOD[..GOOD.len() - 1]), Ok(false));
        assert!(answer.feed(b"cd").is_err());
    }
}
