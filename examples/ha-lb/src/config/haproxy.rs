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
mod document;
mod draft;
mod finish;
mod global;
pub mod keywords;
mod lexer;
mod log;
mod obsolete;
mod option;
mod persistence;
mod proxy;
mod rules;
mod server;
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
    config::{Config, Mode, StoreKind},
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

/// Reads one or more files (in order, as `-f a -f b`; a directory stands for its `*.cfg` files) into one
/// configuration. `None` if there were errors.
pub fn load(paths: &[PathBuf], files: &dyn Files, diagnostics: &mut Diagnostics) -> Option<Config> {
    let errors = diagnostics.count(Severity::Error);
    let mut environment = Environment::new(files);
    let mut reader = Reader::default();
    for path in paths.iter().flat_map(|path| expand(path, files)) {
        let mut context = Context { files, diagnostics };
        match files.read(&path) {
            Ok(text) => reader.file(&path, &text, &mut environment, &mut context),
            Err(error) => context.diagnostics.push(Diagnostic::error(
                Span::whole_file(&path),
                format!("cannot open the configuration file: {error}"),
            )),
        }
    }
    let config = reader.finish(&mut Context { files, diagnostics });
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
fn expand(path: &Path, files: &dyn Files) -> Vec<PathBuf> {
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
    named_defaults: BTreeMap<String, Draft>,
    userlists: Vec<Userlist>,
    proxies: Vec<Pending>,
}

impl Reader {
    fn file(
        &mut self,
        path: &Path,
        text: &[u8],
        environment: &mut Environment<'_>,
        context: &mut Context<'_>,
    ) {
        let file: Arc<str> = Arc::from(path.to_string_lossy());
        let text = String::from_utf8_lossy(text);
        let lines = lexer::lex(&file, &text, environment, context.diagnostics);
        for section in document::sections(lines, context) {
            match section.kind {
                Kind::Global => global::read(&section, &mut self.global, context),
                Kind::Defaults => self.defaults(&section, context),
                Kind::Userlist => self.userlists.push(userlist::read(&section, context)),
                Kind::Frontend | Kind::Backend | Kind::Listen => self.proxy(section, context),
                Kind::Inert => {}
            }
        }
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
        let mut draft = self.ancestor(&mut args, context).unwrap_or_default();
        let place = Place {
            kind: Kind::Defaults,
            name: name.clone(),
        };
        let binds = self.binds();
        proxy::read(&section.lines, &place, binds, &mut draft, context);
        self.defaults = draft.clone();
        if !name.is_empty() && self.named_defaults.insert(name.clone(), draft).is_some() {
            context.warn(
                header.span(1),
                format!("defaults section '{name}' was already defined"),
                "the later one holds for the sections that follow",
            );
        }
    }

    /// The settings behind `from <name>`.
    fn ancestor(&self, args: &mut Args<'_>, context: &mut Context<'_>) -> Option<Draft> {
        if !args.skip("from") {
            return None;
        }
        let result = args.need("from", "the name of a defaults section");
        let name = context.collect(result)?;
        let found = self.named_defaults.get(name.text).cloned();
        if found.is_none() {
            let known = self.named_defaults.keys().map(String::as_str);
            context.diagnostics.push(
                Diagnostic::error(name.span, "this defaults section does not exist")
                    .found(name.text)
                    .expected("the name of a defaults section above")
                    .suggestion(keywords::closest(name.text, known)),
            );
        }
        found
    }

    fn binds(&self) -> bind::Defaults<'_> {
        bind::Defaults {
            crt_base: self.global.crt_base.as_deref(),
            tls: self.global.tls,
        }
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
                if let Some(ancestor) = self.ancestor(&mut args, context) {
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
        proxy::read(&lines, &place, self.binds(), &mut draft, context);
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
            let span = other.header.span(0);
            context.diagnostics.push(
                Diagnostic::error(
                    header.span(1),
                    format!(
                        "this name belongs to {} at {}:{}",
                        other.title(),
                        span.file,
                        span.line
                    ),
                )
                .found(place.name.as_str())
                .expected("a name of its own"),
            );
        }
    }

    fn finish(self, context: &mut Context<'_>) -> Config {
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
        let named = Named {
            userlists: &self.userlists,
            proxies: Arc::new(facts),
        };
        let mut stick_tables = Vec::new();
        let mut config = Config {
            global: self.global.global,
            proxies: Vec::with_capacity(self.proxies.len()),
        };
        for (pending, id) in self.proxies.into_iter().zip(ids) {
            if config.proxies.iter().any(|other| other.id == id) {
                let message = format!("proxy id {id} is already in use");
                context
                    .diagnostics
                    .push(Diagnostic::error(pending.header.span(0), message));
            }
            let logs = &config.global.logs;
            let proxy = pending.finish(id, logs, &named, &mut stick_tables, context);
            config.proxies.push(proxy);
        }
        // What `stick` lines remember is the server.
        let stuck = config
            .proxies
            .iter_mut()
            .filter(|p| stick_tables.contains(&p.name));
        for table in stuck.filter_map(|proxy| proxy.stick_table.as_mut()) {
            if !table.store.contains(&StoreKind::ServerId) {
                table.store.push(StoreKind::ServerId);
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
        let word = |mode| match mode {
            Mode::Tcp => "tcp",
            Mode::Http => "http",
        };
        let (front, back) = (frontend.draft.proxy.mode, backend.draft.proxy.mode);
        if front != back {
            let (front, back) = (word(front), word(back));
            let finding = Diagnostic::error(
                span,
                format!(
                    "{front} {} tries to use incompatible {back} {}",
                    frontend.title(),
                    backend.title()
                ),
            )
            .expected(format!("a backend with `mode {front}`"));
            context.diagnostics.push(match front {
                // HAProxy goes over to HTTP once the backend is chosen.
                "tcp" => finding.action(
                    "a connection cannot become HTTP in mid-course: give both the same mode",
                ),
                _ => finding,
            });
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

#[cfg(test)]
mod tests;
