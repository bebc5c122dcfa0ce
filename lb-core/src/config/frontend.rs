//! The accepting half of a proxy.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use super::{SocketRights, TlsBind};

/// The accepting half.
#[derive(Debug, Clone, Default)]
pub struct FrontendConfig {
    /// `bind` lines, each address of a list its own entry.
    pub binds: Vec<Bind>,
    /// `maxconn`; the global limit when absent.
    pub maxconn: Option<u32>,
    /// `default_backend`; for `listen` without one, the proxy itself.
    pub default_backend: Option<Arc<str>>,
    /// `backlog`.
    pub backlog: Option<u32>,
    /// `rate-limit sessions`.
    pub rate_limit: Option<u32>,
}

/// One listening address.
#[derive(Debug, Clone)]
pub struct Bind {
    /// Where to listen.
    pub address: BindAddress,
    /// `name`.
    pub name: Option<String>,
    /// `id`: its number in statistics, else the next that is free.
    pub id: Option<u32>,
    /// `ssl` settings.
    pub tls: Option<TlsBind>,
    /// `proto`: what clients speak.
    pub protocol: Protocol,
    /// `accept-proxy`.
    pub accept_proxy: bool,
    /// `transparent` or an address that may not exist yet: bind with IP_FREEBIND.
    pub freebind: bool,
    /// `v6only` (true) / `v4v6` (false) for `::`.
    pub v6only: Option<bool>,
    /// `interface`.
    pub interface: Option<String>,
    /// `backlog`.
    pub backlog: Option<u32>,
    /// `maxconn`: connections that came to this address.
    pub maxconn: Option<u32>,
    /// `mss`: longest segment, in bytes.
    pub mss: Option<u16>,
    /// `tcp-ut`: how long a client may leave data without confirmation.
    pub user_timeout: Option<Duration>,
    /// `mode`, `user` and `group` of a UNIX socket.
    pub rights: SocketRights,
    /// `file:line` for messages.
    pub origin: Option<Arc<str>>,
}

impl Bind {
    /// A plain listener without options.
    pub fn new(address: BindAddress) -> Self {
        Self {
            address,
            name: None,
            id: None,
            tls: None,
            protocol: Protocol::Negotiated,
            accept_proxy: false,
            freebind: false,
            v6only: None,
            interface: None,
            backlog: None,
            maxconn: None,
            mss: None,
            user_timeout: None,
            rights: SocketRights::default(),
            origin: None,
        }
    }
}

/// What is spoken on a connection in HTTP mode: `proto` of a `bind` or `server` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// Without the word: what TLS negotiates. Clients without TLS may also begin with the preface of HTTP/2.
    #[default]
    Negotiated,
    /// `h1`.
    Http1,
    /// `h2`, known beforehand.
    Http2,
}

/// A listening address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BindAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// UNIX stream socket.
    Unix(PathBuf),
    /// UNIX stream socket in the abstract namespace (`abns@`).
    Abstract(String),
    /// A socket that the process was started with (`fd@`).
    Inherited(i32),
}
