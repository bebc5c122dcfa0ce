//! HTTP/2 (RFC 9113): connections of clients here, those to servers in [`trunk`]. Frames, header compression and flow
//! control are those of [`crate::http2`] towards clients and the `h2` crate's towards servers; each request is served as a
//! connection of its own by the code that serves HTTP/1, one that carries one exchange.
//!
//! ```text
//! socket <-> Front <-> Mux (crate::http2::Server) <-> Downstream (a request as text) <-> Connection, Exchange: as HTTP/1
//! socket <-> Wire <-> Trunk (h2) <-> Upstream (a request as text) <-> Exchange
//! ```
//!
//! A client's frames are read in one go, its requests served by tasks of their own, and what all of them answer is sent
//! in one go when they have had their turn.

mod alone;
mod downstream;
mod heads;
mod incoming;
mod lane;
mod library;
mod message;
mod mux;
mod outgoing;
mod preface;
mod told;
mod trunk;
mod upstream;
mod wire;

use std::{
    cell::{Cell, RefCell},
    io::IoSlice,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

pub(super) use downstream::Downstream;
pub(super) use lane::Lanes;
pub(super) use trunk::{Made, Trunks};
pub(super) use upstream::Upstream;

use super::{
    buffer::{Buffer, SIZE},
    clock,
    flow::Side,
    listener::Listener,
    registry::{Membership, Order},
    rt::Timer,
    session::{self, Connection, Presence},
    stream::Stream,
    worker::Worker,
};
use crate::{
    config::ProxyConfig,
    http2::{Code, Key, Limits, Server},
    request::{ConnectionInfo, RuleState},
};
use mux::Mux;

/// How often a connection reads before others have their turn.
const READS: u32 = 4;
/// A connection without a stream for so long gives memory back.
const SOON: Duration = Duration::from_secs(1);
/// How long the first frames of a client may take that was let in before accepting stopped.
const FIRST_WORDS: Duration = Duration::from_secs(1);
/// How long the last frames of a connection that is closed may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

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
    stream: Stream,
    input: Buffer,
    mux: Rc<Mux>,
    live: Rc<Live>,
    /// Streams so far.
    opened: u32,
    /// Since when the client takes nothing of what waits to be sent.
    stuck: Option<Instant>,
    /// A client that is told to open no more streams.
    leaving: bool,
    /// When the connection was told to close.
    closing: Option<Instant>,
    /// The client has ended its direction.
    ended: bool,
    /// The end of what is sent has been sent.
    shut: bool,
    /// It has given memory back, and had no stream since.
    shrunk: bool,
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

/// The client is gone.
struct Lost;

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
    let settings = &listener.balancer.config.global.http2;
    let limits = Limits {
        header_table: settings.header_table_size,
        window: settings.initial_window_size,
        streams: settings.max_concurrent_streams,
        frame: settings.max_frame_size,
        // The text made of it must fit a buffer. Longer ones are answered with 431.
        head: listener.balancer.config.global.messages.head(),
        websockets: !settings.without_websockets,
    };
    let mut front = Front {
        worker,
        listener,
        info,
        member,
        timer,
        state,
        handshake,
        presence,
        stream: client.stream,
        input: client.input,
        mux: Rc::new(Mux::new(Server::new(limits, clock::recent()))),
        live: Rc::new(Live {
            count: Cell::new(0),
            idle_since: Cell::new(idle_since),
            waker: RefCell::default(),
        }),
        opened: 0,
        stuck: None,
        leaving: false,
        closing: None,
        ended: false,
        shut: false,
        shrunk: false,
    };
    front.listener.counters.http2.connections.increment();
    // What was read before anybody knew what it is.
    front.understand();
    std::future::poll_fn(|cx| front.poll(cx)).await;
    front.lose();
    front.report();
}

impl Front {
    fn proxy(&self) -> &ProxyConfig {
        self.listener.frontend.config()
    }

    /// Reads and writes frames, and starts streams, until the end.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        clock::now();
        self.live.listen(cx);
        self.mux.listen(cx);
        if let Some(hops) = self.mux.vanishes() {
            self.stream.vanish(hops);
            return Poll::Ready(());
        }
        loop {
            if self.receive(cx).is_err() {
                return Poll::Ready(());
            }
            self.obey();
            if let Some(tos) = self.mux.take_tos() {
                self.stream.set_tos(tos);
            }
            let full = self.mux.with(|server| server.is_full());
            let sent = self.send(cx);
            if let Poll::Ready(Err(Lost)) = sent {
                return Poll::Ready(());
            }
            let over = sent.is_ready() && self.mux.with(|server| server.is_over());
            if over {
                self.closing.get_or_insert(clock::recent());
                if self.poll_end(cx).is_ready() {
                    return Poll::Ready(());
                }
            } else if full && sent.is_ready() {
                // There is room again for what reading makes, and nothing else would tell.
                cx.waker().wake_by_ref();
            }
            self.timer.set(self.deadline());
            let pause = self.live.idle_since.get() + SOON;
            let rests = !self.shrunk && self.live.count.get() == 0;
            if rests {
                self.timer.no_later_than(pause);
            }
            ready!(self.timer.poll_expired(cx));
            if rests && clock::recent() >= pause {
                self.shrunk = true;
                self.mux.shrink();
            } else if self.closing.is_some() {
                return Poll::Ready(());
            } else {
                self.abandon(Code::NO_ERROR);
            }
        }
    }

    /// Takes what the client sent.
    fn receive(&mut self, cx: &mut Context<'_>) -> Result<(), Lost> {
        let mut reads = 0;
        while !self.ended && self.mux.with(|server| !server.is_full()) {
            if reads == READS {
                cx.waker().wake_by_ref();
                break;
            }
            reads += 1;
            match self.input.poll_fill(&mut self.stream, cx, SIZE) {
                Poll::Pending => break,
                Poll::Ready(Ok(1..)) => self.understand(),
                // It may listen all the same, like one of HTTP/1.
                Poll::Ready(Ok(0)) => {
                    self.ended = true;
                    self.mux.with(Server::end);
                    self.tell();
                    self.dispatch();
                }
                Poll::Ready(Err(_)) => return Err(Lost),
            }
        }
        self.input.release();
        match self.ended && self.stream.poll_broken(cx).is_ready() {
            true => Err(Lost),
            false => Ok(()),
        }
    }

    fn understand(&mut self) {
        let bytes = self.input.bytes();
        let count = bytes.len();
        self.mux
            .with(|server| server.receive(bytes, clock::recent()));
        self.input.consume(count);
        self.tell();
        self.dispatch();
    }

    /// Starts streams, and wakes those for which something came.
    fn dispatch(&mut self) {
        while let Some(key) = self.mux.next_request() {
            self.open(key);
        }
    }

    /// Sends what waits.
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        loop {
            let sent = self.mux.with(|server| {
                let output = server.output();
                if output.is_empty() {
                    return Poll::Ready(Ok(0));
                }
                let sent = self.stream.poll_write(cx, &[IoSlice::new(output)]);
                if let Poll::Ready(Ok(count)) = sent {
                    server.sent(count);
                }
                sent
            });
            match sent {
                Poll::Ready(Ok(1..)) => {
                    self.stuck = None;
                    self.dispatch();
                }
                Poll::Ready(Ok(0)) => break,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Lost)),
                Poll::Pending => return self.wait_to_send(),
            }
        }
        match self.stream.poll_flush(cx) {
            Poll::Ready(Ok(())) => {
                self.stuck = None;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(_)) => Poll::Ready(Err(Lost)),
            Poll::Pending => self.wait_to_send(),
        }
    }

    fn wait_to_send(&mut self) -> Poll<Result<(), Lost>> {
        self.stuck.get_or_insert(clock::recent());
        Poll::Pending
    }

    /// Does what the worker wants.
    fn obey(&mut self) {
        let order = self.member.order();
        if order >= Order::ServerDown {
            self.abandon(Code::NO_ERROR);
        } else if order >= Order::Leave && !self.leaving && self.has_begun() {
            self.leaving = true;
            // Its time to leave begins now, however long it was quiet.
            if self.live.count.get() == 0 {
                self.live.idle_since.set(clock::recent());
            }
            // A request may be on its way to whom it has been said that requests are taken.
            self.mux.with(Server::leave);
        }
        // The ends of answers have the time of the client, unless it is none to wait for.
        if self.closing.is_none()
            && self
                .mux
                .with(|server| server.is_over() && is_at_fault(server))
        {
            self.closing = Some(clock::recent());
        }
    }

    /// Whether the client has said that it speaks HTTP/2.
    fn has_begun(&self) -> bool {
        self.mux.with(|server| server.has_begun())
    }

    fn abandon(&mut self, code: Code) {
        self.mux.with(|server| server.abandon(code));
        self.closing.get_or_insert(clock::recent());
        self.dispatch();
    }

    /// The client has gone.
    fn lose(&mut self) {
        self.mux.with(Server::lose);
        self.dispatch();
    }

    /// Ends the connection. One that broke the rules is read until its client has seen why: what is left unread would
    /// make the kernel reset it before.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.shut {
            if ready!(self.stream.poll_shutdown(cx)).is_err() {
                return Poll::Ready(());
            }
            self.shut = true;
        }
        match !self.ended && self.mux.with(|server| is_at_fault(server)) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
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
        if let Some(since) = self.stuck {
            return timeouts.client.map(|patience| since + patience);
        }
        let quiet = if self.leaving {
            timeouts.client_fin
        } else if self.opened > 0 {
            timeouts.http_keep_alive.or(timeouts.http_request)
        } else {
            timeouts.http_request
        };
        let quiet = quiet.or(timeouts.client);
        let begun = self.info.accepted_at + self.handshake;
        if !self.has_begun() && self.member.order() >= Order::Finish {
            // Its first words may be on their way, as those of HTTP/1.
            return Some(begun + quiet.map_or(FIRST_WORDS, |quiet| quiet.min(FIRST_WORDS)));
        }
        let since = match self.opened {
            0 if !self.leaving => begun,
            _ => self.live.idle_since.get(),
        };
        quiet.map(|quiet| since + quiet)
    }

    /// Starts a stream.
    fn open(&mut self, key: Key) {
        self.catch_up();
        let stream = Downstream::new(&self.mux, key);
        let counters = &self.listener.counters;
        counters.http2.streams.increment();
        let now = clock::recent();
        let idle_since = match self.live.count.get() {
            0 => self.live.idle_since.get(),
            _ => now,
        };
        let connection = Connection {
            worker: Rc::clone(&self.worker),
            listener: Rc::clone(&self.listener),
            info: self.info.clone(),
            client: Side::new(Stream::Downstream(Box::new(stream)), now),
            timer: Timer::default(),
            member: self.worker.registry.join(&self.listener, &self.info, now),
            state: self.state.of_connection(),
            handshake: self.handshake,
            idle_since,
            inspected: false,
            presence: Rc::clone(&self.presence),
        };
        // As with HAProxy: its date in the log is that of the next stream.
        self.info.accept_again(now, clock::date(now));
        self.shrunk = false;
        let number = self.opened;
        self.opened = self.opened.saturating_add(1);
        let lives = Lives::new(&self.live);
        lane::serve(&self.worker, connection, (number, lives));
    }

    /// As [`Connection::catch_up`]: before each stream.
    fn catch_up(&mut self) {
        let of = (&mut self.info, &mut self.state);
        session::catch_up(&self.worker, &mut self.listener, &self.member, of);
    }
}

/// Whether the client ended the connection by what it sent.
fn is_at_fault(server: &Server) -> bool {
    server.failure().is_some() || server.flood().is_some()
}

impl Live {
    fn listen(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if waker.as_ref().is_none_or(|w| !w.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }
}
