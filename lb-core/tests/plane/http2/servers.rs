//! HTTP/2 to servers: requests of many clients on few connections, and what comes back over them.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response};
use lb_core::config::{Mode, Protocol, ProxyConfig};

use super::{Answer, ask, request, whole, with_client};
use crate::common::{Plane, ask as ask_http1, connect, listen};

type Exchange = (Request<RecvStream>, SendResponse<Bytes>);

/// A server that speaks nothing but HTTP/2; each request is a task.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn new<F: Future<Output = ()> + 'static>(
        serve: impl Fn(Exchange, usize) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let serve = std::rc::Rc::new(serve);
            tokio::task::LocalSet::new().block_on(&runtime, async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let mut number = 0;
                while let Ok((stream, _)) = listener.accept().await {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let serve = std::rc::Rc::clone(&serve);
                    let first = number;
                    number += 1000;
                    tokio::task::spawn_local(async move {
                        let mut connection = h2::server::handshake(stream).await.unwrap();
                        let mut of_connection = 0;
                        while let Some(Ok(exchange)) = connection.accept().await {
                            tokio::task::spawn_local(serve(exchange, first + of_connection));
                            of_connection += 1;
                        }
                    });
                }
            });
        });
        Self {
            address,
            connections,
        }
    }
}

/// Answers with what was asked, and trailers behind it.
async fn echo((request, mut respond): Exchange, _: usize) {
    let (head, content) = request.into_parts();
    let seen = whole(Response::new(content)).await.unwrap();
    let text = format!(
        "{} {} {:?} {:?}",
        head.method, head.uri, head.headers, seen.body
    );
    let mut answer = respond.send_response(Response::new(()), false).unwrap();
    answer.reserve_capacity(text.len());
    answer.send_data(Bytes::from(text), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    for (name, value) in seen.trailers {
        trailers.insert(name.unwrap(), value);
    }
    answer.send_trailers(trailers).unwrap();
}

fn proxy(server: &Server) -> ProxyConfig {
    let mut proxy = listen("web", Mode::Http, &[server.address]);
    if let Some(backend) = &mut proxy.backend {
        backend.servers[0].protocol = Protocol::Http2;
    }
    proxy
}

#[test]
fn a_client_of_http_1_is_served_by_a_server_that_speaks_only_http_2() {
    let server = Server::new(echo);
    let plane = Plane::start(vec![proxy(&server)]);
    let mut stream = plane.connect();
    let got = ask_http1(
        &mut stream,
        "GET /a?b HTTP/1.1\r\nHost: web.test\r\nX-Seen: yes\r\nConnection: keep-alive\r\n\r\n",
    );
    assert!(
        got.starts_with("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        "{got}"
    );
    assert!(
        got.contains("GET http://web.test/a?b {\"x-seen\": \"yes\"} \"\""),
        "{got}"
    );
    assert_eq!(plane.entry().end(), ("web/s1", "200", "----"));
    let posted = ask_http1(
        &mut stream,
        "POST /p HTTP/1.1\r\nHost: web.test\r\nContent-Length: 5\r\n\r\nhello",
    );
    assert!(
        posted.contains("{\"content-length\": \"5\"} \"hello\""),
        "{posted}"
    );
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    drop(stream);
    plane.stop();
}

#[test]
fn a_call_of_grpc_passes_with_its_trailers_and_one_that_fails_at_once_ends_with_its_head() {
    let server = Server::new(|exchange: Exchange, number| async move {
        if exchange.0.uri().path() != "/fails" {
            return echo(exchange, number).await;
        }
        let (_, mut respond) = exchange;
        let answer = Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "5")
            .body(())
            .unwrap();
        respond.send_response(answer, true).unwrap();
    });
    let mut proxy = proxy(&server);
    if let Some(frontend) = &mut proxy.frontend {
        frontend.binds[0].protocol = Protocol::Http2;
    }
    let plane = Plane::start(vec![proxy]);
    with_client(plane.address(), async |client| {
        let fields = [("content-type", "application/grpc"), ("te", "trailers")];
        let call = request("POST", "/works", &fields);
        let works: Answer = ask(&client, call, &["\0\0\0\0\x03", "abc"]).await.unwrap();
        assert!(works.body.contains("\"te\": \"trailers\""), "{works:?}");
        assert!(works.body.ends_with("\\u{3}abc\""), "{works:?}");
        assert_eq!(works.trailers["grpc-status"], "0");
        let mut ready = client.clone().ready().await.unwrap();
        let (response, _) = ready
            .send_request(request("POST", "/fails", &fields), true)
            .unwrap();
        let fails = response.await.unwrap();
        assert_eq!(fails.headers()["grpc-status"], "5");
        // The library of a caller takes this for the status only if nothing follows.
        assert!(fails.body().is_end_stream());
    });
    plane.stop();
}

#[test]
fn clients_share_a_connection_and_another_is_made_when_its_streams_are_taken() {
    const AT_ONCE: usize = 16;
    // Whatever comes behind the first request waits until all of them are there.
    let all = Arc::new(tokio::sync::Barrier::new(AT_ONCE));
    let server = Server::new(move |(_, mut respond): Exchange, number| {
        let all = Arc::clone(&all);
        async move {
            if number > 0 {
                all.wait().await;
            }
            let answer = Response::builder()
                .header("content-length", 0)
                .body(())
                .unwrap();
            respond.send_response(answer, true).unwrap();
        }
    });
    let mut proxy = proxy(&server);
    if let Some(backend) = &mut proxy.backend {
        backend.http_reuse = lb_core::config::HttpReuse::Always;
    }
    let plane = Plane::start_with(vec![proxy], |config, _| {
        config.global.http2.max_concurrent_streams = 8;
    });
    // The first makes the connection, the others find it.
    let address = plane.address();
    ask_http1(&mut connect(address), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(move || {
                let got = ask_http1(&mut connect(address), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
                assert!(got.starts_with("HTTP/1.1 200"), "{got}");
            });
        }
    });
    let made = server.connections.load(Ordering::SeqCst);
    assert!(
        (2..=9).contains(&made),
        "{made} connections for 17 requests"
    );
    plane.stop();
}

#[test]
fn what_a_server_refused_goes_out_again_whatever_it_is() {
    let server = Server::new(|exchange: Exchange, number| async move {
        if number == 0 {
            let (_, mut respond) = exchange;
            return respond.send_reset(Reason::REFUSED_STREAM);
        }
        echo(exchange, number).await;
    });
    let plane = Plane::start(vec![proxy(&server)]);
    let got = ask_http1(
        &mut plane.connect(),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    );
    assert!(got.contains("\"abc\""), "{got}");
    assert_eq!(plane.entry().end(), ("web/s1", "200", "----"));
    plane.stop();
}

#[test]
fn a_stream_that_its_server_breaks_off_is_the_servers_fault_and_others_go_on() {
    let (passed, has_passed) = tokio::sync::watch::channel(false);
    let server = Server::new(move |exchange: Exchange, number| {
        let mut has_passed = has_passed.clone();
        async move {
            match exchange.0.uri().path() {
                "/before" => {
                    let (_, mut respond) = exchange;
                    respond.send_reset(Reason::INTERNAL_ERROR);
                }
                "/within" => {
                    let (_, mut respond) = exchange;
                    let head = Response::builder().header("content-length", "10");
                    let mut answer = respond
                        .send_response(head.body(()).unwrap(), false)
                        .unwrap();
                    answer
                        .send_data(Bytes::from_static(b"half"), false)
                        .unwrap();
                    has_passed.wait_for(|passed| *passed).await.unwrap();
                    answer.send_reset(Reason::INTERNAL_ERROR);
                }
                _ => echo(exchange, number).await,
            }
        }
    });
    let plane = Plane::start(vec![proxy(&server)]);
    let mut stream = plane.connect();
    let before = ask_http1(&mut stream, "GET /before HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(before.starts_with("HTTP/1.1 502"), "{before}");
    assert_eq!(plane.entry().end(), ("web/s1", "502", "SH--"));
    let mut other = plane.connect();
    std::io::Write::write_all(&mut other, b"GET /within HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut within = crate::common::read_head(&mut other).unwrap();
    let mut half = [0; 4];
    std::io::Read::read_exact(&mut other, &mut half).unwrap();
    assert_eq!(&half, b"half", "{within}");
    passed.send(true).unwrap();
    within.push_str(&crate::common::read_all(&other));
    assert_eq!(plane.entry().end(), ("web/s1", "200", "SD--"));
    let after = ask_http1(&mut stream, "GET /after HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(after.starts_with("HTTP/1.1 200"), "{after}");
    // `http-reuse safe`: the first request of a client waits for no connection that was not tried before.
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    drop((stream, other));
    plane.stop();
}

#[test]
fn what_a_server_of_http_2_sends_is_kept_too() {
    let server = Server::new(echo);
    let cache = crate::cache::cache(|_| {});
    let mut proxy = proxy(&server);
    proxy.rules = crate::common::rules(|rules| {
        let fresh = ["set-header", "cache-control", "max-age=60"];
        rules.http_response(&fresh).unwrap();
        crate::cache::caches(rules, &cache);
    });
    let plane = Plane::start(vec![proxy]);
    let mut stream = plane.connect();
    let mut bodies = Vec::new();
    for hit in ["x-hit: 0,\r\n", "x-hit: 1,c\r\n"] {
        let got = ask_http1(&mut stream, "GET /a HTTP/1.1\r\nHost: web.test\r\n\r\n");
        assert!(got.contains(hit), "{got}");
        let text = got.find("GET http://web.test/a").unwrap();
        bodies.push(got[text..].lines().next().unwrap().to_owned());
    }
    assert_eq!(bodies[0], bodies[1]);
    drop(stream);
    plane.stop();
}
