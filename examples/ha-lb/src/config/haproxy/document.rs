//! Lines gathered into sections, in the order of the files. Every line is kept.

use super::{
    args::Context,
    keywords::{self, SECTIONS, Status},
    lexer::Line,
};
use crate::config::diagnostic::Diagnostic;

/// What a section is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `global`.
    Global,
    /// `defaults`.
    Defaults,
    /// `frontend`.
    Frontend,
    /// `backend`.
    Backend,
    /// `listen`.
    Listen,
    /// `userlist`.
    Userlist,
    /// `resolvers`.
    Resolvers,
    /// `http-errors`.
    HttpErrors,
    /// `peers`.
    Peers,
    /// `cache`.
    Cache,
    /// Known by name; its lines are kept and have no effect.
    Inert,
}

/// One section.
#[derive(Debug, Clone)]
pub(super) struct Section {
    /// What it is.
    pub(super) kind: Kind,
    /// Its first line.
    pub(super) header: Line,
    /// The lines below.
    pub(super) lines: Vec<Line>,
}

/// The sections of one file. Lines before the first section are errors.
pub(super) fn sections(lines: Vec<Line>, context: &mut Context<'_>) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in lines {
        match keywords::find(SECTIONS, line.text(0)) {
            Some(entry) => {
                let words = line.words.len().saturating_sub(1);
                announce(&line, entry, words, context);
                sections.push(Section {
                    kind: kind(line.text(0)),
                    header: line,
                    lines: Vec::new(),
                });
            }
            None => match sections.last_mut() {
                Some(section) => section.lines.push(line),
                None => context.diagnostics.push(
                    Diagnostic::error(
                        line.span(0),
                        format!("unknown keyword '{}' out of section", line.text(0)),
                    )
                    .expected("a section such as global, defaults, frontend, backend or listen")
                    .suggestion(keywords::resembling(SECTIONS, line.text(0))),
                ),
            },
        }
    }
    sections
}

fn announce(line: &Line, entry: &keywords::Entry, words: usize, context: &mut Context<'_>) {
    let name = line.text(0);
    let what = format!("section '{name}' is not supported");
    match entry.status {
        Status::Supported | Status::Needless => {}
        Status::Ignored => context.warn(
            line.span(0),
            format!("section '{name}' has no effect"),
            entry.text,
        ),
        Status::Obsolete => context.warn(
            line.span(0),
            format!("section '{name}' is obsolete"),
            entry.text,
        ),
        Status::Refused => context
            .diagnostics
            .push(Diagnostic::error(line.span(0), what).action(entry.text)),
    }
    let (low, high) = entry.arity;
    let finding = if words < usize::from(low) {
        Some((words + 1, format!("section '{name}' lacks its name")))
    } else if words > usize::from(high) {
        let extra = usize::from(high) + 1;
        Some((extra, format!("section '{name}' takes no further word")))
    } else {
        None
    };
    if let Some((at, message)) = finding {
        let finding = Diagnostic::error(line.span(at), message);
        context.diagnostics.push(match entry.usage {
            "" => finding,
            usage => finding.expected(format!("{name} {usage}")),
        });
    }
}

fn kind(name: &str) -> Kind {
    match name {
        "global" => Kind::Global,
        "defaults" => Kind::Defaults,
        "frontend" => Kind::Frontend,
        "backend" => Kind::Backend,
        "listen" => Kind::Listen,
        "userlist" => Kind::Userlist,
        "resolvers" => Kind::Resolvers,
        "http-errors" => Kind::HttpErrors,
        "cache" => Kind::Cache,
        "peers" => Kind::Peers,
        _ => Kind::Inert,
    }
}
