//! What every accepted connection goes through before its first byte is understood: rules on the connection,
//! PROXY header, TLS; then the mode of its proxy.

use std::{
    cell::Cell,
    io,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use super::{
    clock,
    connect::Own,
    count::Counted,
    flow::Side,
    http1, http2,
    listener::{Accepted, Listener, Places},
    peers,
    registry::{Membership, Order},
    rt::{self, Timer},
    stray,
    stream::Stream,
    tcp,
    worker::Worker,
};
use crate::{
    config::{LogFormatKind, MessageSizes, Mode, Protocol},
    http1::Progress,
    log::events::{self, level},
    proxy_protocol,
    request::{Addresses, ConnectionInfo, RuleState, Trouble},
    rules::ConnectionVerdict,
};

/// A client connection and what belongs to it as long as it lives.
pub(super) struct Connection {
    pub(super) worker: Rc<Worker>,
    pub(super) listener: Rc<Listener>,
    pub(super) info: ConnectionInfo,
    pub(super) client: Side,
    pub(super) timer: Timer,
    pub(super) member: Membership,
    pub(super) state: RuleState,
    /// PROXY header and TLS took this long.
    pub(super) handshake: Duration,
    /// When the last request ended.
    pub(super) idle_since: Instant,
    /// The frontend's `tcp-request content` rules have seen the request that comes next.
    pub(super) inspected: bool,
    /// Shared by the streams of a connection in HTTP/2.
    pub(super) presence: Rc<Presence>,
}

/// That a connection is there: in the counts, and in its places. Leaves both on drop, in this order.
pub(super) struct Presence {
    _counted: Counted,
    pub(super) places: Places,
    /// The server connection that no other client may use.
    pub(super) own: Cell<Option<Box<Own>>>,
}

/// Why waiting for a client ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// The timer.
    TimedOut,
    /// The client, or its connection.
    Client,
    /// An order to end at once.
    Killed,
}

impl Gone {
    /// The cause, as the log has it.
    pub(super) fn cause(self) -> u8 {
        match self {
            Self::TimedOut => b'c',
            Self::Client => b'C',
            Self::Killed => b'K',
        }
    }
}

impl Connection {
    /// Waits for `ready`, the timer, or an order to end at once, whichever is first.
    pub(super) async fn wait<T>(
        &mut self,
        mut ready: impl FnMut(&mut Side, &mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Gone> {
        std::future::poll_fn(|cx| {
            if let Poll::Ready(value) = ready(&mut self.client, cx) {
                return Poll::Ready(Ok(value));
            }
            if self.member.order() >= Order::ServerDown {
                return Poll::Ready(Err(Gone::Killed));
            }
            self.timer.poll_expired(cx).map(|()| Err(Gone::TimedOut))
        })
        .await
    }

    /// Looks whether the client went away while somebody else is waited for. What it sends meanwhile is kept;
    /// its end is noted in the side.
    pub(super) fn poll_lost(client: &mut Side, cx: &mut Context<'_>) -> Poll<()> {
        while !client.ended && !client.input.is_full() {
            match client.poll_fill(cx, super::buffer::SIZE) {
                Poll::Pending => break,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Goes over to the newest configuration; if that does not have any more what accepted this connection, it ends
    /// after the next answer. To be called between requests.
    pub(super) fn catch_up(&mut self) {
        let of = (&mut self.info, &mut self.state);
        catch_up(&self.worker, &mut self.listener, &self.member, of);
    }

    /// How large its messages may be.
    pub(super) fn sizes(&self) -> MessageSizes {
        self.listener.balancer.config.global.messages
    }

    /// The proxy that accepted it.
    pub(super) fn frontend(&self) -> &crate::config::ProxyConfig {
        self.listener.frontend.config()
    }
}

/// Takes what `listener` accepted over to the newest configuration; if that does not have it any more, the connection
/// ends after the next answer.
#[inline]
pub(super) fn catch_up(
    worker: &Worker,
    listener: &mut Rc<Listener>,
    member: &Membership,
    (info, state): (&mut ConnectionInfo, &mut RuleState),
) {
    let current = worker.current.borrow();
    if Arc::ptr_eq(&current.balancer, &listener.balancer) {
        return;
    }
    if let Some(successor) = current.successor(listener) {
        info.bind.clone_from(&successor.name);
        member.belongs_to(successor);
        state.world = Some(successor.balancer.clone());
        *listener = Rc::clone(successor);
    } else {
        member.is_left_over();
    }
}

/// Starts the task of a connection.
pub(super) fn spawn(worker: &Rc<Worker>, listener: &Rc<Listener>, accepted: Accepted) {
    let mut connection = open(Rc::clone(worker), Rc::clone(listener), accepted);
    rt::spawn(async move {
        connection.member.listen().await;
        if !connection.is_allowed() {
            return;
        }
        // Boxed: what one phase needs is not held during the next.
        if connection.has_preliminaries() {
            match Box::pin(connection.preliminaries()).await {
                Some(ready) => connection = ready,
                None => return,
            }
        }
        if !connection.is_welcome() {
            return;
        }
        connection.count_session();
        if connection.frontend().mode == Mode::Tcp {
            connection.log_connect();
        }
        match connection.frontend().mode {
            _ if connection.frontend().peers.is_some() => Box::pin(peers::serve(connection)).await,
            Mode::Tcp => Box::pin(tcp::serve(connection)).await,
            Mode::Http if connection.speaks_http2() => Box::pin(http2::serve(connection)).await,
            // Not boxed: it is what most connections wait in.
            Mode::Http => http1::serve(connection).await,
        }
    });
}

fn open(worker: Rc<Worker>, listener: Rc<Listener>, accepted: Accepted) -> Box<Connection> {
    // Both clocks are asked at the same moment: dates of requests are reckoned from here on.
    let now = clock::now();
    let info = ConnectionInfo {
        source: accepted.source,
        destination: accepted.destination,
        fronted: None,
        tls: None,
        frontend: Arc::clone(&listener.frontend.config().name),
        bind: listener.name.clone(),
        accepted_at: now,
        accepted_date: clock::wall(),
    };
    Box::new(Connection {
        member: worker.registry.join(&listener, &info, now),
        client: Side::new(Stream::Plain(accepted.socket), now),
        timer: Timer::default(),
        state: RuleState {
            world: Some(listener.balancer.clone()),
            ..RuleState::default()
        },
        handshake: Duration::ZERO,
        idle_since: now,
        inspected: false,
        presence: Rc::new(Presence {
            _counted: Counted::new(&worker, &listener, now),
            places: accepted.places,
            own: Cell::default(),
        }),
        info,
        worker,
        listener,
    })
}

impl Connection {
    /// The backend that rules see as long as none is chosen: that of a `listen` section.
    pub(super) fn own_backend(&self) -> Option<Arc<str>> {
        let section = self.frontend();
        section.backend.as_ref().map(|_| Arc::clone(&section.name))
    }

    /// What rules on the connection made of its addresses, to be its own from now on.
    fn changed_addresses(&mut self) -> Option<Addresses> {
        self.state.marks.as_mut()?.addresses.take()
    }

    /// Whence the client came and whither, as rules have it by now.
    pub(super) fn addresses(&self) -> Addresses {
        self.state.addresses().unwrap_or(Addresses {
            source: self.info.source,
            destination: self.info.destination,
        })
    }

    /// Whether the rules on connections let it in.
    fn is_allowed(&mut self) -> bool {
        let rules = &self.listener.frontend.config().rules;
        let verdict = rules.on_connection(self.info.accepted_at, &self.info, &mut self.state);
        self.client.stream.mark(&mut self.state);
        match verdict {
            ConnectionVerdict::Accept => {
                if let Some(addresses) = self.changed_addresses() {
                    self.info.source = addresses.source;
                    self.info.destination = addresses.destination;
                }
                true
            }
            ConnectionVerdict::Reject => {
                self.count_denied_connection();
                self.client.stream.reset_on_close();
                false
            }
            ConnectionVerdict::SilentDrop => {
                self.count_denied(None);
                self.vanish();
                false
            }
        }
    }

    /// `silent-drop`: the client is not to notice that the connection ends.
    pub(super) fn vanish(&mut self) {
        let hops = self.state.reset_hops().unwrap_or(1);
        self.client.stream.vanish(hops);
    }

    /// Whether the rules on sessions let it in, now that it is known who it is.
    fn is_welcome(&mut self) -> bool {
        let rules = &self.listener.frontend.config().rules;
        let verdict = rules.on_session(clock::recent(), &self.info, &mut self.state);
        self.client.stream.mark(&mut self.state);
        match verdict {
            ConnectionVerdict::Accept => {
                if let Some(addresses) = self.changed_addresses() {
                    self.info.front(None);
                    self.info.source = addresses.source;
                    self.info.destination = addresses.destination;
                }
                true
            }
            ConnectionVerdict::Reject => {
                self.count_denied_session();
                self.client.stream.reset_on_close();
                false
            }
            ConnectionVerdict::SilentDrop => {
                self.count_denied(None);
                self.vanish();
                false
            }
        }
    }

    fn is_proxied(&self) -> bool {
        self.listener.bind_config().is_some_and(|b| b.accept_proxy) || self.state.expects_proxy()
    }

    /// Whether HTTP/2 was agreed on: in the TLS handshake, or beforehand.
    fn speaks_http2(&self) -> bool {
        let agreed = || self.info.tls.as_ref()?.alpn.as_deref();
        match self.listener.bind_config().map(|b| b.protocol) {
            Some(Protocol::Http2) => true,
            Some(Protocol::Http1) => false,
            _ => agreed() == Some("h2"),
        }
    }

    /// Whether something comes before its mode's first byte.
    fn has_preliminaries(&self) -> bool {
        self.is_proxied() || self.listener.tls.is_some()
    }

    /// PROXY header and TLS handshake: both have the time of the client, and the request begins behind them, as with
    /// HAProxy.
    async fn preliminaries(mut self: Box<Self>) -> Option<Box<Self>> {
        let timeouts = &self.frontend().timeouts;
        let begun = self.info.accepted_at;
        self.timer.after(begun, timeouts.client);
        if self.is_proxied() {
            self.read_proxy_header().await?;
        }
        if self.listener.tls.is_some() {
            self = Box::new(Box::pin(self.start_tls()).await?);
        }
        self.handshake = clock::now().saturating_duration_since(begun);
        Some(self)
    }

    /// Reads the PROXY header; addresses in it replace those of the socket. Not a byte behind it is taken, for
    /// that may be TLS. The log is told where there is none.
    async fn read_proxy_header(&mut self) -> Option<()> {
        let mut header = Vec::new();
        let trouble = loop {
            let read = self.wait(|client, cx| poll_header(&mut client.stream, cx, &mut header));
            let read = match read.await {
                Ok(read) => read,
                Err(Gone::TimedOut) => break Trouble::ProxyTimeout,
                Err(Gone::Client | Gone::Killed) => return None,
            };
            match (read, proxy_protocol::decode(&header)) {
                (Ok(()), Ok(Progress::Partial)) => {}
                (Ok(()), Ok(Progress::Complete(found))) => {
                    self.info.front(Some(found.told));
                    if let Some((source, destination)) = found.addresses {
                        self.info.source = source;
                        self.info.destination = destination;
                    }
                    return Some(());
                }
                (Ok(()), Err(proxy_protocol::Error::Signature)) => break Trouble::NoProxy,
                (Ok(()), Err(proxy_protocol::Error::Family)) if header.starts_with(b"PROXY") => {
                    break Trouble::ProxyProtocol;
                }
                (Ok(()), Err(_)) => break Trouble::ProxyHeader,
                (Err(_), _) if !header.is_empty() => break Trouble::ProxyTruncated,
                (Err(e), _) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    break Trouble::ProxyEmpty;
                }
                (Err(_), _) => break Trouble::ProxyAborted,
            }
        };
        let (info, state) = (&self.info, &mut self.state);
        stray::log(trouble.into(), info, state, &self.listener, &self.worker);
        None
    }

    /// `Connect from ...`: the line of proxies without a log format, for a connection in TCP mode, and in HTTP mode for each
    /// request.
    pub(super) fn log_connect(&self) {
        let proxy = self.frontend();
        if proxy.log_format != LogFormatKind::Connect || proxy.logs.is_empty() {
            return;
        }
        let (source, destination) = (self.info.source, self.info.destination);
        let http = proxy.mode == Mode::Http;
        let text = events::connect(source, destination, &proxy.name, http);
        self.worker.sinks.log(proxy, level::INFO, text.as_bytes());
    }
}

/// Appends bytes of the header, and none behind it, to `header`.
fn poll_header(
    stream: &mut Stream,
    cx: &mut Context<'_>,
    header: &mut Vec<u8>,
) -> Poll<io::Result<()>> {
    let mut seen = [0; 512];
    let wanted = match stream {
        Stream::Plain(plain) => {
            let count = ready!(plain.socket().poll_peek(cx, &mut seen))?;
            let before = header.len();
            header.extend_from_slice(seen.get(..count).unwrap_or_default());
            let len = match proxy_protocol::decode(header) {
                Ok(Progress::Complete(found)) => found.len,
                // All of an unfinished header belongs to it.
                _ => header.len(),
            };
            header.truncate(before);
            len - before
        }
        // TLS never comes before the header.
        _ => 1,
    };
    let room = seen.get_mut(..wanted.max(1)).unwrap_or_default();
    let count = ready!(stream.poll_read(cx, room))?;
    if count == 0 {
        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
    }
    header.extend_from_slice(room.get(..count).unwrap_or_default());
    Poll::Ready(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_waits_is_small() {
        fn of<C, F: Future>(_: fn(C) -> F) -> usize {
            size_of::<F>()
        }
        let idle = size_of::<Connection>() + of(http1::serve);
        assert!(idle <= 728, "{idle} bytes");
        let relayed = size_of::<Connection>() + of(tcp::serve);
        assert!(relayed <= 2560, "{relayed} bytes");
    }
}
