//! What is noted of a stream while it runs, and the log line made of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{clock, listener::Listener, session::Connection, worker::Worker};
use crate::{
    backend::{Backend, Persistence},
    config::{LogFormatKind, LogHeader, Mode, ProxyConfig},
    head::HeadRef,
    id::ServerIndex,
    log::{Counts, LogFormat, RequestLine, StreamRecord, Termination, Timers, events::level},
    request::{LogLevel, RequestView},
};

/// Who answered, for the server's field of the log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Answerer {
    /// `<NOSRV>`.
    #[default]
    Nobody,
    /// `<STATS>`.
    Stats,
    /// `<PROMEX>`.
    Metrics,
    /// `<CACHE>`.
    Cache,
    /// This server.
    Server(ServerIndex),
}

/// Notes on a stream.
#[derive(Debug)]
pub(super) struct Trace {
    /// First byte of the request; acceptance for TCP.
    pub(super) started: Instant,
    /// Index of the backend among those of the balancer.
    pub(super) backend: Option<usize>,
    pub(super) answerer: Answerer,
    /// How the server was chosen that was tried last.
    pub(super) found: Option<Persistence>,
    pub(super) timers: Timers,
    pub(super) status: Option<u16>,
    pub(super) bytes_read: u64,
    pub(super) bytes_uploaded: u64,
    pub(super) termination: Termination,
    pub(super) retries: u32,
    /// Those of them that followed a server's word that it did nothing (RFC 9113 §8.7).
    pub(super) refusals: u32,
    pub(super) redispatched: bool,
    pub(super) server_queue: u32,
    pub(super) backend_queue: u32,
    /// No line is written for this one.
    pub(super) silent: bool,
}

impl Default for Trace {
    fn default() -> Self {
        Self::begin(clock::recent())
    }
}

impl Trace {
    /// Notes on a stream that begins now.
    pub(super) fn begin(started: Instant) -> Self {
        Self {
            started,
            backend: None,
            answerer: Answerer::default(),
            found: None,
            timers: Timers::default(),
            status: None,
            bytes_read: 0,
            bytes_uploaded: 0,
            termination: Termination::NORMAL,
            retries: 0,
            refusals: 0,
            redispatched: false,
            server_queue: 0,
            backend_queue: 0,
            silent: false,
        }
    }

    /// Sets cause and phase unless an earlier event has set them.
    pub(super) fn end_with(&mut self, cause: u8, phase: u8) {
        if self.termination.cause == b'-' {
            self.termination.cause = cause;
            self.termination.phase = phase;
        }
    }

    /// Attempts that failed, as `retries` limits them: those that were refused have a bound of their own.
    pub(super) fn failures(&self) -> u32 {
        self.retries.saturating_sub(self.refusals)
    }

    /// A server said that it did nothing: the request goes out again.
    pub(super) fn note_refusal(&mut self) {
        self.refusals += 1;
        self.retries += 1;
    }

    /// Time since the beginning.
    pub(super) fn since_start(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }
}

/// The compiled log format of a proxy.
pub(super) fn format(proxy: &ProxyConfig) -> Option<LogFormat> {
    match &proxy.log_format {
        LogFormatKind::Connect => None,
        LogFormatKind::Tcp => Some(LogFormat::tcp()),
        LogFormatKind::Http => Some(LogFormat::http()),
        LogFormatKind::Https => Some(LogFormat::https()),
        LogFormatKind::Clf => Some(LogFormat::clf()),
        LogFormatKind::Custom(text) => LogFormat::parse(text).ok(),
    }
}

/// The compiled format of lines about connections that never got as far as a request, where they have their own.
pub(super) fn error_format(proxy: &ProxyConfig) -> Option<LogFormat> {
    LogFormat::parse(proxy.error_log_format.as_deref()?).ok()
}

/// The compiled format of structured data, if somebody takes it.
pub(super) fn structured(proxy: &ProxyConfig) -> Option<LogFormat> {
    let mut targets = proxy.logs.iter();
    targets.find(|target| target.header == LogHeader::Rfc5424)?;
    LogFormat::parse(proxy.log_format_sd.as_deref()?).ok()
}

/// Writes a line over `record`.
pub(super) fn write(
    worker: &Worker,
    listener: &Listener,
    format: &LogFormat,
    record: &StreamRecord<'_>,
    level: u8,
) {
    let mut text = worker.line.borrow_mut();
    text.clear();
    format.write(record, &mut text);
    let mut data = Vec::new();
    if let Some(structured) = &listener.structured {
        structured.write(record, &mut data);
    }
    let proxy = listener.frontend.config();
    worker.sinks.log_structured(proxy, level, &text, &data);
}

impl Trace {
    /// Whether the stream ended by an error, or needed more than one attempt (`option log-separate-errors`).
    fn is_error(&self, http: bool) -> bool {
        self.redispatched
            || match self.termination.cause {
                b'-' => self.retries > 0 || http && self.status.is_some_and(|s| s >= 500),
                b'L' => http && self.status.is_some_and(|s| s >= 500),
                _ => true,
            }
    }
}

impl Connection {
    /// Writes the log line of a stream that goes on, where that is wanted (`option logasap`); there will be no other.
    pub(super) fn log_early(
        &self,
        trace: &mut Trace,
        line: Option<RequestLine<'_>>,
        request: Option<HeadRef<'_>>,
    ) {
        if self.listener.frontend.config().logasap && !trace.silent {
            self.log(trace, line, request);
            trace.silent = true;
        }
    }

    /// Writes the log line of a finished stream. Call when its lease has been given back: the counts of the
    /// line do not include it.
    pub(super) fn log(
        &self,
        trace: &mut Trace,
        line: Option<RequestLine<'_>>,
        request: Option<HeadRef<'_>>,
    ) {
        let proxy = self.listener.frontend.config();
        let is_error = trace.is_error(proxy.mode == Mode::Http);
        let level = match self.state.log_level {
            Some(LogLevel::Silent) => return,
            Some(LogLevel::Level(level)) => level,
            None if proxy.log_separate_errors && is_error => level::ERROR,
            None => level::INFO,
        };
        if trace.silent || proxy.logs.is_empty() || proxy.dontlog_normal && !is_error {
            return;
        }
        let Some(format) = &self.listener.format else {
            return;
        };
        let now = clock::recent();
        trace.timers.active = trace.since_start(now);
        trace.timers.total = trace.timers.idle + trace.timers.active;
        let balancer = &self.listener.balancer;
        let backend: Option<&Arc<Backend>> = trace.backend.and_then(|b| balancer.backends.get(b));
        let server = match trace.answerer {
            Answerer::Server(index) => backend.and_then(|b| b.server(index)),
            _ => None,
        };
        let mut view = RequestView::new(now, &self.info, &self.state);
        view.request = request;
        view.server = view.server.or(server.map(|s| s.name()));
        let marks = self.state.marks.as_deref();
        let record = StreamRecord {
            view,
            utc_offset: balancer.utc_offset,
            request_date: self.info.date_of(trace.started),
            backend: backend.map_or(&*proxy.name, |b| b.name()),
            server: match trace.answerer {
                Answerer::Nobody => "<NOSRV>",
                Answerer::Stats => "<STATS>",
                Answerer::Metrics => "<PROMEX>",
                Answerer::Cache => "<CACHE>",
                Answerer::Server(_) => server.map_or("<NOSRV>", |s| s.name()),
            },
            server_address: server.and_then(|s| s.address()),
            backend_source: None,
            timers: trace.timers,
            status: trace.status,
            bytes_read: trace.bytes_read,
            bytes_uploaded: trace.bytes_uploaded,
            termination: trace.termination,
            request_cookie: marks.and_then(|marks| marks.request_cookie.as_deref()),
            response_cookie: marks.and_then(|marks| marks.response_cookie.as_deref()),
            counts: Counts {
                process: balancer.process.connections.value(),
                frontend: self.listener.frontend.current(),
                backend: backend.map_or(0, |b| b.counters().sessions.value()),
                server: server.map_or(0, |s| s.served()),
                retries: trace.retries,
                redispatched: trace.redispatched,
                server_queue: trace.server_queue,
                backend_queue: trace.backend_queue,
            },
            request_line: line,
            early: proxy.logasap,
        };
        write(&self.worker, &self.listener, format, &record, level);
    }
}
