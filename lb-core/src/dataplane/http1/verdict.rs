//! Rules about responses: whether one goes on to its client, and what comes in its place if not.

use std::{rc::Rc, sync::Arc};

use super::{
    Exchange,
    answer::Answer,
    hold::{self, Wait},
    reply::set_cookie,
};
use crate::{
    config::ProxyConfig,
    cookie,
    dataplane::{clock, connect::Dialed, session::Connection},
    head::{HeadMut, HeadRef},
    http1::{Method, ResponseSummary},
    log::events::{self, level},
    rules::ResponseVerdict,
    server::Server,
};

/// What the rules make of a response.
pub(super) enum Ruled {
    /// It goes on.
    Passes,
    /// The client gets this instead.
    Answered(Answer),
    /// The client gets nothing.
    Dropped,
}

/// Whether neither proxy has anything to say about any response, as most have not.
pub(super) fn passes_as_it_is(connection: &Connection, backend: &ProxyConfig) -> bool {
    connection.frontend().rules.pass_every_response()
        && backend.rules.pass_every_response()
        && !backend.backend.as_ref().is_some_and(|b| b.check_cache)
}

/// Rules and log lines know the server by name from now on.
pub(super) fn note_server(connection: &mut Connection, dialed: &Dialed) {
    let server = dialed.lease.server();
    connection.state.server = server.map(|server| Arc::clone(&server.config().name));
}

/// `http-response` rules, the backend's first.
pub(super) async fn apply_rules(
    connection: &mut Connection,
    x: &mut Exchange,
    backend: &ProxyConfig,
    dialed: &mut Dialed,
    (response, asked): (&ResponseSummary, Method),
) -> Ruled {
    let listener = Rc::clone(&connection.listener);
    let frontend = listener.frontend.config();
    let same = frontend.name == backend.name;
    let proxies = [Some(backend), (!same).then_some(frontend)];
    let head = HeadRef::new(&x.response, dialed.server.input.bytes());
    frontend.rules.note_response(head, &mut connection.state);
    for proxy in proxies.into_iter().flatten() {
        let verdict = loop {
            let request = HeadRef::new(&x.request, connection.client.input.kept());
            let mut head = HeadMut::new(&mut x.response, dialed.server.input.bytes());
            let (info, state) = (&connection.info, &mut connection.state);
            let rules = &proxy.rules;
            match rules.on_response(clock::recent(), info, Some(request), &mut head, state) {
                ResponseVerdict::WaitForBody { time, at_least } => {
                    let time = Some(time);
                    let wait = Wait { time, at_least };
                    // Boxed: few need it.
                    let held = Box::pin(hold::response(connection, x, dialed, response, wait));
                    if let Some(answer) = held.await {
                        return Ruled::Answered(answer);
                    }
                }
                verdict => break verdict,
            }
        };
        connection.client.stream.mark(&mut connection.state);
        if matches!(verdict, ResponseVerdict::Deny { .. }) {
            connection.count_denied_response(&dialed.lease);
        }
        match ruled(connection, x, verdict) {
            Ruled::Passes => {}
            ended => return ended,
        }
    }
    if backend.backend.as_ref().is_some_and(|b| b.check_cache)
        && let Some(answer) = check_cache(connection, x, backend, dialed)
    {
        return Ruled::Answered(answer);
    }
    // Those rules see the cookie, as HAProxy's do.
    set_cookie(x, asked, dialed);
    after_response(connection, x, proxies, dialed.server.input.bytes())
}

/// `http-after-response` rules over the head in `x.response`, which is at the front of `input`.
pub(super) fn after_response(
    connection: &mut Connection,
    x: &mut Exchange,
    proxies: [Option<&ProxyConfig>; 2],
    input: &[u8],
) -> Ruled {
    let request = HeadRef::new(&x.request, connection.client.input.kept());
    let mut head = HeadMut::new(&mut x.response, input);
    let (now, info, state) = (clock::recent(), &connection.info, &mut connection.state);
    for proxy in proxies.into_iter().flatten() {
        let rules = &proxy.rules;
        let verdict = rules.on_after_response(now, info, Some(request), &mut head, state);
        if verdict == ResponseVerdict::Fail {
            return Ruled::Answered(rewrite_failed(connection, x));
        }
    }
    Ruled::Passes
}

/// `option checkcache`: what is answered in place of a response that a cache could keep with its cookie.
fn check_cache(
    connection: &Connection,
    x: &mut Exchange,
    proxy: &ProxyConfig,
    dialed: &Dialed,
) -> Option<Answer> {
    let head = HeadRef::new(&x.response, dialed.server.input.bytes());
    if !cookie::is_cacheable_with_cookie(x.asked, head) {
        return None;
    }
    let server = dialed.lease.server().map(Server::config);
    let name = server.map_or("<NOSRV>", |server| &*server.name);
    let text = events::cacheable_cookie(&proxy.name, name);
    let sinks = &connection.worker.sinks;
    sinks.log(proxy, level::ALERT, text.as_bytes());
    connection.count_denied_response(&dialed.lease);
    x.trace.end_with(b'P', b'H');
    Some(Answer::Page(502))
}

/// A rule could not rewrite a response that was not to go on without.
fn rewrite_failed(connection: &mut Connection, x: &mut Exchange) -> Answer {
    x.trace.end_with(b'P', b'H');
    connection.count_internal_error(x.trace.backend);
    Answer::Page(500)
}

/// What a verdict makes of a response.
pub(super) fn ruled(
    connection: &mut Connection,
    x: &mut Exchange,
    verdict: ResponseVerdict,
) -> Ruled {
    match verdict {
        ResponseVerdict::Continue | ResponseVerdict::WaitForBody { .. } => Ruled::Passes,
        ResponseVerdict::Deny { status, reply } => {
            x.trace.end_with(b'P', b'H');
            Ruled::Answered(reply.map_or(Answer::Page(status), Answer::reply))
        }
        ResponseVerdict::Redirect(redirect) => {
            x.trace.end_with(b'L', b'H');
            Ruled::Answered(Answer::Redirect(redirect))
        }
        ResponseVerdict::Return(reply) => {
            x.trace.end_with(b'L', b'H');
            Ruled::Answered(Answer::reply(reply))
        }
        ResponseVerdict::SilentDrop => {
            x.trace.end_with(b'P', b'H');
            connection.vanish();
            Ruled::Dropped
        }
        ResponseVerdict::Fail => Ruled::Answered(rewrite_failed(connection, x)),
    }
}
