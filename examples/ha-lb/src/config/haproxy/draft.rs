//! A proxy while its section is read: everything a `defaults` section can hand on, in the form of the typed
//! configuration where possible.

use std::{net::SocketAddr, sync::Arc};

use lb_core::config::{BackendConfig, FrontendConfig, LogTarget, Mode, ProxyConfig};

use super::{
    cache::Filters, check::HttpCheck, error_pages, external_check::ProgramCheck, lexer::Line,
    script_check::ScriptCheck, server, server_state,
};
use crate::config::diagnostic::Span;

/// Settings gathered so far. A new proxy begins with a copy of its defaults.
#[derive(Clone)]
pub(super) struct Draft {
    /// Settings of the proxy as a whole; its halves stand beside.
    pub(super) proxy: ProxyConfig,
    /// The accepting half.
    pub(super) frontend: FrontendConfig,
    /// The serving half.
    pub(super) backend: BackendConfig,
    /// `id`.
    pub(super) forced_id: Option<u32>,
    /// `log` lines.
    pub(super) logs: Vec<LogRef>,
    /// The line that chose the log format.
    pub(super) log_format_at: Option<Span>,
    /// The `stick-table` lines; one is allowed.
    pub(super) stick_tables_at: Vec<Span>,
    /// Rule lines in order.
    pub(super) rules: Vec<RuleLine>,
    /// The `defaults` section that the first of them stand in.
    pub(super) rules_from: Option<Span>,
    /// `default-server`.
    pub(super) default_server: server::Draft,
    /// `server` lines: settings and the line of each.
    pub(super) servers: Vec<(server::Draft, Span)>,
    /// Where `default_backend` was given.
    pub(super) default_backend_at: Option<Span>,
    /// `source`.
    pub(super) source: Option<SocketAddr>,
    /// `option httpchk` and `http-check`.
    pub(super) http_check: HttpCheck,
    /// `tcp-check` and the checks of other protocols.
    pub(super) script: ScriptCheck,
    /// `option external-check` and `external-check`.
    pub(super) program: ProgramCheck,
    /// The obsolete `transparent`.
    pub(super) transparent: Option<Span>,
    /// Where `option forwardfor` was given.
    pub(super) forward_for_at: Option<Span>,
    /// `errorfile`, `errorloc` and `errorfiles` in order.
    pub(super) error_pages: Vec<error_pages::Wanted>,
    /// Whence the states of its servers come.
    pub(super) saved: server_state::Wanted,
    /// `filter` lines, and rules that mean filters.
    pub(super) filters: Filters,
    /// Where the first `stats` line was.
    pub(super) stats_at: Option<Span>,
    /// The statistics page is that of the section which this one inherits from.
    pub(super) stats_inherited: bool,
    /// What was refused, and is not to be called missing as well.
    pub(super) refused: Refused,
}

/// Lines of a section that were refused.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Refused {
    /// A `bind` line.
    pub(super) bind: bool,
    /// A line that makes servers.
    pub(super) server: bool,
    /// A `timeout` line.
    pub(super) timeout: bool,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            proxy: ProxyConfig::new("", 0, Mode::Tcp),
            frontend: FrontendConfig::default(),
            backend: BackendConfig::default(),
            forced_id: None,
            logs: Vec::new(),
            log_format_at: None,
            stick_tables_at: Vec::new(),
            rules: Vec::new(),
            rules_from: None,
            default_server: server::Draft::default(),
            servers: Vec::new(),
            default_backend_at: None,
            source: None,
            http_check: HttpCheck::default(),
            script: ScriptCheck::default(),
            program: ProgramCheck::default(),
            transparent: None,
            forward_for_at: None,
            error_pages: Vec::new(),
            saved: server_state::Wanted::default(),
            filters: Filters::default(),
            stats_at: None,
            stats_inherited: false,
            refused: Refused::default(),
        }
    }
}

impl Draft {
    /// The names in rules of this kind, but for those with `%[...]`, which are known when the request is.
    pub(super) fn named(&self, kind: RuleKind) -> impl Iterator<Item = (&str, Span)> {
        let rules = self.rules.iter().filter(move |rule| rule.kind == kind);
        rules
            .map(|rule| (rule.line.text(rule.start), rule.line.span(rule.start)))
            .filter(|(name, _)| !name.contains("%["))
    }
}

/// One `log` line of a proxy.
#[derive(Clone)]
pub(super) enum LogRef {
    /// `log global`.
    Global,
    /// A target of its own.
    Own(LogTarget),
}

/// A line that `lb_core::rules` compiles.
#[derive(Clone)]
pub(super) struct RuleLine {
    /// Which of its methods does.
    pub(super) kind: RuleKind,
    /// The line.
    pub(super) line: Arc<Line>,
    /// Index of the first word handed over.
    pub(super) start: usize,
    /// It stands in a `defaults` section.
    pub(super) inherited: bool,
}

/// Kinds of rule lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RuleKind {
    /// `acl`.
    Acl,
    /// `tcp-request`.
    TcpRequest,
    /// `tcp-response`.
    TcpResponse,
    /// `http-request`.
    HttpRequest,
    /// `http-response`.
    HttpResponse,
    /// `http-after-response`.
    HttpAfterResponse,
    /// `use_backend`.
    UseBackend,
    /// `use-server`.
    UseServer,
    /// `redirect`.
    Redirect,
    /// `block`.
    Block,
    /// `capture`.
    Capture,
    /// `declare capture`.
    Declare,
    /// `unique-id-format`.
    UniqueIdFormat,
    /// `unique-id-header`.
    UniqueIdHeader,
    /// `stick`.
    Stick,
    /// `monitor fail`.
    MonitorFail,
    /// `http-error`.
    HttpError,
    /// `force-persist`.
    ForcePersist,
    /// `ignore-persist`.
    IgnorePersist,
    /// `stats admin`.
    StatsAdmin,
    /// `stats http-request`.
    StatsAccess,
}
