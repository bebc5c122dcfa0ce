//! An exchange with a server: from a routed request to a response or the reason why there is none.

use std::{rc::Rc, sync::Arc};

use super::{
    Exchange, LENIENCY, Next,
    answer::Answer,
    prepare::Plan,
    reply, retry, send,
    wait::{Patience, Step},
};
use crate::{
    backend::{Backend, Outcome, Persistence},
    compression::{self, Algorithm, Compression},
    config::{HttpMode, ProxyConfig},
    cookie::{Dates, Given},
    dataplane::{
        clock,
        connect::{Dialed, First, Need, NotDialed, OnEnd, Sticks, Terms},
        session::Connection,
        trace::Answerer,
        websocket,
    },
    head::{HeadMut, HeadRef, Version},
    http1::{
        Body, ConnectionOption, Framing, Method, RequestSummary, says_close, write_request_head,
    },
    id::ServerIndex,
    request::RequestView,
    rules::Persist,
    server::Server,
    stick_table::Event,
};

/// How often a request goes out again that servers did nothing with.
const REFUSALS: u32 = 3;

/// Passes a request on and its response back.
pub(super) async fn forward(
    connection: &mut Connection,
    x: &mut Exchange,
    summary: &RequestSummary,
    plan: Plan,
    number: u32,
) -> Next {
    let listener = Rc::clone(&connection.listener);
    let balancer = &listener.balancer;
    let found = balancer.backends.get(plan.index);
    let Some((backend, proxy)) = found.zip(balancer.backend_proxy(plan.index)) else {
        return Next::Close;
    };
    let forced = use_server(connection, x, proxy, backend);
    let sticks = sticks(connection, x, proxy, backend);
    x.persist = persist(connection, x, proxy);
    let ignored = x.persist == Persist::Ignored;
    let given = take_cookie(connection, x, backend);
    x.cookie_dates = given.as_ref().map_or_else(Dates::default, |g| g.dates);
    let stale = given.as_ref().and_then(|given| given.stale);
    let cookie = given.as_ref().filter(|_| !ignored && stale.is_none());
    let hash = hash(connection, x, backend);
    write_request(connection, x, summary, proxy);
    let head = HeadRef::new(&x.request, connection.client.input.kept());
    let websocket = summary.upgrade && websocket::is_asked_for(head);
    let said_of_cookie = |found: Persistence| {
        let unused = ignored || forced.is_some() && found == Persistence::Stuck;
        said_of_cookie(given.as_ref(), unused, found)
    };
    let (mut reuse, mut first) = (true, First::Any);
    let terms = Terms {
        connect: proxy.timeouts.connect,
        insists: x.persist == Persist::Forced,
    };
    loop {
        let need = Need {
            backend,
            proxy,
            cookie: cookie.map(|given| given.value.as_slice()),
            request: Some(&x.request),
            hash,
            forced,
            sticks: &sticks,
            reuse: (reuse && summary.framing != Framing::Tunnel).then_some(number),
            insists: terms.insists,
            websocket,
            on_end: OnEnd::of_request(x.ends_at_client_end),
        };
        let mut dialed = match connection.dial(&mut x.trace, &need, first).await {
            Ok(dialed) => dialed,
            Err(reason) => {
                let said = backend.cookie().and(x.trace.found).map(said_of_cookie);
                return give_up(connection, x, summary, (reason, said)).await;
            }
        };
        let patience = Patience {
            client: connection.frontend().timeouts.client,
            server: connection.state.own_timeouts().0.or(proxy.timeouts.server),
        };
        if backend.cookie().is_some() {
            x.trace.termination.client_cookie = said_of_cookie(dialed.lease.persistence());
        }
        name_server(connection, x, summary, proxy, &dialed);
        let begun = clock::recent();
        x.interim = false;
        let response = send::await_response(connection, x, &mut dialed.server, patience).await;
        let whole = !x.up.is_spent();
        let gone = whole && response == Err(Step::ServerGone);
        // RFC 9113 §8.7: a server in HTTP/2 may say that it did nothing with the request.
        let refused = gone && dialed.server.stream.was_refused() && x.trace.refusals < REFUSALS;
        // A kept connection may die while it is taken: nothing came back, so the request may go out again if
        // repeating it is harmless and it is still whole.
        let stale = gone && dialed.carried > 0 && !x.interim && dialed.server.input.is_empty();
        if refused || stale && summary.method.is_idempotent() {
            match refused {
                true => x.trace.note_refusal(),
                false => reuse = false,
            }
            retry::rewind(x);
            first = First::Any;
            continue;
        }
        if whole && retry::is_wanted(x, &response, &dialed) {
            match retry::again(x, summary, (&response, begun), dialed, terms) {
                Ok(next) => {
                    reuse = false;
                    first = next;
                    continue;
                }
                Err(same) => dialed = *same,
            }
        }
        let failed = match response {
            Ok(response) => {
                return reply::pass_back(connection, x, summary, proxy, dialed, response).await;
            }
            Err(failed) => failed,
        };
        if stale && number > 0 {
            // The client knows this race from its own connections and repeats the request if it may.
            drop(dialed);
            x.trace.end_with(b'S', b'H');
            connection.client.stream.refuse_on_close();
            return Next::Close;
        }
        give_back(dialed, failed);
        return fail(connection, x, summary, failed).await;
    }
}

/// Gives the place back of a server that has not answered, and tells it why.
fn give_back(dialed: Dialed, failed: Step) {
    if let (Some(seen), Some(server)) = (failed.seen(&dialed.server), dialed.lease.server()) {
        server.observe(seen);
    }
    drop(dialed.server);
    dialed.lease.finish(match failed.outcome() {
        Outcome::ServerAborted => Outcome::ResponseFailed,
        other => other,
    });
}

/// A character of the termination state.
pub(super) fn letter(letter: char) -> u8 {
    u8::try_from(letter).unwrap_or(b'-')
}

/// The server named by `use-server`.
fn use_server(
    connection: &Connection,
    x: &Exchange,
    proxy: &ProxyConfig,
    backend: &Backend,
) -> Option<ServerIndex> {
    if !proxy.rules.choose_servers() {
        return None;
    }
    let head = HeadRef::new(&x.request, connection.client.input.kept());
    let view = RequestView::new(clock::recent(), &connection.info, &connection.state)
        .with_request(head)
        .with_backend(backend.name());
    let insists = x.persist == Persist::Forced;
    let named = proxy.rules.select_server(
        &view,
        |name| backend.server_named(name),
        |server| insists || backend.keeps_to(server),
    );
    named.map(Server::index)
}

/// What the `stick` lines say.
fn sticks(connection: &Connection, x: &Exchange, proxy: &ProxyConfig, backend: &Backend) -> Sticks {
    if !proxy.rules.sticks() {
        return Sticks::default();
    }
    let head = HeadRef::new(&x.request, connection.client.input.kept());
    let view = RequestView::new(clock::recent(), &connection.info, &connection.state)
        .with_request(head)
        .with_backend(&proxy.name);
    let (remembered, stores) = proxy.rules.stick(&view);
    (remembered.and_then(|it| backend.number_of(&it)), stores)
}

/// Hash of the key that `balance` names.
fn hash(connection: &Connection, x: &Exchange, backend: &Backend) -> Option<u32> {
    let config = &backend.config().hash;
    config.key.as_ref()?;
    let head = HeadRef::new(&x.request, connection.client.input.kept());
    let view = RequestView::new(clock::recent(), &connection.info, &connection.state)
        .with_request(head)
        .with_backend(backend.name());
    config.of_request(&view)
}

/// The persistence cookie's value; the server sees of it what `cookie` says.
fn take_cookie(connection: &Connection, x: &mut Exchange, backend: &Backend) -> Option<Given> {
    let policy = backend.cookie()?;
    let received = connection.client.input.kept();
    let given = policy.find(HeadRef::new(&x.request, received), clock::unix());
    policy.clean_request(&mut HeadMut::new(&mut x.request, received));
    given
}

/// What `force-persist` and `ignore-persist` say.
fn persist(connection: &Connection, x: &Exchange, proxy: &ProxyConfig) -> Persist {
    if !proxy.rules.treats_persistence() {
        return Persist::Usual;
    }
    let head = HeadRef::new(&x.request, connection.client.input.kept());
    let view = RequestView::new(clock::recent(), &connection.info, &connection.state)
        .with_request(head)
        .with_backend(&proxy.name);
    proxy.rules.persistence(&view)
}

/// `http-send-name-header`: the head that goes out names the server, each one that is tried its own.
fn name_server(
    connection: &Connection,
    x: &mut Exchange,
    summary: &RequestSummary,
    proxy: &ProxyConfig,
    dialed: &Dialed,
) {
    let header = proxy
        .backend
        .as_ref()
        .and_then(|b| b.send_name_header.as_ref());
    let (Some(header), Some(server)) = (header, dialed.lease.server()) else {
        return;
    };
    let received = connection.client.input.kept();
    let mut head = HeadMut::new(&mut x.request, received);
    head.set(header.as_bytes(), server.config().name.as_bytes());
    let head = HeadRef::new(&x.request, received);
    let option = ConnectionOption::to_server(summary, x.server_mode);
    x.up.replace_head(|out| {
        write_request_head(head, summary.framing, option, proxy.names, out);
        connection.adjust_case(proxy.adjust_case.1, out);
    });
}

/// What becomes of the server's connection, which rules may end: what the client said of its own is gone by now.
fn mode_to_server(connection: &Connection, head: HeadRef<'_>, proxy: &ProxyConfig) -> HttpMode {
    match says_close(head) {
        true => HttpMode::ServerClose,
        false => server_mode(connection.frontend().http_mode, proxy.http_mode),
    }
}

/// Writes the head for the server and makes the body ready.
fn write_request(
    connection: &Connection,
    x: &mut Exchange,
    summary: &RequestSummary,
    proxy: &ProxyConfig,
) {
    let received = connection.client.input.kept();
    let head = HeadRef::new(&x.request, received);
    x.server_mode = mode_to_server(connection, head, proxy);
    let option = ConnectionOption::to_server(summary, x.server_mode);
    let becomes_http11 =
        x.request.version != Version::Http10 || summary.framing == Framing::Chunked;
    if summary.hostless && becomes_http11 {
        let mut head = HeadMut::new(&mut x.request, received);
        if head.as_ref().value(b"host").is_none() {
            // RFC 9112 §3.2: who knows no authority says so.
            head.add(b"host", b"");
        }
    }
    x.squeeze = choose_compression(connection, x, proxy);
    let out = x.up.restart(Body::new(summary.framing, LENIENCY));
    let head = HeadRef::new(&x.request, received);
    write_request_head(head, summary.framing, option, proxy.names, out);
    connection.adjust_case(proxy.adjust_case.1, out);
    x.down.restart(Body::Done);
    // Rules may have made another method of it: the server answers that one.
    x.asked = Method::of(head.method());
    x.answers.reset(x.asked, summary.upgrade);
    let leniency = super::leniency(proxy.invalid_responses);
    x.answers.read_with(leniency, connection.sizes().http1());
    x.forwarding = true;
    x.ends_at_client_end = proxy.backend.as_ref().is_some_and(|b| b.abort_on_close);
    retry::prepare(connection, x, summary, proxy);
}

/// What `compression` of the backend, else of the frontend, makes of the response. With `offload` in either the
/// server does not hear of the client's wish.
pub(super) fn choose_compression(
    connection: &Connection,
    x: &mut Exchange,
    proxy: &ProxyConfig,
) -> Option<(Algorithm, Arc<Compression>)> {
    let frontend = connection.frontend().compression.as_ref();
    if proxy.compression.is_none() && frontend.is_none() {
        return None;
    }
    let both = [proxy.compression.as_ref(), frontend];
    let mut head = HeadMut::new(&mut x.request, connection.client.input.kept());
    let mut having = both.into_iter().flatten();
    let chosen = having
        .find(|c| !c.algorithms.is_empty())
        .and_then(|compression| {
            let algorithm = compression.choose(head.as_ref())?;
            Some((algorithm, Arc::clone(compression)))
        });
    if both.into_iter().flatten().any(|c| c.offload) {
        compression::hide_from_server(&mut head);
    }
    chosen
}

/// The server side's mode: `http-server-close` and `httpclose` hold if one of the two has them.
fn server_mode(frontend: HttpMode, backend: HttpMode) -> HttpMode {
    match (frontend, backend) {
        (stricter, HttpMode::KeepAlive) => stricter,
        (_, own) => own,
    }
}

/// What became of the client's cookie, the third letter of the termination.
fn said_of_cookie(given: Option<&Given>, unused: bool, found: Persistence) -> u8 {
    letter(match given.and_then(|given| given.stale) {
        _ if unused && given.is_some() => 'U',
        Some(stale) => stale.letter(),
        None => found.letter(),
    })
}

/// No place or no connection, and what is said of the cookie where a server was tried.
async fn give_up(
    connection: &mut Connection,
    x: &mut Exchange,
    summary: &RequestSummary,
    (reason, cookie): (NotDialed, Option<u8>),
) -> Next {
    let (status, cause, phase) = reason.outcome();
    x.trace.end_with(cause, phase);
    if let Some(said) = cookie {
        x.trace.termination.client_cookie = said;
        x.trace.termination.server_cookie = letter('N');
    }
    if matches!(
        reason,
        NotDialed::NoServer | NotDialed::Queue | NotDialed::GoneInQueue
    ) {
        x.trace.answerer = Answerer::Nobody;
    }
    if matches!(reason, NotDialed::GoneInQueue | NotDialed::GoneConnecting) {
        return Next::Close;
    }
    Answer::Page(status)
        .send(connection, x, Some(summary))
        .await
}

/// Answers in place of a response that did not come, and notes why (manual 8.5).
async fn fail(
    connection: &mut Connection,
    x: &mut Exchange,
    summary: &RequestSummary,
    failed: Step,
) -> Next {
    x.trace.bytes_uploaded += x.up.bytes();
    // Whose connection in HTTP/2 has ended one direction listens, and is told as with HAProxy.
    let hears = x.up.is_done() || connection.client.stream.has_ended();
    let (status, cause, phase) = match failed {
        Step::ServerGone | Step::Done | Step::Received => (502, b'S', b'H'),
        Step::BadResponse => (502, b'P', b'H'),
        Step::ServerTimeout => (504, b's', b'H'),
        Step::ServerDown => (502, b'D', b'H'),
        Step::ServerUp => (502, b'U', b'H'),
        Step::Killed => (502, b'K', b'H'),
        Step::BadRequest => (400, b'P', b'H'),
        Step::ClientGone => (400, b'C', if hears { b'H' } else { b'D' }),
        Step::ClientTimeout => (408, b'c', b'D'),
    };
    x.trace.end_with(cause, phase);
    if matches!(status, 502 | 504) {
        connection.count_tracked(Event::HttpFailure);
    }
    if failed == Step::ClientGone {
        // A request that never became whole has no status at all.
        x.trace.status = hears.then_some(status);
        if !(hears && connection.client.has_ended()) {
            return Next::Close;
        }
    }
    Answer::Page(status)
        .send(connection, x, Some(summary))
        .await
}
