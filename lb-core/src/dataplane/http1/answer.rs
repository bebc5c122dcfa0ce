//! Answers that the proxy gives itself.

use std::{rc::Rc, sync::Arc, task::Poll};

use super::{Exchange, Next, exchange::size_of_answer};
use crate::{
    config::{ErrorPage, HttpMode},
    dataplane::{
        StatsBody, clock,
        flow::{Fault, Waits},
        registry::Order,
        rt,
        session::{Connection, Gone},
    },
    head::{HeadMut, HeadRef, Version},
    http1::{
        self, Body, ConnectionOption, Leniency, Limits, Method, Progress, RequestSummary,
        ResponseDecoder, framing_of_status,
    },
    request::RequestView,
    rules::{Redirect, Reply},
};

/// What is answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// A page for this status, to somebody who has not sent a valid request: closes.
    Raw(u16),
    /// The page for this status.
    Page(u16),
    /// 401 with a challenge for this realm.
    Challenge(Arc<str>),
    /// Elsewhere.
    Redirect(Box<Redirect>),
    /// Words of the configuration.
    Reply(Box<Reply>),
    /// A whole message, written by someone else, and its status for the log.
    Written(u16, Vec<u8>),
    /// A head written by someone else, and what gives its body.
    Streamed(u16, Vec<u8>, Box<dyn StatsBody>),
}

impl Answer {
    fn status(&self) -> u16 {
        match self {
            Self::Raw(status)
            | Self::Page(status)
            | Self::Written(status, _)
            | Self::Streamed(status, ..) => *status,
            Self::Challenge(_) => 401,
            Self::Redirect(redirect) => redirect.status,
            Self::Reply(reply) => reply.status,
        }
    }

    /// Whether `errorfile` may give another.
    fn is_page(&self) -> bool {
        matches!(self, Self::Raw(_) | Self::Page(_))
    }

    /// What a rule says: a page if it names one.
    pub(super) fn reply(reply: Box<Reply>) -> Self {
        match reply.default_page {
            true => Self::Page(reply.status),
            false => Self::Reply(reply),
        }
    }

    /// Sends it, and says what becomes of the connection.
    pub(super) async fn send(
        mut self,
        connection: &mut Connection,
        x: &mut Exchange,
        request: Option<&RequestSummary>,
    ) -> Next {
        let mut file = None;
        if self.is_page() {
            match connection.error_page(x, self.status(), request.is_some()) {
                Instead::Reply(reply) => self = Self::Reply(reply),
                Instead::File(page) => file = Some(page),
                Instead::Nothing => {}
            }
        }
        if let Self::Reply(reply) = &mut self
            && let Some(page) = reply.page.take()
        {
            file = Some(page);
        }
        let status = self.status();
        x.trace.status = Some(status);
        let body_read = request.is_some_and(|r| match x.forwarding && !x.up.is_untouched() {
            true => x.up.is_taken(),
            false => r.framing.is_empty() || swallow(connection, r),
        });
        let mut stays = body_read
            && request.is_some_and(|r| r.persistent && !r.close_after)
            && connection.frontend().http_mode != HttpMode::Close
            && connection.member.order() == Order::Run
            && !connection.client.ended;
        let endless = file.as_ref().is_some_and(|file| !file.is_delimited());
        let old = file
            .as_ref()
            .is_some_and(|file| file.message().starts_with(b"HTTP/1.0"));
        // These pages of HAProxy's say that the connection closes.
        let closing = matches!(self, Self::Raw(_) | Self::Page(400 | 408)) && file.is_none();
        if matches!(self, Self::Raw(_)) || closing || endless {
            stays = false;
        }
        let head_only = request.is_some_and(|r| r.method == Method::Head);
        // HTTP/1.0 has no chunks: the end of the connection is the end of the body.
        let chunked = request.is_some_and(|r| r.version != Version::Http10);
        if matches!(self, Self::Streamed(..)) && !head_only && !chunked {
            stays = false;
        }
        if x.down.has_begun() && !x.down.is_done() {
            // Half of an interim response is out: nothing can be said any more.
            return Next::Close;
        }
        let out = x.down.restart(Body::Done);
        let option = match request {
            Some(r) if stays => ConnectionOption::new(r.version, true),
            // The version says it already.
            _ if endless && old => ConnectionOption::Absent,
            _ => ConnectionOption::Close,
        };
        match (&mut self, file) {
            (_, Some(file)) => write_with_option(file.message(), option, head_only, out),
            (Self::Streamed(_, head, _), _) => {
                if chunked && !head_only {
                    let end = head.len().saturating_sub(2);
                    head.truncate(end);
                    head.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                }
                write_with_option(head, option, true, out);
            }
            (answer, _) => answer.write(option, head_only, out),
        }
        if request.is_some() {
            apply_after_response(connection, x, option);
        }
        let out = x.down.ahead();
        let head_len = memchr::memmem::find(out, b"\r\n\r\n").map_or(out.len(), |at| at + 4);
        let head = out.get_mut(..head_len).unwrap_or_default();
        connection.adjust_case(connection.is_bogus(), head);
        x.trace.bytes_read = match self {
            // HAProxy's message parser answers these, outside of what it counts.
            Self::Raw(_) => 0,
            _ => size_of_answer(out) + (out.len() - head_len) as u64,
        };
        if closing && request.is_some() {
            x.trace.bytes_read += "connectionclose".len() as u64;
        }
        if !flush(connection, x).await {
            return Next::Close;
        }
        if let Self::Streamed(_, _, body) = &mut self
            && !head_only
            // Boxed: seldom, and no burden for connections that only wait.
            && !Box::pin(stream(connection, x, body.as_mut(), chunked)).await
        {
            return Next::Close;
        }
        match (stays, body_read) {
            (true, _) => Next::Request,
            (false, true) if connection.client.input.is_empty() => Next::Close,
            _ => Next::Linger,
        }
    }

    fn write(&self, option: ConnectionOption, head_only: bool, out: &mut Vec<u8>) {
        match self {
            Self::Raw(status) => http1::write_raw_error_page(*status, out),
            Self::Page(status) => http1::write_error_page(*status, &[], option, head_only, out),
            Self::Challenge(realm) => {
                let challenge = format!("Basic realm=\"{realm}\"");
                let extra = [(&b"www-authenticate"[..], challenge.as_bytes())];
                http1::write_error_page(401, &extra, option, head_only, out);
            }
            Self::Redirect(redirect) => {
                let cookies: Vec<_> = redirect
                    .cookies
                    .iter()
                    .map(|cookie| (&b"set-cookie"[..], cookie.as_slice()))
                    .collect();
                http1::write_redirect(redirect.status, &redirect.location, &cookies, option, out);
            }
            Self::Reply(reply) => write_reply(reply, option, head_only, out),
            Self::Written(_, message) | Self::Streamed(_, message, _) => {
                write_with_option(message, option, head_only, out);
            }
        }
    }
}

/// `http-after-response` rules over the answer in `x.down`, the backend's first.
fn apply_after_response(connection: &mut Connection, x: &mut Exchange, option: ConnectionOption) {
    let listener = Rc::clone(&connection.listener);
    let balancer = &listener.balancer;
    let frontend = listener.frontend.config();
    let backend = x
        .trace
        .backend
        .and_then(|index| balancer.backend_proxy(index));
    let proxies = [backend.filter(|b| b.name != frontend.name), Some(frontend)];
    if !proxies
        .into_iter()
        .flatten()
        .any(|p| p.rules.edits_responses())
    {
        return;
    }
    let written = x.down.ahead().clone();
    let mut decoder = ResponseDecoder::new(Limits::NONE, Leniency::HAPROXY, Method::Get);
    let Ok(Progress::Complete(summary)) = decoder.decode(&written, &mut x.response) else {
        return;
    };
    let request = HeadRef::new(&x.request, connection.client.input.kept());
    let mut head = HeadMut::new(&mut x.response, &written);
    for proxy in proxies.into_iter().flatten() {
        // What ends an answer that we give ourselves would be another one of these.
        let _ = proxy.rules.on_after_response(
            clock::recent(),
            &connection.info,
            Some(request),
            &mut head,
            &mut connection.state,
        );
    }
    let out = x.down.ahead();
    out.clear();
    let head = HeadRef::new(&x.response, &written);
    // As with HAProxy, the line tells what a rule has set, not what a page of one's own says of itself.
    if head.status() != summary.status {
        x.trace.status = Some(head.status());
    }
    let framing = framing_of_status(summary.framing, summary.status, head.status());
    http1::write_response_head(head, framing, option, frontend.names, out);
    if framing == summary.framing {
        out.extend_from_slice(written.get(summary.head_len..).unwrap_or_default());
    }
}

fn write_reply(reply: &Reply, option: ConnectionOption, head_only: bool, out: &mut Vec<u8>) {
    let reason = http1::reason_phrase(reply.status);
    out.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", reply.status).as_bytes());
    for (name, value) in &reply.headers {
        http1::write_field(name.as_bytes(), value, out);
    }
    if reply.status >= 200 && reply.status != 204 {
        let length = reply.body.len().to_string();
        http1::write_field(b"content-length", length.as_bytes(), out);
    }
    if let Some(kind) = reply
        .content_type
        .as_ref()
        .filter(|_| !reply.body.is_empty())
    {
        http1::write_field(b"content-type", kind.as_bytes(), out);
    }
    write_end(option, out);
    if !head_only && !matches!(reply.status, 204 | 304) {
        out.extend_from_slice(&reply.body);
    }
}

/// Puts the connection field in front of the empty line of a finished message.
fn write_with_option(message: &[u8], option: ConnectionOption, head_only: bool, out: &mut Vec<u8>) {
    let Some(end) = memchr::memmem::find(message, b"\r\n\r\n") else {
        return out.extend_from_slice(message);
    };
    let (head, body) = message.split_at(end + 2);
    out.extend_from_slice(head);
    write_end(option, out);
    if !head_only {
        out.extend_from_slice(body.get(2..).unwrap_or_default());
    }
}

fn write_end(option: ConnectionOption, out: &mut Vec<u8>) {
    match option {
        ConnectionOption::Close => http1::write_field(b"connection", b"close", out),
        ConnectionOption::KeepAlive => http1::write_field(b"connection", b"keep-alive", out),
        ConnectionOption::Absent | ConnectionOption::Upgrade => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// Takes a body that is wholly in the buffer out of it, so that the connection can stay; false if it is not.
fn swallow(connection: &mut Connection, request: &RequestSummary) -> bool {
    let mut body = Body::new(request.framing, super::LENIENCY);
    let input = &mut connection.client.input;
    match body.pass(input.bytes()) {
        Ok(progress) if progress.done => {
            input.consume(progress.consumed);
            true
        }
        _ => false,
    }
}

/// Sends a body piece by piece; between two pieces others have their turn. False if the client did not take it.
async fn stream(
    connection: &mut Connection,
    x: &mut Exchange,
    body: &mut dyn StatsBody,
    chunked: bool,
) -> bool {
    let mut piece = Vec::new();
    loop {
        piece.clear();
        let more = body.next_piece(&mut piece);
        let out = x.down.restart(Body::Done);
        if !piece.is_empty() {
            if chunked {
                out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            }
            out.extend_from_slice(&piece);
            if chunked {
                out.extend_from_slice(b"\r\n");
            }
        }
        if chunked && !more {
            out.extend_from_slice(b"0\r\n\r\n");
        }
        x.trace.bytes_read += piece.len() as u64;
        if !flush(connection, x).await {
            return false;
        }
        if !more {
            return true;
        }
        rt::yield_now().await;
    }
}

/// Sends the early hints of the rules (RFC 8297), if the client knows interim responses; false if it did not take them.
pub(super) async fn send_hints(connection: &mut Connection, x: &mut Exchange) -> bool {
    let hints = std::mem::take(&mut connection.state.marked().hints);
    if x.request.version == Version::Http10 {
        return true;
    }
    let out = x.down.restart(Body::Done);
    out.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\n");
    out.extend_from_slice(&hints);
    out.extend_from_slice(b"\r\n");
    x.trace.bytes_read += size_of_answer(out);
    let taken = flush(connection, x).await;
    x.down.restart(Body::Done);
    taken
}

/// Sends what lies in `x.down`; false if the client did not take it.
pub(super) async fn flush(connection: &mut Connection, x: &mut Exchange) -> bool {
    let timeout = connection.frontend().timeouts.client;
    connection.timer.after(clock::recent(), timeout);
    let down = &mut x.down;
    let sent = connection
        .wait(|client, cx| match down.poll_ahead(cx, client) {
            Err(fault) => Poll::Ready(Err(fault)),
            Ok(_) if down.waits() == Waits::Nobody => Poll::Ready(Ok(())),
            Ok(_) => Poll::Pending,
        })
        .await;
    let now = clock::recent();
    connection.client.active = now;
    match sent {
        Ok(Ok(())) => return true,
        Ok(Err(Fault::Sink | Fault::Source | Fault::Truncated | Fault::Malformed))
        | Err(Gone::Client) => x.trace.end_with(b'C', b'D'),
        Err(Gone::TimedOut) => x.trace.end_with(b'c', b'D'),
        Err(Gone::Killed) => x.trace.end_with(b'K', b'D'),
    }
    false
}

/// What is sent in place of a built-in page.
enum Instead {
    Reply(Box<Reply>),
    File(Arc<ErrorPage>),
    Nothing,
}

impl Connection {
    /// `http-error` and `errorfile` of the backend, else of the frontend. `valid`: there is a request.
    fn error_page(&self, x: &Exchange, status: u16, valid: bool) -> Instead {
        let of_backend = x
            .trace
            .backend
            .and_then(|index| self.listener.balancer.backend_proxy(index));
        for proxy in of_backend.into_iter().chain([self.frontend()]) {
            let mut view = RequestView::new(clock::recent(), &self.info, &self.state);
            if valid {
                view.request = Some(HeadRef::new(&x.request, self.client.input.kept()));
            }
            match proxy.rules.error_reply(status, &view) {
                // The files of this proxy do not count either.
                Some(reply) if reply.default_page => continue,
                // What is no request is answered with files alone, as HAProxy does.
                Some(reply) if valid || reply.page.is_some() => {
                    return Instead::Reply(Box::new(reply));
                }
                _ => {}
            }
            if let Some(page) = proxy.error_files.get(&status) {
                return Instead::File(Arc::clone(page));
            }
        }
        Instead::Nothing
    }
}
