//! `server` and `default-server` settings.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::{AgentConfig, Observe, Protocol, Resolution, ServerTls, UnixAddress};

/// One `server` line with every default applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Name; unique within its backend (a reader renames duplicates).
    pub name: Arc<str>,
    /// Number within the backend, from 1 (`sid` in statistics; part of hash keys).
    pub id: u32,
    /// Resolved address, or `None` when the host name had no answer (the server starts in MAINT). 0.0.0.0 stands
    /// for the address at which the client arrived.
    pub address: Option<SocketAddr>,
    /// Its port, known even while it has no address; 0 with `map_port`.
    pub port: u16,
    /// It listens on a UNIX socket, and has no other address.
    pub unix: Option<UnixAddress>,
    /// The address carries no port of its own: connections go to the port at which the client arrived plus this
    /// number (0 for a `server` line without a port, N for `:+N`). The port in `address` is then 0.
    pub map_port: Option<i32>,
    /// Host name as written, when it was a name (`srv_fqdn`).
    pub fqdn: Option<String>,
    /// `resolvers`: the address follows the host name.
    pub resolution: Option<Resolution>,
    /// `weight` 0-256, 1 by default.
    pub weight: u16,
    /// `maxconn`; `None` is unlimited.
    pub maxconn: Option<u32>,
    /// `minconn`.
    pub minconn: Option<u32>,
    /// `maxqueue`; `None` is unlimited.
    pub maxqueue: Option<u32>,
    /// `backup`.
    pub backup: bool,
    /// `non-stick`: no stick table remembers it.
    pub non_stick: bool,
    /// `disabled`: starts in maintenance.
    pub disabled: bool,
    /// `cookie` value.
    pub cookie: Option<String>,
    /// `slowstart`.
    pub slowstart: Option<Duration>,
    /// `rise`, known without `check` as well.
    pub rise: u32,
    /// `check` settings; `None` without `check`.
    pub check: Option<CheckConfig>,
    /// `send-proxy` (1) or `send-proxy-v2` (2).
    pub send_proxy: Option<u8>,
    /// `proxy-v2-options`: what the header of version 2 says besides addresses.
    pub proxy_options: ProxyOptions,
    /// `ssl`: connections to it are encrypted.
    pub tls: Option<Arc<ServerTls>>,
    /// Settings of TLS that are switched off, by an operator or by `no-ssl`.
    pub spare_tls: Option<Arc<ServerTls>>,
    /// `pool-low-conn`: a worker that has no idle connection takes one of another worker where there are so many.
    pub pool_low_conn: u32,
    /// `no-ssl`.
    pub tls_refused: bool,
    /// `pool-max-conn`: most idle connections; `None` is unlimited.
    pub pool_max_conn: Option<u32>,
    /// `pool-purge-delay`: how long an idle connection is kept (5 s); none with zero.
    pub pool_purge_delay: Option<Duration>,
    /// `max-reuse`: how many more requests than its first a connection may carry; `None` is unlimited.
    pub max_reuse: Option<u32>,
    /// `proto`: what it speaks.
    pub protocol: Protocol,
    /// `ws`: what WebSockets are spoken in; [`Protocol::Negotiated`] stands for `auto`.
    pub websockets: Protocol,
    /// `source` address for outgoing connections.
    pub source: Option<SocketAddr>,
    /// `on-marked-down shutdown-sessions`.
    pub shutdown_sessions_on_down: bool,
    /// `on-marked-up shutdown-backup-sessions`.
    pub cut_backups_on_up: bool,
    /// `observe`; only with `check`.
    pub observe: Option<Observe>,
    /// `agent-check`.
    pub agent: Option<AgentConfig>,
    /// `track`: backend and server whose state this one has.
    pub track: Option<(Arc<str>, Arc<str>)>,
    /// `redir` prefix.
    pub redir: Option<String>,
    /// `file:line` for messages.
    pub origin: Option<Arc<str>>,
}

impl ServerConfig {
    /// A server of weight 1 with no limit and no check.
    pub fn new(name: impl Into<Arc<str>>, id: u32, address: Option<SocketAddr>) -> Self {
        Self {
            name: name.into(),
            id,
            address,
            port: address.map_or(0, |address| address.port()),
            unix: None,
            map_port: None,
            fqdn: None,
            resolution: None,
            weight: 1,
            maxconn: None,
            minconn: None,
            maxqueue: None,
            backup: false,
            non_stick: false,
            disabled: false,
            cookie: None,
            slowstart: None,
            rise: 2,
            check: None,
            send_proxy: None,
            proxy_options: ProxyOptions::default(),
            tls: None,
            spare_tls: None,
            pool_low_conn: 0,
            tls_refused: false,
            pool_max_conn: None,
            pool_purge_delay: None,
            max_reuse: None,
            protocol: Protocol::Negotiated,
            websockets: Protocol::Negotiated,
            source: None,
            shutdown_sessions_on_down: false,
            cut_backups_on_up: false,
            observe: None,
            agent: None,
            track: None,
            redir: None,
            origin: None,
        }
    }

    /// What a WebSocket is spoken in where that is not what other requests are. Without a word about it, one that could
    /// be spoken in either is spoken in HTTP/1.1: not every server in HTTP/2 takes WebSockets.
    pub fn own_protocol_of_websockets(&self) -> Option<Protocol> {
        let offers = |wanted: &str| {
            let mut offered = self.tls.iter().flat_map(|tls| &tls.alpn);
            offered.any(|name| name == wanted)
        };
        let negotiated = self.protocol == Protocol::Negotiated;
        let wanted = match self.websockets {
            Protocol::Negotiated if negotiated && offers("h2") && offers("http/1.1") => {
                Protocol::Http1
            }
            Protocol::Negotiated => return None,
            wanted => wanted,
        };
        let same =
            wanted == self.protocol || wanted == Protocol::Http1 && negotiated && !offers("h2");
        (!same).then_some(wanted)
    }

    /// Whether it is known where it listens.
    pub fn has_address(&self) -> bool {
        self.address.is_some() || self.unix.is_some()
    }
}

/// `proxy-v2-options`: what a PROXY header of version 2 says besides addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of the line")]
pub struct ProxyOptions {
    /// `ssl`: whether the client speaks TLS, which version, and what verifying it came to.
    pub ssl: bool,
    /// `cert-cn`: the common name of its certificate.
    pub cert_cn: bool,
    /// `ssl-cipher`.
    pub ssl_cipher: bool,
    /// `cert-sig`: how the certificate is signed that it was shown.
    pub cert_sig: bool,
    /// `cert-key`: kind and bits of that certificate's key.
    pub cert_key: bool,
    /// `authority`: the name that the client asked for.
    pub authority: bool,
    /// `crc32c`: a checksum of the header.
    pub crc32c: bool,
    /// `unique-id`.
    pub unique_id: bool,
}

/// Health check timing and target of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckConfig {
    /// `inter` (2 s).
    pub inter: Duration,
    /// `fastinter`: while a state is changing; `inter` by default.
    pub fastinter: Option<Duration>,
    /// `downinter`: while fully down; `inter` by default.
    pub downinter: Option<Duration>,
    /// `rise` (2).
    pub rise: u32,
    /// `fall` (3).
    pub fall: u32,
    /// `port`, when it differs from the server's.
    pub port: Option<u16>,
    /// `addr`, when it differs from the server's.
    pub addr: Option<std::net::IpAddr>,
    /// `check-ssl`, or what follows from `ssl`.
    pub tls: Option<Arc<ServerTls>>,
    /// How the server is spoken to by steps of a check that ask for TLS themselves.
    pub step_tls: Option<Arc<ServerTls>>,
    /// Checks begin with a PROXY header (`check-send-proxy`, or what follows from `send-proxy`): such as the server's
    /// line has it, else of version 1.
    pub send_proxy: bool,
    /// `check-proto`: the protocol of requests, when it is not what the server's own line says.
    pub protocol: Option<Protocol>,
}

/// HAProxy's defaults: every 2 s, up after 2 successes, down after 3 failures, the server's own address.
impl Default for CheckConfig {
    fn default() -> Self {
        Self {
            inter: Duration::from_secs(2),
            fastinter: None,
            downinter: None,
            rise: 2,
            fall: 3,
            port: None,
            addr: None,
            tls: None,
            step_tls: None,
            send_proxy: false,
            protocol: None,
        }
    }
}

/// What another process left of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedServer {
    /// Name of its backend.
    pub backend: Arc<str>,
    /// Its name.
    pub server: Arc<str>,
    /// Whether its checks passed.
    pub up: bool,
    /// An operator had taken it out.
    pub maintenance: bool,
    /// An operator let it finish what it had.
    pub drain: bool,
    /// Its weight, if an operator had changed it.
    pub weight: Option<u16>,
    /// The address that its name had.
    pub address: Option<SocketAddr>,
}
