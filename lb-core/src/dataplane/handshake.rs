//! The TLS handshake of an accepted connection.

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
    listener::Secure,
    registry::Order,
    session::Connection,
    stray,
    stream::{Plain, Stream},
    tls::{self, Choice, Front, reason},
};
use crate::request::{Failure, TlsInfo, Trouble};

/// Why there is no session.
enum NoSession {
    /// The handshake failed; what is known of the session by then.
    Failed(Failure, Box<TlsInfo>),
    /// An order to end at once: nobody is told.
    Killed,
}

impl From<Trouble> for NoSession {
    fn from(trouble: Trouble) -> Self {
        Self::Failed(trouble.into(), Box::new(tls::unbegun()))
    }
}

impl NoSession {
    /// The library said no before it understood who it is, to a client that began with these bytes.
    fn not_understood(error: &Error, first: &[u8]) -> Self {
        let plain = reason::not_secured(first);
        let failure = Failure {
            trouble: Trouble::Handshake,
            reason: Some(plain.unwrap_or_else(|| reason::reason(error))),
        };
        Self::Failed(failure, Box::new(tls::unbegun()))
    }

    /// A handshake of which the first message was understood failed.
    fn of(error: &io::Error, mut seen: TlsInfo) -> Self {
        let refused = tls::refused_client();
        let trouble = match (&refused, reason::library(error)) {
            (Some(client), Some(Error::InvalidCertificate(_))) => match client.verified.depth {
                0 => Trouble::Certificate,
                _ => Trouble::Authority,
            },
            _ => Trouble::Handshake,
        };
        seen.client = refused.map(Arc::new);
        let reason = reason::of(error);
        Self::Failed(Failure { trouble, reason }, Box::new(seen))
    }
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
            mut state,
            worker,
            listener,
            handshake,
            idle_since,
            inspected,
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
            Err(Trouble::TooMany.into())
        } else {
            let mut handshake = Box::pin(accept(socket, &front));
            std::future::poll_fn(|cx| {
                if let Poll::Ready(done) = handshake.as_mut().poll(cx) {
                    return Poll::Ready(done);
                }
                if member.order() >= Order::ServerDown {
                    return Poll::Ready(Err(NoSession::Killed));
                }
                timer
                    .poll_expired(cx)
                    .map(|()| Err(Trouble::Timeout.into()))
            })
            .await
        };
        let now = clock::now();
        let done = done.and_then(|(stream, choice)| {
            let known = tls::info(&stream, &choice).ok_or(Trouble::Certificate)?;
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
            Err(NoSession::Killed) => return None,
            Err(NoSession::Failed(failure, seen)) => {
                info.tls = Some(seen);
                stray::log(failure, &info, &mut state, &listener, &worker);
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
            state,
            handshake,
            idle_since,
            inspected,
            presence,
        })
    }
}

/// The whole handshake.
async fn accept(
    mut socket: Plain,
    front: &Front,
) -> Result<(server::TlsStream<Plain>, Arc<Choice>), NoSession> {
    /// The fatal alert `unrecognized_name` (RFC 8446 section 6, RFC 6066 section 3).
    const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
    let accepted = hello(&mut socket).await?;
    let choice = front.choose(&accepted.client_hello());
    let seen = tls::begun(&accepted.client_hello(), choice.as_deref());
    let Some(choice) = choice else {
        std::future::poll_fn(|cx| {
            let mut now = Now(&mut socket, cx);
            Poll::Ready(now.write_all(&UNRECOGNIZED_NAME))
        })
        .await
        .map_err(|_| Trouble::Handshake)?;
        let failure = Failure {
            trouble: Trouble::Handshake,
            reason: Some(reason::REFUSED_NAME),
        };
        return Err(NoSession::Failed(failure, Box::new(seen)));
    };
    let config = choice.config(&accepted.client_hello());
    let start = StartHandshake::from_parts(accepted, socket);
    match start.into_stream(config).await {
        Ok(stream) => Ok((stream, choice)),
        Err(error) => Err(NoSession::of(&error, seen)),
    }
}

/// The client's first message.
async fn hello(socket: &mut Plain) -> Result<Accepted, NoSession> {
    let mut acceptor = Acceptor::default();
    let mut first = [0; 4];
    std::future::poll_fn(|cx| {
        loop {
            let mut noting = Noting(Now(socket, cx), &mut first);
            match acceptor.read_tls(&mut noting) {
                Ok(0) => return Poll::Ready(Err(Trouble::Empty.into())),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(_) => return Poll::Ready(Err(Trouble::Aborted.into())),
            }
            match acceptor.accept() {
                Ok(Some(accepted)) => return Poll::Ready(Ok(accepted)),
                Ok(None) => {}
                Err((error, mut alert)) => {
                    // Nothing has been sent yet: there is room for it.
                    let _ = alert.write_all(&mut Now(socket, cx));
                    return Poll::Ready(Err(NoSession::not_understood(&error, &first)));
                }
            }
        }
    })
    .await
}

/// Remembers the first bytes that are read.
struct Noting<'n, R>(R, &'n mut [u8; 4]);

impl<R: Read> Read for Noting<'_, R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(room)?;
        if *self.1 == [0; 4] {
            let read = room.iter().take(count);
            self.1
                .iter_mut()
                .zip(read)
                .for_each(|(to, byte)| *to = *byte);
        }
        Ok(count)
    }
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
