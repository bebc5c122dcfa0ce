//! Health checks: the monitors' probes, run on a thread of their own, and what follows from their results.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    task::Poll,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::LocalSet,
};

use super::{
    Balancer, Event, Events, StartError, clock,
    sink::Sinks,
    worker::{Command, WorkerHandle},
};
use crate::{
    backend::{Backend, StateChange},
    config::{CheckConfig, CheckKind, ProxyConfig, ServerConfig},
    health::{self, CheckReport, CheckStatus, Monitor, Pace, Probe, ProbeResult},
    id::ServerIndex,
    log::events::level,
    server::{Server, ServerKey},
};

/// Most bytes of an answer that are looked at.
const ANSWER: usize = 4096;

/// The running checks: a thread, told of each configuration.
#[derive(Debug)]
pub(super) struct Checks {
    orders: UnboundedSender<Order>,
    thread: JoinHandle<()>,
}

/// What the thread is told.
enum Order {
    /// A configuration is in force.
    Adopt(Arc<Balancer>, Arc<[WorkerHandle]>),
    /// An operator changed a server.
    Log(StateChange),
}

/// What the checks of all servers share.
struct Shared {
    balancer: RefCell<Arc<Balancer>>,
    workers: RefCell<Arc<[WorkerHandle]>>,
    events: Arc<dyn Events>,
    sinks: Sinks,
}

/// Where a checked server stands in the configuration in force.
struct Place {
    proxy: Option<usize>,
    backend: Arc<Backend>,
    server: ServerIndex,
    cut_sessions: bool,
}

/// How a server is checked.
#[derive(PartialEq)]
struct Method {
    address: SocketAddr,
    source: Option<SocketAddr>,
    check: CheckConfig,
    kind: CheckKind,
    pace: Pace,
}

/// A server to be checked.
struct Target {
    key: ServerKey,
    place: Place,
    method: Method,
    /// When it is checked first.
    first: Instant,
}

/// A server that is checked.
struct Watched {
    place: Rc<RefCell<Place>>,
    method: Rc<Method>,
    task: tokio::task::JoinHandle<()>,
}

impl Checks {
    /// Starts the thread; there is nothing to check before [`Checks::adopt`].
    pub(super) fn start(
        balancer: &Arc<Balancer>,
        events: Arc<dyn Events>,
    ) -> Result<Self, StartError> {
        let failed = |source: io::Error| StartError::Worker {
            worker: usize::MAX,
            source,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let (orders, mut received) = unbounded_channel::<Order>();
        let balancer = Arc::clone(balancer);
        let thread = std::thread::Builder::new()
            .name(String::from("checks"))
            .spawn(move || {
                let local = LocalSet::new();
                local.block_on(&runtime, async move {
                    let shared = Rc::new(Shared {
                        sinks: Sinks::new(Arc::clone(&balancer)),
                        balancer: RefCell::new(balancer),
                        workers: RefCell::new(Arc::new([])),
                        events,
                    });
                    let mut watched = BTreeMap::new();
                    while let Some(order) = received.recv().await {
                        let (balancer, workers) = match order {
                            Order::Adopt(balancer, workers) => (balancer, workers),
                            Order::Log(change) => {
                                shared.log(&change);
                                continue;
                            }
                        };
                        shared.sinks.adopt(&balancer);
                        let targets = targets(&balancer, clock::now());
                        shared.balancer.replace(balancer);
                        shared.workers.replace(workers);
                        watched = shared.rearrange(watched, targets);
                    }
                });
            })
            .map_err(failed)?;
        Ok(Self { orders, thread })
    }

    /// Another configuration is in force: servers that are checked as before are not disturbed.
    pub(super) fn adopt(&self, balancer: &Arc<Balancer>, workers: &Arc<[WorkerHandle]>) {
        let order = Order::Adopt(Arc::clone(balancer), Arc::clone(workers));
        let _ = self.orders.send(order);
    }

    /// An operator changed a server: its proxy's log hears of it.
    pub(super) fn log(&self, change: StateChange) {
        let _ = self.orders.send(Order::Log(change));
    }

    /// Ends them.
    pub(super) fn join(self) {
        drop(self.orders);
        let _ = self.thread.join();
    }
}

fn targets(balancer: &Balancer, now: Instant) -> Vec<Target> {
    let mut targets = Vec::new();
    for (index, backend) in balancer.backends.iter().enumerate() {
        let Some(proxy) = balancer.backend_proxy(index) else {
            continue;
        };
        if proxy.disabled {
            continue;
        }
        let checked: Vec<_> = backend
            .servers()
            .iter()
            .filter_map(|server| Some((server, server.config().check.as_ref()?)))
            .collect();
        let shortest = checked
            .iter()
            .map(|(_, c)| c.inter)
            .min()
            .unwrap_or_default();
        let count = u32::try_from(checked.len()).unwrap_or(u32::MAX);
        for (position, (server, check)) in (0u32..).zip(checked) {
            let Some(address) = address(server.config(), check) else {
                continue;
            };
            targets.push(Target {
                key: server.key(),
                place: Place {
                    proxy: balancer.proxy_of_backend(index),
                    backend: Arc::clone(backend),
                    server: server.index(),
                    cut_sessions: server.config().shutdown_sessions_on_down,
                },
                method: Method {
                    address,
                    source: server.config().source,
                    check: check.clone(),
                    kind: backend.config().check.clone(),
                    pace: pace(balancer, proxy, address),
                },
                first: Monitor::first_probe(now, shortest, position, count),
            });
        }
    }
    targets
}

fn pace(balancer: &Balancer, proxy: &ProxyConfig, address: SocketAddr) -> Pace {
    Pace {
        connect_timeout: proxy.timeouts.connect,
        check_timeout: proxy.timeouts.check,
        spread_percent: balancer.config.global.spread_checks,
        seed: u64::from(address.port()),
    }
}

/// Where a server is checked.
fn address(server: &ServerConfig, check: &CheckConfig) -> Option<SocketAddr> {
    let own = server.address?;
    Some(SocketAddr::new(
        check.addr.unwrap_or(own.ip()),
        check.port.unwrap_or(own.port()),
    ))
}

/// Checks one server until it is told otherwise.
async fn watch(
    shared: Rc<Shared>,
    place: Rc<RefCell<Place>>,
    method: Rc<Method>,
    mut monitor: Monitor,
) {
    loop {
        if let Some(deadline) = monitor.next_deadline() {
            tokio::time::sleep_until(deadline.into()).await;
            monitor.handle(clock::now(), health::Event::Timeout);
        }
        let Some(probe) = monitor.poll_probe() else {
            // The runtime's clock is coarser than the deadline's.
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let begun = clock::now();
        let paused = place.borrow().is_paused();
        let found = if paused {
            Found::unknown()
        } else {
            run(&method, probe).await
        };
        let now = clock::now();
        let result = ProbeResult {
            status: found.status,
            code: found.code,
            duration: now.saturating_duration_since(begun),
            detail: found.detail,
        };
        // Somebody forced its health since the last probe.
        let known = place.borrow().report();
        if let Some(known) = known.filter(|known| known.health != monitor.report().health) {
            monitor.handle(now, health::Event::Restore(known));
        }
        monitor.handle(now, health::Event::ProbeDone(result));
        if paused {
            continue;
        }
        let place = place.borrow();
        let change = place
            .backend
            .apply_check(now, place.server, monitor.report());
        if let Some(change) = change {
            shared.tell(&place, &change);
        }
    }
}

impl Place {
    fn is_paused(&self) -> bool {
        self.backend
            .server(self.server)
            .is_none_or(|server| server.admin().is_maintenance() || !server.is_checked())
    }

    fn report(&self) -> Option<CheckReport> {
        self.backend.server(self.server)?.check_report()
    }
}

impl Shared {
    /// Goes over to the servers of another configuration.
    fn rearrange(
        self: &Rc<Self>,
        mut before: BTreeMap<ServerKey, Watched>,
        targets: Vec<Target>,
    ) -> BTreeMap<ServerKey, Watched> {
        let mut watched = BTreeMap::new();
        for target in targets {
            let old = before.remove(&target.key);
            if let Some(old) = old {
                if *old.method == target.method {
                    old.place.replace(target.place);
                    watched.insert(target.key, old);
                    continue;
                }
                old.task.abort();
            }
            let pace = target.method.pace;
            let mut monitor = Monitor::new(target.method.check.clone(), pace, target.first);
            let server = target.place.backend.server(target.place.server);
            if let Some(known) = server.and_then(Server::check_report) {
                // What is known of it counts until the first result.
                monitor.handle(clock::recent(), health::Event::Restore(known));
            }
            let place = Rc::new(RefCell::new(target.place));
            let method = Rc::new(target.method);
            let task = watch(
                Rc::clone(self),
                Rc::clone(&place),
                Rc::clone(&method),
                monitor,
            );
            let task = tokio::task::spawn_local(task);
            watched.insert(
                target.key,
                Watched {
                    place,
                    method,
                    task,
                },
            );
        }
        for (_, gone) in before {
            gone.task.abort();
        }
        watched
    }

    /// An operator's change in the log of its proxy.
    fn log(&self, change: &StateChange) {
        let balancer = self.balancer.borrow();
        let Some((backend, _)) = change.name.rsplit_once('/') else {
            return;
        };
        let index = balancer.backend_named(backend);
        let proxy = index.and_then(|index| balancer.backend_proxy(index));
        if let Some(proxy) = proxy {
            let text = change.to_string();
            self.sinks.log(proxy, change.level(), text.as_bytes());
            if let Some(text) = change.backend_notice() {
                self.sinks.log(proxy, level::EMERGENCY, text.as_bytes());
            }
        }
        if let Some(text) = change.backend_notice() {
            let backend = Arc::from(backend);
            self.events.event(Event::NoServer { backend, text });
        }
    }

    /// Logs a change, tells the supervisor, and the workers if a server went down.
    fn tell(&self, place: &Place, change: &StateChange) {
        let text = change.to_string();
        let balancer = self.balancer.borrow();
        let proxy = place
            .proxy
            .and_then(|index| balancer.config.proxies.get(index));
        if let Some(proxy) = proxy {
            self.sinks.log(proxy, change.level(), text.as_bytes());
        }
        let Some(server) = place.backend.server(place.server) else {
            return;
        };
        if !change.up {
            for worker in self.workers.borrow().iter() {
                worker.send(Command::ServerDown {
                    server: server.key(),
                    cut_sessions: place.cut_sessions,
                });
            }
        }
        let backend: Arc<str> = Arc::from(place.backend.name());
        self.events.event(Event::Server {
            backend: Arc::clone(&backend),
            server: Arc::from(server.name()),
            up: change.up,
            text,
        });
        if let Some(text) = change.backend_notice() {
            if let Some(proxy) = proxy {
                self.sinks.log(proxy, level::EMERGENCY, text.as_bytes());
            }
            self.events.event(Event::NoServer { backend, text });
        }
    }
}

/// What a probe found, without its duration.
struct Found {
    status: CheckStatus,
    code: Option<u16>,
    detail: Arc<str>,
}

impl Found {
    fn new(status: CheckStatus) -> Self {
        Self {
            status,
            code: None,
            detail: Arc::from(""),
        }
    }

    fn unknown() -> Self {
        Self::new(CheckStatus::Unknown)
    }

    fn failed(status: CheckStatus, error: &io::Error) -> Self {
        Self {
            detail: words(error).into(),
            ..Self::new(status)
        }
    }
}

/// The system's words for an error, without the number that Rust adds.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

async fn run(method: &Method, probe: Probe) -> Found {
    let connecting = connect(method);
    let mut stream = match tokio::time::timeout(probe.connect_timeout, connecting).await {
        Err(_) => return Found::new(CheckStatus::L4Timeout),
        Ok(Err(Attempt::Local(e))) => return Found::failed(CheckStatus::SocketError, &e),
        Ok(Err(Attempt::Refused(e))) => return Found::failed(CheckStatus::L4Connection, &e),
        Ok(Ok(stream)) => stream,
    };
    let found = match &method.kind {
        CheckKind::Tcp => Found::new(CheckStatus::L4Ok),
        CheckKind::Http { .. } => {
            match tokio::time::timeout(probe.read_timeout, ask(method, &mut stream)).await {
                Ok(found) => found,
                Err(_) => Found::new(CheckStatus::L7Timeout),
            }
        }
    };
    // The port is free again at once, and the server is not left with a connection it never accepted.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    found
}

enum Attempt {
    Local(io::Error),
    Refused(io::Error),
}

async fn connect(method: &Method) -> Result<TcpStream, Attempt> {
    let begin = || {
        let socket = Socket::new(
            Domain::for_address(method.address),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )?;
        if let Some(source) = method.source {
            socket.bind(&source.into())?;
        }
        Ok(socket)
    };
    let socket: Socket = begin().map_err(Attempt::Local)?;
    match socket.connect(&method.address.into()) {
        Ok(()) => {}
        Err(e) if e.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        Err(e) => return Err(Attempt::Refused(e)),
    }
    let stream = TcpStream::from_std(socket.into()).map_err(Attempt::Local)?;
    let ready = std::future::poll_fn(|cx| match stream.poll_write_ready(cx) {
        Poll::Ready(ready) => Poll::Ready(ready),
        Poll::Pending => Poll::Pending,
    })
    .await;
    let failed = ready.err().or_else(|| stream.take_error().ok().flatten());
    failed.map_or(Ok(stream), |e| Err(Attempt::Refused(e)))
}

/// Sends the request of `option httpchk` and judges the answer.
async fn ask(method: &Method, stream: &mut TcpStream) -> Found {
    let CheckKind::Http {
        method,
        uri,
        version,
        headers,
        expect_status,
    } = &method.kind
    else {
        return Found::new(CheckStatus::L4Ok);
    };
    let mut request = format!("{method} {uri} {version}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    // HTTP/1.0 closes unless told otherwise.
    let closes = &**version == "HTTP/1.0"
        || headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("connection"));
    if !closes {
        request.push_str("connection: close\r\n");
    }
    request.push_str("\r\n");
    if let Err(e) = stream.write_all(request.as_bytes()).await {
        return Found::failed(CheckStatus::L4Connection, &e);
    }
    let mut answer = Vec::new();
    let mut room = [0; ANSWER];
    let line = loop {
        if let Some(end) = memchr::memchr(b'\n', &answer) {
            break answer.get(..end).unwrap_or_default();
        }
        match stream.read(&mut room).await {
            Ok(0) | Err(_) => return Found::new(CheckStatus::L7Response),
            Ok(_) if answer.len() > ANSWER => return Found::new(CheckStatus::L7Response),
            Ok(count) => answer.extend_from_slice(room.get(..count).unwrap_or_default()),
        }
    };
    judge(line.strip_suffix(b"\r").unwrap_or(line), expect_status)
}

/// `HTTP/1.1 200 OK`: status and reason against what is expected (200-399 unless told).
fn judge(line: &[u8], expected: &[std::ops::RangeInclusive<u16>]) -> Found {
    let text = String::from_utf8_lossy(line);
    let mut words = text.splitn(3, ' ');
    let version = words.next().unwrap_or_default();
    let code = words.next().and_then(|w| w.parse::<u16>().ok());
    let Some(code) = code.filter(|_| version.starts_with("HTTP/")) else {
        return Found::new(CheckStatus::L7Response);
    };
    let good = if expected.is_empty() {
        (200..400).contains(&code)
    } else {
        expected.iter().any(|range| range.contains(&code))
    };
    Found {
        code: Some(code),
        // What a good answer says is not told.
        detail: match good {
            true => "".into(),
            false => words.next().unwrap_or_default().into(),
        },
        ..Found::new(if good {
            CheckStatus::L7Ok
        } else {
            CheckStatus::L7Status
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged_by_their_status() {
        let status = |line: &[u8], expected: &[_]| judge(line, expected).status;
        assert_eq!(status(b"HTTP/1.0 200 OK", &[]), CheckStatus::L7Ok);
        assert_eq!(status(b"HTTP/1.1 302 Found", &[]), CheckStatus::L7Ok);
        assert_eq!(status(b"HTTP/1.1 503 x", &[]), CheckStatus::L7Status);
        assert_eq!(status(b"HTTP/1.1 503 x", &[503..=503]), CheckStatus::L7Ok);
        assert_eq!(status(b"SSH-2.0-x", &[]), CheckStatus::L7Response);
        assert_eq!(judge(b"HTTP/1.1 404 Not Found", &[]).code, Some(404));
        assert_eq!(&*judge(b"HTTP/1.1 404 Not Found", &[]).detail, "Not Found");
    }
}
