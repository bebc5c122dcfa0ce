//! An exchange with a server: the request passed on, the response passed back, each as it comes.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::{Exchange, LENIENCY, Next, answer::Answer, exchange::size_in_log, prepare::Plan};
use crate::{
    backend::{Backend, Outcome},
    config::{HttpMode, ProxyConfig, Timeouts},
    cookie::Served,
    dataplane::{
        buffer, clock,
        connect::{Dialed, Need, NotDialed},
        flow::{Fault, Flow, Side, Waits},
        registry::Order,
        session::Connection,
        trace::Answerer,
    },
    head::{HeadMut, HeadRef, Version},
    http1::{
        Body, ChunkedDecoder, ConnectionOption, Framing, Method, Progress, RequestSummary,
        ResponseSummary, client_framing, client_stays, server_stays, write_request_head,
        write_response_head,
    },
    id::ServerIndex,
    request::RequestView,
    rules::ResponseVerdict,
    server::Server,
};

/// What ended a phase of waiting for both sides.
#[derive(Debug)]
enum Step {
    /// The server sent something; it is in its input.
    Received,
    /// The response has been passed on.
    Done,
    /// The server ended or broke its connection.
    ServerGone,
    /// The client broke its connection, or ended it and that counts.
    ClientGone,
    /// The request's body is malformed or truncated.
    BadRequest,
    /// The response's body is malformed or truncated.
    BadResponse,
    /// The client let its timeout pass.
    ClientTimeout,
    /// The server let its timeout pass.
    ServerTimeout,
    /// The server was marked down and takes its sessions with it.
    ServerDown,
}

/// The timeouts of one exchange.
#[derive(Debug, Clone, Copy)]
struct Patience {
    client: Option<Duration>,
    server: Option<Duration>,
}

/// Passes a request on and its response back.
pub(super) async fn forward(
    connection: &mut Connection,
    x: &mut Exchange,
    summary: &RequestSummary,
    plan: Plan,
    number: u32,
) -> Next {
    let balancer = Arc::clone(&connection.worker.balancer);
    let Some(proxy) = balancer.backend_proxy(plan.index) else {
        return Next::Close;
    };
    let forced = use_server(connection, x, proxy, &plan.backend);
    let cookie = take_cookie(connection, x, &plan.backend);
    write_request(connection, x, summary, proxy);
    let mut reuse = true;
    loop {
        let need = Need {
            index: plan.index,
            backend: &plan.backend,
            proxy,
            cookie: cookie.as_deref(),
            hash: None,
            forced,
            reuse: (reuse && summary.framing != Framing::Tunnel).then_some(number),
            end_is_abort: x.ends_at_client_end,
        };
        let mut trace = std::mem::take(&mut x.trace);
        let dialed = connection.dial(&mut trace, &need).await;
        x.trace = trace;
        let mut dialed = match dialed {
            Ok(dialed) => dialed,
            Err(reason) => return give_up(connection, x, summary, reason).await,
        };
        let patience = Patience {
            client: connection.frontend().timeouts.client,
            server: proxy.timeouts.server,
        };
        if plan.backend.cookie().is_some() {
            x.trace.termination.client_cookie = letter(dialed.lease.persistence().letter());
        }
        let response = await_response(connection, x, &mut dialed.server, patience).await;
        let failed = match response {
            Ok(response) => {
                return pass_back(
                    connection,
                    x,
                    summary,
                    (plan.index, proxy),
                    dialed,
                    response,
                )
                .await;
            }
            Err(failed) => failed,
        };
        // A kept connection may die while it is taken (lb.md trap 6): nothing came back, so the request may go
        // out again if repeating it is harmless and it is still whole.
        let stale = dialed.carried > 0
            && matches!(failed, Failed::ServerGone)
            && dialed.server.input.is_empty()
            && !x.up.is_spent();
        if stale && summary.method.is_idempotent() {
            x.up.rewind();
            reuse = false;
            drop(dialed);
            continue;
        }
        if stale && number > 0 {
            // The client knows this race from its own connections and repeats the request if it may.
            drop(dialed);
            x.trace.end_with(b'S', b'H');
            return Next::Close;
        }
        drop(dialed.server);
        dialed.lease.finish(failed.outcome());
        return fail(connection, x, summary, failed).await;
    }
}

fn letter(letter: char) -> u8 {
    u8::try_from(letter).unwrap_or(b'-')
}

/// The server named by `use-server`.
fn use_server(
    connection: &Connection,
    x: &Exchange,
    proxy: &ProxyConfig,
    backend: &Backend,
) -> Option<ServerIndex> {
    let head = HeadRef::new(&x.request, connection.client.input.kept());
    let view = RequestView::new(clock::recent(), &connection.info, &connection.state)
        .with_request(head)
        .with_backend(backend.name());
    let mut buffer = Vec::new();
    let name = proxy.rules.select_server(&view, &mut buffer)?;
    backend.server_named(name).map(Server::index)
}

/// The persistence cookie's value; the server sees of it what `cookie` says.
fn take_cookie(connection: &Connection, x: &mut Exchange, backend: &Backend) -> Option<Vec<u8>> {
    let policy = backend.cookie()?;
    let received = connection.client.input.kept();
    let value = policy
        .find(HeadRef::new(&x.request, received))
        .map(<[u8]>::to_vec);
    policy.clean_request(&mut HeadMut::new(&mut x.request, received));
    value
}

/// Writes the head for the server and makes the body ready.
fn write_request(
    connection: &Connection,
    x: &mut Exchange,
    summary: &RequestSummary,
    proxy: &ProxyConfig,
) {
    let mode = server_mode(connection.frontend().http_mode, proxy.http_mode);
    let option = ConnectionOption::to_server(summary, mode);
    let out = x.up.restart(Body::new(summary.framing, LENIENCY));
    let head = HeadRef::new(&x.request, connection.client.input.kept());
    write_request_head(head, summary.framing, option, out);
    x.down.restart(Body::Done);
    x.answers.reset(summary.method, summary.upgrade);
    x.forwarding = true;
    x.ends_at_client_end = proxy.backend.as_ref().is_some_and(|b| b.abort_on_close);
}

/// The server side's mode: its own, or that of a frontend with `http-server-close`.
fn server_mode(frontend: HttpMode, backend: HttpMode) -> HttpMode {
    match (frontend, backend) {
        (HttpMode::ServerClose, HttpMode::KeepAlive) => HttpMode::ServerClose,
        (_, own) => own,
    }
}

/// Why no response came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failed {
    ServerGone,
    ServerTimeout,
    ServerDown,
    BadResponse,
    ClientGone,
    ClientTimeout,
    BadRequest,
}

impl Failed {
    fn outcome(self) -> Outcome {
        match self {
            Self::ServerGone | Self::ServerTimeout | Self::ServerDown | Self::BadResponse => {
                Outcome::ResponseFailed
            }
            Self::ClientGone | Self::ClientTimeout | Self::BadRequest => Outcome::ClientAborted,
        }
    }
}

/// Sends the request and waits for the head of the final response; interim ones are passed on.
async fn await_response(
    connection: &mut Connection,
    x: &mut Exchange,
    server: &mut Side,
    patience: Patience,
) -> Result<ResponseSummary, Failed> {
    let sent_from = clock::recent();
    loop {
        match x.answers.decode(server.input.bytes(), &mut x.response) {
            Ok(Progress::Complete(response)) if response.is_interim() => {
                pass_interim(x, server, response);
                continue;
            }
            Ok(Progress::Complete(response)) => {
                let waited = clock::recent().saturating_duration_since(sent_from);
                x.trace.timers.response = Some(waited);
                return Ok(response);
            }
            Ok(Progress::Partial) if !server.input.is_full() => {}
            Ok(Progress::Partial) | Err(_) => return Err(Failed::BadResponse),
        }
        let step =
            std::future::poll_fn(|cx| poll_request(connection, x, server, patience, cx)).await;
        return Err(match step {
            Step::Received | Step::Done => continue,
            Step::ServerGone if !server.input.is_empty() => Failed::BadResponse,
            Step::ServerGone => Failed::ServerGone,
            Step::ServerTimeout => Failed::ServerTimeout,
            Step::ServerDown => Failed::ServerDown,
            Step::BadResponse => Failed::BadResponse,
            Step::ClientGone => Failed::ClientGone,
            Step::ClientTimeout => Failed::ClientTimeout,
            Step::BadRequest => Failed::BadRequest,
        });
    }
}

/// A 1xx is sent before the final response, in the version of the client.
fn pass_interim(x: &mut Exchange, server: &mut Side, response: ResponseSummary) {
    if x.request.version != Version::Http10 {
        let head = HeadRef::new(&x.response, server.input.bytes());
        let out = x.down.ahead();
        write_response_head(head, Framing::None, ConnectionOption::Absent, out);
    }
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
    clock::now();
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
        if x.down.poll_ahead(cx, client).is_err() {
            return Poll::Ready(Step::ClientGone);
        }
        if sent {
            let now = clock::recent();
            client.active = now;
            server.active = now;
        }
        match server.poll_fill(cx, buffer::SIZE) {
            Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => return Poll::Ready(Step::ServerGone),
            Poll::Ready(Ok(_)) => {
                server.active = clock::recent();
                return Poll::Ready(Step::Received);
            }
            Poll::Pending => {}
        }
        if !sent {
            break;
        }
    }
    // While only the server is waited for, a client that breaks off is noticed, and what it sends is kept.
    if x.up.is_done() && Connection::poll_lost(client, cx).is_ready() {
        return Poll::Ready(Step::ClientGone);
    }
    if client.ended && x.ends_at_client_end {
        return Poll::Ready(Step::ClientGone);
    }
    match connection.member.order() {
        Order::Run | Order::Finish => {}
        Order::ServerDown => return Poll::Ready(Step::ServerDown),
    }
    let for_client = x.up.waits() == Waits::Source && !x.upload_broken;
    let deadline = if for_client {
        after(connection.client.active, patience.client)
    } else {
        after(server.active, patience.server)
    };
    connection.timer.set(deadline);
    connection.timer.poll_expired(cx).map(|()| {
        if for_client {
            Step::ClientTimeout
        } else {
            Step::ServerTimeout
        }
    })
}

fn after(moment: Instant, timeout: Option<Duration>) -> Option<Instant> {
    timeout.map(|timeout| moment + timeout)
}

/// Passes the response back, whose head is in `x.response` and at the front of the server's input.
async fn pass_back(
    connection: &mut Connection,
    x: &mut Exchange,
    summary: &RequestSummary,
    (index, proxy): (usize, &ProxyConfig),
    mut dialed: Dialed,
    response: ResponseSummary,
) -> Next {
    if let Some(answer) = apply_rules(connection, x, proxy, &dialed.server) {
        drop(dialed);
        return answer.send(connection, x, Some(summary)).await;
    }
    set_cookie(x, summary, &dialed);
    x.trace.status = Some(response.status);
    let framing = client_framing(summary.version, response.framing);
    let stays = client_stays(summary, framing, connection.frontend().http_mode)
        && connection.member.order() < Order::Finish
        && !x.upload_broken
        && (x.up.is_done() || !connection.client.ended);
    let option = ConnectionOption::to_client(summary, &response, stays);
    let input = &mut dialed.server.input;
    let out = x.down.ahead();
    write_response_head(
        HeadRef::new(&x.response, input.bytes()),
        framing,
        option,
        out,
    );
    let head = HeadRef::new(&x.response, input.bytes());
    let head_size = size_in_log(head, 3 + head.reason().len());
    input.consume(response.head_len);
    x.down.set_body(Body::new(response.framing, LENIENCY));
    if framing != response.framing {
        x.down.unwrap_chunks(ChunkedDecoder::new(LENIENCY));
    }
    let timeouts = (&connection.frontend().timeouts, &proxy.timeouts);
    let mut patience = Patience {
        client: timeouts.0.client,
        server: timeouts.1.server,
    };
    let tunnel = response.framing == Framing::Tunnel;
    if tunnel {
        patience = begin_tunnel(x, timeouts, patience);
    }
    let step =
        std::future::poll_fn(|cx| poll_response(connection, x, &mut dialed.server, patience, cx))
            .await;
    x.trace.bytes_read = head_size + x.down.bytes();
    x.trace.bytes_uploaded += x.up.bytes();
    note_end(x, &step);
    let whole = matches!(step, Step::Done);
    let sent_all = x.up.is_done();
    let keeps = whole
        && sent_all
        && dialed.shareable
        && server_stays(
            summary,
            &response,
            server_mode(connection.frontend().http_mode, proxy.http_mode),
        );
    if keeps {
        connection.keep(index, dialed, clock::recent());
    } else {
        if whole && sent_all && !tunnel {
            // The side that closes first keeps the port for a minute (lb.md trap 23): leave with a reset.
            dialed.server.stream.reset_on_close();
        }
        drop(dialed.server);
        dialed.lease.finish(outcome(&step));
    }
    match (whole, stays && sent_all) {
        (true, true) => Next::Request,
        (true, false) if sent_all => Next::Close,
        (true, false) => Next::Linger,
        (false, _) => {
            if !matches!(step, Step::ServerTimeout | Step::ClientTimeout) {
                connection.client.stream.reset_on_close();
            }
            Next::Close
        }
    }
}

/// `http-response` rules, the backend's first.
fn apply_rules(
    connection: &mut Connection,
    x: &mut Exchange,
    backend: &ProxyConfig,
    server: &Side,
) -> Option<Answer> {
    let listener = std::rc::Rc::clone(&connection.listener);
    let frontend = listener.frontend.config();
    let same = frontend.name == backend.name;
    let proxies = [Some(backend), (!same).then_some(frontend)];
    let now = clock::recent();
    let request = HeadRef::new(&x.request, connection.client.input.kept());
    let mut head = HeadMut::new(&mut x.response, server.input.bytes());
    let (info, state) = (&connection.info, &mut connection.state);
    for proxy in proxies.into_iter().flatten() {
        match proxy
            .rules
            .on_response(now, info, Some(request), &mut head, state)
        {
            ResponseVerdict::Continue => {}
            ResponseVerdict::Deny { status, reply } => {
                x.trace.end_with(b'P', b'H');
                return Some(reply.map_or(Answer::Page(status), Answer::Reply));
            }
            ResponseVerdict::Redirect(redirect) => {
                x.trace.end_with(b'L', b'H');
                return Some(Answer::Redirect(redirect));
            }
            ResponseVerdict::Return(reply) => {
                x.trace.end_with(b'L', b'H');
                return Some(Answer::Reply(reply));
            }
            ResponseVerdict::SilentDrop => x.trace.end_with(b'P', b'H'),
        }
    }
    for proxy in proxies.into_iter().flatten() {
        let _ = proxy
            .rules
            .on_after_response(now, info, Some(request), &mut head, state);
    }
    None
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
    };
    let mut head = HeadMut::new(&mut x.response, dialed.server.input.bytes());
    let fate = policy.finish_response(served, &mut head);
    x.trace.termination.server_cookie = letter(fate.letter());
}

/// From now on bytes both ways.
fn begin_tunnel(x: &mut Exchange, timeouts: (&Timeouts, &Timeouts), present: Patience) -> Patience {
    x.up = Flow::tunnel();
    x.down.pass_everything();
    match timeouts.1.tunnel.or(timeouts.0.tunnel) {
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
    patience: Patience,
    cx: &mut Context<'_>,
) -> Poll<Step> {
    clock::now();
    let client = &mut connection.client;
    loop {
        let mut moved = match x.down.poll(cx, server, client) {
            Ok(moved) => moved,
            Err(Fault::Sink) => return Poll::Ready(Step::ClientGone),
            Err(Fault::Source) => return Poll::Ready(Step::ServerGone),
            Err(Fault::Truncated | Fault::Malformed) => return Poll::Ready(Step::BadResponse),
        };
        if x.down.is_done() && (!x.down.closes() || x.up.is_done()) {
            client.active = clock::recent();
            return Poll::Ready(Step::Done);
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
    match connection.member.order() {
        Order::Run | Order::Finish => {}
        Order::ServerDown => return Poll::Ready(Step::ServerDown),
    }
    let for_client = x.down.waits() == Waits::Sink;
    let deadline = if for_client {
        after(connection.client.active, patience.client)
    } else {
        after(server.active, patience.server)
    };
    connection.timer.set(deadline);
    connection.timer.poll_expired(cx).map(|()| {
        if for_client {
            Step::ClientTimeout
        } else {
            Step::ServerTimeout
        }
    })
}

/// Cause and phase of what ended a response that had begun.
fn note_end(x: &mut Exchange, step: &Step) {
    match step {
        Step::Done | Step::Received => {}
        Step::ServerGone | Step::BadResponse => x.trace.end_with(b'S', b'D'),
        Step::ClientGone | Step::BadRequest => x.trace.end_with(b'C', b'D'),
        Step::ClientTimeout => x.trace.end_with(b'c', b'D'),
        Step::ServerTimeout => x.trace.end_with(b's', b'D'),
        Step::ServerDown => x.trace.end_with(b'D', b'D'),
    }
}

/// The same for the server's counters.
fn outcome(step: &Step) -> Outcome {
    match step {
        Step::Done | Step::Received => Outcome::Completed,
        Step::ServerGone | Step::BadResponse | Step::ServerTimeout | Step::ServerDown => {
            Outcome::ServerAborted
        }
        Step::ClientGone | Step::BadRequest | Step::ClientTimeout => Outcome::ClientAborted,
    }
}

/// No place or no connection.
async fn give_up(
    connection: &mut Connection,
    x: &mut Exchange,
    summary: &RequestSummary,
    reason: NotDialed,
) -> Next {
    let (status, cause, phase) = reason.outcome();
    x.trace.end_with(cause, phase);
    if matches!(
        reason,
        NotDialed::NoServer | NotDialed::Queue | NotDialed::GoneInQueue
    ) {
        x.trace.answerer = Answerer::Nobody;
    }
    if matches!(reason, NotDialed::GoneInQueue | NotDialed::GoneConnecting) {
        x.trace.status = Some(status);
        return Next::Close;
    }
    Answer::Page(status)
        .send(connection, x, Some(summary))
        .await
}

/// No response (lb.md trap 10).
async fn fail(
    connection: &mut Connection,
    x: &mut Exchange,
    summary: &RequestSummary,
    failed: Failed,
) -> Next {
    x.trace.bytes_uploaded += x.up.bytes();
    let (status, cause, phase) = match failed {
        Failed::ServerGone => (502, b'S', b'H'),
        Failed::BadResponse => (502, b'P', b'H'),
        Failed::ServerTimeout => (504, b's', b'H'),
        Failed::ServerDown => (503, b'D', b'H'),
        Failed::BadRequest => (400, b'C', b'D'),
        Failed::ClientGone => (400, b'C', if x.up.is_done() { b'H' } else { b'D' }),
        Failed::ClientTimeout => (408, b'c', b'D'),
    };
    x.trace.end_with(cause, phase);
    if failed == Failed::ClientGone {
        x.trace.status = Some(status);
        return Next::Close;
    }
    Answer::Page(status)
        .send(connection, x, Some(summary))
        .await
}
