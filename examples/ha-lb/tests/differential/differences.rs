//! Where ha-lb differs from Debian's HAProxy 2.6 on purpose: the one table.

/// What of a case is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Facet {
    /// What the origins received.
    Origin,
    /// What the client received, and how its connection ended.
    Client,
    /// The log lines.
    Log,
}

impl Facet {
    fn letter(self) -> char {
        match self {
            Self::Origin => 'O',
            Self::Client => 'C',
            Self::Log => 'L',
        }
    }
}

/// A reason, and the cases and facets (by their first letters) that differ for it.
type Difference = (&'static str, &'static [(&'static str, &'static str)]);

#[rustfmt::skip]
const INTENDED: &[Difference] = &[
    ("RFC 9112 §3.2: no, more than one or an invalid Host is 400", &[
        ("missing_host", "OCL"), ("equal_hosts", "OCL"), ("host_with_space", "OCL"),
        ("absolute_form_no_host", "OCL"),
    ]),
    ("RFC 9112 §3.2: what is sent names a Host, an empty one if the client named none", &[("messages_no_host", "O")]),
    ("RFC 9112 §2.2: a line ends in CR LF; where a bare LF counts, two readers part ways", &[
        ("bare_lf", "OCL"), ("chunk_lf_only", "OCL"), ("chunk_extension_lf", "OCL"), ("response_lf", "CL"),
    ]),
    ("RFC 9112 §5.2: a folded line is refused, 400 in a request and 502 in a response", &[
        ("obs_fold", "OCL"), ("te_folded", "OCL"), ("response_fold", "CL"),
    ]),
    ("RFC 9110 §5.5: NUL in a value is refused", &[("nul_in_value", "OCL")]),
    ("RFC 9112 §3: one space between the words of a request line", &[("two_spaces", "OCL"), ("tab_between", "OCL")]),
    ("RFC 9110 §8.6: a length beyond 63 bits is refused, not passed on", &[("length_overflow", "OCL")]),
    ("RFC 9112 §7.1: a chunk size is hexadecimal digits alone", &[("chunk_size_trailing_space", "OCL")]),
    ("RFC 9110 §6.5.1: fields of framing and routing are no trailers", &[("trailer_framing", "OCL")]),
    ("RFC 9112 §6.1: an unknown transfer coding is 501", &[("gzip_chunked", "CL")]),
    ("RFC 9110 §10.1.1: an unknown expectation is 417", &[("expect_unknown", "OCL")]),
    ("a page that ends the connection says so, whatever its status", &[
        ("old_get_with_length", "C"), ("old_head_with_length", "C"), ("old_delete_with_chunks", "C"),
    ]),
    ("only the versions 1.0 and 1.1 are spoken as text; the rest is 505", &[
        ("version_1_2", "OCL"), ("version_2_on_1", "OCL"), ("version_3", "OCL"),
    ]),
    ("RFC 9113: both speak HTTP/2 to its preface, each with settings of its own", &[("h2_preface", "C")]),
    ("RFC 9110 §7.6.1: hop-by-hop fields and those named by Connection end here; h2c is never passed on", &[
        ("keep_alive_token", "O"), ("nominated", "O"), ("proxy_connection", "O"), ("connection_lists", "O"),
        ("details_close_seen_beside", "O"),
        ("h2c", "O"), ("response_hop_by_hop", "CL"),
    ]),
    ("the Connection field of an upgrade is written anew, at the end", &[
        ("upgrade", "OC"), ("upgrade_with_early_bytes", "OC"), ("upgrade_refused", "O"),
    ]),
    ("RFC 9112 §3.2: the Host of CONNECT stays the same as its target, a default port included", &[
        ("connect", "OC"), ("connect_accepted", "O"), ("connect_refused", "O"),
    ]),
    ("chunks are passed on as received: sizes and names of trailers", &[
        ("chunk_leading_zeros", "O"), ("trailers", "O"), ("chunked_end", "O"),
        ("response_chunked", "CL"), ("origin_chunk_truncated", "C"),
    ]),
    ("framing fields are written anew", &[("chunked_upper_case", "O"), ("length_leading_zero", "O")]),
    ("doubtful framing: the server is told that its connection ends, and hears HTTP/1.1 where chunks come", &[
        ("both_framings", "O"), ("chunked_http10", "O"),
    ]),
    ("a removed Content-Length is counted as received", &[("origin_both_framings", "L")]),
    ("a proxy answers in its own version, and says that it closes", &[
        ("response_close_to_10_alive", "C"), ("response_http10", "C"), ("patient_waiting_half_close", "C"),
    ]),
    ("RFC 9112 §5.1: a blank before the colon of a name is refused, whatever else is let pass", &[
        ("messages_blank_before_colon", "OCL"),
    ]),
    ("early hints go out in one response", &[("messages_hints", "CL")]),
    ("a response that `option checkcache` blocks is a 502, its page too", &[("messages_checked_blocked", "CL")]),
    ("an answer of our own leaves the connection open once the request has been read", &[("rules_redirect_post", "CL")]),
    ("HTTP/1.0 knows neither chunks nor interim responses", &[
        ("response_chunked_to_10", "CL"), ("response_103_to_10", "CL"),
    ]),
    ("after an early response, an upload that cannot go on ends the connection at once, not at a timeout", &[
        ("expect_final", "CL"), ("early_response_close", "CL"),
    ]),
    ("a status of two digits is no status", &[("origin_bad_status", "CL")]),
    ("byte counts of pages differ by what HAProxy adds to them while it fails", &[
        ("origin_unasked_101", "L"),
    ]),
    ("a server that breaks off while it receives is 502 SH, not silence", &[("origin_resets_in_body", "CL")]),
    ("a client that breaks off while the server is waited for is CH, however it does so", &[
        ("abort_waiting_reset", "L"), ("patient_waiting_reset", "L"),
    ]),
    ("a break is passed on as a break where nothing else tells it from the end", &[
        ("tcp_server_reset", "C"), ("tcp_server_reset_after_answer", "C"), ("tcp_refused", "C"),
        ("origin_resets_endless_response", "C"),
    ]),
    ("a page to a client that has said nothing would be taken for the answer to its first request", &[
        ("timeout_http_request_nothing", "C"), ("null_connection", "C"),
    ]),
    ("while the client owes its body, it is the client who is late: 408, not 504", &[("timeout_body", "CL")]),
    ("RFC 9111 §4: a content may decide about the answer, and is no part of the key", &[("cache_query_with_content", "OCL")]),
    ("RFC 9112 §8: what ends with its connection may have been cut, which nobody could tell", &[("cache_after_until_close", "OCL")]),
    ("the length of what is in a cache is known, whatever it came in", &[("cache_chunks", "CL")]),
    ("the log tells when the head had come, although the body did not", &[("seen_too_late", "L")]),
    ("the log names a request that content rules refuse", &[("parsed_body_refused", "L")]),
    ("the age that a server tells is passed on, whether or not the response is kept", &[("cache_aged", "C")]),
    ("a refusal is told and logged as one, although a cache had the answer", &[("cache_denied", "CL")]),
    ("what varies by referer alone is found again", &[("cache_vary_referer", "OCL")]),
    ("RFC 9111 §7.3: who sets cookies for everybody has to say so", &[("cache_set_cookie", "OCL")]),
    ("with nocache every inserted cookie is private, not only in responses that HAProxy takes for cacheable", &[
        ("connect_redispatched_cookie", "C"), ("cookie_none", "C"), ("cookie_unknown", "C"), ("cookie_public", "C"),
        ("cookie_no_store", "C"), ("cookie_302", "C"), ("cookie_post", "C"),
    ]),
];

/// Why `facet` of `case` differs.
pub(crate) fn reason(case: &str, facet: Facet) -> Option<&'static str> {
    INTENDED
        .iter()
        .find(|(_, cases)| {
            cases
                .iter()
                .any(|(name, facets)| *name == case && facets.contains(facet.letter()))
        })
        .map(|(reason, _)| *reason)
}
