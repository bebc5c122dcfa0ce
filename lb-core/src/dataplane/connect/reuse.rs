//! Idle connections: which one serves a request, and which are kept for the next.

use std::time::Instant;

use super::{
    super::{
        destination::Destination,
        idle::Wanted,
        session::Connection,
        stream::{Resting, Stream},
    },
    Dialed, Need,
};
use crate::{
    backend::Lease,
    config::{HttpReuse, Protocol},
    server::ServerKey,
};

/// A server connection that stays with its client.
pub(in super::super) struct Own {
    server: ServerKey,
    stream: Resting,
    key: Option<Box<[u8]>>,
    carried: u32,
}

impl Connection {
    /// An idle connection to the leased server, and the number of requests it has carried.
    pub(super) fn reuse(
        &mut self,
        need: &Need<'_>,
        lease: &Lease,
        key: Option<&[u8]>,
    ) -> Option<(Stream, u32)> {
        let number = need.reuse?;
        let server = lease.server()?;
        let proven = match need.backend.config().http_reuse {
            HttpReuse::Never => {
                let mut own = self.own.take()?;
                let fits = own.server == server.key() && own.key.as_deref() == key;
                return (fits && !own.stream.is_stale())
                    .then_some((own.stream.into(), own.carried));
            }
            HttpReuse::Safe if number == 0 => return None,
            HttpReuse::Safe | HttpReuse::Always => false,
            HttpReuse::Aggressive => number == 0,
        };
        let wanted = Wanted { proven, name: key };
        self.worker.idle.take(server, wanted)
    }

    /// Keeps the connection for another request, and gives the place back.
    pub(in super::super) fn keep(&mut self, dialed: Dialed, now: Instant) {
        let Dialed {
            lease,
            server,
            key,
            carried,
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
        if !stream.leads_to(config) {
            return;
        }
        let carried = carried.saturating_add(1);
        // The first request of a connection is no reuse.
        if config.config().max_reuse.is_some_and(|most| carried > most) {
            return;
        }
        if lease.backend().config().http_reuse == HttpReuse::Never {
            self.own = Some(Box::new(Own {
                server: config.key(),
                stream,
                key,
                carried,
            }));
            return;
        }
        // Idle connections count towards the server's limit: those in use, this one's place included, and the
        // idle ones of every worker together.
        let limit = config.maxconn();
        let idle = &config.counters().idle;
        if limit != 0 && config.served() + idle.value() > limit {
            return;
        }
        self.worker.idle.put(&lease, stream, key, carried, now);
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
