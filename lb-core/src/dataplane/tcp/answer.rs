//! `tcp-response content` and `stick store-response`: the first bytes of a server are looked at, while those of the
//! client go on.

use std::{sync::Arc, task::Poll};

use super::End;
use crate::{
    config::ProxyConfig,
    dataplane::{
        buffer, clock,
        connect::Dialed,
        flow::{Fault, Flow},
        session::{Connection, Gone},
    },
    http1::{Body, Framing, Leniency},
    request::RequestView,
    rules::AnswerVerdict,
};

/// What came of waiting for more.
enum Heard {
    More,
    /// One of the sides broke off.
    Broken(End),
}

/// Waits until the rules of `proxy` have said what is to become of the server's bytes; the end if they must not pass.
pub(super) async fn inspect(
    connection: &mut Connection,
    dialed: &mut Dialed,
    (up, down): (&mut Flow, &mut Flow),
    proxy: &ProxyConfig,
) -> Option<End> {
    let since = clock::recent();
    let most = connection.sizes().buffer();
    let mut in_time = true;
    let lease = &dialed.lease;
    let server = &mut dialed.server;
    connection.state.server = lease.server().map(|s| Arc::clone(&s.config().name));
    loop {
        let whole = !in_time || server.ended || !server.input.makes_room(most);
        let verdict = proxy.rules.on_answer(
            clock::recent(),
            &connection.info,
            (None, None),
            (server.input.bytes(), whole),
            &mut connection.state,
        );
        connection.client.stream.mark(&mut connection.state);
        let within = match verdict {
            AnswerVerdict::Accept => break,
            AnswerVerdict::Close => {
                // What has come is the last.
                let rest = Framing::Length(server.input.bytes().len() as u64);
                *down = Flow::new(Body::new(rest, Leniency::HAPROXY), true);
                up.stop();
                server.stream.reset_on_close();
                break;
            }
            AnswerVerdict::Reject => {
                connection.count_denied_response(lease);
                return Some(End::Refused);
            }
            AnswerVerdict::SilentDrop => {
                connection.vanish();
                return Some(End::Refused);
            }
            AnswerVerdict::NeedMore { within } => within,
        };
        connection.timer.after(since, Some(within));
        let heard = connection
            .wait(|client, cx| {
                match up.poll(cx, client, server) {
                    Ok(_) => {}
                    Err(Fault::Sink) => return Poll::Ready(Heard::Broken(End::Server)),
                    Err(_) => return Poll::Ready(Heard::Broken(End::Client)),
                }
                server.poll_fill(cx, buffer::SIZE).map(|read| match read {
                    Ok(_) => Heard::More,
                    Err(_) => Heard::Broken(End::Server),
                })
            })
            .await;
        match heard {
            Ok(Heard::More) => {}
            Ok(Heard::Broken(end)) => return Some(end),
            Err(Gone::TimedOut) => in_time = false,
            Err(Gone::Client) => return Some(End::Client),
            Err(Gone::Killed) => return Some(End::Killed),
        }
    }
    if let Some(server) = lease.server() {
        let bytes = dialed.server.input.bytes();
        let view = RequestView::new(clock::recent(), &connection.info, &connection.state)
            .with_answer(bytes, true)
            .with_backend(&proxy.name);
        proxy.rules.learn(&view).remember(clock::recent(), server);
    }
    None
}
