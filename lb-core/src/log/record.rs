//! Everything a log line can tell of a finished stream.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use crate::request::RequestView;

/// A finished stream, borrowed from those who know.
#[derive(Debug, Clone, Copy)]
pub struct StreamRecord<'a> {
    /// Connection, variables and captures; heads where they are still there.
    pub view: RequestView<'a>,
    /// Seconds that local time is ahead of UTC.
    pub utc_offset: i32,
    /// When the first byte of the request arrived (`%tr`); the acceptance for TCP.
    pub request_date: SystemTime,
    /// Name of the backend, or of the frontend when none was chosen.
    pub backend: &'a str,
    /// Name of the server, `<NOSRV>` or `<STATS>`.
    pub server: &'a str,
    /// Address of the server (`%si`, `%sp`).
    pub server_address: Option<SocketAddr>,
    /// Our address towards the server (`%bi`, `%bp`).
    pub backend_source: Option<SocketAddr>,
    /// Durations.
    pub timers: Timers,
    /// Status sent to the client; `None` if there was none.
    pub status: Option<u16>,
    /// Bytes sent to the client (`%B`).
    pub bytes_read: u64,
    /// Bytes received from the client (`%U`).
    pub bytes_uploaded: u64,
    /// How it ended.
    pub termination: Termination,
    /// Persistence cookie of the request (`%CC`), set only with `capture cookie`.
    pub request_cookie: Option<&'a [u8]>,
    /// Persistence cookie of the response (`%CS`).
    pub response_cookie: Option<&'a [u8]>,
    /// Connection counts and queue lengths.
    pub counts: Counts,
    /// Request line; `None` if no valid one was received (`<BADREQ>`).
    pub request_line: Option<RequestLine<'a>>,
    /// The line is written before the end (`option logasap`): `+` before sizes and total time.
    pub early: bool,
}

/// The request line as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLine<'a> {
    /// Method.
    pub method: &'a [u8],
    /// Target; absolute for HTTP/2.
    pub target: &'a [u8],
    /// `HTTP/1.1`, `HTTP/2.0`.
    pub version: &'a str,
}

/// Durations of the phases of a stream; `None` for a phase that was not reached (logged as -1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timers {
    /// `%Th`: handshakes (PROXY header, TLS).
    pub handshake: Duration,
    /// `%Ti`: idle before the request's first byte.
    pub idle: Duration,
    /// `%TR`: receiving the request head.
    pub request: Option<Duration>,
    /// `%Tw`: waiting in queues.
    pub queue: Option<Duration>,
    /// `%Tc`: connecting to the server.
    pub connect: Option<Duration>,
    /// `%Tr`: waiting for the response head.
    pub response: Option<Duration>,
    /// `%Ta`: from the request's first byte to the end; without idle time.
    pub active: Duration,
    /// `%Tt`: from acceptance (or the end of the last request) to the end.
    pub total: Duration,
}

impl Timers {
    /// `%Td`: from the response head to the end.
    pub fn data(&self) -> Option<Duration> {
        let before = self.request? + self.queue? + self.connect? + self.response?;
        Some(self.active.saturating_sub(before))
    }
}

/// The four characters of the termination state (manual 8.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Termination {
    /// Who or what ended it: `C S P L R I D U K c s -`.
    pub cause: u8,
    /// In which phase: `R Q C H D L T -`.
    pub phase: u8,
    /// Persistence cookie of the client: `N I D V E O U -`.
    pub client_cookie: u8,
    /// What was done to the server's cookie: `N I U P R D -`.
    pub server_cookie: u8,
}

impl Termination {
    /// A normal end.
    pub const NORMAL: Self = Self::new(b'-', b'-');

    /// An end with cause and phase, no cookies.
    pub const fn new(cause: u8, phase: u8) -> Self {
        Self {
            cause,
            phase,
            client_cookie: b'-',
            server_cookie: b'-',
        }
    }
}

/// Connection counts at the time of the line, and the places in the queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// `%ac`: connections of the process.
    pub process: u32,
    /// `%fc`: of the frontend.
    pub frontend: u32,
    /// `%bc`: of the backend.
    pub backend: u32,
    /// `%sc`: of the server.
    pub server: u32,
    /// `%rc`: connection retries.
    pub retries: u32,
    /// The request was redispatched: `+` before `%rc`.
    pub redispatched: bool,
    /// `%sq`: requests before this one in the server's queue.
    pub server_queue: u32,
    /// `%bq`: requests before this one in the backend's queue.
    pub backend_queue: u32,
}
