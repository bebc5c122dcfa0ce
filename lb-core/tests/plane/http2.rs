//! HTTP/2 to clients: what origins see of it, what comes back, and who is told when something breaks.

mod answers;
mod attacks;
mod cached;
mod content;
mod endings;
mod floods;
mod frames;
mod leaving;
mod peer;
mod readings;
mod servers;
mod tunnels;
mod upgrades;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, mpsc},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, client::SendRequest};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use lb_core::{
    config::{HttpReuse, Mode, Protocol, ProxyConfig},
    http1::Names,
};

use crate::common::{
    Origin, PATIENCE, Plane, SHORT, STEADY, listen, ok, read_head, read_message, rules,
};
use frames::{HEADERS, Outcome, Raw, WHOLE, fields, frame};

/// A proxy whose clients speak HTTP/2 from the first byte on.
fn proxy(origin: &Origin) -> ProxyConfig {
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    if let Some(frontend) = &mut proxy.frontend {
        frontend.binds[0].protocol = Protocol::Http2;
    }
    proxy
}

/// What a response was.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
    trailers: HeaderMap,
}

/// Runs `work` with a client of a connection, until it ends or patience does.
fn with_client<T>(address: SocketAddr, work: impl AsyncFnOnce(SendRequest<Bytes>) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::task::spawn_local(connection);
        tokio::time::timeout(PATIENCE, work(client))
            .await
            .expect("in time")
    })
}

fn get(path: &str) -> Request<()> {
    request("GET", path, &[])
}

fn request(method: &str, path: &str, fields: &[(&str, &str)]) -> Request<()> {
    let uri = format!("http://web.test{path}");
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// Sends a request with content in these pieces, and reads all of the answer.
async fn ask(
    client: &SendRequest<Bytes>,
    request: Request<()>,
    content: &[&str],
) -> Result<Answer, h2::Error> {
    let mut client = client.clone().ready().await?;
    let (response, mut sink) = client.send_request(request, content.is_empty())?;
    for (at, piece) in content.iter().enumerate() {
        let last = at + 1 == content.len();
        sink.send_data(Bytes::copy_from_slice(piece.as_bytes()), last)?;
    }
    whole(response.await?).await
}

async fn whole(response: Response<RecvStream>) -> Result<Answer, h2::Error> {
    let (head, mut content) = response.into_parts();
    let mut body = Vec::new();
    while let Some(data) = content.data().await {
        let data = data?;
        content.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
        trailers: content.trailers().await?.unwrap_or_default(),
    })
}

#[test]
fn a_request_reaches_the_origin_as_one_of_http_1_and_is_logged_as_what_it_was() {
    let origin = Origin::echo();
    let plane = Plane::start(vec![proxy(&origin)]);
    let fields = [
        ("cookie", "a=1"),
        ("x-seen", "yes"),
        ("cookie", "b=2"),
        ("te", "trailers"),
        ("cookie", "c=3"),
    ];
    let answer = with_client(plane.address(), async |client| {
        let request = request("GET", "/path?query", &fields);
        ask(&client, request, &[]).await.unwrap()
    });
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body,
        "GET /path?query HTTP/1.1\r\nhost: web.test\r\ncookie: a=1; b=2; c=3\r\nx-seen: yes\r\n\
         te: trailers\r\n\r\n"
    );
    let length = answer.body.len().to_string();
    assert_eq!(answer.headers["content-length"], length.as_str());
    assert_eq!(answer.headers.len(), 1, "{:?}", answer.headers);
    let entry = plane.entry();
    assert_eq!(entry.end(), ("web/s1", "200", "----"));
    assert_eq!(entry.request, "\"GET http://web.test/path?query HTTP/2.0\"");
    plane.stop();
}

/// RFC 9113 §8.2: in lower case, whatever the origin writes and is to get.
#[test]
fn names_of_fields_are_in_lower_case_both_ways() {
    for names in [Names::Lower, Names::Kept] {
        let origin = Origin::http(|head| {
            let told = head.replace("\r\n", "|");
            format!(
                "HTTP/1.1 200 OK\r\nX-Told: {told}\r\nETag: \"a\"\r\nTransfer-Encoding: chunked\r\n\r\n\
                 0\r\nX-Sum: 7\r\n\r\n"
            )
            .into_bytes()
        });
        let mut proxy = proxy(&origin);
        proxy.names = names;
        proxy.rules = rules(|b| {
            b.http_request(&["set-header", "X-Added", "1"]).unwrap();
            b.http_response(&["set-header", "X-Late", "2"]).unwrap();
        });
        let plane = Plane::start(vec![proxy]);
        let request = request("GET", "/", &[("X-OddName", "3")]);
        // Its library takes a name in capitals for an error of its peer.
        let answer = with_client(plane.address(), async |client| {
            ask(&client, request, &[]).await.unwrap()
        });
        assert_eq!(
            answer.headers["x-told"],
            "GET / HTTP/1.1|host: web.test|x-oddname: 3|x-added: 1||"
        );
        assert_eq!(answer.headers["etag"], "\"a\"");
        assert_eq!(answer.headers["x-late"], "2");
        assert_eq!(answer.trailers["x-sum"], "7");
        plane.stop();
    }
}

#[test]
fn many_streams_of_one_connection_are_served_at_once_however_long_their_answers() {
    const LENGTH: usize = 300_000;
    let origin = Origin::http(|request| {
        let (_, rest) = request.split_once("/").unwrap();
        let name = rest.split_once(' ').unwrap().0;
        ok(&name.repeat(LENGTH / name.len()))
    });
    let plane = Plane::start(vec![proxy(&origin)]);
    with_client(plane.address(), async |client| {
        let mut answers = Vec::new();
        for number in 100..140 {
            let mut ready = client.clone().ready().await.unwrap();
            let (response, _) = ready
                .send_request(get(&format!("/{number}")), true)
                .unwrap();
            // Each is read as it comes: unread content of one would take the room of the others.
            let answer = async { whole(response.await.unwrap()).await.unwrap() };
            answers.push((number, tokio::task::spawn_local(answer)));
        }
        for (number, answer) in answers {
            let answer = answer.await.unwrap();
            assert_eq!(answer.body.len(), LENGTH);
            assert!(answer.body.starts_with(&number.to_string()));
        }
    });
    assert_eq!(plane.plane.balancer().process.connections_total.value(), 1);
    plane.stop();
}

#[test]
fn a_connection_that_only_its_client_may_use_serves_all_its_streams() {
    let origin = Origin::echo();
    let mut proxy = proxy(&origin);
    proxy.backend.as_mut().unwrap().http_reuse = HttpReuse::Never;
    let plane = Plane::start(vec![proxy]);
    with_client(plane.address(), async |client| {
        for _ in 0..3 {
            ask(&client, get("/"), &[]).await.unwrap();
            assert_eq!(plane.entry().end(), ("web/s1", "200", "----"));
        }
    });
    assert_eq!(origin.connections(), 1);
    plane.stop();
}

#[test]
fn a_stream_that_its_client_cancels_leaves_its_origin_at_once_and_the_others_go_on() {
    let (gone, wait) = mpsc::channel();
    let gone = std::sync::Mutex::new(gone);
    let origin = Origin::new(move |mut stream| {
        while let Some(request) = read_message(&mut stream) {
            if request.starts_with("GET /slow ") {
                // Ends when the balancer closes the connection.
                let end = stream.read(&mut [0]);
                gone.lock()
                    .unwrap()
                    .send(matches!(end, Ok(0) | Err(_)))
                    .unwrap();
                return;
            }
            stream.write_all(&ok("quick")).unwrap();
        }
    });
    let plane = Plane::start(vec![proxy(&origin)]);
    with_client(plane.address(), async |client| {
        let mut ready = client.clone().ready().await.unwrap();
        let (response, mut sink) = ready.send_request(get("/slow"), true).unwrap();
        ask(&client, get("/quick"), &[]).await.unwrap();
        assert_eq!(plane.entry().end(), ("web/s1", "200", "----"));
        sink.send_reset(Reason::CANCEL);
        drop(response);
        let gone = tokio::task::spawn_blocking(move || wait.recv_timeout(PATIENCE));
        assert!(gone.await.unwrap().unwrap());
        assert_eq!(plane.entry().end(), ("web/s1", "400", "CH--"));
        ask(&client, get("/quick"), &[]).await.unwrap();
    });
    plane.stop();
}

#[test]
fn an_answer_that_breaks_off_resets_its_stream_and_no_other() {
    let origin = Origin::new(|mut stream| {
        while let Some(request) = read_message(&mut stream) {
            if request.starts_with("GET /broken ") {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
                return;
            }
            stream.write_all(&ok("fine")).unwrap();
        }
    });
    let plane = Plane::start(vec![proxy(&origin)]);
    with_client(plane.address(), async |client| {
        let broken = ask(&client, get("/broken"), &[]).await.unwrap_err();
        assert_eq!(broken.reason(), Some(Reason::INTERNAL_ERROR));
        assert_eq!(plane.entry().end(), ("web/s1", "200", "SD--"));
        let fine = ask(&client, get("/fine"), &[]).await.unwrap();
        assert_eq!(fine.body, "fine");
    });
    plane.stop();
}

#[test]
fn a_client_that_sends_no_more_of_its_content_is_timed_out_and_one_without_streams_too() {
    let origin = Origin::echo();
    let mut proxy = proxy(&origin);
    proxy.timeouts.client = SHORT;
    // Its first stream is to begin within that time, too.
    proxy.timeouts.http_keep_alive = STEADY;
    let plane = Plane::start(vec![proxy]);
    with_client(plane.address(), async |client| {
        let mut ready = client.clone().ready().await.unwrap();
        let (response, mut sink) = ready
            .send_request(request("POST", "/", &[]), false)
            .unwrap();
        sink.send_data(Bytes::from_static(b"abc"), false).unwrap();
        assert_eq!(response.await.unwrap().status(), 408);
        assert_eq!(plane.entry().end(), ("web/s1", "408", "cD--"));
        // Without a stream the connection is told to go.
        let mut ended = client.clone();
        while std::future::poll_fn(|cx| ended.poll_ready(cx))
            .await
            .is_ok()
        {
            tokio::task::yield_now().await;
        }
    });
    plane.stop();
}

#[test]
fn each_stream_after_the_other_has_the_time_of_its_own_server() {
    let origin = Origin::new(|mut stream| while matches!(stream.read(&mut [0; 256]), Ok(1..)) {});
    let mut proxy = proxy(&origin);
    proxy.timeouts.server = SHORT;
    let plane = Plane::start(vec![proxy]);
    with_client(plane.address(), async |client| {
        // One task serves them all, and knows a deadline of the stream before.
        for path in ["/1", "/2", "/3"] {
            let answer = ask(&client, get(path), &[]).await.unwrap();
            assert_eq!(answer.status, 504, "{path}");
            assert_eq!(plane.entry().end(), ("web/s1", "504", "sH--"));
        }
    });
    plane.stop();
}

#[test]
fn a_plane_that_stops_lets_streams_end_and_says_goaway() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Arc::new(std::sync::Mutex::new(wait));
    let origin = Origin::http(move |_| {
        wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        ok("late")
    });
    let plane = Plane::start(vec![proxy(&origin)]);
    with_client(plane.address(), async |client| {
        let mut ready = client.clone().ready().await.unwrap();
        let (response, _) = ready.send_request(get("/"), true).unwrap();
        let backends = &plane.plane.balancer().backends;
        while backends[0].counters().sessions.value() == 0 {
            tokio::task::yield_now().await;
        }
        plane.plane.stop_accepting();
        let mut ended = client.clone();
        while std::future::poll_fn(|cx| ended.poll_ready(cx))
            .await
            .is_ok()
        {
            tokio::task::yield_now().await;
        }
        go.send(()).unwrap();
        assert_eq!(whole(response.await.unwrap()).await.unwrap().body, "late");
    });
    plane.stop();
}

#[test]
fn clients_go_over_to_http_2_by_its_preface_unless_that_is_forbidden() {
    let origin = Origin::echo();
    let mut open = proxy(&origin);
    let mut closed = listen("closed", Mode::Http, &[origin.address]);
    closed.no_h2_upgrade = true;
    if let Some(frontend) = &mut open.frontend {
        frontend.binds[0].protocol = Protocol::Negotiated;
    }
    let plane = Plane::start(vec![open, closed]);
    let answer = with_client(plane.addresses[0].unwrap(), async |client| {
        ask(&client, get("/upgraded"), &[]).await.unwrap()
    });
    assert!(answer.body.starts_with("GET /upgraded HTTP/1.1\r\n"));
    let mut stream = TcpStream::connect(plane.addresses[1].unwrap()).unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .unwrap();
    let refused = read_message(&mut stream).unwrap();
    assert!(
        refused.starts_with("HTTP/1.1 4") || refused.starts_with("HTTP/1.1 505"),
        "{refused}"
    );
    drop(stream);
    plane.stop();
}

#[test]
fn the_authority_says_where_a_request_goes_without_the_port_that_its_scheme_has() {
    let origin = Origin::echo();
    let plane = Plane::start(vec![proxy(&origin)]);
    let mut raw = Raw::open(plane.address());
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);
    let cases: [Case<'_>; 6] = [
        (
            &[(":authority", "web.test:80")],
            "web.test",
            "http://web.test/",
        ),
        (
            &[(":authority", "web.test:81")],
            "web.test:81",
            "http://web.test:81/",
        ),
        (
            &[
                (":authority", "web.test"),
                ("host", "other.test"),
                ("host", "b"),
            ],
            "web.test",
            "http://web.test/",
        ),
        (&[("host", "web.test")], "web.test", "/"),
        (&[(":authority", "[::1]:80")], "[::1]", "http://[::1]/"),
        // RFC 9113 §8.3.1: there may be none, and RFC 9112 §3.2: HTTP/1.1 says so.
        (&[], "", "/"),
    ];
    for (number, (list, host, logged)) in (1..).step_by(2).zip(cases) {
        let common = [(":method", "GET"), (":scheme", "http"), (":path", "/")];
        let block = fields(&[&common, list].concat());
        raw.send(&frame(HEADERS, WHOLE, number, &block));
        assert_eq!(raw.outcome(number), Outcome::Status(200));
        let (_, _, _, seen) = raw.next().unwrap();
        let seen = String::from_utf8_lossy(&seen).into_owned();
        assert_eq!(seen, format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n"));
        assert_eq!(plane.entry().request, format!("\"GET {logged} HTTP/2.0\""));
    }
    // What nobody can understand is answered, as HAProxy does.
    for (number, method, scheme) in [(21, "GET?", "http"), (23, "GET", "http://a/?")] {
        let list = [(":method", method), (":scheme", scheme), (":path", "/")];
        raw.send(&frame(HEADERS, WHOLE, number, &fields(&list)));
        assert_eq!(raw.outcome(number), Outcome::Status(400));
    }
    drop(raw);
    plane.stop();
}
