//! Responses that a cache keeps: what comes back, what the origin is asked, and what memory is taken.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use flate2::read::GzDecoder;
use lb_core::{
    cache::{Cache, CacheConfig},
    compression::{Algorithm, Compression},
    config::{Mode, ProxyConfig},
    rules::RulesBuilder,
};
use socket2::SockRef;

use crate::common::{Origin, Plane, connect, listen, rules};

pub(crate) fn cache(adjust: impl FnOnce(&mut CacheConfig)) -> Arc<Cache> {
    let mut config = CacheConfig::new(4 << 20);
    config.object = 1 << 20;
    adjust(&mut config);
    Arc::new(Cache::new("c", config))
}

/// `cache-use`, `cache-store`, and a field that says whether the response is from the cache.
pub(crate) fn caches(rules: &mut RulesBuilder<'_>, cache: &Arc<Cache>) {
    let all = [(Arc::clone(cache.name()), Arc::clone(cache))];
    rules.caches(Arc::new(all.into()));
    rules.http_request(&["cache-use", "c"]).unwrap();
    rules.http_response(&["cache-store", "c"]).unwrap();
    rules
        .http_response(&["set-header", "x-hit", "%[res.cache_hit],%[res.cache_name]"])
        .unwrap();
}

fn cached(origin: &Origin, cache: &Arc<Cache>) -> ProxyConfig {
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.rules = rules(|rules| caches(rules, cache));
    proxy
}

fn text(length: usize) -> String {
    let letters = (0..length).map(|n| char::from(b'a' + (n % 23) as u8));
    letters.collect()
}

/// An origin that counts what it is asked, and answers as the target says: `/length/N`, `/chunks/N`, or with a body that
/// ends too early: `/cut-length/N`, `/cut-chunks/N`, `/until-close/N`.
fn origin(asked: &Arc<AtomicUsize>) -> Origin {
    let asked = Arc::clone(asked);
    Origin::new(move |mut stream| {
        while let Some(request) = crate::common::read_message(&mut stream) {
            asked.fetch_add(1, Ordering::SeqCst);
            let target = request.split(' ').nth(1).unwrap();
            let mut words = target.split('/').skip(1);
            let kind = words.next().unwrap();
            let body = text(words.next().unwrap_or("0").parse().unwrap());
            let mut answer = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"v1\"\r\n\
                              Content-Type: text/plain\r\n"
                .to_owned();
            if kind.ends_with("chunks") {
                answer += "Transfer-Encoding: chunked\r\n\r\n";
                for piece in body.as_bytes().chunks(1000) {
                    let piece = String::from_utf8_lossy(piece);
                    answer += &format!("{:x};ext=1\r\n{piece}\r\n", piece.len());
                }
                if kind == "chunks" {
                    answer += "0\r\nX-Sum: 7\r\n\r\n";
                }
            } else if kind == "until-close" {
                answer += &format!("\r\n{body}");
            } else {
                let more = usize::from(kind != "length");
                answer += &format!("Content-Length: {}\r\n\r\n{body}", body.len() + more);
            }
            if request.starts_with("HEAD") {
                answer.truncate(answer.find("\r\n\r\n").unwrap() + 4);
            }
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
            if !matches!(kind, "length" | "chunks") {
                let _ = stream.shutdown(Shutdown::Write);
                return;
            }
        }
    })
}

/// Head and content of one answer, read by its framing.
fn ask(stream: &mut TcpStream, request: &str) -> (String, Vec<u8>) {
    stream.write_all(request.as_bytes()).unwrap();
    let head = up_to(stream, b"\r\n\r\n");
    let mut content = Vec::new();
    if request.starts_with("HEAD") || head.starts_with("HTTP/1.1 304") {
    } else if head.contains("transfer-encoding: chunked") {
        loop {
            let size = up_to(stream, b"\r\n");
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            if size == 0 {
                while up_to(stream, b"\r\n").len() > 2 {}
                break;
            }
            let mut piece = vec![0; size + 2];
            stream.read_exact(&mut piece).unwrap();
            content.extend_from_slice(&piece[..size]);
        }
    } else {
        let (_, rest) = head.split_once("content-length: ").unwrap();
        content.resize(rest.lines().next().unwrap().parse().unwrap(), 0);
        stream.read_exact(&mut content).unwrap();
    }
    (head, content)
}

fn up_to(stream: &mut TcpStream, end: &[u8]) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(end) {
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn content_of_any_length_and_framing_is_fetched_once_and_arrives_as_it_was() {
    let asked = Arc::default();
    let origin = origin(&asked);
    let cache = cache(|_| {});
    let plane = Plane::start(vec![cached(&origin, &cache)]);
    let mut client = plane.connect();
    let mut other = plane.connect();
    for kind in ["length", "chunks"] {
        for length in [0, 1, 100, 3000, 20_000, 300_000] {
            let (target, expected) = (format!("/{kind}/{length}"), text(length));
            let before = asked.load(Ordering::SeqCst);
            let (head, content) = ask(&mut client, &get(&target, ""));
            assert!(content == expected.as_bytes(), "{target}");
            assert_eq!(field(&head, "x-hit"), Some("0,"), "{head}");
            assert_eq!(field(&head, "age"), None, "{head}");
            assert_eq!(plane.entry().end(), ("web/s1", "200", "----"));
            for client in [&mut other, &mut client] {
                let (head, content) = ask(client, &get(&target, ""));
                assert!(content == expected.as_bytes(), "{target}");
                assert_eq!(field(&head, "x-hit"), Some("1,c"), "{head}");
                assert_eq!(field(&head, "etag"), Some("\"v1\""), "{head}");
                let stated = length.to_string();
                assert_eq!(field(&head, "content-length"), Some(&*stated), "{head}");
                assert!(field(&head, "age").is_some_and(|age| age.parse::<u8>().is_ok()));
                assert!(!head.contains("transfer-encoding"), "{head}");
                let entry = plane.entry();
                assert_eq!(entry.end(), ("web/<CACHE>", "200", "LR--"));
                assert!(entry.bytes.parse::<usize>().unwrap() > length);
            }
            assert_eq!(asked.load(Ordering::SeqCst), before + 1, "{target}");
        }
    }
    let balancer = plane.plane.balancer();
    let traffic = &balancer.frontend_counters[0].traffic;
    let counted = (
        traffic.total(|c| &c.cache_lookups),
        traffic.total(|c| &c.cache_hits),
    );
    assert_eq!(counted, (36, 24));
    drop((client, other));
    plane.stop();
}

#[test]
fn heads_conditions_ranges_and_old_versions_get_what_is_theirs() {
    let asked = Arc::default();
    let origin = origin(&asked);
    let cache = cache(|_| {});
    let plane = Plane::start(vec![cached(&origin, &cache)]);
    let mut client = plane.connect();
    // A HEAD is answered by the origin until there is something to answer from, and fills nothing.
    let question = "HEAD /length/100 HTTP/1.1\r\nHost: x\r\n\r\n";
    let (head, _) = ask(&mut client, question);
    assert_eq!(field(&head, "x-hit"), Some("0,"));
    ask(&mut client, &get("/length/100", ""));
    let (head, _) = ask(&mut client, question);
    assert_eq!(field(&head, "x-hit"), Some("1,c"));
    assert_eq!(field(&head, "content-length"), Some("100"));
    for fields in ["If-None-Match: \"x\", W/\"v1\"\r\n", "If-None-Match: *\r\n"] {
        for method in ["GET", "HEAD"] {
            let request = format!("{method} /length/100 HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
            let (head, _) = ask(&mut client, &request);
            assert!(head.starts_with("HTTP/1.1 304 Not Modified\r\n"), "{head}");
            assert_eq!(field(&head, "content-length"), Some("100"), "{head}");
            assert_eq!(field(&head, "etag"), Some("\"v1\""), "{head}");
            assert_eq!(field(&head, "x-hit"), Some("1,c"), "{head}");
        }
    }
    let (head, content) = ask(&mut client, &get("/length/100", "Range: bytes=0-9\r\n"));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(content.len(), 100);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let old = "GET /length/100 HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n";
    let (head, _) = ask(&mut client, old);
    assert_eq!(field(&head, "x-hit"), Some("0,"), "{head}");
    // One that asks for the end of its connection gets it.
    client
        .write_all(get("/length/100", "Connection: close\r\n").as_bytes())
        .unwrap();
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("x-hit: 1,c\r\n") && rest.contains("connection: close\r\n"));
    assert!(rest.ends_with(&text(100)));
    plane.stop();
}

#[test]
fn what_does_not_come_whole_is_not_kept_and_takes_no_memory() {
    let asked = Arc::default();
    let origin = origin(&asked);
    let cache = cache(|_| {});
    let plane = Plane::start(vec![cached(&origin, &cache)]);
    let free = cache.available_blocks();
    for target in ["/cut-length/5000", "/cut-chunks/5000", "/until-close/5000"] {
        for _ in 0..2 {
            let mut client = plane.connect();
            client.write_all(get(target, "").as_bytes()).unwrap();
            let mut got = Vec::new();
            let _ = client.read_to_end(&mut got);
            assert!(got.windows(9).any(|w| w == b"x-hit: 0,"), "{target}");
        }
    }
    assert_eq!(asked.load(Ordering::SeqCst), 6);
    // A client that goes in the middle: nothing is kept of what the origin still had to say.
    let (told, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let slow = Origin::new(move |mut stream| {
        while crate::common::read_message(&mut stream).is_some() {
            let head = "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 100\r\n\r\nhalf";
            stream.write_all(head.as_bytes()).unwrap();
            let _ = wait.lock().unwrap().recv();
        }
    });
    let slow_plane = Plane::start(vec![cached(&slow, &cache)]);
    let mut client = slow_plane.connect();
    client.write_all(get("/", "").as_bytes()).unwrap();
    up_to(&mut client, b"half");
    assert!(cache.available_blocks() < free);
    // With a reset: its end alone may mean that it has nothing more to ask.
    let hurry = Some(Duration::ZERO);
    SockRef::from(&client).set_linger(hurry).unwrap();
    drop(client);
    slow_plane.settle();
    assert_eq!(cache.available_blocks(), free);
    assert!(cache.listed(Instant::now()).is_empty());
    drop(told);
    slow_plane.stop();
    plane.stop();
}

#[test]
fn what_is_kept_is_not_compressed_and_every_client_gets_what_it_takes() {
    let asked = Arc::default();
    let origin = origin(&asked);
    for first_is_compressed in [true, false] {
        let cache = cache(|_| {});
        let mut proxy = cached(&origin, &cache);
        proxy.compression = Some(Arc::new(Compression {
            algorithms: vec![Algorithm::Gzip],
            types: vec!["text/".into()],
            offload: first_is_compressed,
        }));
        let plane = Plane::start(vec![proxy]);
        let mut client = plane.connect();
        for target in ["/length/100000", "/chunks/100000"] {
            for compressed in [first_is_compressed, true, false, true] {
                let wish = if compressed {
                    "Accept-Encoding: gzip\r\n"
                } else {
                    ""
                };
                let (head, content) = ask(&mut client, &get(target, wish));
                let coding = field(&head, "content-encoding");
                assert_eq!(coding, compressed.then_some("gzip"), "{head}");
                let mut plain = String::new();
                match compressed {
                    true => GzDecoder::new(&*content)
                        .read_to_string(&mut plain)
                        .unwrap(),
                    false => (&*content).read_to_string(&mut plain).unwrap(),
                };
                assert!(plain == text(100_000), "{target}");
                let tag = if compressed { "W/\"v1\"" } else { "\"v1\"" };
                assert_eq!(field(&head, "etag"), Some(tag), "{head}");
            }
        }
        assert_eq!(cache.listed(Instant::now()).len(), 2);
        drop(client);
        plane.stop();
    }
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[test]
fn workers_share_it() {
    let asked = Arc::default();
    let origin = origin(&asked);
    let cache = cache(|_| {});
    let plane = Plane::with_two_workers(cached(&origin, &cache));
    let mut clients: Vec<_> = (0..32).map(|_| connect(plane.address())).collect();
    for client in &mut clients {
        let (_, content) = ask(client, &get("/chunks/50000", ""));
        assert!(content == text(50_000).as_bytes());
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    drop(clients);
    plane.stop();
}

#[test]
fn rules_behind_the_cache_have_their_say_about_what_comes_from_it() {
    let asked = Arc::default();
    let origin = origin(&asked);
    let cache = cache(|_| {});
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.rules = rules(|rules| {
        caches(rules, &cache);
        let deny = ["deny", "if", "{", "req.hdr(x-bad)", "-m", "found", "}"];
        rules.http_request(&deny).unwrap();
        let deny = ["deny", "if", "{", "req.hdr(x-odd)", "-m", "found", "}"];
        rules.http_response(&deny).unwrap();
        let wait = ["wait-for-body", "time", "1s"];
        rules.http_response(&wait).unwrap();
        rules
            .http_response(&["set-header", "x-len", "%[res.body,length]"])
            .unwrap();
        rules
            .http_after_response(&["set-header", "x-after", "%[status]"])
            .unwrap();
    });
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    ask(&mut client, &get("/length/7", ""));
    let (head, _) = ask(&mut client, &get("/length/7", "X-Bad: 1\r\n"));
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    let (head, content) = ask(&mut client, &get("/length/7", ""));
    assert_eq!(field(&head, "x-hit"), Some("1,c"), "{head}");
    assert_eq!(field(&head, "x-len"), Some("7"), "{head}");
    assert_eq!(field(&head, "x-after"), Some("200"), "{head}");
    assert_eq!(content, b"abcdefg");
    let (head, _) = ask(&mut client, &get("/length/7", "X-Odd: 1\r\n"));
    assert!(head.starts_with("HTTP/1.1 502"), "{head}");
    let balancer = plane.plane.balancer();
    let denied = [
        &balancer.frontend_counters[0].traffic,
        &balancer.backends[0].counters().traffic,
    ];
    assert_eq!(
        denied.map(|t| t.total(|cell| &cell.denied_responses)),
        [1, 1]
    );
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    drop(client);
    plane.stop();
}

#[test]
fn a_content_that_rules_hide_is_no_request_of_its_own() {
    let asked = Arc::default();
    let origin = origin(&asked);
    let cache = cache(|_| {});
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.rules = rules(|rules| {
        rules
            .http_request(&["del-header", "content-length"])
            .unwrap();
        caches(rules, &cache);
    });
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    ask(&mut client, &get("/length/7", ""));
    let hidden = get("/length/9", "");
    let length = format!("Content-Length: {}\r\n", hidden.len());
    let request = get("/length/7", &length) + &hidden;
    let (head, content) = ask(&mut client, &request);
    assert_eq!(field(&head, "x-hit"), Some("0,"), "{head}");
    assert_eq!(content, b"abcdefg");
    // The next answer is that to the next request, from the cache.
    let (head, content) = ask(&mut client, &get("/length/7", ""));
    assert_eq!(field(&head, "x-hit"), Some("1,c"), "{head}");
    assert_eq!(content, b"abcdefg");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    drop(client);
    plane.stop();
}
