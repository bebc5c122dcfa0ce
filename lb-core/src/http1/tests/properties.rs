//! What holds for any bytes and any cut.

use proptest::prelude::*;

use crate::http1::fuzzing;

/// Pieces of messages: random bytes alone would hardly ever get past the first line.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "GET / HTTP/1.1\r\n",
        "POST http://h/a?b HTTP/1.1\r\n",
        "CONNECT h:1 HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.0\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 304 \r\n",
        "HTTP/1.1 101 x\r\n",
        "Host: h\r\n",
        "Host:h:80\r\n",
        "Content-Length: 3\r\n",
        "content-length: 3, 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "transfer-encoding: gzip\r\n",
        "Connection: close, a\r\n",
        "Connection: upgrade\r\n",
        "Upgrade: websocket\r\n",
        "Expect: 100-continue\r\n",
        "TE: trailers\r\n",
        "A: b\r\n",
        " folded\r\n",
        "A: b\n",
        "\r\n",
        "\n",
        "3\r\nabc\r\n",
        "3;a=b\r\nabc\r\n",
        "0\r\n",
        "5 \r\nabcde\r\n",
        "T: x\r\n",
        "Host: bad\r\n",
        "ffffffff\r\n",
    ];
    prop_oneof![
        12 => prop::sample::select(words.to_vec()).prop_map(|w| w.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ]
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    (any::<u8>(), prop::collection::vec(fragment(), 0..12)).prop_map(|(control, fragments)| {
        let mut bytes = vec![control];
        bytes.extend(fragments.concat());
        bytes
    })
}

fn well_begun(first: &'static str) -> impl Strategy<Value = Vec<u8>> {
    message().prop_map(move |mut bytes| {
        bytes.splice(1..1, first.bytes());
        bytes.extend(b"\r\n");
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_cut_of_a_request_reads_the_same(bytes in message()) {
        fuzzing::request(&bytes);
    }

    #[test]
    fn any_cut_of_a_likely_request_reads_the_same(bytes in well_begun("GET / HTTP/1.1\r\nHost: h\r\n")) {
        fuzzing::request(&bytes);
    }

    #[test]
    fn any_cut_of_a_response_reads_the_same(bytes in message()) {
        fuzzing::response(&bytes);
    }

    #[test]
    fn any_cut_of_a_likely_response_reads_the_same(bytes in well_begun("HTTP/1.1 200 OK\r\n")) {
        fuzzing::response(&bytes);
    }

    #[test]
    fn any_cut_of_a_chunked_body_reads_the_same(bytes in message()) {
        fuzzing::chunked(&bytes);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzzing::request(&bytes);
        fuzzing::response(&bytes);
        fuzzing::chunked(&bytes);
    }
}
