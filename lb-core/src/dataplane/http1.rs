//! HTTP/1 connections: requests one after the other, each an [`Exchange`] with a server.
//!
//! Between requests a connection holds no buffer, and if none comes soon no exchange either. Nothing here decides what the pure modules
//! can decide: `http1` reads and writes heads, `rules` and `frontend` route, `backend` chooses servers.

mod answer;
mod cached;
mod detour;
mod exchange;
mod forward;
mod hold;
mod inspect;
mod local;
mod prepare;
mod reply;
mod retry;
mod send;
mod verdict;
mod wait;

use std::{
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use super::{
    buffer, clock, farewell,
    flow::Flow,
    http2,
    registry::Order,
    session::{Connection, Gone},
    trace::Trace,
};
use crate::{
    compression::{self, Compression},
    config::{HttpMode, Protocol, RetryOn},
    cookie,
    head::Head,
    http1::{Body, Leniency, Limits, Method, RequestDecoder, ResponseDecoder},
    rules::Persist,
};

/// How strictly heads are read: as HAProxy does, whose files this runs.
const LENIENCY: Leniency = Leniency::HAPROXY;

/// How strictly heads are read where the file lets invalid ones pass, or does not.
fn leniency(invalid: bool) -> Leniency {
    match invalid {
        true => Leniency::RELAXED,
        false => LENIENCY,
    }
}

impl Connection {
    /// Gives names of fields the case that some peers wrongly depend on, if it is `bogus` ones that get these heads.
    fn adjust_case(&self, bogus: bool, heads: &mut [u8]) {
        if bogus {
            self.listener
                .balancer
                .config
                .global
                .header_case
                .adjust(heads);
        }
    }

    /// Whether the client is such a one.
    fn is_bogus(&self) -> bool {
        self.frontend().adjust_case.0 && self.client.stream.http2_origin().is_none()
    }
}

/// The memory of one exchange, reused by the next one of the same worker.
#[derive(Debug)]
pub(super) struct Exchange {
    request: Head,
    response: Head,
    decoder: RequestDecoder,
    answers: ResponseDecoder,
    up: Flow,
    down: Flow,
    /// Method and target as received, for the log, and their lengths.
    line: Vec<u8>,
    method_len: usize,
    /// What is made of the content of the response, if it suits.
    squeeze: Option<(compression::Algorithm, Arc<Compression>)>,
    /// What the server was asked, which decides whether its response has a body.
    asked: Method,
    /// What the server was told of its connection.
    server_mode: HttpMode,
    /// What becomes of its persistence cookie.
    persist: Persist,
    /// The dates of that.
    cookie_dates: cookie::Dates,
    /// The request has been made ready for a server.
    forwarding: bool,
    /// The server takes no more of the request.
    upload_broken: bool,
    /// The server has begun to answer, by an interim response.
    interim: bool,
    /// The client's end of sending means that it gave up (`option abortonclose`).
    ends_at_client_end: bool,
    /// After which failures the request goes out again.
    retry_on: RetryOn,
    trace: Trace,
}

impl Exchange {
    /// Without memory yet.
    pub(super) fn new() -> Self {
        Self {
            request: Head::default(),
            response: Head::default(),
            decoder: RequestDecoder::new(Limits::default(), LENIENCY),
            answers: ResponseDecoder::new(Limits::default(), LENIENCY, Method::Get),
            up: Flow::default(),
            down: Flow::default(),
            line: Vec::new(),
            method_len: 0,
            squeeze: None,
            asked: Method::Get,
            server_mode: HttpMode::KeepAlive,
            persist: Persist::Usual,
            cookie_dates: cookie::Dates::default(),
            forwarding: false,
            upload_broken: false,
            interim: false,
            ends_at_client_end: false,
            retry_on: RetryOn::NONE,
            trace: Trace::default(),
        }
    }

    /// Forgets what is left of a transfer: the next exchange, which may be another client's, begins with nothing, and
    /// pipes and compressors are few.
    fn rest(&mut self) {
        self.up.restart(Body::Done);
        self.down.restart(Body::Done);
    }
}

/// What becomes of a client connection after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// It waits for another request.
    Request,
    /// It is closed.
    Close,
    /// It is closed after what the client still sends has been read, so that no reset overtakes the answer.
    Linger,
    /// It breaks off as its server did.
    Break,
}

/// Serves a client connection to its end.
pub(super) async fn serve(mut connection: Box<Connection>) {
    let mut requests = 0u32;
    while let Ok(true) = next_request(&mut connection, requests == 0).await {
        // Boxed: what requests need is not held by connections that have been waiting for one.
        match Box::pin(serve_while_busy(&mut connection, &mut requests)).await {
            Some(Next::Request) => {}
            Some(Next::Close) => break,
            Some(Next::Linger) => return farewell::linger(&mut connection).await,
            // Boxed: few need it.
            Some(Next::Break) => return Box::pin(farewell::break_off(&mut connection)).await,
            None => return Box::pin(http2::serve(connection)).await,
        }
    }
    end(&mut connection).await;
}

/// Serves the one request that a connection carries: a stream of HTTP/2.
pub(super) async fn serve_one(connection: &mut Connection, exchange: &mut Exchange, number: u32) {
    connection.member.listen().await;
    exchange::serve(connection, exchange, number, clock::recent()).await;
    exchange.rest();
}

/// What a client sends first that speaks HTTP/2 without having asked (RFC 9113 §3.3).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether a client that has not agreed on HTTP/2 begins with its preface: in TLS, too, where a client knows beforehand or
/// does not negotiate. Who has begun with a part of it has the time of a request for the rest, and for all of the head if
/// it becomes none.
async fn begins_http2(connection: &mut Connection, began: Instant) -> bool {
    let protocol = connection.listener.bind_config().map(|b| b.protocol);
    let forbidden = connection.frontend().no_h2_upgrade || protocol == Some(Protocol::Http1);
    if forbidden {
        return false;
    }
    loop {
        let seen = connection.client.input.bytes();
        let compared = seen.len().min(PREFACE.len());
        if seen.get(..compared) != PREFACE.get(..compared) {
            return false;
        }
        if compared == PREFACE.len() {
            return true;
        }
        let timeouts = &connection.frontend().timeouts;
        let timeout = timeouts.http_request.or(timeouts.client);
        connection.timer.after(began, timeout);
        let read = connection
            .wait(|client, cx| client.poll_fill(cx, buffer::SIZE))
            .await;
        if !matches!(read, Ok(Ok(count)) if count > 0) {
            return false;
        }
    }
}

/// Serves the request whose first byte has come, and those after it until none comes [`SOON`], or at once none
/// where many others wait with their memory already. `None` if the client speaks HTTP/2.
async fn serve_while_busy(connection: &mut Connection, requests: &mut u32) -> Option<Next> {
    let mut began = clock::recent();
    if *requests == 0 && begins_http2(connection, began).await {
        return None;
    }
    let pooled = connection.worker.exchanges.borrow_mut().pop();
    let mut exchange = pooled.unwrap_or_else(|| Box::new(Exchange::new()));
    let next = loop {
        connection.catch_up();
        let next = exchange::serve(connection, &mut exchange, *requests, began).await;
        exchange.rest();
        *requests = requests.saturating_add(1);
        connection.member.uses(None);
        connection.client.input.forget();
        connection.client.input.release();
        if next != Next::Request || !comes_soon(connection).await {
            break next;
        }
        began = clock::recent();
    };
    let mut pool = connection.worker.exchanges.borrow_mut();
    if pool.len() < KEPT {
        pool.push(exchange);
    }
    Some(next)
}

/// A connection without a request for so long gives its memory back.
const SOON: Duration = Duration::from_secs(1);
/// Exchanges whose memory a worker keeps: free ones, and those of connections that wait for their next request.
const KEPT: usize = 64;

/// Whether the first byte of another request comes [`SOON`]. If not, [`next_request`] finds out why.
async fn comes_soon(connection: &mut Connection) -> bool {
    if !connection.client.input.is_empty() {
        return true;
    }
    let timeouts = &connection.frontend().timeouts;
    let patience = timeouts.http_keep_alive.or(timeouts.http_request);
    let soon = patience.or(timeouts.client).map_or(SOON, |t| t.min(SOON));
    let worker = std::rc::Rc::clone(&connection.worker);
    if worker.waiting.get() >= KEPT {
        return false;
    }
    connection.timer.after(connection.client.active, Some(soon));
    worker.waiting.set(worker.waiting.get() + 1);
    let came = first_byte(connection, false).await;
    worker.waiting.set(worker.waiting.get().saturating_sub(1));
    matches!(came, Ok(Ok(count)) if count > 0)
}

/// Waits for the first byte of a request; false when there will be none.
async fn next_request(connection: &mut Connection, first: bool) -> Result<bool, Gone> {
    if !connection.client.input.is_empty() {
        return Ok(true);
    }
    let timeouts = &connection.frontend().timeouts;
    let whole = timeouts.http_request.or(timeouts.client);
    let timeout = if first {
        whole
    } else {
        timeouts.http_keep_alive.or(whole)
    };
    let since = if first {
        connection.info.accepted_at + connection.handshake
    } else {
        connection.client.active
    };
    connection.timer.after(since, timeout);
    match first_byte(connection, first).await {
        Ok(Ok(count)) if count > 0 => return Ok(true),
        // Boxed as requests are: connections that only wait do not hold what it needs.
        Err(Gone::TimedOut) if first => {
            Box::pin(exchange::refuse_silent(connection, 408, b'c')).await;
        }
        Ok(_) if first => Box::pin(exchange::refuse_silent(connection, 400, b'C')).await,
        _ => {}
    }
    Ok(false)
}

/// What the client sends first, or why it is not waited for any longer. A client that was let in just before
/// accepting stopped has its request on the way: it is waited for a little.
async fn first_byte(connection: &mut Connection, first: bool) -> Result<Result<usize, Gone>, Gone> {
    let member = &connection.member;
    let (client, timer) = (&mut connection.client, &mut connection.timer);
    let late = connection.info.accepted_at + SOON;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(read) = client.poll_fill(cx, buffer::SIZE) {
            return Poll::Ready(Ok(read.map_err(|_| Gone::Client)));
        }
        match member.order() {
            Order::Run | Order::Leave => {}
            Order::Finish if first && clock::recent() < late => timer.no_later_than(late),
            _ => return Poll::Ready(Err(Gone::Killed)),
        }
        let expired = timer.poll_expired(cx);
        expired.map(|()| {
            let finishes = member.order() >= Order::Finish;
            Err(if finishes {
                Gone::Killed
            } else {
                Gone::TimedOut
            })
        })
    })
    .await
}

/// Ends the sending direction and closes.
async fn end(connection: &mut Connection) {
    let timeouts = connection.frontend().timeouts;
    connection
        .timer
        .after(clock::recent(), timeouts.client_fin.or(timeouts.client));
    // Whom a rule dropped in silence is not told farewell.
    if connection.info.tls.is_some() && connection.state.reset_hops().is_none() {
        let _ = connection
            .wait(|client, cx| client.stream.poll_shutdown(cx))
            .await;
    }
}
