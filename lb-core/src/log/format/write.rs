//! Writing a format.
//!
//! In log lines quotes, `#`, control characters and everything beyond ASCII are written as `#XX`, so that a
//! client cannot forge lines; in captured headers also braces and bars.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use super::{Flags, LogFormat, Node, Variable};
use crate::{
    expr::{Value, fetch::target::split, value::push_hex},
    log::{
        StreamRecord,
        date::{self, Civil},
    },
    request::{RequestView, is_unix},
};

/// Writes `format` over `view`, with what `record` adds.
pub(super) fn format(
    format: &LogFormat,
    view: &RequestView<'_>,
    record: Option<&StreamRecord<'_>>,
    out: &mut Vec<u8>,
) {
    // Blanks are written once, however many variables between them are empty.
    let mut after_blank = true;
    for node in &format.nodes {
        let before = out.len();
        match node {
            Node::Text(text) => out.extend_from_slice(text),
            Node::Blank => {
                if !after_blank {
                    out.push(b' ');
                }
                after_blank = true;
                continue;
            }
            Node::Variable(variable, flags) => {
                let mut line = Line {
                    view,
                    record,
                    flags: *flags,
                    log: format.log,
                    out,
                };
                line.variable(*variable);
            }
            Node::Expr(expr, flags) => {
                let mut line = Line {
                    view,
                    record,
                    // In values expressions stand without quotes, as with HAProxy.
                    flags: Flags {
                        quote: flags.quote && format.log,
                        ..*flags
                    },
                    log: format.log,
                    out,
                };
                line.expression(expr.value(view));
            }
        }
        after_blank &= out.len() == before;
    }
}

/// A number that no other call gets (before four thousand million of them).
fn next_request() -> u32 {
    static WRITTEN: AtomicU32 = AtomicU32::new(0);
    WRITTEN.fetch_add(1, Relaxed)
}

struct Line<'l, 'r> {
    view: &'l RequestView<'l>,
    record: Option<&'l StreamRecord<'r>>,
    flags: Flags,
    log: bool,
    out: &'l mut Vec<u8>,
}

/// What a value is, for its escaping.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Text from the network.
    Text,
    /// A captured header: braces and bars are separators.
    Capture,
    /// The value of an expression: only control characters are dangerous, the rest is the writer's choice.
    Expression,
}

impl Line<'_, '_> {
    fn expression(&mut self, value: Option<Value<'_>>) {
        match value {
            Some(Value::String(text)) => self.quoted(&text, Kind::Expression),
            // Numbers, addresses and hexadecimal need no escaping.
            Some(other) => {
                self.quote();
                other.write_text(self.out);
                self.quote();
            }
            None => self.missing(),
        }
    }

    /// Text that may come from the network, quoted and escaped as the flags and the purpose ask.
    fn text(&mut self, text: Option<&[u8]>) {
        match text {
            Some(text) if !text.is_empty() => self.quoted(text, Kind::Text),
            _ => self.missing(),
        }
    }

    fn missing(&mut self) {
        if self.flags.quote {
            self.out.extend_from_slice(b"\"\"");
        } else if self.log {
            self.out.push(b'-');
        }
    }

    fn quoted(&mut self, text: &[u8], kind: Kind) {
        self.quote();
        self.escaped(text, kind);
        self.quote();
    }

    fn quote(&mut self) {
        if self.flags.quote {
            self.out.push(b'"');
        }
    }

    fn escaped(&mut self, text: &[u8], kind: Kind) {
        for byte in text {
            let special = match byte {
                _ if !self.log => false,
                ..b' ' | 0x7f => true,
                _ if kind == Kind::Expression => false,
                b'"' | b'#' | 0x80.. => true,
                b'{' | b'|' | b'}' => kind == Kind::Capture,
                _ => false,
            };
            if special {
                self.out.push(b'#');
                push_hex(*byte, self.out);
                continue;
            }
            if self.flags.escape && matches!(byte, b'"' | b'\\' | b']') {
                self.out.push(b'\\');
            }
            self.out.push(*byte);
        }
    }

    /// A number or another text of our own making; never quoted.
    fn number(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a vector cannot fail.
        drop(self.out.write_fmt(text));
    }

    /// A number of this process.
    fn serial(&mut self, number: u32) {
        if self.flags.hex {
            self.number(format_args!("{number:04X}"));
        } else {
            self.number(format_args!("{number}"));
        }
    }

    fn count(&mut self, number: Option<u32>) {
        match number {
            Some(number) => self.number(format_args!("{number}")),
            None => self.missing(),
        }
    }

    fn ip(&mut self, address: Option<IpAddr>) {
        let Some(address) = address else {
            return self.missing();
        };
        self.quote();
        match address.to_canonical() {
            IpAddr::V4(a) if self.flags.hex => self.number(format_args!("{:08X}", u32::from(a))),
            IpAddr::V6(a) if self.flags.hex => self.number(format_args!("{:032X}", u128::from(a))),
            address => self.number(format_args!("{address}")),
        }
        self.quote();
    }

    /// One end of the client's connection.
    fn end(&mut self, address: SocketAddr) {
        match is_unix(address) {
            true => self.text(Some(b"unix")),
            false => self.ip(Some(address.ip())),
        }
    }

    fn port(&mut self, address: Option<SocketAddr>) {
        match address.map(|a| a.port()) {
            Some(port) if self.flags.hex => self.number(format_args!("{port:04X}")),
            Some(port) => self.number(format_args!("{port}")),
            None => self.missing(),
        }
    }

    /// Milliseconds, -1 for a phase that was not reached; `+` before totals that are not final.
    fn time(&mut self, time: Option<Option<Duration>>, total: bool) {
        let early = total && self.record.is_some_and(|r| r.early);
        let plus = if early { "+" } else { "" };
        match time {
            Some(Some(time)) => self.number(format_args!("{plus}{}", time.as_millis())),
            Some(None) => self.number(format_args!("-1")),
            None => self.missing(),
        }
    }

    fn size(&mut self, size: Option<u64>, total: bool) {
        let early = total && self.record.is_some_and(|r| r.early);
        let plus = if early { "+" } else { "" };
        match size {
            Some(size) => self.number(format_args!("{plus}{size}")),
            None => self.missing(),
        }
    }

    fn variable(&mut self, variable: Variable) {
        use Variable as V;
        let view = self.view;
        let record = self.record;
        let connection = view.connection;
        match variable {
            // Of a UNIX socket, whose port is the number of the listener.
            V::ClientIp => self.end(view.source()),
            V::ClientPort => self.port(Some(view.source())),
            V::FrontendIp => self.end(view.destination()),
            V::FrontendPort => self.port(Some(view.destination())),
            V::BackendIp => self.ip(record.and_then(|r| r.backend_source).map(|a| a.ip())),
            V::BackendPort => self.port(record.and_then(|r| r.backend_source)),
            V::ServerIp => self.ip(record.and_then(|r| r.server_address).map(|a| a.ip())),
            V::ServerPort => self.port(record.and_then(|r| r.server_address)),
            V::Frontend => self.text(Some(connection.frontend.as_bytes())),
            V::FrontendTransport => {
                let mark = if connection.tls.is_some() { "~" } else { "" };
                let name = &connection.frontend;
                self.quote();
                self.number(format_args!("{name}{mark}"));
                self.quote();
            }
            V::Backend => self.text(
                record
                    .map(|r| r.backend)
                    .or(view.backend)
                    .map(str::as_bytes),
            ),
            V::Server => self.text(record.map(|r| r.server).or(view.server).map(str::as_bytes)),
            V::TlsVersion => self.text(connection.tls.as_ref().map(|t| t.version.as_bytes())),
            V::TlsCipher => self.text(connection.tls.as_ref().map(|t| t.cipher.as_bytes())),
            V::UniqueId => self.text(view.state.unique_id()),
            V::RequestCookie => self.text(record.and_then(|r| r.request_cookie)),
            V::ResponseCookie => self.text(record.and_then(|r| r.response_cookie)),
            V::Elsewhere => self.missing(),
            V::ProcessId => self.serial(crate::process::id()),
            V::RequestNumber => self.serial(next_request()),
            V::RequestCaptures => self.braces(&view.state.captures.request),
            V::ResponseCaptures => self.braces(&view.state.captures.response),
            V::RequestCaptureList => self.list(&view.state.captures.request),
            V::ResponseCaptureList => self.list(&view.state.captures.response),
            V::Status => match record.map(|r| r.status) {
                Some(Some(status)) => self.number(format_args!("{status}")),
                Some(None) => self.number(format_args!("-1")),
                // In a rule, the response that it sees.
                None => match view.response {
                    Some(head) => self.number(format_args!("{}", head.status())),
                    None => self.missing(),
                },
            },
            V::BytesRead => self.size(record.map(|r| r.bytes_read), true),
            V::BytesUploaded => self.size(record.map(|r| r.bytes_uploaded), true),
            V::TerminationShort | V::Termination => self.termination(variable),
            V::Request
            | V::HttpMethod
            | V::HttpPath
            | V::HttpPathOnly
            | V::HttpQuery
            | V::HttpUri
            | V::HttpVersion => self.request(variable),
            V::ProcessConnections
            | V::FrontendConnections
            | V::BackendConnections
            | V::ServerConnections
            | V::Retries
            | V::ServerQueue
            | V::BackendQueue => {
                self.counts(variable);
            }
            V::Date
            | V::DateGmt
            | V::DateLocal
            | V::Timestamp
            | V::Milliseconds
            | V::RequestDate
            | V::RequestDateGmt
            | V::RequestDateLocal => self.date(variable),
            V::TimeActive
            | V::TimeConnect
            | V::TimeData
            | V::TimeHandshake
            | V::TimeIdle
            | V::TimeAll
            | V::TimeRequest
            | V::TimeResponse
            | V::TimeTotal
            | V::TimeUser
            | V::TimeQueue => self.timer(variable),
        }
    }

    fn timer(&mut self, variable: Variable) {
        use Variable as V;
        let timers = self.record.map(|r| r.timers);
        match variable {
            V::TimeHandshake => self.time(timers.map(|t| Some(t.handshake)), false),
            V::TimeIdle => self.time(timers.map(|t| Some(t.idle)), false),
            V::TimeAll => {
                self.time(
                    timers.map(|t| t.request.map(|r| t.handshake + t.idle + r)),
                    false,
                );
            }
            V::TimeRequest => self.time(timers.map(|t| t.request), false),
            V::TimeQueue => self.time(timers.map(|t| t.queue), false),
            V::TimeConnect => self.time(timers.map(|t| t.connect), false),
            V::TimeResponse => self.time(timers.map(|t| t.response), false),
            V::TimeData => self.time(timers.map(|t| t.data()), true),
            V::TimeActive => self.time(timers.map(|t| Some(t.active)), true),
            V::TimeUser => {
                self.time(timers.map(|t| Some(t.total.saturating_sub(t.idle))), true);
            }
            _ => self.time(timers.map(|t| Some(t.total)), true),
        }
    }

    fn counts(&mut self, variable: Variable) {
        use Variable as V;
        let counts = self.record.map(|r| r.counts);
        match variable {
            V::ProcessConnections => self.count(counts.map(|c| c.process)),
            V::FrontendConnections => self.count(counts.map(|c| c.frontend)),
            V::BackendConnections => self.count(counts.map(|c| c.backend)),
            V::ServerConnections => self.count(counts.map(|c| c.server)),
            V::ServerQueue => self.count(counts.map(|c| c.server_queue)),
            V::BackendQueue => self.count(counts.map(|c| c.backend_queue)),
            _ => {
                if counts.is_some_and(|c| c.redispatched) {
                    self.out.push(b'+');
                }
                self.count(counts.map(|c| c.retries));
            }
        }
    }

    fn date(&mut self, variable: Variable) {
        use Variable as V;
        let accepted = self.view.connection.accepted_date;
        let of_request = matches!(
            variable,
            V::RequestDate | V::RequestDateGmt | V::RequestDateLocal
        );
        let moment = match self.record {
            Some(record) if of_request => record.request_date,
            _ => accepted,
        };
        let (seconds, millis) = date::epoch(moment);
        let offset = match variable {
            V::DateGmt | V::RequestDateGmt => 0,
            _ => self.record.map_or(0, |r| r.utc_offset),
        };
        match variable {
            V::Timestamp if self.flags.hex => self.number(format_args!("{seconds:08X}")),
            V::Timestamp => self.number(format_args!("{seconds}")),
            V::Milliseconds if self.flags.hex => self.number(format_args!("{millis:02X}")),
            V::Milliseconds => self.number(format_args!("{millis:03}")),
            _ => {
                date::write_log(&Civil::new(seconds, offset), self.out);
                if matches!(variable, V::Date | V::RequestDate) {
                    drop(write!(self.out, ".{millis:03}"));
                } else {
                    date::write_zone(offset, self.out);
                }
            }
        }
    }

    fn termination(&mut self, variable: Variable) {
        let Some(end) = self.record.map(|r| r.termination) else {
            return self.missing();
        };
        let codes = [end.cause, end.phase, end.client_cookie, end.server_cookie];
        let length = if variable == Variable::Termination {
            4
        } else {
            2
        };
        self.out
            .extend_from_slice(codes.get(..length).unwrap_or_default());
    }

    /// The request line and its parts; `<BADREQ>` where none was received.
    fn request(&mut self, variable: Variable) {
        use Variable as V;
        let Some(record) = self.record else {
            let head = self.view.request;
            let part = match variable {
                V::HttpMethod => head.map(|h| h.method()),
                V::HttpUri => head.map(|h| h.target()),
                V::HttpPath | V::HttpPathOnly => head.map(|h| split(h.target()).path),
                V::HttpQuery => head.and_then(|h| split(h.target()).query),
                _ => None,
            };
            return self.text(part);
        };
        let Some(line) = record.request_line else {
            return match variable {
                V::HttpQuery => self.missing(),
                _ => self.text(Some(b"<BADREQ>")),
            };
        };
        match variable {
            V::HttpMethod => self.text(Some(line.method)),
            V::HttpUri => self.text(Some(line.target)),
            V::HttpVersion => self.text(Some(line.version.as_bytes())),
            V::HttpPath => {
                let end = memchr::memchr(b'?', line.target).unwrap_or(line.target.len());
                self.text(line.target.get(..end));
            }
            V::HttpPathOnly => self.text(Some(split(line.target).path)),
            V::HttpQuery => {
                // None is nothing, not `-`.
                let start = memchr::memchr(b'?', line.target);
                let query = start.and_then(|at| line.target.get(at..));
                self.quoted(query.unwrap_or_default(), Kind::Text);
            }
            _ => {
                self.quote();
                for (index, part) in [line.method, line.target, line.version.as_bytes()]
                    .into_iter()
                    .enumerate()
                {
                    if index > 0 {
                        self.out.push(b' ');
                    }
                    self.escaped(part, Kind::Text);
                }
                self.quote();
            }
        }
    }

    /// `{a|b}`; nothing at all where nothing is to be captured.
    fn braces(&mut self, captures: &[Option<Vec<u8>>]) {
        if captures.is_empty() {
            return;
        }
        self.quote();
        self.out.push(b'{');
        for (index, value) in captures.iter().enumerate() {
            if index > 0 {
                self.out.push(b'|');
            }
            self.escaped(value.as_deref().unwrap_or_default(), Kind::Capture);
        }
        self.out.push(b'}');
        self.quote();
    }

    /// Captures one by one, with blanks between them.
    fn list(&mut self, captures: &[Option<Vec<u8>>]) {
        for (index, value) in captures.iter().enumerate() {
            if index > 0 {
                self.out.push(b' ');
            }
            match value {
                Some(value) => self.quoted(value, Kind::Capture),
                None => self.missing(),
            }
        }
    }
}
