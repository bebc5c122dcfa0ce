//! `tcp-response content` and `stick store-response` in HTTP mode, once the head of the response is there.

use std::sync::Arc;

use super::Exchange;
use crate::{
    config::ProxyConfig,
    dataplane::{clock, connect::Dialed, session::Connection},
    head::HeadRef,
    request::RequestView,
    rules::AnswerVerdict,
};

/// What becomes of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inspected {
    /// It goes on.
    Passes,
    /// It is the last of its connection.
    IsLast,
    /// The client gets nothing.
    Refused,
}

/// The rules of `proxy` over a response whose head is at the front of the server's input.
pub(super) fn inspect(
    connection: &mut Connection,
    x: &mut Exchange,
    proxy: &ProxyConfig,
    dialed: &Dialed,
) -> Inspected {
    if !proxy.rules.inspects_answers() {
        return Inspected::Passes;
    }
    let now = clock::recent();
    let server = dialed.lease.server();
    connection.state.server = server.map(|server| Arc::clone(&server.config().name));
    let received = dialed.server.input.bytes();
    let request = HeadRef::new(&x.request, connection.client.input.kept());
    let response = HeadRef::new(&x.response, received);
    let verdict = proxy.rules.on_answer(
        now,
        &connection.info,
        (Some(request), Some(response)),
        (received, true),
        &mut connection.state,
    );
    connection.client.stream.mark(&mut connection.state);
    let inspected = match verdict {
        AnswerVerdict::Accept | AnswerVerdict::NeedMore { .. } => Inspected::Passes,
        AnswerVerdict::Close => Inspected::IsLast,
        AnswerVerdict::Reject | AnswerVerdict::SilentDrop => {
            if verdict == AnswerVerdict::SilentDrop {
                connection.vanish();
            }
            connection.count_denied_response(&dialed.lease);
            x.trace.end_with(b'P', b'D');
            return Inspected::Refused;
        }
    };
    if let Some(server) = server {
        let view = RequestView::new(now, &connection.info, &connection.state)
            .with_request(request)
            .with_response(response)
            .with_answer(received, true)
            .with_backend(&proxy.name);
        proxy.rules.learn(&view).remember(now, server);
    }
    inspected
}
