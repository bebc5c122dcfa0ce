//! `peers` sections.

use std::{net::SocketAddr, sync::Arc};

use super::{ServerTls, StickTableConfig};

/// A `peers` section. Where this host listens for the others is the frontend of its proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeersConfig {
    /// Its name.
    pub name: Arc<str>,
    /// Name of this host among its peers; without one (`disabled`, or no peer of that name) nothing is shared.
    pub local: Option<Arc<str>>,
    /// Where the process of this host that succeeds this one is called.
    pub local_address: Option<SocketAddr>,
    /// How that one is spoken to, if in TLS.
    pub local_tls: Option<Arc<ServerTls>>,
    /// The other hosts.
    pub peers: Vec<PeerConfig>,
    /// `table` lines: name and table.
    pub tables: Vec<(Arc<str>, StickTableConfig)>,
}

impl PeersConfig {
    /// A section without a line.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            local: None,
            local_address: None,
            local_tls: None,
            peers: Vec::new(),
            tables: Vec::new(),
        }
    }

    /// The name of the proxy that listens for it: none that a section of a file could have.
    pub fn proxy_name(&self) -> Arc<str> {
        format!("peers/{}", self.name).into()
    }

    /// The name by which rules and commands refer to one of its tables.
    pub fn table_name(&self, table: &str) -> Arc<str> {
        format!("{}/{table}", self.name).into()
    }
}

/// Another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerConfig {
    /// Its name.
    pub name: Arc<str>,
    /// Where it listens; with port 0 it is not called.
    pub address: SocketAddr,
    /// How it is spoken to, if in TLS.
    pub tls: Option<Arc<ServerTls>>,
}
