//! From the text of an expression to its tree: `fetch(a,b),converter(c),...`.

use std::sync::atomic::Ordering::Relaxed;

use super::{
    Conversion, Definitions, Expr,
    args::compile,
    convert,
    fetch::{self, Fetch},
    known,
};
use crate::rules::RuleError;

/// One `name(arguments)`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) args: Vec<String>,
}

/// Splits `a(x,y),b,c(z)` into calls. Inside parentheses quotes and backslashes protect commas and closing
/// parentheses.
pub(crate) fn calls(text: &str) -> Result<Vec<Call>, RuleError> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.find(['(', ',']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let name = name.trim().to_string();
        if name.is_empty() {
            return Err(RuleError::new(
                0,
                format!("'{text}': a name is missing in the expression"),
            ));
        }
        let (args, after) = match after.strip_prefix('(') {
            Some(inside) => arguments(text, inside)?,
            None => (Vec::new(), after),
        };
        out.push(Call { name, args });
        if after.is_empty() {
            return Ok(out);
        }
        rest = after.strip_prefix(',').ok_or_else(|| {
            RuleError::new(0, format!("'{after}' follows an expression"))
                .expecting("',' or the end")
        })?;
        // A trailing comma is accepted, as HAProxy does.
        if rest.is_empty() {
            return Ok(out);
        }
    }
}

/// Reads arguments up to the closing parenthesis; returns what follows it.
fn arguments<'t>(whole: &str, inside: &'t str) -> Result<(Vec<String>, &'t str), RuleError> {
    let mut args = Vec::new();
    let mut current = String::new();
    let mut quote = None;
    let mut chars = inside.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            // A backslash protects quotes, blanks, commas, parentheses and itself; before anything else it
            // stays, because regular expressions need it.
            (None | Some('"'), '\\') => match chars.peek() {
                Some((_, next @ ('\\' | '"' | '\'' | ' ' | ',' | ')' | '('))) => {
                    if matches!(next, '(' | ')') && quote.is_some() {
                        current.push('\\');
                    }
                    current.push(*next);
                    chars.next();
                }
                _ => current.push('\\'),
            },
            (None, ',') => args.push(std::mem::take(&mut current)),
            (None, ')') => {
                if !(args.is_empty() && current.is_empty()) {
                    args.push(current);
                }
                return Ok((args, inside.get(at + 1..).unwrap_or_default()));
            }
            (_, c) => current.push(c),
        }
    }
    Err(RuleError::new(0, format!("'{whole}': missing closing parenthesis")).expecting("')'"))
}

/// Compiles an expression.
pub(crate) fn expression(text: &str, definitions: &Definitions) -> Result<Expr, RuleError> {
    let mut calls = calls(text)?.into_iter();
    let Some(first) = calls.next() else {
        return Err(RuleError::new(0, "missing expression"));
    };
    let entry = find_fetch(&first.name)?;
    from_calls(entry, &first, calls, definitions)
}

/// Compiles a call of `entry` and the converters after it.
pub(crate) fn from_calls(
    entry: &'static Fetch,
    first: &Call,
    rest: impl Iterator<Item = Call>,
    definitions: &Definitions,
) -> Result<Expr, RuleError> {
    let args = compile(&first.name, entry.args, &first.args, definitions)?;
    let mut result = entry.result;
    let mut conversions = Vec::new();
    for call in rest {
        let converter = convert::find(&call.name).ok_or_else(|| unknown_converter(&call.name))?;
        if !result.casts_to(converter.input) {
            return Err(RuleError::new(
                0,
                format!(
                    "converter '{}' cannot be applied to {}",
                    call.name,
                    result.name()
                ),
            )
            .expecting(format!("a value of type {}", converter.input.name())));
        }
        let args = compile(&call.name, converter.args, &call.args, definitions)?;
        conversions.push(Conversion { converter, args });
        // What takes anything and gives anything gives what it takes.
        if (converter.input, converter.output) != (super::Type::Any, super::Type::Any) {
            result = converter.output;
        }
    }
    // What else needs payload has nothing to look at in HTTP.
    if entry.name == "req.len" || entry.name.starts_with("req.body") {
        definitions.reads_bodies.store(true, Relaxed);
    }
    Ok(Expr {
        fetch: entry,
        args,
        conversions: conversions.into(),
        result,
    })
}

/// The fetch called `name`, or the error that says what is like it.
pub(crate) fn find_fetch(name: &str) -> Result<&'static Fetch, RuleError> {
    fetch::find(name).ok_or_else(|| unknown_fetch(name))
}

/// The error for a fetch that is not there.
pub(crate) fn unknown_fetch(name: &str) -> RuleError {
    if let Some(reason) = known::fetch(name) {
        return RuleError::new(
            0,
            format!("fetch method '{name}' is not supported: {reason}"),
        );
    }
    let error = RuleError::new(0, format!("unknown fetch method '{name}'"));
    match nearest(name, fetch::all().map(|f| f.name)) {
        Some(like) => error.expecting(format!("a sample fetch; did you mean '{like}'?")),
        None => error.expecting("a sample fetch"),
    }
}

fn unknown_converter(name: &str) -> RuleError {
    if let Some(reason) = known::converter(name) {
        return RuleError::new(0, format!("converter '{name}' is not supported: {reason}"));
    }
    let error = RuleError::new(0, format!("unknown converter '{name}'"));
    match nearest(name, convert::all().map(|c| c.name)) {
        Some(like) => error.expecting(format!("a converter; did you mean '{like}'?")),
        None => error.expecting("a converter"),
    }
}

/// The candidate that differs from `word` by the fewest edits, if they are few.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<&'c str> {
    // Words of a configuration are short; nobody waits for a comparison of long ones.
    if word.len() > 64 {
        return None;
    }
    candidates
        .map(|c| (distance(word.as_bytes(), c.as_bytes()), c))
        .min_by_key(|(d, _)| *d)
        .filter(|(d, c)| *d <= 1 + c.len().min(word.len()) / 4)
        .map(|(_, c)| c)
}

/// Levenshtein distance.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let here = (diagonal + usize::from(x != y))
                .min(left + 1)
                .min(*cell + 1);
            diagonal = *cell;
            *cell = here;
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, args: &[&str]) -> Call {
        Call {
            name: name.into(),
            args: args.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn calls_are_split_at_commas_outside_parentheses() {
        assert_eq!(
            calls("req.hdr(host,1),lower,field(1,:)").unwrap(),
            [
                call("req.hdr", &["host", "1"]),
                call("lower", &[]),
                call("field", &["1", ":"])
            ]
        );
        assert_eq!(
            calls(r#"path,regsub("(a,b)",'x\1',g)"#).unwrap(),
            [call("path", &[]), call("regsub", &["(a,b)", "x\\1", "g"])]
        );
        assert_eq!(
            calls(r"path,regsub(\.html$,)").unwrap(),
            [call("path", &[]), call("regsub", &["\\.html$", ""])]
        );
        assert_eq!(calls(r"field(1,\,)").unwrap(), [call("field", &["1", ","])]);
        assert_eq!(calls("src()").unwrap(), [call("src", &[])]);
        assert!(calls("req.hdr(host").is_err());
        assert!(
            calls("a)b").is_ok(),
            "a stray parenthesis is an unknown name later"
        );
        assert!(calls("").is_err());
        assert!(calls("src(1)x").is_err());
    }

    #[test]
    fn a_wrong_name_gets_the_nearest_one() {
        let error = find_fetch("req.hrd").unwrap_err();
        assert_eq!(
            error.expected.as_deref(),
            Some("a sample fetch; did you mean 'req.hdr'?")
        );
        assert!(
            find_fetch("so_id")
                .unwrap_err()
                .message
                .contains("not supported")
        );
        assert_eq!(distance(b"kitten", b"sitting"), 3);
    }
}
