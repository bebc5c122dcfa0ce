//! Content of requests and responses: its framing, its cuts, its end.

use std::io::{Read, Write};

use lb_core::config::Mode;

use crate::common::{Origin, Plane, ask, listen, ok, read_all, read_head, read_message};

#[test]
fn bodies_pass_by_length_and_by_chunks_both_ways() {
    let origin = Origin::http(|request| {
        let body = request.split_once("\r\n\r\n").unwrap().1;
        if request.contains("transfer-encoding: chunked") {
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}").into_bytes()
        } else {
            ok(body)
        }
    });
    let plane = Plane::start(vec![listen("web", Mode::Http, &[origin.address])]);
    let mut client = plane.connect();
    let sized = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    assert!(ask(&mut client, sized).ends_with("content-length: 5\r\n\r\nhello"));
    let chunked =
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let answer = ask(&mut client, chunked);
    assert!(
        answer.ends_with("transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        "{answer}"
    );
    // An HTTP/1.0 client gets the content alone, up to the end of the connection.
    let old = chunked.replace("HTTP/1.1", "HTTP/1.0").replace(
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "Content-Length: 2\r\n\r\nhi",
    );
    assert!(ask(&mut client, &old).ends_with("hi"));
    drop(client);
    plane.stop();
}

#[test]
fn it_does_not_matter_how_bytes_are_cut() {
    let origin = Origin::new(|mut stream| {
        stream.set_nodelay(true).unwrap();
        while let Some(request) = read_message(&mut stream) {
            for byte in ok(request.split_once("\r\n\r\n").unwrap().1) {
                stream.write_all(&[byte]).unwrap();
            }
        }
    });
    let plane = Plane::start(vec![listen("web", Mode::Http, &[origin.address])]);
    let mut client = plane.connect();
    client.set_nodelay(true).unwrap();
    let chunked =
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let sized = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
    for byte in [chunked, sized].concat().bytes() {
        client.write_all(&[byte]).unwrap();
    }
    let bodies = ["5\r\nhello\r\n0\r\n\r\n", "abc"];
    for body in bodies {
        let answer = read_message(&mut client).unwrap();
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{answer}");
        assert_eq!(plane.entry().end(), ("web/s1", "200", "----"));
    }
    drop(client);
    plane.stop();
}

#[test]
fn http_10_clients_get_chunked_content_without_its_chunks() {
    let origin = Origin::http(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n"
            .to_vec()
    });
    let plane = Plane::start(vec![listen("web", Mode::Http, &[origin.address])]);
    let mut client = plane.connect();
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let answer = read_all(&client);
    assert!(
        answer.ends_with("connection: close\r\n\r\nabcdefg"),
        "{answer}"
    );
    assert!(!answer.contains("chunked"));
    plane.stop();
}

#[test]
fn large_bodies_pass_unchanged_both_ways() {
    const SIZE: usize = 3_000_000;
    let pattern = || (0..SIZE).map(|i| (i % 251) as u8).collect::<Vec<u8>>();
    let origin = Origin::new(move |mut stream| {
        while read_message(&mut stream).is_some() {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&pattern()).unwrap();
        }
    });
    let plane = Plane::start(vec![listen("web", Mode::Http, &[origin.address])]);
    let mut client = plane.connect();
    for _ in 0..3 {
        let head = format!("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {SIZE}\r\n\r\n");
        let mut sending = client.try_clone().unwrap();
        let sender = std::thread::spawn(move || {
            sending.write_all(head.as_bytes()).unwrap();
            sending
                .write_all(&(0..SIZE).map(|_| b'x').collect::<Vec<u8>>())
                .unwrap();
        });
        read_head(&mut client).unwrap();
        let mut body = vec![0; SIZE];
        client.read_exact(&mut body).unwrap();
        assert!(body == pattern());
        sender.join().unwrap();
        assert_eq!(plane.entry().end(), ("web/s1", "200", "----"));
    }
    assert_eq!(origin.connections(), 1);
    drop(client);
    plane.stop();
}

#[test]
fn head_204_and_304_have_no_body_whatever_they_say() {
    let origin = Origin::http(|request| {
        let line = if request.starts_with("HEAD") {
            "200 OK"
        } else if request.contains("/204") {
            "204 No Content"
        } else {
            "304 Not Modified"
        };
        format!("HTTP/1.1 {line}\r\nContent-Length: 5\r\n\r\n").into_bytes()
    });
    let plane = Plane::start(vec![listen("web", Mode::Http, &[origin.address])]);
    let mut client = plane.connect();
    for (request, status) in [("HEAD /", "200"), ("GET /204", "204"), ("GET /304", "304")] {
        client
            .write_all(format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
            .unwrap();
        let head = read_head(&mut client).unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        assert_eq!(plane.entry().status, status);
    }
    drop(client);
    assert_eq!(origin.connections(), 1);
    plane.stop();
}

#[test]
fn interim_responses_are_passed_on_and_the_body_follows_100() {
    let origin = Origin::new(|mut stream| {
        read_head(&mut stream).unwrap();
        stream
            .write_all(
                b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
            )
            .unwrap();
        let mut body = [0; 4];
        stream.read_exact(&mut body).unwrap();
        stream
            .write_all(&ok(std::str::from_utf8(&body).unwrap()))
            .unwrap();
    });
    let plane = Plane::start(vec![listen("web", Mode::Http, &[origin.address])]);
    let mut client = plane.connect();
    let head = "PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    assert_eq!(
        ask(&mut client, head),
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    );
    assert_eq!(
        read_message(&mut client).unwrap(),
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    assert!(ask(&mut client, "data").ends_with("\r\n\r\ndata"));
    assert_eq!(plane.entry().end(), ("web/s1", "200", "----"));
    drop(client);
    plane.stop();
}

#[test]
fn responses_up_to_the_close_end_the_client_connection() {
    let origin = Origin::new(|mut stream| {
        read_message(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\n\r\nall of it")
            .unwrap();
    });
    let plane = Plane::start(vec![listen("web", Mode::Http, &[origin.address])]);
    let mut client = plane.connect();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    assert_eq!(
        read_all(&client),
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall of it"
    );
    assert_eq!(plane.entry().end(), ("web/s1", "200", "----"));
    plane.stop();
}
