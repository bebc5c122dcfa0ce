//! What `check` and `run` have to say about a configuration file: where, what was found, what was
//! expected and what will be done.
//!
//! Both dialects produce these and nothing else; no parser prints. Rendering is one line of text
//! per diagnostic (`file:line:column: error: ...`, as compilers write it, so that editors jump to
//! it) or JSON through serde.

mod shown;

use std::{
    collections::BTreeSet,
    fmt::{self, Write},
    path::Path,
    sync::Arc,
};

use serde::Serialize;

pub(crate) use shown::escaped;
use shown::{Escaped, cut};

/// Characters of a message that are kept; our own are shorter, words of a file may be of any length.
const LONGEST_MESSAGE: usize = 400;
/// Characters of a word of a file that are kept.
const LONGEST_WORD: usize = 120;

/// A place in a configuration file. Lines and columns count from 1; columns count characters.
/// Line 0 means the file as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// Path of the file as it was named to the program.
    pub file: Arc<str>,
    /// Line, from 1; 0 for the whole file.
    pub line: u32,
    /// Column of the first character, from 1; 0 for the whole file.
    pub column: u32,
}

impl Span {
    /// A character's place.
    pub fn new(file: Arc<str>, line: u32, column: u32) -> Self {
        Self { file, line, column }
    }

    /// The beginning of a line that is told as `file:line`.
    pub fn of_origin(origin: &str) -> Option<Self> {
        let (file, line) = origin.rsplit_once(':')?;
        Some(Self::new(Arc::from(file), line.parse().ok()?, 1))
    }

    /// A file as a whole (it cannot be read, or something is missing in it).
    pub fn whole_file(path: &Path) -> Self {
        Self::new(Arc::from(path.to_string_lossy()), 0, 0)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// How much a diagnostic weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing differs from what the file says.
    Note,
    /// The file is accepted, and something is done otherwise than written.
    Warning,
    /// The file is refused.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One finding. Built with [`Diagnostic::error`], [`warning`](Self::warning) or
/// [`note`](Self::note) and the methods that fill in the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diagnostic {
    /// How much it weighs.
    pub severity: Severity,
    /// Where it is.
    pub span: Span,
    /// What is the matter, in one sentence without a final stop.
    pub message: String,
    /// The word that was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What would have been accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The known word that the found one resembles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// What the program does about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Whether keepalived's own test of the file (`keepalived -t`) ends with an error for it, and its daemon goes on.
    #[serde(skip)]
    pub peer_counts: bool,
}

impl Diagnostic {
    /// A finding that refuses the file.
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, span, message.into())
    }

    /// A finding that is accepted, differently from what is written.
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, span, message.into())
    }

    /// A finding that changes nothing.
    pub fn note(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, span, message.into())
    }

    fn new(severity: Severity, span: Span, message: String) -> Self {
        Self {
            severity,
            span,
            message: cut(message, LONGEST_MESSAGE),
            found: None,
            expected: None,
            suggestion: None,
            action: None,
            peer_counts: false,
        }
    }

    /// Marks what `keepalived -t` ends with an error for.
    #[must_use]
    pub fn counted(mut self) -> Self {
        self.peer_counts = true;
        self
    }

    /// The word that was found, cut if it is very long.
    #[must_use]
    pub fn found(mut self, word: impl Into<String>) -> Self {
        self.found = Some(cut(word.into(), LONGEST_WORD));
        self
    }

    /// What would have been accepted.
    #[must_use]
    pub fn expected(mut self, what: impl Into<String>) -> Self {
        self.expected = Some(what.into());
        self
    }

    /// The known word that was probably meant, if there is one.
    #[must_use]
    pub fn suggestion(mut self, word: Option<impl Into<String>>) -> Self {
        self.suggestion = word.map(Into::into);
        self
    }

    /// What the program does about it.
    #[must_use]
    pub fn action(mut self, what: impl Into<String>) -> Self {
        self.action = Some(what.into());
        self
    }
}

/// `file:line:column: severity: message: found `x`, expected y; did you mean `z`?; action`, control characters escaped
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = Escaped(f);
        write!(f, "{}: {}: {}", self.span, self.severity, self.message)?;
        match (&self.found, &self.expected) {
            (Some(found), Some(expected)) => write!(f, ": found `{found}`, expected {expected}")?,
            (Some(found), None) => write!(f, ": `{found}`")?,
            (None, Some(expected)) => write!(f, ": expected {expected}")?,
            (None, None) => {}
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; did you mean `{suggestion}`?")?;
        }
        if let Some(action) = &self.action {
            write!(f, "; {action}")?;
        }
        Ok(())
    }
}

/// The findings of one load, in the order in which they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    #[serde(skip)]
    said: BTreeSet<String>,
}

impl Diagnostics {
    /// No findings yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds a finding unless one was already added under `key` (an obsolete word is worth one
    /// warning, not one for each use). Returns whether it was added.
    pub fn push_once(&mut self, key: &str, diagnostic: Diagnostic) -> bool {
        if self.said.contains(key) {
            return false;
        }
        self.said.insert(key.to_owned());
        self.list.push(diagnostic);
        true
    }

    /// All findings.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many findings there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// How many findings have this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.iter().filter(|d| d.severity == severity).count()
    }

    /// Whether a file is refused.
    pub fn has_errors(&self) -> bool {
        self.iter().any(|d| d.severity == Severity::Error)
    }

    /// Makes every warning an error: of a check that is to be strict.
    pub fn promote(&mut self) {
        for diagnostic in &mut self.list {
            if diagnostic.severity == Severity::Warning {
                diagnostic.severity = Severity::Error;
            }
        }
    }

    /// Puts the findings into the order of the files' lines; those of one place keep their order.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| a.span.cmp(&b.span));
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, findings: I) {
        self.list.extend(findings);
    }
}

/// One line per finding.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|d| writeln!(f, "{d}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32) -> Span {
        Span::new(Arc::from("keepalived.conf"), line, column)
    }

    #[test]
    fn an_error_reads_as_a_compiler_writes_it() {
        let diagnostic = Diagnostic::error(at(12, 5), "unknown keyword in vrrp_instance")
            .found("prioirty")
            .expected("a keyword of vrrp_instance")
            .suggestion(Some("priority"));
        assert_eq!(
            diagnostic.to_string(),
            "keepalived.conf:12:5: error: unknown keyword in vrrp_instance: found `prioirty`, \
             expected a keyword of vrrp_instance; did you mean `priority`?"
        );
    }

    #[test]
    fn a_finding_about_the_whole_file_names_no_line() {
        let span = Span::whole_file(Path::new("/etc/keepalived/keepalived.conf"));
        let diagnostic = Diagnostic::error(span, "cannot be read").action("nothing is started");
        assert_eq!(
            diagnostic.to_string(),
            "/etc/keepalived/keepalived.conf: error: cannot be read; nothing is started"
        );
    }

    #[test]
    fn what_is_no_text_neither_moves_a_cursor_nor_fills_a_screen() {
        let word = format!("\x1b[2J\u{9b}1m{}", "x".repeat(4000));
        let diagnostic =
            Diagnostic::error(at(1, 1), format!("unknown keyword '{word}'")).found(word);
        let shown = diagnostic.to_string();
        assert!(shown.contains(r"\u{1b}[2J\u{9b}1mxxx"), "{shown}");
        assert!(!shown.contains(char::is_control), "{shown:?}");
        assert!(shown.chars().count() < 700, "{shown}");
        assert!(shown.contains("x…`"), "{shown}");
    }

    #[test]
    fn json_carries_the_parts_and_leaves_out_the_absent_ones() {
        let mut diagnostics = Diagnostics::new();
        diagnostics.push(Diagnostic::warning(at(3, 1), "obsolete word").found("lvs_sched"));
        let json = serde_json::to_value(&diagnostics).unwrap();
        assert_eq!(
            json,
            serde_json::json!([{
                "severity": "warning",
                "span": {"file": "keepalived.conf", "line": 3, "column": 1},
                "message": "obsolete word",
                "found": "lvs_sched",
            }])
        );
    }

    #[test]
    fn a_keyed_finding_is_made_once() {
        let mut diagnostics = Diagnostics::new();
        assert!(diagnostics.push_once("lvs_sched", Diagnostic::warning(at(3, 1), "obsolete")));
        assert!(!diagnostics.push_once("lvs_sched", Diagnostic::warning(at(9, 1), "obsolete")));
        assert_eq!(diagnostics.len(), 1);
        assert!(!diagnostics.has_errors());
    }

    #[test]
    fn sorting_follows_the_lines() {
        let mut diagnostics = Diagnostics::new();
        diagnostics.push(Diagnostic::error(at(9, 2), "later"));
        diagnostics.push(Diagnostic::note(at(1, 7), "earlier"));
        diagnostics.sort();
        let lines: Vec<u32> = diagnostics.iter().map(|d| d.span.line).collect();
        assert_eq!(lines, [1, 9]);
    }
}
