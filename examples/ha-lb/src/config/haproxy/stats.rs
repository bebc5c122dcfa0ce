//! `stats` lines of a proxy (configuration manual §4.2).

use std::sync::Arc;

use lb_core::config::StatsPage;

use super::{
    args::{Admitted, Args, Context, Parsed, admit, arity},
    draft::{Draft, RuleKind, RuleLine},
    keywords::STATS,
    value::{self, Unit},
};

fn page() -> StatsPage {
    StatsPage {
        uri: "/haproxy?stats".to_owned(),
        realm: "HAProxy Statistics".to_owned(),
        auth: Vec::new(),
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
    draft.stats_at.get_or_insert_with(|| line.span(0));
    let stats = draft.proxy.stats.get_or_insert_with(page);
    let argument = args.take();
    match (word.text, argument) {
        ("admin", _) => draft.rules.push(RuleLine {
            kind: RuleKind::StatsAdmin,
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
