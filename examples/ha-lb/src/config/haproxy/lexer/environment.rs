//! Environment variables (configuration manual §2.3): those of the process, changed by the file itself.

use lb_core::request::EnvironmentChanges;

use super::Line;
use crate::config::{
    diagnostic::{Diagnostic, Diagnostics},
    files::Files,
};

/// Environment variables: those of the process, changed by `setenv` and its kind while the file is read.
pub(in crate::config::haproxy) struct Environment<'f> {
    files: &'f dyn Files,
    changes: EnvironmentChanges,
}

impl<'f> Environment<'f> {
    /// The process's own variables.
    pub(in crate::config::haproxy) fn new(files: &'f dyn Files) -> Self {
        Self {
            files,
            changes: EnvironmentChanges::default(),
        }
    }

    pub(in crate::config::haproxy) fn value(&self, name: &str) -> Option<String> {
        self.changes.value(name, |name| self.files.variable(name))
    }

    /// What the lines so far have changed.
    pub(in crate::config::haproxy) fn changes(&self) -> EnvironmentChanges {
        self.changes.clone()
    }

    /// Variables in addresses are expanded outside quotes too (manual §11: "may contain environment variables").
    pub(super) fn expand_address(&self, line: &mut Line, diagnostics: &mut Diagnostics) {
        let index = match (line.text(0), line.text(1)) {
            ("stats", "socket") => 2,
            ("bind" | "dispatch" | "log" | "source", _) => 1,
            ("server" | "peer" | "nameserver" | "frontend" | "listen", _) => 2,
            ("server-template", _) => 3,
            _ => return,
        };
        let span = line.span(index);
        let Some(word) = line.words.get_mut(index) else {
            return;
        };
        if !word.text.contains('$') {
            return;
        }
        let mut out = String::new();
        let mut rest = word.text.as_str();
        while let Some((before, behind)) = rest.split_once('$') {
            out.push_str(before);
            let (name, after) = variable_name(behind);
            match self.value(name) {
                Some(value) => out.push_str(&value),
                None if name.is_empty() => out.push('$'),
                None => diagnostics.push(
                    Diagnostic::warning(
                        span.clone(),
                        format!("environment variable '{name}' is not set"),
                    )
                    .action("nothing stands in its place"),
                ),
            }
            rest = after;
        }
        out.push_str(rest);
        word.text = out;
    }

    /// `setenv`, `presetenv`, `unsetenv`, `resetenv` (manual §3.1) take effect for the lines that follow.
    pub(super) fn apply(&mut self, line: &Line) {
        let rest = || line.words.iter().skip(1).map(|word| word.text.clone());
        match line.text(0) {
            "setenv" => {
                let value = line.text(2).to_owned();
                self.changes
                    .changed
                    .insert(line.text(1).to_owned(), Some(value));
            }
            "presetenv" if self.value(line.text(1)).is_none() => {
                let value = line.text(2).to_owned();
                self.changes
                    .changed
                    .insert(line.text(1).to_owned(), Some(value));
            }
            "unsetenv" => self.changes.changed.extend(rest().map(|name| (name, None))),
            "resetenv" => {
                let kept: Vec<_> = rest()
                    .map(|name| (name.clone(), self.value(&name)))
                    .collect();
                self.changes.hides_process = true;
                self.changes.changed = kept.into_iter().collect();
            }
            _ => {}
        }
    }
}

/// The name behind a `$`, in braces or not, and what follows it.
fn variable_name(text: &str) -> (&str, &str) {
    if let Some((name, after)) = text.strip_prefix('{').and_then(|t| t.split_once('}')) {
        return (name, after);
    }
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}
