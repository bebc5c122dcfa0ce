//! Answers from a cache: what is kept passes the rules for responses, and compression, as if a server had sent it.

use std::{io::IoSlice, rc::Rc};

use super::{
    Exchange, Next,
    answer::flush,
    forward::choose_compression,
    verdict::{Ruled, after_response, ruled},
};
use crate::{
    cache::{Found, Object},
    compression,
    config::ProxyConfig,
    dataplane::{clock, registry::Order, rt, session::Connection, squeeze::Squeeze},
    head::{HeadMut, HeadRef},
    http1::{
        Body, ConnectionOption, Framing, Method, RequestSummary, client_stays, framing_of_status,
        write_response_head,
    },
    rules::ResponseVerdict,
};

/// Content that is copied behind its head.
const JOINED: usize = 16 * 1024;
/// Content that is sent, or compressed, before others have their turn.
const PIECE: usize = 64 * 1024;

/// Answers with what was found.
pub(super) async fn serve(
    connection: &mut Connection,
    x: &mut Exchange,
    summary: &RequestSummary,
    found: Found,
) -> Next {
    let object = found.object;
    write_head(x, &object, found.known);
    // As it is kept: rules come later.
    let head_size = HeadRef::new(&x.response, b"").weight();
    let listener = Rc::clone(&connection.listener);
    let frontend = listener.frontend.config();
    let backend = x.trace.backend;
    let backend = backend.and_then(|index| listener.balancer.backend_proxy(index));
    let backend = backend.unwrap_or(frontend);
    match apply_rules(connection, x, (backend, frontend), &object) {
        Ruled::Passes => {}
        Ruled::Answered(answer) => return answer.send(connection, x, Some(summary)).await,
        Ruled::Dropped => return Next::Close,
    }
    let head_only = found.known || summary.method == Method::Head;
    let was = match found.known {
        true => 304,
        false => object.head().status,
    };
    let mut squeeze = match head_only || x.response.status != was {
        true => None,
        false => squeeze(connection, x, backend, object.body()),
    };
    let framing = match (head_only, &squeeze) {
        (true, _) => Framing::None,
        (_, Some(_)) => Framing::Chunked,
        _ => Framing::Length(object.body().len() as u64),
    };
    let framing = framing_of_status(framing, was, x.response.status);
    let head_only = head_only || framing.is_empty();
    let stays = client_stays(summary, framing, frontend.http_mode)
        // A content that was not read would be taken for the next request.
        && summary.framing.is_empty()
        && connection.member.order() == Order::Run
        && !connection.client.ended;
    let option = match stays {
        true => ConnectionOption::new(summary.version, true),
        false => ConnectionOption::Close,
    };
    let head = HeadRef::new(&x.response, b"");
    x.trace.status = Some(head.status());
    x.trace.bytes_read = head_size;
    write_response_head(
        head,
        framing,
        option,
        frontend.names,
        x.down.restart(Body::Done),
    );
    connection.adjust_case(connection.is_bogus(), x.down.ahead());
    let content = match head_only {
        true => &[],
        false => object.body(),
    };
    let sent = match &mut squeeze {
        Some(squeeze) => send_compressed(connection, x, squeeze, content).await,
        None => send(connection, x, content).await,
    };
    match (sent, stays) {
        (true, true) => Next::Request,
        (true, false) if !connection.client.input.is_empty() => Next::Linger,
        _ => Next::Close,
    }
}

/// The head in `x.response`: as it is kept, with its age; 304 for a client that has the rest.
fn write_head(x: &mut Exchange, object: &Object, known: bool) {
    x.response.copy_from(object.head());
    let mut head = HeadMut::new(&mut x.response, b"");
    let length = object.body().len().to_string();
    let stated = head.as_ref().value(b"content-length");
    if stated.map_or(!known, |stated| stated != length.as_bytes()) {
        head.set(b"content-length", length.as_bytes());
    }
    if known {
        head.set_status(304, b"Not Modified");
    }
    let age = object.age(clock::recent()).to_string();
    head.add(b"age", age.as_bytes());
}

/// `http-response` and `http-after-response` rules, the backend's first; what they answer in place of it.
fn apply_rules(
    connection: &mut Connection,
    x: &mut Exchange,
    (backend, frontend): (&ProxyConfig, &ProxyConfig),
    object: &Object,
) -> Ruled {
    let same = frontend.name == backend.name;
    let proxies = [Some(backend), (!same).then_some(frontend)];
    let head = HeadRef::new(&x.response, b"");
    frontend.rules.note_response(head, &mut connection.state);
    for proxy in proxies.into_iter().flatten() {
        let verdict = loop {
            let request = HeadRef::new(&x.request, connection.client.input.kept());
            let mut head = HeadMut::new(&mut x.response, b"");
            let (info, state) = (&connection.info, &mut connection.state);
            let rules = &proxy.rules;
            match rules.on_response(clock::recent(), info, Some(request), &mut head, state) {
                // All of it is there.
                ResponseVerdict::WaitForBody { .. } => {
                    state.bodies().response = object.body().to_vec();
                }
                verdict => break verdict,
            }
        };
        connection.client.stream.mark(&mut connection.state);
        if matches!(verdict, ResponseVerdict::Deny { .. }) {
            connection.count_denied_hit(x.trace.backend);
            // HAProxy's log has no time of such a response.
            x.trace.timers.response = None;
        }
        match ruled(connection, x, verdict) {
            Ruled::Passes => {}
            ended => return ended,
        }
    }
    after_response(connection, x, proxies, b"")
}

/// What compresses the content, if that is wished for; the head in `x.response` says so then.
fn squeeze(
    connection: &mut Connection,
    x: &mut Exchange,
    backend: &ProxyConfig,
    content: &[u8],
) -> Option<Squeeze> {
    let (algorithm, compression) = choose_compression(connection, x, backend)?;
    let mut head = HeadMut::new(&mut x.response, b"");
    if !compression.suits(head.as_ref()) {
        return None;
    }
    let squeeze = Squeeze::new(algorithm, Framing::Length(content.len() as u64))?;
    compression::announce(algorithm, &mut head);
    connection.state.marked().compressed = Some(algorithm);
    Some(squeeze)
}

/// Sends the head in `x.down`, and behind it the content compressed.
async fn send_compressed(
    connection: &mut Connection,
    x: &mut Exchange,
    squeeze: &mut Squeeze,
    content: &[u8],
) -> bool {
    for piece in content.chunks(PIECE) {
        // No framing can be wrong here.
        if squeeze.pass(piece, x.down.ahead()).is_err() || !flush(connection, x).await {
            return false;
        }
        x.trace.bytes_read += squeeze.sent();
        x.down.restart(Body::Done);
        rt::yield_now().await;
    }
    true
}

/// Sends the head in `x.down`, and behind it the content; what is more than a buffer holds goes without a copy.
async fn send(connection: &mut Connection, x: &mut Exchange, content: &[u8]) -> bool {
    let (joined, rest) = content.split_at(content.len().min(JOINED));
    x.down.ahead().extend_from_slice(joined);
    x.trace.bytes_read += joined.len() as u64;
    if !flush(connection, x).await {
        return false;
    }
    let mut left = rest;
    while !left.is_empty() {
        let timeout = connection.frontend().timeouts.client;
        connection.timer.after(clock::recent(), timeout);
        let piece = left.get(..PIECE).unwrap_or(left);
        let sent = connection
            .wait(|client, cx| client.stream.poll_write(cx, &[IoSlice::new(piece)]))
            .await;
        match sent {
            Ok(Ok(count)) if count > 0 => {
                left = left.get(count..).unwrap_or_default();
                x.trace.bytes_read += count as u64;
                connection.client.active = clock::recent();
            }
            // The log says who answered, however that ends: as HAProxy's does.
            _ => return false,
        }
        rt::yield_now().await;
    }
    // TLS may still hold some of it back.
    let flushed = connection
        .wait(|client, cx| client.stream.poll_flush(cx))
        .await;
    matches!(flushed, Ok(Ok(())))
}
