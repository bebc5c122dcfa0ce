//! The typed configuration of the balancer: what a file reader fills in and every other module reads.
//!
//! Values here are already checked and resolved (defaults applied, units converted); nothing in this
//! module reads a file. Names are those of HAProxy's configuration manual.

mod backend;
pub mod cipher;
mod error_page;
mod frontend;
mod global;
mod message_sizes;
mod peers;
mod proxy;
mod resolvers;
mod retry;
mod server;
mod tls;
mod unix;
mod watch;

pub use backend::{BackendConfig, CheckKind, CookieConfig, ExternalCheck, HttpReuse};
pub use error_page::{ErrorPage, ErrorPageError};
pub use frontend::{Bind, BindAddress, FrontendConfig, Protocol};
pub use global::{
    Global, Http2Settings, KernelBuffers, LogHeader, LogSample, LogTarget, StatsLevel, StatsSocket,
    SyslogAddress,
};
pub use message_sizes::MessageSizes;
pub use peers::{PeerConfig, PeersConfig};
pub use proxy::{
    ErrorFiles, ForwardFor, HeaderNames, HttpMode, LogFormatKind, Mode, ProxyConfig,
    ServerIdentity, StatsAccess, StatsPage, StatsRule, StickTableConfig, StoreKind, TableKey,
    Timeouts,
};
pub use resolvers::{Hold, Resolution, Resolvers};
pub use retry::{RetryEvent, RetryOn};
pub use server::{CheckConfig, ProxyOptions, SavedServer, ServerConfig};
pub use tls::{
    ClientVerify, IgnoredFaults, PemFile, ServerTls, TicketKey, TlsAlgorithms, TlsBind,
    TlsCertificate, TlsListLine, TlsSettings,
};
pub use unix::{SocketRights, UnixAddress};
pub use watch::{AgentConfig, Layer, Observe, OnError};

/// A whole configuration: the global section and every proxy in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The `global` section.
    pub global: Global,
    /// `frontend`, `backend` and `listen` sections in file order (a `listen` is one proxy with both halves).
    pub proxies: Vec<ProxyConfig>,
    /// `resolvers` sections.
    pub resolvers: Vec<Resolvers>,
    /// `cache` sections, with what they hold.
    pub caches: std::sync::Arc<crate::cache::Caches>,
    /// Files of maps, whose contents may change.
    pub pattern_files: std::sync::Arc<crate::expr::PatternFiles>,
    /// What other processes left of servers (`server-state-file`): for the first start with this configuration.
    pub saved_servers: Vec<SavedServer>,
    /// `set-var` in `global`, and what rules and commands set since.
    pub variables: std::sync::Arc<crate::request::ProcessVariables>,
}

impl Config {
    /// A server by the names of its backend and its own.
    pub fn server(&self, backend: &str, server: &str) -> Option<&ServerConfig> {
        let proxies = self.proxies.iter();
        let mut backends = proxies.filter(|p| *p.name == *backend && p.backend.is_some());
        let mut servers = backends.next()?.backend.iter().flat_map(|b| &b.servers);
        servers.find(|s| *s.name == *server)
    }
}
