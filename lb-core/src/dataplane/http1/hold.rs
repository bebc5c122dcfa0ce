//! Messages that wait for their body (`option http-buffer-request`, `wait-for-body`), so that rules can see it.
//!
//! What is waited for stays in the buffer it came in, and so does its bound; rules get a copy of the content.

use std::{borrow::Cow, task::Poll, time::Duration};

use super::{Exchange, answer, prepare::Prepared};
use crate::{
    dataplane::{
        buffer, clock,
        connect::Dialed,
        flow::Side,
        session::{Connection, Gone},
    },
    head::HeadMut,
    http1::{Body, ChunkedDecoder, Error, Framing, RequestSummary, ResponseSummary},
};

use super::answer::Answer;

/// How long to wait, and for how much.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait {
    /// At most so long.
    pub(super) time: Option<Duration>,
    /// No longer than until this much is there; 0 stands for all.
    pub(super) at_least: usize,
}

/// How far a body has come.
enum Progress {
    /// As far as is waited for, or as far as there is room.
    Enough,
    /// More is to come.
    Partial,
    /// Its sender has ended before its end.
    Broken,
    Malformed,
}

/// Waits for the content of a request; the answer if it does not come.
pub(super) async fn request(
    connection: &mut Connection,
    x: &mut Exchange,
    summary: &RequestSummary,
    wait: Wait,
) -> Option<Prepared> {
    if summary.framing.is_empty() || summary.framing == Framing::Tunnel {
        return None;
    }
    if summary.expect_continue {
        go_on(connection, x).await;
    }
    connection.timer.after(clock::recent(), wait.time);
    let (framing, most) = (summary.framing, connection.sizes().buffer());
    let held = connection
        .wait(|client, cx| {
            loop {
                match progress(client, (0, most), framing, wait.at_least) {
                    Progress::Partial => {}
                    ended => return Poll::Ready(ended),
                }
                match client.poll_fill(cx, buffer::SIZE) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(Progress::Broken),
                }
            }
        })
        .await;
    let (cause, status) = match held {
        Ok(Progress::Enough | Progress::Partial) => {
            let content = content(connection.client.input.bytes(), framing);
            connection.state.bodies().request = content.into_owned();
            return None;
        }
        Ok(Progress::Malformed) => (b'P', Some(400)),
        Err(Gone::TimedOut) => (b'c', Some(408)),
        Ok(Progress::Broken) | Err(Gone::Client) => (b'C', None),
        Err(Gone::Killed) => (b'K', None),
    };
    // The rules do not go on.
    connection.state.awaiting = 0;
    x.trace.end_with(cause, b'R');
    Some(match status {
        Some(status) => Prepared::Answer(Answer::Page(status)),
        None => Prepared::Drop,
    })
}

/// Lets rules see what has come of the content of a request, without waiting for more.
pub(super) fn glance(connection: &mut Connection, framing: Framing) {
    let came = content(connection.client.input.bytes(), framing);
    if !came.is_empty() {
        connection.state.bodies().request = came.into_owned();
    }
}

/// Says `100 Continue` to a client that waits for it. The server is not asked any more.
async fn go_on(connection: &mut Connection, x: &mut Exchange) {
    let mut head = HeadMut::new(&mut x.request, connection.client.input.kept());
    if !head.remove(b"expect") {
        return;
    }
    let out = x.down.restart(Body::Done);
    out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
    answer::flush(connection, x).await;
    x.down.restart(Body::Done);
}

/// Waits for the content of a response, whose head is at the front of the server's input; the answer if it does not
/// come.
pub(super) async fn response(
    connection: &mut Connection,
    x: &mut Exchange,
    dialed: &mut Dialed,
    summary: &ResponseSummary,
    wait: Wait,
) -> Option<Answer> {
    if summary.framing.is_empty() || summary.framing == Framing::Tunnel {
        return None;
    }
    connection.timer.after(clock::recent(), wait.time);
    let (framing, head_len) = (summary.framing, summary.head_len);
    let most = connection.sizes().buffer();
    let server = &mut dialed.server;
    let held = connection
        .wait(|client, cx| {
            loop {
                match progress(server, (head_len, most), framing, wait.at_least) {
                    Progress::Partial => {}
                    ended => return Poll::Ready(Ok(ended)),
                }
                match server.poll_fill(cx, buffer::SIZE) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(Ok(Progress::Broken)),
                }
            }
            Connection::poll_lost(client, cx).map(|()| Err(Gone::Client))
        })
        .await;
    let (cause, status) = match held.flatten() {
        Ok(Progress::Enough | Progress::Partial) => {
            let bytes = dialed.server.input.bytes();
            let content = content(bytes.get(head_len..).unwrap_or_default(), framing);
            connection.state.bodies().response = content.into_owned();
            return None;
        }
        Ok(Progress::Malformed) => (b'P', 502),
        Ok(Progress::Broken) => (b'S', 502),
        Err(Gone::TimedOut) => (b's', 504),
        Err(Gone::Client) => (b'C', 400),
        Err(Gone::Killed) => (b'K', 503),
    };
    // The rules do not go on.
    connection.state.awaiting = 0;
    x.trace.end_with(cause, b'H');
    Some(Answer::Page(status))
}

/// Looks at what lies `behind` a head; `most` bytes with the head are waited for, for which there is room then.
fn progress(
    side: &mut Side,
    (behind, most): (usize, usize),
    framing: Framing,
    at_least: usize,
) -> Progress {
    side.input.makes_room(most);
    let bytes = side.input.bytes().get(behind..).unwrap_or_default();
    let held = side.input.kept().len() + side.input.len();
    let mut body = Body::new(framing, super::LENIENCY);
    match body.pass(bytes) {
        Err(_) => Progress::Malformed,
        Ok(passed) if passed.done || held >= most => Progress::Enough,
        Ok(passed) => {
            let came = passed.consumed as u64 - passed.framing.min(passed.consumed as u64);
            if at_least > 0 && came >= at_least as u64 {
                Progress::Enough
            } else if !side.ended {
                Progress::Partial
            } else if body.ends_at_close() {
                Progress::Enough
            } else {
                Progress::Broken
            }
        }
    }
}

/// Whether more of a request's body is to come, and there is room for it.
pub(super) fn is_partial(client: &mut Side, most: usize, framing: Framing) -> bool {
    match framing {
        Framing::None | Framing::Tunnel => false,
        _ => matches!(progress(client, (0, most), framing, 0), Progress::Partial),
    }
}

/// The content at the front of `bytes`, without chunks around it.
pub(super) fn content(bytes: &[u8], framing: Framing) -> Cow<'_, [u8]> {
    match framing {
        // What follows is another request, or no HTTP.
        Framing::None | Framing::Tunnel => Cow::default(),
        Framing::Length(length) => {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            bytes
                .get(..length.min(bytes.len()))
                .unwrap_or_default()
                .into()
        }
        // What was malformed has been refused.
        Framing::Chunked => unwrapped(bytes).unwrap_or_default().into(),
        _ => bytes.into(),
    }
}

fn unwrapped(mut bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut decoder = ChunkedDecoder::new(super::LENIENCY);
    let mut content = Vec::new();
    while !bytes.is_empty() && !decoder.is_done() {
        let piece = decoder.next_piece(bytes)?;
        content.extend_from_slice(bytes.get(piece.data).unwrap_or_default());
        bytes = bytes.get(piece.consumed..).unwrap_or_default();
    }
    Ok(content)
}
