//! Answers of servers that one reader takes for one message and another for two, to clients of HTTP/2 and of HTTP/1.1:
//! what these get, and that nobody gets what was meant for somebody else.

use super::*;

/// What a server says, and the status and the content that a client gets of it.
type Case = (&'static str, &'static str, u16, &'static str);

const CASES: &[Case] = &[
    (
        "another response behind the first",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmineHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen",
        200,
        "mine",
    ),
    (
        "another response behind one in chunks",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nmine\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen",
        200,
        "mine",
    ),
    (
        "content of a response that has none",
        "HTTP/1.1 204 No Content\r\nContent-Length: 44\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen",
        204,
        "",
    ),
    (
        "length and chunks",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nmine\r\n0\r\n\r\n",
        200,
        "mine",
    ),
    (
        "chunks of HTTP/1.0",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nmine\r\n0\r\n\r\n",
        200,
        "mine",
    ),
    (
        "different lengths",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        502,
        "",
    ),
    (
        "a coding that is none",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        502,
        "",
    ),
    (
        "chunks within gzip",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        502,
        "",
    ),
    (
        "a line end without CR",
        "HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n",
        502,
        "",
    ),
    (
        "CR in a value",
        "HTTP/1.1 200 OK\r\nA: b\rc: d\r\nContent-Length: 0\r\n\r\n",
        502,
        "",
    ),
    (
        "NUL in a value",
        "HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 0\r\n\r\n",
        502,
        "",
    ),
    (
        "a folded line",
        "HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\nContent-Length: 0\r\n\r\n",
        502,
        "",
    ),
    (
        "a length before a blank and a colon",
        "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
        502,
        "",
    ),
    (
        "a tunnel that nobody asked for",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        502,
        "",
    ),
    ("no response", "SSH-2.0-OpenSSH\r\n\r\n", 502, ""),
];

/// Answers what is asked of `/bad` with this, and all else as it should.
fn server(answer: &'static str) -> Origin {
    Origin::http(move |request| match request.contains("/bad") {
        true => answer.into(),
        false => ok("yours"),
    })
}

fn shared(mut proxy: ProxyConfig) -> ProxyConfig {
    if let Some(backend) = &mut proxy.backend {
        backend.http_reuse = HttpReuse::Always;
    }
    proxy
}

/// What clients get of each case (of a page of our own no content), what the next one gets, and over how many connections.
fn expected() -> Vec<(&'static str, u16, String, String, usize)> {
    let all = CASES.iter();
    all.map(|&(name, _, status, body)| (name, status, body.into(), "yours".into(), 2))
        .collect()
}

#[test]
fn what_two_readers_take_apart_differently_reaches_no_client_of_http_2() {
    let mut seen = Vec::new();
    for &(name, answer, ..) in CASES {
        let origin = server(answer);
        let plane = Plane::start(vec![shared(proxy(&origin))]);
        let (bad, good) = with_client(plane.address(), async |client| {
            let bad = ask(&client, get("/bad"), &[]).await.unwrap();
            (bad, ask(&client, get("/good"), &[]).await.unwrap())
        });
        let body = if bad.status == 502 {
            String::new()
        } else {
            bad.body
        };
        seen.push((name, bad.status, body, good.body, origin.connections()));
        plane.stop();
    }
    assert_eq!(seen, expected());
}

#[test]
fn what_two_readers_take_apart_differently_reaches_no_client_of_http_1() {
    let mut seen = Vec::new();
    for &(name, answer, ..) in CASES {
        let origin = server(answer);
        let plane = Plane::start(vec![shared(listen("web", Mode::Http, &[origin.address]))]);
        let ask = |path: &str| {
            let request = format!("GET {path} HTTP/1.1\r\nHost: web.test\r\n\r\n");
            let answer = crate::common::ask(&mut plane.connect(), &request);
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let status = head[9..12].parse::<u16>().unwrap();
            // The one chunk that any of these has.
            let body = body.strip_prefix("4\r\n").unwrap_or(body);
            let body = body.strip_suffix("\r\n0\r\n\r\n").unwrap_or(body);
            let body = if status == 502 { "" } else { body };
            (status, body.to_owned())
        };
        let (status, body) = ask("/bad");
        seen.push((name, status, body, ask("/good").1, origin.connections()));
        plane.stop();
    }
    assert_eq!(seen, expected());
}

/// Fields about the connection to the server are not those of the connection to the client.
#[test]
fn fields_about_a_connection_end_with_it() {
    let answer = "HTTP/1.1 200 OK\r\nConnection: keep-alive, x-secret\r\nKeep-Alive: timeout=5\r\nX-Secret: 1\r\n\
                  Upgrade: h2c\r\nProxy-Connection: keep-alive\r\nX-Good: 1\r\nContent-Length: 0\r\n\r\n";
    let origin = Origin::http(|_| answer.into());
    let plane = Plane::start(vec![proxy(&origin)]);
    let answer = with_client(plane.address(), async |client| {
        ask(&client, get("/"), &[]).await.unwrap()
    });
    let names: Vec<&str> = answer.headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["x-good", "content-length"]);
    plane.stop();
}

/// Heads are not counted against windows: what holds the server up is that they are not taken.
#[test]
fn interim_responses_that_no_client_reads_are_not_gathered() {
    const MOST: usize = 64 << 20;
    let (tell, told) = mpsc::channel();
    let origin = Origin::new(move |mut stream| {
        read_message(&mut stream);
        stream.set_write_timeout(SHORT).unwrap();
        let words = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(1000);
        let mut sent = 0;
        while sent < MOST && stream.write_all(&words).is_ok() {
            sent += words.len();
        }
        tell.send(sent).unwrap();
    });
    let plane = Plane::start(vec![proxy(&origin)]);
    let mut raw = Raw::open(plane.address());
    raw.send(&frame(HEADERS, WHOLE, 1, &frames::request("GET", "/", &[])));
    let sent = told.recv_timeout(PATIENCE).unwrap();
    assert!(sent < MOST, "all of {sent} bytes were taken");
    drop(raw);
    plane.stop();
}

/// A server of HTTP/2, too: its heads are not counted against windows either. Other streams of its connection go on, so
/// that it is this one that ends.
#[test]
fn interim_responses_of_http_2_that_no_client_reads_are_not_gathered() {
    const MOST: usize = 8 << 20;
    let (tell, told) = mpsc::channel();
    let origin = Origin::new(move |mut stream: TcpStream| {
        stream.read_exact(&mut [0; 24]).unwrap();
        let mut raw = Raw { stream };
        raw.send(&frame(frames::SETTINGS, 0, 0, &[]));
        while raw.next().is_some_and(|(kind, ..)| kind != HEADERS) {}
        let mut stream = raw.stream.try_clone().unwrap();
        let tell = tell.clone();
        std::thread::spawn(move || {
            let mut frames = std::iter::from_fn(|| raw.next());
            let is_cut = frames.any(|(kind, ..)| kind == frames::RESET);
            tell.send(is_cut).unwrap();
        });
        let hints = frame(HEADERS, frames::END_HEADERS, 1, b"\x08\x03102").repeat(1000);
        let mut sent = 0;
        while sent < MOST && stream.write_all(&hints).is_ok() {
            sent += hints.len();
        }
    });
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    if let Some(backend) = &mut proxy.backend {
        backend.servers[0].protocol = Protocol::Http2;
    }
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n")
        .unwrap();
    assert!(told.recv_timeout(PATIENCE).unwrap(), "the connection ended");
    drop(client);
    plane.stop();
}
