//! TCP mode: bytes both ways, each direction ended on its own.

mod answer;

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::{
    buffer, clock,
    connect::{Dialed, First, Need, NotDialed, OnEnd, Sticks},
    farewell,
    flow::{Fault, Flow, Side, Waits},
    http1,
    inspection::Inspection,
    registry::Order,
    session::Connection,
    trace::{Answerer, Trace},
};
use crate::{
    backend::Backend,
    config::{Mode, ProxyConfig, Timeouts},
    id::ServerIndex,
    request::{Peeked, RequestView},
    rules::ContentVerdict,
    server::Server,
};

/// Serves a client connection to its end.
pub(super) async fn serve(mut connection: Box<Connection>) {
    let info = &connection.info;
    let mut trace = Trace::begin(info.accepted_at);
    trace.timers.handshake = connection.handshake;
    connection.state.backend = connection.own_backend();
    let ended = run(&mut connection, &mut trace).await;
    if ended == Ended::ForHttp {
        connection.inspected = true;
        return Box::pin(http1::serve(connection)).await;
    }
    // The manual: "connections on which no data has been transferred" by the client, whatever the server said.
    let silent = connection.frontend().dontlognull
        && trace.bytes_uploaded == 0
        && connection.client.input.is_empty();
    trace.silent |= silent;
    connection.count_stream(&trace);
    connection.state.settle_captures();
    connection.log(&mut trace, None, None);
    if ended == Ended::Broken {
        // Boxed: few need it.
        Box::pin(farewell::break_off(&mut connection)).await;
    }
}

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// It is over.
    Over,
    /// Its server broke off.
    Broken,
    /// Its backend speaks HTTP: nothing has been taken of what the client sent.
    ForHttp,
}

async fn run(connection: &mut Connection, trace: &mut Trace) -> Ended {
    let listener = std::rc::Rc::clone(&connection.listener);
    let frontend = listener.frontend.config();
    if poll_fn(|cx| Poll::Ready(poll_first(&mut connection.client, cx))).await {
        trace.end_with(b'C', b'R');
        return Ended::Over;
    }
    match inspect(connection, trace, frontend).await {
        Some(Next::Bytes) => {}
        Some(Next::Http) => return Ended::ForHttp,
        None => return Ended::Over,
    }
    let peeked = Peeked::of(connection.client.input.bytes());
    let routed = listener.frontend.route(&view(connection, &peeked));
    let balancer = &listener.balancer;
    let chosen = routed.and_then(|index| Some((index, balancer.backends.get(index)?)));
    let proxy = chosen.and_then(|(index, _)| balancer.backend_proxy(index));
    let (Some((index, backend)), Some(proxy)) = (chosen, proxy) else {
        trace.end_with(b'S', b'C');
        return Ended::Over;
    };
    if proxy.mode == Mode::Http {
        return Ended::ForHttp;
    }
    trace.backend = Some(index);
    if proxy.name != frontend.name && inspect(connection, trace, proxy).await.is_none() {
        return Ended::Over;
    }
    if let Some(id) = frontend.rules.identify(&view(connection, &peeked)) {
        connection.state.marked().unique_id = Some(id);
    }
    let need = Need {
        backend,
        proxy,
        cookie: None,
        request: None,
        hash: hash(connection, &peeked, backend),
        forced: forced(connection, &peeked, (proxy, backend)),
        sticks: &sticks(connection, &peeked, (proxy, backend)),
        reuse: None,
        insists: false,
        websocket: false,
        on_end: match backend.config().abort_on_close {
            true => OnEnd::Leaves,
            false => OnEnd::LeavesIfSilent,
        },
    };
    let mut dialed = match connection.dial(trace, &need, First::Any).await {
        Ok(dialed) => dialed,
        Err(reason) => {
            let (_, cause, phase) = reason.outcome();
            trace.end_with(cause, phase);
            if matches!(
                reason,
                NotDialed::NoServer | NotDialed::Queue | NotDialed::GoneInQueue
            ) {
                trace.answerer = Answerer::Nobody;
            }
            if !matches!(reason, NotDialed::GoneConnecting | NotDialed::GoneInQueue) {
                connection.client.stream.reset_on_close();
            }
            return Ended::Over;
        }
    };
    let limits = Limits::new(&frontend.timeouts, &proxy.timeouts);
    connection.log_early(trace, None, None);
    let ended = relay(connection, trace, &mut dialed, (proxy, limits)).await;
    drop(dialed);
    ended
}

/// Takes what the client has sent before anybody asked, for rules to see; true if it has broken off, as those do who
/// only look whether somebody listens: no server need hear of them.
fn poll_first(client: &mut Side, cx: &mut Context<'_>) -> bool {
    matches!(client.poll_fill(cx, buffer::SIZE), Poll::Ready(Err(_)))
}

/// The connection, all that came of its client, and the request that this is found to be.
fn view<'a>(connection: &'a Connection, peeked: &'a Peeked) -> RequestView<'a> {
    RequestView::new(clock::recent(), &connection.info, &connection.state).with_peeked(
        peeked,
        connection.client.input.bytes(),
        true,
    )
}

/// The server named by `use-server`, if connections may go there, or by the cookie of a terminal server.
fn forced(
    connection: &Connection,
    peeked: &Peeked,
    (proxy, backend): (&ProxyConfig, &Backend),
) -> Option<ServerIndex> {
    let view = view(connection, peeked);
    let named = proxy.rules.select_server(
        &view,
        |name| backend.server_named(name),
        |server| backend.keeps_to(server),
    );
    named
        .map(Server::index)
        .or_else(|| backend.of_rdp_cookie(&view))
}

/// Hash of the key that `balance` names.
fn hash(connection: &Connection, peeked: &Peeked, backend: &Backend) -> Option<u32> {
    let config = &backend.config().hash;
    config.key.as_ref()?;
    config.of_request(&view(connection, peeked).with_backend(backend.name()))
}

/// What the `stick` lines say.
fn sticks(
    connection: &Connection,
    peeked: &Peeked,
    (proxy, backend): (&ProxyConfig, &Backend),
) -> Sticks {
    if !proxy.rules.sticks() {
        return Sticks::default();
    }
    let view = view(connection, peeked).with_backend(&proxy.name);
    let (remembered, stores) = proxy.rules.stick(&view);
    (remembered.and_then(|it| backend.number_of(&it)), stores)
}

/// What follows the inspection of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Bytes, whatever they are.
    Bytes,
    /// HTTP (`switch-mode`).
    Http,
}

/// `tcp-request content` of one proxy; `None` ends the connection.
async fn inspect(
    connection: &mut Connection,
    trace: &mut Trace,
    proxy: &ProxyConfig,
) -> Option<Next> {
    let mut inspection = Inspection::begin();
    loop {
        let now = clock::recent();
        let most = connection.sizes().buffer();
        let input = &mut connection.client.input;
        let whole = inspection.complete || connection.client.ended || !input.makes_room(most);
        let verdict = proxy.rules.on_content(
            now,
            &connection.info,
            None,
            input.bytes(),
            whole,
            &mut connection.state,
        );
        connection.client.stream.mark(&mut connection.state);
        match verdict {
            ContentVerdict::Accept => return Some(Next::Bytes),
            ContentVerdict::SwitchMode => return Some(Next::Http),
            ContentVerdict::NeedMore { .. } if whole => return Some(Next::Bytes),
            ContentVerdict::Reject => {
                trace.bytes_uploaded = input.bytes().len() as u64;
                trace.end_with(b'P', b'R');
                connection.count_denied(trace.backend);
                return None;
            }
            ContentVerdict::SilentDrop => {
                trace.bytes_uploaded = input.bytes().len() as u64;
                connection.count_denied(trace.backend);
                connection.vanish();
                trace.end_with(b'P', b'R');
                return None;
            }
            ContentVerdict::Resolve { lookup, within } => {
                let asked = inspection.resolve(connection, &lookup, within);
                if let Err(gone) = Box::pin(asked).await {
                    trace.end_with(gone.cause(), b'R');
                    return None;
                }
            }
            ContentVerdict::NeedMore { within } => {
                if let Err(gone) = inspection.more(connection, within).await {
                    trace.end_with(gone.cause(), b'R');
                    return None;
                }
            }
        }
    }
}

/// Inactivity that each side is allowed, while it is whole and once one of its directions has ended.
#[derive(Debug, Clone, Copy)]
struct Limits {
    client: Option<Duration>,
    client_fin: Option<Duration>,
    server: Option<Duration>,
    server_fin: Option<Duration>,
}

impl Limits {
    fn new(frontend: &Timeouts, backend: &Timeouts) -> Self {
        // `timeout tunnel` replaces both once the connection stands in both directions.
        let tunnel = backend.tunnel.or(frontend.tunnel);
        let client = tunnel.or(frontend.client);
        let server = tunnel.or(backend.server);
        Self {
            client,
            client_fin: frontend.client_fin.or(client),
            server,
            server_fin: backend.server_fin.or(server),
        }
    }
}

/// Both directions.
struct Relay {
    up: Flow,
    down: Flow,
    /// The server broke off. What it said before still goes to the client.
    broken: bool,
}

impl Relay {
    fn server_broke_off(&mut self) {
        self.up.stop();
        self.down.leave_open();
        self.broken = true;
    }

    fn is_done(&self) -> bool {
        self.up.is_done() && self.down.is_done()
    }
}

/// Why a relay ended.
enum End {
    Done,
    Client,
    Server,
    /// A rule refused what the server sent.
    Refused,
    ClientTimeout,
    ServerTimeout,
    ServerDown,
    ServerUp,
    Killed,
}

/// Relays until both directions have ended.
async fn relay(
    connection: &mut Connection,
    trace: &mut Trace,
    dialed: &mut Dialed,
    (proxy, limits): (&ProxyConfig, Limits),
) -> Ended {
    let mut relay = Relay {
        up: Flow::tunnel(),
        down: Flow::tunnel(),
        broken: false,
    };
    let now = clock::recent();
    connection.client.active = now;
    dialed.server.active = now;
    let refused = match proxy.rules.inspects_answers() {
        // Boxed: few need it.
        true => {
            Box::pin(answer::inspect(
                connection,
                dialed,
                (&mut relay.up, &mut relay.down),
                proxy,
            ))
            .await
        }
        false => None,
    };
    let server = &mut dialed.server;
    let end = match refused {
        Some(end) => end,
        None => poll_fn(|cx| poll_relay(connection, server, &mut relay, limits, cx)).await,
    };
    trace.bytes_uploaded = relay.up.bytes();
    trace.bytes_read = relay.down.bytes();
    match end {
        End::Done => {}
        End::Client => trace.end_with(b'C', b'D'),
        End::Server => trace.end_with(b'S', b'D'),
        End::Refused => {
            // It has been read, though nobody got it.
            trace.bytes_read += server.input.bytes().len() as u64;
            trace.end_with(b'P', b'D');
        }
        End::ClientTimeout => trace.end_with(b'c', b'D'),
        End::ServerTimeout => trace.end_with(b's', b'D'),
        End::ServerDown => trace.end_with(b'D', b'-'),
        End::ServerUp => trace.end_with(b'U', b'-'),
        End::Killed => trace.end_with(b'K', b'-'),
    }
    // A break is passed on as a break, so that neither side takes half a stream for a whole one.
    match end {
        End::Client => server.stream.reset_on_close(),
        End::Server => return Ended::Broken,
        End::ServerDown | End::ServerUp | End::Killed => {
            connection.client.stream.reset_on_close();
        }
        _ => {}
    }
    Ended::Over
}

fn poll_relay(
    connection: &mut Connection,
    server: &mut Side,
    relay: &mut Relay,
    limits: Limits,
    cx: &mut Context<'_>,
) -> Poll<End> {
    let client = &mut connection.client;
    // Each goes on until it waits for somebody, and neither has anything for the other: once is enough.
    let sent = match relay.up.poll(cx, client, server) {
        Ok(moved) => moved,
        Err(Fault::Sink) => {
            relay.server_broke_off();
            false
        }
        Err(_) => return Poll::Ready(End::Client),
    };
    let received = loop {
        match relay.down.poll(cx, server, client) {
            Ok(moved) => break moved,
            Err(Fault::Sink) => return Poll::Ready(End::Client),
            Err(_) => {
                relay.server_broke_off();
                server.ended = true;
            }
        }
    };
    if relay.is_done() {
        let broken = relay.broken;
        return Poll::Ready(if broken { End::Server } else { End::Done });
    }
    let Relay { up, down, .. } = relay;
    if sent || received {
        let now = clock::recent();
        client.active = now;
        server.active = now;
    }
    // Idle connections hold no buffer.
    client.input.release();
    server.input.release();
    match connection.member.order() {
        Order::Run | Order::Leave | Order::Finish => {}
        Order::ServerDown => return Poll::Ready(End::ServerDown),
        Order::ServerUp => return Poll::Ready(End::ServerUp),
        Order::Killed => return Poll::Ready(End::Killed),
    }
    let half_closed = up.is_done() || down.is_done();
    let deadline = |active: Instant, whole: Option<Duration>, half: Option<Duration>| {
        let timeout = if half_closed { half } else { whole };
        timeout.map(|timeout| active + timeout)
    };
    // A side is waited for when it is to send, or to take what the other has sent.
    let for_client = up.waits() == Waits::Source || down.waits() == Waits::Sink;
    let for_server = down.waits() == Waits::Source || up.waits() == Waits::Sink;
    let of_client =
        deadline(connection.client.active, limits.client, limits.client_fin).filter(|_| for_client);
    let of_server =
        deadline(server.active, limits.server, limits.server_fin).filter(|_| for_server);
    let client_first = match (of_client, of_server) {
        (Some(client), Some(server)) => client <= server,
        (client, _) => client.is_some(),
    };
    connection
        .timer
        .set(if client_first { of_client } else { of_server });
    connection.timer.poll_expired(cx).map(|()| {
        if client_first {
            End::ClientTimeout
        } else {
            End::ServerTimeout
        }
    })
}
