//! How large messages of HTTP may be.

use crate::http1::Limits;

/// `tune.bufsize` and what shares such a buffer. The defaults are HAProxy's: 16384 bytes of which 1024 are kept free for
/// rewriting, and 101 lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageSizes {
    /// `tune.bufsize`: most bytes of a head, and of the content that rules wait for together with its head; at most
    /// [`MessageSizes::MOST`].
    pub buffer: u32,
    /// `tune.maxrewrite`: of those what a head leaves free as it is received; half of them at most.
    pub rewrite: u32,
    /// `tune.http.maxhdr`: most lines of a head, the first among them.
    pub lines: u32,
}

impl MessageSizes {
    /// The largest buffer that there is.
    pub const MOST: u32 = 128 * 1024;

    /// Most bytes of content and head that wait together.
    pub fn buffer(self) -> usize {
        self.buffer.min(Self::MOST) as usize
    }

    /// Most bytes of a head.
    pub fn head(self) -> u32 {
        let buffer = self.buffer.min(Self::MOST);
        buffer - self.rewrite.min(buffer / 2)
    }

    /// What holds for heads in HTTP/1.
    pub fn http1(self) -> Limits {
        Limits {
            head_bytes: self.head() as usize,
            fields: self.lines.saturating_sub(1) as usize,
        }
    }

    /// What holds for requests in HTTP/2: twice as many lines, as with HAProxy.
    pub fn http2(self) -> Limits {
        Limits {
            fields: self.lines.saturating_mul(2).saturating_sub(1) as usize,
            ..self.http1()
        }
    }
}

impl Default for MessageSizes {
    fn default() -> Self {
        Self {
            buffer: 16_384,
            rewrite: 1024,
            lines: 101,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_free_is_no_more_than_half() {
        let sizes = MessageSizes::default();
        assert_eq!(sizes.http1(), Limits::default());
        assert_eq!(sizes.http2().fields, 201);
        let greedy = MessageSizes {
            buffer: 32_768,
            rewrite: 30_000,
            ..sizes
        };
        assert_eq!(greedy.head(), 16_384);
    }
}
