//! Rules that other rules stand in for: slips that HAProxy lets pass.

use std::sync::Arc;

use super::{
    args::Context,
    draft::{RuleKind, RuleLine},
    lexer::Word,
};

/// The rule that is compiled instead of `rule`, if one is; it is warned about.
pub(super) fn read(rule: &RuleLine, context: &mut Context<'_>) -> Option<RuleLine> {
    let http = [
        RuleKind::HttpRequest,
        RuleKind::HttpResponse,
        RuleKind::HttpAfterResponse,
    ];
    if !http.contains(&rule.kind) {
        return None;
    }
    let subject = rule.line.text(rule.start.saturating_add(1));
    match rule.line.text(rule.start) {
        "set-header" | "add-header" | "del-header" | "replace-header" | "replace-value" => {
            let name = subject.strip_suffix(':').filter(|name| !name.is_empty())?;
            context.warn(
                rule.line.span(rule.start.saturating_add(1)),
                format!("the header's name '{subject}' ends with a colon"),
                format!("it is read as '{name}'"),
            );
            Some(replaced(rule, 1, 1, &[name]))
        }
        _ => None,
    }
}

/// The rule with `words` in place of `count` words from `from` on, all at the place of the first; what follows
/// keeps its places.
fn replaced(rule: &RuleLine, from: usize, count: usize, words: &[&str]) -> RuleLine {
    let mut rule = rule.clone();
    let line = Arc::make_mut(&mut rule.line);
    let start = rule.start.saturating_add(from).min(line.words.len());
    let end = start.saturating_add(count).min(line.words.len());
    let column = line.span(start).column;
    let words: Vec<Word> = words
        .iter()
        .map(|text| Word {
            text: (*text).to_owned(),
            column,
        })
        .collect();
    line.words.splice(start..end, words);
    rule
}
