//! Health checks: the monitors' probes, run on a thread of their own, and what follows from their results.

use std::{
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
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
    health::{self, CheckStatus, Monitor, Pace, Probe, ProbeResult},
    id::ServerIndex,
};

/// Most bytes of an answer that are looked at.
const ANSWER: usize = 4096;

/// The running checks.
#[derive(Debug)]
pub(super) struct Checks {
    stop: oneshot::Sender<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the checks of all servers share.
struct Shared {
    balancer: Arc<Balancer>,
    workers: Arc<[WorkerHandle]>,
    events: Arc<dyn Events>,
    sinks: Sinks,
}

/// A server to be checked.
struct Target {
    backend_index: usize,
    backend: Arc<Backend>,
    server: ServerIndex,
    address: SocketAddr,
    config: ServerConfig,
    kind: CheckKind,
    monitor: Monitor,
}

impl Checks {
    /// Starts them; `None` if no server has `check`.
    pub(super) fn start(
        balancer: &Arc<Balancer>,
        workers: &Arc<[WorkerHandle]>,
        events: Arc<dyn Events>,
    ) -> Result<Option<Self>, StartError> {
        let targets = targets(balancer, clock::now());
        if targets.is_empty() {
            return Ok(None);
        }
        let failed = |source: io::Error| StartError::Worker {
            worker: workers.len(),
            source,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (balancer, workers) = (Arc::clone(balancer), Arc::clone(workers));
        let thread = std::thread::Builder::new()
            .name(String::from("checks"))
            .spawn(move || {
                let local = LocalSet::new();
                local.block_on(&runtime, async move {
                    let sinks = Sinks::new(Arc::clone(&balancer));
                    sinks.prepare();
                    let shared = Rc::new(Shared {
                        balancer,
                        workers,
                        events,
                        sinks,
                    });
                    for target in targets {
                        tokio::task::spawn_local(watch(Rc::clone(&shared), target));
                    }
                    let _ = stopped.await;
                });
            })
            .map_err(failed)?;
        Ok(Some(Self {
            stop,
            thread: Mutex::new(Some(thread)),
        }))
    }

    /// Ends them.
    pub(super) fn join(self) {
        let _ = self.stop.send(());
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

fn targets(balancer: &Balancer, now: Instant) -> Vec<Target> {
    let mut targets = Vec::new();
    for (backend_index, backend) in balancer.backends.iter().enumerate() {
        let Some(proxy) = balancer.backend_proxy(backend_index) else {
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
            let first = Monitor::first_probe(now, shortest, position, count);
            targets.push(Target {
                backend_index,
                backend: Arc::clone(backend),
                server: server.index(),
                address,
                kind: backend.config().check.clone(),
                monitor: Monitor::new(check.clone(), pace(balancer, proxy, address), first),
                config: server.config().clone(),
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
        seed: u64::from(address.port()) << 32 | u64::from(proxy.id),
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

/// Checks one server for ever.
async fn watch(shared: Rc<Shared>, mut target: Target) {
    loop {
        let paused = target
            .backend
            .server(target.server)
            .is_none_or(|server| server.admin().is_maintenance());
        if let Some(deadline) = target.monitor.next_deadline() {
            tokio::time::sleep_until(deadline.into()).await;
            target.monitor.handle(clock::now(), health::Event::Timeout);
        }
        let Some(probe) = target.monitor.poll_probe() else {
            // The runtime's clock is coarser than the deadline's.
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let begun = clock::now();
        let found = if paused {
            Found::unknown()
        } else {
            run(&target, probe).await
        };
        let now = clock::now();
        let result = ProbeResult {
            status: found.status,
            code: found.code,
            duration: now.saturating_duration_since(begun),
            detail: found.detail,
        };
        target.monitor.handle(now, health::Event::ProbeDone(result));
        if paused {
            continue;
        }
        let report = target.monitor.report();
        if let Some(change) = target.backend.apply_check(now, target.server, report) {
            shared.tell(&target, &change);
        }
    }
}

impl Shared {
    /// Logs a change, tells the supervisor, and the workers if a server went down.
    fn tell(&self, target: &Target, change: &StateChange) {
        let text = change.to_string();
        let proxy_index = self.balancer.proxy_of_backend(target.backend_index);
        let proxy = self.balancer.backend_proxy(target.backend_index);
        if let Some(proxy) = proxy {
            self.sinks.log(proxy, change.level(), text.as_bytes());
        }
        let index = proxy_index.unwrap_or_default();
        if !change.up {
            for worker in self.workers.iter() {
                worker.send(Command::ServerDown {
                    backend: target.backend_index,
                    server: target.server.index(),
                    cut_sessions: target.config.shutdown_sessions_on_down,
                });
            }
        }
        self.events.event(Event::Server {
            proxy: index,
            server: target.server.index(),
            up: change.up,
            text,
        });
        if let Some(text) = change.backend_notice() {
            if let Some(proxy) = proxy {
                self.sinks.log(proxy, 0, text.as_bytes());
            }
            self.events.event(Event::NoServer { proxy: index, text });
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

async fn run(target: &Target, probe: Probe) -> Found {
    let connecting = connect(target);
    let mut stream = match tokio::time::timeout(probe.connect_timeout, connecting).await {
        Err(_) => return Found::new(CheckStatus::L4Timeout),
        Ok(Err(Attempt::Local(e))) => return Found::failed(CheckStatus::SocketError, &e),
        Ok(Err(Attempt::Refused(e))) => return Found::failed(CheckStatus::L4Connection, &e),
        Ok(Ok(stream)) => stream,
    };
    let found = match &target.kind {
        CheckKind::Tcp => Found::new(CheckStatus::L4Ok),
        CheckKind::Http { .. } => {
            match tokio::time::timeout(probe.read_timeout, ask(target, &mut stream)).await {
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

async fn connect(target: &Target) -> Result<TcpStream, Attempt> {
    let begin = || {
        let socket = Socket::new(
            Domain::for_address(target.address),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )?;
        if let Some(source) = target.config.source {
            socket.bind(&source.into())?;
        }
        Ok(socket)
    };
    let socket: Socket = begin().map_err(Attempt::Local)?;
    match socket.connect(&target.address.into()) {
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
async fn ask(target: &Target, stream: &mut TcpStream) -> Found {
    let CheckKind::Http {
        method,
        uri,
        version,
        headers,
        expect_status,
    } = &target.kind
    else {
        return Found::new(CheckStatus::L4Ok);
    };
    let mut request = format!("{method} {uri} {version}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !headers
        .iter()
        .any(|(n, _)| n.eq_ignore_ascii_case("connection"))
    {
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
