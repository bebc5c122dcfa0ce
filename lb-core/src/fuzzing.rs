//! Bodies of the fuzz targets: what must hold for any bytes, above all that the answer does not
//! depend on how they were cut. The corpus is replayed by `ha-lb`'s `tests/corpus.rs`. Not part of the public
//! interface.

mod http2;

use std::{
    fmt, io,
    path::Path,
    time::{Instant, SystemTime},
};

use crate::{
    head::{Field, Head, HeadMut, HeadRef, Version},
    http1::{
        ChunkedDecoder, Framing, Leniency, Limits, Method, Progress, RequestDecoder,
        ResponseDecoder,
    },
    log::LogFormat,
    proxy_protocol,
    request::{ConnectionInfo, RequestView, RuleState},
    rules::{ProxySide, RulesBuilder},
};

pub use http2::http2;

/// The first byte says after how many bytes the rest is cut: a peer's hello and messages.
pub fn peers(data: &[u8]) {
    let Some((cut, bytes)) = data.split_first() else {
        return;
    };
    crate::peers::fuzz_session(bytes, (*cut).into(), anyone().accepted_at);
}

/// The first byte chooses what was asked for, the rest is what a name server says to it.
#[cfg(feature = "tokio")]
pub fn dns(data: &[u8]) {
    crate::dataplane::fuzz_dns(data);
}

/// The first byte chooses leniency and how many bytes arrive at a time, the rest is a request, or a
/// response if it begins like one, and its body if that is chunked.
pub fn http1(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else {
        return;
    };
    let leniency = Leniency {
        conflicting_framing: choice & 1 != 0,
        loose_syntax: choice & 2 != 0,
        ..Leniency::STRICT
    };
    let step = 1 + usize::from(choice >> 2);
    let found = if bytes.starts_with(b"HTTP/") {
        let summary = whole_and_cut(bytes, step, |step| {
            let mut decoder = ResponseDecoder::new(Limits::default(), leniency, Method::default());
            cut(bytes, step, |known, head| decoder.decode(known, head))
        });
        summary.map(|summary| (summary.head_len, summary.framing))
    } else {
        let summary = whole_and_cut(bytes, step, |step| {
            let mut decoder = RequestDecoder::new(Limits::default(), leniency);
            cut(bytes, step, |known, head| decoder.decode(known, head))
        });
        summary.map(|summary| (summary.head_len, summary.framing))
    };
    if let Some((head_len, framing)) = found {
        body(bytes.get(head_len..), framing, leniency, step);
    }
}

/// What is decoded of a head that comes at once; it is the same for one that comes cut. `None` without a whole head.
fn whole_and_cut<T: fmt::Debug + PartialEq, E>(
    bytes: &[u8],
    step: usize,
    decode: impl Fn(usize) -> (Result<Progress<T>, E>, Head),
) -> Option<T> {
    let (whole, head) = decode(bytes.len().max(1));
    let (pieces, cut_head) = decode(step);
    assert_eq!(whole.as_ref().ok(), pieces.as_ref().ok(), "cut by {step}");
    assert_same(bytes, &whole, &head, &cut_head);
    match whole {
        Ok(Progress::Complete(summary)) => Some(summary),
        _ => None,
    }
}

/// Feeds `step` bytes more at a time until the decoder has an answer.
fn cut<T, E>(
    bytes: &[u8],
    step: usize,
    mut decode: impl FnMut(&[u8], &mut Head) -> Result<Progress<T>, E>,
) -> (Result<Progress<T>, E>, Head) {
    let mut head = Head::default();
    let mut known = 0;
    loop {
        known = bytes.len().min(known + step);
        let result = decode(bytes.get(..known).unwrap_or_default(), &mut head);
        if known == bytes.len() || !matches!(result, Ok(Progress::Partial)) {
            return (result, head);
        }
    }
}

fn assert_same<T, E>(bytes: &[u8], result: &Result<Progress<T>, E>, whole: &Head, pieces: &Head) {
    if let Ok(Progress::Complete(_)) = result {
        let (whole, pieces) = (HeadRef::new(whole, bytes), HeadRef::new(pieces, bytes));
        assert!(whole.fields().eq(pieces.fields()));
        assert_eq!(whole.target(), pieces.target());
        assert_eq!(whole.method(), pieces.method());
    }
}

/// A chunked body has the same length and content however it arrives.
fn body(bytes: Option<&[u8]>, framing: Framing, leniency: Leniency, step: usize) {
    let (Some(bytes), Framing::Chunked) = (bytes, framing) else {
        return;
    };
    let whole = content(bytes, leniency, bytes.len().max(1));
    let pieces = content(bytes, leniency, step);
    assert_eq!(whole, pieces, "cut by {step}");
}

/// How much of `bytes` was the body, its content, and whether it ended; `None` if it was refused.
fn content(bytes: &[u8], leniency: Leniency, step: usize) -> Option<(usize, Vec<u8>, bool)> {
    let mut decoder = ChunkedDecoder::new(leniency);
    let mut content = Vec::new();
    let mut consumed = 0;
    for part in bytes.chunks(step) {
        let mut rest = part;
        while !rest.is_empty() && !decoder.is_done() {
            let piece = decoder.next_piece(rest).ok()?;
            content.extend_from_slice(rest.get(piece.data)?);
            consumed += piece.consumed;
            assert!(piece.consumed > 0, "progress");
            rest = rest.get(piece.consumed..)?;
        }
    }
    Some((consumed, content, decoder.is_done()))
}

/// A PROXY header lies within the bytes and is found at the same place however they arrive.
pub fn proxy_header(bytes: &[u8]) {
    let whole = proxy_protocol::decode(bytes);
    let Ok(Progress::Complete(header)) = &whole else {
        return;
    };
    assert!(header.len <= bytes.len());
    for known in 0..header.len {
        let part = proxy_protocol::decode(bytes.get(..known).unwrap_or_default());
        assert_eq!(part, Ok(Progress::Partial), "{known} bytes");
    }
    assert_eq!(
        proxy_protocol::decode(bytes.get(..header.len).unwrap_or_default()),
        whole
    );
}

/// Lines of rules, an empty line, then method and target and field lines of a request: whatever the rules
/// are, no field or target they leave holds a line end or a NUL.
pub fn rules(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (lines, message) = text.split_once("\n\n").unwrap_or((&text, ""));
    let loader = |_: &Path| Err(io::ErrorKind::NotFound.into());
    let mut builder = RulesBuilder::new(ProxySide::Listen, &loader);
    for line in lines.lines() {
        let words: Vec<&str> = line.split(' ').filter(|w| !w.is_empty()).collect();
        let Some((keyword, words)) = words.split_first() else {
            continue;
        };
        // What is wrong about a line is told at one of its words or at its end.
        if let Err(error) = rule_line(&mut builder, keyword, words) {
            assert!(error.word <= words.len(), "{line}: {error:?}");
        }
    }
    let Ok(rules) = builder.build() else { return };
    let connection = anyone();
    let now = connection.accepted_at;
    let mut state = RuleState::default();
    let mut head = request_head(message);
    rules.on_connection(now, &connection, &mut state);
    rules.on_session(now, &connection, &mut state);
    let payload = message.as_bytes();
    rules.on_content(now, &connection, None, payload, false, &mut state);
    let mut edited = HeadMut::new(&mut head, b"");
    rules.on_request(now, &connection, &mut edited, &mut state);
    let view = HeadRef::new(&head, b"");
    let safe = |text: &[u8]| !text.iter().any(|b| matches!(b, b'\r' | b'\n' | 0));
    assert!(safe(view.target()) && safe(view.method()));
    assert!(view.fields().all(|(name, value)| safe(name) && safe(value)));
    let mut buffer = Vec::new();
    let view = RequestView::new(now, &connection, &state).with_request(view);
    rules.select_backend(&view, &mut buffer);
}

fn rule_line(
    builder: &mut RulesBuilder<'_>,
    keyword: &str,
    words: &[&str],
) -> crate::rules::Parsed {
    match keyword {
        "acl" => builder.acl(words),
        "tcp-request" => builder.tcp_request(words),
        "http-response" => builder.http_response(words),
        "use_backend" => builder.use_backend(words),
        "redirect" => builder.redirect(words),
        "capture" => builder.capture(words),
        "log-format" => {
            let format = LogFormat::parse(&words.join(" "));
            let (connection, state) = (anyone(), RuleState::default());
            if let Ok(format) = format {
                let view = RequestView::new(connection.accepted_at, &connection, &state);
                format.write_value(&view, &mut Vec::new());
            }
            Ok(Vec::new())
        }
        _ => builder.http_request(words),
    }
}

/// Some connection.
#[expect(
    clippy::disallowed_methods,
    reason = "an instant cannot be made otherwise, and which one is all the same"
)]
fn anyone() -> ConnectionInfo {
    ConnectionInfo {
        source: ([192, 0, 2, 1], 40000).into(),
        destination: ([198, 51, 100, 1], 80).into(),
        fronted: None,
        tls: None,
        frontend: "fe".into(),
        bind: None,
        accepted_at: Instant::now(),
        accepted_date: SystemTime::UNIX_EPOCH,
    }
}

/// A head as a decoder would leave it: no line end and no NUL in any text.
fn request_head(message: &str) -> Head {
    let mut head = Head::default();
    let mut lines = message.split(['\r', '\n', '\0']);
    let (method, target) = lines
        .next()
        .and_then(|first| first.split_once(' '))
        .unwrap_or(("GET", "/"));
    let (method, target) = (head.store(method.as_bytes()), head.store(target.as_bytes()));
    head.set_request(method, target, Version::Http11);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let field = Field {
            name: head.store(name.as_bytes()),
            value: head.store(value.trim().as_bytes()),
        };
        head.push(field);
    }
    head
}
