//! TLS on a new connection to a server.

use std::{io, task::Poll};

use rustls::{CertificateError, Error};
use tokio_rustls::TlsStream;

use super::{
    clock,
    connect::{Need, NotDialed, gave_up},
    flow::Side,
    session::{Connection, Gone},
    stream::Stream,
    tls::reason,
};
use crate::{
    backend::Lease,
    config::ServerTls,
    head::HeadRef,
    request::{Failure, RequestView, Trouble},
    server::Server,
};

impl Connection {
    /// The name to ask the leased server for (`sni`); `None` if it is spoken to without TLS, or without a name.
    pub(super) fn server_name(&self, need: &Need<'_>, lease: &Lease) -> Option<Box<[u8]>> {
        let tls = lease.server()?.config().tls.as_deref()?;
        let mut view = RequestView::new(clock::recent(), &self.info, &self.state)
            .with_payload(self.client.input.bytes(), true)
            .with_backend(need.backend.name());
        if let Some(head) = need.request {
            view = view.with_request(HeadRef::new(head, self.client.input.kept()));
        }
        name(tls, &view)
    }

    /// The handshake, within the time for connecting: a name that is asked for, and the one protocol that is offered
    /// where the server is otherwise offered several.
    pub(super) async fn secure(
        &mut self,
        need: &Need<'_>,
        lease: &Lease,
        server: Side,
        (name, protocol): (Option<&[u8]>, Option<&str>),
    ) -> Result<Side, NotDialed> {
        let key = lease.server().map(Server::key);
        let connector = key.and_then(|key| self.listener.balancer.connector(key).cloned());
        let (Some(connector), Stream::Plain(socket)) = (connector, server.stream) else {
            return Err(NotDialed::Local);
        };
        let negotiates = || !connector.tls().alpn.is_empty();
        let offered = protocol.filter(|_| negotiates()).map(str::to_owned);
        let mut connecting = Box::pin(connector.connect(offered.as_slice(), name, socket));
        let connected = self
            .wait(|client, cx| {
                if let Poll::Ready(done) = connecting.as_mut().poll(cx) {
                    return Poll::Ready(Some(done));
                }
                gave_up(client, need.on_end_when_reached(), cx).map(|()| None)
            })
            .await;
        match connected {
            Ok(Some(Ok(stream))) => {
                let session = connector.session(stream.get_ref().1);
                if !session.resumed {
                    let keys = &self.listener.balancer.process.tls_server_keys;
                    keys.count(clock::recent());
                }
                let stream = Stream::to_server(TlsStream::Client(stream), session);
                Ok(Side::new(stream, clock::recent()))
            }
            Ok(Some(Err(error))) => {
                self.state.marked().server_failure = Some(failure(&error, name.is_some()));
                Err(NotDialed::Refused)
            }
            Ok(None) | Err(Gone::Client) => Err(NotDialed::GoneConnecting),
            Err(Gone::TimedOut) => {
                self.state.marked().server_failure = Some(Trouble::Timeout.into());
                Err(NotDialed::TimedOut)
            }
            Err(Gone::Killed) => Err(NotDialed::Killed),
        }
    }
}

/// Why a handshake failed, in which a name was asked for or not.
fn failure(error: &io::Error, is_named: bool) -> Failure {
    let trouble = match reason::library(error) {
        Some(Error::InvalidCertificate(CertificateError::NotValidForName)) => match is_named {
            true => Trouble::NotExpectedHost,
            false => Trouble::NotConfiguredHost,
        },
        None if error.kind() == io::ErrorKind::UnexpectedEof => Trouble::Empty,
        None => Trouble::Aborted,
        Some(_) => Trouble::Handshake,
    };
    let reason = reason::of(error);
    Failure { trouble, reason }
}

/// The value of `sni` without the port that a Host header may carry.
fn name<'a>(tls: &'a ServerTls, view: &RequestView<'a>) -> Option<Box<[u8]>> {
    let name = tls.sni.as_ref()?.bytes(view)?;
    let host = name.split(|byte| *byte == b':').next()?;
    (!host.is_empty()).then(|| host.into())
}
