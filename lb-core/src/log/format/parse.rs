//! The text of a format: `%name`, `%{flags}name`, `%[expression]`, `%%`.

use super::{Flags, LogFormat, Node, Purpose, VARIABLES, Variable};
use crate::{
    expr::{Definitions, Expr, parse::nearest},
    rules::RuleError,
};

/// Whether `text` holds anything that is replaced.
pub(crate) fn looks_dynamic(text: &str) -> bool {
    text.contains('%')
}

/// Parses a format.
pub(super) fn format(
    text: &str,
    definitions: &Definitions,
    purpose: Purpose,
) -> Result<LogFormat, RuleError> {
    let mut nodes = Nodes {
        joins_blanks: purpose != Purpose::Value,
        ..Nodes::default()
    };
    let mut defaults = Flags::default();
    let mut rest = text;
    while let Some(percent) = rest.find('%') {
        let (before, after) = rest.split_at(percent);
        nodes.text(before);
        let after = after.get(1..).unwrap_or_default();
        if let Some(tail) = after.strip_prefix('%') {
            nodes.text("%");
            rest = tail;
            continue;
        }
        let (flags, after) = flags(defaults, after)?;
        if let Some(inside) = after.strip_prefix('[') {
            let end = closing(inside)
                .ok_or_else(|| RuleError::new(0, format!("'%[{inside}': missing ']'")))?;
            let (expression, tail) = inside.split_at(end);
            let expr = Expr::parse(expression, definitions)?;
            nodes.push(Node::Expr(Box::new(expr), flags));
            rest = tail.get(1..).unwrap_or_default();
        } else {
            let length = after
                .find(|c: char| !c.is_ascii_alphanumeric())
                .unwrap_or(after.len());
            let (name, tail) = after.split_at(length);
            rest = tail;
            if name == "o" {
                // `%{+Q}o`: the flags hold from here on.
                defaults = flags;
                continue;
            }
            nodes.push(Node::Variable(variable(name)?, flags));
        }
    }
    nodes.text(rest);
    Ok(LogFormat {
        nodes: nodes.finish(),
        log: purpose == Purpose::Line,
    })
}

fn variable(name: &str) -> Result<Variable, RuleError> {
    if let Some((_, variable, _)) = VARIABLES.iter().find(|(n, ..)| *n == name) {
        return Ok(*variable);
    }
    let error = RuleError::new(0, format!("unknown log variable '%{name}'"));
    Err(match nearest(name, VARIABLES.iter().map(|(n, ..)| *n)) {
        Some(like) if !name.is_empty() => {
            error.expecting(format!("a log variable; did you mean '%{like}'?"))
        }
        _ => error.expecting("a log variable, %[expression] or %%"),
    })
}

/// Reads `{+Q,-E}`.
fn flags(defaults: Flags, text: &str) -> Result<(Flags, &str), RuleError> {
    let Some(inside) = text.strip_prefix('{') else {
        return Ok((defaults, text));
    };
    let (list, rest) = inside
        .split_once('}')
        .ok_or_else(|| RuleError::new(0, format!("'%{text}': missing '}}'")))?;
    let mut flags = defaults;
    for word in list.split(',').map(str::trim).filter(|w| !w.is_empty()) {
        let on = !word.starts_with('-');
        match word.trim_start_matches(['+', '-']) {
            "Q" => flags.quote = on,
            "E" => flags.escape = on,
            "X" => flags.hex = on,
            other => {
                return Err(RuleError::new(0, format!("unknown log flag '{other}'"))
                    .expecting("Q, E or X with '+' or '-' before it"));
            }
        }
    }
    Ok((flags, rest))
}

/// The `]` that ends an expression: brackets between parentheses belong to arguments.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match (quote, c) {
            (None | Some('"'), '\\') => escaped = true,
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if depth > 0 => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, ']') if depth == 0 => return Some(at),
            _ => {}
        }
    }
    // Unbalanced parentheses or quotes: the first bracket is the best guess, and the expression's own
    // message tells what is wrong.
    text.find(']')
}

/// Collects nodes; text is cut at blanks.
#[derive(Default)]
struct Nodes {
    /// Runs of blanks are one separator; in values blanks are text.
    joins_blanks: bool,
    list: Vec<Node>,
    text: Vec<u8>,
}

impl Nodes {
    fn text(&mut self, text: &str) {
        for byte in text.bytes() {
            if byte != b' ' || !self.joins_blanks {
                self.text.push(byte);
                continue;
            }
            self.flush();
            if !matches!(self.list.last(), Some(Node::Blank)) {
                self.list.push(Node::Blank);
            }
        }
    }

    fn push(&mut self, node: Node) {
        self.flush();
        self.list.push(node);
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.list
                .push(Node::Text(std::mem::take(&mut self.text).into()));
        }
    }

    fn finish(mut self) -> Box<[Node]> {
        self.flush();
        self.list.into()
    }
}
