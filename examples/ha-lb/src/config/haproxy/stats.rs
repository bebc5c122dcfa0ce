//! `stats` lines of a proxy (configuration manual §4.2).

use std::sync::Arc;

use lb_core::{
    acl::Condition,
    config::{StatsAccess, StatsPage, StatsRule},
    rules::{RuleError, RulesBuilder},
};

use super::{
    args::{Admitted, Args, Context, Parsed, admit, arity},
    draft::{Draft, RuleKind, RuleLine},
    keywords::STATS,
    value::{self, Unit},
};
use crate::config::diagnostic::Diagnostic;

const REALM: &str = "HAProxy Statistics";

fn page() -> StatsPage {
    StatsPage {
        uri: "/haproxy?stats".to_owned(),
        realm: REALM.to_owned(),
        auth: Vec::new(),
        access: Vec::new(),
        refresh: None,
        admin: None,
        hide_version: false,
        show_legends: false,
        show_node: None,
        show_desc: None,
        scope: Vec::new(),
    }
}

/// The words behind `stats`. Any of them switches the page on.
pub(super) fn read(
    args: &mut Args<'_>,
    draft: &mut Draft,
    context: &mut Context<'_>,
) -> Parsed<()> {
    let line = args.line();
    let word = args.need(
        "stats",
        "enable, uri, realm, auth, admin, refresh and others",
    )?;
    let entry = match admit(context, STATS, &word, "word '{}' behind 'stats'")? {
        Admitted::Use(entry) => entry,
        Admitted::Skip(_) => return Ok(()),
    };
    let name = format!("stats {}", word.text);
    match args.beyond(entry) {
        Some(extra) => context.warn(
            extra.span,
            format!("'{name}' takes no further argument: '{}'", extra.text),
            "it is ignored to the end of the line, as by HAProxy",
        ),
        None => arity(args, &name, entry)?,
    }
    if std::mem::take(&mut draft.stats_inherited) {
        // A proxy that says anything of the page says all of it.
        draft.proxy.stats = None;
        draft.stats_at = None;
        let of_the_page = [RuleKind::StatsAdmin, RuleKind::StatsAccess];
        draft.rules.retain(|rule| !of_the_page.contains(&rule.kind));
        context.warn(
            line.span(0),
            "a 'stats' line of a section's own",
            "those of the 'defaults' section do not hold here, passwords included, as with HAProxy",
        );
    }
    draft.stats_at.get_or_insert_with(|| line.span(0));
    let stats = draft.proxy.stats.get_or_insert_with(page);
    let argument = args.take();
    match (word.text, argument) {
        (word @ ("admin" | "http-request"), _) => draft.rules.push(RuleLine {
            kind: match word {
                "admin" => RuleKind::StatsAdmin,
                _ => RuleKind::StatsAccess,
            },
            line: Arc::new(line.clone()),
            start: 2,
            inherited: false,
        }),
        ("enable", _) => {}
        ("hide-version", _) => stats.hide_version = true,
        ("show-legends", _) => stats.show_legends = true,
        ("show-node", name) => {
            stats.show_node = Some(name.map_or_else(String::new, |name| name.text.to_owned()));
        }
        ("show-desc", first) => {
            let words: Vec<&str> = first
                .into_iter()
                .chain(std::iter::from_fn(|| args.take()))
                .map(|arg| arg.text)
                .collect();
            stats.show_desc = Some(words.join(" "));
        }
        ("auth", Some(arg)) => {
            let (user, password) = arg
                .text
                .split_once(':')
                .ok_or_else(|| arg.refuse("no password", "user:password"))?;
            stats.auth.push((user.to_owned(), password.to_owned()));
        }
        ("realm", Some(arg)) => arg.text.clone_into(&mut stats.realm),
        ("uri", Some(arg)) => arg.text.clone_into(&mut stats.uri),
        ("scope", Some(arg)) => stats.scope.push(arg.text.to_owned()),
        (name, Some(arg)) => {
            stats.refresh = Some(value::lenient_time(&arg, name, Unit::Seconds, context)?);
        }
        (_, None) => {}
    }
    Ok(())
}

/// The words behind `stats http-request`.
pub(super) fn access(words: &[&str], builder: &RulesBuilder<'_>) -> Result<StatsRule, RuleError> {
    let (access, length) = match words {
        ["allow", ..] => (StatsAccess::Allow, 1),
        ["deny", ..] => (StatsAccess::Deny, 1),
        ["auth", "realm"] => {
            return Err(RuleError::new(1, "missing realm").expecting("a text"));
        }
        ["auth", "realm", realm, ..] => (StatsAccess::Auth((*realm).to_owned()), 3),
        ["auth", ..] => (StatsAccess::Auth(REALM.to_owned()), 1),
        _ => {
            let message = "this is nothing that 'stats http-request' does";
            return Err(RuleError::new(0, message).expecting("allow, deny or auth"));
        }
    };
    let condition = match words.get(length..) {
        None | Some([]) => Condition::default(),
        Some(words) => builder.condition(words).map_err(|mut error| {
            error.word += length;
            error
        })?,
    };
    Ok(StatsRule { access, condition })
}

/// HAProxy wants either `stats http-request` or `stats auth` and `stats realm`, which it makes such a line of.
pub(super) fn check(page: &StatsPage, rules: &[RuleLine]) -> Option<Diagnostic> {
    let rule = rules
        .iter()
        .find(|rule| rule.kind == RuleKind::StatsAccess)?;
    let both = !page.auth.is_empty() || page.realm != REALM;
    let message = "stats 'auth'/'realm' and 'http-request' can't be used at the same time";
    both.then(|| Diagnostic::error(rule.line.span(1), message))
}
