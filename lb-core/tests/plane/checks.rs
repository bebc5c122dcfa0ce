//! Health checks, what follows from them, and the stats page's place in the flow.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use lb_core::{
    config::{AgentConfig, CheckConfig, CheckKind, Mode, ProxyConfig, StatsPage},
    dataplane::{Event, StatsBody, StatsOutcome, StatsService},
    health::{
        CheckStatus,
        script::{Request, Script},
    },
    request::RequestView,
    server::Operation,
};

use crate::common::{
    Origin, PATIENCE, Plane, SHORT, ask, listen, nobody, ok, read_all, read_message,
};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// `listen` whose servers are checked every few milliseconds.
fn checked(mode: Mode, servers: &[SocketAddr]) -> ProxyConfig {
    let mut proxy = listen("be", mode, servers);
    // A server that takes its time to answer is none that does not.
    proxy.timeouts.check = Some(PATIENCE);
    if let Some(backend) = &mut proxy.backend {
        for server in &mut backend.servers {
            server.check = Some(CheckConfig {
                inter: Duration::from_millis(20),
                rise: 2,
                fall: 2,
                ..CheckConfig::default()
            });
        }
    }
    proxy
}

fn operation(plane: &Plane) -> Operation {
    plane.plane.balancer().backends[0].servers()[0].operation()
}

#[test]
fn an_agent_that_takes_the_question_and_says_nothing_is_late_with_its_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut proxy = listen("be", Mode::Tcp, &[nobody()]);
    proxy.backend.as_mut().unwrap().servers[0].agent = Some(AgentConfig {
        port: silent.local_addr().unwrap().port(),
        addr: None,
        inter: Duration::from_millis(50),
        send: Arc::from(""),
    });
    let plane = Plane::start(vec![proxy]);
    plane.until("the agent is late", |balancer| {
        let report = balancer.backends[0].servers()[0].agent_report();
        report.is_some_and(|report| report.result.status == CheckStatus::L7Timeout)
    });
    plane.stop();
}

#[test]
fn a_server_that_refuses_connections_goes_down_and_comes_back() {
    let address = nobody();
    let plane = Plane::start(vec![checked(Mode::Http, &[address])]);
    let line = plane.line();
    assert!(
        line.starts_with(
            "Server be/s1 is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", check duration: "
        ),
        "{line}"
    );
    assert!(
        line.ends_with(
            "ms. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
        ),
        "{line}"
    );
    assert_eq!(plane.line(), "backend be has no server available!");
    assert!(matches!(
        plane.events.recv_timeout(PATIENCE).unwrap(),
        Event::Server { backend, server, up: false, .. } if &*backend == "be" && &*server == "s1"
    ));
    assert!(matches!(
        plane.events.recv_timeout(PATIENCE).unwrap(),
        Event::NoServer { backend, .. } if &*backend == "be"
    ));
    let answer = ask(&mut plane.connect(), GET);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(plane.entry().end(), ("be/<NOSRV>", "503", "SC--"));
    let listener = TcpListener::bind(address).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                if read_message(&mut stream).is_some() {
                    let _ = stream.write_all(&ok("back"));
                }
            });
        }
    });
    let line = plane.line();
    assert!(
        line.starts_with("Server be/s1 is UP, reason: Layer4 check passed, check duration: "),
        "{line}"
    );
    assert!(ask(&mut plane.connect(), GET).ends_with("back"));
    plane.stop();
}

#[test]
fn http_checks_go_by_the_status() {
    let origin = Origin::http(|request| {
        assert!(
            request.starts_with("OPTIONS /health HTTP/1.0\r\n"),
            "{request}"
        );
        b"HTTP/1.0 500 Oops\r\nContent-Length: 0\r\n\r\n".to_vec()
    });
    let mut proxy = checked(Mode::Http, &[origin.address]);
    if let Some(backend) = &mut proxy.backend {
        let request = Request {
            target: String::from("/health"),
            ..Request::default()
        };
        let script = Script::http(request, vec![200..=399]);
        backend.check = CheckKind::Script(Arc::new(script));
    }
    let plane = Plane::start(vec![proxy]);
    let line = plane.line();
    assert!(
        line.starts_with(
            "Server be/s1 is DOWN, reason: Layer7 wrong status, code: 500, info: \"Oops\", "
        ),
        "{line}"
    );
    plane.stop();
}

#[test]
fn a_server_that_goes_down_takes_its_sessions_with_it_if_told_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = channel::<()>();
    thread::spawn(move || {
        let mut held = Vec::new();
        listener.set_nonblocking(true).unwrap();
        while ended.try_recv().is_err() {
            match listener.accept() {
                Ok((mut stream, _)) => {
                    let _ = stream.write_all(b"x");
                    held.push(stream);
                }
                Err(_) => thread::yield_now(),
            }
        }
        drop(listener);
        thread::sleep(PATIENCE);
    });
    let mut proxy = checked(Mode::Tcp, &[address]);
    if let Some(backend) = &mut proxy.backend {
        backend.servers[0].shutdown_sessions_on_down = true;
    }
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    client.read_exact(&mut [0]).unwrap();
    end.send(()).unwrap();
    assert_eq!(read_all(&client), "<reset>");
    assert_eq!(operation(&plane), Operation::Stopped);
    loop {
        let line = plane.line();
        if line.contains(" be be/s1 ") {
            assert!(line.contains(" D- "), "{line}");
            break;
        }
    }
    plane.stop();
}

/// Answers with the target and the body, or at length.
struct Page;

/// Two thousand pieces of a thousand bytes.
#[derive(Debug)]
struct Pieces(usize);

impl StatsBody for Pieces {
    fn next_piece(&mut self, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(&[b'#'; 1000]);
        self.0 += 1;
        self.0 < 2000
    }
}

impl StatsService for Page {
    fn respond(
        &self,
        proxy: &ProxyConfig,
        view: &RequestView<'_>,
        out: &mut Vec<u8>,
    ) -> StatsOutcome {
        let target = String::from_utf8_lossy(view.request.unwrap().target()).into_owned();
        if target.ends_with(";long") {
            out.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n");
            return StatsOutcome::Streams {
                status: 200,
                body: Box::new(Pieces(0)),
            };
        }
        let payload = String::from_utf8_lossy(view.payload);
        let text = format!("{} {target} {payload}", proxy.name);
        out.extend_from_slice(&ok(&text));
        StatsOutcome::Responded { status: 200 }
    }
}

fn page() -> StatsPage {
    StatsPage {
        uri: String::from("/stats"),
        realm: String::from("x"),
        auth: Vec::new(),
        access: Vec::new(),
        refresh: None,
        admin: None,
        hide_version: false,
        show_legends: false,
        show_node: None,
        show_desc: None,
        scope: Vec::new(),
    }
}

#[test]
fn the_stats_page_answers_for_its_prefix_and_gets_posted_bodies() {
    let mut proxy = listen("stats", Mode::Http, &[]);
    proxy.stats = Some(page());
    let plane = Plane::start_with(vec![proxy], |_, options| {
        options.stats = Some(Arc::new(Page))
    });
    let mut client = plane.connect();
    let answer = ask(&mut client, "GET /stats;csv HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.ends_with("stats /stats;csv "), "{answer}");
    let entry = plane.entry();
    assert_eq!(entry.end(), ("stats/<STATS>", "200", "LR--"));
    let timers: Vec<_> = entry.timers.split('/').map(str::parse::<u32>).collect();
    assert!(timers.iter().all(Result::is_ok), "{entry:?}");
    client
        .write_all(b"POST /stats HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\ns=a&")
        .unwrap();
    client.set_read_timeout(SHORT).unwrap();
    assert!(
        client.read(&mut [0]).is_err(),
        "answered before the body was there"
    );
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(ask(&mut client, "act=").ends_with("stats /stats s=a&act="));
    assert_eq!(plane.entry().status, "200");
    let answer = ask(&mut client, "GET /stats;long HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.contains("\r\ntransfer-encoding: chunked\r\n"));
    assert_eq!(answer.matches('#').count(), 2_000_000);
    assert_eq!(plane.entry().end(), ("stats/<STATS>", "200", "LR--"));
    let answer = ask(&mut client, "HEAD /stats;long HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    plane.entry();
    let mut old = plane.connect();
    old.write_all(b"GET /stats;long HTTP/1.0\r\n\r\n").unwrap();
    let answer = read_all(&old);
    assert!(answer.contains("\r\nconnection: close\r\n"));
    assert!(
        answer.ends_with(&"#".repeat(2_000_000)),
        "chunks for HTTP/1.0"
    );
    plane.entry();
    let answer = ask(&mut client, "GET /other HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    drop(client);
    plane.stop();
}

/// Stands still, and its worker with it, until it is told to go on.
struct Stuck {
    stands: Mutex<Sender<()>>,
    goes_on: Mutex<Receiver<()>>,
}

impl Stuck {
    /// With what says that it stands still, and what lets it go on.
    fn new() -> (Self, Receiver<()>, Sender<()>) {
        let (stands, standing) = channel();
        let (go_on, goes_on) = channel();
        let (stands, goes_on) = (Mutex::new(stands), Mutex::new(goes_on));
        (Self { stands, goes_on }, standing, go_on)
    }
}

impl StatsService for Stuck {
    fn respond(&self, _: &ProxyConfig, _: &RequestView<'_>, out: &mut Vec<u8>) -> StatsOutcome {
        let _ = self.stands.lock().unwrap().send(());
        let _ = self.goes_on.lock().unwrap().recv();
        out.extend_from_slice(&ok("at last"));
        StatsOutcome::Responded { status: 200 }
    }
}

#[test]
fn the_heartbeat_stops_while_one_of_two_workers_stands_still() {
    let mut proxy = listen("stats", Mode::Http, &[]);
    proxy.stats = Some(page());
    let (stuck, standing, go_on) = Stuck::new();
    let plane = Plane::start_with(vec![proxy], |_, options| {
        options.stats = Some(Arc::new(stuck));
        options.workers = 2;
    });
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    let beats = |patience| {
        let beat = async { tokio::time::timeout(patience, plane.plane.heartbeat()).await };
        runtime.block_on(beat).is_ok()
    };
    assert!(beats(PATIENCE));
    let mut client = plane.connect();
    client
        .write_all(b"GET /stats HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    standing.recv_timeout(PATIENCE).unwrap();
    assert!(!beats(Duration::from_millis(100)));
    go_on.send(()).unwrap();
    assert!(beats(PATIENCE));
    assert!(ask(&mut client, "").ends_with("at last"));
    drop(client);
    plane.stop();
}

#[test]
fn clients_of_a_worker_that_stands_still_are_accepted_by_another() {
    let origin = Origin::echo();
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.stats = Some(page());
    let (stuck, standing, go_on) = Stuck::new();
    let plane = Plane::with_two_workers_and(proxy, |options| options.stats = Some(Arc::new(stuck)));
    let mut first = plane.connect();
    first
        .write_all(b"GET /stats HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    standing.recv_timeout(PATIENCE).unwrap();
    // By the kernel's hash each of them has the same chance to come to either worker.
    for n in 0..40 {
        let answer = ask(
            &mut plane.connect(),
            &format!("GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n"),
        );
        assert!(answer.contains(&format!("GET /{n} ")), "{answer}");
    }
    go_on.send(()).unwrap();
    assert!(ask(&mut first, "").ends_with("at last"));
    drop(first);
    plane.stop();
}
