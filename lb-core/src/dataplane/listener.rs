//! Accepting: one task per listening socket of a worker.

mod relief;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker, ready},
    time::Duration,
};

use rustix::io::Errno;
use socket2::SockRef;

use super::{
    Balancer, Event, ListenerFd, StartError, clock, destination,
    gate::Pass,
    gates::{Gates, Passes},
    rt, session,
    stream::{NO_ADDRESS, Plain},
    tls::Front,
    trace,
    worker::Worker,
};
use crate::{
    config::{Bind, Config, ProxyConfig},
    frontend::{Admission, Frontend, NotAdmitted},
    log::LogFormat,
    request::of_unix,
    stats::{FrontendCounters, ListenerCounters, ProcessCounters},
};
pub(super) use relief::{Relief, Reliefs, relieve, stand_in};

/// How long a listener rests after the system refused a descriptor.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections accepted in one go before other tasks get their turn.
const BATCH: usize = 64;

/// One `bind` of a configuration: everything that its connections need to know. Shared by them.
#[derive(Clone)]
pub(super) struct Listener {
    /// What all workers share.
    pub(super) balancer: Arc<Balancer>,
    /// Index of the bind in the proxy.
    pub(super) bind: usize,
    /// Counters of the frontend.
    pub(super) counters: Arc<FrontendCounters>,
    /// Counters of its own (`option socket-stats`).
    pub(super) own_counters: Option<Arc<ListenerCounters>>,
    /// The compiled log format.
    pub(super) format: Option<Arc<LogFormat>>,
    /// That of lines about connections that never got as far as a request, where they have their own.
    pub(super) error_format: Option<Arc<LogFormat>>,
    /// The compiled format of structured data beside it, where somebody takes it.
    pub(super) structured: Option<Arc<LogFormat>>,
    /// The frontend.
    pub(super) frontend: Arc<Frontend>,
    /// `bind ... ssl`.
    pub(super) tls: Option<Arc<Front>>,
    /// `name` of the bind.
    pub(super) name: Option<Arc<str>>,
    proxy: usize,
    /// How many binds of the proxy before it have the same address.
    twins: usize,
    /// Its number among those of the proxy, which stands for the port of clients that have none.
    number: u16,
    unix: bool,
    /// The address, when it is a single one.
    local: Option<SocketAddr>,
    gates: Gates,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener")
            .field("proxy", &self.proxy)
            .field("bind", &self.bind)
            .finish_non_exhaustive()
    }
}

/// What tells sockets apart, whatever their descriptors: the numbers of their inodes.
pub(super) type Identities = BTreeSet<u64>;

/// The number of a socket's inode, which its duplicates share.
pub(super) fn identity(fd: impl AsFd) -> u64 {
    rustix::fs::fstat(fd).map_or(0, |stat| stat.st_ino)
}

/// A socket that a worker accepts from, whatever the configuration.
pub(super) struct Post {
    socket: rt::Listener,
    identity: u64,
    listener: RefCell<Rc<Listener>>,
    leaving: Cell<Leaving>,
    waker: RefCell<Option<Waker>>,
}

/// Whether a worker stops accepting from a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// No.
    No,
    /// As soon as nobody waits in the kernel's queue, which ends with the socket.
    WhenEmpty,
    /// At once.
    Now,
}

impl Post {
    /// Makes a socket known to the loop.
    pub(super) fn new(fd: OwnedFd, listener: &Rc<Listener>) -> io::Result<Self> {
        Ok(Self {
            identity: identity(&fd),
            socket: rt::Listener::new(fd)?,
            listener: RefCell::new(Rc::clone(listener)),
            leaving: Cell::new(Leaving::No),
            waker: RefCell::default(),
        })
    }

    /// See [`identity`].
    pub(super) fn identity(&self) -> u64 {
        self.identity
    }

    /// Whoever is accepted from now on belongs to `listener`.
    pub(super) fn serve(&self, listener: &Rc<Listener>) {
        self.listener.replace(Rc::clone(listener));
        self.wake();
    }

    /// Accepting ends.
    pub(super) fn leave(&self, leaving: Leaving) {
        self.leaving.set(leaving);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// A connection together with a place in the process and one in the frontend; `None` when accepting has ended.
    /// While there is no place, connections stay in the kernel's queue.
    async fn accept(&self) -> Option<Incoming> {
        std::future::poll_fn(|cx| {
            let mut waker = self.waker.borrow_mut();
            if waker.as_ref().is_none_or(|w| !w.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
            if self.leaving.get() == Leaving::Now {
                return Poll::Ready(None);
            }
            let listener = self.listener.borrow();
            let passes = ready!(listener.gates.poll_enter(cx));
            match self.socket.poll_accept(cx) {
                Poll::Ready(accepted) => Poll::Ready(Some(Incoming {
                    accepted: accepted.and_then(opened),
                    listener: Rc::clone(&listener),
                    passes,
                })),
                Poll::Pending if self.leaving.get() == Leaving::WhenEmpty => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

fn opened((fd, source): (OwnedFd, Option<SocketAddr>)) -> io::Result<(Plain, SocketAddr)> {
    let socket = rt::Socket::connected(fd)?;
    Ok(match source {
        Some(source) => (Plain::Tcp(socket), source),
        None => (Plain::Unix(socket), NO_ADDRESS),
    })
}

/// The answer of the kernel, and what goes with it.
struct Incoming {
    accepted: io::Result<(Plain, SocketAddr)>,
    listener: Rc<Listener>,
    passes: Passes,
}

/// What goes with an accepted connection and is given back with it, the admission first: whoever gets one of the
/// places, on another thread at the same moment, is to be admitted.
#[derive(Debug)]
pub(super) struct Places {
    _admission: Admission,
    _passes: Passes,
    /// Among those that speak TLS (`maxsslconn`).
    pub(super) secure: Option<Secure>,
}

/// A place among the connections that speak TLS, and what is counted of them; leaves on drop.
#[derive(Debug)]
pub(super) struct Secure {
    counters: Arc<ProcessCounters>,
    _pass: Pass,
}

impl Secure {
    /// `None` where there is no place left.
    pub(super) fn enter(balancer: &Balancer) -> Option<Self> {
        let pass = balancer.enter_secure()?;
        let counters = Arc::clone(&balancer.process);
        counters.tls_connections.enter();
        counters.tls_connections_total.increment();
        counters.tls_rate.count(clock::recent());
        Some(Self {
            counters,
            _pass: pass,
        })
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        self.counters.tls_connections.leave();
    }
}

/// An accepted connection.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) socket: Plain,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) places: Places,
}

impl Listener {
    /// Makes ready what `given` describes.
    pub(super) fn new(given: &ListenerFd, balancer: &Arc<Balancer>) -> Result<Self, StartError> {
        let unknown = || StartError::UnknownListener {
            proxy: given.proxy,
            bind: given.bind,
            worker: given.worker,
        };
        let (proxy, binds, bind) = find(&balancer.config, given).ok_or_else(unknown)?;
        let (index, frontend) = balancer.frontend_of(given.proxy).ok_or_else(unknown)?;
        let counters = balancer.frontend_counters.get(index).ok_or_else(unknown)?;
        let own_counters = balancer.listener_counters.get(index);
        let own_counters = own_counters.and_then(|all| all.get(given.bind));
        let tls = match &bind.tls {
            Some(_) => Some(
                balancer
                    .secured(given.proxy, given.bind)
                    .ok_or_else(unknown)?,
            ),
            None => None,
        };
        let local = SockRef::from(&given.fd).local_addr().ok();
        Ok(Self {
            bind: given.bind,
            counters: Arc::clone(counters),
            own_counters: own_counters.cloned(),
            format: trace::format(proxy).map(Arc::new),
            error_format: trace::error_format(proxy).map(Arc::new),
            structured: trace::structured(proxy).map(Arc::new),
            tls,
            name: bind.name.as_deref().map(Arc::from),
            proxy: given.proxy,
            number: u16::try_from(bind.id.map_or(given.bind + 1, |id| id as usize)).unwrap_or(0),
            twins: binds
                .iter()
                .take(given.bind)
                .filter(|before| before.address == bind.address)
                .count(),
            unix: local.as_ref().is_some_and(socket2::SockAddr::is_unix),
            local: local
                .and_then(|l| l.as_socket())
                .filter(|l| !l.ip().is_unspecified()),
            gates: balancer.gates(index, given.bind).ok_or_else(unknown)?,
            frontend: Arc::clone(frontend),
            balancer: Arc::clone(balancer),
        })
    }

    /// Sets what accepted sockets inherit, which saves two calls a connection. What an earlier configuration set and this
    /// one does not is taken back.
    pub(super) fn tune(&self, fd: &OwnedFd) {
        let socket = SockRef::from(fd);
        if !self.unix {
            let _ = socket.set_tcp_nodelay(true);
            let _ = socket.set_keepalive(self.proxy_config().tcp_keepalive.0);
            let bind = self.bind_config();
            let _ = socket.set_tcp_user_timeout(bind.and_then(|b| b.user_timeout));
            // 0 is the kernel's own choice.
            let mss = bind.and_then(|b| b.mss).unwrap_or(0);
            let _ = socket.set_tcp_mss(mss.into());
        }
        let _ = socket.set_nonblocking(true);
    }

    /// Indices of its proxy and bind.
    pub(super) fn place(&self) -> (usize, usize) {
        (self.proxy, self.bind)
    }

    /// Whether connections of `before`, of an earlier configuration, may go on here.
    pub(super) fn succeeds(&self, before: &Self) -> bool {
        let (new, old) = (self.proxy_config(), before.proxy_config());
        let address = |listener: &Self| listener.bind_config().map(|b| b.address.clone());
        new.name == old.name
            && new.mode == old.mode
            && self.twins == before.twins
            && address(self) == address(before)
    }

    /// Its proxy.
    pub(super) fn proxy_config(&self) -> &ProxyConfig {
        self.frontend.config()
    }

    /// Its `bind` line.
    pub(super) fn bind_config(&self) -> Option<&Bind> {
        self.proxy_config().frontend.as_ref()?.binds.get(self.bind)
    }

    fn opened(&self, socket: Plain, source: SocketAddr, places: Places) -> Accepted {
        if let Plain::Tcp(tcp) = &socket {
            let buffers = self.balancer.config.global.client_buffers;
            destination::limit(&SockRef::from(tcp), buffers);
        }
        let destination = match (&socket, self.local) {
            (Plain::Unix(_), _) => of_unix(self.number),
            (Plain::Tcp(_), Some(local)) => mapped(local),
            (Plain::Tcp(tcp), None) => rustix::net::getsockname(tcp)
                .ok()
                .and_then(|address| address.try_into().ok())
                .map_or(NO_ADDRESS, mapped),
        };
        let source = match &socket {
            Plain::Unix(_) => of_unix(self.number),
            Plain::Tcp(_) => mapped(source),
        };
        Accepted {
            socket,
            source,
            destination,
            places,
        }
    }
}

fn find<'c>(
    config: &'c Config,
    given: &ListenerFd,
) -> Option<(&'c ProxyConfig, &'c [Bind], &'c Bind)> {
    let proxy = config.proxies.get(given.proxy)?;
    let binds = &proxy.frontend.as_ref()?.binds;
    Some((proxy, binds, binds.get(given.bind)?))
}

/// An IPv4 client of an IPv6 socket is an IPv4 client.
fn mapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Accepts until the worker leaves the post, which closes its descriptor of the socket.
pub(super) async fn run(worker: Rc<Worker>, post: Rc<Post>) {
    let mut starved = false;
    loop {
        for _ in 0..BATCH {
            let Some(incoming) = post.accept().await else {
                return;
            };
            begin(&worker, incoming, &mut starved).await;
        }
        rt::yield_now().await;
    }
}

/// Begins the session of whoever came. `starved`: the operator knows that this fails.
async fn begin(worker: &Rc<Worker>, incoming: Incoming, starved: &mut bool) {
    let listener = incoming.listener;
    let (socket, source) = match incoming.accepted {
        Ok(accepted) => accepted,
        // The client was gone before we came (accept(2)): the next one may be there.
        Err(e) if is_of_one_connection(&e) => return,
        Err(e) => {
            if !std::mem::replace(starved, true) {
                worker.notice(format!(
                    "proxy {}: cannot accept, pausing: {e}",
                    listener.proxy_config().name
                ));
            }
            return rt::sleep(PAUSE).await;
        }
    };
    *starved = false;
    let admission = admit(&listener, source).await;
    let places = Places {
        _admission: admission,
        _passes: incoming.passes,
        secure: None,
    };
    session::spawn(worker, &listener, listener.opened(socket, source, places));
}

/// Whether an error of `accept` concerns the connection and not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    let of_one = [Errno::CONNABORTED, Errno::INTR, Errno::PROTO, Errno::PERM];
    of_one
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Counts the connection in the frontend; `maxconnrate`, `maxsslrate` and `rate-limit sessions` make it wait.
async fn admit(listener: &Listener, source: SocketAddr) -> Admission {
    while let Err(retry_at) = listener.balancer.pace(clock::now()) {
        rt::sleep_until(retry_at).await;
    }
    while listener.tls.is_some()
        && let Err(retry_at) = listener.balancer.pace_secure(clock::now())
    {
        rt::sleep_until(retry_at).await;
    }
    loop {
        match listener.frontend.admit(clock::recent(), source.ip()) {
            Ok(admission) => return admission,
            Err(NotAdmitted::TooFast { retry_at }) => {
                rt::sleep_until(retry_at).await;
            }
            // The gates hold exactly as many; a limit that was lowered meanwhile is waited for.
            Err(NotAdmitted::Full) => rt::sleep(PAUSE).await,
        }
    }
}

impl Worker {
    /// Tells the operator something.
    pub(super) fn notice(&self, text: String) {
        self.events.event(Event::Notice { text });
    }
}
