//! The response on its way back to the client.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use super::{
    Exchange, LENIENCY, Next,
    answer::Answer,
    detour::detour,
    exchange::log_early,
    forward::letter,
    inspect::{Inspected, inspect},
    verdict::{Ruled, apply_rules, note_server, passes_as_it_is},
    wait::{Patience, Step},
};
use crate::{
    backend::Outcome,
    config::{ProxyConfig, Timeouts},
    cookie::Served,
    dataplane::{
        buffer, clock,
        connect::Dialed,
        flow::{Detour, Fault, Flow, Side, Waits},
        registry::Order,
        session::Connection,
    },
    head::{HeadMut, HeadRef},
    http1::{
        Body, ChunkedDecoder, ConnectionOption, Framing, Method, Names, RequestSummary,
        ResponseSummary, client_framing, client_stays, framing_of_status, says_close, server_stays,
        take_close_out, write_response_head,
    },
    rules::Persist,
    server::Seen,
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
    forget_server_close(x, &dialed, &response);
    note_status(connection, &dialed, response.status);
    dialed.bound |= binds(HeadRef::new(&x.response, dialed.server.input.bytes()));
    let inspected = inspect(connection, x, proxy, &dialed);
    let asked = summary.method;
    let ruled = if inspected == Inspected::Refused {
        Ruled::Dropped
    } else {
        note_server(connection, &dialed);
        if passes_as_it_is(connection, proxy) {
            set_cookie(x, asked, &dialed);
            Ruled::Passes
        } else {
            apply_rules(connection, x, proxy, &mut dialed, (&response, asked)).await
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
    x.trace.status = Some(x.response.status);
    log_early(connection, x, head_size + unread(&dialed, &response));
    let framing = framing_for(summary, x, &response);
    let (detour, framing) = detour(connection, x, &dialed, (framing, response.framing));
    let terms = terms(connection, x, summary, &dialed, &response, framing);
    let names = connection.frontend().names;
    begin(
        x,
        &mut dialed,
        &response,
        (framing, terms.option),
        detour,
        names,
    );
    connection.adjust_case(connection.is_bogus(), x.down.ahead());
    let tunnel = response.framing == Framing::Tunnel;
    let mut passing = Passing::new(connection, x, proxy, (tunnel, terms.drains));
    let last = !terms.stays && x.up.is_done() && !tunnel;
    if last {
        x.down.set_last();
    }
    let step = std::future::poll_fn(|cx| {
        poll_response(connection, x, &mut dialed.server, &mut passing, cx)
    })
    .await
    .or_order(connection);
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
    count_bytes(x, head_size, terms.option);
    note_end(x, step);
    let sent_all = x.up.is_done();
    let keeps = inspected == Inspected::Passes && server_stays(summary, &response, x.server_mode);
    part_with(connection, dialed, step, (sent_all, keeps, tunnel));
    after(connection, framing, step, (terms.stays, sent_all))
}

/// Whether the server begins to authenticate the connection, not single requests: whoever it lets in is known by the
/// connection from then on (NTLM, and Negotiate where it carries NTLM).
fn binds(head: HeadRef<'_>) -> bool {
    let challenge: &[u8] = match head.status() {
        401 => b"www-authenticate",
        407 => b"proxy-authenticate",
        _ => return false,
    };
    let of_connections = |offer: &[u8]| {
        let scheme = offer.trim_ascii().split(u8::is_ascii_whitespace).next();
        let is = |name: &[u8]| scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(name));
        is(b"ntlm") || is(b"negotiate")
    };
    head.values(challenge)
        .any(|value| value.split(|byte| *byte == b',').any(of_connections))
}

/// On what terms a response goes to the client.
struct Terms {
    /// What the client hears of its connection.
    option: ConnectionOption,
    /// That stays open.
    stays: bool,
    /// The rest of the upload is still passed on.
    drains: bool,
}

fn terms(
    connection: &Connection,
    x: &Exchange,
    summary: &RequestSummary,
    dialed: &Dialed,
    response: &ResponseSummary,
    framing: Framing,
) -> Terms {
    // An early response does not end the upload: the server may go on reading after it. It does where the server
    // said that it closes, or the client waits for a word that will not come.
    let never_began = summary.expect_continue && x.up.bytes() == 0;
    let drains = response.persistent && !never_began;
    let stays = client_stays(summary, framing, connection.frontend().http_mode)
        && !is_told_to_end(x, dialed)
        && connection.member.order() == Order::Run
        && !x.upload_broken
        && (x.up.is_done() || drains && !connection.client.ended);
    Terms {
        option: ConnectionOption::to_client(summary, response, stays),
        stays,
        drains,
    }
}

/// What becomes of the server's connection after a response that ended with `step`.
fn part_with(
    connection: &mut Connection,
    mut dialed: Dialed,
    step: Step,
    (sent_all, keeps, tunnel): (bool, bool, bool),
) {
    let over = step == Step::Done && sent_all;
    if over && keeps {
        connection.keep(dialed, clock::recent());
        return;
    }
    if over && !tunnel && !dialed.server.ended {
        // The side that closes first keeps the port for a minute (TIME_WAIT): leave with a reset.
        dialed.server.stream.reset_on_close();
    }
    drop(dialed.server);
    dialed.lease.finish(step.outcome());
}

/// What becomes of the client's connection after that.
fn after(
    connection: &mut Connection,
    framing: Framing,
    step: Step,
    (stays, sent_all): (bool, bool),
) -> Next {
    match step {
        Step::Done if stays && sent_all => Next::Request,
        Step::Done if sent_all => Next::Close,
        Step::Done => Next::Linger,
        _ => cut_short(connection, framing, step),
    }
}

/// Ends a response that is not whole. A body without a length would look whole if its connection ended well.
fn cut_short(connection: &mut Connection, framing: Framing, step: Step) -> Next {
    let timed_out = matches!(step, Step::ClientTimeout | Step::ServerTimeout);
    match framing {
        // As in TCP mode.
        Framing::Tunnel if timed_out => return Next::Close,
        Framing::UntilClose | Framing::Tunnel => {}
        _ => return Next::Close,
    }
    if step == Step::ServerGone && connection.client.stream.http2_origin().is_none() {
        return Next::Break;
    }
    connection.client.stream.reset_on_close();
    Next::Close
}

/// How a response is passed on.
struct Passing {
    patience: Patience,
    /// Once one direction of a tunnel has ended.
    half_closed: Patience,
    /// The server reads what is left of the request after its response.
    drains: bool,
    /// The server broke off behind what only its end could end. What it said before still goes to the client.
    broken: bool,
}

/// What the server said of its connection was for us: what rules find and write is between us and the client.
fn forget_server_close(x: &mut Exchange, dialed: &Dialed, response: &ResponseSummary) {
    if !response.persistent {
        let received = dialed.server.input.bytes();
        take_close_out(&mut HeadMut::new(&mut x.response, received));
    }
}

/// Rules may end the client's connection.
fn is_told_to_end(x: &Exchange, dialed: &Dialed) -> bool {
    says_close(HeadRef::new(&x.response, dialed.server.input.bytes()))
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
fn framing_for(summary: &RequestSummary, x: &Exchange, response: &ResponseSummary) -> Framing {
    let framing = match (summary.method, x.asked) {
        // Rules made something else of a HEAD, or a HEAD of something else: the client gets what it asked for.
        (Method::Head, asked) if asked != Method::Head => Framing::None,
        (method, Method::Head) if method != Method::Head => Framing::Length(0),
        _ => client_framing(summary.version, response.framing),
    };
    framing_of_status(framing, response.status, x.response.status)
}

/// Writes the head for the client, and says what becomes of the content behind it.
fn begin(
    x: &mut Exchange,
    dialed: &mut Dialed,
    response: &ResponseSummary,
    (framing, option): (Framing, ConnectionOption),
    detour: Option<Detour>,
    names: Names,
) {
    let input = &mut dialed.server.input;
    let out = x.down.ahead();
    let head = HeadRef::new(&x.response, input.bytes());
    write_response_head(head, framing, option, names, out);
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

/// The persistence cookie of the response.
pub(super) fn set_cookie(x: &mut Exchange, asked: Method, dialed: &Dialed) {
    let Some(policy) = dialed.lease.backend().cookie() else {
        return;
    };
    let server = dialed.lease.server();
    let value = server.and_then(|server| dialed.lease.backend().cookie_of(server));
    let served = Served {
        server_cookie: value.as_deref(),
        persistence: dialed.lease.persistence(),
        is_post: asked == Method::Post,
        ignored: x.persist == Persist::Ignored,
        dates: x.cookie_dates,
        now: clock::unix(),
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

impl Passing {
    /// How long either side may be silent from now on, in a tunnel or not.
    fn new(
        connection: &Connection,
        x: &mut Exchange,
        proxy: &ProxyConfig,
        (tunnel, drains): (bool, bool),
    ) -> Self {
        let timeouts = (&connection.frontend().timeouts, &proxy.timeouts);
        let own = connection.state.own_timeouts();
        let mut patience = Patience {
            client: timeouts.0.client,
            server: own.0.or(timeouts.1.server),
        };
        let mut half_closed = patience;
        if tunnel {
            patience = begin_tunnel(x, own.1, timeouts, patience);
            half_closed = Patience {
                client: timeouts.0.client_fin.or(patience.client),
                server: timeouts.1.server_fin.or(patience.server),
            };
        }
        Self {
            patience,
            half_closed,
            drains,
            broken: false,
        }
    }
}

/// Passes the response (and what is left of the request) until the response is over.
fn poll_response(
    connection: &mut Connection,
    x: &mut Exchange,
    server: &mut Side,
    passing: &mut Passing,
    cx: &mut Context<'_>,
) -> Poll<Step> {
    let client = &mut connection.client;
    loop {
        let mut moved = match x.down.poll(cx, server, client) {
            Ok(moved) => moved,
            Err(Fault::Sink) => return Poll::Ready(Step::ClientGone),
            Err(Fault::Source) if x.down.is_endless() => {
                passing.broken = true;
                server.ended = true;
                x.down.leave_open();
                continue;
            }
            Err(Fault::Source) => return Poll::Ready(Step::ServerGone),
            Err(Fault::Truncated | Fault::Malformed) => return Poll::Ready(Step::BadResponse),
        };
        if passing.broken && x.down.is_done() {
            return Poll::Ready(Step::ServerGone);
        }
        if x.down.is_done() {
            let pointless = !passing.drains || x.upload_broken;
            if x.up.is_done() || !x.down.closes() && (pointless || has_left(server, cx)) {
                client.active = clock::recent();
                return Poll::Ready(Step::Done);
            }
        }
        if !x.up.is_done() && !x.upload_broken {
            match x.up.poll(cx, client, server) {
                Ok(up) => moved |= up,
                // A tunnel has nothing else to end it: what the server said before is still passed.
                Err(Fault::Sink) if x.up.closes() => {
                    x.up.stop();
                    x.down.leave_open();
                    passing.broken = true;
                    continue;
                }
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
    let half_closed = x.up.is_done() || x.down.is_done();
    let patience = match half_closed {
        true => passing.half_closed,
        false => passing.patience,
    };
    let for_client = match x.down.is_done() {
        true => x.up.waits() == Waits::Source,
        false if x.down.waits() == Waits::Sink => true,
        // Both may speak in a tunnel.
        false => x.up.closes() && x.up.waits() == Waits::Source && patience.ends_with_client(),
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
