//! HAProxy's dialect: text -> words with places -> sections -> the balancer's typed configuration.
//!
//! Every line is kept until the end, every word knows its file, line and column, and each keyword of HAProxy 2.6
//! is known by name, so that nothing in a file is skipped in silence. Nothing here opens a socket or touches the
//! host: files, host names and environment variables come through [`Files`]. Read in this order: `lexer`,
//! `document`, `keywords`, `proxy`, `finish`.

mod address;
mod args;
mod balance;
mod bind;
mod check;
pub mod condition;
mod directive;
mod document;
mod draft;
pub mod dynamic;
mod error_pages;
mod finish;
mod global;
mod inherit;
pub mod keywords;
mod lexer;
mod log;
mod obsolete;
mod option;
mod peers;
mod persistence;
mod proxy;
mod resolvers;
mod rule_order;
mod rules;
mod script_check;
mod server;
mod server_state;
mod server_tls;
mod server_watch;
mod standin;
mod stats;
mod tls;
mod userlist;
mod value;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use lb_core::{
    config::{Config, Mode, PeersConfig, TlsCertificate, TlsSettings},
    expr::ProxyFacts,
};

use self::{
    args::{Args, Context},
    document::{Kind, Section},
    draft::{Draft, RuleKind},
    finish::Pending,
    lexer::{Environment, Line},
    proxy::Place,
    rules::Named,
    userlist::Userlist,
};
use super::{
    diagnostic::{Diagnostic, Diagnostics, Severity, Span},
    files::Files,
};

/// The certificates of one line of a `crt-list`, as it is written on a command line: `FILE [options] names`. `of_bind`
/// are the settings that the options change. The finding in words where it cannot be used.
pub fn certificate_list_line(
    text: &str,
    of_bind: &TlsSettings,
    files: &dyn Files,
) -> Result<Vec<TlsCertificate>, String> {
    let mut diagnostics = Diagnostics::new();
    let mut context = Context {
        files,
        diagnostics: &mut diagnostics,
    };
    tls::line(text, &tls::Words::of(of_bind), &mut context).map_err(|finding| finding.message)
}

/// Reads one or more files (in order, as `-f a -f b`; a directory stands for its `*.cfg` files) into one
/// configuration. `None` if there were errors.
pub fn load(paths: &[PathBuf], files: &dyn Files, diagnostics: &mut Diagnostics) -> Option<Config> {
    let errors = diagnostics.count(Severity::Error);
    let warnings = diagnostics.count(Severity::Warning);
    let mut environment = Environment::new(files);
    let mut reader = Reader::default();
    let expanded: Vec<PathBuf> = paths.iter().flat_map(|path| expand(path, files)).collect();
    // A reload must not take an emptied directory for a configuration without proxies.
    if let (true, Some(directory)) = (expanded.is_empty(), paths.first()) {
        diagnostics.push(Diagnostic::error(
            Span::whole_file(directory),
            "the directory holds no file whose name ends in .cfg",
        ));
    }
    for path in expanded {
        let mut context = Context { files, diagnostics };
        match files.read(&path) {
            Ok(text) => {
                if reader.file(&path, &text, &mut environment, &mut context) {
                    // What follows was perhaps not meant to be read as it stands: nothing more is said of it.
                    return None;
                }
            }
            Err(error) => context.diagnostics.push(Diagnostic::error(
                Span::whole_file(&path),
                format!("cannot open the configuration file: {error}"),
            )),
        }
    }
    let zero_warning = reader.global.zero_warning.clone();
    let config = reader.finish(&mut Context { files, diagnostics });
    if let Some(span) = zero_warning
        && diagnostics.count(Severity::Warning) > warnings
    {
        let message = "Some warnings were found and 'zero-warning' is set. Aborting.";
        diagnostics.push(Diagnostic::error(span, message));
    }
    (diagnostics.count(Severity::Error) == errors).then_some(config)
}

/// Parses arbitrary bytes as a configuration file: the body of a fuzz target. Must not panic.
pub fn fuzz(data: &[u8]) {
    let path = PathBuf::from("fuzz.cfg");
    let files = super::files::Bundle::default().with_file(path.clone(), data);
    let mut diagnostics = Diagnostics::new();
    let config = load(&[path], &files, &mut diagnostics);
    debug_assert_eq!(config.is_none(), diagnostics.has_errors());
}

/// A directory's `*.cfg` files in lexical order, or the file itself.
pub fn expand(path: &Path, files: &dyn Files) -> Vec<PathBuf> {
    let Ok(entries) = files.list(path) else {
        return vec![path.to_owned()];
    };
    let hidden = |path: &Path| {
        path.file_name()
            .is_none_or(|name| name.to_string_lossy().starts_with('.'))
    };
    entries
        .into_iter()
        .filter(|entry| entry.extension().is_some_and(|e| e == "cfg") && !hidden(entry))
        .collect()
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    global: global::Draft,
    /// The last `defaults` section.
    defaults: Draft,
    /// Those with a name, and where each of them begins: what two have in common cannot be referred to.
    named_defaults: BTreeMap<String, (Draft, Vec<Span>)>,
    /// Who has taken over rules of `defaults` sections.
    heirs: inherit::Heirs,
    userlists: Vec<Userlist>,
    http_errors: error_pages::Sections,
    resolvers: Vec<lb_core::config::Resolvers>,
    peers: Vec<peers::Draft>,
    proxies: Vec<Pending>,
}

impl Reader {
    /// Whether the file ends the reading.
    fn file(
        &mut self,
        path: &Path,
        text: &[u8],
        environment: &mut Environment<'_>,
        context: &mut Context<'_>,
    ) -> bool {
        let file: Arc<str> = Arc::from(path.to_string_lossy());
        let text = String::from_utf8_lossy(text);
        lexer::check_end(&file, &text, context.diagnostics);
        let lexed = lexer::lex(&file, &text, environment, context.diagnostics);
        for section in document::sections(lexed.lines, context) {
            match section.kind {
                Kind::Global => global::read(&section, &mut self.global, context),
                Kind::Defaults => self.defaults(&section, context),
                Kind::HttpErrors => {
                    self.http_errors
                        .extend([error_pages::section(&section, context)]);
                }
                Kind::Peers => self.peers(&section, context),
                Kind::Resolvers => self.resolvers.push(resolvers::read(&section, context)),
                Kind::Userlist => self.userlists.push(userlist::read(&section, context)),
                Kind::Frontend | Kind::Backend | Kind::Listen => self.proxy(section, context),
                Kind::Inert => {}
            }
        }
        lexed.stopped
    }

    fn defaults(&mut self, section: &Section, context: &mut Context<'_>) {
        let header = &section.header;
        let mut args = Args::new(header, 1);
        let name = match args.peek() {
            "" | "from" => String::new(),
            name => {
                args.take();
                name.to_owned()
            }
        };
        let place = Place {
            kind: Kind::Defaults,
            name: name.clone(),
        };
        let ancestor = self.ancestor(&mut args, &place, context);
        let mut draft = ancestor.unwrap_or_default();
        inherit::check(&place, header, &draft, &mut self.heirs, context);
        draft.rules_from = Some(header.span(0));
        draft.default_server.tls_defaults = self.global.tls_to_servers();
        proxy::read(
            &section.lines,
            &place,
            &self.global.tls,
            &mut draft,
            context,
        );
        self.defaults = draft.clone();
        if !name.is_empty() {
            let entry = self.named_defaults.entry(name);
            let (newest, places) = entry.or_insert_with(|| (draft.clone(), Vec::new()));
            *newest = draft;
            places.push(header.span(0));
        }
    }

    /// The settings behind `from <name>`.
    fn ancestor(
        &self,
        args: &mut Args<'_>,
        place: &Place,
        context: &mut Context<'_>,
    ) -> Option<Draft> {
        if !args.skip("from") {
            return None;
        }
        let result = args.need("from", "the name of a defaults section");
        let name = context.collect(result)?;
        let of = match place.kind {
            Kind::Defaults => "defaults",
            _ => "proxy",
        };
        let finding = match self.named_defaults.get(name.text) {
            Some((draft, places)) if places.len() == 1 => return Some(draft.clone()),
            Some((_, places)) => {
                let places: Vec<String> = places.iter().map(at_line).collect();
                Diagnostic::error(
                    name.span,
                    format!(
                        "ambiguous defaults section name '{}' referenced by {of} '{}' exists at least at {}",
                        name.text,
                        place.name,
                        places.join(" and ")
                    ),
                )
            }
            None => {
                let known = self.named_defaults.keys().map(String::as_str);
                let message = format!(
                    "defaults section '{}' not found for {of} '{}'",
                    name.text, place.name
                );
                Diagnostic::error(name.span, message)
                    .expected("the name of a defaults section above")
                    .suggestion(keywords::closest(name.text, known))
            }
        };
        context.diagnostics.push(finding);
        None
    }

    fn proxy(&mut self, section: Section, context: &mut Context<'_>) {
        let header = section.header;
        let place = Place {
            kind: section.kind,
            name: header.text(1).to_owned(),
        };
        self.check_name(&header, &place, context);
        let mut args = Args::new(&header, 2);
        let mut lines = section.lines;
        let mut draft = self.defaults.clone();
        match args.peek() {
            "" => {}
            "from" => {
                if let Some(ancestor) = self.ancestor(&mut args, &place, context) {
                    draft = ancestor;
                }
            }
            address if place.kind != Kind::Backend => {
                let what = format!("the address of '{}' stands in its first line", place.name);
                context.warn(header.span(2), what, "it is read as a `bind` line");
                lines.insert(0, header.rewritten(2, &["bind", address]));
            }
            other => context.diagnostics.push(
                Diagnostic::error(header.span(2), "unknown word behind the backend's name")
                    .found(other)
                    .expected("from <defaults>"),
            ),
        }
        inherit::check(&place, &header, &draft, &mut self.heirs, context);
        draft.default_server.tls_defaults = self.global.tls_to_servers();
        proxy::read(&lines, &place, &self.global.tls, &mut draft, context);
        self.proxies.push(Pending {
            place,
            header,
            draft,
        });
    }

    fn check_name(&self, header: &Line, place: &Place, context: &mut Context<'_>) {
        let permitted = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        if let Some(c) = place.name.chars().find(|c| !permitted(*c)) {
            context.diagnostics.push(
                Diagnostic::error(
                    header.span(1),
                    format!(
                        "character '{}' is not permitted in a name",
                        c.escape_default()
                    ),
                )
                .found(place.name.as_str())
                .expected("letters, digits, `-`, `_`, `.` and `:`"),
            );
        }
        // A frontend and a backend may share a name; two that accept, or two that serve, may not.
        let (accepts, serves) = (place.kind != Kind::Backend, place.kind != Kind::Frontend);
        let same = self.proxies.iter().find(|other| {
            other.place.name == place.name
                && ((accepts && other.accepts()) || (serves && other.serves()))
        });
        if let Some(other) = same {
            let message = format!(
                "{} has the same name as {} declared at {}",
                place.title(),
                other.title(),
                at_line(&other.header.span(0))
            );
            context
                .diagnostics
                .push(Diagnostic::error(header.span(1), message).expected("a name of its own"));
        }
    }

    fn finish(mut self, context: &mut Context<'_>) -> Config {
        server_watch::resolve_tracks(&mut self.proxies, context);
        peers::check(&mut self.proxies, &self.peers, context);
        for pending in &mut self.proxies {
            error_pages::complete(&mut pending.draft, &self.http_errors, context);
        }
        for (server, _) in self.proxies.iter().flat_map(|p| &p.draft.servers) {
            if let Some(finding) = server.names.check(&self.resolvers) {
                context.diagnostics.push(finding);
            }
        }
        self.check_targets(context);
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
            error_files: Arc::new(self.http_errors),
        };
        let mut stick_tables = Vec::new();
        let mut state_files = server_state::Tables::default();
        let mut config = Config {
            global: self.global.global,
            proxies: Vec::with_capacity(self.proxies.len()),
            resolvers: self.resolvers,
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
            let proxy = pending.finish(id, logs, &named, &mut stick_tables, context);
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

/// As HAProxy names a line.
fn at_line(span: &Span) -> String {
    format!("{}:{}", span.file, span.line)
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

#[cfg(test)]
mod tests;
