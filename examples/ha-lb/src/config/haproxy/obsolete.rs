//! Words that HAProxy has dropped, read as what replaced them where the meaning is plain.
//!
//! The warning comes from the keyword table; here the line is rewritten into the form of today, at the same place.

use std::sync::Arc;

use super::{
    args::{Arg, Args, Parsed},
    draft::{Draft, RuleKind, RuleLine},
    lexer::Line,
};

fn push(draft: &mut Draft, kind: RuleKind, line: Line) {
    draft.rules.push(RuleLine {
        kind,
        line: Arc::new(line),
        start: 0,
    });
}

/// `reqadd <header>:\ <value> [if|unless <condition>]` and `rspadd`: `add-header <header> <value> ...`.
pub(super) fn add_header(args: &mut Args<'_>, kind: RuleKind, draft: &mut Draft) -> Parsed<()> {
    let at = args.position();
    let field = args.need("reqadd", "Header:\\ value")?;
    let (name, value) = field
        .text
        .split_once(':')
        .ok_or_else(|| field.refuse("not a header", "Header:\\ value"))?;
    // The value becomes a log-format string, in which a percent sign is written twice.
    let value = value.trim().replace('%', "%%");
    let mut words = vec!["add-header", name.trim(), &value];
    let condition: Vec<&str> = condition(args).collect();
    words.extend(condition);
    let line = args.line().rewritten(at, &words);
    push(draft, kind, line);
    Ok(())
}

/// `reqdel ^Header:` and its kind: `del-header Header`. Other patterns have no plain meaning.
pub(super) fn del_header(args: &mut Args<'_>, kind: RuleKind, draft: &mut Draft) -> Parsed<()> {
    let at = args.position();
    let pattern = args.need("reqdel", "^Header:")?;
    let name = pattern
        .text
        .strip_prefix('^')
        .and_then(|text| text.split_once(':'))
        .filter(|(_, rest)| matches!(*rest, "" | ".*" | "\\ .*" | " .*"))
        .map(|(name, _)| name)
        .filter(|name| is_token(name))
        .ok_or_else(|| {
            pattern.refuse(
                "this pattern has no plain meaning as a header's name",
                "^Header:, or `http-request del-header` with a condition",
            )
        })?;
    let mut words = vec!["del-header", name];
    let condition: Vec<&str> = condition(args).collect();
    words.extend(condition);
    let line = args.line().rewritten(at, &words);
    push(draft, kind, line);
    Ok(())
}

fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn condition<'l>(args: &mut Args<'l>) -> impl Iterator<Item = &'l str> {
    std::iter::from_fn(move || args.take()).map(|arg: Arg<'l>| arg.text)
}

/// `monitor-net <network>`: answered with 200 by the proxy itself.
pub(super) fn monitor_net(args: &mut Args<'_>, draft: &mut Draft) -> Parsed<()> {
    let at = args.position();
    let network = args.need("monitor-net", "a network")?;
    let words = [
        "return",
        "status",
        "200",
        "if",
        "{",
        "src",
        network.text,
        "}",
    ];
    let line = args.line().rewritten(at, &words);
    push(draft, RuleKind::HttpRequest, line);
    Ok(())
}
