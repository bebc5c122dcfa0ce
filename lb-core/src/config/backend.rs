//! The serving half of a proxy.

use std::{sync::Arc, time::Duration};

use super::{RetryOn, ServerConfig};
use crate::{
    balance::{Algorithm, HashConfig},
    expr::Written,
    health::script::Script,
};

/// The serving half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendConfig {
    /// `balance`.
    pub balance: Algorithm,
    /// `hash-type` and what is hashed, where a key chooses the server.
    pub hash: HashConfig,
    /// Servers in file order.
    pub servers: Vec<ServerConfig>,
    /// `retries` (3).
    pub retries: u32,
    /// `retry-on`.
    pub retry_on: RetryOn,
    /// `option redispatch [interval]`: `None` is off, `Some(-1)` the default (last retry).
    pub redispatch: Option<i32>,
    /// `fullconn`.
    pub fullconn: Option<u32>,
    /// `cookie` line.
    pub cookie: Option<CookieConfig>,
    /// `dynamic-cookie-key`.
    pub dynamic_cookie_key: Option<Box<str>>,
    /// `persist rdp-cookie`: the cookie that names a server by its address.
    pub rdp_cookie: Option<Written>,
    /// What a check does.
    pub check: CheckKind,
    /// `option persist` was disabled or not; true follows cookies of down servers.
    pub persist: bool,
    /// `http-send-name-header`: the header that tells a server its name, in lower case.
    pub send_name_header: Option<Box<str>>,
    /// `option checkcache`: responses with cookies that may be cached are refused.
    pub check_cache: bool,
    /// `option abortonclose`.
    pub abort_on_close: bool,
    /// `option allbackups`.
    pub all_backups: bool,
    /// `option log-health-checks`.
    pub log_health_checks: bool,
    /// `http-reuse`.
    pub http_reuse: HttpReuse,
    /// `option prefer-last-server`: a client with a server connection of its own goes on with that.
    pub prefer_last_server: bool,
    /// Source stickiness: entries live this long after the last use (`virtual_server` persistence_timeout).
    pub stick_on_source: Option<Duration>,
}

impl BackendConfig {
    /// Whether both mean the same, wherever their lines stand.
    #[must_use]
    pub fn means_the_same(&self, other: &Self) -> bool {
        let placeless = |config: &Self| {
            let mut config = config.clone();
            for server in &mut config.servers {
                server.origin = None;
            }
            config
        };
        placeless(self) == placeless(other)
    }
}

/// HAProxy's defaults: round robin, 3 retries, no redispatch, cookies of down servers not followed.
impl Default for BackendConfig {
    fn default() -> Self {
        Self {
            balance: Algorithm::default(),
            hash: HashConfig::default(),
            servers: Vec::new(),
            retries: 3,
            retry_on: RetryOn::default(),
            redispatch: None,
            fullconn: None,
            cookie: None,
            dynamic_cookie_key: None,
            rdp_cookie: None,
            check: CheckKind::default(),
            persist: false,
            send_name_header: None,
            check_cache: false,
            abort_on_close: false,
            all_backups: false,
            log_health_checks: false,
            http_reuse: HttpReuse::default(),
            prefer_last_server: false,
            stick_on_source: None,
        }
    }
}

/// `http-reuse`: which idle server connections a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpReuse {
    /// Only those of its own client connection.
    Never,
    /// Any, but a client's first request goes over a new one: there its client would not know that it may be repeated
    /// (the default).
    #[default]
    Safe,
    /// Any, but a client's first request only one that was reused before.
    Aggressive,
    /// Any.
    Always,
}

/// The kind of health check of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CheckKind {
    /// A TCP connect.
    #[default]
    Tcp,
    /// `option httpchk`, `option tcp-check` with steps, and the checks that speak a protocol of their own.
    Script(Arc<Script>),
    /// `option external-check`: a program of the host.
    External(Arc<ExternalCheck>),
}

/// A program that checks servers (`external-check`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExternalCheck {
    /// `external-check command`: the program.
    pub command: String,
    /// `external-check path`: the directories it is looked for in, and its `PATH`.
    pub path: Option<String>,
}

/// `cookie NAME ...`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CookieConfig {
    /// Cookie name.
    pub name: String,
    /// `insert`.
    pub insert: bool,
    /// `rewrite`.
    pub rewrite: bool,
    /// `prefix`.
    pub prefix: bool,
    /// `indirect`.
    pub indirect: bool,
    /// `nocache`.
    pub nocache: bool,
    /// `postonly`.
    pub postonly: bool,
    /// `preserve`.
    pub preserve: bool,
    /// `httponly`.
    pub httponly: bool,
    /// `secure`.
    pub secure: bool,
    /// `domain` values.
    pub domains: Vec<String>,
    /// `attr` values.
    pub attributes: Vec<String>,
    /// `maxidle`: clients that were away for so long are balanced anew. Counted in seconds, begun ones are whole; zero
    /// is no limit.
    pub max_idle: Option<Duration>,
    /// `maxlife`: clients are balanced anew after so long. Counted as `max_idle`.
    pub max_life: Option<Duration>,
    /// `dynamic`: values are made of the servers' addresses.
    pub dynamic: bool,
}
