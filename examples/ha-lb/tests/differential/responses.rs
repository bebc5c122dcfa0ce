//! Responses: framing, interim ones, upgrades, broken origins.

use crate::{
    case::{Act::*, Case, OK, Step, sends},
    compare::assert_alike,
    heads::PLAIN,
};

const GET: &[Step] = &[Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")];
const GET10: &[Step] = &[Step::Send(b"GET / HTTP/1.0\r\n\r\n")];
const GET10_ALIVE: &[Step] = &[Step::Send(
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
)];
const HEAD: &[Step] = &[
    Step::Send(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"),
    Step::Until(b"\r\n\r\n"),
    Step::Send(b"GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
];
const TWICE: &[Step] = &[
    Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    Step::Until(b"\r\n\r\n"),
    Step::Send(b"GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
];
const UPGRADE: &[Step] = &[
    Step::Send(b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
    Step::Until(b"\r\n\r\n"),
    Step::Send(b"ping"),
    Step::Until(b"pong"),
    Step::HalfClose,
];
const BIG_POST: &[Step] = &[
    Step::Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nabc"),
    Step::Until(b"\r\n\r\n"),
];

const RESPONSES: &[Case] = &[
    sends("response_fields", GET).origin(&[Head, Send(b"HTTP/1.1 200 Fine Thing\r\nX-B: 1\r\nServer: s\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 1\r\nDate: now\r\n\r\nx")]),
    sends("no_reason", GET).origin(&[Head, Send(b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx")]),
    sends("empty_reason", GET).origin(&[Head, Send(b"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx")]),
    sends("response_chunked", GET).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;e=1\r\nabc\r\n0\r\nX-T: 1\r\n\r\n")]),
    sends("response_chunked_to_10", GET10).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")]),
    sends("response_length_to_10_alive", GET10_ALIVE).origin(&[Head, Send(OK)]),
    sends("response_close_to_10_alive", GET10_ALIVE).origin(&[Head, Send(b"HTTP/1.0 200 OK\r\n\r\nabc"), Close]),
    sends("response_http10", GET).origin(&[Head, Send(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc"), Close]),
    sends("response_until_close", GET).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\n\r\nabc"), Close]),
    sends("response_close_token", TWICE).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"), Close]).logs(2),
    sends("response_204", TWICE).origin(&[Head, Send(b"HTTP/1.1 204 No Content\r\n\r\n")]).logs(2),
    sends("response_204_length", TWICE).origin(&[Head, Send(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")]).logs(2),
    sends("response_304_length", TWICE).origin(&[Head, Send(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\nETag: \"x\"\r\n\r\n")]).logs(2),
    sends("response_head", HEAD).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")]),
    sends("response_head_chunked", HEAD).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")]),
    sends("response_103", GET).origin(&[Head, Send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")]),
    sends("response_100_unasked", GET).origin(&[Head, Send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")]),
    sends("response_103_to_10", GET10).origin(&[Head, Send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")]),
    sends("response_large", &[Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")]).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n"), Fill(b'y', 3_000_000)]),
    sends("response_large_until_close", GET).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\n\r\n"), Fill(b'y', 3_000_000), Close]),
    sends("response_in_pieces", GET).origin(&[Head, Send(b"HTTP/1.1 2"), Send(b"00 OK\r\nContent-Le"), Send(b"ngth: 4\r\n\r\nab"), Send(b"cd")]),
    sends("upgrade", UPGRADE).origin(&[Head, Send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"), Await(b"ping"), Send(b"pong"), ToEnd, Close]),
    sends("upgrade_with_early_bytes", &[Step::Send(b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n"), Step::Until(b"hello")])
        .origin(&[Head, Send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\nhello"), Close]),
    sends("upgrade_refused", &[Step::Send(b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n"), Step::Until(b"ok"), Step::Send(b"GET /2 HTTP/1.1\r\nHost: h\r\n\r\n")]).logs(2),
    sends("connect_accepted", &[Step::Send(b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"), Step::Until(b"\r\n\r\n"), Step::Send(b"ping"), Step::Until(b"pong"), Step::HalfClose])
        .origin(&[Head, Send(b"HTTP/1.1 200 Established\r\n\r\n"), Await(b"ping"), Send(b"pong"), ToEnd, Close]),
    sends("connect_refused", &[Step::Send(b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n")])
        .origin(&[Head, Send(b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n")]).logs(2),
    sends("early_response", BIG_POST).origin(&[Head, Send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"), Stall]),
    sends("early_response_close", BIG_POST).origin(&[Head, Send(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig"), Close]),
    sends("early_response_rest_of_body", &[Step::Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc"), Step::Until(b"big"), Step::Send(b"def"), Step::AtOrigin(b"def"), Step::Send(b"GET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")])
        .origin(&[Head, Send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"), Body]).logs(2),
    sends("response_status_599", GET).origin(&[Head, Send(b"HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n")]),
    sends("response_lf", GET).origin(&[Head, Send(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok")]),
    sends("response_fold", GET).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok")]),
    sends("response_hop_by_hop", GET).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-A\r\nKeep-Alive: timeout=5\r\nX-A: 1\r\nProxy-Connection: x\r\nContent-Length: 2\r\n\r\nok")]),
];

pub(crate) const BROKEN: &[Case] = &[
    sends("origin_closes", GET).origin(&[Head, Close]),
    sends("origin_resets", GET).origin(&[Head, Reset]),
    sends("origin_closes_in_head", GET).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nX: "), Close]),
    sends("origin_resets_in_head", GET).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nX: "), Reset]),
    sends("origin_too_little", GET).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), Close]),
    sends("origin_too_much", TWICE).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokEXTRA")]).logs(2),
    sends("origin_second_response", TWICE).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON")]).logs(2),
    sends("origin_chunk_truncated", GET).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"), Close]),
    sends("origin_chunk_bad", GET).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n"), Close]),
    sends("origin_chunk_missing_end", GET).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"), Close]),
    sends("origin_garbage", GET).origin(&[Head, Send(b"SSH-2.0-OpenSSH_9.2\r\n"), Close]),
    sends("origin_http09", GET).origin(&[Head, Send(b"<html>hello</html>"), Close]),
    sends("origin_bad_status", GET).origin(&[Head, Send(b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"), Close]),
    sends("origin_bad_header", GET).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nBad Name: 1\r\nContent-Length: 0\r\n\r\n"), Close]),
    sends("origin_both_framings", GET).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")]),
    sends("origin_differing_lengths", GET).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokx"), Close]),
    sends("origin_big_head", GET).origin(&[Head, Send(b"HTTP/1.1 200 OK\r\nX: "), Fill(b'a', 20000), Send(b"\r\nContent-Length: 0\r\n\r\n"), Close]),
    sends("origin_unasked_101", GET).origin(&[Head, Send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), Close]),
    sends("origin_closes_in_body", &[Step::Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc"), Step::AtOrigin(b"abc")]).origin(&[Head, Await(b"abc"), Close]),
    sends("origin_resets_in_body", &[Step::Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc"), Step::AtOrigin(b"abc")]).origin(&[Head, Await(b"abc"), Reset]),
];

#[test]
fn whole_responses() {
    assert_alike("whole_responses", PLAIN, RESPONSES);
}

#[test]
fn broken_origins() {
    assert_alike("broken_origins", PLAIN, BROKEN);
}
