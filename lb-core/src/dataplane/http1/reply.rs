//! The response on its way back to the client.

use std::{
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    Exchange, LENIENCY, Next,
    answer::Answer,
    exchange::log_early,
    forward::{letter, server_mode},
    hold::{self, Wait},
    inspect::{Inspected, inspect},
    wait::{Patience, Step},
};
use crate::{
    backend::Outcome,
    cache::Visit,
    compression,
    config::{ProxyConfig, Timeouts},
    cookie::{self, Served},
    dataplane::{
        buffer, clock,
        connect::Dialed,
        flow::{Detour, Fault, Flow, Side, Waits},
        registry::Order,
        session::Connection,
        squeeze::Squeeze,
        tee::{self, Tee},
    },
    head::{HeadMut, HeadRef},
    http1::{
        Body, ChunkedDecoder, ConnectionOption, Framing, Method, RequestSummary, ResponseSummary,
        client_framing, client_stays, server_stays, write_response_head,
    },
    log::events::{self, level},
    rules::{Persist, ResponseVerdict},
    server::{Seen, Server},
    stick_table::Event,
};

/// What has come of the content of a response whose head is at the front of the server's input.
fn unread(dialed: &Dialed, response: &ResponseSummary) -> u64 {
    let received = dialed.server.input.bytes().len();
    received.saturating_sub(response.head_len) as u64
}

/// Passes the response back, whose head is in `x.response` and at the front of the server's input.
pub(super) async fn pass_back(
    connection: &mut Connection,
    x: &mut Exchange,
    summary: &RequestSummary,
    proxy: &ProxyConfig,
    mut dialed: Dialed,
    response: ResponseSummary,
) -> Next {
    // As received: rules and cookies come later.
    let head_size = HeadRef::new(&x.response, dialed.server.input.bytes()).weight();
    note_status(connection, &dialed, response.status);
    let inspected = inspect(connection, x, proxy, &dialed);
    let ruled = match inspected {
        Inspected::Refused => Ruled::Dropped,
        Inspected::Passes | Inspected::IsLast => {
            apply_rules(connection, x, proxy, &mut dialed, &response).await
        }
    };
    match ruled {
        Ruled::Passes => {}
        Ruled::Answered(answer) => {
            drop(dialed);
            return answer.send(connection, x, Some(summary)).await;
        }
        Ruled::Dropped => {
            note_refused(x, &dialed, &response, head_size);
            return Next::Close;
        }
    }
    set_cookie(x, summary, &dialed);
    x.trace.status = Some(response.status);
    log_early(connection, x, head_size + unread(&dialed, &response));
    let framing = framing_for(summary, x.asked, &response);
    let (detour, framing) = detour(connection, x, &dialed, (framing, response.framing));
    // An early response does not end the upload: the server may go on reading after it. It does where the server
    // said that it closes, or the client waits for a word that will not come.
    let never_began = summary.expect_continue && x.up.bytes() == 0;
    let drains = response.persistent && !never_began;
    let stays = client_stays(summary, framing, connection.frontend().http_mode)
        && connection.member.order() < Order::Finish
        && !x.upload_broken
        && (x.up.is_done() || drains && !connection.client.ended);
    let option = ConnectionOption::to_client(summary, &response, stays);
    begin(x, &mut dialed, &response, (framing, option), detour);
    connection.adjust_case(connection.is_bogus(), x.down.ahead());
    let timeouts = (&connection.frontend().timeouts, &proxy.timeouts);
    let own = connection.state.own_timeouts();
    let mut patience = Patience {
        client: timeouts.0.client,
        server: own.0.or(timeouts.1.server),
    };
    let tunnel = response.framing == Framing::Tunnel;
    if tunnel {
        patience = begin_tunnel(x, own.1, timeouts, patience);
    }
    let last = !stays && x.up.is_done() && !tunnel;
    if last {
        x.down.set_last();
    }
    let step = std::future::poll_fn(|cx| {
        poll_response(connection, x, &mut dialed.server, (patience, drains), cx)
    })
    .await;
    if last && step == Step::Done {
        connection.client.stream.end();
    }
    if step != Step::Done {
        // What has not come whole is not kept.
        x.down.set_detour(None);
    }
    if step == Step::BadResponse && !x.down.has_begun() {
        x.trace.end_with(b'P', b'H');
        x.trace.timers.response = None;
        drop(dialed.server);
        dialed.lease.finish(Outcome::ResponseFailed);
        return Answer::Page(502).send(connection, x, Some(summary)).await;
    }
    count_bytes(x, head_size, option);
    note_end(x, step);
    let whole = matches!(step, Step::Done);
    let sent_all = x.up.is_done();
    let keeps = whole
        && sent_all
        && inspected == Inspected::Passes
        && server_stays(
            summary,
            &response,
            server_mode(connection.frontend().http_mode, proxy.http_mode),
        );
    if keeps {
        connection.keep(dialed, clock::recent());
    } else {
        if whole && sent_all && !tunnel && !dialed.server.ended {
            // The side that closes first keeps the port for a minute (lb.md trap 23): leave with a reset.
            dialed.server.stream.reset_on_close();
        }
        drop(dialed.server);
        dialed.lease.finish(step.outcome());
    }
    match (whole, stays && sent_all) {
        (true, true) => Next::Request,
        (true, false) if sent_all => Next::Close,
        (true, false) => Next::Linger,
        (false, _) => {
            // A body without a length looks whole when its connection ends well.
            if matches!(framing, Framing::UntilClose | Framing::Tunnel) {
                connection.client.stream.reset_on_close();
            }
            Next::Close
        }
    }
}

/// Bytes both ways, as the log counts them.
fn count_bytes(x: &mut Exchange, head_size: u64, option: ConnectionOption) {
    if option == ConnectionOption::Upgrade {
        x.trace.bytes_read += "connectionupgrade".len() as u64;
    }
    x.trace.bytes_read += head_size + x.down.content_bytes();
    x.trace.bytes_uploaded += x.up.bytes();
}

/// Framing of the response towards its client.
fn framing_for(summary: &RequestSummary, asked: Method, response: &ResponseSummary) -> Framing {
    match (summary.method, asked) {
        // Rules made something else of a HEAD, or a HEAD of something else: the client gets what it asked for.
        (Method::Head, asked) if asked != Method::Head => Framing::None,
        (method, Method::Head) if method != Method::Head => Framing::Length(0),
        _ => client_framing(summary.version, response.framing),
    }
}

/// Writes the head for the client, and says what becomes of the content behind it.
fn begin(
    x: &mut Exchange,
    dialed: &mut Dialed,
    response: &ResponseSummary,
    (framing, option): (Framing, ConnectionOption),
    detour: Option<Detour>,
) {
    let input = &mut dialed.server.input;
    let out = x.down.ahead();
    let head = HeadRef::new(&x.response, input.bytes());
    write_response_head(head, framing, option, out);
    input.consume(response.head_len);
    x.down.set_body(Body::new(response.framing, LENIENCY));
    if detour.is_some() {
        x.down.set_detour(detour);
    } else if framing == Framing::None && !response.framing.is_empty() {
        x.down.hide_body();
    } else if framing != response.framing && response.framing == Framing::Chunked {
        x.down.unwrap_chunks(ChunkedDecoder::new(LENIENCY));
    }
}

/// A response that a rule refused has been read, though nobody got it.
fn note_refused(x: &mut Exchange, dialed: &Dialed, response: &ResponseSummary, head_size: u64) {
    let received = dialed.server.input.bytes().len();
    x.trace.status = Some(response.status);
    x.trace.bytes_read += head_size + received.saturating_sub(response.head_len) as u64;
    x.trace.bytes_uploaded += x.up.bytes();
    x.trace.timers.response = None;
}

/// What the status says of the client, and of the server.
fn note_status(connection: &Connection, dialed: &Dialed, status: u16) {
    if (400..500).contains(&status) {
        connection.count_tracked(Event::HttpError);
    }
    if status >= 500 && status != 501 && status != 505 {
        connection.count_tracked(Event::HttpFailure);
    }
    if let Some(server) = dialed.lease.server() {
        server.observe(Seen::Status(status));
    }
}

/// What the rules make of a response.
pub(super) enum Ruled {
    /// It goes on.
    Passes,
    /// The client gets this instead.
    Answered(Answer),
    /// The client gets nothing.
    Dropped,
}

/// `http-response` rules, the backend's first.
async fn apply_rules(
    connection: &mut Connection,
    x: &mut Exchange,
    backend: &ProxyConfig,
    dialed: &mut Dialed,
    response: &ResponseSummary,
) -> Ruled {
    let listener = Rc::clone(&connection.listener);
    let frontend = listener.frontend.config();
    let same = frontend.name == backend.name;
    let proxies = [Some(backend), (!same).then_some(frontend)];
    let server = dialed.lease.server();
    connection.state.server = server.map(|server| Arc::clone(&server.config().name));
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
    let now = clock::recent();
    let request = HeadRef::new(&x.request, connection.client.input.kept());
    let mut head = HeadMut::new(&mut x.response, dialed.server.input.bytes());
    let (info, state) = (&connection.info, &mut connection.state);
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
pub(super) fn rewrite_failed(connection: &mut Connection, x: &mut Exchange) -> Answer {
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

/// What is done with the content on its way, mostly nothing, and its framing to the client then. `framing` is the client's
/// and the server's.
fn detour(
    connection: &mut Connection,
    x: &mut Exchange,
    dialed: &Dialed,
    framing: (Framing, Framing),
) -> (Option<Detour>, Framing) {
    if x.squeeze.is_none() && connection.state.visited().is_none() {
        return (None, framing.0);
    }
    let detour = looked_at(connection, x, dialed, framing);
    match detour {
        Some(Detour::Squeeze(_)) => (detour, Framing::Chunked),
        _ => (detour, framing.0),
    }
}

/// What looks at the content: caches, and what compresses it.
fn looked_at(
    connection: &mut Connection,
    x: &mut Exchange,
    dialed: &Dialed,
    framing: (Framing, Framing),
) -> Option<Detour> {
    // Caches come before compression, and what they keep is for others too: its head and framing are as they came.
    let visit = connection.state.visited();
    let candidates = visit.map(Visit::take_candidates).unwrap_or_default();
    let keeping = match framing.0 == framing.1 && !candidates.is_empty() {
        true => tee::begin(candidates, framing.1),
        false => Vec::new(),
    };
    if let Some(mut squeeze) = squeeze(connection, x, dialed, framing) {
        squeeze.keep(keeping);
        return Some(Detour::Squeeze(squeeze));
    }
    if keeping.is_empty() {
        return None;
    }
    let tee = Tee::new(framing.1, keeping)?;
    Some(Detour::Tee(Box::new(tee)))
}

/// What compresses the content, if that is wished for and the response suits; its head says so then. `framing` is the
/// client's and the server's.
fn squeeze(
    connection: &mut Connection,
    x: &mut Exchange,
    dialed: &Dialed,
    framing: (Framing, Framing),
) -> Option<Box<Squeeze>> {
    let (algorithm, compression) = x.squeeze.take()?;
    let mut head = HeadMut::new(&mut x.response, dialed.server.input.bytes());
    if framing.0 != framing.1 || !compression.suits(head.as_ref()) {
        return None;
    }
    let squeeze = Squeeze::new(algorithm, framing.1)?;
    compression::announce(algorithm, &mut head);
    connection.state.marked().compressed = Some(algorithm);
    Some(Box::new(squeeze))
}

/// The persistence cookie of the response.
fn set_cookie(x: &mut Exchange, summary: &RequestSummary, dialed: &Dialed) {
    let Some(policy) = dialed.lease.backend().cookie() else {
        return;
    };
    let config = dialed.lease.server().map(Server::config);
    let served = Served {
        server_cookie: config.and_then(|c| c.cookie.as_deref()),
        persistence: dialed.lease.persistence(),
        is_post: summary.method == Method::Post,
        ignored: x.persist == Persist::Ignored,
    };
    let mut head = HeadMut::new(&mut x.response, dialed.server.input.bytes());
    let fate = policy.finish_response(served, &mut head);
    x.trace.termination.server_cookie = letter(fate.letter());
}

/// From now on bytes both ways.
fn begin_tunnel(
    x: &mut Exchange,
    own: Option<Duration>,
    timeouts: (&Timeouts, &Timeouts),
    present: Patience,
) -> Patience {
    x.up = Flow::tunnel();
    x.down.pass_everything();
    match own.or(timeouts.1.tunnel).or(timeouts.0.tunnel) {
        Some(tunnel) => Patience {
            client: Some(tunnel),
            server: Some(tunnel),
        },
        None => present,
    }
}

/// Passes the response (and what is left of the request) until the response is over.
fn poll_response(
    connection: &mut Connection,
    x: &mut Exchange,
    server: &mut Side,
    (patience, drains): (Patience, bool),
    cx: &mut Context<'_>,
) -> Poll<Step> {
    let client = &mut connection.client;
    loop {
        let mut moved = match x.down.poll(cx, server, client) {
            Ok(moved) => moved,
            Err(Fault::Sink) => return Poll::Ready(Step::ClientGone),
            Err(Fault::Source) => return Poll::Ready(Step::ServerGone),
            Err(Fault::Truncated | Fault::Malformed) => return Poll::Ready(Step::BadResponse),
        };
        if x.down.is_done() {
            let pointless = !drains || x.upload_broken;
            if x.up.is_done() || !x.down.closes() && (pointless || has_left(server, cx)) {
                client.active = clock::recent();
                return Poll::Ready(Step::Done);
            }
        }
        if !x.up.is_done() && !x.upload_broken {
            match x.up.poll(cx, client, server) {
                Ok(up) => moved |= up,
                Err(Fault::Sink) => x.upload_broken = true,
                Err(Fault::Source | Fault::Truncated) => return Poll::Ready(Step::ClientGone),
                Err(Fault::Malformed) => return Poll::Ready(Step::BadRequest),
            }
        }
        if !moved {
            break;
        }
        let now = clock::recent();
        client.active = now;
        server.active = now;
    }
    // A client that breaks off while only the server is waited for gives its place free at once.
    if x.up.is_done() && Connection::poll_lost(&mut connection.client, cx).is_ready() {
        return Poll::Ready(Step::ClientGone);
    }
    let for_client = match x.down.is_done() {
        true => x.up.waits() == Waits::Source,
        false => x.down.waits() == Waits::Sink,
    };
    patience.poll(connection, server, for_client, cx)
}

/// Whether the server closed, or broke off, after its response.
fn has_left(server: &mut Side, cx: &mut Context<'_>) -> bool {
    server.ended || server.poll_fill(cx, buffer::SIZE).is_ready()
}

/// Cause and phase of what ended a response that had begun.
fn note_end(x: &mut Exchange, step: Step) {
    match step {
        Step::Done | Step::Received => {}
        Step::ServerGone | Step::BadResponse => x.trace.end_with(b'S', b'D'),
        Step::ClientGone => x.trace.end_with(b'C', b'D'),
        Step::BadRequest => x.trace.end_with(b'P', b'D'),
        Step::ClientTimeout => x.trace.end_with(b'c', b'D'),
        Step::ServerTimeout => x.trace.end_with(b's', b'D'),
        Step::ServerDown => x.trace.end_with(b'D', b'D'),
        Step::ServerUp => x.trace.end_with(b'U', b'D'),
        Step::Killed => x.trace.end_with(b'K', b'D'),
    }
}
