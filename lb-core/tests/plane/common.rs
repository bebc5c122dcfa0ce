//! Origins, clients and a running data plane.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

use lb_core::{
    config::{
        BackendConfig, Bind, BindAddress, Config, FrontendConfig, LogFormatKind, LogHeader,
        LogTarget, Mode, ProxyConfig, ServerConfig, SyslogAddress, Timeouts,
    },
    dataplane::{self, Balancer, DataPlane, Event, Events, ListenerFd, Options},
    rules::{ProxyRules, ProxySide, RulesBuilder},
};

/// Nothing here takes longer unless something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A server that hands each connection to a function on its own thread.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Origin {
    pub(crate) fn new(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&accepted);
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(stream));
            }
        });
        Self { address, accepted }
    }

    /// Answers every request with `answer(head and body as received)` until the connection ends.
    pub(crate) fn http(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::new(move |mut stream| {
            while let Some(request) = read_message(&mut stream) {
                if stream.write_all(&answer(&request)).is_err() {
                    return;
                }
            }
        })
    }

    /// Answers with the request itself as text.
    pub(crate) fn echo() -> Self {
        Self::http(ok)
    }

    pub(crate) fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// A 200 with this body.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The head of a message, and not a byte of its body. `None` at the end of the stream.
pub(crate) fn read_head(stream: &mut TcpStream) -> Option<String> {
    let head = read_until(stream, b"\r\n\r\n")?;
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// What comes up to `end`, and not a byte behind it. `None` if the stream ends before.
fn read_until(stream: &mut TcpStream, end: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(end) {
        match stream.read(&mut byte) {
            Ok(1) => bytes.push(byte[0]),
            _ => return None,
        }
    }
    Some(bytes)
}

/// One message: head, and a body by content-length or chunks. `None` at the end of the stream.
pub(crate) fn read_message(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = read_head(stream)?.into_bytes();
    let head = String::from_utf8_lossy(&bytes).to_lowercase();
    if head.contains("transfer-encoding: chunked") {
        loop {
            let line = read_until(stream, b"\r\n")?;
            let digits = String::from_utf8_lossy(&line).into_owned();
            let digits = digits.trim_end().split(';').next().unwrap_or_default();
            let length = usize::from_str_radix(digits, 16).ok()?;
            bytes.extend(line);
            if length == 0 {
                break;
            }
            let mut content = vec![0; length + 2];
            stream.read_exact(&mut content).ok()?;
            bytes.extend(content);
        }
        // Trailers, and the empty line behind them.
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.extend(read_until(stream, b"\r\n")?);
        }
    } else if let Some(at) = head.find("content-length: ") {
        let digits: String = head[at + 16..]
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        let mut body = vec![0; digits.parse().unwrap()];
        stream.read_exact(&mut body).ok()?;
        bytes.extend(body);
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// An address where nobody listens: a socket that never does holds it. Who wishes to listen there later may, beside it.
pub(crate) fn nobody() -> SocketAddr {
    static HELD: Mutex<Vec<Socket>> = Mutex::new(Vec::new());
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    HELD.lock().unwrap().push(socket);
    address
}

/// Everything the operator was told.
struct Heard(mpsc::Sender<Event>);

impl Events for Heard {
    fn event(&self, event: Event) {
        let _ = self.0.send(event);
    }
}

/// A running data plane; the port of each proxy's first bind, and its log.
pub(crate) struct Plane {
    pub(crate) plane: DataPlane,
    pub(crate) addresses: Vec<Option<SocketAddr>>,
    pub(crate) events: mpsc::Receiver<Event>,
    log: UdpSocket,
}

/// A line of `option httplog`.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) server: String,
    pub(crate) timers: String,
    pub(crate) status: String,
    pub(crate) bytes: String,
    pub(crate) flags: String,
    pub(crate) counts: String,
    pub(crate) queues: String,
    pub(crate) request: String,
}

impl Entry {
    /// Server, status and termination state.
    pub(crate) fn end(&self) -> (&str, &str, &str) {
        (&self.server, &self.status, &self.flags)
    }
}

/// A short timeout, for what runs out whatever happens meanwhile.
pub(crate) const SHORT: Option<Duration> = Some(Duration::from_millis(60));

/// A timeout that runs out, though not while the machine stands still before what is to be in time.
pub(crate) const STEADY: Option<Duration> = Some(Duration::from_millis(1500));

/// Between two looks at what is waited for: whoever looks all the time takes a processor from what it waits for.
const GLANCE: Duration = Duration::from_millis(1);

/// Rules of a `listen` section.
pub(crate) fn rules(write: impl FnOnce(&mut RulesBuilder<'_>)) -> ProxyRules {
    let no_files = |_: &std::path::Path| Err(ErrorKind::NotFound.into());
    let mut builder = RulesBuilder::new(ProxySide::Listen, &no_files);
    write(&mut builder);
    builder.build().unwrap()
}

/// The words of a line.
pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// A `listen` section with these servers.
pub(crate) fn listen(name: &str, mode: Mode, servers: &[SocketAddr]) -> ProxyConfig {
    let mut proxy = ProxyConfig::new(name, 2, mode);
    proxy.frontend = Some(FrontendConfig {
        binds: vec![Bind::new(BindAddress::Tcp("127.0.0.1:0".parse().unwrap()))],
        ..FrontendConfig::default()
    });
    proxy.backend = Some(BackendConfig {
        servers: (1..)
            .zip(servers)
            .map(|(id, address)| ServerConfig::new(format!("s{id}"), id, Some(*address)))
            .collect(),
        ..BackendConfig::default()
    });
    proxy.log_format = match mode {
        Mode::Tcp => LogFormatKind::Tcp,
        Mode::Http => LogFormatKind::Http,
    };
    proxy.timeouts = Timeouts {
        client: Some(PATIENCE),
        server: Some(PATIENCE),
        connect: Some(Duration::from_secs(2)),
        ..Timeouts::default()
    };
    proxy
}

impl Plane {
    pub(crate) fn start(proxies: Vec<ProxyConfig>) -> Self {
        Self::start_with(proxies, |_, _| {})
    }

    /// The same with two workers, each with its own socket on the same port.
    pub(crate) fn with_two_workers(proxy: ProxyConfig) -> Self {
        Self::with_two_workers_and(proxy, |_| {})
    }

    /// The same with other options.
    pub(crate) fn with_two_workers_and(
        proxy: ProxyConfig,
        adjust: impl FnOnce(&mut Options),
    ) -> Self {
        let mut address = None;
        let mut plane = Self::start_with(vec![proxy], |_, options| {
            adjust(options);
            options.workers = 2;
            options.listeners.clear();
            for worker in 0..2 {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                socket.set_reuse_port(true).unwrap();
                let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
                socket.bind(&address.unwrap_or(any).into()).unwrap();
                address = socket.local_addr().unwrap().as_socket();
                socket.listen(128).unwrap();
                options.listeners.push(ListenerFd {
                    proxy: 0,
                    bind: 0,
                    worker,
                    fd: OwnedFd::from(socket),
                });
            }
        });
        plane.addresses = vec![address];
        plane
    }

    pub(crate) fn start_with(
        mut proxies: Vec<ProxyConfig>,
        adjust: impl FnOnce(&mut Config, &mut Options),
    ) -> Self {
        let log = UdpSocket::bind("127.0.0.1:0").unwrap();
        log.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut addresses = Vec::new();
        let (told, events) = mpsc::channel();
        let mut options = Options::new(Arc::new(Heard(told)));
        for (index, proxy) in proxies.iter_mut().enumerate() {
            proxy.logs = vec![LogTarget {
                sample: None,
                header: LogHeader::Syslog,
                address: SyslogAddress::Udp(log.local_addr().unwrap()),
                max_len: 1024,
                facility: 16,
                level: 7,
                min_level: 0,
            }];
            let mut address = None;
            for bind in 0..proxy.frontend.as_ref().map_or(0, |f| f.binds.len()) {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                address.get_or_insert(listener.local_addr().unwrap());
                options.listeners.push(ListenerFd {
                    proxy: index,
                    bind,
                    worker: 0,
                    fd: OwnedFd::from(listener),
                });
            }
            addresses.push(address);
        }
        let mut config = Config {
            proxies,
            ..Config::default()
        };
        adjust(&mut config, &mut options);
        Self {
            plane: dataplane::start(Arc::new(config), options).unwrap(),
            addresses,
            events,
            log,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses.iter().flatten().next().copied().unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address())
    }

    /// The next log line, from the client's address on.
    pub(crate) fn line(&self) -> String {
        let mut packet = [0; 2048];
        let count = self.log.recv(&mut packet).expect("a log line");
        let text = String::from_utf8_lossy(&packet[..count]).into_owned();
        match text.split_once("]: ") {
            Some((_, line)) => line.to_owned(),
            None => text,
        }
    }

    /// The next log line, taken apart.
    pub(crate) fn entry(&self) -> Entry {
        let line = self.line();
        let words: Vec<&str> = line.splitn(13, ' ').collect();
        assert_eq!(words.len(), 13, "{line}");
        let word = |at: usize| words[at].to_owned();
        Entry {
            server: word(3),
            timers: word(4),
            status: word(5),
            bytes: word(6),
            flags: word(9),
            counts: word(10),
            queues: word(11),
            request: word(12),
        }
    }

    /// Waits until `holds`.
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Balancer) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(&self.plane.balancer()) {
            assert!(Instant::now() < deadline, "not in time: {what}");
            thread::sleep(GLANCE);
        }
    }

    /// Waits until no place, lease or ticket is held any more.
    pub(crate) fn settle(&self) {
        let balancer = self.plane.balancer();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let busy: u32 = balancer
                .backends
                .iter()
                .map(|b| {
                    let servers: u32 = b.servers().iter().map(|s| s.served()).sum();
                    b.counters().sessions.value() + b.waiting() + servers
                })
                .chain(balancer.frontends.iter().map(|f| f.current()))
                .sum::<u32>()
                + balancer.process.connections.value();
            if busy == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "{busy} places are still held");
            thread::sleep(GLANCE);
        }
    }

    /// Ends it and checks that nothing was leaked.
    pub(crate) fn stop(self) {
        self.settle();
        self.plane.join(PATIENCE);
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything until the end of the stream.
pub(crate) fn read_all(mut stream: &TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::ConnectionReset => bytes.extend(b"<reset>"),
        Err(e) => panic!("{e}"),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits until the kernel has nothing left to send on this connection.
pub(crate) fn wait_until_taken(stream: &TcpStream) {
    let (own, peer) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    queues_until("the proxy does not read", own, peer, |queues| {
        queues.is_some_and(|queues| queues.starts_with("00000000:"))
    });
}

/// Waits until the other end has read all that was sent, or is gone.
pub(crate) fn wait_until_read(stream: &TcpStream) {
    let (own, peer) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    queues_until("the other end does not read", peer, own, |queues| {
        queues.is_none_or(|queues| queues.ends_with(":00000000"))
    });
}

/// A socket whose queue of connections is full, so that further ones hang, and the connection in it.
pub(crate) fn full() -> (Socket, TcpStream) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let queued = TcpStream::connect(address).unwrap();
    // What has come to a listener counts as unread.
    let nobody: SocketAddr = "0.0.0.0:0".parse().unwrap();
    queues_until("the queue has room", address, nobody, |queues| {
        queues.is_some_and(|queues| queues.ends_with(":00000001"))
    });
    (socket, queued)
}

/// Waits until that holds for the queues, as the kernel shows them, of the socket between these ports.
fn queues_until(
    what: &str,
    own: SocketAddr,
    peer: SocketAddr,
    holds: impl Fn(Option<&str>) -> bool,
) {
    let (own, peer) = (
        format!(":{:04X}", own.port()),
        format!(":{:04X}", peer.port()),
    );
    let deadline = Instant::now() + PATIENCE;
    loop {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let mut rows = table.lines().map(words_of);
        let row = rows.find(|row| row[1].ends_with(&own) && row[2].ends_with(&peer));
        if holds(row.map(|row| row[4])) {
            return;
        }
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(GLANCE);
    }
}

fn words_of(row: &str) -> Vec<&str> {
    row.split_whitespace().collect()
}

/// Sends text and reads one answer.
pub(crate) fn ask(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    read_message(stream).expect("an answer")
}
