//! Bodies of the fuzz targets: what must hold for any bytes. The property tests call them too.
//!
//! The first byte says how the rest is cut: whatever the cut, the result must be the same.

#![expect(
    clippy::panic,
    reason = "a property that does not hold is reported by a panic"
)]

use super::{
    ChunkedDecoder, ConnectionOption, Error, Leniency, Limits, Method, Names, Progress,
    RequestDecoder, ResponseDecoder, write_request_head, write_response_head,
};
use crate::head::{Head, HeadRef};

const LIMITS: Limits = Limits {
    head_bytes: 1024,
    fields: 20,
};

fn leniency(control: u8) -> Leniency {
    Leniency {
        conflicting_framing: control & 0x40 != 0,
        loose_syntax: control & 0x80 != 0,
        odd_characters: false,
        old_content: control & 0x20 != 0,
    }
}

/// It shares a bit with [`cuts`], which matter to reading alone.
fn names(control: u8) -> Names {
    match control & 1 {
        0 => Names::Lower,
        _ => Names::Kept,
    }
}

/// Lengths of ever longer prefixes of `length` bytes.
fn cuts(control: u8, length: usize) -> impl Iterator<Item = usize> {
    let step = usize::from(control & 0x0f) + 1;
    (0..length).step_by(step).chain([length])
}

/// Runs a decoder over ever longer prefixes and over the whole; both must agree. Returns the whole's result.
fn agree<T: PartialEq + std::fmt::Debug + Copy>(
    control: u8,
    bytes: &[u8],
    new: impl Fn() -> Box<dyn FnMut(&[u8], &mut Head) -> Result<Progress<T>, Error>>,
) -> Option<(T, Head)> {
    let mut head = Head::default();
    let whole = new()(bytes, &mut head);
    let mut cut_head = Head::default();
    let mut decode = new();
    let mut result = Ok(Progress::Partial);
    for end in cuts(control, bytes.len()) {
        result = decode(bytes.get(..end).unwrap_or_default(), &mut cut_head);
        if result != Ok(Progress::Partial) {
            break;
        }
    }
    assert_eq!(result, whole, "the cut changed the result");
    match whole {
        Ok(Progress::Complete(summary)) => {
            let fields = |head| HeadRef::new(head, bytes).fields().collect::<Vec<_>>();
            assert_eq!(
                fields(&head),
                fields(&cut_head),
                "the cut changed the fields"
            );
            Some((summary, head))
        }
        _ => None,
    }
}

/// A request head: cuts do not matter, and what is written for the server is read back as the same request.
pub fn request(data: &[u8]) {
    let Some((&control, bytes)) = data.split_first() else {
        return;
    };
    let decoded = agree(control, bytes, || {
        let mut decoder = RequestDecoder::new(LIMITS, leniency(control));
        Box::new(move |bytes, head| decoder.decode(bytes, head))
    });
    let Some((summary, head)) = decoded else {
        return;
    };
    let view = HeadRef::new(&head, bytes);
    let mut written = Vec::new();
    let connection = ConnectionOption::to_server(&summary, crate::config::HttpMode::KeepAlive);
    write_request_head(
        view,
        summary.framing,
        connection,
        names(control),
        &mut written,
    );
    let mut again = RequestDecoder::new(Limits::default(), leniency(control & 0x80));
    // A request of HTTP/1.0 that goes on as HTTP/1.1 gets its host from the data plane.
    again.allow_no_host(summary.hostless);
    let mut read = Head::default();
    let result = again.decode(&written, &mut read);
    let Ok(Progress::Complete(second)) = result else {
        panic!("{result:?} for {:?}", String::from_utf8_lossy(&written));
    };
    assert_eq!(second.head_len, written.len());
    assert_eq!(
        (second.method, second.framing, second.upgrade),
        (summary.method, summary.framing, summary.upgrade)
    );
    assert_eq!(HeadRef::new(&read, &written).target(), view.target());
}

/// A response head to a GET, HEAD or CONNECT.
pub fn response(data: &[u8]) {
    let Some((&control, bytes)) = data.split_first() else {
        return;
    };
    let method = match control & 0x30 {
        0x10 => Method::Head,
        0x20 => Method::Connect,
        _ => Method::Get,
    };
    let decoded = agree(control, bytes, || {
        let mut decoder = ResponseDecoder::new(LIMITS, leniency(control), method);
        decoder.reset(method, control & 0x30 == 0x30);
        Box::new(move |bytes, head| decoder.decode(bytes, head))
    });
    let Some((summary, head)) = decoded else {
        return;
    };
    let mut written = Vec::new();
    let view = HeadRef::new(&head, bytes);
    let connection = match summary.status {
        101 => ConnectionOption::Upgrade,
        _ => ConnectionOption::Absent,
    };
    write_response_head(
        view,
        summary.framing,
        connection,
        names(control),
        &mut written,
    );
    let mut again = ResponseDecoder::new(Limits::default(), leniency(control), method);
    again.reset(method, control & 0x30 == 0x30);
    let result = again.decode(&written, &mut Head::default());
    let Ok(Progress::Complete(second)) = result else {
        panic!("{result:?} for {:?}", String::from_utf8_lossy(&written));
    };
    assert_eq!(second.head_len, written.len());
    assert_eq!(
        (second.status, second.framing),
        (summary.status, summary.framing)
    );
}

/// A chunked body: passing it whole, passing it in pieces and reading its content agree.
pub fn chunked(data: &[u8]) {
    let Some((&control, bytes)) = data.split_first() else {
        return;
    };
    let mut whole = ChunkedDecoder::new(leniency(control));
    let expected = whole.pass(bytes).map(|piece| (piece.consumed, piece.done));
    let mut pieces = ChunkedDecoder::new(leniency(control));
    let mut reader = ChunkedDecoder::new(leniency(control));
    let mut content = Vec::new();
    let (mut passed, mut read) = (0, 0);
    let mut result = Ok(());
    for end in cuts(control, bytes.len()) {
        let (rest, unread) = (bytes.get(passed..end), bytes.get(read..end));
        match pieces.pass(rest.unwrap_or_default()) {
            Ok(piece) => passed += piece.consumed,
            Err(error) => {
                result = Err(error);
                break;
            }
        }
        while read < end && !reader.is_done() {
            let Ok(piece) = reader.next_piece(bytes.get(read..end).unwrap_or_default()) else {
                panic!("read differs from pass at {read}: {unread:?}");
            };
            content.extend_from_slice(
                bytes
                    .get(read + piece.data.start..read + piece.data.end)
                    .unwrap_or_default(),
            );
            read += piece.consumed;
        }
    }
    assert_eq!(result.map(|()| (passed, pieces.is_done())), expected);
    assert!(content.len() <= bytes.len());
}
