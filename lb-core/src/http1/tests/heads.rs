//! Heads as read and as written.

use super::{request_with, response, response_to};
use crate::{
    config::HttpMode,
    head::{HeadMut, HeadRef},
    http1::{
        ConnectionOption, Framing, Leniency, Method, Names, Progress, RequestDecoder,
        client_framing, client_stays, is_field_value, server_stays, write_error_page,
        write_raw_error_page, write_redirect, write_request_head, write_response_head,
    },
};

fn forwarded(text: &str, mode: HttpMode) -> String {
    let (summary, head) = request_with(Leniency::STRICT, text).unwrap();
    let mut out = Vec::new();
    write_request_head(
        HeadRef::new(&head, text.as_bytes()),
        summary.framing,
        ConnectionOption::to_server(&summary, mode),
        Names::Lower,
        &mut out,
    );
    String::from_utf8(out).unwrap()
}

#[test]
fn the_server_sees_lower_case_names_in_order_and_the_connection_option_last() {
    let text =
        "GET /apple HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n";
    let (summary, mut head) = request_with(Leniency::STRICT, text).unwrap();
    HeadMut::new(&mut head, text.as_bytes()).add(b"X-Forwarded-Proto", b"https");
    let mut out = Vec::new();
    write_request_head(
        HeadRef::new(&head, text.as_bytes()),
        summary.framing,
        ConnectionOption::to_server(&summary, HttpMode::ServerClose),
        Names::Lower,
        &mut out,
    );
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "GET /apple HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: curl/7.88.1\r\naccept: */*\r\n\
         x-forwarded-proto: https\r\nconnection: close\r\n\r\n"
    );
}

#[test]
fn fields_are_sent_alike_however_white_space_stood_around_their_values() {
    let text = "GET / HTTP/1.1\r\nHost: h\r\nX-A:b\r\nX-B:  c \t\r\nX-C:\td\r\nX-D: \r\nX-E:\r\nX-F: e: \u{e9}\r\n\r\n";
    assert_eq!(
        forwarded(text, HttpMode::KeepAlive),
        "GET / HTTP/1.1\r\nhost: h\r\nx-a: b\r\nx-b: c\r\nx-c: d\r\nx-d: \r\nx-e: \r\nx-f: e: \u{e9}\r\n\r\n"
    );
}

#[test]
fn control_characters_are_found_wherever_they_stand_in_a_value() {
    for len in 1..=20 {
        for (at, byte) in (0..len).flat_map(|at| (0..=255).map(move |byte| (at, byte))) {
            let mut value = vec![b'v'; len];
            value[at] = byte;
            let allowed = byte == b'\t' || byte >= 0x20 && byte != 0x7f;
            assert_eq!(is_field_value(&value), allowed, "{value:?}");
            // Beside what is above and below, too.
            value.fill(0xff);
            value[at] = byte;
            assert_eq!(is_field_value(&value), allowed, "{value:?}");
        }
    }
}

#[test]
fn hop_by_hop_fields_go_no_further() {
    let text = "POST / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, X-Auth, Content-Length, Host, X-Forwarded-For\r\n\
                Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n\
                X-Auth: secret\r\nX-Forwarded-For: 1.2.3.4\r\nContent-Length: 3, 3\r\n\r\n";
    assert_eq!(
        forwarded(text, HttpMode::KeepAlive),
        "POST / HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 1.2.3.4\r\ncontent-length: 3\r\n\r\n"
    );
    let trailers = "GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\n\r\n";
    assert_eq!(
        forwarded(trailers, HttpMode::KeepAlive),
        "GET / HTTP/1.1\r\nhost: h\r\nte: trailers\r\n\r\n"
    );
}

#[test]
fn upgrades_pass_and_h2c_does_not() {
    let websocket = "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: k\r\n\r\n";
    assert_eq!(
        forwarded(websocket, HttpMode::ServerClose),
        "GET /ws HTTP/1.1\r\nhost: h\r\nupgrade: websocket\r\nsec-websocket-key: k\r\n\
         connection: upgrade\r\n\r\n"
    );
    let h2c = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: A\r\n\r\n";
    assert_eq!(
        forwarded(h2c, HttpMode::KeepAlive),
        "GET / HTTP/1.1\r\nhost: h\r\n\r\n"
    );
    let unnamed = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(
        forwarded(unnamed, HttpMode::KeepAlive),
        "GET / HTTP/1.1\r\nhost: h\r\n\r\n"
    );
}

#[test]
fn framing_fields_are_written_from_what_was_decided() {
    let text = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nA: b\r\n\r\n";
    let written = forwarded(text, HttpMode::KeepAlive);
    assert_eq!(
        written,
        "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\na: b\r\n\r\n"
    );
    // A rule that meddles with them changes nothing.
    let (summary, mut head) = request_with(Leniency::STRICT, text).unwrap();
    let mut edit = HeadMut::new(&mut head, text.as_bytes());
    edit.remove(b"transfer-encoding");
    edit.add(b"content-length", b"7");
    let mut out = Vec::new();
    write_request_head(
        HeadRef::new(&head, text.as_bytes()),
        summary.framing,
        ConnectionOption::Absent,
        Names::Lower,
        &mut out,
    );
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "POST / HTTP/1.1\r\nhost: h\r\na: b\r\ntransfer-encoding: chunked\r\n\r\n"
    );
}

#[test]
fn chunks_of_an_old_client_go_on_as_http_1_1() {
    let text = "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (summary, head) = request_with(Leniency::HAPROXY, text).unwrap();
    let mut out = Vec::new();
    write_request_head(
        HeadRef::new(&head, text.as_bytes()),
        summary.framing,
        ConnectionOption::to_server(&summary, HttpMode::KeepAlive),
        Names::Lower,
        &mut out,
    );
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    );
}

#[test]
fn the_end_of_a_response_body_depends_on_the_request() {
    use Framing::{Chunked, Length, None, Tunnel, UntilClose};
    for (method, head, framing, persistent) in [
        (
            Method::Get,
            "HTTP/1.1 200 OK\r\nContent-Length: 3",
            Length(3),
            true,
        ),
        (
            Method::Get,
            "HTTP/1.1 200\r\nContent-Length: 3",
            Length(3),
            true,
        ),
        (
            Method::Get,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked",
            Chunked,
            true,
        ),
        (Method::Get, "HTTP/1.1 200 OK", UntilClose, false),
        (
            Method::Get,
            "HTTP/1.0 200 OK\r\nContent-Length: 3",
            Length(3),
            false,
        ),
        (
            Method::Get,
            "HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: Keep-Alive",
            Length(3),
            true,
        ),
        (
            Method::Get,
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: x, Close",
            Length(3),
            false,
        ),
        (
            Method::Head,
            "HTTP/1.1 200 OK\r\nContent-Length: 3",
            None,
            true,
        ),
        (
            Method::Head,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked",
            None,
            true,
        ),
        (Method::Head, "HTTP/1.1 200 OK", None, true),
        (
            Method::Get,
            "HTTP/1.1 204 No Content\r\nContent-Length: 3",
            None,
            true,
        ),
        (
            Method::Get,
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 3",
            None,
            true,
        ),
        (
            Method::Get,
            "HTTP/1.1 103 Early Hints\r\nLink: a",
            None,
            true,
        ),
        (
            Method::Connect,
            "HTTP/1.1 200 OK\r\nContent-Length: 3",
            Tunnel,
            false,
        ),
        (
            Method::Connect,
            "HTTP/1.1 407 No\r\nContent-Length: 3",
            Length(3),
            true,
        ),
    ] {
        let (summary, _) = response_to(method, &format!("{head}\r\n\r\n")).unwrap();
        assert_eq!(
            (summary.framing, summary.persistent),
            (framing, persistent),
            "{head}"
        );
        assert_eq!(summary.is_interim(), summary.status == 103);
    }
}

#[test]
fn responses_are_written_with_the_length_the_client_needs() {
    let write = |text: &str, method, client, connection| {
        let (summary, head) = response_to(method, text).unwrap();
        let mut out = Vec::new();
        let framing = client_framing(client, summary.framing);
        write_response_head(
            HeadRef::new(&head, text.as_bytes()),
            framing,
            connection,
            Names::Lower,
            &mut out,
        );
        String::from_utf8(out).unwrap()
    };
    use crate::head::Version::{Http10, Http11};
    use ConnectionOption::{Absent, Close};
    let chunked =
        "HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    assert_eq!(
        write(chunked, Method::Get, Http11, Absent),
        "HTTP/1.1 200 OK\r\nx-a: b\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    assert_eq!(
        write(chunked, Method::Get, Http10, Close),
        "HTTP/1.1 200 OK\r\nx-a: b\r\nconnection: close\r\n\r\n"
    );
    let length = "HTTP/1.0 200 OK\r\nContent-Length: 128\r\n\r\n";
    assert_eq!(
        write(length, Method::Head, Http11, Absent),
        "HTTP/1.1 200 OK\r\ncontent-length: 128\r\n\r\n"
    );
    let empty =
        "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert!(response(empty).is_err());
    let empty = "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(
        write(empty, Method::Get, Http11, Absent),
        "HTTP/1.1 204 No Content\r\n\r\n"
    );
    let not_modified = "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(
        write(not_modified, Method::Get, Http11, Absent),
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\n\r\n"
    );
}

#[test]
fn connections_live_on_where_both_sides_and_the_framing_let_them() {
    let keeps = |head: &str, mode| {
        let (request, _) = request_with(Leniency::STRICT, head).unwrap();
        let response = response("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n").unwrap();
        (
            client_stays(&request, response.framing, mode),
            server_stays(&request, &response, mode),
        )
    };
    let plain = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_eq!(keeps(plain, HttpMode::KeepAlive), (true, true));
    assert_eq!(keeps(plain, HttpMode::ServerClose), (true, false));
    assert_eq!(keeps(plain, HttpMode::Close), (false, false));
    // A client that closes does not cost us the server's connection.
    let close = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    assert_eq!(keeps(close, HttpMode::KeepAlive), (false, true));
    assert_eq!(
        keeps("GET / HTTP/1.0\r\n\r\n", HttpMode::KeepAlive),
        (false, true)
    );
    let asked = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(keeps(asked, HttpMode::KeepAlive), (true, true));
    let (request, _) = request_with(Leniency::STRICT, asked).unwrap();
    let response = response("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n").unwrap();
    assert_eq!(
        ConnectionOption::to_client(&request, &response, true),
        ConnectionOption::KeepAlive
    );
    assert_eq!(
        ConnectionOption::to_client(&request, &response, false),
        ConnectionOption::Close
    );
}

#[test]
fn pipelined_requests_are_read_one_after_the_other() {
    let text = b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut decoder = RequestDecoder::default();
    let mut head = crate::head::Head::default();
    let Ok(Progress::Complete(first)) = decoder.decode(text, &mut head) else {
        panic!()
    };
    assert_eq!(HeadRef::new(&head, text).target(), b"/1");
    let rest = &text[first.head_len..];
    decoder.reset();
    let Ok(Progress::Complete(second)) = decoder.decode(rest, &mut head) else {
        panic!()
    };
    assert_eq!(HeadRef::new(&head, rest).target(), b"/2");
    assert_eq!(second.head_len, rest.len());
}

#[test]
fn our_own_answers_are_those_users_know() {
    let page = |status, extra: &[(&[u8], &[u8])], connection, head_only| {
        let mut out = Vec::new();
        write_error_page(status, extra, connection, head_only, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        page(503, &[], ConnectionOption::Close, false),
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 107\r\ncache-control: no-cache\r\n\
         content-type: text/html\r\nconnection: close\r\n\r\n<html><body><h1>503 Service Unavailable</h1>\n\
         No server is available to handle this request.\n</body></html>\n"
    );
    let realm: (&[u8], &[u8]) = (
        b"www-authenticate",
        b"Basic realm=\"HAProxy-04 Statistics\"",
    );
    assert_eq!(
        page(401, &[realm], ConnectionOption::Absent, true),
        "HTTP/1.1 401 Unauthorized\r\ncontent-length: 112\r\ncache-control: no-cache\r\n\
         content-type: text/html\r\nwww-authenticate: Basic realm=\"HAProxy-04 Statistics\"\r\n\r\n"
    );
    for (status, length) in [
        (400, 90),
        (403, 93),
        (404, 83),
        (405, 146),
        (408, 110),
        (410, 114),
        (413, 106),
        (421, 104),
        (422, 116),
        (425, 80),
        (429, 117),
        (500, 97),
        (502, 107),
        (504, 92),
    ] {
        let text = page(status, &[], ConnectionOption::Absent, false);
        assert!(
            text.contains(&format!("content-length: {length}\r\n")),
            "{text}"
        );
        assert_eq!(text.split_once("\r\n\r\n").unwrap().1.len(), length);
    }
    let mut raw = Vec::new();
    write_raw_error_page(400, &mut raw);
    assert_eq!(
        String::from_utf8(raw).unwrap(),
        "HTTP/1.1 400 Bad request\r\nContent-length: 90\r\nCache-Control: no-cache\r\nConnection: close\r\n\
         Content-Type: text/html\r\n\r\n<html><body><h1>400 Bad request</h1>\nYour browser sent an invalid request.\n\
         </body></html>\n"
    );
    let mut redirect = Vec::new();
    write_redirect(302, b"/x", &[], ConnectionOption::Absent, &mut redirect);
    assert_eq!(
        String::from_utf8(redirect).unwrap(),
        "HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: /x\r\ncache-control: no-cache\r\n\r\n"
    );
}
