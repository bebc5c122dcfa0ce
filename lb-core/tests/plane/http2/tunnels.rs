//! CONNECT over HTTP/2: plain (RFC 9113 §8.5), and extended for WebSockets (RFC 8441), to servers of HTTP/1.1.

use std::io::{Read, Write};

use bytes::Bytes;
use h2::{Reason, ext::Protocol};
use http::Request;

use super::{proxy, with_client};
use crate::common::{Origin, Plane, ok, read_message};

/// Answers the head that begins so with `answer`, then sends back what comes, until the end.
fn echo_after(begins: &'static str, answer: &'static str) -> Origin {
    Origin::new(move |mut stream| {
        let head = read_message(&mut stream).unwrap();
        assert!(head.starts_with(begins), "{head}");
        stream.write_all(answer.as_bytes()).unwrap();
        let mut room = [0; 100];
        while let Ok(count @ 1..) = stream.read(&mut room) {
            stream.write_all(&room[..count]).unwrap();
        }
    })
}

/// Sends words through the tunnel that `request` asks for, each after the echo of the one before.
fn talk(plane: &Plane, request: Request<()>) -> http::HeaderMap {
    with_client(plane.address(), async |client| {
        let mut ready = client.ready().await.unwrap();
        let (response, mut up) = ready.send_request(request, false).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        let (head, mut down) = response.into_parts();
        for word in ["one", "two", "three"] {
            up.send_data(Bytes::from_static(word.as_bytes()), false)
                .unwrap();
            let echo = down.data().await.unwrap().unwrap();
            assert_eq!(echo, word);
        }
        up.send_data(Bytes::new(), true).unwrap();
        // The origin sees the end, and ends too.
        while let Some(data) = down.data().await {
            assert_eq!(data.unwrap(), "");
        }
        head.headers
    })
}

#[test]
fn a_websocket_over_http_2_is_an_upgrade_at_the_origin() {
    let origin = echo_after(
        "GET /chat HTTP/1.1\r\nhost: web.test\r\nsec-websocket-version: 13\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: xtdcMSKzM2MuovuUVH2Y3wF6ZEI=\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
    );
    let plane = Plane::start(vec![proxy(&origin)]);
    let mut request = Request::builder()
        .method("CONNECT")
        .uri("http://web.test/chat")
        .header("sec-websocket-version", "13")
        .body(())
        .unwrap();
    request
        .extensions_mut()
        .insert(Protocol::from_static("websocket"));
    let headers = talk(&plane, request);
    assert_eq!(headers["sec-websocket-protocol"], "chat");
    assert_eq!(headers.len(), 1, "{headers:?}");
    assert_eq!(plane.entry().status, "101");
    plane.stop();
}

#[test]
fn a_websocket_over_http_2_whose_origin_does_not_prove_the_key_is_refused() {
    for proof in ["", "Sec-WebSocket-Accept: eA==\r\n"] {
        let origin = Origin::http(move |_| {
            let head =
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n";
            format!("{head}{proof}\r\n").into_bytes()
        });
        let plane = Plane::start(vec![proxy(&origin)]);
        with_client(plane.address(), async |client| {
            let mut ready = client.ready().await.unwrap();
            let mut request = Request::new(());
            *request.method_mut() = http::Method::CONNECT;
            *request.uri_mut() = "http://web.test/chat".parse().unwrap();
            let websocket = Protocol::from_static("websocket");
            request.extensions_mut().insert(websocket);
            let (response, mut up) = ready.send_request(request, false).unwrap();
            assert_eq!(response.await.unwrap().status(), 502);
            up.send_reset(Reason::CANCEL);
        });
        plane.stop();
    }
}

#[test]
fn a_server_that_does_not_upgrade_answers_the_websocket() {
    let origin = Origin::http(|_| ok("no"));
    let plane = Plane::start(vec![proxy(&origin)]);
    with_client(plane.address(), async |client| {
        let mut ready = client.ready().await.unwrap();
        let mut request = Request::builder()
            .method("CONNECT")
            .uri("http://web.test/chat")
            .body(())
            .unwrap();
        request
            .extensions_mut()
            .insert(Protocol::from_static("websocket"));
        let (response, mut up) = ready.send_request(request, false).unwrap();
        let mut response = response.await.unwrap();
        assert_eq!(response.body_mut().data().await.unwrap().unwrap(), "no");
        up.send_reset(Reason::CANCEL);
    });
    plane.stop();
}

#[test]
fn connect_is_a_tunnel_to_a_server_that_lets_it() {
    let origin = echo_after(
        "CONNECT far.test:443 HTTP/1.1\r\nhost: far.test:443\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    );
    let plane = Plane::start(vec![proxy(&origin)]);
    let request = Request::builder()
        .method("CONNECT")
        .uri("far.test:443")
        .body(())
        .unwrap();
    talk(&plane, request);
    plane.stop();
}
