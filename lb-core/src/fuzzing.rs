//! Bodies of the fuzz targets: what must hold for any bytes, above all that the answer does not
//! depend on how they were cut. The corpus is replayed by `tests/corpus.rs`. Not part of the public
//! interface.

use crate::{
    head::{Head, HeadRef},
    http1::{
        ChunkedDecoder, Framing, Leniency, Limits, Method, Progress, RequestDecoder,
        ResponseDecoder,
    },
    proxy_protocol,
};

/// The first byte chooses leniency and how many bytes arrive at a time, the rest is a request, or a
/// response if it begins like one, and its body if that is chunked.
pub fn http1(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else {
        return;
    };
    let leniency = Leniency {
        conflicting_framing: choice & 1 != 0,
        loose_syntax: choice & 2 != 0,
    };
    let step = 1 + usize::from(choice >> 2);
    if bytes.starts_with(b"HTTP/") {
        let decode = |step| {
            let mut decoder = ResponseDecoder::new(Limits::default(), leniency, Method::default());
            cut(bytes, step, |known, head| decoder.decode(known, head))
        };
        let (whole, head) = decode(bytes.len().max(1));
        let (pieces, cut_head) = decode(step);
        assert_eq!(whole.as_ref().ok(), pieces.as_ref().ok(), "cut by {step}");
        assert_same(bytes, &whole, &head, &cut_head);
        if let Ok(Progress::Complete(summary)) = whole {
            body(
                bytes.get(summary.head_len..),
                summary.framing,
                leniency,
                step,
            );
        }
    } else {
        let decode = |step| {
            let mut decoder = RequestDecoder::new(Limits::default(), leniency);
            cut(bytes, step, |known, head| decoder.decode(known, head))
        };
        let (whole, head) = decode(bytes.len().max(1));
        let (pieces, cut_head) = decode(step);
        assert_eq!(whole.as_ref().ok(), pieces.as_ref().ok(), "cut by {step}");
        assert_same(bytes, &whole, &head, &cut_head);
        if let Ok(Progress::Complete(summary)) = whole {
            body(
                bytes.get(summary.head_len..),
                summary.framing,
                leniency,
                step,
            );
        }
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
    let Ok(Progress::Complete(header)) = whole else {
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
