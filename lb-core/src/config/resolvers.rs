//! `resolvers` sections, and what a server says of its name's resolution.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ipnet::IpNet;

/// A `resolvers` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolvers {
    /// Its name.
    pub name: Arc<str>,
    /// Names and addresses of the name servers.
    pub nameservers: Vec<(Arc<str>, SocketAddr)>,
    /// `resolve_retries` (3): questions until an answer is given up.
    pub retries: u32,
    /// `timeout resolve` (1 s): time between two resolutions.
    pub interval: Duration,
    /// `timeout retry` (1 s): time that an answer may take.
    pub patience: Duration,
    /// `hold`.
    pub hold: Hold,
    /// `accepted_payload_size` (512): longest answer, in bytes, as name servers are told.
    pub payload: u16,
}

/// How long what is known stays in force when the answer is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// There is no such name (30 s).
    pub nx: Duration,
    /// The question was refused (30 s).
    pub refused: Duration,
    /// Nobody answered (30 s).
    pub timeout: Duration,
    /// Anything else (30 s).
    pub other: Duration,
    /// An address is missing in a good answer (0).
    pub obsolete: Duration,
}

impl Resolvers {
    /// A section without a line.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        let usual = Duration::from_secs(30);
        Self {
            name: name.into(),
            nameservers: Vec::new(),
            retries: 3,
            interval: Duration::from_secs(1),
            patience: Duration::from_secs(1),
            hold: Hold {
                nx: usual,
                refused: usual,
                timeout: usual,
                other: usual,
                obsolete: Duration::ZERO,
            },
            payload: 512,
        }
    }
}

/// How the address of one server follows its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The `resolvers` section.
    pub resolvers: Arc<str>,
    /// `resolve-prefer ipv4`: IPv6 is preferred otherwise.
    pub prefer_v4: bool,
    /// `resolve-net`: addresses of these networks are preferred.
    pub networks: Vec<IpNet>,
    /// `resolve-opts allow-dup-ip`: servers of a backend may share an address.
    pub shares: bool,
    /// The name is that of a service: its records say hosts, ports and weights (RFC 2782).
    pub of_service: bool,
    /// `resolve-opts ignore-weight`: the weights of records change nothing.
    pub ignores_weights: bool,
}
