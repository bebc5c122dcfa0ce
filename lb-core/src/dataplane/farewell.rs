//! The last of a client connection: how it ends without a loss of what was sent to it.

use std::{
    ffi::c_int,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{
    buffer, clock,
    flow::Side,
    session::{Connection, Gone},
};

/// How long a closed connection is still read.
const LINGER: Duration = Duration::from_secs(2);
/// How much of it is read at most.
const LINGER_BYTES: usize = 1 << 20;
/// How soon it is looked whether a client has everything, and how seldom at last.
const SOON: Duration = Duration::from_millis(1);
const SELDOM: Duration = Duration::from_millis(100);

/// Closes without losing the answer: what the client has sent unread would make the kernel reset the
/// connection.
pub(super) async fn linger(connection: &mut Connection) {
    connection.timer.after(clock::recent(), Some(LINGER));
    let _ = connection
        .wait(|client, cx| client.stream.poll_shutdown(cx))
        .await;
    discard(connection).await;
}

/// Passes a break of the server on: as a reset, so that nobody takes half a stream for a whole one. A reset would
/// take with it what is still on its way to the client, and servers that close before they have read everything break
/// off behind a whole answer: it comes once the client's kernel has all of that. Where that is not told the connection
/// ends, in TLS without a farewell.
pub(super) async fn break_off(connection: &mut Connection) {
    if connection.client.stream.unsent().is_some() {
        deliver(connection).await;
        connection.client.stream.reset_on_close();
        return;
    }
    connection.timer.after(clock::recent(), Some(LINGER));
    connection.client.stream.cut();
    discard(connection).await;
}

/// Waits until the client's kernel has confirmed everything, as long as it takes some within `timeout client`. Nobody
/// tells when that is: it is looked at, more and more rarely.
async fn deliver(connection: &mut Connection) {
    let patience = connection.frontend().timeouts.client;
    let (mut least, mut since) = (c_int::MAX, clock::now());
    let (mut pause, mut read) = (SOON, 0);
    loop {
        let now = clock::now();
        match connection.client.stream.unsent() {
            None | Some(0) => return,
            Some(unsent) if unsent < least => (least, since) = (unsent, now),
            Some(_) if patience.is_some_and(|patience| since + patience <= now) => return,
            Some(_) => {}
        }
        connection.timer.after(now, Some(pause));
        pause = (pause * 2).min(SELDOM);
        let waited = connection
            .wait(|client, cx| poll_broken(client, &mut read, cx))
            .await;
        if waited != Err(Gone::TimedOut) {
            return;
        }
    }
}

/// Completes when the client breaks off. What it says, up to a limit, is read: who cannot go on may not listen either.
fn poll_broken(client: &mut Side, read: &mut usize, cx: &mut Context<'_>) -> Poll<()> {
    while !client.ended && *read < LINGER_BYTES {
        let len = client.input.len();
        client.input.consume(len);
        match ready!(client.poll_fill(cx, buffer::SIZE)) {
            Ok(count) => *read += count,
            Err(_) => return Poll::Ready(()),
        }
    }
    Poll::Pending
}

/// Reads what nobody wants until the client ends, or enough has come, or the timer.
async fn discard(connection: &mut Connection) {
    let mut left = LINGER_BYTES;
    while left > 0 {
        let len = connection.client.input.len();
        connection.client.input.consume(len);
        let read = connection
            .wait(|client, cx| client.poll_fill(cx, buffer::SIZE))
            .await;
        match read {
            Ok(Ok(count)) if count > 0 => left = left.saturating_sub(count),
            _ => return,
        }
    }
}
