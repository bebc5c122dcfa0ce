//! Lines of `defaults`, `frontend`, `backend` and `listen` (configuration manual §4).

use std::sync::Arc;

use lb_core::{
    compression::Algorithm,
    config::{HttpReuse, LogFormatKind, Mode, ProxyConfig},
};

use super::{
    args::{Admitted, Arg, Args, Context, Parsed, admit, arity},
    balance, bind,
    cache::Filter,
    document::Kind,
    draft::{Draft, LogRef, RuleKind, RuleLine},
    error_pages,
    keywords::{PROXY, Places},
    lexer::Line,
    log, obsolete, option, persistence, rule_order, server, stats, tls, value,
};
use crate::config::diagnostic::Diagnostic;

/// Where a line stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The kind of section.
    pub(super) kind: Kind,
    /// Its name; empty for anonymous defaults.
    pub(super) name: String,
}

impl Place {
    /// The places that a keyword must have one of.
    pub(super) fn bits(&self) -> Places {
        match (self.kind, self.name.as_str()) {
            (Kind::Frontend, _) => Places::FRONTEND,
            (Kind::Backend, _) => Places::BACKEND,
            (Kind::Listen, _) => Places::LISTEN,
            (_, "") => Places::DEFAULTS,
            _ => Places::ANY_DEFAULTS,
        }
    }

    /// As HAProxy's messages call it.
    pub(super) fn title(&self) -> String {
        let kind = match self.kind {
            Kind::Frontend => "frontend",
            Kind::Backend => "backend",
            _ => "proxy",
        };
        format!("{kind} '{}'", self.name)
    }

    /// Whether it is a `backend` section.
    pub(super) fn is_backend(&self) -> bool {
        self.kind == Kind::Backend
    }

    fn section(&self) -> &'static str {
        match self.kind {
            Kind::Frontend => "frontend",
            Kind::Backend => "backend",
            Kind::Listen => "listen",
            _ => "defaults",
        }
    }
}

/// Whether a keyword has no effect where it stands, which is warned about in HAProxy's words; an error where it
/// may not stand at all.
pub(super) fn misplaced(
    context: &mut Context<'_>,
    word: &Arg<'_>,
    what: &str,
    places: Places,
    place: &Place,
) -> Parsed<bool> {
    if places.meets(place.bits()) {
        return Ok(false);
    }
    let (section, name) = (place.section(), &place.name);
    let capability = match place.kind {
        Kind::Frontend => "backend",
        Kind::Backend => "frontend",
        _ => {
            let named = if places.meets(Places::NAMED_DEFAULTS) {
                "anonymous "
            } else {
                ""
            };
            let message = format!("'{what}' not allowed in {named}'defaults' section");
            return Err(Box::new(Diagnostic::error(word.span.clone(), message)));
        }
    };
    if matches!(word.text, "server" | "server-template") {
        let message = format!(
            "'{what}' not allowed because {section} '{name}' has no {capability} capability"
        );
        return Err(Box::new(Diagnostic::error(word.span.clone(), message)));
    }
    context.diagnostics.push(Diagnostic::warning(
        word.span.clone(),
        format!("'{what}' ignored because {section} '{name}' has no {capability} capability"),
    ));
    Ok(true)
}

/// Reads the lines of one section into `draft`.
pub(super) fn read(
    lines: &[Line],
    place: &Place,
    binds: &tls::Defaults,
    draft: &mut Draft,
    context: &mut Context<'_>,
) {
    let inherited = draft.rules.len();
    for line in lines {
        let mut reader = Reader {
            args: Args::new(line, 0),
            place,
            binds,
            inherited,
            draft: &mut *draft,
        };
        let result = reader.line(context);
        if context.collect(result).is_none() {
            let refused = &mut draft.refused;
            match line.text(0) {
                "bind" => refused.bind = true,
                "server" | "server-template" | "dispatch" => refused.server = true,
                "timeout" | "clitimeout" | "contimeout" | "srvtimeout" => refused.timeout = true,
                _ => {}
            }
        }
    }
}

struct Reader<'r, 'l> {
    args: Args<'l>,
    place: &'r Place,
    binds: &'r tls::Defaults,
    /// Rules that came from defaults.
    inherited: usize,
    draft: &'r mut Draft,
}

impl Reader<'_, '_> {
    fn line(&mut self, context: &mut Context<'_>) -> Parsed<()> {
        let negated = self.args.left() > 1 && self.args.skip("no");
        let word = self.args.need("no", "option or log")?;
        let language = format!("keyword '{{}}' in '{}' section", self.place.section());
        let entry = match admit(context, PROXY, &word, &language)? {
            Admitted::Use(entry) => entry,
            Admitted::Skip(_) => return Ok(()),
        };
        if misplaced(context, &word, word.text, entry.places, self.place)? {
            return Ok(());
        }
        match (negated, word.text) {
            (false, _) => arity(&self.args, word.text, entry)?,
            (true, "option") => {}
            (true, "log") => {
                self.draft.logs.clear();
                return self.args.end("no log");
            }
            (true, _) => {
                return Err(
                    word.refuse("'no' does not go with this keyword", "no option or no log")
                );
            }
        }
        match word.text {
            "option" => option::read(&mut self.args, negated, self.place, self.draft, context),
            "timeout" => option::timeout(&mut self.args, self.place, self.draft, context),
            "stats" => stats::read(&mut self.args, self.draft, context),
            name => match rule_kind(name) {
                Some(kind) => {
                    self.rule(kind, context);
                    Ok(())
                }
                None => self.keyword(&word, context),
            },
        }
    }

    fn rule(&mut self, kind: RuleKind, context: &mut Context<'_>) {
        let rule = RuleLine {
            kind,
            line: Arc::new(self.args.line().clone()),
            start: self.args.position(),
            inherited: false,
        };
        let before = self.draft.rules.get(self.inherited..).unwrap_or_default();
        rule_order::check(&rule, before, context);
        let (line, start) = (&rule.line, rule.start);
        if matches!(line.text(start), "cache-use" | "cache-store") {
            let (name, place) = (line.text(start + 1).to_owned(), line.span(start + 1));
            self.draft.filters.add(Filter::Implied(name, place));
        }
        self.draft.rules.push(rule);
    }

    /// Everything else: what concerns the frontend half here, the rest further down.
    fn keyword(&mut self, word: &Arg<'_>, context: &mut Context<'_>) -> Parsed<()> {
        let (args, draft) = (&mut self.args, &mut *self.draft);
        let name = word.text;
        let frontend = &mut draft.frontend;
        match name {
            "bind" => frontend
                .binds
                .extend(bind::read(args, self.binds, context)?),
            "backlog" => frontend.backlog = Some(number(args, name, 0)?),
            "maxconn" => frontend.maxconn = Some(number(args, name, 0)?).filter(|n| *n > 0),
            "rate-limit" => {
                let arg = args.need(name, "sessions")?;
                if arg.text != "sessions" {
                    return Err(arg.refuse("unknown rate", "sessions"));
                }
                frontend.rate_limit = Some(number(args, name, 0)?).filter(|n| *n > 0);
            }
            "default_backend" => {
                let arg = args.need(name, "a backend")?;
                frontend.default_backend = Some(arg.text.into());
                draft.default_backend_at = Some(arg.span);
            }
            "monitor-uri" => draft.proxy.monitor_uri = Some(text(args, name)?),
            "monitor" => {
                let arg = args.need(name, "fail")?;
                if arg.text != "fail" {
                    return Err(arg.refuse("unknown word behind 'monitor'", "fail"));
                }
                self.rule(RuleKind::MonitorFail, context);
            }
            "monitor-net" => obsolete::monitor_net(args, draft)?,
            "log-format" | "log-format-sd" | "error-log-format" => {
                let arg = args.need(name, "a format")?;
                lb_core::log::LogFormat::parse(arg.text).map_err(|error| {
                    let mut finding = Diagnostic::error(arg.span.clone(), error.message);
                    finding.expected = error.expected;
                    Box::new(finding)
                })?;
                match name {
                    "log-format-sd" => {
                        draft.proxy.log_format_sd = Some(arg.text.into());
                        draft.log_format_at.get_or_insert(arg.span);
                    }
                    "error-log-format" => draft.proxy.error_log_format = Some(arg.text.into()),
                    _ => {
                        draft.proxy.log_format = LogFormatKind::Custom(arg.text.into());
                        draft.log_format_at = Some(arg.span);
                    }
                }
            }
            _ => return self.common(word, context),
        }
        Ok(())
    }

    fn common(&mut self, word: &Arg<'_>, context: &mut Context<'_>) -> Parsed<()> {
        let (args, draft) = (&mut self.args, &mut *self.draft);
        let name = word.text;
        let proxy = &mut draft.proxy;
        match name {
            "mode" => {
                let arg = args.need(name, "tcp or http")?;
                proxy.mode = match arg.text {
                    "tcp" => Mode::Tcp,
                    "http" => Mode::Http,
                    "health" => return Err(arg.refuse("'mode health' was removed", "tcp or http")),
                    _ => return Err(arg.refuse("unknown proxy mode", "tcp or http")),
                };
            }
            "disabled" => proxy.disabled = true,
            "enabled" => proxy.disabled = false,
            "id" => draft.forced_id = Some(number(args, name, 1)?),
            "log" if args.peek() == "global" => {
                args.take();
                args.end("log global")?;
                draft.logs.push(LogRef::Global);
            }
            "log" => draft.logs.push(LogRef::Own(log::target(args, context)?)),
            "load-server-state-from-file" | "server-state-file-name" => {
                draft.saved.read(name, args)?;
            }
            "log-tag" => proxy.log_tag = Some(text(args, name)?),
            "errorfile" => {
                let (status, page) = error_pages::file(args, context)?;
                let page = error_pages::Wanted::Page(status, Arc::new(page));
                draft.error_pages.push(page);
            }
            "errorfiles" => draft.error_pages.push(error_pages::of_section(args)?),
            "errorloc" | "errorloc302" => error_pages::location("302 Found", args, draft)?,
            "errorloc303" => error_pages::location("303 See Other", args, draft)?,
            "compression" => compression(args, proxy)?,
            "stick-table" => {
                proxy.stick_table = Some(persistence::stick_table(args, context)?);
                draft.stick_tables_at.push(word.span.clone());
            }
            "reqadd" => obsolete::add_header(args, RuleKind::HttpRequest, draft)?,
            "rspadd" => obsolete::add_header(args, RuleKind::HttpResponse, draft)?,
            "reqdel" | "reqidel" => obsolete::del_header(args, RuleKind::HttpRequest, draft)?,
            "rspdel" | "rspidel" => obsolete::del_header(args, RuleKind::HttpResponse, draft)?,
            "reqrep" | "reqirep" => obsolete::replace(args, RuleKind::HttpRequest, draft)?,
            "rsprep" | "rspirep" => obsolete::replace(args, RuleKind::HttpResponse, draft)?,
            "clitimeout" | "contimeout" | "srvtimeout" => {
                let arg = args.need(name, "a time")?;
                option::set_timeout(name, &arg, draft, context)?;
            }
            _ => return self.backend(word, context),
        }
        Ok(())
    }

    fn backend(&mut self, word: &Arg<'_>, context: &mut Context<'_>) -> Parsed<()> {
        let (args, draft) = (&mut self.args, &mut *self.draft);
        let name = word.text;
        let backend = &mut draft.backend;
        match name {
            "balance" => balance::algorithm(args, backend, &mut draft.proxy.buffer_request)?,
            "cookie" => backend.cookie = Some(persistence::cookie(args)?),
            "persist" => backend.rdp_cookie = Some(persistence::rdp_cookie(args)?),
            "dynamic-cookie-key" => {
                let key = args.need(name, "a key")?;
                backend.dynamic_cookie_key = Some(key.text.into());
            }
            "default-server" => draft.default_server.options(args, context)?,
            "fullconn" => backend.fullconn = Some(number(args, name, 1)?),
            "retries" => backend.retries = number(args, name, 0)?,
            "redispatch" => backend.redispatch = Some(-1),
            "transparent" => draft.transparent = Some(word.span.clone()),
            "external-check" => draft.program.line(args)?,
            "http-check" => draft.http_check.line(args, &self.place.title(), context)?,
            "tcp-check" => draft.script.line(args, &self.place.title(), context)?,
            "http-send-name-header" => {
                backend.send_name_header =
                    Some(persistence::name_header(&args.need(name, "a header")?)?);
            }
            "http-reuse" => backend.http_reuse = balance::reuse(args)?,
            "hash-type" => balance::hash_type(args, &mut backend.hash)?,
            "hash-balance-factor" => balance::balance_factor(args, &mut backend.hash)?,
            "retry-on" => backend.retry_on = balance::retry_on(args)?,
            "source" => {
                let arg = args.need(name, "an address")?;
                draft.source = Some(server::source(&arg, context)?);
                server::use_source(args, context)?;
                args.end(name)?;
            }
            "filter" => draft.filters.add(filter(args, context)?),
            "server" => {
                let server = server::read(args, &draft.default_server, context)?;
                self.add(server);
            }
            "server-template" => {
                for server in server::template(args, &draft.default_server, context)? {
                    self.add(server);
                }
            }
            "dispatch" => {
                let address = text(args, name)?;
                // Nobody checks it, so nobody has to vouch for what a check would find; `default-server` says nothing of it.
                let words = ["server", "dispatch", &address, "verify", "none"];
                let line = args.line().rewritten(1, &words);
                let usual = Default::default();
                let server = server::read(&mut Args::new(&line, 1), &usual, context)?;
                // Its connections stay with their clients.
                backend.http_reuse = HttpReuse::Never;
                self.add(server);
            }
            "description" => {
                let words = std::iter::from_fn(|| args.take()).map(|arg| arg.text);
                let words: Vec<&str> = words.collect();
                draft.proxy.description = Some(words.join(" "));
            }
            // `grace` and `bind-process` were warned about.
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, server: server::Draft) {
        self.draft.servers.push((server, self.args.line().span(1)));
    }
}

/// `compression algo|type|offload`; lines of a kind add up.
fn compression(args: &mut Args<'_>, proxy: &mut ProxyConfig) -> Parsed<()> {
    let compression = Arc::make_mut(proxy.compression.get_or_insert_default());
    let word = args.need("compression", "algo, type or offload")?;
    match word.text {
        "offload" => compression.offload = true,
        "algo" => {
            while let Some(arg) = args.take() {
                let algorithm = Algorithm::named(arg.text).ok_or_else(|| {
                    let message = format!("'{}' is not a supported algorithm", arg.text);
                    arg.refuse(message, "identity, gzip, deflate or raw-deflate")
                })?;
                compression.algorithms.push(algorithm);
            }
        }
        "type" => {
            while let Some(arg) = args.take() {
                compression.types.push(arg.text.into());
            }
        }
        _ => return Err(word.refuse("unknown word behind 'compression'", "algo, type or offload")),
    }
    Ok(())
}

fn rule_kind(name: &str) -> Option<RuleKind> {
    Some(match name {
        "acl" => RuleKind::Acl,
        "tcp-request" => RuleKind::TcpRequest,
        "tcp-response" => RuleKind::TcpResponse,
        "http-request" => RuleKind::HttpRequest,
        "http-response" => RuleKind::HttpResponse,
        "http-after-response" => RuleKind::HttpAfterResponse,
        "use_backend" => RuleKind::UseBackend,
        "use-server" => RuleKind::UseServer,
        "redirect" => RuleKind::Redirect,
        "block" => RuleKind::Block,
        "capture" => RuleKind::Capture,
        "declare" => RuleKind::Declare,
        "unique-id-format" => RuleKind::UniqueIdFormat,
        "unique-id-header" => RuleKind::UniqueIdHeader,
        "stick" => RuleKind::Stick,
        "http-error" => RuleKind::HttpError,
        "force-persist" => RuleKind::ForcePersist,
        "ignore-persist" => RuleKind::IgnorePersist,
        _ => return None,
    })
}

/// `filter <name> ...`: what is compressed and cached is said elsewhere; caches come first. Traces change nothing of what
/// passes.
fn filter(args: &mut Args<'_>, context: &mut Context<'_>) -> Parsed<Filter> {
    let name = args.need("filter", "compression or cache")?;
    match name.text {
        "compression" => {
            args.end("filter compression")?;
            Ok(Filter::Compression)
        }
        "cache" => {
            let cache = args.need("filter cache", "the name of a cache")?;
            args.end("filter cache")?;
            Ok(Filter::Cache(cache.text.to_owned(), cache.span))
        }
        "trace" => {
            while let Some(word) = args.take() {
                match word.text {
                    "name" => drop(args.need("name", "a name")?),
                    "random-parsing" | "random-forwarding" | "quiet" | "hexdump" => {}
                    _ => {
                        let words = "name <name>, random-forwarding, quiet or hexdump";
                        return Err(word.refuse("unknown word of a trace", words));
                    }
                }
            }
            let what = "'filter trace' is ignored";
            context.warn(name.span, what, "what passes is not printed");
            Ok(Filter::Trace)
        }
        _ => Err(Box::new(
            Diagnostic::error(
                name.span.clone(),
                format!("filter '{}' is not supported", name.text),
            )
            .action("SPOE and the like are not there; what they do would be missing"),
        )),
    }
}

fn text(args: &mut Args<'_>, name: &str) -> Parsed<String> {
    args.need(name, "a value").map(|arg| arg.text.to_owned())
}

fn number(args: &mut Args<'_>, name: &str, low: u32) -> Parsed<u32> {
    value::number(
        &args.need(name, "a number")?,
        name,
        low,
        i32::MAX.unsigned_abs(),
    )
}
