//! Rule lines handed to `lb_core::rules`, and its answers brought back to their places in the file.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use lb_core::{
    acl::Condition,
    cache::Caches,
    config::{Mode, StatsRule},
    expr::{PatternFiles, ProxyFacts},
    request::Origin,
    rules::{Persist, ProxyRules, ProxySide, Remark, RuleError, RuleWarning, RulesBuilder},
};

use super::{
    args::Context,
    draft::{RuleKind, RuleLine},
    error_pages::Sections,
    standin, stats,
    userlist::Userlist,
};
use crate::config::diagnostic::Diagnostic;

/// What becomes of a proxy's rule lines.
pub(super) struct Compiled {
    /// The rules.
    pub(super) rules: ProxyRules,
    /// `stats admin`.
    pub(super) admin: Option<Condition>,
    /// `stats http-request`.
    pub(super) access: Vec<StatsRule>,
    /// Proxies whose tables `stick` lines use.
    pub(super) stick_tables: Vec<Arc<str>>,
    /// What can be said of lines only now that all of them are known.
    pub(super) remarks: Vec<Remark>,
}

/// What rules of any proxy can name.
pub(super) struct Named<'n> {
    /// `userlist` sections.
    pub(super) userlists: &'n [Userlist],
    /// Every proxy.
    pub(super) proxies: Arc<BTreeMap<Arc<str>, ProxyFacts>>,
    /// `cache` sections.
    pub(super) caches: Arc<Caches>,
    /// Names of `resolvers` sections.
    pub(super) resolvers: Arc<BTreeSet<Arc<str>>>,
    /// Files of maps.
    pub(super) files: Arc<PatternFiles>,
    /// `http-errors` sections.
    pub(super) error_files: Arc<Sections>,
}

/// Compiles the lines of the proxy `own` in order. `name` is the proxy as messages call it.
pub(super) fn compile(
    lines: &[RuleLine],
    side: ProxySide,
    mode: Mode,
    (own, name): (&str, &str),
    named: &Named<'_>,
    context: &mut Context<'_>,
) -> Compiled {
    let files = context.files;
    let loader = |path: &Path| files.read(path);
    let mut builder = RulesBuilder::new(side, &loader);
    builder.proxies(own.into(), Arc::clone(&named.proxies));
    builder.caches(Arc::clone(&named.caches));
    builder.resolvers(Arc::clone(&named.resolvers));
    builder.pattern_files(Arc::clone(&named.files));
    builder.error_files(Arc::clone(&named.error_files));
    for list in named.userlists {
        builder.userlist(&list.name, list.users.clone());
    }
    let mut admin = None;
    let mut access = Vec::new();
    // Those of a proxy that goes over to HTTP are carried out once it has.
    let goes_over = lines
        .iter()
        .any(|rule| rule.line.words.iter().any(|w| w.text == "switch-mode"));
    // Names of ACLs that were refused: that they do not exist need not be said again.
    let mut refused = BTreeSet::new();
    for rule in lines {
        let stand_in = standin::read(rule, context);
        let rule = stand_in.as_ref().unwrap_or(rule);
        if mode == Mode::Tcp && !goes_over && needs_http(rule.kind) {
            let keyword = rule.line.text(0);
            context.diagnostics.push_once(
                &format!("tcp rules {name} {keyword}"),
                Diagnostic::warning(
                    rule.line.span(0),
                    format!("'{keyword}' rules ignored for {name} as they require HTTP mode"),
                ),
            );
            continue;
        }
        let words: Vec<&str> = rule
            .line
            .words
            .iter()
            .skip(rule.start)
            .map(|word| word.text.as_str())
            .collect();
        let place = rule.line.span(0);
        builder.origin(place.file, place.line);
        builder.in_defaults(rule.inherited);
        let result = match rule.kind {
            RuleKind::Acl => builder.acl(&words),
            RuleKind::TcpRequest => builder.tcp_request(&words),
            RuleKind::TcpResponse => builder.tcp_response(&words),
            RuleKind::HttpRequest => builder.http_request(&words),
            RuleKind::HttpResponse => builder.http_response(&words),
            RuleKind::HttpAfterResponse => builder.http_after_response(&words),
            RuleKind::UseBackend => builder.use_backend(&words),
            RuleKind::UseServer => builder.use_server(&words),
            RuleKind::Redirect => builder.redirect(&words),
            RuleKind::Block => builder.block(&words),
            RuleKind::Capture => builder.capture(&words),
            RuleKind::Declare => builder.declare(&words),
            RuleKind::UniqueIdFormat => builder.unique_id_format(&words),
            RuleKind::UniqueIdHeader => builder.unique_id_header(&words),
            RuleKind::Stick => builder.stick(&words),
            RuleKind::HttpError => builder.http_error(&words),
            RuleKind::MonitorFail => builder.monitor_fail(&words),
            RuleKind::ForcePersist => builder.persist(Persist::Forced, &words),
            RuleKind::IgnorePersist => builder.persist(Persist::Ignored, &words),
            RuleKind::StatsAdmin => match (builder.condition(&words), &admin) {
                (Ok(_), Some(_)) => Err(RuleError::new(0, "a second 'stats admin' line")
                    .expecting("one, with `||` between conditions")),
                (Ok(condition), None) => {
                    admin = Some(condition);
                    Ok(Vec::new())
                }
                (Err(error), _) => Err(error),
            },
            RuleKind::StatsAccess => stats::access(&words, &builder).map(|rule| {
                access.push(rule);
                Vec::new()
            }),
        };
        match &result {
            Err(error) if refused.contains(acl_name(rule, error.word)) => continue,
            Err(_) if rule.kind == RuleKind::Acl => {
                refused.insert(acl_name(rule, 0).to_owned());
            }
            _ => {}
        }
        report(result, rule, context);
    }
    let remarks = builder.remarks(mode == Mode::Http);
    let stick_tables = builder.stick_tables().cloned().collect();
    Compiled {
        rules: build(builder, lines, context),
        admin,
        access,
        stick_tables,
        remarks,
    }
}

fn build(builder: RulesBuilder<'_>, lines: &[RuleLine], context: &mut Context<'_>) -> ProxyRules {
    builder.build().unwrap_or_else(|error| {
        // Only a later line can make the whole wrong: the last one is named.
        if let Some(rule) = lines.last() {
            report(Err(error), rule, context);
        }
        ProxyRules::default()
    })
}

/// Tells them with their lines.
pub(super) fn report_remarks(remarks: Vec<Remark>, lines: &[RuleLine], context: &mut Context<'_>) {
    for Remark { origin, what } in remarks {
        let at = |rule: &&RuleLine| {
            let place = rule.line.span(0);
            let same = |origin: &Origin| (&origin.file, origin.line) == (&place.file, place.line);
            origin.as_deref().is_some_and(same)
        };
        if let Some(rule) = lines.iter().find(at) {
            report(what.map(|warning| vec![warning]), rule, context);
        }
    }
}

/// A word of a rule as the name of an ACL.
fn acl_name(rule: &RuleLine, word: usize) -> &str {
    let text = rule.line.text(rule.start.saturating_add(word));
    text.trim_start_matches('!')
}

fn needs_http(kind: RuleKind) -> bool {
    matches!(
        kind,
        RuleKind::HttpRequest
            | RuleKind::HttpResponse
            | RuleKind::HttpAfterResponse
            | RuleKind::Redirect
            | RuleKind::Block
            | RuleKind::StatsAdmin
            | RuleKind::StatsAccess
            | RuleKind::MonitorFail
            | RuleKind::HttpError
    )
}

fn report(result: Result<Vec<RuleWarning>, RuleError>, rule: &RuleLine, context: &mut Context<'_>) {
    let span = |word: usize| rule.line.span(rule.start.saturating_add(word));
    match result {
        Ok(warnings) => {
            for warning in warnings {
                let place = span(warning.word);
                context
                    .diagnostics
                    .push(Diagnostic::warning(place, warning.message));
            }
        }
        Err(error) => {
            let mut finding = Diagnostic::error(span(error.word), error.message);
            let word = rule.line.text(rule.start.saturating_add(error.word));
            finding.found = Some(word.to_owned()).filter(|word| !word.is_empty());
            finding.expected = error.expected;
            context.diagnostics.push(finding);
        }
    }
}
