//! `frontend`, `backend` and `listen` sections with their `defaults` applied.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use ipnet::IpNet;

use super::{ErrorPage, LogTarget, ServerConfig, TlsBind};
use crate::{
    balance::{Algorithm, HashConfig},
    compression::Compression,
    health::script::Script,
    rules::ProxyRules,
};

/// One proxy: a frontend half, a backend half, or both (`listen`).
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// Section name.
    pub name: Arc<str>,
    /// Number in statistics (`iid`), from 2 in file order.
    pub id: u32,
    /// `description`.
    pub description: Option<String>,
    /// `mode`.
    pub mode: Mode,
    /// `disabled`.
    pub disabled: bool,
    /// Present for `frontend` and `listen`.
    pub frontend: Option<FrontendConfig>,
    /// Present for `backend` and `listen`.
    pub backend: Option<BackendConfig>,
    /// Timeouts that apply to the halves this proxy has.
    pub timeouts: Timeouts,
    /// Resolved `log` targets (`log global` copied in).
    pub logs: Vec<LogTarget>,
    /// Which line is logged.
    pub log_format: LogFormatKind,
    /// `log-tag` of this proxy; the global one when absent.
    pub log_tag: Option<String>,
    /// `option dontlognull`.
    pub dontlognull: bool,
    /// `option logasap`.
    pub logasap: bool,
    /// `option dontlog-normal`.
    pub dontlog_normal: bool,
    /// `option log-separate-errors`.
    pub log_separate_errors: bool,
    /// `option httpclose` / `http-server-close` / keep-alive, per HAProxy's precedence.
    pub http_mode: HttpMode,
    /// `option forwardfor`.
    pub forward_for: Option<ForwardFor>,
    /// `option originalto`.
    pub original_to: Option<ForwardFor>,
    /// `option http-restrict-req-hdr-names`.
    pub header_names: HeaderNames,
    /// `option http-ignore-probes`.
    pub ignore_probes: bool,
    /// `option socket-stats`: each listener counts for itself, too.
    pub socket_stats: bool,
    /// `compression`.
    pub compression: Option<Arc<Compression>>,
    /// `option http-buffer-request`: rules see requests with their bodies.
    pub buffer_request: bool,
    /// `option disable-h2-upgrade`: the preface of HTTP/2 on a connection without TLS is no request.
    pub no_h2_upgrade: bool,
    /// `option tcpka` / `clitcpka` / `srvtcpka`: keep-alive probes on (client, server) sockets.
    pub tcp_keepalive: (bool, bool),
    /// ACLs and every `tcp-request`, `http-request`, `http-response`, `use_backend` line.
    pub rules: ProxyRules,
    /// `stats ...` lines.
    pub stats: Option<StatsPage>,
    /// `stick-table` of this proxy.
    pub stick_table: Option<StickTableConfig>,
    /// `errorfile` per status code.
    pub error_files: ErrorFiles,
    /// `monitor-uri`.
    pub monitor_uri: Option<String>,
}

impl ProxyConfig {
    /// A proxy of which nothing is set but this: neither half, no timeouts, no rules.
    pub fn new(name: impl Into<Arc<str>>, id: u32, mode: Mode) -> Self {
        Self {
            name: name.into(),
            id,
            description: None,
            mode,
            disabled: false,
            frontend: None,
            backend: None,
            timeouts: Timeouts::default(),
            logs: Vec::new(),
            log_format: LogFormatKind::default(),
            log_tag: None,
            dontlognull: false,
            logasap: false,
            dontlog_normal: false,
            socket_stats: false,
            log_separate_errors: false,
            http_mode: HttpMode::default(),
            forward_for: None,
            original_to: None,
            header_names: HeaderNames::default(),
            ignore_probes: false,
            compression: None,
            buffer_request: false,
            no_h2_upgrade: false,
            tcp_keepalive: (false, false),
            rules: ProxyRules::default(),
            stats: None,
            stick_table: None,
            error_files: ErrorFiles::new(),
            monitor_uri: None,
        }
    }
}

/// `mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Bytes are passed as they are.
    #[default]
    Tcp,
    /// HTTP messages are parsed.
    Http,
}

/// What becomes of request headers whose names hold more than letters, digits and hyphens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderNames {
    /// They are passed on.
    #[default]
    Preserve,
    /// They are taken out.
    Delete,
    /// The request is refused.
    Reject,
}

/// How connections are kept after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpMode {
    /// Both sides stay open (`option http-keep-alive`, the default).
    #[default]
    KeepAlive,
    /// The server side is closed after each response (`option http-server-close`).
    ServerClose,
    /// `option httpclose`: a frontend closes the client side, a backend the server side.
    Close,
}

/// What a proxy logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LogFormatKind {
    /// One line at accept (`Connect from ...`).
    #[default]
    Connect,
    /// `option tcplog`.
    Tcp,
    /// `option httplog`.
    Http,
    /// `option httplog clf`.
    Clf,
    /// `log-format` with its text, compiled by `log::format`.
    Custom(Arc<str>),
}

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
    /// `mode` of a UNIX socket.
    pub unix_mode: Option<u32>,
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
            unix_mode: None,
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
    /// `option redispatch [interval]`: `None` is off, `Some(-1)` the default (last retry).
    pub redispatch: Option<i32>,
    /// `fullconn`.
    pub fullconn: Option<u32>,
    /// `cookie` line.
    pub cookie: Option<CookieConfig>,
    /// What a check does.
    pub check: CheckKind,
    /// `option persist` was disabled or not; true follows cookies of down servers.
    pub persist: bool,
    /// `option abortonclose`.
    pub abort_on_close: bool,
    /// `option allbackups`.
    pub all_backups: bool,
    /// `option log-health-checks`.
    pub log_health_checks: bool,
    /// `http-reuse`.
    pub http_reuse: HttpReuse,
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
            redispatch: None,
            fullconn: None,
            cookie: None,
            check: CheckKind::default(),
            persist: false,
            abort_on_close: false,
            all_backups: false,
            log_health_checks: false,
            http_reuse: HttpReuse::default(),
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
}

/// `option forwardfor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardFor {
    /// Header name (`X-Forwarded-For`; sent in lower case).
    pub header: String,
    /// Sources that get none.
    pub except: Vec<IpNet>,
    /// `if-none`.
    pub if_none: bool,
}

/// Timeouts; `None` is unlimited unless a default is named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// `client` inactivity.
    pub client: Option<Duration>,
    /// `server` inactivity.
    pub server: Option<Duration>,
    /// `connect`.
    pub connect: Option<Duration>,
    /// `http-request`: the whole head; default `client`.
    pub http_request: Option<Duration>,
    /// `http-keep-alive`: waiting for the next request; default `http-request`, then `client`.
    pub http_keep_alive: Option<Duration>,
    /// `queue`; default `connect`.
    pub queue: Option<Duration>,
    /// `tunnel`: replaces client and server once a tunnel stands.
    pub tunnel: Option<Duration>,
    /// `client-fin`.
    pub client_fin: Option<Duration>,
    /// `server-fin`.
    pub server_fin: Option<Duration>,
    /// `check`: extra read timeout of checks.
    pub check: Option<Duration>,
    /// `tarpit`; default `connect`.
    pub tarpit: Option<Duration>,
}

/// `stats ...` settings of a proxy.
#[derive(Debug, Clone)]
pub struct StatsPage {
    /// `stats uri` prefix (`/haproxy?stats`).
    pub uri: String,
    /// `stats realm` (`HAProxy Statistics`).
    pub realm: String,
    /// `stats auth` pairs; empty asks for none.
    pub auth: Vec<(String, String)>,
    /// `stats refresh` in seconds.
    pub refresh: Option<Duration>,
    /// `stats admin if ...`: the condition under which actions are allowed.
    pub admin: Option<crate::acl::Condition>,
    /// `stats hide-version`.
    pub hide_version: bool,
    /// `stats show-legends`.
    pub show_legends: bool,
    /// `stats show-node` name.
    pub show_node: Option<String>,
    /// `stats show-desc` text.
    pub show_desc: Option<String>,
    /// `stats scope` names; empty shows all.
    pub scope: Vec<String>,
}

/// `stick-table`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickTableConfig {
    /// `type` and its length.
    pub key: TableKey,
    /// `size` in entries.
    pub size: u64,
    /// `expire`.
    pub expire: Option<Duration>,
    /// `nopurge`.
    pub nopurge: bool,
    /// `store` columns.
    pub store: Vec<StoreKind>,
}

/// Key type of a stick table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKey {
    /// IPv4 (also holds v4-mapped).
    Ip,
    /// IPv6.
    Ipv6,
    /// 32-bit integer.
    Integer,
    /// String cut to this many bytes.
    String(u32),
    /// Binary of exactly this many bytes (padded or cut).
    Binary(u32),
}

/// One column of a stick table. Periods are given for the `*_rate` kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// `server_id`.
    ServerId,
    /// `gpc0`.
    Gpc0,
    /// `gpc0_rate(period)`.
    Gpc0Rate(Duration),
    /// `gpc1`.
    Gpc1,
    /// `gpc1_rate(period)`.
    Gpc1Rate(Duration),
    /// `gpt0`.
    Gpt0,
    /// `conn_cnt`.
    ConnCnt,
    /// `conn_cur`.
    ConnCur,
    /// `conn_rate(period)`.
    ConnRate(Duration),
    /// `sess_cnt`.
    SessCnt,
    /// `sess_rate(period)`.
    SessRate(Duration),
    /// `http_req_cnt`.
    HttpReqCnt,
    /// `http_req_rate(period)`.
    HttpReqRate(Duration),
    /// `http_err_cnt`.
    HttpErrCnt,
    /// `http_err_rate(period)`.
    HttpErrRate(Duration),
    /// `http_fail_cnt`.
    HttpFailCnt,
    /// `http_fail_rate(period)`.
    HttpFailRate(Duration),
    /// `bytes_in_cnt`.
    BytesInCnt,
    /// `bytes_in_rate(period)`.
    BytesInRate(Duration),
    /// `bytes_out_cnt`.
    BytesOutCnt,
    /// `bytes_out_rate(period)`.
    BytesOutRate(Duration),
}

/// `errorfile` and `errorloc` by status code.
pub type ErrorFiles = std::collections::BTreeMap<u16, Arc<ErrorPage>>;
