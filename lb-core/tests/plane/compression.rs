//! Responses that are compressed on their way.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};

use flate2::read::{GzDecoder, ZlibDecoder};
use lb_core::{
    compression::{Algorithm, Compression},
    config::Mode,
};

use crate::common::{Origin, Plane, listen};

fn plane(origin: &Origin, algorithms: &[Algorithm], offload: bool) -> Plane {
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.compression = Some(Arc::new(Compression {
        algorithms: algorithms.to_vec(),
        types: vec!["text/".into()],
        offload,
    }));
    Plane::start(vec![proxy])
}

/// Asks, and gives the head and the content without its chunks.
fn ask(stream: &mut TcpStream, request: &str) -> (String, Vec<u8>) {
    stream.write_all(request.as_bytes()).unwrap();
    let head = line(stream, b"\r\n\r\n");
    let mut content = Vec::new();
    if head.contains("transfer-encoding: chunked") {
        loop {
            let size = line(stream, b"\r\n");
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut piece = vec![0; size + 2];
            stream.read_exact(&mut piece).unwrap();
            if size == 0 {
                break;
            }
            content.extend_from_slice(&piece[..size]);
        }
    } else if let Some((_, rest)) = head.split_once("content-length: ") {
        let length = rest.lines().next().unwrap().parse().unwrap();
        content.resize(length, 0);
        stream.read_exact(&mut content).unwrap();
    }
    (head, content)
}

fn line(stream: &mut TcpStream, end: &[u8]) -> String {
    String::from_utf8(up_to(stream, end)).unwrap()
}

fn up_to(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(end) {
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    text
}

fn text(length: usize) -> String {
    (0..length)
        .map(|n| char::from(b'a' + (n % 23) as u8))
        .collect()
}

/// Answers with what the target says: `/TYPE/LENGTH`, in chunks where that begins with `c`.
fn origin() -> Origin {
    Origin::http(|request| {
        let mut words = request.split(' ').nth(1).unwrap().split('/').skip(1);
        let kind = words.next().unwrap();
        let length = words.next().unwrap();
        let body = text(length.trim_start_matches('c').parse().unwrap());
        let wish = request.contains("accept-encoding");
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/{kind}\r\nETag: \"1\"\r\nWish: {wish}\r\n"
        );
        if kind == "css" {
            return format!(
                "{head}Cache-Control: no-transform\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes();
        }
        if !length.starts_with('c') {
            return format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes();
        }
        let mut message = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
        for piece in body.as_bytes().chunks(1000) {
            message += &format!(
                "{:x}\r\n{}\r\n",
                piece.len(),
                String::from_utf8_lossy(piece)
            );
        }
        format!("{message}0\r\n\r\n").into_bytes()
    })
}

#[test]
fn content_of_any_length_and_framing_arrives_as_it_was() {
    let origin = origin();
    let plane = plane(&origin, &[Algorithm::Gzip, Algorithm::Deflate], false);
    let mut client = plane.connect();
    for length in ["1", "100", "c100", "c0", "300000", "c300000"] {
        let expected = text(length.trim_start_matches('c').parse().unwrap());
        for coding in ["gzip", "deflate"] {
            let (head, content) = ask(
                &mut client,
                &format!(
                    "GET /plain/{length} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {coding}\r\n\r\n"
                ),
            );
            assert!(
                head.contains(&format!("content-encoding: {coding}\r\n")),
                "{head}"
            );
            assert!(head.contains("vary: Accept-Encoding\r\n"), "{head}");
            assert!(head.contains("etag: W/\"1\"\r\n"), "{head}");
            assert!(head.contains("wish: true\r\n"), "{head}");
            assert!(!head.contains("content-length"), "{head}");
            let mut plain = String::new();
            match coding {
                "gzip" => GzDecoder::new(&*content).read_to_string(&mut plain),
                _ => ZlibDecoder::new(&*content).read_to_string(&mut plain),
            }
            .unwrap();
            assert!(plain == expected, "{length} {coding}");
            assert!(expected.len() < 1000 || content.len() < expected.len() / 20);
            let bytes: usize = plane.entry().bytes.parse().unwrap();
            assert!(
                bytes > content.len() && bytes < content.len() + 300,
                "{bytes}"
            );
        }
    }
    drop(client);
    plane.stop();
}

#[test]
fn what_is_not_asked_for_or_not_allowed_stays_as_it_is() {
    let origin = origin();
    let plane = plane(&origin, &[Algorithm::Gzip], true);
    let mut client = plane.connect();
    for (target, version, fields) in [
        ("GET /plain/50", "1.1", ""),
        ("GET /plain/50", "1.1", "Accept-Encoding: br\r\n"),
        ("GET /css/50", "1.1", "Accept-Encoding: gzip\r\n"),
        (
            "GET /plain/50",
            "1.0",
            "Accept-Encoding: gzip\r\nConnection: keep-alive\r\n",
        ),
    ] {
        let request = format!("{target} HTTP/{version}\r\nHost: x\r\n{fields}\r\n");
        let (head, content) = ask(&mut client, &request);
        assert_eq!(String::from_utf8_lossy(&content), text(50), "{request}");
        assert!(head.contains("etag: \"1\"\r\n"), "{head}");
        assert!(!head.contains("content-encoding"), "{head}");
        // `offload`: the origin does not hear of it.
        assert!(head.contains("wish: false\r\n"), "{head}");
    }
    drop(client);
    plane.stop();
}

#[test]
fn what_comes_in_pieces_is_not_held_back() {
    let origin = Origin::new(|mut stream| {
        line(&mut stream, b"\r\n\r\n");
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
        stream.write_all(head).unwrap();
        // The rest comes when the client has seen the beginning.
        let mut more = [0];
        if matches!(stream.read(&mut more), Ok(1)) {
            stream.write_all(b"4\r\nlast\r\n0\r\n\r\n").unwrap();
        }
    });
    let plane = plane(&origin, &[Algorithm::Gzip], false);
    let mut client = plane.connect();
    let head = "POST / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nContent-Length: 1\r\n\r\n";
    client.write_all(head.as_bytes()).unwrap();
    line(&mut client, b"\r\n\r\n");
    let size = usize::from_str_radix(line(&mut client, b"\r\n").trim(), 16).unwrap();
    let mut piece = vec![0; size + 2];
    client.read_exact(&mut piece).unwrap();
    let mut seen = [0; 5];
    GzDecoder::new(&piece[..size])
        .read_exact(&mut seen)
        .unwrap();
    assert_eq!(&seen, b"first");
    client.write_all(b"x").unwrap();
    assert!(!up_to(&mut client, b"0\r\n\r\n").is_empty());
    drop(client);
    plane.stop();
}
