//! A scripted check over real connections.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Found, How, Io, Method, Opened, Secure, multiplex, open, words};
use crate::{
    config::Protocol,
    dataplane::{clock, destination::Destination, rt::timeout_at, tls::Connector},
    health::{
        CheckStatus, Probe,
        script::{Connect, Conversation, Known, Script, Verdict, Want},
    },
    request::ServerSession,
};

/// Walks `script` to its end. The time for answers begins anew with each connection.
pub(super) async fn run(
    method: &Method,
    script: &Script,
    known: Known<'_>,
    tls: Option<&Connector>,
    probe: Probe,
) -> Found {
    let mut conversation = Conversation::new(script, known);
    let mut stream: Option<Box<dyn Io>> = None;
    let mut deadline = clock::now();
    loop {
        let want = conversation.poll();
        let result = match (want, stream.as_mut()) {
            (Want::Done(verdict), _) => return verdict.into(),
            (Want::Connect(connect), _) => {
                // The connection before ends here.
                drop(stream.take());
                let opened = reach(method, connect.as_ref(), tls, probe).await;
                deadline = clock::now() + probe.read_timeout;
                match opened {
                    Ok((opened, session)) => {
                        conversation.secured(session);
                        stream = Some(opened);
                    }
                    Err(found) => return failed(&conversation, &found).into(),
                }
                continue;
            }
            (Want::Send(bytes), Some(stream)) => {
                timeout_at(deadline, stream.write_all(&bytes)).await
            }
            (Want::Receive, Some(stream)) => {
                let mut room = [0; 4096];
                let reading = timeout_at(deadline, stream.read(&mut room)).await;
                reading.map(|read| {
                    read.map(|count| match room.get(..count) {
                        Some(bytes) if count > 0 => conversation.received(bytes),
                        _ => conversation.ended(),
                    })
                })
            }
            (Want::Send(_) | Want::Receive, None) => {
                return Found::new(CheckStatus::SocketError);
            }
        };
        match result {
            Some(Ok(())) => {}
            Some(Err(e)) => {
                let error = conversation.failed(CheckStatus::SocketError, &words(&e), false);
                return error.into();
            }
            None => return conversation.timed_out(None).into(),
        }
    }
}

/// A connection, and what is known of its TLS.
type Reached = (Box<dyn Io>, Option<ServerSession>);

async fn reach(
    method: &Method,
    connect: Option<&Connect>,
    tls: Option<&Connector>,
    probe: Probe,
) -> Result<Reached, Found> {
    let Some(connect) = connect else {
        let how = How {
            tls: method.secure(tls),
            linger: false,
            proxy: method.check.send_proxy,
        };
        let opened = open(method, &method.destination, how, probe).await?;
        let agreed = opened.agreed_on_http2 && method.asks;
        return in_protocol(opened, method.over_http2 || agreed, probe).await;
    };
    let destination = elsewhere(&method.destination, connect);
    let secured = match (&connect.tls, tls) {
        (Some(step), Some(connector)) => Some(Secure {
            connector,
            name: step.sni.as_deref(),
            protocols: &step.alpn,
        }),
        (Some(_), None) => return Err(Found::new(CheckStatus::SocketError)),
        (None, tls) => method.secure(tls).filter(|_| connect.as_server),
    };
    let how = How {
        tls: secured,
        linger: connect.linger,
        proxy: connect.send_proxy || connect.as_server && method.check.send_proxy,
    };
    let opened = open(method, &destination, how, probe).await?;
    let as_line = connect.as_server && destination == method.destination && method.over_http2;
    let over_http2 = match connect.protocol {
        Some(protocol) => protocol == Protocol::Http2,
        None => as_line || opened.agreed_on_http2 && method.asks,
    };
    in_protocol(opened, over_http2, probe).await
}

/// Goes over to HTTP/2 if that is spoken.
async fn in_protocol(opened: Opened, over_http2: bool, probe: Probe) -> Result<Reached, Found> {
    let io = match over_http2 {
        true => multiplex(opened.io, opened.session.is_some(), probe).await?,
        false => opened.io,
    };
    Ok((io, opened.session))
}

/// Where a step connects to.
fn elsewhere(usual: &Destination, connect: &Connect) -> Destination {
    match usual {
        Destination::Ip(usual) => Destination::Ip(SocketAddr::new(
            connect.addr.unwrap_or(usual.ip()),
            connect.port.unwrap_or(usual.port()),
        )),
        Destination::Unix(unix) => match (connect.addr, connect.port) {
            (Some(addr), Some(port)) => Destination::Ip(SocketAddr::new(addr, port)),
            _ => Destination::Unix(unix.clone()),
        },
    }
}

fn failed(conversation: &Conversation<'_>, found: &Found) -> Verdict {
    use CheckStatus::{L4Timeout, L6Timeout};
    match found.status {
        L4Timeout | L6Timeout => conversation.timed_out(Some(found.status)),
        status => conversation.failed(status, &found.detail, true),
    }
}

impl From<Verdict> for Found {
    fn from(verdict: Verdict) -> Self {
        Self {
            status: verdict.status,
            code: verdict.code,
            detail: verdict.detail.into(),
        }
    }
}
