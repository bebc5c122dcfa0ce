//! Bodies of requests: lengths, chunks, trailers, and what is ambiguous, as request smuggling needs it.

use crate::{
    case::{Act, Case, OK, Step::*, sends},
    compare::assert_alike,
    heads::PLAIN,
};

const BODIES: &[Case] = &[
    sends("length", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")]),
    sends("length_in_pieces", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe"), AtOrigin(b"he"), Send(b"llo")]),
    sends("length_zero", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")]),
    sends("chunked", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")]),
    sends("chunked_upper_case", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n")]),
    sends("chunk_extensions", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n")]),
    sends("chunk_leading_zeros", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0005\r\nhello\r\n00\r\n\r\n")]),
    sends("chunk_size_trailing_space", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n")]),
    sends("trailers", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n")]),
    sends("trailer_framing", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 9\r\nHost: g\r\n\r\n")]),
    sends("chunked_then_get", &[Send(b"POST /1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n")]).logs(2),
    sends("length_then_get", &[Send(b"POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: h\r\n\r\n")]).logs(2),
    sends("get_with_body", &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody")]),
    sends("large", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n"), Fill(b'x', 3_000_000)]),
    sends("equal_lengths", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab")]),
    sends("equal_length_list", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2, 2\r\n\r\nab")]),
    sends("length_leading_zero", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 02\r\n\r\nab")]),
    sends("both_framings", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")]),
    sends("chunked_http10", &[Send(b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")]),
    sends("length_http10", &[Send(b"POST / HTTP/1.0\r\nHost: h\r\nContent-Length: 2\r\n\r\nab")]),
    sends("expect_continue", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"), Until(b"100"), Send(b"ab")])
        .origin(&[Act::Head, Act::Send(b"HTTP/1.1 100 Continue\r\n\r\n"), Act::Body, Act::Send(OK)]),
    sends("expect_final", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")])
        .origin(&[Act::Head, Act::Send(b"HTTP/1.1 417 No\r\ncontent-length: 0\r\n\r\n"), Act::Stall]),
    sends("missing_body_end", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc"), AtOrigin(b"abc"), HalfClose]),
    sends("missing_body_reset", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc"), AtOrigin(b"abc"), Reset]),
];

const REFUSED: &[Case] = &[
    sends("differing_lengths", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc")]),
    sends("differing_length_list", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2, 3\r\n\r\nabc")]),
    sends("empty_length", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n")]),
    sends("length_sign", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +2\r\n\r\nab")]),
    sends("length_negative", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n")]),
    sends("length_hex", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x2\r\n\r\nab")]),
    sends("length_overflow", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551619\r\n\r\nabc")]),
    sends("length_space", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2 2\r\n\r\nab")]),
    sends("xchunked", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")]),
    sends("chunked_identity", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n")]),
    sends("identity", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n")]),
    sends("gzip_chunked", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")]),
    sends("chunked_twice", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n")]),
    sends("chunked_two_lines", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]),
    sends("chunked_vtab", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n")]),
    sends("te_space_before_colon", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n")]),
    sends("te_tab_before_colon", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n")]),
    sends("te_folded", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n")]),
    sends("te_empty", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n")]),
    sends("chunk_overflow", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n")]),
    sends("chunk_0x", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n")]),
    sends("chunk_negative", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n")]),
    sends("chunk_leading_space", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\n")]),
    sends("chunk_no_crlf_after", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n")]),
    sends("chunk_lf_only", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n")]),
    sends("chunk_extension_lf", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n")]),
    sends("chunk_empty_size", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n")]),
    sends("chunk_bad_late", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), AtOrigin(b"hello"), Send(b"zz\r\n")]),
    sends("old_get_with_length", &[Send(b"GET / HTTP/1.0\r\nContent-Length: 2\r\n\r\nab")]),
    sends("old_head_with_length", &[Send(b"HEAD / HTTP/1.0\r\nContent-Length: 2\r\n\r\nab")]),
    sends("old_delete_with_chunks", &[Send(b"DELETE / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]),
    sends("chunk_beyond_sense", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nab")]),
    sends("chunked_end", &[Send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"), AtOrigin(b"hel"), HalfClose]),
];

#[test]
fn bodies() {
    assert_alike("bodies", PLAIN, BODIES);
}

#[test]
fn refused_bodies() {
    assert_alike("refused_bodies", PLAIN, REFUSED);
}
