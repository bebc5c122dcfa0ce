//! Chunked bodies.

use crate::http1::{Body, ChunkedDecoder, Error, Framing, Leniency};

fn pass(text: &str) -> Result<(usize, bool), Error> {
    let mut decoder = ChunkedDecoder::new(Leniency::STRICT);
    decoder
        .pass(text.as_bytes())
        .map(|piece| (piece.consumed, piece.done))
}

#[test]
fn each_class_of_chunk_gets_its_answer() {
    let long_extension = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(2000));
    let most_trailers = format!("0\r\n{}\r\n", "A: b\r\n".repeat(100));
    let many_trailers = format!("0\r\n{}\r\n", "A: b\r\n".repeat(101));
    let long_trailer = format!("0\r\nA: {}\r\n\r\n", "x".repeat(9000));
    for (text, expected) in [
        ("0\r\n\r\n", None),
        ("3\r\nabc\r\n0\r\n\r\n", None),
        ("A\r\n0123456789\r\n00\r\n\r\n", None),
        ("3;name=value;q=\"a b\"\r\nabc\r\n0\r\n\r\n", None),
        ("0\r\nX-Sum: 1\r\nY:\r\n\r\n", None),
        ("0000000000000003\r\nabc\r\n0\r\n\r\n", None),
        (
            "00000000000000003\r\nabc\r\n0\r\n\r\n",
            Some(Error::ChunkSize),
        ),
        ("10000000000000\r\n", Some(Error::ChunkSize)),
        ("8000000000000000\r\n", Some(Error::ChunkSize)),
        ("ffffffffffffffff\r\n", Some(Error::ChunkSize)),
        ("10000000000000000\r\n", Some(Error::ChunkSize)),
        ("0x3\r\nabc\r\n", Some(Error::ChunkSize)),
        ("-3\r\nabc\r\n", Some(Error::ChunkSize)),
        ("+3\r\nabc\r\n", Some(Error::ChunkSize)),
        (" 3\r\nabc\r\n", Some(Error::ChunkSize)),
        ("3 \r\nabc\r\n", Some(Error::ChunkSize)),
        ("\r\nabc\r\n", Some(Error::ChunkSize)),
        ("3\nabc\r\n", Some(Error::ChunkSize)),
        ("3\rabc\r\n", Some(Error::ChunkSize)),
        (";a\r\n", Some(Error::ChunkSize)),
        ("3;a\nabc\r\n0\r\n\r\n", Some(Error::ChunkExtension)),
        ("3;\0\r\nabc\r\n", Some(Error::ChunkExtension)),
        ("3;a\rb\r\nabc\r\n", Some(Error::ChunkSize)),
        ("3\r\nabcd\r\n", Some(Error::ChunkEnd)),
        ("3\r\nabc\n0\r\n\r\n", Some(Error::ChunkEnd)),
        ("0\r\nContent-Length: 3\r\n\r\n", Some(Error::Trailer)),
        (
            "0\r\ntransfer-ENCODING: chunked\r\n\r\n",
            Some(Error::Trailer),
        ),
        ("0\r\nHost: h\r\n\r\n", Some(Error::Trailer)),
        ("0\r\nAuthorization: x\r\n\r\n", Some(Error::Trailer)),
        ("0\r\n folded\r\n\r\n", Some(Error::Trailer)),
        ("0\r\nno-colon\r\n\r\n", Some(Error::Trailer)),
        ("0\r\nA: b\n\r\n", Some(Error::Trailer)),
        (&long_extension, Some(Error::ChunkExtension)),
        (&most_trailers, None),
        (&many_trailers, Some(Error::Trailer)),
        (&long_trailer, Some(Error::Trailer)),
    ] {
        let expected = expected.map_or(Ok((text.len(), true)), Err);
        assert_eq!(pass(text), expected, "{text:?}");
    }
}

#[test]
fn the_body_ends_where_the_next_message_begins() {
    assert_eq!(
        pass("1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n"),
        Ok((11, true))
    );
}

#[test]
fn content_can_be_read_without_its_framing() {
    let body = b"3;x\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\nrest";
    let mut decoder = ChunkedDecoder::new(Leniency::STRICT);
    let (mut at, mut content) = (0, Vec::new());
    while !decoder.is_done() {
        let piece = decoder.next_piece(&body[at..]).unwrap();
        content.extend_from_slice(&body[at + piece.data.start..at + piece.data.end]);
        at += piece.consumed;
    }
    assert_eq!(
        (content.as_slice(), &body[at..]),
        (&b"abcde"[..], &b"rest"[..])
    );
}

#[test]
fn bodies_are_counted_whatever_their_framing() {
    let mut length = Body::new(Framing::Length(5), Leniency::STRICT);
    assert_eq!(length.opaque_bytes(), 5);
    assert_eq!(length.pass(b"abc").unwrap().consumed, 3);
    assert!(!length.ends_at_close());
    let last = length.pass(b"defgh").unwrap();
    assert!(last.done && last.consumed == 2);
    let mut chunked = Body::new(Framing::Chunked, Leniency::STRICT);
    assert_eq!(chunked.pass(b"a\r\n123").unwrap().consumed, 6);
    assert_eq!(chunked.opaque_bytes(), 7);
    chunked.skip(7);
    assert!(chunked.pass(b"\r\n0\r\n\r\n").unwrap().done);
    let mut until_close = Body::new(Framing::UntilClose, Leniency::STRICT);
    assert!(!until_close.pass(b"abc").unwrap().done);
    assert!(until_close.ends_at_close());
    assert!(Body::new(Framing::Length(0), Leniency::STRICT).is_done());
}
