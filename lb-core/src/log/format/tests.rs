use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::{
    config::LogHeader,
    expr::testing::{MOMENT, World},
    log::{Counts, RequestLine, Termination, Timers, syslog},
};

/// A moment of the recorded second 2026-11-20 22:51:45 and so many milliseconds.
fn at(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(MOMENT * 1000 + millis)
}

fn millis(times: [i64; 4]) -> [Option<Duration>; 4] {
    times.map(|t| u64::try_from(t).ok().map(Duration::from_millis))
}

/// What differs between the recorded lines.
struct Recorded<'a> {
    peer: &'a str,
    tls: bool,
    frontend: &'a str,
    millis: u64,
    backend: &'a str,
    server: &'a str,
    times: [i64; 4],
    active: u64,
    status: u16,
    bytes: u64,
    termination: [u8; 2],
    target: Option<&'a str>,
}

const NORMAL: Recorded<'_> = Recorded {
    peer: "127.0.0.1:41662",
    tls: false,
    frontend: "frontend_ssl_443",
    millis: 300,
    backend: "backend_ingress",
    server: "viettq-master1",
    times: [0; 4],
    active: 0,
    status: 200,
    bytes: 179,
    termination: *b"--",
    target: Some("/apple"),
};

fn line(recorded: &Recorded<'_>, format: &LogFormat) -> String {
    let mut world = World::new();
    world.connection.source = recorded.peer.parse().unwrap();
    world.connection.frontend = recorded.frontend.into();
    world.connection.accepted_date = at(recorded.millis);
    if !recorded.tls {
        world.connection.tls = None;
    }
    let [request, queue, connect, response] = millis(recorded.times);
    let [cause, phase] = recorded.termination;
    let record = StreamRecord {
        view: world.view(),
        utc_offset: 0,
        request_date: at(recorded.millis),
        backend: recorded.backend,
        server: recorded.server,
        server_address: None,
        backend_source: None,
        timers: Timers {
            request,
            queue,
            connect,
            response,
            active: Duration::from_millis(recorded.active),
            total: Duration::from_millis(recorded.active),
            ..Timers::default()
        },
        status: Some(recorded.status),
        bytes_read: recorded.bytes,
        bytes_uploaded: 78,
        termination: Termination::new(cause, phase),
        request_cookie: None,
        response_cookie: None,
        counts: Counts {
            process: 1,
            frontend: 1,
            ..Counts::default()
        },
        request_line: recorded.target.map(|target| RequestLine {
            method: b"GET",
            target: target.as_bytes(),
            version: "HTTP/1.1",
        }),
        early: false,
    };
    let mut text = Vec::new();
    format.write(&record, &mut text);
    let mut packet = Vec::new();
    syslog::Packet {
        header: LogHeader::Syslog,
        priority: syslog::Priority {
            facility: 16,
            level: 6,
        },
        date: at(recorded.millis),
        sender: syslog::Sender {
            tag: "haproxy",
            pid: 25382,
            hostname: None,
            utc_offset: 0,
        },
        structured: b"",
        message: &text,
        max_len: 1024,
    }
    .write(&mut packet);
    String::from_utf8(packet).unwrap()
}

/// Lines that HAProxy 2.6 wrote for the users' own configuration.
#[test]
fn http_lines_are_those_that_haproxy_recorded() {
    let rancher = Recorded {
        backend: "backend_rancher",
        server: "viettq-rancher",
        bytes: 191,
        ..NORMAL
    };
    let stats = Recorded {
        frontend: "stats",
        backend: "stats",
        server: "<STATS>",
        termination: *b"LR",
        ..NORMAL
    };
    for (recorded, expected) in [
        (
            NORMAL,
            r#"127.0.0.1:41662 [20/Nov/2026:22:51:45.300] frontend_ssl_443 backend_ingress/viettq-master1 0/0/0/0/0 200 179 - - ---- 1/1/0/0/0 0/0 "GET /apple HTTP/1.1""#,
        ),
        (
            Recorded {
                peer: "127.0.0.1:41696",
                millis: 330,
                target: Some("/"),
                ..rancher
            },
            r#"127.0.0.1:41696 [20/Nov/2026:22:51:45.330] frontend_ssl_443 backend_rancher/viettq-rancher 0/0/0/0/0 200 191 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#,
        ),
        (
            Recorded {
                peer: "127.0.0.1:41104",
                tls: true,
                millis: 360,
                server: "viettq-master3",
                times: [0, 0, 2, 0],
                active: 2,
                bytes: 177,
                target: Some("/tls"),
                ..NORMAL
            },
            r#"127.0.0.1:41104 [20/Nov/2026:22:51:45.360] frontend_ssl_443~ backend_ingress/viettq-master3 0/0/2/0/2 200 177 - - ---- 1/1/0/0/0 0/0 "GET /tls HTTP/1.1""#,
        ),
        (
            Recorded {
                peer: "127.0.0.1:54614",
                millis: 377,
                times: [0, 0, 0, -1],
                status: 400,
                bytes: 472,
                target: Some("/stats"),
                ..stats
            },
            r#"127.0.0.1:54614 [20/Nov/2026:22:51:45.377] stats stats/<STATS> 0/0/0/-1/0 400 472 - - LR-- 1/1/0/0/0 0/0 "GET /stats HTTP/1.1""#,
        ),
        (
            Recorded {
                peer: "127.0.0.1:54638",
                millis: 391,
                frontend: "stats",
                backend: "stats",
                server: "<NOSRV>",
                times: [0, -1, -1, -1],
                status: 503,
                bytes: 217,
                termination: *b"SC",
                target: Some("/other"),
                ..NORMAL
            },
            r#"127.0.0.1:54638 [20/Nov/2026:22:51:45.391] stats stats/<NOSRV> 0/-1/-1/-1/0 503 217 - - SC-- 1/1/0/0/0 0/0 "GET /other HTTP/1.1""#,
        ),
        (
            Recorded {
                peer: "127.0.0.1:41726",
                millis: 402,
                backend: "frontend_ssl_443",
                server: "<NOSRV>",
                times: [-1; 4],
                status: 400,
                bytes: 0,
                termination: *b"CR",
                target: None,
                ..NORMAL
            },
            r#"127.0.0.1:41726 [20/Nov/2026:22:51:45.402] frontend_ssl_443 frontend_ssl_443/<NOSRV> -1/-1/-1/-1/0 400 0 - - CR-- 1/1/0/0/0 0/0 "<BADREQ>""#,
        ),
    ] {
        let expected = format!("<134>Nov 20 22:51:45 haproxy[25382]: {expected}");
        assert_eq!(line(&recorded, &LogFormat::http()), expected);
    }
}

/// The message of a record without its syslog header.
fn message(recorded: &Recorded<'_>, format: &str) -> String {
    let line = line(recorded, &LogFormat::parse(format).unwrap());
    line.split_once("]: ").unwrap().1.to_string()
}

#[test]
fn tcp_and_clf_lines() {
    let tcp = line(
        &Recorded {
            tls: true,
            active: 12,
            ..NORMAL
        },
        &LogFormat::tcp(),
    );
    assert_eq!(
        tcp,
        "<134>Nov 20 22:51:45 haproxy[25382]: 127.0.0.1:41662 [20/Nov/2026:22:51:45.300] frontend_ssl_443~ \
         backend_ingress/viettq-master1 0/0/12 179 -- 1/1/0/0/0 0/0"
    );
    let clf = line(&NORMAL, &LogFormat::clf());
    assert_eq!(
        clf.split_once("]: ").unwrap().1,
        "127.0.0.1 - - [20/Nov/2026:22:51:45 +0000] \"GET /apple HTTP/1.1\" 200 179 \"\" \"\" 41662 300 \
         \"frontend_ssl_443\" \"backend_ingress\" \"viettq-master1\" 0 0 0 0 0 ---- 1 1 0 0 0 0 0 \"\" \"\" "
    );
}

#[test]
fn every_variable_writes_something_and_is_documented() {
    let mut names: Vec<&str> = VARIABLES.iter().map(|(n, ..)| *n).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for (name, _, doc) in VARIABLES {
        assert!(doc.ends_with('.'), "{name}");
        let text = message(&NORMAL, &format!("%{name}"));
        // Captures, and the query, of which there are none.
        let may_be_empty = matches!(*name, "hr" | "hs" | "hrl" | "hsl" | "HQ");
        assert_eq!(text.is_empty(), may_be_empty, "%{name} is '{text}'");
    }
}

#[test]
fn variables_and_flags() {
    let recorded = Recorded {
        target: Some("/p/q?a=1"),
        active: 9,
        ..NORMAL
    };
    let plain = Recorded {
        target: Some("/p/q"),
        ..recorded
    };
    assert_eq!(message(&plain, "[%HQ]%{+Q}HQ"), "[]\"\"");
    for (format, expected) in [
        (
            "%HM %HU %HP %HPO %HQ %HV",
            "GET /p/q?a=1 /p/q /p/q ?a=1 HTTP/1.1",
        ),
        ("%{+Q}HM,%{+Q}ID,%ID", "\"GET\",\"\",-"),
        ("%%ci %ci", "%ci 127.0.0.1"),
        ("%{+X}ci:%{+X}cp", "7F000001:A2BE"),
        ("%{+X}o%ci %fi %Ts", "7F000001 C6336401 6B00CF01"),
        (
            "%T|%Tl|%Ts|%ms",
            "20/Nov/2026:22:51:45 +0000|20/Nov/2026:22:51:45 +0000|1795215105|300",
        ),
        (
            "%tr|%trg|%trl",
            "20/Nov/2026:22:51:45.300|20/Nov/2026:22:51:45 +0000|20/Nov/2026:22:51:45 +0000",
        ),
        (
            "%Th/%Ti/%TR/%Tq/%Tw/%Tc/%Tr/%Td/%Ta/%Tt/%Tu",
            "0/0/0/0/0/0/0/9/9/9/9",
        ),
        ("%B %U %ST %ts %tsc", "179 78 200 -- ----"),
        (
            "%[src],%[src,ipmask(8)] %[str(a]b)] %{+Q}[path]",
            "127.0.0.1,127.0.0.0 a]b \"\"",
        ),
        ("%[path] %[int(255)] %{+X}[int(255)]", "- 255 255"),
        (
            "%{+Q}cp.%{+Q}ac.%{+Q}ms.%{+Q}ts.%{+Q}T",
            "41662.1.300.--.20/Nov/2026:22:51:45 +0000",
        ),
        (
            "%{+Q}ci.%{+Q}bi.%{+Q}bp.%{+Q}ft",
            "\"127.0.0.1\".\"\".\"\".\"frontend_ssl_443\"",
        ),
        (
            "%{+Q}[int(5)] %{+E}[str('a\"b]\\')] %[str('a\"b')]",
            "\"5\" a\\\"b\\]\\\\ a\"b",
        ),
        ("%hr  %hs   x", "x"),
        ("%sslv %sslc %si:%sp %bi:%bp", "- - -:- -:-"),
    ] {
        assert_eq!(message(&recorded, format), expected, "{format}");
    }
}

#[test]
fn what_clients_send_cannot_forge_lines() {
    let recorded = Recorded {
        target: Some("/a\"b#c\r\n\u{e9}"),
        ..NORMAL
    };
    assert_eq!(
        message(&recorded, "%{+Q}r"),
        "\"GET /a#22b#23c#0D#0A#C3#A9 HTTP/1.1\""
    );
    let mut world = World::new();
    world.state.captures.request = vec![Some(b"a|b}".to_vec()), None];
    let mut out = Vec::new();
    let view = world.view();
    let record = StreamRecord {
        view,
        utc_offset: -3600,
        request_date: at(0),
        backend: "b",
        server: "s",
        server_address: Some("[2001:db8::1]:80".parse().unwrap()),
        backend_source: None,
        timers: Timers::default(),
        status: None,
        bytes_read: 5,
        bytes_uploaded: 0,
        termination: Termination::NORMAL,
        request_cookie: Some(b"x"),
        response_cookie: None,
        counts: Counts {
            retries: 2,
            redispatched: true,
            ..Counts::default()
        },
        request_line: None,
        early: true,
    };
    let format =
        LogFormat::parse("%hr %{+Q}hrl %B %Ta %rc %ST %CC %si:%sp %trl %{+E}[str('a\"b]')]")
            .unwrap();
    format.write(&record, &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "{a#7Cb#7D|} \"a#7Cb#7D\" \"\" +5 +0 +2 -1 x 2001:db8::1:80 20/Nov/2026:21:51:45 -0100 a\\\"b\\]"
    );
}

#[test]
fn what_is_wrong_with_a_format_is_told() {
    for (format, message) in [
        ("%nope", "unknown log variable '%nope'"),
        ("%", "unknown log variable '%'"),
        ("%{+Z}ci", "unknown log flag 'Z'"),
        ("%{+Q", "'%{+Q': missing '}'"),
        ("%[src", "'%[src': missing ']'"),
        ("%[scr]", "unknown fetch method 'scr'"),
    ] {
        assert_eq!(
            LogFormat::parse(format).unwrap_err().message,
            message,
            "{format}"
        );
    }
}

#[test]
fn packets_have_one_line_and_a_limit() {
    let mut packet = b"kept".to_vec();
    let debug = syslog::Packet {
        header: LogHeader::Syslog,
        priority: syslog::Priority {
            facility: 23,
            level: 7,
        },
        date: at(0),
        sender: syslog::Sender {
            tag: "lb",
            pid: 1,
            hostname: Some("h1"),
            utc_offset: 3600,
        },
        structured: b"",
        message: b"a\nb\0c",
        max_len: 1024,
    };
    debug.write(&mut packet);
    assert_eq!(packet, b"kept<191>Nov 20 23:51:45 h1 lb[1]: a b c");
    packet.clear();
    let long = syslog::Packet {
        message: &[b'x'; 2000],
        max_len: 100,
        ..debug
    };
    long.write(&mut packet);
    assert_eq!(packet.len(), 100);
}

proptest! {
    #[test]
    fn any_format_is_parsed_or_refused_and_written(text in "(%|[{}+QXE,]|\\[|\\]|[a-zA-Z ]|\\PC){0,30}") {
        if let Ok(format) = LogFormat::parse(&text) {
            line(&NORMAL, &format);
            let mut out = Vec::new();
            format.write_value(&World::new().view(), &mut out);
        }
    }
}

#[test]
fn blanks_and_quotes_are_those_of_the_purpose() {
    let definitions = Definitions::default();
    let written = |format: LogFormat| {
        let mut out = Vec::new();
        format.write_value(&World::new().view(), &mut out);
        String::from_utf8(out).unwrap()
    };
    let text = "%{+X}o %ci  %{+Q}[str(a  b)]  x ";
    assert_eq!(
        written(LogFormat::value(text, &definitions).unwrap()),
        " C0000207  a  b  x "
    );
    assert_eq!(
        written(LogFormat::identifier(text, &definitions).unwrap()),
        "C0000207 a  b x "
    );
}
