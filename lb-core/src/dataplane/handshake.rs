//! The TLS handshake of an accepted connection, and the log line of one that fails, in HAProxy's words.

use std::{
    io::{self, Read, Write},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use rustls::{
    Error,
    server::{Accepted, Acceptor},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{StartHandshake, TlsStream, server};

use super::{
    clock,
    flow::Side,
    listener::{Listener, Secure},
    registry::Order,
    session::Connection,
    stream::{Plain, Stream},
    tls::{self, Choice, Front},
    worker::Worker,
};
use crate::{
    log::events::{self, level},
    request::ConnectionInfo,
};

/// Why a handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// The client left before it had said anything whole.
    Empty,
    /// Its connection broke before that.
    Aborted,
    TimedOut,
    TooMany,
    /// Its certificate is not good.
    Certificate,
    /// One above its certificate is not good.
    Authority,
    Other,
    /// An order to end at once: nobody is told.
    Killed,
}

impl Failure {
    /// HAProxy's words for it (configuration manual, fc_err_str).
    fn text(self) -> Option<&'static str> {
        Some(match self {
            Self::Empty => "Connection closed during SSL handshake",
            Self::Aborted => "Connection error during SSL handshake",
            Self::TimedOut => "Timeout during SSL handshake",
            Self::TooMany => "Too many SSL connections",
            Self::Certificate => "SSL client certificate not trusted",
            Self::Authority => "SSL client CA chain cannot be verified",
            Self::Other => "SSL handshake failure",
            Self::Killed => return None,
        })
    }

    fn of(error: &io::Error) -> Self {
        match (tls::refused_own_certificate(), library(error)) {
            (Some(true), Some(Error::InvalidCertificate(_))) => Self::Certificate,
            (Some(false), Some(Error::InvalidCertificate(_))) => Self::Authority,
            _ => Self::Other,
        }
    }
}

fn library(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

impl Connection {
    /// Runs the TLS handshake; the log is told if it fails.
    pub(super) async fn start_tls(self) -> Option<Self> {
        let front = Arc::clone(self.listener.tls.as_ref()?);
        let Self {
            client,
            member,
            mut timer,
            mut info,
            mut presence,
            worker,
            listener,
            ..
        } = self;
        let Stream::Plain(socket) = client.stream else {
            return None;
        };
        // Nothing shares them before the handshake is over.
        let admitted = Rc::get_mut(&mut presence).is_some_and(|presence| {
            presence.places.secure = Secure::enter(&listener.balancer);
            presence.places.secure.is_some()
        });
        let done = if !admitted {
            Err(Failure::TooMany)
        } else {
            let mut handshake = Box::pin(accept(socket, &front));
            std::future::poll_fn(|cx| {
                if let Poll::Ready(done) = handshake.as_mut().poll(cx) {
                    return Poll::Ready(done);
                }
                if member.order() >= Order::ServerDown {
                    return Poll::Ready(Err(Failure::Killed));
                }
                timer.poll_expired(cx).map(|()| Err(Failure::TimedOut))
            })
            .await
        };
        let now = clock::now();
        let done = done.and_then(|(stream, choice)| {
            let known = tls::info(&stream, &choice).ok_or(Failure::Certificate)?;
            Ok((stream, known))
        });
        let stream = match done {
            Ok((stream, known)) => {
                if !known.resumed {
                    listener.balancer.process.tls_keys.count(now);
                }
                info.tls = Some(Box::new(known));
                Stream::from(TlsStream::Server(stream))
            }
            Err(failure) => {
                log(failure, &info, &listener, &worker);
                return None;
            }
        };
        Some(Self {
            client: Side::new(stream, now),
            member,
            timer,
            info,
            worker,
            listener,
            state: self.state,
            handshake: self.handshake,
            idle_since: self.idle_since,
            inspected: self.inspected,
            own: self.own,
            presence,
        })
    }
}

fn log(failure: Failure, info: &ConnectionInfo, listener: &Listener, worker: &Worker) {
    let proxy = listener.proxy_config();
    let silent = matches!(failure, Failure::Empty | Failure::Aborted) && proxy.dontlognull;
    let Some(text) = failure.text().filter(|_| !silent && !proxy.logs.is_empty()) else {
        return;
    };
    let number = (listener.bind + 1).to_string();
    let line = events::not_established(
        info.source,
        (info.accepted_date, listener.balancer.utc_offset),
        &proxy.name,
        listener.name.as_deref().unwrap_or(&number),
        text,
    );
    let level = match proxy.log_separate_errors {
        true => level::ERROR,
        false => level::INFO,
    };
    worker.sinks.log(proxy, level, &line);
}

/// The whole handshake.
async fn accept(
    mut socket: Plain,
    front: &Front,
) -> Result<(server::TlsStream<Plain>, Arc<Choice>), Failure> {
    /// The fatal alert `unrecognized_name` (RFC 8446 section 6, RFC 6066 section 3).
    const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
    let accepted = hello(&mut socket).await?;
    let Some(choice) = front.choose(&accepted.client_hello()) else {
        std::future::poll_fn(|cx| {
            let mut now = Now(&mut socket, cx);
            Poll::Ready(now.write_all(&UNRECOGNIZED_NAME))
        })
        .await
        .map_err(|_| Failure::Other)?;
        return Err(Failure::Other);
    };
    let start = StartHandshake::from_parts(accepted, socket);
    match start.into_stream(choice.config()).await {
        Ok(stream) => Ok((stream, choice)),
        Err(error) => Err(Failure::of(&error)),
    }
}

/// The client's first message.
async fn hello(socket: &mut Plain) -> Result<Accepted, Failure> {
    let mut acceptor = Acceptor::default();
    std::future::poll_fn(|cx| {
        loop {
            match acceptor.read_tls(&mut Now(socket, cx)) {
                Ok(0) => return Poll::Ready(Err(Failure::Empty)),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(_) => return Poll::Ready(Err(Failure::Aborted)),
            }
            match acceptor.accept() {
                Ok(Some(accepted)) => return Poll::Ready(Ok(accepted)),
                Ok(None) => {}
                Err((_, mut alert)) => {
                    // Nothing has been sent yet: there is room for it.
                    let _ = alert.write_all(&mut Now(socket, cx));
                    return Poll::Ready(Err(Failure::Other));
                }
            }
        }
    })
    .await
}

/// A socket for a library that does not wait: what would is `WouldBlock`, and the task is woken later.
struct Now<'s, 'c, 'w>(&'s mut Plain, &'c mut Context<'w>);

fn now_or_never<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl Read for Now<'_, '_, '_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(room);
        now_or_never(Pin::new(&mut *self.0).poll_read(self.1, &mut buffer))?;
        Ok(buffer.filled().len())
    }
}

impl Write for Now<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        now_or_never(Pin::new(&mut *self.0).poll_write(self.1, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
