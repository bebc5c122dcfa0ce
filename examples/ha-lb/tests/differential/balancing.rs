//! Keys and servers: the same request goes to the same server through both, whatever the algorithm, the hash and
//! the weights. Whoever changes from one to the other keeps full caches full.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
};

use crate::{compare::Pair, peer::haproxy_is_installed};

const HEAD: &str = "global
    maxconn 200
    nbthread 1
    stats socket {dir}/stats level admin
defaults
    mode http
    timeout connect 10s
    timeout client 5s
    timeout server 5s
frontend front
    bind {front}
    use_backend b%[req.hdr(x-case)]
";

/// Lines of a backend. Every other one has servers of different weights.
const BACKENDS: &[&str] = &[
    "balance uri",
    "balance uri whole",
    "balance uri len 6",
    "balance uri depth 1",
    "balance uri depth 2",
    "balance uri path-only",
    "balance uri\n hash-type map-based wt6",
    "balance uri\n hash-type consistent wt6 avalanche",
    "balance uri\n hash-type map-based djb2",
    "balance uri\n hash-type map-based crc32 avalanche",
    "balance uri\n hash-type consistent",
    "balance uri\n hash-type consistent",
    "balance uri\n hash-type consistent djb2 avalanche",
    "balance uri\n hash-type consistent sdbm",
    "balance url_param id",
    "balance url_param id",
    "balance url_param id check_post",
    "balance hdr(x-key)",
    "balance hdr(x-key)\n hash-type consistent",
    "balance hdr(host) use_domain_only",
    "balance hdr(host) use_domain_only",
    "balance source",
    "balance source\n hash-type consistent",
    "balance source\n hash-type map-based sdbm avalanche",
    "balance hash path,lower",
    "balance hash src\n hash-type consistent",
    "balance hash path,length",
    "balance static-rr",
    "balance static-rr",
];

const WEIGHTS: [[u16; 5]; 2] = [[1; 5], [1, 1, 3, 2, 7]];

const TARGETS: &[&str] = &[
    "/",
    "/a",
    "/a/b",
    "/a/b/c?x=1",
    "/a/b/c/d/e?id=7&n=9",
    "/A/B/",
    "/index.html?id=abc",
    "/abc/?n=1&id=z",
    "http://www.example.org/a/b?id=1",
    "/static/img/logo.png",
    "/static/img/logo-large.png?id=12345",
    "/x?id=0",
    "/x?id",
    "/x?n=1;id=5&id=6",
    "/x?id=5;n=1",
    "/x?n?id=5",
];

/// What is posted to a backend whose key may be in it.
const FORMS: &[&str] = &["id=5", "n=1&id=6", "nid=1", "id=", "n;id=5", "id", ""];

fn config() -> String {
    let mut text = HEAD.to_owned();
    for (number, (lines, weights)) in BACKENDS.iter().zip(WEIGHTS.iter().cycle()).enumerate() {
        text += &format!("backend b{number}\n {lines}\n http-response set-header x-server %s/%b\n");
        for (server, weight) in weights.iter().enumerate() {
            text += &format!(" server s{server} {{a}} weight {weight}\n");
        }
    }
    text
}

/// The server and the backend that answered.
fn server_of(front: SocketAddr, backend: usize, target: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\n");
    answerer(front, backend, target, &request, "")
}

/// The same for a form that is posted.
fn server_of_form(front: SocketAddr, backend: usize, form: &str) -> String {
    let request = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n", form.len());
    answerer(front, backend, "/", &request, form)
}

fn answerer(front: SocketAddr, backend: usize, target: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(front).unwrap();
    let host = match target.strip_prefix("http://") {
        Some(rest) => rest.split('/').next().unwrap().to_owned(),
        None => format!("www.site{}.example", target.len()),
    };
    let request = format!(
        "{head}host: {host}\r\nx-case: {backend}\r\nx-key: k{target}\r\n\
         connection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let lines = BufReader::new(stream).lines();
    let found = lines
        .map_while(Result::ok)
        .find_map(|line| Some(line.strip_prefix("x-server: ")?.to_owned()));
    assert!(
        found.is_some(),
        "{}, {target}: no answer of a server",
        BACKENDS[backend]
    );
    found.unwrap()
}

#[test]
fn keys_find_the_same_servers() {
    if !haproxy_is_installed("keys_find_the_same_servers") {
        return;
    }
    let pair = Pair::start(&config());
    for (backend, lines) in BACKENDS.iter().enumerate() {
        for target in TARGETS {
            let [theirs, ours] =
                [&pair.haproxy, &pair.ha_lb].map(|peer| server_of(peer.fronts[0], backend, target));
            assert_eq!(ours, theirs, "{lines}: {target}");
        }
        if !lines.ends_with("check_post") {
            continue;
        }
        for form in FORMS {
            let [theirs, ours] = [&pair.haproxy, &pair.ha_lb]
                .map(|peer| server_of_form(peer.fronts[0], backend, form));
            assert_eq!(ours, theirs, "{lines}: {form}");
        }
    }
}
