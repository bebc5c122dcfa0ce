//! Content and trailers both ways.

use super::*;

#[test]
fn content_goes_up_by_its_length_or_in_chunks_and_trailers_go_both_ways() {
    let answer = |request: &str| {
        let mut answer =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\
            Keep-Alive: timeout=5\r\n\r\n"
                .to_vec();
        answer.extend(format!("{:x}\r\n{request}\r\n", request.len()).bytes());
        answer.extend(b"0\r\ngrpc-status: 0\r\nX-Sum: 7\r\n\r\n");
        answer
    };
    let origin = Origin::new(move |mut stream| {
        let mut seen = Vec::new();
        let mut byte = [0];
        while let Ok(1) = stream.read(&mut byte) {
            seen.push(byte[0]);
            let ends: [&[u8]; 3] = [b"ghijkl", b"0\r\n\r\n", b"x-up: 1\r\n\r\n"];
            if ends.iter().any(|end| seen.ends_with(end)) {
                let request = String::from_utf8_lossy(&seen).into_owned();
                stream.write_all(&answer(&request)).unwrap();
                seen.clear();
            }
        }
    });
    let plane = Plane::start(vec![proxy(&origin)]);
    let (stated, unstated, with_trailers) = with_client(plane.address(), async |client| {
        let stated = request("POST", "/stated", &[("content-length", "6")]);
        let stated = ask(&client, stated, &["ghi", "jkl"]).await.unwrap();
        let unstated = request("POST", "/unstated", &[]);
        let unstated = ask(&client, unstated, &["abc", "def"]).await.unwrap();
        let mut ready = client.clone().ready().await.unwrap();
        let (response, mut sink) = ready
            .send_request(request("PUT", "/trailers", &[]), false)
            .unwrap();
        sink.send_data(Bytes::from_static(b"abc"), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert(
            HeaderName::from_static("x-up"),
            HeaderValue::from_static("1"),
        );
        sink.send_trailers(trailers).unwrap();
        let with_trailers = whole(response.await.unwrap()).await.unwrap();
        (stated, unstated, with_trailers)
    });
    assert!(
        stated.body.ends_with("content-length: 6\r\n\r\nghijkl"),
        "{stated:?}"
    );
    assert!(
        unstated.body.contains("transfer-encoding: chunked\r\n\r\n"),
        "{unstated:?}"
    );
    assert!(unstated.body.ends_with("0\r\n\r\n"), "{unstated:?}");
    let chunks = "\r\n\r\n3\r\nabc\r\n0\r\nx-up: 1\r\n\r\n";
    assert!(with_trailers.body.ends_with(chunks), "{with_trailers:?}");
    for answer in [stated, unstated, with_trailers] {
        assert!(answer.headers.is_empty(), "{:?}", answer.headers);
        assert_eq!(answer.trailers["grpc-status"], "0");
        assert_eq!(answer.trailers["x-sum"], "7");
    }
    plane.stop();
}

#[test]
fn heads_may_have_as_many_fields_as_with_haproxy_and_those_of_rules() {
    let fields = |count: usize| (0..count).map(|at| (format!("x-{at}"), String::from("v")));
    let origin = Origin::http(move |request| {
        let mut answer = String::from("HTTP/1.1 200 OK\r\n");
        for (name, value) in fields(99) {
            answer += &format!("{name}: {value}\r\n");
        }
        let sent = request.matches("x-").count().to_string();
        answer += &format!("Content-Length: {}\r\n\r\n{sent}", sent.len());
        answer.into_bytes()
    });
    let mut proxy = proxy(&origin);
    proxy.rules = rules(|b| {
        for name in ["a", "b"] {
            b.http_response(&["set-header", name, "v"]).unwrap();
        }
    });
    let plane = Plane::start(vec![proxy]);
    let answers = with_client(plane.address(), async |client| {
        let mut answers = Vec::new();
        for count in [197, 250] {
            let fields: Vec<_> = fields(count).collect();
            let fields = fields.iter().map(|(name, value)| (&**name, &**value));
            let request = request("GET", "/", &fields.collect::<Vec<_>>());
            answers.push(ask(&client, request, &[]).await.unwrap());
        }
        answers
    });
    assert_eq!((answers[0].status, &*answers[0].body), (200, "197"));
    assert_eq!(answers[0].headers.len(), 102);
    assert_eq!(answers[1].status, 400);
    plane.stop();
}

#[test]
fn answers_without_content_end_with_their_head_and_interim_ones_come_before() {
    let origin = Origin::http(|request| {
        let (_, rest) = request.split_once(" /").unwrap();
        match rest.split_once(' ').unwrap().0 {
            "head" => b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n".to_vec(),
            "204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            "304" => b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n".to_vec(),
            "hints" => {
                let mut answer = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n".to_vec();
                answer.extend(ok("whole"));
                answer
            }
            _ => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
        }
    });
    let plane = Plane::start(vec![proxy(&origin)]);
    with_client(plane.address(), async |client| {
        for (method, path, status) in [
            ("HEAD", "/head", 200),
            ("GET", "/204", 204),
            ("GET", "/304", 304),
            ("GET", "/empty", 200),
        ] {
            let mut ready = client.clone().ready().await.unwrap();
            let (response, _) = ready
                .send_request(request(method, path, &[]), true)
                .unwrap();
            let response = response.await.unwrap();
            assert_eq!(response.status(), status, "{path}");
            assert!(response.body().is_end_stream(), "{path}");
        }
        let mut ready = client.clone().ready().await.unwrap();
        let (mut response, _) = ready.send_request(get("/hints"), true).unwrap();
        let hints = std::future::poll_fn(|cx| response.poll_informational(cx)).await;
        let hints = hints.unwrap().unwrap();
        assert_eq!(
            (hints.status().as_u16(), &hints.headers()["link"]),
            (103, &HeaderValue::from_static("</a.css>"))
        );
        assert_eq!(whole(response.await.unwrap()).await.unwrap().body, "whole");
    });
    plane.stop();
}

#[test]
fn a_client_that_asks_whether_to_go_on_is_told_by_the_origin() {
    let origin = Origin::new(|mut stream| {
        let head = read_head(&mut stream).unwrap();
        assert!(head.contains("expect: 100-continue"), "{head}");
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        let mut body = [0; 5];
        stream.read_exact(&mut body).unwrap();
        stream
            .write_all(&ok(&String::from_utf8_lossy(&body)))
            .unwrap();
    });
    let plane = Plane::start(vec![proxy(&origin)]);
    with_client(plane.address(), async |client| {
        let mut ready = client.ready().await.unwrap();
        let fields = [("expect", "100-continue"), ("content-length", "5")];
        let (mut response, mut sink) = ready
            .send_request(request("POST", "/", &fields), false)
            .unwrap();
        let leave = std::future::poll_fn(|cx| response.poll_informational(cx)).await;
        assert_eq!(leave.unwrap().unwrap().status(), 100);
        sink.send_data(Bytes::from_static(b"hello"), true).unwrap();
        assert_eq!(whole(response.await.unwrap()).await.unwrap().body, "hello");
    });
    plane.stop();
}

#[test]
fn content_without_a_length_that_ends_with_its_connection_ends_the_stream() {
    let origin = Origin::new(|mut stream| {
        read_message(&mut stream);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nuntil the end");
    });
    let plane = Plane::start(vec![proxy(&origin)]);
    let answer = with_client(plane.address(), async |client| {
        ask(&client, get("/"), &[]).await.unwrap()
    });
    assert_eq!(answer.body, "until the end");
    plane.stop();
}
