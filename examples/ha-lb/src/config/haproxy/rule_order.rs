//! Rules that are carried out before others wherever they stand, and are therefore warned about where they stand behind
//! them (configuration manual §4.2, `tcp-request` and the others: "evaluated before").

use super::{
    args::Context,
    draft::{RuleKind, RuleLine},
};
use crate::config::diagnostic::Diagnostic;

/// The stages of a request in the order in which they are carried out, and each one's rules with their article.
const STAGES: [&str; 8] = [
    "a 'tcp-request connection'",
    "a 'tcp-request session'",
    "a 'tcp-request content'",
    "a 'monitor fail'",
    "an 'http-request'",
    "a 'redirect'",
    "a 'use_backend'",
    "a 'use-server'",
];

/// Where in [`STAGES`] a line's rule belongs.
fn stage(rule: &RuleLine) -> Option<usize> {
    Some(match (rule.kind, rule.line.text(1)) {
        (RuleKind::TcpRequest, "connection") => 0,
        (RuleKind::TcpRequest, "session") => 1,
        (RuleKind::TcpRequest, "content") => 2,
        (RuleKind::MonitorFail, _) => 3,
        (RuleKind::HttpRequest, _) => 4,
        (RuleKind::Redirect, _) => 5,
        (RuleKind::UseBackend, _) => 6,
        (RuleKind::UseServer, _) => 7,
        _ => return None,
    })
}

/// Warns of `rule` if a rule of a later stage stands before it in its section, as HAProxy does.
pub(super) fn check(rule: &RuleLine, before: &[RuleLine], context: &mut Context<'_>) {
    let Some(own) = stage(rule) else { return };
    let later = before.iter().filter_map(stage).filter(|other| *other > own);
    let Some(later) = later.min().and_then(|later| STAGES.get(later)) else {
        return;
    };
    let word = match rule.kind {
        RuleKind::MonitorFail => "monitor fail",
        _ => rule.line.text(0),
    };
    context.diagnostics.push(Diagnostic::warning(
        rule.line.span(0),
        format!("a '{word}' rule placed after {later} rule will still be processed before."),
    ));
}
