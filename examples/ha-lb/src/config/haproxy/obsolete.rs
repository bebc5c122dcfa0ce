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
        inherited: false,
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

/// `reqrep <search> <string> [if|unless <condition>]` and its kind, which replaced a whole line of the head:
/// `replace-uri` for patterns of the request line, `replace-header` for those of one header.
pub(super) fn replace(args: &mut Args<'_>, kind: RuleKind, draft: &mut Draft) -> Parsed<()> {
    let at = args.position();
    let keyword = args.line().text(0);
    let search = args.need(keyword, "a pattern and a text")?;
    let text = args.need(keyword, "a text")?;
    let of_header = header_pattern(search.text, text.text);
    let of_line = match kind {
        RuleKind::HttpRequest => line_pattern(search.text, text.text),
        _ => None,
    };
    let Some((mut words, pattern, value)) = of_header
        .map(|(name, pattern, value)| (vec!["replace-header", name], pattern, value))
        .or_else(|| of_line.map(|(pattern, value)| (vec!["replace-uri"], pattern, value)))
    else {
        return Err(search.refuse(
            "this pattern has no plain meaning as a header or a path",
            "^Header:\\ value, ^([^\\ ]*)\\ /path, or `http-request replace-path` and `replace-header`",
        ));
    };
    // The text becomes a log-format string, in which a percent sign is written twice.
    let value = value.replace('%', "%%");
    let case = if keyword.contains("irep") { "(?i)" } else { "" };
    let pattern = format!("{case}^{pattern}");
    words.extend([pattern.as_str(), value.as_str()]);
    let condition: Vec<&str> = condition(args).collect();
    words.extend(condition);
    let line = args.line().rewritten(at, &words);
    push(draft, kind, line);
    Ok(())
}

/// `^Name:\ rest` and `Name:\ text`, or `^(Name:)\ rest` and `\1\ text` or `Name:\ text`: name, pattern and text of the
/// value.
fn header_pattern<'t>(search: &'t str, text: &'t str) -> Option<(&'t str, String, &'t str)> {
    let search = search.strip_prefix('^')?;
    let (name, group, rest, text) = match search.strip_prefix('(') {
        Some(inner) => {
            let (name, rest) = inner.split_once(":)")?;
            // An empty group keeps the numbers of the others.
            let text = text
                .strip_prefix("\\1")
                .or_else(|| behind_name(text, name))?;
            (name, "()", rest, text)
        }
        None => {
            let (name, rest) = search.split_once(':')?;
            (name, "", rest, behind_name(text, name)?)
        }
    };
    is_token(name).then_some(())?;
    let blanks = [r"[ \t]*", "[ ]*", "[ ]+", r"\s*", r"\s+", " *", " +", " "];
    let rest = blanks
        .iter()
        .find_map(|blank| rest.strip_prefix(blank))
        .unwrap_or(rest);
    Some((name, format!("{group}{rest}"), text.trim_start()))
}

/// What follows `name` and its colon.
fn behind_name<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (new, text) = text.split_once(':')?;
    new.eq_ignore_ascii_case(name).then_some(text)
}

/// `^([^ ]*) /rest` and `\1 /text`, or `^([^ ]* /)rest` and `\1text`: pattern and text of the request target.
fn line_pattern<'t>(search: &str, text: &'t str) -> Option<(String, &'t str)> {
    let methods = [
        "([^ :]*", "([^ ]*", "([^ :]+", "([^ ]+", "(.*", r"(\w+", "([A-Z]+",
    ];
    let search = search.strip_prefix('^')?;
    let rest = methods
        .iter()
        .find_map(|method| search.strip_prefix(method))?;
    let (pattern, text) = if let Some(rest) = rest.strip_prefix(") ") {
        (format!("(){rest}"), text.strip_prefix("\\1 ")?)
    } else {
        let rest = rest.strip_prefix(" /)")?;
        text.starts_with("\\1").then_some(())?;
        (format!("(/){rest}"), text)
    };
    // What speaks of the version too, or of the method again, says more than a target can.
    (!pattern.contains(' ') && !text.contains(' ')).then_some((pattern, text))
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
