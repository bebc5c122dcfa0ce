//! What haproxy 2.6 writes on standard error, which tools read: `[ALERT]    (pid) : config : parsing [file:line] :
//! ...`. The findings are those of `ha-lb check`.

use std::{fmt, io};

use crate::{
    admin::stat::info,
    config::diagnostic::{Diagnostic, Diagnostics, Severity, escaped},
};

fn line(level: &str, text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.lines();
    let first = parts.next().unwrap_or_default();
    out.push_str(&format!("{level:<10} ({}) : {first}\n", std::process::id()));
    for part in parts {
        out.push_str(&format!("   | {part}\n"));
    }
    out
}

/// A line that tells why nothing runs.
pub(super) fn alert(text: &str) -> String {
    line("[ALERT]", text)
}

fn warning(text: &str) -> String {
    line("[WARNING]", text)
}

/// A line worth knowing.
pub(super) fn notice(text: &str) -> String {
    line("[NOTICE]", text)
}

/// The two lines before the first finding.
pub(super) fn preamble() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    notice(&format!("haproxy version is {}", info::VERSION))
        + &notice(&format!("path to executable is {}", program.display()))
}

/// What the system said, without Rust's number.
pub(super) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// All findings of one start, as haproxy writes them.
#[derive(Debug)]
pub(super) struct Report {
    /// How many of them are warnings.
    pub(super) warnings: usize,
    text: String,
}

impl Report {
    /// The findings of the files, after `remarks` on the command line.
    pub(super) fn of(diagnostics: &Diagnostics, remarks: &[String]) -> Self {
        let mut text: String = remarks.iter().map(|remark| notice(remark)).collect();
        let mut found: Vec<&Diagnostic> = diagnostics.iter().collect();
        found.sort_by_key(|d| &d.span.file);
        for file in found.chunk_by(|a, b| a.span.file == b.span.file) {
            for diagnostic in file {
                text.push_str(&finding(diagnostic));
            }
            let name = file.first().map_or("", |d| &d.span.file);
            if file.iter().any(|d| is_error(d) && d.span.line > 0) {
                let summary = format!("config : Error(s) found in configuration file : {name}");
                text.push_str(&alert(&summary));
            }
        }
        if diagnostics.iter().any(|d| is_error(d) && d.span.line > 0) {
            text.push_str(&alert("config : Fatal errors found in configuration."));
        }
        Self {
            warnings: diagnostics.count(Severity::Warning),
            text,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.text.is_empty() {
            f.write_str(&preamble())?;
        }
        f.write_str(&self.text)
    }
}

fn is_error(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity == Severity::Error
}

fn finding(diagnostic: &Diagnostic) -> String {
    let text = match diagnostic.span.line {
        0 => format!("config : {}", sentence(diagnostic)),
        number => format!(
            "config : parsing [{}:{number}] : {}",
            diagnostic.span.file,
            sentence(diagnostic)
        ),
    };
    let text = escaped(&text);
    match diagnostic.severity {
        Severity::Error => alert(&text),
        Severity::Warning => warning(&text),
        Severity::Note => notice(&text),
    }
}

/// Message, what was found and expected unless the message says it, the suggestion in haproxy's words, the action.
fn sentence(diagnostic: &Diagnostic) -> String {
    const UNREADABLE: &str = "cannot open the configuration file: ";
    if let Some(why) = diagnostic.message.strip_prefix(UNREADABLE) {
        let why = why.split(" (os error").next().unwrap_or(why);
        let file = &diagnostic.span.file;
        return format!("Cannot open configuration file/directory {file} : {why}");
    }
    let mut text = diagnostic.message.clone();
    // haproxy ends such a line with the suggestion, if there is one.
    let is_unknown = text.starts_with("unknown keyword");
    if !is_unknown {
        let found = diagnostic.found.as_ref();
        if let Some(found) = found.filter(|found| !text.contains(&format!("'{found}'"))) {
            text.push_str(&format!(" : '{found}'"));
        }
        if let Some(expected) = &diagnostic.expected {
            text.push_str(&format!(", expected {expected}"));
        }
    }
    if let Some(suggestion) = &diagnostic.suggestion {
        text.push_str(&format!("; did you mean '{suggestion}' maybe ?"));
    }
    if let Some(action) = &diagnostic.action {
        text.push_str(&format!("; {action}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{files::Bundle, haproxy};

    fn lines(files: &[(&str, &str)]) -> Vec<String> {
        let mut bundle = Bundle::default();
        for (name, text) in files {
            bundle = bundle.with_file(*name, *text);
        }
        let names: Vec<_> = files.iter().map(|(name, _)| (*name).into()).collect();
        let mut diagnostics = Diagnostics::new();
        let _ = haproxy::load(&names, &bundle, &mut diagnostics);
        diagnostics.sort();
        let pid = format!("({})", std::process::id());
        let report = Report::of(&diagnostics, &[]);
        let lines = report.to_string();
        lines
            .lines()
            .skip(2)
            .map(|l| l.replace(&pid, "(1)"))
            .collect()
    }

    #[test]
    fn mistakes_read_as_haproxy_writes_them() {
        let text = "global\n    foo bar\n    maxcon 5\ndefaults\n    mode http\nfrontend a\n    bnid 127.0.0.1:80\n";
        let found = lines(&[("bad.cfg", text)]);
        assert_eq!(
            found
                .iter()
                .filter(|l| l.starts_with("[ALERT]"))
                .collect::<Vec<_>>(),
            [
                "[ALERT]    (1) : config : parsing [bad.cfg:2] : unknown keyword 'foo' in 'global' section",
                "[ALERT]    (1) : config : parsing [bad.cfg:3] : unknown keyword 'maxcon' in 'global' section; did \
                 you mean 'maxconn' maybe ?",
                "[ALERT]    (1) : config : parsing [bad.cfg:7] : unknown keyword 'bnid' in 'frontend' section; did \
                 you mean 'bind' maybe ?",
                "[ALERT]    (1) : config : Error(s) found in configuration file : bad.cfg",
                "[ALERT]    (1) : config : Fatal errors found in configuration.",
            ]
        );
        assert!(
            found
                .iter()
                .any(|l| l.starts_with("[WARNING]  (1) : config : ")),
            "{found:?}"
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_named_in_its_words() {
        let mut diagnostics = Diagnostics::new();
        let names = ["/no/such.cfg".into()];
        assert!(
            haproxy::load(&names, &crate::config::files::DiskFiles, &mut diagnostics).is_none()
        );
        let report = Report::of(&diagnostics, &[]).to_string();
        assert!(
            report.ends_with(
                " : config : Cannot open configuration file/directory /no/such.cfg : No such file or directory\n"
            ),
            "{report}"
        );
    }
}
