//! One answer: status 200, the expected length, not a byte more.

use memchr::memmem;

/// A decoder that is fed whatever arrives.
#[derive(Debug)]
pub(super) struct Answer {
    expected: usize,
    head: Vec<u8>,
    /// Bytes of the body that are still to come, once the head is known.
    left: Option<usize>,
}

impl Answer {
    /// Of an answer with a body of `expected` bytes.
    pub(super) fn new(expected: usize) -> Self {
        Self {
            expected,
            head: Vec::new(),
            left: None,
        }
    }

    /// Another one.
    pub(super) fn restart(&mut self) {
        self.head.clear();
        self.left = None;
    }

    /// Takes bytes; true when the answer is complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<bool, String> {
        let body = match self.left {
            Some(left) => {
                self.left = Some(
                    left.checked_sub(bytes.len())
                        .ok_or("a longer answer than announced")?,
                );
                return Ok(self.left == Some(0));
            }
            None => {
                self.head.extend_from_slice(bytes);
                let Some(end) = memmem::find(&self.head, b"\r\n\r\n") else {
                    return Ok(false);
                };
                self.check_head(end)?;
                self.head.len() - end - 4
            }
        };
        let left = self
            .expected
            .checked_sub(body)
            .ok_or("a longer answer than announced")?;
        self.left = Some(left);
        Ok(left == 0)
    }

    fn check_head(&self, end: usize) -> Result<(), String> {
        let head = self.head.get(..end).unwrap_or_default();
        let wrong = |what: &str| {
            let text = String::from_utf8_lossy(head);
            format!("{what}: {}", text.lines().next().unwrap_or_default())
        };
        if !head.starts_with(b"HTTP/1.1 200") {
            return Err(wrong("not a 200"));
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
        if digits.parse() != Ok(self.expected) {
            return Err(wrong("another length than asked for"));
        }
        Ok(())
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
