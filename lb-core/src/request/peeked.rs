//! A request of HTTP among bytes that are not treated as such: what rules of TCP mode see of it.

use crate::{
    head::{Head, HeadRef},
    http1::{Leniency, Limits, Progress, RequestDecoder},
};

const LIMITS: Limits = Limits {
    head_bytes: usize::MAX,
    fields: 100,
};

/// What the first bytes of a client are.
#[derive(Debug, Default)]
pub struct Peeked {
    head: Option<Head>,
    awaited: bool,
}

impl Peeked {
    /// Looks at everything that was received, of which a buffer is the limit.
    pub fn of(bytes: &[u8]) -> Self {
        let mut head = Head::default();
        let mut decoder = RequestDecoder::new(LIMITS, Leniency::HAPROXY);
        decoder.allow_no_host(true);
        match decoder.decode(bytes, &mut head) {
            Ok(Progress::Complete(_)) => Self {
                head: Some(head),
                awaited: false,
            },
            Ok(Progress::Partial) => Self {
                head: None,
                awaited: true,
            },
            Err(_) => Self::default(),
        }
    }

    /// The head of a request, which lies in `bytes`.
    pub fn head<'a>(&'a self, bytes: &'a [u8]) -> Option<HeadRef<'a>> {
        self.head.as_ref().map(|head| HeadRef::new(head, bytes))
    }

    /// Further bytes may make a request of it.
    pub fn is_awaited(&self) -> bool {
        self.awaited
    }
}
