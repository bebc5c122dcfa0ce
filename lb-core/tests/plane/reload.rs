//! One configuration in place of another while clients are at it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

use lb_core::{
    config::{
        Bind, BindAddress, CheckConfig, Config, Mode, ProxyConfig, StickTableConfig, StoreKind,
        TableKey,
    },
    dataplane::{self, DataPlane, ListenerFd, Options, Prepared, Silent, StartError},
    server::Operation,
    stick_table::Column,
};

use crate::common::{
    Origin, PATIENCE, ask, connect, listen, nobody, ok, read_all, read_message, rules,
};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// The sockets of one port, as a supervisor holds them.
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    sockets: Vec<OwnedFd>,
}

impl Port {
    pub(crate) fn new() -> Self {
        let first = open("127.0.0.1:0".parse().unwrap());
        Self {
            address: first.local_addr().unwrap().as_socket().unwrap(),
            sockets: vec![first.into()],
        }
    }

    /// Duplicates for so many workers; never fewer sockets than before.
    pub(crate) fn shared(&mut self, proxy: usize, workers: usize) -> Vec<ListenerFd> {
        while self.sockets.len() < workers {
            self.sockets.push(open(self.address).into());
        }
        let duplicate = |(at, socket): (usize, &OwnedFd)| ListenerFd {
            proxy,
            bind: 0,
            worker: at % workers,
            fd: socket.try_clone().unwrap(),
        };
        self.sockets.iter().enumerate().map(duplicate).collect()
    }
}

fn open(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(1024).unwrap();
    socket
}

fn proxy(name: &str, port: &Port, servers: &[(&str, SocketAddr)]) -> ProxyConfig {
    let addresses: Vec<_> = servers.iter().map(|(_, address)| *address).collect();
    let mut proxy = listen(name, Mode::Http, &addresses);
    let backend = proxy.backend.as_mut().unwrap();
    for (server, (name, _)) in backend.servers.iter_mut().zip(servers) {
        server.name = Arc::from(*name);
    }
    proxy.frontend.as_mut().unwrap().binds = vec![Bind::new(BindAddress::Tcp(port.address))];
    proxy
}

fn config(proxies: Vec<ProxyConfig>) -> Arc<Config> {
    Arc::new(Config {
        proxies,
        ..Config::default()
    })
}

fn start(config: Arc<Config>, workers: usize, listeners: Vec<ListenerFd>) -> DataPlane {
    let mut options = Options::new(Arc::new(Silent));
    options.workers = workers;
    options.listeners = listeners;
    dataplane::start(config, options).unwrap()
}

fn named(name: &'static str) -> Origin {
    Origin::http(move |_| ok(name))
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_connection_goes_over_at_its_next_request_and_counters_go_on() {
    let (one, two) = (named("one"), named("two"));
    let mut port = Port::new();
    let plane = start(
        config(vec![proxy("web", &port, &[("a", one.address)])]),
        1,
        port.shared(0, 1),
    );
    let mut client = connect(port.address);
    assert!(ask(&mut client, GET).ends_with("one"));
    let before = plane.balancer();

    let other = proxy("other", &port, &[]);
    let web = proxy("web", &port, &[("new", two.address), ("a", one.address)]);
    let mut web = web;
    web.backend.as_mut().unwrap().servers[1].disabled = true;
    let mut idle = other;
    idle.frontend = None;
    let prepared = plane
        .prepare(config(vec![idle, web]), 1, port.shared(1, 1))
        .unwrap();
    assert!(ask(&mut client, GET).ends_with("one"), "not yet in force");
    plane.commit(prepared);
    assert!(ask(&mut client, GET).ends_with("two"));

    let after = plane.balancer();
    let web = after.backend_named("web").unwrap();
    let servers = after.backends[web].servers();
    assert_eq!(servers[1].counters().traffic.total(|c| &c.sessions), 2);
    assert_eq!(
        after.backends[web]
            .counters()
            .traffic
            .total(|c| &c.sessions),
        3
    );
    assert_eq!(after.frontend_counters[0].connections_total.value(), 1);
    assert_eq!(after.process.requests.value(), 3);
    assert!(Arc::ptr_eq(&before.process, &after.process));
    plane.join(PATIENCE);
}

#[test]
fn a_table_goes_on_as_long_as_its_declaration_is_the_same() {
    let origin = named("one");
    let mut port = Port::new();
    let web = |port: &Port, size| {
        let mut web = proxy("web", port, &[("a", origin.address)]);
        web.stick_table = Some(StickTableConfig {
            store: vec![StoreKind::ConnCur, StoreKind::HttpReqCnt],
            ..StickTableConfig::new(TableKey::Ip, size)
        });
        web.rules = rules(|rules| {
            rules
                .tcp_request(&["connection", "track-sc0", "src"])
                .unwrap();
        });
        web
    };
    let plane = start(config(vec![web(&port, 10)]), 1, port.shared(0, 1));
    let value = |column| {
        let balancer = plane.balancer();
        let table = &balancer.tables["web"];
        let key = table.key_of_bytes(b"127.0.0.1").unwrap();
        table.value(Instant::now(), &key, column)
    };
    let mut client = connect(port.address);
    ask(&mut client, GET);
    let same = config(vec![web(&port, 10)]);
    plane.commit(plane.prepare(same, 1, port.shared(0, 1)).unwrap());
    ask(&mut client, GET);
    assert_eq!(value(Column::HttpReqCnt), Some(2));
    assert_eq!(value(Column::ConnCur), Some(1));
    drop(client);
    until("no connection", || value(Column::ConnCur) == Some(0));
    let other = config(vec![web(&port, 20)]);
    plane.commit(plane.prepare(other, 1, port.shared(0, 1)).unwrap());
    assert_eq!(value(Column::HttpReqCnt), None);
    plane.join(PATIENCE);
}

#[test]
fn a_refused_configuration_changes_nothing() {
    let origin = named("one");
    let mut port = Port::new();
    let web = proxy("web", &port, &[("a", origin.address)]);
    let plane = start(config(vec![web.clone()]), 1, port.shared(0, 1));
    let mut client = connect(port.address);
    ask(&mut client, GET);
    let before = plane.balancer();

    let wrong = plane.prepare(config(vec![web.clone()]), 1, port.shared(7, 1));
    assert!(matches!(
        wrong.map(drop),
        Err(StartError::UnknownListener { proxy: 7, .. })
    ));
    let mut changed = web;
    changed.backend.as_mut().unwrap().servers[0].weight = 77;
    let refused: Prepared = plane
        .prepare(config(vec![changed]), 4, port.shared(0, 4))
        .unwrap();
    drop(refused);

    assert!(Arc::ptr_eq(&before, &plane.balancer()));
    assert_eq!(before.backends[0].servers()[0].weight(), 1);
    assert!(ask(&mut client, GET).ends_with("one"));
    plane.join(PATIENCE);
}

#[test]
fn a_listener_that_is_gone_is_emptied_and_its_connections_finish() {
    let origin = named("one");
    let (mut kept, mut gone) = (Port::new(), Port::new());
    let web = proxy("web", &kept, &[("a", origin.address)]);
    let mut old = proxy("old", &gone, &[("a", origin.address)]);
    // One connection is served, others wait in the kernel's queue.
    old.frontend.as_mut().unwrap().maxconn = Some(1);
    let mut listeners = kept.shared(0, 1);
    listeners.extend(gone.shared(1, 1));
    let plane = start(config(vec![web.clone(), old]), 1, listeners);
    let mut served = connect(gone.address);
    assert!(ask(&mut served, GET).ends_with("one"));
    let mut waiting = connect(gone.address);
    waiting.write_all(GET.as_bytes()).unwrap();

    let prepared = plane
        .prepare(config(vec![web]), 1, kept.shared(0, 1))
        .unwrap();
    plane.commit(prepared);
    let address = gone.address;
    drop(gone);
    // They finish as they were: after the next answer, which says so.
    let last = ask(&mut served, GET);
    assert!(
        last.contains("connection: close") && last.ends_with("one"),
        "{last}"
    );
    assert_eq!(read_all(&served), "");
    let last = read_message(&mut waiting).unwrap();
    assert!(
        last.contains("connection: close") && last.ends_with("one"),
        "{last}"
    );
    assert_eq!(read_all(&waiting), "");
    until("the port is closed", || {
        TcpStream::connect(address).is_err()
    });
    plane.join(PATIENCE);
}

#[test]
fn lines_of_one_address_keep_a_limit_each() {
    let origin = named("one");
    let mut ports = [Port::new(), Port::new()];
    let mut web = proxy("web", &ports[0], &[("a", origin.address)]);
    let binds = &mut web.frontend.as_mut().unwrap().binds;
    binds[0].maxconn = Some(1);
    binds.push(binds[0].clone());
    let web = config(vec![web]);
    let mut sockets = || {
        let of_bind = |(bind, port): (usize, &mut Port)| {
            let sockets = port.shared(0, 1).into_iter();
            sockets.map(move |socket| ListenerFd { bind, ..socket })
        };
        ports.iter_mut().enumerate().flat_map(of_bind).collect()
    };
    let plane = start(Arc::clone(&web), 1, sockets());
    plane.commit(plane.prepare(web, 1, sockets()).unwrap());
    let clients = ports.map(|port| {
        let mut client = connect(port.address);
        assert!(ask(&mut client, GET).ends_with("one"));
        client
    });
    drop(clients);
    plane.join(PATIENCE);
}

#[test]
fn what_a_line_no_longer_says_of_its_socket_is_taken_back_once_that_is_in_force() {
    let origin = named("one");
    let mut port = Port::new();
    let [with, without] = [Some(600), None].map(|mss| {
        let mut web = proxy("web", &port, &[("a", origin.address)]);
        web.frontend.as_mut().unwrap().binds[0].mss = mss;
        config(vec![web])
    });
    let plane = start(with, 1, port.shared(0, 1));
    let address = port.address;
    let longest = || {
        let client = connect(address);
        socket2::SockRef::from(&client).tcp_mss().unwrap()
    };
    assert!(longest() <= 600);
    let mut prepare = || plane.prepare(Arc::clone(&without), 1, port.shared(0, 1));
    drop(prepare().unwrap());
    assert!(longest() <= 600, "it was refused");
    plane.commit(prepare().unwrap());
    assert!(longest() > 600);
    plane.join(PATIENCE);
}

#[test]
fn hard_stop_after_ends_connections_of_listeners_that_are_gone_and_no_others() {
    let origin = named("one");
    let (mut kept, mut gone) = (Port::new(), Port::new());
    let web = proxy("web", &kept, &[("a", origin.address)]);
    let old = proxy("old", &gone, &[("a", origin.address)]);
    let mut listeners = kept.shared(0, 1);
    listeners.extend(gone.shared(1, 1));
    let plane = start(config(vec![web.clone(), old]), 1, listeners);
    let (mut stays, mut goes) = (connect(kept.address), connect(gone.address));
    ask(&mut stays, GET);
    ask(&mut goes, GET);
    let mut new = Config {
        proxies: vec![web],
        ..Config::default()
    };
    new.global.hard_stop_after = Some(Duration::from_millis(50));
    let prepared = plane.prepare(Arc::new(new), 1, kept.shared(0, 1)).unwrap();
    plane.commit(prepared);
    assert_eq!(goes.read(&mut [0; 8]).unwrap_or(0), 0, "cut");
    assert!(ask(&mut stays, GET).ends_with("one"));
    plane.join(PATIENCE);
}

#[test]
fn those_who_wait_for_a_slot_get_it_whichever_configuration_holds_it() {
    let busy = Arc::new(AtomicBool::new(true));
    let origin = {
        let busy = Arc::clone(&busy);
        Origin::http(move |_| {
            while busy.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            ok("one")
        })
    };
    let mut port = Port::new();
    let mut web = proxy("web", &port, &[("a", origin.address)]);
    web.backend.as_mut().unwrap().servers[0].maxconn = Some(1);
    let plane = start(config(vec![web.clone()]), 1, port.shared(0, 1));
    let send = || {
        let mut client = connect(port.address);
        client.write_all(GET.as_bytes()).unwrap();
        client
    };
    let mut clients = vec![send()];
    let served = || plane.balancer().backends[0].servers()[0].served();
    let waiting = || plane.balancer().backends[0].waiting();
    until("one is served", || served() == 1);
    clients.push(send());
    until("one waits", || waiting() == 1);

    web.backend.as_mut().unwrap().retries = 1;
    let listeners = port
        .sockets
        .iter()
        .map(|fd| ListenerFd {
            proxy: 0,
            bind: 0,
            worker: 0,
            fd: fd.try_clone().unwrap(),
        })
        .collect();
    let prepared = plane.prepare(config(vec![web]), 1, listeners).unwrap();
    plane.commit(prepared);
    assert_eq!((served(), waiting()), (1, 1), "the limit holds over both");
    clients.push(send());
    until("two wait", || waiting() == 2);
    busy.store(false, Ordering::SeqCst);
    for client in &mut clients {
        assert!(read_message(client).unwrap().ends_with("one"));
    }
    assert_eq!(
        plane.balancer().backends[0].servers()[0]
            .counters()
            .sessions
            .max(),
        1
    );
    plane.join(PATIENCE);
    port.shared(0, 1);
}

#[test]
fn a_server_that_is_down_stays_down_and_checks_go_on() {
    let origin = named("up");
    let dead = nobody();
    let mut port = Port::new();
    let mut web = proxy("web", &port, &[("up", origin.address), ("dead", dead)]);
    for server in &mut web.backend.as_mut().unwrap().servers {
        server.check = Some(CheckConfig {
            inter: Duration::from_millis(20),
            rise: 2,
            fall: 2,
            ..CheckConfig::default()
        });
    }
    let plane = start(config(vec![web.clone()]), 1, port.shared(0, 1));
    let down = |name: &str| {
        let balancer = plane.balancer();
        let server = balancer.backends[0].server_named(name).unwrap();
        server.operation() == Operation::Stopped
    };
    until("down", || down("dead"));
    let backend = web.backend.as_mut().unwrap();
    backend.servers.swap(0, 1);
    backend.servers[0].weight = 5;
    // Other counts for the checks: the state stays until the first result.
    backend.servers[0].check.as_mut().unwrap().rise = 3;
    for _ in 0..5 {
        let prepared = plane
            .prepare(config(vec![web.clone()]), 1, port.shared(0, 1))
            .unwrap();
        plane.commit(prepared);
        assert!(down("dead") && !down("up"));
    }
    let balancer = plane.balancer();
    let server = &balancer.backends[0].servers()[0];
    assert_eq!(server.counters().down_transitions.value(), 1);
    assert_eq!(server.weight(), 5);
    // Somebody is there now.
    let listener = std::net::TcpListener::bind(dead).unwrap();
    until("up", || !down("dead"));
    drop(listener);
    until("down again", || down("dead"));
    plane.join(PATIENCE);
}

#[test]
fn no_request_fails_over_many_reloads() {
    const RELOADS: usize = 20;
    let origins = [named("0"), named("1"), named("2")];
    let mut port = Port::new();
    let mut extra = Port::new();
    let web = |port: &Port, turn: usize| {
        let mut servers: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .zip(origins.iter().map(|o| o.address))
            .collect();
        servers.rotate_left(turn % 3);
        servers.truncate(1 + turn % 3);
        proxy("web", port, &servers)
    };
    let plane = start(config(vec![web(&port, 0)]), 2, port.shared(0, 2));
    let (over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let address = port.address;
    thread::scope(|scope| {
        let (over, done) = (&over, &done);
        for keep_alive in [true, true, false, false] {
            scope.spawn(move || {
                let mut client = connect(address);
                while !over.load(Ordering::SeqCst) {
                    if !keep_alive {
                        client = connect(address);
                    }
                    let answer = ask(&mut client, GET);
                    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for turn in 1..=RELOADS {
            let enough = done.load(Ordering::SeqCst) + 40;
            until("requests are served", || {
                done.load(Ordering::SeqCst) >= enough
            });
            let workers = 1 + turn % 4;
            let mut proxies = vec![web(&port, turn)];
            let mut listeners = Vec::new();
            if turn % 2 == 0 {
                // Another frontend comes and goes before it.
                proxies.insert(0, proxy("extra", &extra, &[("a", origins[0].address)]));
                listeners = extra.shared(0, workers);
            }
            listeners.extend(port.shared(proxies.len() - 1, workers));
            let prepared = plane.prepare(config(proxies), workers, listeners).unwrap();
            plane.commit(prepared);
        }
        over.store(true, Ordering::SeqCst);
    });
    let balancer = plane.balancer();
    let total = balancer.process.requests.value();
    assert_eq!(total, done.load(Ordering::SeqCst) as u64);
    let backend = &balancer.backends[balancer.backend_named("web").unwrap()];
    assert_eq!(backend.counters().traffic.total(|c| &c.sessions), total);
    until("all is given back", || {
        backend.counters().sessions.value() == 0
    });
    plane.join(PATIENCE);
}
