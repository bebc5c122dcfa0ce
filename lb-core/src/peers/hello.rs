//! The first lines of a connection between peers.
//!
//! ```text
//! HAProxyS 2.1\n  name of who is called\n  name of who calls, its process id, 1\n      ->      200\n
//! ```

/// Longest hello that is waited for.
const LONGEST: usize = 1024;

/// What the side that was called answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 200.
    Welcome,
    /// 300.
    Later,
    /// 501.
    ProtocolError,
    /// 502.
    BadVersion,
    /// 503: somebody else was called.
    NotMe,
    /// 504: the caller is no peer.
    Unknown,
}

impl Status {
    /// Its line.
    pub(super) fn line(self) -> &'static [u8] {
        match self {
            Self::Welcome => b"200\n",
            Self::Later => b"300\n",
            Self::ProtocolError => b"501\n",
            Self::BadVersion => b"502\n",
            Self::NotMe => b"503\n",
            Self::Unknown => b"504\n",
        }
    }

    /// The status in a line.
    pub(super) fn of(line: &[u8]) -> Self {
        match line.trim_ascii() {
            b"200" => Self::Welcome,
            b"300" => Self::Later,
            b"502" => Self::BadVersion,
            b"503" => Self::NotMe,
            b"504" => Self::Unknown,
            _ => Self::ProtocolError,
        }
    }
}

/// What the caller says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hello {
    /// Version 2.1: lives are shown by heartbeats, and entries come with the time they have left.
    pub(super) current: bool,
    /// Who is called.
    pub(super) callee: String,
    /// Who calls.
    pub(super) caller: String,
}

/// Writes a hello.
pub(super) fn put(callee: &str, caller: &str, process: u32, out: &mut Vec<u8>) {
    let text = format!("HAProxyS 2.1\n{callee}\n{caller} {process} 1\n");
    out.extend_from_slice(text.as_bytes());
}

/// Reads a hello and its length; `None` as long as it is not whole.
pub(super) fn read(bytes: &[u8]) -> Option<Result<(Hello, usize), Status>> {
    let mut ends = memchr::memchr_iter(b'\n', bytes);
    let (Some(first), Some(second), Some(third)) = (ends.next(), ends.next(), ends.next()) else {
        return (bytes.len() > LONGEST).then_some(Err(Status::ProtocolError));
    };
    let line = |from: usize, to: usize| {
        let line = bytes.get(from..to).unwrap_or_default();
        std::str::from_utf8(line.trim_ascii()).ok()
    };
    if third >= LONGEST {
        return Some(Err(Status::ProtocolError));
    }
    let hello = || {
        let version = line(0, first)?.strip_prefix("HAProxyS ")?;
        let current = match version {
            "2.1" => true,
            "2.0" => false,
            _ => return Some(Err(Status::BadVersion)),
        };
        let callee = line(first + 1, second)?.to_owned();
        let caller = line(second + 1, third)?.split(' ').next()?.to_owned();
        Some(Ok(Hello {
            current,
            callee,
            caller,
        }))
    };
    let hello = hello().unwrap_or(Err(Status::ProtocolError));
    Some(hello.map(|hello| (hello, third + 1)))
}
