//! `frontend`, `backend` and `listen` sections with their `defaults` applied.

use std::{sync::Arc, time::Duration};

use ipnet::IpNet;

use super::{BackendConfig, ErrorPage, FrontendConfig, LogTarget};
use crate::{compression::Compression, http1::Names, rules::ProxyRules};

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
    /// The line about clients that never got as far as a request (`error-log-format`); HAProxy's fixed one if absent.
    pub error_log_format: Option<Arc<str>>,
    /// Structured data beside log lines (`log-format-sd`).
    pub log_format_sd: Option<Arc<str>>,
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
    /// `option accept-invalid-http-request`.
    pub invalid_requests: bool,
    /// `option accept-invalid-http-response`.
    pub invalid_responses: bool,
    /// `option h1-case-adjust-bogus-client` and `-server`: names of headers have their own case for (clients, servers).
    pub adjust_case: (bool, bool),
    /// `option http-keep-header-case` (our own): of a frontend for its clients, of a backend for its servers.
    pub names: Names,
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
    /// It listens for the other hosts of a `peers` section.
    pub peers: Option<Arc<super::PeersConfig>>,
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
            error_log_format: None,
            log_format_sd: None,
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
            invalid_requests: false,
            invalid_responses: false,
            adjust_case: (false, false),
            names: Names::default(),
            no_h2_upgrade: false,
            tcp_keepalive: (false, false),
            rules: ProxyRules::default(),
            stats: None,
            stick_table: None,
            peers: None,
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
    /// `option httpslog`.
    Https,
    /// `option httplog clf`.
    Clf,
    /// `log-format` with its text, compiled by `log::format`.
    Custom(Arc<str>),
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
    /// `stats http-request` lines in their order: the first whose condition holds decides, before `auth` is looked at.
    pub access: Vec<StatsRule>,
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

/// A `stats http-request` line.
#[derive(Debug, Clone)]
pub struct StatsRule {
    /// What happens to a request for the page.
    pub access: StatsAccess,
    /// When it does.
    pub condition: crate::acl::Condition,
}

/// What happens to a request for the statistics page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatsAccess {
    /// `allow`: the page is shown.
    Allow,
    /// `deny`: the error page for 403.
    Deny,
    /// `auth`: 401, which asks for a user and a password of this realm.
    Auth(String),
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
    /// `peers`: the section with the hosts that share it.
    pub peers: Option<Arc<str>>,
    /// `srvkey`.
    pub server_key: ServerIdentity,
}

impl StickTableConfig {
    /// A table of so many entries that stores nothing and keeps it for ever.
    pub fn new(key: TableKey, size: u64) -> Self {
        Self {
            key,
            size,
            expire: None,
            nopurge: false,
            store: Vec::new(),
            peers: None,
            server_key: ServerIdentity::default(),
        }
    }
}

/// What entries know a server by besides its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerIdentity {
    /// Its name.
    #[default]
    Name,
    /// Its address and port.
    Address,
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
    /// `server_key`, which comes with `server_id` for `stick` lines.
    ServerKey,
    /// `gpt(n)`.
    Gpt(u8),
    /// `gpc(n)`.
    Gpc(u8),
    /// `gpc_rate(n,period)`.
    GpcRate(u8, Duration),
}

/// `errorfile` and `errorloc` by status code.
pub type ErrorFiles = std::collections::BTreeMap<u16, Arc<ErrorPage>>;
