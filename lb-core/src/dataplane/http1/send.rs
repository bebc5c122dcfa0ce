//! The request on its way to the server, until the head of the final response is there.

use std::task::{Context, Poll};

use super::{
    Exchange,
    wait::{Patience, Step},
};
use crate::{
    dataplane::{
        buffer, clock,
        flow::{Fault, Side, Waits},
        session::Connection,
        websocket,
    },
    head::{HeadRef, Version},
    http1::{ConnectionOption, Framing, Names, Progress, ResponseSummary, write_response_head},
};

/// Sends the request and waits for the head of the final response; interim ones are passed on.
pub(super) async fn await_response(
    connection: &mut Connection,
    x: &mut Exchange,
    server: &mut Side,
    patience: Patience,
) -> Result<ResponseSummary, Step> {
    let sent_from = clock::recent();
    let most = connection.sizes().buffer();
    loop {
        match x.answers.decode(server.input.bytes(), &mut x.response) {
            Ok(Progress::Complete(response)) if response.is_interim() => {
                server.active = clock::recent();
                pass_interim(x, server, response, connection.frontend().names);
                continue;
            }
            Ok(Progress::Complete(response))
                if response.status == 101 && !shakes_hands(connection, x, server) =>
            {
                return Err(Step::BadResponse);
            }
            Ok(Progress::Complete(response)) => {
                server.active = clock::recent();
                let waited = server.active.saturating_duration_since(sent_from);
                x.trace.timers.response = Some(waited);
                return Ok(response);
            }
            Ok(Progress::Partial) if server.input.makes_room(most) => {}
            Ok(Progress::Partial) | Err(_) => return Err(Step::BadResponse),
        }
        let step =
            std::future::poll_fn(|cx| poll_request(connection, x, server, patience, cx)).await;
        match step {
            Step::Received | Step::Done => {}
            failed => return Err(failed.or_order(connection)),
        }
    }
}

/// Whether a server that goes over to WebSocket has shown that it means it (RFC 6455 §4.1). Whether its proof is that
/// of the key is for the client to find out, unless the key is ours because its HTTP/2 has none.
fn shakes_hands(connection: &Connection, x: &Exchange, server: &Side) -> bool {
    let request = HeadRef::new(&x.request, connection.client.input.kept());
    if !websocket::is_asked_for(request) {
        return true;
    }
    let response = HeadRef::new(&x.response, server.input.bytes());
    let Some(proof) = response.value(b"sec-websocket-accept") else {
        return false;
    };
    if connection.client.stream.http2_origin().is_none() {
        return true;
    }
    let key = request.value(b"sec-websocket-key").unwrap_or_default();
    proof == websocket::proof(key).as_bytes()
}

/// A 1xx is sent before the final response, in the version of the client.
fn pass_interim(x: &mut Exchange, server: &mut Side, response: ResponseSummary, names: Names) {
    if x.request.version != Version::Http10 {
        let head = HeadRef::new(&x.response, server.input.bytes());
        let out = x.down.ahead();
        write_response_head(head, Framing::None, ConnectionOption::Absent, names, out);
        x.trace.bytes_read += head.weight();
    }
    x.interim = true;
    server.input.consume(response.head_len);
    x.answers.next();
}

/// Sends what there is of the request, passes interim responses on and looks for a response.
fn poll_request(
    connection: &mut Connection,
    x: &mut Exchange,
    server: &mut Side,
    patience: Patience,
    cx: &mut Context<'_>,
) -> Poll<Step> {
    let client = &mut connection.client;
    loop {
        let sent = if x.upload_broken {
            false
        } else {
            match x.up.poll(cx, client, server) {
                Ok(moved) => moved,
                // The server may have answered before it closed: its answer decides.
                Err(Fault::Sink) => {
                    x.upload_broken = true;
                    false
                }
                Err(Fault::Source) => return Poll::Ready(Step::ClientGone),
                Err(Fault::Truncated) => return Poll::Ready(Step::ClientGone),
                Err(Fault::Malformed) => return Poll::Ready(Step::BadRequest),
            }
        };
        let Ok(told) = x.down.poll_ahead(cx, client) else {
            return Poll::Ready(Step::ClientGone);
        };
        let now = clock::recent();
        if sent || told {
            client.active = now;
        }
        if sent {
            server.active = now;
        }
        if x.down.unsent() > buffer::SIZE {
            // A client that takes no interim response is not told of ever more.
            return patience.poll(connection, server, true, cx);
        }
        match server.poll_fill(cx, client.stream.portion()) {
            Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => return Poll::Ready(Step::ServerGone),
            // Its time is that for all of the head, however often a piece of it comes.
            Poll::Ready(Ok(_)) => return Poll::Ready(Step::Received),
            Poll::Pending => {}
        }
        if !sent || x.up.is_done() {
            break;
        }
    }
    // While only the server is waited for, a client that breaks off is noticed, and what it sends is kept.
    if x.up.is_done() && Connection::poll_lost(client, cx).is_ready() {
        return Poll::Ready(Step::ClientGone);
    }
    if x.ends_at_client_end && client.has_ended() {
        return Poll::Ready(Step::ClientGone);
    }
    let for_client = x.up.waits() == Waits::Source && !x.upload_broken;
    patience.poll(connection, server, for_client, cx)
}
