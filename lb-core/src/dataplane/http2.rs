//! HTTP/2 (RFC 9113): connections of clients here, those to servers in [`trunk`]. Frames, header compression and flow control are the `h2` crate's; here
//! each request becomes a connection of its own to the code that serves HTTP/1, one that carries one exchange.
//!
//! ```text
//! socket <-> Wire (counts frames) <-> h2 <-> Downstream (a request as text) <-> Connection, Exchange: as HTTP/1
//! ```
//!
//! Memory of a connection is bounded: [`WINDOWS`] windows of request content, and for each stream a buffer of each
//! direction (16 kB) and [`SEND_BUFFER`] of response that the client has room for but the socket has not taken.

mod downstream;
mod incoming;
mod lane;
mod message;
mod outgoing;
mod trunk;
mod upstream;
mod wire;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{
    Reason,
    server::{Builder, SendResponse},
};
use http::Request;

pub(super) use downstream::Downstream;
pub(super) use lane::Lane;
pub(super) use trunk::{Made, Trunks};
pub(super) use upstream::Upstream;

use super::{
    clock,
    flow::Side,
    listener::Listener,
    registry::{Membership, Order},
    rt::Timer,
    session::{Connection, Presence},
    stream::Stream,
    worker::Worker,
};
use crate::{
    config::ProxyConfig,
    log::events::{self, level},
    request::{ConnectionInfo, RuleState},
};
use wire::{Seen, Wire};

/// Response bytes of a stream that wait for the socket.
const SEND_BUFFER: usize = 64 * 1024;
/// Request content of one connection that may wait, in windows of a stream.
const WINDOWS: u32 = 16;
/// Bytes of a head: the text made of it must fit a buffer. Longer ones are answered with 431.
const HEAD: u32 = 15 * 1024;
/// Streams that were cancelled before anybody looked at them, more than that is a flood.
const CANCELLED_UNSEEN: usize = 100;
/// How long the last frames of a connection that is closed may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

type Mux = h2::server::Connection<Wire, Bytes>;

/// The connection, beside its streams.
struct Front {
    worker: Rc<Worker>,
    listener: Rc<Listener>,
    info: ConnectionInfo,
    member: Membership,
    timer: Timer,
    state: RuleState,
    handshake: Duration,
    presence: Rc<Presence>,
    seen: Rc<Seen>,
    live: Rc<Live>,
    /// Streams so far.
    opened: u32,
    /// A client that is told to open no more streams.
    leaving: bool,
    /// When the connection was told to close.
    closing: Option<Instant>,
}

/// The streams that are being served.
#[derive(Debug)]
struct Live {
    count: Cell<u32>,
    /// Since when there is none.
    idle_since: Cell<Instant>,
    waker: RefCell<Option<Waker>>,
}

/// One of them; leaves on drop.
#[derive(Debug)]
struct Lives(Rc<Live>);

impl Lives {
    fn new(live: &Rc<Live>) -> Self {
        live.count.set(live.count.get() + 1);
        Self(Rc::clone(live))
    }
}

impl Drop for Lives {
    fn drop(&mut self) {
        let left = self.0.count.get().saturating_sub(1);
        self.0.count.set(left);
        if left == 0 {
            self.0.idle_since.set(clock::recent());
            if let Some(waker) = self.0.waker.borrow().as_ref() {
                waker.wake_by_ref();
            }
        }
    }
}

/// How a connection ended.
enum End {
    Closed,
    Failed(h2::Error),
}

/// Serves a client connection to its end.
pub(super) async fn serve(connection: Box<Connection>) {
    let Connection {
        worker,
        listener,
        info,
        client,
        member,
        timer,
        state,
        handshake,
        idle_since,
        presence,
        ..
    } = *connection;
    let seen = Rc::new(Seen::default());
    let before = Bytes::copy_from_slice(client.input.bytes());
    let wire = Wire::of_client(client.stream, before, &seen);
    let mut front = Front {
        worker,
        listener,
        info,
        member,
        timer,
        state,
        handshake,
        presence,
        seen,
        live: Rc::new(Live {
            count: Cell::new(0),
            idle_since: Cell::new(idle_since),
            waker: RefCell::default(),
        }),
        opened: 0,
        leaving: false,
        closing: None,
    };
    front.listener.counters.http2.connections.increment();
    let Some(mut mux) = front.greet(wire).await else {
        return;
    };
    let end = std::future::poll_fn(|cx| front.poll(cx, &mut mux)).await;
    front.report(&end);
}

impl Front {
    fn proxy(&self) -> &ProxyConfig {
        self.listener.frontend.config()
    }

    /// Reads the client's preface.
    async fn greet(&mut self, wire: Wire) -> Option<Mux> {
        let settings = &self.listener.balancer.config.global.http2;
        let window = settings.initial_window_size;
        let mut greeting = std::pin::pin!(
            Builder::new()
                .initial_window_size(window)
                .initial_connection_window_size(window.saturating_mul(WINDOWS).min(MAX_WINDOW))
                .max_concurrent_streams(settings.max_concurrent_streams)
                .max_frame_size(settings.max_frame_size)
                .header_table_size(settings.header_table_size)
                .max_header_list_size(HEAD)
                .max_send_buffer_size(SEND_BUFFER)
                .max_pending_accept_reset_streams(CANCELLED_UNSEEN)
                .enable_connect_protocol()
                .handshake::<Wire, Bytes>(wire)
        );
        let timeouts = &self.listener.frontend.config().timeouts;
        let patience = timeouts.http_request.or(timeouts.client);
        self.timer.after(self.info.accepted_at, patience);
        let (member, timer) = (&self.member, &mut self.timer);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(done) = greeting.as_mut().poll(cx) {
                clock::now();
                return Poll::Ready(done.ok());
            }
            let ends = member.order() >= Order::Finish || timer.poll_expired(cx).is_ready();
            match ends {
                true => Poll::Ready(None),
                false => Poll::Pending,
            }
        })
        .await
    }

    /// Reads and writes frames, and starts streams.
    fn poll(&mut self, cx: &mut Context<'_>, mux: &mut Mux) -> Poll<End> {
        clock::now();
        self.live.listen(cx);
        loop {
            match mux.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.open(request, respond);
                    continue;
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(End::Failed(error)),
                Poll::Ready(None) => return Poll::Ready(End::Closed),
                Poll::Pending => {}
            }
            if self.closing.is_none()
                && let Some(reason) = self.reason_to_close()
            {
                mux.abrupt_shutdown(reason);
                self.closing = Some(clock::recent());
                continue;
            }
            if self.member.order() == Order::Finish && !self.leaving {
                self.leaving = true;
                mux.graceful_shutdown();
                continue;
            }
            self.timer.set(self.deadline());
            match self.timer.poll_expired(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) if self.closing.is_some() => return Poll::Ready(End::Closed),
                Poll::Ready(()) => {
                    mux.abrupt_shutdown(Reason::NO_ERROR);
                    self.closing = Some(clock::recent());
                }
            }
        }
    }

    fn reason_to_close(&self) -> Option<Reason> {
        if self.seen.flood.get().is_some() {
            return Some(Reason::ENHANCE_YOUR_CALM);
        }
        (self.member.order() >= Order::ServerDown).then_some(Reason::NO_ERROR)
    }

    /// How long a connection without streams may be quiet. (Those with streams have the timeouts of their exchanges.)
    fn deadline(&self) -> Option<Instant> {
        if let Some(since) = self.closing {
            return Some(since + LAST_WORDS);
        }
        if self.live.count.get() > 0 {
            return None;
        }
        let timeouts = &self.proxy().timeouts;
        // The ends of answers are on their way to a client that is slow, not quiet.
        if let Some(since) = self.seen.stuck.get() {
            return timeouts.client.map(|patience| since + patience);
        }
        let quiet = if self.leaving {
            timeouts.client_fin
        } else if self.opened > 0 {
            timeouts.http_keep_alive
        } else {
            timeouts.http_request
        };
        let since = match self.opened {
            0 => self.info.accepted_at,
            _ => self.live.idle_since.get(),
        };
        quiet.or(timeouts.client).map(|quiet| since + quiet)
    }

    /// Starts a stream.
    fn open(&mut self, request: Request<h2::RecvStream>, respond: SendResponse<Bytes>) {
        self.catch_up();
        let (request, content) = request.into_parts();
        let stream = match Downstream::new(&request, content, respond) {
            Ok(stream) => stream,
            Err((_, mut respond)) => return respond.send_reset(Reason::PROTOCOL_ERROR),
        };
        let counters = &self.listener.counters;
        counters.http2.streams.increment();
        let now = clock::recent();
        let idle_since = match self.live.count.get() {
            0 => self.live.idle_since.get(),
            _ => now,
        };
        let connection = Box::new(Connection {
            worker: Rc::clone(&self.worker),
            listener: Rc::clone(&self.listener),
            info: self.info.clone(),
            client: Side::new(Stream::Downstream(Box::new(stream)), now),
            timer: Timer::default(),
            member: self.worker.registry.join(&self.listener),
            state: self.state.of_connection(),
            handshake: self.handshake,
            idle_since,
            inspected: false,
            presence: Rc::clone(&self.presence),
        });
        let number = self.opened;
        self.opened = self.opened.saturating_add(1);
        let lives = Lives::new(&self.live);
        lane::serve(&self.worker, (connection, number, lives));
    }

    /// As [`Connection::catch_up`]: before each stream.
    fn catch_up(&mut self) {
        let current = self.worker.current.borrow();
        if Arc::ptr_eq(&current.balancer, &self.listener.balancer) {
            return;
        }
        if let Some(listener) = current.successor(&self.listener) {
            self.info.bind = listener.name.clone();
            self.member.belongs_to(listener);
            self.listener = Rc::clone(listener);
            self.state.world = Some(self.listener.balancer.clone());
        }
    }

    /// Counts what was wrong, and tells of a flood.
    fn report(&self, end: &End) {
        let counters = &self.listener.counters;
        for _ in 0..self.seen.malformed.take() {
            counters.http2.malformed.increment();
            self.listener.count_bad_request();
        }
        let calmed = match end {
            End::Failed(error) => error.is_library() && is_calm(error),
            End::Closed => false,
        };
        let words = match self.seen.flood.get() {
            Some(flood) => flood.words(),
            None if calmed => "too many cancelled requests, or a head without end",
            None => {
                if let End::Failed(error) = end
                    && error.is_library()
                {
                    counters.http2.protocol_errors.increment();
                }
                return;
            }
        };
        counters.http2.floods.increment();
        let proxy = self.proxy();
        let text = events::http2_flood(self.info.source, &proxy.name, words);
        let sinks = &self.worker.sinks;
        sinks.log(proxy, level::WARNING, text.as_bytes());
    }
}

/// The largest window (RFC 9113 §6.9.1).
const MAX_WINDOW: u32 = (1 << 31) - 1;

fn is_calm(error: &h2::Error) -> bool {
    error.reason() == Some(Reason::ENHANCE_YOUR_CALM)
}

impl Live {
    fn listen(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if waker.as_ref().is_none_or(|w| !w.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }
}
