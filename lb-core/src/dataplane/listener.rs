//! Accepting: one task per listening socket of a worker.

use std::{
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustix::io::Errno;
use socket2::SockRef;
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::{
    Event, ListenerFd, StartError, clock,
    gate::{Gate, Pass},
    session,
    stream::{NO_ADDRESS, Plain},
    tls, trace,
    worker::Worker,
};
use crate::{
    config::{Bind, Config, ProxyConfig},
    frontend::{Admission, Frontend, NotAdmitted},
    log::LogFormat,
};

/// How long a listener rests after the system refused a descriptor.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections accepted in one go before other tasks get their turn.
const BATCH: usize = 64;

/// A listening socket with everything its connections need to know. Shared by them.
pub(super) struct Listener {
    /// Index of the bind in the proxy.
    pub(super) bind: usize,
    /// Place of the frontend among those of the balancer.
    pub(super) index: usize,
    /// The compiled log format.
    pub(super) format: Option<LogFormat>,
    /// The frontend.
    pub(super) frontend: Arc<Frontend>,
    /// `bind ... ssl`.
    pub(super) tls: Option<TlsAcceptor>,
    /// `name` of the bind.
    pub(super) name: Option<Arc<str>>,
    unix: bool,
    /// The address, when it is a single one.
    local: Option<SocketAddr>,
    gates: [Arc<Gate>; 2],
    /// Taken by the task that accepts.
    fd: Option<OwnedFd>,
}

/// What goes with an accepted connection and is given back with it.
#[derive(Debug)]
pub(super) struct Places {
    _process: Pass,
    _frontend: Pass,
    _admission: Admission,
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
    pub(super) fn new(
        given: ListenerFd,
        config: &Config,
        (index, frontend): (usize, Arc<Frontend>),
        gates: [Arc<Gate>; 2],
    ) -> Result<Self, StartError> {
        let Some((proxy, bind)) = find(config, &given) else {
            return Err(StartError::UnknownListener {
                proxy: given.proxy,
                bind: given.bind,
                worker: given.worker,
            });
        };
        let tls = match &bind.tls {
            Some(tls) => Some(tls::acceptor(&proxy.name, tls)?),
            None => None,
        };
        let local = SockRef::from(&given.fd).local_addr().ok();
        let unix = local.as_ref().is_some_and(socket2::SockAddr::is_unix);
        if !unix {
            // Accepted sockets inherit both, which saves two calls a connection.
            let socket = SockRef::from(&given.fd);
            let _ = socket.set_tcp_nodelay(true);
            let _ = socket.set_keepalive(proxy.tcp_keepalive.0);
        }
        let _ = SockRef::from(&given.fd).set_nonblocking(true);
        Ok(Self {
            bind: given.bind,
            index,
            format: trace::format(proxy),
            frontend,
            tls,
            name: bind.name.as_deref().map(Arc::from),
            unix,
            local: local
                .and_then(|l| l.as_socket())
                .filter(|l| !l.ip().is_unspecified()),
            gates,
            fd: Some(given.fd),
        })
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
        let destination = match (&socket, self.local) {
            (Plain::Unix(_), _) => NO_ADDRESS,
            (Plain::Tcp(_), Some(local)) => local,
            (Plain::Tcp(tcp), None) => tcp.local_addr().unwrap_or(NO_ADDRESS),
        };
        Accepted {
            socket,
            source: mapped(source),
            destination: mapped(destination),
            places,
        }
    }
}

/// The listening socket, known to the runtime.
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    fn new(fd: OwnedFd, unix: bool) -> io::Result<Self> {
        if unix {
            UnixListener::from_std(fd.into()).map(Self::Unix)
        } else {
            TcpListener::from_std(fd.into()).map(Self::Tcp)
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Plain, SocketAddr)>> {
        match self {
            Self::Tcp(listener) => listener
                .poll_accept(cx)
                .map_ok(|(stream, source)| (Plain::Tcp(stream), source)),
            Self::Unix(listener) => listener
                .poll_accept(cx)
                .map_ok(|(stream, _)| (Plain::Unix(stream), NO_ADDRESS)),
        }
    }
}

fn find<'c>(config: &'c Config, given: &ListenerFd) -> Option<(&'c ProxyConfig, &'c Bind)> {
    let proxy = config.proxies.get(given.proxy)?;
    let bind = proxy.frontend.as_ref()?.binds.get(given.bind)?;
    Some((proxy, bind))
}

/// An IPv4 client of an IPv6 socket is an IPv4 client.
fn mapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Accepts until the task is dropped, which closes the socket.
pub(super) async fn run(worker: Rc<Worker>, mut listener: Listener) {
    let Some(fd) = listener.fd.take() else {
        return;
    };
    let socket = match Socket::new(fd, listener.unix) {
        Ok(socket) => socket,
        Err(e) => return worker.notice(format!("cannot poll a listening socket: {e}")),
    };
    let listener = Rc::new(listener);
    let mut starved = false;
    loop {
        for _ in 0..BATCH {
            let (accepted, process, frontend) = accept(&socket, &listener.gates).await;
            let (socket, source) = match accepted {
                Ok(accepted) => accepted,
                // The client was gone before we came (accept(2)): the next one may be there.
                Err(e) if is_of_one_connection(&e) => continue,
                Err(e) => {
                    if !std::mem::replace(&mut starved, true) {
                        worker.notice(format!(
                            "proxy {}: cannot accept, pausing: {e}",
                            listener.proxy_config().name
                        ));
                    }
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            starved = false;
            let Some(admission) = admit(&listener, source).await else {
                continue;
            };
            let places = Places {
                _process: process,
                _frontend: frontend,
                _admission: admission,
            };
            session::spawn(&worker, &listener, listener.opened(socket, source, places));
        }
        tokio::task::yield_now().await;
    }
}

/// Whether an error of `accept` concerns the connection and not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    let of_one = [Errno::CONNABORTED, Errno::INTR, Errno::PROTO, Errno::PERM];
    of_one
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// A connection together with a place in the process and one in the frontend. While there is none, connections
/// stay in the kernel's queue.
async fn accept(
    socket: &Socket,
    gates: &[Arc<Gate>; 2],
) -> (io::Result<(Plain, SocketAddr)>, Pass, Pass) {
    let [process, frontend] = gates;
    std::future::poll_fn(|cx| {
        let Poll::Ready(outer) = process.poll_enter(cx) else {
            return Poll::Pending;
        };
        // If the frontend is full the outer place goes back, and wakes whoever waits for that.
        let Poll::Ready(inner) = frontend.poll_enter(cx) else {
            return Poll::Pending;
        };
        match socket.poll_accept(cx) {
            Poll::Ready(accepted) => Poll::Ready((accepted, outer, inner)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Counts the connection in the frontend; `rate-limit sessions` makes it wait.
async fn admit(listener: &Listener, source: SocketAddr) -> Option<Admission> {
    loop {
        match listener.frontend.admit(clock::now(), source.ip()) {
            Ok(admission) => return Some(admission),
            Err(NotAdmitted::TooFast { retry_at }) => {
                tokio::time::sleep_until(retry_at.into()).await;
            }
            Err(_) => return None,
        }
    }
}

impl Worker {
    /// Tells the operator something.
    pub(super) fn notice(&self, text: String) {
        self.events.event(Event::Notice { text });
    }
}
