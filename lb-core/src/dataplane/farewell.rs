//! The last of a client connection: how it ends without a loss of what was sent to it.

use std::time::Duration;

use super::{buffer, clock, session::Connection};

/// How long a closed connection is still read.
const LINGER: Duration = Duration::from_secs(2);
/// How much of it is read at most.
const LINGER_BYTES: usize = 1 << 20;

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
/// take with it what is still on its way to the client, though, and servers that close before they have read
/// everything break off behind a whole answer: then the connection ends, in TLS without a farewell.
pub(super) async fn break_off(connection: &mut Connection) {
    if connection.client.stream.is_delivered() {
        connection.client.stream.reset_on_close();
        return;
    }
    connection.timer.after(clock::recent(), Some(LINGER));
    connection.client.stream.cut();
    discard(connection).await;
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
