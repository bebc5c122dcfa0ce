//! What may take over the rules of a `defaults` section (configuration manual §4.2, "http-request" and its kin: rules in
//! named `defaults`).

use std::collections::BTreeMap;

use super::{
    args::Context,
    document::Kind,
    draft::{Draft, RuleKind, RuleLine},
    lexer::Line,
    proxy::Place,
    reader::at_line,
};
use crate::config::diagnostic::Diagnostic;

/// Which kinds of proxies have taken over the rules of a `defaults` section, by its place.
pub(super) type Heirs = BTreeMap<String, Kind>;

/// Says what is wrong with `place` beginning with the settings of `inherited`.
pub(super) fn check(
    place: &Place,
    header: &Line,
    inherited: &Draft,
    heirs: &mut Heirs,
    context: &mut Context<'_>,
) {
    let Some(from) = &inherited.rules_from else {
        return;
    };
    let has = |kinds: &[(RuleKind, &str)]| {
        inherited.rules.iter().any(|rule| {
            let second = rule.line.text(rule.start);
            let same = |(kind, word): &(RuleKind, &str)| {
                rule.kind == *kind && (word.is_empty() || *word == second)
            };
            is_explicit(rule) && kinds.iter().any(same)
        })
    };
    if !inherited.rules.iter().any(is_explicit) {
        return;
    }
    let at = at_line(from);
    let wrong = match place.kind {
        Kind::Listen => {
            "a listen section cannot inherit from a defaults section defining TCP/HTTP rules"
                .to_owned()
        }
        Kind::Backend
            if has(&[
                (RuleKind::TcpRequest, "connection"),
                (RuleKind::TcpRequest, "session"),
            ]) =>
        {
            format!(
                "a backend section cannot inherit from a defaults section defining 'tcp-request connection' or \
             'tcp-request session' rules (defaults section at {at})"
            )
        }
        Kind::Frontend if has(&[(RuleKind::TcpResponse, "content")]) => format!(
            "a frontend section cannot inherit from a defaults section defining 'tcp-response content' rules \
             (defaults section at {at})"
        ),
        Kind::Frontend | Kind::Backend => {
            let first = *heirs.entry(at.clone()).or_insert(place.kind);
            if first == place.kind {
                return;
            }
            format!(
                "frontends and backends cannot inherit from the same defaults section if it defines TCP/HTTP rules \
                 (defaults section at {at})"
            )
        }
        _ => format!(
            "a defaults section cannot inherit from a defaults section defining TCP/HTTP rules (defaults section at \
             {at})"
        ),
    };
    let finding = Diagnostic::error(header.span(0), wrong);
    context
        .diagnostics
        .push(finding.expected("a defaults section without rules, or one of its own"));
}

/// ACLs and times to wait may be taken over by anybody.
fn is_explicit(rule: &RuleLine) -> bool {
    matches!(
        rule.kind,
        RuleKind::TcpRequest
            | RuleKind::TcpResponse
            | RuleKind::HttpRequest
            | RuleKind::HttpResponse
            | RuleKind::HttpAfterResponse
    ) && rule.line.text(rule.start) != "inspect-delay"
}
