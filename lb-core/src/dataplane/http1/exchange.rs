//! One request from its first byte to its log line.

use std::time::Instant;

use super::{
    Exchange, Next,
    answer::Answer,
    cached, forward,
    prepare::{self, Prepared},
};
use crate::{
    config::Mode,
    dataplane::{
        buffer, clock,
        registry::Order,
        session::{Connection, Gone},
        trace::Trace,
    },
    head::{Head, HeadMut, HeadRef, Version},
    http1::{Leniency, Limits, Method, Progress, RequestSummary, ResponseDecoder, take_close_out},
    log::RequestLine,
    stick_table::Event,
};

/// Serves one request; its first byte is in the client's input since it `began`. `number` counts the requests before it.
pub(super) async fn serve(
    connection: &mut Connection,
    x: &mut Exchange,
    number: u32,
    began: Instant,
) -> Next {
    begin(connection, x, number, began);
    let summary = match read_head(connection, x).await {
        Ok(summary) => summary,
        Err(refusal) => {
            // HAProxy counts what came in place of a request among the requests.
            connection.count_request(clock::recent());
            return refuse(connection, x, refusal).await;
        }
    };
    connection.count_request(clock::recent());
    if connection.frontend().mode == Mode::Http {
        connection.log_connect();
    }
    let next = match prepare::prepare(connection, x, &summary).await {
        Prepared::Forward(plan) => forward::forward(connection, x, &summary, plan, number).await,
        Prepared::Answer(answer) => answer.send(connection, x, Some(&summary)).await,
        // Boxed: others do not hold what it needs.
        Prepared::Cached(found) => Box::pin(cached::serve(connection, x, &summary, found)).await,
        Prepared::Drop => Next::Close,
    };
    finish(connection, x, true);
    next
}

/// A head that did not come, or not as one.
struct Refusal {
    /// Status of the answer; `None` sends none.
    status: Option<u16>,
    /// Cause of the termination; the phase is the request's.
    cause: u8,
}

fn begin(connection: &mut Connection, x: &mut Exchange, number: u32, now: Instant) {
    let mut leniency = super::leniency(connection.frontend().invalid_requests);
    leniency.old_content = connection.listener.balancer.config.global.old_content;
    x.decoder.reset_to(leniency);
    let of_http2 = connection.client.stream.http2_origin().is_some();
    x.decoder.allow_no_host(of_http2);
    let sizes = connection.sizes();
    x.decoder.set_limits(match of_http2 {
        true => sizes.http2(),
        false => sizes.http1(),
    });
    x.forwarding = false;
    x.upload_broken = false;
    x.ends_at_client_end = false;
    x.line.clear();
    x.method_len = 0;
    connection.state.begin_transaction();
    connection.state.number = number;
    let info = &connection.info;
    x.trace = Trace::begin(now);
    if number == 0 {
        x.trace.timers.handshake = connection.handshake;
    }
    let idle_since = if number == 0 {
        info.accepted_at + connection.handshake
    } else {
        connection.idle_since
    };
    x.trace.timers.idle = now.saturating_duration_since(idle_since);
}

/// Reads the head of a request into `x.request`; its bytes are kept at the front of the client's input.
async fn read_head(
    connection: &mut Connection,
    x: &mut Exchange,
) -> Result<RequestSummary, Refusal> {
    let sizes = connection.sizes();
    let timeouts = &connection.frontend().timeouts;
    let timeout = timeouts.http_request.or(timeouts.client);
    connection.timer.after(x.trace.started, timeout);
    loop {
        let input = connection.client.input.bytes();
        match x.decoder.decode(input, &mut x.request) {
            Ok(Progress::Complete(mut summary)) => {
                let origin = connection.client.stream.http2_origin();
                if origin.is_some() {
                    summary.version = Version::Http2;
                    x.request.version = Version::Http2;
                }
                let head = HeadRef::new(&x.request, input);
                if is_logged(connection) {
                    x.line.extend_from_slice(head.method());
                    x.method_len = x.line.len();
                    x.line.extend_from_slice(origin.unwrap_or_default());
                    x.line.extend_from_slice(head.target());
                }
                x.trace.bytes_uploaded = head.weight();
                let after_head = input.get(summary.head_len..).unwrap_or_default();
                if let Err(error) = summary.framing.check_start(after_head, super::LENIENCY) {
                    return Err(Refusal {
                        status: Some(error.status()),
                        cause: b'P',
                    });
                }
                connection.client.input.keep(summary.head_len);
                if !summary.persistent {
                    // It was said of the client's connection: rules say what the server hears of its own.
                    let kept = connection.client.input.kept();
                    take_close_out(&mut HeadMut::new(&mut x.request, kept));
                }
                let now = clock::recent();
                x.trace.timers.request = Some(x.trace.since_start(now));
                return Ok(summary);
            }
            Ok(Progress::Partial) => {}
            Err(error) => {
                return Err(Refusal {
                    status: Some(error.status()),
                    cause: b'P',
                });
            }
        }
        let fragment = x.decoder.has_started(connection.client.input.bytes());
        // There is room until the decoder says that the head is too large.
        connection.client.input.makes_room(sizes.buffer());
        let read = connection
            .wait(|client, cx| client.poll_fill(cx, buffer::SIZE))
            .await;
        let (status, cause) = match read {
            Ok(Ok(count)) if count > 0 => continue,
            Err(Gone::TimedOut) => (Some(408), b'c'),
            Err(Gone::Killed) => (None, b'K'),
            // Empty lines alone are no request.
            Ok(_) | Err(Gone::Client) => (fragment.then_some(400), b'C'),
        };
        return Err(Refusal { status, cause });
    }
}

/// Answers something that is no request, and logs it as `<BADREQ>`.
async fn refuse(connection: &mut Connection, x: &mut Exchange, refusal: Refusal) -> Next {
    x.trace.end_with(refusal.cause, b'R');
    connection.count_bad_request();
    connection.count_tracked(Event::HttpRequest);
    connection.count_tracked(Event::HttpError);
    if let Some(status) = refusal.status {
        Answer::Raw(status).send(connection, x, None).await;
    }
    finish(connection, x, false);
    if refusal.cause == b'C' && connection.client.ended {
        Next::Close
    } else {
        Next::Linger
    }
}

/// A connection that ended, or whose time was over, before its first byte.
pub(super) async fn refuse_silent(connection: &mut Connection, status: u16, cause: u8) {
    let proxy = connection.frontend();
    let (quiet, probes) = (proxy.dontlognull, proxy.ignore_probes);
    if quiet || probes || connection.member.order() >= Order::Finish {
        return;
    }
    let mut x = Box::new(Exchange::new());
    begin(connection, &mut x, 0, clock::recent());
    x.trace.started = connection.info.accepted_at;
    refuse(
        connection,
        &mut x,
        Refusal {
            status: Some(status),
            cause,
        },
    )
    .await;
}

/// Counts and logs.
fn finish(connection: &mut Connection, x: &mut Exchange, valid: bool) {
    connection.count_stream(&x.trace);
    connection.state.settle_captures();
    log(connection, x, valid, Connection::log);
    connection.state.trackers.end_stream();
    let now = clock::recent();
    connection.idle_since = now;
    // As with HAProxy: its date in the log is that of the next request.
    connection.info.accept_again(now, clock::date(now));
}

/// The response begins, of which so many bytes have come: that is when some want the line (`option logasap`).
pub(super) fn log_early(connection: &mut Connection, x: &mut Exchange, come: u64) {
    if connection.frontend().logasap {
        connection.state.settle_captures();
        x.trace.bytes_read += come;
        log(connection, x, true, Connection::log_early);
        x.trace.bytes_read -= come;
    }
}

/// Whether anybody gets log lines of requests.
fn is_logged(connection: &Connection) -> bool {
    !connection.frontend().logs.is_empty()
}

/// Shows the line of the request to whoever writes it.
fn log(
    connection: &Connection,
    x: &mut Exchange,
    valid: bool,
    write: fn(&Connection, &mut Trace, Option<RequestLine<'_>>, Option<HeadRef<'_>>),
) {
    if !is_logged(connection) {
        return;
    }
    let (method, target) = x.line.split_at_checked(x.method_len).unwrap_or_default();
    let line = valid.then_some(RequestLine {
        method,
        target,
        version: match x.request.version {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
            Version::Http2 => "HTTP/2.0",
        },
    });
    // Its bytes are kept until the caller forgets them.
    let head = valid.then(|| HeadRef::new(&x.request, connection.client.input.kept()));
    write(connection, &mut x.trace, line, head);
}

/// The size in log lines and byte counters of an answer that was written as text.
pub(super) fn size_of_answer(head: &[u8]) -> u64 {
    let mut parsed = Head::default();
    let mut decoder = ResponseDecoder::new(Limits::NONE, Leniency::HAPROXY, Method::Get);
    match decoder.decode(head, &mut parsed) {
        Ok(Progress::Complete(_)) => HeadRef::new(&parsed, head).weight(),
        _ => head.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_haproxys_log() {
        // The figures of the reference run: 503 page of 217 bytes, answer of 179 bytes with a body of 128.
        let page = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 107\r\ncache-control: no-cache\r\n\
            content-type: text/html\r\nconnection: close\r\n\r\n";
        assert_eq!(size_of_answer(page) + 107, 217);
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 128\r\nConnection: close\r\n\r\n";
        assert_eq!(size_of_answer(answer) + 128, 179);
    }
}
