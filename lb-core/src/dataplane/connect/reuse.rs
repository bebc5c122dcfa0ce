//! Idle connections: which one serves a request, and which are kept for the next.

use std::time::Instant;

use super::{
    super::{
        destination::Destination,
        idle::{Returned, Wanted},
        session::Connection,
        stream::{Resting, Stream},
    },
    Dialed, Need,
};
use crate::{
    backend::Lease,
    config::{HttpReuse, Protocol},
    id::ServerIndex,
    server::{Server, ServerKey},
};

/// A server connection that stays with its client.
pub(in super::super) struct Own {
    server: ServerKey,
    stream: Resting,
    key: Option<Box<[u8]>>,
    carried: u32,
    moves: u32,
    /// See [`Dialed::bound`].
    bound: bool,
}

impl Own {
    fn suits(&mut self, server: &Server, (key, moves): (Option<&[u8]>, u32)) -> bool {
        self.server == server.key()
            && self.key.as_deref() == key
            && self.moves == moves
            && !self.stream.is_stale()
    }
}

/// An idle connection that a request takes.
pub(super) struct Taken {
    pub(super) stream: Stream,
    /// Requests it has carried.
    pub(super) carried: u32,
    /// See [`Dialed::bound`].
    pub(super) bound: bool,
}

impl Connection {
    /// An idle connection to the leased server.
    pub(super) fn reuse(
        &mut self,
        need: &Need<'_>,
        lease: &Lease,
        (key, moves): (Option<&[u8]>, u32),
    ) -> Option<Taken> {
        let number = need.reuse?;
        let server = lease.server()?;
        if let Some(own) = self.take_own(server, (key, moves)) {
            return Some(own);
        }
        let proven = match need.backend.config().http_reuse {
            HttpReuse::Never => return None,
            HttpReuse::Safe if number == 0 => return None,
            HttpReuse::Safe | HttpReuse::Always => false,
            HttpReuse::Aggressive => number == 0,
        };
        let wanted = Wanted {
            proven,
            name: key,
            moves,
        };
        let (stream, carried) = self.worker.idle.take(server, wanted)?;
        Some(Taken {
            stream,
            carried,
            bound: false,
        })
    }

    /// The client's own connection, if it is one to this server.
    fn take_own(&self, server: &Server, wanted: (Option<&[u8]>, u32)) -> Option<Taken> {
        let mut own = self.presence.own.take()?;
        if own.suits(server, wanted) {
            return Some(Taken {
                stream: own.stream.into(),
                carried: own.carried,
                bound: own.bound,
            });
        }
        // The client may come back to where it is known.
        if own.bound && own.server != server.key() {
            self.presence.own.set(Some(own));
        }
        None
    }

    /// The server that the client is to stay with if it can, for it has a connection there.
    pub(super) fn last_server(&self, need: &Need<'_>) -> Option<ServerIndex> {
        let own = self.presence.own.take()?;
        let stays = own.bound || need.backend.config().prefer_last_server;
        let at = stays.then_some(own.server);
        self.presence.own.set(Some(own));
        need.backend.server_of(at?).map(Server::index)
    }

    /// Keeps the connection for another request, and gives the place back.
    pub(in super::super) fn keep(&mut self, dialed: Dialed, now: Instant) {
        let Dialed {
            lease,
            server,
            key,
            carried,
            moves,
            bound,
        } = dialed;
        let Some(config) = lease.server() else {
            return;
        };
        // Bytes behind the response belong to nobody, and must not become another client's answer.
        if server.ended || !server.input.is_empty() {
            return;
        }
        let Some(stream) = server.stream.rest() else {
            return;
        };
        // It leads to where the server was.
        if moves != config.moves() {
            return;
        }
        let carried = carried.saturating_add(1);
        // The first request of a connection is no reuse.
        if config.config().max_reuse.is_some_and(|most| carried > most) {
            return;
        }
        if bound || lease.backend().config().http_reuse == HttpReuse::Never {
            let own = Box::new(Own {
                server: config.key(),
                stream,
                key,
                carried,
                moves,
                bound,
            });
            let before = self.presence.own.take();
            let stays = before.filter(|before| before.bound && !bound);
            self.presence.own.set(stays.or(Some(own)));
            return;
        }
        // Idle connections count towards the server's limit: those in use, this one's place included, and the
        // idle ones of every worker together.
        let limit = config.maxconn();
        let idle = &config.counters().idle;
        if limit != 0 && config.served() + idle.value() > limit {
            return;
        }
        let returned = Returned {
            stream,
            name: key,
            requests: carried,
            moves,
        };
        self.worker.idle.put(&lease, returned, now);
    }

    /// What tells a connection from others to the same server, where it depends on the client or on what is spoken:
    /// only requests for which all of it is the same may share one.
    pub(super) fn own_key(
        &self,
        lease: &Lease,
        (name, header): (Option<&[u8]>, Option<&[u8]>),
        protocol: Option<Protocol>,
    ) -> Option<Box<[u8]>> {
        let server = lease.server()?;
        let config = server.config();
        let anywhere =
            config.map_port.is_some() || config.address.is_some_and(|at| at.ip().is_unspecified());
        if header.is_none() && !anywhere && protocol.is_none() {
            return None;
        }
        let mut key = name.unwrap_or_default().to_vec();
        key.push(0);
        if let Some(Destination::Ip(at)) = self.destination(server) {
            key.extend_from_slice(at.to_string().as_bytes());
        }
        key.push(0);
        key.extend_from_slice(header.unwrap_or_default());
        if let Some(protocol) = protocol {
            key.push(0);
            key.push(if protocol == Protocol::Http2 { 2 } else { 1 });
        }
        Some(key.into())
    }
}
