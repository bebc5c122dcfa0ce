//! What can be done once every section was read: references are resolved, and the typed configuration is built.

use std::{collections::BTreeMap, sync::Arc};

use lb_core::{
    config::{Config, Mode, PeersConfig},
    expr::ProxyFacts,
};

use super::{
    args::Context,
    default_path::Based,
    draft::RuleKind,
    error_pages,
    finish::{self, Pending},
    keywords, peers, persistence,
    reader::Reader,
    rules::Named,
    server_state, server_watch,
};
use crate::config::diagnostic::{Diagnostic, Span};

impl Reader {
    pub(super) fn finish(mut self, context: &mut Context<'_>) -> Config {
        let drafts = self.proxies.iter_mut().map(|pending| &mut pending.draft);
        for bind in drafts.flat_map(|draft| &mut draft.frontend.binds) {
            self.global.unix_bind.complete(bind);
        }
        server_watch::resolve_tracks(&mut self.proxies, context);
        peers::check(&mut self.proxies, &self.peers, context);
        for pending in &mut self.proxies {
            error_pages::complete(&mut pending.draft, &self.http_errors, context);
            let (title, filters) = (pending.title(), &pending.draft.filters);
            filters.check(&title, &self.caches, context);
            if pending.serves() {
                let program = &pending.draft.program;
                program.check(&title, self.global.programs, context);
            }
        }
        for (server, _) in self.proxies.iter().flat_map(|p| &p.draft.servers) {
            if let Some(finding) = server.names.check(&self.resolvers) {
                context.diagnostics.push(finding);
            }
        }
        self.check_targets(context);
        self.check_tables(context);
        for list in &self.userlists {
            let rules = self.proxies.iter().flat_map(|proxy| &proxy.draft.rules);
            list.check(rules, context);
        }
        // HAProxy gives 1 to the statistics sockets.
        let forced = self.proxies.iter().map(|proxy| proxy.draft.forced_id);
        let ids = finish::numbers(2, forced);
        let mut facts: BTreeMap<Arc<str>, ProxyFacts> = BTreeMap::new();
        for pending in &self.proxies {
            pending.tell(facts.entry(pending.place.name.as_str().into()).or_default());
        }
        let shared = self.peers.iter().flat_map(peers::Draft::tables);
        for (name, key) in shared {
            facts.entry(name).or_default().table = Some(key);
        }
        let local = self.local_peer(context);
        let named = Named {
            userlists: &self.userlists,
            proxies: Arc::new(facts),
            files: Arc::default(),
            caches: Arc::new(self.caches),
            resolvers: Arc::new(self.resolvers.iter().map(|r| Arc::clone(&r.name)).collect()),
            error_files: Arc::new(self.http_errors),
        };
        let mut stick_tables = Vec::new();
        let mut state_files = server_state::Tables::default();
        let mut config = Config {
            global: self.global.global,
            proxies: Vec::with_capacity(self.proxies.len()),
            resolvers: self.resolvers,
            caches: Arc::clone(&named.caches),
            pattern_files: Arc::clone(&named.files),
            saved_servers: Vec::new(),
            variables: self.global.variables,
        };
        for (pending, id) in self.proxies.into_iter().zip(ids) {
            if config.proxies.iter().any(|other| other.id == id) {
                let message = format!("proxy id {id} is already in use");
                context
                    .diagnostics
                    .push(Diagnostic::error(pending.header.span(0), message));
            }
            let logs = &config.global.logs;
            let saved = pending.draft.saved.clone();
            let based = Based::new(context.files, pending.directory.clone());
            let mut at_home = context.beside(&based);
            let proxy = pending.finish(id, logs, &named, &mut stick_tables, &mut at_home);
            let saved = saved.load(&proxy, &self.global.states, &mut state_files, context);
            config.saved_servers.extend(saved);
            config.proxies.push(proxy);
        }
        peers::add(&mut config, self.peers, &local, context);
        // What `stick` lines remember is the server.
        for proxy in &mut config.proxies {
            let used = stick_tables.contains(&proxy.name);
            if let Some(table) = proxy.stick_table.as_mut().filter(|_| used) {
                persistence::remembers_servers(table);
            }
            if let Some(section) = &mut proxy.peers {
                let mut changed = PeersConfig::clone(section);
                for (name, table) in &mut changed.tables {
                    if stick_tables.contains(&section.table_name(name)) {
                        persistence::remembers_servers(table);
                    }
                }
                *section = Arc::new(changed);
            }
        }
        config
    }

    /// Every backend that a rule names must exist and understand what the frontend does.
    fn check_targets(&self, context: &mut Context<'_>) {
        for pending in self.proxies.iter().filter(|pending| pending.accepts()) {
            let draft = &pending.draft;
            let mut targets: Vec<(&str, &str, Span)> = Vec::new();
            if let (Some(name), Some(span)) =
                (&draft.frontend.default_backend, &draft.default_backend_at)
            {
                targets.push(("default_backend", name, span.clone()));
            }
            for (name, span) in draft.named(RuleKind::UseBackend) {
                targets.push(("use_backend", name, span));
            }
            for (keyword, name, span) in targets {
                self.check_target(pending, keyword, name, span, context);
            }
        }
        let complete = |pending: &&Pending| pending.serves() && !pending.draft.refused.server;
        for pending in self.proxies.iter().filter(complete) {
            check_servers(pending, context);
        }
    }

    /// A stick table is called as its section is, and there is one of a name.
    fn check_tables(&self, context: &mut Context<'_>) {
        let mut known: BTreeMap<&str, (&Pending, &Span)> = BTreeMap::new();
        for pending in &self.proxies {
            let name = pending.place.name.as_str();
            for at in &pending.draft.stick_tables_at {
                let Some((other, there)) = known.get(name) else {
                    known.insert(name, (pending, at));
                    continue;
                };
                let (title, file, line) = (other.title(), &there.file, there.line);
                let message = format!(
                    "stick-table name '{name}' conflicts with table declared in {title} at {file}:{line}"
                );
                let finding = Diagnostic::error(at.clone(), message);
                let finding = finding.expected("one stick-table of a name");
                context.diagnostics.push(finding);
            }
        }
    }

    fn check_target(
        &self,
        frontend: &Pending,
        keyword: &str,
        name: &str,
        span: Span,
        context: &mut Context<'_>,
    ) {
        let backends = || self.proxies.iter().filter(|proxy| proxy.serves());
        let Some(backend) = backends().find(|proxy| proxy.place.name == name) else {
            let names = backends().map(|proxy| proxy.place.name.as_str());
            context.diagnostics.push(
                Diagnostic::error(
                    span,
                    format!("{}: unable to find required {keyword}", frontend.title()),
                )
                .found(name)
                .expected("the name of a backend or listen section")
                .suggestion(keywords::closest(name, names)),
            );
            return;
        };
        let (front, back) = (frontend.draft.proxy.mode, backend.draft.proxy.mode);
        // A connection that was accepted in TCP mode becomes HTTP once such a backend is chosen.
        if (front, back) == (Mode::Http, Mode::Tcp) {
            let message = format!(
                "http {} tries to use incompatible tcp {}",
                frontend.title(),
                backend.title()
            );
            context
                .diagnostics
                .push(Diagnostic::error(span, message).expected("a backend with `mode http`"));
        }
    }
}

/// Every server that a rule names must exist.
fn check_servers(backend: &Pending, context: &mut Context<'_>) {
    let servers = || {
        let servers = backend.draft.servers.iter();
        servers.map(|(server, _)| &*server.config.name)
    };
    for (name, span) in backend.draft.named(RuleKind::UseServer) {
        if !servers().any(|server| server == name) {
            let message = format!(
                "{}: unable to find server '{name}' referenced in a 'use-server' rule",
                backend.title()
            );
            let finding = Diagnostic::error(span, message)
                .found(name)
                .expected("the name of a server of this section");
            context
                .diagnostics
                .push(finding.suggestion(keywords::closest(name, servers())));
        }
    }
}
