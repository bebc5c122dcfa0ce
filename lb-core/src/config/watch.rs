//! What beside its health checks decides over a server: traffic that is watched, and an agent.

use std::{net::IpAddr, sync::Arc, time::Duration};

/// `observe` with `error-limit` and `on-error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observe {
    /// What is looked at.
    pub layer: Layer,
    /// `error-limit` (10): so many errors in a row.
    pub limit: u32,
    /// `on-error`.
    pub then: OnError,
}

/// What `observe` looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// `layer4`: connections.
    Connections,
    /// `layer7`: responses, and connections that fail.
    Responses,
}

/// `on-error`: what follows from too many errors. All of them check again after `fastinter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// Nothing more.
    Fastinter,
    /// A check counts as failed (the default).
    #[default]
    FailCheck,
    /// The next failed check marks the server down.
    SuddenDeath,
    /// The server is down.
    MarkDown,
}

/// `agent-check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentConfig {
    /// `agent-port`.
    pub port: u16,
    /// `agent-addr`, when it differs from the server's.
    pub addr: Option<IpAddr>,
    /// `agent-inter` (2 s).
    pub inter: Duration,
    /// `agent-send`.
    pub send: Arc<str>,
}
