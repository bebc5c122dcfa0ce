//! One attempt to connect: the socket, what the server is told first, TLS, HTTP/2.

use std::{io, task::Poll};

use super::{
    super::{
        clock,
        destination::{Destination, NotBegun, SocketOptions},
        flow::Side,
        http2::Made,
        session::{Connection, Gone},
        stream::Stream,
    },
    Need, NotDialed, Told, gave_up,
};
use crate::{
    backend::Lease,
    config::{HttpReuse, Protocol},
    proxy_protocol::{self, Tlvs},
    request::{Addresses, is_unix},
    server::Server,
};

impl Connection {
    /// One attempt to connect to the leased server.
    pub(super) async fn open(
        &mut self,
        need: &Need<'_>,
        lease: &Lease,
        told: Told<'_>,
    ) -> Result<Side, NotDialed> {
        let leased = lease.server().ok_or(NotDialed::NoServer)?;
        let config = leased.config();
        let destination = self.destination(leased).ok_or(NotDialed::NoServer)?;
        let options = SocketOptions {
            keepalive: need.proxy.tcp_keepalive.1,
            buffers: self.listener.balancer.config.global.server_buffers,
        };
        let begin = || destination.begin(config.source, options);
        let begun = begin().or_else(|why| {
            if !why.is_of_descriptors() {
                return Err(why);
            }
            // Idle connections of other servers may hold what is missing.
            self.worker.idle.clear_everywhere();
            begin()
        });
        let begun = begun.map_err(|why| match why {
            NotBegun::Local(_) => NotDialed::Local,
            NotBegun::Refused(_) => NotDialed::Refused,
        })?;
        let now = clock::recent();
        self.timer.after(now, need.proxy.timeouts.connect);
        let connected = self
            .wait(|client, cx| {
                if let Poll::Ready(connected) = begun.poll_connected(cx) {
                    return Poll::Ready(Some(connected));
                }
                let gone = gave_up(client, need.on_end, cx);
                // Who only listens may have ended before the loop heard of a connection that stands.
                if gone.is_ready() && client.has_ended() && begun.stands() {
                    return Poll::Pending;
                }
                gone.map(|()| None)
            })
            .await;
        match connected {
            Ok(Some(Ok(()))) => {}
            Ok(Some(Err(_))) => return Err(NotDialed::Refused),
            Ok(None) | Err(Gone::Client) => return Err(NotDialed::GoneConnecting),
            Err(Gone::TimedOut) => return Err(NotDialed::TimedOut),
            Err(Gone::Killed) => return Err(NotDialed::Killed),
        }
        let mut server = Side::new(Stream::from(begun), clock::recent());
        if let Some(header) = told.header {
            send_proxy_header(header, &mut server).await?;
        }
        if config.tls.is_some() {
            let offered = match told.protocol {
                None => None,
                Some(Protocol::Http2) => Some("h2"),
                Some(_) => Some("http/1.1"),
            };
            let name = (told.name, offered);
            server = self.secure(need, lease, server, name).await?;
        }
        let in_http2 = match told.protocol.unwrap_or(config.protocol) {
            Protocol::Negotiated => server.stream.alpn() == Some(b"h2"),
            protocol => protocol == Protocol::Http2,
        };
        if need.request.is_some() && in_http2 {
            // Boxed: few need it.
            return Box::pin(self.multiplex(need, lease, server, told)).await;
        }
        Ok(server)
    }

    /// Goes over to HTTP/2 on a new connection; others share it if they may.
    async fn multiplex(
        &mut self,
        need: &Need<'_>,
        lease: &Lease,
        server: Side,
        told: Told<'_>,
    ) -> Result<Side, NotDialed> {
        let settings = self.listener.balancer.config.global.http2;
        let terms = (settings, self.sizes());
        let mut making = Box::pin(Made::new(server.stream, terms, told.key));
        let made = self
            .wait(|client, cx| {
                if let Poll::Ready(made) = making.as_mut().poll(cx) {
                    return Poll::Ready(Some(made));
                }
                gave_up(client, need.on_end, cx).map(|()| None)
            })
            .await;
        let made = match made {
            Ok(Some(Some(made))) => made,
            Ok(Some(None)) => return Err(NotDialed::Refused),
            Ok(None) | Err(Gone::Client) => return Err(NotDialed::GoneConnecting),
            Err(Gone::TimedOut) => return Err(NotDialed::TimedOut),
            Err(Gone::Killed) => return Err(NotDialed::Killed),
        };
        let sharing = need.backend.config().http_reuse != HttpReuse::Never;
        if let Some(leased) = lease.server()
            && sharing
            // Else it leads to where the server was.
            && leased.moves() == told.moves
        {
            self.worker.idle.trunks.share(leased.key(), &made);
        }
        Ok(Side::new(made.stream(), clock::recent()))
    }

    /// Where a server listens. What is not its own (the port, or with 0.0.0.0 the address) is that which the client
    /// came to.
    pub(super) fn destination(&self, server: &Server) -> Option<Destination> {
        let config = server.config();
        if let Some(unix) = &config.unix {
            return Some(Destination::Unix(unix.clone()));
        }
        let mut address = server.address()?;
        // Who came to a UNIX socket came to no address: 0.0.0.0 is then this host.
        if address.ip().is_unspecified() && !is_unix(self.addresses().destination) {
            address.set_ip(self.addresses().destination.ip());
        }
        if let Some(offset) = config.map_port.filter(|_| address.port() == 0) {
            let port = i32::from(self.addresses().destination.port()) + offset;
            address.set_port(u16::try_from(port).ok()?);
        }
        Some(Destination::Ip(address))
    }

    /// What the server is told of the client before anything else.
    pub(super) fn proxy_header(&self, lease: &Lease) -> Option<Vec<u8>> {
        let config = lease.server()?.config();
        let version = config.send_proxy?;
        let mut header = Vec::new();
        let Addresses {
            source,
            destination,
        } = self.addresses();
        if version == 1 {
            proxy_protocol::encode_v1(source, destination, &mut header);
            return Some(header);
        }
        proxy_protocol::encode_v2(source, destination, &mut header);
        let tlvs = Tlvs {
            options: config.proxy_options,
            tls: self.info.tls.as_deref(),
            told: self.info.told(),
            unique_id: self.state.unique_id(),
        };
        tlvs.add(&mut header);
        Some(header)
    }
}

/// A header of some hundred bytes always fits a new connection's buffer.
async fn send_proxy_header(header: &[u8], server: &mut Side) -> Result<(), NotDialed> {
    let slices = [io::IoSlice::new(header)];
    let written = std::future::poll_fn(|cx| server.stream.poll_write(cx, &slices)).await;
    match written {
        Ok(count) if count == header.len() => Ok(()),
        _ => Err(NotDialed::Refused),
    }
}
