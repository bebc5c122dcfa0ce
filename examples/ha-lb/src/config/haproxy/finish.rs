//! From a section's draft to the typed configuration: defaults applied, contradictions found.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use lb_core::{
    config::{BackendConfig, CheckKind, LogFormatKind, LogTarget, Mode, ProxyConfig, ServerConfig},
    expr::ProxyFacts,
    rules::ProxySide,
};

use super::{
    args::Context,
    document::Kind,
    draft::{Draft, LogRef},
    lexer::Line,
    proxy::Place,
    rules::{self, Named},
    stats,
};
use crate::config::diagnostic::Diagnostic;

/// A proxy section that was read.
pub(super) struct Pending {
    /// Kind and name.
    pub(super) place: Place,
    /// Its first line.
    pub(super) header: Line,
    /// What stood in it.
    pub(super) draft: Draft,
    /// Where its relative names of files begin, if not where the process was started.
    pub(super) directory: Option<PathBuf>,
}

impl Pending {
    /// As HAProxy's messages call it.
    pub(super) fn title(&self) -> String {
        self.place.title()
    }

    /// Adds what rules of others can refer to.
    pub(super) fn tell(&self, facts: &mut ProxyFacts) {
        facts.accepts |= self.accepts();
        if let Some(table) = &self.draft.proxy.stick_table {
            facts.table.get_or_insert(table.key);
        }
        if self.serves() {
            let servers = self.draft.servers.iter();
            let names = servers.map(|(server, _)| server.config.name.clone());
            facts.servers.get_or_insert_default().extend(names);
        }
    }

    /// Whether it accepts connections.
    pub(super) fn accepts(&self) -> bool {
        self.place.kind != Kind::Backend
    }

    /// Whether it has servers.
    pub(super) fn serves(&self) -> bool {
        self.place.kind != Kind::Frontend
    }

    /// The proxy with the number `id`.
    pub(super) fn finish(
        mut self,
        id: u32,
        global_logs: &[LogTarget],
        named: &Named<'_>,
        stick_tables: &mut Vec<Arc<str>>,
        context: &mut Context<'_>,
    ) -> ProxyConfig {
        self.check_mode(context);
        self.check_listeners(context);
        self.check_timeouts(context);
        let title = self.title();
        let side = match self.place.kind {
            Kind::Frontend => ProxySide::Frontend,
            Kind::Backend => ProxySide::Backend,
            _ => ProxySide::Listen,
        };
        let mode = self.draft.proxy.mode;
        let names = (self.place.name.as_str(), title.as_str());
        let compiled = rules::compile(&self.draft.rules, side, mode, names, named, context);
        stick_tables.extend(compiled.stick_tables);
        // Like HAProxy, which looks at nothing more of a proxy that does not run.
        let runs = !self.draft.proxy.disabled;
        if runs {
            rules::report_remarks(compiled.remarks, &self.draft.rules, context);
        }
        let backend = self.serves().then(|| self.backend(context));
        let frontend = self.accepts().then(|| {
            let mut frontend = std::mem::take(&mut self.draft.frontend);
            if frontend.default_backend.is_none() && backend.is_some() {
                frontend.default_backend = Some(Arc::from(self.place.name.as_str()));
            }
            frontend
        });
        let mut proxy = self.draft.proxy;
        proxy.name = Arc::from(self.place.name.as_str());
        proxy.id = id;
        proxy.frontend = frontend;
        proxy.backend = backend;
        proxy.rules = compiled.rules;
        if let Some(stats) = &mut proxy.stats {
            stats.admin = compiled.admin;
            stats.access = compiled.access;
            if let Some(finding) = stats::check(stats, &self.draft.rules).filter(|_| runs) {
                context.diagnostics.push(finding);
            }
        }
        for log in self.draft.logs {
            match log {
                LogRef::Global => proxy.logs.extend_from_slice(global_logs),
                LogRef::Own(target) => proxy.logs.push(target),
            }
        }
        if let Some(at) = self.draft.log_format_at
            && proxy.frontend.is_some()
            && proxy.logs.is_empty()
            && runs
        {
            let message = format!("log format ignored for {title} since it has no log address");
            context.diagnostics.push(Diagnostic::warning(at, message));
        }
        proxy
    }

    /// Takes away what needs HTTP from a proxy in TCP mode, in HAProxy's words.
    fn check_mode(&mut self, context: &mut Context<'_>) {
        let title = self.title();
        let (accepts, serves) = (self.accepts(), self.serves());
        let draft = &mut self.draft;
        if draft.proxy.mode == Mode::Http {
            return;
        }
        let header = self.header.span(0);
        let mut warn = |span: Option<_>, message: String| {
            let span = span.unwrap_or_else(|| header.clone());
            context.diagnostics.push(Diagnostic::warning(span, message));
        };
        if matches!(
            draft.proxy.log_format,
            LogFormatKind::Http | LogFormatKind::Https | LogFormatKind::Clf
        ) {
            if accepts {
                let option = match draft.proxy.log_format {
                    LogFormatKind::Https => "httpslog",
                    _ => "httplog",
                };
                let message = format!(
                    "'option {option}' not usable with {title} (needs 'mode http'). Falling back to 'option tcplog'"
                );
                warn(draft.log_format_at.clone(), message);
            }
            draft.proxy.log_format = LogFormatKind::Tcp;
        }
        if draft.proxy.forward_for.take().is_some() {
            let message =
                format!("'option forwardfor' ignored for {title} as it requires HTTP mode");
            warn(draft.forward_for_at.clone(), message);
        }
        if draft.proxy.stats.take().is_some() {
            let message = format!("'stats' statement ignored for {title} as it requires HTTP mode");
            warn(draft.stats_at.clone(), message);
        }
        if serves && draft.backend.cookie.take().is_some() {
            warn(
                None,
                format!("cookie will be ignored for {title} (needs 'mode http')"),
            );
        }
        if draft
            .servers
            .iter()
            .any(|(server, _)| server.config.cookie.is_some())
        {
            warn(
                None,
                format!("ignoring server cookies in {title} as HTTP mode is disabled"),
            );
            for (server, _) in &mut draft.servers {
                server.config.cookie = None;
            }
        }
        draft.proxy.monitor_uri = None;
    }

    fn check_listeners(&self, context: &mut Context<'_>) {
        if self.accepts() && self.draft.frontend.binds.is_empty() && !self.draft.refused.bind {
            let message = format!(
                "{} has no 'bind' directive. Please declare it as a backend if this was intended",
                self.title()
            );
            context
                .diagnostics
                .push(Diagnostic::warning(self.header.span(0), message));
        }
    }

    fn check_timeouts(&self, context: &mut Context<'_>) {
        let timeouts = &self.draft.proxy.timeouts;
        let mut missing = Vec::new();
        if self.accepts() && timeouts.client.is_none() {
            missing.push("client");
        }
        if self.serves() && !self.draft.servers.is_empty() {
            if timeouts.connect.is_none() {
                missing.push("connect");
            }
            let tunnel = self.draft.proxy.mode == Mode::Tcp && timeouts.tunnel.is_some();
            if timeouts.server.is_none() && !tunnel {
                missing.push("server");
            }
        }
        if !missing.is_empty() && !self.draft.refused.timeout {
            let message = format!(
                "missing timeouts for {}: '{}'",
                self.title(),
                missing.join("', '")
            );
            context.warn(
                self.header.span(0),
                message,
                "there is no limit; connections whose peer has vanished may stay for ever",
            );
        }
    }

    /// Steps of checks that ask for TLS themselves need to know whom to trust, be the server checked already or only
    /// once an operator says so; no other check needs that.
    fn secure_steps(&mut self, check: &CheckKind, context: &mut Context<'_>) {
        let asks = matches!(check, CheckKind::Script(script) if script.asks_for_tls())
            && !self.draft.proxy.disabled;
        for (server, line) in &mut self.draft.servers {
            if !asks {
                if let Some(check) = &mut server.config.check {
                    check.step_tls = None;
                }
            } else if !server.vouches_for_steps() {
                let message = format!(
                    "a step of the check asks for TLS, and server '{}' has no 'ca-file': its certificate would be \
                     verified by nobody",
                    server.config.name
                );
                let expected = "ca-file <file>, or `verify none` to trust any server";
                let finding = Diagnostic::error(line.clone(), message).expected(expected);
                context.diagnostics.push(finding);
            }
        }
    }

    fn backend(&mut self, context: &mut Context<'_>) -> BackendConfig {
        let draft = &mut self.draft;
        let mut backend = std::mem::take(&mut draft.backend);
        let title = self.place.title();
        if let Some(span) = draft.http_check.unused(&title) {
            context.warn(
                span.clone(),
                "'http-check' without 'option httpchk' is ignored",
                "servers are checked by a TCP connection",
            );
        }
        if let Some(span) = draft.script.unused(&title) {
            context.warn(
                span.clone(),
                "'tcp-check' without 'option tcp-check' is ignored",
                "servers are checked without these steps",
            );
        }
        let http = std::mem::take(&mut draft.http_check).finish();
        let other = std::mem::take(&mut draft.script).finish();
        let program = std::mem::take(&mut draft.program).finish();
        backend.check = match (http.or(other), program) {
            (Some(script), _) => CheckKind::Script(Arc::new(script)),
            (None, Some(program)) => CheckKind::External(program),
            (None, None) => CheckKind::Tcp,
        };
        if let Some(span) = &draft.transparent
            && !(draft.servers.is_empty() && draft.proxy.stats.is_some())
        {
            let message = "connections are not passed to their original destination";
            context.diagnostics.push(
                Diagnostic::error(span.clone(), message)
                    .found("transparent")
                    .expected("servers with addresses, and no `transparent`"),
            );
        }
        self.secure_steps(&backend.check, context);
        backend.servers = servers(&mut self.draft, context);
        backend
    }
}

/// The numbers of things of which some have one given, from `first` on. As HAProxy counts: a given number takes a
/// step too.
pub(super) fn numbers(first: u32, given: impl Iterator<Item = Option<u32>>) -> Vec<u32> {
    let given: Vec<Option<u32>> = given.collect();
    let taken: BTreeSet<u32> = given.iter().flatten().copied().collect();
    let mut next = first;
    let number = |given: &Option<u32>| {
        let number = given.unwrap_or_else(|| {
            while taken.contains(&next) {
                next += 1;
            }
            next
        });
        next += 1;
        number
    };
    given.iter().map(number).collect()
}

/// The servers with their numbers; a name that comes again gets a number of its own.
fn servers(draft: &mut Draft, context: &mut Context<'_>) -> Vec<ServerConfig> {
    let source = draft.source;
    let servers = std::mem::take(&mut draft.servers);
    for (server, _) in &servers {
        if let Some(finding) = server.watch.check_mode(draft.proxy.mode) {
            context.diagnostics.push(finding);
        }
    }
    let written: BTreeSet<Arc<str>> = servers
        .iter()
        .map(|(server, _)| server.config.name.clone())
        .collect();
    let mut first_at = std::collections::BTreeMap::new();
    let mut used = BTreeSet::new();
    let ids = numbers(1, servers.iter().map(|(server, _)| server.forced_id));
    let mut result: Vec<ServerConfig> = Vec::with_capacity(servers.len());
    for ((server, span), id) in servers.into_iter().zip(ids) {
        let mut config = server.config;
        if let Some(line) = first_at.get(&config.name) {
            let name = (2_u32..)
                .map(|number| Arc::<str>::from(format!("{}-{number}", config.name)))
                .find(|name| !used.contains(name) && !written.contains(name))
                .unwrap_or_else(|| config.name.clone());
            let message = format!(
                "another server named '{}' was already defined at line {line}",
                config.name
            );
            context.warn(span.clone(), message, format!("this one is named '{name}'"));
            config.name = name;
        } else {
            first_at.insert(config.name.clone(), span.line);
        }
        used.insert(config.name.clone());
        if result.iter().any(|other| other.id == id) {
            let message = format!("server id {id} is already in use");
            context.diagnostics.push(Diagnostic::error(span, message));
        }
        config.id = id;
        config.source = config.source.or(source);
        result.push(config);
    }
    result
}
