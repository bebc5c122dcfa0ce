//! Idle server connections where there are two workers: who has none takes one of the other's.

use std::{
    io::{Read, Write},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use lb_core::{
    config::{BackendConfig, Bind, BindAddress, Config, HttpReuse, Mode, ProxyConfig, ServerTls},
    dataplane::Balancer,
};
use socket2::SockRef;

use crate::{
    common::{Origin, Plane, ask, connect, listen, ok, read_message, rules},
    tls::secured,
};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// Two workers of one proxy, each on an address of its own.
struct Two {
    plane: Plane,
    addresses: [SocketAddr; 2],
}

/// In front of this server, whose connections any request may use.
fn proxy(server: SocketAddr, adjust: impl FnOnce(&mut BackendConfig)) -> ProxyConfig {
    let mut proxy = listen("web", Mode::Http, &[server]);
    let backend = proxy.backend.as_mut().unwrap();
    backend.http_reuse = HttpReuse::Always;
    adjust(backend);
    proxy
}

impl Two {
    fn start(proxy: ProxyConfig) -> Self {
        Self::start_with(proxy, |_| {})
    }

    fn start_with(mut proxy: ProxyConfig, adjust: impl FnOnce(&mut Config)) -> Self {
        let bind = Bind::new(BindAddress::Tcp("127.0.0.1:0".parse().unwrap()));
        proxy.frontend.as_mut().unwrap().binds.push(bind);
        let mut addresses = Vec::new();
        let plane = Plane::start_with(vec![proxy], |config, options| {
            adjust(config);
            options.workers = 2;
            for (worker, listener) in options.listeners.iter_mut().enumerate() {
                listener.worker = worker;
                let address = SockRef::from(&listener.fd).local_addr().unwrap();
                addresses.extend(address.as_socket());
            }
        });
        Self {
            plane,
            addresses: addresses.try_into().unwrap(),
        }
    }

    /// The answer to a client's only request, which comes to that worker. Its server connection is idle again.
    fn ask(&self, worker: usize, request: &str) -> String {
        let answer = ask(&mut connect(self.addresses[worker]), request);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        self.plane.settle();
        answer
    }
}

fn idle(balancer: &Balancer) -> u32 {
    balancer.backends[0].servers()[0].counters().idle.value()
}

#[test]
fn a_worker_without_an_idle_connection_takes_that_of_another() {
    let origin = Origin::echo();
    let two = Two::start(proxy(origin.address, |_| {}));
    for worker in [0, 1, 0, 0, 1, 1, 0] {
        two.ask(worker, GET);
        assert_eq!(idle(&two.plane.plane.balancer()), 1);
    }
    assert_eq!(origin.connections(), 1);
    two.plane.stop();
}

#[test]
fn a_connection_in_tls_goes_from_worker_to_worker_with_its_session() {
    let origin = Origin::echo();
    let server = Plane::start(vec![secured(&origin, Mode::Http, |_| {})]);
    let tls = |backend: &mut BackendConfig| {
        backend.servers[0].tls = Some(Arc::new(ServerTls::default()));
    };
    let two = Two::start(proxy(server.address(), tls));
    let body = "x".repeat(100_000);
    let post = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{body}");
    for worker in [0, 1, 1, 0, 1] {
        two.ask(worker, GET);
        assert!(two.ask(worker, &post).ends_with(&body));
    }
    let handshakes = &server.plane.balancer().process.tls_connections_total;
    assert_eq!(handshakes.value(), 1);
    two.plane.stop();
    server.stop();
}

#[test]
fn a_connection_that_its_server_has_closed_is_not_taken() {
    let (close, closing) = mpsc::channel::<()>();
    let closing = Mutex::new(closing);
    let (closed, has_closed) = mpsc::channel();
    let origin = Origin::new(move |mut stream| {
        read_message(&mut stream).unwrap();
        stream.write_all(&ok("x")).unwrap();
        let _ = closing.lock().unwrap().recv();
        drop(stream);
        let _ = closed.send(());
    });
    let two = Two::start(proxy(origin.address, |_| {}));
    two.ask(0, GET);
    close.send(()).unwrap();
    has_closed.recv().unwrap();
    two.ask(1, GET);
    assert_eq!(origin.connections(), 2);
    drop(close);
    two.plane.stop();
}

#[test]
fn a_connection_that_its_server_has_closed_does_not_keep_another_from_being_kept() {
    // The first connection is closed behind its answer, when it is idle.
    let first = AtomicUsize::new(0);
    let (close, closing) = mpsc::channel::<()>();
    let closing = Mutex::new(closing);
    let (closed, has_closed) = mpsc::channel();
    let origin = Origin::new(move |mut stream| {
        let is_first = first.fetch_add(1, Ordering::SeqCst) == 0;
        while read_message(&mut stream).is_some() && stream.write_all(&ok("x")).is_ok() {
            if is_first {
                let _ = closing.lock().unwrap().recv();
                drop(stream);
                let _ = closed.send(());
                return;
            }
        }
    });
    let two = Two::start(proxy(origin.address, |backend| {
        backend.http_reuse = HttpReuse::Safe;
        backend.servers[0].pool_max_conn = Some(1);
    }));
    two.ask(0, GET);
    close.send(()).unwrap();
    has_closed.recv().unwrap();
    let mut client = connect(two.addresses[0]);
    for _ in 0..3 {
        ask(&mut client, GET);
    }
    assert_eq!(origin.connections(), 2);
    drop(client);
    two.plane.stop();
}

#[test]
fn a_connection_that_tells_of_a_client_is_taken_for_that_client_only() {
    // Answers with the PROXY header of the connection and the number of the request on it.
    let origin = Origin::new(|mut stream| {
        let mut head = read_message(&mut stream);
        let teller = head.iter().flat_map(|head| head.lines()).next();
        let teller = teller.unwrap_or_default().to_owned();
        for number in 1.. {
            if head.is_none()
                || stream
                    .write_all(&ok(&format!("{teller} {number}")))
                    .is_err()
            {
                return;
            }
            head = read_message(&mut stream);
        }
    });
    let mut proxy = proxy(origin.address, |b| b.servers[0].send_proxy = Some(1));
    proxy.rules = rules(|b| {
        for rule in [
            "set-src hdr(from)",
            "set-src-port int(7)",
            "set-dst-port int(9)",
        ] {
            let words: Vec<&str> = rule.split(' ').collect();
            b.http_request(&words).unwrap();
        }
    });
    let two = Two::start(proxy);
    for (worker, from, number) in [
        (0, "192.0.2.1", 1),
        (1, "192.0.2.2", 1),
        (1, "192.0.2.1", 2),
        (0, "192.0.2.2", 2),
    ] {
        let answer = two.ask(
            worker,
            &format!("GET / HTTP/1.1\r\nHost: x\r\nFrom: {from}\r\n\r\n"),
        );
        assert!(answer.contains(&format!("PROXY TCP4 {from} ")), "{answer}");
        assert!(answer.ends_with(&format!(" {number}")), "{answer}");
    }
    two.plane.stop();
}

#[test]
fn few_idle_connections_stay_with_their_workers_and_a_limit_holds_for_all_of_them() {
    let origin = Origin::echo();
    let low = |backend: &mut BackendConfig| backend.servers[0].pool_low_conn = 2;
    let two = Two::start(proxy(origin.address, low));
    for worker in [0, 1, 0, 1] {
        two.ask(worker, GET);
    }
    assert_eq!(origin.connections(), 2);
    assert_eq!(idle(&two.plane.plane.balancer()), 2);
    two.plane.stop();

    let origin = Origin::echo();
    let two = Two::start(proxy(origin.address, |backend| {
        backend.http_reuse = HttpReuse::Safe;
        backend.servers[0].pool_max_conn = Some(1);
    }));
    two.ask(0, GET);
    // A client's first request has a connection of its own, which is one too many afterwards.
    let mut client = connect(two.addresses[1]);
    for _ in 0..3 {
        ask(&mut client, GET);
        two.plane.until("the connection is idle", |b| {
            b.backends[0].servers()[0].served() == 0
        });
        assert_eq!(idle(&two.plane.plane.balancer()), 1);
    }
    assert_eq!(origin.connections(), 2);
    drop(client);
    two.plane.stop();
}

#[test]
fn workers_keep_idle_connections_for_themselves_where_the_file_says_so() {
    let origin = Origin::echo();
    let two = Two::start_with(proxy(origin.address, |_| {}), |c| {
        c.global.idle_apart = true
    });
    for worker in [0, 1, 1, 0] {
        two.ask(worker, GET);
    }
    assert_eq!(origin.connections(), 2);
    two.plane.stop();

    // Nor are any kept where none are to be.
    let origin = Origin::echo();
    let never = |backend: &mut BackendConfig| {
        backend.servers[0].pool_purge_delay = Some(Duration::ZERO);
    };
    let two = Two::start(proxy(origin.address, never));
    for worker in [0, 1, 1] {
        two.ask(worker, GET);
        assert_eq!(idle(&two.plane.plane.balancer()), 0);
    }
    assert_eq!(origin.connections(), 3);
    two.plane.stop();
}

#[test]
fn under_load_every_request_gets_its_own_answer_and_no_connection_is_lost() {
    const CLIENTS: usize = 12;
    let open = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&open);
    let origin = Origin::new(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        while let Some(request) = read_message(&mut stream) {
            let path = request.split(' ').nth(1).unwrap_or_default();
            if stream.write_all(&ok(path)).is_err() {
                break;
            }
        }
        counted.fetch_sub(1, Ordering::SeqCst);
    });
    let two = Two::start(proxy(origin.address, |_| {}));
    let addresses = two.addresses;
    let clients = (0..CLIENTS).map(|number| {
        thread::spawn(move || {
            for turn in 0..60 {
                // Most are on one worker at a time.
                let worker = usize::from((turn / 20 + usize::from(number % 4 == 0)) % 2 == 0);
                let mut client = connect(addresses[worker]);
                for request in 0..=turn % 3 {
                    let path = format!("/{number}/{turn}/{request}");
                    let get = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
                    let answer = ask(&mut client, &get);
                    assert!(answer.ends_with(&format!("\r\n\r\n{path}")), "{answer}");
                }
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    for client in clients {
        client.join().unwrap();
    }
    two.plane.settle();
    println!("{} connections to the server", origin.connections());
    let kept = usize::try_from(idle(&two.plane.plane.balancer())).unwrap();
    // One for each request at once, and one each that the workers keep.
    assert!((1..=CLIENTS + 2).contains(&kept), "{kept}");
    two.plane.until("what is not idle is closed", |balancer| {
        open.load(Ordering::SeqCst) == usize::try_from(idle(balancer)).unwrap()
    });
    two.plane.stop();
}

/// `cargo test --release -p lb-core --all-features --test plane -- --ignored idle --nocapture` prints what a request costs
/// by where its server connection comes from: two clients, one on each worker, ask in turn.
#[test]
#[ignore = "a measurement"]
fn cost() {
    const REQUESTS: u32 = 20_000;
    type Adjust = fn(&mut BackendConfig);
    let of_its_own: Adjust = |backend| backend.servers[0].pool_low_conn = 9;
    let of_the_other: Adjust = |backend| backend.servers[0].pool_max_conn = Some(1);
    let new: Adjust = |backend| backend.servers[0].pool_purge_delay = Some(Duration::ZERO);
    for (what, adjust) in [
        ("its worker's own", of_its_own),
        ("the other worker's", of_the_other),
        ("a new one", new),
    ] {
        let origin = Origin::new(|mut stream| {
            let mut room = [0; 1024];
            while stream.read(&mut room).is_ok_and(|count| count > 0) {
                if stream.write_all(&ok("x")).is_err() {
                    return;
                }
            }
        });
        let mut proxy = proxy(origin.address, adjust);
        proxy.logs.clear();
        let two = Two::start(proxy);
        let mut clients = two.addresses.map(connect);
        let mut room = [0; 1024];
        let begun = Instant::now();
        for number in 0..REQUESTS {
            let client = &mut clients[usize::from(number % 2 == 1)];
            client.write_all(GET.as_bytes()).unwrap();
            assert!(client.read(&mut room).unwrap() > 0);
        }
        let each = begun.elapsed() / REQUESTS;
        println!(
            "{what}: {each:?} a request, {} connections",
            origin.connections()
        );
        drop(clients);
        two.plane.stop();
    }
}
