//! One section after the other: whose defaults it takes over, what its name may be, who reads its lines.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{
    args::{Args, Context},
    cache,
    default_path::Based,
    document::{self, Kind, Section},
    draft::Draft,
    error_pages,
    finish::Pending,
    global, inherit, keywords,
    lexer::{self, Environment, Line},
    peers,
    proxy::{self, Place},
    resolvers,
    userlist::{self, Userlist},
};
use crate::config::diagnostic::{Diagnostic, Span};

/// What was read so far.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) global: global::Draft,
    /// The last `defaults` section.
    defaults: Draft,
    /// Those with a name, and where each of them begins: what two have in common cannot be referred to.
    named_defaults: BTreeMap<String, (Draft, Vec<Span>)>,
    /// Who has taken over rules of `defaults` sections.
    heirs: inherit::Heirs,
    pub(super) userlists: Vec<Userlist>,
    pub(super) http_errors: error_pages::Sections,
    pub(super) caches: lb_core::cache::Caches,
    pub(super) resolvers: Vec<lb_core::config::Resolvers>,
    pub(super) peers: Vec<peers::Draft>,
    pub(super) proxies: Vec<Pending>,
}

impl Reader {
    /// Whether the file ends the reading.
    pub(super) fn file(
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
        let variables = &self.global.variables;
        variables.change_environment(environment.changes());
        for section in document::sections(lexed.lines, context) {
            if section.kind == Kind::Global {
                global::read(&section, &mut self.global, context);
                continue;
            }
            let files = Based::new(context.files, self.global.default_path.directory(path));
            let context = &mut context.beside(&files);
            match section.kind {
                Kind::Defaults => self.defaults(&section, context),
                Kind::HttpErrors => {
                    self.http_errors
                        .extend([error_pages::section(&section, context)]);
                }
                Kind::Cache => {
                    if let Some(cache) = cache::read(&section, context) {
                        cache::add(&mut self.caches, &section, cache, context);
                    }
                }
                Kind::Peers => self.peers(&section, context),
                Kind::Resolvers => self.resolvers.push(resolvers::read(&section, context)),
                Kind::Userlist => self.userlists.push(userlist::read(&section, context)),
                Kind::Frontend | Kind::Backend | Kind::Listen => self.proxy(section, context),
                Kind::Global | Kind::Inert => {}
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
        draft.stats_inherited = draft.proxy.stats.is_some();
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
        for rule in &mut draft.rules {
            rule.inherited = true;
        }
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
        draft.stats_inherited = draft.proxy.stats.is_some();
        draft.default_server.tls_defaults = self.global.tls_to_servers();
        proxy::read(&lines, &place, &self.global.tls, &mut draft, context);
        let file = header.span(0).file;
        let directory = self.global.default_path.directory(Path::new(&*file));
        self.proxies.push(Pending {
            place,
            header,
            draft,
            directory,
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
}

/// As HAProxy names a line.
pub(super) fn at_line(span: &Span) -> String {
    format!("{}:{}", span.file, span.line)
}
