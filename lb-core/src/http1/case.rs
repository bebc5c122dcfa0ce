//! The case of header names for peers that wrongly depend on it (`h1-case-adjust`). Names are sent in lower case otherwise.

use super::is_token;

/// Names, and how they are written instead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderCase {
    /// Ordered as if in lower case.
    names: Vec<Box<[u8]>>,
}

/// Why a name cannot be written so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// The first name is no header name in lower case.
    #[error("not a header name in lower case")]
    Name,
    /// The names are two.
    #[error("the names differ in more than their case")]
    Other,
    /// It was given before.
    #[error("the name was given before")]
    Twice,
}

impl HeaderCase {
    /// `from`, in lower case, is written as `to` from now on.
    pub fn add(&mut self, from: &str, to: &str) -> Result<(), CaseError> {
        let name = from.as_bytes();
        if !is_token(name) || name.iter().any(u8::is_ascii_uppercase) {
            return Err(CaseError::Name);
        }
        if !from.eq_ignore_ascii_case(to) {
            return Err(CaseError::Other);
        }
        match self.find(name) {
            Ok(_) => Err(CaseError::Twice),
            Err(place) => {
                self.names.insert(place, to.as_bytes().into());
                Ok(())
            }
        }
    }

    /// Where a name is, in whatever case, or where it belongs.
    fn find(&self, name: &[u8]) -> Result<usize, usize> {
        self.names.binary_search_by(|known| {
            let known = known.iter().map(u8::to_ascii_lowercase);
            known.cmp(name.iter().map(u8::to_ascii_lowercase))
        })
    }

    /// Rewrites the names in one head after the other, in whatever case they are.
    pub fn adjust(&self, heads: &mut [u8]) {
        if self.names.is_empty() {
            return;
        }
        for line in heads.split_mut(|b| *b == b'\n') {
            let Some(colon) = memchr::memchr(b':', line) else {
                continue;
            };
            if let Some(name) = line.get_mut(..colon)
                && let Ok(place) = self.find(name)
                && let Some(wanted) = self.names.get(place)
            {
                name.copy_from_slice(wanted);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_nothing_else_get_their_case() {
        let mut case = HeaderCase::default();
        case.add("content-length", "Content-Length").unwrap();
        case.add("x-a", "X-a").unwrap();
        let mut heads =
            b"HTTP/1.1 200 x-a: b\r\nx-a: x-a: 1\r\nx-ab: 2\r\ncontent-length: 0\r\nX-A: 3\r\nX-Ab: 4\r\n\r\n".to_vec();
        case.adjust(&mut heads);
        assert_eq!(
            String::from_utf8_lossy(&heads),
            "HTTP/1.1 200 x-a: b\r\nX-a: x-a: 1\r\nx-ab: 2\r\nContent-Length: 0\r\nX-a: 3\r\nX-Ab: 4\r\n\r\n"
        );
    }

    #[test]
    fn a_name_is_written_in_one_way() {
        let mut case = HeaderCase::default();
        assert_eq!(case.add("Host", "HOST"), Err(CaseError::Name));
        assert_eq!(case.add("a b", "A b"), Err(CaseError::Name));
        assert_eq!(case.add("", ""), Err(CaseError::Name));
        assert_eq!(case.add("host", "hosts"), Err(CaseError::Other));
        assert_eq!(case.add("host", "Host"), Ok(()));
        assert_eq!(case.add("host", "HOST"), Err(CaseError::Twice));
    }
}
